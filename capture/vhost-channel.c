/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/vhost-channel.h"

#include "capture/loop.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct ScVhostChannel {
    int fd;
    const ScVhostChannelListener *listener;
    gpointer data;
    guint watch;            /* 0: no longer */
    ScVhostMessage message; /* being received */
    gsize received;         /* bytes of it */
};

/* ---- receiving -------------------------------------------------------------------------- */

int sc_vhost_message_take_fd(ScVhostMessage *message, guint index)
{
    int fd = index < message->n_fds ? message->fds[index] : -1;

    if (fd >= 0) {
        message->fds[index] = -1;
    }
    return fd;
}

static void close_fds(ScVhostMessage *message)
{
    for (guint i = 0; i < message->n_fds; i++) {
        if (message->fds[i] >= 0) {
            close(message->fds[i]);
        }
    }
    message->n_fds = 0;
}

static void take_fds(ScVhostMessage *message, struct msghdr *header)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control != NULL;
         control = CMSG_NXTHDR(header, control)) {
        gsize n = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (gsize i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
            if (message->n_fds < SC_VHOST_MAX_FDS) {
                message->fds[message->n_fds++] = fd;
            } else {
                close(fd);
            }
        }
    }
}

/* How much is still missing: of the header, then of the payload. */
static gsize get_missing(const ScVhostChannel *channel)
{
    gsize header_size = sizeof channel->message.header;

    return channel->received < header_size
               ? header_size - channel->received
               : header_size + channel->message.header.size - channel->received;
}

/* 0 and errno EAGAIN: nothing now; 0 and errno 0: the end. */
static gsize receive_some(ScVhostChannel *channel)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(SC_VHOST_MAX_FDS * sizeof(int))];
    } control;
    gsize header_size = sizeof channel->message.header;
    guint8 *to = channel->received < header_size
                     ? (guint8 *)&channel->message.header + channel->received
                     : (guint8 *)channel->message.payload + channel->received - header_size;
    struct iovec io = { to, get_missing(channel) };
    struct msghdr header = { .msg_iov = &io,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes };
    ssize_t n = recvmsg(channel->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n <= 0) {
        errno = n == 0 ? 0 : errno == EINTR ? EAGAIN : errno;
        return 0;
    }
    take_fds(&channel->message, &header);
    return (gsize)n;
}

/* What is wrong with the header; NULL: nothing. */
static const char *check_header(const ScVhostHeader *header)
{
    if ((header->flags & SC_VHOST_VERSION_MASK) != SC_VHOST_VERSION) {
        return "it does not speak version 1 of vhost-user";
    }
    return header->size > SC_VHOST_MAX_PAYLOAD ? "it sent a message that is too large" : NULL;
}

static void end(ScVhostChannel *channel, const char *reason)
{
    g_clear_handle_id(&channel->watch, sc_loop_remove);
    channel->listener->closed(reason, channel->data);
}

/* Owns itself a copy, for the listener may free the channel. */
static void deliver(ScVhostChannel *channel)
{
    ScVhostMessage message = channel->message;

    channel->received = 0;
    memset(&channel->message, 0, sizeof channel->message);
    channel->listener->message(&message, channel->data);
    close_fds(&message);
}

/* One message a time: others shall have their turn. */
static gboolean on_readable(int fd, GIOCondition condition, gpointer data)
{
    ScVhostChannel *channel = data;
    const char *flaw;

    do {
        gsize n = receive_some(channel);

        if (n == 0) {
            if (errno != EAGAIN) {
                end(channel, errno == 0 ? "it hung up" : g_strerror(errno));
            }
            return G_SOURCE_CONTINUE;
        }
        channel->received += n;
        flaw = channel->received >= sizeof channel->message.header
                   ? check_header(&channel->message.header)
                   : NULL;
        if (flaw != NULL) {
            end(channel, flaw);
            return G_SOURCE_CONTINUE;
        }
    } while (get_missing(channel) > 0);
    deliver(channel);
    return G_SOURCE_CONTINUE;
}

ScVhostChannel *sc_vhost_channel_new(int fd, const ScVhostChannelListener *listener, gpointer data)
{
    ScVhostChannel *channel = g_new0(ScVhostChannel, 1);

    channel->fd = fd;
    channel->listener = listener;
    channel->data = data;
    channel->watch = sc_loop_add_fd(fd, G_IO_IN, on_readable, channel);
    return channel;
}

void sc_vhost_channel_free(ScVhostChannel *channel)
{
    if (channel == NULL) {
        return;
    }
    g_clear_handle_id(&channel->watch, sc_loop_remove);
    close_fds(&channel->message);
    close(channel->fd);
    g_free(channel);
}

gboolean sc_vhost_channel_is_gone(const ScVhostChannel *channel)
{
    struct pollfd state = { .fd = channel->fd, .events = POLLRDHUP };

    return poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* ---- sending ---------------------------------------------------------------------------- */

gboolean sc_vhost_send(int fd, guint32 request, guint32 flags, gconstpointer payload, gsize size)
{
    ScVhostHeader header = { request, SC_VHOST_VERSION | flags, (guint32)size };
    struct iovec io[2] = { { &header, sizeof header }, { (gpointer)payload, size } };
    struct msghdr message = { .msg_iov = io, .msg_iovlen = size > 0 ? 2 : 1 };
    ssize_t n;

    do {
        n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)(sizeof header + size);
}

gboolean sc_vhost_channel_reply(ScVhostChannel *channel, const ScVhostMessage *message,
                                gconstpointer payload, gsize size)
{
    return sc_vhost_send(channel->fd, message->header.request, SC_VHOST_REPLY, payload, size);
}
