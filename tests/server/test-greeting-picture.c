/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The picture that greets viewers, as another decoder sees it: made once, current, and not too
 * large. */
#include "server/greeting.h"
#include "tests/encoder/harness.h"

#define TOLERANCE 20 /* per channel, at the centres of patches */

typedef struct {
    ScGreeting *greeting;
    Picture picture;
    GPtrArray *packets; /* ScPacket */
} Test;

static void on_made(ScPacket *packet, gpointer data)
{
    g_ptr_array_add(((Test *)data)->packets, sc_packet_ref(packet));
}

static void test_init(Test *test, guint width, guint height)
{
    ScEncoderConfig config = {
        .codec = SC_CODEC_H264, .kind = SC_ENCODER_SOFTWARE, .bitrate_kbit = 8000, .max_fps = 60
    };
    g_autoptr(GError) error = NULL;

    test->packets = g_ptr_array_new_with_free_func((GDestroyNotify)sc_packet_unref);
    test->greeting = sc_greeting_new(&config, on_made, test, &error);
    g_assert_no_error(error);
    picture_init(&test->picture, width, height);
    picture_draw(&test->picture, 1);
    sc_greeting_set_scanout(test->greeting, test->picture.scanout);
}

static void test_clear(Test *test)
{
    sc_greeting_free(test->greeting);
    picture_clear(&test->picture);
    g_ptr_array_unref(test->packets);
}

static void check_silence(Test *test)
{
    gint64 end = g_get_monotonic_time() + G_USEC_PER_SEC / 2;
    guint n = test->packets->len;

    while (g_get_monotonic_time() < end) {
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpuint(test->packets->len, ==, n);
}

static void test_once(void)
{
    Test test;
    g_autofree guint32 *decoded = NULL;
    g_autofree char *colorimetry = NULL;
    guint width, height, n;

    test_init(&test, 640, 480);
    /* Several viewers at once: one picture, of which all are told together. */
    g_assert_true(sc_greeting_make(test.greeting));
    g_assert_true(sc_greeting_make(test.greeting));
    g_assert_cmpuint(test.packets->len, ==, 0);
    wait_packets(test.packets, 1);
    g_assert_cmpuint(test.packets->len, ==, 1);
    check_silence(&test);

    /* Later, and nothing has changed: the same again. */
    g_assert_true(sc_greeting_make(test.greeting));
    g_assert_cmpuint(test.packets->len, ==, 1);
    wait_packets(test.packets, 2);
    g_assert_true(test.packets->pdata[0] == test.packets->pdata[1]);

    picture_draw(&test.picture, 2);
    sc_greeting_note_change(test.greeting);
    g_assert_true(sc_greeting_make(test.greeting));
    wait_packets(test.packets, 3);
    decoded = decode(test.packets, 2, &width, &height, &n, &colorimetry);
    check_patches(&test.picture, decoded, width, TOLERANCE);

    /* A change in the moment in which it would have been told of. */
    g_assert_true(sc_greeting_make(test.greeting));
    sc_greeting_note_change(test.greeting);
    wait_packets(test.packets, 4);
    g_assert_true(test.packets->pdata[2] != test.packets->pdata[3]);
    test_clear(&test);
}

/* The largest that is sent as it is, and what becomes of larger ones. */
static void test_sizes(void)
{
    static const struct {
        guint width, height, divisor;
    } cases[] = {
        { 1280, 1024, 1 }, { 1920, 1080, 2 }, { 2560, 2048, 2 }, { 3840, 2160, 4 }, { 16384, 64, 1 }
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        guint divisor = cases[i].divisor;
        Test test;
        g_autofree guint32 *decoded = NULL;
        g_autofree char *colorimetry = NULL;
        guint width, height, n;

        test_init(&test, cases[i].width, cases[i].height);
        g_assert_true(sc_greeting_make(test.greeting));
        wait_packets(test.packets, 1);
        g_assert_cmpuint(sc_packet_get_info(test.packets->pdata[0])->width, ==, cases[i].width);
        g_assert_cmpuint(sc_packet_get_info(test.packets->pdata[0])->height, ==, cases[i].height);
        g_assert_cmpint(sc_packet_get_info(test.packets->pdata[0])->codec, ==, SC_CODEC_MJPEG);
        decoded = decode(test.packets, 0, &width, &height, &n, &colorimetry);
        g_assert_cmpuint(width, ==, cases[i].width / divisor);
        g_assert_cmpuint(height, ==, cases[i].height / divisor);

        /* The picture as it would be in that size, at the centres of its patches. */
        for (guint y = 16; y < cases[i].height; y += 32) {
            for (guint x = 16; x < cases[i].width; x += 32) {
                guint32 is = decoded[(y / divisor) * width + x / divisor];
                guint32 was = test.picture.pixels[y * cases[i].width + x];

                for (guint shift = 0; shift < 24; shift += 8) {
                    int off = (int)(is >> shift & 0xff) - (int)(was >> shift & 0xff);

                    g_assert_cmpint(ABS(off), <=, TOLERANCE);
                }
            }
        }
        test_clear(&test);
    }
}

/* Nobody gets what is shown no longer. */
static void test_other_scanout(void)
{
    Test test;
    Picture other;

    test_init(&test, 640, 480);
    g_assert_true(sc_greeting_make(test.greeting));
    sc_greeting_set_scanout(test.greeting, NULL);
    check_silence(&test);
    g_assert_cmpuint(test.packets->len, ==, 0);
    g_assert_false(sc_greeting_make(test.greeting));

    sc_greeting_set_scanout(test.greeting, test.picture.scanout);
    g_assert_true(sc_greeting_make(test.greeting));
    picture_init(&other, 800, 600);
    picture_draw(&other, 1);
    sc_greeting_set_scanout(test.greeting, other.scanout);
    wait_packets(test.packets, 1);
    g_assert_cmpuint(sc_packet_get_info(test.packets->pdata[0])->width, ==, 800);
    check_silence(&test);
    test_clear(&test);
    picture_clear(&other);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/greeting-picture/once", test_once);
    g_test_add_func("/greeting-picture/sizes", test_sizes);
    g_test_add_func("/greeting-picture/other-scanout", test_other_scanout);
    return g_test_run();
}
