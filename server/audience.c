/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/audience.h"

#include "capture/error.h"
#include "server/listener.h"
#include "server/viewer.h"

#include <unistd.h>

/* Connections that may be in their handshakes at once. Clients are through with theirs in a moment,
 * so if there are more the oldest is none of a client and goes. */
#define MAX_STRANGERS 16

/* A viewer, as far as the audience keeps account of it. */
typedef struct {
    ScViewer *viewer;
    gboolean has_joined; /* else a stranger: it may not even know the password */
    gboolean was_told;   /* that it has, and stays */
    guint64 id;          /* these two: once it has */
    gint64 since;
    gboolean is_ready;
    ScCodec codec; /* once ready */
    gboolean was_congested;
    gboolean is_far_below;
} Client;

struct ScAudience {
    ScAudienceConfig config;
    char *password;
    gint64 password_expires;
    ScAudienceListener listener;
    gpointer data;

    ScListener *connections;
    ScInput *input;
    guint codecs;          /* as sc_viewer_set_codecs() has it */
    GPtrArray *clients;    /* of Client, in the order they came */
    ScAudienceCounts gone; /* counts of viewers that have left */

    ScCursor *cursor; /* NULL: hidden */
    int cursor_x, cursor_y;
    ScPointerMode pointer_mode;
    ScLeds leds;
};

static void client_free(gpointer data)
{
    Client *client = data;

    sc_viewer_free(client->viewer);
    g_free(client);
}

static Client *find_client(ScAudience *audience, const ScViewer *viewer)
{
    for (guint i = 0; i < audience->clients->len; i++) {
        Client *client = g_ptr_array_index(audience->clients, i);

        if (client->viewer == viewer) {
            return client;
        }
    }
    g_assert_not_reached(); /* viewers call back only while they are ours */
}

/* Tells for whom to work now. */
static void update_demand(ScAudience *audience)
{
    guint viewers[SC_N_CODECS] = { 0 }, open_viewers[SC_N_CODECS] = { 0 };

    for (guint i = 0; i < audience->clients->len; i++) {
        const Client *client = g_ptr_array_index(audience->clients, i);

        if (client->is_ready) {
            viewers[client->codec]++;
            open_viewers[client->codec] += !sc_viewer_is_congested(client->viewer);
        }
    }
    for (guint i = 0; i < SC_N_CODECS; i++) {
        audience->listener.demand(i, viewers[i], open_viewers[i], audience->data);
    }
}

static guint count_joined(const ScAudience *audience)
{
    guint n = 0;

    for (guint i = 0; i < audience->clients->len; i++) {
        n += ((Client *)g_ptr_array_index(audience->clients, i))->has_joined;
    }
    return n;
}

static void add_counts(const ScViewer *viewer, ScAudienceCounts *sum)
{
    ScOutboxCounts counts;

    sc_viewer_get_counts(viewer, &counts);
    sum->sent += counts.packets;
    sum->dropped += counts.dropped;
}

static void get_stats(const Client *client, ScViewerStats *stats)
{
    *stats = (ScViewerStats){
        .id = client->id,
        .peer = sc_viewer_get_peer(client->viewer),
        .since = client->since,
        .is_ready = client->is_ready,
        .codec = client->codec,
        .is_far_below = client->is_far_below,
    };
    sc_viewer_get_counts(client->viewer, &stats->counts);
}

static void tell_joined(ScAudience *audience, Client *client)
{
    ScViewerStats stats;

    client->was_told = TRUE;
    /* It will take a while to want it, so that it can be ready by then. */
    audience->listener.wants_greeting(audience->data);
    if (audience->listener.joined != NULL) {
        get_stats(client, &stats);
        audience->listener.joined(&stats, audience->data);
    }
}

static void remove_client(ScAudience *audience, Client *client)
{
    ScViewerStats stats;

    if (client->has_joined) {
        get_stats(client, &stats);
        sc_viewer_stats_log(&stats);
    }
    if (client->was_told && audience->listener.left != NULL) {
        audience->listener.left(&stats, audience->data);
    }
    sc_input_forget(audience->input, client->viewer);
    add_counts(client->viewer, &audience->gone);
    g_ptr_array_remove(audience->clients, client);
    update_demand(audience);
}

/* The oldest one of those; NULL if there is none. */
static Client *find_oldest(const ScAudience *audience, gboolean has_joined, const Client *but)
{
    for (guint i = 0; i < audience->clients->len; i++) {
        Client *client = g_ptr_array_index(audience->clients, i);

        if (client != but && client->has_joined == has_joined) {
            return client;
        }
    }
    return NULL;
}

/* Viewers */

/* A single place goes to whoever came last, as with QEMU: the one before may be a window that was
 * forgotten somewhere. Now only, since who has no password must not oust anybody. */
static void on_viewer_joined(ScViewer *viewer, gpointer data)
{
    ScAudience *audience = data;
    Client *client = find_client(audience, viewer);
    Client *other;

    client->has_joined = TRUE;
    client->id = ++audience->gone.joined;
    client->since = g_get_monotonic_time();
    sc_listener_note_success(audience->connections, sc_viewer_get_peer(viewer));
    if (count_joined(audience) <= audience->config.max_viewers) {
        g_message("viewer %s: joins", sc_viewer_get_peer(viewer));
        tell_joined(audience, client);
        return;
    }
    if (audience->config.max_viewers > 1) {
        g_message("viewer %s: sent away, there are %u already (--max-viewers allows more)",
                  sc_viewer_get_peer(viewer), audience->config.max_viewers);
        remove_client(audience, client);
        return;
    }
    other = find_oldest(audience, TRUE, client);
    g_message("viewer %s: sent away, for viewer %s joins (--max-viewers allows more)",
              sc_viewer_get_peer(other->viewer), sc_viewer_get_peer(viewer));
    remove_client(audience, other);
    tell_joined(audience, client);
}

static void on_viewer_ready(ScViewer *viewer, ScCodec codec, gpointer data)
{
    ScAudience *audience = data;
    Client *client = find_client(audience, viewer);

    g_message("viewer %s: shows %s", sc_viewer_get_peer(viewer), sc_codec_name(codec));
    client->is_ready = TRUE;
    client->codec = codec;
    sc_viewer_set_cursor(viewer, audience->cursor);
    sc_viewer_set_cursor_position(viewer, audience->cursor_x, audience->cursor_y);
    /* It will ask for a key frame next; work for it begins with that. */
}

static gboolean on_viewer_wants_greeting(ScViewer *viewer, gpointer data)
{
    ScAudience *audience = data;

    return audience->listener.wants_greeting(audience->data);
}

static void on_viewer_wants_key(ScViewer *viewer, gpointer data)
{
    ScAudience *audience = data;

    /* The wish first: with a new viewer the demand grows, and the picture that starts must not be
     * followed by a second one for the wish. */
    audience->listener.wants_key(find_client(audience, viewer)->codec, audience->data);
    update_demand(audience);
}

static void on_viewer_has_room(ScViewer *viewer, gpointer data)
{
    update_demand(data);
}

static void on_viewer_closed(ScViewer *viewer, gpointer data)
{
    ScAudience *audience = data;
    Client *client = find_client(audience, viewer);

    if (!client->has_joined) {
        g_info("connection %s: gone before it joined", sc_viewer_get_peer(viewer));
    }
    remove_client(audience, client);
}

static void on_viewer_key(ScViewer *viewer, guint scancode, gboolean pressed, gpointer data)
{
    sc_input_key(((ScAudience *)data)->input, viewer, scancode, pressed);
}

static void on_viewer_motion(ScViewer *viewer, int dx, int dy, gpointer data)
{
    sc_input_motion(((ScAudience *)data)->input, dx, dy);
}

static void on_viewer_position(ScViewer *viewer, guint x, guint y, gpointer data)
{
    sc_input_position(((ScAudience *)data)->input, x, y);
}

static void on_viewer_button(ScViewer *viewer, ScButton button, gboolean pressed, gpointer data)
{
    sc_input_button(((ScAudience *)data)->input, viewer, button, pressed);
}

static void on_viewer_wheel(ScViewer *viewer, int steps, gpointer data)
{
    sc_input_wheel(((ScAudience *)data)->input, steps);
}

static void on_viewer_size(ScViewer *viewer, guint width, guint height, gpointer data)
{
    sc_input_wish_size(((ScAudience *)data)->input, width, height);
}

static const ScViewerListener viewer_listener = {
    .joined = on_viewer_joined,
    .wants_greeting = on_viewer_wants_greeting,
    .ready = on_viewer_ready,
    .wants_key = on_viewer_wants_key,
    .has_room = on_viewer_has_room,
    .closed = on_viewer_closed,
    .key = on_viewer_key,
    .motion = on_viewer_motion,
    .position = on_viewer_position,
    .button = on_viewer_button,
    .wheel = on_viewer_wheel,
    .size = on_viewer_size,
};

static Client *add_client(ScAudience *audience, GError **error)
{
    ScViewerConfig config = {
        .name = audience->config.name,
        .password = audience->password,
        .sasl = audience->config.sasl,
    };
    g_autofree char *nobody_knows = NULL;
    guint n_joined = count_joined(audience);
    Client *client;
    ScViewer *viewer;

    if (audience->config.max_viewers > 1 && n_joined >= audience->config.max_viewers) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "there are %u viewers already (--max-viewers allows more)", n_joined);
        return NULL;
    }
    if (audience->clients->len - n_joined >= MAX_STRANGERS) {
        remove_client(audience, find_oldest(audience, FALSE, NULL));
    }
    if (audience->password_expires > 0) {
        gint64 left = (audience->password_expires - g_get_real_time()) / G_TIME_SPAN_SECOND;

        if (left <= 0) {
            config.password = nobody_knows = g_uuid_string_random();
        } else {
            config.password_seconds = MIN(left, G_MAXINT32);
        }
    }
    viewer = sc_viewer_new(&config, &viewer_listener, audience, error);
    if (viewer == NULL) {
        return NULL;
    }
    sc_viewer_set_codecs(viewer, audience->codecs);
    sc_viewer_set_pointer_mode(viewer, audience->pointer_mode);
    sc_viewer_set_leds(viewer, audience->leds);
    client = g_new0(Client, 1);
    client->viewer = viewer;
    g_ptr_array_add(audience->clients, client);
    return client;
}

static Client *find_connection(ScAudience *audience, guint32 connection_id, GError **error)
{
    for (guint i = 0; i < audience->clients->len; i++) {
        Client *client = g_ptr_array_index(audience->clients, i);

        if (sc_viewer_get_connection_id(client->viewer) == connection_id) {
            return client;
        }
    }
    g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "no viewer has the connection id %u",
                connection_id);
    return NULL;
}

static void on_connection(int fd, guint32 connection_id, const char *peer, gpointer data)
{
    ScAudience *audience = data;
    g_autoptr(GError) error = NULL;
    Client *client = connection_id == 0 ? add_client(audience, &error)
                                        : find_connection(audience, connection_id, &error);

    if (client == NULL) {
        close(fd);
        g_message("a connection of %s is refused: %s", peer, error->message);
        return;
    }
    if (!sc_viewer_add_connection(client->viewer, fd, peer, &error)) {
        g_message("a connection of %s failed: %s", peer, error->message);
        if (connection_id == 0) {
            g_ptr_array_remove(audience->clients, client);
        }
    }
}

ScAudience *sc_audience_new(const ScAudienceConfig *config, const ScAudienceListener *listener,
                            gpointer data, GError **error)
{
    g_autoptr(ScAudience) audience = g_new0(ScAudience, 1);
    ScListenerConfig listener_config = {
        .address = config->listen,
        .tls_address = config->tls_listen,
        .tls_cert = config->tls_cert,
        .tls_key = config->tls_key,
        .tls_ca = config->tls_ca,
        .is_open = config->password == NULL && !config->sasl,
        .sasl = config->sasl,
    };

    audience->config = *config;
    audience->password = g_strdup(config->password);
    audience->password_expires = config->password_expires;
    audience->listener = *listener;
    audience->data = data;
    audience->codecs = 1u << SC_CODEC_H264 | 1u << SC_CODEC_MJPEG;
    audience->clients = g_ptr_array_new_with_free_func(client_free);
    audience->input = sc_input_new(&listener->input, data);
    audience->connections = sc_listener_new(&listener_config, on_connection, audience, error);
    return audience->connections != NULL ? g_steal_pointer(&audience) : NULL;
}

void sc_audience_free(ScAudience *audience)
{
    if (audience == NULL) {
        return;
    }
    sc_listener_free(audience->connections);
    for (guint i = 0; i < audience->clients->len; i++) {
        sc_input_forget(audience->input,
                        ((Client *)g_ptr_array_index(audience->clients, i))->viewer);
    }
    g_ptr_array_unref(audience->clients);
    sc_input_free(audience->input);
    g_free(audience->password);
    sc_cursor_unref(audience->cursor);
    g_free(audience);
}

const char *sc_audience_get_address(const ScAudience *audience)
{
    return sc_listener_get_address(audience->connections);
}

const char *sc_audience_get_tls_address(const ScAudience *audience)
{
    return sc_listener_get_tls_address(audience->connections);
}

void sc_audience_set_codecs(ScAudience *audience, guint codecs)
{
    audience->codecs = codecs;
    for (guint i = 0; i < audience->clients->len; i++) {
        sc_viewer_set_codecs(((Client *)g_ptr_array_index(audience->clients, i))->viewer, codecs);
    }
}

void sc_audience_remove_codec(ScAudience *audience, ScCodec codec)
{
    sc_audience_set_codecs(audience, audience->codecs & ~(1u << codec));
}

void sc_audience_set_password(ScAudience *audience, const char *password, gint64 expires)
{
    g_return_if_fail(audience->password != NULL);
    g_free(audience->password);
    audience->password = g_strdup(password);
    audience->password_expires = expires;
}

void sc_audience_send(ScAudience *audience, ScPacket *packet)
{
    ScCodec codec = sc_packet_get_info(packet)->codec;
    gboolean has_changed = FALSE;

    for (guint i = 0; i < audience->clients->len; i++) {
        Client *client = g_ptr_array_index(audience->clients, i);
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
        update_demand(audience);
    }
}

void sc_audience_observe(const ScAudience *audience, ScCodec codec, GArray *viewers)
{
    g_array_set_size(viewers, 0);
    for (guint i = 0; i < audience->clients->len; i++) {
        const Client *client = g_ptr_array_index(audience->clients, i);
        ScRateViewer viewer = { .id = client->id };
        ScOutboxCounts counts;

        if (!client->is_ready || client->codec != codec) {
            continue;
        }
        sc_viewer_get_counts(client->viewer, &counts);
        viewer.packets = counts.flow.packets;
        viewer.bytes = counts.flow.bytes;
        viewer.service = counts.flow.service;
        viewer.delay = counts.flow.delay;
        viewer.waiting = counts.flow.waiting;
        g_array_append_val(viewers, viewer);
    }
}

static void set_far_below(ScAudience *audience, const ScRateViewer *viewer)
{
    for (guint i = 0; i < audience->clients->len; i++) {
        Client *client = g_ptr_array_index(audience->clients, i);

        if (client->id == viewer->id && client->is_far_below != viewer->is_far_below) {
            client->is_far_below = viewer->is_far_below;
            g_message("viewer %s: %s", sc_viewer_get_peer(client->viewer),
                      client->is_far_below ? "takes far less than the others and will lose pictures"
                                           : "keeps up with the others again");
        }
    }
}

void sc_audience_note_rates(ScAudience *audience, const GArray *viewers)
{
    for (guint i = 0; i < viewers->len; i++) {
        set_far_below(audience, &g_array_index(viewers, ScRateViewer, i));
    }
}

void sc_audience_foreach(const ScAudience *audience, ScAudienceFunc func, gpointer data)
{
    ScViewerStats stats;

    for (guint i = 0; i < audience->clients->len; i++) {
        const Client *client = g_ptr_array_index(audience->clients, i);

        if (client->has_joined) {
            get_stats(client, &stats);
            func(&stats, data);
        }
    }
}

void sc_audience_greet(ScAudience *audience, ScPacket *packet)
{
    for (guint i = 0; i < audience->clients->len; i++) {
        sc_viewer_greet(((Client *)g_ptr_array_index(audience->clients, i))->viewer, packet);
    }
}

void sc_audience_set_cursor(ScAudience *audience, ScCursor *cursor)
{
    if (cursor != NULL) {
        sc_cursor_ref(cursor);
    }
    sc_cursor_unref(audience->cursor);
    audience->cursor = cursor;
    for (guint i = 0; i < audience->clients->len; i++) {
        sc_viewer_set_cursor(((Client *)g_ptr_array_index(audience->clients, i))->viewer, cursor);
    }
}

void sc_audience_set_cursor_position(ScAudience *audience, int x, int y)
{
    audience->cursor_x = x;
    audience->cursor_y = y;
    for (guint i = 0; i < audience->clients->len; i++) {
        Client *client = g_ptr_array_index(audience->clients, i);

        sc_viewer_set_cursor_position(client->viewer, x, y);
    }
}

void sc_audience_set_pointer_mode(ScAudience *audience, ScPointerMode mode)
{
    audience->pointer_mode = mode;
    sc_input_set_pointer_mode(audience->input, mode);
    for (guint i = 0; i < audience->clients->len; i++) {
        Client *client = g_ptr_array_index(audience->clients, i);

        sc_viewer_set_pointer_mode(client->viewer, mode);
    }
}

void sc_audience_set_leds(ScAudience *audience, ScLeds leds)
{
    audience->leds = leds;
    for (guint i = 0; i < audience->clients->len; i++) {
        sc_viewer_set_leds(((Client *)g_ptr_array_index(audience->clients, i))->viewer, leds);
    }
}

void sc_audience_set_size(ScAudience *audience, guint width, guint height)
{
    sc_input_set_size(audience->input, width, height);
}

void sc_audience_get_counts(const ScAudience *audience, ScAudienceCounts *counts)
{
    *counts = audience->gone;
    counts->viewers = count_joined(audience);
    for (guint i = 0; i < audience->clients->len; i++) {
        add_counts(((Client *)g_ptr_array_index(audience->clients, i))->viewer, counts);
    }
}
