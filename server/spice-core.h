/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libspice-server's event loop on top of the GLib main context: timers, watches, channel events.
 *
 * Thread: the owner thread, from which libspice-server calls it; its main context is the thread
 * default.
 */
#pragma once

#include <glib.h>
#include <spice.h>

G_BEGIN_DECLS

/*
 * Fills @core, which any number of servers may share. @channel_event is told of every channel that
 * connects, is initialised or goes away (SPICE_CHANNEL_EVENT_* of <spice-core.h>). It is not told
 * of which server, but a connection keeps one and the same @info from CONNECTED, which comes from
 * inside spice_server_add_client(), to DISCONNECTED.
 */
void sc_spice_core_init(SpiceCoreInterface *core,
                        void (*channel_event)(int event, SpiceChannelEventInfo *info));

/*
 * Makes libspice-server look at @fd now, as if it could be read; nothing if it does not watch it.
 * A connection still in its handshake is forgotten by spice_server_destroy() (0.15), its watch then
 * runs into freed memory: shut it down and let libspice-server see that first.
 */
void sc_spice_core_poke(int fd);

G_END_DECLS
