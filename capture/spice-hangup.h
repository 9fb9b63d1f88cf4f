/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gets a display channel out of an endless loop, for capture/source-spice.c only.
 *
 * A GL scanout is a message and then one byte that carries the descriptor. If the VMM ends between
 * the two, spice-gtk (0.42) waits for that byte for ever, and busily: it takes the end of the
 * stream for "try again" (spice_channel_unix_read_fd() looks at an old errno). Its main loop source
 * is always ready then and has a higher priority than the idle sources that would tell us the end
 * of any channel.
 *
 * Thread: the owner thread.
 */
#pragma once

#include <spice-client.h>

G_BEGIN_DECLS

typedef struct ScSpiceHangup ScSpiceHangup;

/* Calls @func when the peer of @fd, the socket that @channel was opened with, has hung up and
 * spice-gtk has had the time to notice by itself. Takes its own reference and descriptor. */
ScSpiceHangup *sc_spice_hangup_new(SpiceChannel *channel, int fd, void (*func)(gpointer data),
                                   gpointer data);

/* After the channel was told to disconnect: sees to it that it does. NULL is ignored. */
void sc_spice_hangup_free(ScSpiceHangup *hangup);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScSpiceHangup, sc_spice_hangup_free)

G_END_DECLS
