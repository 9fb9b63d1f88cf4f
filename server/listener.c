/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/listener.h"

#include "capture/error.h"
#include "capture/loop.h"
#include "capture/timer.h"
#include "server/address.h"

#include <errno.h>
#include <spice/enums.h>
#include <spice/protocol.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#define MAX_WAITING 64
#define HEADER_TIMEOUT (10 * G_TIME_SPAN_SECOND)

/* How long to accept nothing when the process has no descriptor left: the connection stays in the
 * backlog and would be reported again at once. */
#define ACCEPT_PAUSE G_TIME_SPAN_SECOND

/* What must be there to judge a connection: the header, and of the message the connection id, the
 * channel's type and its number. */
#define PEEK_SIZE (sizeof(SpiceLinkHeader) + offsetof(SpiceLinkMess, num_common_caps))

typedef struct {
    int fd;
    gint64 deadline;
} Waiting;

struct ScListener {
    ScListenerFunc func;
    gpointer data;
    char *address;
    char *path; /* of a unix socket, NULL for others */

    int fd;
    guint accept_id; /* 0 while pausing */
    ScTimer *pause_timer;

    /* Edge-triggered: an incomplete header stays readable, but is reported once. */
    int epoll_fd;
    guint epoll_id;
    GQueue waiting; /* of Waiting, the oldest first */
    ScTimer *deadline_timer;
};

typedef enum {
    HEADER_INCOMPLETE,
    HEADER_INVALID,
    HEADER_COMPLETE,
} HeaderState;

static void update_deadline(ScListener *listener)
{
    Waiting *oldest = g_queue_peek_head(&listener->waiting);

    if (oldest != NULL) {
        sc_timer_set_at(listener->deadline_timer, oldest->deadline);
    } else {
        sc_timer_cancel(listener->deadline_timer);
    }
}

/* Ends the wait of @link and returns its descriptor, which is the caller's. */
static int stop_waiting(ScListener *listener, GList *link)
{
    g_autofree Waiting *waiting = link->data;

    epoll_ctl(listener->epoll_fd, EPOLL_CTL_DEL, waiting->fd, NULL);
    g_queue_delete_link(&listener->waiting, link);
    update_deadline(listener);
    return waiting->fd;
}

static void on_deadline(gpointer data)
{
    ScListener *listener = data;
    gint64 now = g_get_monotonic_time();
    GList *link;

    while ((link = listener->waiting.head) != NULL && ((Waiting *)link->data)->deadline <= now) {
        g_debug("closing a connection: no SPICE link header within %d s",
                (int)(HEADER_TIMEOUT / G_TIME_SPAN_SECOND));
        close(stop_waiting(listener, link));
    }
    update_deadline(listener);
}

static HeaderState peek_header(int fd, guint32 *connection_id)
{
    guint8 bytes[PEEK_SIZE];
    SpiceLinkHeader header;
    SpiceLinkMess message;
    ssize_t size = recv(fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);

    if (size < 0 && errno == EAGAIN) {
        return HEADER_INCOMPLETE;
    }
    if (size <= 0) {
        return HEADER_INVALID;
    }
    memcpy(&header, bytes, MIN((gsize)size, sizeof header));
    if (size >= (ssize_t)sizeof header.magic && header.magic != SPICE_MAGIC) {
        return HEADER_INVALID;
    }
    if (size < (ssize_t)sizeof bytes) {
        return HEADER_INCOMPLETE;
    }
    memcpy(&message, bytes + sizeof header, sizeof bytes - sizeof header);
    *connection_id = GUINT32_FROM_LE(message.connection_id);
    if ((*connection_id == 0) != (message.channel_type == SPICE_CHANNEL_MAIN)) {
        return HEADER_INVALID;
    }
    return HEADER_COMPLETE;
}

/* One connection a time: the callback may take long, and others shall have their turn. */
static gboolean on_waiting_readable(int epoll_fd, GIOCondition condition, gpointer data)
{
    ScListener *listener = data;
    struct epoll_event event;
    guint32 connection_id = 0;
    HeaderState state;
    GList *link;
    int fd;

    if (epoll_wait(epoll_fd, &event, 1, 0) != 1) {
        return G_SOURCE_CONTINUE;
    }
    link = event.data.ptr;
    state = peek_header(((Waiting *)link->data)->fd, &connection_id);
    if (state == HEADER_INCOMPLETE && !(event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) {
        return G_SOURCE_CONTINUE;
    }
    fd = stop_waiting(listener, link);
    if (state == HEADER_COMPLETE) {
        listener->func(fd, connection_id, listener->data);
    } else {
        g_debug("closing a connection: no valid SPICE link header");
        close(fd);
    }
    return G_SOURCE_CONTINUE;
}

static void start_waiting(ScListener *listener, int fd)
{
    Waiting *waiting = g_new(Waiting, 1);
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };

    if (listener->waiting.length >= MAX_WAITING) {
        g_debug("closing a connection: %d others have not sent their SPICE link header either",
                MAX_WAITING);
        close(stop_waiting(listener, listener->waiting.head));
    }
    waiting->fd = fd;
    waiting->deadline = g_get_monotonic_time() + HEADER_TIMEOUT;
    g_queue_push_tail(&listener->waiting, waiting);
    event.data.ptr = listener->waiting.tail;
    update_deadline(listener);
    if (epoll_ctl(listener->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        g_warning("cannot watch a connection: %s", g_strerror(errno));
        close(stop_waiting(listener, listener->waiting.tail));
    }
}

static gboolean on_connection(int fd, GIOCondition condition, gpointer data)
{
    ScListener *listener = data;
    int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (connection >= 0) {
        start_waiting(listener, connection);
        return G_SOURCE_CONTINUE;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        g_warning("cannot accept a connection on %s: %s", listener->address, g_strerror(errno));
        listener->accept_id = 0;
        sc_timer_set_after(listener->pause_timer, ACCEPT_PAUSE);
        return G_SOURCE_REMOVE;
    }
    /* Gone before we came to it. */
    return G_SOURCE_CONTINUE;
}

static void on_pause_over(gpointer data)
{
    ScListener *listener = data;

    listener->accept_id = sc_loop_add_fd(listener->fd, G_IO_IN, on_connection, listener);
}

ScListener *sc_listener_new(const char *address, ScListenerFunc func, gpointer data, GError **error)
{
    g_autoptr(ScListener) listener = g_new0(ScListener, 1);

    listener->func = func;
    listener->data = data;
    listener->epoll_fd = -1;
    g_queue_init(&listener->waiting);
    listener->deadline_timer = sc_timer_new(on_deadline, listener);
    listener->pause_timer = sc_timer_new(on_pause_over, listener);

    listener->fd = sc_address_listen(address, &listener->address, &listener->path, error);
    if (listener->fd < 0) {
        return NULL;
    }
    listener->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (listener->epoll_fd < 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED, "cannot listen on %s: epoll: %s",
                    listener->address, g_strerror(errno));
        return NULL;
    }
    listener->epoll_id = sc_loop_add_fd(listener->epoll_fd, G_IO_IN, on_waiting_readable, listener);
    listener->accept_id = sc_loop_add_fd(listener->fd, G_IO_IN, on_connection, listener);
    return g_steal_pointer(&listener);
}

void sc_listener_free(ScListener *listener)
{
    if (listener == NULL) {
        return;
    }
    while (listener->waiting.head != NULL) {
        close(stop_waiting(listener, listener->waiting.head));
    }
    g_clear_handle_id(&listener->accept_id, sc_loop_remove);
    g_clear_handle_id(&listener->epoll_id, sc_loop_remove);
    sc_timer_free(listener->deadline_timer);
    sc_timer_free(listener->pause_timer);
    if (listener->epoll_fd >= 0) {
        close(listener->epoll_fd);
    }
    if (listener->fd >= 0) {
        close(listener->fd);
    }
    if (listener->path != NULL) {
        unlink(listener->path);
    }
    g_free(listener->path);
    g_free(listener->address);
    g_free(listener);
}

const char *sc_listener_get_address(const ScListener *listener)
{
    return listener->address;
}
