/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The building blocks of capture/: timers, flushes, frames, scanouts, dmabufs. */
#include "capture/cursor.h"
#include "capture/damage.h"
#include "capture/error.h"
#include "capture/format.h"
#include "capture/frame.h"
#include "capture/scanout-cache.h"
#include "capture/source.h"
#include "capture/timer.h"

#include <drm_fourcc.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEADLINE_US (60 * G_USEC_PER_SEC)

/* The next descriptor the kernel would hand out: the same before and after means none leaked. */
static int next_fd(void)
{
    int fd = open("/dev/null", O_RDONLY);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    return fd;
}

static void count_up(gpointer data)
{
    (*(int *)data)++;
}

static void iterate_until(const int *value, int wanted)
{
    gint64 end = g_get_monotonic_time() + DEADLINE_US;

    while (*value < wanted && g_get_monotonic_time() < end) {
        g_main_context_iteration(NULL, *value >= wanted);
    }
    g_assert_cmpint(*value, ==, wanted);
}

static void test_timer(void)
{
    int fired = 0;
    g_autoptr(ScTimer) timer = sc_timer_new(count_up, &fired);

    g_assert_false(sc_timer_is_set(timer));
    sc_timer_set_after(timer, 0);
    iterate_until(&fired, 1);
    g_assert_false(sc_timer_is_set(timer));

    sc_timer_set_after(timer, 1000);
    sc_timer_cancel(timer);
    g_usleep(2000);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    g_assert_cmpint(fired, ==, 1);
}

typedef struct {
    int calls;
    ScFlushResult result;
} Released;

static void on_released(ScFlushResult result, gpointer data)
{
    Released *released = data;

    released->calls++;
    released->result = result;
}

static ScScanout *new_scanout(guint32 *pixels, guint width, guint height)
{
    ScScanout *scanout = sc_scanout_new_pixels((guint8 *)pixels, (gsize)width * height * 4, width,
                                               height, width * 4, DRM_FORMAT_XRGB8888, FALSE, NULL);

    g_assert_nonnull(scanout);
    return scanout;
}

static void test_flush_rides_with_frame(void)
{
    static guint32 pixels[64 * 64];
    g_autoptr(ScScanout) scanout = new_scanout(pixels, 64, 64);
    Released released = { 0 };
    ScFlush *flush = sc_flush_new(on_released, &released);
    ScFrame *frame = sc_frame_new(scanout, NULL, flush);

    sc_flush_unref(flush);
    g_assert_true(sc_frame_is_awaited(frame));
    sc_frame_ref(frame);
    sc_frame_unref(frame);
    g_assert_cmpint(released.calls, ==, 0);
    sc_frame_set_taken(frame);
    sc_frame_unref(frame);
    g_assert_cmpint(released.calls, ==, 1);
    g_assert_cmpint(released.result, ==, SC_FLUSH_DONE);

    released = (Released){ 0 };
    flush = sc_flush_new(on_released, &released);
    frame = sc_frame_new(scanout, NULL, flush);
    sc_flush_unref(flush);
    sc_frame_unref(frame);
    g_assert_cmpint(released.calls, ==, 1);
    g_assert_cmpint(released.result, ==, SC_FLUSH_DROPPED);
    g_assert_cmpuint(sc_frame_count_alive(), ==, 0);
}

static void test_flush_expires_once(void)
{
    static guint32 pixels[64 * 64];
    g_autoptr(ScScanout) scanout = new_scanout(pixels, 64, 64);
    Released released = { 0 };
    g_autoptr(ScFlush) flush = sc_flush_new(on_released, &released);
    g_autoptr(ScFrame) frame = sc_frame_new(scanout, NULL, flush);
    ScFlushCounts counts;

    sc_frame_set_timeout(frame, 1000);
    iterate_until(&released.calls, 1);
    g_assert_cmpint(released.result, ==, SC_FLUSH_EXPIRED);
    g_assert_true(sc_frame_is_expired(frame));
    g_assert_false(sc_frame_is_awaited(frame));

    sc_frame_set_taken(frame);
    g_clear_pointer(&frame, sc_frame_unref);
    g_assert_cmpint(released.calls, ==, 1);
    sc_flush_get_counts(&counts);
    g_assert_cmpuint(counts.outstanding, ==, 0);
}

static void test_flush_twice_asserts(void)
{
    if (g_test_subprocess()) {
        Released released = { 0 };
        ScFlush *flush = sc_flush_new(on_released, &released);

        sc_flush_complete(flush, SC_FLUSH_DONE);
        sc_flush_complete(flush, SC_FLUSH_DONE);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*assertion failed*pending*");
}

static void test_flush_forgotten_is_critical(void)
{
    if (g_test_subprocess()) {
        Released released = { 0 };

        g_log_set_always_fatal(G_LOG_FATAL_MASK);
        sc_flush_unref(sc_flush_new(on_released, &released));
        g_assert_cmpint(released.calls, ==, 1);
        g_assert_cmpint(released.result, ==, SC_FLUSH_DROPPED);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*CRITICAL*forgotten*");
}

static void test_layout_arithmetic(void)
{
    static const struct {
        guint32 width, height, stride;
        guint64 offset, size;
        gboolean good;
    } cases[] = {
        { 640, 480, 2560, 0, 2560 * 480, TRUE },
        { 640, 480, 2560, 4096, 2560 * 480 + 4096, TRUE },
        { 640, 480, 2560, 4097, 2560 * 480 + 4096, FALSE },
        { 640, 480, 2559, 0, 1 << 30, FALSE },
        { 640, 480, 0, 0, 1 << 30, FALSE },
        { 0, 480, 2560, 0, 1 << 30, FALSE },
        { 640, 0, 2560, 0, 1 << 30, FALSE },
        { SC_MAX_DIMENSION + 1, 1, 1 << 20, 0, G_MAXUINT64, FALSE },
        { 1, SC_MAX_DIMENSION + 1, 4, 0, G_MAXUINT64, FALSE },
        { 1, SC_MAX_DIMENSION, G_MAXUINT32, 0, 1 << 30, FALSE },
        { 640, 1, G_MAXINT32, 0, 2560, TRUE },
        { 640, 1, (guint32)G_MAXINT32 + 1, 0, 2560, FALSE },
        { 640, 480, 2560, G_MAXUINT64, G_MAXUINT64, FALSE },
        { 1 << 30, 1, 4, 0, G_MAXUINT64, FALSE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        gboolean good =
            sc_format_check_layout(DRM_FORMAT_XRGB8888, cases[i].width, cases[i].height,
                                   cases[i].stride, cases[i].offset, cases[i].size, &error);

        g_assert_cmpint(good, ==, cases[i].good);
        if (!good) {
            g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
        }
    }
}

static int new_memfd(gsize size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, (off_t)size), ==, 0);
    return fd;
}

static ScDmabufLayout xrgb_layout(int fd, guint32 width, guint32 height)
{
    return (ScDmabufLayout){
        .width = width,
        .height = height,
        .fourcc = DRM_FORMAT_XRGB8888,
        .modifier = DRM_FORMAT_MOD_INVALID,
        .n_planes = 1,
        .planes = { { .fd = fd, .stride = width * 4 } },
    };
}

static void test_dmabuf_reads_and_closes(void)
{
    int before = next_fd();
    int fd = new_memfd(64 * 64 * 4);
    ScDmabufLayout layout = xrgb_layout(fd, 64, 64);
    g_autoptr(GError) error = NULL;
    g_autoptr(ScDmabuf) dmabuf = NULL;
    g_autoptr(ScScanout) scanout = NULL;
    guint32 word = 0x12345678;
    ScPixels pixels;

    g_assert_cmpint(pwrite(fd, &word, 4, 63 * 256), ==, 4);
    dmabuf = sc_dmabuf_new(&layout, &error);
    g_assert_no_error(error);
    scanout = sc_scanout_new_dmabuf(dmabuf, TRUE);
    g_assert_true(sc_scanout_begin_read(scanout, &pixels, &error));
    g_assert_cmpint(pixels.stride, ==, -256);
    g_assert_cmphex(*(const guint32 *)pixels.data, ==, word);
    sc_scanout_end_read(scanout);

    g_clear_pointer(&scanout, sc_scanout_unref);
    g_clear_pointer(&dmabuf, sc_dmabuf_unref);
    g_assert_cmpint(next_fd(), ==, before);
}

/* That of a real dmabuf is tested where there are some. */
static void test_dmabuf_knows_its_memory(void)
{
    ScDmabufLayout layout = xrgb_layout(new_memfd(64 * 64 * 4), 64, 64);
    g_autoptr(ScDmabuf) file = sc_dmabuf_new(&layout, NULL);
    g_autoptr(ScDmabuf) device = NULL;

    g_assert_true(sc_dmabuf_is_system_memory(file));
    layout.planes[0].fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    device = sc_dmabuf_new(&layout, NULL);
    g_assert_nonnull(device);
    g_assert_false(sc_dmabuf_is_system_memory(device));
}

static void test_dmabuf_matches_by_inode(void)
{
    int fd = new_memfd(64 * 64 * 4);
    ScDmabufLayout layout = xrgb_layout(fd, 64, 64);
    g_autoptr(ScDmabuf) dmabuf = sc_dmabuf_new(&layout, NULL);
    int other = new_memfd(64 * 64 * 4);
    int same = dup(fd);

    layout.planes[0].fd = same;
    g_assert_true(sc_dmabuf_matches(dmabuf, &layout));
    layout.planes[0].stride = 260;
    g_assert_false(sc_dmabuf_matches(dmabuf, &layout));
    layout = xrgb_layout(other, 64, 64);
    g_assert_false(sc_dmabuf_matches(dmabuf, &layout));
    close(same);
    close(other);
}

static void test_dmabuf_refuses_nonsense(void)
{
    int before = next_fd();
    ScDmabufLayout layouts[] = {
        xrgb_layout(new_memfd(4096), 64, 64),        /* too small */
        xrgb_layout(-1, 64, 64),                     /* no descriptor */
        xrgb_layout(new_memfd(64 * 64 * 4), 64, 0),  /* no rows */
        xrgb_layout(new_memfd(64 * 64 * 4), 64, 64), /* offset, below */
        xrgb_layout(new_memfd(64 * 64 * 4), 64, 64), /* stride, below */
        xrgb_layout(new_memfd(64 * 64 * 4), 64, 64), /* planes, below */
        xrgb_layout(open("/dev/null", O_RDONLY), 64, G_MAXUINT32),
    };

    layouts[3].planes[0].offset = G_MAXUINT32;
    layouts[4].planes[0].stride = 255;
    layouts[5].n_planes = 2;
    layouts[5].planes[1].fd = -1;
    for (gsize i = 0; i < G_N_ELEMENTS(layouts); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(sc_dmabuf_new(&layouts[i], &error));
        g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
    }
    g_assert_cmpint(next_fd(), ==, before);
}

static void test_dmabuf_that_shrinks(void)
{
    int fd = new_memfd(64 * 64 * 4);
    ScDmabufLayout layout = xrgb_layout(fd, 64, 64);
    g_autoptr(ScDmabuf) dmabuf = sc_dmabuf_new(&layout, NULL);
    g_autoptr(GError) error = NULL;
    const guint8 *data;

    g_assert_true(sc_dmabuf_begin_read(dmabuf, &data, NULL));
    sc_dmabuf_end_read(dmabuf);
    g_assert_cmpint(ftruncate(fd, 4096), ==, 0);
    g_assert_false(sc_dmabuf_begin_read(dmabuf, &data, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
}

static void test_scanout_keeps_detached_picture(void)
{
    guint32 *memory = g_new0(guint32, 64 * 64);
    g_autoptr(ScScanout) held = NULL;
    ScScanout *scanout = new_scanout(memory, 64, 64);
    ScPixels pixels;

    memory[65] = 0xffabcdef;
    held = sc_scanout_ref(scanout);
    sc_scanout_detach_pixels(scanout);
    sc_scanout_unref(scanout);
    g_free(memory);
    g_assert_true(sc_scanout_begin_read(held, &pixels, NULL));
    g_assert_cmphex(((const guint32 *)(pixels.data + 256))[1], ==, 0xffabcdef);
    sc_scanout_end_read(held);
}

static void test_scanout_keeps_bytes(void)
{
    static const guint8 pixels[4 * 4] = { 9 };
    g_autoptr(GBytes) bytes = g_bytes_new(pixels, sizeof(pixels));
    g_autoptr(GError) error = NULL;
    ScScanout *scanout =
        sc_scanout_new_bytes(g_bytes_ref(bytes), 2, 2, 8, DRM_FORMAT_XRGB8888, &error);
    ScPixels read;

    g_assert_no_error(error);
    g_bytes_unref(bytes);
    sc_scanout_ref(scanout);
    sc_scanout_detach_pixels(scanout);
    sc_scanout_unref(scanout);
    g_assert_true(sc_scanout_begin_read(scanout, &read, &error));
    g_assert_true(read.data == g_bytes_get_data(bytes, NULL));
    sc_scanout_end_read(scanout);
    sc_scanout_unref(scanout);
    g_assert_null(sc_scanout_new_bytes(bytes, 2, 3, 8, DRM_FORMAT_XRGB8888, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
}

static void test_scanout_of_memory_is_no_dmabuf(void)
{
    int before = next_fd();
    int fd = memfd_create("test", MFD_CLOEXEC);
    g_autoptr(ScScanoutCache) cache = sc_scanout_cache_new(sc_scanout_new_memory);
    ScDmabufLayout layout = { .width = 4,
                              .height = 4,
                              .fourcc = DRM_FORMAT_XRGB8888,
                              .n_planes = 1,
                              .planes[0] = { .fd = fd, .stride = 16 } };
    g_autoptr(GError) error = NULL;
    gboolean is_other = FALSE;
    ScScanout *scanout;
    ScPixels read;

    g_assert_no_errno(ftruncate(fd, 64));
    scanout = sc_scanout_cache_get(cache, &layout, FALSE, &is_other, &error);
    g_assert_no_error(error);
    g_assert_true(is_other);
    g_assert_null(sc_scanout_get_dmabuf(scanout));
    g_assert_true(sc_scanout_begin_read(scanout, &read, &error));
    sc_scanout_end_read(scanout);
    g_assert_true(sc_scanout_cache_get(cache, &layout, FALSE, &is_other, &error) == scanout);
    g_assert_false(is_other);
    close(fd);
    g_clear_pointer(&cache, sc_scanout_cache_free);
    g_assert_cmpint(next_fd(), ==, before);
}

static void test_damage_is_cut(void)
{
    pixman_region32_t damage;
    const pixman_box32_t *box;

    pixman_region32_init(&damage);
    g_assert_false(sc_damage_add(&damage, 0, 0, 0, 5, 100, 50));
    g_assert_false(sc_damage_add(&damage, 100, 0, 5, 5, 100, 50));
    g_assert_false(sc_damage_add(&damage, G_MININT32, 0, G_MAXINT32, 5, 100, 50));
    g_assert_false(sc_damage_add(&damage, 0, 0, 5, -5, 100, 50));
    g_assert_true(sc_damage_add(&damage, 90, -10, G_MAXUINT32, 20, 100, 50));
    box = pixman_region32_extents(&damage);
    g_assert_true(box->x1 == 90 && box->y1 == 0 && box->x2 == 100 && box->y2 == 10);
    for (int i = 0; i < 40; i++) {
        g_assert_true(sc_damage_add(&damage, 2 * i, 20 + i % 2 * 2, 1, 1, 100, 50));
    }
    g_assert_cmpint(pixman_region32_n_rects(&damage), <=, 32);
    pixman_region32_fini(&damage);
}

static void test_cursor_colours_are_multiplied_once(void)
{
    guint32 straight[] = { 0x80ff8000, 0x00ffffff };
    guint32 multiplied[] = { 0x80804000, 0x00000000 };

    sc_cursor_premultiply(straight, G_N_ELEMENTS(straight));
    g_assert_cmphex(straight[0], ==, 0x80804000);
    g_assert_cmphex(straight[1], ==, 0);
    sc_cursor_premultiply(multiplied, G_N_ELEMENTS(multiplied));
    g_assert_cmphex(multiplied[0], ==, 0x80804000);
}

static void test_frame_clips_damage(void)
{
    static guint32 pixels[64 * 64];
    g_autoptr(ScScanout) scanout = new_scanout(pixels, 64, 64);
    g_autoptr(ScFrame) frame = NULL;
    pixman_region32_t damage;
    pixman_box32_t *extents;

    pixman_region32_init_rect(&damage, -100, 60, 110, 1000);
    frame = sc_frame_new(scanout, &damage, NULL);
    extents = pixman_region32_extents((pixman_region32_t *)sc_frame_get_damage(frame));
    g_assert_cmpint(extents->x1, ==, 0);
    g_assert_cmpint(extents->x2, ==, 10);
    g_assert_cmpint(extents->y1, ==, 60);
    g_assert_cmpint(extents->y2, ==, 64);
    sc_frame_add_damage(frame, &damage);
    g_assert_cmpint(pixman_region32_n_rects((pixman_region32_t *)sc_frame_get_damage(frame)), ==,
                    1);
    pixman_region32_fini(&damage);
}

static void test_cursor_refuses_nonsense(void)
{
    guint32 argb[4] = { 1, 2, 3, 4 };
    g_autoptr(ScCursor) cursor = sc_cursor_new(2, 2, 1, 1, argb, NULL);

    g_assert_cmphex(sc_cursor_get_argb(cursor)[3], ==, 4);
    g_assert_null(sc_cursor_new(0, 2, 0, 0, argb, NULL));
    g_assert_null(sc_cursor_new(2, 2, 2, 0, argb, NULL));
    g_assert_null(sc_cursor_new(SC_CURSOR_MAX_SIZE + 1, 2, 0, 0, argb, NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/timer", test_timer);
    g_test_add_func("/flush/rides-with-frame", test_flush_rides_with_frame);
    g_test_add_func("/flush/expires-once", test_flush_expires_once);
    g_test_add_func("/flush/twice-asserts", test_flush_twice_asserts);
    g_test_add_func("/flush/forgotten-is-critical", test_flush_forgotten_is_critical);
    g_test_add_func("/format/layout-arithmetic", test_layout_arithmetic);
    g_test_add_func("/dmabuf/reads-and-closes", test_dmabuf_reads_and_closes);
    g_test_add_func("/dmabuf/knows-its-memory", test_dmabuf_knows_its_memory);
    g_test_add_func("/dmabuf/matches-by-inode", test_dmabuf_matches_by_inode);
    g_test_add_func("/dmabuf/refuses-nonsense", test_dmabuf_refuses_nonsense);
    g_test_add_func("/dmabuf/that-shrinks", test_dmabuf_that_shrinks);
    g_test_add_func("/scanout/keeps-detached-picture", test_scanout_keeps_detached_picture);
    g_test_add_func("/scanout/keeps-bytes", test_scanout_keeps_bytes);
    g_test_add_func("/scanout/of-memory-is-no-dmabuf", test_scanout_of_memory_is_no_dmabuf);
    g_test_add_func("/damage/is-cut", test_damage_is_cut);
    g_test_add_func("/frame/clips-damage", test_frame_clips_damage);
    g_test_add_func("/cursor/refuses-nonsense", test_cursor_refuses_nonsense);
    g_test_add_func("/cursor/colours-are-multiplied-once", test_cursor_colours_are_multiplied_once);
    return g_test_run();
}
