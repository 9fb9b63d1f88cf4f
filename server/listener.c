/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/listener.h"

#include "capture/error.h"
#include "capture/loop.h"
#include "capture/timer.h"
#include "server/address.h"
#include "server/handshakes.h"
#include "server/pace.h"
#include "server/relay.h"
#include "server/retries.h"
#include "server/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Connections that wait for their link message, or for their turn. */
#define MAX_PENDING 64
#define LINK_TIMEOUT (10 * G_TIME_SPAN_SECOND)

/* How long to accept nothing when the process has no descriptor left: the connection stays in the
 * backlog and would be reported again at once. */
#define ACCEPT_PAUSE G_TIME_SPAN_SECOND

/* What handing on may cost the thread: two viewers (of four connections each) at once on a slow
 * core, then a quarter of its time. */
#define PACE_BURST (300 * G_TIME_SPAN_MILLISECOND)
#define PACE_SHARE 4

/* A peer that has vanished without a word is given up after so many seconds: idle, it is asked
 * from the tenth second on, four times. */
#define GIVE_UP_AFTER 30
#define KEEPALIVE_IDLE 10
#define KEEPALIVE_INTERVAL 5
#define KEEPALIVE_COUNT 4

/* What the kernel takes from us and cannot send yet. More would only be delay, and keep from the
 * viewer's queue what the network carries; see server/rate.h. */
#define MAX_UNSENT (32 * 1024)

typedef struct {
    ScListener *listener;
    GSocket *socket;
    ScHandshake *handshake; /* of TLS; NULL when there is none, or no more */
    ScRelay *relay;         /* NULL before that is over */
    char *peer;
    char *host;
    guint32 connection_id;
    gint64 deadline; /* while it is in the queue of those without a link message */
    GQueue *queue;   /* where it is */
    GList *link;
} Connection;

typedef struct {
    ScListener *listener;
    int fd;
    char *address;   /* NULL: the port does not exist */
    char *path;      /* of a unix socket, NULL for others */
    guint accept_id; /* 0 while pausing */
    gboolean is_tls;
} Port;

struct ScListener {
    ScListenerFunc func;
    gpointer data;
    gboolean is_open, sasl;

    Port plain, tls;
    ScHandshakes *handshakes; /* NULL without TLS */
    ScTimer *pause_timer;

    /* Of Connection, the oldest first: without a link message, waiting for their turn, handed on.
     */
    GQueue waiting, linked, open;
    ScTimer *deadline_timer;
    ScPace pace;
    ScRetries *retries; /* of those who do not know the password yet */
    ScTimer *pace_timer;
    ScRefusals *refusals;
};

static void connection_enqueue(Connection *connection, GQueue *queue)
{
    if (connection->queue != NULL) {
        g_queue_delete_link(connection->queue, connection->link);
    }
    g_queue_push_tail(queue, connection);
    connection->queue = queue;
    connection->link = queue->tail;
}

static void connection_free(Connection *connection)
{
    g_queue_delete_link(connection->queue, connection->link);
    if (connection->handshake != NULL) {
        sc_handshake_cancel(connection->handshake);
    }
    sc_relay_free(connection->relay);
    g_object_unref(connection->socket);
    g_free(connection->peer);
    g_free(connection->host);
    g_free(connection);
}

static void update_deadline(ScListener *listener)
{
    const Connection *oldest = g_queue_peek_head(&listener->waiting);

    if (oldest != NULL) {
        sc_timer_set_at(listener->deadline_timer, oldest->deadline);
    } else {
        sc_timer_cancel(listener->deadline_timer);
    }
}

static void on_deadline(gpointer data)
{
    ScListener *listener = data;
    gint64 now = g_get_monotonic_time();
    Connection *oldest;

    while ((oldest = g_queue_peek_head(&listener->waiting)) != NULL && oldest->deadline <= now) {
        g_debug("closing a connection of %s: no SPICE link message within %d s", oldest->host,
                (int)(LINK_TIMEOUT / G_TIME_SPAN_SECOND));
        connection_free(oldest);
    }
    update_deadline(listener);
}

/* Handing on */

/* A new client may have tried too often. */
static gint64 get_due(const Connection *connection, gint64 now)
{
    const ScListener *listener = connection->listener;

    return connection->connection_id != 0 || listener->is_open
               ? now
               : sc_retries_get_start(listener->retries, connection->host, now);
}

static void update_pace(ScListener *listener)
{
    gint64 now = g_get_monotonic_time();
    gint64 due = G_MAXINT64;

    for (GList *item = listener->linked.head; item != NULL; item = item->next) {
        due = MIN(due, get_due(item->data, now));
    }
    if (due < G_MAXINT64) {
        sc_timer_set_at(listener->pace_timer, MAX(due, sc_pace_get_start(&listener->pace, now)));
    } else {
        sc_timer_cancel(listener->pace_timer);
    }
}

/* Of the host whose turn it is; a client that is known goes first: it has shown its ticket. NULL:
 * all have to wait. */
static Connection *choose_next(ScListener *listener)
{
    gint64 now = g_get_monotonic_time();
    Connection *first = NULL;

    for (GList *item = listener->linked.head; item != NULL; item = item->next) {
        Connection *connection = item->data;

        if (first == NULL && get_due(connection, now) <= now) {
            first = connection;
        }
        if (first != NULL && connection->connection_id != 0 &&
            strcmp(connection->host, first->host) == 0) {
            return connection;
        }
    }
    return first;
}

/* Its other connections come after those of all others. */
static void end_turn(ScListener *listener, const char *host)
{
    GList *item = listener->linked.head;

    for (guint n = listener->linked.length; n > 0; n--) {
        Connection *connection = item->data;

        item = item->next;
        if (strcmp(connection->host, host) == 0) {
            connection_enqueue(connection, &listener->linked);
        }
    }
}

static gint64 get_thread_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * G_TIME_SPAN_SECOND + now.tv_nsec / 1000;
}

static void hand_on(ScListener *listener, Connection *connection)
{
    g_autoptr(GError) error = NULL;
    int fd = sc_relay_open(connection->relay, &error);

    if (fd < 0) {
        g_warning("%s", error->message);
        connection_free(connection);
        return;
    }
    connection_enqueue(connection, &listener->open);
    end_turn(listener, connection->host);
    if (connection->connection_id == 0 && !listener->is_open) {
        sc_retries_note(listener->retries, connection->host, g_get_monotonic_time());
    }
    listener->func(fd, connection->connection_id, connection->peer, listener->data);
}

static void on_pace(gpointer data)
{
    ScListener *listener = data;
    gint64 before = get_thread_time();
    Connection *connection = choose_next(listener);

    if (connection != NULL) {
        hand_on(listener, connection);
        sc_pace_charge(&listener->pace, g_get_monotonic_time(), get_thread_time() - before);
    }
    update_pace(listener);
}

static void on_linked(ScRelay *relay, guint32 connection_id, gpointer data)
{
    Connection *connection = data;
    ScListener *listener = connection->listener;

    gint64 now = g_get_monotonic_time();
    gint64 delay;

    connection->connection_id = connection_id;
    delay = get_due(connection, now) - now;
    if (delay > 0) {
        g_message("viewer %s: waits %.0f s, after too many attempts of %s without the password",
                  connection->peer, (double)delay / G_TIME_SPAN_SECOND, connection->host);
    }
    connection_enqueue(connection, &listener->linked);
    update_deadline(listener);
    update_pace(listener);
}

static void on_ended(ScRelay *relay, gpointer data)
{
    Connection *connection = data;
    ScListener *listener = connection->listener;

    connection_free(connection);
    update_deadline(listener);
    update_pace(listener);
}

/* Accepting */

static guint count_pending(const ScListener *listener, const char *host)
{
    const GQueue *const queues[] = { &listener->waiting, &listener->linked };
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(queues); i++) {
        for (const GList *item = queues[i]->head; item != NULL; item = item->next) {
            n += strcmp(((Connection *)item->data)->host, host) == 0;
        }
    }
    return n;
}

static void drop_pending(ScListener *listener)
{
    GQueue *const queues[] = { &listener->waiting, &listener->linked };
    Connection *chosen = NULL;
    guint most = 0;

    for (guint i = 0; i < G_N_ELEMENTS(queues); i++) {
        for (GList *item = queues[i]->head; item != NULL; item = item->next) {
            Connection *connection = item->data;
            guint n = count_pending(listener, connection->host);

            if (n > most) {
                most = n;
                chosen = connection;
            }
        }
    }
    g_debug("closing a connection of %s: %u of its %u are new", chosen->host, most, MAX_PENDING);
    connection_free(chosen);
}

static void set_tcp_option(GSocket *socket, int option, int value)
{
    g_autoptr(GError) error = NULL;

    if (!g_socket_set_option(socket, IPPROTO_TCP, option, value, &error)) {
        g_debug("TCP option %d: %s", option, error->message);
    }
}

static void set_up_socket(GSocket *socket)
{
    g_socket_set_blocking(socket, FALSE);
    if (g_socket_get_family(socket) == G_SOCKET_FAMILY_UNIX) {
        return;
    }
    g_socket_set_keepalive(socket, TRUE);
    set_tcp_option(socket, TCP_NODELAY, TRUE);
    set_tcp_option(socket, TCP_KEEPIDLE, KEEPALIVE_IDLE);
    set_tcp_option(socket, TCP_KEEPINTVL, KEEPALIVE_INTERVAL);
    set_tcp_option(socket, TCP_KEEPCNT, KEEPALIVE_COUNT);
    set_tcp_option(socket, TCP_USER_TIMEOUT, GIVE_UP_AFTER * 1000);
    set_tcp_option(socket, TCP_NOTSENT_LOWAT, MAX_UNSENT);
}

static void start_relay(Connection *connection, GIOStream *stream)
{
    static const ScRelayListener relay_listener = { .linked = on_linked, .ended = on_ended };
    ScRelayConfig config = {
        .stream = stream,
        .socket = connection->socket,
        .peer = connection->peer,
        .is_open = connection->listener->is_open,
        .sasl = connection->listener->sasl,
        .refusals = connection->listener->refusals,
    };

    connection->relay = sc_relay_new(&config, &relay_listener, connection);
}

static void on_handshake(GIOStream *tls, const GError *error, gpointer data)
{
    Connection *connection = data;
    ScListener *listener = connection->listener;

    connection->handshake = NULL;
    if (tls != NULL) {
        start_relay(connection, tls);
        return;
    }
    sc_refusals_add(listener->refusals, connection->peer, error);
    connection_free(connection);
    update_deadline(listener);
}

/* Takes @fd. */
static void add_connection(Port *port, int fd, const struct sockaddr *name, socklen_t length)
{
    ScListener *listener = port->listener;
    g_autofree char *peer = sc_address_format(name, length);
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fd, &error);
    g_autoptr(GSocketConnection) stream = NULL;
    Connection *connection;

    if (socket == NULL) {
        g_warning("cannot serve %s: %s", peer, error->message);
        close(fd);
        return;
    }
    set_up_socket(socket);
    stream = g_socket_connection_factory_create_connection(socket);
    if (listener->waiting.length + listener->linked.length >= MAX_PENDING) {
        drop_pending(listener);
    }
    connection = g_new0(Connection, 1);
    connection->listener = listener;
    connection->socket = g_steal_pointer(&socket);
    connection->host = sc_address_format_host(name, length);
    connection->peer = g_steal_pointer(&peer);
    connection->deadline = g_get_monotonic_time() + LINK_TIMEOUT;
    connection_enqueue(connection, &listener->waiting);
    if (port->is_tls) {
        connection->handshake = sc_handshakes_begin(listener->handshakes, stream, connection->host,
                                                    on_handshake, connection);
    } else {
        start_relay(connection, G_IO_STREAM(stream));
    }
    update_deadline(listener);
}

static gboolean on_connection(int fd, GIOCondition condition, gpointer data)
{
    Port *port = data;
    struct sockaddr_storage name = { 0 };
    socklen_t length = sizeof name;
    int connection = accept4(fd, (struct sockaddr *)&name, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (connection >= 0) {
        add_connection(port, connection, (struct sockaddr *)&name, length);
        return G_SOURCE_CONTINUE;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        g_warning("cannot accept a connection on %s: %s", port->address, g_strerror(errno));
        port->accept_id = 0;
        sc_timer_set_after(port->listener->pause_timer, ACCEPT_PAUSE);
        return G_SOURCE_REMOVE;
    }
    /* Gone before we came to it. */
    return G_SOURCE_CONTINUE;
}

static void port_accept(Port *port)
{
    if (port->address != NULL && port->accept_id == 0) {
        port->accept_id = sc_loop_add_fd(port->fd, G_IO_IN, on_connection, port);
    }
}

static void on_pause_over(gpointer data)
{
    ScListener *listener = data;

    port_accept(&listener->plain);
    port_accept(&listener->tls);
}

static gboolean port_open(Port *port, ScListener *listener, const char *address, GError **error)
{
    port->listener = listener;
    if (address == NULL) {
        return TRUE;
    }
    port->fd = sc_address_listen(address, &port->address, &port->path, error);
    port_accept(port);
    return port->address != NULL;
}

static void port_close(Port *port)
{
    if (port->address == NULL) {
        return;
    }
    g_clear_handle_id(&port->accept_id, sc_loop_remove);
    close(port->fd);
    if (port->path != NULL) {
        unlink(port->path);
    }
    g_free(port->path);
    g_free(port->address);
}

ScListener *sc_listener_new(const ScListenerConfig *config, ScListenerFunc func, gpointer data,
                            GError **error)
{
    g_autoptr(ScListener) listener = g_new0(ScListener, 1);

    listener->func = func;
    listener->data = data;
    listener->is_open = config->is_open;
    listener->sasl = config->sasl;
    g_queue_init(&listener->waiting);
    g_queue_init(&listener->linked);
    g_queue_init(&listener->open);
    listener->pace = (ScPace)SC_PACE_INIT(PACE_BURST, PACE_SHARE);
    listener->deadline_timer = sc_timer_new(on_deadline, listener);
    listener->pause_timer = sc_timer_new(on_pause_over, listener);
    listener->pace_timer = sc_timer_new(on_pace, listener);
    listener->retries = sc_retries_new();
    listener->refusals = sc_refusals_new();
    listener->tls.is_tls = TRUE;
    if (config->tls_address != NULL) {
        g_autoptr(GTlsCertificate) certificate =
            sc_tls_load(config->tls_cert, config->tls_key, config->tls_ca, error);

        if (certificate == NULL) {
            return NULL;
        }
        listener->handshakes = sc_handshakes_new(certificate);
    }
    if (!port_open(&listener->plain, listener, config->address, error) ||
        !port_open(&listener->tls, listener, config->tls_address, error)) {
        return NULL;
    }
    return g_steal_pointer(&listener);
}

static void free_all(GQueue *queue)
{
    while (queue->head != NULL) {
        connection_free(queue->head->data);
    }
}

void sc_listener_free(ScListener *listener)
{
    if (listener == NULL) {
        return;
    }
    free_all(&listener->waiting);
    free_all(&listener->linked);
    free_all(&listener->open);
    port_close(&listener->plain);
    port_close(&listener->tls);
    sc_handshakes_free(listener->handshakes);
    sc_timer_free(listener->deadline_timer);
    sc_timer_free(listener->pause_timer);
    sc_timer_free(listener->pace_timer);
    sc_retries_free(listener->retries);
    sc_refusals_free(listener->refusals);
    g_free(listener);
}

const char *sc_listener_get_address(const ScListener *listener)
{
    return listener->plain.address;
}

const char *sc_listener_get_tls_address(const ScListener *listener)
{
    return listener->tls.address;
}

void sc_listener_note_success(ScListener *listener, const char *peer)
{
    for (GList *item = listener->open.head; item != NULL; item = item->next) {
        const Connection *connection = item->data;

        if (strcmp(connection->peer, peer) == 0) {
            sc_retries_forgive(listener->retries, connection->host);
            update_pace(listener);
            return;
        }
    }
}
