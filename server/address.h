/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Socket addresses as people write them.
 *
 * Thread: any.
 */
#pragma once

#include <glib.h>
#include <sys/socket.h>

G_BEGIN_DECLS

/*
 * Binds a stream socket to @address (forms: see server/listener.h), listens, and returns its
 * descriptor, which is the caller's (non-blocking, close-on-exec); -1 and SC_ERROR_INVALID for an
 * address that cannot be understood, SC_ERROR_FAILED for one that cannot be used.
 * @bound: the address in use, with the port the system chose. @path: the file of a unix socket,
 * NULL for others. Both are the caller's and are NULL on failure.
 */
int sc_address_listen(const char *address, char **bound, char **path, GError **error);

/* "192.0.2.1:4711", "[2001:db8::1]:4711", "unix" or "unknown". The caller's. */
char *sc_address_format(const struct sockaddr *name, socklen_t length);

/* Whom the address belongs to, as far as it can be told: "192.0.2.1", "2001:db8:1:2::/64" (a
 * network of IPv6 is one party's), "unix" or "unknown". The caller's. */
char *sc_address_format_host(const struct sockaddr *name, socklen_t length);

G_END_DECLS
