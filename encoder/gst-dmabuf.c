/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/gst-dmabuf.h"

#include "capture/error.h"
#include "capture/format.h"

#include <drm_fourcc.h>
#include <gst/allocators/gstdmabuf.h>
#include <gst/video/video.h>

/* GStreamer names bytes in memory, DRM words. */
static const struct {
    guint32 fourcc;
    GstVideoFormat format;
} formats[] = {
    { DRM_FORMAT_XRGB8888, GST_VIDEO_FORMAT_BGRx }, { DRM_FORMAT_ARGB8888, GST_VIDEO_FORMAT_BGRA },
    { DRM_FORMAT_XBGR8888, GST_VIDEO_FORMAT_RGBx }, { DRM_FORMAT_ABGR8888, GST_VIDEO_FORMAT_RGBA },
    { DRM_FORMAT_RGBX8888, GST_VIDEO_FORMAT_xBGR }, { DRM_FORMAT_RGBA8888, GST_VIDEO_FORMAT_ABGR },
    { DRM_FORMAT_BGRX8888, GST_VIDEO_FORMAT_xRGB }, { DRM_FORMAT_BGRA8888, GST_VIDEO_FORMAT_ARGB },
    { DRM_FORMAT_NV12, GST_VIDEO_FORMAT_NV12 },
};

static GstVideoFormat find_format(guint32 fourcc)
{
    for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (formats[i].fourcc == fourcc) {
            return formats[i].format;
        }
    }
    return GST_VIDEO_FORMAT_UNKNOWN;
}

static gboolean has_drm_caps(void)
{
    guint major, minor, micro, nano;

    gst_version(&major, &minor, &micro, &nano);
    return major > 1 || minor >= 24;
}

/* A link that does not tell the modifier: what everybody takes for linear, we do, too. */
static gboolean is_linear(guint64 modifier)
{
    return modifier == DRM_FORMAT_MOD_LINEAR || modifier == DRM_FORMAT_MOD_INVALID;
}

static gboolean check_target(const ScTarget *target, GstVideoFormat format, GError **error)
{
    g_autofree char *name = sc_target_to_string(target);
    guint n_planes;

    if (format == GST_VIDEO_FORMAT_UNKNOWN) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "buffers of %s cannot be described to GStreamer", name);
        return FALSE;
    }
    n_planes = GST_VIDEO_FORMAT_INFO_N_PLANES(gst_video_format_get_info(format));
    if (target->n_planes != n_planes) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "buffers of %s have %u planes, GStreamer knows them with %u", name,
                    target->n_planes, n_planes);
        return FALSE;
    }
    if (!is_linear(target->modifier) && !has_drm_caps()) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "buffers of %s are not linear, and GStreamer knows modifiers from 1.24 on",
                    name);
        return FALSE;
    }
    /* It imports by a kind of descriptor that drivers read the first dmabuf of. */
    if (target->is_split && !has_drm_caps()) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "buffers of %s are in several dmabufs, which GStreamer imports from 1.24 on",
                    name);
        return FALSE;
    }
    return TRUE;
}

GstCaps *sc_gst_dmabuf_get_caps(const ScTarget *target, guint max_fps, GError **error)
{
    GstVideoFormat format = find_format(target->fourcc);
    GstCaps *caps;

    if (!check_target(target, format, error)) {
        return NULL;
    }
    caps = gst_caps_new_simple("video/x-raw", "width", G_TYPE_INT, (int)target->width, "height",
                               G_TYPE_INT, (int)target->height, "framerate", GST_TYPE_FRACTION,
                               (int)max_fps, 1, NULL);
    gst_caps_set_features_simple(caps, gst_caps_features_new(GST_CAPS_FEATURE_MEMORY_DMABUF, NULL));
    if (has_drm_caps()) {
        g_autofree char *name = sc_format_name(target->fourcc);
        g_autofree char *drm =
            is_linear(target->modifier)
                ? g_strdup(name)
                : g_strdup_printf("%s:0x%016" G_GINT64_MODIFIER "x", name, target->modifier);

        gst_caps_set_simple(caps, "format", G_TYPE_STRING, "DMA_DRM", "drm-format", G_TYPE_STRING,
                            drm, NULL);
    } else {
        gst_caps_set_simple(caps, "format", G_TYPE_STRING, gst_video_format_to_string(format),
                            NULL);
    }
    return caps;
}

GstCaps *sc_gst_dmabuf_get_template_caps(void)
{
    GValue formats_value = G_VALUE_INIT;
    GstCaps *caps = gst_caps_new_simple("video/x-raw", "width", GST_TYPE_INT_RANGE, 1, G_MAXINT,
                                        "height", GST_TYPE_INT_RANGE, 1, G_MAXINT, "framerate",
                                        GST_TYPE_FRACTION_RANGE, 0, 1, G_MAXINT, 1, NULL);

    gst_caps_set_features_simple(caps, gst_caps_features_new(GST_CAPS_FEATURE_MEMORY_DMABUF, NULL));
    if (has_drm_caps()) {
        gst_caps_set_simple(caps, "format", G_TYPE_STRING, "DMA_DRM", NULL);
        return caps;
    }
    g_value_init(&formats_value, GST_TYPE_LIST);
    for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
        GValue format = G_VALUE_INIT;

        g_value_init(&format, G_TYPE_STRING);
        g_value_set_static_string(&format, gst_video_format_to_string(formats[i].format));
        gst_value_list_append_and_take_value(&formats_value, &format);
    }
    gst_caps_set_value(caps, "format", &formats_value);
    g_value_unset(&formats_value);
    return caps;
}

static gpointer refuse_map(GstMemory *memory, gsize size, GstMapFlags flags)
{
    return NULL;
}

static gpointer refuse_map_full(GstMemory *memory, GstMapInfo *info, gsize size)
{
    return NULL;
}

/* An allocator for each buffer: it ends when its last memory has ended completely, which is after
 * the drivers' surfaces that hang on that memory were destroyed. */
static GstAllocator *new_allocator(gboolean mappable, GDestroyNotify released, gpointer data)
{
    GstAllocator *allocator = gst_dmabuf_allocator_new();

    if (!mappable) {
        allocator->mem_map = refuse_map;
        allocator->mem_map_full = refuse_map_full;
    }
    g_object_set_data_full(G_OBJECT(allocator), "released", data, released);
    return allocator;
}

/* The bytes of @plane's memory that may be used. */
static gsize get_size(ScDmabuf *dmabuf, guint plane)
{
    const ScDmabufLayout *layout = sc_dmabuf_get_layout(dmabuf);
    guint64 size = sc_dmabuf_get_size(dmabuf, plane);

    return size > 0 ? size
                    : layout->planes[plane].offset +
                          (guint64)layout->planes[plane].stride * layout->height;
}

GstBuffer *sc_gst_dmabuf_wrap(ScDmabuf *dmabuf, gboolean mappable, GDestroyNotify released,
                              gpointer data)
{
    const ScDmabufLayout *layout = sc_dmabuf_get_layout(dmabuf);
    g_autoptr(GstAllocator) allocator = new_allocator(mappable, released, data);
    GstBuffer *buffer = gst_buffer_new();
    GstVideoFormat format = find_format(layout->fourcc);
    gsize offsets[GST_VIDEO_MAX_PLANES] = { 0 }, end = 0;
    gint strides[GST_VIDEO_MAX_PLANES] = { 0 };

    for (guint i = 0; i < layout->n_planes; i++) {
        /* Offsets count through all memories of the buffer. */
        gboolean same = i > 0 && layout->planes[i].fd == layout->planes[i - 1].fd;
        gsize size = get_size(dmabuf, i);

        if (!same) {
            GstMemory *memory = gst_dmabuf_allocator_alloc_with_flags(
                allocator, layout->planes[i].fd, size, GST_FD_MEMORY_FLAG_DONT_CLOSE);

            GST_MINI_OBJECT_FLAG_SET(memory, GST_MEMORY_FLAG_READONLY);
            gst_buffer_append_memory(buffer, memory);
            end += size;
        }
        offsets[i] = end - size + layout->planes[i].offset;
        strides[i] = (gint)layout->planes[i].stride;
    }
    /* Not DMA_DRM, as in the caps: with that GStreamer 1.26 logs something critical when it tries
     * to map what was not imported, before it is refused. */
    gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE, format, layout->width,
                                   layout->height, layout->n_planes, offsets, strides);
    return buffer;
}
