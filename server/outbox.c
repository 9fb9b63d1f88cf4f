/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/outbox.h"

#include "capture/timer.h"

/* Packets that may wait for a client before some are lost, which costs a key frame: enough for a
 * hiccup of the network. Above the limit of bytes, which allows for bursts of big pictures, one
 * packet still may wait, whatever its size. */
#define MAX_QUEUED_PACKETS 8
#define MAX_QUEUED_BYTES (8 * 1024 * 1024)

/* Enough to keep a client busy: libspice-server and the socket hold some more, and what waits is
 * delay. Whoever encodes for this client only does better to wait for newer pictures. */
#define ENOUGH_QUEUED_PACKETS 2

/* A client that takes nothing for so long while something waits for it is as good as gone.
 * libspice-server gives up on one whose main channel does not answer its pings after 30 to 60 s
 * (CLIENT_CONNECTIVITY_TIMEOUT in main-channel-client.cpp); of other channels it expects nothing.
 */
#define STALL_TIMEOUT (60 * G_TIME_SPAN_SECOND)

/* Between key frames for a client that loses packets again and again: others get them, too, and pay
 * with their bandwidth. */
#define KEY_INTERVAL (1 * G_TIME_SPAN_SECOND)

/* spice-gtk throws away an MJPEG picture that it gets to late, be it because the one before took
 * long to decode (mjpeg_decoder_schedule), and with it the last one before the guest goes idle.
 * So that one is sent once more, when the client must have dealt with all others. */
#define REPEAT_DELAY (G_TIME_SPAN_SECOND / 2)

/* Of the picture that greets a client. How long to wait for it: encoding may fail. It is no use
 * once H.264 would be shown as soon, and usually there before it is awaited. */
#define GREETING_TIMEOUT (G_TIME_SPAN_SECOND / 4)

/* From when it is in the client's socket until the client has shown it, which the end of its
 * stream would prevent: spice-gtk does that 30 ms after the picture was sent (MARGIN_MJPEG_FIRST in
 * server/spice-compat.c), the rest is for clients that are busy starting. */
#define GREETING_SHOWN (60 * G_TIME_SPAN_MILLISECOND)

struct ScOutbox {
    ScOutboxListener listener;
    gpointer data;
    ScStreamDevice *device;

    gboolean started;
    ScCodec codec;
    gboolean needs_key; /* packets are dropped up to the next key frame */
    gboolean key_asked;
    gint64 key_time; /* when the last one was queued; 0: never */
    ScTimer *key_timer;
    gboolean was_congested; /* has_room is due when it no longer is */

    gint64 taken_time; /* when the client took a packet, or could begin to */
    ScTimer *stall_timer;

    ScPacket *repeat; /* SC_CODEC_MJPEG: the last picture, until it was sent twice */
    ScTimer *repeat_timer;

    gboolean awaits_greeting; /* nothing else is sent; or: */
    gboolean greeting_sent;
    ScTimer *greeting_timer;
    gint64 greeting_time; /* when its picture was taken; 0: there was none */

    guint64 packets, bytes, key_frames, dropped;
};

static guint get_queued(const ScOutbox *outbox)
{
    return sc_stream_device_get_queued(outbox->device, NULL);
}

/* Once the client is through with what came before. */
static void ask_for_key(ScOutbox *outbox)
{
    gint64 due = outbox->key_time + KEY_INTERVAL;

    if (!outbox->needs_key || outbox->key_asked || get_queued(outbox) > 0) {
        return;
    }
    if (outbox->key_time > 0 && g_get_monotonic_time() < due) {
        sc_timer_set_at(outbox->key_timer, due);
        return;
    }
    outbox->key_asked = TRUE;
    outbox->listener.wants_key(outbox->data);
}

static void tell_room(ScOutbox *outbox)
{
    if (outbox->was_congested && !sc_outbox_is_congested(outbox)) {
        outbox->was_congested = FALSE;
        outbox->listener.has_room(outbox->data);
    }
}

static void on_key_due(gpointer data)
{
    ask_for_key(data);
    tell_room(data);
}

static void lose_packets(ScOutbox *outbox)
{
    outbox->needs_key = TRUE;
    outbox->key_asked = FALSE;
    ask_for_key(outbox);
}

static void on_stall(gpointer data)
{
    ScOutbox *outbox = data;
    gint64 due = outbox->taken_time + STALL_TIMEOUT;

    if (get_queued(outbox) == 0) {
        return;
    }
    if (g_get_monotonic_time() < due) {
        sc_timer_set_at(outbox->stall_timer, due);
    } else {
        outbox->listener.stalled(outbox->data);
    }
}

/* Something waits for the client. */
static void watch_stall(ScOutbox *outbox)
{
    if (!sc_timer_is_set(outbox->stall_timer)) {
        outbox->taken_time = g_get_monotonic_time();
        sc_timer_set_after(outbox->stall_timer, STALL_TIMEOUT);
    }
}

static void set_repeat(ScOutbox *outbox, ScPacket *packet)
{
    g_clear_pointer(&outbox->repeat, sc_packet_unref);
    if (packet != NULL && outbox->codec == SC_CODEC_MJPEG) {
        outbox->repeat = sc_packet_ref(packet);
        sc_timer_set_after(outbox->repeat_timer, REPEAT_DELAY);
    }
}

static void on_repeat(gpointer data)
{
    ScOutbox *outbox = data;
    g_autoptr(ScPacket) packet = g_steal_pointer(&outbox->repeat);

    if (packet != NULL) {
        sc_stream_device_send_packet(outbox->device, packet);
    }
}

static void on_greeted(gpointer data)
{
    ScOutbox *outbox = data;

    outbox->listener.greeted(outbox->data);
}

ScOutbox *sc_outbox_new(ScStreamDevice *device, const ScOutboxListener *listener, gpointer data)
{
    ScOutbox *outbox = g_new0(ScOutbox, 1);

    outbox->device = device;
    outbox->listener = *listener;
    outbox->data = data;
    outbox->key_timer = sc_timer_new(on_key_due, outbox);
    outbox->stall_timer = sc_timer_new(on_stall, outbox);
    outbox->repeat_timer = sc_timer_new(on_repeat, outbox);
    outbox->greeting_timer = sc_timer_new(on_greeted, outbox);
    return outbox;
}

void sc_outbox_free(ScOutbox *outbox)
{
    if (outbox == NULL) {
        return;
    }
    sc_timer_free(outbox->key_timer);
    sc_timer_free(outbox->stall_timer);
    sc_timer_free(outbox->repeat_timer);
    sc_timer_free(outbox->greeting_timer);
    sc_packet_unref(outbox->repeat);
    g_free(outbox);
}

void sc_outbox_stop(ScOutbox *outbox)
{
    outbox->dropped += sc_stream_device_clear(outbox->device);
    set_repeat(outbox, NULL);
    sc_timer_cancel(outbox->key_timer);
    sc_timer_cancel(outbox->greeting_timer);
    outbox->awaits_greeting = FALSE;
    outbox->greeting_sent = FALSE;
    outbox->was_congested = FALSE;
    outbox->key_time = 0;
    outbox->started = FALSE;
}

void sc_outbox_start(ScOutbox *outbox, ScCodec codec)
{
    sc_outbox_stop(outbox);
    outbox->started = TRUE;
    outbox->codec = codec;
    lose_packets(outbox);
}

void sc_outbox_await_greeting(ScOutbox *outbox)
{
    sc_outbox_stop(outbox);
    outbox->awaits_greeting = TRUE;
    sc_timer_set_after(outbox->greeting_timer, GREETING_TIMEOUT);
}

void sc_outbox_greet(ScOutbox *outbox, ScPacket *packet)
{
    if (outbox->awaits_greeting && sc_stream_device_send_packet(outbox->device, packet)) {
        outbox->awaits_greeting = FALSE;
        outbox->greeting_sent = TRUE;
        outbox->greeting_time = sc_packet_get_info(packet)->capture_time;
        sc_timer_cancel(outbox->greeting_timer);
        watch_stall(outbox);
    }
}

void sc_outbox_note_delivered(ScOutbox *outbox)
{
    /* Once: what was on its way when the greeting began is none of it. */
    if (outbox->greeting_sent && get_queued(outbox) == 0) {
        sc_timer_set_after(outbox->greeting_timer, GREETING_SHOWN);
    }
}

void sc_outbox_note_taken(ScOutbox *outbox, ScPacket *packet)
{
    outbox->packets++;
    outbox->bytes += g_bytes_get_size(sc_packet_get_data(packet));
    outbox->key_frames += sc_packet_get_info(packet)->is_key;
    outbox->taken_time = g_get_monotonic_time();
    if (outbox->started) {
        ask_for_key(outbox);
        tell_room(outbox);
    }
}

static gboolean is_full(const ScOutbox *outbox)
{
    gsize bytes;
    guint packets = sc_stream_device_get_queued(outbox->device, &bytes);

    return packets >= MAX_QUEUED_PACKETS || (packets > 0 && bytes >= MAX_QUEUED_BYTES);
}

gboolean sc_outbox_is_congested(const ScOutbox *outbox)
{
    return !outbox->started || get_queued(outbox) >= ENOUGH_QUEUED_PACKETS || is_full(outbox) ||
           (outbox->needs_key && !outbox->key_asked);
}

gboolean sc_outbox_needs_key(const ScOutbox *outbox)
{
    return outbox->started && outbox->needs_key;
}

gboolean sc_outbox_is_current(const ScOutbox *outbox)
{
    return outbox->started && !outbox->needs_key && !is_full(outbox);
}

void sc_outbox_send(ScOutbox *outbox, ScPacket *packet)
{
    const ScPacketInfo *info = sc_packet_get_info(packet);

    if (!outbox->started || info->codec != outbox->codec || (outbox->needs_key && !info->is_key)) {
        outbox->dropped++;
        return;
    }
    if (info->capture_time < outbox->greeting_time) {
        /* Others' key frame, encoded for longer than the greeting was: not the one asked for. */
        outbox->dropped++;
        lose_packets(outbox);
        return;
    }
    if (!is_full(outbox) && sc_stream_device_send_packet(outbox->device, packet)) {
        outbox->needs_key = FALSE;
        if (info->is_key) {
            outbox->key_time = g_get_monotonic_time();
        }
        set_repeat(outbox, packet);
        watch_stall(outbox);
    } else {
        outbox->dropped++;
        if (!outbox->needs_key) {
            lose_packets(outbox);
        }
    }
    outbox->was_congested = sc_outbox_is_congested(outbox);
}

void sc_outbox_get_counts(const ScOutbox *outbox, ScOutboxCounts *counts)
{
    *counts = (ScOutboxCounts){
        .packets = outbox->packets,
        .bytes = outbox->bytes,
        .key_frames = outbox->key_frames,
        .dropped = outbox->dropped,
        .queued = get_queued(outbox),
    };
    sc_stream_device_get_flow(outbox->device, &counts->flow);
}
