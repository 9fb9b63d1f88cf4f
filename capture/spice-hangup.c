/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/spice-hangup.h"

#include "capture/timer.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <unistd.h>

/* What was sent before the end is read first, and the usual end is told by the channel itself. */
#define GRACE_US (200 * 1000)

struct ScSpiceHangup {
    SpiceChannel *channel;
    int fd; /* ours, so that its number is nobody else's when spice-gtk has closed the other */
    GSource *watch;
    ScTimer *grace;
    void (*func)(gpointer data);
    gpointer data;
};

static gboolean on_hangup(int fd, GIOCondition condition, gpointer data)
{
    ScSpiceHangup *self = data;

    sc_timer_set_after(self->grace, GRACE_US);
    return G_SOURCE_REMOVE;
}

static void grace_is_over(gpointer data)
{
    ScSpiceHangup *self = data;

    self->func(self->data);
}

ScSpiceHangup *sc_spice_hangup_new(SpiceChannel *channel, int fd, void (*func)(gpointer data),
                                   gpointer data)
{
    ScSpiceHangup *self = g_new0(ScSpiceHangup, 1);

    self->channel = g_object_ref(channel);
    self->func = func;
    self->data = data;
    self->grace = sc_timer_new(grace_is_over, self);
    self->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    self->watch = g_unix_fd_source_new(self->fd, G_IO_HUP);
    g_source_set_callback(self->watch, G_SOURCE_FUNC(on_hangup), self, NULL);
    g_source_attach(self->watch, g_main_context_get_thread_default());
    return self;
}

/* Gives the loop the byte it waits for, without a descriptor, by putting another socket in the
 * place of the channel's. Having got it, the channel sees that it was told to disconnect. */
static void feed(int fd)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        return;
    }
    if (write(pair[1], "", 1) == 1) {
        dup3(pair[0], fd, O_CLOEXEC);
    }
    close(pair[0]);
    close(pair[1]);
}

void sc_spice_hangup_free(ScSpiceHangup *self)
{
    g_autoptr(GSocket) socket = NULL;

    if (self == NULL) {
        return;
    }
    g_object_get(self->channel, "socket", &socket, NULL);
    if (socket != NULL) { /* not ended yet: it may be in that loop, or get there */
        feed(g_socket_get_fd(socket));
    }
    g_source_destroy(self->watch);
    g_source_unref(self->watch);
    sc_timer_free(self->grace);
    close(self->fd);
    g_object_unref(self->channel);
    g_free(self);
}
