/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tests of the VA rungs share: a guest that flips among dmabufs and waits for its flushes, and
 * an encoder that shows what it was given.
 *
 * Thread: the main thread.
 */
#pragma once

#include "tests/encoder/harness.h"
#include "tests/va-lab/lab.h"

/* One buffer of the guest's, with a picture of patches like those of the harness. */
typedef struct {
    ScLabBuffer *memory;
    ScLabBuffer *chroma; /* the memory of NV12's second plane; NULL: in @memory, too */
    Picture picture;     /* its pixels are what should be seen */
    ScScanout *scanout;
} GuestBuffer;

typedef struct {
    guint width, height;
    guint pitch;      /* bytes; 0: no padding */
    guint offset;     /* bytes */
    guint32 fourcc;   /* 0: XR24; or AR24, NV12 */
    gboolean apart;   /* NV12's planes are in memories of their own */
    guint64 modifier; /* DRM_FORMAT_MOD_LINEAR is 0 */
    gboolean bottom_up;
} GuestLayout;

void guest_buffer_init(GuestBuffer *buffer, const GuestLayout *layout);
void guest_buffer_clear(GuestBuffer *buffer);

/* Draws a picture that depends on @seed, into the memory, too. */
void guest_buffer_draw(GuestBuffer *buffer, guint seed);

/* A flush that the guest waits for. */
typedef struct {
    gboolean is_complete;
    ScFlushResult result;
    gint64 time; /* of its completion */
} GuestFlush;

/* A frame of @buffer with a flush and its deadline (0: none); the caller lets go of it. */
ScFrame *guest_flush(GuestBuffer *buffer, GuestFlush *flush, gint64 timeout_us);

/* An encoder of this kind: 20 Mbit/s, 60 fps. */
void rungs_init(Harness *harness, ScEncoderKind kind);

/* Submits a frame as the stream does: lets go of it at once. Asserts that it works. */
void rungs_submit(Harness *harness, GuestBuffer *buffer, GuestFlush *flush, gint64 timeout_us,
                  gboolean key);

/* The same, and waits for the packet; the flush must have been completed as done by then. */
ScPacket *rungs_encode(Harness *harness, GuestBuffer *buffer, gboolean key);

/* The last picture of the packets from @first on, which must be a key frame, is that of @buffer. */
void rungs_check(Harness *harness, guint first, const GuestBuffer *buffer);

/* Whether the rung in use is this one. */
void rungs_assert_rung(Harness *harness, const char *name);
