/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/pattern.h"
#include "tests/client/probe.h"

#include <gst/app/gstappsink.h>
#include <gst/video/gstvideodecoder.h>
#include <gst/video/video.h>
#include <stdio.h>

/* A decoded picture on its way from GStreamer's thread to ours. */
typedef struct {
    Probe *probe;
    GstSample *sample;
    gint64 time;
} Arrival;

static void report_frame(Probe *probe, const char *path, guint32 number, int width, int height,
                         gint64 time)
{
    char suffix[48] = "";

    if (probe->latency) {
        g_snprintf(suffix, sizeof suffix, " time=%" G_GINT64_FORMAT, time);
    }
    probe_print("frame number=%u count=%d width=%d height=%d path=%s%s", number,
                probe->n_frames + 1, width, height, path, suffix);
    probe_count_frame(probe);
}

static void on_primary_create(SpiceDisplayChannel *display, int format, int width, int height,
                              int stride, int shmid, gpointer pixels, Probe *probe)
{
    probe->pixels = pixels;
    probe->width = width;
    probe->height = height;
    probe->stride = stride;
    probe_print("display width=%d height=%d", width, height);
}

static void on_primary_destroy(SpiceDisplayChannel *display, Probe *probe)
{
    probe->pixels = NULL;
    probe_print("display-destroy");
}

static void on_invalidate(SpiceDisplayChannel *display, int x, int y, int width, int height,
                          Probe *probe)
{
    gint64 now = g_get_monotonic_time();

    if (probe->pixels != NULL) {
        guint32 number = pattern_read(probe->pixels, probe->stride, probe->width, probe->height);

        report_frame(probe, "canvas", number, probe->width, probe->height, now);
    }
}

static gboolean map_sample(GstSample *sample, GstVideoFrame *frame)
{
    GstVideoInfo info;

    return gst_video_info_from_caps(&info, gst_sample_get_caps(sample)) &&
           gst_video_frame_map(frame, &info, gst_sample_get_buffer(sample), GST_MAP_READ);
}

static gboolean on_arrival(gpointer data)
{
    g_autofree Arrival *arrival = data;
    Probe *probe = arrival->probe;
    GstVideoFrame frame;

    if (map_sample(arrival->sample, &frame)) {
        int width = GST_VIDEO_FRAME_WIDTH(&frame), height = GST_VIDEO_FRAME_HEIGHT(&frame);
        guint32 number = pattern_read(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0),
                                      GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0), width, height);

        gst_video_frame_unmap(&frame);
        report_frame(probe, "overlay", number, width, height, arrival->time);
    }
    g_clear_pointer(&probe->sample, gst_sample_unref);
    probe->sample = arrival->sample;
    return G_SOURCE_REMOVE;
}

/* GStreamer's thread. */
static GstFlowReturn on_sample(GstAppSink *sink, gpointer data)
{
    Arrival *arrival = g_new(Arrival, 1);

    arrival->probe = data;
    arrival->time = g_get_monotonic_time();
    arrival->sample = gst_app_sink_pull_sample(sink);
    g_idle_add_full(G_PRIORITY_DEFAULT, on_arrival, arrival, NULL);
    return GST_FLOW_OK;
}

/* GStreamer's thread. */
static GstPadProbeReturn on_decoded(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    gint64 now = g_get_monotonic_time();
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(pad);
    GstVideoInfo format;
    GstVideoFrame frame;

    if (caps != NULL && gst_video_info_from_caps(&format, caps) && GST_VIDEO_INFO_IS_YUV(&format) &&
        gst_video_frame_map(&frame, &format, GST_PAD_PROBE_INFO_BUFFER(info), GST_MAP_READ)) {
        guint32 number = pattern_read_luma(
            GST_VIDEO_FRAME_PLANE_DATA(&frame, 0), GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0),
            GST_VIDEO_FRAME_WIDTH(&frame), GST_VIDEO_FRAME_HEIGHT(&frame));

        gst_video_frame_unmap(&frame);
        probe_print("decoded number=%u time=%" G_GINT64_FORMAT, number, now);
    }
    return GST_PAD_PROBE_OK;
}

static void on_element(GstBin *pipeline, GstBin *bin, GstElement *element, gpointer data)
{
    g_autoptr(GstPad) pad = NULL;

    if (GST_IS_VIDEO_DECODER(element)) {
        pad = gst_element_get_static_pad(element, "src");
        gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_decoded, NULL, NULL);
    }
}

static gboolean on_overlay(SpiceDisplayChannel *display, GstPipeline *pipeline, Probe *probe)
{
    GstAppSinkCallbacks callbacks = { .new_sample = on_sample };
    g_autoptr(GstCaps) caps = gst_caps_from_string("video/x-raw,format=BGRx");
    GstElement *sink;

    probe_print("stream");
    if (probe->latency && pipeline != NULL) {
        g_signal_connect(pipeline, "deep-element-added", G_CALLBACK(on_element), NULL);
    }
    if (!probe->overlay || pipeline == NULL) {
        return FALSE;
    }
    sink = gst_element_factory_make("appsink", NULL);
    /* Frames as they are decoded. A sink with a window waits until they are due, which h264parse
     * makes later by one frame of the rate that the SPS tells (its VUI timing). */
    g_object_set(sink, "caps", caps, "sync", FALSE, NULL);
    gst_app_sink_set_callbacks(GST_APP_SINK(sink), &callbacks, probe, NULL);
    g_object_set(pipeline, "video-sink", sink, NULL);
    return TRUE;
}

void probe_watch_display(Probe *probe, SpiceDisplayChannel *display)
{
    g_signal_connect(display, "display-primary-create", G_CALLBACK(on_primary_create), probe);
    g_signal_connect(display, "display-primary-destroy", G_CALLBACK(on_primary_destroy), probe);
    g_signal_connect(display, "display-invalidate", G_CALLBACK(on_invalidate), probe);
    g_signal_connect(display, "gst-video-overlay", G_CALLBACK(on_overlay), probe);
}

void probe_forget_display(Probe *probe)
{
    probe->pixels = NULL;
    g_clear_pointer(&probe->sample, gst_sample_unref);
}

static gboolean write_ppm(const char *path, const guint8 *pixels, int stride, int width, int height)
{
    FILE *file = fopen(path, "wb");
    gboolean written;

    if (file == NULL) {
        return FALSE;
    }
    fprintf(file, "P6\n%d %d\n255\n", width, height);
    for (int y = 0; y < height; y++) {
        const guint32 *row = (const guint32 *)(pixels + (gsize)y * stride);

        for (int x = 0; x < width; x++) {
            putc(row[x] >> 16 & 0xff, file);
            putc(row[x] >> 8 & 0xff, file);
            putc(row[x] & 0xff, file);
        }
    }
    written = !ferror(file);
    return fclose(file) == 0 && written;
}

gboolean probe_save(Probe *probe, const char *path)
{
    GstVideoFrame frame;
    gboolean saved;

    /* An overlay covers the canvas as soon as it shows something. */
    if (probe->sample == NULL) {
        return probe->pixels != NULL && write_ppm(path, (const guint8 *)probe->pixels,
                                                  probe->stride, probe->width, probe->height);
    }
    if (!map_sample(probe->sample, &frame)) {
        return FALSE;
    }
    saved = write_ppm(path, GST_VIDEO_FRAME_PLANE_DATA(&frame, 0),
                      GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0), GST_VIDEO_FRAME_WIDTH(&frame),
                      GST_VIDEO_FRAME_HEIGHT(&frame));
    gst_video_frame_unmap(&frame);
    return saved;
}

void probe_remove_h264(void)
{
    /* spice-glib looks for decoders in the registry (gstvideo_has_codec in channel-display-gst.c).
     */
    GList *decoders =
        gst_element_factory_list_get_elements(GST_ELEMENT_FACTORY_TYPE_DECODER, GST_RANK_NONE);
    g_autoptr(GstCaps) caps = gst_caps_from_string("video/x-h264");
    GList *h264 = gst_element_factory_list_filter(decoders, caps, GST_PAD_SINK, FALSE);

    for (GList *item = h264; item != NULL; item = item->next) {
        gst_registry_remove_feature(gst_registry_get(), item->data);
    }
    gst_plugin_feature_list_free(h264);
    gst_plugin_feature_list_free(decoders);
}
