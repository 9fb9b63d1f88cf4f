/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A feed: a source's pictures as GStreamer buffers. Keeps the newest one until somebody takes it,
 * and the guest's flush with it.
 *
 * Fence:   a buffer that refers to the guest's memory keeps the frame until the buffer's memory is
 *          released by whoever has it; then the flush completes. One that is a copy does not. A
 *          frame that nobody takes is copied when its deadline comes; a buffer that is not back by
 *          then leaves the guest free to draw into it (that flush is expired), and for a while
 *          sc_feed_peek() advises to copy.
 * Thread:  the owner thread, where the listener is called, too. Buffers end on any.
 */
#pragma once

#include "capture/source.h"
#include "encoder/target.h"
#include <gst/gst.h>

G_BEGIN_DECLS

/* In gst_video_region_of_interest metas: a rectangle that has changed since the buffer before. */
#define SC_FEED_DAMAGE "damage"

typedef struct ScFeed ScFeed;

typedef struct {
    const char *location;  /* see sc_source_new() */
    gint64 fence_deadline; /* microseconds a guest may be held */
} ScFeedConfig;

/* All mandatory. */
typedef struct {
    /* There is a picture to be taken. Once for each sc_feed_take() that found none. */
    void (*ready)(gpointer data);
    void (*state)(ScSourceState state, const char *reason, gpointer data);
    /* What is shown is of this kind from now on; NULL: nothing is. */
    void (*target)(const ScTarget *target, gpointer data);
} ScFeedListener;

/* Copies @config and @listener, and starts the source. */
ScFeed *sc_feed_new(const ScFeedConfig *config, const ScFeedListener *listener, gpointer data,
                    GError **error);

/* Releases the guest; buffers that are still about keep their memory. NULL is ignored. */
void sc_feed_free(ScFeed *feed);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScFeed, sc_feed_free)

/* FALSE, as at first: nobody takes pictures, so the guest is not held for it. When it becomes TRUE
 * what is shown is a new picture. */
void sc_feed_set_active(ScFeed *feed, gboolean active);

/* What the next buffer will show, and whether it should be a copy because buffers come back too
 * late. FALSE if there is no picture. */
gboolean sc_feed_peek(ScFeed *feed, ScTarget *target, gboolean *is_slow);

/*
 * The picture of sc_feed_peek() as a buffer without time stamps; @time says when the source had it
 * (monotonic microseconds). @zero_copy: the guest's memory, a dmabuf not bottom up. Otherwise a
 * copy as sc_copy_get_info() has it: its size may be one more than the target's in either
 * direction. A GstVideoMeta describes the part to be seen.
 */
GstBuffer *sc_feed_take(ScFeed *feed, gboolean zero_copy, gint64 *time, GError **error);

/* Input to the guest: a navigation event's structure, see gst/navigation.h. */
void sc_feed_send_navigation(ScFeed *feed, const GstStructure *navigation);

typedef struct {
    guint64 frames;  /* that came from the source */
    guint64 merged;  /* of those, replaced by a newer one before they were taken */
    guint64 copied;  /* buffers that are copies */
    guint64 shared;  /* buffers that are the guest's memory */
    guint64 expired; /* of those, how many were not back at their deadline */
    guint64 copied_pixels;
} ScFeedCounts;

void sc_feed_get_counts(const ScFeed *feed, ScFeedCounts *counts);

G_END_DECLS
