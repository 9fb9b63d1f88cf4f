/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/encoder/harness.h"

#include <drm_fourcc.h>
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/video/video.h>
#include <string.h>

#define PATCH 32

static void on_packet(ScPacket *packet, gpointer data)
{
    Harness *harness = data;

    g_assert_false(sc_encoder_is_busy(harness->encoder));
    g_ptr_array_add(harness->packets, sc_packet_ref(packet));
}

static void on_dropped(const GError *reason, gpointer data)
{
    Harness *harness = data;

    g_assert_false(sc_encoder_is_busy(harness->encoder));
    g_clear_error(&harness->dropped);
    harness->dropped = g_error_copy(reason);
    g_test_message("dropped: %s", reason->message);
    harness->n_dropped++;
    if (harness->free_when_dropped) {
        g_clear_pointer(&harness->encoder, sc_encoder_free);
    }
}

static void on_failed(const GError *error, gpointer data)
{
    Harness *harness = data;

    g_assert_false(sc_encoder_is_busy(harness->encoder));
    g_clear_error(&harness->failed);
    harness->failed = g_error_copy(error);
    g_test_message("failed: %s", error->message);
    harness->n_failed++;
}

void harness_init(Harness *harness, const ScEncoderConfig *config)
{
    static const ScEncoderConfig default_config = {
        .codec = SC_CODEC_H264,
        .kind = SC_ENCODER_SOFTWARE,
        .bitrate_kbit = 20000,
        .max_fps = 60,
    };
    static const ScEncoderListener listener = { on_packet, on_dropped, on_failed };
    g_autoptr(GError) error = NULL;

    *harness = (Harness){ 0 };
    harness->packets = g_ptr_array_new_with_free_func((GDestroyNotify)sc_packet_unref);
    harness->encoder =
        sc_encoder_new(config != NULL ? config : &default_config, &listener, harness, &error);
    g_assert_no_error(error);
}

void harness_init_custom(Harness *harness, const char *description)
{
    ScEncoderConfig config = {
        .codec = SC_CODEC_H264,
        .kind = SC_ENCODER_CUSTOM,
        .description = description,
        .bitrate_kbit = 20000,
        .max_fps = 60,
    };

    harness_init(harness, &config);
}

void harness_clear(Harness *harness)
{
    sc_encoder_free(harness->encoder);
    g_ptr_array_unref(harness->packets);
    g_clear_error(&harness->dropped);
    g_clear_error(&harness->failed);
}

static gboolean on_late(gpointer data)
{
    *(gboolean *)data = TRUE;
    return G_SOURCE_CONTINUE; /* removed below */
}

static void wait_until(const guint *value, guint wanted)
{
    gboolean late = FALSE;
    guint source = g_timeout_add(DEADLINE_US / 1000, on_late, &late);

    while (*value < wanted && !late) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpuint(*value, >=, wanted);
    g_source_remove(source);
}

void wait_packets(GPtrArray *packets, guint n)
{
    wait_until(&packets->len, n);
}

void harness_wait_packets(Harness *harness, guint n)
{
    wait_until(&harness->packets->len, n);
    g_assert_cmpuint(harness->packets->len, ==, n);
}

void harness_wait_dropped(Harness *harness, guint n)
{
    wait_until(&harness->n_dropped, n);
    g_assert_cmpuint(harness->n_dropped, ==, n);
}

void harness_wait_failed(Harness *harness)
{
    wait_until(&harness->n_failed, 1);
    g_assert_cmpuint(harness->n_failed, ==, 1);
}

void picture_init(Picture *picture, guint width, guint height)
{
    g_autoptr(GError) error = NULL;
    gsize size = (gsize)width * height * 4;

    picture->width = width;
    picture->height = height;
    picture->pixels = g_malloc0(size);
    picture->scanout = sc_scanout_new_pixels((const guint8 *)picture->pixels, size, width, height,
                                             width * 4, DRM_FORMAT_XRGB8888, FALSE, &error);
    g_assert_no_error(error);
    picture_draw(picture, 1);
}

void picture_clear(Picture *picture)
{
    sc_scanout_detach_pixels(picture->scanout);
    sc_scanout_unref(picture->scanout);
    g_free(picture->pixels);
}

static void fill_patch(Picture *picture, guint column, guint row, guint32 colour)
{
    for (guint y = row * PATCH; y < MIN((row + 1) * PATCH, picture->height); y++) {
        for (guint x = column * PATCH; x < MIN((column + 1) * PATCH, picture->width); x++) {
            picture->pixels[y * picture->width + x] = colour;
        }
    }
}

void picture_draw(Picture *picture, guint seed)
{
    static const guint32 colours[] = { 0xff0000, 0x00ff00, 0x0000ff, 0xffffff, 0x000000,
                                       0x808080, 0xffff00, 0x00ffff, 0xff00ff, 0xc06030,
                                       0x3060c0, 0x204020, 0xe0e0a0 };

    for (guint row = 0; row * PATCH < picture->height; row++) {
        for (guint column = 0; column * PATCH < picture->width; column++) {
            fill_patch(picture, column, row,
                       colours[(seed * 5 + row * 7 + column) % G_N_ELEMENTS(colours)]);
        }
    }
}

void picture_draw_text(Picture *picture, guint seed)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

    for (guint y = 0; y < picture->height; y++) {
        for (guint x = 0; x < picture->width; x++) {
            gboolean is_ink = y % 16 > 4 && x % 8 != 7 && g_rand_int_range(rand, 0, 5) < 2;

            picture->pixels[y * picture->width + x] = is_ink ? 0x101010 : 0xffffff;
        }
    }
}

void picture_draw_patch(Picture *picture, guint column, guint row, guint32 colour,
                        pixman_region32_t *damage)
{
    fill_patch(picture, column, row, colour);
    pixman_region32_init_rect(damage, (int)column * PATCH, (int)row * PATCH, PATCH, PATCH);
}

ScFrame *picture_new_frame(Picture *picture, const pixman_region32_t *damage)
{
    return sc_frame_new(picture->scanout, damage, NULL);
}

void harness_submit(Harness *harness, Picture *picture, gboolean key)
{
    g_autoptr(ScFrame) frame = picture_new_frame(picture, NULL);
    g_autoptr(GError) error = NULL;

    sc_encoder_submit(harness->encoder, frame, key, &error);
    g_assert_no_error(error);
    g_assert_true(sc_encoder_is_busy(harness->encoder));
}

ScPacket *harness_encode(Harness *harness, Picture *picture, gboolean key)
{
    guint n = harness->packets->len;

    harness_submit(harness, picture, key);
    harness_wait_packets(harness, n + 1);
    return harness->packets->pdata[n];
}

static GstElement *new_decoder(ScCodec codec)
{
    g_autoptr(GError) error = NULL;
    GstElement *pipeline = gst_parse_launch(
        codec == SC_CODEC_H264
            ? "appsrc name=in format=time caps=video/x-h264,stream-format=byte-stream,alignment=au"
              " ! h264parse ! avdec_h264 ! video/x-raw,format=I420 ! appsink name=out sync=false"
            : "appsrc name=in format=time caps=image/jpeg,parsed=true,framerate=25/1 ! avdec_mjpeg"
              " ! video/x-raw,format=I420 ! appsink name=out sync=false",
        &error);

    g_assert_no_error(error);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    return pipeline;
}

static guint32 to_byte(double value)
{
    return (guint32)CLAMP(value * 255 + 0.5, 0, 255);
}

/* By the book (ITU-T H.273), with the matrix and range the decoder says. */
static guint32 yuv_to_rgb(const GstVideoColorimetry *colorimetry, int y, int u, int v)
{
    gboolean full = colorimetry->range == GST_VIDEO_COLOR_RANGE_0_255;
    double luma = full ? y / 255.0 : (y - 16) / 219.0;
    double blue = (u - 128) / (full ? 255.0 : 224.0);
    double red = (v - 128) / (full ? 255.0 : 224.0);
    double kr, kb, r, g, b;

    g_assert_true(gst_video_color_matrix_get_Kr_Kb(colorimetry->matrix, &kr, &kb));
    r = luma + 2 * (1 - kr) * red;
    b = luma + 2 * (1 - kb) * blue;
    g = (luma - kr * r - kb * b) / (1 - kr - kb);
    return to_byte(r) << 16 | to_byte(g) << 8 | to_byte(b);
}

/* Rows without gaps. */
static guint32 *convert_sample(GstSample *sample, guint *width, guint *height, char **colorimetry)
{
    GstVideoInfo info;
    GstVideoFrame frame;
    guint32 *pixels;

    g_assert_true(gst_video_info_from_caps(&info, gst_sample_get_caps(sample)));
    g_assert_true(gst_video_frame_map(&frame, &info, gst_sample_get_buffer(sample), GST_MAP_READ));
    *width = (guint)info.width;
    *height = (guint)info.height;
    pixels = g_new(guint32, *width * *height);
    for (guint y = 0; y < *height; y++) {
        for (guint x = 0; x < *width; x++) {
            int yuv[3];

            for (guint i = 0; i < 3; i++) {
                guint halved = i > 0;
                guint8 *plane = GST_VIDEO_FRAME_PLANE_DATA(&frame, i);

                yuv[i] = plane[(guint)GST_VIDEO_FRAME_PLANE_STRIDE(&frame, i) * (y >> halved) +
                               (x >> halved)];
            }
            pixels[y * *width + x] = yuv_to_rgb(&info.colorimetry, yuv[0], yuv[1], yuv[2]);
        }
    }
    gst_video_frame_unmap(&frame);
    *colorimetry = gst_video_colorimetry_to_string(&info.colorimetry);
    return pixels;
}

guint32 *decode(GPtrArray *packets, guint first, guint *width, guint *height, guint *n_pictures,
                char **colorimetry)
{
    const ScPacketInfo *info = sc_packet_get_info(packets->pdata[first]);
    GstElement *pipeline = new_decoder(info->codec);
    g_autoptr(GstElement) in = gst_bin_get_by_name(GST_BIN(pipeline), "in");
    g_autoptr(GstElement) out = gst_bin_get_by_name(GST_BIN(pipeline), "out");
    g_autoptr(GstSample) last = NULL;
    GstSample *sample;

    for (guint i = first; i < packets->len; i++) {
        GstBuffer *buffer = gst_buffer_new_wrapped_bytes(sc_packet_get_data(packets->pdata[i]));

        GST_BUFFER_PTS(buffer) = (i - first) * 40 * GST_MSECOND;
        g_assert_cmpint(gst_app_src_push_buffer(GST_APP_SRC(in), buffer), ==, GST_FLOW_OK);
    }
    gst_app_src_end_of_stream(GST_APP_SRC(in));
    *n_pictures = 0;
    while ((sample = gst_app_sink_try_pull_sample(GST_APP_SINK(out), DEADLINE_US * GST_USECOND)) !=
           NULL) {
        g_clear_pointer(&last, gst_sample_unref);
        last = sample;
        ++*n_pictures;
    }
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    g_assert_nonnull(last);
    return convert_sample(last, width, height, colorimetry);
}

double decode_error(GPtrArray *packets, guint first, const Picture *picture)
{
    g_autofree char *colorimetry = NULL;
    g_autofree guint32 *decoded = NULL;
    guint width, height, n_pictures;
    guint64 sum = 0;

    decoded = decode(packets, first, &width, &height, &n_pictures, &colorimetry);
    for (guint y = 0; y < picture->height; y++) {
        for (guint x = 0; x < picture->width; x++) {
            int is = (int)(decoded[y * width + x] >> 8 & 0xff);

            sum += (guint64)ABS(is - (int)(picture->pixels[y * picture->width + x] >> 8 & 0xff));
        }
    }
    return (double)sum / picture->width / picture->height;
}

void check_patches(const Picture *picture, const guint32 *decoded, guint width, guint tolerance)
{
    for (guint y = PATCH / 2; y < picture->height; y += PATCH) {
        for (guint x = PATCH / 2; x < picture->width; x += PATCH) {
            guint32 wanted = picture->pixels[y * picture->width + x];
            guint32 got = decoded[y * width + x];

            for (guint shift = 0; shift < 24; shift += 8) {
                int difference = (int)(wanted >> shift & 0xff) - (int)(got >> shift & 0xff);

                if ((guint)ABS(difference) > tolerance) {
                    g_error("%ux%u at %u,%u: %06x instead of %06x", picture->width, picture->height,
                            x, y, got & 0xffffff, wanted);
                }
            }
        }
    }
}

gboolean has_nal(ScPacket *packet, guint type)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(sc_packet_get_data(packet), &size);

    for (gsize i = 0; i + 3 < size; i++) {
        if (data[i] == 0 && data[i + 1] == 0 && data[i + 2] == 1 && (data[i + 3] & 0x1f) == type) {
            return TRUE;
        }
    }
    return FALSE;
}

guint count_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    guint n = 0;

    while (g_dir_read_name(dir) != NULL) {
        n++;
    }
    return n;
}

guint count_threads(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/task", 0, NULL);
    const char *entry;
    guint n = 0;

    while ((entry = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename("/proc/self/task", entry, "comm", NULL);
        g_autofree char *name = NULL;

        if (g_file_get_contents(path, &name, NULL, NULL) && g_str_has_prefix(name, "sc-")) {
            n++;
        }
    }
    return n;
}
