/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/guest-buffer.h"

#include <string.h>

#define PIXEL 4

struct ScGuestBuffer {
    GArray *ranges;  /* ScGuestRange, each with a reference to its region */
    GArray *offsets; /* guint64: where each begins in the buffer */
    guint64 size;
    gboolean can_shrink; /* some region's file is not sealed */
};

static void clear_range(gpointer data)
{
    sc_guest_region_unref(((ScGuestRange *)data)->region);
}

ScGuestBuffer *sc_guest_buffer_new(void)
{
    ScGuestBuffer *buffer = g_new0(ScGuestBuffer, 1);

    buffer->ranges = g_array_new(FALSE, FALSE, sizeof(ScGuestRange));
    g_array_set_clear_func(buffer->ranges, clear_range);
    buffer->offsets = g_array_new(FALSE, FALSE, sizeof(guint64));
    return buffer;
}

void sc_guest_buffer_free(ScGuestBuffer *buffer)
{
    if (buffer == NULL) {
        return;
    }
    g_array_unref(buffer->ranges);
    g_array_unref(buffer->offsets);
    g_free(buffer);
}

static ScGuestRange *range_at(const ScGuestBuffer *buffer, guint index)
{
    return &g_array_index(buffer->ranges, ScGuestRange, index);
}

static void append_range(ScGuestBuffer *buffer, const ScGuestRange *range)
{
    ScGuestRange *last = buffer->ranges->len > 0 ? range_at(buffer, buffer->ranges->len - 1) : NULL;

    if (last != NULL && last->region == range->region &&
        last->offset + last->length == range->offset) {
        last->length += range->length;
    } else {
        sc_guest_region_ref(range->region);
        g_array_append_val(buffer->ranges, *range);
        g_array_append_val(buffer->offsets, buffer->size);
    }
    buffer->size += range->length;
    buffer->can_shrink |= !sc_guest_region_is_sealed(range->region);
}

gboolean sc_guest_buffer_append(ScGuestBuffer *buffer, const ScGuestMemory *memory, guint64 address,
                                guint64 length)
{
    while (length > 0) {
        ScGuestRange range;

        if (!sc_guest_memory_find(memory, address, length, &range)) {
            return FALSE;
        }
        append_range(buffer, &range);
        address += range.length;
        length -= range.length;
    }
    return TRUE;
}

guint64 sc_guest_buffer_get_size(const ScGuestBuffer *buffer)
{
    return buffer->size;
}

guint sc_guest_buffer_count(const ScGuestBuffer *buffer)
{
    return buffer->ranges->len;
}

const ScGuestRange *sc_guest_buffer_get(const ScGuestBuffer *buffer, guint index)
{
    return range_at(buffer, index);
}

/* ---- reading ---------------------------------------------------------------------------- */

static gboolean is_readable(const ScGuestBuffer *buffer, guint64 offset, guint64 size)
{
    if (offset > buffer->size || size > buffer->size - offset) {
        return FALSE;
    }
    for (guint i = 0; buffer->can_shrink && i < buffer->ranges->len; i++) {
        if ((i == 0 || range_at(buffer, i)->region != range_at(buffer, i - 1)->region) &&
            sc_guest_region_is_cut(range_at(buffer, i)->region)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* The range that @offset is in: the last one that begins there or before. */
static guint find_range(const ScGuestBuffer *buffer, guint64 offset)
{
    guint low = 0, high = buffer->ranges->len;

    while (high - low > 1) {
        guint middle = (low + high) / 2;

        if (g_array_index(buffer->offsets, guint64, middle) <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The bytes at @offset; @length is how many there are in one piece. @index: a range at or before
 * it; moved on. */
static const guint8 *seek(const ScGuestBuffer *buffer, guint *index, guint64 offset,
                          guint64 *length)
{
    const ScGuestRange *range = range_at(buffer, *index);
    guint64 within = offset - g_array_index(buffer->offsets, guint64, *index);

    while (within >= range->length) {
        within -= range->length;
        range = range_at(buffer, ++*index);
    }
    *length = range->length - within;
    return sc_guest_region_get_data(range->region) + range->offset + within;
}

static void read_bytes(const ScGuestBuffer *buffer, guint index, guint64 offset, guint8 *to,
                       gsize size)
{
    while (size > 0) {
        guint64 length;
        const guint8 *from = seek(buffer, &index, offset, &length);
        gsize n = MIN(size, length);

        memcpy(to, from, n);
        to += n;
        offset += n;
        size -= n;
    }
}

gboolean sc_guest_buffer_read(const ScGuestBuffer *buffer, guint64 offset, void *to, gsize size)
{
    if (!is_readable(buffer, offset, size)) {
        return FALSE;
    }
    if (size > 0) {
        read_bytes(buffer, find_range(buffer, offset), offset, to, size);
    }
    return TRUE;
}

/* pixman takes rows that are whole words apart. */
static void copy_rows(const guint8 *from, guint32 stride, guint8 *to, guint32 to_stride,
                      gsize row_size, guint32 n_rows)
{
    int width = (int)(row_size / PIXEL);

    if (GPOINTER_TO_SIZE(from) % PIXEL != 0 || stride % PIXEL != 0 || to_stride % PIXEL != 0 ||
        !pixman_blt((guint32 *)from, (guint32 *)to, (int)(stride / PIXEL), (int)(to_stride / PIXEL),
                    8 * PIXEL, 8 * PIXEL, 0, 0, 0, 0, width, (int)n_rows)) {
        for (guint32 y = 0; y < n_rows; y++) {
            memcpy(to + (gsize)to_stride * y, from + (gsize)stride * y, row_size);
        }
    }
}

/* As many rows at once as lie in one piece, and those that do not by themselves; pieces as a whole
 * where nothing lies between the rows. */
static void copy_box(const ScGuestBuffer *buffer, guint64 offset, guint32 stride,
                     const pixman_box32_t *box, guint8 *to, guint32 to_stride)
{
    gsize row_size = (gsize)(box->x2 - box->x1) * PIXEL;
    guint64 at = offset + (guint64)stride * (guint)box->y1 + (guint64)box->x1 * PIXEL;
    guint8 *next = to + (gsize)to_stride * (guint)box->y1 + (gsize)box->x1 * PIXEL;
    guint32 rows = (guint32)(box->y2 - box->y1);
    guint index = find_range(buffer, at);

    if (row_size == stride && row_size == to_stride) {
        read_bytes(buffer, index, at, next, row_size * rows);
        return;
    }
    while (rows > 0) {
        guint64 length;
        const guint8 *from = seek(buffer, &index, at, &length);
        guint32 n = 1;

        if (length >= row_size) {
            n = (guint32)MIN(rows, (length - row_size) / stride + 1);
            copy_rows(from, stride, next, to_stride, row_size, n);
        } else {
            read_bytes(buffer, index, at, next, row_size);
        }
        at += (guint64)stride * n;
        next += (gsize)to_stride * n;
        rows -= n;
    }
}

gboolean sc_guest_buffer_copy(const ScGuestBuffer *buffer, guint64 offset, guint32 stride,
                              const pixman_region32_t *region, guint8 *to, guint32 to_stride)
{
    const pixman_box32_t *extents = pixman_region32_extents((pixman_region32_t *)region);
    const pixman_box32_t *boxes;
    guint64 end;
    int n;

    boxes = pixman_region32_rectangles((pixman_region32_t *)region, &n);
    if (n == 0) {
        return TRUE;
    }
    end = (guint64)stride * (guint)(extents->y2 - 1) + (guint64)extents->x2 * PIXEL;
    if (!g_uint64_checked_add(&end, end, offset) || !is_readable(buffer, 0, end)) {
        return FALSE;
    }
    for (int i = 0; i < n; i++) {
        copy_box(buffer, offset, stride, &boxes[i], to, to_stride);
    }
    return TRUE;
}
