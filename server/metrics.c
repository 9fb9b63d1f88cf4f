/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/metrics.h"

#include "capture/timer.h"
#include "server/address.h"
#include "server/metrics-text.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <libsoup/soup.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Whoever else wants to connect waits in the backlog. */
#define MAX_CONNECTIONS 8

/* For a request and its answer. */
#define TIMEOUT (5 * G_TIME_SPAN_SECOND)

/* How long to accept nothing when the process has no descriptor left. */
#define ACCEPT_PAUSE G_TIME_SPAN_SECOND

typedef struct {
    ScMetrics *metrics;
    GIOStream *stream; /* the HTTP library's */
    GSocket *socket;
    ScTimer *timer;
} Connection;

struct ScMetrics {
    ScMetricsFunc func;
    gpointer data;
    char *address;
    char *path; /* of a unix socket, NULL for others */
    int fd;
    guint accept_id; /* 0: there are enough connections, or: */
    ScTimer *pause;
    SoupServer *server;
    GPtrArray *connections; /* of Connection */
};

static void update_accepting(ScMetrics *metrics);

static void connection_free(gpointer data)
{
    Connection *connection = data;

    sc_timer_free(connection->timer);
    g_object_unref(connection->socket);
    g_free(connection);
}

static void on_connection_gone(gpointer data, GObject *stream)
{
    Connection *connection = data;
    ScMetrics *metrics = connection->metrics;

    g_ptr_array_remove_fast(metrics->connections, connection);
    update_accepting(metrics);
}

/* The HTTP library sees the end of it. */
static void on_timeout(gpointer data)
{
    Connection *connection = data;

    g_socket_shutdown(connection->socket, TRUE, TRUE, NULL);
}

static void add_connection(ScMetrics *metrics, int fd)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fd, &error);
    g_autoptr(GSocketConnection) stream = NULL;
    g_autoptr(GSocketAddress) ours = NULL;
    g_autoptr(GSocketAddress) theirs = NULL;
    Connection *connection;

    if (socket == NULL) {
        g_warning("a connection for metrics failed: %s", error->message);
        close(fd);
        return;
    }
    stream = g_socket_connection_factory_create_connection(socket);
    ours = g_socket_get_local_address(socket, NULL);
    theirs = g_socket_get_remote_address(socket, NULL);
    if (ours == NULL || theirs == NULL) {
        return; /* it is gone again */
    }
    connection = g_new0(Connection, 1);
    connection->metrics = metrics;
    connection->stream = G_IO_STREAM(stream);
    connection->socket = g_object_ref(socket);
    connection->timer = sc_timer_new(on_timeout, connection);
    sc_timer_set_after(connection->timer, TIMEOUT);
    g_ptr_array_add(metrics->connections, connection);
    g_object_weak_ref(G_OBJECT(stream), on_connection_gone, connection);
    if (!soup_server_accept_iostream(metrics->server, G_IO_STREAM(stream), ours, theirs, &error)) {
        g_warning("a connection for metrics failed: %s", error->message);
    }
}

static gboolean on_acceptable(int fd, GIOCondition condition, gpointer data)
{
    ScMetrics *metrics = data;
    int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (accepted >= 0) {
        add_connection(metrics, accepted);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        g_warning("a connection for metrics failed: accept: %s", g_strerror(errno));
        sc_timer_set_after(metrics->pause, ACCEPT_PAUSE);
    }
    update_accepting(metrics);
    return G_SOURCE_CONTINUE;
}

static void update_accepting(ScMetrics *metrics)
{
    if (metrics->connections->len >= MAX_CONNECTIONS || sc_timer_is_set(metrics->pause)) {
        g_clear_handle_id(&metrics->accept_id, g_source_remove);
    } else if (metrics->accept_id == 0) {
        metrics->accept_id = g_unix_fd_add(metrics->fd, G_IO_IN, on_acceptable, metrics);
    }
}

static void on_pause_over(gpointer data)
{
    update_accepting(data);
}

/* Before the body of a request is read: it is of no use, and could be of any size. */
static void on_early_request(SoupServer *server, SoupServerMessage *message, const char *path,
                             GHashTable *query, gpointer data)
{
    soup_message_body_set_accumulate(soup_server_message_get_request_body(message), FALSE);
}

static void on_request(SoupServer *server, SoupServerMessage *message, const char *path,
                       GHashTable *query, gpointer data)
{
    ScMetrics *metrics = data;
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    g_autofree char *text = NULL;

    soup_message_headers_replace(headers, "Connection", "close");
    if (strcmp(path, "/metrics") != 0) {
        soup_server_message_set_status(message, SOUP_STATUS_NOT_FOUND, NULL);
    } else if (soup_server_message_get_method(message) != SOUP_METHOD_GET) {
        soup_message_headers_replace(headers, "Allow", "GET");
        soup_server_message_set_status(message, SOUP_STATUS_METHOD_NOT_ALLOWED, NULL);
    } else {
        text = metrics->func(metrics->data);
        soup_server_message_set_status(message, SOUP_STATUS_OK, NULL);
        soup_server_message_set_response(message, SC_METRICS_TEXT_TYPE, SOUP_MEMORY_COPY, text,
                                         strlen(text));
    }
}

ScMetrics *sc_metrics_new(const char *address, ScMetricsFunc func, gpointer data, GError **error)
{
    g_autoptr(ScMetrics) metrics = g_new0(ScMetrics, 1);

    metrics->func = func;
    metrics->data = data;
    metrics->connections = g_ptr_array_new_with_free_func(connection_free);
    metrics->pause = sc_timer_new(on_pause_over, metrics);
    metrics->fd = sc_address_listen(address, &metrics->address, &metrics->path, error);
    if (metrics->fd < 0) {
        return NULL;
    }
    metrics->server = soup_server_new(NULL, NULL);
    soup_server_add_early_handler(metrics->server, NULL, on_early_request, NULL, NULL);
    soup_server_add_handler(metrics->server, NULL, on_request, metrics, NULL);
    update_accepting(metrics);
    return g_steal_pointer(&metrics);
}

void sc_metrics_free(ScMetrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    g_clear_handle_id(&metrics->accept_id, g_source_remove);
    sc_timer_free(metrics->pause);
    for (guint i = 0; i < metrics->connections->len; i++) {
        Connection *connection = g_ptr_array_index(metrics->connections, i);

        g_object_weak_unref(G_OBJECT(connection->stream), on_connection_gone, connection);
        g_socket_shutdown(connection->socket, TRUE, TRUE, NULL);
    }
    g_ptr_array_unref(metrics->connections);
    if (metrics->server != NULL) {
        soup_server_disconnect(metrics->server);
        g_object_unref(metrics->server);
    }
    if (metrics->fd >= 0) {
        close(metrics->fd);
    }
    if (metrics->path != NULL) {
        g_unlink(metrics->path);
    }
    g_free(metrics->address);
    g_free(metrics->path);
    g_free(metrics);
}

const char *sc_metrics_get_address(const ScMetrics *metrics)
{
    return metrics->address;
}
