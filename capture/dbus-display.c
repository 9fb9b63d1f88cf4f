/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/dbus-display.h"

#include "capture/complaints.h"
#include "capture/damage.h"
#include "capture/dbus-scanout.h"
#include "capture/format.h"
#include "capture/scanout-cache.h"
#include "capture/timer.h"

#include <string.h>

/* Without GL a VMM shows each refresh as many small updates; they become one frame. Shorter than
 * any display's frame time, longer than it takes to receive them. */
#define COALESCE_US (3 * 1000)

/* A scanout nobody draws on (we came to an idle guest) is shown as it is after a while: the draw
 * that belongs to a flip follows within a millisecond or so. */
#define SHOW_UNDRAWN_US (50 * 1000)

/* A change of mode may be a Disable and then a new scanout: that is no reason to go dark. */
#define DARK_AFTER_US (200 * 1000)

/* Disable of the old scanout follows the new one within a millisecond or so. */
#define EXCUSE_US (100 * 1000)

/* While a guest flips, the scanout after a lost one comes with the next flip. */
#define LOST_AFTER_US (100 * 1000)

struct ScDbusDisplay {
    ScSource *source;
    GDBusConnection *connection;
    ScComplaints *complaints;

    GQueue flushes; /* of Flush: not completed yet */
    ScScanoutCache *dmabufs, *maps;

    ScDbusKind kind;
    ScScanout *scanout; /* NULL: there is none, or none we can use */
    gboolean lit;       /* the listener was told of a scanout last, not of none */
    gboolean whole;     /* of the scanout no frame was sent yet */
    ScTimer *show_undrawn;
    ScTimer *go_dark;

    /* When a guest flips, QEMU tells the new scanout and then disables: the old one it means. From
     * 9.2 on it then forgets what it has not sent yet, and that may be the new one. */
    gint64 excuses_disable_until;
    gboolean had_scanout; /* the first one replaces none, and excuses nothing */
    gboolean disabled;    /* since the scanout came, without an excuse */
    void (*lost)(gpointer data);
    gpointer lost_data;
    ScTimer *tell_lost;

    ScDbusPixels pixels; /* SC_DBUS_PIXELS: what the scanout shows */
    guint8 *own_pixels;  /* NULL while that is as it came; else it may be drawn in */
    pixman_region32_t damage;
    ScTimer *coalesce;
};

/* Draws of the guest, answered together. */
typedef struct {
    ScDbusDisplay *display;
    ScFlush *flush;
    GPtrArray *calls; /* GDBusMessage */
} Flush;

/* ---- what is shown ---------------------------------------------------------------------- */

/* Takes @scanout, which may be the one there is already, and may be NULL. */
static void show(ScDbusDisplay *self, ScScanout *scanout)
{
    ScScanout *before = self->scanout;

    sc_timer_cancel(self->go_dark);
    self->scanout = scanout;
    if (scanout != before || self->lit != (scanout != NULL)) {
        self->lit = scanout != NULL;
        sc_source_emit_scanout(self->source, scanout);
    }
    sc_scanout_unref(before);
}

static void emit_frame(ScDbusDisplay *self, const pixman_region32_t *damage, ScFlush *flush)
{
    g_autoptr(ScFrame) frame = sc_frame_new(self->scanout, self->whole ? NULL : damage, flush);

    sc_timer_cancel(self->show_undrawn);
    self->whole = FALSE;
    sc_source_emit_frame(self->source, frame);
}

static void emit_damage(gpointer data)
{
    ScDbusDisplay *self = data;
    pixman_region32_t damage = self->damage;

    sc_timer_cancel(self->coalesce);
    pixman_region32_init(&self->damage);
    emit_frame(self, &damage, NULL);
    pixman_region32_fini(&damage);
}

static void show_undrawn(gpointer data)
{
    emit_frame(data, NULL, NULL);
}

static void forget_damage(ScDbusDisplay *self)
{
    sc_timer_cancel(self->coalesce);
    sc_timer_cancel(self->show_undrawn);
    pixman_region32_clear(&self->damage);
}

static void go_dark(gpointer data)
{
    ScDbusDisplay *self = data;

    forget_damage(self);
    show(self, NULL);
}

/* ---- flushes ---------------------------------------------------------------------------- */

static void answer_all(ScDbusDisplay *self, GPtrArray *calls)
{
    for (guint i = 0; i < calls->len; i++) {
        sc_dbus_answer(self->connection, calls->pdata[i], NULL);
    }
}

static void flush_completed(ScFlushResult result, gpointer data)
{
    Flush *flush = data;
    ScDbusDisplay *self = flush->display;

    g_queue_remove(&self->flushes, flush);
    answer_all(self, flush->calls);
    g_ptr_array_unref(flush->calls);
    sc_flush_unref(flush->flush);
    g_free(flush);
}

static void drop_flushes(ScDbusDisplay *self)
{
    Flush *flush;

    while ((flush = g_queue_peek_head(&self->flushes)) != NULL) {
        sc_flush_complete(flush->flush, SC_FLUSH_DROPPED);
    }
}

static void draw_dmabuf(ScDbusDisplay *self, ScDbusNews *news)
{
    g_autoptr(ScFlush) owned = NULL;
    pixman_region32_t damage;
    Flush *flush;

    if (news->dmabuf_updates->len == 0) {
        return;
    }
    self->excuses_disable_until = 0;
    if (self->disabled && self->kind == SC_DBUS_DMABUF && self->scanout != NULL) {
        /* What is drawn on is not what we have: the guest draws in that for the next flip. */
        sc_timer_cancel(self->go_dark);
        answer_all(self, news->dmabuf_updates);
        if (!sc_timer_is_set(self->tell_lost)) {
            sc_timer_set_after(self->tell_lost, LOST_AFTER_US);
        }
        return;
    }
    pixman_region32_init(&damage);
    if (self->kind == SC_DBUS_DMABUF && self->scanout != NULL) {
        pixman_region32_intersect_rect(&damage, &news->dmabuf_damage, 0, 0,
                                       sc_scanout_get_width(self->scanout),
                                       sc_scanout_get_height(self->scanout));
    }
    if (pixman_region32_not_empty(&damage)) {
        sc_timer_cancel(self->go_dark);
        flush = g_new0(Flush, 1);
        flush->display = self;
        flush->calls = g_ptr_array_ref(news->dmabuf_updates);
        owned = sc_flush_new(flush_completed, flush);
        flush->flush = sc_flush_ref(owned);
        g_queue_push_tail(&self->flushes, flush);
        emit_frame(self, &damage, owned);
    } else {
        answer_all(self, news->dmabuf_updates);
    }
    pixman_region32_fini(&damage);
}

/* ---- new scanouts ----------------------------------------------------------------------- */

/* The scanout of a call, referenced; NULL and an error, or if its descriptors are unusable. */
static ScScanout *find_buffer(ScDbusDisplay *self, ScDbusNews *news, GError **error)
{
    ScScanoutCache *cache = news->kind == SC_DBUS_MAP ? self->maps : self->dmabufs;
    ScDmabufLayout layout;
    gboolean bottom_up, is_other;
    ScScanout *scanout = NULL;

    /* The row at texture coordinate 0 comes first, and y0_top says that it is where OpenGL has the
     * bottom; without it QEMU turns pictures when it draws them with OpenGL. */
    if (sc_dbus_scanout_parse(news->scanout, &layout, &bottom_up, error)) {
        g_autofree char *format = sc_format_name(layout.fourcc);

        g_debug("%s: %ux%u %s, modifier 0x%" G_GINT64_MODIFIER "x, planes: %u",
                g_dbus_message_get_member(news->scanout), layout.width, layout.height, format,
                layout.modifier, layout.n_planes);
        scanout = sc_scanout_cache_get(cache, &layout, bottom_up, &is_other, error);
    }
    if (scanout == NULL) {
        sc_scanout_cache_clear(cache);
        return NULL;
    }
    self->whole |= is_other;
    return sc_scanout_ref(scanout);
}

static ScScanout *find_scanout(ScDbusDisplay *self, ScDbusNews *news, GError **error)
{
    const ScDbusPixels *pixels = &self->pixels;

    if (news->kind != SC_DBUS_PIXELS) {
        return find_buffer(self, news, error);
    }
    if (news->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&news->error));
        return NULL;
    }
    self->pixels = news->pixels;
    news->pixels.bytes = NULL;
    self->whole = TRUE;
    return sc_scanout_new_bytes(pixels->bytes, pixels->width, pixels->height, pixels->stride,
                                pixels->fourcc, error);
}

static void begin_scanout(ScDbusDisplay *self, ScDbusNews *news)
{
    g_autoptr(GError) error = NULL;

    if (news->kind == SC_DBUS_NOTHING) {
        return;
    }
    /* What is still being drawn is no longer what the VMM shows. */
    drop_flushes(self);
    forget_damage(self);
    g_clear_pointer(&self->pixels.bytes, g_bytes_unref);
    self->own_pixels = NULL;
    self->whole |= news->kind != self->kind || self->scanout == NULL;
    self->kind = news->kind;
    self->excuses_disable_until = self->had_scanout ? g_get_monotonic_time() + EXCUSE_US : 0;
    self->had_scanout = TRUE;
    self->disabled = FALSE;
    sc_timer_cancel(self->tell_lost);

    show(self, find_scanout(self, news, &error));
    if (error != NULL) {
        sc_complaints_add(self->complaints, "a scanout", error);
    }
    if (news->scanout != NULL) {
        /* Where shared memory is refused QEMU sends pixels instead. */
        sc_dbus_answer(self->connection, news->scanout, error);
    }
    if (self->scanout != NULL) {
        sc_timer_set_after(self->show_undrawn, SHOW_UNDRAWN_US);
    }
}

/* ---- changes of pixels ------------------------------------------------------------------ */

/* What came is not ours to draw in: whoever holds it reads it. */
static void own_pixels(ScDbusDisplay *self)
{
    ScDbusPixels *pixels = &self->pixels;
    gsize size = g_bytes_get_size(pixels->bytes);
    GBytes *theirs = pixels->bytes;

    if (self->own_pixels != NULL) {
        return;
    }
    self->own_pixels = g_memdup2(g_bytes_get_data(theirs, NULL), size);
    pixels->bytes = g_bytes_new_take(self->own_pixels, size);
    g_bytes_unref(theirs);
    show(self, sc_scanout_new_bytes(pixels->bytes, pixels->width, pixels->height, pixels->stride,
                                    pixels->fourcc, NULL));
}

static void draw_changes(ScDbusDisplay *self, ScDbusNews *news)
{
    guint bytes_per_pixel = sc_format_bytes_per_pixel(self->pixels.fourcc);
    const ScDbusPixels *changes = &news->changes;
    const pixman_box32_t *boxes;
    int n_boxes;

    own_pixels(self);
    boxes = pixman_region32_rectangles(&news->changed, &n_boxes);
    for (int i = 0; i < n_boxes; i++) {
        const pixman_box32_t *box = &boxes[i];
        gsize from = (gsize)box->y1 * changes->stride + (gsize)box->x1 * bytes_per_pixel;
        gsize to = (gsize)box->y1 * self->pixels.stride + (gsize)box->x1 * bytes_per_pixel;
        const guint8 *data = g_bytes_get_data(changes->bytes, NULL);

        for (int y = box->y1; y < box->y2; y++) {
            memcpy(self->own_pixels + to, data + from,
                   (gsize)(box->x2 - box->x1) * bytes_per_pixel);
            from += changes->stride;
            to += self->pixels.stride;
        }
    }
}

static void add_damage(ScDbusDisplay *self, pixman_region32_t *damage)
{
    const pixman_box32_t *boxes;
    int n_boxes;

    boxes = pixman_region32_rectangles(damage, &n_boxes);
    for (int i = 0; i < n_boxes; i++) {
        sc_damage_add(&self->damage, boxes[i].x1, boxes[i].y1, boxes[i].x2 - boxes[i].x1,
                      boxes[i].y2 - boxes[i].y1, sc_scanout_get_width(self->scanout),
                      sc_scanout_get_height(self->scanout));
    }
}

static gboolean is_all_damaged(const ScDbusDisplay *self)
{
    const pixman_box32_t *box = pixman_region32_extents((pixman_region32_t *)&self->damage);

    return pixman_region32_n_rects((pixman_region32_t *)&self->damage) == 1 &&
           box->x2 - box->x1 == (int)sc_scanout_get_width(self->scanout) &&
           box->y2 - box->y1 == (int)sc_scanout_get_height(self->scanout);
}

static void draw_surface(ScDbusDisplay *self, ScDbusNews *news)
{
    if (news->changes_error != NULL) {
        sc_complaints_add(self->complaints, "an update", news->changes_error);
    }
    if (self->scanout == NULL) {
        return;
    }
    if (self->kind == SC_DBUS_PIXELS && pixman_region32_not_empty(&news->changed)) {
        draw_changes(self, news);
        add_damage(self, &news->changed);
    } else if (self->kind == SC_DBUS_MAP) {
        add_damage(self, &news->map_damage);
    }
    if (news->kind == SC_DBUS_PIXELS || is_all_damaged(self)) {
        emit_damage(self);
    } else if (pixman_region32_not_empty(&self->damage) && !sc_timer_is_set(self->coalesce)) {
        sc_timer_cancel(self->go_dark);
        sc_timer_set_after(self->coalesce, COALESCE_US);
    }
}

/* ---- */

static void tell_lost(gpointer data)
{
    ScDbusDisplay *self = data;

    self->lost(self->lost_data);
}

ScDbusDisplay *sc_dbus_display_new(ScSource *source, GDBusConnection *connection,
                                   void (*lost)(gpointer data), gpointer data)
{
    ScDbusDisplay *self = g_new0(ScDbusDisplay, 1);

    self->source = source;
    self->connection = g_object_ref(connection);
    self->complaints = sc_complaints_new();
    self->dmabufs = sc_scanout_cache_new(sc_scanout_new_dmabuf);
    self->maps = sc_scanout_cache_new(sc_scanout_new_memory);
    self->show_undrawn = sc_timer_new(show_undrawn, self);
    self->go_dark = sc_timer_new(go_dark, self);
    self->lost = lost;
    self->lost_data = data;
    self->tell_lost = sc_timer_new(tell_lost, self);
    self->coalesce = sc_timer_new(emit_damage, self);
    g_queue_init(&self->flushes);
    pixman_region32_init(&self->damage);
    return self;
}

static void take_disable(ScDbusDisplay *self)
{
    self->disabled |= g_get_monotonic_time() >= self->excuses_disable_until;
    self->excuses_disable_until = 0;
}

void sc_dbus_display_take(ScDbusDisplay *self, ScDbusNews *news)
{
    begin_scanout(self, news);
    if (news->was_disabled) {
        take_disable(self);
    }
    draw_surface(self, news);
    draw_dmabuf(self, news);
    if (news->is_disabled) {
        take_disable(self);
        if (self->disabled) {
            sc_timer_set_after(self->go_dark, DARK_AFTER_US);
        }
    }
}

void sc_dbus_display_free(ScDbusDisplay *self)
{
    if (self == NULL) {
        return;
    }
    drop_flushes(self);
    sc_timer_free(self->show_undrawn);
    sc_timer_free(self->go_dark);
    sc_timer_free(self->tell_lost);
    sc_timer_free(self->coalesce);
    sc_scanout_unref(self->scanout);
    sc_scanout_cache_free(self->dmabufs);
    sc_scanout_cache_free(self->maps);
    g_clear_pointer(&self->pixels.bytes, g_bytes_unref);
    pixman_region32_fini(&self->damage);
    sc_complaints_free(self->complaints);
    g_object_unref(self->connection);
    g_free(self);
}
