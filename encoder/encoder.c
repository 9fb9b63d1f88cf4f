/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/encoder.h"

#include "capture/timer.h"
#include "encoder/encoder-impl.h"
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
    ScShadow *shadow;
    guint64 shadow_serial; /* of the frame taken last */
    gint64 shadow_time;
    gboolean owed; /* the shadow shows something no packet does */

    ScTarget target;
    const ScRungImpl *rung;   /* of the pipeline */
    const ScVaDevice *device; /* of the pipeline */
    ScPipeline *pipeline;     /* NULL: none needed so far, or the last one failed */
    gboolean pipeline_proven;
    char *label;
    gint64
        debt; /* bits that the pictures of the pipeline took beyond their share of the bit rate */

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

static void on_done(GBytes *packet, gboolean is_key, gpointer data);
static void on_failed(const GError *error, gpointer data);

static void close_pipeline(ScEncoder *encoder)
{
    g_clear_pointer(&encoder->pipeline, sc_pipeline_close);
    encoder->rung = NULL;
    encoder->device = NULL;
    encoder->pipeline_proven = FALSE;
    encoder->debt = 0;
    sc_timer_cancel(encoder->watchdog);
}

static gboolean open_pipeline(ScEncoder *encoder, const ScRungImpl *rung, GError **error)
{
    static const ScPipelineListener listener = { .done = on_done, .failed = on_failed };
    ScRungRequest request = { .config = &encoder->config,
                              .target = &encoder->target,
                              .device = sc_ladder_get_device(encoder->ladder),
                              .listener = &listener,
                              .listener_data = encoder };
    g_autofree char *kind = NULL;
    g_autofree char *label = NULL;

    if (!gst_video_info_set_format(&request.picture, GST_VIDEO_FORMAT_BGRx,
                                   GST_ROUND_UP_2(encoder->target.width),
                                   GST_ROUND_UP_2(encoder->target.height))) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "pictures of %ux%u pixels are too large",
                    encoder->target.width, encoder->target.height);
        return FALSE;
    }
    request.picture.fps_n = (gint)encoder->config.max_fps;
    request.picture.fps_d = 1;
    encoder->pipeline = rung->open(&request, &kind, error);
    if (encoder->pipeline == NULL) {
        return FALSE;
    }
    encoder->rung = rung;
    encoder->device = request.device;
    label = g_strdup_printf("%s (%s)", rung->name, kind);
    if (g_strcmp0(encoder->label, label) != 0) {
        g_message("encoding %s with %s", sc_codec_name(encoder->config.codec), label);
        g_free(encoder->label);
        encoder->label = g_steal_pointer(&label);
    }
    return TRUE;
}

/* A pipeline that copies takes pictures of one size, whatever they are copied from. */
static void set_target(ScEncoder *encoder, const ScTarget *target)
{
    if (sc_target_equal(&encoder->target, target)) {
        return;
    }
    if (encoder->target.width != target->width || encoder->target.height != target->height ||
        encoder->target.fourcc != target->fourcc ||
        (encoder->rung != NULL && !encoder->rung->copies)) {
        close_pipeline(encoder);
    }
    sc_timer_cancel(encoder->later);
    g_clear_error(&encoder->failure);
    encoder->target = *target;
    sc_ladder_set_target(encoder->ladder, target);
}

/* Sees to it that there is a pipeline of the best rung for @target, or that the timer will.
 * @copying: it must take pictures of the shadow. */
static gboolean prepare(ScEncoder *encoder, const ScTarget *target, gboolean copying,
                        GError **error)
{
    gint64 now = g_get_monotonic_time();
    const ScRungImpl *rung;

    set_target(encoder, target);
    while ((rung = sc_ladder_choose(encoder->ladder, copying, now)) != NULL) {
        g_autoptr(GError) reason = NULL;

        if (encoder->pipeline != NULL && encoder->rung == rung &&
            encoder->device == sc_ladder_get_device(encoder->ladder)) {
            return TRUE;
        }
        close_pipeline(encoder);
        if (sc_timer_is_set(encoder->later) || open_pipeline(encoder, rung, &reason)) {
            return TRUE;
        }
        sc_ladder_give_up(encoder->ladder, reason, now);
    }
    g_propagate_error(error, g_error_copy(sc_ladder_get_error(encoder->ladder)));
    return FALSE;
}

static void begin_picture(ScEncoder *encoder, gboolean key)
{
    encoder->busy = TRUE;
    encoder->key = key;
    encoder->submit_time = g_get_monotonic_time();
    encoder->info = (ScPacketInfo){
        .codec = encoder->config.codec,
        .width = encoder->target.width,
        .height = encoder->target.height,
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
        sc_pipeline_encode_dmabuf(encoder->pipeline,
                                  sc_scanout_get_dmabuf(sc_frame_get_scanout(encoder->frame)),
                                  encoder->key, encoder->config.bitrate_kbit);
    } else {
        sc_pipeline_encode(encoder->pipeline, encoder->picture, &encoder->changes, encoder->key,
                           encoder->config.bitrate_kbit);
        g_clear_pointer(&encoder->picture, sc_picture_unref);
    }
    encoder->watchdog_due = g_get_monotonic_time() +
                            (encoder->pipeline_proven ? SC_ENCODER_STALL : SC_ENCODER_STALL_FIRST);
    sc_timer_set_at(encoder->watchdog, encoder->watchdog_due);
}

/* The first picture of a pipeline may take its time. Waiting before it was submitted is not the
 * encoder's fault. */
static gboolean is_too_slow(const ScEncoder *encoder)
{
    gint64 now = g_get_monotonic_time();

    return encoder->frame != NULL && encoder->pipeline_proven && !encoder->was_late &&
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
                    encoder->label, (int)((now - encoder->submit_time) / 1000));

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
    } else if (encoder->frame == NULL || !sc_frame_is_expired(encoder->frame)) {
        sc_ladder_note_success(encoder->ladder);
    }
    release_frame(encoder, TRUE);
    encoder->pipeline_proven = TRUE;
    encoder->debt = MAX(encoder->debt + 8 * (gint64)g_bytes_get_size(data) - get_share(encoder), 0);
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

    close_pipeline(encoder);
    if (rescue_frame(encoder, error)) {
        return;
    }
    release_frame(encoder, FALSE);
    g_clear_pointer(&encoder->picture, sc_picture_unref);
    encoder->busy = FALSE;
    encoder->owed = encoder->owed || (was_busy && !was_zero_copy);
    if (sc_ladder_peek(encoder->ladder, &encoder->target, now) == NULL) {
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

    break_down(encoder, error, sc_ladder_note_failure(encoder->ladder, error, since, now));
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
        &error, SC_ERROR, SC_ERROR_FAILED, "%s has not finished %s within %d ms%s", encoder->label,
        encoder->pipeline_proven ? "a picture" : "its first picture",
        (int)((encoder->pipeline_proven ? SC_ENCODER_STALL : SC_ENCODER_STALL_FIRST) / 1000),
        encoder->pipeline_proven
            ? ""
            : ": an encoder must put out each picture before it gets the next (x264enc "
              "needs tune=zerolatency for that)");
    on_failed(error, encoder);
}

static void on_later(gpointer data)
{
    ScEncoder *encoder = data;
    ScTarget target = encoder->target;
    g_autoptr(GError) error = g_steal_pointer(&encoder->failure);

    if (error != NULL) {
        encoder->listener.failed(error, encoder->listener_data);
    } else if (encoder->busy && !prepare(encoder, &target, TRUE, &error)) {
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
    g_autoptr(ScEncoder) encoder = NULL;

    if (!check_config(config, error) || !gst_init_check(NULL, NULL, error)) {
        return NULL;
    }
    encoder = new_encoder(config, listener, data);
    encoder->ladder = sc_ladder_new(sc_ladder_get_rungs(config), &encoder->config, error);
    return encoder->ladder != NULL ? g_steal_pointer(&encoder) : NULL;
}

void sc_encoder_free(ScEncoder *encoder)
{
    if (encoder == NULL) {
        return;
    }
    close_pipeline(encoder);
    sc_timer_free(encoder->watchdog);
    sc_timer_free(encoder->later);
    g_clear_error(&encoder->failure);
    release_frame(encoder, FALSE);
    sc_picture_unref(encoder->picture);
    pixman_region32_fini(&encoder->changes);
    sc_shadow_free(encoder->shadow);
    sc_ladder_free(encoder->ladder);
    g_free(encoder->label);
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
    gint64 now = g_get_monotonic_time();
    const ScRungImpl *rung;
    ScTarget target;

    sc_target_init(&target, sc_frame_get_scanout(frame));
    if (!target.is_dmabuf || is_too_slow(encoder)) {
        return TRUE;
    }
    rung = sc_ladder_peek(encoder->ladder, &target, now);
    return rung == NULL || rung->copies;
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
    ScTarget target = { .width = sc_shadow_get_width(encoder->shadow),
                        .height = sc_shadow_get_height(encoder->shadow),
                        .fourcc = sc_shadow_get_fourcc(encoder->shadow) };

    return target.width == encoder->target.width && target.height == encoder->target.height &&
                   target.fourcc == encoder->target.fourcc
               ? encoder->target
               : target;
}

/* Whether there is a pipeline that takes the frame as it is. */
static gboolean prepare_for_frame(ScEncoder *encoder, ScFrame *frame, gboolean *is_zero_copy,
                                  GError **error)
{
    gboolean copies = sc_encoder_copies(encoder, frame);
    ScTarget target;

    sc_target_init(&target, sc_frame_get_scanout(frame));
    if (!prepare(encoder, &target, copies, error)) {
        return FALSE;
    }
    *is_zero_copy = encoder->rung != NULL && !encoder->rung->copies;
    return *is_zero_copy || sc_encoder_absorb(encoder, frame, error);
}

gboolean sc_encoder_submit(ScEncoder *encoder, ScFrame *frame, gboolean key, GError **error)
{
    ScTarget target = target_of_shadow(encoder);
    gboolean is_zero_copy = FALSE;

    g_return_val_if_fail(!encoder->busy, FALSE);
    if (frame == NULL &&
        (sc_shadow_get_picture(encoder->shadow) == NULL || !(encoder->owed || key))) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "there is no picture to encode");
        return FALSE;
    }
    if (frame != NULL ? !prepare_for_frame(encoder, frame, &is_zero_copy, error)
                      : !prepare(encoder, &target, TRUE, error)) {
        return FALSE;
    }
    if (is_zero_copy) {
        hold(encoder, frame, key);
        start(encoder);
        return TRUE;
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
    close_pipeline(encoder);
    sc_shadow_forget(encoder->shadow);
    encoder->owed = FALSE;
}

gboolean sc_encoder_is_strained(const ScEncoder *encoder)
{
    return encoder->config.codec == SC_CODEC_H264 && encoder->config.kind != SC_ENCODER_CUSTOM &&
           encoder->debt > STRAIN * get_share(encoder);
}

void sc_encoder_set_bitrate(ScEncoder *encoder, guint kbit)
{
    encoder->config.bitrate_kbit = CLAMP(kbit, 1, SC_ENCODER_MAX_BITRATE);
}

const char *sc_encoder_get_rung(const ScEncoder *encoder)
{
    return encoder->label != NULL ? encoder->label : "none";
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
    ScTarget target = { width, height, fourcc, TRUE, FALSE, 0, 1, FALSE };
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
