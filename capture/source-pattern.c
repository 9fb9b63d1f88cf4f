/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A moving test picture: what there is to see without any VMM.
 *
 * The picture runs on a clock of its own: frame number N is due N / FPS after the start. While
 * nobody watches nothing is drawn and nobody is woken up.
 */
#include "capture/error.h"
#include "capture/format.h"
#include "capture/pattern.h"
#include "capture/source-impl.h"
#include "capture/timer.h"

#include <drm_fourcc.h>
#include <stdio.h>

#define DEFAULT_WIDTH 1280
#define DEFAULT_HEIGHT 720
#define DEFAULT_FPS 30
#define MAX_FPS 1000

typedef struct {
    ScSource base;
    int width, height;
    guint fps;
    guint32 *pixels;
    ScScanout *scanout;
    guint32 number; /* shown now */
    gint64 start;   /* when number 0 was due */
    ScTimer *next_frame;
} PatternSource;

static gboolean parse_address(const char *address, guint *width, guint *height, guint *fps,
                              GError **error)
{
    int end = -1;

    *width = DEFAULT_WIDTH;
    *height = DEFAULT_HEIGHT;
    *fps = DEFAULT_FPS;
    if (address == NULL) {
        return TRUE;
    }
    /* Lengths bound the numbers: %u of more digits would overflow unnoticed. */
    if ((sscanf(address, "%5ux%5u%n@%4u%n", width, height, &end, fps, &end) < 2) || end < 0 ||
        address[end] != '\0') {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "'%s' is not WIDTHxHEIGHT or WIDTHxHEIGHT@FPS, as in 1280x720@30", address);
        return FALSE;
    }
    if (*fps < 1 || *fps > MAX_FPS) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "%u frames per second: must be 1 to %d",
                    *fps, MAX_FPS);
        return FALSE;
    }
    return sc_format_check_layout(DRM_FORMAT_XRGB8888, *width, *height, *width * 4, 0, G_MAXUINT64,
                                  error);
}

static void emit_update(PatternSource *self, guint32 number)
{
    PatternRect rects[PATTERN_N_RECTS];
    pixman_region32_t damage;
    g_autoptr(ScFrame) frame = NULL;

    pattern_update(self->pixels, self->width * 4, self->width, self->height, self->number, number,
                   rects);
    self->number = number;

    pixman_region32_init(&damage);
    for (int i = 0; i < PATTERN_N_RECTS; i++) {
        pixman_region32_union_rect(&damage, &damage, rects[i].x, rects[i].y, rects[i].width,
                                   rects[i].height);
    }
    frame = sc_frame_new(self->scanout, &damage, NULL);
    pixman_region32_fini(&damage);
    sc_source_emit_frame(&self->base, frame);
}

static gint64 time_of(const PatternSource *self, guint32 number)
{
    return self->start + (gint64)number * G_USEC_PER_SEC / self->fps;
}

static void draw_next_frame(gpointer data)
{
    PatternSource *self = data;
    gint64 elapsed = g_get_monotonic_time() - self->start;
    guint32 due = (guint32)(elapsed * self->fps / G_USEC_PER_SEC);

    /* Set first: the listener may stop us from inside. A clock that is late skips frames. */
    sc_timer_set_at(self->next_frame, time_of(self, due + 1));
    emit_update(self, due);
}

static void pattern_set_watched(ScSource *source, gboolean watched)
{
    PatternSource *self = (PatternSource *)source;

    if (self->scanout == NULL || watched == sc_timer_is_set(self->next_frame)) {
        return;
    }
    if (watched) {
        sc_timer_set_after(self->next_frame, 0);
    } else {
        sc_timer_cancel(self->next_frame);
    }
}

static ScSource *pattern_new(const char *address, GError **error)
{
    PatternSource *self;
    guint width, height, fps;

    if (!parse_address(address, &width, &height, &fps, error)) {
        return NULL;
    }
    self = g_new0(PatternSource, 1);
    self->width = (int)width;
    self->height = (int)height;
    self->fps = fps;
    self->next_frame = sc_timer_new(draw_next_frame, self);
    return &self->base;
}

static gboolean pattern_start(ScSource *source, GError **error)
{
    PatternSource *self = (PatternSource *)source;
    gsize stride = (gsize)self->width * 4;
    gsize size = stride * (gsize)self->height;

    self->pixels = g_try_malloc(size);
    if (self->pixels == NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED,
                    "no memory for a picture of %d x %d; choose a smaller one", self->width,
                    self->height);
        return FALSE;
    }
    pattern_draw(self->pixels, (int)stride, self->width, self->height, 0);
    self->scanout = sc_scanout_new_pixels((guint8 *)self->pixels, size, (guint32)self->width,
                                          (guint32)self->height, (guint32)stride,
                                          DRM_FORMAT_XRGB8888, FALSE, error);
    if (self->scanout == NULL) {
        return FALSE;
    }
    self->start = g_get_monotonic_time();
    sc_source_emit_state(source, SC_SOURCE_CONNECTED, NULL);
    sc_source_emit_pointer_mode(source, SC_POINTER_ABSOLUTE);
    sc_source_emit_scanout(source, self->scanout);
    return TRUE;
}

static void pattern_free(ScSource *source)
{
    PatternSource *self = (PatternSource *)source;

    sc_timer_free(self->next_frame);
    if (self->scanout != NULL) {
        sc_scanout_detach_pixels(self->scanout);
        sc_scanout_unref(self->scanout);
    }
    g_free(self->pixels);
    g_free(self);
}

const ScSourceImpl sc_source_pattern = {
    .scheme = "pattern",
    .help = "pattern[:WxH[@FPS]]    moving test picture, no VMM needed",
    .new = pattern_new,
    .start = pattern_start,
    .free = pattern_free,
    .set_watched = pattern_set_watched,
};
