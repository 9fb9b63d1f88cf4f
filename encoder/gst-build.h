/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Puts GStreamer elements together: appsrc ! FRAGMENT ! appsink.
 *
 * Thread: any; nothing runs yet.
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct {
    GstElement *pipeline;
    GstElement *source, *sink; /* appsrc, appsink; references of our own */
} ScSkeleton;

/*
 * @fragment is in gst-launch's notation, with one open end on each side. Fails with
 * SC_ERROR_INVALID, with GStreamer's reason, if it cannot be built or does not yield @output_caps;
 * SC_ERROR_UNSUPPORTED if GStreamer's base elements are missing.
 */
gboolean sc_skeleton_build(ScSkeleton *skeleton, const char *fragment, const char *output_caps,
                           GError **error);

/* The pipeline must be in state NULL. */
void sc_skeleton_clear(ScSkeleton *skeleton);

G_END_DECLS
