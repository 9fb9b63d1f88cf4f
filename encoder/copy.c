/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/copy.h"

#include "capture/error.h"
#include "capture/format.h"

#include <drm_fourcc.h>
#include <string.h>

/* Rows that pixman cannot address pass through a buffer of about this size, which stays in the
 * processor's first level cache. */
#define BOUNCE_BYTES 16384

typedef void (*RowFunc)(const guint8 *from, guint32 *to, gsize n);

/* Where pixels come from and go to. */
typedef struct {
    ScPixels from;
    pixman_format_code_t format;
    guint bytes_per_pixel;
    ScPicture *to;
} Copy;

/*
 * The guest waits, and pixman is much slower than memory: turning these formats into its own takes
 * it 2 ms at 1080p (swapped channels) or 30 ms (10 bits), where a memcpy takes 0.6 ms; and what
 * needs no turning takes it up to 1.9 times as long as memcpy. Blocks of a constant size are what
 * compilers vectorise at -O2.
 */
#define ROW_BLOCK 16

#define DEFINE_ROW_FUNC(name, expression)                                                          \
    static void name(const guint8 *restrict from, guint32 *restrict to, gsize n)                   \
    {                                                                                              \
        guint32 block[ROW_BLOCK];                                                                  \
                                                                                                   \
        for (; n >= ROW_BLOCK; n -= ROW_BLOCK) {                                                   \
            memcpy(block, from, sizeof block);                                                     \
            for (guint i = 0; i < ROW_BLOCK; i++) {                                                \
                guint32 p = block[i];                                                              \
                to[i] = (expression);                                                              \
            }                                                                                      \
            from += sizeof block;                                                                  \
            to += ROW_BLOCK;                                                                       \
        }                                                                                          \
        for (gsize i = 0; i < n; i++) {                                                            \
            guint32 p;                                                                             \
            memcpy(&p, from + 4 * i, sizeof p);                                                    \
            to[i] = (expression);                                                                  \
        }                                                                                          \
    }

DEFINE_ROW_FUNC(row_from_xbgr8888, (p & 0xff00) | (p & 0xff) << 16 | (p >> 16 & 0xff))
DEFINE_ROW_FUNC(row_from_xrgb2101010, (p >> 6 & 0xff0000) | (p >> 4 & 0xff00) | (p >> 2 & 0xff))
DEFINE_ROW_FUNC(row_from_xbgr2101010, (p << 14 & 0xff0000) | (p >> 4 & 0xff00) | (p >> 22 & 0xff))

static void row_from_xrgb8888(const guint8 *restrict from, guint32 *restrict to, gsize n)
{
    memcpy(to, from, n * sizeof *to);
}

static RowFunc find_row_func(pixman_format_code_t format)
{
    switch (format) {
    case PIXMAN_x8r8g8b8:
        return row_from_xrgb8888;
    case PIXMAN_x8b8g8r8:
        return row_from_xbgr8888;
    case PIXMAN_x2r10g10b10:
        return row_from_xrgb2101010;
    case PIXMAN_x2b10g10r10:
        return row_from_xbgr2101010;
    default:
        return NULL;
    }
}

static const guint8 *source_at(const Copy *copy, int x, int y)
{
    return copy->from.data + (gssize)copy->from.stride * y + (gsize)x * copy->bytes_per_pixel;
}

static guint32 *target_at(const Copy *copy, int x, int y)
{
    return (guint32 *)(copy->to->data + (gsize)copy->to->info.stride[0] * y) + x;
}

/* One box of @width x @height pixels; both sides start and step at multiples of 4 bytes. */
static void composite(const Copy *copy, const guint8 *from, int from_stride, int x, int y,
                      int width, int height)
{
    pixman_image_t *source =
        pixman_image_create_bits(copy->format, width, height, (guint32 *)from, from_stride);
    pixman_image_t *target = pixman_image_create_bits(
        PIXMAN_x8r8g8b8, width, height, target_at(copy, x, y), copy->to->info.stride[0]);

    pixman_image_composite32(PIXMAN_OP_SRC, source, NULL, target, 0, 0, 0, 0, 0, 0, width, height);
    pixman_image_unref(source);
    pixman_image_unref(target);
}

/* pixman takes rows in words; formats of 2 and 3 bytes, and guests, need not give them. */
static void composite_through_bounce(const Copy *copy, const pixman_box32_t *box)
{
    guint32 bounce[BOUNCE_BYTES / sizeof(guint32)];
    int max_width = BOUNCE_BYTES / (int)copy->bytes_per_pixel;

    for (int x = box->x1; x < box->x2; x += max_width) {
        int width = MIN(max_width, box->x2 - x);
        gsize length = (gsize)width * copy->bytes_per_pixel;
        gsize stride = (length + 3) & ~(gsize)3;
        int max_height = (int)(BOUNCE_BYTES / stride);

        for (int y = box->y1; y < box->y2; y += max_height) {
            int height = MIN(max_height, box->y2 - y);

            for (int row = 0; row < height; row++) {
                memcpy((guint8 *)bounce + stride * (gsize)row, source_at(copy, x, y + row), length);
            }
            composite(copy, (const guint8 *)bounce, (int)stride, x, y, width, height);
        }
    }
}

/* pixman can address rows that begin at @from. */
static gboolean is_in_words(const Copy *copy, const guint8 *from)
{
    return GPOINTER_TO_SIZE(from) % 4 == 0 && copy->from.stride % 4 == 0;
}

static void copy_box(const Copy *copy, const pixman_box32_t *box)
{
    int width = box->x2 - box->x1;
    RowFunc row_func = find_row_func(copy->format);
    const guint8 *from = source_at(copy, box->x1, box->y1);

    if (row_func != NULL) {
        for (int y = box->y1; y < box->y2; y++) {
            row_func(source_at(copy, box->x1, y), target_at(copy, box->x1, y), (gsize)width);
        }
    } else if (is_in_words(copy, from)) {
        composite(copy, from, copy->from.stride, box->x1, box->y1, width, box->y2 - box->y1);
    } else {
        composite_through_bounce(copy, box);
    }
}

/* Repeats the last column and row of @box where the picture is one larger than the scanout. */
static void pad_box(const Copy *copy, const pixman_box32_t *box, int width, int height)
{
    int x2 = box->x2;

    if (x2 == width && width < copy->to->info.width) {
        for (int y = box->y1; y < box->y2; y++) {
            guint32 *last = target_at(copy, width - 1, y);
            last[1] = last[0];
        }
        x2++;
    }
    if (box->y2 == height && height < copy->to->info.height) {
        memcpy(target_at(copy, box->x1, height), target_at(copy, box->x1, height - 1),
               (gsize)(x2 - box->x1) * sizeof(guint32));
    }
}

gboolean sc_copy_get_info(ScScanout *scanout, GstVideoInfo *info, GError **error)
{
    guint width = GST_ROUND_UP_2(sc_scanout_get_width(scanout));
    guint height = GST_ROUND_UP_2(sc_scanout_get_height(scanout));

    if (!gst_video_info_set_format(info, GST_VIDEO_FORMAT_BGRx, width, height)) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "a picture of %ux%u pixels is too large",
                    width, height);
        return FALSE;
    }
    return TRUE;
}

/* Finds out how to read @scanout, and begins to; not @copy->to. */
static gboolean copy_begin(Copy *copy, ScScanout *scanout, GError **error)
{
    guint32 fourcc = sc_scanout_get_fourcc(scanout);

    if (!sc_format_to_pixman(fourcc, &copy->format)) {
        g_autofree char *name = sc_format_name(fourcc);

        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "pictures of format %s cannot be copied by the CPU", name);
        return FALSE;
    }
    copy->bytes_per_pixel = sc_format_bytes_per_pixel(fourcc);
    return sc_scanout_begin_read(scanout, &copy->from, error);
}

gboolean sc_copy_region(ScScanout *scanout, const pixman_region32_t *region, ScPicture *to,
                        GError **error)
{
    Copy copy = { .to = to };
    const pixman_box32_t *boxes;
    int n_boxes;

    if (!copy_begin(&copy, scanout, error)) {
        return FALSE;
    }
    boxes = pixman_region32_rectangles((pixman_region32_t *)region, &n_boxes);
    for (int i = 0; i < n_boxes; i++) {
        copy_box(&copy, &boxes[i]);
        pad_box(&copy, &boxes[i], (int)sc_scanout_get_width(scanout),
                (int)sc_scanout_get_height(scanout));
    }
    sc_scanout_end_read(scanout);
    return TRUE;
}

/* With a step of 2 bilinear samples lie where four pixels meet. */
static void composite_reduced(const Copy *copy, ScScanout *scanout, guint divisor, guint32 *to,
                              int width, int height)
{
    pixman_image_t *source = pixman_image_create_bits(
        copy->format, (int)sc_scanout_get_width(scanout), (int)sc_scanout_get_height(scanout),
        (guint32 *)copy->from.data, copy->from.stride);
    pixman_image_t *target =
        pixman_image_create_bits(PIXMAN_x8r8g8b8, width, height, to, width * (int)sizeof *to);
    pixman_transform_t transform;

    pixman_transform_init_scale(&transform, pixman_int_to_fixed(divisor),
                                pixman_int_to_fixed(divisor));
    pixman_image_set_transform(source, &transform);
    pixman_image_set_filter(source, PIXMAN_FILTER_BILINEAR, NULL, 0);
    pixman_image_set_repeat(source, PIXMAN_REPEAT_PAD);
    pixman_image_composite32(PIXMAN_OP_SRC, source, NULL, target, 0, 0, 0, 0, 0, 0, width, height);
    pixman_image_unref(source);
    pixman_image_unref(target);
}

ScScanout *sc_copy_reduced(ScScanout *scanout, guint divisor, GError **error)
{
    guint32 width = (sc_scanout_get_width(scanout) + divisor - 1) / divisor;
    guint32 height = (sc_scanout_get_height(scanout) + divisor - 1) / divisor;
    gsize size = (gsize)width * height * sizeof(guint32);
    g_autofree guint32 *pixels = g_try_malloc(size);
    g_autoptr(GBytes) bytes = NULL;
    Copy copy = { 0 };

    if (pixels == NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED, "no memory for a picture of %ux%u pixels",
                    width, height);
        return NULL;
    }
    if (!copy_begin(&copy, scanout, error)) {
        return NULL;
    }
    if (!is_in_words(&copy, copy.from.data)) {
        sc_scanout_end_read(scanout);
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "rows that do not begin at multiples of 4 bytes cannot be reduced");
        return NULL;
    }
    composite_reduced(&copy, scanout, divisor, pixels, (int)width, (int)height);
    sc_scanout_end_read(scanout);
    bytes = g_bytes_new_take(g_steal_pointer(&pixels), size);
    return sc_scanout_new_bytes(bytes, width, height, width * (guint32)sizeof(guint32),
                                DRM_FORMAT_XRGB8888, error);
}
