/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/content.h"

const char *bench_content_name(BenchContent content)
{
    return content == BENCH_DESKTOP ? "desktop" : "noise";
}

/* Xorshift: the same noise on every run. */
static guint32 next_random(guint32 *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Something with the edges of text: dark strokes on light paper, different in every cell. */
static guint32 text_at(int x, int y)
{
    guint32 cell = (guint32)(x / 8) * 2654435761u ^ (guint32)(y / 16) * 2246822519u;
    int stroke = (int)(cell >> (((x & 7) + (y & 15) * 3) & 31)) & 1;

    return (y & 15) < 12 && stroke ? 0xff202020 : 0xfff4f4f0;
}

static void draw_text(guint32 *pixels, int width, const pixman_box32_t *box, int scroll)
{
    for (int y = box->y1; y < box->y2; y++) {
        for (int x = box->x1; x < box->x2; x++) {
            pixels[(gsize)y * (gsize)width + (gsize)x] = text_at(x - box->x1, y - box->y1 + scroll);
        }
    }
}

static void draw_flat(guint32 *pixels, int width, const pixman_box32_t *box, guint32 colour)
{
    for (int y = box->y1; y < box->y2; y++) {
        for (int x = box->x1; x < box->x2; x++) {
            pixels[(gsize)y * (gsize)width + (gsize)x] = colour;
        }
    }
}

static void add_box(pixman_region32_t *damage, const pixman_box32_t *box)
{
    pixman_region32_union_rect(damage, damage, box->x1, box->y1, (guint)(box->x2 - box->x1),
                               (guint)(box->y2 - box->y1));
}

static void draw_desktop(guint32 *pixels, int width, int height, guint number,
                         pixman_region32_t *damage)
{
    pixman_box32_t all = { 0, 0, width, height };
    pixman_box32_t page = { width / 20, height / 10, width * 9 / 20, height * 9 / 10 };
    pixman_box32_t terminal = { width / 2, height / 10, width * 19 / 20, height / 2 };
    int travel = width * 9 / 20 - 96;
    int left = width / 2 + (int)(number * 6 % (guint)travel);
    pixman_box32_t before = { MAX(left - 6, width / 2), height * 7 / 10, left + 96,
                              height * 7 / 10 + 64 };
    pixman_box32_t box = { left, height * 7 / 10, left + 96, height * 7 / 10 + 64 };
    pixman_box32_t caret = { page.x1 + 40, page.y1 + 32, page.x1 + 48, page.y1 + 48 };

    if (number == 0) {
        draw_flat(pixels, width, &all, 0xff305070);
        draw_text(pixels, width, &page, 0);
        add_box(damage, &all);
    }
    draw_text(pixels, width, &terminal, (int)number * 4); /* scrolls */
    if (left == width / 2) {                              /* it has jumped back */
        before = (pixman_box32_t){ width / 2, box.y1, width * 19 / 20 + 96, box.y2 };
        before.x2 = MIN(before.x2, width);
    }
    draw_flat(pixels, width, &before, 0xff305070);
    draw_flat(pixels, width, &box, 0xffe0a030);
    draw_flat(pixels, width, &caret, number / 15 % 2 ? 0xff000000 : 0xfff4f4f0);
    add_box(damage, &terminal);
    add_box(damage, &before);
    add_box(damage, &box);
    add_box(damage, &caret);
}

void bench_content_draw(BenchContent content, guint32 *pixels, int width, int height, guint number,
                        pixman_region32_t *damage)
{
    guint32 state = number + 1;

    pixman_region32_clear(damage);
    if (content == BENCH_DESKTOP) {
        draw_desktop(pixels, width, height, number, damage);
        return;
    }
    for (gsize i = 0; i < (gsize)width * (gsize)height; i++) {
        pixels[i] = 0xff000000 | next_random(&state);
    }
    pixman_region32_union_rect(damage, damage, 0, 0, (guint)width, (guint)height);
}
