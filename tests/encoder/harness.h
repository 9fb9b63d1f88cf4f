/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tests of encoders share: an encoder whose listener keeps what it is told, pictures of known
 * colours, a decoder of somebody else's.
 */
#pragma once

#include "encoder/encoder.h"

#define DEADLINE_US (60 * G_USEC_PER_SEC)

typedef struct {
    ScEncoder *encoder;
    GPtrArray *packets; /* ScPacket */
    guint n_dropped, n_failed;
    GError *dropped, *failed; /* the last ones */
    gboolean free_when_dropped;
} Harness;

/* Asserts that it works. @config NULL: H.264 by software, 20 Mbit/s, 60 fps. */
void harness_init(Harness *harness, const ScEncoderConfig *config);
void harness_clear(Harness *harness);

/* The description: SC_ENCODER_CUSTOM. */
void harness_init_custom(Harness *harness, const char *description);

/* Iterates the main context until there are as many packets, losses or failures. */
void harness_wait_packets(Harness *harness, guint n);
void harness_wait_dropped(Harness *harness, guint n);
void harness_wait_failed(Harness *harness);

/* Until @packets, which something in the main context adds to, are as many, or more. */
void wait_packets(GPtrArray *packets, guint n);

/* A picture of patches of 32x32 pixels, whose colours depend on @seed. */
typedef struct {
    guint width, height;
    guint32 *pixels;
    ScScanout *scanout;
} Picture;

void picture_init(Picture *picture, guint width, guint height);
void picture_clear(Picture *picture);
void picture_draw(Picture *picture, guint seed);
/* Only one patch; sets @damage. */
void picture_draw_patch(Picture *picture, guint column, guint row, guint32 colour,
                        pixman_region32_t *damage);

/* Looks like a page of text to an encoder, another one for each @seed: hard to code. */
void picture_draw_text(Picture *picture, guint seed);

/* A frame of @picture, all of it damaged if @damage is NULL. */
ScFrame *picture_new_frame(Picture *picture, const pixman_region32_t *damage);

/* Submits such a frame, asserts that it works, and lets go of it. */
void harness_submit(Harness *harness, Picture *picture, gboolean key);

/* Submits, waits, and returns the packet, which stays the harness's. */
ScPacket *harness_encode(Harness *harness, Picture *picture, gboolean key);

/*
 * Decodes @packets from index @first on with libav. Returns the last picture (words 0xRRGGBB, rows
 * without gaps), the number of pictures, and what the decoder says of the colours. The caller
 * frees the result and @colorimetry.
 */
guint32 *decode(GPtrArray *packets, guint first, guint *width, guint *height, guint *n_pictures,
                char **colorimetry);

/* How far the green of the last picture in @packets from index @first on is off @picture's, on
 * average. A page of text is legible below 20. */
double decode_error(GPtrArray *packets, guint first, const Picture *picture);

/* The centres of all patches of @picture are in @decoded (@width pixels per row), within
 * @tolerance per channel. */
void check_patches(const Picture *picture, const guint32 *decoded, guint width, guint tolerance);

/* Whether the byte stream in @packet has a NAL unit of this type (ITU-T H.264, table 7-1). */
#define NAL_IDR 5
#define NAL_SPS 7
#define NAL_PPS 8
gboolean has_nal(ScPacket *packet, guint type);

/* Open descriptors of this process; its threads that are ours (GStreamer's pool lingers). */
guint count_fds(void);
guint count_threads(void);
