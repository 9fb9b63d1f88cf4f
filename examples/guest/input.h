/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keyboards and pointers (evdev, <linux/input.h>). Every event is reported on the console; what was
 * typed and where the pointer is can be asked for.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define INPUT_MAX_DEVICES 8
#define INPUT_MAX_TYPED 64

typedef struct {
    int width, height; /* of the screen, in which positions are told */
    struct pollfd devices[INPUT_MAX_DEVICES];
    int abs_range[INPUT_MAX_DEVICES][2]; /* the largest value of each axis */
    int n_devices;

    int x, y;         /* of the pointer, pixels */
    bool moved;       /* a position, not yet reported */
    int dx, dy;       /* a motion, not yet reported */
    uint32_t buttons; /* bit 0 is BTN_LEFT */

    uint32_t leds; /* bits 1 << LED_* */
    bool shift;
    char typed[INPUT_MAX_TYPED + 1]; /* the newest last */
} Input;

/* Opens all devices there are, for this program alone. */
void input_open(Input *input);

/* The pointer is moved inside if it is outside. */
void input_set_screen(Input *input, int width, int height);

/* Handles events until @deadline_us (of input_now(); INT64_MAX: for ever), at least those that are
 * there already. */
void input_run_until(Input *input, int64_t deadline_us);

/* CLOCK_MONOTONIC in microseconds. */
int64_t input_now(void);
