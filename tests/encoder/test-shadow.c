/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copying scanouts into shadow pictures, and converting these: exact pixels. */
#include "capture/error.h"
#include "capture/format.h"
#include "encoder/convert.h"
#include "encoder/shadow.h"

#include <drm_fourcc.h>
#include <gst/gst.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RGB_MASK 0xffffffu

/* Where each format has its channels, from <drm_fourcc.h>; independent of the code under test. */
typedef struct {
    guint32 fourcc;
    guint bytes;
    struct {
        guint shift, bits;
    } r, g, b;
} Format;

static const Format formats[] = {
    { DRM_FORMAT_XRGB8888, 4, { 16, 8 }, { 8, 8 }, { 0, 8 } },
    { DRM_FORMAT_ARGB8888, 4, { 16, 8 }, { 8, 8 }, { 0, 8 } },
    { DRM_FORMAT_XBGR8888, 4, { 0, 8 }, { 8, 8 }, { 16, 8 } },
    { DRM_FORMAT_ABGR8888, 4, { 0, 8 }, { 8, 8 }, { 16, 8 } },
    { DRM_FORMAT_RGBX8888, 4, { 24, 8 }, { 16, 8 }, { 8, 8 } },
    { DRM_FORMAT_RGBA8888, 4, { 24, 8 }, { 16, 8 }, { 8, 8 } },
    { DRM_FORMAT_BGRX8888, 4, { 8, 8 }, { 16, 8 }, { 24, 8 } },
    { DRM_FORMAT_BGRA8888, 4, { 8, 8 }, { 16, 8 }, { 24, 8 } },
    { DRM_FORMAT_XRGB2101010, 4, { 20, 10 }, { 10, 10 }, { 0, 10 } },
    { DRM_FORMAT_ARGB2101010, 4, { 20, 10 }, { 10, 10 }, { 0, 10 } },
    { DRM_FORMAT_XBGR2101010, 4, { 0, 10 }, { 10, 10 }, { 20, 10 } },
    { DRM_FORMAT_ABGR2101010, 4, { 0, 10 }, { 10, 10 }, { 20, 10 } },
    { DRM_FORMAT_RGB888, 3, { 16, 8 }, { 8, 8 }, { 0, 8 } },
    { DRM_FORMAT_BGR888, 3, { 0, 8 }, { 8, 8 }, { 16, 8 } },
    { DRM_FORMAT_RGB565, 2, { 11, 5 }, { 5, 6 }, { 0, 5 } },
    { DRM_FORMAT_BGR565, 2, { 0, 5 }, { 5, 6 }, { 11, 5 } },
    { DRM_FORMAT_XRGB1555, 2, { 10, 5 }, { 5, 5 }, { 0, 5 } },
    { DRM_FORMAT_ARGB1555, 2, { 10, 5 }, { 5, 5 }, { 0, 5 } },
};

/* 8 bits out of @bits: the upper ones, or all and then the upper ones again. */
static guint32 to_8_bits(guint32 word, guint shift, guint bits)
{
    guint32 value = word >> shift & ((1u << bits) - 1);

    return bits >= 8 ? value >> (bits - 8) : value << (8 - bits) | value >> (2 * bits - 8);
}

static guint32 expected_rgb(const Format *format, const guint8 *pixel)
{
    guint32 word = 0;

    memcpy(&word, pixel, format->bytes);
    return to_8_bits(word, format->r.shift, format->r.bits) << 16 |
           to_8_bits(word, format->g.shift, format->g.bits) << 8 |
           to_8_bits(word, format->b.shift, format->b.bits);
}

static guint32 picture_rgb(const ScPicture *picture, guint x, guint y)
{
    guint32 word;

    memcpy(&word, picture->data + (gsize)picture->info.stride[0] * y + 4 * x, sizeof word);
    return word & RGB_MASK;
}

static void fill_random(guint8 *data, gsize size, guint32 seed)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

    for (gsize i = 0; i < size; i++) {
        data[i] = (guint8)g_rand_int(rand);
    }
}

/* A scanout of random pixels, its memory exactly as large as it must be, so that ASan sees a read
 * beyond it. */
typedef struct {
    const Format *format;
    guint width, height, stride, offset;
    gboolean bottom_up;
    guint8 *memory, *pixels;
    ScScanout *scanout;
} Source;

static void source_init(Source *source, const Format *format, guint width, guint height,
                        guint extra_stride, guint offset, gboolean bottom_up)
{
    g_autoptr(GError) error = NULL;
    gsize size;

    *source = (Source){ .format = format,
                        .width = width,
                        .height = height,
                        .stride = width * format->bytes + extra_stride,
                        .offset = offset,
                        .bottom_up = bottom_up };
    size = (gsize)source->stride * (height - 1) + (gsize)width * format->bytes;
    source->memory = g_malloc(offset + size);
    source->pixels = source->memory + offset;
    fill_random(source->memory, offset + size, width * 31 + height);
    source->scanout = sc_scanout_new_pixels(source->pixels, size, width, height, source->stride,
                                            format->fourcc, bottom_up, &error);
    g_assert_no_error(error);
}

static void source_clear(Source *source)
{
    sc_scanout_detach_pixels(source->scanout);
    sc_scanout_unref(source->scanout);
    g_free(source->memory);
}

static guint32 source_rgb(const Source *source, guint x, guint y)
{
    guint row = source->bottom_up ? source->height - 1 - y : y;

    return expected_rgb(source->format,
                        source->pixels + (gsize)source->stride * row + x * source->format->bytes);
}

/* Of one channel, in the middle of the pixels that a reduced one stands for. */
static int source_mean(const Source *source, guint x, guint y, guint divisor, guint shift)
{
    guint first = divisor / 2 - 1;
    guint sum = 0;

    for (guint i = 0; i < 4; i++) {
        guint from_x = MIN(x * divisor + first + i % 2, source->width - 1);
        guint from_y = MIN(y * divisor + first + i / 2, source->height - 1);

        sum += source_rgb(source, from_x, from_y) >> shift & 0xff;
    }
    return (int)sum / 4;
}

static void check_all(const Source *source, const ScPicture *picture)
{
    for (guint y = 0; y < (guint)picture->info.height; y++) {
        for (guint x = 0; x < (guint)picture->info.width; x++) {
            g_assert_cmphex(
                picture_rgb(picture, x, y), ==,
                source_rgb(source, MIN(x, source->width - 1), MIN(y, source->height - 1)));
        }
    }
}

static void check_take(const Format *format, guint width, guint height, guint extra_stride,
                       guint offset, gboolean bottom_up)
{
    Source source;
    g_autoptr(ScShadow) shadow = sc_shadow_new();
    g_autoptr(GError) error = NULL;
    pixman_region32_t none;

    pixman_region32_init(&none);
    source_init(&source, format, width, height, extra_stride, offset, bottom_up);
    g_assert_true(sc_shadow_take(shadow, source.scanout, &none, &error));
    g_assert_no_error(error);
    g_assert_cmpint(sc_shadow_get_picture(shadow)->info.width, ==, GST_ROUND_UP_2(width));
    g_assert_cmpint(sc_shadow_get_picture(shadow)->info.height, ==, GST_ROUND_UP_2(height));
    check_all(&source, sc_shadow_get_picture(shadow));
    source_clear(&source);
}

static void test_format(gconstpointer data)
{
    static const struct {
        guint width, height;
    } sizes[] = { { 1, 1 }, { 2, 2 }, { 17, 5 }, { 33, 16 }, { 100, 3 }, { 5463, 2 } };
    const Format *format = data;

    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        for (guint extra_stride = 0; extra_stride < 6; extra_stride++) {
            for (guint offset = 0; offset < 4; offset++) {
                check_take(format, sizes[i].width, sizes[i].height, extra_stride, offset, FALSE);
                check_take(format, sizes[i].width, sizes[i].height, extra_stride, offset, TRUE);
            }
        }
    }
}

/* Only what is damaged is copied, wherever it lies, in every way of copying. */
static void test_damage(void)
{
    static const struct {
        guint32 fourcc;
        guint extra_stride;
    } ways[] = { { DRM_FORMAT_XRGB8888, 0 }, { DRM_FORMAT_XBGR8888, 0 }, { DRM_FORMAT_RGB888, 1 } };

    for (gsize i = 0; i < G_N_ELEMENTS(ways) * 2; i++) {
        g_autoptr(ScShadow) shadow = sc_shadow_new();
        const Format *format = formats;
        pixman_region32_t damage;
        Source source, before;

        while (format->fourcc != ways[i / 2].fourcc) {
            format++;
        }
        source_init(&source, format, 63, 47, ways[i / 2].extra_stride, 0, i % 2);
        source_init(&before, format, 63, 47, ways[i / 2].extra_stride, 0, i % 2);
        pixman_region32_init_rect(&damage, 5, 7, 13, 11);
        pixman_region32_union_rect(&damage, &damage, 60, 40, 3, 7);
        g_assert_true(sc_shadow_take(shadow, source.scanout, &damage, NULL));
        fill_random(source.memory, (gsize)source.stride * 46 + 63 * format->bytes, 99);
        sc_shadow_clear_changes(shadow);
        g_assert_true(sc_shadow_take(shadow, source.scanout, &damage, NULL));

        for (int y = 0; y < 48; y++) {
            for (int x = 0; x < 64; x++) {
                int shown_x = MIN(x, 62), shown_y = MIN(y, 46);
                gboolean damaged = pixman_region32_contains_point(&damage, shown_x, shown_y, NULL);

                g_assert_cmphex(
                    picture_rgb(sc_shadow_get_picture(shadow), (guint)x, (guint)y), ==,
                    source_rgb(damaged ? &source : &before, (guint)shown_x, (guint)shown_y));
            }
        }
        g_assert_true(
            pixman_region32_equal((pixman_region32_t *)sc_shadow_get_changes(shadow), &damage));
        g_assert_cmpuint(sc_shadow_get_copied(shadow), ==, 63 * 47 + 13 * 11 + 3 * 7);
        pixman_region32_fini(&damage);
        source_clear(&source);
        source_clear(&before);
    }
}

/* Also where a row or column is left over, and rows go up. */
static void test_reduced(void)
{
    const guint tolerance = 2; /* pixman's weights, and 5 bits made 8 before or after the mixture */

    for (guint i = 0; i < 8; i++) {
        const Format *format = &formats[i & 1 ? G_N_ELEMENTS(formats) - 4 : 0]; /* RGB565 */
        guint divisor = i & 2 ? 4 : 2;
        g_autoptr(ScScanout) small = NULL;
        g_autoptr(GError) error = NULL;
        Source source;
        ScPixels pixels;

        source_init(&source, format, 70, 45, 4, 0, (i & 4) != 0);
        small = sc_copy_reduced(source.scanout, divisor, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(sc_scanout_get_width(small), ==, (70 + divisor - 1) / divisor);
        g_assert_cmpuint(sc_scanout_get_height(small), ==, (45 + divisor - 1) / divisor);
        g_assert_true(sc_scanout_begin_read(small, &pixels, NULL));
        for (guint y = 0; y < sc_scanout_get_height(small); y++) {
            const guint32 *row =
                (const guint32 *)(gconstpointer)(pixels.data + pixels.stride * (int)y);

            for (guint x = 0; x < sc_scanout_get_width(small); x++) {
                for (guint shift = 0; shift < 24; shift += 8) {
                    int off =
                        (int)(row[x] >> shift & 0xff) - source_mean(&source, x, y, divisor, shift);

                    g_assert_cmpint(ABS(off), <=, tolerance);
                }
            }
        }
        sc_scanout_end_read(small);
        source_clear(&source);
    }
}

/* Rows that pixman cannot address. */
static void test_reduced_refused(void)
{
    g_autoptr(GError) error = NULL;
    Source source;

    source_init(&source, formats, 70, 45, 1, 0, FALSE);
    g_assert_null(sc_copy_reduced(source.scanout, 2, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED);
    source_clear(&source);
}

/* A picture somebody reads is not drawn into; the other one gets what it lacks, and no more. */
static void test_two_pictures(void)
{
    g_autoptr(ScShadow) shadow = sc_shadow_new();
    g_autoptr(ScPicture) first = NULL;
    g_autoptr(ScPicture) second = NULL;
    g_autofree guint8 *was = NULL;
    pixman_region32_t left, right;
    guint64 copied;
    Source source;

    pixman_region32_init_rect(&left, 0, 0, 10, 30);
    pixman_region32_init_rect(&right, 30, 0, 10, 20);
    source_init(&source, formats, 40, 30, 0, 0, FALSE);
    g_assert_true(sc_shadow_take(shadow, source.scanout, &left, NULL));
    first = sc_picture_ref(sc_shadow_get_picture(shadow));
    was = g_memdup2(first->data, first->info.size);

    fill_random(source.memory, 40 * 30 * 4, 1);
    g_assert_true(sc_shadow_take(shadow, source.scanout, &left, NULL));
    second = sc_picture_ref(sc_shadow_get_picture(shadow));
    g_assert_true(first != second);
    g_assert_cmpmem(first->data, first->info.size, was, first->info.size);
    check_all(&source, second);

    /* Both are read: a third one comes in, and the first is forgotten. */
    g_assert_true(sc_shadow_take(shadow, source.scanout, &left, NULL));
    g_assert_true(sc_shadow_get_picture(shadow) != first);
    g_assert_true(sc_shadow_get_picture(shadow) != second);
    g_assert_cmpmem(first->data, first->info.size, was, first->info.size);
    check_all(&source, sc_shadow_get_picture(shadow));
    g_assert_false(sc_picture_is_shared(first));

    /* Nobody reads the newest: no reason to change pictures. */
    copied = sc_shadow_get_copied(shadow);
    g_assert_true(sc_shadow_take(shadow, source.scanout, &right, NULL));
    g_assert_cmpuint(sc_shadow_get_copied(shadow) - copied, ==, 10 * 20);

    /* The second comes back, and lacks both sides. */
    sc_picture_unref(first);
    first = sc_picture_ref(sc_shadow_get_picture(shadow));
    g_clear_pointer(&second, sc_picture_unref);
    fill_random(source.memory, 40 * 30 * 4, 2);
    copied = sc_shadow_get_copied(shadow);
    g_assert_true(sc_shadow_take(shadow, source.scanout, &right, NULL));
    g_assert_cmpuint(sc_shadow_get_copied(shadow) - copied, ==, 10 * 20 + 10 * 30);
    g_assert_cmphex(picture_rgb(sc_shadow_get_picture(shadow), 3, 29), ==,
                    source_rgb(&source, 3, 29));
    source_clear(&source);
}

static void test_change_of_scanout(void)
{
    g_autoptr(ScShadow) shadow = sc_shadow_new();
    pixman_region32_t none;
    Source source;

    g_assert_null(sc_shadow_get_picture(shadow));
    pixman_region32_init(&none);
    for (guint i = 0; i < 4; i++) { /* nothing, width, height, format changes */
        source_init(&source, &formats[i == 3 ? 2 : 0], i >= 1 ? 30 : 20, i >= 2 ? 30 : 20, 0, 0,
                    FALSE);
        fill_random(source.memory, (gsize)source.stride * source.height, i);
        g_assert_true(sc_shadow_take(shadow, source.scanout, &none, NULL));
        check_all(&source, sc_shadow_get_picture(shadow));
        g_assert_cmpuint(sc_shadow_get_width(shadow), ==, source.width);
        g_assert_cmpuint(sc_shadow_get_height(shadow), ==, source.height);
        g_assert_cmphex(sc_shadow_get_fourcc(shadow), ==, source.format->fourcc);
        g_assert_true(
            pixman_region32_not_empty((pixman_region32_t *)sc_shadow_get_changes(shadow)));
        sc_shadow_clear_changes(shadow);
        source_clear(&source);
    }
}

static void test_unreadable(void)
{
    g_autoptr(ScShadow) shadow = sc_shadow_new();
    g_autoptr(GError) error = NULL;
    g_autofree guint8 *was = NULL;
    ScPicture *picture;
    pixman_region32_t damage;
    Source source, gone;

    pixman_region32_init_rect(&damage, 0, 0, 8, 8);
    source_init(&source, formats, 20, 20, 0, 0, FALSE);
    source_init(&gone, formats, 20, 20, 0, 0, FALSE);
    g_assert_true(sc_shadow_take(shadow, source.scanout, &damage, NULL));
    picture = sc_shadow_get_picture(shadow);
    was = g_memdup2(picture->data, picture->info.size);
    sc_shadow_clear_changes(shadow);

    sc_scanout_detach_pixels(gone.scanout);
    g_assert_false(sc_shadow_take(shadow, gone.scanout, &damage, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_FAILED);
    g_assert_true(sc_shadow_get_picture(shadow) == picture);
    g_assert_cmpmem(picture->data, picture->info.size, was, picture->info.size);
    g_assert_false(pixman_region32_not_empty((pixman_region32_t *)sc_shadow_get_changes(shadow)));
    source_clear(&source);
    source_clear(&gone);
}

/* memfds are what links without a GPU hand out as dmabufs. */
static void test_dmabuf(void)
{
    g_autoptr(ScShadow) shadow = sc_shadow_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(ScDmabuf) dmabuf = NULL;
    g_autoptr(ScScanout) scanout = NULL;
    ScDmabufLayout layout = { 30, 20, DRM_FORMAT_XRGB8888, DRM_FORMAT_MOD_LINEAR, 1, { { 0 } } };
    pixman_region32_t none;
    Source like;

    pixman_region32_init(&none);
    source_init(&like, formats, 30, 20, 8, 0, TRUE);
    layout.planes[0].fd = memfd_create("test", MFD_CLOEXEC);
    layout.planes[0].stride = like.stride;
    layout.planes[0].offset = 64;
    g_assert_cmpint(ftruncate(layout.planes[0].fd, 8192), ==, 0);
    g_assert_cmpint(pwrite(layout.planes[0].fd, like.pixels, like.stride * 19 + 120, 64), >, 0);
    dmabuf = sc_dmabuf_new(&layout, &error);
    g_assert_no_error(error);
    scanout = sc_scanout_new_dmabuf(dmabuf, TRUE);
    g_assert_true(sc_shadow_take(shadow, scanout, &none, &error));
    g_assert_no_error(error);
    check_all(&like, sc_shadow_get_picture(shadow));
    source_clear(&like);
}

/* In bands it comes out as GStreamer would have done it as a whole, and bands that are not asked
 * for stay as they are. */
static void check_conversion(GstVideoFormat format, const char *colorimetry, guint width,
                             guint height)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ScPicture) from = NULL;
    g_autoptr(ScPicture) other = NULL;
    g_autoptr(ScPicture) to = NULL;
    g_autoptr(ScPicture) whole = NULL;
    g_autoptr(ScConverter) converter = NULL;
    GstVideoConverter *reference;
    GstVideoInfo from_info, to_info;
    pixman_region32_t changes;
    GstVideoFrame frames[2];
    GstBuffer *buffers[2];

    gst_video_info_set_format(&from_info, GST_VIDEO_FORMAT_BGRx, width, height);
    gst_video_info_set_format(&to_info, format, width, height);
    gst_video_colorimetry_from_string(&to_info.colorimetry, colorimetry);
    from = sc_picture_new(&from_info, &error);
    other = sc_picture_new(&from_info, &error);
    to = sc_picture_new(&to_info, &error);
    whole = sc_picture_new(&to_info, &error);
    fill_random(from->data, from->info.size, width);

    reference = gst_video_converter_new(&from_info, &to_info, NULL);
    buffers[0] =
        gst_buffer_new_wrapped_full(0, from->data, from->info.size, 0, from->info.size, NULL, NULL);
    buffers[1] = gst_buffer_new_wrapped_full(0, whole->data, whole->info.size, 0, whole->info.size,
                                             NULL, NULL);
    g_assert_true(gst_video_frame_map(&frames[0], &from_info, buffers[0], GST_MAP_READ));
    g_assert_true(gst_video_frame_map(&frames[1], &to_info, buffers[1], GST_MAP_WRITE));
    gst_video_converter_frame(reference, &frames[0], &frames[1]);
    for (int i = 0; i < 2; i++) {
        gst_video_frame_unmap(&frames[i]);
        gst_buffer_unref(buffers[i]);
    }
    gst_video_converter_free(reference);

    converter = sc_converter_new(&from_info, &to_info, &error);
    g_assert_no_error(error);
    sc_converter_run(converter, other, NULL, to); /* must leave no trace */
    sc_converter_run(converter, from, NULL, to);
    g_assert_cmpmem(to->data, to->info.size, whole->data, whole->info.size);

    memset(to->data, 0x55, to->info.size);
    pixman_region32_init_rect(&changes, (int)width - 1, (int)height - 1, 1, 1);
    sc_converter_run(converter, from, &changes, to);
    for (guint y = 0; y < height; y++) {
        gsize row = (gsize)to->info.stride[0] * y;

        if (y + SC_CONVERT_BAND >= height) {
            g_assert_cmpmem(to->data + row, width, whole->data + row, width);
        } else {
            g_assert_cmphex(to->data[row], ==, 0x55);
            g_assert_cmphex(to->data[row + width - 1], ==, 0x55);
        }
    }
    pixman_region32_fini(&changes);
}

static void test_convert(void)
{
    static const struct {
        guint width, height;
    } sizes[] = { { 2, 2 },   { 16, 16 }, { 34, 18 }, { 802, 602 },
                  { 64, 48 }, { 6, 30 },  { 8, 4 },   { 8, 12 } };

    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        check_conversion(GST_VIDEO_FORMAT_NV12, GST_VIDEO_COLORIMETRY_BT709, sizes[i].width,
                         sizes[i].height);
        check_conversion(GST_VIDEO_FORMAT_I420, "1:4:0:0", sizes[i].width, sizes[i].height);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    gst_init(NULL, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autofree char *name = sc_format_name(formats[i].fourcc);
        g_autofree char *path = g_strdup_printf("/shadow/format/%s", name);

        g_test_add_data_func(path, &formats[i], test_format);
    }
    g_test_add_func("/shadow/damage", test_damage);
    g_test_add_func("/shadow/reduced", test_reduced);
    g_test_add_func("/shadow/reduced-refused", test_reduced_refused);
    g_test_add_func("/shadow/two-pictures", test_two_pictures);
    g_test_add_func("/shadow/change-of-scanout", test_change_of_scanout);
    g_test_add_func("/shadow/unreadable", test_unreadable);
    g_test_add_func("/shadow/dmabuf", test_dmabuf);
    g_test_add_func("/convert", test_convert);
    return g_test_run();
}
