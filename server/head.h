/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A head: one output of a guest, as viewers share it. Owns the source and a stream per codec.
 *
 * Thread: the owner thread; the listener is called from the main loop.
 */
#pragma once

#include "capture/source.h"
#include "encoder/encoder.h"
#include "server/stream.h"

G_BEGIN_DECLS

typedef struct ScHead ScHead;

typedef struct {
    const char *location; /* see sc_source_new() */
    const char *input;    /* see sc_source_set_input(); NULL: none */
    /* Instead of sc_source_new(), which is what NULL means. */
    ScSource *(*open)(const ScSourceListener *listener, gpointer data, GError **error);
    ScEncoderKind encoder_kind;
    const char *encoder_description; /* these two: see ScEncoderConfig */
    const char *render_node;
    guint bitrate_kbit;
    guint max_fps;
    gint64 fence_deadline; /* microseconds a guest may be held */
} ScHeadConfig;

/* All mandatory. What is passed stays the head's unless it is referenced. */
typedef struct {
    void (*packet)(ScPacket *packet, gpointer data);
    void (*greeting)(ScPacket *packet, gpointer data);     /* of sc_head_make_greeting() */
    void (*cursor_shape)(ScCursor *cursor, gpointer data); /* NULL: hidden */
    void (*cursor_position)(int x, int y, gpointer data);
    void (*pointer_mode)(ScPointerMode mode, gpointer data);
    void (*leds)(ScLeds leds, gpointer data);
    void (*size)(guint width, guint height, gpointer data);
    /* The source gave up; the last picture stays. */
    void (*lost)(const char *reason, gpointer data);
} ScHeadListener;

/* @config is copied. Makes the H.264 stream at once, so that an encoder that cannot be built is
 * told before anybody connects. */
ScHead *sc_head_new(const ScHeadConfig *config, const ScHeadListener *listener, gpointer data,
                    GError **error);

void sc_head_free(ScHead *head); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScHead, sc_head_free)

/* Connects to the source. Once. */
gboolean sc_head_start(ScHead *head, GError **error);

/* See sc_stream_set_viewers(). FALSE, with a warning the first time: no element for @codec is
 * installed. */
gboolean sc_head_set_viewers(ScHead *head, ScCodec codec, guint viewers, guint open_viewers);
void sc_head_request_key(ScHead *head, ScCodec codec);

/* See sc_greeting_make(). */
gboolean sc_head_make_greeting(ScHead *head);

/* After @packet was sent to viewers; see sc_stream_adapt(). */
void sc_head_adapt(ScHead *head, ScPacket *packet, ScRateViewer *viewers, guint n_viewers);

/* For input. The source stays the head's. */
ScSource *sc_head_get_source(ScHead *head);

/* NULL while nobody has wanted the codec yet. */
const ScStream *sc_head_get_stream(const ScHead *head, ScCodec codec);

/* Frames that came from the source. */
guint64 sc_head_get_frames(const ScHead *head);

G_END_DECLS
