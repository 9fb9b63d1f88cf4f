/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A source whose pictures are pushed: GStreamer's buffers, for a head to encode.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/source.h"
#include <gst/video/video.h>

G_BEGIN_DECLS

ScSource *sc_picture_source_new(const ScSourceListener *listener, gpointer data);

/* The formats sc_picture_source_push() takes, in system memory; the caller's. */
GstCaps *sc_picture_source_get_caps(void);

/* Shows @buffer, of which it keeps a reference until the next one. Fails if it cannot be read. */
gboolean sc_picture_source_push(ScSource *source, GstBuffer *buffer, const GstVideoInfo *info,
                                GError **error);

G_END_DECLS
