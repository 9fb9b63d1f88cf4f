/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fence on the SPICE link when the VMM does what libspice-server would refuse to (rude-host):
 * every draw is answered once, whatever happens in between, and nothing crashes.
 */
#include "tests/fence/link.h"

#define NOTHING_HAPPENS_US (50 * 1000)

static void wait_all_up(Link *link)
{
    g_free(child_expect(link->host, "up 2"));
    g_free(child_expect(link->host, "up 3"));
    g_free(child_expect(link->host, "up 4"));
}

static Link *rude_link_new(void)
{
    Link *link = link_new_empty("rude-host");

    link_start_host(link);
    link->watcher = watcher_new(link->path);
    wait_all_up(link);
    return link;
}

static void hold_a_draw(Link *link)
{
    link->watcher->hold = TRUE;
    child_ask(link->host, "scanout 320x200 1280 XR24 256000");
    child_ask(link->host, "draw 0 0 320 200");
    wait_until(link->watcher->held->len == 1);
    g_assert_cmpuint(child_count(link->host, "done"), ==, 0);
}

static void assert_late_release_is_silent(Link *link)
{
    g_assert_false(sc_frame_is_awaited(link->watcher->held->pdata[0]));
    watcher_let_go(link->watcher);
    iterate_for(NOTHING_HAPPENS_US);
    g_assert_cmpuint(child_count(link->host, "done"), ==, 1);
}

static void test_replaced_in_mid_draw(void)
{
    Link *link = rude_link_new();

    hold_a_draw(link);
    child_ask(link->host, "scanout 320x200 1280 XR24 256000");
    g_free(child_expect(link->host, "done 1"));
    assert_late_release_is_silent(link);

    link->watcher->hold = FALSE;
    child_ask(link->host, "draw 0 0 320 200");
    g_free(child_expect(link->host, "done 2"));
    link_free(link);
}

static void test_resized_in_mid_draw(void)
{
    Link *link = rude_link_new();

    hold_a_draw(link);
    child_ask(link->host, "scanout 640x400 2560 XR24 1024000");
    g_free(child_expect(link->host, "done 1"));
    wait_until(sc_scanout_get_width(link->watcher->scanout) == 640);
    assert_late_release_is_silent(link);
    link_free(link);
}

static void test_disabled_in_mid_draw(void)
{
    Link *link = rude_link_new();

    hold_a_draw(link);
    child_ask(link->host, "off");
    g_free(child_expect(link->host, "done 1"));
    wait_until(link->watcher->scanout == NULL);
    g_assert_cmpuint(link->watcher->n_dark, ==, 1);
    assert_late_release_is_silent(link);
    link_free(link);
}

static void test_display_closed_in_mid_draw(void)
{
    Link *link = rude_link_new();

    hold_a_draw(link);
    child_ask(link->host, "close 2");
    g_free(child_expect(link->host, "down 2"));
    wait_until(!sc_frame_is_awaited(link->watcher->held->pdata[0]));
    watcher_let_go(link->watcher);
    /* All of the link is made anew, and the first thing on it is no DONE. */
    g_free(child_expect(link->host, "up 2"));
    iterate_for(NOTHING_HAPPENS_US);
    g_assert_cmpuint(child_count(link->host, "done"), ==, 0);
    link->watcher->hold = FALSE;
    child_ask(link->host, "scanout 320x200 1280 XR24 256000");
    child_ask(link->host, "draw 0 0 320 200");
    g_free(child_expect(link->host, "done 1"));
    link_free(link);
}

/* The link is lost as a whole: what is still open of it hears nothing more. */
static void test_main_closed_in_mid_draw(void)
{
    Link *link = rude_link_new();

    hold_a_draw(link);
    child_ask(link->host, "close 1");
    g_free(child_expect(link->host, "down 2"));
    g_assert_false(sc_frame_is_awaited(link->watcher->held->pdata[0]));
    g_assert_cmpuint(child_count(link->host, "done"), ==, 0);
    link_free(link);
}

/* Draws that do not wait for one another are answered each. */
static void test_many_draws_at_once(void)
{
    Link *link = rude_link_new();

    hold_a_draw(link);
    for (int i = 0; i < 99; i++) {
        child_ask(link->host, "draw 0 0 320 200");
    }
    wait_until(link->watcher->held->len == 100);
    for (guint i = 100; i > 0; i--) {
        g_ptr_array_set_size(link->watcher->held, (int)i - 1);
    }
    g_free(child_expect(link->host, "done 100"));
    iterate_for(NOTHING_HAPPENS_US);
    g_assert_cmpuint(child_count(link->host, "done"), ==, 100);
    link_free(link);
}

static void test_draw_without_scanout(void)
{
    Link *link = rude_link_new();

    child_ask(link->host, "draw 0 0 320 200");
    g_free(child_expect(link->host, "done 1"));
    g_assert_cmpuint(link->watcher->n_frames, ==, 0);
    link_free(link);
}

static void test_scanout_without_descriptor(void)
{
    Link *link = rude_link_new();
    guint fds = 0;

    for (guint i = 0; i < 20; i++) {
        g_autofree char *done = g_strdup_printf("done %u", 2 * i + 2);

        child_ask(link->host, "scanout 320x200 1280 XR24 0");
        child_ask(link->host, "draw 0 0 320 200");
        child_ask(link->host, "scanout 320x200 1280 XR24 4096"); /* too small */
        child_ask(link->host, "draw 0 0 320 200");
        g_free(child_expect(link->host, done));
        if (i == 0) {
            fds = count_open_fds();
        }
    }
    g_assert_null(link->watcher->scanout);
    g_assert_cmpuint(link->watcher->warnings->len, ==, 1);
    g_assert_cmpuint(count_open_fds(), ==, fds);
    link_free(link);
}

/* spice-gtk waits for the descriptor then, busily and for ever, and tells nobody anything. */
static void test_ended_before_descriptor(void)
{
    Link *link = rude_link_new();
    guint fds = 0;

    for (int i = 0; i < 3; i++) {
        child_ask(link->host, "scanout 320x200 1280 XR24 256000");
        child_ask(link->host, "cut 320x200 1280 XR24");
        iterate_for(NOTHING_HAPPENS_US);
        child_kill(link->host);
        wait_until(link->watcher->state == SC_SOURCE_CONNECTING);
        link_start_host(link);
        wait_all_up(link);
        wait_until(link->watcher->state == SC_SOURCE_CONNECTED);
        g_hash_table_remove_all(link->watcher->seen);
        iterate_for(NOTHING_HAPPENS_US);
        if (i == 0) {
            fds = count_open_fds();
        }
    }
    g_assert_cmpuint(count_open_fds(), ==, fds);
    link_free(link);
}

/* The same for the display channel alone, and for the source being freed meanwhile. */
static void test_closed_before_descriptor(void)
{
    Link *link = rude_link_new();
    guint iterations = 0;

    child_ask(link->host, "cut 320x200 1280 XR24");
    child_ask(link->host, "close 2");
    wait_until(link->watcher->state == SC_SOURCE_CONNECTING);
    wait_all_up(link);

    child_ask(link->host, "cut 320x200 1280 XR24");
    iterate_for(NOTHING_HAPPENS_US);
    watcher_stop(link->watcher);
    g_free(child_expect(link->host, "down 2"));
    iterate_for(NOTHING_HAPPENS_US);
    for (gint64 end = g_get_monotonic_time() + NOTHING_HAPPENS_US; iterate_until(end);) {
        iterations++;
    }
    g_assert_cmpuint(iterations, <, 100);
    link_free(link);
}

/* Each channel is ended in turn, with and without a frame held, then the whole host. */
static void test_abrupt_ends(void)
{
    Link *link = rude_link_new();

    link->watcher->hold = TRUE;
    for (int i = 0; i < 16; i++) {
        child_ask(link->host, "scanout 320x200 1280 XR24 256000");
        child_ask(link->host, "draw 0 0 320 200");
        if (i % 3 == 0) {
            wait_until(link->watcher->held->len > 0);
        }
        child_ask(link->host, "close %d", 1 + i % 4);
        if (i % 2 == 0) {
            watcher_let_go(link->watcher);
        }
        link_start_host(link);
        wait_all_up(link);
        watcher_let_go(link->watcher);
    }
    link_free(link);
}

static void live_short_lives(Link *link, int n)
{
    for (int i = 0; i < n; i++) {
        watcher_free(link->watcher);
        link->watcher = watcher_new(link->path);
        iterate_for(g_test_rand_int_range(0, 40) * 1000);
    }
    iterate_for(NOTHING_HAPPENS_US);
}

/* The source is freed at any moment of the link's beginning. */
static void test_short_lives(void)
{
    Link *link = rude_link_new();
    guint fds = count_open_fds();

    live_short_lives(link, 60);
    g_clear_pointer(&link->watcher, watcher_free);
    iterate_for(NOTHING_HAPPENS_US);
    link->watcher = watcher_new(link->path);
    wait_until(link->watcher->state == SC_SOURCE_CONNECTED);
    iterate_for(4 * NOTHING_HAPPENS_US);
    g_assert_cmpuint(count_open_fds(), ==, fds);
    link_free(link);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fence/rude/replaced-in-mid-draw", test_replaced_in_mid_draw);
    g_test_add_func("/fence/rude/resized-in-mid-draw", test_resized_in_mid_draw);
    g_test_add_func("/fence/rude/disabled-in-mid-draw", test_disabled_in_mid_draw);
    g_test_add_func("/fence/rude/display-closed-in-mid-draw", test_display_closed_in_mid_draw);
    g_test_add_func("/fence/rude/main-closed-in-mid-draw", test_main_closed_in_mid_draw);
    g_test_add_func("/fence/rude/many-draws-at-once", test_many_draws_at_once);
    g_test_add_func("/fence/rude/draw-without-scanout", test_draw_without_scanout);
    g_test_add_func("/fence/rude/scanout-without-descriptor", test_scanout_without_descriptor);
    g_test_add_func("/fence/rude/ended-before-descriptor", test_ended_before_descriptor);
    g_test_add_func("/fence/rude/closed-before-descriptor", test_closed_before_descriptor);
    g_test_add_func("/fence/rude/abrupt-ends", test_abrupt_ends);
    g_test_add_func("/fence/rude/short-lives", test_short_lives);
    return g_test_run();
}
