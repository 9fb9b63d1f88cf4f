/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The GPU encodes: va-dmabuf what the scanout's dmabuf holds, without a copy, va-upload what pixman
 * copied. Both let the GPU convert to what its encoder takes. va-download: the GPU reads the dmabuf
 * for the CPU, which encodes.
 */
#include "encoder/encoder-impl.h"

#include "capture/error.h"
#include "encoder/gst-dmabuf.h"
#include "encoder/va-elements.h"

#include <gst/allocators/gstdmabuf.h>
#include <string.h>

#define NV12_CAPS "video/x-raw(memory:VAMemory),format=NV12"

/* A key frame of a desktop is legible from about this many bits per pixel on. */
#define KEY_BITS_PER_PIXEL 0.5

/* The first GStreamer known to answer a request for a key frame with one: 1.22 makes an I picture,
 * with which a viewer that just came cannot begin. */
#define GST_MINOR_KEYS 26

/* GStreamer's nicks, best first: a constant rate keeps the delay of a network constant. */
static const char *get_rate_control(const ScVaDevice *device, const char *encoder)
{
    gboolean low_power = strstr(encoder, "h264lpenc") != NULL;
    const ScVaEntryPoint *entry_point = low_power ? &device->encode_low_power : &device->encode;

    if (entry_point->cbr && sc_va_elements_have(encoder, "rate-control", "cbr")) {
        return "cbr";
    }
    if (entry_point->vbr && sc_va_elements_have(encoder, "rate-control", "vbr")) {
        return "vbr";
    }
    return sc_va_elements_have(encoder, "rate-control", "cqp") ? "cqp" : NULL;
}

static const char *get_profile(const ScVaDevice *device)
{
    static const char *const names[] = { "main", "constrained-baseline", "high" };
    g_auto(GStrv) offered = g_strsplit(device->profiles, " ", -1);

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        if (g_strv_contains((const char *const *)offered, names[i])) {
            return names[i];
        }
    }
    return names[0];
}

/*
 * The decoder's buffer, kbit. One frame's share of the rate, so that no picture keeps the network
 * busy for longer than a frame lasts; but never less than a key frame needs, for a guest that goes
 * idle after it would be shown blurred for good.
 */
static guint get_buffer_kbit(const ScRungRequest *request)
{
    const ScEncoderConfig *config = request->config;
    double pixels = (double)request->picture.width * request->picture.height;

    return MAX(config->bitrate_kbit / config->max_fps,
               (guint)(pixels * KEY_BITS_PER_PIXEL / 1000)) +
           1;
}

/* Drivers differ in what they let be set. */
static void append_property(GString *fragment, const char *encoder, const char *property,
                            guint value)
{
    if (sc_va_elements_have(encoder, property, NULL)) {
        g_string_append_printf(fragment, " %s=%u", property, value);
    }
}

static char *make_fragment(const ScRungRequest *request, const ScVaElements *elements,
                           gboolean turn)
{
    const char *rate_control = get_rate_control(request->device, elements->encoder);
    GString *fragment = g_string_new(elements->postproc);

    g_string_append_printf(fragment,
                           "%s ! " NV12_CAPS ",colorimetry=" GST_VIDEO_COLORIMETRY_BT709
                           " ! %s name=encoder",
                           turn ? " video-direction=vert" : "", elements->encoder);
    if (rate_control != NULL) {
        g_string_append_printf(fragment, " rate-control=%s", rate_control);
    }
    append_property(fragment, elements->encoder, "aud", 0);
    append_property(fragment, elements->encoder, "b-frames", 0);
    append_property(fragment, elements->encoder, "ref-frames", 1);
    append_property(fragment, elements->encoder, "target-usage", 7);   /* VA's fastest */
    append_property(fragment, elements->encoder, "key-int-max", 1024); /* the property's maximum */
    append_property(fragment, elements->encoder, "cpb-size", get_buffer_kbit(request));
    return g_string_free(fragment, FALSE);
}

static gboolean is_old(void)
{
    guint major, minor, micro, nano;

    gst_version(&major, &minor, &micro, &nano);
    return major == 1 && minor < GST_MINOR_KEYS;
}

static ScPipeline *open_pipeline(const ScRungRequest *request, const GstCaps *dmabuf_caps,
                                 char **label, GError **error)
{
    g_auto(ScVaElements) elements = { 0 };
    g_autofree char *fragment = NULL;
    g_autofree char *output_caps =
        g_strdup_printf("video/x-h264,stream-format=byte-stream,alignment=au,profile=%s",
                        get_profile(request->device));
    ScPipelineConfig pipeline = {
        .output_caps = output_caps,
        .input = request->picture,
        .format = request->picture,
        .dmabuf_caps = dmabuf_caps,
        .bitrate_element = "encoder",
        .bitrate_property = "bitrate",
        .bitrate_units = 1,
        .bitrate_kbit = request->config->bitrate_kbit,
        .nudges_key = is_old(),
        .retimes = TRUE, /* frame number times frame duration */
        .adds_bt709 = TRUE,
    };

    if (!sc_va_elements_find(&elements, request->device, error)) {
        return NULL;
    }
    fragment = make_fragment(request, &elements, dmabuf_caps != NULL && request->target->bottom_up);
    pipeline.fragment = fragment;
    *label = g_strdup_printf("%s on %s", elements.encoder, request->device->node);
    return sc_pipeline_new(*label, &pipeline, request->listener, request->listener_data, error);
}

static gboolean check(const ScEncoderConfig *config, const ScVaDevice *device, GError **error)
{
    g_auto(ScVaElements) elements = { 0 };

    return sc_va_device_can_encode(device, error) && sc_va_elements_find(&elements, device, error);
}

static gboolean check_dmabuf(const ScEncoderConfig *config, const ScVaDevice *device,
                             GError **error)
{
    if (!check(config, device, error)) {
        return FALSE;
    }
    if (!device->imports_prime && !device->imports_prime_2) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "%s: its driver (%s) cannot import dmabufs", device->node, device->va_driver);
        return FALSE;
    }
    return TRUE;
}

/* The elements, by what they say of themselves. */
static gboolean elements_take(const ScVaDevice *device, const GstCaps *input,
                              const ScTarget *target, const char *what, GError **error)
{
    g_auto(ScVaElements) elements = { 0 };
    g_autofree char *coded =
        g_strdup_printf(NV12_CAPS ",width=%u,height=%u", GST_ROUND_UP_2(target->width),
                        GST_ROUND_UP_2(target->height));
    g_autoptr(GstCaps) output = gst_caps_from_string(coded);
    g_autofree char *name = sc_target_to_string(target);
    const char *refusing;

    if (!sc_va_elements_find(&elements, device, error)) {
        return FALSE;
    }
    refusing = !sc_va_elements_take(elements.postproc, input)   ? elements.postproc
               : !sc_va_elements_take(elements.encoder, output) ? elements.encoder
                                                                : NULL;
    if (refusing != NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "%s: GStreamer's %s does not take %s of %s; \"gst-inspect-1.0 %s\" tells what "
                    "it does",
                    device->node, refusing, what, name, refusing);
        return FALSE;
    }
    if (target->bottom_up && target->is_dmabuf &&
        gst_caps_features_contains(gst_caps_get_features(input, 0),
                                   GST_CAPS_FEATURE_MEMORY_DMABUF) &&
        !sc_va_elements_have(elements.postproc, "video-direction", "vert")) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "%s: its driver (%s) cannot turn pictures, and this one is upside down",
                    device->node, device->va_driver);
        return FALSE;
    }
    return TRUE;
}

static gboolean takes_dmabuf(const ScEncoderConfig *config, const ScVaDevice *device,
                             const ScTarget *target, GError **error)
{
    g_autoptr(GstCaps) caps = NULL;

    if (!target->is_dmabuf) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "the pixels are not in a dmabuf");
        return FALSE;
    }
    /* Not by scaling: the copy repeats the last column or row, which keeps text sharp. */
    if (target->width % 2 != 0 || target->height % 2 != 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "%ux%u is an odd size, for which the picture must be copied", target->width,
                    target->height);
        return FALSE;
    }
    if (!sc_va_device_can_import(device, target->fourcc, error)) {
        return FALSE;
    }
    caps = sc_gst_dmabuf_get_caps(target, config->max_fps, error);
    return caps != NULL && elements_take(device, caps, target, "dmabufs", error);
}

static ScPipeline *open_dmabuf(const ScRungRequest *request, char **label, GError **error)
{
    g_autoptr(GstCaps) caps =
        sc_gst_dmabuf_get_caps(request->target, request->config->max_fps, error);

    return caps != NULL ? open_pipeline(request, caps, label, error) : NULL;
}

static gboolean takes_upload(const ScEncoderConfig *config, const ScVaDevice *device,
                             const ScTarget *target, GError **error)
{
    g_autofree char *text =
        g_strdup_printf("video/x-raw,format=BGRx,width=%u,height=%u", GST_ROUND_UP_2(target->width),
                        GST_ROUND_UP_2(target->height));
    g_autoptr(GstCaps) caps = gst_caps_from_string(text);

    return elements_take(device, caps, target, "pictures", error);
}

static ScPipeline *open_upload(const ScRungRequest *request, char **label, GError **error)
{
    return open_pipeline(request, NULL, label, error);
}

static gboolean check_download(const ScEncoderConfig *config, const ScVaDevice *device,
                               GError **error)
{
    return check_dmabuf(config, device, error) &&
           sc_pipeline_check("videoconvert ! " SC_JPEG_FRAGMENT, SC_JPEG_CAPS, error);
}

static gboolean takes_download(const ScEncoderConfig *config, const ScVaDevice *device,
                               const ScTarget *target, GError **error)
{
    if (target->is_dmabuf && !target->is_far) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "the pixels are in memory that the CPU reads well");
        return FALSE;
    }
    return takes_dmabuf(config, device, target, error);
}

/* Not to YUV at once: of drivers that convert not all know JFIF's full range. */
static ScPipeline *open_download(const ScRungRequest *request, char **label, GError **error)
{
    const ScTarget *target = request->target;
    guint divisor = sc_target_get_divisor(target, request->config->max_pixels);
    g_auto(ScVaElements) elements = { 0 };
    g_autofree char *fragment = NULL;
    g_autoptr(GstCaps) caps = sc_gst_dmabuf_get_caps(target, request->config->max_fps, error);
    ScPipelineConfig pipeline = {
        .output_caps = SC_JPEG_CAPS,
        .input = request->picture,
        .format = request->picture,
        .dmabuf_caps = caps,
    };

    if (caps == NULL || !sc_va_elements_find(&elements, request->device, error)) {
        return NULL;
    }
    fragment = g_strdup_printf("%s%s ! video/x-raw,format=BGRx,width=%u,height=%u ! videoconvert "
                               "! video/x-raw,format=I420,colorimetry=" SC_JPEG_COLORIMETRY
                               " ! " SC_JPEG_FRAGMENT,
                               elements.postproc, target->bottom_up ? " video-direction=vert" : "",
                               MAX(target->width / divisor, 1), MAX(target->height / divisor, 1));
    pipeline.fragment = fragment;
    *label = g_strdup_printf("jpegenc, by %s on %s", elements.postproc, request->device->node);
    return sc_pipeline_new(*label, &pipeline, request->listener, request->listener_data, error);
}

const ScRungImpl sc_rung_va_dmabuf = {
    .name = "va-dmabuf",
    .copies = FALSE,
    .trials = SC_LADDER_MAX_FAILURES,
    .check = check_dmabuf,
    .open = open_dmabuf,
    .needs_device = TRUE,
    .takes = takes_dmabuf,
};

const ScRungImpl sc_rung_va_upload = {
    .name = "va-upload",
    .copies = TRUE,
    .trials = SC_LADDER_MAX_FAILURES,
    .check = check,
    .open = open_upload,
    .needs_device = TRUE,
    .takes = takes_upload,
};

const ScRungImpl sc_rung_va_download = {
    .name = "va-download",
    .copies = FALSE,
    .trials = SC_LADDER_MAX_FAILURES,
    .check = check_download,
    .open = open_download,
    .needs_device = TRUE,
    .takes = takes_download,
};
