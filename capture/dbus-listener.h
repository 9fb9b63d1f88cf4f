/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A listener of a console, for capture/source-dbus.c only: a connection of its own, on which the
 * VMM tells what the console shows; it becomes scanouts, frames and the cursor of the source.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/dbus-console.h"
#include "capture/dbus-cursor.h"
#include "capture/source-impl.h"

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct ScDbusListener ScDbusListener;

typedef struct {
    void (*up)(ScDbusListener *listener, gpointer data);
    /* The VMM draws faster than its pictures can be carried away, and its queue grows: free it, and
     * ask for another one. */
    void (*flooded)(ScDbusListener *listener, gpointer data);
    /* The VMM has not told what it shows now: likewise. */
    void (*lost)(ScDbusListener *listener, gpointer data);
    /* It is of no use any more: free it. */
    void (*ended)(ScDbusListener *listener, const char *reason, gpointer data);
} ScDbusListenerFuncs;

/*
 * Asks for it at @console of @name (NULL: the peer) on @control, which is needed until the listener
 * is up. @source, @cursor and @data must outlive the result. Nothing is told from inside.
 */
ScDbusListener *sc_dbus_listener_new(ScSource *source, ScDbusCursor *cursor,
                                     GDBusConnection *control, const char *name,
                                     const ScDbusConsole *console, const ScDbusListenerFuncs *funcs,
                                     gpointer data);

/* Guests that wait are released. NULL is ignored. */
void sc_dbus_listener_free(ScDbusListener *listener);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScDbusListener, sc_dbus_listener_free)

G_END_DECLS
