/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/address.h"

#include "capture/error.h"
#include "capture/unix-socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_HOST "127.0.0.1"

/* Connections the kernel keeps for us; one client makes four within milliseconds. */
#define BACKLOG 64

static void set_usage_error(GError **error, const char *address, const char *reason)
{
    g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                "cannot listen on '%s': %s; write PORT, ADDR:PORT, [ADDR6]:PORT or unix:PATH",
                address, reason);
}

static int bind_and_listen(int family, const struct sockaddr *name, socklen_t length)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1;
    int failure;

    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, name, length) == 0 && listen(fd, BACKLOG) == 0) {
        return fd;
    }
    failure = errno;
    close(fd);
    errno = failure;
    return -1;
}

static gboolean split_address(const char *address, char **host, char **port, GError **error)
{
    const char *colon = strrchr(address, ':');
    guint64 number;

    if (colon == NULL) {
        *host = g_strdup(DEFAULT_HOST);
        *port = g_strdup(address);
    } else if (address[0] == '[' && colon > address + 2 && colon[-1] == ']') {
        *host = g_strndup(address + 1, colon - address - 2);
        *port = g_strdup(colon + 1);
    } else {
        *host = g_strndup(address, colon - address);
        *port = g_strdup(colon + 1);
        if ((*host)[0] == '\0' || strpbrk(*host, ":[]") != NULL) {
            set_usage_error(error, address, "the host before the port is not clear");
            return FALSE;
        }
    }
    if (!g_ascii_string_to_unsigned(*port, 10, 0, 65535, &number, NULL)) {
        set_usage_error(error, address, "the port must be a number from 0 to 65535");
        return FALSE;
    }
    return TRUE;
}

static const char *get_remedy(int failure)
{
    switch (failure) {
    case EADDRINUSE:
        return "; stop the program that uses it or choose another port";
    case EADDRNOTAVAIL:
        return "; choose an address of this host";
    case EACCES:
        return "; choose a port above 1023";
    default:
        return "";
    }
}

static int bind_inet(const char *address, GError **error)
{
    struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    g_autofree char *host = NULL;
    g_autofree char *port = NULL;
    int fd = -1;
    int status;

    if (!split_address(address, &host, &port, error)) {
        return -1;
    }
    status = getaddrinfo(host, port, &hints, &found);
    if (status != 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "cannot listen on '%s': host '%s': %s; give an address of this host", address,
                    host, gai_strerror(status));
        return -1;
    }
    for (struct addrinfo *info = found; info != NULL && fd < 0; info = info->ai_next) {
        fd = bind_and_listen(info->ai_family, info->ai_addr, info->ai_addrlen);
    }
    if (fd < 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED, "cannot listen on %s: %s%s", address,
                    g_strerror(errno), get_remedy(errno));
    }
    freeaddrinfo(found);
    return fd;
}

char *sc_address_format(const struct sockaddr *name, socklen_t length)
{
    char host[INET6_ADDRSTRLEN + 16]; /* an address of a link has the link's name behind it */
    char port[sizeof "65535"];

    if (length >= sizeof name->sa_family && name->sa_family == AF_UNIX) {
        return g_strdup("unix");
    }
    if (getnameinfo(name, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return g_strdup("unknown");
    }
    return g_strdup_printf(name->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

char *sc_address_format_host(const struct sockaddr *name, socklen_t length)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct sockaddr_in inet;
    struct sockaddr_in6 inet6;

    if (length >= sizeof inet && name->sa_family == AF_INET) {
        memcpy(&inet, name, sizeof inet);
        inet_ntop(AF_INET, &inet.sin_addr, text, sizeof text);
        return g_strdup(text);
    }
    if (length >= sizeof inet6 && name->sa_family == AF_INET6) {
        memcpy(&inet6, name, sizeof inet6);
        if (IN6_IS_ADDR_V4MAPPED(&inet6.sin6_addr)) {
            inet_ntop(AF_INET, inet6.sin6_addr.s6_addr + 12, text, sizeof text);
            return g_strdup(text);
        }
        memset(inet6.sin6_addr.s6_addr + 8, 0, 8);
        inet_ntop(AF_INET6, &inet6.sin6_addr, text, sizeof text);
        return g_strconcat(text, "/64", NULL);
    }
    return sc_address_format(name, length);
}

int sc_address_listen(const char *address, char **bound, char **path, GError **error)
{
    struct sockaddr_storage name = { 0 };
    socklen_t length = sizeof name;
    int fd;

    *bound = *path = NULL;
    if (g_str_has_prefix(address, "unix:")) {
        const char *file = address + strlen("unix:");

        fd = sc_unix_socket_listen(file, error);
        if (fd >= 0) {
            *path = g_strdup(file);
            *bound = g_strdup(address);
        }
        return fd;
    }
    fd = bind_inet(address, error);
    if (fd >= 0) {
        getsockname(fd, (struct sockaddr *)&name, &length);
        *bound = sc_address_format((struct sockaddr *)&name, length);
    }
    return fd;
}
