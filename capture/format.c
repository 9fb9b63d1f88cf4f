/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/format.h"

#include "capture/error.h"

#include <drm_fourcc.h>

/* Both libraries name channels from the most significant bit of a native word; DRM's words are
 * little-endian, so this table holds for little-endian hosts. */
G_STATIC_ASSERT(G_BYTE_ORDER == G_LITTLE_ENDIAN);

static const struct {
    guint32 fourcc;
    pixman_format_code_t pixman; /* its alpha ignored */
} formats[] = {
    { DRM_FORMAT_XRGB8888, PIXMAN_x8r8g8b8 },       { DRM_FORMAT_ARGB8888, PIXMAN_x8r8g8b8 },
    { DRM_FORMAT_XBGR8888, PIXMAN_x8b8g8r8 },       { DRM_FORMAT_ABGR8888, PIXMAN_x8b8g8r8 },
    { DRM_FORMAT_RGBX8888, PIXMAN_r8g8b8x8 },       { DRM_FORMAT_RGBA8888, PIXMAN_r8g8b8x8 },
    { DRM_FORMAT_BGRX8888, PIXMAN_b8g8r8x8 },       { DRM_FORMAT_BGRA8888, PIXMAN_b8g8r8x8 },
    { DRM_FORMAT_XRGB2101010, PIXMAN_x2r10g10b10 }, { DRM_FORMAT_ARGB2101010, PIXMAN_x2r10g10b10 },
    { DRM_FORMAT_XBGR2101010, PIXMAN_x2b10g10r10 }, { DRM_FORMAT_ABGR2101010, PIXMAN_x2b10g10r10 },
    { DRM_FORMAT_RGB888, PIXMAN_r8g8b8 },           { DRM_FORMAT_BGR888, PIXMAN_b8g8r8 },
    { DRM_FORMAT_RGB565, PIXMAN_r5g6b5 },           { DRM_FORMAT_BGR565, PIXMAN_b5g6r5 },
    { DRM_FORMAT_XRGB1555, PIXMAN_x1r5g5b5 },       { DRM_FORMAT_ARGB1555, PIXMAN_x1r5g5b5 },
};

guint sc_format_bytes_per_pixel(guint32 fourcc)
{
    pixman_format_code_t format;

    return sc_format_to_pixman(fourcc, &format) ? PIXMAN_FORMAT_BPP(format) / 8 : 0;
}

gboolean sc_format_to_pixman(guint32 fourcc, pixman_format_code_t *format)
{
    for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (formats[i].fourcc == fourcc) {
            *format = formats[i].pixman;
            return TRUE;
        }
    }
    return FALSE;
}

guint32 sc_format_from_pixman(guint32 format)
{
    guint32 opaque = format & ~(PIXMAN_FORMAT(0, 0, 0xf, 0, 0, 0));

    for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
        if ((guint32)formats[i].pixman == opaque) {
            return formats[i].fourcc;
        }
    }
    return 0;
}

char *sc_format_name(guint32 fourcc)
{
    char name[5] = { 0 };

    for (int i = 0; i < 4; i++) {
        char letter = (char)(fourcc >> (8 * i));
        name[i] = g_ascii_isprint(letter) ? letter : '?';
    }
    return g_strdup(name);
}

gboolean sc_format_check_layout(guint32 fourcc, guint32 width, guint32 height, guint32 stride,
                                guint64 offset, guint64 size, GError **error)
{
    guint bytes_per_pixel = MAX(sc_format_bytes_per_pixel(fourcc), 1);
    guint64 end;

    if (width == 0 || height == 0 || width > SC_MAX_DIMENSION || height > SC_MAX_DIMENSION) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "a picture of %ux%u pixels: each must be between 1 and %d", width, height,
                    SC_MAX_DIMENSION);
        return FALSE;
    }
    if (stride > G_MAXINT32) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "a stride of %u bytes", stride);
        return FALSE;
    }
    if (stride < width * bytes_per_pixel) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "a stride of %u bytes is too short for %u pixels of %u bytes", stride, width,
                    bytes_per_pixel);
        return FALSE;
    }
    /* No product here can overflow: the factors are at most 2^32 and 2^14. */
    end = (guint64)stride * (height - 1) + (guint64)width * bytes_per_pixel;
    if (!g_uint64_checked_add(&end, end, offset) || end > size) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "%u rows of stride %u from offset %" G_GUINT64_FORMAT
                    " do not fit into %" G_GUINT64_FORMAT " bytes",
                    height, stride, offset, size);
        return FALSE;
    }
    return TRUE;
}
