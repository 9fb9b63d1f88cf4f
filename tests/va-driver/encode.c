/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/encode.h"

#include <va/va_enc_h264.h>

#define DEFAULT_FPS 30
#define DEFAULT_QP 26 /* what H.264 means by 0 in pic_init_qp_minus26 */

/* Slice types of the slice header, modulo 5: ITU-T H.264 table 7-6. */
enum {
    SLICE_P = 0,
    SLICE_I = 2,
};

typedef struct {
    ScVaDriver *driver;
    gpointer owner;
    ScVaEncoder *encoder;
    ScVaEncoderSettings settings;
    ScVaPictureType type;
    ScVaSurface *surface;
    ScVaBuffer *coded;
    guint number;
} Job;

static void job_free(gpointer data)
{
    Job *job = data;
    sc_va_object_unref(job->surface);
    sc_va_object_unref(job->coded);
    sc_va_object_unref(job->owner);
    g_free(job);
}

static VAStatus encode(Job *job)
{
    ScVaDriver *driver = job->driver;
    const ScVaSwitches *switches = driver->switches;
    if (sc_va_range_contains(&switches->lost_encodes, job->number))
        sc_va_device_lose();
    if (sc_va_driver_is_lost(driver))
        return VA_STATUS_ERROR_OPERATION_FAILED;
    if (sc_va_range_contains(&switches->hung_encodes, job->number))
        return sc_va_engine_hang(driver->engine);
    if (switches->slow_every == 0 || job->number / switches->slow_every % 2 == 0)
        sc_va_engine_sleep(driver->engine, switches->encode_ms);
    if (sc_va_range_contains(&switches->failed_encodes, job->number))
        return VA_STATUS_ERROR_ENCODING_ERROR;

    sc_va_surface_begin(job->surface, FALSE);
    VAStatus status =
        sc_va_encoder_encode(job->encoder, &job->settings, job->type, job->surface, job->coded);
    sc_va_surface_end(job->surface, FALSE);
    return status;
}

static VAStatus job_run(gpointer data)
{
    static const char *const type_names[] = { "idr", "i", "p" }; /* by ScVaPictureType */
    Job *job = data;
    ScVaTrace *trace = job->driver->trace;
    sc_va_trace(trace,
                "encode-begin frame=%u surface=%u inode=%" G_GUINT64_FORMAT
                " origin=%" G_GUINT64_FORMAT " width=%u height=%u type=%s kbit=%u",
                job->number, job->surface->object.id, job->surface->memories[0].inode,
                job->surface->origin, job->settings.width, job->settings.height,
                type_names[job->type], job->settings.kbit);
    VAStatus status = encode(job);
    sc_va_trace(trace,
                "encode-end frame=%u surface=%u origin=%" G_GUINT64_FORMAT " bytes=%u status=%d",
                job->number, job->surface->object.id, job->surface->origin,
                job->coded->segment.size, status);
    return status;
}

void sc_va_encode_init(ScVaEncode *self, const ScVaConfig *config, guint width, guint height)
{
    *self = (ScVaEncode){
        .encoder = sc_va_encoder_new(),
        .settings = {
            .profile = config->profile,
            .rate_control = config->rate_control,
            .width = width,
            .height = height,
            .fps_num = DEFAULT_FPS,
            .fps_den = 1,
            .qp = DEFAULT_QP,
        },
        .init_qp = DEFAULT_QP,
        .target_percentage = 100,
    };
}

void sc_va_encode_clear(ScVaEncode *self)
{
    sc_va_encoder_free(self->encoder);
}

void sc_va_encode_begin(ScVaEncode *self)
{
    self->has_picture = FALSE;
    self->type = SC_VA_PICTURE_P;
}

static void set_rate(ScVaEncode *self, guint bits_per_second)
{
    guint kbit = MAX(bits_per_second / 1000, 1);
    gboolean variable = self->settings.rate_control == VA_RC_VBR;
    self->settings.max_kbit = kbit;
    self->settings.kbit = variable ? MAX(kbit * (guint64)self->target_percentage / 100, 1) : kbit;
}

static VAStatus render_sequence(ScVaEncode *self, const VAEncSequenceParameterBufferH264 *sequence)
{
    guint width = sequence->picture_width_in_mbs * 16;
    guint height = sequence->picture_height_in_mbs * 16;
    if (sequence->frame_cropping_flag) {
        guint64 crop_x =
            2 * ((guint64)sequence->frame_crop_left_offset + sequence->frame_crop_right_offset);
        guint64 crop_y =
            2 * ((guint64)sequence->frame_crop_top_offset + sequence->frame_crop_bottom_offset);
        if (crop_x >= width || crop_y >= height)
            return VA_STATUS_ERROR_INVALID_PARAMETER;
        width -= crop_x;
        height -= crop_y;
    }
    self->settings.width = width;
    self->settings.height = height;
    if (sequence->bits_per_second > 0)
        set_rate(self, sequence->bits_per_second);
    return VA_STATUS_SUCCESS;
}

static VAStatus render_picture(ScVaEncode *self, const VAEncPictureParameterBufferH264 *picture)
{
    self->has_picture = TRUE;
    self->coded = picture->coded_buf;
    self->init_qp = picture->pic_init_qp;
    if (picture->pic_fields.bits.idr_pic_flag)
        self->type = SC_VA_PICTURE_IDR;
    return VA_STATUS_SUCCESS;
}

static VAStatus render_slice(ScVaEncode *self, const VAEncSliceParameterBufferH264 *slice)
{
    gint qp = (gint)self->init_qp + slice->slice_qp_delta;
    if (self->settings.rate_control == VA_RC_CQP)
        self->settings.qp = CLAMP(qp, 1, 51); /* 0 would be lossless, which no profile here has */
    if (self->type == SC_VA_PICTURE_IDR)
        return VA_STATUS_SUCCESS;
    if (slice->slice_type % 5 == SLICE_I)
        self->type = SC_VA_PICTURE_I;
    else if (slice->slice_type % 5 != SLICE_P)
        return VA_STATUS_ERROR_INVALID_PARAMETER;
    return VA_STATUS_SUCCESS;
}

static VAStatus render_misc(ScVaEncode *self, const VAEncMiscParameterBuffer *misc, gsize size)
{
    const VAEncMiscParameterRateControl *rate = (const void *)misc->data;
    const VAEncMiscParameterHRD *hrd = (const void *)misc->data;
    const VAEncMiscParameterFrameRate *frames = (const void *)misc->data;
    switch (misc->type) {
    case VAEncMiscParameterTypeRateControl:
        if (size < sizeof(*rate))
            return VA_STATUS_ERROR_INVALID_BUFFER;
        self->target_percentage = rate->target_percentage ? MIN(rate->target_percentage, 100) : 100;
        set_rate(self, rate->bits_per_second);
        return VA_STATUS_SUCCESS;
    case VAEncMiscParameterTypeHRD:
        if (size < sizeof(*hrd))
            return VA_STATUS_ERROR_INVALID_BUFFER;
        self->settings.buffer_kbit = hrd->buffer_size / 1000;
        return VA_STATUS_SUCCESS;
    case VAEncMiscParameterTypeFrameRate:
        if (size < sizeof(*frames))
            return VA_STATUS_ERROR_INVALID_BUFFER;
        /* Numerator in the low half, denominator in the high one, where 0 means 1. */
        self->settings.fps_num = MAX(frames->framerate & 0xffff, 1);
        self->settings.fps_den = MAX(frames->framerate >> 16, 1);
        return VA_STATUS_SUCCESS;
    default:
        return VA_STATUS_SUCCESS; /* hints */
    }
}

VAStatus sc_va_encode_render(ScVaEncode *self, const ScVaBuffer *buffer)
{
    const void *data = buffer->data;
    gsize size = buffer->element_size;
    switch (buffer->type) {
    case VAEncSequenceParameterBufferType:
        return size < sizeof(VAEncSequenceParameterBufferH264) ? VA_STATUS_ERROR_INVALID_BUFFER
                                                               : render_sequence(self, data);
    case VAEncPictureParameterBufferType:
        return size < sizeof(VAEncPictureParameterBufferH264) ? VA_STATUS_ERROR_INVALID_BUFFER
                                                              : render_picture(self, data);
    case VAEncSliceParameterBufferType:
        return size < sizeof(VAEncSliceParameterBufferH264) ? VA_STATUS_ERROR_INVALID_BUFFER
                                                            : render_slice(self, data);
    case VAEncMiscParameterBufferType:
        return size < sizeof(VAEncMiscParameterBuffer)
                   ? VA_STATUS_ERROR_INVALID_BUFFER
                   : render_misc(self, data, size - sizeof(VAEncMiscParameterBuffer));
    default:
        return VA_STATUS_ERROR_UNSUPPORTED_BUFFERTYPE;
    }
}

VAStatus sc_va_encode_end(ScVaEncode *self, ScVaDriver *driver, gpointer owner,
                          ScVaSurface *surface)
{
    if (!self->has_picture || surface->format->is_rgb)
        return VA_STATUS_ERROR_INVALID_PARAMETER;
    /* H.264 crops by twos, so a picture of odd size has one column or row more than was asked for:
     * padding, which all surfaces of our own have. */
    guint padding = surface->is_imported ? 0 : 1;
    if (self->settings.width > surface->width + padding ||
        self->settings.height > surface->height + padding)
        return VA_STATUS_ERROR_INVALID_PARAMETER;
    if (self->settings.rate_control != VA_RC_CQP && self->settings.kbit == 0)
        return VA_STATUS_ERROR_INVALID_PARAMETER;
    g_autoptr(ScVaBuffer) coded = sc_va_objects_get(driver->objects, self->coded, SC_VA_BUFFER);
    if (!coded || coded->type != VAEncCodedBufferType)
        return VA_STATUS_ERROR_INVALID_BUFFER;

    coded->segment = (VACodedBufferSegment){ .buf = coded->data };
    Job *job = g_new0(Job, 1);
    job->driver = driver;
    job->owner = sc_va_object_ref(owner);
    job->encoder = self->encoder;
    job->settings = self->settings;
    job->type = self->type;
    job->surface = sc_va_object_ref(surface);
    job->coded = sc_va_object_ref(coded);
    job->number = sc_va_device_count_encode();

    ScVaFence **slots[] = { &surface->fence, &coded->fence };
    const ScVaJob submitted = { job_run, job_free, job };
    sc_va_engine_submit(driver->engine, &submitted, slots, G_N_ELEMENTS(slots));
    return VA_STATUS_SUCCESS;
}
