/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Our end of libspice-server's stream device: a character device (subtype "port", name
 * "org.spice-space.stream.0") that carries the messages of <spice/stream-device.h>.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/cursor.h"
#include "encoder/packet.h"
#include <spice.h>

G_BEGIN_DECLS

typedef struct ScStreamDevice ScStreamDevice;

typedef struct {
    /* The client's display connected (@codecs: bits 1 << ScCodec it can decode; what
     * libspice-server offers but we never make is left out) or went away (0). Called from the main
     * loop, never from inside libspice-server, which cannot stand an answer there. */
    void (*codecs)(guint codecs, gpointer data);

    /* The last queued packet was taken by the library. */
    void (*drained)(gpointer data);
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

/* Queues @packet (its own reference), preceded by a format message if codec or size changed. */
void sc_stream_device_send_packet(ScStreamDevice *device, ScPacket *packet);

/* NULL hides it (the protocol has no hide: a transparent pointer is sent). */
void sc_stream_device_send_cursor(ScStreamDevice *device, ScCursor *cursor);
void sc_stream_device_send_cursor_position(ScStreamDevice *device, int x, int y);

/* Packets (and their bytes) queued and not yet taken by the library. */
guint sc_stream_device_get_queued(const ScStreamDevice *device, gsize *bytes);

/* Forgets queued packets that the library has not begun to read. */
void sc_stream_device_clear(ScStreamDevice *device);

G_END_DECLS
