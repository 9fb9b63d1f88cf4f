/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/cursor.h"

#include "capture/error.h"

struct ScCursor {
    gatomicrefcount ref_count;
    guint width, height;
    guint hot_x, hot_y;
    guint32 *argb;
};

ScCursor *sc_cursor_new(guint width, guint height, guint hot_x, guint hot_y, const guint32 *argb,
                        GError **error)
{
    ScCursor *cursor;

    if (width == 0 || height == 0 || width > SC_CURSOR_MAX_SIZE || height > SC_CURSOR_MAX_SIZE ||
        hot_x >= width || hot_y >= height) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "a pointer of %ux%u pixels with its hot spot at %u,%u (at most %dx%d)", width,
                    height, hot_x, hot_y, SC_CURSOR_MAX_SIZE, SC_CURSOR_MAX_SIZE);
        return NULL;
    }
    cursor = g_new0(ScCursor, 1);
    g_atomic_ref_count_init(&cursor->ref_count);
    cursor->width = width;
    cursor->height = height;
    cursor->hot_x = hot_x;
    cursor->hot_y = hot_y;
    cursor->argb = g_memdup2(argb, (gsize)width * height * sizeof(*argb));
    return cursor;
}

ScCursor *sc_cursor_ref(ScCursor *cursor)
{
    g_atomic_ref_count_inc(&cursor->ref_count);
    return cursor;
}

void sc_cursor_unref(ScCursor *cursor)
{
    if (cursor == NULL || !g_atomic_ref_count_dec(&cursor->ref_count)) {
        return;
    }
    g_free(cursor->argb);
    g_free(cursor);
}

guint sc_cursor_get_width(const ScCursor *cursor)
{
    return cursor->width;
}

guint sc_cursor_get_height(const ScCursor *cursor)
{
    return cursor->height;
}

guint sc_cursor_get_hot_x(const ScCursor *cursor)
{
    return cursor->hot_x;
}

guint sc_cursor_get_hot_y(const ScCursor *cursor)
{
    return cursor->hot_y;
}

const guint32 *sc_cursor_get_argb(const ScCursor *cursor)
{
    return cursor->argb;
}

void sc_cursor_premultiply(guint32 *argb, gsize n_pixels)
{
    gboolean straight = FALSE;

    for (gsize i = 0; i < n_pixels && !straight; i++) {
        guint32 alpha = argb[i] >> 24;

        straight = (argb[i] >> 16 & 0xff) > alpha || (argb[i] >> 8 & 0xff) > alpha ||
                   (argb[i] & 0xff) > alpha;
    }
    for (gsize i = 0; i < n_pixels && straight; i++) {
        guint32 alpha = argb[i] >> 24;

        argb[i] = alpha << 24 | (argb[i] >> 16 & 0xff) * alpha / 255 << 16 |
                  (argb[i] >> 8 & 0xff) * alpha / 255 << 8 | (argb[i] & 0xff) * alpha / 255;
    }
}
