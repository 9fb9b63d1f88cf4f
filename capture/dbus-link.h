/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way to a VMM's D-Bus display: over a bus, where the VMM owns a name, or directly, by its
 * monitor (capture/qmp.h). Connects, notices the end, and tries again with increasing delay.
 *
 * Thread: the owner thread; callbacks come from the main context that was the thread default at
 *         sc_dbus_link_new().
 */
#pragma once

#include "capture/dbus-address.h"
#include "capture/dbus-console.h"

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct ScDbusLink ScDbusLink;

typedef struct {
    /* The VMM is there: @name is its unique name on the bus that @connection leads to, NULL if it
     * leads to the VMM itself. @consoles: see capture/dbus-console.h; they may be taken. */
    void (*up)(GDBusConnection *connection, const char *name, GPtrArray *consoles, gpointer data);

    /* It cannot be reached (any more), for @reason. Comes with every try that fails. */
    void (*down)(const char *reason, gpointer data);
} ScDbusLinkListener;

/* @address and @data must outlive the link. Begins at once. */
ScDbusLink *sc_dbus_link_new(const ScDbusAddress *address, const ScDbusLinkListener *listener,
                             gpointer data);

/* What was up is of no use: drops it and tries again later. down() is not called. */
void sc_dbus_link_retry(ScDbusLink *link);

/* Calls nobody back. NULL is ignored. */
void sc_dbus_link_free(ScDbusLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScDbusLink, sc_dbus_link_free)

/* An asynchronous connection over @fd, which is taken, to a peer that asks us to authenticate.
 * @callback as for g_dbus_connection_new(). */
void sc_dbus_connect_fd(int fd, GDBusConnectionFlags flags, GCancellable *cancellable,
                        GAsyncReadyCallback callback, gpointer data);

G_END_DECLS
