/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What zero copy costs besides the GPU: on the software VA driver, which tells when it works. How
 * much longer than that a guest is held; Scancast's CPU time against a bare GStreamer pipeline on
 * the same buffers; and what viewers and guests notice when the driver fails.
 *
 * The driver's encoder takes CPU time where a GPU would take none, on both sides of the ratio; so
 * the difference is printed, too.
 */
#include "capture/error.h"
#include "encoder/encoder-impl.h"
#include "encoder/gst-dmabuf.h"
#include "server/stream.h"
#include "tests/bench/content.h"
#include "tests/va-lab/lab.h"

#include <drm_fourcc.h>
#include <gst/allocators/gstdmabuf.h>
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define N_PICTURES 200
#define N_BLOCK 20
#define N_STEP_DOWN 120
#define N_FINE 30 /* of these, before the driver fails */
#define N_ENCODES_BEFORE                                                                           \
    (4 * (N_BLOCK + N_PICTURES)) /* the driver counts over its process's life */
#define BITRATE_KBIT 8000
#define FPS 60

/* The fragment of encoder/rung-va.c, as anybody would write it on a command line. */
#define PEER                                                                                       \
    "appsrc name=src format=time is-live=true ! vapostproc ! "                                     \
    "video/x-raw(memory:VAMemory),format=NV12,colorimetry=bt709 ! vah264enc rate-control=cbr "     \
    "b-frames=0 ref-frames=1 target-usage=7 key-int-max=1024 cpb-size=%u bitrate=%u ! "            \
    "video/x-h264,stream-format=byte-stream,alignment=au,profile=main ! "                          \
    "appsink name=sink sync=false"

/* The guest's buffer. */
typedef struct {
    int width, height;
    ScLabBuffer *memory;
    ScScanout *scanout;
    ScTarget target;
    pixman_region32_t damage;
    guint number; /* of the picture drawn last */
} Screen;

typedef struct {
    gint64 cpu; /* microseconds, added up */
    gint64 hold[N_PICTURES];
    gint64 driver[N_PICTURES]; /* from when it is given the conversion until it says that the encode
                                * is done */
    gint64 more[N_PICTURES];   /* @hold - @driver */
} Result;

typedef struct {
    ScEncoder *encoder;
    gboolean arrived;
} Scancast;

typedef struct {
    GstElement *pipeline, *src, *sink;
    GstAllocator *allocator;
    guint number; /* of the next picture */
} Peer;

static void screen_init(Screen *screen, int width, int height)
{
    ScDmabufLayout layout = {
        .width = (guint32)width,
        .height = (guint32)height,
        .fourcc = DRM_FORMAT_XRGB8888,
        .modifier = DRM_FORMAT_MOD_LINEAR,
        .n_planes = 1,
        .planes[0].stride = (guint32)width * 4,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(ScDmabuf) dmabuf = NULL;

    *screen = (Screen){ .width = width, .height = height };
    screen->memory = sc_lab_buffer_new((gsize)width * (gsize)height * 4);
    layout.planes[0].fd = dup(screen->memory->fd);
    dmabuf = sc_dmabuf_new(&layout, &error);
    g_assert_no_error(error);
    screen->scanout = sc_scanout_new_dmabuf(dmabuf, FALSE);
    sc_target_init(&screen->target, screen->scanout);
    pixman_region32_init(&screen->damage);
}

static void screen_clear(Screen *screen)
{
    pixman_region32_fini(&screen->damage);
    sc_scanout_unref(screen->scanout);
    sc_lab_buffer_free(screen->memory);
}

static void screen_draw(Screen *screen)
{
    bench_content_draw(BENCH_DESKTOP, (guint32 *)screen->memory->data, screen->width,
                       screen->height, screen->number++, &screen->damage);
}

static gint64 cpu_time(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * G_USEC_PER_SEC +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* The last N_BLOCK pictures of the trace are the @first and following. */
static void result_add(Result *result, guint first, const gint64 *hold, gint64 cpu,
                       ScLabTrace *trace)
{
    guint n_given, n_done;

    sc_lab_trace_read(trace);
    n_given = sc_lab_trace_count(trace, "vpp-submit", NULL) - N_BLOCK;
    n_done = sc_lab_trace_count(trace, "synced", NULL) - N_BLOCK;
    for (guint i = 0; i < N_BLOCK; i++) {
        gint64 driver = sc_lab_trace_find(trace, n_done + i, "synced", NULL)->time -
                        sc_lab_trace_find(trace, n_given + i, "vpp-submit", NULL)->time;

        result->hold[first + i] = hold[i];
        result->driver[first + i] = driver;
        result->more[first + i] = hold[i] - driver;
    }
    result->cpu += cpu;
}

static void init_config(ScEncoderConfig *config, ScEncoderKind kind, guint max_fps)
{
    *config = (ScEncoderConfig){
        .codec = SC_CODEC_H264,
        .kind = kind,
        .bitrate_kbit = BITRATE_KBIT,
        .max_fps = max_fps,
    };
}

/* ---- Scancast ---------------------------------------------------------------------------- */

static void on_packet(ScPacket *packet, gpointer data)
{
    *(gboolean *)data = TRUE;
}

static void on_trouble(const GError *error, gpointer data)
{
    g_error("the encoder failed: %s", error->message);
}

static void on_flushed(ScFlushResult result, gpointer data)
{
    g_assert_cmpint(result, ==, SC_FLUSH_DONE);
    *(gint64 *)data = g_get_monotonic_time();
}

static void open_scancast(Scancast *scancast)
{
    static const ScEncoderListener listener = { on_packet, on_trouble, on_trouble };
    g_autoptr(GError) error = NULL;
    ScEncoderConfig config;

    init_config(&config, SC_ENCODER_VA, FPS);
    scancast->encoder = sc_encoder_new(&config, &listener, &scancast->arrived, &error);
    g_assert_no_error(error);
}

/* Returns how long the guest was held. */
static gint64 encode_with_scancast(Scancast *scancast, Screen *screen)
{
    gint64 start = g_get_monotonic_time(), released = 0;
    ScFlush *flush = sc_flush_new(on_flushed, &released);
    ScFrame *frame = sc_frame_new(screen->scanout, &screen->damage, flush);

    sc_flush_unref(flush);
    scancast->arrived = FALSE;
    g_assert_true(sc_encoder_submit(scancast->encoder, frame, FALSE, NULL));
    sc_frame_unref(frame);
    while (!scancast->arrived) {
        g_main_context_iteration(NULL, TRUE);
    }
    return released - start;
}

/* ---- the bare pipeline ------------------------------------------------------------------- */

static GstBuffer *wrap(const Screen *screen, GstAllocator *allocator, guint number)
{
    gsize offsets[GST_VIDEO_MAX_PLANES] = { 0 };
    gint strides[GST_VIDEO_MAX_PLANES] = { screen->width * 4 };
    GstBuffer *buffer = gst_buffer_new();

    gst_buffer_append_memory(buffer, gst_dmabuf_allocator_alloc_with_flags(
                                         allocator, screen->memory->fd, screen->memory->size,
                                         GST_FD_MEMORY_FLAG_DONT_CLOSE));
    gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_BGRx,
                                   (guint)screen->width, (guint)screen->height, 1, offsets,
                                   strides);
    GST_BUFFER_PTS(buffer) = gst_util_uint64_scale(number, GST_SECOND, FPS);
    return buffer;
}

static void open_peer(Peer *peer, const Screen *screen)
{
    g_autofree char *description =
        g_strdup_printf(PEER, (guint)(screen->width * screen->height / 2000 + 1), BITRATE_KBIT);
    g_autoptr(GError) error = NULL;
    g_autoptr(GstCaps) caps = sc_gst_dmabuf_get_caps(&screen->target, FPS, NULL);

    peer->pipeline = gst_parse_launch(description, &error);
    g_assert_no_error(error);
    peer->src = gst_bin_get_by_name(GST_BIN(peer->pipeline), "src");
    peer->sink = gst_bin_get_by_name(GST_BIN(peer->pipeline), "sink");
    peer->allocator = gst_dmabuf_allocator_new();
    gst_app_src_set_caps(GST_APP_SRC(peer->src), caps);
    gst_element_set_state(peer->pipeline, GST_STATE_PLAYING);
}

static void close_peer(Peer *peer)
{
    gst_element_set_state(peer->pipeline, GST_STATE_NULL);
    gst_object_unref(peer->src);
    gst_object_unref(peer->sink);
    gst_object_unref(peer->pipeline);
    gst_object_unref(peer->allocator);
}

/* Returns how long it took. */
static gint64 encode_with_peer(Peer *peer, const Screen *screen)
{
    gint64 start = g_get_monotonic_time();
    GstSample *sample;

    gst_app_src_push_buffer(GST_APP_SRC(peer->src), wrap(screen, peer->allocator, peer->number++));
    sample = gst_app_sink_pull_sample(GST_APP_SINK(peer->sink));
    g_assert_nonnull(sample);
    gst_sample_unref(sample);
    return g_get_monotonic_time() - start;
}

/* ---- both -------------------------------------------------------------------------------- */

static int compare_times(const void *a, const void *b)
{
    gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

    return (x > y) - (x < y);
}

/* Milliseconds. */
static double median(const gint64 *times)
{
    gint64 sorted[N_PICTURES];

    memcpy(sorted, times, sizeof sorted);
    qsort(sorted, N_PICTURES, sizeof *sorted, compare_times);
    return (double)sorted[N_PICTURES / 2] / 1000;
}

/* They take turns, for the machine may be faster at one time than at another. */
static void take_turns(Screen *screen, ScLabTrace *trace, Result *ours, Result *peers)
{
    Scancast scancast = { 0 };
    Peer peer = { 0 };

    open_scancast(&scancast);
    open_peer(&peer, screen);
    for (guint block = 0; block <= N_PICTURES / N_BLOCK; block++) {
        for (guint side = 0; side < 2; side++) {
            Result *result = side == 0 ? ours : peers;
            gint64 hold[N_BLOCK], cpu = 0;

            for (guint i = 0; i < N_BLOCK; i++) {
                gint64 before;

                screen_draw(screen);
                before = cpu_time();
                hold[i] = side == 0 ? encode_with_scancast(&scancast, screen)
                                    : encode_with_peer(&peer, screen);
                cpu += cpu_time() - before;
            }
            /* Not the first one: pipelines are built, memory is touched for the first time. */
            if (block > 0) {
                result_add(result, (block - 1) * N_BLOCK, hold, cpu, trace);
            }
        }
    }
    g_assert_true(g_str_has_prefix(sc_encoder_get_rung(scancast.encoder), "va-dmabuf "));
    sc_encoder_free(scancast.encoder);
    close_peer(&peer);
}

static void bench_encode(int width, int height)
{
    g_autoptr(ScLabTrace) trace = sc_lab_trace_new();
    g_autofree Result *ours = g_new0(Result, 1);
    g_autofree Result *peers = g_new0(Result, 1);
    Screen screen;

    screen_init(&screen, width, height);
    take_turns(&screen, trace, ours, peers);
    printf("va hold   %4dx%-4d  guest held %6.2f ms, driver busy %6.2f ms, %.2f ms more (goal 0.30)"
           "  bare pipeline %6.2f ms, %.2f ms more\n",
           width, height, median(ours->hold), median(ours->driver), median(ours->more),
           median(peers->hold), median(peers->more));
    printf("va encode %4dx%-4d  CPU per picture %6.2f ms, bare pipeline %6.2f ms, ratio %.2f "
           "(goal 1.10), difference %.2f ms\n",
           width, height, (double)ours->cpu / N_PICTURES / 1000,
           (double)peers->cpu / N_PICTURES / 1000, (double)ours->cpu / (double)peers->cpu,
           (double)(ours->cpu - peers->cpu) / N_PICTURES / 1000);
    fflush(stdout);
    screen_clear(&screen);
}

/* ---- stepping down ----------------------------------------------------------------------- */

/* A guest that draws when it may, and a viewer. */
typedef struct {
    Screen screen;
    ScStream *stream;
    gint64 drawn_at[N_STEP_DOWN];
    gboolean seen[N_STEP_DOWN];
    guint n_drawn, n_keys;
    guint keys_wanted; /* asked for one after the other, from frame N_FINE on */
    ScEncoderCounts counts;
    gint64 last_packet, longest_gap;
    gint64 released, longest_hold;
} Show;

static void on_stream_packet(ScPacket *packet, gpointer data)
{
    Show *show = data;
    const ScPacketInfo *info = sc_packet_get_info(packet);
    gint64 now = g_get_monotonic_time();

    for (guint i = show->n_drawn; i-- > 0;) {
        if (show->drawn_at[i] <= info->capture_time) {
            show->seen[i] = TRUE;
            break;
        }
    }
    /* The first one opens devices. */
    if (show->last_packet > 0) {
        show->longest_gap = MAX(show->longest_gap, now - show->last_packet);
    }
    show->last_packet = now;
    show->n_keys += info->is_key;
}

static void draw_next(Show *show)
{
    ScFlush *flush = sc_flush_new(on_flushed, &show->released);
    ScFrame *frame;

    screen_draw(&show->screen);
    show->drawn_at[show->n_drawn++] = g_get_monotonic_time();
    show->released = 0;
    frame = sc_frame_new(show->screen.scanout, &show->screen.damage, flush);
    sc_flush_unref(flush);
    sc_stream_offer(show->stream, frame);
    sc_frame_unref(frame);
}

/* Wakes run_show(). */
static gboolean on_tick(gpointer data)
{
    return G_SOURCE_CONTINUE;
}

/* Two seconds, after the first picture. */
static void run_show(Show *show)
{
    guint tick = g_timeout_add(1, on_tick, NULL);
    gint64 start = 0, due = 0;

    while (show->n_drawn < N_STEP_DOWN || show->released == 0 || due > g_get_monotonic_time()) {
        gint64 now = g_get_monotonic_time();

        if ((show->n_drawn == 0 || show->released > 0) && now >= due &&
            show->n_drawn < N_STEP_DOWN) {
            start = show->n_drawn == 1 ? now : start;
            if (show->keys_wanted > 0 && show->n_drawn >= N_FINE && show->n_drawn % 6 == 0) {
                show->keys_wanted--;
                sc_stream_request_key(show->stream);
            }
            draw_next(show);
            due = start + (gint64)show->n_drawn * G_USEC_PER_SEC / FPS;
        }
        g_main_context_iteration(NULL, TRUE);
        if (show->n_drawn > 1 && show->released > 0) {
            show->longest_hold =
                MAX(show->longest_hold, show->released - show->drawn_at[show->n_drawn - 1]);
        }
    }
    g_source_remove(tick);
}

/* Returns how many frames nobody saw. */
static guint run_stream(Show *show, ScEncoderKind kind)
{
    g_autoptr(GError) error = NULL;
    ScEncoderConfig config;
    guint n_lost = 0;

    init_config(&config, kind, 2 * FPS); /* no picture comes too early */
    screen_init(&show->screen, 1280, 720);
    show->stream = sc_stream_new(&config, on_stream_packet, show, &error);
    g_assert_no_error(error);
    sc_stream_set_viewers(show->stream, 1, 1);
    sc_stream_set_scanout(show->stream, show->screen.scanout);
    run_show(show);
    sc_encoder_get_counts(sc_stream_get_encoder(show->stream), &show->counts);
    for (guint i = 0; i < N_STEP_DOWN; i++) {
        n_lost += !show->seen[i];
    }
    sc_stream_free(show->stream);
    screen_clear(&show->screen);
    return n_lost;
}

/* A driver that fails after half a second, for one picture or for good. Then the encoder that
 * stands in for it, alone, with as many key frames: where these take longer than a frame lasts,
 * they cost frames by themselves. */
static void bench_step_down(const char *what, gboolean for_good, ScLabTrace *trace)
{
    g_autofree Show *show = g_new0(Show, 1);
    g_autofree Show *peer = g_new0(Show, 1);
    g_autofree char *failing = NULL;
    guint n_encodes, n_lost, n_peer_lost;

    sc_lab_trace_read(trace);
    n_encodes = N_ENCODES_BEFORE + sc_lab_trace_count(trace, "encode-begin", NULL);
    failing = g_strdup_printf(for_good ? "%u-" : "%u", n_encodes + N_FINE);
    g_setenv("SCANCAST_VA_FAIL_ENCODES", failing, TRUE);
    n_lost = run_stream(show, SC_ENCODER_AUTO);
    g_assert_cmpuint(show->counts.step_downs, >, 0);
    g_unsetenv("SCANCAST_VA_FAIL_ENCODES");
    peer->keys_wanted = show->n_keys - 1;
    n_peer_lost = run_stream(peer, SC_ENCODER_SOFTWARE);
    printf(
        "va step down, %-12s %u of %d frames lost, %u by %u key frames in software alone, "
        "difference %d (goal 0); %" G_GUINT64_FORMAT " steps down, %.1f ms between packets (%.1f) "
        "and guest held %.1f ms at most (%.1f)\n",
        what, n_lost, N_STEP_DOWN, n_peer_lost, peer->n_keys, (int)n_lost - (int)n_peer_lost,
        show->counts.step_downs, (double)show->longest_gap / 1000, (double)peer->longest_gap / 1000,
        (double)show->longest_hold / 1000, (double)peer->longest_hold / 1000);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    g_autoptr(ScLabTrace) trace = NULL;

    sc_lab_enter(argv);
    gst_init(&argc, &argv);
    bench_encode(1280, 720);
    bench_encode(1920, 1080);
    trace = sc_lab_trace_new();
    bench_step_down("one picture:", FALSE, trace);
    bench_step_down("for good:", TRUE, trace);
    return 0;
}
