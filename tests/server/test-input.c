/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Input of several viewers, merged into one guest: what arrives there. */
#include "server/input.h"

typedef struct {
    GString *log; /* what arrived in the guest */
    ScInput *input;
} Fixture;

static void record_key(guint scancode, gboolean pressed, gpointer data)
{
    g_string_append_printf(((Fixture *)data)->log, "key %x %d;", scancode, pressed);
}

static void record_button(ScButton button, gboolean pressed, gpointer data)
{
    g_string_append_printf(((Fixture *)data)->log, "button %d %d;", button, pressed);
}

static void record_motion(int dx, int dy, gpointer data)
{
    g_string_append_printf(((Fixture *)data)->log, "motion %d %d;", dx, dy);
}

static void record_position(guint x, guint y, gpointer data)
{
    g_string_append_printf(((Fixture *)data)->log, "position %u %u;", x, y);
}

static void record_wheel(int steps, gpointer data)
{
    g_string_append_printf(((Fixture *)data)->log, "wheel %d;", steps);
}

static void record_size(guint width, guint height, gpointer data)
{
    g_string_append_printf(((Fixture *)data)->log, "size %u %u;", width, height);
}

static const ScInputListener recorder = {
    .key = record_key,
    .button = record_button,
    .motion = record_motion,
    .position = record_position,
    .wheel = record_wheel,
    .size = record_size,
};

static const char viewer_a, viewer_b;

static void set_up(Fixture *fixture, gconstpointer data)
{
    fixture->log = g_string_new(NULL);
    fixture->input = sc_input_new(&recorder, fixture);
    sc_input_set_size(fixture->input, 640, 480);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    sc_input_free(fixture->input);
    g_string_free(fixture->log, TRUE);
}

static void expect(Fixture *fixture, const char *log)
{
    g_assert_cmpstr(fixture->log->str, ==, log);
    g_string_truncate(fixture->log, 0);
}

static void test_shared_keys(Fixture *fixture, gconstpointer data)
{
    sc_input_key(fixture->input, &viewer_a, 0x1e, TRUE);
    sc_input_key(fixture->input, &viewer_a, 0x1e, TRUE);
    expect(fixture, "key 1e 1;key 1e 1;");
    sc_input_key(fixture->input, &viewer_b, 0x1e, TRUE);
    sc_input_key(fixture->input, &viewer_a, 0x1e, FALSE);
    expect(fixture, "key 1e 1;");
    sc_input_key(fixture->input, &viewer_b, 0x1e, FALSE);
    expect(fixture, "key 1e 0;");
    sc_input_key(fixture->input, &viewer_b, 0x1e, FALSE);
    expect(fixture, "");
}

static void test_leaving_releases(Fixture *fixture, gconstpointer data)
{
    sc_input_key(fixture->input, &viewer_a, 0x11d, TRUE);
    sc_input_key(fixture->input, &viewer_a, 0x1e, TRUE);
    sc_input_key(fixture->input, &viewer_b, 0x1e, TRUE);
    sc_input_button(fixture->input, &viewer_a, SC_BUTTON_RIGHT, TRUE);
    g_string_truncate(fixture->log, 0);
    sc_input_forget(fixture->input, &viewer_a);
    expect(fixture, "button 2 0;key 11d 0;");
    sc_input_forget(fixture->input, &viewer_b);
    expect(fixture, "key 1e 0;");
}

static void test_pointer_modes(Fixture *fixture, gconstpointer data)
{
    sc_input_position(fixture->input, 100, 200);
    expect(fixture, "position 100 200;");
    sc_input_motion(fixture->input, -10, 5);
    expect(fixture, "position 90 205;");
    sc_input_motion(fixture->input, G_MININT, G_MAXINT);
    expect(fixture, "position 0 479;");
    sc_input_position(fixture->input, G_MAXUINT, G_MAXUINT);
    expect(fixture, "position 639 479;");

    sc_input_set_pointer_mode(fixture->input, SC_POINTER_RELATIVE);
    sc_input_motion(fixture->input, -7, 3);
    expect(fixture, "motion -7 3;");
    sc_input_position(fixture->input, 600, 400);
    expect(fixture, "motion -39 -79;");
    sc_input_position(fixture->input, 600, 400);
    expect(fixture, "");
    sc_input_wheel(fixture->input, -1);
    expect(fixture, "wheel -1;");
}

static void test_shrinking_screen(Fixture *fixture, gconstpointer data)
{
    sc_input_position(fixture->input, 639, 479);
    sc_input_set_size(fixture->input, 320, 200);
    g_string_truncate(fixture->log, 0);
    sc_input_motion(fixture->input, 0, 0);
    expect(fixture, "position 319 199;");
}

static void wait_log(Fixture *fixture)
{
    while (fixture->log->len == 0) {
        g_main_context_iteration(NULL, TRUE);
    }
}

/* What is told within a moment is one wish, and the last one counts, whoever told it. */
static void test_sizes(Fixture *fixture, gconstpointer data)
{
    sc_input_wish_size(fixture->input, 800, 600);
    sc_input_wish_size(fixture->input, 1024, 768);
    sc_input_wish_size(fixture->input, 0, 768);
    sc_input_wish_size(fixture->input, SC_INPUT_MIN_WIDTH - 1, 768);
    sc_input_wish_size(fixture->input, 1024, SC_INPUT_MIN_HEIGHT - 1);
    sc_input_wish_size(fixture->input, SC_INPUT_MAX_SIZE + 1, 768);
    sc_input_wish_size(fixture->input, 1024, G_MAXUINT32);
    expect(fixture, "");
    wait_log(fixture);
    expect(fixture, "size 1024 768;");
    sc_input_wish_size(fixture->input, SC_INPUT_MIN_WIDTH, SC_INPUT_MAX_SIZE);
    wait_log(fixture);
    expect(fixture, "size 320 8192;");
    /* Nobody is told after the end. */
    sc_input_wish_size(fixture->input, 800, 600);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/input/shared-keys", Fixture, NULL, set_up, test_shared_keys, tear_down);
    g_test_add("/input/leaving-releases", Fixture, NULL, set_up, test_leaving_releases, tear_down);
    g_test_add("/input/pointer-modes", Fixture, NULL, set_up, test_pointer_modes, tear_down);
    g_test_add("/input/shrinking-screen", Fixture, NULL, set_up, test_shrinking_screen, tear_down);
    g_test_add("/input/sizes", Fixture, NULL, set_up, test_sizes, tear_down);
    return g_test_run();
}
