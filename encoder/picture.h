/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A raw picture in memory, laid out as GStreamer expects it without a GstVideoMeta.
 *
 * Lifetime: reference counted; a pipeline that reads the picture holds a reference, so memory that
 *           a hanging encoder still looks at is never freed or drawn into.
 * Thread:   any for ref/unref. Whoever writes makes sure that nobody else holds a reference, or
 *           knows them to be idle.
 */
#pragma once

#include <gst/video/video.h>

G_BEGIN_DECLS

typedef struct {
    gatomicrefcount ref_count;
    GstVideoInfo info;
    guint8 *data; /* info.size bytes; planes and strides as in @info */
} ScPicture;

/* Fails (SC_ERROR_FAILED) if there is no memory. What it shows is undefined. */
ScPicture *sc_picture_new(const GstVideoInfo *info, GError **error);

ScPicture *sc_picture_ref(ScPicture *picture);
void sc_picture_unref(ScPicture *picture); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScPicture, sc_picture_unref)

/* Somebody besides the caller holds a reference. */
gboolean sc_picture_is_shared(ScPicture *picture);

G_END_DECLS
