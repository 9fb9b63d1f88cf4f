/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/viewer.h"

#include "capture/error.h"
#include "capture/loop.h"
#include "capture/timer.h"
#include "server/client-mouse.h"
#include "server/outbox.h"
#include "server/spice-core.h"
#include "server/viewer-input.h"
#include "server/stream-device.h"

#include <spice/enums.h>
#include <spice/protocol.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A client has four channels: main, display, cursor, inputs. Some of them may be new while the old
 * ones are not yet gone. */
#define MAX_CONNECTIONS 12

/* For the main channel, ticket included, from sc_viewer_new() on. Clients that ask their user for
 * a password do so between connections. */
#define HANDSHAKE_TIMEOUT (10 * G_TIME_SPAN_SECOND)

typedef struct {
    const SpiceChannelEventInfo *info;
    int fd;
    gboolean linked; /* its handshake is over: libspice-server knows whose it is */
} Connection;

typedef enum {
    NEWS_READY = 1 << 0,
    NEWS_WANTS_KEY = 1 << 1,
    NEWS_HAS_ROOM = 1 << 2,
    NEWS_CURSOR = 1 << 3, /* a cursor channel is there and knows no position */
    NEWS_JOINED = 1 << 4,
    NEWS_WANTS_GREETING = 1 << 5,
} News;

struct ScViewer {
    ScViewerListener listener;
    gpointer data;

    SpiceServer *server;
    ScViewerInput *input;
    ScStreamDevice *device;
    ScOutbox *outbox;

    GArray *connections; /* of Connection */
    guint32 connection_id;
    char *peer;
    ScTimer *handshake_timer;

    News news; /* for the listener, told from the main loop */
    guint news_id;
    guint closed_id;
    gboolean closed; /* or being freed: nothing more is told */

    guint codecs;        /* there are, and */
    guint client_codecs; /* can be decoded; bits 1 << ScCodec */
    gboolean ready;
    gboolean greeted; /* this display, or it needs no greeting */
    ScCodec codec;

    ScPointerMode pointer_mode;
    int cursor_x, cursor_y;
    gboolean has_cursor_position;
};

static GHashTable *owners;   /* of connections: SpiceChannelEventInfo to ScViewer */
static ScViewer *connecting; /* whose connection libspice-server is being given, and which */
static int connecting_fd;

static gboolean on_closed(gpointer data)
{
    ScViewer *viewer = data;

    viewer->closed_id = 0;
    viewer->closed = TRUE;
    viewer->listener.closed(viewer, viewer->data);
    return G_SOURCE_REMOVE;
}

static void tell_closed(ScViewer *viewer)
{
    /* libspice-server takes leave of a client by a message to itself; when it is destroyed before
     * that was read it leaks the client. So let its watches, which have a higher priority, go
     * first. */
    if (!viewer->closed && viewer->closed_id == 0) {
        viewer->closed_id = sc_loop_add_idle(G_PRIORITY_HIGH_IDLE, on_closed, viewer, NULL);
    }
}

static gboolean on_news(gpointer data);
static void choose_codec(ScViewer *viewer);

static void add_news(ScViewer *viewer, News news)
{
    viewer->news |= news;
    if (viewer->news_id == 0) {
        viewer->news_id = sc_loop_add_idle(G_PRIORITY_DEFAULT, on_news, viewer, NULL);
    }
}

static gboolean on_news(gpointer data)
{
    ScViewer *viewer = data;
    News news = viewer->news;

    viewer->news = 0;
    viewer->news_id = 0;
    if (viewer->closed) {
        return G_SOURCE_REMOVE;
    }
    if (news & NEWS_JOINED) {
        /* The rest later, if we live on. */
        add_news(viewer, news & ~NEWS_JOINED);
        viewer->listener.joined(viewer, viewer->data);
        return G_SOURCE_REMOVE;
    }
    if ((news & NEWS_CURSOR) && viewer->has_cursor_position) {
        sc_viewer_set_cursor_position(viewer, viewer->cursor_x, viewer->cursor_y);
    }
    if ((news & NEWS_WANTS_GREETING) && !viewer->ready &&
        !viewer->listener.wants_greeting(viewer, viewer->data)) {
        choose_codec(viewer);
    }
    if ((news & NEWS_READY) && viewer->ready) {
        viewer->listener.ready(viewer, viewer->codec, viewer->data);
    }
    if ((news & NEWS_WANTS_KEY) && sc_outbox_needs_key(viewer->outbox)) {
        viewer->listener.wants_key(viewer, viewer->data);
    }
    if ((news & NEWS_HAS_ROOM) && viewer->ready && !sc_outbox_is_congested(viewer->outbox)) {
        viewer->listener.has_room(viewer, viewer->data);
    }
    return G_SOURCE_REMOVE;
}

static void on_wants_key(gpointer data)
{
    add_news(data, NEWS_WANTS_KEY);
}

static void on_has_room(gpointer data)
{
    add_news(data, NEWS_HAS_ROOM);
}

static void on_stalled(gpointer data)
{
    ScViewer *viewer = data;

    g_message("viewer %s: has read nothing for too long", sc_viewer_get_peer(viewer));
    tell_closed(viewer);
}

/* For all but MJPEG, spice-gtk makes a decoder of GStreamer's when the stream begins, which takes
 * it tenths of a second. What MJPEG has drawn stays meanwhile: it is all one surface. */
static gboolean needs_greeting(const ScViewer *viewer, guint usable)
{
    return !viewer->greeted && (usable & 1u << SC_CODEC_MJPEG) != 0 &&
           usable != 1u << SC_CODEC_MJPEG;
}

static void choose_codec(ScViewer *viewer)
{
    guint usable = viewer->client_codecs & viewer->codecs;

    viewer->ready = FALSE;
    if (needs_greeting(viewer, usable)) {
        viewer->greeted = TRUE;
        sc_outbox_await_greeting(viewer->outbox);
        add_news(viewer, NEWS_WANTS_GREETING);
        return;
    }
    if (usable != 0) {
        viewer->greeted = TRUE; /* what it shows already needs no greeting */
        viewer->ready = TRUE;
        viewer->codec = (ScCodec)g_bit_nth_lsf(usable, -1);
        sc_outbox_start(viewer->outbox, viewer->codec);
        add_news(viewer, NEWS_READY);
        return;
    }
    sc_outbox_stop(viewer->outbox);
    if (viewer->client_codecs == 0) {
        tell_closed(viewer);
    } else if (viewer->codecs != 0) {
        g_message("viewer %s: cannot show %s, which is all there is", sc_viewer_get_peer(viewer),
                  sc_codec_name((ScCodec)g_bit_nth_lsf(viewer->codecs, -1)));
        tell_closed(viewer);
    }
}

static void on_greeted(gpointer data)
{
    choose_codec(data);
}

static void on_codecs(guint codecs, gpointer data)
{
    ScViewer *viewer = data;

    viewer->client_codecs = codecs;
    viewer->greeted = FALSE;
    choose_codec(viewer);
}

void sc_viewer_set_codecs(ScViewer *viewer, guint codecs)
{
    gboolean has_changed = codecs != viewer->codecs;

    viewer->codecs = codecs;
    if (has_changed && viewer->client_codecs != 0) {
        choose_codec(viewer);
    }
}

static void on_taken(ScPacket *packet, gpointer data)
{
    sc_outbox_note_taken(((ScViewer *)data)->outbox, packet);
}

static void on_delivered(gpointer data)
{
    sc_outbox_note_delivered(((ScViewer *)data)->outbox);
}

static void on_key(guint scancode, gboolean pressed, gpointer data)
{
    ScViewer *viewer = data;

    if (!viewer->closed) {
        viewer->listener.key(viewer, scancode, pressed, viewer->data);
    }
}

static void on_motion(int dx, int dy, gpointer data)
{
    ScViewer *viewer = data;

    if (!viewer->closed) {
        viewer->listener.motion(viewer, dx, dy, viewer->data);
    }
}

static void on_position(guint x, guint y, gpointer data)
{
    ScViewer *viewer = data;

    if (!viewer->closed) {
        viewer->listener.position(viewer, x, y, viewer->data);
    }
}

static void on_button(ScButton button, gboolean pressed, gpointer data)
{
    ScViewer *viewer = data;

    if (!viewer->closed) {
        viewer->listener.button(viewer, button, pressed, viewer->data);
    }
}

static void on_wheel(int steps, gpointer data)
{
    ScViewer *viewer = data;

    if (!viewer->closed) {
        viewer->listener.wheel(viewer, steps, viewer->data);
    }
}

static void on_size(guint width, guint height, gpointer data)
{
    ScViewer *viewer = data;

    if (!viewer->closed) {
        viewer->listener.size(viewer, width, height, viewer->data);
    }
}

static void on_linked(ScViewer *viewer, Connection *connection)
{
    const SpiceChannelEventInfo *info = connection->info;

    connection->linked = TRUE;
    if (info->type == SPICE_CHANNEL_MAIN) {
        viewer->connection_id = info->connection_id;
        sc_timer_cancel(viewer->handshake_timer);
        add_news(viewer, NEWS_JOINED);
    } else if (info->type == SPICE_CHANNEL_CURSOR) {
        add_news(viewer, NEWS_CURSOR);
    }
}

static void on_disconnected(ScViewer *viewer, guint index)
{
    const Connection *connection = &g_array_index(viewer->connections, Connection, index);
    gboolean was_main = connection->linked && connection->info->type == SPICE_CHANNEL_MAIN;

    g_hash_table_remove(owners, connection->info);
    g_array_remove_index_fast(viewer->connections, index);
    if (was_main || viewer->connections->len == 0) {
        tell_closed(viewer);
    }
}

static void on_channel_event(int event, SpiceChannelEventInfo *info)
{
    ScViewer *viewer = g_hash_table_lookup(owners, info);

    if (event == SPICE_CHANNEL_EVENT_CONNECTED && connecting != NULL) {
        Connection connection = { .info = info, .fd = connecting_fd };

        g_array_append_val(connecting->connections, connection);
        g_hash_table_insert(owners, info, connecting);
    }
    for (guint i = 0; viewer != NULL && i < viewer->connections->len; i++) {
        Connection *connection = &g_array_index(viewer->connections, Connection, i);

        if (connection->info != info) {
            continue;
        }
        if (event == SPICE_CHANNEL_EVENT_INITIALIZED) {
            on_linked(viewer, connection);
        } else if (event == SPICE_CHANNEL_EVENT_DISCONNECTED) {
            on_disconnected(viewer, i);
        }
        break;
    }
}

static void on_handshake_timeout(gpointer data)
{
    tell_closed(data);
}

static gboolean init_server(SpiceServer *server, GError **error)
{
    static SpiceCoreInterface core;

    if (owners == NULL) {
        owners = g_hash_table_new(NULL, NULL);
        sc_spice_core_init(&core, on_channel_event);
    }
    if (spice_server_init(server, &core) != 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED,
                    "libspice-server cannot be started; its log says why");
        return FALSE;
    }
    return TRUE;
}

/* libsasl keeps the name that it gets first (sasl_server_init()), and libspice-server gives it one
 * that ends with its server. So there is a first server that does not end. */
static gboolean set_up_sasl(SpiceServer *server, GError **error)
{
    static SpiceServer *first;

    spice_server_set_sasl_appname(server, SC_VIEWER_SASL_APP);
    if (spice_server_set_sasl(server, TRUE) != 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "this libspice-server was built without SASL");
        return FALSE;
    }
    if (first == NULL) {
        first = spice_server_new();
        return set_up_sasl(first, error) && init_server(first, error);
    }
    return TRUE;
}

static gboolean set_up_server(ScViewer *viewer, const ScViewerConfig *config, GError **error)
{
    if (config->sasl) {
        if (!set_up_sasl(viewer->server, error)) {
            return FALSE;
        }
    } else if (config->password == NULL) {
        spice_server_set_noauth(viewer->server);
    } else if (config->password[0] == '\0' ||
               spice_server_set_ticket(viewer->server, config->password,
                                       (int)config->password_seconds, FALSE, FALSE) != 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "the password has %zu bytes; SPICE allows 1 to %d", strlen(config->password),
                    SPICE_MAX_PASSWORD_LENGTH);
        return FALSE;
    }
    spice_server_set_name(viewer->server, config->name);
    spice_server_set_agent_copypaste(viewer->server, FALSE);
    spice_server_set_agent_file_xfer(viewer->server, FALSE);
    spice_server_set_agent_mouse(viewer->server, FALSE);
    return init_server(viewer->server, error);
}

static gboolean set_up_devices(ScViewer *viewer, GError **error)
{
    static const ScInputListener input_listener = {
        .key = on_key,
        .motion = on_motion,
        .position = on_position,
        .button = on_button,
        .wheel = on_wheel,
        .size = on_size,
    };
    static const ScStreamDeviceListener device_listener = {
        .codecs = on_codecs,
        .taken = on_taken,
        .delivered = on_delivered,
    };
    static const ScOutboxListener outbox_listener = {
        .wants_key = on_wants_key,
        .has_room = on_has_room,
        .greeted = on_greeted,
        .stalled = on_stalled,
    };

    if (!sc_client_mouse_allow(viewer->server, error)) {
        return FALSE;
    }
    viewer->input = sc_viewer_input_new(viewer->server, &input_listener, viewer, error);
    if (viewer->input == NULL) {
        return FALSE;
    }
    viewer->device = sc_stream_device_new(viewer->server, &device_listener, viewer, error);
    if (viewer->device == NULL) {
        return FALSE;
    }
    viewer->outbox = sc_outbox_new(viewer->device, &outbox_listener, viewer);
    return TRUE;
}

ScViewer *sc_viewer_new(const ScViewerConfig *config, const ScViewerListener *listener,
                        gpointer data, GError **error)
{
    g_autoptr(ScViewer) viewer = g_new0(ScViewer, 1);

    viewer->listener = *listener;
    viewer->data = data;
    viewer->codecs = 1u << SC_CODEC_H264 | 1u << SC_CODEC_MJPEG;
    viewer->connections = g_array_new(FALSE, FALSE, sizeof(Connection));
    viewer->handshake_timer = sc_timer_new(on_handshake_timeout, viewer);
    viewer->server = spice_server_new();
    if (!set_up_server(viewer, config, error) || !set_up_devices(viewer, error)) {
        return NULL;
    }
    sc_stream_device_open(viewer->device);
    sc_stream_device_send_cursor(viewer->device, NULL);
    sc_timer_set_after(viewer->handshake_timer, HANDSHAKE_TIMEOUT);
    return g_steal_pointer(&viewer);
}

/* libspice-server forgets these when it is destroyed and would trip over them later. */
static void end_handshakes(ScViewer *viewer)
{
    for (guint i = viewer->connections->len; i > 0; i--) {
        const Connection *connection = &g_array_index(viewer->connections, Connection, i - 1);

        if (!connection->linked) {
            shutdown(connection->fd, SHUT_RDWR);
            sc_spice_core_poke(connection->fd);
        }
    }
}

void sc_viewer_free(ScViewer *viewer)
{
    if (viewer == NULL) {
        return;
    }
    viewer->closed = TRUE;
    end_handshakes(viewer);
    spice_server_destroy(viewer->server);
    sc_outbox_free(viewer->outbox);
    sc_stream_device_free(viewer->device);
    sc_viewer_input_free(viewer->input);

    g_clear_handle_id(&viewer->news_id, sc_loop_remove);
    g_clear_handle_id(&viewer->closed_id, sc_loop_remove);
    sc_timer_free(viewer->handshake_timer);
    g_array_unref(viewer->connections);
    g_free(viewer->peer);
    g_free(viewer);
}

gboolean sc_viewer_add_connection(ScViewer *viewer, int fd, const char *peer, GError **error)
{
    int result;

    if (viewer->peer == NULL) {
        viewer->peer = g_strdup(peer);
    }
    if (viewer->closed || viewer->connections->len >= MAX_CONNECTIONS) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "viewer %s may have no further connection: it has %u", viewer->peer,
                    viewer->connections->len);
        close(fd);
        return FALSE;
    }
    connecting = viewer;
    connecting_fd = fd;
    result = spice_server_add_client(viewer->server, fd, FALSE);
    connecting = NULL;
    if (result != 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED,
                    "libspice-server refuses a connection of viewer %s; its log says why",
                    viewer->peer);
        close(fd);
        return FALSE;
    }
    return TRUE;
}

guint32 sc_viewer_get_connection_id(const ScViewer *viewer)
{
    return viewer->connection_id;
}

const char *sc_viewer_get_peer(const ScViewer *viewer)
{
    return viewer->peer != NULL ? viewer->peer : "unknown";
}

gboolean sc_viewer_is_congested(const ScViewer *viewer)
{
    return sc_outbox_is_congested(viewer->outbox);
}

gboolean sc_viewer_is_current(const ScViewer *viewer)
{
    return sc_outbox_is_current(viewer->outbox);
}

void sc_viewer_send(ScViewer *viewer, ScPacket *packet)
{
    sc_outbox_send(viewer->outbox, packet);
}

void sc_viewer_greet(ScViewer *viewer, ScPacket *packet)
{
    sc_outbox_greet(viewer->outbox, packet);
}

void sc_viewer_set_cursor(ScViewer *viewer, ScCursor *cursor)
{
    sc_stream_device_send_cursor(viewer->device, cursor);
}

void sc_viewer_set_cursor_position(ScViewer *viewer, int x, int y)
{
    viewer->cursor_x = x;
    viewer->cursor_y = y;
    viewer->has_cursor_position = TRUE;
    /* Where clients say where the pointer is they know it already. */
    if (viewer->pointer_mode == SC_POINTER_RELATIVE) {
        sc_stream_device_send_cursor_position(viewer->device, x, y);
    }
}

void sc_viewer_set_pointer_mode(ScViewer *viewer, ScPointerMode mode)
{
    viewer->pointer_mode = mode;
    spice_server_set_agent_mouse(viewer->server, mode == SC_POINTER_ABSOLUTE);
    if (viewer->has_cursor_position) {
        sc_viewer_set_cursor_position(viewer, viewer->cursor_x, viewer->cursor_y);
    }
}

void sc_viewer_set_leds(ScViewer *viewer, ScLeds leds)
{
    sc_viewer_input_set_leds(viewer->input, leds);
}

void sc_viewer_get_counts(const ScViewer *viewer, ScOutboxCounts *counts)
{
    sc_outbox_get_counts(viewer->outbox, counts);
}
