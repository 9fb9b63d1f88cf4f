/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/dbus/pair.h"

#include <drm_fourcc.h>

/* GDBus and GLib keep some descriptors for ever, from the first use on. */
static void warm_up(void)
{
    static gboolean is_warm;
    PlayedQemu *qemu;
    Watcher *watcher;

    if (is_warm) {
        return;
    }
    is_warm = TRUE;
    qemu = played_qemu_new();
    played_qemu_start(qemu);
    watcher = watcher_new_at(qemu->location);
    played_qemu_wait_listener(qemu);
    wait_until(watcher->n_connected == 1);
    watcher_free(watcher);
    played_qemu_free(qemu);
    iterate_for(200 * 1000);
}

Pair *pair_new_empty(void)
{
    Pair *pair;

    warm_up();
    pair = g_new0(Pair, 1);
    pair->n_fds = count_open_fds();
    pair->qemu = played_qemu_new();
    return pair;
}

Pair *pair_new(void)
{
    Pair *pair = pair_new_empty();

    played_qemu_start(pair->qemu);
    pair->watcher = watcher_new_at(pair->qemu->location);
    played_qemu_wait_listener(pair->qemu);
    wait_until(pair->watcher->n_connected == 1);
    return pair;
}

void pair_free(Pair *pair)
{
    gint64 end;

    if (pair->watcher != NULL) {
        watcher_free(pair->watcher);
    }
    played_qemu_free(pair->qemu);
    assert_nothing_left();
    /* GDBus's thread closes some, and wakes nobody up for that. */
    end = g_get_monotonic_time() + TEST_DEADLINE_US;
    while (count_open_fds() > pair->n_fds && g_get_monotonic_time() < end) {
        iterate_for(2 * 1000);
    }
    g_assert_cmpuint(count_open_fds(), ==, pair->n_fds);
    g_free(pair);
}

GVariant *scanout_arguments(guint width, guint height, guint32 number)
{
    return g_variant_new("(uuuu@ay)", width, height, width * 4, XRGB,
                         played_pixels(width, height, number));
}

GVariant *dmabuf_arguments(guint width, guint height, guint stride)
{
    return g_variant_new("(huuuutb)", 0, width, height, stride, DRM_FORMAT_XRGB8888,
                         (guint64)DRM_FORMAT_MOD_LINEAR, FALSE);
}

void pair_show_pixels(Pair *pair, guint width, guint height, guint32 number)
{
    guint before = pair->watcher->n_frames;

    played_do(pair->qemu, "Scanout", scanout_arguments(width, height, number), -1);
    wait_until(pair->watcher->n_frames > before);
    g_assert_cmpuint(watcher_read_number(pair->watcher), ==, number);
}

void assert_damage(Watcher *watcher, int x1, int y1, int x2, int y2)
{
    const pixman_box32_t *box = pixman_region32_extents(&watcher->damage);

    g_assert_cmpint(box->x1, ==, x1);
    g_assert_cmpint(box->y1, ==, y1);
    g_assert_cmpint(box->x2, ==, x2);
    g_assert_cmpint(box->y2, ==, y2);
}
