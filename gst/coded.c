/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gst/coded.h"

/* 4:4:4 and 10 bits, which x264enc chooses if it may, are more than most clients decode. */
#define CAPS                                                                                       \
    "video/x-h264, stream-format=byte-stream, alignment=au, profile={constrained-baseline,"        \
    "baseline,main,high,constrained-high,progressive-high}"                                        \
    "; video/x-h265, stream-format=byte-stream, alignment=au, profile=main"                        \
    "; video/x-vp8; video/x-vp9; image/jpeg"

static const struct {
    const char *media_type;
    ScCodec codec;
} codecs[] = {
    { "video/x-h264", SC_CODEC_H264 }, { "video/x-h265", SC_CODEC_H265 },
    { "video/x-vp8", SC_CODEC_VP8 },   { "video/x-vp9", SC_CODEC_VP9 },
    { "image/jpeg", SC_CODEC_MJPEG },
};

GstCaps *sc_coded_get_caps(void)
{
    return gst_caps_from_string(CAPS);
}

gboolean sc_coded_parse(const GstStructure *structure, ScCodec *codec, guint *width, guint *height)
{
    int given_width = 0, given_height = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(codecs); i++) {
        if (gst_structure_has_name(structure, codecs[i].media_type)) {
            *codec = codecs[i].codec;
        }
    }
    gst_structure_get(structure, "width", G_TYPE_INT, &given_width, "height", G_TYPE_INT,
                      &given_height, NULL);
    *width = (guint)given_width;
    *height = (guint)given_height;
    return given_width > 0 && given_height > 0;
}
