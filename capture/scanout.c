/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/scanout.h"

#include "capture/error.h"
#include "capture/format.h"

#include <string.h>

struct ScScanout {
    gatomicrefcount ref_count;
    guint32 width, height;
    guint32 fourcc;
    gboolean bottom_up;
    ScDmabuf *dmabuf; /* or: */
    const guint8 *pixels;
    guint32 stride;
    guint8 *own_pixels; /* what @pixels is once detached */
    GBytes *bytes;      /* what @pixels is in; NULL if it is the source's */
    gboolean is_memory; /* @dmabuf is none */
};

static ScScanout *scanout_new(guint32 width, guint32 height, guint32 fourcc, gboolean bottom_up)
{
    ScScanout *scanout = g_new0(ScScanout, 1);

    g_atomic_ref_count_init(&scanout->ref_count);
    scanout->width = width;
    scanout->height = height;
    scanout->fourcc = fourcc;
    scanout->bottom_up = bottom_up;
    return scanout;
}

ScScanout *sc_scanout_new_dmabuf(ScDmabuf *dmabuf, gboolean bottom_up)
{
    const ScDmabufLayout *layout = sc_dmabuf_get_layout(dmabuf);
    ScScanout *scanout = scanout_new(layout->width, layout->height, layout->fourcc, bottom_up);

    scanout->dmabuf = sc_dmabuf_ref(dmabuf);
    return scanout;
}

ScScanout *sc_scanout_new_memory(ScDmabuf *memory, gboolean bottom_up)
{
    ScScanout *scanout = sc_scanout_new_dmabuf(memory, bottom_up);

    scanout->is_memory = TRUE;
    return scanout;
}

ScScanout *sc_scanout_new_pixels(const guint8 *pixels, gsize size, guint32 width, guint32 height,
                                 guint32 stride, guint32 fourcc, gboolean bottom_up, GError **error)
{
    ScScanout *scanout;

    if (sc_format_bytes_per_pixel(fourcc) == 0) {
        g_autofree char *name = sc_format_name(fourcc);

        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "pixel format %s is not supported",
                    name);
        return NULL;
    }
    if (!sc_format_check_layout(fourcc, width, height, stride, 0, size, error)) {
        return NULL;
    }
    scanout = scanout_new(width, height, fourcc, bottom_up);
    scanout->pixels = pixels;
    scanout->stride = stride;
    return scanout;
}

ScScanout *sc_scanout_new_bytes(GBytes *bytes, guint32 width, guint32 height, guint32 stride,
                                guint32 fourcc, GError **error)
{
    gsize size;
    const guint8 *pixels = g_bytes_get_data(bytes, &size);
    ScScanout *scanout =
        sc_scanout_new_pixels(pixels, size, width, height, stride, fourcc, FALSE, error);

    if (scanout != NULL) {
        scanout->bytes = g_bytes_ref(bytes);
    }
    return scanout;
}

void sc_scanout_detach_pixels(ScScanout *scanout)
{
    gsize size;

    if (scanout->pixels == NULL || scanout->own_pixels != NULL || scanout->bytes != NULL) {
        return;
    }
    if (g_atomic_ref_count_compare(&scanout->ref_count, 1)) {
        scanout->pixels = NULL; /* nobody but the source is left to look */
        return;
    }
    size = (gsize)scanout->stride * (scanout->height - 1) +
           (gsize)scanout->width * sc_format_bytes_per_pixel(scanout->fourcc);
    scanout->own_pixels = g_memdup2(scanout->pixels, size);
    scanout->pixels = scanout->own_pixels;
}

ScScanout *sc_scanout_ref(ScScanout *scanout)
{
    g_atomic_ref_count_inc(&scanout->ref_count);
    return scanout;
}

void sc_scanout_unref(ScScanout *scanout)
{
    if (scanout == NULL || !g_atomic_ref_count_dec(&scanout->ref_count)) {
        return;
    }
    sc_dmabuf_unref(scanout->dmabuf);
    g_free(scanout->own_pixels);
    g_clear_pointer(&scanout->bytes, g_bytes_unref);
    g_free(scanout);
}

guint32 sc_scanout_get_width(const ScScanout *scanout)
{
    return scanout->width;
}

guint32 sc_scanout_get_height(const ScScanout *scanout)
{
    return scanout->height;
}

guint32 sc_scanout_get_fourcc(const ScScanout *scanout)
{
    return scanout->fourcc;
}

gboolean sc_scanout_is_bottom_up(const ScScanout *scanout)
{
    return scanout->bottom_up;
}

ScDmabuf *sc_scanout_get_dmabuf(const ScScanout *scanout)
{
    return scanout->is_memory ? NULL : scanout->dmabuf;
}

gboolean sc_scanout_begin_read(ScScanout *scanout, ScPixels *pixels, GError **error)
{
    const guint8 *data = scanout->pixels;
    guint32 stride = scanout->stride;

    if (scanout->dmabuf != NULL) {
        if (!sc_dmabuf_begin_read(scanout->dmabuf, &data, error)) {
            return FALSE;
        }
        stride = sc_dmabuf_get_layout(scanout->dmabuf)->planes[0].stride;
    } else if (data == NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED, "the picture is gone with its source");
        return FALSE;
    }
    pixels->data = data;
    pixels->stride = (int)stride;
    if (scanout->bottom_up) {
        pixels->data += (gsize)stride * (scanout->height - 1);
        pixels->stride = -pixels->stride;
    }
    return TRUE;
}

void sc_scanout_end_read(ScScanout *scanout)
{
    if (scanout->dmabuf != NULL) {
        sc_dmabuf_end_read(scanout->dmabuf);
    }
}
