/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Encoding: what an application says of a picture, turned into a job for libx264. Here sit the
 * switches that delay, fail, lose and hang.
 *
 * Thread: that of the context; the encoder itself is used by the engine's.
 */
#pragma once

#include "tests/va-driver/encoder.h"
#include "tests/va-driver/profile.h"

G_BEGIN_DECLS

typedef struct {
    ScVaEncoder *encoder;
    ScVaEncoderSettings settings; /* stay until the application says something else */
    guint init_qp;
    guint target_percentage; /* of the rate, VBR */
    gboolean has_picture;    /* of the picture being described: */
    VABufferID coded;
    ScVaPictureType type;
} ScVaEncode;

void sc_va_encode_init(ScVaEncode *encode, const ScVaConfig *config, guint width, guint height);
void sc_va_encode_clear(ScVaEncode *encode);

/* A new picture begins. */
void sc_va_encode_begin(ScVaEncode *encode);

VAStatus sc_va_encode_render(ScVaEncode *encode, const ScVaBuffer *buffer);

/* Submits the picture. @owner: the object that @encode is part of, kept until the job has ended. */
VAStatus sc_va_encode_end(ScVaEncode *encode, ScVaDriver *driver, gpointer owner,
                          ScVaSurface *surface);

G_END_DECLS
