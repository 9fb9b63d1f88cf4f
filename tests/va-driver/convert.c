/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/convert.h"

#include <math.h>
#include <string.h>

/* The loops over pixels are worth vectorizing, which plain -O2 does not do. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

/* A row in between: words 0x??RRGGBB. */
#define RED(word) ((gint)((word) >> 16 & 0xff))
#define GREEN(word) ((gint)((word) >> 8 & 0xff))
#define BLUE(word) ((gint)((word)&0xff))

#define ONE 65536 /* coefficients have 16 fractional bits */

typedef struct {
    gint y[3], u[3], v[3]; /* of red, green, blue */
    gint black;            /* luma of it */
} ToYuv;

typedef struct {
    gint y, red_v, green_u, green_v, blue_u;
    gint black;
} ToRgb;

/* Where pixel x (y) of the destination comes from: column or row of the source's rectangle,
 * exchanged if the picture is turned on its side. */
typedef struct {
    guint *from_x, *from_y;
    gboolean is_identity; /* nothing but a crop */
    gboolean is_sideways;
} Map;

static double red_weight(const ScVaColor *color)
{
    return color->is_bt601 ? 0.299 : 0.2126; /* ITU-R BT.601 and BT.709 */
}

static double blue_weight(const ScVaColor *color)
{
    return color->is_bt601 ? 0.114 : 0.0722;
}

static void make_to_yuv(const ScVaColor *color, ToYuv *to)
{
    const double weights[3] = { red_weight(color), 1 - red_weight(color) - blue_weight(color),
                                blue_weight(color) };
    const double luma = color->is_full ? 1.0 : 219.0 / 255;
    const double chroma = color->is_full ? 1.0 : 224.0 / 255;
    for (guint i = 0; i < 3; i++) {
        double u = ((i == 2) - weights[i]) / (2 * (1 - weights[2]));
        double v = ((i == 0) - weights[i]) / (2 * (1 - weights[0]));
        to->y[i] = lround(ONE * luma * weights[i]);
        to->u[i] = lround(ONE * chroma * u);
        to->v[i] = lround(ONE * chroma * v);
    }
    to->black = color->is_full ? 0 : 16;
}

static void make_to_rgb(const ScVaColor *color, ToRgb *to)
{
    const double red = red_weight(color), blue = blue_weight(color), green = 1 - red - blue;
    const double chroma = color->is_full ? 1.0 : 255.0 / 224;
    to->y = lround(ONE * (color->is_full ? 1.0 : 255.0 / 219));
    to->red_v = lround(ONE * chroma * 2 * (1 - red));
    to->blue_u = lround(ONE * chroma * 2 * (1 - blue));
    to->green_u = -lround(ONE * chroma * 2 * (1 - blue) * blue / green);
    to->green_v = -lround(ONE * chroma * 2 * (1 - red) * red / green);
    to->black = color->is_full ? 0 : 16;
}

/* One axis: @n pixels of the destination show @n_from of the source. */
static guint *make_axis(guint n, guint n_from, gboolean reverse)
{
    guint *axis = g_new(guint, n);
    for (guint i = 0; i < n; i++) {
        guint position = (2 * (guint64)i + 1) * n_from / (2 * (guint64)n);
        axis[i] = reverse ? n_from - 1 - position : position;
    }
    return axis;
}

static void map_init(Map *map, const ScVaPicture *from, const ScVaPicture *to,
                     const ScVaTransform *transform)
{
    guint turns = transform->quarter_turns;
    map->is_sideways = turns % 2 == 1;
    /* A quarter turn clockwise: x of the destination runs up the source's columns, y runs right. */
    gboolean reverse_x = (turns == 1 || turns == 2) != transform->mirror_x;
    gboolean reverse_y = (turns == 2 || turns == 3) != transform->mirror_y;
    map->from_x = make_axis(to->width, map->is_sideways ? from->height : from->width, reverse_x);
    map->from_y = make_axis(to->height, map->is_sideways ? from->width : from->height, reverse_y);
    map->is_identity = !map->is_sideways && !reverse_x && !reverse_y && from->width == to->width &&
                       from->height == to->height;
}

static void map_clear(Map *map)
{
    g_free(map->from_x);
    g_free(map->from_y);
}

static guint32 pack(guint red, guint green, guint blue)
{
    return red << 16 | green << 8 | blue;
}

static guint clamp_byte(gint value)
{
    return value < 0 ? 0 : value > 255 ? 255 : value;
}

static guint32 unpack_rgb(const ScVaFormat *format, guint32 word)
{
    return pack(word >> format->red_shift & 0xff, word >> format->green_shift & 0xff,
                word >> format->blue_shift & 0xff);
}

static guint32 read_rgb(const ScVaPicture *from, guint x, guint y)
{
    guint32 word;
    memcpy(&word, from->planes[0] + (gsize)(from->y + y) * from->pitches[0] + 4 * (from->x + x), 4);
    return unpack_rgb(from->format, GUINT32_FROM_LE(word));
}

static guint32 read_yuv(const ScVaPicture *from, const ToRgb *matrix, guint x, guint y)
{
    x += from->x;
    y += from->y;
    const guint8 *uv = from->planes[1] + (gsize)(y / 2) * from->pitches[1] + x / 2 * 2;
    gint luma =
        matrix->y * (from->planes[0][(gsize)y * from->pitches[0] + x] - matrix->black) + ONE / 2;
    gint u = uv[0] - 128, v = uv[1] - 128;
    return pack(clamp_byte((luma + matrix->red_v * v) >> 16),
                clamp_byte((luma + matrix->green_u * u + matrix->green_v * v) >> 16),
                clamp_byte((luma + matrix->blue_u * u) >> 16));
}

/* Row @y of the destination, in the source's pixels. */
static void read_row(const ScVaPicture *from, const Map *map, guint y, guint width, guint32 *row)
{
    if (from->format->is_rgb && map->is_identity) {
        memcpy(row, from->planes[0] + (gsize)(from->y + y) * from->pitches[0] + 4 * from->x,
               4 * width);
        const ScVaFormat format = *from->format;
        for (guint x = 0; x < width; x++)
            row[x] = unpack_rgb(&format, GUINT32_FROM_LE(row[x]));
        return;
    }
    ToRgb matrix;
    make_to_rgb(&from->color, &matrix);
    for (guint x = 0; x < width; x++) {
        guint from_x = map->is_sideways ? map->from_y[y] : map->from_x[x];
        guint from_y = map->is_sideways ? map->from_x[x] : map->from_y[y];
        row[x] = from->format->is_rgb ? read_rgb(from, from_x, from_y)
                                      : read_yuv(from, &matrix, from_x, from_y);
    }
}

static void write_rgb(const ScVaPicture *to, guint y, const guint32 *row)
{
    const ScVaFormat format = *to->format;
    guint8 *out = to->planes[0] + (gsize)(to->y + y) * to->pitches[0] + 4 * to->x;
    for (guint x = 0; x < to->width; x++) {
        guint32 word = (guint32)RED(row[x]) << format.red_shift |
                       (guint32)GREEN(row[x]) << format.green_shift |
                       (guint32)BLUE(row[x]) << format.blue_shift | format.alpha_mask;
        word = GUINT32_TO_LE(word);
        memcpy(out + 4 * x, &word, 4);
    }
}

static void write_luma(const ScVaPicture *to, const ToYuv *matrix, guint y, const guint32 *row)
{
    const gint red = matrix->y[0], green = matrix->y[1], blue = matrix->y[2];
    const gint offset = matrix->black * ONE + ONE / 2;
    guint8 *out = to->planes[0] + (gsize)(to->y + y) * to->pitches[0] + to->x;
    for (guint x = 0; x < to->width; x++)
        out[x] = (red * RED(row[x]) + green * GREEN(row[x]) + blue * BLUE(row[x]) + offset) >> 16;
}

/* The mean of each four pixels. @row and @next have an even number of pixels. */
static void write_chroma(const ScVaPicture *to, const ToYuv *matrix, guint y, const guint32 *row,
                         const guint32 *next)
{
    const ToYuv m = *matrix;
    const gint offset = 128 * 4 * ONE + 2 * ONE;
    guint8 *out = to->planes[1] + (gsize)((to->y + y) / 2) * to->pitches[1] + to->x;
    for (guint x = 0; x < to->width; x += 2) {
        gint red = RED(row[x]) + RED(row[x + 1]) + RED(next[x]) + RED(next[x + 1]);
        gint green = GREEN(row[x]) + GREEN(row[x + 1]) + GREEN(next[x]) + GREEN(next[x + 1]);
        gint blue = BLUE(row[x]) + BLUE(row[x + 1]) + BLUE(next[x]) + BLUE(next[x + 1]);
        out[x] = clamp_byte((m.u[0] * red + m.u[1] * green + m.u[2] * blue + offset) >> 18);
        out[x + 1] = clamp_byte((m.v[0] * red + m.v[1] * green + m.v[2] * blue + offset) >> 18);
    }
}

static void convert(const ScVaPicture *from, const ScVaPicture *to, const Map *map)
{
    g_autofree guint32 *row = g_new(guint32, to->width + 1);
    g_autofree guint32 *next = g_new(guint32, to->width + 1);
    ToYuv matrix;
    make_to_yuv(&to->color, &matrix);
    for (guint y = 0; y < to->height; y += 2) {
        gboolean has_next = y + 1 < to->height;
        read_row(from, map, y, to->width, row);
        read_row(from, map, has_next ? y + 1 : y, to->width, next);
        if (to->format->is_rgb) {
            write_rgb(to, y, row);
            if (has_next)
                write_rgb(to, y + 1, next);
            continue;
        }
        /* An odd width: the last column counts twice in its chroma. */
        row[to->width] = row[to->width - 1];
        next[to->width] = next[to->width - 1];
        write_luma(to, &matrix, y, row);
        if (has_next)
            write_luma(to, &matrix, y + 1, next);
        write_chroma(to, &matrix, y, row, next);
    }
}

static void copy_planes(const ScVaPicture *from, const ScVaPicture *to)
{
    for (guint i = 0; i < to->format->n_planes; i++) {
        guint divisor = i == 0 ? 1 : 2;
        guint x_from = sc_va_format_row_bytes(from->format, i, from->x);
        guint x_to = sc_va_format_row_bytes(to->format, i, to->x);
        const guint8 *in = from->planes[i] + (gsize)(from->y / divisor) * from->pitches[i] + x_from;
        guint8 *out = to->planes[i] + (gsize)(to->y / divisor) * to->pitches[i] + x_to;
        for (guint y = 0; y < sc_va_format_rows(to->format, i, to->height); y++) {
            memcpy(out, in, sc_va_format_row_bytes(to->format, i, to->width));
            in += from->pitches[i];
            out += to->pitches[i];
        }
    }
}

void sc_va_convert(const ScVaPicture *from, const ScVaPicture *to, const ScVaTransform *transform)
{
    Map map;
    map_init(&map, from, to, transform);
    gboolean same = from->format == to->format && map.is_identity &&
                    from->color.is_bt601 == to->color.is_bt601 &&
                    from->color.is_full == to->color.is_full;
    if (same && (from->format->is_rgb || (from->x % 2 == 0 && from->y % 2 == 0)))
        copy_planes(from, to);
    else
        convert(from, to, &map);
    map_clear(&map);
}
