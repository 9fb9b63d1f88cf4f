/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes a SpiceServer allow its client absolute pointer positions.
 *
 * libspice-server decides that by the graphics devices it has had, and a stream device does not
 * count. So it is shown a QXL device for a moment, whose surface says that positions are fine.
 *
 * Thread: the owner thread.
 */
#pragma once

#include <glib.h>
#include <spice.h>

G_BEGIN_DECLS

/* Once, after spice_server_init() and before anything else is added to @server. From then on
 * spice_server_set_agent_mouse() switches between absolute and relative, provided that there is
 * an agent device. */
gboolean sc_client_mouse_allow(SpiceServer *server, GError **error);

G_END_DECLS
