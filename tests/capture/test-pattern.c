/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The test picture, the source that shows it, and what all sources share. */
#include "capture/error.h"
#include "capture/pattern.h"
#include "capture/source.h"

#define DEADLINE_US (60 * G_USEC_PER_SEC)

static void test_pattern_updates_to_the_same(void)
{
    static const struct {
        int width, height;
    } sizes[] = { { 640, 480 }, { 1, 1 }, { 17, 33 }, { 802, 602 }, { 15, 200 } };

    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        int width = sizes[i].width, height = sizes[i].height;
        gsize size = (gsize)width * (gsize)height * 4;
        g_autofree guint32 *moved = g_malloc(size);
        g_autofree guint32 *drawn = g_malloc(size);
        PatternRect rects[PATTERN_N_RECTS];

        pattern_draw(moved, width * 4, width, height, 41);
        pattern_update(moved, width * 4, width, height, 41, 0x80000123, rects);
        pattern_draw(drawn, width * 4, width, height, 0x80000123);
        g_assert_cmpmem(moved, size, drawn, size);
    }
}

static void test_pattern_number_is_read(void)
{
    g_autofree guint32 *pixels = g_new(guint32, 640 * 480);

    pattern_draw(pixels, 2560, 640, 480, 0xdeadbeef);
    g_assert_cmphex(pattern_read(pixels, 2560, 640, 480), ==, 0xdeadbeef);
    pattern_draw(pixels, 800, 200, 480, 0xdeadbeef);
    g_assert_cmphex(pattern_read(pixels, 800, 200, 480), ==, 0xdeadbeef);
}

static void test_pattern_number_is_read_from_luma(void)
{
    g_autofree guint32 *pixels = g_new(guint32, 640 * 480);
    g_autofree guint8 *luma = g_malloc(640 * 480);

    pattern_draw(pixels, 2560, 640, 480, 0xdeadbeef);
    for (guint i = 0; i < 640 * 480; i++) {
        luma[i] = 16 + (pixels[i] >> 8 & 0xff) * 219 / 255; /* the cells are grey */
    }
    g_assert_cmphex(pattern_read_luma(luma, 640, 640, 480), ==, 0xdeadbeef);
}

typedef struct {
    int states, scanouts, frames;
    guint32 number;
} Seen;

static void on_state(ScSourceState state, const char *reason, gpointer data)
{
    g_assert_cmpint(state, ==, SC_SOURCE_CONNECTED);
    ((Seen *)data)->states++;
}

static void on_scanout(ScScanout *scanout, gpointer data)
{
    g_assert_cmpuint(sc_scanout_get_width(scanout), ==, 640);
    ((Seen *)data)->scanouts++;
}

static void on_frame(ScFrame *frame, gpointer data)
{
    Seen *seen = data;
    ScPixels pixels;
    guint32 number;

    g_assert_true(sc_scanout_begin_read(sc_frame_get_scanout(frame), &pixels, NULL));
    number = pattern_read((const guint32 *)pixels.data, pixels.stride, 640, 480);
    sc_scanout_end_read(sc_frame_get_scanout(frame));
    if (seen->frames > 0) {
        g_assert_cmpuint(number, >, seen->number);
    }
    seen->number = number;
    seen->frames++;
}

static void test_source_pattern_runs_while_watched(void)
{
    static const ScSourceListener listener = {
        .state = on_state,
        .scanout = on_scanout,
        .frame = on_frame,
    };
    Seen seen = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(ScSource) source = sc_source_new("pattern:640x480@500", &listener, &seen, &error);
    int frames;
    gint64 end;

    g_assert_no_error(error);
    g_assert_true(sc_source_start(source, &error));
    g_assert_cmpint(seen.states, ==, 1);
    g_assert_cmpint(seen.scanouts, ==, 1);
    g_assert_false(g_main_context_iteration(NULL, FALSE));

    sc_source_set_watched(source, TRUE);
    end = g_get_monotonic_time() + DEADLINE_US;
    while (seen.frames < 5) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_main_context_iteration(NULL, TRUE);
    }
    sc_source_set_watched(source, FALSE);
    frames = seen.frames;
    g_usleep(10000);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    g_assert_cmpint(seen.frames, ==, frames);
}

static void test_source_locations(void)
{
    static const char *const bad[] = {
        "",
        "nonsense",
        "nonsense:1",
        "pattern:",
        "pattern:640",
        "pattern:x",
        "pattern:640x",
        "pattern:640x480@",
        "pattern:640x480@0",
        "pattern:0x480",
        "pattern: ",
        "pattern:99999x480",
        "pattern:-1x480",
        "pattern:640x480 ",
        "pattern:640x480@99999999",
    };
    static const ScSourceListener listener = { 0 };

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        ScSource *source = sc_source_new(bad[i], &listener, NULL, &error);

        if (source != NULL) {
            g_test_fail_printf("'%s' was taken", bad[i]);
            sc_source_free(source);
            continue;
        }
        g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
    }
}

static void test_source_without_input(void)
{
    static const ScSourceListener listener = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(ScSource) source = sc_source_new("pattern", &listener, NULL, &error);

    g_assert_false(sc_source_set_input(source, "/tmp/i", &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pattern/updates-to-the-same", test_pattern_updates_to_the_same);
    g_test_add_func("/pattern/number-is-read", test_pattern_number_is_read);
    g_test_add_func("/pattern/number-is-read-from-luma", test_pattern_number_is_read_from_luma);
    g_test_add_func("/source/pattern-runs-while-watched", test_source_pattern_runs_while_watched);
    g_test_add_func("/source/locations", test_source_locations);
    g_test_add_func("/source/without-input", test_source_without_input);
    return g_test_run();
}
