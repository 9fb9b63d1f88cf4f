/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/spice-display.h"

#include "capture/complaints.h"
#include "capture/damage.h"
#include "capture/error.h"
#include "capture/scanout-cache.h"
#include "capture/timer.h"

#include <drm_fourcc.h>

/* The VMM shows each refresh as many small updates; they become one frame. Shorter than any
 * display's frame time, longer than it takes to receive a screen over a unix socket. */
#define COALESCE_US (3 * 1000)

/* A GL scanout nobody draws on (we connected to an idle guest) is shown as it is after a while: the
 * draw that belongs to a flip follows within a millisecond or so. */
#define SHOW_UNDRAWN_US (50 * 1000)

/* A change of resolution is a destroyed surface and then a new one: that is no reason to go dark.
 */
#define DARK_AFTER_US (200 * 1000)

struct ScSpiceDisplay {
    ScSource *source;
    SpiceDisplayChannel *channel;
    gboolean gone;

    GQueue draws; /* of Draw: not completed yet */
    ScScanoutCache *cache;
    ScScanout *gl; /* NULL: there is none, or none we can use */
    ScTimer *show_undrawn;

    ScScanout *primary; /* the surface; NULL if there is none we can use */
    pixman_region32_t damage;
    ScTimer *coalesce;

    /* Which of the two is shown: the one drawn on last, as in spice-gtk's widget, because
     * libspice-server never says that a GL scanout was switched off. */
    gboolean on_gl;
    gboolean lit;     /* the listener was told of a scanout last, not of none */
    ScScanout *shown; /* that one; NULL while lit: its surface is gone */
    gboolean whole;   /* of what is shown no frame was sent yet */
    ScTimer *go_dark;

    ScComplaints *complaints;
};

typedef struct {
    ScSpiceDisplay *display;
    ScFlush *flush;
} Draw;

/* ---- what is shown ---------------------------------------------------------------------- */

static void show(ScSpiceDisplay *self, ScScanout *scanout)
{
    sc_timer_cancel(self->go_dark);
    if (scanout == self->shown && self->lit == (scanout != NULL)) {
        return;
    }
    g_clear_pointer(&self->shown, sc_scanout_unref);
    self->lit = scanout != NULL;
    if (scanout != NULL) {
        self->shown = sc_scanout_ref(scanout);
    }
    sc_source_emit_scanout(self->source, scanout);
}

static void emit_frame(ScSpiceDisplay *self, pixman_region32_t *damage, ScFlush *flush)
{
    g_autoptr(ScFrame) frame = sc_frame_new(self->shown, self->whole ? NULL : damage, flush);

    self->whole = FALSE;
    sc_source_emit_frame(self->source, frame);
}

static void go_dark(gpointer data)
{
    show(data, NULL);
}

/* ---- GL scanouts ------------------------------------------------------------------------ */

static void draw_completed(ScFlushResult result, gpointer data)
{
    Draw *draw = data;
    ScSpiceDisplay *self = draw->display;

    g_queue_remove(&self->draws, draw);
    if (!self->gone) {
        spice_display_channel_gl_draw_done(self->channel);
    }
    sc_flush_unref(draw->flush);
    g_free(draw);
}

static void drop_draws(ScSpiceDisplay *self)
{
    Draw *draw;

    while ((draw = g_queue_peek_head(&self->draws)) != NULL) {
        sc_flush_complete(draw->flush, SC_FLUSH_DROPPED);
    }
}

/* The scanout stays the cache's. */
static ScScanout *lookup_scanout(ScSpiceDisplay *self, const SpiceGlScanout *gl, GError **error)
{
    ScDmabufLayout layout = {
        .width = gl->width,
        .height = gl->height,
        .fourcc = gl->format,
        .modifier = DRM_FORMAT_MOD_INVALID,
        .n_planes = 1,
        .planes[0] = { .fd = gl->fd, .offset = 0, .stride = gl->stride },
    };
    gboolean is_other;
    /* The first row is at texture coordinate 0, where OpenGL has the bottom: QEMU and spice-gtk
     * turn what has no such flag, as the dmabufs that guests draw in have not. */
    ScScanout *scanout = sc_scanout_cache_get(self->cache, &layout, gl->y0top, &is_other, error);

    self->whole |= is_other;
    return scanout;
}

static void show_gl(ScSpiceDisplay *self)
{
    if (!self->on_gl) {
        self->on_gl = TRUE;
        self->whole = TRUE;
        sc_timer_cancel(self->coalesce);
    }
    show(self, self->gl);
}

static void on_gl_scanout(GObject *object, GParamSpec *pspec, gpointer data)
{
    ScSpiceDisplay *self = data;
    const SpiceGlScanout *gl = spice_display_channel_get_gl_scanout(self->channel);
    g_autoptr(GError) error = NULL;

    /* What is still being drawn is no longer what the VMM shows. */
    drop_draws(self);
    sc_timer_cancel(self->show_undrawn);
    self->gl = gl != NULL ? lookup_scanout(self, gl, &error) : NULL;
    if (error != NULL) {
        sc_complaints_add(self->complaints, "a GL scanout", error);
    }
    if (self->gl == NULL) {
        sc_scanout_cache_clear(self->cache);
    } else {
        sc_timer_set_after(self->show_undrawn, SHOW_UNDRAWN_US);
    }
    if (gl != NULL || self->on_gl) {
        show_gl(self);
    }
}

static void show_undrawn(gpointer data)
{
    ScSpiceDisplay *self = data;

    emit_frame(self, NULL, NULL);
}

static void on_gl_draw(SpiceDisplayChannel *channel, guint x, guint y, guint width, guint height,
                       gpointer data)
{
    ScSpiceDisplay *self = data;
    Draw *draw;
    pixman_region32_t damage;
    g_autoptr(ScFlush) flush = NULL;

    if (self->gl == NULL || width == 0 || height == 0 || x >= sc_scanout_get_width(self->gl) ||
        y >= sc_scanout_get_height(self->gl)) {
        spice_display_channel_gl_draw_done(channel);
        return;
    }
    show_gl(self);
    sc_timer_cancel(self->show_undrawn);
    draw = g_new0(Draw, 1);
    draw->display = self;
    flush = sc_flush_new(draw_completed, draw);
    draw->flush = sc_flush_ref(flush);
    g_queue_push_tail(&self->draws, draw);

    width = MIN(width, sc_scanout_get_width(self->gl));
    height = MIN(height, sc_scanout_get_height(self->gl));
    pixman_region32_init_rect(&damage, (int)x, (int)y, width, height);
    emit_frame(self, &damage, flush);
    pixman_region32_fini(&damage);
}

/* ---- the primary surface ---------------------------------------------------------------- */

static guint32 surface_fourcc(int format)
{
    switch (format) {
    case SPICE_SURFACE_FMT_32_xRGB:
    case SPICE_SURFACE_FMT_32_ARGB:
        return DRM_FORMAT_XRGB8888; /* a screen is opaque */
    case SPICE_SURFACE_FMT_16_565:
        return DRM_FORMAT_RGB565;
    case SPICE_SURFACE_FMT_16_555:
        return DRM_FORMAT_XRGB1555;
    default:
        return 0;
    }
}

static ScScanout *surface_scanout(int format, int width, int height, int stride, gpointer pixels,
                                  GError **error)
{
    gsize size;

    /* spice-gtk makes these numbers itself, but from what the VMM sent. */
    if (pixels == NULL || width <= 0 || height <= 0 || stride <= 0 ||
        !g_size_checked_mul(&size, (gsize)stride, (gsize)height)) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "%d x %d pixels, stride %d", width, height,
                    stride);
        return NULL;
    }
    return sc_scanout_new_pixels(pixels, size, (guint32)width, (guint32)height, (guint32)stride,
                                 surface_fourcc(format), FALSE, error);
}

static void damage_primary(ScSpiceDisplay *self, int x, int y, int width, int height)
{
    if (self->primary == NULL ||
        !sc_damage_add(&self->damage, x, y, width, height, sc_scanout_get_width(self->primary),
                       sc_scanout_get_height(self->primary))) {
        return;
    }
    self->on_gl = FALSE;
    sc_timer_cancel(self->show_undrawn);
    if (!sc_timer_is_set(self->coalesce)) {
        sc_timer_set_after(self->coalesce, COALESCE_US);
    }
}

static void emit_primary(gpointer data)
{
    ScSpiceDisplay *self = data;
    pixman_region32_t damage;

    self->whole |= self->shown != self->primary;
    show(self, self->primary);
    damage = self->damage;
    pixman_region32_init(&self->damage);
    emit_frame(self, &damage, NULL);
    pixman_region32_fini(&damage);
}

static void forget_primary(ScSpiceDisplay *self)
{
    if (self->primary == NULL) {
        return;
    }
    sc_timer_cancel(self->coalesce);
    pixman_region32_clear(&self->damage);
    if (self->shown == self->primary) {
        /* Ours does not count as somebody who still holds it. */
        g_clear_pointer(&self->shown, sc_scanout_unref);
        sc_timer_set_after(self->go_dark, DARK_AFTER_US);
    }
    sc_scanout_detach_pixels(self->primary);
    g_clear_pointer(&self->primary, sc_scanout_unref);
}

static void on_primary_create(SpiceChannel *channel, int format, int width, int height, int stride,
                              int shmid, gpointer pixels, gpointer data)
{
    ScSpiceDisplay *self = data;
    g_autoptr(GError) error = NULL;

    forget_primary(self);
    self->primary = surface_scanout(format, width, height, stride, pixels, &error);
    if (self->primary == NULL) {
        sc_complaints_add(self->complaints, "a surface", error);
    }
}

static void on_primary_destroy(SpiceChannel *channel, gpointer data)
{
    forget_primary(data);
}

static void on_invalidate(SpiceChannel *channel, int x, int y, int width, int height, gpointer data)
{
    damage_primary(data, x, y, width, height);
}

static void on_mark(SpiceChannel *channel, gboolean mark, gpointer data)
{
    damage_primary(data, 0, 0, G_MAXINT, G_MAXINT);
}

/* ---- */

ScSpiceDisplay *sc_spice_display_new(ScSource *source, SpiceChannel *channel)
{
    ScSpiceDisplay *self = g_new0(ScSpiceDisplay, 1);

    self->source = source;
    self->channel = g_object_ref(SPICE_DISPLAY_CHANNEL(channel));
    self->complaints = sc_complaints_new();
    self->cache = sc_scanout_cache_new(sc_scanout_new_dmabuf);
    self->show_undrawn = sc_timer_new(show_undrawn, self);
    self->coalesce = sc_timer_new(emit_primary, self);
    self->go_dark = sc_timer_new(go_dark, self);
    self->whole = TRUE;
    g_queue_init(&self->draws);
    pixman_region32_init(&self->damage);

    g_signal_connect(channel, "notify::gl-scanout", G_CALLBACK(on_gl_scanout), self);
    g_signal_connect(channel, "gl-draw", G_CALLBACK(on_gl_draw), self);
    g_signal_connect(channel, "display-primary-create", G_CALLBACK(on_primary_create), self);
    g_signal_connect(channel, "display-primary-destroy", G_CALLBACK(on_primary_destroy), self);
    g_signal_connect(channel, "display-invalidate", G_CALLBACK(on_invalidate), self);
    g_signal_connect(channel, "display-mark", G_CALLBACK(on_mark), self);
    return self;
}

void sc_spice_display_set_gone(ScSpiceDisplay *self)
{
    self->gone = TRUE;
}

void sc_spice_display_free(ScSpiceDisplay *self)
{
    if (self == NULL) {
        return;
    }
    g_signal_handlers_disconnect_by_data(self->channel, self);
    drop_draws(self);
    forget_primary(self);
    sc_scanout_cache_free(self->cache);
    g_clear_pointer(&self->shown, sc_scanout_unref);
    sc_timer_free(self->show_undrawn);
    sc_timer_free(self->coalesce);
    sc_timer_free(self->go_dark);
    pixman_region32_fini(&self->damage);
    sc_complaints_free(self->complaints);
    g_object_unref(self->channel);
    g_free(self);
}
