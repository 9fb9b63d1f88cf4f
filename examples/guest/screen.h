/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Drawing into memory. Everything is clipped to the screen.
 */
#pragma once

#include <stdint.h>

typedef struct {
    uint32_t *pixels; /* words 0xAARRGGBB */
    int stride;       /* bytes */
    int width, height;
} Screen;

uint32_t *screen_row(const Screen *screen, int y);

void screen_fill(const Screen *screen, int x, int y, int width, int height, uint32_t colour);

/* Takes a third of the light away, for text to stand out. */
void screen_shade(const Screen *screen, int x, int y, int width, int height);

/* Dots of @scale pixels. Returns the x after the text. */
int screen_text(const Screen *screen, int x, int y, int scale, uint32_t colour, const char *text);

/* What screen_text() needs. */
int screen_text_width(int scale, const char *text);
int screen_text_height(int scale);

void screen_line(const Screen *screen, int x0, int y0, int x1, int y1, int thickness,
                 uint32_t colour);
