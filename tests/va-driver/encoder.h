/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libx264 as a hardware encoder would behave: one reference picture, no look-ahead, a key frame
 * exactly when asked.
 *
 * Thread: one at a time.
 */
#pragma once

#include "tests/va-driver/buffer.h"

G_BEGIN_DECLS

typedef struct ScVaEncoder ScVaEncoder;

typedef struct {
    VAProfile profile;
    guint rate_control; /* VA_RC_CQP, VA_RC_CBR or VA_RC_VBR */
    guint width, height;
    guint fps_num, fps_den;
    guint qp;          /* CQP */
    guint kbit;        /* CBR: the rate, VBR: what to aim at */
    guint max_kbit;    /* VBR: the ceiling */
    guint buffer_kbit; /* of the decoder's model; 0: a second's worth */
} ScVaEncoderSettings;

typedef enum {
    SC_VA_PICTURE_IDR,
    SC_VA_PICTURE_I,
    SC_VA_PICTURE_P,
} ScVaPictureType;

ScVaEncoder *sc_va_encoder_new(void);
void sc_va_encoder_free(ScVaEncoder *encoder); /* NULL is ignored */

/* Encodes NV12 @surface into @coded. Rates may change with every picture; anything else that
 * changes begins a new stream, with a key frame. */
VAStatus sc_va_encoder_encode(ScVaEncoder *encoder, const ScVaEncoderSettings *settings,
                              ScVaPictureType type, const ScVaSurface *surface, ScVaBuffer *coded);

G_END_DECLS
