/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the SPICE link brings besides the fence: GL scanouts of all sorts, ordinary surfaces and
 * their damage, the change between the two, the pointer; and input the other way.
 */
#include "tests/fence/link.h"

#include "capture/format.h"
#include "capture/pattern.h"

#include <drm_fourcc.h>
#include <malloc.h>

static void assert_damage(Watcher *watcher, int x1, int y1, int x2, int y2)
{
    const pixman_box32_t *box = pixman_region32_extents(&watcher->damage);

    g_assert_cmpint(box->x1, ==, x1);
    g_assert_cmpint(box->y1, ==, y1);
    g_assert_cmpint(box->x2, ==, x2);
    g_assert_cmpint(box->y2, ==, y2);
}

/* ---- GL ---- */

static void test_gl_layouts(void)
{
    static const char *const fourccs[] = { "XR24", "AR24", "XB24", "AB24" };
    Link *link = link_new();
    Watcher *watcher = link->watcher;

    for (gsize i = 0; i < G_N_ELEMENTS(fourccs); i++) {
        g_autofree char *name = NULL;

        child_ask(link->host, "buffers 1 %dx201 %s", 320 + 2 * (int)i, fourccs[i]);
        child_ask(link->host, "fill 0 %d", 40 + (int)i);
        child_ask(link->host, "scanout 0");
        child_ask(link->host, "draw %d", (int)i);
        g_free(child_expect(link->host, "done"));
        name = sc_format_name(sc_scanout_get_fourcc(watcher->scanout));
        g_assert_cmpstr(name, ==, fourccs[i]);
        g_assert_cmpuint(sc_scanout_get_width(watcher->scanout), ==, 320 + 2 * i);
        g_assert_cmpuint(sc_scanout_get_height(watcher->scanout), ==, 201);
        g_assert_false(sc_scanout_is_bottom_up(watcher->scanout));
        g_assert_cmpuint(watcher_read_number(watcher), ==, 40 + i);
        g_assert_cmpuint(sc_dmabuf_get_layout(sc_scanout_get_dmabuf(watcher->scanout))->modifier,
                         ==, DRM_FORMAT_MOD_INVALID);
    }
    link_free(link);
}

static void test_gl_bottom_up(void)
{
    Link *link = link_new();

    child_ask(link->host, "buffers 1 320x200");
    child_ask(link->host, "scanout 0 bottom-up");
    child_ask(link->host, "draw 1");
    g_free(child_expect(link->host, "done"));
    g_assert_true(sc_scanout_is_bottom_up(link->watcher->scanout));
    child_ask(link->host, "scanout 0");
    child_ask(link->host, "draw 2");
    g_free(child_expect(link->host, "done 2"));
    g_assert_false(sc_scanout_is_bottom_up(link->watcher->scanout));
    link_free(link);
}

static void test_gl_damage(void)
{
    Link *link = link_new();

    child_ask(link->host, "buffers 1 320x200");
    child_ask(link->host, "scanout 0");
    /* The first frame of a new scanout is all of it, whatever was drawn. */
    child_ask(link->host, "draw 1 10 20 30 40");
    g_free(child_expect(link->host, "done 1"));
    assert_damage(link->watcher, 0, 0, 320, 200);
    child_ask(link->host, "draw 2 10 20 30 40");
    g_free(child_expect(link->host, "done 2"));
    assert_damage(link->watcher, 10, 20, 40, 60);
    /* Beyond the edge, and then nothing at all: cut, and answered. */
    child_ask(link->host, "draw 3 300 190 4294967295 4294967295");
    g_free(child_expect(link->host, "done 3"));
    assert_damage(link->watcher, 300, 190, 320, 200);
    child_ask(link->host, "draw 4 4294967295 0 5 5");
    g_free(child_expect(link->host, "done 4"));
    child_ask(link->host, "draw 5 0 0 0 0");
    g_free(child_expect(link->host, "done 5"));
    g_assert_cmpuint(link->watcher->n_frames, ==, 3);
    link_free(link);
}

/* We connect to a guest that draws nothing: its picture comes nevertheless, and nobody waits. */
static void test_gl_idle_guest(void)
{
    Link *link = link_new_empty("gl-host");

    link_start_host(link);
    child_ask(link->host, "buffers 1 320x200");
    child_ask(link->host, "fill 0 99");
    child_ask(link->host, "scanout 0");
    link->watcher = watcher_new(link->path);
    wait_until(link->watcher->scanout != NULL && watcher_read_number(link->watcher) == 99);
    link->watcher->n_frames = 0;
    wait_until(link->watcher->n_frames == 1);
    g_assert_cmpuint(link->watcher->n_awaited, ==, 0);
    link_free(link);
}

/* Nonsense costs a warning and the picture, not the guest. */
static void test_gl_nonsense(void)
{
    static const struct {
        const char *offer, *warning;
    } cases[] = {
        { "offer 0x200 1280 XR24 256000", "0x200" },
        { "offer 320x4000000000 1280 XR24 256000", "320x4000000000" },
        { "offer 320x200 4 XR24 256000", "stride of 4 bytes" },
        { "offer 320x200 1280 XR24 4096", "do not fit into 4096" },
        { "offer 320x200 4294967295 XR24 256000", "do not fit" },
    };
    Link *link = link_new();
    Watcher *watcher = link->watcher;

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        guint n_warnings = watcher->warnings->len;

        child_ask(link->host, "buffers 1 320x200");
        child_ask(link->host, "scanout 0");
        child_ask(link->host, "draw 1 0 0 320 200");
        g_free(child_expect(link->host, "done 1 "));
        for (int repeat = 0; repeat < 3; repeat++) {
            child_ask(link->host, "%s", cases[i].offer);
            child_ask(link->host, "draw 2 0 0 320 200");
            g_free(child_expect(link->host, "done 2 "));
        }
        g_assert_null(watcher->scanout);
        g_assert_true(watcher_was_warned(watcher, cases[i].warning));
        g_assert_cmpuint(watcher->warnings->len, ==, n_warnings + 1);
    }
    g_assert_cmpuint(child_count(link->host, "channel 2 down"), ==, 0);
    link_free(link);
}

/* What only shows when somebody reads: the source passes it on, the reader gets an error. */
static void test_gl_unreadable(void)
{
    static const char *const offers[] = {
        "offer-pipe 320x200 1280 XR24",
        "offer 320x200 1280 NV12 256000",
        "offer 320x200 1280 ???? 256000",
    };
    Link *link = link_new();
    guint fds = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(offers); i++) {
        g_autoptr(GError) error = NULL;
        ScPixels pixels;

        child_ask(link->host, "%s", offers[i]);
        child_ask(link->host, "draw 1 0 0 320 200");
        g_free(child_expect(link->host, "done 1 "));
        g_assert_nonnull(link->watcher->scanout);
        g_assert_false(sc_scanout_begin_read(link->watcher->scanout, &pixels, &error));
        g_assert_nonnull(error);
        g_hash_table_remove_all(link->watcher->seen);
        if (i == 0) {
            fds = count_open_fds();
        }
    }
    g_assert_cmpuint(count_open_fds(), ==, fds);
    link_free(link);
}

/* ---- surfaces ---- */

static void test_surface(void)
{
    Link *link = link_new();
    Watcher *watcher = link->watcher;

    child_ask(link->host, "paint 11");
    wait_until(watcher_read_number(watcher) == 11);
    g_assert_cmpuint(sc_scanout_get_width(watcher->scanout), ==, 640);
    g_assert_cmpuint(sc_scanout_get_height(watcher->scanout), ==, 480);
    g_assert_null(sc_scanout_get_dmabuf(watcher->scanout));
    g_assert_cmpuint(watcher->n_awaited, ==, 0);
    iterate_for(50 * 1000);

    /* Damage is what was drawn. */
    watcher->n_frames = 0;
    child_ask(link->host, "rect 100 50 20 10 ff0000");
    wait_until(watcher->n_frames == 1);
    assert_damage(watcher, 100, 50, 120, 60);
    link_free(link);
}

static void test_surface_small_updates_are_one_frame(void)
{
    Link *link = link_new();
    Watcher *watcher = link->watcher;

    child_ask(link->host, "paint 11");
    wait_until(watcher_read_number(watcher) == 11);
    iterate_for(50 * 1000);
    watcher->n_frames = 0;
    for (int i = 0; i < 100; i++) {
        child_say(link->host, "rect %d 300 2 2 %06x", 4 * i, i);
    }
    wait_until(child_count(link->host, "ok") == 102);
    iterate_for(50 * 1000);
    g_assert_cmpuint(watcher->n_frames, >, 0);
    g_assert_cmpuint(watcher->n_frames, <, 50);
    link_free(link);
}

/* A new resolution: the old picture stays readable, the output does not go dark in between. */
static void test_surface_resize(void)
{
    Link *link = link_new();
    Watcher *watcher = link->watcher;
    ScScanout *old;
    ScPixels pixels;
    g_autoptr(GError) error = NULL;

    child_ask(link->host, "paint 11");
    wait_until(watcher_read_number(watcher) == 11);
    old = sc_scanout_ref(watcher->scanout);

    child_ask(link->host, "no-primary");
    child_ask(link->host, "primary 800x600");
    child_ask(link->host, "paint 12");
    wait_until(watcher->scanout != old && watcher_read_number(watcher) == 12);
    g_assert_cmpuint(sc_scanout_get_width(watcher->scanout), ==, 800);
    g_assert_cmpuint(watcher->n_dark, ==, 0);
    sc_scanout_begin_read(old, &pixels, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(pattern_read((const guint32 *)pixels.data, pixels.stride, 640, 480), ==, 11);
    sc_scanout_end_read(old);
    sc_scanout_unref(old);

    /* For good. */
    child_ask(link->host, "no-primary");
    wait_until(watcher->scanout == NULL);
    g_assert_cmpuint(watcher->n_dark, ==, 1);
    link_free(link);
}

static void test_surface_16_bits(void)
{
    Link *link = link_new();

    child_ask(link->host, "primary 320x200 16");
    wait_until(sc_scanout_get_fourcc(link->watcher->scanout) == DRM_FORMAT_XRGB1555);
    child_ask(link->host, "rect 0 0 320 200 ff0000");
    iterate_for(50 * 1000);
    {
        g_autoptr(GError) error = NULL;
        ScPixels pixels;

        sc_scanout_begin_read(link->watcher->scanout, &pixels, &error);
        g_assert_no_error(error);
        for (int y = 0; y < 200; y++) {
            const guint16 *row = (const guint16 *)(pixels.data + y * pixels.stride);

            g_assert_cmphex(row[0], ==, 0x7c00);
            g_assert_cmphex(row[319], ==, 0x7c00);
        }
        sc_scanout_end_read(link->watcher->scanout);
    }
    link_free(link);
}

static void test_surface_survives_host(void)
{
    Link *link = link_new();
    Watcher *watcher = link->watcher;

    child_ask(link->host, "paint 21");
    wait_until(watcher_read_number(watcher) == 21);
    child_kill(link->host);
    wait_until(watcher->state == SC_SOURCE_CONNECTING);
    iterate_for(300 * 1000);
    g_assert_cmpuint(watcher_read_number(watcher), ==, 21);
    g_assert_cmpuint(watcher->n_dark, ==, 0);

    link_start_host(link);
    child_ask(link->host, "primary 320x200");
    child_ask(link->host, "paint 22");
    wait_until(watcher_read_number(watcher) == 22);
    link_free(link);
}

/* Firmware, then a driver with GL, then firmware again, and so on. */
static void test_gl_and_surface_in_turn(void)
{
    Link *link = link_new();
    Watcher *watcher = link->watcher;

    for (int i = 0; i < 3; i++) {
        child_ask(link->host, "paint %d", 100 + i);
        wait_until(watcher_read_number(watcher) == 100u + (guint)i);
        g_assert_null(sc_scanout_get_dmabuf(watcher->scanout));

        child_ask(link->host, "buffers 2 800x600");
        child_ask(link->host, "run 3");
        g_free(child_expect(link->host, "ran 3"));
        g_assert_nonnull(sc_scanout_get_dmabuf(watcher->scanout));
        g_assert_cmpuint(watcher_read_number(watcher), ==, 3 * (i + 1));
        child_ask(link->host, "disable");
    }

    /* Back on the scanout that was there before, the first frame is a whole one. */
    child_ask(link->host, "scanout 0");
    child_ask(link->host, "draw 1001 0 0 10 10");
    g_free(child_expect(link->host, "done 1001 "));
    child_ask(link->host, "paint 200");
    wait_until(watcher_read_number(watcher) == 200);
    child_ask(link->host, "draw 1002 0 0 10 10");
    g_free(child_expect(link->host, "done 1002 "));
    assert_damage(watcher, 0, 0, 800, 600);
    link_free(link);
}

/* ---- the pointer ---- */

static void test_cursor(void)
{
    Link *link = link_new();
    Watcher *watcher = link->watcher;

    child_ask(link->host, "cursor 32 24 3 4 80402010");
    wait_until(watcher->cursor != NULL);
    g_assert_cmpuint(sc_cursor_get_width(watcher->cursor), ==, 32);
    g_assert_cmpuint(sc_cursor_get_height(watcher->cursor), ==, 24);
    g_assert_cmpuint(sc_cursor_get_hot_x(watcher->cursor), ==, 3);
    g_assert_cmpuint(sc_cursor_get_hot_y(watcher->cursor), ==, 4);
    g_assert_cmphex(sc_cursor_get_argb(watcher->cursor)[0], ==, 0x80402010);
    g_assert_cmphex(sc_cursor_get_argb(watcher->cursor)[32 * 24 - 1], ==, 0x80402010);

    child_ask(link->host, "cursor-at 200 100");
    wait_until(watcher->cursor_x == 200 && watcher->cursor_y == 100);
    child_ask(link->host, "cursor-hide");
    wait_until(watcher->cursor == NULL);
    child_ask(link->host, "cursor-at 201 100");
    wait_until(watcher->cursor != NULL && watcher->cursor_x == 201);

    /* Colours above their alpha: not multiplied yet. */
    child_ask(link->host, "cursor 16 16 0 0 80ffffff");
    wait_until(sc_cursor_get_width(watcher->cursor) == 16);
    g_assert_cmphex(sc_cursor_get_argb(watcher->cursor)[0], ==, 0x80808080);

    child_ask(link->host, "cursor 600 600 0 0 ff000000");
    wait_until(watcher->cursor == NULL);
    g_assert_true(watcher_was_warned(watcher, "600x600"));
    link_free(link);
}

/* ---- input ---- */

static void expect(Link *link, const char *line)
{
    g_autofree char *rest = child_expect(link->host, line);

    g_assert_cmpstr(rest, ==, "");
}

static void test_keyboard(void)
{
    Link *link = link_new();
    ScSource *source = link->watcher->source;

    wait_until(link->watcher->leds != (ScLeds)-1);
    sc_source_send_key(source, 0x1e, TRUE);
    expect(link, "key 1e");
    sc_source_send_key(source, 0x1e, FALSE);
    expect(link, "key 9e");
    sc_source_send_key(source, 0x14b, TRUE); /* cursor left */
    expect(link, "key e0");
    expect(link, "key 4b");
    sc_source_send_key(source, 0x14b, FALSE);
    expect(link, "key e0");
    expect(link, "key cb");
    link_free(link);
}

static void test_leds(void)
{
    Link *link = link_new_empty("gl-host");

    /* Connecting changes nothing: no key is pressed to switch the guest's lamps. */
    link_start_host(link);
    child_ask(link->host, "leds 2");
    link->watcher = watcher_new(link->path);
    wait_until(link->watcher->leds == SC_LED_NUM_LOCK);
    iterate_for(50 * 1000);
    g_assert_cmpuint(child_count(link->host, "key"), ==, 0);

    child_ask(link->host, "leds 6");
    wait_until(link->watcher->leds == (SC_LED_NUM_LOCK | SC_LED_CAPS_LOCK));
    child_ask(link->host, "leds 0");
    wait_until(link->watcher->leds == 0);

    /* The viewer's caps lock is on: libspice-server presses the key for us. */
    sc_source_send_leds(link->watcher->source, SC_LED_CAPS_LOCK);
    expect(link, "key 3a");
    expect(link, "key ba");
    link_free(link);
}

static void test_pointer(void)
{
    Link *link = link_new();
    Watcher *watcher = link->watcher;
    ScSource *source = watcher->source;

    wait_until(watcher->leds != (ScLeds)-1);
    wait_until(watcher->pointer_mode == SC_POINTER_RELATIVE);
    sc_source_send_motion(source, 5, -7);
    expect(link, "motion 5 -7 0 0");
    sc_source_send_position(source, 10, 20); /* wrong mode: nothing */
    sc_source_send_button(source, SC_BUTTON_LEFT, TRUE);
    expect(link, "motion 0 0 0 1");
    sc_source_send_button(source, SC_BUTTON_RIGHT, TRUE);
    expect(link, "motion 0 0 0 3");
    sc_source_send_motion(source, 1, 1);
    expect(link, "motion 1 1 0 3");
    sc_source_send_button(source, SC_BUTTON_LEFT, FALSE);
    expect(link, "buttons 2");
    sc_source_send_button(source, SC_BUTTON_RIGHT, FALSE);
    expect(link, "buttons 0");
    sc_source_send_wheel(source, -1);
    expect(link, "motion 0 0 -1 0");
    g_assert_cmpuint(child_count(link->host, "position"), ==, 0);

    /* The guest's tablet comes up. */
    child_ask(link->host, "tablet on");
    wait_until(watcher->pointer_mode == SC_POINTER_ABSOLUTE);
    sc_source_send_position(source, 10, 20);
    expect(link, "position 10 20 0");
    sc_source_send_button(source, SC_BUTTON_EXTRA, TRUE);
    sc_source_send_position(source, 639, 479);
    g_free(child_expect(link->host, "position 639 479 "));
    sc_source_send_wheel(source, 2);
    expect(link, "wheel 1");
    expect(link, "wheel 1");
    child_ask(link->host, "tablet off");
    wait_until(watcher->pointer_mode == SC_POINTER_RELATIVE);
    link_free(link);
}

/* Input while there is no link, or half of one, is ignored. */
static void test_input_without_link(void)
{
    Link *link = link_new_empty("gl-host");

    link->watcher = watcher_new(link->path);
    for (int i = 0; i < 200; i++) {
        ScSource *source = link->watcher->source;

        sc_source_send_key(source, 0x1e, i % 2);
        sc_source_send_motion(source, 1, 1);
        sc_source_send_position(source, 1, 1);
        sc_source_send_button(source, SC_BUTTON_LEFT, i % 2);
        sc_source_send_wheel(source, 1);
        sc_source_send_leds(source, SC_LED_NUM_LOCK);
        if (i == 20) {
            link_start_host(link);
        }
        if (i == 150) {
            child_kill(link->host);
        }
        iterate_for(2000);
    }
    link_free(link);
}

int main(int argc, char **argv)
{
    mallopt(M_PERTURB, 0x5a); /* so that a picture in freed memory is not right by chance */
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/link/gl/layouts", test_gl_layouts);
    g_test_add_func("/link/gl/bottom-up", test_gl_bottom_up);
    g_test_add_func("/link/gl/damage", test_gl_damage);
    g_test_add_func("/link/gl/idle-guest", test_gl_idle_guest);
    g_test_add_func("/link/gl/nonsense", test_gl_nonsense);
    g_test_add_func("/link/gl/unreadable", test_gl_unreadable);
    g_test_add_func("/link/surface/plain", test_surface);
    g_test_add_func("/link/surface/small-updates", test_surface_small_updates_are_one_frame);
    g_test_add_func("/link/surface/resize", test_surface_resize);
    g_test_add_func("/link/surface/16-bits", test_surface_16_bits);
    g_test_add_func("/link/surface/survives-host", test_surface_survives_host);
    g_test_add_func("/link/gl-and-surface-in-turn", test_gl_and_surface_in_turn);
    g_test_add_func("/link/cursor", test_cursor);
    g_test_add_func("/link/input/keyboard", test_keyboard);
    g_test_add_func("/link/input/leds", test_leds);
    g_test_add_func("/link/input/pointer", test_pointer);
    g_test_add_func("/link/input/without-link", test_input_without_link);
    return g_test_run();
}
