/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/frame.h"

struct ScFrame {
    guint ref_count;
    ScScanout *scanout;
    pixman_region32_t damage;
    ScFlush *flush; /* or NULL */
    guint64 serial;
    gint64 time;
    gboolean taken;
};

static guint64 frame_last_serial;
static guint frames_alive;

ScFrame *sc_frame_new(ScScanout *scanout, const pixman_region32_t *damage, ScFlush *flush)
{
    ScFrame *frame = g_new0(ScFrame, 1);
    guint width = sc_scanout_get_width(scanout);
    guint height = sc_scanout_get_height(scanout);

    frame->ref_count = 1;
    frame->scanout = sc_scanout_ref(scanout);
    frame->flush = flush != NULL ? sc_flush_ref(flush) : NULL;
    frame->serial = ++frame_last_serial;
    frame->time = g_get_monotonic_time();
    pixman_region32_init_rect(&frame->damage, 0, 0, width, height);
    if (damage != NULL) {
        pixman_region32_intersect(&frame->damage, &frame->damage, (pixman_region32_t *)damage);
    }
    frames_alive++;
    return frame;
}

ScFrame *sc_frame_ref(ScFrame *frame)
{
    frame->ref_count++;
    return frame;
}

void sc_frame_unref(ScFrame *frame)
{
    if (frame == NULL || --frame->ref_count > 0) {
        return;
    }
    if (sc_frame_is_awaited(frame)) {
        sc_flush_complete(frame->flush, frame->taken ? SC_FLUSH_DONE : SC_FLUSH_DROPPED);
    }
    sc_flush_unref(frame->flush);
    sc_scanout_unref(frame->scanout);
    pixman_region32_fini(&frame->damage);
    g_free(frame);
    frames_alive--;
}

ScScanout *sc_frame_get_scanout(const ScFrame *frame)
{
    return frame->scanout;
}

const pixman_region32_t *sc_frame_get_damage(const ScFrame *frame)
{
    return &frame->damage;
}

void sc_frame_add_damage(ScFrame *frame, const pixman_region32_t *damage)
{
    pixman_region32_union(&frame->damage, &frame->damage, (pixman_region32_t *)damage);
    pixman_region32_intersect_rect(&frame->damage, &frame->damage, 0, 0,
                                   sc_scanout_get_width(frame->scanout),
                                   sc_scanout_get_height(frame->scanout));
}

guint64 sc_frame_get_serial(const ScFrame *frame)
{
    return frame->serial;
}

gint64 sc_frame_get_time(const ScFrame *frame)
{
    return frame->time;
}

void sc_frame_set_taken(ScFrame *frame)
{
    frame->taken = TRUE;
}

void sc_frame_set_timeout(ScFrame *frame, gint64 timeout_us)
{
    if (frame->flush != NULL) {
        sc_flush_set_timeout(frame->flush, timeout_us);
    }
}

gboolean sc_frame_is_awaited(const ScFrame *frame)
{
    return frame->flush != NULL && sc_flush_is_pending(frame->flush);
}

gboolean sc_frame_is_expired(const ScFrame *frame)
{
    return frame->flush != NULL && sc_flush_is_expired(frame->flush);
}

guint sc_frame_count_alive(void)
{
    return frames_alive;
}
