/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection of a viewer: moves bytes between its stream (a socket, or what is layered on one)
 * and a socket pair whose other end libspice-server serves, so that server/guard.h can judge what
 * the client sends before libspice-server sees it.
 *
 * Thread:  the owner thread; everything runs in the main context that was the thread default at
 *          sc_relay_new().
 * Memory:  at most 4 KiB towards libspice-server and 16 KiB towards the client, or before that
 *          8 KiB of a WebSocket's request, besides the kernel's buffers.
 *
 * Nothing is read from a side while the other does not take what is there, and nothing from a
 * client that does not take what it is sent: it cannot fill libspice-server's queues with answers.
 * Whichever side ends, the other is told as soon as it got what was on its way to it, and within
 * 5 s in any case. A client that breaks the rules is cut off at once.
 */
#pragma once

#include "server/refusals.h"

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct ScRelay ScRelay;

typedef struct {
    /* The link message is complete: sc_relay_open() may be called, from here or later. @relay must
     * not be freed from here. @connection_id as in server/guard.h. */
    void (*linked)(ScRelay *relay, guint32 connection_id, gpointer data);

    /* The connection has ended and both ends are closed; @relay may be freed from here. The last
     * call. */
    void (*ended)(ScRelay *relay, gpointer data);
} ScRelayListener;

typedef struct {
    GIOStream *stream;    /* pollable; referenced, and closed at the end */
    GSocket *socket;      /* below it; referenced, and closed at the end */
    const char *peer;     /* for logs; copied */
    gboolean is_open;     /* clients need no password: see server/websocket.h */
    gboolean sasl;        /* see server/guard.h */
    ScRefusals *refusals; /* told of nonsense before the link message; must outlive the relay */
} ScRelayConfig;

/* Both members of @listener are mandatory; it is copied. */
ScRelay *sc_relay_new(const ScRelayConfig *config, const ScRelayListener *listener, gpointer data);

/* Cuts the connection off. NULL is ignored. */
void sc_relay_free(ScRelay *relay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScRelay, sc_relay_free)

/* The end of a socket pair from which libspice-server shall read what the client has sent, from the
 * beginning; it is the caller's, who ends the connection by closing it. Once. -1 on error. */
int sc_relay_open(ScRelay *relay, GError **error);

G_END_DECLS
