/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/handshakes.h"

#include "capture/error.h"
#include "capture/loop.h"
#include "capture/timer.h"

#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Of the ten threads of GLib's pool (G_TASK_POOL_SIZE in gtask.c), which others need, too. */
#define MAX_RUNNING 8

/* For the round trips of a handshake, around the world, a lost packet and a slow machine. */
#define FAIR_TIME (2 * G_TIME_SPAN_SECOND)

/* A record of TLS: type, version, size (RFC 8446, section 5.1). */
#define RECORD_HEADER_SIZE 5
#define RECORD_MAX_SIZE (1 << 14)
#define RECORD_TYPE_HANDSHAKE 22

struct ScHandshake {
    ScHandshakes *owner; /* NULL: cancelled, but a thread still uses it */
    GQueue *queue;       /* where it is */
    GSocketConnection *connection;
    char *host;
    ScHandshakeFunc func;
    gpointer data;

    guint hello_id; /* 0: not watched any more */
    gsize wanted;   /* bytes to wait for */
    gint64 begun;
    GCancellable *cancellable;
};

struct ScHandshakes {
    GTlsCertificate *certificate;
    /* Of ScHandshake, the oldest first: without a first record, without a thread, with one. */
    GQueue silent, waiting, running;
    ScTimer *timer; /* set: one may begin, or has to make room */
};

static void enqueue(ScHandshake *handshake, GQueue *queue)
{
    if (handshake->queue != NULL) {
        g_queue_remove(handshake->queue, handshake);
    }
    g_queue_push_tail(queue, handshake);
    handshake->queue = queue;
}

static void handshake_free(ScHandshake *handshake)
{
    if (handshake->owner != NULL) {
        g_queue_remove(handshake->queue, handshake);
    }
    g_clear_handle_id(&handshake->hello_id, sc_loop_remove);
    g_object_unref(handshake->cancellable);
    g_object_unref(handshake->connection);
    g_free(handshake->host);
    g_free(handshake);
}

static void update_timer(ScHandshakes *handshakes)
{
    const ScHandshake *oldest = g_queue_peek_head(&handshakes->running);

    if (handshakes->waiting.length == 0) {
        sc_timer_cancel(handshakes->timer);
    } else if (handshakes->running.length < MAX_RUNNING) {
        sc_timer_set_after(handshakes->timer, 0);
    } else {
        sc_timer_set_at(handshakes->timer, oldest->begun + FAIR_TIME);
    }
}

static void fail(ScHandshake *handshake, const char *reason)
{
    ScHandshakes *handshakes = handshake->owner;
    g_autoptr(GError) error = g_error_new_literal(SC_ERROR, SC_ERROR_INVALID, reason);

    handshake->func(NULL, error, handshake->data);
    sc_handshake_cancel(handshake);
    update_timer(handshakes);
}

static void on_done(GObject *tls, GAsyncResult *result, gpointer data)
{
    ScHandshake *handshake = data;
    ScHandshakes *handshakes = handshake->owner;
    g_autoptr(GError) error = NULL;
    gboolean good = g_tls_connection_handshake_finish(G_TLS_CONNECTION(tls), result, &error);

    if (handshakes != NULL) {
        handshake->func(good ? G_IO_STREAM(tls) : NULL, error, handshake->data);
    }
    handshake_free(handshake);
    if (handshakes != NULL) {
        update_timer(handshakes);
    }
}

/* Clients show no certificates. Without a word about that, all of the system's authorities would be
 * read for each of them, in this thread. */
static GIOStream *wrap(ScHandshake *handshake, GError **error)
{
    GType type = g_tls_backend_get_server_connection_type(g_tls_backend_get_default());

    return g_initable_new(type, NULL, error, "base-io-stream", handshake->connection, "certificate",
                          handshake->owner->certificate, "database", NULL, NULL);
}

static void run(ScHandshake *handshake)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GIOStream) tls = wrap(handshake, &error);

    if (tls == NULL) {
        fail(handshake, error->message);
        return;
    }
    enqueue(handshake, &handshake->owner->running);
    handshake->begun = g_get_monotonic_time();
    g_tls_connection_handshake_async(G_TLS_CONNECTION(tls), G_PRIORITY_DEFAULT,
                                     handshake->cancellable, on_done, handshake);
}

static guint count_running(const ScHandshakes *handshakes, const char *host)
{
    guint n = 0;

    for (const GList *item = handshakes->running.head; item != NULL; item = item->next) {
        n += strcmp(((const ScHandshake *)item->data)->host, host) == 0;
    }
    return n;
}

static ScHandshake *choose_next(const ScHandshakes *handshakes)
{
    ScHandshake *chosen = NULL;
    guint fewest = G_MAXUINT;

    for (GList *item = handshakes->waiting.head; item != NULL; item = item->next) {
        guint n = count_running(handshakes, ((const ScHandshake *)item->data)->host);

        if (n < fewest) {
            fewest = n;
            chosen = item->data;
        }
    }
    return chosen;
}

/* Of those that have had their time; NULL: none. */
static ScHandshake *choose_victim(const ScHandshakes *handshakes)
{
    gint64 now = g_get_monotonic_time();
    ScHandshake *chosen = NULL;
    guint most = 0;

    for (GList *item = handshakes->running.head; item != NULL; item = item->next) {
        ScHandshake *handshake = item->data;
        guint n = count_running(handshakes, handshake->host);

        if (handshake->begun + FAIR_TIME <= now && n > most) {
            most = n;
            chosen = handshake;
        }
    }
    return chosen;
}

static void on_timer(gpointer data)
{
    ScHandshakes *handshakes = data;
    ScHandshake *next = choose_next(handshakes);
    ScHandshake *victim =
        handshakes->running.length >= MAX_RUNNING ? choose_victim(handshakes) : NULL;

    if (victim != NULL) {
        fail(victim, "it took too long while others waited");
    }
    if (next != NULL && handshakes->running.length < MAX_RUNNING) {
        run(next);
    }
    update_timer(handshakes);
}

/* The first record says how long it is. NULL, or what is wrong with it. */
static const char *examine_hello(ScHandshake *handshake, int fd, gboolean has_ended)
{
    guint8 head[RECORD_HEADER_SIZE] = { 0 };
    ssize_t n = recv(fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT);
    int available = 0;
    gsize size = head[3] << 8 | head[4];
    gsize wanted = sizeof head;

    if (n > 0 && head[0] != RECORD_TYPE_HANDSHAKE) {
        return "this is no TLS";
    }
    if (n == sizeof head) {
        if (size > RECORD_MAX_SIZE) {
            return "its first record of TLS is too long";
        }
        wanted += size;
    }
    if (ioctl(fd, FIONREAD, &available) != 0 || ((gsize)available < wanted && has_ended)) {
        return "it was closed";
    }
    /* Nobody is woken for less than the low-water mark, or only when memory is short. */
    handshake->wanted = (gsize)available < wanted && handshake->wanted < wanted ? wanted : 1;
    return NULL;
}

static gboolean on_hello(int fd, GIOCondition condition, gpointer data)
{
    ScHandshake *handshake = data;
    const char *reason = examine_hello(handshake, fd, (condition & ~G_IO_IN) != 0);
    int low_water = handshake->wanted;

    if (reason != NULL) {
        handshake->hello_id = 0;
        fail(handshake, reason);
        return G_SOURCE_REMOVE;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low_water, sizeof low_water);
    if (low_water > 1) {
        return G_SOURCE_CONTINUE;
    }
    handshake->hello_id = 0;
    enqueue(handshake, &handshake->owner->waiting);
    update_timer(handshake->owner);
    return G_SOURCE_REMOVE;
}

ScHandshakes *sc_handshakes_new(GTlsCertificate *certificate)
{
    ScHandshakes *handshakes = g_new0(ScHandshakes, 1);

    handshakes->certificate = g_object_ref(certificate);
    g_queue_init(&handshakes->silent);
    g_queue_init(&handshakes->waiting);
    g_queue_init(&handshakes->running);
    handshakes->timer = sc_timer_new(on_timer, handshakes);
    return handshakes;
}

void sc_handshakes_free(ScHandshakes *handshakes)
{
    if (handshakes == NULL) {
        return;
    }
    g_assert(handshakes->silent.length + handshakes->waiting.length + handshakes->running.length ==
             0);
    g_object_unref(handshakes->certificate);
    sc_timer_free(handshakes->timer);
    g_free(handshakes);
}

ScHandshake *sc_handshakes_begin(ScHandshakes *handshakes, GSocketConnection *connection,
                                 const char *host, ScHandshakeFunc func, gpointer data)
{
    GSocket *socket = g_socket_connection_get_socket(connection);
    ScHandshake *handshake = g_new0(ScHandshake, 1);

    handshake->owner = handshakes;
    handshake->connection = g_object_ref(connection);
    handshake->host = g_strdup(host);
    handshake->func = func;
    handshake->data = data;
    handshake->cancellable = g_cancellable_new();
    if (g_socket_get_family(socket) == G_SOCKET_FAMILY_UNIX) {
        /* poll() knows no low-water mark there. */
        enqueue(handshake, &handshakes->waiting);
        update_timer(handshakes);
    } else {
        enqueue(handshake, &handshakes->silent);
        handshake->hello_id =
            sc_loop_add_fd(g_socket_get_fd(socket), G_IO_IN | POLLRDHUP, on_hello, handshake);
    }
    return handshake;
}

void sc_handshake_cancel(ScHandshake *handshake)
{
    ScHandshakes *handshakes = handshake->owner;

    if (handshake->queue != &handshakes->running) {
        handshake_free(handshake);
    } else {
        g_queue_remove(handshake->queue, handshake);
        handshake->owner = NULL;
        g_cancellable_cancel(handshake->cancellable);
        g_socket_shutdown(g_socket_connection_get_socket(handshake->connection), TRUE, TRUE, NULL);
    }
    update_timer(handshakes);
}
