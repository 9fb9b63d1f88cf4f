/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/stream.h"

#include "capture/timer.h"
#include "server/policy.h"

/* How long an encoder without viewers stays ready: who connects again, as clients do that ask for a
 * password or are given a new window, shall not wait for a device to be opened. */
#define REST_DELAY (5 * G_TIME_SPAN_SECOND)

/* A picture that stays for REFINE_AFTER is encoded again, as often as the encoder can make it
 * better, but not more often than MAX_REFINEMENTS: a second of the usual 60 a second. x264 needs 36
 * at most to pay its debts. Guests that draw more than ten times a second move too fast for it to
 * matter. */
#define REFINE_AFTER (100 * G_TIME_SPAN_MILLISECOND)
#define MAX_REFINEMENTS 60

/* The frame that belongs to a flip follows within milliseconds, also by way of a busy VMM; without
 * one the picture is shown after that. */
#define FLIP_DELAY (50 * G_TIME_SPAN_MILLISECOND)

struct ScStream {
    ScEncoder *encoder;
    ScRate *rate; /* NULL: the encoder's bit rate is not ours to set */
    guint bitrate_kbit;
    gboolean was_closed; /* nobody had room for a while since the last packet */
    ScStreamPacketFunc packet;
    gpointer data;
    ScCodec codec;

    guint viewers, open_viewers;
    ScTimer *rest;   /* set: nobody watches */
    gboolean failed; /* no rung works: wait for another scanout or viewer */

    ScScanout *scanout;       /* NULL: nothing is shown */
    pixman_region32_t unseen; /* changed, and taken by no submit or absorb */
    gboolean has_absorbed;    /* a picture was absorbed and not encoded yet */
    ScFrame *held;
    gboolean wants_key;
    gint64 refine_at;  /* not before */
    guint refinements; /* of the picture shown */

    gint64 interval; /* between pictures, microseconds */
    gint64 next_due;
    ScTimer *retry;

    char *complaint; /* logged last, not to be repeated for every frame */
    ScStreamCounts counts;
};

static ScPolicyDecision decide(ScStream *stream, ScFrame *frame)
{
    ScPolicyInput input = {
        .open_viewers = stream->failed ? 0 : stream->open_viewers,
        .encoder_busy = sc_encoder_is_busy(stream->encoder),
        .copies = frame != NULL && sc_encoder_copies(stream->encoder, frame),
        .awaited = frame != NULL && sc_frame_is_awaited(frame),
        .now = g_get_monotonic_time(),
        .interval = stream->interval,
        .next_due = stream->next_due,
    };
    ScPolicyDecision decision = sc_policy_decide(&input);

    stream->next_due = decision.next_due;
    if (decision.retry_at > 0) {
        sc_timer_set_at(stream->retry, decision.retry_at);
    }
    return decision;
}

static void mark_unseen(ScStream *stream, const pixman_region32_t *damage)
{
    pixman_region32_union(&stream->unseen, &stream->unseen, (pixman_region32_t *)damage);
}

static void mark_all_unseen(ScStream *stream)
{
    if (stream->scanout != NULL) {
        pixman_region32_fini(&stream->unseen);
        pixman_region32_init_rect(&stream->unseen, 0, 0, sc_scanout_get_width(stream->scanout),
                                  sc_scanout_get_height(stream->scanout));
    }
}

/* The picture stays unseen; the next frame or viewer is the next attempt. */
static void refuse(ScStream *stream, ScFrame *frame, const char *what, const GError *error)
{
    if (frame != NULL) {
        mark_unseen(stream, sc_frame_get_damage(frame));
    }
    if (g_strcmp0(stream->complaint, error->message) != 0) {
        g_warning("%s: a picture cannot be %s: %s", sc_codec_name(stream->codec), what,
                  error->message);
        g_free(stream->complaint);
        stream->complaint = g_strdup(error->message);
    }
}

static void submit(ScStream *stream, ScFrame *frame)
{
    g_autoptr(GError) error = NULL;

    if (frame != NULL) {
        sc_frame_add_damage(frame, &stream->unseen);
    }
    if (!sc_encoder_submit(stream->encoder, frame, stream->wants_key, &error)) {
        refuse(stream, frame, "encoded", error);
        return;
    }
    g_clear_pointer(&stream->complaint, g_free);
    sc_timer_cancel(stream->retry);
    pixman_region32_clear(&stream->unseen);
    stream->has_absorbed = FALSE;
    stream->wants_key = FALSE;
}

/* A picture that differs from the one before, or that somebody has not seen. */
static void submit_anew(ScStream *stream, ScFrame *frame)
{
    submit(stream, frame);
    stream->refine_at = g_get_monotonic_time() + REFINE_AFTER;
    stream->refinements = 0;
}

static void absorb(ScStream *stream, ScFrame *frame)
{
    g_autoptr(GError) error = NULL;

    sc_frame_add_damage(frame, &stream->unseen);
    if (!sc_encoder_absorb(stream->encoder, frame, &error)) {
        refuse(stream, frame, "copied", error);
        return;
    }
    pixman_region32_clear(&stream->unseen);
    stream->has_absorbed = TRUE;
}

/* The newest frame counts; an older one that is still held hands its damage on. */
static void hold(ScStream *stream, ScFrame *frame)
{
    ScFrame *before = stream->held;

    stream->held = sc_frame_ref(frame);
    if (before != NULL) {
        sc_frame_add_damage(frame, sc_frame_get_damage(before));
        sc_frame_unref(before);
        stream->counts.replaced++;
    }
}

static void drop_held(ScStream *stream)
{
    if (stream->held != NULL) {
        mark_unseen(stream, sc_frame_get_damage(stream->held));
        g_clear_pointer(&stream->held, sc_frame_unref);
    }
}

static void take(ScStream *stream, ScFrame *frame)
{
    switch (decide(stream, frame).action) {
    case SC_POLICY_SKIP:
        drop_held(stream);
        mark_unseen(stream, sc_frame_get_damage(frame));
        stream->counts.skipped++;
        break;
    case SC_POLICY_ENCODE:
        drop_held(stream);
        submit_anew(stream, frame);
        stream->counts.encoded++;
        break;
    case SC_POLICY_ABSORB:
        drop_held(stream);
        absorb(stream, frame);
        stream->counts.absorbed++;
        break;
    case SC_POLICY_HOLD:
        hold(stream, frame);
        break;
    }
}

/* Encodes the picture that all have seen once more, if that makes it better: what was blurred while
 * much moved, or for a viewer that came, must not stay so when the guest is idle. */
static void refine(ScStream *stream)
{
    gint64 now = g_get_monotonic_time();
    gint64 next_due = stream->next_due;
    g_autoptr(ScFrame) frame = NULL;

    if (stream->scanout == NULL || stream->refinements == MAX_REFINEMENTS ||
        !sc_encoder_is_strained(stream->encoder)) {
        return;
    }
    if (now < stream->refine_at) {
        sc_timer_set_at(stream->retry, stream->refine_at);
        return;
    }
    frame = sc_frame_new(stream->scanout, &stream->unseen, NULL);
    if (decide(stream, frame).action == SC_POLICY_ENCODE) {
        submit(stream, frame);
        stream->refinements++;
        stream->refine_at = now + stream->interval;
        stream->next_due = next_due; /* what the guest draws next need not wait for this one */
        stream->counts.repeated++;
    }
}

/* Takes the current picture though no frame announced it: for what was skipped or absorbed, and
 * for viewers that need a key frame. */
static void repeat(ScStream *stream)
{
    gboolean has_unseen = pixman_region32_not_empty(&stream->unseen);
    g_autoptr(ScFrame) frame = NULL;

    if (!stream->wants_key && !stream->has_absorbed && !has_unseen) {
        refine(stream);
        return;
    }
    if (stream->scanout == NULL && !stream->has_absorbed) {
        return; /* there is nothing to show; the key frame comes with the first picture */
    }
    if (stream->scanout != NULL && (has_unseen || !stream->has_absorbed)) {
        frame = sc_frame_new(stream->scanout, &stream->unseen, NULL);
    }
    if (decide(stream, frame).action == SC_POLICY_ENCODE) {
        submit_anew(stream, frame);
        stream->counts.repeated++;
    }
}

/* Something changed that a picture may have waited for. */
static void kick(ScStream *stream)
{
    ScFrame *held = g_steal_pointer(&stream->held);

    if (held != NULL) {
        take(stream, held);
        sc_frame_unref(held);
    } else {
        repeat(stream);
    }
}

static void on_retry(gpointer data)
{
    kick(data);
}

static void on_rest(gpointer data)
{
    ScStream *stream = data;

    if (sc_encoder_is_busy(stream->encoder)) {
        sc_timer_set_after(stream->rest, REST_DELAY);
        return;
    }
    g_info("%s: nobody watches, the encoder rests", sc_codec_name(stream->codec));
    sc_encoder_rest(stream->encoder);
    mark_all_unseen(stream);
    stream->has_absorbed = FALSE;
}

static void on_packet(ScPacket *packet, gpointer data)
{
    ScStream *stream = data;

    stream->packet(packet, stream->data);
    kick(stream);
}

static void on_dropped(const GError *reason, gpointer data)
{
    ScStream *stream = data;

    g_message("%s: a picture was lost and is encoded again: %s", sc_codec_name(stream->codec),
              reason->message);
    mark_all_unseen(stream);
    stream->wants_key = TRUE;
    kick(stream);
}

static void on_failed(const GError *error, gpointer data)
{
    ScStream *stream = data;

    g_warning("%s: nothing can be encoded: %s", sc_codec_name(stream->codec), error->message);
    stream->failed = TRUE;
    drop_held(stream);
    mark_all_unseen(stream);
    stream->has_absorbed = FALSE;
    stream->wants_key = TRUE;
}

ScStream *sc_stream_new(const ScEncoderConfig *config, ScStreamPacketFunc packet, gpointer data,
                        GError **error)
{
    static const ScEncoderListener listener = {
        .packet = on_packet,
        .dropped = on_dropped,
        .failed = on_failed,
    };
    g_autoptr(ScStream) stream = g_new0(ScStream, 1);

    stream->packet = packet;
    stream->data = data;
    stream->codec = config->codec;
    stream->interval = G_USEC_PER_SEC / config->max_fps;
    stream->retry = sc_timer_new(on_retry, stream);
    stream->rest = sc_timer_new(on_rest, stream);
    pixman_region32_init(&stream->unseen);
    if (config->codec == SC_CODEC_H264 && config->kind != SC_ENCODER_CUSTOM) {
        stream->bitrate_kbit = config->bitrate_kbit;
        stream->rate = sc_rate_new(config->bitrate_kbit, config->max_fps);
    }
    stream->encoder = sc_encoder_new(config, &listener, stream, error);
    return stream->encoder != NULL ? g_steal_pointer(&stream) : NULL;
}

void sc_stream_free(ScStream *stream)
{
    if (stream == NULL) {
        return;
    }
    sc_encoder_free(stream->encoder);
    sc_rate_free(stream->rate);
    sc_frame_unref(stream->held);
    sc_scanout_unref(stream->scanout);
    sc_timer_free(stream->retry);
    sc_timer_free(stream->rest);
    g_free(stream->complaint);
    pixman_region32_fini(&stream->unseen);
    g_free(stream);
}

void sc_stream_set_viewers(ScStream *stream, guint viewers, guint open_viewers)
{
    gboolean had_viewers = stream->viewers > 0;
    gboolean has_come = viewers > stream->viewers;
    gboolean has_opened = open_viewers > stream->open_viewers;

    stream->viewers = viewers;
    stream->open_viewers = open_viewers;
    if (has_come) {
        stream->failed = FALSE;
        sc_timer_cancel(stream->rest);
    } else if (viewers == 0 && had_viewers) {
        sc_timer_set_after(stream->rest, REST_DELAY);
    }
    if (open_viewers == 0) {
        stream->was_closed = TRUE;
        drop_held(stream); /* the guest must not wait for a viewer */
    } else if (has_come || has_opened) {
        kick(stream);
    }
}

void sc_stream_request_key(ScStream *stream)
{
    stream->wants_key = TRUE;
    kick(stream);
}

static gboolean has_same_layout(ScScanout *a, ScScanout *b)
{
    return a != NULL && b != NULL && sc_scanout_get_width(a) == sc_scanout_get_width(b) &&
           sc_scanout_get_height(a) == sc_scanout_get_height(b) &&
           sc_scanout_get_fourcc(a) == sc_scanout_get_fourcc(b);
}

/* Flipping between dmabufs is no change of picture: the frames say what changed. */
static gboolean are_dmabufs(ScScanout *a, ScScanout *b)
{
    return sc_scanout_get_dmabuf(a) != NULL && sc_scanout_get_dmabuf(b) != NULL;
}

void sc_stream_set_scanout(ScStream *stream, ScScanout *scanout)
{
    ScScanout *before = stream->scanout;
    gboolean is_flip = has_same_layout(before, scanout);

    drop_held(stream);
    stream->scanout = scanout != NULL ? sc_scanout_ref(scanout) : NULL;
    if (scanout != NULL && !(is_flip && are_dmabufs(before, scanout))) {
        stream->failed = FALSE;
        mark_all_unseen(stream);
        /* No frame may follow if the guest is idle. Not at once, for if one follows it is better:
         * the guest says that it is complete, and each picture is encoded once. */
        sc_timer_set_after(stream->retry, is_flip ? FLIP_DELAY : 0);
    }
    sc_scanout_unref(before);
}

void sc_stream_offer(ScStream *stream, ScFrame *frame)
{
    stream->counts.offered++;
    take(stream, frame);
}

void sc_stream_adapt(ScStream *stream, ScPacket *packet, ScRateViewer *viewers, guint n_viewers)
{
    ScRateInput input = {
        .now = g_get_monotonic_time(),
        .size = g_bytes_get_size(sc_packet_get_data(packet)),
        .is_key = sc_packet_get_info(packet)->is_key,
        .offered = stream->counts.offered,
        .may_have_paused = stream->was_closed,
        .viewers = viewers,
        .n_viewers = n_viewers,
    };
    guint kbit;

    stream->was_closed = stream->open_viewers == 0;
    if (stream->rate == NULL) {
        return;
    }
    kbit = sc_rate_update(stream->rate, &input);
    if (kbit != stream->bitrate_kbit) {
        g_info("%s: from %u to %u kbit/s", sc_codec_name(stream->codec), stream->bitrate_kbit,
               kbit);
        stream->bitrate_kbit = kbit;
        sc_encoder_set_bitrate(stream->encoder, kbit);
    }
}

guint sc_stream_get_bitrate(const ScStream *stream)
{
    return stream->bitrate_kbit;
}

const ScEncoder *sc_stream_get_encoder(const ScStream *stream)
{
    return stream->encoder;
}

void sc_stream_get_counts(const ScStream *stream, ScStreamCounts *counts)
{
    *counts = stream->counts;
}
