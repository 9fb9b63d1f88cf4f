/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's display: one connector of one DRM device, dumb buffers, legacy mode setting.
 * See <drm_mode.h> for the ioctls. What fails ends the program (report_fatal).
 */
#pragma once

#include <drm.h>
#include <drm_mode.h>
#include <stdbool.h>
#include <stdint.h>

#define KMS_MAX_MODES 128

typedef struct {
    int fd;
    uint32_t crtc, connector;
    struct drm_mode_modeinfo modes[KMS_MAX_MODES]; /* the preferred one first */
    int n_modes;
} Kms;

typedef struct {
    uint32_t handle, framebuffer;
    int width, height;
    int stride;       /* bytes */
    uint32_t *pixels; /* words 0xAARRGGBB; alpha only counts for the pointer */
    uint64_t size;    /* bytes */
} KmsBuffer;

typedef struct {
    int x, y, width, height;
} KmsRect;

/* The first device, its first connector. */
void kms_open(Kms *kms);

/* Asks the display again for its modes, which may have changed. */
void kms_read_modes(Kms *kms);

/* The mode of that size; @width 0: the preferred one. NULL if there is none. */
const struct drm_mode_modeinfo *kms_find_mode(const Kms *kms, int width, int height);

/* A mode that the display does not name, but may take as virtual ones do. The last of those it
 * names is forgotten for it. */
const struct drm_mode_modeinfo *kms_make_mode(Kms *kms, int width, int height);

/* Black at first. */
KmsBuffer kms_create_buffer(Kms *kms, int width, int height);
void kms_destroy_buffer(Kms *kms, KmsBuffer *buffer);

/* Shows @buffer, which has the size of @mode. */
void kms_set_mode(Kms *kms, const struct drm_mode_modeinfo *mode, const KmsBuffer *buffer);

/* Shows @buffer by a page flip and waits until the kernel says that it happened. */
void kms_flip(Kms *kms, const KmsBuffer *buffer);

/* Tells the kernel what was drawn into the buffer that is shown; empty rectangles are left out. */
void kms_flush(Kms *kms, const KmsBuffer *buffer, const KmsRect *rects, int n_rects);

/* The hardware pointer: @buffer with its hot spot, NULL hides it. (@x, @y): of the hot spot. */
void kms_set_cursor(Kms *kms, const KmsBuffer *buffer, int hot_x, int hot_y, int x, int y);

/* (@x, @y): of the picture's top left corner. */
void kms_move_cursor(Kms *kms, int x, int y);
