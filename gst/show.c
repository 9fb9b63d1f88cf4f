/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gst/show.h"

#include "gst/navigation.h"
#include "gst/picture-source.h"
#include "server/head.h"

/* Where the pictures come from nobody waits for a fence. */
#define NO_DEADLINE G_USEC_PER_SEC

struct ScShow {
    ScShowConfig config;
    ScShowListener listener;
    gpointer data;

    ScAudience *audience;
    double x, y; /* where the pointer is */

    ScPacketInfo info; /* of the packet before, or of what there will be */
    GstVideoInfo video;
    ScHead *head;         /* NULL while there are packets */
    GArray *rate_viewers; /* of ScRateViewer, one packet's */
};

/* The audience */

static void on_demand(ScCodec codec, guint viewers, guint open_viewers, gpointer data)
{
    ScShow *show = data;

    if (show->head != NULL && !sc_head_set_viewers(show->head, codec, viewers, open_viewers)) {
        sc_audience_remove_codec(show->audience, codec);
    }
}

static gboolean on_wants_greeting(gpointer data)
{
    ScShow *show = data;

    return show->head != NULL && sc_head_make_greeting(show->head);
}

static void on_wants_key(ScCodec codec, gpointer data)
{
    ScShow *show = data;

    if (show->head != NULL) {
        sc_head_request_key(show->head, codec);
    } else {
        show->listener.event(
            gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 0), show->data);
    }
}

static void on_key(guint scancode, gboolean pressed, gpointer data)
{
    ScShow *show = data;

    show->listener.event(sc_navigation_new_key(scancode, pressed), show->data);
}

static void on_position(guint x, guint y, gpointer data)
{
    ScShow *show = data;

    show->x = x;
    show->y = y;
    show->listener.event(sc_navigation_new_move(x, y), show->data);
}

/* Not in SC_POINTER_ABSOLUTE, which is what there is at first. */
static void on_motion(int dx, int dy, gpointer data)
{
}

static void on_button(ScButton button, gboolean pressed, gpointer data)
{
    ScShow *show = data;

    show->listener.event(sc_navigation_new_button(button, pressed, show->x, show->y), show->data);
}

static void on_wheel(int steps, gpointer data)
{
    ScShow *show = data;

    show->listener.event(sc_navigation_new_wheel(steps, show->x, show->y), show->data);
}

/* GStreamer has no event for what a viewer would like. */
static void on_wished_size(guint width, guint height, gpointer data)
{
}

static void on_joined(const ScViewerStats *viewer, gpointer data)
{
    ScShow *show = data;

    show->listener.viewer(viewer, TRUE, show->data);
}

static void on_left(const ScViewerStats *viewer, gpointer data)
{
    ScShow *show = data;

    show->listener.viewer(viewer, FALSE, show->data);
}

static const ScAudienceListener audience_listener = {
    .demand = on_demand,
    .wants_greeting = on_wants_greeting,
    .wants_key = on_wants_key,
    .input = {
        .key = on_key,
        .motion = on_motion,
        .position = on_position,
        .button = on_button,
        .wheel = on_wheel,
        .size = on_wished_size,
    },
    .joined = on_joined,
    .left = on_left,
};

/* The head */

static void on_head_packet(ScPacket *packet, gpointer data)
{
    ScShow *show = data;
    GArray *viewers = show->rate_viewers;

    sc_audience_send(show->audience, packet);
    sc_audience_observe(show->audience, sc_packet_get_info(packet)->codec, viewers);
    sc_head_adapt(show->head, packet, (ScRateViewer *)viewers->data, viewers->len);
    sc_audience_note_rates(show->audience, viewers);
}

static void on_head_greeting(ScPacket *packet, gpointer data)
{
    sc_audience_greet(((ScShow *)data)->audience, packet);
}

static void on_head_size(guint width, guint height, gpointer data)
{
    sc_audience_set_size(((ScShow *)data)->audience, width, height);
}

/* What a picture source does not have. */

static void on_head_cursor_shape(ScCursor *cursor, gpointer data)
{
}

static void on_head_cursor_position(int x, int y, gpointer data)
{
}

static void on_head_pointer_mode(ScPointerMode mode, gpointer data)
{
}

static void on_head_leds(ScLeds leds, gpointer data)
{
}

static void on_head_lost(const char *reason, gpointer data)
{
}

static ScSource *open_source(const ScSourceListener *listener, gpointer data, GError **error)
{
    return sc_picture_source_new(listener, data);
}

static ScHead *new_head(ScShow *show, GError **error)
{
    static const ScHeadListener listener = {
        .packet = on_head_packet,
        .greeting = on_head_greeting,
        .cursor_shape = on_head_cursor_shape,
        .cursor_position = on_head_cursor_position,
        .pointer_mode = on_head_pointer_mode,
        .leds = on_head_leds,
        .size = on_head_size,
        .lost = on_head_lost,
    };
    ScHeadConfig config = {
        .location = show->config.audience.name,
        .open = open_source,
        .encoder_kind = show->config.encoder.kind,
        .encoder_description = show->config.encoder.description,
        .render_node = show->config.encoder.render_node,
        .bitrate_kbit = show->config.encoder.bitrate_kbit,
        .max_fps = show->config.encoder.max_fps,
        .fence_deadline = NO_DEADLINE,
    };
    g_autoptr(ScHead) head = sc_head_new(&config, &listener, show, error);

    return head != NULL && sc_head_start(head, error) ? g_steal_pointer(&head) : NULL;
}

/* The show itself */

ScShow *sc_show_new(const ScShowConfig *config, const ScShowListener *listener, gpointer data,
                    GError **error)
{
    g_autoptr(ScShow) show = g_new0(ScShow, 1);

    show->config = *config;
    show->listener = *listener;
    show->data = data;
    show->rate_viewers = g_array_new(FALSE, FALSE, sizeof(ScRateViewer));
    show->audience = sc_audience_new(&config->audience, &audience_listener, show, error);
    if (show->audience == NULL) {
        return NULL;
    }
    sc_audience_set_codecs(show->audience, 0);
    sc_audience_set_pointer_mode(show->audience, SC_POINTER_ABSOLUTE);
    return g_steal_pointer(&show);
}

void sc_show_free(ScShow *show)
{
    if (show == NULL) {
        return;
    }
    sc_audience_free(show->audience);
    sc_head_free(show->head);
    g_array_unref(show->rate_viewers);
    g_free(show);
}

const char *sc_show_get_address(const ScShow *show)
{
    return sc_audience_get_address(show->audience);
}

const char *sc_show_get_tls_address(const ScShow *show)
{
    return sc_audience_get_tls_address(show->audience);
}

void sc_show_set_coded(ScShow *show, ScCodec codec, guint width, guint height)
{
    g_clear_pointer(&show->head, sc_head_free);
    show->info.codec = codec;
    show->info.width = width;
    show->info.height = height;
    sc_audience_set_size(show->audience, width, height);
    sc_audience_set_codecs(show->audience, 1u << codec);
}

void sc_show_send_packet(ScShow *show, GstBuffer *buffer)
{
    g_autoptr(ScPacket) packet = NULL;
    g_autoptr(GBytes) bytes = NULL;
    gpointer data;
    gsize size;

    /* A copy: packets live as long as the slowest viewer takes. */
    gst_buffer_extract_dup(buffer, 0, gst_buffer_get_size(buffer), &data, &size);
    bytes = g_bytes_new_take(data, size);
    show->info.serial++;
    show->info.capture_time = g_get_monotonic_time();
    show->info.is_key = show->info.codec == SC_CODEC_MJPEG ||
                        !GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    packet = sc_packet_new(bytes, &show->info);
    sc_audience_send(show->audience, packet);
}

gboolean sc_show_set_raw(ScShow *show, const GstVideoInfo *info, GError **error)
{
    show->video = *info;
    if (show->head == NULL) {
        show->head = new_head(show, error);
    }
    if (show->head == NULL) {
        return FALSE;
    }
    sc_audience_set_codecs(show->audience, 1u << SC_CODEC_H264 | 1u << SC_CODEC_MJPEG);
    return TRUE;
}

gboolean sc_show_send_picture(ScShow *show, GstBuffer *buffer, GError **error)
{
    return sc_picture_source_push(sc_head_get_source(show->head), buffer, &show->video, error);
}

void sc_show_get_counts(const ScShow *show, ScAudienceCounts *counts)
{
    sc_audience_get_counts(show->audience, counts);
}
