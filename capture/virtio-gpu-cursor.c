/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/virtio-gpu-cursor.h"

#include <drm_fourcc.h>

/* The size of pointers by the specification; a blob does not say its own. */
#define SIZE 64
#define PIXEL 4

struct ScGpuCursor {
    const ScGpuCursorListener *listener;
    gpointer data;
    gboolean is_shown;
    guint hot_x, hot_y;
};

ScGpuCursor *sc_gpu_cursor_new(const ScGpuCursorListener *listener, gpointer data)
{
    ScGpuCursor *cursor = g_new0(ScGpuCursor, 1);

    cursor->listener = listener;
    cursor->data = data;
    return cursor;
}

void sc_gpu_cursor_free(ScGpuCursor *cursor)
{
    g_free(cursor);
}

void sc_gpu_cursor_hide(ScGpuCursor *cursor)
{
    if (cursor->is_shown) {
        cursor->is_shown = FALSE;
        cursor->listener->shape(NULL, cursor->data);
    }
}

/* Drivers send no other formats: one byte each of alpha, red, green and blue. */
static void to_argb(guint32 *pixels, gsize n, guint32 fourcc)
{
    for (gsize i = 0; i < n; i++) {
        guint32 p = pixels[i];

        switch (fourcc) {
        case DRM_FORMAT_ARGB8888:
            break;
        case DRM_FORMAT_ABGR8888:
            pixels[i] = (p & 0xff00ff00) | (p & 0xff) << 16 | (p >> 16 & 0xff);
            break;
        case DRM_FORMAT_BGRA8888:
            pixels[i] = GUINT32_SWAP_LE_BE(p);
            break;
        case DRM_FORMAT_RGBA8888:
            pixels[i] = p >> 8 | p << 24;
            break;
        default: /* no alpha: B, G, R and what the others make of it */
            pixels[i] = p | 0xff000000;
            break;
        }
    }
}

static ScCursor *read_shape(ScGpuResource *resource, guint hot_x, guint hot_y)
{
    ScGpuLayout layout = *sc_gpu_resource_get_layout(resource);
    g_autofree guint32 *pixels = NULL;
    pixman_region32_t all; /* one box: nothing to free */

    if (sc_gpu_resource_is_blob(resource)) {
        layout = (ScGpuLayout){ SIZE, SIZE, SIZE * PIXEL, DRM_FORMAT_ARGB8888, 0 };
    }
    if (layout.width > SC_CURSOR_MAX_SIZE || layout.height > SC_CURSOR_MAX_SIZE) {
        return NULL;
    }
    pixels = g_new(guint32, (gsize)layout.width * layout.height);
    pixman_region32_init_rect(&all, 0, 0, layout.width, layout.height);
    if (!sc_gpu_resource_copy(resource, &layout, &all, (guint8 *)pixels, layout.width * PIXEL)) {
        return NULL;
    }
    to_argb(pixels, (gsize)layout.width * layout.height, layout.fourcc);
    sc_cursor_premultiply(pixels, (gsize)layout.width * layout.height);
    return sc_cursor_new(layout.width, layout.height, MIN(hot_x, layout.width - 1),
                         MIN(hot_y, layout.height - 1), pixels, NULL);
}

static guint32 update(ScGpuCursor *cursor, ScGpuResources *resources,
                      const struct virtio_gpu_update_cursor *request)
{
    ScGpuResource *resource = sc_gpu_resources_find(resources, request->resource_id);
    g_autoptr(ScCursor) shape = NULL;

    if (request->resource_id == 0) {
        sc_gpu_cursor_hide(cursor);
        return VIRTIO_GPU_RESP_OK_NODATA;
    }
    if (resource == NULL) {
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    }
    shape = read_shape(resource, request->hot_x, request->hot_y);
    if (shape == NULL) {
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    }
    cursor->hot_x = sc_cursor_get_hot_x(shape);
    cursor->hot_y = sc_cursor_get_hot_y(shape);
    cursor->is_shown = TRUE;
    cursor->listener->shape(shape, cursor->data);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

/* The guest names the top left corner of the picture, which may lie outside of the screen. */
static void move(ScGpuCursor *cursor, const struct virtio_gpu_cursor_pos *pos)
{
    gint64 x = (gint64)(gint32)pos->x + cursor->hot_x;
    gint64 y = (gint64)(gint32)pos->y + cursor->hot_y;

    cursor->listener->position((int)CLAMP(x, G_MININT16, G_MAXINT16),
                               (int)CLAMP(y, G_MININT16, G_MAXINT16), cursor->data);
}

guint32 sc_gpu_cursor_execute(ScGpuCursor *cursor, ScGpuResources *resources,
                              const struct virtio_gpu_update_cursor *request)
{
    guint32 code = VIRTIO_GPU_RESP_OK_NODATA;

    if (request->hdr.type != VIRTIO_GPU_CMD_UPDATE_CURSOR &&
        request->hdr.type != VIRTIO_GPU_CMD_MOVE_CURSOR) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    if (request->pos.scanout_id >= VIRTIO_GPU_MAX_SCANOUTS) {
        return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
    }
    if (request->pos.scanout_id != 0) {
        return VIRTIO_GPU_RESP_OK_NODATA; /* of an output that nobody sees */
    }
    if (request->hdr.type == VIRTIO_GPU_CMD_UPDATE_CURSOR) {
        code = update(cursor, resources, request);
    }
    if (code == VIRTIO_GPU_RESP_OK_NODATA) {
        move(cursor, &request->pos);
    }
    return code;
}
