/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Our end of libspice-server's stream device: a character device (subtype "port", name
 * "org.spice-space.stream.0") that carries the messages of <spice/stream-device.h>.
 *
 * libspice-server fetches a message when its own queue towards the client is empty; until then
 * packets wait here, shared with everybody else who sends them. The pointer overtakes them: of its
 * shape and position only the newest waits.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/cursor.h"
#include "encoder/packet.h"
#include <spice.h>

G_BEGIN_DECLS

typedef struct ScStreamDevice ScStreamDevice;

/* All members are mandatory. */
typedef struct {
    /* The client's display connected (@codecs: bits 1 << ScCodec it can decode; what
     * libspice-server offers and ScCodec has not is left out) or went away (0). Called from the
     * main loop, never from inside libspice-server, which cannot stand an answer there. */
    void (*codecs)(guint codecs, gpointer data);

    /* The library has taken all of @packet. Called from inside libspice-server, possibly from
     * inside a function of this header: call neither. */
    void (*taken)(ScPacket *packet, gpointer data);

    /* It has got rid of it: what was taken last is in the client's socket. Called as taken is. */
    void (*delivered)(gpointer data);
} ScStreamDeviceListener;

/* Adds the device to @server, closed. @listener is copied. */
ScStreamDevice *sc_stream_device_new(SpiceServer *server, const ScStreamDeviceListener *listener,
                                     gpointer data, GError **error);

/* After spice_server_destroy(): libspice-server 0.15 crashes when the interface is removed while a
 * client is connected. NULL is ignored. */
void sc_stream_device_free(ScStreamDevice *device);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScStreamDevice, sc_stream_device_free)

/* Clients see the display from now on. */
void sc_stream_device_open(ScStreamDevice *device);

/* Queues @packet (its own reference), preceded by a format message if codec or size changed.
 * FALSE, with a warning, if the device could not carry it: empty, or more than 32 MiB. */
gboolean sc_stream_device_send_packet(ScStreamDevice *device, ScPacket *packet);

/* NULL hides it (the protocol has no hide: a transparent pointer is sent). A position that was sent
 * before is sent again after it, because the shape resets it. */
void sc_stream_device_send_cursor(ScStreamDevice *device, ScCursor *cursor);
void sc_stream_device_send_cursor_position(ScStreamDevice *device, int x, int y);

/* Packets (and their bytes) queued and not yet taken by the library, the one it is reading among
 * them. @bytes may be NULL. */
guint sc_stream_device_get_queued(const ScStreamDevice *device, gsize *bytes);

/* How packets flow, as server/rate.h wants it. One is delivered when the library has written all of
 * it into the client's socket and comes for more. */
typedef struct {
    guint64 packets, bytes; /* delivered, of all time */
    gint64 service;         /* added up: how long each of these was the next one */
    gint64 delay;           /* added up: how old each was then */
    guint waiting;          /* packets sent and neither delivered nor forgotten */
    gint64 age;             /* of the oldest of these, microseconds; 0: none */
} ScStreamDeviceFlow;

void sc_stream_device_get_flow(const ScStreamDevice *device, ScStreamDeviceFlow *flow);

/* Forgets queued packets that the library has not begun to read; returns how many. */
guint sc_stream_device_clear(ScStreamDevice *device);

G_END_DECLS
