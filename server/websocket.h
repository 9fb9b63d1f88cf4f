/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server's side of WebSocket (RFC 6455) as far as SPICE needs it: a stream of bytes in binary
 * messages, whose borders mean nothing. Only turns bytes into bytes; server/relay.h moves them.
 * (A library that queues messages by itself would hold what a slow client does not take.)
 *
 * Thread: any one at a time; nothing here reads a clock or a file.
 * Memory: a decoder holds less than 300 bytes; payload is decoded in place.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How long a request may be, the empty line at its end included. */
#define SC_WEBSOCKET_MAX_REQUEST 8192

/*
 * The answer to a client's HTTP @request, which ends with an empty line; the caller's to free.
 * @accepted: what follows are frames. Otherwise the connection must be closed after the answer.
 *
 * Browsers let every page connect to everywhere, and say from where the page is: that must be the
 * host they connect to, under whatever port. @is_open says that clients need no password: then the
 * host must be an address or "localhost", because the owner of another name can have it lead here.
 */
char *sc_websocket_answer(const char *request, gboolean is_open, gboolean *accepted);

/* In front of @size bytes of payload, less than 65536; returns its size. */
#define SC_WEBSOCKET_MAX_HEADER 4
gsize sc_websocket_make_header(guint8 header[SC_WEBSOCKET_MAX_HEADER], gsize size);

/* The last frame of a server. */
#define SC_WEBSOCKET_CLOSE "\x88\x02\x03\xe8" /* 1000: normal closure */
#define SC_WEBSOCKET_CLOSE_SIZE 4

typedef struct ScWebsocket ScWebsocket;

ScWebsocket *sc_websocket_new(void);
/* NULL is ignored. */
void sc_websocket_free(ScWebsocket *websocket);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScWebsocket, sc_websocket_free)

/* The next *@size bytes of the client, in whatever pieces they come, become the payload in them, of
 * which there are *@size then. FALSE: they break the rules (SC_ERROR_INVALID), and the connection
 * must be closed. */
gboolean sc_websocket_decode(ScWebsocket *websocket, guint8 *bytes, gsize *size, GError **error);

/* Writes the frame that is to be sent in answer to what was decoded, and returns its size; 0 if
 * there is none. Of several pings the last one is answered. */
#define SC_WEBSOCKET_MAX_REPLY (2 + 125)
gsize sc_websocket_take_reply(ScWebsocket *websocket, guint8 reply[SC_WEBSOCKET_MAX_REPLY]);

/* The client has closed, and what it sends after that is ignored. */
gboolean sc_websocket_is_closed(const ScWebsocket *websocket);

G_END_DECLS
