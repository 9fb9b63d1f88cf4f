/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libspice-server's event loop on top of the GLib main context: timers, watches, channel events.
 *
 * Thread: libspice-server calls it from the thread that runs the default main context.
 */
#pragma once

#include <spice.h>

/*
 * Fills @core. @channel_event is told of every channel that connects, is initialised or goes away
 * (SPICE_CHANNEL_EVENT_* of <spice-core.h>); the interface carries no pointer of ours, so whose
 * channel it is must be found by the peer address or the order of calls.
 */
void sc_spice_core_init(SpiceCoreInterface *core,
                        void (*channel_event)(int event, SpiceChannelEventInfo *info));
