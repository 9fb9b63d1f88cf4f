/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A simulated stream whose bit rate server/rate.c decides: a source, an encoder, and the networks
 * of its viewers, a millisecond at a time. The same numbers each time.
 *
 * Thread: any, one at a time.
 * Units:  kbit/s, bytes, microseconds, pictures a second.
 */
#pragma once

#include "server/rate.h"

G_BEGIN_DECLS

#define MS 1000
#define CEILING 8000
#define MAX_FPS 30

/* What waits between the library and the network, and what may wait before it: see server/viewer.c
 * and server/listener.c. */
#define SOCKET_BYTES 32768
#define ENOUGH_PACKETS 2
#define MAX_PACKETS 8

#define MAX_VIEWERS 16

typedef struct {
    guint size;
    gint64 sent_at;
    gboolean is_key;
} Packet;

/* A viewer and the network to it. */
typedef struct {
    guint kbit;
    guint64 id;
    double in_socket, credit;    /* bytes */
    Packet packets[MAX_PACKETS]; /* the first is being written */
    guint n_packets;
    double written; /* of the first */
    gint64 first_since;
    gboolean needs_key, key_asked;

    guint64 delivered, bytes;
    gint64 service, delay;
    guint64 dropped, shown;
} Sink;

typedef struct {
    ScRate *rate;
    GRand *noise;
    gint64 now;
    guint fps;          /* of the source; 0: idle */
    guint content_kbit; /* what its pictures need; the rate limits it */
    gboolean pauses;    /* the source, while nobody has room */
    double generosity;  /* of the encoder: it makes so much more than it should */
    double piece;       /* bytes in which the network takes from the socket */
    Sink sinks[MAX_VIEWERS];
    guint n_sinks;
    gint64 next_picture;
    gboolean unseen, wants_key, was_closed;
    guint64 offered, encoded;
    gboolean is_lazy; /* the encoder: it comes to a new rate by and by */
    double made_kbit;
    guint kbit, lowest, highest; /* the rate, and its extremes since they were last reset */
    guint n_down, n_up;
    gboolean is_far_below[MAX_VIEWERS];
} World;

/* With @n_sinks viewers whose networks carry far more than the ceiling. The caller owns @world's
 * memory and changes its members between runs as it likes; world_clear() ends it. */
void world_init(World *world, guint n_sinks);
void world_clear(World *world);

/* One more viewer, at most MAX_VIEWERS. */
void world_add_sink(World *world, guint kbit);

/* Lets so many seconds pass; resets the extremes of the rate and the counts of its steps first. */
void world_run(World *world, double seconds);

G_END_DECLS
