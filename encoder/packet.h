/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A packet: one coded picture, as all viewers of a stream share it.
 *
 * Lifetime: immutable, reference counted.
 * Thread:   any.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
    SC_CODEC_H264,  /* byte-stream, one access unit */
    SC_CODEC_MJPEG, /* one JFIF picture */
    /* Of packets that come coded (gst/); nothing here encodes these: */
    SC_CODEC_VP8,
    SC_CODEC_VP9,
    SC_CODEC_H265, /* as H.264 */
} ScCodec;

#define SC_N_CODECS 5

typedef struct ScPacket ScPacket;

typedef struct {
    ScCodec codec;
    gboolean is_key;       /* can be decoded without what came before */
    guint32 width, height; /* of the scanout; the coded picture may be one larger (even sizes) */
    guint64 serial;        /* sc_frame_get_serial() of the frame it shows */
    gint64 capture_time;   /* sc_frame_get_time() of that frame */
} ScPacketInfo;

/* Takes its own reference to @data. */
ScPacket *sc_packet_new(GBytes *data, const ScPacketInfo *info);

ScPacket *sc_packet_ref(ScPacket *packet);
void sc_packet_unref(ScPacket *packet); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScPacket, sc_packet_unref)

/* Both valid as long as @packet. */
const ScPacketInfo *sc_packet_get_info(const ScPacket *packet);
GBytes *sc_packet_get_data(const ScPacket *packet);

/* "H.264", "MJPEG", ... */
const char *sc_codec_name(ScCodec codec);

G_END_DECLS
