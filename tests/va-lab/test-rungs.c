/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rungs va-dmabuf and va-upload when all is well. */
#include "encoder/encoder-impl.h"
#include "encoder/gst-dmabuf.h"
#include "tests/encoder/block.h"
#include "tests/va-lab/rungs.h"

#include <drm_fourcc.h>
#include <sys/mman.h>
#include <unistd.h>

#define N_PICTURES 4

typedef struct {
    const char *name;
    GuestLayout layout;
    const char *rung;
} Case;

static const Case cases[] = {
    { "plain", { .width = 320, .height = 240 }, "va-dmabuf" },
    { "large", { .width = 1280, .height = 720 }, "va-dmabuf" },
    { "padded", { .width = 320, .height = 240, .pitch = 1536, .offset = 8192 }, "va-dmabuf" },
    { "implicit",
      { .width = 320, .height = 240, .modifier = DRM_FORMAT_MOD_INVALID },
      "va-dmabuf" },
    { "bottom-up", { .width = 320, .height = 240, .bottom_up = TRUE }, "va-dmabuf" },
    { "argb", { .width = 320, .height = 240, .fourcc = DRM_FORMAT_ARGB8888 }, "va-dmabuf" },
    { "nv12", { .width = 320, .height = 240, .fourcc = DRM_FORMAT_NV12 }, "va-dmabuf" },
    { "nv12-padded",
      { .width = 320, .height = 240, .fourcc = DRM_FORMAT_NV12, .pitch = 384, .offset = 8192 },
      "va-dmabuf" },
    { "nv12-bottom-up",
      { .width = 320, .height = 240, .fourcc = DRM_FORMAT_NV12, .bottom_up = TRUE },
      "va-dmabuf" },
    { "odd", { .width = 321, .height = 241 }, "va-upload" },
    { "odd-bottom-up", { .width = 321, .height = 241, .bottom_up = TRUE }, "va-upload" },
};

/* The guest flips between two buffers; no CPU touches what it draws. */
static void check_trace(ScLabTrace *trace, GuestBuffer buffers[2])
{
    g_assert_cmpuint(sc_lab_trace_count(trace, "import", "result", "ok", NULL), ==, N_PICTURES);
    g_assert_cmpuint(sc_lab_trace_count(trace, "release", NULL), ==, N_PICTURES);
    g_assert_cmpuint(sc_lab_trace_count(trace, "put-image", NULL), ==, 0);
    g_assert_cmpuint(sc_lab_trace_count(trace, "get-image", NULL), ==, 0);
    for (guint i = 0; i < N_PICTURES; i++) {
        const ScLabEvent *event = sc_lab_trace_find(trace, i, "encode-end", "status", "0", NULL);

        g_assert_nonnull(event);
        g_assert_cmpuint(sc_lab_event_get_number(event, "origin"), ==,
                         buffers[i % 2].memory->inode);
    }
}

static void test_picture(gconstpointer data)
{
    const Case *test = data;
    gboolean is_zero_copy = g_strcmp0(test->rung, "va-dmabuf") == 0;
    g_autoptr(ScLabTrace) trace = sc_lab_trace_new();
    guint frames = sc_frame_count_alive();
    GuestBuffer buffers[2];
    ScEncoderCounts counts;
    Harness harness;

    guest_buffer_init(&buffers[0], &test->layout);
    guest_buffer_init(&buffers[1], &test->layout);
    rungs_init(&harness, SC_ENCODER_VA);
    for (guint i = 0; i < N_PICTURES; i++) {
        GuestFlush flush;
        g_autoptr(ScFrame) frame = guest_flush(&buffers[i % 2], &flush, 0);

        g_assert_cmpint(sc_encoder_copies(harness.encoder, frame), ==, !is_zero_copy);
        g_clear_pointer(&frame, sc_frame_unref);
        guest_buffer_draw(&buffers[i % 2], i);
        rungs_encode(&harness, &buffers[i % 2], FALSE);
        rungs_assert_rung(&harness, test->rung);
        g_assert_cmpint(sc_packet_get_info(harness.packets->pdata[i])->is_key, ==, i == 0);
    }
    g_assert_cmpuint(harness.n_dropped, ==, 0);
    g_assert_cmpuint(sc_frame_count_alive(), ==, frames);
    rungs_check(&harness, 0, &buffers[(N_PICTURES - 1) % 2]);
    sc_encoder_get_counts(harness.encoder, &counts);
    g_assert_cmpint(counts.copied_pixels > 0, ==, !is_zero_copy);
    sc_lab_trace_read(trace);
    if (is_zero_copy) {
        check_trace(trace, buffers);
    } else {
        g_assert_cmpuint(sc_lab_trace_count(trace, "import", NULL), ==, 0);
    }
    harness_clear(&harness);
    guest_buffer_clear(&buffers[0]);
    guest_buffer_clear(&buffers[1]);
}

/* Planes in several dmabufs: by GStreamer 1.24 and newer. What cannot be imported cannot be copied
 * either, and is refused. */
static void test_split(void)
{
    static const GuestLayout layout = {
        .width = 320, .height = 240, .fourcc = DRM_FORMAT_NV12, .offset = 4096, .apart = TRUE
    };
    static const GuestLayout plain = { .width = 320, .height = 240 };
    GuestBuffer buffer, other;
    GuestFlush flush;
    Harness harness;
    guint major, minor, micro, nano;

    rungs_init(&harness, SC_ENCODER_AUTO);
    guest_buffer_init(&buffer, &layout);
    guest_buffer_init(&other, &plain);
    gst_version(&major, &minor, &micro, &nano);
    if (minor >= 24) {
        rungs_encode(&harness, &buffer, FALSE);
        rungs_assert_rung(&harness, "va-dmabuf");
        rungs_check(&harness, 0, &buffer);
    } else {
        g_autoptr(ScFrame) frame = guest_flush(&buffer, &flush, 0);
        g_autoptr(GError) error = NULL;

        g_assert_false(sc_encoder_submit(harness.encoder, frame, FALSE, &error));
        g_assert_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED);
        g_clear_pointer(&frame, sc_frame_unref);
        g_assert_cmpint(flush.result, ==, SC_FLUSH_DROPPED);
    }
    rungs_encode(&harness, &other, TRUE);
    rungs_assert_rung(&harness, "va-dmabuf");
    rungs_check(&harness, harness.packets->len - 1, &other);
    g_assert_cmpuint(harness.n_dropped, ==, 0);
    harness_clear(&harness);
    guest_buffer_clear(&buffer);
    guest_buffer_clear(&other);
}

/* A viewer that comes in mid-stream begins with a key frame, and needs nothing before it. */
static void test_key(void)
{
    static const GuestLayout layout = { .width = 320, .height = 240 };
    GuestBuffer buffer;
    Harness harness;

    guest_buffer_init(&buffer, &layout);
    rungs_init(&harness, SC_ENCODER_VA);
    for (guint i = 0; i < 7; i++) {
        gboolean key = i == 2 || i == 4 || i == 5;
        ScPacket *packet;

        guest_buffer_draw(&buffer, i);
        packet = rungs_encode(&harness, &buffer, key);
        g_assert_cmpint(sc_packet_get_info(packet)->is_key, ==, key || i == 0);
        if (key) {
            rungs_check(&harness, i, &buffer);
        }
    }
    rungs_check(&harness, 5, &buffer);
    harness_clear(&harness);
    guest_buffer_clear(&buffer);
}

static void test_bitrate(void)
{
    static const GuestLayout layout = { .width = 320, .height = 240 };
    g_autoptr(ScLabTrace) trace = sc_lab_trace_new();
    GuestBuffer buffer;
    Harness harness;

    guest_buffer_init(&buffer, &layout);
    rungs_init(&harness, SC_ENCODER_VA);
    rungs_encode(&harness, &buffer, FALSE);
    sc_encoder_set_bitrate(harness.encoder, 5000);
    rungs_encode(&harness, &buffer, FALSE);
    rungs_encode(&harness, &buffer, FALSE);
    sc_lab_trace_read(trace);
    g_assert_cmpuint(sc_lab_trace_count(trace, "encode-begin", "kbit", "20000", NULL), ==, 1);
    g_assert_cmpuint(sc_lab_trace_count(trace, "encode-begin", "kbit", "5000", NULL), ==, 2);
    g_assert_cmpuint(harness.n_dropped, ==, 0);
    harness_clear(&harness);
    guest_buffer_clear(&buffer);
}

/* The scanout shrinks and grows again. */
static void test_resize(void)
{
    static const GuestLayout layouts[] = { { .width = 640, .height = 480 },
                                           { .width = 320, .height = 240 },
                                           { .width = 641, .height = 481 },
                                           { .width = 16, .height = 16 } };
    GuestBuffer buffers[G_N_ELEMENTS(layouts)];
    Harness harness;

    rungs_init(&harness, SC_ENCODER_VA);
    for (guint i = 0; i < G_N_ELEMENTS(layouts); i++) {
        guest_buffer_init(&buffers[i], &layouts[i]);
    }
    for (guint i = 0; i < 2 * G_N_ELEMENTS(layouts); i++) {
        GuestBuffer *buffer = &buffers[i % G_N_ELEMENTS(layouts)];

        guest_buffer_draw(buffer, i);
        rungs_encode(&harness, buffer, FALSE);
        rungs_check(&harness, i, buffer);
    }
    g_assert_cmpuint(harness.n_dropped, ==, 0);
    harness_clear(&harness);
    for (guint i = 0; i < G_N_ELEMENTS(layouts); i++) {
        guest_buffer_clear(&buffers[i]);
    }
}

static void on_done(GBytes *packet, gboolean is_key, gpointer data)
{
    g_assert_cmpuint(g_bytes_get_size(packet), >, 0);
    ++*(guint *)data;
}

static void on_failed(const GError *error, gpointer data)
{
    g_error("%s", error->message);
}

/* The packet is out, but something in the pipeline has not let go of the memory: it is not done. */
static void test_kept(void)
{
    static const ScPipelineListener listener = { on_done, on_failed };
    static const GuestLayout layout = { .width = 320, .height = 240 };
    ScPipelineConfig config = {
        .fragment = "scblock ! vapostproc ! video/x-raw(memory:VAMemory),format=NV12 ! vah264enc",
        .output_caps = "video/x-h264,stream-format=byte-stream,alignment=au",
        .retimes = TRUE,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(GstCaps) caps = NULL;
    g_autoptr(ScPipeline) pipeline = NULL;
    GuestBuffer buffer;
    ScTarget target;
    guint n_done = 0;
    gint64 end;

    gst_init(NULL, NULL);
    block_register();
    guest_buffer_init(&buffer, &layout);
    sc_target_init(&target, buffer.scanout);
    caps = sc_gst_dmabuf_get_caps(&target, 60, &error);
    g_assert_no_error(error);
    config.dmabuf_caps = caps;
    pipeline = sc_pipeline_new("kept", &config, &listener, &n_done, &error);
    g_assert_no_error(error);
    block_set(BLOCK_KEEP);
    sc_pipeline_encode_dmabuf(pipeline, sc_scanout_get_dmabuf(buffer.scanout), FALSE, 1000);
    while (block_count() == 0) {
        g_usleep(1000);
    }
    end = g_get_monotonic_time() + 100 * G_TIME_SPAN_MILLISECOND;
    while (g_get_monotonic_time() < end) {
        g_main_context_iteration(NULL, FALSE);
        g_assert_cmpuint(n_done, ==, 0);
    }
    block_set(BLOCK_NOTHING);
    while (n_done == 0) {
        g_main_context_iteration(NULL, TRUE);
    }
    guest_buffer_clear(&buffer);
}

/* Descriptors that are no dmabufs, and layouts that cannot be true: refused or copied, the next
 * good frame works. */
typedef struct {
    const char *name;
    ScDmabufLayout layout;
    gboolean is_file;       /* a memfd that no device takes, not the lab's buffer */
    gboolean can_be_copied; /* else it is refused */
} BadInput;

#define BAD(w, h, f, m, n, o, s)                                                                   \
    {                                                                                              \
        .width = w, .height = h, .fourcc = f, .modifier = m, .n_planes = n, .planes = {            \
            { .offset = o, .stride = s }                                                           \
        }                                                                                          \
    }
#define XR24 DRM_FORMAT_XRGB8888

static const BadInput bad_inputs[] = {
    { "no dmabuf", BAD(320, 240, XR24, 0, 1, 0, 1280), TRUE, TRUE },
    { "tiled", BAD(320, 240, XR24, 0x100000000000002, 1, 0, 1280), FALSE, FALSE },
    { "nonsense modifier", BAD(320, 240, XR24, 0x1234567812345678, 1, 0, 1280), FALSE, FALSE },
    { "nonsense format", BAD(320, 240, 0xffffffff, 0, 1, 0, 1280), FALSE, FALSE },
    { "no format", BAD(320, 240, 0, 0, 1, 0, 1280), FALSE, FALSE },
    { "tiled, huge", BAD(16384, 16384, XR24, 0x100000000000002, 1, 0, 0xffffffff), FALSE, FALSE },
    { "tiled, no stride", BAD(320, 240, XR24, 0x100000000000002, 1, 0, 0), FALSE, FALSE },
    { "NV12, one plane", BAD(320, 240, DRM_FORMAT_NV12, 0, 1, 0, 320), FALSE, FALSE },
    { "XR24, two planes", BAD(320, 120, XR24, 0, 2, 0, 1280), FALSE, FALSE },
    { "NV12, chroma outside", BAD(320, 240, DRM_FORMAT_NV12, 0, 2, 307199, 320), FALSE, FALSE },
    { "too small", BAD(2, 2, XR24, 0, 1, 0, 8), FALSE, TRUE },
    { "narrow", BAD(4096, 2, XR24, 0, 1, 0, 16384), FALSE, TRUE },
    { "wide", BAD(16384, 2, XR24, 0, 1, 0, 65536), FALSE, TRUE },
    { "zero width", BAD(0, 240, XR24, 0, 1, 0, 1280), FALSE, FALSE },
    { "short stride", BAD(320, 240, XR24, 0, 1, 0, 1276), FALSE, FALSE },
    { "offset past the end", BAD(320, 240, XR24, 0, 1, 4096, 1280), FALSE, FALSE },
};

static int make_descriptor(gboolean is_file)
{
    g_autoptr(ScLabBuffer) buffer = is_file ? NULL : sc_lab_buffer_new(320 * 240 * 4);
    int fd = is_file ? memfd_create("file", MFD_CLOEXEC) : dup(buffer->fd);

    if (is_file) {
        g_assert_cmpint(ftruncate(fd, 320 * 240 * 4), ==, 0);
    }
    return fd;
}

static void try_bad_input(Harness *harness, const BadInput *bad)
{
    ScDmabufLayout layout = bad->layout;
    g_autoptr(ScDmabuf) dmabuf = NULL;
    g_autoptr(ScScanout) scanout = NULL;
    g_autoptr(ScFrame) frame = NULL;
    g_autoptr(GError) error = NULL;
    guint n = harness->packets->len + harness->n_dropped;

    layout.planes[0].fd = make_descriptor(bad->is_file);
    layout.planes[1] = layout.planes[0];
    dmabuf = sc_dmabuf_new(&layout, &error);
    if (dmabuf == NULL) {
        g_test_message("%s: %s", bad->name, error->message);
        g_assert_false(bad->can_be_copied);
        return;
    }
    scanout = sc_scanout_new_dmabuf(dmabuf, FALSE);
    frame = sc_frame_new(scanout, NULL, NULL);
    if (!sc_encoder_submit(harness->encoder, frame, FALSE, &error)) {
        g_test_message("%s: %s", bad->name, error->message);
        g_assert_false(bad->can_be_copied);
        return;
    }
    while (harness->packets->len + harness->n_dropped == n) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_test_message("%s: %s", bad->name, sc_encoder_get_rung(harness->encoder));
    g_assert_cmpint(harness->n_dropped == 0, ==, bad->can_be_copied);
}

static void test_bad_input(gconstpointer data)
{
    static const GuestLayout layout = { .width = 352, .height = 288 };
    GuestBuffer buffer;
    Harness harness;

    rungs_init(&harness, SC_ENCODER_AUTO);
    guest_buffer_init(&buffer, &layout);
    try_bad_input(&harness, data);
    rungs_encode(&harness, &buffer, TRUE);
    rungs_assert_rung(&harness, "va-dmabuf");
    rungs_check(&harness, harness.packets->len - 1, &buffer);
    guest_buffer_clear(&buffer);
    harness_clear(&harness);
}

static void add_bad_inputs(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(bad_inputs); i++) {
        g_autofree char *path = g_strconcat("/rungs/bad/", bad_inputs[i].name, NULL);

        g_strdelimit(path, ", ", '-');
        g_test_add_data_func(path, &bad_inputs[i], test_bad_input);
    }
}

int main(int argc, char **argv)
{
    sc_lab_enter(argv);
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK); /* warnings are wanted here */
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/rungs/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_picture);
    }
    g_test_add_func("/rungs/split", test_split);
    g_test_add_func("/rungs/key", test_key);
    g_test_add_func("/rungs/bitrate", test_bitrate);
    g_test_add_func("/rungs/resize", test_resize);
    g_test_add_func("/rungs/kept", test_kept);
    add_bad_inputs();
    return g_test_run();
}
