/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What it takes to get low latency out of particular versions of libspice-server and spice-gtk.
 * Everything of that kind lives here and nowhere else.
 *
 *  - The client's clock is set 400 ms back by libspice-server < 0.16 (MM_TIME_DELTA in
 *    reds-private.h), so that its appsink path shows every frame 400 ms late. Data messages are
 *    therefore stamped early. Which libspice-server runs is found out at run time: its ABI is the
 *    same, only the newer one has spice_qxl_gl_scanout2().
 *  - spice-gtk's h264parse hands an access unit to the decoder only when the next one begins
 *    (34 ms at 30 fps). So every message ends with the beginning of the next access unit: its
 *    delimiter, and a minimal SEI that shows the end of that. The parser gives an access unit the
 *    time of the message in which it begins, and spice-gtk finds a decoded picture by that time. So
 *    no two may begin in one message, and before the first picture of a stream goes a message that
 *    is nothing but its delimiter.
 *
 * The stamp is changed by a clock_gettime() that libspice-server calls in the place of the C
 * library's (capture/import.h).
 *
 * Thread: the owner thread.
 */
#pragma once

#include "encoder/packet.h"

G_BEGIN_DECLS

/* What to send before the first H.264 access unit of a stream, as a message of its own, and what
 * at the end of each one's message. Constant, stay ours. */
GBytes *sc_spice_compat_get_h264_intro(void);
GBytes *sc_spice_compat_get_h264_tail(void);

/* Bracket the moment in which libspice-server stamps a data message: between its read of the
 * message header and its next read. An end without a begin is allowed. @is_first: the client shows
 * nothing yet of what has this codec and size. */
void sc_spice_compat_begin_stamp(ScCodec codec, gboolean is_first);
void sc_spice_compat_end_stamp(void);

G_END_DECLS
