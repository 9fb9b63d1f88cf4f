/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/pair.h"

#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the kernel may hold between libspice-server and us, each way (it doubles the number, for its
 * own use). What is in there is delay that the viewer's queue does not see, and once it is full it
 * takes no more until most of it is gone: pieces too large for server/rate.h to see what the
 * network carries. */
#define BUFFER_SIZE (16 * 1024)

static int new_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* Connects @fd to @listener and returns the other end, or -1. Others may connect too, but are not
 * from where @fd is. */
static int connect_to(int listener, int fd)
{
    struct sockaddr_in name = { .sin_family = AF_INET }, ours, theirs;
    socklen_t length = sizeof name;
    int other;

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&name, length) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&name, &length) != 0 ||
        connect(fd, (struct sockaddr *)&name, length) != 0 ||
        getsockname(fd, (struct sockaddr *)&ours, &length) != 0) {
        return -1;
    }
    length = sizeof theirs;
    other = accept4(listener, (struct sockaddr *)&theirs, &length, SOCK_CLOEXEC);
    if (other >= 0 &&
        (theirs.sin_port != ours.sin_port || theirs.sin_addr.s_addr != ours.sin_addr.s_addr)) {
        close(other);
        errno = ECONNREFUSED;
        return -1;
    }
    return other;
}

static gboolean new_inet_pair(int pair[2])
{
    const int one = 1;
    int listener = new_socket();
    int failure;

    pair[0] = new_socket();
    pair[1] = listener >= 0 && pair[0] >= 0 ? connect_to(listener, pair[0]) : -1;
    failure = errno;
    if (listener >= 0) {
        close(listener);
    }
    if (pair[1] < 0) {
        if (pair[0] >= 0) {
            close(pair[0]);
        }
        errno = failure;
        return FALSE;
    }
    for (guint i = 0; i < 2; i++) {
        setsockopt(pair[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(pair[i], SOL_SOCKET, SO_RCVBUF, &(int){ BUFFER_SIZE }, sizeof(int));
        g_unix_set_fd_nonblocking(pair[i], TRUE, NULL);
    }
    return TRUE;
}

gboolean sc_pair_new(gboolean inet, int pair[2])
{
    if (inet ? !new_inet_pair(pair)
             : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        return FALSE;
    }
    for (guint i = 0; i < 2; i++) {
        setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &(int){ BUFFER_SIZE }, sizeof(int));
    }
    return TRUE;
}
