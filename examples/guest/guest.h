/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the modes of the guest share: its display, its input, what it was told to do.
 */
#pragma once

#include "examples/guest/input.h"
#include "examples/guest/kms.h"
#include "examples/guest/screen.h"

/* From the kernel's command line: scancast.NAME=VALUE. */
typedef struct {
    char mode[16];     /* scancast.mode, "demo" if not given */
    int fps;           /* scancast.fps; 0: as fast as it goes; not given: the mode's own */
    unsigned frames;   /* scancast.frames, then the picture stands still; 0: never */
    unsigned first;    /* scancast.first: number of the first frame */
    int width, height; /* scancast.size=WxH; 0: the size that the display prefers */
} Options;

typedef struct {
    Kms kms;
    Input input;
    Options options;
    const struct drm_mode_modeinfo *mode; /* the one that is set first */
} Guest;

/* Keeps time: frames a second, as many as asked for. */
typedef struct {
    int64_t next;           /* when the next frame is due, us */
    int64_t mark;           /* when the rate was reported last, us */
    unsigned count, marked; /* frames until now, and until the mark */
} Pacer;

/* Waits, handling input, until the next frame is due; once a second reports "rate N.N/s". FALSE
 * after the last frame. */
bool guest_next_frame(Guest *guest, Pacer *pacer);

/* Handles input for ever. */
void guest_idle(Guest *guest) __attribute__((noreturn));

/* The memory of @buffer. */
Screen guest_screen(const KmsBuffer *buffer);

/* Sets @mode with the test picture of frame @number in a new buffer, and the input's size. */
KmsBuffer guest_show(Guest *guest, const struct drm_mode_modeinfo *mode, uint32_t number);

/* Reports "ready WxH": everything is shown and connected. */
void guest_report_ready(const Guest *guest);

/* The modes. None returns. */
void demo_run(Guest *guest);
void tests_run_idle(Guest *guest);
void tests_run_flip(Guest *guest);
void tests_run_atomic(Guest *guest);
void tests_run_dirty(Guest *guest);
void tests_run_resize(Guest *guest);
void tests_run_follow(Guest *guest);
void tests_run_cursor(Guest *guest);
