/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A target: what the frames of a scanout have in common as far as encoding them goes. Rungs that
 * fail do so for one target.
 *
 * Thread: pure functions.
 */
#pragma once

#include "capture/scanout.h"

G_BEGIN_DECLS

typedef struct {
    guint32 width, height, fourcc;
    gboolean is_dmabuf;
    gboolean bottom_up;
    guint64 modifier; /* of dmabufs, else 0; n_planes, too */
    guint n_planes;
    gboolean is_split; /* the planes are in several dmabufs */
    gboolean is_far;   /* a dmabuf in memory that the CPU may not read well, or not at all */
} ScTarget;

void sc_target_init(ScTarget *target, const ScScanout *scanout);

/* By how much a picture of this size is to be reduced, in either direction, to have no more than
 * @max_pixels (0: any number): 1, 2, 4... */
guint sc_target_get_divisor(const ScTarget *target, guint max_pixels);

gboolean sc_target_equal(const ScTarget *a, const ScTarget *b);

/* "1920x1080 XR24", with the modifier if it is not linear; the caller frees it. */
char *sc_target_to_string(const ScTarget *target);

G_END_DECLS
