/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Accepts connections, finds out which client each belongs to (the SPICE link message begins with
 * the connection id, 0 for a new client), and keeps a server/relay.h for each until it ends.
 *
 * Thread:  the owner thread; the callback runs from the main loop.
 *          TLS handshakes run as server/handshakes.h says.
 * Hostile: a connection that does not send a valid link message within 10 s, TLS handshake
 *          included, is closed. At most 64 may be on the way to the callback; above that, the
 *          host with the most of them loses its oldest.
 * Pace:    libspice-server makes an RSA key for every connection, before any authentication (33 ms
 *          on a slow core). So connections are handed on one by one, after the first few only in a
 *          quarter of the thread's time, and in turns among the hosts that wait. New clients also
 *          wait as server/retries.h says, unless no password is needed.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct ScListener ScListener;

/* @fd is the callee's: the end of a socket pair for libspice-server (sc_relay_open()), the whole
 * link message already in it. @connection_id 0: a new client. @peer: for logs. The listener must
 * not be freed from here. */
typedef void (*ScListenerFunc)(int fd, guint32 connection_id, const char *peer, gpointer data);

/* An ADDRESS is "PORT" (of 127.0.0.1), "ADDR:PORT", "[ADDR6]:PORT" or "unix:PATH" (an abandoned
 * socket file there is replaced, anything else is not). Port 0: the system chooses. */
typedef struct {
    const char *address;                     /* NULL: none */
    const char *tls_address;                 /* for TLS; NULL: none */
    const char *tls_cert, *tls_key, *tls_ca; /* files, as in server/tls.h */
    gboolean is_open;                        /* clients need no password */
    gboolean sasl;                           /* they authenticate by SASL; not with TLS */
} ScListenerConfig;

/* One address at least; @config is copied as far as it is needed. The errors say what to do. */
ScListener *sc_listener_new(const ScListenerConfig *config, ScListenerFunc func, gpointer data,
                            GError **error);

/* Ends all connections, also those that were handed on, and removes a unix socket's file. NULL is
 * ignored. */
void sc_listener_free(ScListener *listener);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScListener, sc_listener_free)

/* The addresses that work for a client, "127.0.0.1:5930" or "unix:PATH"; NULL where there is none.
 * Valid as long as @listener. */
const char *sc_listener_get_address(const ScListener *listener);
const char *sc_listener_get_tls_address(const ScListener *listener);

/* The client whose connection came from @peer knows the password. */
void sc_listener_note_success(ScListener *listener, const char *peer);

G_END_DECLS
