/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Atomic mode setting, as compositors do it: a buffer is shown by a commit that does not wait, and
 * its out-fence tells when it was. What fails ends the program (report_fatal).
 */
#pragma once

#include "examples/guest/kms.h"

typedef struct {
    uint32_t plane;                       /* the primary one */
    uint32_t fb_property, fence_property; /* FB_ID of the plane, OUT_FENCE_PTR of the CRTC */
} Atomic;

/* The CRTC must show a buffer already. */
void atomic_open(Atomic *atomic, Kms *kms);

/* Shows @buffer and waits for the out-fence. */
void atomic_flip(const Atomic *atomic, Kms *kms, const KmsBuffer *buffer);
