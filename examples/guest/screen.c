/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "examples/guest/screen.h"
#include "examples/guest/font.h"

#include <stdlib.h>
#include <string.h>

uint32_t *screen_row(const Screen *screen, int y)
{
    return (uint32_t *)((char *)screen->pixels + (intptr_t)y * screen->stride);
}

typedef struct {
    int left, top, right, bottom;
} Box;

static Box clip(const Screen *screen, int x, int y, int width, int height)
{
    Box box = { x, y, x + width, y + height };

    box.left = box.left < 0 ? 0 : box.left;
    box.top = box.top < 0 ? 0 : box.top;
    box.right = box.right > screen->width ? screen->width : box.right;
    box.bottom = box.bottom > screen->height ? screen->height : box.bottom;
    return box;
}

void screen_fill(const Screen *screen, int x, int y, int width, int height, uint32_t colour)
{
    Box box = clip(screen, x, y, width, height);

    for (int row = box.top; row < box.bottom; row++) {
        uint32_t *pixels = screen_row(screen, row);

        for (int column = box.left; column < box.right; column++) {
            pixels[column] = colour;
        }
    }
}

void screen_shade(const Screen *screen, int x, int y, int width, int height)
{
    Box box = clip(screen, x, y, width, height);

    for (int row = box.top; row < box.bottom; row++) {
        uint32_t *pixels = screen_row(screen, row);

        for (int column = box.left; column < box.right; column++) {
            /* A quarter plus an eighth of each channel. */
            pixels[column] =
                0xff000000 | ((pixels[column] >> 2 & 0x3f3f3f) + (pixels[column] >> 3 & 0x1f1f1f));
        }
    }
}

static void draw_glyph(const Screen *screen, int x, int y, int scale, uint32_t colour,
                       char character)
{
    for (int row = 0; row < FONT_HEIGHT; row++) {
        for (int column = 0; column < FONT_WIDTH; column++) {
            if (font_is_set(character, column, row)) {
                screen_fill(screen, x + column * scale, y + row * scale, scale, scale, colour);
            }
        }
    }
}

int screen_text(const Screen *screen, int x, int y, int scale, uint32_t colour, const char *text)
{
    for (; *text != '\0'; text++) {
        draw_glyph(screen, x, y, scale, colour, *text);
        x += (FONT_WIDTH + 1) * scale;
    }
    return x;
}

int screen_text_width(int scale, const char *text)
{
    return (int)strlen(text) * (FONT_WIDTH + 1) * scale;
}

int screen_text_height(int scale)
{
    return (FONT_HEIGHT + 1) * scale;
}

void screen_line(const Screen *screen, int x0, int y0, int x1, int y1, int thickness,
                 uint32_t colour)
{
    int dx = x1 - x0, dy = y1 - y0;
    int steps = abs(dx) > abs(dy) ? abs(dx) : abs(dy);

    for (int i = 0; i <= steps; i++) {
        int x = x0 + (steps > 0 ? dx * i / steps : 0);
        int y = y0 + (steps > 0 ? dy * i / steps : 0);

        screen_fill(screen, x - thickness / 2, y - thickness / 2, thickness, thickness, colour);
    }
}
