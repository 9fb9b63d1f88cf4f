/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gst/picture-source.h"

#include "capture/error.h"
#include "capture/source-impl.h"

#include <drm_fourcc.h>

/* GStreamer names bytes in memory, DRM words. */
static const struct {
    GstVideoFormat format;
    guint32 fourcc;
} formats[] = {
    { GST_VIDEO_FORMAT_BGRx, DRM_FORMAT_XRGB8888 }, { GST_VIDEO_FORMAT_BGRA, DRM_FORMAT_ARGB8888 },
    { GST_VIDEO_FORMAT_RGBx, DRM_FORMAT_XBGR8888 }, { GST_VIDEO_FORMAT_RGBA, DRM_FORMAT_ABGR8888 },
    { GST_VIDEO_FORMAT_xBGR, DRM_FORMAT_RGBX8888 }, { GST_VIDEO_FORMAT_ABGR, DRM_FORMAT_RGBA8888 },
    { GST_VIDEO_FORMAT_xRGB, DRM_FORMAT_BGRX8888 }, { GST_VIDEO_FORMAT_ARGB, DRM_FORMAT_BGRA8888 },
    { GST_VIDEO_FORMAT_BGR, DRM_FORMAT_RGB888 },    { GST_VIDEO_FORMAT_RGB, DRM_FORMAT_BGR888 },
    { GST_VIDEO_FORMAT_RGB16, DRM_FORMAT_RGB565 },  { GST_VIDEO_FORMAT_BGR16, DRM_FORMAT_BGR565 },
};

typedef struct {
    ScSource base;
    ScScanout *scanout; /* NULL, or of: */
    GstVideoFrame frame;
} PictureSource;

static void forget(PictureSource *self)
{
    if (self->scanout != NULL) {
        sc_scanout_detach_pixels(self->scanout);
        g_clear_pointer(&self->scanout, sc_scanout_unref);
        gst_video_frame_unmap(&self->frame);
    }
}

static gboolean picture_start(ScSource *source, GError **error)
{
    sc_source_emit_state(source, SC_SOURCE_CONNECTED, NULL);
    sc_source_emit_pointer_mode(source, SC_POINTER_ABSOLUTE);
    return TRUE;
}

static void picture_free(ScSource *source)
{
    forget((PictureSource *)source);
    g_free(source);
}

/* Its viewers' input goes elsewhere. */
static const ScSourceImpl picture_impl = {
    .scheme = "picture",
    .start = picture_start,
    .free = picture_free,
};

ScSource *sc_picture_source_new(const ScSourceListener *listener, gpointer data)
{
    PictureSource *self = g_new0(PictureSource, 1);

    sc_source_init(&self->base, &picture_impl, listener, data);
    return &self->base;
}

GstCaps *sc_picture_source_get_caps(void)
{
    GstVideoFormat names[G_N_ELEMENTS(formats)];

    for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
        names[i] = formats[i].format;
    }
    return gst_video_make_raw_caps(names, G_N_ELEMENTS(names));
}

static guint32 get_fourcc(GstVideoFormat format)
{
    for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (formats[i].format == format) {
            return formats[i].fourcc;
        }
    }
    return 0;
}

static ScScanout *new_scanout(const GstVideoFrame *frame, GError **error)
{
    gsize stride = (gsize)GST_VIDEO_FRAME_PLANE_STRIDE(frame, 0);
    gsize row = (gsize)GST_VIDEO_FRAME_WIDTH(frame) * (gsize)GST_VIDEO_FRAME_COMP_PSTRIDE(frame, 0);

    if (GST_VIDEO_FRAME_PLANE_STRIDE(frame, 0) <= 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "a stride of %d bytes",
                    GST_VIDEO_FRAME_PLANE_STRIDE(frame, 0));
        return NULL;
    }
    /* gst_video_frame_map() has made sure that they are there. */
    return sc_scanout_new_pixels(GST_VIDEO_FRAME_PLANE_DATA(frame, 0),
                                 stride * (gsize)(GST_VIDEO_FRAME_HEIGHT(frame) - 1) + row,
                                 (guint32)GST_VIDEO_FRAME_WIDTH(frame),
                                 (guint32)GST_VIDEO_FRAME_HEIGHT(frame), (guint32)stride,
                                 get_fourcc(GST_VIDEO_FRAME_FORMAT(frame)), FALSE, error);
}

gboolean sc_picture_source_push(ScSource *source, GstBuffer *buffer, const GstVideoInfo *info,
                                GError **error)
{
    PictureSource *self = (PictureSource *)source;
    g_autoptr(ScScanout) scanout = NULL;
    g_autoptr(ScFrame) picture = NULL;
    GstVideoFrame frame;

    if (!gst_video_frame_map(&frame, info, buffer, GST_MAP_READ)) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED, "its memory cannot be mapped");
        return FALSE;
    }
    scanout = new_scanout(&frame, error);
    if (scanout == NULL) {
        gst_video_frame_unmap(&frame);
        return FALSE;
    }
    sc_source_emit_scanout(source, scanout);
    forget(self); /* after whoever looked at it looks at the new one */
    self->scanout = sc_scanout_ref(scanout);
    self->frame = frame;
    picture = sc_frame_new(scanout, NULL, NULL);
    sc_source_emit_frame(source, picture);
    return TRUE;
}
