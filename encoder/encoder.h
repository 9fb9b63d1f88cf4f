/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An encoder: turns frames into packets of one codec, by the best way that works (a rung of its
 * ladder), and steps down when that way fails.
 *
 * Two ways a frame's picture is taken:
 *   copying rungs      sc_encoder_submit() and sc_encoder_absorb() copy what changed into a shadow
 *                      picture before they return; the frame is not referenced afterwards.
 *   zero-copy rungs    sc_encoder_submit() keeps a reference to the frame until its packet is out
 *                      and the pipeline has let go of the memory. If the pipeline fails before that
 *                      and the guest still waits, the picture is copied and encoded by a lower
 *                      rung; if the guest waits no longer, the picture is lost.
 * While a device encodes, an encoder that needs none is kept ready to stand in for it, which takes
 * about as much memory again as the software rung does; and what the ladder wants back is tried
 * beside the one in use before it takes over (encoder/lineup.h).
 * A frame is marked taken when it was copied, or its packet is out, so the flush completes by the
 * fence rule of capture/frame.h.
 *
 * Thread:   the owner thread; the listener is called in the main context that was the thread
 *           default at sc_encoder_new(), never from inside a function of this header.
 * In flight: at most one picture. Every successful submit ends with exactly one call of packet()
 *           or dropped(), unless the encoder is freed first.
 * Lifetime: sc_encoder_free() drops all frame references, calls nothing more and does not wait for
 *           an encoder that hangs: such a pipeline is torn down by a thread of its own, for which
 *           exit() waits 1 s at most.
 */
#pragma once

#include "capture/frame.h"
#include "encoder/packet.h"

G_BEGIN_DECLS

typedef struct ScEncoder ScEncoder;

typedef enum {
    SC_ENCODER_AUTO,     /* the whole ladder */
    SC_ENCODER_VA,       /* the rungs that use VA-API only; MJPEG as SC_ENCODER_AUTO */
    SC_ENCODER_SOFTWARE, /* the software rung only */
    SC_ENCODER_CUSTOM,   /* the user's pipeline description only; MJPEG as SC_ENCODER_SOFTWARE */
} ScEncoderKind;

/* "auto", "va", "software"; anything else is the description of SC_ENCODER_CUSTOM. */
ScEncoderKind sc_encoder_kind_from_string(const char *text);

typedef struct {
    ScCodec codec;
    ScEncoderKind kind;
    const char *description; /* SC_ENCODER_CUSTOM: raw video in, H.264 out, each picture at
                              * once: "x264enc tune=zerolatency" */
    const char *render_node; /* "/dev/dri/renderD128", for VA-API; NULL: the one that does best */
    guint bitrate_kbit;      /* H.264: target and ceiling, kbit/s, 1 to 2000000; not for
                              * SC_ENCODER_CUSTOM, where it is the description's business */
    guint max_fps;           /* frames per second the rate control reckons with, 1 to 1000 */
    guint max_pixels;        /* MJPEG: pictures that have more are encoded by zero-copy rungs at a
                              * half, a quarter... of their size; 0: all as they are */
} ScEncoderConfig;

typedef struct {
    /* @packet stays the encoder's unless it is referenced. */
    void (*packet)(ScPacket *packet, gpointer data);

    /* The picture in flight is lost (an encoder failed, stalled or was replaced); the encoder is
     * idle again and its next picture will be a key frame. Submit the current picture again. */
    void (*dropped)(const GError *reason, gpointer data);

    /* No rung works, and none will until something changes: pictures of another size or format.
     * Until then submitting fails. Nothing is in flight. */
    void (*failed)(const GError *error, gpointer data);
} ScEncoderListener;

/* @config and its strings are copied, @listener too, whose members are all mandatory. Fails if
 * @config is out of range or SC_ENCODER_CUSTOM's description cannot be built (SC_ERROR_INVALID), or
 * no element for the codec is installed (SC_ERROR_UNSUPPORTED, the message names the package). */
ScEncoder *sc_encoder_new(const ScEncoderConfig *config, const ScEncoderListener *listener,
                          gpointer data, GError **error);

void sc_encoder_free(ScEncoder *encoder); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScEncoder, sc_encoder_free)

/* A picture is in flight: submit nothing now. */
gboolean sc_encoder_is_busy(const ScEncoder *encoder);

/* Whether frames like this one are copied (and so can be absorbed): it is not in a dmabuf, or no
 * zero-copy rung takes it, or the one that has the picture in flight is too slow for the guest.
 * FALSE also while another rung stands in for the zero-copy one for some milliseconds. */
gboolean sc_encoder_copies(const ScEncoder *encoder, ScFrame *frame);

/*
 * Copying rungs only: takes the picture of @frame now, to be encoded by a later submit; may be
 * called while busy, and again: damage adds up. Fails if the buffer cannot be read.
 */
gboolean sc_encoder_absorb(ScEncoder *encoder, ScFrame *frame, GError **error);

/*
 * Encodes @frame, together with what was absorbed; @frame NULL: what was absorbed only (there must
 * be something, or @key with any earlier picture). Only when not busy. @key: make it a key frame.
 * After a change of scanout the first picture is complete and a key frame whatever was said.
 * Fails (SC_ERROR_*) if the picture can be taken by no rung; the frame is then not taken.
 */
gboolean sc_encoder_submit(ScEncoder *encoder, ScFrame *frame, gboolean key, GError **error);

/* Nobody needs packets for a while: lets go of the pipeline with its threads and devices, and of
 * the copies. The next picture takes as long as the first one did, and must be submitted with a
 * frame that is damaged everywhere. Only when not busy. */
void sc_encoder_rest(ScEncoder *encoder);

/* The last pictures took so much more than their share of the bit rate that the encoder must be
 * saving on quality: the same picture, submitted again, would get better. FALSE for encoders whose
 * bit rate is not ours to set. */
gboolean sc_encoder_is_strained(const ScEncoder *encoder);

/* From the next picture on. */
void sc_encoder_set_bitrate(ScEncoder *encoder, guint kbit);

/* The rung in use, "va-dmabuf (vah264enc on /dev/dri/renderD128)"; "none" before the first picture.
 * Valid until the next call into the encoder. */
const char *sc_encoder_get_rung(const ScEncoder *encoder);

typedef struct {
    guint64 pictures;      /* packets out */
    guint64 key_frames;    /* of those */
    guint64 bytes;         /* in packets */
    guint64 copied_pixels; /* taken by pixman */
    guint64 encode_us;     /* from submit to packet, added up */
    guint64 step_downs;    /* changes to a lower rung */
} ScEncoderCounts;

void sc_encoder_get_counts(const ScEncoder *encoder, ScEncoderCounts *counts);

/* Which rung was left at the last change to a lower one and why, one line for people; NULL if there
 * was none. Valid until the next call into the encoder. */
const char *sc_encoder_get_step_down_reason(const ScEncoder *encoder);

/* A rung of the ladder, for people. */
typedef struct {
    const char *name; /* "va-dmabuf" */
    const char *node; /* of the device it would use; NULL if it needs none or there is none */
    gboolean copies;
    const char *obstacle; /* why it cannot be used; NULL: it can */
} ScEncoderRung;

/*
 * The ladder for @config, best rung first, and how it would take dmabufs of this size and format
 * (linear, a GPU's own, DRM_FORMAT_*). @func is called for each rung. Fails if @config is out of
 * range.
 */
gboolean sc_encoder_list_rungs(const ScEncoderConfig *config, guint32 width, guint32 height,
                               guint32 fourcc,
                               void (*func)(const ScEncoderRung *rung, gpointer data),
                               gpointer data, GError **error);

G_END_DECLS
