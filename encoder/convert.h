/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Converts what changed of one picture into another one that is kept (BGRx to NV12 or I420), in
 * bands of rows.
 *
 * Thread: one at a time.
 */
#pragma once

#include "encoder/picture.h"
#include <pixman.h>

G_BEGIN_DECLS

/* Rows of a band: a macroblock row of H.264, an MCU row of JPEG with 4:2:0. */
#define SC_CONVERT_BAND 16

typedef struct ScConverter ScConverter;

/* Sizes must be the same and even. Fails (SC_ERROR_UNSUPPORTED) if GStreamer cannot do it. */
ScConverter *sc_converter_new(const GstVideoInfo *from, const GstVideoInfo *to, GError **error);

void sc_converter_free(ScConverter *converter); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScConverter, sc_converter_free)

/* The bands that @changes touches; NULL: all. */
void sc_converter_run(ScConverter *converter, const ScPicture *from,
                      const pixman_region32_t *changes, ScPicture *to);

G_END_DECLS
