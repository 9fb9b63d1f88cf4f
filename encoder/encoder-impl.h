/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a rung must bring, and the ladder that chooses among them. For encoder/ only.
 *
 * To add one: write encoder/rung-NAME.c with a ScRungImpl, and add it to the tables in
 * encoder/ladder.c, above the rungs it is better than.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/error.h"
#include "encoder/encoder.h"
#include "encoder/gst-pipeline.h"
#include "encoder/target.h"
#include "encoder/va-probe.h"

G_BEGIN_DECLS

/* x264enc takes 2048000 kbit/s at most; more frames than this nobody sees. */
#define SC_ENCODER_MAX_BITRATE 2000000
#define SC_ENCODER_MAX_FPS 1000

/* A picture that has not been finished by then never will: its pipeline is given up. The first one
 * of a pipeline has longer, for devices to be opened. */
#define SC_ENCODER_STALL (1 * G_USEC_PER_SEC)
#define SC_ENCODER_STALL_FIRST (2 * G_USEC_PER_SEC)

/* A rung that fails is set aside for this long, twice that after the next failure and so on, up to
 * the maximum, and a lower one takes over. Failures further apart than the window have nothing to
 * do with each other. */
#define SC_LADDER_BACKOFF ((gint64)100 * 1000)
#define SC_LADDER_BACKOFF_MAX (10 * G_USEC_PER_SEC)
#define SC_LADDER_FAILURE_WINDOW (30 * G_USEC_PER_SEC)

/* One that did nothing but fail for this long is given up until the scanout changes. */
#define SC_LADDER_FAILING (G_USEC_PER_SEC / 2)

/* Below the last rung that is left there is none: it is built again after the same delays, and
 * given up, and all with it, at the last of so many failures. */
#define SC_LADDER_MAX_FAILURES 3

/* MJPEG is made by the CPU, of pictures in SC_JPEG_COLORIMETRY: JFIF's full range and the matrix of
 * BT.601; jpegenc itself does not convert. */
#define SC_JPEG_FRAGMENT "jpegenc name=encoder quality=85 idct-method=islow"
#define SC_JPEG_COLORIMETRY "1:4:0:0"
#define SC_JPEG_CAPS "image/jpeg"

/* What a pipeline is opened for. */
typedef struct {
    const ScEncoderConfig *config;
    const ScTarget *target;
    const ScVaDevice *device; /* for rungs that need one */
    GstVideoInfo picture;     /* of the shadow, frame rate included */
    const ScPipelineListener *listener;
    gpointer listener_data;
} ScRungRequest;

/* All members are mandatory, but for those at the end. */
typedef struct {
    const char *name;
    gboolean copies; /* takes pictures of the shadow */

    /* How often a pipeline that never put out a packet is tried if no rung is left below: where
     * trying again can hardly help, 1. */
    guint trials;

    /* Whether it can work on this host (@device: if it needs one) at all. The error says what is
     * missing. */
    gboolean (*check)(const ScEncoderConfig *config, const ScVaDevice *device, GError **error);

    /* @label: which encoder it is, "x264enc"; the caller frees it. */
    ScPipeline *(*open)(const ScRungRequest *request, char **label, GError **error);

    /* Stands on the ladder once for each VA device. */
    gboolean needs_device;

    /* Whether it would take pictures of @target, as far as can be told without trying. NULL: all.
     */
    gboolean (*takes)(const ScEncoderConfig *config, const ScVaDevice *device,
                      const ScTarget *target, GError **error);
} ScRungImpl;

extern const ScRungImpl sc_rung_custom;
extern const ScRungImpl sc_rung_software;
extern const ScRungImpl sc_rung_va_dmabuf;
extern const ScRungImpl sc_rung_va_download;
extern const ScRungImpl sc_rung_va_upload;

/* Which rung to use, why not the better ones, and when to try these again. */
typedef struct ScLadder ScLadder;

/* The rungs for @config, best first, NULL at the end. */
const ScRungImpl *const *sc_ladder_get_rungs(const ScEncoderConfig *config);

/* Checks @rungs, which must stay; fails, with the last one's reason, if none can work. Asks VA
 * devices what they can do if a rung needs one. The strings in @config must stay. */
ScLadder *sc_ladder_new(const ScRungImpl *const *rungs, const ScEncoderConfig *config,
                        GError **error);

/* The same, even if none can work, to be described. */
ScLadder *sc_ladder_new_unchecked(const ScRungImpl *const *rungs, const ScEncoderConfig *config);

void sc_ladder_free(ScLadder *ladder); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScLadder, sc_ladder_free)

/* What is to be encoded from now on. Failures count for this target only, and as long as it stays.
 */
void sc_ladder_set_target(ScLadder *ladder, const ScTarget *target);

/* The best rung for @target now. NULL if all have been given up. */
const ScRungImpl *sc_ladder_peek(const ScLadder *ladder, const ScTarget *target, gint64 now);

/* The same for the target that was set; this is the rung that the functions below speak of.
 * @copying: only those that copy. */
const ScRungImpl *sc_ladder_choose(ScLadder *ladder, gboolean copying, gint64 now);

/* The device it is to use, NULL if it needs none. */
const ScVaDevice *sc_ladder_get_device(const ScLadder *ladder);

/* Whether it is @rung, on @device. */
gboolean sc_ladder_is_current(const ScLadder *ladder, const ScRungImpl *rung,
                              const ScVaDevice *device);

/* A better one will be tried again so soon that it is not worth changing to this one. */
gboolean sc_ladder_awaits_better(const ScLadder *ladder, gint64 now);

/* The rung below it that depends on no device, NULL if there is none: what is left when a device
 * fails. */
const ScRungImpl *sc_ladder_get_last_resort(const ScLadder *ladder);

/* Why the last rung was given up. Valid until the next call; NULL if it was not. */
const GError *sc_ladder_get_error(const ScLadder *ladder);

/* The chosen rung has put out a packet in time. */
void sc_ladder_note_success(ScLadder *ladder);

/* The chosen rung failed on what it was given at @since. Returns how long to wait before
 * sc_ladder_choose(): not at all if there is a lower rung. */
gint64 sc_ladder_note_failure(ScLadder *ladder, const GError *error, gint64 since, gint64 now);

/* The chosen rung cannot even build a pipeline: it is given up. */
void sc_ladder_give_up(ScLadder *ladder, const GError *error, gint64 now);

/* How often a lower rung had to be taken. */
guint64 sc_ladder_get_step_downs(const ScLadder *ladder);

/* Which one was left the last time and why, for people; NULL if none was. Valid until the next
 * call. */
const char *sc_ladder_get_step_down_reason(const ScLadder *ladder);

/* The rungs, best first, for people. What is described is valid until the next call. */
guint sc_ladder_get_length(const ScLadder *ladder);
void sc_ladder_describe(const ScLadder *ladder, guint index, ScEncoderRung *description);

G_END_DECLS
