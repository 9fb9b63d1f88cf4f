/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fence over the D-Bus display: the answer to UpdateDMABUF releases the guest, once, whatever
 * happens in between. And what else there is to buffers: layouts, flips, and switching off.
 */
#include "tests/dbus/pair.h"

#include <drm_fourcc.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 320
#define HEIGHT 200
#define STRIDE (WIDTH * 4)

/* A buffer shown by ScanoutDMABUF. */
static void show(Pair *pair, int fd)
{
    played_do(pair->qemu, "ScanoutDMABUF", dmabuf_arguments(WIDTH, HEIGHT, STRIDE), fd);
}

static PlayedCall *draw(Pair *pair)
{
    return played_call_no_fd(pair->qemu, "UpdateDMABUF",
                             g_variant_new("(iiii)", 0, 0, WIDTH, HEIGHT));
}

static void expect_answer(PlayedCall *call)
{
    wait_until(call->done);
    g_assert_cmpstr(call->error, ==, NULL);
    played_call_free(call);
}

static guint64 count_completed(void)
{
    ScFlushCounts counts;

    sc_flush_get_counts(&counts);
    return counts.completed[SC_FLUSH_DONE] + counts.completed[SC_FLUSH_DROPPED] +
           counts.completed[SC_FLUSH_EXPIRED];
}

/* ---- the fence ---- */

static void test_held(void)
{
    Pair *pair = pair_new();
    Watcher *watcher = pair->watcher;
    int fd = played_buffer(WIDTH, HEIGHT, STRIDE, 1);
    guint64 before = count_completed();
    PlayedCall *call;

    watcher->hold = TRUE;
    show(pair, fd);
    for (int i = 0; i < 3; i++) {
        call = draw(pair);
        wait_until(watcher->held->len == 1);
        iterate_for(20 * 1000);
        g_assert_false(call->done);
        watcher_let_go(watcher);
        expect_answer(call);
    }
    g_assert_cmpuint(count_completed(), ==, before + 3);
    g_assert_cmpuint(watcher->n_awaited, ==, 3);
    g_assert_cmpuint(watcher_read_number(watcher), ==, 1);
    close(fd);
    pair_free(pair);
}

/* Nobody holds it: at once. And a deadline, when somebody holds it for ever. */
static void test_prompt_and_bounded(void)
{
    Pair *pair = pair_new();
    int fd = played_buffer(WIDTH, HEIGHT, STRIDE, 1);
    gint64 start;

    show(pair, fd);
    expect_answer(draw(pair));
    pair->watcher->hold = TRUE;
    pair->watcher->timeout_us = 40 * 1000;
    start = g_get_monotonic_time();
    expect_answer(draw(pair));
    g_assert_cmpint(g_get_monotonic_time() - start, >=, 40 * 1000);
    g_assert_cmpuint(pair->watcher->held->len, ==, 1);
    g_assert_true(sc_frame_is_expired(pair->watcher->held->pdata[0]));
    watcher_let_go(pair->watcher);
    close(fd);
    pair_free(pair);
}

/* Rectangles of one refresh, which QEMU sends one after the other: one picture, all are answered.
 */
static void test_many_rectangles(void)
{
    Pair *pair = pair_new();
    Watcher *watcher = pair->watcher;
    int fd = played_buffer(WIDTH, HEIGHT, STRIDE, 1);
    PlayedCall *calls[1000];

    show(pair, fd);
    expect_answer(draw(pair));
    watcher->n_frames = 0;
    for (gsize i = 0; i < G_N_ELEMENTS(calls); i++) {
        calls[i] = played_call_no_fd(pair->qemu, "UpdateDMABUF",
                                     g_variant_new("(iiii)", i % WIDTH, i % HEIGHT, 1, 1));
    }
    played_flush(pair->qemu);
    for (gsize i = 0; i < G_N_ELEMENTS(calls); i++) {
        expect_answer(calls[i]);
    }
    g_assert_cmpuint(watcher->n_frames, <, G_N_ELEMENTS(calls) / 2);
    close(fd);
    pair_free(pair);
}

/* Each way in which a draw may end before the watcher lets go. */
static void end_by_new_scanout(Pair *pair, int fd)
{
    show(pair, fd);
}

static void end_by_pixels(Pair *pair, int fd)
{
    played_do(pair->qemu, "Scanout", scanout_arguments(WIDTH, HEIGHT, 3), -1);
}

static void end_by_nonsense(Pair *pair, int fd)
{
    PlayedCall *call = played_call(pair->qemu, "ScanoutDMABUF",
                                   dmabuf_arguments(WIDTH, G_MAXUINT32, STRIDE), fd, -1);

    wait_until(call->done);
    played_call_free(call);
}

static void end_by_letting_go(Pair *pair, int fd)
{
    played_do(pair->qemu, "Disable", NULL, -1);
    watcher_let_go(pair->watcher);
}

static void end_by_stopping(Pair *pair, int fd)
{
    watcher_stop(pair->watcher);
}

static void end_by_dropping(Pair *pair, int fd)
{
    played_qemu_drop_listener(pair->qemu);
}

static void end_by_dying(Pair *pair, int fd)
{
    played_qemu_die(pair->qemu);
}

static void test_every_end(void)
{
    static void (*const ends[])(Pair *, int) = {
        end_by_new_scanout, end_by_pixels,   end_by_nonsense, end_by_letting_go,
        end_by_stopping,    end_by_dropping, end_by_dying,
    };

    for (gsize i = 0; i < G_N_ELEMENTS(ends); i++) {
        Pair *pair = pair_new();
        int fds[] = { played_buffer(WIDTH, HEIGHT, STRIDE, 1),
                      played_buffer(WIDTH, HEIGHT, STRIDE, 2) };
        guint64 before;
        PlayedCall *call;

        show(pair, fds[0]);
        expect_answer(draw(pair));
        before = count_completed();
        pair->watcher->hold = TRUE;
        call = draw(pair);
        wait_until(pair->watcher->held->len == 1);
        ends[i](pair, fds[1]);
        wait_until(call->done);
        wait_until(count_completed() == before + 1);
        watcher_let_go(pair->watcher);
        iterate_for(10 * 1000);
        g_assert_cmpuint(count_completed(), ==, before + 1);
        played_call_free(call);
        close(fds[0]);
        close(fds[1]);
        pair_free(pair);
    }
}

/* Draws on nothing, or beside it: answered, and no frame comes of it. */
static void test_draws_on_nothing(void)
{
    static const int rects[][4] = {
        { 0, 0, 0, 0 },
        { WIDTH, 0, 10, 10 },
        { 0, 0, -5, 5 },
        { -10, 0, 10, 5 },
        { G_MAXINT32, 0, G_MAXINT32, 5 },
    };
    Pair *pair = pair_new();
    int fd = played_buffer(WIDTH, HEIGHT, STRIDE, 1);

    expect_answer(draw(pair));
    show(pair, fd);
    expect_answer(draw(pair));
    pair->watcher->n_frames = 0;
    for (gsize i = 0; i < G_N_ELEMENTS(rects); i++) {
        expect_answer(played_call_no_fd(
            pair->qemu, "UpdateDMABUF",
            g_variant_new("(iiii)", rects[i][0], rects[i][1], rects[i][2], rects[i][3])));
    }
    g_assert_cmpuint(pair->watcher->n_frames, ==, 0);
    expect_answer(played_call_no_fd(pair->qemu, "UpdateDMABUF",
                                    g_variant_new("(iiii)", -5, 190, G_MAXINT32, G_MAXINT32)));
    assert_damage(pair->watcher, 0, 190, WIDTH, HEIGHT);
    close(fd);
    pair_free(pair);
}

/* ---- what is shown ---- */

/* As QEMU flips: the new scanout, Disable of the old one, then the draw. Nothing goes dark, though
 * the guest is idle afterwards, and the same buffers are the same scanouts. */
static void test_flips(void)
{
    Pair *pair = pair_new();
    Watcher *watcher = pair->watcher;
    int fds[] = { played_buffer(WIDTH, HEIGHT, STRIDE, 1),
                  played_buffer(WIDTH, HEIGHT, STRIDE, 2) };

    for (int i = 0; i < 6; i++) {
        show(pair, fds[i % 2]);
        if (i > 0) {
            played_do(pair->qemu, "Disable", NULL, -1);
        }
        expect_answer(draw(pair));
        g_assert_cmpuint(watcher_read_number(watcher), ==, 1 + (guint)i % 2);
    }
    iterate_for(400 * 1000);
    g_assert_cmpuint(watcher->n_dark, ==, 0);
    g_assert_cmpuint(g_hash_table_size(watcher->seen), ==, 2);

    /* The same all at once, so that calls are taken together. */
    for (int i = 0; i < 6; i++) {
        played_say(pair->qemu, "ScanoutDMABUF", dmabuf_arguments(WIDTH, HEIGHT, STRIDE),
                   fds[i % 2]);
        played_say(pair->qemu, "Disable", NULL, -1);
        played_say(pair->qemu, "UpdateDMABUF", g_variant_new("(iiii)", 0, 0, WIDTH, HEIGHT), -1);
    }
    played_flush(pair->qemu);
    iterate_for(400 * 1000);
    g_assert_cmpuint(watcher->n_dark, ==, 0);
    g_assert_cmpuint(watcher_read_number(watcher), ==, 2);
    close(fds[0]);
    close(fds[1]);
    pair_free(pair);
}

/* As QEMU from 9.2 on flips now and then: the new scanout is lost. The old one is not shown in its
 * stead, the guest does not wait, and as nothing follows there is another listener, which is told.
 */
static void test_lost_scanout(void)
{
    Pair *pair = pair_new();
    Watcher *watcher = pair->watcher;
    int fds[] = { played_buffer(WIDTH, HEIGHT, STRIDE, 1),
                  played_buffer(WIDTH, HEIGHT, STRIDE, 2) };

    show(pair, fds[0]);
    expect_answer(draw(pair));
    watcher->n_frames = 0;
    for (int i = 0; i < 3; i++) { /* lost, and the next is not */
        played_do(pair->qemu, "Disable", NULL, -1);
        expect_answer(draw(pair));
        g_assert_cmpuint(watcher->n_frames, ==, (guint)i);
        show(pair, fds[i % 2]);
        played_do(pair->qemu, "Disable", NULL, -1);
        expect_answer(draw(pair));
        g_assert_cmpuint(watcher->n_frames, ==, (guint)i + 1);
    }
    iterate_for(300 * 1000);
    g_assert_cmpuint(pair->qemu->n_listeners, ==, 1);

    played_do(pair->qemu, "Disable", NULL, -1);
    expect_answer(draw(pair));
    played_qemu_wait_listener(pair->qemu);
    show(pair, fds[1]);
    wait_until(watcher_read_number(watcher) == 2);
    g_assert_cmpuint(watcher->n_dark, ==, 0);
    g_assert_cmpuint(watcher->n_connected, ==, 1);
    close(fds[0]);
    close(fds[1]);
    pair_free(pair);
}

/* A Disable that no new scanout explains is one, but not while the mode changes. */
static void test_disable(void)
{
    Pair *pair = pair_new();
    Watcher *watcher = pair->watcher;
    int fd = played_buffer(WIDTH, HEIGHT, STRIDE, 1);

    show(pair, fd);
    show(pair, fd);
    played_do(pair->qemu, "Disable", NULL, -1);
    expect_answer(draw(pair));
    played_do(pair->qemu, "Disable", NULL, -1);
    g_assert_cmpuint(watcher->n_dark, ==, 0);
    wait_until(watcher->n_dark == 1);
    g_assert_null(watcher->scanout);
    expect_answer(draw(pair));

    watcher->n_frames = 0;
    show(pair, fd);
    wait_until(watcher->n_frames == 1); /* nobody draws */
    played_do(pair->qemu, "Disable", NULL, -1);
    played_do(pair->qemu, "Disable", NULL, -1);
    iterate_for(50 * 1000);
    pair_show_pixels(pair, WIDTH, HEIGHT, 5);
    iterate_for(300 * 1000);
    g_assert_cmpuint(watcher->n_dark, ==, 1);
    close(fd);
    pair_free(pair);
}

static void test_undrawn(void)
{
    Pair *pair = pair_new();
    int fd = played_buffer(WIDTH, HEIGHT, STRIDE, 99);

    show(pair, fd);
    wait_until(pair->watcher->n_frames == 1);
    g_assert_cmpuint(pair->watcher->n_awaited, ==, 0);
    g_assert_cmpuint(watcher_read_number(pair->watcher), ==, 99);
    close(fd);
    pair_free(pair);
}

/* Between buffers and pixels and back. */
static void test_kinds(void)
{
    Pair *pair = pair_new();
    int fd = played_buffer(WIDTH, HEIGHT, STRIDE, 1);

    for (guint32 i = 0; i < 4; i++) {
        show(pair, fd);
        expect_answer(draw(pair));
        assert_damage(pair->watcher, 0, 0, WIDTH, HEIGHT);
        g_assert_nonnull(sc_scanout_get_dmabuf(pair->watcher->scanout));
        pair_show_pixels(pair, WIDTH, HEIGHT, 10 + i);
        g_assert_null(sc_scanout_get_dmabuf(pair->watcher->scanout));
    }
    close(fd);
    pair_free(pair);
}

/* ---- layouts ---- */

static const ScDmabufLayout *shown_layout(Pair *pair)
{
    return sc_dmabuf_get_layout(sc_scanout_get_dmabuf(pair->watcher->scanout));
}

static void test_layouts(void)
{
    Pair *pair = pair_new();
    int fd = played_buffer(400, 300, 1664, 1);

    played_do(pair->qemu, "ScanoutDMABUF",
              g_variant_new("(huuuutb)", 0, 400, 300, 1664, DRM_FORMAT_ABGR8888,
                            (guint64)DRM_FORMAT_MOD_INVALID, TRUE),
              fd);
    wait_until(pair->watcher->n_frames == 1);
    g_assert_true(sc_scanout_is_bottom_up(pair->watcher->scanout));
    g_assert_cmphex(shown_layout(pair)->fourcc, ==, DRM_FORMAT_ABGR8888);
    g_assert_cmpuint(shown_layout(pair)->planes[0].stride, ==, 1664);
    g_assert_true(shown_layout(pair)->modifier == DRM_FORMAT_MOD_INVALID);

    played_do(pair->qemu, "ScanoutDMABUF",
              g_variant_new("(huuuutb)", 0, 400, 300, 0, DRM_FORMAT_XRGB8888,
                            (guint64)0x0100000000000002, FALSE),
              fd);
    wait_until(pair->watcher->n_frames == 2);
    g_assert_true(shown_layout(pair)->modifier == 0x0100000000000002);
    close(fd);
    pair_free(pair);
}

typedef struct {
    guint n_fds;
    guint32 x, y, width, height;
    guint32 offsets[8], strides[8];
    guint n_numbers; /* of offsets and strides */
    guint32 n_planes, fourcc;
    guint64 modifier;
} Dmabuf2;

static PlayedCall *call_dmabuf2(Pair *pair, const Dmabuf2 *it, int fd)
{
    GVariantBuilder handles;

    g_variant_builder_init(&handles, G_VARIANT_TYPE("ah"));
    for (guint i = 0; i < it->n_fds; i++) {
        g_variant_builder_add(&handles, "h", (int)i);
    }
    return played_call(pair->qemu, "ScanoutDMABUF2",
                       g_variant_new("(ahuuuu@au@auuuuutb)", &handles, it->x, it->y, it->width,
                                     it->height,
                                     g_variant_new_fixed_array(G_VARIANT_TYPE_UINT32, it->offsets,
                                                               it->n_numbers, sizeof(guint32)),
                                     g_variant_new_fixed_array(G_VARIANT_TYPE_UINT32, it->strides,
                                                               it->n_numbers, sizeof(guint32)),
                                     it->n_planes, it->fourcc, 400, 300, it->modifier, FALSE),
                       fd, it->n_fds > 1 ? fd : -1, -1);
}

static void test_planes(void)
{
    static const Dmabuf2 nv12 = {
        2, 0, 0, 400, 200, { 0, 1664 * 200 }, { 1664, 1664 }, 2, 2, DRM_FORMAT_NV12, 0,
    };
    static const Dmabuf2 one_fd = {
        1, 0, 0, 400, 200, { 0, 1664 * 200 }, { 1664, 1664 }, 2, 2, DRM_FORMAT_NV12, 0,
    };
    static const Dmabuf2 part = {
        1, 40, 16, 320, 200, { 0 }, { 1664 }, 1, 1, DRM_FORMAT_XRGB8888, 0,
    };
    Pair *pair = pair_new();
    int fd = played_buffer(400, 300, 1664, 77);
    ScPixels pixels;

    expect_answer(call_dmabuf2(pair, &nv12, fd));
    wait_until(pair->watcher->n_frames == 1);
    g_assert_cmpuint(shown_layout(pair)->n_planes, ==, 2);
    g_assert_cmpuint(shown_layout(pair)->planes[1].offset, ==, 1664 * 200);
    expect_answer(call_dmabuf2(pair, &one_fd, fd));
    wait_until(pair->watcher->n_scanouts == 1 || pair->watcher->n_frames == 2);
    g_assert_cmpuint(shown_layout(pair)->n_planes, ==, 2);

    expect_answer(call_dmabuf2(pair, &part, fd));
    wait_until(sc_scanout_get_width(pair->watcher->scanout) == 320);
    g_assert_cmpuint(shown_layout(pair)->planes[0].offset, ==, 16 * 1664 + 40 * 4);
    g_assert_true(sc_scanout_begin_read(pair->watcher->scanout, &pixels, NULL));
    sc_scanout_end_read(pair->watcher->scanout);
    close(fd);
    pair_free(pair);
}

static const Dmabuf2 nonsense[] = {
    { 1, 0, 0, 0, 200, { 0 }, { 1664 }, 1, 1, DRM_FORMAT_XRGB8888, 0 },
    { 1, 0, 0, 400, 4000000000, { 0 }, { 1664 }, 1, 1, DRM_FORMAT_XRGB8888, 0 },
    { 1, 0, 0, 400, 300, { 0 }, { 4 }, 1, 1, DRM_FORMAT_XRGB8888, 0 },
    { 1, 0, 0, 400, 300, { 0 }, { G_MAXUINT32 }, 1, 1, DRM_FORMAT_XRGB8888, 0 },
    { 1, 0, 0, 400, 300, { 4000000000 }, { 1664 }, 1, 1, DRM_FORMAT_XRGB8888, 0 },
    { 1, 0, 0, 400, 301, { 0 }, { 1664 }, 1, 1, DRM_FORMAT_XRGB8888, 0 },
    { 1, 1, 1, 400, 300, { 0 }, { 1664 }, 1, 1, DRM_FORMAT_XRGB8888, 0 },
    { 1, G_MAXUINT32, 0, 1, 1, { 0 }, { 1664 }, 1, 1, DRM_FORMAT_XRGB8888, 0 },
    { 1, 0, G_MAXUINT32, 1, 1, { 0 }, { G_MAXUINT32 }, 1, 1, DRM_FORMAT_XRGB8888, 0 },
    { 1, 8, 8, 10, 10, { 0 }, { 1664 }, 1, 1, DRM_FORMAT_XRGB8888, 0x0100000000000002 },
    { 0, 0, 0, 400, 300, { 0 }, { 1664 }, 1, 1, DRM_FORMAT_XRGB8888, 0 },
    { 2, 0, 0, 400, 300, { 0 }, { 1664 }, 1, 1, DRM_FORMAT_XRGB8888, 0 },
    { 1, 0, 0, 400, 300, { 0 }, { 1664 }, 0, 1, DRM_FORMAT_XRGB8888, 0 },
    { 1, 0, 0, 400, 300, { 0 }, { 1664 }, 1, 0, DRM_FORMAT_XRGB8888, 0 },
    { 1, 0, 0, 400, 300, { 0 }, { 1664 }, 1, 2, DRM_FORMAT_XRGB8888, 0 },
    { 1, 0, 0, 400, 300, { 0 }, { 1664 }, 8, 8, DRM_FORMAT_XRGB8888, 0 },
    { 1, 0, 0, 400, 300, { 0 }, { 1664 }, 1, G_MAXUINT32, DRM_FORMAT_XRGB8888, 0 },
    { 3, 0, 0, 400, 300, { 0 }, { 1664 }, 3, 3, DRM_FORMAT_XRGB8888, 0 },
};

/* Each is refused, warned of, and the next good one is shown. */
static void test_nonsense(void)
{
    static const Dmabuf2 good = {
        1, 0, 0, 400, 300, { 0 }, { 1664 }, 1, 1, DRM_FORMAT_XRGB8888, 0,
    };
    Pair *pair = pair_new();
    int fd = played_buffer(400, 300, 1664, 77);
    int pipes[2];

    g_assert_no_errno(pipe(pipes));
    for (gsize i = 0; i < G_N_ELEMENTS(nonsense); i++) {
        PlayedCall *call = call_dmabuf2(pair, &nonsense[i], fd);

        wait_until(call->done);
        g_test_message("case %zu: %s", i, call->error);
        g_assert_nonnull(call->error);
        played_call_free(call);
        g_assert_null(pair->watcher->scanout);
        expect_answer(draw(pair));
        expect_answer(call_dmabuf2(pair, &good, fd));
        expect_answer(draw(pair));
        g_assert_cmpuint(watcher_read_number(pair->watcher), ==, 77);
    }
    g_assert_cmpuint(pair->watcher->warnings->len, >, 5);

    /* Something that is no memory at all is taken, as its size is unknown, but cannot be read. */
    show(pair, pipes[0]);
    expect_answer(draw(pair));
    g_assert_false(sc_scanout_begin_read(pair->watcher->scanout, &(ScPixels){ 0 }, NULL));
    /* A number without a descriptor, with none sent. */
    played_call_free(({
        PlayedCall *call =
            played_call_no_fd(pair->qemu, "ScanoutDMABUF", dmabuf_arguments(WIDTH, HEIGHT, STRIDE));
        wait_until(call->done);
        g_assert_nonnull(call->error);
        call;
    }));
    close(pipes[0]);
    close(pipes[1]);
    close(fd);
    pair_free(pair);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dbus/fence/held", test_held);
    g_test_add_func("/dbus/fence/prompt-and-bounded", test_prompt_and_bounded);
    g_test_add_func("/dbus/fence/many-rectangles", test_many_rectangles);
    g_test_add_func("/dbus/fence/every-end", test_every_end);
    g_test_add_func("/dbus/fence/draws-on-nothing", test_draws_on_nothing);
    g_test_add_func("/dbus/dmabuf/flips", test_flips);
    g_test_add_func("/dbus/dmabuf/disable", test_disable);
    g_test_add_func("/dbus/dmabuf/lost-scanout", test_lost_scanout);
    g_test_add_func("/dbus/dmabuf/undrawn", test_undrawn);
    g_test_add_func("/dbus/dmabuf/kinds", test_kinds);
    g_test_add_func("/dbus/dmabuf/layouts", test_layouts);
    g_test_add_func("/dbus/dmabuf/planes", test_planes);
    g_test_add_func("/dbus/dmabuf/nonsense", test_nonsense);
    return g_test_run();
}
