/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pixel formats the driver knows: NV12 for the encoder, and the 32 bit RGB formats that
 * scanouts have.
 *
 * Thread: pure functions.
 */
#pragma once

#include <glib.h>
#include <va/va.h>

G_BEGIN_DECLS

#define SC_VA_MAX_PLANES 2

typedef struct {
    guint32 va_fourcc;  /* VA_FOURCC_* */
    guint32 drm_fourcc; /* DRM_FORMAT_* */
    const char *name;   /* of the DRM format, as in the trace */
    guint rt_format;    /* VA_RT_FORMAT_* */
    guint n_planes;
    guint32 layers[SC_VA_MAX_PLANES]; /* DRM_FORMAT_* of each plane alone */
    gboolean is_rgb;
    guint red_shift, green_shift, blue_shift; /* in a little-endian word of an RGB format */
    guint32 alpha_mask;                       /* of that word, 0 if it has none */
} ScVaFormat;

typedef struct {
    guint n_planes;
    guint32 pitch[SC_VA_MAX_PLANES], offset[SC_VA_MAX_PLANES];
    gsize size;
} ScVaPlanes;

/* The n-th format, NULL after the last. */
const ScVaFormat *sc_va_format_nth(guint n);

/* NULL if there is none. */
const ScVaFormat *sc_va_format_from_va(guint32 va_fourcc);

/* The default for surfaces of an RT format, NULL if it is not supported. */
const ScVaFormat *sc_va_format_from_rt(guint rt_format);

/* Rows, and bytes in each, of a plane of a picture. */
guint sc_va_format_rows(const ScVaFormat *format, guint plane, guint height);
guint sc_va_format_row_bytes(const ScVaFormat *format, guint plane, guint width);

/* How our own surfaces lie in memory: rows of a multiple of 256 bytes, the number of rows padded
 * to whole macroblocks, as on real hardware. */
void sc_va_format_lay_out(const ScVaFormat *format, guint width, guint height, ScVaPlanes *planes);

void sc_va_format_to_image_format(const ScVaFormat *format, VAImageFormat *image);

G_END_DECLS
