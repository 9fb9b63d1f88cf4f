/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-lab/pipeline.h"

#include "tests/va-lab/lab.h"
#include <gst/allocators/gstdmabuf.h>
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/video/video.h>
#include <string.h>

struct ScLabPipeline {
    ScLabPipelineConfig config;
    GstVideoFormat format;
    GstElement *pipeline;
    GstAppSrc *source;
    GstAppSink *sink;
    GstAllocator *allocator;
    guint n_planes;
    gsize offsets[GST_VIDEO_MAX_PLANES];
    gint pitches[GST_VIDEO_MAX_PLANES];
    gsize size;
};

static GstVideoFormat format_of(const char *fourcc)
{
    static const struct {
        const char *fourcc;
        GstVideoFormat format;
    } formats[] = {
        { "XR24", GST_VIDEO_FORMAT_BGRx }, { "AR24", GST_VIDEO_FORMAT_BGRA },
        { "XB24", GST_VIDEO_FORMAT_RGBx }, { "AB24", GST_VIDEO_FORMAT_RGBA },
        { "NV12", GST_VIDEO_FORMAT_NV12 },
    };
    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (strcmp(formats[i].fourcc, fourcc) == 0)
            return formats[i].format;
    }
    g_error("no format %s", fourcc);
}

static gboolean is_rgb(const ScLabPipeline *self)
{
    return self->format != GST_VIDEO_FORMAT_NV12;
}

static void lay_out(ScLabPipeline *self)
{
    const ScLabPipelineConfig *config = &self->config;
    guint pitch = config->pitch;
    if (pitch == 0)
        pitch = is_rgb(self) ? config->width * 4 : (config->width + 1) / 2 * 2;
    self->n_planes = is_rgb(self) ? 1 : 2;
    self->pitches[0] = self->pitches[1] = pitch;
    self->offsets[0] = config->offset;
    self->offsets[1] = self->offsets[0] + (gsize)pitch * config->height;
    self->size = self->offsets[1] + config->extra;
    if (!is_rgb(self))
        self->size += (gsize)pitch * ((config->height + 1) / 2);
}

/* GStreamer 1.24 replaced the format of dmabufs by DRM's name for it. */
static gboolean has_drm_caps(void)
{
    guint major, minor, micro, nano;
    gst_version(&major, &minor, &micro, &nano);
    return major > 1 || minor >= 24;
}

static char *make_caps(const ScLabPipeline *self)
{
    const ScLabPipelineConfig *config = &self->config;
    const char *name = gst_video_format_to_string(self->format);
    g_autofree char *size =
        g_strdup_printf("width=%u,height=%u,framerate=30/1", config->width, config->height);
    if (config->in_ram)
        return g_strdup_printf("video/x-raw,format=%s,%s", name, size);
    if (!has_drm_caps())
        return g_strdup_printf("video/x-raw(memory:DMABuf),format=%s,%s", name, size);
    return g_strdup_printf("video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=%s,%s",
                           config->fourcc, size);
}

ScLabPipeline *sc_lab_pipeline_new(const ScLabPipelineConfig *config)
{
    ScLabPipeline *self = g_new0(ScLabPipeline, 1);
    self->config = *config;
    self->format = format_of(config->fourcc);
    self->allocator = gst_dmabuf_allocator_new();
    lay_out(self);

    g_autofree char *caps = make_caps(self);
    g_autofree char *description =
        g_strdup_printf("appsrc name=source format=time caps=\"%s\" ! %s ! "
                        "appsink name=sink sync=false",
                        caps, config->middle);
    g_autoptr(GError) error = NULL;
    self->pipeline = gst_parse_launch(description, &error);
    if (error)
        g_error("%s: %s", description, error->message);
    self->source = GST_APP_SRC(sc_lab_pipeline_get_element(self, "source"));
    self->sink = GST_APP_SINK(sc_lab_pipeline_get_element(self, "sink"));
    gst_element_set_state(self->pipeline, GST_STATE_PLAYING);
    return self;
}

void sc_lab_pipeline_free(ScLabPipeline *self)
{
    if (!self)
        return;
    gst_element_set_state(self->pipeline, GST_STATE_NULL);
    gst_object_unref(self->source);
    gst_object_unref(self->sink);
    gst_object_unref(self->pipeline);
    gst_object_unref(self->allocator);
    g_free(self);
}

guint32 sc_lab_picture_color(guint number, guint x, guint y, guint width, guint height)
{
    static const guint32 colors[8] = { 0xffffff, 0xffff00, 0x00ffff, 0x00ff00,
                                       0xff00ff, 0xff0000, 0x0000ff, 0x000000 };
    guint bar = x * 8 / width;
    /* The lower part is shifted by three: neither flip yields the same picture again. */
    return colors[(bar + number + (y * 3 / height == 2 ? 3 : 0)) % 8];
}

static void draw_rgb(const ScLabPipeline *self, guint number, guint8 *data)
{
    const ScLabPipelineConfig *config = &self->config;
    gboolean red_first =
        self->format == GST_VIDEO_FORMAT_RGBx || self->format == GST_VIDEO_FORMAT_RGBA;
    for (guint y = 0; y < config->height; y++) {
        guint8 *row = data + self->offsets[0] + (gsize)y * self->pitches[0];
        for (guint x = 0; x < config->width; x++) {
            guint32 color = sc_lab_picture_color(number, x, y, config->width, config->height);
            row[4 * x + (red_first ? 0 : 2)] = color >> 16;
            row[4 * x + 1] = color >> 8;
            row[4 * x + (red_first ? 2 : 0)] = color;
            row[4 * x + 3] = 0xff;
        }
    }
}

/* No colours: luma and chroma are those bytes of the words. */
static void draw_nv12(const ScLabPipeline *self, guint number, guint8 *data)
{
    const ScLabPipelineConfig *config = &self->config;
    for (guint y = 0; y < config->height; y++) {
        guint8 *luma = data + self->offsets[0] + (gsize)y * self->pitches[0];
        guint8 *chroma = data + self->offsets[1] + (gsize)(y / 2) * self->pitches[1];
        for (guint x = 0; x < config->width; x++) {
            guint32 color = sc_lab_picture_color(number, x, y, config->width, config->height);
            luma[x] = color >> 16;
            chroma[x / 2 * 2] = color >> 8;
            chroma[x / 2 * 2 + 1] = color;
        }
    }
}

static GstMemory *make_memory(ScLabPipeline *self, guint number, guint64 *inode)
{
    ScLabBuffer *buffer = sc_lab_buffer_new(self->size);
    if (is_rgb(self))
        draw_rgb(self, number, buffer->data);
    else
        draw_nv12(self, number, buffer->data);
    *inode = buffer->inode;
    if (self->config.in_ram)
        return gst_memory_new_wrapped(0, buffer->data, buffer->size, 0, buffer->size, buffer,
                                      (GDestroyNotify)sc_lab_buffer_free);
    GstMemory *memory = gst_fd_allocator_alloc(self->allocator, buffer->fd, buffer->size,
                                               GST_FD_MEMORY_FLAG_DONT_CLOSE);
    gst_mini_object_set_qdata(GST_MINI_OBJECT(memory), g_quark_from_static_string("lab-buffer"),
                              buffer, (GDestroyNotify)sc_lab_buffer_free);
    return memory;
}

guint64 sc_lab_pipeline_push(ScLabPipeline *self, guint number)
{
    guint64 inode;
    GstBuffer *buffer = gst_buffer_new();
    gst_buffer_append_memory(buffer, make_memory(self, number, &inode));
    GstVideoFormat format = self->format;
    if (!self->config.in_ram && has_drm_caps())
        format = gst_video_format_from_string("DMA_DRM");
    gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE, format, self->config.width,
                                   self->config.height, self->n_planes, self->offsets,
                                   self->pitches);
    GST_BUFFER_PTS(buffer) = number * GST_SECOND / 30;
    GST_BUFFER_DURATION(buffer) = GST_SECOND / 30;
    gst_app_src_push_buffer(self->source, buffer);
    return inode;
}

void sc_lab_pipeline_finish(ScLabPipeline *self)
{
    gst_app_src_end_of_stream(self->source);
}

GstSample *sc_lab_pipeline_pull(ScLabPipeline *self, GstClockTime timeout)
{
    return gst_app_sink_try_pull_sample(self->sink, timeout);
}

GError *sc_lab_pipeline_get_error(ScLabPipeline *self)
{
    g_autoptr(GstBus) bus = gst_element_get_bus(self->pipeline);
    g_autoptr(GstMessage) message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    GError *error = NULL;
    if (message)
        gst_message_parse_error(message, &error, NULL);
    return error;
}

GstElement *sc_lab_pipeline_get_element(ScLabPipeline *self, const char *name)
{
    return gst_bin_get_by_name(GST_BIN(self->pipeline), name);
}
