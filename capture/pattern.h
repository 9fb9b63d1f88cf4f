/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The test picture: a function of its size and a frame number, so that whoever sees it can tell
 * which frame it is and whether it is right.
 *
 *   - a still background of colour bars and gradients;
 *   - the frame number in cells of 16x16 pixels at the top left: 32 bits, the lowest first, white
 *     for 1, black for 0, wrapping to the next row of cells after width / 16 cells;
 *   - a box that moves 16 pixels a frame through the middle.
 *
 * Plain C with libc only: the test guest draws with this very file.
 *
 * Thread: pure functions on the caller's memory. Pixels are words 0xffRRGGBB in host order.
 */
#pragma once

#include <stdint.h>

#define PATTERN_CELL 16
#define PATTERN_N_BITS 32

typedef struct {
    int x, y, width, height;
} PatternRect;

#define PATTERN_N_RECTS 3 /* the bits, the box before, the box now */

/* Rows @stride bytes apart; @width and @height at least 1. Draws everything. */
void pattern_draw(uint32_t *pixels, int stride, int width, int height, uint32_t number);

/*
 * Turns the picture of frame @before into that of @number by drawing only what differs, and says
 * what it drew in @rects (inside the picture; empty ones have width 0).
 */
void pattern_update(uint32_t *pixels, int stride, int width, int height, uint32_t before,
                    uint32_t number, PatternRect rects[PATTERN_N_RECTS]);

/* The frame number in a picture that may have been through a lossy codec (cells are judged by the
 * green channel of their centre). 0 where the picture is too small to hold a bit. */
uint32_t pattern_read(const uint32_t *pixels, int stride, int width, int height);

/* The same in the luma plane of a decoded picture, one byte a pixel. */
uint32_t pattern_read_luma(const uint8_t *luma, int stride, int width, int height);
