/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the benchmarks encode: pictures that change as a desktop's do, or all noise.
 *
 * Thread: any; pure functions on the caller's memory.
 */
#pragma once

#include <glib.h>
#include <pixman.h>

G_BEGIN_DECLS

typedef enum {
    BENCH_DESKTOP, /* windows with text-like detail; one scrolls, a box moves, a caret blinks */
    BENCH_NOISE,   /* every pixel random, every time */
} BenchContent;

/* "desktop", "noise" */
const char *bench_content_name(BenchContent content);

/* Draws picture @number into @pixels (0xffRRGGBB, @width words a row) that hold picture
 * @number - 1, or anything for number 0. @damage, initialised, is set to what changed. */
void bench_content_draw(BenchContent content, guint32 *pixels, int width, int height, guint number,
                        pixman_region32_t *damage);

G_END_DECLS
