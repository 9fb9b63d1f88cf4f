/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/pattern.h"

#define BLACK 0xff000000u
#define WHITE 0xffffffffu
#define BOX_SIZE 64
#define BOX_STEP 16
#define BOX_COLOUR 0xffe0a030u

static void *row_at(const void *pixels, int stride, int y)
{
    return (void *)((uintptr_t)pixels + (intptr_t)y * stride);
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* Colour bars above, gradients below: flat areas, edges and slopes for a codec to get wrong. */
static uint32_t background_at(int x, int y, int width, int height)
{
    static const uint32_t bars[] = { 0xffc0c0c0, 0xffc0c000, 0xff00c0c0, 0xff00c000,
                                     0xffc000c0, 0xffc00000, 0xff0000c0, 0xff404040 };

    if (y < height / 3) {
        return bars[x * 8 / width];
    }
    return BLACK | (uint32_t)(x * 255 / width) << 16 | (uint32_t)(y * 255 / height) << 8 | 0x40;
}

static void draw_background(uint32_t *pixels, int stride, int width, int height,
                            const PatternRect *rect)
{
    for (int y = rect->y; y < rect->y + rect->height; y++) {
        uint32_t *row = row_at(pixels, stride, y);

        for (int x = rect->x; x < rect->x + rect->width; x++) {
            row[x] = background_at(x, y, width, height);
        }
    }
}

static void draw_flat(uint32_t *pixels, int stride, const PatternRect *rect, uint32_t colour)
{
    for (int y = rect->y; y < rect->y + rect->height; y++) {
        uint32_t *row = row_at(pixels, stride, y);

        for (int x = rect->x; x < rect->x + rect->width; x++) {
            row[x] = colour;
        }
    }
}

/* Bits that fit into the picture; the others are not drawn. */
static int bits_shown(int width, int height)
{
    return min_int(PATTERN_N_BITS, (width / PATTERN_CELL) * (height / PATTERN_CELL));
}

static PatternRect cell_rect(int bit, int width)
{
    int per_row = width / PATTERN_CELL;

    return (PatternRect){ bit % per_row * PATTERN_CELL, bit / per_row * PATTERN_CELL, PATTERN_CELL,
                          PATTERN_CELL };
}

static PatternRect draw_bits(uint32_t *pixels, int stride, int width, int height, uint32_t number)
{
    int n_bits = bits_shown(width, height);
    PatternRect all = { 0, 0, 0, 0 };

    for (int bit = 0; bit < n_bits; bit++) {
        PatternRect cell = cell_rect(bit, width);

        draw_flat(pixels, stride, &cell, number >> bit & 1 ? WHITE : BLACK);
        all.width = cell.x + cell.width > all.width ? cell.x + cell.width : all.width;
        all.height = cell.y + cell.height;
    }
    return all;
}

static PatternRect box_rect(int width, int height, uint32_t number)
{
    int size = min_int(BOX_SIZE, min_int(width, height / 4));
    int steps = (width - size) / BOX_STEP + 1;

    return (PatternRect){ (int)(number % (uint32_t)steps) * BOX_STEP, height / 2, size, size };
}

void pattern_draw(uint32_t *pixels, int stride, int width, int height, uint32_t number)
{
    PatternRect all = { 0, 0, width, height };
    PatternRect box = box_rect(width, height, number);

    draw_background(pixels, stride, width, height, &all);
    draw_flat(pixels, stride, &box, BOX_COLOUR);
    draw_bits(pixels, stride, width, height, number);
}

void pattern_update(uint32_t *pixels, int stride, int width, int height, uint32_t before,
                    uint32_t number, PatternRect rects[PATTERN_N_RECTS])
{
    rects[1] = box_rect(width, height, before);
    rects[2] = box_rect(width, height, number);

    draw_background(pixels, stride, width, height, &rects[1]);
    draw_flat(pixels, stride, &rects[2], BOX_COLOUR);
    rects[0] = draw_bits(pixels, stride, width, height, number);
}

static uint32_t green_at(const void *row, int x)
{
    return ((const uint32_t *)row)[x] >> 8 & 0xff;
}

static uint32_t luma_at(const void *row, int x)
{
    return ((const uint8_t *)row)[x];
}

static uint32_t read_bits(const void *picture, int stride, int width, int height,
                          uint32_t (*level_at)(const void *row, int x))
{
    int n_bits = bits_shown(width, height);
    uint32_t number = 0;

    for (int bit = 0; bit < n_bits; bit++) {
        PatternRect cell = cell_rect(bit, width);

        if (level_at(row_at(picture, stride, cell.y + PATTERN_CELL / 2),
                     cell.x + PATTERN_CELL / 2) >= 0x80) {
            number |= 1u << bit;
        }
    }
    return number;
}

uint32_t pattern_read(const uint32_t *pixels, int stride, int width, int height)
{
    return read_bits(pixels, stride, width, height, green_at);
}

uint32_t pattern_read_luma(const uint8_t *luma, int stride, int width, int height)
{
    return read_bits(luma, stride, width, height, luma_at);
}
