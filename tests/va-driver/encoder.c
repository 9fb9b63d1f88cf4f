/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/encoder.h"

#include <string.h>
#include <x264.h>

struct ScVaEncoder {
    x264_t *x264; /* NULL before the first picture */
    x264_param_t parameters;
    ScVaEncoderSettings settings;
    gint64 n_pictures;
};

ScVaEncoder *sc_va_encoder_new(void)
{
    return g_new0(ScVaEncoder, 1);
}

void sc_va_encoder_free(ScVaEncoder *encoder)
{
    if (!encoder)
        return;
    if (encoder->x264)
        x264_encoder_close(encoder->x264);
    g_free(encoder);
}

static const char *profile_name(VAProfile profile)
{
    switch (profile) {
    case VAProfileH264High:
        return "high";
    case VAProfileH264Main:
        return "main";
    default:
        return "baseline";
    }
}

static void set_rates(x264_param_t *parameters, const ScVaEncoderSettings *settings)
{
    if (settings->rate_control == VA_RC_CQP) {
        parameters->rc.i_rc_method = X264_RC_CQP;
        parameters->rc.i_qp_constant = settings->qp;
        return;
    }
    guint ceiling = settings->rate_control == VA_RC_VBR ? MAX(settings->max_kbit, settings->kbit)
                                                        : settings->kbit;
    parameters->rc.i_rc_method = X264_RC_ABR;
    parameters->rc.i_bitrate = settings->kbit;
    parameters->rc.i_vbv_max_bitrate = ceiling;
    parameters->rc.i_vbv_buffer_size = settings->buffer_kbit ? settings->buffer_kbit : ceiling;
}

static VAStatus open_encoder(ScVaEncoder *encoder, const ScVaEncoderSettings *settings)
{
    x264_param_t *parameters = &encoder->parameters;
    if (encoder->x264)
        x264_encoder_close(encoder->x264);
    if (x264_param_default_preset(parameters, "ultrafast", "zerolatency") < 0)
        return VA_STATUS_ERROR_ENCODING_ERROR;
    parameters->i_width = settings->width;
    parameters->i_height = settings->height;
    parameters->i_csp = X264_CSP_NV12;
    parameters->i_threads = 1;
    parameters->i_frame_reference = 1;
    parameters->i_fps_num = settings->fps_num;
    parameters->i_fps_den = settings->fps_den;
    parameters->i_keyint_max = X264_KEYINT_MAX_INFINITE;
    parameters->i_scenecut_threshold = 0;
    parameters->b_repeat_headers = 1;
    parameters->b_annexb = 1;
    parameters->i_log_level = X264_LOG_ERROR;
    set_rates(parameters, settings);
    if (x264_param_apply_profile(parameters, profile_name(settings->profile)) < 0)
        return VA_STATUS_ERROR_ENCODING_ERROR;
    encoder->x264 = x264_encoder_open(parameters);
    encoder->settings = *settings;
    return encoder->x264 ? VA_STATUS_SUCCESS : VA_STATUS_ERROR_ENCODING_ERROR;
}

/* Whether the stream goes on: only rates have changed, if anything. */
static gboolean continues(const ScVaEncoderSettings *now, const ScVaEncoderSettings *next)
{
    return now->profile == next->profile && now->rate_control == next->rate_control &&
           now->width == next->width && now->height == next->height &&
           now->fps_num == next->fps_num && now->fps_den == next->fps_den && now->qp == next->qp;
}

static VAStatus prepare(ScVaEncoder *encoder, const ScVaEncoderSettings *settings)
{
    if (!encoder->x264 || !continues(&encoder->settings, settings))
        return open_encoder(encoder, settings);
    if (memcmp(&encoder->settings, settings, sizeof(*settings)) == 0)
        return VA_STATUS_SUCCESS;
    encoder->settings = *settings;
    set_rates(&encoder->parameters, settings);
    if (x264_encoder_reconfig(encoder->x264, &encoder->parameters) < 0)
        return VA_STATUS_ERROR_ENCODING_ERROR;
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_encoder_encode(ScVaEncoder *encoder, const ScVaEncoderSettings *settings,
                              ScVaPictureType type, const ScVaSurface *surface, ScVaBuffer *coded)
{
    static const int types[] = { X264_TYPE_IDR, X264_TYPE_I, X264_TYPE_P };
    VAStatus status = prepare(encoder, settings);
    if (status != VA_STATUS_SUCCESS)
        return status;

    x264_picture_t in, out;
    x264_picture_init(&in);
    in.img.i_csp = X264_CSP_NV12;
    in.img.i_plane = 2;
    for (guint i = 0; i < 2; i++) {
        in.img.plane[i] = sc_va_surface_get_plane(surface, i);
        in.img.i_stride[i] = surface->planes[i].pitch;
    }
    in.i_pts = encoder->n_pictures++;
    in.i_type = types[type];

    x264_nal_t *nals;
    int n_nals;
    int size = x264_encoder_encode(encoder->x264, &nals, &n_nals, &in, &out);
    if (size <= 0)
        return VA_STATUS_ERROR_ENCODING_ERROR;
    if ((guint)size > coded->element_size) {
        coded->segment.status = VA_CODED_BUF_STATUS_SLICE_OVERFLOW_MASK;
        return VA_STATUS_ERROR_NOT_ENOUGH_BUFFER;
    }
    /* The units of one access unit lie one after the other, <x264.h> says. */
    memcpy(coded->data, nals[0].p_payload, size);
    coded->segment.size = size;
    coded->segment.status = out.i_qpplus1 > 0 ? out.i_qpplus1 - 1 : 0;
    return VA_STATUS_SUCCESS;
}
