/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/stream-device.h"

#include "capture/error.h"
#include "capture/loop.h"
#include "server/rate.h"
#include "server/spice-compat.h"

#include <spice/enums.h>
#include <spice/protocol.h>
#include <spice/stream-device.h>
#include <string.h>

/* StreamDevice::partial_read (red-stream-device.cpp) refuses data messages above this size. */
#define MAX_DATA_SIZE (32 * 1024 * 1024)

/* Longest message to us that has a meaning: START_STOP with its one-byte count of codecs, or the
 * text of NOTIFY_ERROR. */
#define MAX_IN_SIZE (sizeof(StreamDevHeader) + 1024)

/* The largest fixed part that we put in front of pixels or coded data. */
#define MAX_HEAD_SIZE (sizeof(StreamDevHeader) + sizeof(StreamMsgCursorSet))

G_STATIC_ASSERT(sizeof(StreamMsgFormat) <= sizeof(StreamMsgCursorSet));
G_STATIC_ASSERT(sizeof(StreamMsgCursorMove) <= sizeof(StreamMsgCursorSet));

/* A packet and when it was sent. */
typedef struct {
    ScPacket *packet;
    gint64 time;
} Item;

/* A message on its way to the library, in pieces: nothing is copied together. */
typedef struct {
    StreamMsgType type; /* STREAM_TYPE_INVALID: none */
    guint8 head[MAX_HEAD_SIZE];
    gsize head_size;
    GBytes *body, *tail; /* NULL where there is none */
    gsize size, position;
    Item *item; /* STREAM_TYPE_DATA with a packet */
} Message;

struct ScStreamDevice {
    SpiceCharDeviceInstance instance;
    ScStreamDeviceListener listener;
    gpointer data;

    Message message;
    GQueue items;        /* of Item */
    gsize queued_bytes;  /* of the packets and of the one in the message */
    gboolean intro_due;  /* the format is H.264, and nothing was sent in it */
    Item *given;         /* the library has it and has not come for more; NULL: none */
    gint64 delivered_at; /* the packet before */
    ScStreamDeviceFlow flow;

    gboolean has_format; /* the display was told the following */
    ScPacketInfo format; /* codec, width and height only */
    gboolean is_first;   /* no packet was sent since */

    ScCursor *cursor; /* NULL: hidden */
    gboolean cursor_changed;
    int x, y;
    gboolean has_position, position_changed;

    gboolean is_waking; /* the library reads because we asked it to */
    guint wake_id;      /* we shall */

    /* From the library. */
    guint8 in[MAX_IN_SIZE];
    gsize in_size;
    gsize in_skip;   /* bytes of a message that is too long */
    guint codecs;    /* of the last START_STOP */
    guint answer_id; /* pending answer to it; nothing is read until then */
};

static gsize item_get_size(const Item *item)
{
    return g_bytes_get_size(sc_packet_get_data(item->packet));
}

static void item_free(gpointer data)
{
    Item *item = data;

    sc_packet_unref(item->packet);
    g_free(item);
}

static guint8 get_spice_codec(ScCodec codec)
{
    switch (codec) {
    case SC_CODEC_H264:
        return SPICE_VIDEO_CODEC_TYPE_H264;
    case SC_CODEC_MJPEG:
        return SPICE_VIDEO_CODEC_TYPE_MJPEG;
    case SC_CODEC_VP8:
        return SPICE_VIDEO_CODEC_TYPE_VP8;
    case SC_CODEC_VP9:
        return SPICE_VIDEO_CODEC_TYPE_VP9;
    case SC_CODEC_H265:
        return SPICE_VIDEO_CODEC_TYPE_H265;
    }
    g_return_val_if_reached(SPICE_VIDEO_CODEC_TYPE_MJPEG);
}

static gsize get_size(GBytes *bytes)
{
    return bytes != NULL ? g_bytes_get_size(bytes) : 0;
}

/* Takes @body and @tail. */
static void message_init(Message *message, StreamMsgType type, gconstpointer fixed,
                         gsize fixed_size, GBytes *body, GBytes *tail)
{
    gsize body_size = fixed_size + get_size(body) + get_size(tail);
    StreamDevHeader header = {
        .protocol_version = STREAM_DEVICE_PROTOCOL,
        .type = GUINT16_TO_LE(type),
        .size = GUINT32_TO_LE(body_size),
    };

    *message = (Message){ .type = type, .body = body, .tail = tail };
    memcpy(message->head, &header, sizeof header);
    if (fixed_size > 0) {
        memcpy(message->head + sizeof header, fixed, fixed_size);
    }
    message->head_size = sizeof header + fixed_size;
    message->size = sizeof header + body_size;
}

static void message_clear(Message *message)
{
    g_clear_pointer(&message->body, g_bytes_unref);
    g_clear_pointer(&message->tail, g_bytes_unref);
    g_clear_pointer(&message->item, item_free);
    message->type = STREAM_TYPE_INVALID;
}

/* Copies what follows, all that is asked for: libspice-server does not come back for a rest. */
static gsize message_copy(const Message *message, guint8 *buffer, gsize size)
{
    const struct {
        gconstpointer bytes;
        gsize size;
    } pieces[] = {
        { message->head, message->head_size },
        { message->body != NULL ? g_bytes_get_data(message->body, NULL) : NULL,
          get_size(message->body) },
        { message->tail != NULL ? g_bytes_get_data(message->tail, NULL) : NULL,
          get_size(message->tail) },
    };
    gsize skip = message->position;
    gsize copied = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(pieces) && copied < size; i++) {
        gsize from = MIN(skip, pieces[i].size);
        gsize n = MIN(size - copied, pieces[i].size - from);

        if (n > 0) {
            memcpy(buffer + copied, (const guint8 *)pieces[i].bytes + from, n);
        }
        copied += n;
        skip -= from;
    }
    return copied;
}

static void begin_cursor(ScStreamDevice *device)
{
    static const guint32 transparent;
    StreamMsgCursorSet set = { .width = 1, .height = 1, .type = SPICE_CURSOR_TYPE_ALPHA };
    const guint32 *argb = &transparent;
    guint32 *pixels;
    gsize n_pixels;

    /* Sizes fit: SC_CURSOR_MAX_SIZE is below STREAM_MSG_CURSOR_SET_MAX_WIDTH. */
    if (device->cursor != NULL) {
        set.width = sc_cursor_get_width(device->cursor);
        set.height = sc_cursor_get_height(device->cursor);
        set.hot_spot_x = sc_cursor_get_hot_x(device->cursor);
        set.hot_spot_y = sc_cursor_get_hot_y(device->cursor);
        argb = sc_cursor_get_argb(device->cursor);
    }
    n_pixels = (gsize)set.width * set.height;
    pixels = g_new(guint32, n_pixels);
    for (gsize i = 0; i < n_pixels; i++) {
        pixels[i] = GUINT32_TO_LE(argb[i]);
    }
    set.width = GUINT16_TO_LE(set.width);
    set.height = GUINT16_TO_LE(set.height);
    set.hot_spot_x = GUINT16_TO_LE(set.hot_spot_x);
    set.hot_spot_y = GUINT16_TO_LE(set.hot_spot_y);
    message_init(&device->message, STREAM_TYPE_CURSOR_SET, &set, sizeof set,
                 g_bytes_new_take(pixels, n_pixels * sizeof *pixels), NULL);
    device->cursor_changed = FALSE;
    device->position_changed = device->has_position;
}

static void begin_position(ScStreamDevice *device)
{
    /* Clients get 16 bits (Point16 in spice.proto), which would wrap. */
    StreamMsgCursorMove move = {
        .x = GINT32_TO_LE(CLAMP(device->x, G_MININT16, G_MAXINT16)),
        .y = GINT32_TO_LE(CLAMP(device->y, G_MININT16, G_MAXINT16)),
    };

    message_init(&device->message, STREAM_TYPE_CURSOR_MOVE, &move, sizeof move, NULL, NULL);
    device->position_changed = FALSE;
}

static void begin_format(ScStreamDevice *device, const ScPacketInfo *info)
{
    StreamMsgFormat format = {
        .width = GUINT32_TO_LE(info->width),
        .height = GUINT32_TO_LE(info->height),
        .codec = get_spice_codec(info->codec),
    };

    message_init(&device->message, STREAM_TYPE_FORMAT, &format, sizeof format, NULL, NULL);
    device->format = *info;
    device->has_format = TRUE;
    device->is_first = TRUE;
    device->intro_due = info->codec == SC_CODEC_H264;
}

static void begin_intro(ScStreamDevice *device)
{
    message_init(&device->message, STREAM_TYPE_DATA, NULL, 0,
                 g_bytes_ref(sc_spice_compat_get_h264_intro()), NULL);
    device->intro_due = FALSE;
}

/* What ends the message of a packet; NULL: nothing. */
static GBytes *get_tail(ScPacket *packet)
{
    return sc_packet_get_info(packet)->codec == SC_CODEC_H264 ? sc_spice_compat_get_h264_tail()
                                                              : NULL;
}

/* Takes @item. */
static void begin_data(ScStreamDevice *device, Item *item)
{
    GBytes *tail = get_tail(item->packet);

    message_init(&device->message, STREAM_TYPE_DATA, NULL, 0,
                 g_bytes_ref(sc_packet_get_data(item->packet)),
                 tail != NULL ? g_bytes_ref(tail) : NULL);
    device->message.item = item;
}

static gboolean has_message(const ScStreamDevice *device)
{
    return device->message.type != STREAM_TYPE_INVALID || device->cursor_changed ||
           device->position_changed || device->items.length > 0;
}

/* FALSE if there is nothing to send. */
static gboolean begin_message(ScStreamDevice *device)
{
    Item *item = g_queue_peek_head(&device->items);
    const ScPacketInfo *info;

    if (device->cursor_changed) {
        begin_cursor(device);
        return TRUE;
    }
    if (device->position_changed) {
        begin_position(device);
        return TRUE;
    }
    if (item == NULL) {
        return FALSE;
    }
    info = sc_packet_get_info(item->packet);
    if (!device->has_format || device->format.codec != info->codec ||
        device->format.width != info->width || device->format.height != info->height) {
        begin_format(device, info);
    } else if (device->intro_due) {
        begin_intro(device);
    } else {
        begin_data(device, g_queue_pop_head(&device->items));
    }
    return TRUE;
}

static void finish_message(ScStreamDevice *device)
{
    Item *item = g_steal_pointer(&device->message.item);

    message_clear(&device->message);
    if (item != NULL) {
        device->is_first = FALSE;
        device->queued_bytes -= item_get_size(item);
        device->given = item;
        device->listener.taken(item->packet, device->data);
    }
}

/* The library comes for more, so it has got rid of what it was given. */
static void note_delivered(ScStreamDevice *device)
{
    g_autofree Item *item = g_steal_pointer(&device->given);
    gint64 now, service;

    if (item == NULL) {
        return;
    }
    now = g_get_monotonic_time();
    service = now - MAX(item->time, device->delivered_at);
    device->flow.packets++;
    device->flow.bytes += item_get_size(item);
    device->flow.service += MIN(service, SC_RATE_STALL);
    device->flow.delay += MIN(now - item->time, SC_RATE_STALL);
    device->delivered_at = now;
    sc_packet_unref(item->packet);
    device->listener.delivered(device->data);
}

/* Tells the library that there is something to read. */
static void wake_up(ScStreamDevice *device)
{
    device->is_waking = TRUE;
    spice_server_char_device_wakeup(&device->instance);
    device->is_waking = FALSE;
    sc_spice_compat_end_stamp();
}

static gboolean on_wake(gpointer data)
{
    ScStreamDevice *device = data;

    device->wake_id = 0;
    wake_up(device);
    return G_SOURCE_REMOVE;
}

/*
 * The library reads of its own accord when its queue has become empty, also because it is throwing
 * that queue away with a client: what it got then would go into a list that it is just clearing
 * (RedChannelClient::disconnect, StreamDataItem::~StreamDataItem). So it gets nothing before the
 * main loop has come round.
 */
static gboolean may_read(ScStreamDevice *device)
{
    if (!device->is_waking && has_message(device) && device->wake_id == 0) {
        device->wake_id = sc_loop_add_idle(G_PRIORITY_HIGH, on_wake, device, NULL);
    }
    return device->is_waking && device->answer_id == 0;
}

static int device_read(SpiceCharDeviceInstance *instance, uint8_t *buffer, int size)
{
    ScStreamDevice *device = SPICE_CONTAINEROF(instance, ScStreamDevice, instance);
    Message *message = &device->message;
    gsize copied;

    sc_spice_compat_end_stamp();
    if (message->type == STREAM_TYPE_INVALID) {
        note_delivered(device);
    }
    if (size <= 0 || !may_read(device) ||
        (message->type == STREAM_TYPE_INVALID && !begin_message(device))) {
        return 0;
    }
    copied = message_copy(message, buffer, size);
    message->position += copied;
    if (message->position == message->size) {
        finish_message(device);
    } else if (message->type == STREAM_TYPE_DATA && message->position == message->head_size) {
        sc_spice_compat_begin_stamp(device->format.codec, device->is_first);
    }
    return copied;
}

static gboolean answer(gpointer data)
{
    ScStreamDevice *device = data;

    device->answer_id = 0;
    device->has_format = FALSE;
    device->listener.codecs(device->codecs, device->data);
    wake_up(device);
    return G_SOURCE_REMOVE;
}

static void handle_start_stop(ScStreamDevice *device, const guint8 *body, gsize size)
{
    if (size < 1 || size - 1 < body[0]) {
        g_warning("START_STOP of libspice-server is too short; ignored");
        return;
    }
    device->codecs = 0;
    for (guint i = 1; i <= body[0]; i++) {
        for (ScCodec codec = 0; codec < SC_N_CODECS; codec++) {
            if (body[i] == get_spice_codec(codec)) {
                device->codecs |= 1u << codec;
            }
        }
    }
    if (device->answer_id == 0) {
        device->answer_id = sc_loop_add_idle(G_PRIORITY_DEFAULT, answer, device, NULL);
    }
}

static void handle_in(ScStreamDevice *device, guint type, const guint8 *body, gsize size)
{
    const gsize code_size = sizeof(StreamMsgNotifyError);

    switch (type) {
    case STREAM_TYPE_START_STOP:
        handle_start_stop(device, body, size);
        break;
    case STREAM_TYPE_NOTIFY_ERROR:
        g_critical("libspice-server did not understand us: %.*s",
                   (int)(size > code_size ? size - code_size : 0),
                   (const char *)body + MIN(size, code_size));
        break;
    default: /* capabilities, of which none concerns us */
        break;
    }
}

/* Adds to what has come of a message; returns how much of @bytes was used. */
static gsize collect_in(ScStreamDevice *device, const guint8 *bytes, gsize size)
{
    const gsize header_size = sizeof(StreamDevHeader);
    StreamDevHeader header;
    gsize wanted = header_size;
    gsize used;

    if (device->in_skip > 0) {
        used = MIN(size, device->in_skip);
        device->in_skip -= used;
        return used;
    }
    if (device->in_size >= header_size) {
        memcpy(&header, device->in, header_size);
        wanted += GUINT32_FROM_LE(header.size);
    }
    used = MIN(size, wanted - device->in_size);
    memcpy(device->in + device->in_size, bytes, used);
    device->in_size += used;
    if (device->in_size < header_size) {
        return used;
    }
    memcpy(&header, device->in, header_size);
    if (GUINT32_FROM_LE(header.size) > sizeof device->in - header_size) {
        device->in_skip = GUINT32_FROM_LE(header.size);
        device->in_size = 0;
    } else if (device->in_size == header_size + GUINT32_FROM_LE(header.size)) {
        device->in_size = 0;
        handle_in(device, GUINT16_FROM_LE(header.type), device->in + header_size,
                  GUINT32_FROM_LE(header.size));
    }
    return used;
}

static int device_write(SpiceCharDeviceInstance *instance, const uint8_t *bytes, int size)
{
    ScStreamDevice *device = SPICE_CONTAINEROF(instance, ScStreamDevice, instance);
    int used = 0;

    while (used < size) {
        used += collect_in(device, bytes + used, size - used);
    }
    return size;
}

static void device_set_state(SpiceCharDeviceInstance *instance, int connected)
{
}

static const SpiceCharDeviceInterface device_interface = {
    .base = { SPICE_INTERFACE_CHAR_DEVICE, "scancast", SPICE_INTERFACE_CHAR_DEVICE_MAJOR,
              SPICE_INTERFACE_CHAR_DEVICE_MINOR },
    .state = device_set_state,
    .write = device_write,
    .read = device_read,
};

ScStreamDevice *sc_stream_device_new(SpiceServer *server, const ScStreamDeviceListener *listener,
                                     gpointer data, GError **error)
{
    ScStreamDevice *device = g_new0(ScStreamDevice, 1);

    device->listener = *listener;
    device->data = data;
    g_queue_init(&device->items);
    device->instance.base.sif = &device_interface.base;
    device->instance.subtype = "port";
    device->instance.portname = "org.spice-space.stream.0";
    if (spice_server_add_interface(server, &device->instance.base) != 0 ||
        device->instance.st == NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED,
                    "libspice-server refuses a stream device; its log says why");
        sc_stream_device_free(device);
        return NULL;
    }
    return device;
}

void sc_stream_device_free(ScStreamDevice *device)
{
    if (device == NULL) {
        return;
    }
    g_clear_handle_id(&device->answer_id, sc_loop_remove);
    g_clear_handle_id(&device->wake_id, sc_loop_remove);
    message_clear(&device->message);
    g_queue_clear_full(&device->items, item_free);
    g_clear_pointer(&device->given, item_free);
    sc_cursor_unref(device->cursor);
    g_free(device);
}

void sc_stream_device_open(ScStreamDevice *device)
{
    spice_server_port_event(&device->instance, SPICE_PORT_EVENT_OPENED);
    wake_up(device);
}

gboolean sc_stream_device_send_packet(ScStreamDevice *device, ScPacket *packet)
{
    gsize size = g_bytes_get_size(sc_packet_get_data(packet));
    Item *item;

    if (size == 0 || size > MAX_DATA_SIZE - get_size(get_tail(packet))) {
        g_warning("a packet of %zu bytes cannot be sent", size);
        return FALSE;
    }
    item = g_new(Item, 1);
    *item = (Item){ sc_packet_ref(packet), g_get_monotonic_time() };
    g_queue_push_tail(&device->items, item);
    device->queued_bytes += size;
    wake_up(device);
    return TRUE;
}

void sc_stream_device_send_cursor(ScStreamDevice *device, ScCursor *cursor)
{
    ScCursor *old = device->cursor;

    device->cursor = cursor != NULL ? sc_cursor_ref(cursor) : NULL;
    sc_cursor_unref(old);
    device->cursor_changed = TRUE;
    wake_up(device);
}

void sc_stream_device_send_cursor_position(ScStreamDevice *device, int x, int y)
{
    device->x = x;
    device->y = y;
    device->has_position = TRUE;
    device->position_changed = TRUE;
    wake_up(device);
}

guint sc_stream_device_get_queued(const ScStreamDevice *device, gsize *bytes)
{
    if (bytes != NULL) {
        *bytes = device->queued_bytes;
    }
    return device->items.length + (device->message.item != NULL);
}

static const Item *get_oldest(const ScStreamDevice *device)
{
    if (device->given != NULL) {
        return device->given;
    }
    return device->message.item != NULL ? device->message.item
                                        : g_queue_peek_head((GQueue *)&device->items);
}

void sc_stream_device_get_flow(const ScStreamDevice *device, ScStreamDeviceFlow *flow)
{
    const Item *oldest = get_oldest(device);

    *flow = device->flow;
    flow->waiting = sc_stream_device_get_queued(device, NULL) + (device->given != NULL);
    flow->age = oldest != NULL ? g_get_monotonic_time() - oldest->time : 0;
}

guint sc_stream_device_clear(ScStreamDevice *device)
{
    guint cleared = device->items.length;
    Item *item;

    while ((item = g_queue_pop_head(&device->items)) != NULL) {
        device->queued_bytes -= item_get_size(item);
        item_free(item);
    }
    return cleared;
}
