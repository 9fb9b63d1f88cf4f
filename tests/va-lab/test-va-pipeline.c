/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine's own GStreamer va plugin on the software VA driver: what goes in as a dmabuf (or in
 * ordinary memory) comes out of an H.264 decoder as the right picture.
 */
#include "tests/va-lab/lab.h"
#include "tests/va-lab/pipeline.h"

#include <gst/video/video.h>
#include <math.h>

#define N_PICTURES 3
#define TIMEOUT (60 * GST_SECOND)
#define ENCODE "vah264enc rate-control=cqp qpi=8 qpp=8 ! h264parse"
#define DECODE "avdec_h264 max-threads=1"

typedef struct {
    const char *name;
    ScLabPipelineConfig pictures; /* but the middle */
    const char *convert;          /* up to the encoder */
    gboolean mirror_y, mirror_x, half_turn;
    const char *matrix, *range; /* as the trace names them; NULL: the pixels pass unchanged */
} Case;

#define NV12 "video/x-raw(memory:VAMemory),format=NV12"
#define TO_NV12 "vapostproc ! " NV12
#define TURNED(how) "vapostproc video-direction=" how " ! " NV12

static void weigh(const Case *test, guint32 color, double *y, double *u, double *v)
{
    gboolean bt601 = g_str_equal(test->matrix, "bt601"), full = g_str_equal(test->range, "full");
    const double kr = bt601 ? 0.299 : 0.2126, kb = bt601 ? 0.114 : 0.0722;
    const double r = (color >> 16 & 0xff) / 255.0, g = (color >> 8 & 0xff) / 255.0;
    const double b = (color & 0xff) / 255.0;
    const double luma = kr * r + (1 - kr - kb) * g + kb * b;
    *y = full ? 255 * luma : 16 + 219 * luma;
    *u = 128 + (full ? 255 : 224) * (b - luma) / (2 * (1 - kb));
    *v = 128 + (full ? 255 : 224) * (r - luma) / (2 * (1 - kr));
}

/* What the decoder should show at @x, @y. */
static void expect(const Case *test, guint number, guint x, guint y, double yuv[3])
{
    guint width = test->pictures.width, height = test->pictures.height;
    if (test->mirror_x || test->half_turn)
        x = width - 1 - x;
    if (test->mirror_y || test->half_turn)
        y = height - 1 - y;
    guint32 color = sc_lab_picture_color(number, x, y, width, height);
    if (test->matrix) {
        weigh(test, color, &yuv[0], &yuv[1], &yuv[2]);
        return;
    }
    for (guint i = 0; i < 3; i++)
        yuv[i] = color >> (16 - 8 * i) & 0xff;
}

static void check_pixel(const Case *test, guint number, const GstVideoFrame *frame, guint x,
                        guint y)
{
    double wanted[3];
    expect(test, number, x, y, wanted);
    for (guint i = 0; i < 3; i++) {
        guint shift = i == 0 ? 0 : 1;
        const guint8 *plane = GST_VIDEO_FRAME_PLANE_DATA(frame, i);
        guint8 is = plane[(y >> shift) * GST_VIDEO_FRAME_PLANE_STRIDE(frame, i) + (x >> shift)];
        if (fabs(is - wanted[i]) > 4)
            g_error("picture %u at %u,%u: component %u is %u, should be %.1f", number, x, y, i, is,
                    wanted[i]);
    }
}

/* In the middle of every bar, in the three parts of its height; and in the last corner. */
static void check_picture(const Case *test, guint number, GstSample *sample)
{
    const ScLabPipelineConfig *pictures = &test->pictures;
    GstVideoInfo info;
    GstVideoFrame frame;
    g_assert_true(gst_video_info_from_caps(&info, gst_sample_get_caps(sample)));
    g_assert_true(gst_video_frame_map(&frame, &info, gst_sample_get_buffer(sample), GST_MAP_READ));
    g_assert_cmpint(GST_VIDEO_FRAME_FORMAT(&frame), ==, GST_VIDEO_FORMAT_I420);
    g_assert_cmpint(GST_VIDEO_FRAME_WIDTH(&frame), ==, pictures->width);
    g_assert_cmpint(GST_VIDEO_FRAME_HEIGHT(&frame), ==, pictures->height);
    for (guint bar = 0; bar < 8; bar++) {
        for (guint part = 0; part < 3; part++)
            check_pixel(test, number, &frame, (2 * bar + 1) * pictures->width / 16,
                        (2 * part + 1) * pictures->height / 6);
    }
    check_pixel(test, number, &frame, pictures->width - 1, pictures->height - 1);
    gst_video_frame_unmap(&frame);
}

static void run(const Case *test, guint64 inodes[N_PICTURES])
{
    g_autofree char *middle = g_strdup_printf("%s ! " ENCODE " ! " DECODE, test->convert);
    ScLabPipelineConfig config = test->pictures;
    config.middle = middle;
    g_autoptr(ScLabPipeline) pipeline = sc_lab_pipeline_new(&config);
    for (guint i = 0; i < N_PICTURES; i++)
        inodes[i] = sc_lab_pipeline_push(pipeline, i);
    sc_lab_pipeline_finish(pipeline);
    for (guint i = 0; i < N_PICTURES; i++) {
        g_autoptr(GstSample) sample = sc_lab_pipeline_pull(pipeline, TIMEOUT);
        g_autoptr(GError) error = sample ? NULL : sc_lab_pipeline_get_error(pipeline);
        if (!sample)
            g_error("no picture %u: %s", i, error ? error->message : "nothing came");
        check_picture(test, i, sample);
    }
    g_assert_null(sc_lab_pipeline_pull(pipeline, TIMEOUT));
}

static void check_imports(const Case *test, ScLabTrace *trace, const guint64 inodes[N_PICTURES])
{
    for (guint i = 0; i < N_PICTURES; i++) {
        const ScLabEvent *event = sc_lab_trace_find(trace, i, "import", "result", "ok", "fourcc",
                                                    test->pictures.fourcc, NULL);
        g_assert_nonnull(event);
        g_assert_cmpuint(sc_lab_event_get_number(event, "inode"), ==, inodes[i]);
        g_assert_cmpuint(sc_lab_event_get_number(event, "offset"), ==, test->pictures.offset);
        event = sc_lab_trace_find(trace, i, "encode-end", "status", "0", NULL);
        g_assert_nonnull(event);
        g_assert_cmpuint(sc_lab_event_get_number(event, "origin"), ==, inodes[i]);
    }
    g_assert_cmpuint(sc_lab_trace_count(trace, "release", NULL), ==, N_PICTURES);
    g_assert_cmpuint(sc_lab_trace_count(trace, "put-image", NULL), ==, 0);
}

static void test_case(gconstpointer data)
{
    const Case *test = data;
    g_autoptr(ScLabTrace) trace = sc_lab_trace_new();
    guint64 inodes[N_PICTURES];
    run(test, inodes);

    sc_lab_trace_read(trace);
    if (!test->pictures.in_ram)
        check_imports(test, trace, inodes);
    if (test->matrix)
        g_assert_cmpuint(sc_lab_trace_count(trace, "vpp-begin", "matrix", test->matrix, "range",
                                            test->range, "target-fourcc", "NV12", NULL),
                         ==, N_PICTURES);
}

#define BT601 .matrix = "bt601", .range = "limited"
#define BT709 .matrix = "bt709", .range = "limited"
#define FULL_BT709 .matrix = "bt709", .range = "full"

#define PICTURES(f, w, h, ...) .pictures = { .fourcc = f, .width = w, .height = h, ##__VA_ARGS__ }

static const Case cases[] = {
    { .name = "XR24", PICTURES("XR24", 320, 240), .convert = TO_NV12, BT601 },
    { .name = "XR24-bt709",
      PICTURES("XR24", 320, 240),
      .convert = TO_NV12 ",colorimetry=bt709",
      BT709 },
    { .name = "XR24-full",
      PICTURES("XR24", 320, 240),
      .convert = TO_NV12 ",colorimetry=1:3:5:1",
      FULL_BT709 },
    { .name = "AR24", PICTURES("AR24", 320, 240), .convert = TO_NV12, BT601 },
    { .name = "XB24", PICTURES("XB24", 320, 240), .convert = TO_NV12, BT601 },
    { .name = "AB24", PICTURES("AB24", 320, 240), .convert = TO_NV12, BT601 },
    { .name = "NV12", PICTURES("NV12", 320, 240), .convert = TO_NV12 },
    { .name = "padded",
      PICTURES("XR24", 320, 240, .pitch = 1536, .offset = 8192, .extra = 100),
      .convert = TO_NV12,
      BT601 },
    { .name = "odd", PICTURES("XR24", 321, 241), .convert = TO_NV12, BT601 },
    { .name = "mirror-y",
      PICTURES("XR24", 320, 240),
      .convert = TURNED("vert"),
      BT601,
      .mirror_y = TRUE },
    { .name = "mirror-x",
      PICTURES("XR24", 320, 240),
      .convert = TURNED("horiz"),
      BT601,
      .mirror_x = TRUE },
    { .name = "half-turn",
      PICTURES("XR24", 320, 240),
      .convert = TURNED("180"),
      BT601,
      .half_turn = TRUE },
    { .name = "in-ram", PICTURES("XR24", 320, 240, .in_ram = TRUE), .convert = TO_NV12, BT601 },
    { .name = "in-ram-NV12", PICTURES("NV12", 320, 240, .in_ram = TRUE), .convert = TO_NV12 },
};

static void encode_one(ScLabPipeline *pipeline, guint number)
{
    sc_lab_pipeline_push(pipeline, number);
    g_autoptr(GstSample) sample = sc_lab_pipeline_pull(pipeline, TIMEOUT);
    g_assert_nonnull(sample);
}

static const char *get_type(ScLabTrace *trace, guint nth)
{
    const ScLabEvent *event = sc_lab_trace_find(trace, nth, "encode-begin", NULL);
    g_assert_nonnull(event);
    return sc_lab_event_get(event, "type");
}

/* A key frame when asked for, and only then; a new bit rate in mid-stream. */
static void test_live(void)
{
    g_autoptr(ScLabTrace) trace = sc_lab_trace_new();
    const ScLabPipelineConfig config = {
        .fourcc = "XR24",
        .width = 320,
        .height = 240,
        .middle = TO_NV12 " ! vah264enc name=encoder rate-control=cbr bitrate=1000 "
                          "key-int-max=1024",
    };
    ScLabPipeline *pipeline = sc_lab_pipeline_new(&config);
    g_autoptr(GstElement) encoder = sc_lab_pipeline_get_element(pipeline, "encoder");
    g_autoptr(GstElement) sink = sc_lab_pipeline_get_element(pipeline, "sink");
    encode_one(pipeline, 0);
    encode_one(pipeline, 1);
    gst_element_send_event(
        sink, gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 1));
    encode_one(pipeline, 2);
    encode_one(pipeline, 3);
    g_object_set(encoder, "bitrate", 2000, NULL);
    encode_one(pipeline, 4);
    sc_lab_pipeline_free(pipeline);

    sc_lab_trace_read(trace);
    g_assert_cmpuint(sc_lab_trace_count(trace, "encode-end", "status", "0", NULL), ==, 5);
    g_assert_cmpuint(sc_lab_trace_count(trace, "encode-begin", "kbit", "1000", NULL), ==, 4);
    g_assert_cmpuint(sc_lab_trace_count(trace, "encode-begin", "kbit", "2000", NULL), ==, 1);
    g_assert_cmpstr(get_type(trace, 0), ==, "idr");
    g_assert_cmpstr(get_type(trace, 1), ==, "p");
    g_assert_cmpstr(get_type(trace, 2), !=, "p"); /* GStreamer 1.22 asks for "i" only */
    g_assert_cmpstr(get_type(trace, 3), ==, "p");
}

int main(int argc, char **argv)
{
    sc_lab_enter(argv);
    gst_init(&argc, &argv);
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/va-pipeline/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/va-pipeline/live", test_live);
    return g_test_run();
}
