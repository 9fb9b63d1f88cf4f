/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server: one head, a listener, and the viewers; passes packets and pointers one way and input
 * the other.
 *
 * Thread: the owner thread, running the default main context.
 */
#pragma once

#include "server/options.h"

G_BEGIN_DECLS

typedef struct ScServer ScServer;

/* The source gave up and will not come back. */
typedef void (*ScServerLostFunc)(const char *reason, gpointer data);

/* Builds everything, listens and connects to the source. @options must outlive the server.
 * SC_ERROR_INVALID: an option is wrong; anything else: it could not be done. */
ScServer *sc_server_new(const ScOptions *options, ScServerLostFunc lost, gpointer data,
                        GError **error);

/* Disconnects the viewers and releases the guest. NULL is ignored. */
void sc_server_free(ScServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScServer, sc_server_free)

/* "127.0.0.1:5930" or "unix:PATH"; NULL where there is none. Valid as long as @server. */
const char *sc_server_get_address(const ScServer *server);
const char *sc_server_get_tls_address(const ScServer *server);

/* For viewers that come from now on; only where the options had one. */
void sc_server_set_password(ScServer *server, const ScPassword *password);

G_END_DECLS
