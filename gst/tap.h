/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tap: the feed of an element (gst/feed.h) as the element's other threads reach it.
 *
 * Thread: each function says which. Messages are posted from the owner thread.
 */
#pragma once

#include "gst/feed.h"

G_BEGIN_DECLS

typedef struct ScTap ScTap;

/* State changes: starts the source. @element, which posts what happens, must outlive the tap.
 * @reconnect: that the guest is not there (any more) is no failure. */
ScTap *sc_tap_new(GstElement *element, const ScFeedConfig *config, gboolean reconnect,
                  GError **error);

/* State changes, when no other thread uses the tap any more. NULL is ignored. */
void sc_tap_free(ScTap *tap);

/* State changes: see sc_feed_set_active(). */
void sc_tap_set_active(ScTap *tap, gboolean active);

/* Any. While flushing, sc_tap_wait() returns at once. */
void sc_tap_set_flushing(ScTap *tap, gboolean flushing);

/* Any, without waiting. */
void sc_tap_send_navigation(ScTap *tap, GstEvent *event);
void sc_tap_get_counts(ScTap *tap, ScFeedCounts *counts);

/* Streaming. GST_FLOW_OK: there may be a picture. GST_FLOW_ERROR: the source failed, @error says
 * why. */
GstFlowReturn sc_tap_wait(ScTap *tap, GError **error);

/* Streaming: see sc_feed_peek(). */
gboolean sc_tap_peek(ScTap *tap, ScTarget *target, gboolean *is_slow);

/* Streaming: see sc_feed_take(). NULL without an error: what there is now is no longer like
 * @target, or nothing. */
GstBuffer *sc_tap_take(ScTap *tap, const ScTarget *target, gboolean zero_copy, gint64 *time,
                       GError **error);

G_END_DECLS
