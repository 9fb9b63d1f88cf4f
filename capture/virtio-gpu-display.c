/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/virtio-gpu-display.h"

#include "capture/damage.h"
#include "capture/timer.h"

#include <string.h>

#define PIXEL 4

typedef struct {
    guint32 resource; /* id; 0: off */
    guint32 x, y;     /* where its picture begins in the resource's */
    ScGpuLayout layout;
} Scanout;

/* A copy of what the first scanout shows. */
typedef struct {
    ScScanout *scanout; /* NULL: none */
    guint8 *pixels;
    ScGpuLayout layout;
    gboolean is_stale; /* the guest has flushed since */
} Shadow;

struct ScGpuDisplay {
    ScGpuResources *resources;
    const ScGpuDisplayListener *listener;
    gpointer data;
    Scanout scanouts[VIRTIO_GPU_MAX_SCANOUTS];
    Shadow shadow;
    ScScanout *told;         /* to the listener last */
    guint32 direct_id;       /* the resource whose pages those are; 0: no such */
    ScGpuLayout told_layout; /* of these pages */
    gboolean is_lit;         /* the listener was told of a scanout, not of none */
    gboolean watched;
    guint distrust; /* flushes with a fence to come before pages are shown directly */
    ScTimer *undrawn;
};

static void show_undrawn(gpointer data);

ScGpuDisplay *sc_gpu_display_new(ScGpuResources *resources, const ScGpuDisplayListener *listener,
                                 gpointer data)
{
    ScGpuDisplay *display = g_new0(ScGpuDisplay, 1);

    display->resources = resources;
    display->listener = listener;
    display->data = data;
    display->undrawn = sc_timer_new(show_undrawn, display);
    return display;
}

/* Whoever still shows it keeps a copy. */
static void drop_shadow(Shadow *shadow)
{
    if (shadow->scanout != NULL) {
        sc_scanout_detach_pixels(shadow->scanout);
        g_clear_pointer(&shadow->scanout, sc_scanout_unref);
    }
    g_clear_pointer(&shadow->pixels, g_free);
}

void sc_gpu_display_free(ScGpuDisplay *display)
{
    if (display == NULL) {
        return;
    }
    sc_timer_free(display->undrawn);
    sc_scanout_unref(display->told);
    drop_shadow(&display->shadow);
    g_free(display);
}

/* ---- telling ---------------------------------------------------------------------------- */

static void tell_scanout(ScGpuDisplay *display, ScScanout *scanout)
{
    ScScanout *before = display->told;

    display->direct_id = 0;
    if (scanout == before && display->is_lit == (scanout != NULL)) {
        return;
    }
    display->told = scanout != NULL ? sc_scanout_ref(scanout) : NULL;
    display->is_lit = scanout != NULL;
    sc_scanout_unref(before);
    display->listener->scanout(scanout, display->data);
}

static void tell_frame(ScGpuDisplay *display, ScScanout *scanout, const pixman_region32_t *damage,
                       ScFlush *flush)
{
    g_autoptr(ScFrame) frame = sc_frame_new(scanout, damage, flush);

    tell_scanout(display, scanout);
    display->listener->frame(frame, display->data);
}

/* ---- the shadow ------------------------------------------------------------------------- */

static gboolean shadow_fits(const Shadow *shadow, const ScGpuLayout *layout)
{
    return shadow->scanout != NULL && shadow->layout.width == layout->width &&
           shadow->layout.height == layout->height && shadow->layout.fourcc == layout->fourcc;
}

static gboolean make_shadow(Shadow *shadow, const ScGpuLayout *layout)
{
    gsize size = (gsize)layout->width * layout->height * PIXEL;

    drop_shadow(shadow);
    shadow->pixels = g_try_malloc0(size);
    if (shadow->pixels == NULL) {
        g_warning("no memory for a copy of the guest's picture of %ux%u", layout->width,
                  layout->height);
        return FALSE;
    }
    shadow->layout = *layout;
    shadow->layout.stride = layout->width * PIXEL;
    shadow->layout.offset = 0;
    shadow->is_stale = TRUE;
    shadow->scanout = sc_scanout_new_pixels(shadow->pixels, size, layout->width, layout->height,
                                            shadow->layout.stride, layout->fourcc, FALSE, NULL);
    return shadow->scanout != NULL;
}

/* Copies @damage, or everything if it has not followed the guest. FALSE if that is impossible. */
static gboolean update_shadow(ScGpuDisplay *display, ScGpuResource *resource,
                              const Scanout *scanout, pixman_region32_t *damage)
{
    Shadow *shadow = &display->shadow;

    if (!shadow_fits(shadow, &scanout->layout) && !make_shadow(shadow, &scanout->layout)) {
        return FALSE;
    }
    if (shadow->is_stale) {
        pixman_region32_fini(damage);
        pixman_region32_init_rect(damage, 0, 0, scanout->layout.width, scanout->layout.height);
    }
    if (!sc_gpu_resource_copy(resource, &scanout->layout, damage, shadow->pixels,
                              shadow->layout.stride)) {
        return FALSE;
    }
    shadow->is_stale = FALSE;
    return TRUE;
}

static void show_shadow(ScGpuDisplay *display, ScGpuResource *resource, const Scanout *scanout,
                        pixman_region32_t *damage)
{
    /* Of a new size the listener shall know even if it does not look. */
    if (!display->watched && shadow_fits(&display->shadow, &scanout->layout)) {
        display->shadow.is_stale = TRUE;
        tell_scanout(display, display->shadow.scanout);
    } else if (update_shadow(display, resource, scanout, damage)) {
        tell_frame(display, display->shadow.scanout, damage, NULL);
    }
}

/* ---- showing ---------------------------------------------------------------------------- */

static void show_direct(ScGpuDisplay *display, ScGpuResource *resource, ScScanout *picture,
                        const pixman_region32_t *damage, ScFlush *flush)
{
    tell_frame(display, picture, damage, flush);
    display->shadow.is_stale = TRUE;
    display->direct_id = sc_gpu_resource_get_id(resource);
    display->told_layout = display->scanouts[0].layout;
}

static void show_copied(ScGpuDisplay *display, ScGpuResource *resource, ScScanout *picture,
                        const pixman_region32_t *damage)
{
    if (display->watched) {
        sc_gpu_resource_settle(resource);
        tell_frame(display, picture, damage, NULL);
    } else {
        tell_scanout(display, picture);
    }
}

/* TRUE: a frame has taken @flush. */
static gboolean show(ScGpuDisplay *display, ScGpuResource *resource, pixman_region32_t *damage,
                     ScFlush *flush)
{
    const Scanout *scanout = &display->scanouts[0];
    gboolean is_live = sc_gpu_resource_is_live(resource);
    ScScanout *picture = NULL;

    sc_timer_cancel(display->undrawn);
    if (!is_live || (flush != NULL && display->distrust == 0)) {
        picture = sc_gpu_resource_get_scanout(resource, &scanout->layout, is_live);
    }
    if (picture == NULL) {
        show_shadow(display, resource, scanout, damage);
    } else if (is_live) {
        show_direct(display, resource, picture, damage, flush);
        return TRUE;
    } else {
        show_copied(display, resource, picture, damage);
    }
    return FALSE;
}

static void show_undrawn(gpointer data)
{
    ScGpuDisplay *display = data;
    const Scanout *scanout = &display->scanouts[0];
    ScGpuResource *resource = sc_gpu_resources_find(display->resources, scanout->resource);
    pixman_region32_t all;

    if (resource != NULL) {
        pixman_region32_init_rect(&all, 0, 0, scanout->layout.width, scanout->layout.height);
        display->shadow.is_stale = TRUE;
        show(display, resource, &all, NULL);
        pixman_region32_fini(&all);
    }
}

gboolean sc_gpu_display_flush(ScGpuDisplay *display, ScGpuResource *resource,
                              const struct virtio_gpu_rect *rect, ScFlush *flush)
{
    const Scanout *scanout = &display->scanouts[0];
    gboolean is_taken = FALSE;
    pixman_region32_t damage;

    if (scanout->resource != sc_gpu_resource_get_id(resource)) {
        return FALSE;
    }
    if (flush == NULL) {
        display->distrust = SC_GPU_DISPLAY_TRUST;
    } else if (display->distrust > 0) {
        display->distrust--;
    }
    pixman_region32_init(&damage);
    if (sc_damage_add(&damage, (gint64)rect->x - scanout->x, (gint64)rect->y - scanout->y,
                      rect->width, rect->height, scanout->layout.width, scanout->layout.height)) {
        is_taken = show(display, resource, &damage, flush);
    }
    pixman_region32_fini(&damage);
    return is_taken;
}

void sc_gpu_display_set(ScGpuDisplay *display, guint index, ScGpuResource *resource, guint32 x,
                        guint32 y, const ScGpuLayout *layout)
{
    Scanout *scanout = &display->scanouts[index];

    if (resource == NULL) {
        memset(scanout, 0, sizeof *scanout);
    } else {
        scanout->resource = sc_gpu_resource_get_id(resource);
        scanout->x = x;
        scanout->y = y;
        scanout->layout = *layout;
    }
    if (index != 0) {
        return;
    }
    if (resource == NULL) {
        sc_timer_cancel(display->undrawn);
        tell_scanout(display, NULL);
    } else {
        sc_timer_set_after(display->undrawn, SC_GPU_DISPLAY_UNDRAWN);
    }
}

/* ---- keeping what is shown -------------------------------------------------------------- */

/* Copies what the listener was told of, which the scanout may have left already. */
static void save_direct(ScGpuDisplay *display, ScGpuResource *resource)
{
    Scanout told = { .layout = display->told_layout };
    pixman_region32_t all;

    pixman_region32_init_rect(&all, 0, 0, told.layout.width, told.layout.height);
    if (update_shadow(display, resource, &told, &all)) {
        tell_frame(display, display->shadow.scanout, &all, NULL);
    } else {
        tell_scanout(display, NULL);
    }
    pixman_region32_fini(&all);
}

/* What is copied has not followed the guest while nobody looked. */
static void catch_up_copied(ScGpuDisplay *display, ScGpuResource *resource)
{
    ScScanout *picture = sc_gpu_resource_get_scanout(resource, &display->scanouts[0].layout, FALSE);

    if (picture != NULL && picture == display->told) {
        sc_gpu_resource_settle(resource);
        tell_frame(display, picture, NULL, NULL);
    }
}

static void catch_up(ScGpuDisplay *display, ScGpuResource *resource)
{
    const Scanout *scanout = &display->scanouts[0];
    pixman_region32_t all;

    if (!sc_gpu_resource_is_live(resource)) {
        catch_up_copied(display, resource);
        return;
    }
    if (display->told == NULL || display->told != display->shadow.scanout ||
        !display->shadow.is_stale) {
        return;
    }
    pixman_region32_init_rect(&all, 0, 0, scanout->layout.width, scanout->layout.height);
    if (update_shadow(display, resource, scanout, &all)) {
        tell_frame(display, display->shadow.scanout, &all, NULL);
    }
    pixman_region32_fini(&all);
}

void sc_gpu_display_save(ScGpuDisplay *display, ScGpuResource *resource)
{
    guint32 id = sc_gpu_resource_get_id(resource);

    if (display->direct_id == id) {
        save_direct(display, resource);
    } else if (display->scanouts[0].resource == id) {
        catch_up(display, resource);
    }
}

void sc_gpu_display_forget(ScGpuDisplay *display, ScGpuResource *resource)
{
    for (guint i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
        if (display->scanouts[i].resource == sc_gpu_resource_get_id(resource)) {
            sc_gpu_display_set(display, i, NULL, 0, 0, NULL);
        }
    }
    sc_gpu_display_save(display, resource);
}

void sc_gpu_display_reset(ScGpuDisplay *display)
{
    guint32 id = display->direct_id != 0 ? display->direct_id : display->scanouts[0].resource;
    ScGpuResource *resource = sc_gpu_resources_find(display->resources, id);

    if (resource != NULL) {
        sc_gpu_display_save(display, resource);
    }
    memset(display->scanouts, 0, sizeof display->scanouts);
    sc_timer_cancel(display->undrawn);
    display->distrust = 0;
}

void sc_gpu_display_set_watched(ScGpuDisplay *display, gboolean watched)
{
    ScGpuResource *resource =
        sc_gpu_resources_find(display->resources, display->scanouts[0].resource);

    if (watched && !display->watched && resource != NULL) {
        catch_up(display, resource);
    }
    display->watched = watched;
}

gboolean sc_gpu_display_is_watched(const ScGpuDisplay *display)
{
    return display->watched;
}
