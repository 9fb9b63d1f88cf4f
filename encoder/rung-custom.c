/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The user's own pipeline. The bit rate is his business: it stands in his description.
 */
#include "encoder/encoder-impl.h"

/* The profiles of 8 bits and 4:2:0. Without them x264enc is given 4:4:4, the nearest to RGB, and
 * makes of it what hardware decoders do not know. */
#define OUTPUT_CAPS                                                                                \
    "video/x-h264,stream-format=byte-stream,alignment=au,profile={constrained-baseline,baseline,"  \
    "main,constrained-high,progressive-high,high}"

/* The parser makes what viewers need of whatever H.264 comes: whole access units in a byte stream,
 * and with each key frame the parameter sets. */
static char *make_fragment(const ScEncoderConfig *config)
{
    return g_strdup_printf("videoconvert ! %s ! h264parse config-interval=-1", config->description);
}

static gboolean custom_check(const ScEncoderConfig *config, const ScVaDevice *device,
                             GError **error)
{
    g_autofree char *fragment = make_fragment(config);
    g_autoptr(GError) reason = NULL;

    if (!sc_pipeline_check(fragment, OUTPUT_CAPS, &reason)) {
        g_set_error(
            error, reason->domain, reason->code,
            "encoder \"%s\": %s; see what \"gst-launch-1.0 videotestsrc ! videoconvert ! %s "
            "! fakesink\" says",
            config->description, reason->message, config->description);
        return FALSE;
    }
    return TRUE;
}

static ScPipeline *custom_open(const ScRungRequest *request, char **label, GError **error)
{
    const char *description = request->config->description;
    g_autofree char *name = g_strdup_printf("encoder \"%s\"", description);
    g_autofree char *fragment = make_fragment(request->config);
    ScPipelineConfig pipeline = {
        .fragment = fragment,
        .output_caps = OUTPUT_CAPS,
        .input = request->picture,
        .format = request->picture,
    };

    *label = g_strdup(description);
    return sc_pipeline_new(name, &pipeline, request->listener, request->listener_data, error);
}

const ScRungImpl sc_rung_custom = {
    .name = "custom",
    .copies = TRUE,
    .trials = 1,
    .check = custom_check,
    .open = custom_open,
};
