/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A stream: the pictures of one head in one codec. Owns the encoder, asks the policy, and sees to
 * it that the newest picture always gets out: the first one when a viewer comes, the last one
 * before the guest goes idle.
 *
 * Thread: the owner thread; the listener is called from the main loop, never from inside a function
 *         of this header.
 * Idle:   without frames and requests it has no timer running, once the picture is as good as the
 * bit rate allows: that takes a second at most. Some seconds after the last viewer has left the
 * encoder lets go of its pipeline; a viewer that comes then starts it again.
 */
#pragma once

#include "capture/frame.h"
#include "encoder/encoder.h"
#include "server/rate.h"

G_BEGIN_DECLS

typedef struct ScStream ScStream;

/* @packet stays the stream's unless it is referenced. */
typedef void (*ScStreamPacketFunc)(ScPacket *packet, gpointer data);

/* Makes the encoder, which costs memory but nothing else until there are viewers. Fails as
 * sc_encoder_new() does. */
ScStream *sc_stream_new(const ScEncoderConfig *config, ScStreamPacketFunc packet, gpointer data,
                        GError **error);

/* Releases whatever guest is held. NULL is ignored. */
void sc_stream_free(ScStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScStream, sc_stream_free)

/* Viewers of this stream, and how many of them have room for a packet. Call on every change: a
 * stream for which nobody has room stops, and takes the current picture when somebody has again. */
void sc_stream_set_viewers(ScStream *stream, guint viewers, guint open_viewers);

/* A viewer cannot go on without a key frame: makes one now, of the current picture. */
void sc_stream_request_key(ScStream *stream);

/* What the head shows from now on. NULL: nothing; the last picture stays. */
void sc_stream_set_scanout(ScStream *stream, ScScanout *scanout);

/* A frame of that scanout. Referenced while it is needed, so hold yours only for the call. */
void sc_stream_offer(ScStream *stream, ScFrame *frame);

/* @packet, which came from this stream, was sent to its viewers, and this is how they do: sets the
 * bit rate from the next picture on, and is_far_below of @viewers. Where the encoder has no bit
 * rate (MJPEG, a custom pipeline) nothing happens. */
void sc_stream_adapt(ScStream *stream, ScPacket *packet, ScRateViewer *viewers, guint n_viewers);

/* kbit/s; 0: the encoder has none. */
guint sc_stream_get_bitrate(const ScStream *stream);

const ScEncoder *sc_stream_get_encoder(const ScStream *stream);

typedef struct {
    guint64 offered;  /* frames */
    guint64 encoded;  /* of those, submitted as they came or after being held */
    guint64 absorbed; /* copied, to be encoded later */
    guint64 skipped;  /* nobody had room */
    guint64 replaced; /* held, until a newer one came */
    guint64 repeated; /* pictures taken from the scanout without a frame: first and last ones, and
                       * those that were encoded again to look better */
} ScStreamCounts;

void sc_stream_get_counts(const ScStream *stream, ScStreamCounts *counts);

G_END_DECLS
