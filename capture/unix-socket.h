/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listening on the path of a unix socket.
 *
 * Thread: any.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Whether @path can be one: not empty, not too long. Fails with SC_ERROR_INVALID. */
gboolean sc_unix_socket_check_path(const char *path, GError **error);

/* A listening, non-blocking socket, or -1. The file of a socket that nobody listens on any more is
 * replaced; whoever closes the descriptor removes the file. */
int sc_unix_socket_listen(const char *path, GError **error);

G_END_DECLS
