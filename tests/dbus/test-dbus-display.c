/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a listener of the D-Bus display makes of calls that show pixels and shared memory: nothing
 * is lost, only the newest is kept, and nonsense costs no more than the picture. And the pointer.
 */
#include "tests/dbus/pair.h"

#include "capture/error.h"
#include "capture/format.h"
#include "capture/pattern.h"

#include <drm_fourcc.h>
#include <pixman.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 320
#define HEIGHT 200

static GVariant *update_arguments(guint32 number, guint x, guint y, guint width, guint height)
{
    return g_variant_new("(iiiiuu@ay)", x, y, width, height, width * 4, XRGB,
                         played_part(WIDTH, HEIGHT, number, x, y, width, height));
}

static void read_pixels(Watcher *watcher, guint32 *to)
{
    g_autoptr(GError) error = NULL;
    ScPixels pixels;

    g_assert_true(sc_scanout_begin_read(watcher->scanout, &pixels, &error));
    for (int y = 0; y < HEIGHT; y++) {
        memcpy(to + y * WIDTH, pixels.data + y * pixels.stride, WIDTH * 4);
    }
    sc_scanout_end_read(watcher->scanout);
}

static void assert_shows(Watcher *watcher, guint32 number)
{
    g_autofree guint32 *wanted = g_new(guint32, WIDTH * HEIGHT);
    g_autofree guint32 *shown = g_new(guint32, WIDTH * HEIGHT);

    pattern_draw(wanted, WIDTH * 4, WIDTH, HEIGHT, number);
    read_pixels(watcher, shown);
    g_assert_cmpmem(shown, WIDTH * HEIGHT * 4, wanted, WIDTH * HEIGHT * 4);
}

/* Any bytes. */
static GVariant *bytes(gsize size)
{
    guint8 *data = g_malloc0(size + 1);

    return g_variant_new_from_data(G_VARIANT_TYPE_BYTESTRING, data, size, TRUE, g_free, data);
}

/* ---- pixels ---- */

static void test_scanout_and_updates(void)
{
    Pair *pair = pair_new();
    Watcher *watcher = pair->watcher;
    ScScanout *first, *second;

    g_assert_cmpstr(pair->qemu->interfaces[0], ==, "org.qemu.Display1.Listener.Unix.Map");
    g_assert_cmpstr(pair->qemu->interfaces[1], ==,
                    "org.qemu.Display1.Listener.Unix.ScanoutDMABUF2");
    pair_show_pixels(pair, WIDTH, HEIGHT, 7);
    assert_damage(watcher, 0, 0, WIDTH, HEIGHT);
    g_assert_cmpuint(watcher->n_awaited, ==, 0);
    assert_shows(watcher, 7);
    first = sc_scanout_ref(watcher->scanout);

    /* The bits of frame 7 in the picture of frame 8, then all the rest. */
    watcher->n_frames = 0;
    played_do(pair->qemu, "Update", update_arguments(8, 0, 0, WIDTH, 32), -1);
    wait_until(watcher->n_frames == 1);
    assert_damage(watcher, 0, 0, WIDTH, 32);
    g_assert_cmpuint(watcher_read_number(watcher), ==, 8);
    second = watcher->scanout;
    played_do(pair->qemu, "Update", update_arguments(8, 0, 32, WIDTH, HEIGHT - 32), -1);
    wait_until(watcher->n_frames == 2);
    assert_shows(watcher, 8);
    g_assert_true(watcher->scanout == second);

    /* Whoever kept the first one still sees what it showed. */
    g_clear_pointer(&watcher->scanout, sc_scanout_unref);
    watcher->scanout = first;
    assert_shows(watcher, 7);
    watcher->scanout = NULL;
    sc_scanout_unref(first);
    pair_free(pair);
}

static void test_formats(void)
{
    static const struct {
        guint32 pixman, fourcc;
        guint bytes;
    } formats[] = {
        { PIXMAN_a8r8g8b8, DRM_FORMAT_XRGB8888, 4 }, { PIXMAN_x8b8g8r8, DRM_FORMAT_XBGR8888, 4 },
        { PIXMAN_b8g8r8a8, DRM_FORMAT_BGRX8888, 4 }, { PIXMAN_r5g6b5, DRM_FORMAT_RGB565, 2 },
        { PIXMAN_r8g8b8, DRM_FORMAT_RGB888, 3 },
    };
    Pair *pair = pair_new();

    for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
        guint stride = 65 * formats[i].bytes + 3; /* an odd size, rows with padding */
        gsize size = (gsize)stride * 33;
        g_autofree guint8 *pixels = g_malloc(size);
        ScPixels read;

        for (gsize j = 0; j < size; j++) {
            pixels[j] = (guint8)(j * 7 + i);
        }
        played_do(pair->qemu, "Scanout",
                  g_variant_new("(uuuu@ay)", 65, 33, stride, formats[i].pixman,
                                g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, pixels, size, 1)),
                  -1);
        wait_until(pair->watcher->n_frames == i + 1);
        g_assert_cmphex(sc_scanout_get_fourcc(pair->watcher->scanout), ==, formats[i].fourcc);
        g_assert_true(sc_scanout_begin_read(pair->watcher->scanout, &read, NULL));
        g_assert_cmpint(read.stride, ==, (int)stride);
        g_assert_cmpmem(read.data, size, pixels, size);
        sc_scanout_end_read(pair->watcher->scanout);
    }
    pair_free(pair);
}

/* AddressSanitizer keeps what was freed for a while. */
#ifdef __SANITIZE_ADDRESS__
#define MEMORY_SLACK (500 * 1000 * 1000)
#else
#define MEMORY_SLACK 0
#endif

static gsize resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    gsize pages;

    g_assert_nonnull(file);
    g_assert_cmpint(fscanf(file, "%*u %zu", &pages), ==, 1);
    fclose(file);
    return pages * (gsize)sysconf(_SC_PAGESIZE);
}

/* The main loop stands still while a guest draws like mad: one picture is kept, the newest. */
static void test_flood_of_scanouts(void)
{
    Pair *pair = pair_new();
    gsize before;

    pair_show_pixels(pair, 1280, 800, 0);
    pair->watcher->n_frames = 0;
    before = resident_bytes();
    for (guint32 i = 1; i <= 100; i++) {
        played_say(pair->qemu, "Scanout", scanout_arguments(1280, 800, i), -1);
        played_flush(pair->qemu);
    }
    wait_until(watcher_read_number(pair->watcher) == 100);
    g_assert_cmpuint(pair->watcher->n_frames, <, 5);
    /* 100 pictures have 400 MB. */
    g_assert_cmpuint(resident_bytes(), <, before + 40 * 1000 * 1000 + MEMORY_SLACK);
    pair_free(pair);
}

static void send_scanouts(Pair *pair, guint n)
{
    for (guint32 i = 1; i <= n; i++) {
        played_say(pair->qemu, "Scanout", scanout_arguments(1280, 800, i), -1);
        played_flush(pair->qemu);
    }
}

static gboolean shows_number(Pair *pair, guint32 number)
{
    return pair->watcher->scanout != NULL && watcher_read_number(pair->watcher) == number;
}

/* A QEMU whose queue grows is asked for another listener, which has it forget the queue; one whose
 * queue does not, or that drops by itself what is obsolete, is not. */
static void test_backlog(void)
{
    static const struct {
        gboolean is_old, is_swamped;
    } cases[] = { { FALSE, TRUE }, { TRUE, FALSE }, { TRUE, TRUE } };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        Pair *pair = pair_new_empty();

        pair->qemu->is_old = cases[i].is_old;
        pair->qemu->is_swamped = cases[i].is_swamped;
        played_qemu_start(pair->qemu);
        pair->watcher = watcher_new_at(pair->qemu->location);
        played_qemu_wait_listener(pair->qemu);
        wait_until(pair->watcher->n_connected == 1);
        send_scanouts(pair, 20); /* 80 MB */
        if (cases[i].is_old && cases[i].is_swamped) {
            wait_until(pair->qemu->n_listeners == 2);
            send_scanouts(pair, 5);
        }
        wait_until(shows_number(pair, i == 2 ? 5 : 20));
        iterate_for(100 * 1000);
        g_assert_cmpuint(pair->qemu->n_listeners, ==, i == 2 ? 2 : 1);
        g_assert_cmpuint(pair->watcher->n_connected, ==, 1);
        g_assert_cmpuint(pair->watcher->n_dark, ==, 0);
        pair_free(pair);
    }
}

/* Where no other listener can be had, no pictures are better than a queue without a limit. */
static void test_backlog_without_a_link(void)
{
    Pair *pair = pair_new_empty();

    pair->qemu->is_old = TRUE;
    pair->qemu->is_swamped = TRUE;
    played_qemu_start(pair->qemu);
    pair->watcher = watcher_new_at(pair->qemu->location);
    played_qemu_wait_listener(pair->qemu);
    wait_until(pair->watcher->n_connected == 1);
    pair_show_pixels(pair, WIDTH, HEIGHT, 1);
    played_qemu_drop_control(pair->qemu);
    wait_until(pair->watcher->state == SC_SOURCE_CONNECTING);
    send_scanouts(pair, 20);
    wait_until(watcher_was_told(pair->watcher, "pictures stop"));
    g_assert_cmpuint(pair->watcher->n_dark, ==, 0);
    played_qemu_wait_listener(pair->qemu);
    wait_until(pair->watcher->n_connected == 2);
    pair_show_pixels(pair, WIDTH, HEIGHT, 2);
    pair_free(pair);
}

/* The same with changes of rectangles: all of them are seen, in few frames and little memory. */
static void test_flood_of_updates(void)
{
    Pair *pair = pair_new();
    gsize before;

    pair_show_pixels(pair, WIDTH, HEIGHT, 0);
    pair->watcher->n_frames = 0;
    before = resident_bytes();
    for (guint32 i = 1; i <= 2000; i++) {
        guint y = i % 10 * 20;

        /* Each row is drawn 200 times; the last ten times are frame 1000's. */
        played_say(pair->qemu, "Update", update_arguments(i > 1990 ? 1000 : i, 0, y, WIDTH, 20),
                   -1);
    }
    played_flush(pair->qemu);
    wait_until(watcher_read_number(pair->watcher) == 1000);
    iterate_for(50 * 1000);
    assert_shows(pair->watcher, 1000);
    g_assert_cmpuint(pair->watcher->n_frames, <, 100);
    g_assert_cmpuint(resident_bytes(), <, before + 20 * 1000 * 1000 + MEMORY_SLACK);
    pair_free(pair);
}

/* A change of what is obsolete is not drawn into what came after it. */
static void test_order(void)
{
    Pair *pair = pair_new();

    for (guint32 i = 0; i < 20; i++) {
        played_say(pair->qemu, "Scanout", scanout_arguments(WIDTH, HEIGHT, 3), -1);
        played_say(pair->qemu, "Update", update_arguments(4, 0, 0, WIDTH, HEIGHT), -1);
        played_say(pair->qemu, "Scanout", scanout_arguments(WIDTH, HEIGHT, i), -1);
        played_flush(pair->qemu);
        if (i % 2 == 0) {
            g_usleep(1000);
        }
        pair->watcher->n_frames = 0;
        wait_until(pair->watcher->n_frames > 0 && watcher_read_number(pair->watcher) == i);
        iterate_for(5 * 1000);
        assert_shows(pair->watcher, i);
    }
    pair_free(pair);
}

/* ---- shared memory ---- */

static GVariant *map_arguments(guint offset, guint width, guint height, guint stride)
{
    return g_variant_new("(huuuuu)", 0, offset, width, height, stride, XRGB);
}

static void test_map(void)
{
    Pair *pair = pair_new();
    Watcher *watcher = pair->watcher;
    int fds[] = { played_buffer(WIDTH, HEIGHT, 1408, 5), played_buffer(WIDTH, HEIGHT, 1408, 6) };

    for (int i = 0; i < 6; i++) {
        watcher->n_frames = 0;
        played_do(pair->qemu, "ScanoutMap", map_arguments(0, WIDTH, HEIGHT, 1408), fds[i % 2]);
        played_do(pair->qemu, "UpdateMap", g_variant_new("(iiii)", 0, 0, WIDTH, HEIGHT), -1);
        wait_until(watcher->n_frames == 1);
        assert_shows(watcher, 5 + (guint)i % 2);
    }
    g_assert_null(sc_scanout_get_dmabuf(watcher->scanout));
    g_assert_cmpuint(g_hash_table_size(watcher->seen), ==, 2);
    g_assert_cmpuint(watcher->n_awaited, ==, 0);

    played_do(pair->qemu, "UpdateMap", g_variant_new("(iiii)", 10, 20, 30, 40), -1);
    wait_until(watcher->n_frames == 2);
    assert_damage(watcher, 10, 20, 40, 60);
    played_do(pair->qemu, "UpdateMap", g_variant_new("(iiii)", -10, -10, G_MAXINT32, 11), -1);
    wait_until(watcher->n_frames == 3);
    assert_damage(watcher, 0, 0, WIDTH, 1);
    close(fds[0]);
    close(fds[1]);
    pair_free(pair);
}

/* QEMU draws nothing when we come: what is there is shown. */
static void test_map_undrawn(void)
{
    Pair *pair = pair_new();
    int fd = played_buffer(WIDTH, HEIGHT, WIDTH * 4, 9);

    played_do(pair->qemu, "ScanoutMap", map_arguments(0, WIDTH, HEIGHT, WIDTH * 4), fd);
    wait_until(pair->watcher->n_frames == 1);
    assert_shows(pair->watcher, 9);
    close(fd);
    pair_free(pair);
}

static void expect_refusal(Pair *pair, const char *method, GVariant *arguments, int fd,
                           const char *part)
{
    PlayedCall *call = fd >= 0 ? played_call(pair->qemu, method, arguments, fd, -1)
                               : played_call_no_fd(pair->qemu, method, arguments);

    wait_until(call->done);
    g_assert_nonnull(call->error);
    g_test_message("refused: %s", call->error);
    if (part != NULL) {
        g_assert_nonnull(strstr(call->error, part));
    }
    played_call_free(call);
}

/* QEMU then sends pixels instead, so it must be told. */
static void test_map_nonsense(void)
{
    Pair *pair = pair_new();
    int fd = played_buffer(WIDTH, HEIGHT, WIDTH * 4, 9);
    int none = -1;

    expect_refusal(pair, "ScanoutMap", map_arguments(4, WIDTH, HEIGHT, WIDTH * 4), fd, "fit");
    expect_refusal(pair, "ScanoutMap", map_arguments(G_MAXUINT32, 1, 1, 4), fd, "past");
    expect_refusal(pair, "ScanoutMap", map_arguments(0, 0, HEIGHT, WIDTH * 4), fd, "0x200");
    expect_refusal(pair, "ScanoutMap", map_arguments(0, WIDTH, HEIGHT, G_MAXINT32), fd, "fit");
    expect_refusal(pair, "ScanoutMap", map_arguments(0, WIDTH, HEIGHT, WIDTH * 4), none,
                   "descriptor");
    expect_refusal(pair, "ScanoutMap", g_variant_new("(huuuuu)", -1, 0, 1, 1, 4, XRGB), fd,
                   "descriptor");
    expect_refusal(pair, "ScanoutMap", g_variant_new("(huuuuu)", 0, 0, 1, 1, 4, 1), fd, "0x1");
    g_assert_null(pair->watcher->scanout);
    pair_show_pixels(pair, WIDTH, HEIGHT, 11);
    close(fd);
    pair_free(pair);
}

/* ---- nonsense ---- */

/* A scanout that cannot be shown is warned of once, and switches the picture off. */
static void test_pixels_nonsense(void)
{
    static const struct {
        guint32 width, height, stride, format;
        gsize size;
        const char *warning;
    } cases[] = {
        { 0, 200, 1280, XRGB, 256000, "0x200" },
        { 320, 4000000000, 1280, XRGB, 256000, "320x4000000000" },
        { 320, 200, 4, XRGB, 256000, "stride of 4 bytes" },
        { 320, 200, G_MAXINT32, XRGB, 256000, "do not fit" },
        { 320, 1, G_MAXUINT32, XRGB, 256000, "stride of 4294967295 bytes" },
        { 320, 200, 1280, XRGB, 255999, "do not fit into 255999" },
        { 320, 200, 1280, XRGB, 0, "do not fit into 0" },
        { 320, 200, 1280, 0xffffffff, 256000, "0xffffffff" },
    };
    Pair *pair = pair_new();
    Watcher *watcher = pair->watcher;

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        guint n_warnings = watcher->warnings->len;

        pair_show_pixels(pair, WIDTH, HEIGHT, 1);
        for (int repeat = 0; repeat < 3; repeat++) {
            played_do(pair->qemu, "Scanout",
                      g_variant_new("(uuuu@ay)", cases[i].width, cases[i].height, cases[i].stride,
                                    cases[i].format, bytes(cases[i].size)),
                      -1);
            played_do(pair->qemu, "Update", update_arguments(1, 0, 0, 10, 10), -1);
            wait_until(watcher->scanout == NULL);
        }
        g_assert_true(watcher_was_warned(watcher, cases[i].warning));
        g_assert_cmpuint(watcher->warnings->len, ==, n_warnings + 1);
    }
    pair_free(pair);
}

/* A change that cannot be drawn is left out. */
static void test_update_nonsense(void)
{
    static const struct {
        gint32 x, y, width, height;
        guint32 stride, format;
        gsize size;
    } cases[] = {
        { -1, 0, 10, 10, 40, XRGB, 400 },
        { 0, -1, 10, 10, 40, XRGB, 400 },
        { 311, 0, 10, 10, 40, XRGB, 400 },
        { 0, 191, 10, 10, 40, XRGB, 400 },
        { G_MAXINT32, G_MAXINT32, G_MAXINT32, G_MAXINT32, 40, XRGB, 400 },
        { 0, 0, 0, 10, 40, XRGB, 400 },
        { 0, 0, -10, -10, 40, XRGB, 400 },
        { 0, 0, 10, 10, 39, XRGB, 400 },
        { 0, 0, 10, 10, 40, XRGB, 399 },
        { 0, 0, 10, 10, G_MAXUINT32, XRGB, 400 },
        { 0, 0, 10, 10, 40, PIXMAN_r5g6b5, 400 },
        { 0, 0, 10, 10, 40, 0, 400 },
    };
    Pair *pair = pair_new();

    /* Before there is any picture. */
    played_do(pair->qemu, "Update", update_arguments(1, 0, 0, 10, 10), -1);
    pair_show_pixels(pair, WIDTH, HEIGHT, 1);
    pair->watcher->n_frames = 0;
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        played_do(pair->qemu, "Update",
                  g_variant_new("(iiiiuu@ay)", cases[i].x, cases[i].y, cases[i].width,
                                cases[i].height, cases[i].stride, cases[i].format,
                                bytes(cases[i].size)),
                  -1);
    }
    iterate_for(20 * 1000);
    g_assert_cmpuint(pair->watcher->n_frames, ==, 0);
    g_assert_cmpuint(pair->watcher->warnings->len, >, 0);
    assert_shows(pair->watcher, 1);
    /* In the very corner. */
    played_do(pair->qemu, "Update", update_arguments(1, WIDTH - 1, HEIGHT - 1, 1, 1), -1);
    wait_until(pair->watcher->n_frames == 1);
    assert_damage(pair->watcher, WIDTH - 1, HEIGHT - 1, WIDTH, HEIGHT);
    pair_free(pair);
}

/* Calls that nobody documented: refused, by GDBus or us, and the picture stays. */
static void test_unknown_calls(void)
{
    Pair *pair = pair_new();

    pair_show_pixels(pair, WIDTH, HEIGHT, 1);
    expect_refusal(pair, "Nonsense", NULL, -1, NULL);
    expect_refusal(pair, "Scanout", g_variant_new("(s)", "x"), -1, NULL);
    expect_refusal(pair, "Scanout", NULL, -1, NULL);
    expect_refusal(pair, "Disable", g_variant_new("(u)", 1), -1, NULL);
    expect_refusal(pair, "UpdateDMABUF", g_variant_new("(uuuu)", 1, 2, 3, 4), -1, NULL);
    expect_refusal(pair, "MouseSet", g_variant_new("(ii)", 1, 2), -1, NULL);
    expect_refusal(pair, "ScanoutMap", g_variant_new("(u)", 0), -1, NULL);
    iterate_for(300 * 1000);
    assert_shows(pair->watcher, 1);
    pair_free(pair);
}

/* ---- the pointer ---- */

static void define_cursor(Pair *pair, const guint32 *argb)
{
    played_do(pair->qemu, "CursorDefine",
              g_variant_new("(iiii@ay)", 2, 2, 1, 5,
                            g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, argb, 16, 1)),
              -1);
    wait_until(pair->watcher->cursor != NULL);
}

static void test_cursor(void)
{
    static const guint32 straight[4] = { 0xffffffff, 0x80ff0000, 0, 0xff123456 };
    Pair *pair = pair_new();
    Watcher *watcher = pair->watcher;
    const guint32 *argb;

    define_cursor(pair, straight);
    g_assert_cmpuint(sc_cursor_get_width(watcher->cursor), ==, 2);
    g_assert_cmpuint(sc_cursor_get_hot_x(watcher->cursor), ==, 1);
    g_assert_cmpuint(sc_cursor_get_hot_y(watcher->cursor), ==, 1); /* pulled inside */
    argb = sc_cursor_get_argb(watcher->cursor);
    g_assert_cmphex(argb[1], ==, 0x80800000);

    /* QEMU means the corner, the listener the hot spot. */
    played_do(pair->qemu, "MouseSet", g_variant_new("(iii)", 100, 50, 1), -1);
    wait_until(watcher->cursor_x == 101 && watcher->cursor_y == 51);
    played_do(pair->qemu, "MouseSet", g_variant_new("(iii)", 0, 0, 0), -1);
    wait_until(watcher->cursor == NULL);
    played_do(pair->qemu, "MouseSet", g_variant_new("(iii)", 0, 0, 1), -1);
    wait_until(watcher->cursor != NULL);
    played_do(pair->qemu, "MouseSet", g_variant_new("(iii)", G_MAXINT32, G_MININT32, 1), -1);
    wait_until(watcher->cursor_x > 100);

    /* No shape that can be true: none is shown, and it is said once. */
    for (int i = 0; i < 3; i++) {
        played_do(pair->qemu, "CursorDefine", g_variant_new("(iiii@ay)", 2, 2, 0, 0, bytes(15)),
                  -1);
        wait_until(watcher->cursor == NULL);
    }
    played_do(pair->qemu, "CursorDefine", g_variant_new("(iiii@ay)", -1, 99999, 0, 0, bytes(15)),
              -1);
    wait_until(watcher->warnings->len == 2);
    pair_free(pair);
}

/* An older QEMU tells a new listener no shape: the pointer still moves, hides and comes back. */
static void test_cursor_of_the_listener_before(void)
{
    static const guint32 argb[4] = { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff };
    Pair *pair = pair_new();
    Watcher *watcher = pair->watcher;

    define_cursor(pair, argb);
    played_qemu_drop_listener(pair->qemu);
    played_qemu_wait_listener(pair->qemu);
    wait_until(watcher->n_connected == 2);
    played_do(pair->qemu, "MouseSet", g_variant_new("(iii)", 100, 50, 1), -1);
    wait_until(watcher->cursor_x == 101 && watcher->cursor_y == 51);
    played_do(pair->qemu, "MouseSet", g_variant_new("(iii)", 0, 0, 0), -1);
    wait_until(watcher->cursor == NULL);
    played_do(pair->qemu, "MouseSet", g_variant_new("(iii)", 0, 0, 1), -1);
    wait_until(watcher->cursor != NULL);
    pair_free(pair);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dbus/pixels/scanout-and-updates", test_scanout_and_updates);
    g_test_add_func("/dbus/pixels/formats", test_formats);
    g_test_add_func("/dbus/pixels/flood-of-scanouts", test_flood_of_scanouts);
    g_test_add_func("/dbus/pixels/flood-of-updates", test_flood_of_updates);
    g_test_add_func("/dbus/pixels/backlog", test_backlog);
    g_test_add_func("/dbus/pixels/backlog-without-a-link", test_backlog_without_a_link);
    g_test_add_func("/dbus/pixels/order", test_order);
    g_test_add_func("/dbus/map/flips", test_map);
    g_test_add_func("/dbus/map/undrawn", test_map_undrawn);
    g_test_add_func("/dbus/map/nonsense", test_map_nonsense);
    g_test_add_func("/dbus/nonsense/pixels", test_pixels_nonsense);
    g_test_add_func("/dbus/nonsense/updates", test_update_nonsense);
    g_test_add_func("/dbus/nonsense/calls", test_unknown_calls);
    g_test_add_func("/dbus/cursor/shapes", test_cursor);
    g_test_add_func("/dbus/cursor/of-the-listener-before", test_cursor_of_the_listener_before);
    return g_test_run();
}
