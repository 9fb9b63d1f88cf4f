/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/head.h"

#include "encoder/target.h"
#include "server/greeting.h"

struct ScHead {
    ScHeadConfig config;
    char *encoder_description, *render_node;
    ScHeadListener listener;
    gpointer data;

    ScSource *source;
    ScScanout *scanout; /* NULL: nothing is shown */
    ScStream *streams[SC_N_CODECS];
    gboolean unavailable[SC_N_CODECS]; /* nothing installed encodes it */
    ScGreeting *greeting;              /* NULL while nobody has wanted one */
    guint open_viewers[SC_N_CODECS];
    guint64 frames;
    guint64 expired_told; /* flushes that expired and were logged */
};

static void on_packet(ScPacket *packet, gpointer data)
{
    ScHead *head = data;

    head->listener.packet(packet, head->data);
}

static void on_greeting(ScPacket *packet, gpointer data)
{
    ScHead *head = data;

    head->listener.greeting(packet, head->data);
}

static void init_encoder_config(ScEncoderConfig *config, const ScHead *head, ScCodec codec)
{
    *config = (ScEncoderConfig){
        .codec = codec,
        .kind = head->config.encoder_kind,
        .description = head->encoder_description,
        .render_node = head->render_node,
        .bitrate_kbit = head->config.bitrate_kbit,
        .max_fps = head->config.max_fps,
    };
}

static void note_unavailable(ScHead *head, ScCodec codec, const GError *error)
{
    g_warning("%s cannot be encoded: %s", sc_codec_name(codec), error->message);
    head->unavailable[codec] = TRUE;
}

static ScStream *new_stream(ScHead *head, ScCodec codec, GError **error)
{
    ScEncoderConfig config;
    ScStream *stream;

    init_encoder_config(&config, head, codec);
    stream = sc_stream_new(&config, on_packet, head, error);

    if (stream != NULL && head->scanout != NULL) {
        sc_stream_set_scanout(stream, head->scanout);
    }
    return stream;
}

static void on_source_state(ScSourceState state, const char *reason, gpointer data)
{
    ScHead *head = data;

    switch (state) {
    case SC_SOURCE_CONNECTING:
        g_message("source %s: waiting%s%s", head->config.location, reason != NULL ? ": " : "",
                  reason != NULL ? reason : "");
        break;
    case SC_SOURCE_CONNECTED:
        g_message("source %s: connected", head->config.location);
        break;
    case SC_SOURCE_DISCONNECTED:
        head->listener.lost(reason != NULL ? reason : "the connection has ended", head->data);
        break;
    }
}

/* Only GPUs read it well. */
static gboolean is_far(const ScScanout *scanout)
{
    ScTarget target = { 0 };

    if (scanout != NULL) {
        sc_target_init(&target, scanout);
    }
    return target.is_far;
}

static void on_source_scanout(ScScanout *scanout, gpointer data)
{
    ScHead *head = data;
    gboolean has_resized =
        scanout != NULL && (head->scanout == NULL ||
                            sc_scanout_get_width(head->scanout) != sc_scanout_get_width(scanout) ||
                            sc_scanout_get_height(head->scanout) != sc_scanout_get_height(scanout));

    if (scanout != NULL) {
        sc_scanout_ref(scanout);
    }
    if (is_far(scanout) != is_far(head->scanout)) {
        g_clear_pointer(&head->greeting, sc_greeting_free); /* another encoder does better */
    }
    sc_scanout_unref(head->scanout);
    head->scanout = scanout;

    for (guint i = 0; i < SC_N_CODECS; i++) {
        if (head->streams[i] != NULL) {
            sc_stream_set_scanout(head->streams[i], scanout);
        }
    }
    if (head->greeting != NULL) {
        sc_greeting_set_scanout(head->greeting, scanout);
    }
    if (has_resized) {
        g_message("the guest shows %ux%u", sc_scanout_get_width(scanout),
                  sc_scanout_get_height(scanout));
        head->listener.size(sc_scanout_get_width(scanout), sc_scanout_get_height(scanout),
                            head->data);
    }
}

/* At every frame, so that an idle guest costs nothing; the flushes in between are told together. */
static void tell_expired(ScHead *head)
{
    ScFlushCounts counts;
    guint64 expired;

    sc_flush_get_counts(&counts);
    expired = counts.completed[SC_FLUSH_EXPIRED];
    if (expired > head->expired_told) {
        g_message("%" G_GUINT64_FORMAT " flush(es) reached the deadline of %" G_GINT64_FORMAT
                  " ms: the encoder is too slow",
                  expired - head->expired_told, head->config.fence_deadline / 1000);
        head->expired_told = expired;
    }
}

static void on_source_frame(ScFrame *frame, gpointer data)
{
    ScHead *head = data;

    head->frames++;
    tell_expired(head);
    sc_frame_set_timeout(frame, head->config.fence_deadline);
    for (guint i = 0; i < SC_N_CODECS; i++) {
        if (head->streams[i] != NULL) {
            sc_stream_offer(head->streams[i], frame);
        }
    }
    if (head->greeting != NULL) {
        sc_greeting_note_change(head->greeting);
    }
}

static void on_source_cursor_shape(ScCursor *cursor, gpointer data)
{
    ScHead *head = data;

    head->listener.cursor_shape(cursor, head->data);
}

static void on_source_cursor_position(int x, int y, gpointer data)
{
    ScHead *head = data;

    head->listener.cursor_position(x, y, head->data);
}

static void on_source_pointer_mode(ScPointerMode mode, gpointer data)
{
    ScHead *head = data;

    head->listener.pointer_mode(mode, head->data);
}

static void on_source_leds(ScLeds leds, gpointer data)
{
    ScHead *head = data;

    head->listener.leds(leds, head->data);
}

ScHead *sc_head_new(const ScHeadConfig *config, const ScHeadListener *listener, gpointer data,
                    GError **error)
{
    static const ScSourceListener source_listener = {
        .state = on_source_state,
        .scanout = on_source_scanout,
        .frame = on_source_frame,
        .cursor_shape = on_source_cursor_shape,
        .cursor_position = on_source_cursor_position,
        .pointer_mode = on_source_pointer_mode,
        .leds = on_source_leds,
    };
    g_autoptr(ScHead) head = g_new0(ScHead, 1);

    head->config = *config;
    head->config.location = g_strdup(config->location);
    head->encoder_description = g_strdup(config->encoder_description);
    head->render_node = g_strdup(config->render_node);
    head->listener = *listener;
    head->data = data;
    head->source = config->open != NULL
                       ? config->open(&source_listener, head, error)
                       : sc_source_new(config->location, &source_listener, head, error);
    if (head->source == NULL) {
        return NULL;
    }
    if (config->input != NULL && !sc_source_set_input(head->source, config->input, error)) {
        g_prefix_error(error, "--input: ");
        return NULL;
    }
    head->streams[SC_CODEC_H264] = new_stream(head, SC_CODEC_H264, error);
    return head->streams[SC_CODEC_H264] != NULL ? g_steal_pointer(&head) : NULL;
}

void sc_head_free(ScHead *head)
{
    if (head == NULL) {
        return;
    }
    /* The streams first: they hold frames, and the source releases the guests it still knows. */
    for (guint i = 0; i < SC_N_CODECS; i++) {
        sc_stream_free(head->streams[i]);
    }
    sc_greeting_free(head->greeting);
    sc_source_free(head->source);
    sc_scanout_unref(head->scanout);
    g_free((char *)head->config.location);
    g_free(head->encoder_description);
    g_free(head->render_node);
    g_free(head);
}

gboolean sc_head_start(ScHead *head, GError **error)
{
    return sc_source_start(head->source, error);
}

static void update_watched(ScHead *head)
{
    guint open_viewers = 0;

    for (guint i = 0; i < SC_N_CODECS; i++) {
        open_viewers += head->open_viewers[i];
    }
    sc_source_set_watched(head->source, open_viewers > 0);
}

gboolean sc_head_set_viewers(ScHead *head, ScCodec codec, guint viewers, guint open_viewers)
{
    g_autoptr(GError) error = NULL;

    if (viewers > 0 && head->unavailable[codec]) {
        return FALSE;
    }
    if (head->streams[codec] == NULL && viewers > 0) {
        head->streams[codec] = new_stream(head, codec, &error);
        if (head->streams[codec] == NULL) {
            note_unavailable(head, codec, error);
            return FALSE;
        }
    }
    head->open_viewers[codec] = open_viewers;
    /* First: a source that has not kept its picture up to date for nobody does so now. */
    update_watched(head);
    if (head->streams[codec] != NULL) {
        sc_stream_set_viewers(head->streams[codec], viewers, open_viewers);
    }
    return TRUE;
}

static void set_up_greeting(ScHead *head)
{
    g_autoptr(GError) error = NULL;
    ScEncoderConfig config;

    init_encoder_config(&config, head, SC_CODEC_MJPEG);
    if (!is_far(head->scanout)) {
        config.kind = SC_ENCODER_SOFTWARE; /* no device need be opened for it */
    }
    head->greeting = sc_greeting_new(&config, on_greeting, head, &error);
    if (head->greeting == NULL) {
        note_unavailable(head, SC_CODEC_MJPEG, error);
    } else {
        sc_greeting_set_scanout(head->greeting, head->scanout);
    }
}

gboolean sc_head_make_greeting(ScHead *head)
{
    /* As in sc_head_set_viewers(), which also ends it. */
    sc_source_set_watched(head->source, TRUE);
    if (head->scanout == NULL) {
        return FALSE;
    }
    if (head->greeting == NULL && !head->unavailable[SC_CODEC_MJPEG]) {
        set_up_greeting(head);
    }
    return head->greeting != NULL && sc_greeting_make(head->greeting);
}

void sc_head_request_key(ScHead *head, ScCodec codec)
{
    if (head->streams[codec] != NULL) {
        sc_stream_request_key(head->streams[codec]);
    }
}

void sc_head_adapt(ScHead *head, ScPacket *packet, ScRateViewer *viewers, guint n_viewers)
{
    sc_stream_adapt(head->streams[sc_packet_get_info(packet)->codec], packet, viewers, n_viewers);
}

ScSource *sc_head_get_source(ScHead *head)
{
    return head->source;
}

const ScStream *sc_head_get_stream(const ScHead *head, ScCodec codec)
{
    return head->streams[codec];
}

guint64 sc_head_get_frames(const ScHead *head)
{
    return head->frames;
}
