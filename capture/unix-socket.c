/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/unix-socket.h"

#include "capture/error.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Connections the kernel keeps for us; one SPICE client makes four within milliseconds. */
#define BACKLOG 64

/* Whether a server answers behind the socket file. */
static gboolean is_answered(const struct sockaddr_un *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    gboolean answered;

    if (fd < 0) {
        return TRUE; /* not known: leave the file alone */
    }
    /* EAGAIN: its backlog is full. */
    answered =
        connect(fd, (const struct sockaddr *)name, sizeof *name) == 0 || errno != ECONNREFUSED;
    close(fd);
    return answered;
}

static gboolean clear_path(const struct sockaddr_un *name, GError **error)
{
    struct stat status;

    if (lstat(name->sun_path, &status) != 0) {
        return TRUE; /* free, or bind() will say why not */
    }
    if (!S_ISSOCK(status.st_mode)) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED,
                    "cannot listen on unix:%s: the file exists and is no socket; "
                    "remove it or choose another path",
                    name->sun_path);
        return FALSE;
    }
    if (is_answered(name)) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED,
                    "cannot listen on unix:%s: it is in use by another program; "
                    "stop that or choose another path",
                    name->sun_path);
        return FALSE;
    }
    unlink(name->sun_path);
    return TRUE;
}

static int bind_and_listen(const struct sockaddr_un *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int failure;

    if (fd < 0) {
        return -1;
    }
    if (bind(fd, (const struct sockaddr *)name, sizeof *name) == 0 && listen(fd, BACKLOG) == 0) {
        return fd;
    }
    failure = errno;
    close(fd);
    errno = failure;
    return -1;
}

gboolean sc_unix_socket_check_path(const char *path, GError **error)
{
    struct sockaddr_un name;

    if (path[0] == '\0' || strlen(path) >= sizeof name.sun_path) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "cannot listen on 'unix:%s': the path must have 1 to %zu bytes", path,
                    sizeof name.sun_path - 1);
        return FALSE;
    }
    return TRUE;
}

int sc_unix_socket_listen(const char *path, GError **error)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd;

    if (!sc_unix_socket_check_path(path, error)) {
        return -1;
    }
    strcpy(name.sun_path, path);
    if (!clear_path(&name, error)) {
        return -1;
    }
    fd = bind_and_listen(&name);
    if (fd < 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED, "cannot listen on unix:%s: %s", path,
                    g_strerror(errno));
    }
    return fd;
}
