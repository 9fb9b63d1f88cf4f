/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a viewer shows and hears: libspice-server on our side, spice-probe on the other. */
#include "capture/error.h"
#include "tests/server/harness.h"

#include <signal.h>
#include <string.h>

#define WIDTH 640
#define HEIGHT 360

static void wait_input(Served *served, const char *expected)
{
    HARNESS_WAIT(served->input->len >= strlen(expected));
    g_assert_cmpstr(served->input->str, ==, expected);
    g_string_truncate(served->input, 0);
}

typedef struct {
    const char *address; /* NULL: unix */
    const char *option;
    ScCodec codec;
} PictureCase;

static void test_picture(gconstpointer data)
{
    const PictureCase *test = data;
    const char *const options[] = { test->option, NULL };
    g_autoptr(GPtrArray) packets = harness_encode(test->codec, WIDTH, HEIGHT, 1000, 10, 60);
    g_autoptr(Harness) harness = harness_new(test->address, NULL);
    ScOutboxCounts counts;
    ProbeChild *probe;
    Served *served;
    const char *peer;

    harness->codecs = 1u << test->codec;
    probe = harness_probe(harness, options);
    served = harness_wait_ready(harness, 0);
    peer = sc_viewer_get_peer(served->viewer);
    g_assert_cmpint(served->codec, ==, test->codec);
    g_assert_cmpuint(served->n_ready, ==, 1);
    g_assert_cmpuint(served->n_wants_key, ==, 1);
    g_assert_true(test->address != NULL ? g_str_has_prefix(peer, "127.0.0.1:")
                                        : strcmp(peer, "unix") == 0);
    g_assert_false(sc_viewer_is_current(served->viewer));
    harness_send_all(served, packets);
    g_assert_true(sc_viewer_is_current(served->viewer));
    probe_wait_frame(probe, 1009, WIDTH, HEIGHT);
    HARNESS_WAIT((sc_viewer_get_counts(served->viewer, &counts), counts.queued == 0));
    g_assert_cmpuint(counts.packets, >=, packets->len);
    g_assert_cmpuint(counts.key_frames, >=, 1);
    g_assert_cmpuint(counts.dropped, ==, 0);
}

/* Each picture is shown though nothing follows it: the last one before the guest goes idle. */
static void test_single(gconstpointer data)
{
    const char *const options[] = { data, NULL };
    g_autoptr(GPtrArray) packets = harness_encode(SC_CODEC_H264, WIDTH, HEIGHT, 1, 5, 100);
    g_autoptr(Harness) harness = harness_new("0", NULL);
    ProbeChild *probe = harness_probe(harness, options);
    Served *served = harness_wait_ready(harness, 0);

    for (guint i = 0; i < packets->len; i++) {
        sc_viewer_send(served->viewer, g_ptr_array_index(packets, i));
        probe_wait_frame(probe, i + 1, WIDTH, HEIGHT);
    }
}

/* A client that watches H.264 is sent no MJPEG, and nothing before a key frame. */
static void test_dropped(void)
{
    g_autoptr(GPtrArray) packets = harness_encode(SC_CODEC_H264, WIDTH, HEIGHT, 1, 6, 3);
    g_autoptr(GPtrArray) pictures = harness_encode(SC_CODEC_MJPEG, WIDTH, HEIGHT, 100, 1, 1);
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ProbeChild *probe = harness_probe(harness, NULL);
    Served *served;
    ScOutboxCounts counts;
    const char *line;

    served = harness_wait_viewer(harness, 0);
    sc_viewer_send(served->viewer, g_ptr_array_index(packets, 0)); /* not ready */
    harness_wait_ready(harness, 0);
    sc_viewer_send(served->viewer, g_ptr_array_index(pictures, 0));
    sc_viewer_send(served->viewer, g_ptr_array_index(packets, 1));
    sc_viewer_send(served->viewer, g_ptr_array_index(packets, 2));
    sc_viewer_send(served->viewer, g_ptr_array_index(packets, 3));
    line = probe_wait(probe, "frame ");
    g_assert_cmpint(probe_get(line, "number"), ==, 4);
    sc_viewer_get_counts(served->viewer, &counts);
    g_assert_cmpuint(counts.dropped, ==, 4);
    g_assert_cmpuint(served->n_wants_key, ==, 1);
}

static void test_resize(gconstpointer data)
{
    const char *const options[] = { data, NULL };
    const int sizes[][2] = { { 640, 360 }, { 801, 601 }, { 320, 201 }, { 640, 360 } };
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ProbeChild *probe = harness_probe(harness, options);
    Served *served = harness_wait_ready(harness, 0);

    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        int width = sizes[i][0], height = sizes[i][1];
        g_autoptr(GPtrArray) packets =
            harness_encode(served->codec, width, height, 100 * i + 1, 3, 60);
        const char *line;

        harness_send_all(served, packets);
        line = probe_wait(probe, "display ");
        g_assert_cmpint(probe_get(line, "width"), ==, width);
        g_assert_cmpint(probe_get(line, "height"), ==, height);
        /* The overlay shows the coded picture, whose size is even. */
        probe_wait_frame(probe, 100 * i + 3, width + (data != NULL ? width & 1 : 0),
                         height + (data != NULL ? height & 1 : 0));
    }
    g_assert_cmpuint(served->n_ready, ==, 1);
}

static void test_password(gconstpointer data)
{
    const char *password = data;
    g_autofree char *option = g_strconcat("--password=", password, NULL);
    const char *const options[] = { password != NULL ? option : NULL, NULL };
    const gboolean is_right = g_strcmp0(password, "correct horse") == 0;
    g_autoptr(Harness) harness = harness_new("0", "correct horse");
    ProbeChild *probe = harness_probe(harness, options);
    Served *served = harness_wait_viewer(harness, 0);

    if (is_right) {
        harness_wait_ready(harness, 0);
        g_assert_cmpuint(sc_viewer_get_connection_id(served->viewer), !=, 0);
        probe_tell(probe, "quit");
        g_assert_cmpint(probe_finish(probe), ==, 0);
    } else {
        const char *line = probe_wait(probe, "error channel=main");

        g_assert_nonnull(strstr(line, "reason=auth"));
        g_assert_cmpint(probe_finish(probe), ==, 1);
        g_assert_cmpuint(sc_viewer_get_connection_id(served->viewer), ==, 0);
    }
    HARNESS_WAIT(served->n_closed == 1);
    g_assert_cmpuint(served->n_joined, ==, is_right ? 1 : 0);
    g_assert_cmpuint(served->n_ready, ==, is_right ? 1 : 0);
}

static void test_bad_password(void)
{
    static const ScViewerListener listener; /* is not called */
    ScViewerConfig config = { .name = "x" };
    g_autofree char *longest = g_strnfill(60, 'x');
    g_autofree char *too_long = g_strnfill(61, 'x');
    g_autoptr(ScViewer) viewer = NULL;
    g_autoptr(GError) error = NULL;

    config.password = longest;
    viewer = sc_viewer_new(&config, &listener, NULL, &error);
    g_assert_no_error(error);
    config.password = too_long;
    g_assert_null(sc_viewer_new(&config, &listener, NULL, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
    g_clear_error(&error);
    config.password = "";
    g_assert_null(sc_viewer_new(&config, &listener, NULL, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
}

static void test_closed(gconstpointer data)
{
    const int how = GPOINTER_TO_INT(data);
    g_autoptr(Harness) harness = harness_new("0", NULL);
    ProbeChild *probe = harness_probe(harness, NULL);
    Served *served = harness_wait_ready(harness, 0);

    if (how == 0) {
        probe_tell(probe, "quit");
    } else {
        probe_signal(probe, how);
    }
    HARNESS_WAIT(served->n_closed == 1);
    harness_free_viewer(served);
    harness_run(50 * G_TIME_SPAN_MILLISECOND);
    g_assert_cmpuint(served->n_closed, ==, 1);
}

/* The server ends it. */
static void test_disconnected(void)
{
    g_autoptr(Harness) harness = harness_new("0", NULL);
    ProbeChild *probe = harness_probe(harness, NULL);
    Served *served = harness_wait_ready(harness, 0);

    harness_free_viewer(served);
    g_assert_cmpint(probe_finish(probe), ==, 1);
    g_assert_cmpuint(served->n_closed, ==, 0);
}

static ScCursor *make_cursor(guint width, guint height, char **sha1)
{
    g_autofree guint32 *argb = g_new(guint32, (gsize)width * height);
    g_autofree guint8 *rgba = g_malloc((gsize)width * height * 4);
    ScCursor *cursor;

    for (guint i = 0; i < width * height; i++) {
        argb[i] = 0x80000000u | g_test_rand_int_range(0, 0x1000000);
        rgba[4 * i] = argb[i] >> 16;
        rgba[4 * i + 1] = argb[i] >> 8;
        rgba[4 * i + 2] = argb[i];
        rgba[4 * i + 3] = argb[i] >> 24;
    }
    *sha1 = g_compute_checksum_for_data(G_CHECKSUM_SHA1, rgba, (gsize)width * height * 4);
    cursor = sc_cursor_new(width, height, 1, 2, argb, NULL);
    g_assert_nonnull(cursor);
    return cursor;
}

static void wait_cursor(ProbeChild *probe, guint width, guint height, const char *sha1)
{
    g_autofree char *expected = g_strdup_printf(
        "cursor-set width=%u height=%u hot-x=1 hot-y=2 sha1=%s", width, height, sha1);

    probe_wait(probe, expected);
}

static void test_cursor(void)
{
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    g_autofree char *sha1 = NULL;
    g_autofree char *sha1_large = NULL;
    g_autoptr(ScCursor) small = make_cursor(13, 17, &sha1);
    g_autoptr(ScCursor) large = make_cursor(512, 512, &sha1_large);
    ProbeChild *probe = harness_probe(harness, NULL);
    Served *served = harness_wait_viewer(harness, 0);

    /* Before the client is there. */
    sc_viewer_set_cursor(served->viewer, small);
    sc_viewer_set_cursor_position(served->viewer, 30, 40);
    harness_wait_ready(harness, 0);
    wait_cursor(probe, 13, 17, sha1);
    probe_wait(probe, "cursor-move x=30 y=40");

    sc_viewer_set_cursor(served->viewer, large);
    wait_cursor(probe, 512, 512, sha1_large);
    probe_wait(probe, "cursor-move x=30 y=40");
    sc_viewer_set_cursor_position(served->viewer, -1, 70000);
    probe_wait(probe, "cursor-move x=-1 y=32767");

    sc_viewer_set_cursor(served->viewer, NULL);
    probe_wait(probe, "cursor-set width=1 height=1");

    /* Not told where the client knows; told when it no longer does. */
    sc_viewer_set_pointer_mode(served->viewer, SC_POINTER_ABSOLUTE);
    probe_wait(probe, "mouse-mode mode=client");
    sc_viewer_set_cursor_position(served->viewer, 7, 7);
    sc_viewer_set_pointer_mode(served->viewer, SC_POINTER_RELATIVE);
    probe_wait(probe, "cursor-move x=7 y=7");
}

static void test_keyboard(void)
{
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ProbeChild *probe = harness_probe(harness, NULL);
    Served *served = harness_wait_ready(harness, 0);

    probe_wait(probe, "leds value=0");
    probe_tell(probe, "key 0x1e");
    wait_input(served, "key=30,1 key=30,0 ");
    probe_tell(probe, "key 0x148 down");
    wait_input(served, "key=328,1 ");
    probe_tell(probe, "key 0x148 up");
    wait_input(served, "key=328,0 ");

    sc_viewer_set_leds(served->viewer, SC_LED_CAPS_LOCK);
    probe_wait(probe, "leds value=4");
    /* A client that wants others presses keys. */
    probe_tell(probe, "leds 6");
    wait_input(served, "key=69,1 key=69,0 ");

    /* What it holds when it goes is released. */
    probe_tell(probe, "key 0x2a down");
    wait_input(served, "key=42,1 ");
    probe_signal(probe, SIGKILL);
    wait_input(served, "key=42,0 ");
    HARNESS_WAIT(served->n_closed == 1);
}

/* A client that connects learns the lamps that were set before. */
static void test_early_leds(void)
{
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ProbeChild *probe = harness_probe(harness, NULL);
    Served *served = harness_wait_viewer(harness, 0);

    sc_viewer_set_leds(served->viewer, SC_LED_NUM_LOCK);
    probe_wait(probe, "leds value=2");
}

static void do_pointer(ProbeChild *probe, Served *served, gboolean absolute)
{
    if (absolute) {
        probe_tell(probe, "position 100 200");
        wait_input(served, "position=100,200 ");
        probe_tell(probe, "button 1 down");
        wait_input(served, "position=100,200 button=0,1 ");
        probe_tell(probe, "position 639 359");
        wait_input(served, "position=639,359 ");
        probe_tell(probe, "button 1 up");
        wait_input(served, "position=639,359 button=0,0 ");
        probe_tell(probe, "button 3");
        wait_input(served, "position=639,359 button=2,1 position=639,359 button=2,0 ");
        probe_tell(probe, "wheel 2");
        wait_input(served, "position=639,359 wheel=1 position=639,359 "
                           "position=639,359 wheel=1 position=639,359 ");
        probe_tell(probe, "button 6");
        wait_input(served, "position=639,359 button=3,1 position=639,359 button=3,0 ");
    } else {
        probe_tell(probe, "motion 5 -7");
        wait_input(served, "motion=5,-7 ");
        probe_tell(probe, "button 1 down");
        wait_input(served, "button=0,1 ");
        probe_tell(probe, "motion 1 1");
        wait_input(served, "motion=1,1 ");
        probe_tell(probe, "button 1 up");
        wait_input(served, "button=0,0 ");
        probe_tell(probe, "button 2");
        wait_input(served, "button=1,1 button=1,0 ");
        probe_tell(probe, "wheel -2");
        wait_input(served, "wheel=-1 wheel=-1 ");
        probe_tell(probe, "button 7");
        wait_input(served, "button=4,1 button=4,0 ");
    }
}

static void test_pointer(void)
{
    g_autoptr(GPtrArray) packets = harness_encode(SC_CODEC_H264, WIDTH, HEIGHT, 1, 1, 1);
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ProbeChild *probe = harness_probe(harness, NULL);
    Served *served = harness_wait_ready(harness, 0);

    harness_send_all(served, packets);
    probe_wait_frame(probe, 1, WIDTH, HEIGHT);
    probe_wait_inputs(probe);
    do_pointer(probe, served, FALSE);
    for (guint i = 0; i < 2; i++) {
        sc_viewer_set_pointer_mode(served->viewer, SC_POINTER_ABSOLUTE);
        probe_wait(probe, "mouse-mode mode=client");
        do_pointer(probe, served, TRUE);
        sc_viewer_set_pointer_mode(served->viewer, SC_POINTER_RELATIVE);
        probe_wait(probe, "mouse-mode mode=server");
        do_pointer(probe, served, FALSE);
    }
}

/* The mode that was set before a client connects is the one it gets. */
static void test_early_pointer(void)
{
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ProbeChild *probe = harness_probe(harness, NULL);
    Served *served = harness_wait_viewer(harness, 0);

    sc_viewer_set_pointer_mode(served->viewer, SC_POINTER_ABSOLUTE);
    probe_wait(probe, "mouse-mode mode=client");
    harness_wait_ready(harness, 0);
    probe_wait_inputs(probe);
    do_pointer(probe, served, TRUE);
}

/* How large the client's window is. */
static void test_window(void)
{
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ProbeChild *probe = harness_probe(harness, NULL);
    Served *served = harness_wait_ready(harness, 0);

    probe_wait_inputs(probe);
    probe_tell(probe, "window 1234 567");
    wait_input(served, "size=1234,567 ");
    /* The mouse's messages go the same way. */
    sc_viewer_set_pointer_mode(served->viewer, SC_POINTER_ABSOLUTE);
    probe_wait(probe, "mouse-mode mode=client");
    probe_tell(probe, "position 10 20");
    wait_input(served, "position=10,20 ");
    probe_tell(probe, "window 800 600");
    wait_input(served, "size=800,600 ");
}

/* Frames as fast as they come, to a client that has stopped. */
static void test_slow(gconstpointer data)
{
    g_autoptr(GPtrArray) packets = harness_encode(SC_CODEC_H264, WIDTH, HEIGHT, 0, 300, 100);
    g_autoptr(Harness) harness = harness_new(data, NULL);
    ProbeChild *probe = harness_probe(harness, NULL);
    Served *served = harness_wait_ready(harness, 0);
    ScOutboxCounts counts, before;
    guint asked;

    sc_viewer_send(served->viewer, g_ptr_array_index(packets, 0));
    probe_wait_frame(probe, 0, WIDTH, HEIGHT);
    probe_signal(probe, SIGSTOP);
    /* On a busy host the queue may fill and drain a few times before the connection is full. */
    for (guint i = 1; i < packets->len || !sc_viewer_is_congested(served->viewer); i++) {
        g_assert_cmpuint(i, <, 100 * packets->len);
        sc_viewer_send(served->viewer, g_ptr_array_index(packets, i % packets->len));
        sc_viewer_get_counts(served->viewer, &counts);
        g_assert_cmpuint(counts.queued, <=, 8);
        harness_iterate();
    }
    g_assert_cmpuint(counts.dropped, >, 0);
    g_assert_true(sc_viewer_is_congested(served->viewer));
    g_assert_false(sc_viewer_is_current(served->viewer));
    asked = served->n_wants_key;
    before = counts;
    served->n_has_room = 0;

    probe_signal(probe, SIGCONT);
    HARNESS_WAIT(served->n_wants_key == asked + 1);
    HARNESS_WAIT(served->n_has_room == 1);
    g_assert_false(sc_viewer_is_congested(served->viewer));
    g_assert_false(sc_viewer_is_current(served->viewer));
    /* Not asked again, and what is no key frame is dropped. */
    sc_viewer_send(served->viewer, g_ptr_array_index(packets, 1));
    harness_run(100 * G_TIME_SPAN_MILLISECOND);
    g_assert_cmpuint(served->n_wants_key, ==, asked + 1);
    sc_viewer_get_counts(served->viewer, &counts);
    g_assert_cmpuint(counts.dropped, ==, before.dropped + 1);

    for (guint i = 200; i < packets->len; i++) {
        HARNESS_WAIT(!sc_viewer_is_congested(served->viewer));
        sc_viewer_send(served->viewer, g_ptr_array_index(packets, i));
    }
    g_assert_true(sc_viewer_is_current(served->viewer));
    probe_wait_frame(probe, 299, WIDTH, HEIGHT);
    g_assert_cmpuint(served->n_closed, ==, 0);
}

/* The end of a client, or of its viewer, in the middle of congestion. */
static void test_congested(gconstpointer data)
{
    const gboolean is_killed = GPOINTER_TO_INT(data);
    g_autoptr(GPtrArray) packets = harness_encode(SC_CODEC_H264, WIDTH, HEIGHT, 0, 1, 1);
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ProbeChild *probe = harness_probe(harness, NULL);
    Served *served = harness_wait_ready(harness, 0);
    ScOutboxCounts counts;

    probe_signal(probe, SIGSTOP);
    do {
        sc_viewer_send(served->viewer, g_ptr_array_index(packets, 0));
        harness_iterate();
        sc_viewer_get_counts(served->viewer, &counts);
    } while (counts.dropped == 0);
    if (is_killed) {
        probe_signal(probe, SIGKILL);
        HARNESS_WAIT(served->n_closed == 1);
        sc_viewer_get_counts(served->viewer, &counts);
        g_assert_cmpuint(counts.queued, ==, 0);
    }
    harness_free_viewer(served);
}

/* A viewer that has stopped takes nothing from another. */
static void test_two(void)
{
    g_autoptr(GPtrArray) packets = harness_encode(SC_CODEC_H264, WIDTH, HEIGHT, 0, 200, 1000);
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ProbeChild *stopped = harness_probe(harness, NULL);
    Served *first = harness_wait_ready(harness, 0);
    ProbeChild *running = harness_probe(harness, NULL);
    Served *second = harness_wait_ready(harness, 1);

    probe_signal(stopped, SIGSTOP);
    for (guint i = 0; i < packets->len; i++) {
        HARNESS_WAIT(!sc_viewer_is_congested(second->viewer));
        sc_viewer_send(first->viewer, g_ptr_array_index(packets, i));
        sc_viewer_send(second->viewer, g_ptr_array_index(packets, i));
    }
    probe_wait_frame(running, packets->len - 1, WIDTH, HEIGHT);
    g_assert_true(sc_viewer_is_current(second->viewer));
    g_assert_false(sc_viewer_is_current(first->viewer));
    probe_signal(stopped, SIGCONT);
}

int main(int argc, char *argv[])
{
    static const PictureCase pictures[] = {
        { "0", NULL, SC_CODEC_H264 },
        { NULL, "--overlay", SC_CODEC_H264 },
        { "0", "--no-h264", SC_CODEC_MJPEG },
    };

    harness_init(&argc, &argv);
    g_test_add_data_func("/viewer/picture/canvas", &pictures[0], test_picture);
    g_test_add_data_func("/viewer/picture/overlay", &pictures[1], test_picture);
    g_test_add_data_func("/viewer/picture/mjpeg", &pictures[2], test_picture);
    g_test_add_data_func("/viewer/single/canvas", NULL, test_single);
    g_test_add_data_func("/viewer/single/overlay", "--overlay", test_single);
    g_test_add_func("/viewer/dropped", test_dropped);
    g_test_add_data_func("/viewer/resize/canvas", NULL, test_resize);
    g_test_add_data_func("/viewer/resize/overlay", "--overlay", test_resize);
    g_test_add_data_func("/viewer/password/right", "correct horse", test_password);
    g_test_add_data_func("/viewer/password/wrong", "wrong", test_password);
    g_test_add_data_func("/viewer/password/none", NULL, test_password);
    g_test_add_func("/viewer/password/bad", test_bad_password);
    g_test_add_data_func("/viewer/closed/quit", GINT_TO_POINTER(0), test_closed);
    g_test_add_data_func("/viewer/closed/killed", GINT_TO_POINTER(SIGKILL), test_closed);
    g_test_add_func("/viewer/closed/by-us", test_disconnected);
    g_test_add_func("/viewer/cursor", test_cursor);
    g_test_add_func("/viewer/keyboard", test_keyboard);
    g_test_add_func("/viewer/keyboard/early", test_early_leds);
    g_test_add_func("/viewer/pointer", test_pointer);
    g_test_add_func("/viewer/pointer/early", test_early_pointer);
    g_test_add_func("/viewer/window", test_window);
    g_test_add_data_func("/viewer/slow/unix", NULL, test_slow);
    g_test_add_data_func("/viewer/slow/tcp", "0", test_slow);
    g_test_add_data_func("/viewer/congested/killed", GINT_TO_POINTER(TRUE), test_congested);
    g_test_add_data_func("/viewer/congested/freed", GINT_TO_POINTER(FALSE), test_congested);
    g_test_add_func("/viewer/two", test_two);
    return g_test_run();
}
