/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/server/rate-world.h"

#include <string.h>

#define KEY_FACTOR 5 /* by which key frames are larger */

static gboolean is_congested(const Sink *sink)
{
    return sink->n_packets > ENOUGH_PACKETS || (sink->needs_key && !sink->key_asked);
}

static void lose(World *world, Sink *sink)
{
    sink->needs_key = TRUE;
    sink->key_asked = FALSE;
}

static void send_packet(World *world, Sink *sink, guint size, gboolean is_key)
{
    if (sink->needs_key && !is_key) {
        sink->dropped++;
    } else if (sink->n_packets == MAX_PACKETS) {
        sink->dropped++;
        lose(world, sink);
    } else {
        if (sink->n_packets == 0) {
            sink->first_since = world->now;
        }
        sink->packets[sink->n_packets++] = (Packet){ size, world->now, is_key };
        sink->needs_key = FALSE;
    }
}

static void update_rate(World *world, guint size, gboolean is_key)
{
    ScRateViewer viewers[MAX_VIEWERS];
    ScRateInput input = { .now = world->now,
                          .size = size,
                          .is_key = is_key,
                          .offered = world->offered,
                          .may_have_paused = world->was_closed,
                          .viewers = viewers,
                          .n_viewers = world->n_sinks };
    guint before = world->kbit;

    for (guint i = 0; i < world->n_sinks; i++) {
        const Sink *sink = &world->sinks[i];

        viewers[i] = (ScRateViewer){ .id = sink->id,
                                     .packets = sink->delivered,
                                     .bytes = sink->bytes,
                                     .service = sink->service,
                                     .delay = sink->delay,
                                     .waiting = sink->n_packets };
    }
    world->kbit = sc_rate_update(world->rate, &input);
    world->was_closed = FALSE;
    for (guint i = 0; i < world->n_sinks; i++) {
        world->is_far_below[i] = viewers[i].is_far_below;
    }
    world->n_down += world->kbit < before;
    world->n_up += world->kbit > before;
    world->lowest = MIN(world->lowest, world->kbit);
    world->highest = MAX(world->highest, world->kbit);
    g_assert_cmpuint(world->kbit, <=, CEILING);
    g_assert_cmpuint(world->kbit, >=, SC_RATE_FLOOR);
}

static void encode(World *world)
{
    double follows = world->is_lazy ? 0.1 : 1;
    gboolean is_key = world->wants_key;
    double size;

    world->made_kbit += (world->kbit - world->made_kbit) * follows;
    size = MIN(world->made_kbit, world->content_kbit) * 1000.0 / 8 / MAX_FPS *
           g_rand_double_range(world->noise, 0.8, 1.2) * (is_key ? KEY_FACTOR : 1) *
           world->generosity;

    world->unseen = FALSE;
    world->wants_key = FALSE;
    world->encoded++;
    for (guint i = 0; i < world->n_sinks; i++) {
        send_packet(world, &world->sinks[i], (guint)size, is_key);
    }
    update_rate(world, (guint)size, is_key);
}

/* One millisecond of a network. */
static void run_sink(World *world, Sink *sink)
{
    double room;

    sink->credit = MIN(sink->credit, world->piece) + sink->kbit / 8.0;
    if (sink->credit >= MIN(sink->in_socket, world->piece)) {
        double taken = MIN(sink->in_socket, sink->credit);

        sink->in_socket -= taken;
        sink->credit -= taken;
    }
    while (sink->n_packets > 0 && (room = SOCKET_BYTES - sink->in_socket) > 0) {
        Packet *packet = &sink->packets[0];
        double size = MIN(room, packet->size - sink->written);

        sink->written += size;
        sink->in_socket += size;
        if (sink->written < packet->size) {
            break;
        }
        sink->delivered++;
        sink->shown++;
        sink->bytes += packet->size;
        sink->service += MIN(world->now - sink->first_since, SC_RATE_STALL);
        sink->delay += MIN(world->now - packet->sent_at, SC_RATE_STALL);
        memmove(packet, packet + 1, --sink->n_packets * sizeof *packet);
        sink->first_since = world->now;
        sink->written = 0;
    }
    if (sink->needs_key && !sink->key_asked && sink->n_packets == 0) {
        sink->key_asked = TRUE;
        world->wants_key = TRUE;
        world->unseen = TRUE;
    }
}

static void run_millisecond(World *world)
{
    gboolean is_open = FALSE;

    world->now += MS;
    for (guint i = 0; i < world->n_sinks; i++) {
        run_sink(world, &world->sinks[i]);
        is_open |= !is_congested(&world->sinks[i]);
    }
    world->was_closed |= !is_open;
    if (world->fps > 0 && world->now >= world->next_picture && (is_open || !world->pauses)) {
        world->next_picture = MAX(world->next_picture + G_USEC_PER_SEC / world->fps, world->now);
        world->offered++;
        world->unseen = TRUE;
    }
    if (is_open && world->unseen) {
        encode(world);
    }
}

void world_add_sink(World *world, guint kbit)
{
    static guint64 last_id;
    Sink *sink = &world->sinks[world->n_sinks++];

    *sink = (Sink){ .kbit = kbit, .id = ++last_id, .needs_key = TRUE };
}

void world_init(World *world, guint n_sinks)
{
    *world = (World){ .rate = sc_rate_new(CEILING, MAX_FPS),
                      .noise = g_rand_new_with_seed(1),
                      .now = 1000000000,
                      .fps = MAX_FPS,
                      .content_kbit = G_MAXUINT,
                      .generosity = 1,
                      .made_kbit = CEILING,
                      .kbit = CEILING };
    for (guint i = 0; i < n_sinks; i++) {
        world_add_sink(world, 100000);
    }
}

void world_clear(World *world)
{
    sc_rate_free(world->rate);
    g_rand_free(world->noise);
}

void world_run(World *world, double seconds)
{
    gint64 end = world->now + (gint64)(seconds * G_USEC_PER_SEC);

    world->lowest = G_MAXUINT;
    world->highest = world->n_down = world->n_up = 0;
    while (world->now < end) {
        run_millisecond(world);
    }
}
