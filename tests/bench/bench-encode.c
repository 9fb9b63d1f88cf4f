/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What encoding costs: Scancast's encoder against a bare GStreamer pipeline with the same settings
 * on the same pictures in the same run, and the time a guest is held against one memcpy of what
 * changed: into memory that the bare pipeline encodes from, so that both write where another
 * processor has read since.
 *
 * The pictures come one after the other, as fast as it goes, some to one, the same to the other,
 * and both are told the true time: it decides how many bits a picture may have, and with that how
 * much work it is. CPU time of the whole process is counted only while a picture is being encoded.
 *
 * bench-encode CONTENT WIDTH HEIGHT COUNT FILE: only Scancast's encoder, whose CPU time for a
 * picture it prints in milliseconds; the pictures are left in FILE, for others to encode.
 */
#include "encoder/encoder.h"
#include "tests/bench/content.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define N_PICTURES 240
#define BLOCK 60
#define ALONE_WARM_UP 10
#define N_WARM_UP                                                                                  \
    (1 * BLOCK) /* not counted: pipelines are built, memory is touched for the first time */
#define BITRATE_KBIT 8000
#define FPS 60

/* The fragment of encoder/rung-software.c, as anybody would write it on a command line. */
#define PEER                                                                                       \
    "appsrc name=src format=time is-live=true caps=video/x-raw,format=BGRx,width=%d,height=%d,"    \
    "framerate=60/1 ! videoconvert ! video/x-raw,format=NV12,colorimetry=bt709 ! x264enc "         \
    "speed-preset=ultrafast tune=zerolatency bframes=0 threads=1 byte-stream=true "                \
    "key-int-max=1073741824 option-string=scenecut=0 bitrate=%d ! "                                \
    "video/x-h264,stream-format=byte-stream,alignment=au,profile=constrained-baseline ! "          \
    "appsink name=sink sync=false"

typedef struct {
    int width, height;
    guint32 *pixels; /* the scanout: pictures are drawn here one after the other */
    pixman_region32_t damage;
    BenchContent content;
} Screen;

typedef struct {
    gint64 cpu, peer_cpu;       /* microseconds, added up */
    gint64 hold[N_PICTURES];    /* until the guest would be released */
    gint64 memcpy_[N_PICTURES]; /* the damaged area once, for the bare pipeline */
    guint64 bytes, peer_bytes;
} Result;

static gsize screen_size(const Screen *screen)
{
    return (gsize)screen->width * (gsize)screen->height * 4;
}

static void screen_init(Screen *screen, BenchContent content, int width, int height)
{
    *screen = (Screen){ .width = width, .height = height, .content = content };
    screen->pixels = g_malloc0(screen_size(screen));
    pixman_region32_init(&screen->damage);
}

static void screen_clear(Screen *screen)
{
    pixman_region32_fini(&screen->damage);
    g_free(screen->pixels);
}

static gint64 cpu_time(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * G_USEC_PER_SEC +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* What a copy of the damaged rows' bytes takes. */
static gint64 time_memcpy(Screen *screen, guint32 *copy)
{
    int n_boxes;
    const pixman_box32_t *boxes = pixman_region32_rectangles(&screen->damage, &n_boxes);
    gint64 start = g_get_monotonic_time();

    for (int i = 0; i < n_boxes; i++) {
        for (int y = boxes[i].y1; y < boxes[i].y2; y++) {
            gsize offset = (gsize)y * (gsize)screen->width + (gsize)boxes[i].x1;

            memcpy(copy + offset, screen->pixels + offset, (gsize)(boxes[i].x2 - boxes[i].x1) * 4);
        }
    }
    return g_get_monotonic_time() - start;
}

/* Scancast's encoder. */
typedef struct {
    ScEncoder *encoder;
    ScScanout *scanout;
    gboolean arrived;
    guint64 bytes;
} Ours;

static void on_packet(ScPacket *packet, gpointer data)
{
    Ours *ours = data;

    ours->arrived = TRUE;
    ours->bytes += g_bytes_get_size(sc_packet_get_data(packet));
}

static void on_trouble(const GError *error, gpointer data)
{
    g_error("the encoder failed: %s", error->message);
}

static void ours_init(Ours *ours, const Screen *screen)
{
    static const ScEncoderListener listener = { on_packet, on_trouble, on_trouble };
    ScEncoderConfig config = {
        .codec = SC_CODEC_H264,
        .kind = SC_ENCODER_SOFTWARE,
        .bitrate_kbit = BITRATE_KBIT,
        .max_fps = FPS,
    };
    g_autoptr(GError) error = NULL;

    ours->encoder = sc_encoder_new(&config, &listener, ours, &error);
    g_assert_no_error(error);
    ours->scanout = sc_scanout_new_pixels(
        (guint8 *)screen->pixels, screen_size(screen), (guint)screen->width, (guint)screen->height,
        (guint)screen->width * 4, DRM_FORMAT_XRGB8888, FALSE, &error);
    g_assert_no_error(error);
}

/* Returns the time a guest would be held. */
static gint64 ours_encode(Ours *ours, Screen *screen)
{
    gint64 start = g_get_monotonic_time();
    ScFrame *frame = sc_frame_new(ours->scanout, &screen->damage, NULL);
    g_autoptr(GError) error = NULL;
    gint64 hold;

    ours->arrived = FALSE;
    g_assert_true(sc_encoder_submit(ours->encoder, frame, FALSE, &error));
    sc_frame_unref(frame);
    hold = g_get_monotonic_time() - start;
    while (!ours->arrived) {
        g_main_context_iteration(NULL, TRUE);
    }
    return hold;
}

static void ours_clear(Ours *ours)
{
    sc_encoder_free(ours->encoder);
    sc_scanout_unref(ours->scanout);
}

/* The bare pipeline. */
typedef struct {
    GstElement *pipeline, *src, *sink;
    guint32 *copy; /* of the scanout: what is encoded */
    gint64 start;
    guint64 bytes;
} Peer;

static void peer_init(Peer *peer, const Screen *screen)
{
    g_autofree char *description =
        g_strdup_printf(PEER, screen->width, screen->height, BITRATE_KBIT);
    g_autoptr(GError) error = NULL;

    peer->pipeline = gst_parse_launch(description, &error);
    g_assert_no_error(error);
    peer->src = gst_bin_get_by_name(GST_BIN(peer->pipeline), "src");
    peer->sink = gst_bin_get_by_name(GST_BIN(peer->pipeline), "sink");
    gst_element_set_state(peer->pipeline, GST_STATE_PLAYING);
    peer->copy = g_malloc0(screen_size(screen));
    peer->start = g_get_monotonic_time();
}

static void peer_encode(Peer *peer, const Screen *screen)
{
    GstBuffer *buffer =
        gst_buffer_new_wrapped_full(GST_MEMORY_FLAG_READONLY, peer->copy, screen_size(screen), 0,
                                    screen_size(screen), NULL, NULL);
    GstSample *sample;

    GST_BUFFER_PTS(buffer) = (guint64)(g_get_monotonic_time() - peer->start) * GST_USECOND;
    gst_app_src_push_buffer(GST_APP_SRC(peer->src), buffer);
    sample = gst_app_sink_pull_sample(GST_APP_SINK(peer->sink));
    g_assert_nonnull(sample);
    peer->bytes += gst_buffer_get_size(gst_sample_get_buffer(sample));
    gst_sample_unref(sample);
}

static void peer_clear(Peer *peer)
{
    gst_element_set_state(peer->pipeline, GST_STATE_NULL);
    gst_object_unref(peer->src);
    gst_object_unref(peer->sink);
    gst_object_unref(peer->pipeline);
    g_free(peer->copy);
}

static void draw(Screen *screen, guint i)
{
    bench_content_draw(screen->content, screen->pixels, screen->width, screen->height, i,
                       &screen->damage);
}

/* Pictures @first .. @first + BLOCK - 1. */
static void run_ours(Ours *ours, Screen *screen, guint first, Result *result)
{
    for (guint i = first; i < first + BLOCK; i++) {
        gint64 cpu, hold;

        draw(screen, i);
        cpu = cpu_time();
        hold = ours_encode(ours, screen);
        if (i >= N_WARM_UP) {
            result->cpu += cpu_time() - cpu;
            result->hold[i - N_WARM_UP] = hold;
        }
    }
}

static void run_peer(Peer *peer, Screen *screen, guint first, Result *result)
{
    for (guint i = first; i < first + BLOCK; i++) {
        gint64 memcpy_time, cpu;

        draw(screen, i);
        memcpy_time = time_memcpy(screen, peer->copy);
        cpu = cpu_time();
        peer_encode(peer, screen);
        if (i >= N_WARM_UP) {
            result->peer_cpu += cpu_time() - cpu;
            result->memcpy_[i - N_WARM_UP] = memcpy_time;
        }
    }
}

/* Some pictures by one, the same by the other: what else the machine does meanwhile, it does to
 * both. */
static void run(Screen *screen, Screen *peer_screen, Result *result)
{
    Ours ours = { 0 };
    Peer peer = { 0 };

    ours_init(&ours, screen);
    peer_init(&peer, peer_screen);
    for (guint i = 0; i < N_WARM_UP + N_PICTURES; i += BLOCK) {
        run_ours(&ours, screen, i, result);
        run_peer(&peer, peer_screen, i, result);
    }
    result->bytes = ours.bytes;
    result->peer_bytes = peer.bytes;
    ours_clear(&ours);
    peer_clear(&peer);
}

static int compare_times(const void *a, const void *b)
{
    gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

    return (x > y) - (x < y);
}

static gint64 median(gint64 *times)
{
    qsort(times, N_PICTURES, sizeof(*times), compare_times);
    return times[N_PICTURES / 2];
}

static void bench(BenchContent content, int width, int height)
{
    Screen screen, peer_screen;
    g_autofree Result *result = g_new0(Result, 1);
    gint64 hold, copy;

    screen_init(&screen, content, width, height);
    screen_init(&peer_screen, content, width, height);
    run(&screen, &peer_screen, result);
    hold = median(result->hold);
    copy = MAX(median(result->memcpy_), 1);
    printf("encode %4dx%-4d %-7s  CPU per picture %6.2f ms, bare pipeline %6.2f ms, ratio %.2f "
           "(goal 1.10)  size ratio %.2f\n",
           width, height, bench_content_name(content), (double)result->cpu / N_PICTURES / 1000,
           (double)result->peer_cpu / N_PICTURES / 1000,
           (double)result->cpu / (double)result->peer_cpu,
           (double)result->bytes / (double)result->peer_bytes);
    printf("hold   %4dx%-4d %-7s  guest held %5" G_GINT64_FORMAT " us, memcpy %5" G_GINT64_FORMAT
           " us, ratio %.2f (goal 1.50)\n",
           width, height, bench_content_name(content), hold, copy, (double)hold / (double)copy);
    fflush(stdout);
    screen_clear(&screen);
    screen_clear(&peer_screen);
}

/* Pictures 0 to @count - 1; those of the warm-up are not counted. */
static void bench_alone(BenchContent content, int width, int height, guint count, FILE *file)
{
    Ours ours = { 0 };
    gint64 cpu = 0;
    Screen screen;

    screen_init(&screen, content, width, height);
    ours_init(&ours, &screen);
    for (guint i = 0; i < count; i++) {
        gint64 before;

        draw(&screen, i);
        if (fwrite(screen.pixels, screen_size(&screen), 1, file) != 1) {
            g_error("the pictures cannot be written: %s", g_strerror(errno));
        }
        before = cpu_time();
        ours_encode(&ours, &screen);
        cpu += i >= ALONE_WARM_UP ? cpu_time() - before : 0;
    }
    ours_clear(&ours);
    screen_clear(&screen);
    printf("%.3f\n", (double)cpu / (count - ALONE_WARM_UP) / 1000);
}

static int run_alone(char **arguments)
{
    BenchContent content =
        strcmp(arguments[0], bench_content_name(BENCH_NOISE)) == 0 ? BENCH_NOISE : BENCH_DESKTOP;
    int width = atoi(arguments[1]), height = atoi(arguments[2]), count = atoi(arguments[3]);
    FILE *file = fopen(arguments[4], "wb");

    if (width < 1 || height < 1 || count <= ALONE_WARM_UP || file == NULL) {
        fprintf(stderr, "usage: bench-encode [CONTENT WIDTH HEIGHT COUNT FILE]\n");
        return 2;
    }
    bench_alone(content, width, height, (guint)count, file);
    return fclose(file) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const int sizes[][2] = { { 1280, 720 }, { 1920, 1080 } };

    gst_init(&argc, &argv);
    if (argc == 6) {
        return run_alone(argv + 1);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        bench(BENCH_DESKTOP, sizes[i][0], sizes[i][1]);
        bench(BENCH_NOISE, sizes[i][0], sizes[i][1]);
    }
    return 0;
}
