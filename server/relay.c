/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/relay.h"

#include "capture/error.h"
#include "capture/timer.h"
#include "server/guard.h"
#include "server/pair.h"
#include "server/splitter.h"
#include "server/websocket.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER (5 * G_TIME_SPAN_SECOND)

/* Towards libspice-server: a link message and what follows it, later a burst of input. */
#define UP_SIZE 4608
G_STATIC_ASSERT(UP_SIZE > SC_GUARD_MAX_LINK);

#define DOWN_SIZE (16 * 1024)
G_STATIC_ASSERT(DOWN_SIZE - SC_WEBSOCKET_MAX_HEADER < 65536);

/* What libspice-server writes should leave at once, before other work is begun. */
#define DOWN_PRIORITY G_PRIORITY_HIGH

typedef struct {
    guint8 *bytes;
    gsize position, size; /* from where, and up to where, they are still to be moved */
} Buffer;

typedef enum {
    LAYER_UNKNOWN,   /* nothing has come yet */
    LAYER_NONE,      /* SPICE */
    LAYER_REQUEST,   /* a WebSocket's, not yet complete */
    LAYER_WEBSOCKET, /* SPICE in frames */
} Layer;

struct ScRelay {
    ScRelayListener listener;
    gpointer data;
    GIOStream *stream;
    GSocket *socket;
    char *peer;
    ScRefusals *refusals;
    gboolean is_open_to_all;
    gboolean has_sasl;
    gboolean has_tls;
    ScSplitter splitter; /* with TLS, of what libspice-server sends */
    gsize piece;         /* how much of what goes down next goes together; 0: not known yet */

    Layer layer;
    GString *request; /* LAYER_REQUEST */
    ScWebsocket *websocket;
    ScGuard *guard;
    gboolean is_linked;

    int fd; /* our end of the pair; -1 before sc_relay_open() and after libspice-server's end */
    gboolean is_open;
    gboolean is_broken;   /* nothing can be saved */
    gboolean client_done; /* it sends no more */
    gboolean fd_deaf;     /* libspice-server reads no more */
    gboolean fd_hung_up;  /* it has closed its end, but there is still something to read */

    Buffer up, down;                            /* towards libspice-server, towards the client */
    GSource *client_readable, *client_writable; /* NULL: not watched */
    GSource *fd_readable, *fd_writable, *fd_hangup;
    ScTimer *linger_timer;
};

static gboolean buffer_is_empty(const Buffer *buffer)
{
    return buffer->position == buffer->size;
}

static void buffer_take(Buffer *buffer, gsize n)
{
    buffer->position += n;
    if (buffer_is_empty(buffer)) {
        buffer->position = buffer->size = 0;
    }
}

static void unwatch(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
        g_clear_pointer(source, g_source_unref);
    }
}

static void close_fd(ScRelay *relay)
{
    unwatch(&relay->fd_readable);
    unwatch(&relay->fd_writable);
    unwatch(&relay->fd_hangup);
    if (relay->fd >= 0) {
        close(relay->fd);
        relay->fd = -1;
    }
}

static void close_all(ScRelay *relay)
{
    close_fd(relay);
    unwatch(&relay->client_readable);
    unwatch(&relay->client_writable);
    sc_timer_cancel(relay->linger_timer);
    /* TLS takes leave of the client, and would wait for room to write that. */
    if (!relay->is_broken && (g_socket_condition_check(relay->socket, G_IO_OUT) & G_IO_OUT)) {
        g_io_stream_close(relay->stream, NULL, NULL);
    }
    g_socket_close(relay->socket, NULL);
}

/* Moving bytes: these note what happened, settle() draws the conclusions. */

static void break_off(ScRelay *relay, const GError *error)
{
    if (relay->is_linked) {
        g_log(G_LOG_DOMAIN, G_LOG_LEVEL_MESSAGE, "viewer %s: connection closed: %s", relay->peer,
              error->message);
    } else {
        sc_refusals_add(relay->refusals, relay->peer, error);
    }
    relay->is_broken = TRUE;
}

static void write_up(ScRelay *relay)
{
    Buffer *up = &relay->up;
    ssize_t n;

    while (!buffer_is_empty(up) && !relay->fd_deaf) {
        n = send(relay->fd, up->bytes + up->position, up->size - up->position,
                 MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            buffer_take(up, n);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            relay->fd_deaf = TRUE; /* its last words may still be there to read */
        }
    }
    if (relay->client_done && !relay->fd_deaf) {
        shutdown(relay->fd, SHUT_WR);
        relay->fd_deaf = TRUE;
    }
}

/* TLS must get the same piece again after it had no room for it. */
static gsize get_piece(ScRelay *relay)
{
    const Buffer *down = &relay->down;
    gsize size = down->size - down->position;

    if (!relay->has_tls || !relay->is_open || relay->layer != LAYER_NONE) {
        return size;
    }
    if (relay->piece == 0) {
        relay->piece = sc_splitter_next(&relay->splitter, down->bytes + down->position, size);
    }
    return relay->piece;
}

static void write_down(ScRelay *relay)
{
    GPollableOutputStream *out =
        G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(relay->stream));
    Buffer *down = &relay->down;
    g_autoptr(GError) error = NULL;
    gssize n;

    while (!buffer_is_empty(down)) {
        n = g_pollable_output_stream_write_nonblocking(out, down->bytes + down->position,
                                                       get_piece(relay), NULL, &error);
        if (n < 0) {
            relay->is_broken = !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
            return;
        }
        relay->piece -= MIN(relay->piece, (gsize)n);
        buffer_take(down, n);
    }
}

/* There is room: nothing is read from a client that does not take what is there. */
static void append_down(ScRelay *relay, gconstpointer bytes, gsize size)
{
    Buffer *down = &relay->down;

    if (down->bytes == NULL) {
        down->bytes = g_malloc(DOWN_SIZE);
    }
    g_return_if_fail(size <= DOWN_SIZE - down->size);
    memcpy(down->bytes + down->size, bytes, size);
    down->size += size;
}

/* Of @size bytes, leaves those that come after the request. */
static gboolean take_request(ScRelay *relay, guint8 *bytes, gsize *size, GError **error)
{
    gsize before = relay->request->len;
    g_autofree char *answer = NULL;
    gboolean accepted;
    const char *end;
    gsize used;

    g_string_append_len(relay->request, (const char *)bytes, *size);
    end = g_strstr_len(relay->request->str, relay->request->len, "\r\n\r\n");
    if (end == NULL && relay->request->len < SC_WEBSOCKET_MAX_REQUEST) {
        *size = 0;
        return TRUE;
    }
    if (end == NULL || strlen(relay->request->str) != relay->request->len) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "no WebSocket request");
        return FALSE;
    }
    used = end + strlen("\r\n\r\n") - relay->request->str - before;
    memmove(bytes, bytes + used, *size - used);
    *size -= used;
    g_string_truncate(relay->request, before + used);
    answer = sc_websocket_answer(relay->request->str, relay->is_open_to_all, &accepted);
    append_down(relay, answer, strlen(answer));
    write_down(relay);
    if (!accepted) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "a WebSocket request that is refused: %.*s",
                    (int)strcspn(answer, "\r"), answer);
        return FALSE;
    }
    relay->layer = LAYER_WEBSOCKET;
    relay->websocket = sc_websocket_new();
    g_string_truncate(relay->request, 0);
    return TRUE;
}

static gboolean take_frames(ScRelay *relay, guint8 *bytes, gsize *size, GError **error)
{
    guint8 reply[SC_WEBSOCKET_MAX_REPLY];
    gsize reply_size;

    if (!sc_websocket_decode(relay->websocket, bytes, size, error)) {
        return FALSE;
    }
    reply_size = sc_websocket_take_reply(relay->websocket, reply);
    if (reply_size > 0) {
        append_down(relay, reply, reply_size);
        write_down(relay);
    }
    relay->client_done = sc_websocket_is_closed(relay->websocket);
    return TRUE;
}

/* The client has sent *@size bytes; leaves those that are for libspice-server. */
static gboolean take_bytes(ScRelay *relay, guint8 *bytes, gsize *size, GError **error)
{
    if (relay->layer == LAYER_UNKNOWN) {
        relay->layer = bytes[0] == 'G' ? LAYER_REQUEST : LAYER_NONE; /* GET, or REDQ */
    }
    if (relay->layer == LAYER_REQUEST && !take_request(relay, bytes, size, error)) {
        return FALSE;
    }
    if (relay->layer == LAYER_WEBSOCKET && !take_frames(relay, bytes, size, error)) {
        return FALSE;
    }
    return sc_guard_check(relay->guard, bytes, *size, error);
}

/* TRUE if something was read. */
static gboolean read_up(ScRelay *relay)
{
    GPollableInputStream *in = G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(relay->stream));
    Buffer *up = &relay->up;
    g_autoptr(GError) error = NULL;
    gssize n = g_pollable_input_stream_read_nonblocking(in, up->bytes + up->size,
                                                        UP_SIZE - up->size, NULL, &error);
    gsize size = MAX(n, 0);

    if (n < 0) {
        relay->is_broken = !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
    } else if (n == 0) {
        relay->client_done = TRUE;
    } else if (!take_bytes(relay, up->bytes + up->size, &size, &error)) {
        break_off(relay, error);
    } else {
        up->size += size;
    }
    if (relay->client_done && !relay->is_open) {
        relay->is_broken = TRUE;
    }
    return n > 0;
}

/* Right in front of @size bytes of payload. */
static void add_header(Buffer *buffer, gsize size)
{
    guint8 header[SC_WEBSOCKET_MAX_HEADER];
    gsize header_size = sc_websocket_make_header(header, size);

    buffer->position = sizeof header - header_size;
    memcpy(buffer->bytes + buffer->position, header, header_size);
}

static void read_down(ScRelay *relay)
{
    const gsize head = relay->layer == LAYER_WEBSOCKET ? SC_WEBSOCKET_MAX_HEADER : 0;
    Buffer *down = &relay->down;
    ssize_t n;

    while (!relay->is_broken && buffer_is_empty(down)) {
        n = recv(relay->fd, down->bytes + head, DOWN_SIZE - head, MSG_DONTWAIT);
        if (n > 0) {
            down->size = head + n;
            if (head > 0) {
                add_header(down, n);
            }
            write_down(relay);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            if (head > 0 && !relay->client_done) {
                append_down(relay, SC_WEBSOCKET_CLOSE, SC_WEBSOCKET_CLOSE_SIZE);
                write_down(relay);
            }
            close_fd(relay);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

/* Watching */

static void settle(ScRelay *relay);

/* TLS may hold more than was read, of which the socket knows nothing: it must be asked again. */
static gboolean on_client_readable(GObject *stream, gpointer data)
{
    ScRelay *relay = data;
    guint32 connection_id;
    gboolean more = read_up(relay);

    g_source_set_ready_time(relay->client_readable, more && relay->has_tls ? 0 : -1);
    if (!relay->is_broken && !relay->is_linked && sc_guard_get_link(relay->guard, &connection_id)) {
        relay->is_linked = TRUE;
        relay->listener.linked(relay, connection_id, relay->data);
    }
    if (!relay->is_broken && relay->fd >= 0) {
        write_up(relay);
    }
    settle(relay);
    return G_SOURCE_CONTINUE;
}

static gboolean on_client_writable(GObject *stream, gpointer data)
{
    write_down(data);
    settle(data);
    return G_SOURCE_CONTINUE;
}

static gboolean on_fd_readable(int fd, GIOCondition condition, gpointer data)
{
    read_down(data);
    settle(data);
    return G_SOURCE_CONTINUE;
}

static gboolean on_fd_writable(int fd, GIOCondition condition, gpointer data)
{
    write_up(data);
    settle(data);
    return G_SOURCE_CONTINUE;
}

/* Waited for while what it wrote cannot be passed on, so that nothing is read from it. */
static gboolean on_fd_hangup(int fd, GIOCondition condition, gpointer data)
{
    ((ScRelay *)data)->fd_hung_up = TRUE;
    settle(data);
    return G_SOURCE_CONTINUE;
}

static void on_linger_over(gpointer data)
{
    ScRelay *relay = data;

    relay->is_broken = TRUE;
    settle(relay);
}

/* Takes @source. */
static GSource *watch(GSource *source, int priority, GSourceFunc func, ScRelay *relay)
{
    g_source_set_priority(source, priority);
    g_source_set_callback(source, func, relay, NULL);
    g_source_attach(source, g_main_context_get_thread_default());
    return source;
}

static void watch_client(ScRelay *relay)
{
    gboolean is_stuck = !buffer_is_empty(&relay->down);
    gboolean has_room = relay->is_open ? buffer_is_empty(&relay->up) : relay->up.size < UP_SIZE;
    GPollableInputStream *in = G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(relay->stream));
    GPollableOutputStream *out =
        G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(relay->stream));

    if (relay->client_done || relay->fd_deaf || is_stuck || !has_room) {
        unwatch(&relay->client_readable);
    } else if (relay->client_readable == NULL) {
        relay->client_readable =
            watch(g_pollable_input_stream_create_source(in, NULL), G_PRIORITY_DEFAULT,
                  G_SOURCE_FUNC(on_client_readable), relay);
        g_source_set_ready_time(relay->client_readable, relay->has_tls ? 0 : -1);
    }
    if (!is_stuck) {
        unwatch(&relay->client_writable);
    } else if (relay->client_writable == NULL) {
        relay->client_writable = watch(g_pollable_output_stream_create_source(out, NULL),
                                       DOWN_PRIORITY, G_SOURCE_FUNC(on_client_writable), relay);
    }
}

static void watch_fd(ScRelay *relay)
{
    if (relay->fd < 0 || !buffer_is_empty(&relay->down)) {
        unwatch(&relay->fd_readable);
    } else if (relay->fd_readable == NULL) {
        relay->fd_readable = watch(g_unix_fd_source_new(relay->fd, G_IO_IN), DOWN_PRIORITY,
                                   G_SOURCE_FUNC(on_fd_readable), relay);
    }
    if (relay->fd < 0 || relay->fd_hung_up || buffer_is_empty(&relay->down)) {
        unwatch(&relay->fd_hangup);
    } else if (relay->fd_hangup == NULL) {
        relay->fd_hangup = watch(g_unix_fd_source_new(relay->fd, G_IO_HUP | POLLRDHUP),
                                 G_PRIORITY_DEFAULT, G_SOURCE_FUNC(on_fd_hangup), relay);
    }
    if (relay->fd < 0 || relay->fd_deaf || buffer_is_empty(&relay->up)) {
        unwatch(&relay->fd_writable);
    } else if (relay->fd_writable == NULL) {
        relay->fd_writable = watch(g_unix_fd_source_new(relay->fd, G_IO_OUT), G_PRIORITY_DEFAULT,
                                   G_SOURCE_FUNC(on_fd_writable), relay);
    }
}

/* The end of every turn; @relay may be gone after it. */
static void settle(ScRelay *relay)
{
    /* The end of libspice-server is read when all before it is passed on. */
    if (relay->is_broken || (relay->is_open && relay->fd < 0)) {
        close_all(relay);
        relay->listener.ended(relay, relay->data);
        return;
    }
    if ((relay->fd_hung_up || relay->client_done || relay->fd_deaf) &&
        !sc_timer_is_set(relay->linger_timer)) {
        sc_timer_set_after(relay->linger_timer, LINGER);
    }
    watch_client(relay);
    watch_fd(relay);
}

ScRelay *sc_relay_new(const ScRelayConfig *config, const ScRelayListener *listener, gpointer data)
{
    ScRelay *relay = g_new0(ScRelay, 1);

    relay->listener = *listener;
    relay->data = data;
    relay->stream = g_object_ref(config->stream);
    relay->socket = g_object_ref(config->socket);
    relay->peer = g_strdup(config->peer);
    relay->refusals = config->refusals;
    relay->is_open_to_all = config->is_open;
    relay->has_sasl = config->sasl;
    relay->has_tls = G_IS_TLS_CONNECTION(config->stream);
    relay->request = g_string_new(NULL);
    relay->guard = sc_guard_new(config->sasl);
    relay->fd = -1;
    relay->up.bytes = g_malloc(UP_SIZE);
    relay->linger_timer = sc_timer_new(on_linger_over, relay);
    settle(relay);
    return relay;
}

void sc_relay_free(ScRelay *relay)
{
    if (relay == NULL) {
        return;
    }
    close_all(relay);
    g_object_unref(relay->stream);
    g_object_unref(relay->socket);
    g_string_free(relay->request, TRUE);
    sc_websocket_free(relay->websocket);
    sc_guard_free(relay->guard);
    sc_timer_free(relay->linger_timer);
    g_free(relay->up.bytes);
    g_free(relay->down.bytes);
    g_free(relay->peer);
    g_free(relay);
}

int sc_relay_open(ScRelay *relay, GError **error)
{
    int pair[2];

    g_return_val_if_fail(relay->is_linked && !relay->is_open, -1);
    if (!sc_pair_new(relay->has_sasl, pair)) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED, "cannot serve viewer %s: sockets: %s",
                    relay->peer, g_strerror(errno));
        return -1;
    }
    relay->is_open = TRUE;
    sc_splitter_init(&relay->splitter, sc_guard_has_mini_header(relay->guard));
    relay->fd = pair[0];
    if (relay->down.bytes == NULL) {
        relay->down.bytes = g_malloc(DOWN_SIZE);
    }
    write_up(relay);
    watch_client(relay);
    watch_fd(relay);
    return pair[1];
}
