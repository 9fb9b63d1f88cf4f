/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An outbox: the coded pictures on their way to one client, a bounded queue in front of its stream
 * device. A client that reads too slowly loses packets up to the next key frame, which is asked for
 * as soon as it has caught up, but not more often than once a second.
 *
 * Thread: the owner thread. The listener may be called from inside a function of this header and
 *         from inside libspice-server: call neither.
 */
#pragma once

#include "encoder/packet.h"
#include "server/stream-device.h"

G_BEGIN_DECLS

typedef struct ScOutbox ScOutbox;

/* All members are mandatory. */
typedef struct {
    /* The client cannot go on without a key frame. Not asked again before it got one. */
    void (*wants_key)(gpointer data);

    /* Was congested and is no longer. After wants_key if that is due too. */
    void (*has_room)(gpointer data);

    /* The client has seen the picture of sc_outbox_greet(), or none has come:
     * sc_outbox_start() is due. */
    void (*greeted)(gpointer data);

    /* The client has taken nothing for a minute though something waits. */
    void (*stalled)(gpointer data);
} ScOutboxListener;

/* @device must outlive the outbox; @listener is copied. */
ScOutbox *sc_outbox_new(ScStreamDevice *device, const ScOutboxListener *listener, gpointer data);
void sc_outbox_free(ScOutbox *outbox); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScOutbox, sc_outbox_free)

/* There is a client that wants @codec: begins anew, without what waited. wants_key follows. */
void sc_outbox_start(ScOutbox *outbox, ScCodec codec);

/* There is a client that shall see the current picture before it can show what it will watch:
 * begins anew, for sc_outbox_greet(). greeted follows unless something else begins: when the client
 * has had time to show that (it must be in the client's socket for that, so what comes next waits
 * as long as the network takes for one such picture), or after 250 ms without one. */
void sc_outbox_await_greeting(ScOutbox *outbox);

/* Queues @packet, of MJPEG (its own reference), if it is awaited. */
void sc_outbox_greet(ScOutbox *outbox, ScPacket *packet);

/* It is gone. At first there is none either. */
void sc_outbox_stop(ScOutbox *outbox);

/* Queues @packet (its own reference) or drops it. */
void sc_outbox_send(ScOutbox *outbox, ScPacket *packet);

/* The device's listener: to be called from there. */
void sc_outbox_note_taken(ScOutbox *outbox, ScPacket *packet);
void sc_outbox_note_delivered(ScOutbox *outbox);

/* The client waits for no key frame, and what is sent now is queued. */
gboolean sc_outbox_is_current(const ScOutbox *outbox);
gboolean sc_outbox_needs_key(const ScOutbox *outbox);

/* There is enough to keep the client busy, or it cannot go on without a key frame and is not yet
 * through with what came before. */
gboolean sc_outbox_is_congested(const ScOutbox *outbox);

typedef struct {
    guint64 packets, bytes, key_frames; /* given to the library */
    guint64 dropped;
    guint queued; /* now */
    ScStreamDeviceFlow flow;
} ScOutboxCounts;

void sc_outbox_get_counts(const ScOutbox *outbox, ScOutboxCounts *counts);

G_END_DECLS
