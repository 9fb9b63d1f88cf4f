/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/format.h"

#include <drm_fourcc.h>

#define RGB(va, drm, name, r, g, b, alpha)                                                         \
    {                                                                                              \
        VA_FOURCC_##va, DRM_FORMAT_##drm, name, VA_RT_FORMAT_RGB32, 1, { DRM_FORMAT_##drm, 0 },    \
            TRUE, r, g, b, alpha                                                                   \
    }

/* VA names the bytes in the order of memory, DRM the bits of a little-endian word. */
static const ScVaFormat formats[] = {
    { VA_FOURCC_NV12,
      DRM_FORMAT_NV12,
      "NV12",
      VA_RT_FORMAT_YUV420,
      2,
      { DRM_FORMAT_R8, DRM_FORMAT_GR88 },
      FALSE,
      0,
      0,
      0,
      0 },
    RGB(BGRX, XRGB8888, "XR24", 16, 8, 0, 0),
    RGB(BGRA, ARGB8888, "AR24", 16, 8, 0, 0xff000000),
    RGB(RGBX, XBGR8888, "XB24", 0, 8, 16, 0),
    RGB(RGBA, ABGR8888, "AB24", 0, 8, 16, 0xff000000),
    RGB(XRGB, BGRX8888, "BX24", 8, 16, 24, 0),
    RGB(ARGB, BGRA8888, "BA24", 8, 16, 24, 0x000000ff),
    RGB(XBGR, RGBX8888, "RX24", 24, 16, 8, 0),
    RGB(ABGR, RGBA8888, "RA24", 24, 16, 8, 0x000000ff),
};

const ScVaFormat *sc_va_format_nth(guint n)
{
    return n < G_N_ELEMENTS(formats) ? &formats[n] : NULL;
}

const ScVaFormat *sc_va_format_from_va(guint32 va_fourcc)
{
    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (formats[i].va_fourcc == va_fourcc)
            return &formats[i];
    }
    return NULL;
}

const ScVaFormat *sc_va_format_from_rt(guint rt_format)
{
    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (formats[i].rt_format & rt_format)
            return &formats[i];
    }
    return NULL;
}

guint sc_va_format_rows(const ScVaFormat *format, guint plane, guint height)
{
    return plane == 0 ? height : (height + 1) / 2;
}

guint sc_va_format_row_bytes(const ScVaFormat *format, guint plane, guint width)
{
    if (format->is_rgb)
        return width * 4;
    return plane == 0 ? width : (width + 1) / 2 * 2;
}

static guint align(guint value, guint alignment)
{
    return (value + alignment - 1) / alignment * alignment;
}

void sc_va_format_lay_out(const ScVaFormat *format, guint width, guint height, ScVaPlanes *planes)
{
    *planes = (ScVaPlanes){ .n_planes = format->n_planes };
    for (guint i = 0; i < format->n_planes; i++) {
        planes->pitch[i] = align(sc_va_format_row_bytes(format, i, width), 256);
        planes->offset[i] = planes->size;
        planes->size += (gsize)planes->pitch[i] * sc_va_format_rows(format, i, align(height, 16));
    }
}

void sc_va_format_to_image_format(const ScVaFormat *format, VAImageFormat *image)
{
    *image = (VAImageFormat){ .fourcc = format->va_fourcc, .byte_order = VA_LSB_FIRST };
    if (!format->is_rgb) {
        image->bits_per_pixel = 12;
        return;
    }
    image->bits_per_pixel = 32;
    image->depth = format->alpha_mask ? 32 : 24;
    image->red_mask = 0xffu << format->red_shift;
    image->green_mask = 0xffu << format->green_shift;
    image->blue_mask = 0xffu << format->blue_shift;
    image->alpha_mask = format->alpha_mask;
}
