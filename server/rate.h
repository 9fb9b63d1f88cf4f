/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which bit rate a stream should have, given how its viewers' networks do. A state machine without
 * clock and I/O: time and observations in, decisions out.
 *
 * Packets that take longer than pictures come, or pictures for which nobody has room, mean that a
 * queue grows. Then the rate steps down to what that viewer's network was seen to carry, before the
 * queue is full and packets are lost. When all is calm the rate goes up again: fast up to where it
 * went wrong last, gently from there on, the gentler the more often that failed.
 *
 *  - The slowest healthy viewer decides.
 *  - A viewer that takes nothing has no say, nor has one whose network carries far less than most
 *    others'.
 *  - What is not sent proves nothing: without packets, or with packets much smaller than they may
 *    be, the rate does not rise.
 *
 * Thread: any, one at a time.
 * Units:  microseconds, kbit/s, bytes.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Below this a desktop is illegible; fewer pictures of more bits are better. */
#define SC_RATE_FLOOR 250

/* A viewer that takes nothing for so long has stopped. A packet that took longer says nothing about
 * the network, only that it stood still. */
#define SC_RATE_STALL G_USEC_PER_SEC

typedef struct ScRate ScRate;

/* A viewer. Counts are of all time; a packet is delivered when it is in the socket and the next one
 * may go. */
typedef struct {
    guint64 id;            /* never used again for another viewer */
    guint64 packets;       /* delivered */
    guint64 bytes;         /* of those */
    gint64 service;        /* added up: how long each was the next to be delivered */
    gint64 delay;          /* added up: how long ago each had been sent when it was delivered; of
                            * one packet at most SC_RATE_STALL counts, here and above */
    guint waiting;         /* sent, neither delivered nor lost */
    gboolean is_far_below; /* out: it can take far less than most others; to be served by losing
                            * packets */
} ScRateViewer;

typedef struct {
    gint64 now;
    gsize size;               /* of the packet that was just sent */
    gboolean is_key;          /* which says little about the size of others */
    guint64 offered;          /* pictures of the source, also those not encoded; of all time */
    gboolean may_have_paused; /* the source, since the last packet, because nobody had room */
    ScRateViewer *viewers;    /* those of the stream */
    guint n_viewers;
} ScRateInput;

/* @ceiling: the first rate, and the highest. The lowest is SC_RATE_FLOOR, or @ceiling if that is
 * lower. @max_fps: pictures a second that the encoder reckons with, 1 or more. */
ScRate *sc_rate_new(guint ceiling, guint max_fps);

void sc_rate_free(ScRate *rate); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScRate, sc_rate_free)

/* After each packet. Returns the rate for the next one. */
guint sc_rate_update(ScRate *rate, const ScRateInput *input);

G_END_DECLS
