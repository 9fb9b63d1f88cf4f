/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The audience: everybody who watches one output. Owns the listener and the viewers, hands packets
 * and the pointer to them and their input, merged, to whoever shows the output; remembers what a
 * viewer that comes late must be told.
 *
 * Thread: the owner thread. The listener is called from the main loop, demand() also from inside
 *         sc_audience_send(), and input from sc_audience_free().
 */
#pragma once

#include "capture/source.h"
#include "encoder/packet.h"
#include "server/input.h"
#include "server/rate.h"
#include "server/viewer-stats.h"

G_BEGIN_DECLS

typedef struct ScAudience ScAudience;

typedef struct {
    const char *name;   /* the VM's, which clients show */
    const char *listen; /* where, and with TLS; see server/listener.h */
    const char *tls_listen, *tls_cert, *tls_key, *tls_ca;
    const char *password;    /* 1 to 60 bytes; NULL: none asked for */
    gboolean sasl;           /* viewers authenticate by SASL instead; not with TLS */
    gint64 password_expires; /* for new viewers; microseconds of g_get_real_time(); 0: never */
    guint max_viewers;       /* at once; 1: a new one takes the place of the one before */
} ScAudienceConfig;

/* All mandatory but the last two. */
typedef struct {
    /* So many want pictures of @codec, and so many of these have room for one now. On every change,
     * and sometimes without. */
    void (*demand)(ScCodec codec, guint viewers, guint open_viewers, gpointer data);

    /* Somebody has come, or is about to want a first picture in MJPEG, whatever it will watch.
     * TRUE: sc_audience_greet() is called with one soon. Call nothing of this header. */
    gboolean (*wants_greeting)(gpointer data);

    /* Somebody cannot go on without a key frame. The demand that comes with it is told afterwards,
     * so that the picture made for it can be the one that the demand asks for. */
    void (*wants_key)(ScCodec codec, gpointer data);

    ScInputListener input;

    /* Somebody has come, or is about to be forgotten. */
    void (*joined)(const ScViewerStats *viewer, gpointer data);
    void (*left)(const ScViewerStats *viewer, gpointer data);
} ScAudienceListener;

/* Listens. The strings of @config must outlive the audience; @listener is copied.
 * SC_ERROR_INVALID: the address is wrong; anything else: it cannot be had. */
ScAudience *sc_audience_new(const ScAudienceConfig *config, const ScAudienceListener *listener,
                            gpointer data, GError **error);

/* Disconnects everybody and releases the keys they hold. NULL is ignored. */
void sc_audience_free(ScAudience *audience);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScAudience, sc_audience_free)

/* "127.0.0.1:5930" or "unix:PATH"; NULL where there is none. Valid as long as @audience. */
const char *sc_audience_get_address(const ScAudience *audience);
const char *sc_audience_get_tls_address(const ScAudience *audience);

/* See sc_viewer_set_codecs(). */
void sc_audience_set_codecs(ScAudience *audience, guint codecs);
/* There will be no packets of @codec after all. Also from inside demand(). */
void sc_audience_remove_codec(ScAudience *audience, ScCodec codec);

/* For viewers that come from now on; there must have been one before. Copied. */
void sc_audience_set_password(ScAudience *audience, const char *password, gint64 expires);

/* To everybody who shows its codec; they reference it. */
void sc_audience_send(ScAudience *audience, ScPacket *packet);

/* To everybody who awaits it; they reference it. */
void sc_audience_greet(ScAudience *audience, ScPacket *packet);

/* Referenced. NULL hides the pointer. */
void sc_audience_set_cursor(ScAudience *audience, ScCursor *cursor);
void sc_audience_set_cursor_position(ScAudience *audience, int x, int y);
void sc_audience_set_pointer_mode(ScAudience *audience, ScPointerMode mode);
void sc_audience_set_leds(ScAudience *audience, ScLeds leds);
/* Of the picture, in pixels: positions are clipped to it. */
void sc_audience_set_size(ScAudience *audience, guint width, guint height);

/* How those who show @codec do, for sc_stream_adapt(): replaces what is in @viewers (an array of
 * ScRateViewer). */
void sc_audience_observe(const ScAudience *audience, ScCodec codec, GArray *viewers);

/* Takes over is_far_below. */
void sc_audience_note_rates(ScAudience *audience, const GArray *viewers);

/* Calls @func for each viewer that has joined, the oldest first. */
typedef void (*ScAudienceFunc)(const ScViewerStats *stats, gpointer data);
void sc_audience_foreach(const ScAudience *audience, ScAudienceFunc func, gpointer data);

typedef struct {
    guint viewers;
    guint64 sent;    /* packets given to viewers, those gone included */
    guint64 dropped; /* packets viewers had no room for */
    guint64 joined;  /* viewers, those gone included */
} ScAudienceCounts;

void sc_audience_get_counts(const ScAudience *audience, ScAudienceCounts *counts);

G_END_DECLS
