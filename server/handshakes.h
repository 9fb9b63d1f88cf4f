/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TLS handshakes of clients, which may be slow, silent or not know TLS at all, without those of
 * others having to wait for them.
 *
 * Thread: the owner thread; the callback runs from its main loop. GLib does each handshake in a
 *         thread of a pool that has ten for the whole process and grows by ten in a second only.
 * Hostile: no thread is used before all that a client says first has come (on a unix socket: at
 *         once). Eight at most are used; the next goes to the host that uses fewest. While clients
 *         wait for one, a handshake that has taken two seconds fails, of the host with most.
 *         How long one may take or wait otherwise is the caller's to limit.
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct ScHandshakes ScHandshakes;
typedef struct ScHandshake ScHandshake;

/* @tls is NULL if it failed, @error says why. The handshake is over and freed after that. Others
 * may be begun and cancelled from here. */
typedef void (*ScHandshakeFunc)(GIOStream *tls, const GError *error, gpointer data);

ScHandshakes *sc_handshakes_new(GTlsCertificate *certificate);

/* All must be over or cancelled. NULL is ignored. */
void sc_handshakes_free(ScHandshakes *handshakes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScHandshakes, sc_handshakes_free)

/* Of a client on @host, connected by @connection. @func is not called from inside. */
ScHandshake *sc_handshakes_begin(ScHandshakes *handshakes, GSocketConnection *connection,
                                 const char *host, ScHandshakeFunc func, gpointer data);

/* Without a call of the callback. The socket is shut down if a thread still uses it. */
void sc_handshake_cancel(ScHandshake *handshake);

G_END_DECLS
