/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/server.h"

#include "capture/timer.h"
#include "server/audience.h"
#include "server/head.h"
#include "server/metrics.h"
#include "server/stats.h"

#define STATS_INTERVAL G_USEC_PER_SEC

struct ScServer {
    const ScOptions *options;
    ScServerLostFunc lost;
    gpointer lost_data;

    ScHead *head;
    ScAudience *audience;
    GArray *rate_viewers; /* of ScRateViewer, one packet's */
    ScTimer *stats;
    ScMetrics *metrics; /* NULL: nobody wants any */
};

/* The audience */

static void on_demand(ScCodec codec, guint viewers, guint open_viewers, gpointer data)
{
    ScServer *server = data;

    if (!sc_head_set_viewers(server->head, codec, viewers, open_viewers)) {
        sc_audience_remove_codec(server->audience, codec);
    }
}

static gboolean on_wants_greeting(gpointer data)
{
    return sc_head_make_greeting(((ScServer *)data)->head);
}

static void on_wants_key(ScCodec codec, gpointer data)
{
    ScServer *server = data;

    sc_head_request_key(server->head, codec);
}

static void on_key(guint scancode, gboolean pressed, gpointer data)
{
    sc_source_send_key(sc_head_get_source(((ScServer *)data)->head), scancode, pressed);
}

static void on_motion(int dx, int dy, gpointer data)
{
    sc_source_send_motion(sc_head_get_source(((ScServer *)data)->head), dx, dy);
}

static void on_position(guint x, guint y, gpointer data)
{
    sc_source_send_position(sc_head_get_source(((ScServer *)data)->head), x, y);
}

static void on_button(ScButton button, gboolean pressed, gpointer data)
{
    sc_source_send_button(sc_head_get_source(((ScServer *)data)->head), button, pressed);
}

static void on_wheel(int steps, gpointer data)
{
    sc_source_send_wheel(sc_head_get_source(((ScServer *)data)->head), steps);
}

static void on_size(guint width, guint height, gpointer data)
{
    sc_source_send_size(sc_head_get_source(((ScServer *)data)->head), width, height);
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
        .size = on_size,
    },
};

/* The head */

static void adapt_rate(ScServer *server, ScPacket *packet)
{
    GArray *viewers = server->rate_viewers;

    sc_audience_observe(server->audience, sc_packet_get_info(packet)->codec, viewers);
    sc_head_adapt(server->head, packet, (ScRateViewer *)viewers->data, viewers->len);
    sc_audience_note_rates(server->audience, viewers);
}

static void on_head_packet(ScPacket *packet, gpointer data)
{
    ScServer *server = data;

    sc_audience_send(server->audience, packet);
    adapt_rate(server, packet);
    if (server->options->stats && !sc_timer_is_set(server->stats)) {
        sc_timer_set_after(server->stats, STATS_INTERVAL);
    }
}

static void on_head_greeting(ScPacket *packet, gpointer data)
{
    sc_audience_greet(((ScServer *)data)->audience, packet);
}

static void on_head_cursor_shape(ScCursor *cursor, gpointer data)
{
    sc_audience_set_cursor(((ScServer *)data)->audience, cursor);
}

static void on_head_cursor_position(int x, int y, gpointer data)
{
    sc_audience_set_cursor_position(((ScServer *)data)->audience, x, y);
}

static void on_head_pointer_mode(ScPointerMode mode, gpointer data)
{
    sc_audience_set_pointer_mode(((ScServer *)data)->audience, mode);
}

static void on_head_leds(ScLeds leds, gpointer data)
{
    sc_audience_set_leds(((ScServer *)data)->audience, leds);
}

static void on_head_size(guint width, guint height, gpointer data)
{
    sc_audience_set_size(((ScServer *)data)->audience, width, height);
}

static void on_head_lost(const char *reason, gpointer data)
{
    ScServer *server = data;

    server->lost(reason, server->lost_data);
}

static const ScHeadListener head_listener = {
    .packet = on_head_packet,
    .greeting = on_head_greeting,
    .cursor_shape = on_head_cursor_shape,
    .cursor_position = on_head_cursor_position,
    .pointer_mode = on_head_pointer_mode,
    .leds = on_head_leds,
    .size = on_head_size,
    .lost = on_head_lost,
};

/* The server itself */

static void print_viewer(const ScViewerStats *stats, gpointer data)
{
    g_autofree char *line = sc_viewer_stats_format(stats);

    g_printerr("viewer-stats: %s\n", line);
}

static void print_stats(gpointer data)
{
    ScServer *server = data;
    ScAudienceCounts viewers;
    g_autofree char *line = NULL;

    sc_audience_get_counts(server->audience, &viewers);
    line = sc_stats_format(server->head, &viewers);
    g_printerr("stats: %s\n", line);
    sc_audience_foreach(server->audience, print_viewer, NULL);
}

static char *format_metrics(gpointer data)
{
    ScServer *server = data;

    return sc_stats_format_metrics(server->options->source, server->head, server->audience);
}

static gboolean serve_metrics(ScServer *server, GError **error)
{
    if (server->options->metrics == NULL) {
        return TRUE;
    }
    server->metrics = sc_metrics_new(server->options->metrics, format_metrics, server, error);
    if (server->metrics == NULL) {
        g_prefix_error(error, "--metrics: ");
        return FALSE;
    }
    g_message("metrics are at %s", sc_metrics_get_address(server->metrics));
    return TRUE;
}

ScServer *sc_server_new(const ScOptions *options, ScServerLostFunc lost, gpointer data,
                        GError **error)
{
    g_autoptr(ScServer) server = g_new0(ScServer, 1);
    ScAudienceConfig audience = {
        .name = options->source,
        .listen = options->listen,
        .tls_listen = options->tls_listen,
        .tls_cert = options->tls_cert,
        .tls_key = options->tls_key,
        .tls_ca = options->tls_ca,
        .password = options->password != NULL ? options->password->text : NULL,
        .sasl = options->sasl,
        .password_expires = options->password != NULL ? options->password->expires : 0,
        .max_viewers = options->max_viewers,
    };
    ScHeadConfig head = {
        .location = options->source,
        .input = options->input,
        .encoder_kind = options->encoder_kind,
        .encoder_description = options->encoder_description,
        .render_node = options->render_node,
        .bitrate_kbit = options->bitrate_kbit,
        .max_fps = options->max_fps,
        .fence_deadline = options->fence_deadline,
    };

    server->options = options;
    server->lost = lost;
    server->lost_data = data;
    server->stats = sc_timer_new(print_stats, server);
    server->rate_viewers = g_array_new(FALSE, FALSE, sizeof(ScRateViewer));
    server->head = sc_head_new(&head, &head_listener, server, error);
    if (server->head == NULL) {
        return NULL;
    }
    server->audience = sc_audience_new(&audience, &audience_listener, server, error);
    if (server->audience == NULL || !serve_metrics(server, error) ||
        !sc_head_start(server->head, error)) {
        return NULL;
    }
    return g_steal_pointer(&server);
}

void sc_server_free(ScServer *server)
{
    if (server == NULL) {
        return;
    }
    if (server->options->stats && server->audience != NULL) {
        print_stats(server);
    }
    sc_metrics_free(server->metrics);
    sc_audience_free(server->audience);
    sc_head_free(server->head);
    sc_timer_free(server->stats);
    g_array_unref(server->rate_viewers);
    g_free(server);
}

void sc_server_set_password(ScServer *server, const ScPassword *password)
{
    sc_audience_set_password(server->audience, password->text, password->expires);
}

const char *sc_server_get_address(const ScServer *server)
{
    return sc_audience_get_address(server->audience);
}

const char *sc_server_get_tls_address(const ScServer *server)
{
    return sc_audience_get_tls_address(server->audience);
}
