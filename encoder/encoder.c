/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/encoder.h"

#include "capture/timer.h"
#include "encoder/lineup.h"
#include "encoder/shadow.h"

#include <string.h>

/* A watchdog that comes this late says more about us (stopped, or the machine overloaded) than
 * about the pipeline. */
#define WATCHDOG_LATE (SC_ENCODER_STALL / 4)

/* An encoder that owes the bits of more pictures than this saves on quality. Rate controls count in
 * pictures: x264 allows 600 ms of them (36 at 60 fps), and becomes coarse from the half of it on.
 */
#define STRAIN 2

struct ScEncoder {
    ScEncoderConfig config;
    char *description, *render_node; /* of @config */
    ScEncoderListener listener;
    gpointer listener_data;

    ScLadder *ladder;
    ScLineup *lineup;
    ScInUse *in_use; /* of it */
    ScShadow *shadow;
    guint64 shadow_serial; /* of the frame taken last */
    gint64 shadow_time;
    gboolean owed; /* the shadow shows something no packet does */

    gboolean busy; /* a picture is in flight: */
    gboolean key;
    gint64 submit_time;
    ScPacketInfo info;
    ScPicture *picture; /* until a pipeline has it, or: */
    ScFrame *frame;     /* not copied */
    gboolean was_late;  /* the guest had given up before */
    pixman_region32_t changes;
    ScTimer *watchdog;
    gint64 watchdog_due;

    ScTimer *later; /* set: a picture waits to be started, perhaps for us to have backed off, or a
                     * failure to be reported */
    GError *failure;
    ScEncoderCounts counts;
};

static void begin_picture(ScEncoder *encoder, gboolean key)
{
    const ScTarget *target = sc_lineup_get_target(encoder->lineup);

    encoder->busy = TRUE;
    encoder->key = key;
    encoder->submit_time = g_get_monotonic_time();
    encoder->info = (ScPacketInfo){
        .codec = encoder->config.codec,
        .width = target->width,
        .height = target->height,
    };
}

/* Puts the newest picture aside; what is absorbed from now on goes into another one. */
static void put_aside(ScEncoder *encoder, gboolean key)
{
    begin_picture(encoder, key);
    encoder->info.serial = encoder->shadow_serial;
    encoder->info.capture_time = encoder->shadow_time;
    encoder->picture = sc_picture_ref(sc_shadow_get_picture(encoder->shadow));
    pixman_region32_copy(&encoder->changes,
                         (pixman_region32_t *)sc_shadow_get_changes(encoder->shadow));
    sc_shadow_clear_changes(encoder->shadow);
    encoder->owed = FALSE;
}

/* Keeps the frame, and with it the guest. The shadow is outdated by that. */
static void hold(ScEncoder *encoder, ScFrame *frame, gboolean key)
{
    begin_picture(encoder, key);
    encoder->info.serial = sc_frame_get_serial(frame);
    encoder->info.capture_time = sc_frame_get_time(frame);
    encoder->frame = sc_frame_ref(frame);
    encoder->was_late = sc_frame_is_expired(frame);
    sc_shadow_forget(encoder->shadow);
    encoder->owed = FALSE;
}

static void start(ScEncoder *encoder)
{
    if (encoder->frame != NULL) {
        sc_pipeline_encode_dmabuf(encoder->in_use->pipeline,
                                  sc_scanout_get_dmabuf(sc_frame_get_scanout(encoder->frame)),
                                  encoder->key, encoder->config.bitrate_kbit);
    } else {
        sc_pipeline_encode(encoder->in_use->pipeline, encoder->picture, &encoder->changes,
                           encoder->key, encoder->config.bitrate_kbit);
        g_clear_pointer(&encoder->picture, sc_picture_unref);
    }
    encoder->watchdog_due =
        g_get_monotonic_time() +
        (encoder->in_use->is_proven ? SC_ENCODER_STALL : SC_ENCODER_STALL_FIRST);
    sc_timer_set_at(encoder->watchdog, encoder->watchdog_due);
}

/* The first picture of a pipeline may take its time. Waiting before it was submitted is not the
 * encoder's fault. */
static gboolean is_too_slow(const ScEncoder *encoder)
{
    gint64 now = g_get_monotonic_time();

    return encoder->frame != NULL && encoder->in_use->is_proven && !encoder->was_late &&
           sc_frame_is_expired(encoder->frame) &&
           2 * (now - encoder->submit_time) >= now - sc_frame_get_time(encoder->frame);
}

/* Lets the guest go, by now at the latest. */
static void release_frame(ScEncoder *encoder, gboolean is_done)
{
    ScFrame *frame = g_steal_pointer(&encoder->frame);

    if (frame != NULL && is_done) {
        sc_frame_set_taken(frame);
    }
    sc_frame_unref(frame);
}

static void note_slow(ScEncoder *encoder)
{
    gint64 now = g_get_monotonic_time();
    g_autoptr(GError) error =
        g_error_new(SC_ERROR, SC_ERROR_FAILED,
                    "%s took %d ms for a picture, longer than guests may wait: pictures are "
                    "copied first",
                    sc_encoder_get_rung(encoder), (int)((now - encoder->submit_time) / 1000));

    sc_ladder_note_failure(encoder->ladder, error, encoder->submit_time, now);
}

/* Bits, of each picture. */
static gint64 get_share(const ScEncoder *encoder)
{
    return (gint64)encoder->config.bitrate_kbit * 1000 / encoder->config.max_fps;
}

static void on_done(GBytes *data, gboolean is_key, gpointer user_data)
{
    ScEncoder *encoder = user_data;
    g_autoptr(ScPacket) packet = NULL;

    sc_timer_cancel(encoder->watchdog);
    if (is_too_slow(encoder)) {
        note_slow(encoder);
    } else if (sc_lineup_is_chosen(encoder->lineup) &&
               (encoder->frame == NULL || !sc_frame_is_expired(encoder->frame))) {
        sc_ladder_note_success(encoder->ladder);
    }
    release_frame(encoder, TRUE);
    encoder->in_use->is_proven = TRUE;
    encoder->in_use->debt =
        MAX(encoder->in_use->debt + 8 * (gint64)g_bytes_get_size(data) - get_share(encoder), 0);
    encoder->busy = FALSE;
    encoder->info.is_key = is_key;
    packet = sc_packet_new(data, &encoder->info);
    encoder->counts.pictures++;
    encoder->counts.key_frames += is_key ? 1 : 0;
    encoder->counts.bytes += g_bytes_get_size(data);
    encoder->counts.encode_us += (guint64)(g_get_monotonic_time() - encoder->submit_time);
    encoder->listener.packet(packet, encoder->listener_data);
}

/* A frame whose pipeline failed, while the guest still waits: copied, for a lower rung. */
static gboolean rescue_frame(ScEncoder *encoder, const GError *error)
{
    gint64 now = g_get_monotonic_time();

    if (encoder->frame == NULL || sc_frame_is_expired(encoder->frame) ||
        sc_ladder_choose(encoder->ladder, TRUE, now) == NULL ||
        !sc_encoder_absorb(encoder, encoder->frame, NULL)) {
        return FALSE;
    }
    g_info("a picture was not encoded and is copied: %s", error->message);
    release_frame(encoder, TRUE);
    put_aside(encoder, TRUE);
    sc_timer_set_after(encoder->later, 0);
    return TRUE;
}

/* The ladder knows already. The listener may do anything, even free the encoder, so it comes last
 * and a failure for good is reported separately. */
static void break_down(ScEncoder *encoder, const GError *error, gint64 delay)
{
    gboolean was_busy = encoder->busy;
    gboolean was_zero_copy = encoder->frame != NULL;
    gint64 now = g_get_monotonic_time();

    sc_timer_cancel(encoder->watchdog);
    sc_lineup_close(encoder->lineup);
    if (rescue_frame(encoder, error)) {
        return;
    }
    release_frame(encoder, FALSE);
    g_clear_pointer(&encoder->picture, sc_picture_unref);
    encoder->busy = FALSE;
    encoder->owed = encoder->owed || (was_busy && !was_zero_copy);
    if (sc_ladder_peek(encoder->ladder, sc_lineup_get_target(encoder->lineup), now) == NULL) {
        g_clear_error(&encoder->failure);
        encoder->failure = g_error_copy(error);
        sc_timer_set_after(encoder->later, 0);
    } else if (delay > 0 && !was_zero_copy) {
        g_info("trying again in %d ms: %s", (int)(delay / 1000), error->message);
        sc_timer_set_after(encoder->later, delay);
    }
    if (was_busy) {
        encoder->listener.dropped(error, encoder->listener_data);
    }
}

static void on_failed(const GError *error, gpointer data)
{
    ScEncoder *encoder = data;
    gint64 now = g_get_monotonic_time();
    gint64 since = encoder->busy ? encoder->submit_time : now;
    gint64 delay = sc_lineup_is_chosen(encoder->lineup)
                       ? sc_ladder_note_failure(encoder->ladder, error, since, now)
                       : 0;

    break_down(encoder, error, delay);
}

static void on_watchdog(gpointer data)
{
    ScEncoder *encoder = data;
    gint64 now = g_get_monotonic_time();
    g_autoptr(GError) error = NULL;

    if (now > encoder->watchdog_due + WATCHDOG_LATE) {
        encoder->watchdog_due = now + SC_ENCODER_STALL;
        sc_timer_set_at(encoder->watchdog, encoder->watchdog_due);
        return;
    }
    g_set_error(
        &error, SC_ERROR, SC_ERROR_FAILED, "%s has not finished %s within %d ms%s",
        sc_encoder_get_rung(encoder),
        encoder->in_use->is_proven ? "a picture" : "its first picture",
        (int)((encoder->in_use->is_proven ? SC_ENCODER_STALL : SC_ENCODER_STALL_FIRST) / 1000),
        encoder->in_use->is_proven
            ? ""
            : ": an encoder must put out each picture before it gets the next (x264enc "
              "needs tune=zerolatency for that)");
    on_failed(error, encoder);
}

static void on_later(gpointer data)
{
    ScEncoder *encoder = data;
    g_autoptr(GError) error = g_steal_pointer(&encoder->failure);

    if (error != NULL) {
        encoder->listener.failed(error, encoder->listener_data);
    } else if (encoder->busy && !sc_lineup_prepare(encoder->lineup, NULL, TRUE, &error)) {
        break_down(encoder, error, 0);
    } else if (encoder->busy) {
        start(encoder);
    }
}

ScEncoderKind sc_encoder_kind_from_string(const char *text)
{
    if (strcmp(text, "auto") == 0) {
        return SC_ENCODER_AUTO;
    }
    if (strcmp(text, "va") == 0) {
        return SC_ENCODER_VA;
    }
    return strcmp(text, "software") == 0 ? SC_ENCODER_SOFTWARE : SC_ENCODER_CUSTOM;
}

static gboolean check_config(const ScEncoderConfig *config, GError **error)
{
    if (config->max_fps == 0 || config->max_fps > SC_ENCODER_MAX_FPS) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "%u frames per second cannot be encoded: give 1 to %d", config->max_fps,
                    SC_ENCODER_MAX_FPS);
        return FALSE;
    }
    if (config->bitrate_kbit == 0 || config->bitrate_kbit > SC_ENCODER_MAX_BITRATE) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "a bit rate of %u kbit/s cannot be encoded: give 1 to %d", config->bitrate_kbit,
                    SC_ENCODER_MAX_BITRATE);
        return FALSE;
    }
    if (config->kind == SC_ENCODER_CUSTOM &&
        (config->description == NULL || config->description[0] == '\0')) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "the encoder's description is empty");
        return FALSE;
    }
    return TRUE;
}

static ScEncoder *new_encoder(const ScEncoderConfig *config, const ScEncoderListener *listener,
                              gpointer data)
{
    ScEncoder *encoder = g_new0(ScEncoder, 1);

    encoder->config = *config;
    encoder->description = g_strdup(config->description);
    encoder->config.description = encoder->description;
    encoder->render_node = g_strdup(config->render_node);
    encoder->config.render_node = encoder->render_node;
    encoder->listener = *listener;
    encoder->listener_data = data;
    encoder->shadow = sc_shadow_new();
    pixman_region32_init(&encoder->changes);
    encoder->watchdog = sc_timer_new(on_watchdog, encoder);
    encoder->later = sc_timer_new(on_later, encoder);
    return encoder;
}

ScEncoder *sc_encoder_new(const ScEncoderConfig *config, const ScEncoderListener *listener,
                          gpointer data, GError **error)
{
    static const ScPipelineListener pipeline_listener = { .done = on_done, .failed = on_failed };
    g_autoptr(ScEncoder) encoder = NULL;

    if (!check_config(config, error) || !gst_init_check(NULL, NULL, error)) {
        return NULL;
    }
    encoder = new_encoder(config, listener, data);
    encoder->ladder = sc_ladder_new(sc_ladder_get_rungs(config), &encoder->config, error);
    if (encoder->ladder == NULL) {
        return NULL;
    }
    encoder->lineup = sc_lineup_new(&encoder->config, encoder->ladder, &pipeline_listener, encoder);
    encoder->in_use = sc_lineup_get_in_use(encoder->lineup);
    return g_steal_pointer(&encoder);
}

void sc_encoder_free(ScEncoder *encoder)
{
    if (encoder == NULL) {
        return;
    }
    sc_lineup_free(encoder->lineup);
    sc_timer_free(encoder->watchdog);
    sc_timer_free(encoder->later);
    g_clear_error(&encoder->failure);
    release_frame(encoder, FALSE);
    sc_picture_unref(encoder->picture);
    pixman_region32_fini(&encoder->changes);
    sc_shadow_free(encoder->shadow);
    sc_ladder_free(encoder->ladder);
    g_free(encoder->description);
    g_free(encoder->render_node);
    g_free(encoder);
}

gboolean sc_encoder_is_busy(const ScEncoder *encoder)
{
    return encoder->busy;
}

gboolean sc_encoder_copies(const ScEncoder *encoder, ScFrame *frame)
{
    ScTarget target;

    sc_target_init(&target, sc_frame_get_scanout(frame));
    return is_too_slow(encoder) || sc_lineup_copies(encoder->lineup, &target);
}

gboolean sc_encoder_absorb(ScEncoder *encoder, ScFrame *frame, GError **error)
{
    if (!sc_shadow_take(encoder->shadow, sc_frame_get_scanout(frame), sc_frame_get_damage(frame),
                        error)) {
        return FALSE;
    }
    sc_frame_set_taken(frame);
    encoder->shadow_serial = sc_frame_get_serial(frame);
    encoder->shadow_time = sc_frame_get_time(frame);
    encoder->owed = TRUE;
    return TRUE;
}

/* What the shadow shows came from the current target, if that fits. */
static ScTarget target_of_shadow(const ScEncoder *encoder)
{
    const ScTarget *current = sc_lineup_get_target(encoder->lineup);
    ScTarget target = { .width = sc_shadow_get_width(encoder->shadow),
                        .height = sc_shadow_get_height(encoder->shadow),
                        .fourcc = sc_shadow_get_fourcc(encoder->shadow) };

    return target.width == current->width && target.height == current->height &&
                   target.fourcc == current->fourcc
               ? *current
               : target;
}

/* Sees to it that there is a pipeline for @frame, NULL: for what was absorbed; or that the timer
 * will. */
static gboolean prepare(ScEncoder *encoder, ScFrame *frame, GError **error)
{
    ScTarget target = target_of_shadow(encoder);
    ScDmabuf *dmabuf = NULL;

    if (frame != NULL) {
        sc_target_init(&target, sc_frame_get_scanout(frame));
        dmabuf = sc_scanout_get_dmabuf(sc_frame_get_scanout(frame));
    }
    if (sc_lineup_set_target(encoder->lineup, &target)) {
        sc_timer_cancel(encoder->later);
        g_clear_error(&encoder->failure);
    }
    return sc_lineup_prepare(encoder->lineup, dmabuf, !sc_timer_is_set(encoder->later), error);
}

gboolean sc_encoder_submit(ScEncoder *encoder, ScFrame *frame, gboolean key, GError **error)
{
    g_return_val_if_fail(!encoder->busy, FALSE);
    if (frame == NULL &&
        (sc_shadow_get_picture(encoder->shadow) == NULL || !(encoder->owed || key))) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "there is no picture to encode");
        return FALSE;
    }
    if (!prepare(encoder, frame, error)) {
        return FALSE;
    }
    if (frame != NULL && encoder->in_use->rung != NULL && !encoder->in_use->rung->copies) {
        hold(encoder, frame, key);
        start(encoder);
        return TRUE;
    }
    if (frame != NULL && !sc_encoder_absorb(encoder, frame, error)) {
        return FALSE;
    }
    put_aside(encoder, key);
    /* Not from here: the thread that is woken up may take this CPU, and the guest would wait for it
     * until our caller lets go of the frame. */
    if (!sc_timer_is_set(encoder->later)) {
        sc_timer_set_after(encoder->later, 0);
    }
    return TRUE;
}

void sc_encoder_rest(ScEncoder *encoder)
{
    g_return_if_fail(!encoder->busy);
    sc_lineup_rest(encoder->lineup);
    sc_shadow_forget(encoder->shadow);
    encoder->owed = FALSE;
}

gboolean sc_encoder_is_strained(const ScEncoder *encoder)
{
    return encoder->config.codec == SC_CODEC_H264 && encoder->config.kind != SC_ENCODER_CUSTOM &&
           encoder->in_use->debt > STRAIN * get_share(encoder);
}

void sc_encoder_set_bitrate(ScEncoder *encoder, guint kbit)
{
    encoder->config.bitrate_kbit = CLAMP(kbit, 1, SC_ENCODER_MAX_BITRATE);
}

const char *sc_encoder_get_rung(const ScEncoder *encoder)
{
    const char *label = sc_lineup_get_label(encoder->lineup);

    return label != NULL ? label : "none";
}

void sc_encoder_get_counts(const ScEncoder *encoder, ScEncoderCounts *counts)
{
    *counts = encoder->counts;
    counts->copied_pixels = sc_shadow_get_copied(encoder->shadow);
    counts->step_downs = sc_ladder_get_step_downs(encoder->ladder);
}

const char *sc_encoder_get_step_down_reason(const ScEncoder *encoder)
{
    return sc_ladder_get_step_down_reason(encoder->ladder);
}

gboolean sc_encoder_list_rungs(const ScEncoderConfig *config, guint32 width, guint32 height,
                               guint32 fourcc,
                               void (*func)(const ScEncoderRung *rung, gpointer data),
                               gpointer data, GError **error)
{
    ScTarget target = {
        .width = width,
        .height = height,
        .fourcc = fourcc,
        .is_dmabuf = TRUE,
        .n_planes = 1,
        .is_far = TRUE,
    };
    g_autoptr(ScLadder) ladder = NULL;
    ScEncoderRung rung;

    if (!check_config(config, error) || !gst_init_check(NULL, NULL, error)) {
        return FALSE;
    }
    ladder = sc_ladder_new_unchecked(sc_ladder_get_rungs(config), config);
    sc_ladder_set_target(ladder, &target);
    for (guint i = 0; i < sc_ladder_get_length(ladder); i++) {
        sc_ladder_describe(ladder, i, &rung);
        func(&rung, data);
    }
    return TRUE;
}
