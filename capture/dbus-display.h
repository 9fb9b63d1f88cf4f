/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One listener's display, for capture/dbus-listener.c only: the news of its inbox become scanouts
 * and frames of the source.
 *
 * Fence:    the answer to UpdateDMABUF releases the guest: draws that are taken together are one
 *           flush, whose completion answers them all, whatever the result.
 * Thread:   the owner thread.
 */
#pragma once

#include "capture/dbus-inbox.h"
#include "capture/source-impl.h"

G_BEGIN_DECLS

typedef struct ScDbusDisplay ScDbusDisplay;

/* References @connection, for the answers; @source must outlive the result. @lost is called when
 * the VMM draws on a scanout that it has not told of: only a new listener is told. */
ScDbusDisplay *sc_dbus_display_new(ScSource *source, GDBusConnection *connection,
                                   void (*lost)(gpointer data), gpointer data);

/* @news stays the caller's, but what is in it may be moved out. */
void sc_dbus_display_take(ScDbusDisplay *display, ScDbusNews *news);

/* Completes what is pending as dropped, and says so to the VMM where it still listens. Whoever
 * holds a scanout keeps its picture. NULL is ignored. */
void sc_dbus_display_free(ScDbusDisplay *display);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScDbusDisplay, sc_dbus_display_free)

G_END_DECLS
