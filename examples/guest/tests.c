/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The modes that tests use: pictures of capture/pattern.h, so that whoever sees one can compare it.
 */
#include "capture/pattern.h"
#include "examples/guest/atomic.h"
#include "examples/guest/guest.h"
#include "examples/guest/report.h"

#include <string.h>

void tests_run_idle(Guest *guest)
{
    guest_show(guest, guest->mode, guest->options.first);
    guest_report_ready(guest);
    report("frame %u", guest->options.first);
    guest_idle(guest);
}

/* The frames that the two buffers of a flipping mode show, and which of them is seen. */
typedef struct {
    KmsBuffer buffers[2];
    uint32_t numbers[2];
    int shown;
} Pair;

static void draw_next(Pair *pair, uint32_t number)
{
    int hidden = 1 - pair->shown;
    KmsBuffer *buffer = &pair->buffers[hidden];
    PatternRect rects[PATTERN_N_RECTS];

    pattern_update(buffer->pixels, buffer->stride, buffer->width, buffer->height,
                   pair->numbers[hidden], number, rects);
    pair->numbers[hidden] = number;
    pair->shown = hidden;
}

/* @atomic: NULL for legacy flips. */
static void run_flips(Guest *guest, Atomic *atomic)
{
    uint32_t number = guest->options.first;
    Pair pair = { .numbers = { number, number } };
    Pacer pacer = { 0 };

    pair.buffers[1] = kms_create_buffer(&guest->kms, guest->mode->hdisplay, guest->mode->vdisplay);
    pattern_draw(pair.buffers[1].pixels, pair.buffers[1].stride, pair.buffers[1].width,
                 pair.buffers[1].height, number);
    pair.buffers[0] = guest_show(guest, guest->mode, number);
    if (atomic != NULL) {
        atomic_open(atomic, &guest->kms);
    }
    guest_report_ready(guest);
    while (guest_next_frame(guest, &pacer)) {
        draw_next(&pair, number++);
        if (atomic != NULL) {
            atomic_flip(atomic, &guest->kms, &pair.buffers[pair.shown]);
        } else {
            kms_flip(&guest->kms, &pair.buffers[pair.shown]);
        }
    }
    report("frame %u", number - 1);
    guest_idle(guest);
}

void tests_run_flip(Guest *guest)
{
    run_flips(guest, NULL);
}

void tests_run_atomic(Guest *guest)
{
    Atomic atomic;

    run_flips(guest, &atomic);
}

void tests_run_dirty(Guest *guest)
{
    uint32_t number = guest->options.first;
    KmsBuffer buffer = guest_show(guest, guest->mode, number);
    Pacer pacer = { 0 };

    guest_report_ready(guest);
    while (guest_next_frame(guest, &pacer)) {
        PatternRect rects[PATTERN_N_RECTS];
        KmsRect dirty[PATTERN_N_RECTS];

        pattern_update(buffer.pixels, buffer.stride, buffer.width, buffer.height,
                       number > guest->options.first ? number - 1 : number, number, rects);
        for (int i = 0; i < PATTERN_N_RECTS; i++) {
            dirty[i] = (KmsRect){ rects[i].x, rects[i].y, rects[i].width, rects[i].height };
        }
        kms_flush(&guest->kms, &buffer, dirty, PATTERN_N_RECTS);
        number++;
    }
    report("frame %u", number - 1);
    guest_idle(guest);
}

/* Larger modes take more memory than a small guest has. */
#define LARGEST_WIDTH 1920
#define LARGEST_HEIGHT 1200

/* The mode after @mode, round and round, of another size. */
static const struct drm_mode_modeinfo *next_mode(const Kms *kms,
                                                 const struct drm_mode_modeinfo *mode)
{
    int index = (int)(mode - kms->modes);

    for (int i = 1; i < kms->n_modes; i++) {
        const struct drm_mode_modeinfo *next = &kms->modes[(index + i) % kms->n_modes];

        if ((next->hdisplay != mode->hdisplay || next->vdisplay != mode->vdisplay) &&
            next->hdisplay <= LARGEST_WIDTH && next->vdisplay <= LARGEST_HEIGHT) {
            return next;
        }
    }
    return mode;
}

void tests_run_resize(Guest *guest)
{
    const struct drm_mode_modeinfo *mode = guest->mode;
    uint32_t number = guest->options.first;
    KmsBuffer buffer = guest_show(guest, mode, number);
    Pacer pacer = { 0 };

    guest_report_ready(guest);
    while (guest_next_frame(guest, &pacer)) {
        KmsBuffer before = buffer;

        if (pacer.count > 1) {
            mode = next_mode(&guest->kms, mode);
            buffer = guest_show(guest, mode, number);
            kms_destroy_buffer(&guest->kms, &before);
        }
        report("mode %dx%d", mode->hdisplay, mode->vdisplay);
        report("frame %u", number++);
    }
    guest_idle(guest);
}

/* As a desktop does: the mode that the display prefers, whatever that becomes. */
void tests_run_follow(Guest *guest)
{
    int width = guest->mode->hdisplay, height = guest->mode->vdisplay;
    uint32_t number = guest->options.first;
    KmsBuffer buffer = guest_show(guest, guest->mode, number);
    Pacer pacer = { 0 };

    guest_report_ready(guest);
    while (guest_next_frame(guest, &pacer)) {
        const struct drm_mode_modeinfo *mode;
        KmsBuffer before = buffer;

        kms_read_modes(&guest->kms);
        mode = kms_find_mode(&guest->kms, 0, 0);
        if (mode->hdisplay != width || mode->vdisplay != height) {
            width = mode->hdisplay;
            height = mode->vdisplay;
            buffer = guest_show(guest, mode, ++number);
            kms_destroy_buffer(&guest->kms, &before);
            report("mode %dx%d", width, height);
        }
    }
    guest_idle(guest);
}

#define CURSOR_SIZE 64 /* QEMU knows no other */
#define N_SHAPES 3

static bool is_inside_shape(int shape, int x, int y)
{
    int dx = x - CURSOR_SIZE / 2, dy = y - CURSOR_SIZE / 2;

    switch (shape) {
    case 0: /* an arrow */
        return y < 40 && x <= y * 2 / 3;
    case 1: /* a cross */
        return dx * dx < 16 || dy * dy < 16;
    default: /* a disc */
        return dx * dx + dy * dy < 30 * 30;
    }
}

static KmsBuffer create_shape(Guest *guest, int shape)
{
    static const uint32_t colours[N_SHAPES] = { 0xffffffff, 0xffff0000, 0x80008000 };
    KmsBuffer buffer = kms_create_buffer(&guest->kms, CURSOR_SIZE, CURSOR_SIZE);
    Screen screen = guest_screen(&buffer);

    for (int y = 0; y < CURSOR_SIZE; y++) {
        for (int x = 0; x < CURSOR_SIZE; x++) {
            screen_row(&screen, y)[x] = is_inside_shape(shape, x, y) ? colours[shape] : 0;
        }
    }
    return buffer;
}

/* Each step moves the pointer; every second one changes its shape, of which one is no pointer. */
void tests_run_cursor(Guest *guest)
{
    KmsBuffer shapes[N_SHAPES];
    Pacer pacer = { 0 };

    for (int i = 0; i < N_SHAPES; i++) {
        shapes[i] = create_shape(guest, i);
    }
    guest_show(guest, guest->mode, guest->options.first);
    guest_report_ready(guest);
    while (guest_next_frame(guest, &pacer)) {
        int step = (int)pacer.count - 1;
        int shape = step / 2 % (N_SHAPES + 1);
        int hot = shape == 0 ? 0 : CURSOR_SIZE / 2;
        int x = 100 + step * 20 % 400, y = 100 + step * 10 % 200;

        if (step % 2 == 0) {
            kms_set_cursor(&guest->kms, shape < N_SHAPES ? &shapes[shape] : NULL, hot, hot, x, y);
        } else {
            kms_move_cursor(&guest->kms, x - hot, y - hot);
        }
        report("cursor %d %d %d", shape < N_SHAPES ? shape : -1, x, y);
    }
    guest_idle(guest);
}
