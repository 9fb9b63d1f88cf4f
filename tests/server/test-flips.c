/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stream takes the picture of a guest that flips once, and leaves none out. */
#include "server/stream.h"
#include "tests/server/harness.h"

#include <drm_fourcc.h>
#include <gst/gst.h>

#define WIDTH 64
#define HEIGHT 48

typedef struct {
    ScStream *stream;
    ScScanout *buffers[2];
    guint n_packets;
} Test;

static void on_packet(ScPacket *packet, gpointer data)
{
    Test *test = data;

    test->n_packets++;
}

static ScScanout *new_scanout(guint width)
{
    gsize size = (gsize)width * 4 * HEIGHT;
    GBytes *bytes = g_bytes_new_take(g_malloc0(size), size);
    ScScanout *scanout =
        sc_scanout_new_bytes(bytes, width, HEIGHT, width * 4, DRM_FORMAT_XRGB8888, NULL);

    g_bytes_unref(bytes);
    g_assert_nonnull(scanout);
    return scanout;
}

/* A stream with a viewer that has seen the first picture. */
static void setup(Test *test, gconstpointer data)
{
    ScEncoderConfig config = {
        .codec = SC_CODEC_H264,
        .kind = SC_ENCODER_SOFTWARE,
        .bitrate_kbit = 1000,
        .max_fps = 1000,
    };
    g_autoptr(GError) error = NULL;

    test->stream = sc_stream_new(&config, on_packet, test, &error);
    g_assert_no_error(error);
    test->buffers[0] = new_scanout(WIDTH);
    test->buffers[1] = new_scanout(WIDTH);
    sc_stream_set_viewers(test->stream, 1, 1);
    sc_stream_set_scanout(test->stream, test->buffers[0]);
    HARNESS_WAIT(test->n_packets == 1);
}

static void teardown(Test *test, gconstpointer data)
{
    sc_stream_free(test->stream);
    sc_scanout_unref(test->buffers[0]);
    sc_scanout_unref(test->buffers[1]);
}

static void draw(Test *test, ScScanout *scanout)
{
    g_autoptr(ScFrame) frame = sc_frame_new(scanout, NULL, NULL);

    sc_stream_offer(test->stream, frame);
}

static void test_flips(Test *test, gconstpointer data)
{
    for (guint i = 1; i <= 10; i++) {
        ScScanout *scanout = test->buffers[i % 2];

        sc_stream_set_scanout(test->stream, scanout);
        /* The frame that says it is complete comes a little later. */
        while (g_main_context_iteration(NULL, FALSE)) {
        }
        draw(test, scanout);
        HARNESS_WAIT(test->n_packets == i + 1);
        harness_run(5 * G_TIME_SPAN_MILLISECOND); /* longer than max_fps asks for */
    }
    /* And not once more when nothing follows. */
    harness_run(200 * G_TIME_SPAN_MILLISECOND);
    g_assert_cmpuint(test->n_packets, ==, 11);
}

static void test_flip_without_frame(Test *test, gconstpointer data)
{
    sc_stream_set_scanout(test->stream, test->buffers[1]);
    HARNESS_WAIT(test->n_packets == 2);
}

static void test_other_size(Test *test, gconstpointer data)
{
    g_autoptr(ScScanout) scanout = new_scanout(2 * WIDTH);

    sc_stream_set_scanout(test->stream, scanout);
    HARNESS_WAIT(test->n_packets == 2);
}

int main(int argc, char **argv)
{
    harness_init(&argc, &argv);
    g_test_add("/flips/once", Test, NULL, setup, test_flips, teardown);
    g_test_add("/flips/without-frame", Test, NULL, setup, test_flip_without_frame, teardown);
    g_test_add("/flips/other-size", Test, NULL, setup, test_other_size, teardown);
    return g_test_run();
}
