/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pixels from one format into another, with the matrix and range that were asked for; cropped,
 * scaled (nearest neighbour), turned and mirrored on the way.
 *
 * Thread: pure functions.
 */
#pragma once

#include "tests/va-driver/format.h"

G_BEGIN_DECLS

typedef struct {
    gboolean is_bt601; /* else BT.709 */
    gboolean is_full;  /* 0 to 255, else 16 to 235 */
} ScVaColor;

/* A rectangle of a picture. */
typedef struct {
    const ScVaFormat *format;
    guint8 *planes[SC_VA_MAX_PLANES];
    guint pitches[SC_VA_MAX_PLANES];
    guint x, y, width, height; /* the rectangle; inside the picture, not empty */
    ScVaColor color;           /* of YUV formats */
} ScVaPicture;

/* Applied in this order, as <va/va_vpp.h> says. */
typedef struct {
    guint quarter_turns; /* clockwise, 0 to 3 */
    gboolean mirror_x;   /* left and right change places */
    gboolean mirror_y;
} ScVaTransform;

/* Rectangles in NV12 that are written begin at even numbers. */
void sc_va_convert(const ScVaPicture *from, const ScVaPicture *to, const ScVaTransform *transform);

G_END_DECLS
