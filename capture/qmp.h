/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one thing we ask of QEMU's monitor (QMP, docs/interop/qmp-spec in QEMU): to take one end of
 * a socket as a client of one of its servers. The connection to the monitor, which has room for one
 * client, lasts no longer than that.
 *
 * Thread: the owner thread.
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* @path: of the monitor's socket. @protocol: as for the command add_client. @fd is taken. The
 * caller cancels what takes too long. */
void sc_qmp_add_client(const char *path, const char *protocol, int fd, GCancellable *cancellable,
                       GAsyncReadyCallback callback, gpointer data);

/* The error is G_IO_ERROR_CANCELLED when it was cancelled, else the message names the socket and
 * the reason. */
gboolean sc_qmp_add_client_finish(GAsyncResult *result, GError **error);

G_END_DECLS
