/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/packet.h"

struct ScPacket {
    gatomicrefcount ref_count;
    ScPacketInfo info;
    GBytes *data;
};

ScPacket *sc_packet_new(GBytes *data, const ScPacketInfo *info)
{
    ScPacket *packet = g_new(ScPacket, 1);

    g_atomic_ref_count_init(&packet->ref_count);
    packet->info = *info;
    packet->data = g_bytes_ref(data);
    return packet;
}

ScPacket *sc_packet_ref(ScPacket *packet)
{
    g_atomic_ref_count_inc(&packet->ref_count);
    return packet;
}

void sc_packet_unref(ScPacket *packet)
{
    if (packet == NULL || !g_atomic_ref_count_dec(&packet->ref_count)) {
        return;
    }
    g_bytes_unref(packet->data);
    g_free(packet);
}

const ScPacketInfo *sc_packet_get_info(const ScPacket *packet)
{
    return &packet->info;
}

GBytes *sc_packet_get_data(const ScPacket *packet)
{
    return packet->data;
}

const char *sc_codec_name(ScCodec codec)
{
    switch (codec) {
    case SC_CODEC_H264:
        return "H.264";
    case SC_CODEC_MJPEG:
        return "MJPEG";
    case SC_CODEC_VP8:
        return "VP8";
    case SC_CODEC_VP9:
        return "VP9";
    case SC_CODEC_H265:
        return "H.265";
    }
    g_return_val_if_reached("?");
}
