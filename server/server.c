/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/server.h"

#include "capture/error.h"
#include "capture/timer.h"
#include "server/head.h"
#include "server/input.h"
#include "server/listener.h"
#include "server/stats.h"
#include "server/viewer.h"

#include <unistd.h>

#define STATS_INTERVAL G_USEC_PER_SEC

/* A viewer, as far as the server keeps account of it. */
typedef struct {
    ScViewer *viewer;
    gboolean is_ready;
    ScCodec codec; /* once ready */
    gboolean was_congested;
} Client;

struct ScServer {
    const ScOptions *options;
    ScServerLostFunc lost;
    gpointer lost_data;

    ScHead *head;
    ScInput *input;
    ScListener *listener;
    GPtrArray *clients; /* of Client */
    ScTimer *stats;
    ScStatsViewers gone; /* counts of viewers that have left */
};

static void client_free(gpointer data)
{
    Client *client = data;

    sc_viewer_free(client->viewer);
    g_free(client);
}

static Client *find_client(ScServer *server, const ScViewer *viewer)
{
    for (guint i = 0; i < server->clients->len; i++) {
        Client *client = g_ptr_array_index(server->clients, i);

        if (client->viewer == viewer) {
            return client;
        }
    }
    g_assert_not_reached(); /* viewers call back only while they are ours */
}

/* Tells the head for whom it works now. */
static void update_demand(ScServer *server)
{
    guint viewers[SC_N_CODECS] = { 0 }, open_viewers[SC_N_CODECS] = { 0 };

    for (guint i = 0; i < server->clients->len; i++) {
        const Client *client = g_ptr_array_index(server->clients, i);

        if (client->is_ready) {
            viewers[client->codec]++;
            open_viewers[client->codec] += !sc_viewer_is_congested(client->viewer);
        }
    }
    for (guint i = 0; i < SC_N_CODECS; i++) {
        sc_head_set_viewers(server->head, i, viewers[i], open_viewers[i]);
    }
}

/* Viewers */

static void on_viewer_ready(ScViewer *viewer, ScCodec codec, gpointer data)
{
    ScServer *server = data;
    Client *client = find_client(server, viewer);
    int x, y;

    g_message("viewer %s: shows %s", sc_viewer_get_peer(viewer), sc_codec_name(codec));
    client->is_ready = TRUE;
    client->codec = codec;
    sc_head_get_cursor_position(server->head, &x, &y);
    sc_viewer_set_cursor(viewer, sc_head_get_cursor(server->head));
    sc_viewer_set_cursor_position(viewer, x, y);
    /* It will ask for a key frame next; work for it begins with that. */
}

static void on_viewer_wants_key(ScViewer *viewer, gpointer data)
{
    ScServer *server = data;

    /* The wish first: with a new viewer the demand grows, and the picture that starts must not be
     * followed by a second one for the wish. */
    sc_head_request_key(server->head, find_client(server, viewer)->codec);
    update_demand(server);
}

static void on_viewer_has_room(ScViewer *viewer, gpointer data)
{
    update_demand(data);
}

static void add_counts(const ScViewer *viewer, ScStatsViewers *sum)
{
    ScViewerCounts counts;

    sc_viewer_get_counts(viewer, &counts);
    sum->sent += counts.packets;
    sum->dropped += counts.dropped;
}

static void on_viewer_closed(ScViewer *viewer, gpointer data)
{
    ScServer *server = data;

    g_message("viewer %s: gone", sc_viewer_get_peer(viewer));
    sc_input_forget(server->input, viewer);
    add_counts(viewer, &server->gone);
    g_ptr_array_remove(server->clients, find_client(server, viewer));
    update_demand(server);
}

static void on_viewer_key(ScViewer *viewer, guint scancode, gboolean pressed, gpointer data)
{
    sc_input_key(((ScServer *)data)->input, viewer, scancode, pressed);
}

static void on_viewer_motion(ScViewer *viewer, int dx, int dy, gpointer data)
{
    sc_input_motion(((ScServer *)data)->input, dx, dy);
}

static void on_viewer_position(ScViewer *viewer, guint x, guint y, gpointer data)
{
    sc_input_position(((ScServer *)data)->input, x, y);
}

static void on_viewer_button(ScViewer *viewer, ScButton button, gboolean pressed, gpointer data)
{
    sc_input_button(((ScServer *)data)->input, viewer, button, pressed);
}

static void on_viewer_wheel(ScViewer *viewer, int steps, gpointer data)
{
    sc_input_wheel(((ScServer *)data)->input, steps);
}

static const ScViewerListener viewer_listener = {
    .ready = on_viewer_ready,
    .wants_key = on_viewer_wants_key,
    .has_room = on_viewer_has_room,
    .closed = on_viewer_closed,
    .key = on_viewer_key,
    .motion = on_viewer_motion,
    .position = on_viewer_position,
    .button = on_viewer_button,
    .wheel = on_viewer_wheel,
};

static Client *add_client(ScServer *server, GError **error)
{
    ScViewerConfig config = {
        .name = server->options->source,
        .password = server->options->password,
    };
    Client *client;
    ScViewer *viewer;

    if (server->clients->len >= server->options->max_viewers) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "there are %u viewers already (--max-viewers allows more)",
                    server->clients->len);
        return NULL;
    }
    viewer = sc_viewer_new(&config, &viewer_listener, server, error);
    if (viewer == NULL) {
        return NULL;
    }
    sc_viewer_set_pointer_mode(viewer, sc_head_get_pointer_mode(server->head));
    sc_viewer_set_leds(viewer, sc_head_get_leds(server->head));
    client = g_new0(Client, 1);
    client->viewer = viewer;
    g_ptr_array_add(server->clients, client);
    return client;
}

static Client *find_connection(ScServer *server, guint32 connection_id, GError **error)
{
    for (guint i = 0; i < server->clients->len; i++) {
        Client *client = g_ptr_array_index(server->clients, i);

        if (sc_viewer_get_connection_id(client->viewer) == connection_id) {
            return client;
        }
    }
    g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "no viewer has the connection id %u",
                connection_id);
    return NULL;
}

static void on_connection(int fd, guint32 connection_id, gpointer data)
{
    ScServer *server = data;
    g_autoptr(GError) error = NULL;
    Client *client = connection_id == 0 ? add_client(server, &error)
                                        : find_connection(server, connection_id, &error);

    if (client == NULL) {
        close(fd);
        g_message("a connection is refused: %s", error->message);
        return;
    }
    if (!sc_viewer_add_connection(client->viewer, fd, &error)) {
        g_message("a connection failed: %s", error->message);
        if (connection_id == 0) {
            g_ptr_array_remove(server->clients, client);
        }
    }
}

/* The head */

static void on_head_packet(ScPacket *packet, gpointer data)
{
    ScServer *server = data;
    ScCodec codec = sc_packet_get_info(packet)->codec;
    gboolean has_changed = FALSE;

    for (guint i = 0; i < server->clients->len; i++) {
        Client *client = g_ptr_array_index(server->clients, i);
        gboolean is_congested;

        if (!client->is_ready || client->codec != codec) {
            continue;
        }
        sc_viewer_send(client->viewer, packet);
        is_congested = sc_viewer_is_congested(client->viewer);
        has_changed |= is_congested != client->was_congested;
        client->was_congested = is_congested;
    }
    if (has_changed) {
        update_demand(server);
    }
    if (server->options->stats && !sc_timer_is_set(server->stats)) {
        sc_timer_set_after(server->stats, STATS_INTERVAL);
    }
}

static void on_head_cursor_shape(ScCursor *cursor, gpointer data)
{
    ScServer *server = data;

    for (guint i = 0; i < server->clients->len; i++) {
        sc_viewer_set_cursor(((Client *)g_ptr_array_index(server->clients, i))->viewer, cursor);
    }
}

static void on_head_cursor_position(int x, int y, gpointer data)
{
    ScServer *server = data;

    for (guint i = 0; i < server->clients->len; i++) {
        Client *client = g_ptr_array_index(server->clients, i);

        sc_viewer_set_cursor_position(client->viewer, x, y);
    }
}

static void on_head_pointer_mode(ScPointerMode mode, gpointer data)
{
    ScServer *server = data;

    sc_input_set_pointer_mode(server->input, mode);
    for (guint i = 0; i < server->clients->len; i++) {
        sc_viewer_set_pointer_mode(((Client *)g_ptr_array_index(server->clients, i))->viewer, mode);
    }
}

static void on_head_leds(ScLeds leds, gpointer data)
{
    ScServer *server = data;

    for (guint i = 0; i < server->clients->len; i++) {
        sc_viewer_set_leds(((Client *)g_ptr_array_index(server->clients, i))->viewer, leds);
    }
}

static void on_head_size(guint width, guint height, gpointer data)
{
    sc_input_set_size(((ScServer *)data)->input, width, height);
}

static void on_head_lost(const char *reason, gpointer data)
{
    ScServer *server = data;

    server->lost(reason, server->lost_data);
}

static const ScHeadListener head_listener = {
    .packet = on_head_packet,
    .cursor_shape = on_head_cursor_shape,
    .cursor_position = on_head_cursor_position,
    .pointer_mode = on_head_pointer_mode,
    .leds = on_head_leds,
    .size = on_head_size,
    .lost = on_head_lost,
};

/* The server itself */

static void print_stats(gpointer data)
{
    ScServer *server = data;
    ScStatsViewers viewers = server->gone;
    g_autofree char *line = NULL;

    viewers.viewers = server->clients->len;
    for (guint i = 0; i < server->clients->len; i++) {
        add_counts(((Client *)g_ptr_array_index(server->clients, i))->viewer, &viewers);
    }
    line = sc_stats_format(server->head, &viewers);
    g_printerr("stats: %s\n", line);
}

ScServer *sc_server_new(const ScOptions *options, ScServerLostFunc lost, gpointer data,
                        GError **error)
{
    g_autoptr(ScServer) server = g_new0(ScServer, 1);
    ScHeadConfig config = {
        .location = options->source,
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
    server->clients = g_ptr_array_new_with_free_func(client_free);
    server->stats = sc_timer_new(print_stats, server);
    server->head = sc_head_new(&config, &head_listener, server, error);
    if (server->head == NULL) {
        return NULL;
    }
    server->input = sc_input_new(sc_head_get_source(server->head));
    server->listener = sc_listener_new(options->listen, on_connection, server, error);
    if (server->listener == NULL || !sc_head_start(server->head, error)) {
        return NULL;
    }
    return g_steal_pointer(&server);
}

void sc_server_free(ScServer *server)
{
    if (server == NULL) {
        return;
    }
    sc_listener_free(server->listener);
    for (guint i = 0; i < server->clients->len; i++) {
        sc_input_forget(server->input, ((Client *)g_ptr_array_index(server->clients, i))->viewer);
    }
    if (server->options->stats && server->head != NULL) {
        print_stats(server);
    }
    g_ptr_array_unref(server->clients);
    sc_input_free(server->input);
    sc_head_free(server->head);
    sc_timer_free(server->stats);
    g_free(server);
}

const char *sc_server_get_address(const ScServer *server)
{
    return sc_listener_get_address(server->listener);
}
