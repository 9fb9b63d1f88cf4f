/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Accepts connections and finds out, without reading it, which client each belongs to: the SPICE
 * link message begins with the connection id (0 for a new client).
 *
 * Thread:  the owner thread; the callback runs from the main loop.
 * Hostile: a connection that does not send a valid link header within 10 s is closed; at most 64
 *          may be waiting, the oldest goes first. Only a new client may open a main channel, and it
 *          must: anything else is a migration, which libspice-server trusts.
 * Cost:    an incomplete header wakes nobody up until more of it arrives.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct ScListener ScListener;

/* @fd is the callee's, its link message still unread. @connection_id 0: a new client. The listener
 * must not be freed from here. */
typedef void (*ScListenerFunc)(int fd, guint32 connection_id, gpointer data);

/* @address: "PORT" (of 127.0.0.1), "ADDR:PORT", "[ADDR6]:PORT" or "unix:PATH" (an abandoned socket
 * file there is replaced, anything else is not). Port 0: the system chooses. The errors say what to
 * do. */
ScListener *sc_listener_new(const char *address, ScListenerFunc func, gpointer data,
                            GError **error);

/* Removes a unix socket's file. NULL is ignored. */
void sc_listener_free(ScListener *listener);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScListener, sc_listener_free)

/* The address that works for a client, "127.0.0.1:5930" or "unix:PATH". Valid as long as
 * @listener. */
const char *sc_listener_get_address(const ScListener *listener);

G_END_DECLS
