/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an H.264 stream says of its colours, where the encoder cannot be told to say it: GStreamer's
 * VA encoders, and most VA drivers, leave it to the decoder to guess.
 *
 * Thread: any; pure functions.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * @packet is an access unit, byte-stream (ITU-T H.264, annex B). Returns it with BT.709, limited
 * range, in the video usability information (annex E) of its sequence parameter sets. What has
 * none, or one that cannot be understood, is returned as it is. The caller unrefs the result.
 */
GBytes *sc_sps_set_bt709(GBytes *packet);

G_END_DECLS
