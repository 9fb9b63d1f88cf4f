/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a stream makes of a guest that stops drawing: the picture that stays gets as good as the bit
 * rate allows, and then there is silence. */
#include "server/stream.h"
#include "tests/encoder/harness.h"

#define WIDTH 1280
#define HEIGHT 720
#define BITRATE 8000 /* the daemon's default */
#define MAX_REFINEMENTS 60

/* Longer than a stream waits before it makes a picture better. */
#define SILENCE_US (400 * G_TIME_SPAN_MILLISECOND)

typedef struct {
    ScStream *stream;
    Picture picture;
    GPtrArray *packets;
} Test;

static void on_packet(ScPacket *packet, gpointer data)
{
    Test *test = data;

    g_ptr_array_add(test->packets, sc_packet_ref(packet));
}

static void test_init(Test *test)
{
    ScEncoderConfig config = {
        .codec = SC_CODEC_H264, .kind = SC_ENCODER_SOFTWARE, .bitrate_kbit = BITRATE, .max_fps = 60
    };
    g_autoptr(GError) error = NULL;

    test->packets = g_ptr_array_new_with_free_func((GDestroyNotify)sc_packet_unref);
    test->stream = sc_stream_new(&config, on_packet, test, &error);
    g_assert_no_error(error);
    picture_init(&test->picture, WIDTH, HEIGHT);
    sc_stream_set_scanout(test->stream, test->picture.scanout);
    sc_stream_set_viewers(test->stream, 1, 1);
}

static void test_clear(Test *test)
{
    sc_stream_free(test->stream);
    picture_clear(&test->picture);
    g_ptr_array_unref(test->packets);
}

/* Until there was no packet for some time. */
static void wait_silence(Test *test)
{
    gint64 deadline = g_get_monotonic_time() + DEADLINE_US;
    gint64 end = g_get_monotonic_time() + SILENCE_US;
    guint n = test->packets->len;

    while (g_get_monotonic_time() < end ||
           sc_encoder_is_busy(sc_stream_get_encoder(test->stream))) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_main_context_iteration(NULL, FALSE);
        if (test->packets->len > n) {
            n = test->packets->len;
            end = g_get_monotonic_time() + SILENCE_US;
        }
    }
}

static void draw_page(Test *test, guint seed)
{
    g_autoptr(ScFrame) frame = NULL;

    picture_draw_text(&test->picture, seed);
    frame = picture_new_frame(&test->picture, NULL);
    sc_stream_offer(test->stream, frame);
}

/* The picture that comes after many that were too much for the bit rate is blurred at first. */
static void test_last_picture(void)
{
    Test test;
    guint n_drawn;
    double at_first, at_last;

    test_init(&test);
    for (guint i = 0; i < 40; i++) {
        guint before = test.packets->len;

        draw_page(&test, i);
        wait_packets(test.packets, before + 1);
    }
    wait_packets(test.packets, 40);
    n_drawn = test.packets->len;
    at_first = decode_error(test.packets, 0, &test.picture);
    wait_silence(&test);
    at_last = decode_error(test.packets, 0, &test.picture);
    g_test_message("off by %.1f, and after %u more by %.1f", at_first, test.packets->len - n_drawn,
                   at_last);
    g_assert_cmpfloat(at_first, >, 20);
    g_assert_cmpfloat(at_last, <, 20);
    g_assert_cmpuint(test.packets->len - n_drawn, <=, MAX_REFINEMENTS + 1);
    test_clear(&test);
}

/* Viewers that come one after the other need a key frame each, which takes many bits. */
static void test_late_viewers(void)
{
    Test test;

    test_init(&test);
    draw_page(&test, 1);
    wait_silence(&test);
    for (guint i = 0; i < 8; i++) {
        guint before = test.packets->len;
        double at_first, at_last;

        sc_stream_request_key(test.stream);
        wait_packets(test.packets, before + 1);
        at_first = decode_error(test.packets, before, &test.picture);
        wait_silence(&test);
        at_last = decode_error(test.packets, before, &test.picture);
        g_test_message("off by %.1f, and after %u more by %.1f", at_first,
                       test.packets->len - before - 1, at_last);
        g_assert_true(sc_packet_get_info(test.packets->pdata[before])->is_key);
        g_assert_cmpfloat(at_first, <, 20);
        g_assert_cmpfloat(at_last, <, 4);
        g_assert_cmpuint(test.packets->len - before, <=, MAX_REFINEMENTS + 1);
    }
    test_clear(&test);
}

/* What takes few bits, as a cursor that blinks, is encoded once. */
static void test_small_changes(void)
{
    Test test;

    test_init(&test);
    wait_silence(&test);
    for (guint i = 0; i < 4; i++) {
        guint before = test.packets->len;
        pixman_region32_t damage;
        g_autoptr(ScFrame) frame = NULL;

        picture_draw_patch(&test.picture, 3, 3, i % 2 == 0 ? 0x102030 : 0xd0c0b0, &damage);
        frame = picture_new_frame(&test.picture, &damage);
        sc_stream_offer(test.stream, frame);
        wait_silence(&test);
        g_assert_cmpuint(test.packets->len, ==, before + 1);
    }
    test_clear(&test);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream/last-picture", test_last_picture);
    g_test_add_func("/stream/late-viewers", test_late_viewers);
    g_test_add_func("/stream/small-changes", test_small_changes);
    return g_test_run();
}
