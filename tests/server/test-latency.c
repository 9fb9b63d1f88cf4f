/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a packet given to a viewer to its picture at the client, over TCP on loopback. Every frame
 * must arrive, one by one and in order; how long they took is printed. It is judged only by the
 * 400 ms that libspice-server 0.15 adds on its own (server/spice-compat.h), and by the faster
 * ones, as all would be late by that. */
#include "tests/server/harness.h"

#define WIDTH 1280
#define HEIGHT 720
#define FPS 60
#define MAX_QUARTILE (300 * 1000)
#define MAX_ON_THE_WAY 4 /* no more: on a host with much to do they would wait for each other */

typedef struct {
    const char *name;
    const char *options[3];
    ScCodec codec;
} Case;

static int compare(gconstpointer a, gconstpointer b)
{
    gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

    return (x > y) - (x < y);
}

static void print_latency(const char *name, GArray *times)
{
    g_array_sort(times, compare);
    g_test_message("%s: push to decoded p50 %.1f ms, p99 %.1f ms, worst %.1f ms of %u frames", name,
                   g_array_index(times, gint64, times->len / 2) / 1000.,
                   g_array_index(times, gint64, times->len * 99 / 100) / 1000.,
                   g_array_index(times, gint64, times->len - 1) / 1000., times->len);
}

typedef struct {
    gint64 *pushed; /* when, of each frame */
    guint n_frames, n_warm_up;
    GArray *times; /* from there to the client */
    guint number;  /* of the newest frame there */
} Run;

static void take_frame(Run *run, ProbeChild *probe)
{
    const char *line = probe_wait(probe, "frame ");
    guint next = (guint)probe_get(line, "number");
    gint64 time = probe_get(line, "time") - run->pushed[next];

    g_assert_cmpuint(next, >=, run->number);
    g_assert_cmpuint(next, <, run->n_frames);
    if (next >= run->n_warm_up && next != run->number) {
        g_array_append_val(run->times, time);
    }
    run->number = next;
}

static void test_latency(gconstpointer data)
{
    const Case *test = data;
    const guint n_warm_up = FPS / 2;
    const guint n_frames = n_warm_up + (g_test_slow() ? 20 : 5) * FPS;
    g_autoptr(GPtrArray) packets =
        harness_encode(test->codec, WIDTH, HEIGHT, 0, n_frames, n_frames);
    g_autofree gint64 *pushed = g_new(gint64, n_frames);
    g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(gint64));
    Run run = { pushed, n_frames, n_warm_up, times, 0 };
    g_autoptr(Harness) harness = harness_new("0", NULL);
    ProbeChild *probe;
    Served *served;
    gint64 start;
    ScOutboxCounts counts;

    harness->codecs = 1u << test->codec;
    probe = harness_probe(harness, test->options);
    served = harness_wait_ready(harness, 0);
    start = g_get_monotonic_time();
    g_assert_cmpint(served->codec, ==, test->codec);
    for (guint i = 0; i < n_frames; i++) {
        while (i > run.number + MAX_ON_THE_WAY) {
            take_frame(&run, probe);
        }
        HARNESS_WAIT(g_get_monotonic_time() >= start + i * G_USEC_PER_SEC / FPS);
        pushed[i] = g_get_monotonic_time();
        sc_viewer_send(served->viewer, g_ptr_array_index(packets, i));
    }
    while (run.number + 1 < n_frames) {
        take_frame(&run, probe);
    }
    sc_viewer_get_counts(served->viewer, &counts);
    g_assert_cmpuint(counts.dropped, ==, 0);
    print_latency(test->name, times);
    g_assert_cmpint(g_array_index(times, gint64, times->len / 4), <, MAX_QUARTILE);
}

int main(int argc, char *argv[])
{
    static const Case cases[] = {
        { "canvas", { "--latency", NULL }, SC_CODEC_H264 },
        { "overlay", { "--latency", "--overlay", NULL }, SC_CODEC_H264 },
        { "canvas, MJPEG", { "--latency", "--no-h264", NULL }, SC_CODEC_MJPEG },
    };

    harness_init(&argc, &argv);
    g_test_add_data_func("/latency/canvas", &cases[0], test_latency);
    g_test_add_data_func("/latency/overlay", &cases[1], test_latency);
    g_test_add_data_func("/latency/mjpeg", &cases[2], test_latency);
    return g_test_run();
}
