/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lowest rung: the CPU encodes what pixman copied. Works everywhere.
 */
#include "encoder/encoder-impl.h"

#include "capture/error.h"

/* x264's "infinite" (X264_KEYINT_MAX_INFINITE in <x264.h>): key frames on demand only. */
#define KEYINT_INFINITE "1073741824"

#define H264_CAPS "video/x-h264,stream-format=byte-stream,alignment=au,profile=constrained-baseline"

typedef struct {
    ScCodec codec;
    const char *factory;
    const char *package; /* Debian's */
    GstVideoFormat format;
    const char *colorimetry; /* NULL: GStreamer's default */
    GstVideoChromaSite chroma_site;
    const char *fragment; /* the encoder is called "encoder" */
    const char *output_caps;
    const char *bitrate_property;
    guint bitrate_units;
} Choice;

/* Best first. One thread each: the picture is the smallest unit viewers wait for, but the guests
 * and their VMMs need the other cores more. */
static const Choice choices[] = {
    {
        .codec = SC_CODEC_H264,
        .factory = "x264enc",
        .package = "gstreamer1.0-plugins-ugly",
        .format = GST_VIDEO_FORMAT_NV12,
        .colorimetry = GST_VIDEO_COLORIMETRY_BT709,
        .chroma_site = GST_VIDEO_CHROMA_SITE_MPEG2,
        .fragment =
            "x264enc name=encoder speed-preset=ultrafast tune=zerolatency bframes=0 "
            "threads=1 byte-stream=true key-int-max=" KEYINT_INFINITE " option-string=scenecut=0",
        .output_caps = H264_CAPS,
        .bitrate_property = "bitrate",
        .bitrate_units = 1,
    },
    {
        .codec = SC_CODEC_H264,
        .factory = "openh264enc",
        .package = "gstreamer1.0-plugins-bad",
        .format = GST_VIDEO_FORMAT_I420,
        .colorimetry = NULL, /* it writes no VUI: what decoders assume at this size */
        .chroma_site = GST_VIDEO_CHROMA_SITE_MPEG2,
        .fragment = "openh264enc name=encoder complexity=low multi-thread=1 "
                    "rate-control=bitrate scene-change-detection=false gop-size=0",
        .output_caps = H264_CAPS,
        .bitrate_property = "bitrate",
        .bitrate_units = 1000,
    },
    {
        .codec = SC_CODEC_MJPEG,
        .factory = "jpegenc",
        .package = "gstreamer1.0-plugins-good",
        .format = GST_VIDEO_FORMAT_I420,
        .colorimetry = SC_JPEG_COLORIMETRY,
        .chroma_site = GST_VIDEO_CHROMA_SITE_JPEG,
        .fragment = SC_JPEG_FRAGMENT,
        .output_caps = SC_JPEG_CAPS,
    },
};

/* The best encoder that is installed. */
static const Choice *find_choice(ScCodec codec)
{
    for (gsize i = 0; i < G_N_ELEMENTS(choices); i++) {
        if (choices[i].codec == codec) {
            g_autoptr(GstElementFactory) factory = gst_element_factory_find(choices[i].factory);

            if (factory != NULL) {
                return &choices[i];
            }
        }
    }
    return NULL;
}

static gboolean software_check(const ScEncoderConfig *config, const ScVaDevice *device,
                               GError **error)
{
    const Choice *choice = find_choice(config->codec);
    g_autoptr(GString) wanted = g_string_new(NULL);

    if (choice != NULL) {
        return sc_pipeline_check(choice->fragment, choice->output_caps, error);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(choices); i++) {
        if (choices[i].codec == config->codec) {
            g_string_append_printf(wanted, "%s%s (GStreamer's %s)", wanted->len > 0 ? " or " : "",
                                   choices[i].package, choices[i].factory);
        }
    }
    g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "no software encoder for %s: install %s",
                sc_codec_name(config->codec), wanted->str);
    return FALSE;
}

static ScPipeline *software_open(const ScRungRequest *request, char **label, GError **error)
{
    const Choice *choice = find_choice(request->config->codec);
    ScPipelineConfig pipeline = {
        .fragment = choice->fragment,
        .output_caps = choice->output_caps,
        .input = request->picture,
        .bitrate_element = choice->bitrate_property != NULL ? "encoder" : NULL,
        .bitrate_property = choice->bitrate_property,
        .bitrate_units = choice->bitrate_units,
        .bitrate_kbit = request->config->bitrate_kbit,
    };

    gst_video_info_set_format(&pipeline.format, choice->format, (guint)request->picture.width,
                              (guint)request->picture.height);
    pipeline.format.fps_n = request->picture.fps_n;
    pipeline.format.fps_d = request->picture.fps_d;
    pipeline.format.chroma_site = choice->chroma_site;
    if (choice->colorimetry != NULL) {
        gst_video_colorimetry_from_string(&pipeline.format.colorimetry, choice->colorimetry);
    }
    *label = g_strdup(choice->factory);
    return sc_pipeline_new(choice->factory, &pipeline, request->listener, request->listener_data,
                           error);
}

const ScRungImpl sc_rung_software = {
    .name = "software",
    .copies = TRUE,
    .trials = SC_LADDER_MAX_FAILURES,
    .check = software_check,
    .open = software_open,
};
