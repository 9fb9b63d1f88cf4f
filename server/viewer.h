/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A viewer: one remote SPICE client and the libspice-server session that serves it alone, so that
 * nothing one viewer does can hold up another (a shared session stalls all of them: its ACK window
 * is per client, its stream device is not).
 *
 * Packets go through a bounded queue (server/outbox.h): a viewer that reads too slowly loses
 * packets up to the next key frame, and one that reads nothing for a minute is closed.
 *
 * Thread:   the owner thread; the listener is called from the main loop, never from inside
 *           a function of this header.
 * Signals:  the program must ignore SIGPIPE; libspice-server writes to sockets as if it did.
 */
#pragma once

#include "capture/source.h"
#include "encoder/packet.h"
#include "server/outbox.h"

G_BEGIN_DECLS

/* The name of the program for SASL: its settings are in /etc/sasl2/scancast.conf. */
#define SC_VIEWER_SASL_APP "scancast"

typedef struct ScViewer ScViewer;

typedef struct {
    /* The client got through its handshake, password and all. Once, before anything else but
     * closed;
     * @viewer may be freed from here. */
    void (*joined)(ScViewer *viewer, gpointer data);

    /* The client's display is connected, and the client can decode something better than MJPEG but
     * takes long to begin (spice-gtk makes a decoder then): a single picture of MJPEG would be
     * shown at once and kept until it is ready for more. TRUE: it will come, to sc_viewer_greet().
     * ready follows; about 0.1 s after the picture, plus the time that the network takes for it, or
     * after a quarter of a second without one. */
    gboolean (*wants_greeting)(ScViewer *viewer, gpointer data);

    /* The client's display is connected and wants @codec from now on; also when it changes its
     * mind. Nothing else is sent before this. wants_key follows. */
    void (*ready)(ScViewer *viewer, ScCodec codec, gpointer data);

    /* It has lost packets and caught up again, or never had one: needs a key frame. Not asked again
     * before it got one. */
    void (*wants_key)(ScViewer *viewer, gpointer data);

    /* Was congested and is no longer. After wants_key if that is due too. */
    void (*has_room)(ScViewer *viewer, gpointer data);

    /* The client's display is gone, or the whole client, or no client got through its handshake
     * within 10 s; @viewer may be freed from here. Once, and the last call. */
    void (*closed)(ScViewer *viewer, gpointer data);

    /* Input, as in capture/source.h. The viewer keeps account of nothing. @viewer must not be freed
     * from here. A client that wants other lamps presses the lock keys (libspice-server makes it
     * so). */
    void (*key)(ScViewer *viewer, guint scancode, gboolean pressed, gpointer data);
    void (*motion)(ScViewer *viewer, int dx, int dy, gpointer data);
    void (*position)(ScViewer *viewer, guint x, guint y, gpointer data);
    void (*button)(ScViewer *viewer, ScButton button, gboolean pressed, gpointer data);
    void (*wheel)(ScViewer *viewer, int steps, gpointer data);
    /* Its window is that large, in pixels: any number but 0. */
    void (*size)(ScViewer *viewer, guint width, guint height, gpointer data);
} ScViewerListener;

typedef struct {
    const char *name;       /* the VM's name that clients show; copied */
    const char *password;   /* 1 to 60 bytes (SPICE_MAX_PASSWORD_LENGTH); NULL: none; copied */
    guint password_seconds; /* how long it is good; 0: always */
    gboolean sasl;          /* clients authenticate by SASL instead, as SC_VIEWER_SASL_APP */
} ScViewerConfig;

/* Every member of @listener is mandatory; it is copied. The pointer is SC_POINTER_RELATIVE and
 * hidden at first. */
ScViewer *sc_viewer_new(const ScViewerConfig *config, const ScViewerListener *listener,
                        gpointer data, GError **error);

/* What packets there will be of, bits 1 << ScCodec; of these the first that the client can decode
 * is sent, after a greeting if MJPEG is among them, too. 0: not known yet. H.264 and MJPEG at
 * first. A client that can decode none is disconnected. */
void sc_viewer_set_codecs(ScViewer *viewer, guint codecs);

/* Disconnects the client. NULL is ignored. */
void sc_viewer_free(ScViewer *viewer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScViewer, sc_viewer_free)

/* One connection (a SPICE channel) of this client, as server/listener.h hands it on. Takes @fd,
 * also on failure. @peer is copied. */
gboolean sc_viewer_add_connection(ScViewer *viewer, int fd, const char *peer, GError **error);

/* The SPICE connection id, 0 until the main channel is up. */
guint32 sc_viewer_get_connection_id(const ScViewer *viewer);

/* "192.0.2.1:4711" or "unix", of the first connection; for logs. Valid as long as @viewer. */
const char *sc_viewer_get_peer(const ScViewer *viewer);

/* Queues @packet (its own reference), or drops it: until the first key frame, when the queue is
 * full, and from then on up to the next key frame. A change of size or codec between packets is
 * announced to the client. */
void sc_viewer_send(ScViewer *viewer, ScPacket *packet);

/* The picture of wants_greeting (its own reference). Ignored when it is not awaited (any more). */
void sc_viewer_greet(ScViewer *viewer, ScPacket *packet);

/* See server/outbox.h. Encoding for a congested viewer alone would be delay or waste. */
gboolean sc_viewer_is_current(const ScViewer *viewer);
gboolean sc_viewer_is_congested(const ScViewer *viewer);

/* NULL hides the pointer. */
void sc_viewer_set_cursor(ScViewer *viewer, ScCursor *cursor);
/* Shown by clients only in SC_POINTER_RELATIVE. */
void sc_viewer_set_cursor_position(ScViewer *viewer, int x, int y);
void sc_viewer_set_pointer_mode(ScViewer *viewer, ScPointerMode mode);
void sc_viewer_set_leds(ScViewer *viewer, ScLeds leds);

void sc_viewer_get_counts(const ScViewer *viewer, ScOutboxCounts *counts);

G_END_DECLS
