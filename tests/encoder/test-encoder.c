/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encoders that work: what comes out is what went in. */
#include "capture/error.h"
#include "encoder/gst-pipeline.h"
#include "encoder/reaper.h"
#include "tests/encoder/harness.h"

#include <gst/gst.h>

/* Flat patches at a high bit rate: GStreamer's conversion rounds down, which the way back to RGB
 * doubles; a wrong matrix or range errs by more than 20 somewhere. */
#define TOLERANCE 14
#define BITRATE 100000

typedef struct {
    const char *name;
    ScEncoderConfig config;
    const char *without; /* an element to do without */
} Way;

static const Way ways[] = {
    { "h264",
      { .codec = SC_CODEC_H264, .kind = SC_ENCODER_AUTO, .bitrate_kbit = BITRATE, .max_fps = 60 },
      NULL },
    { "openh264",
      { .codec = SC_CODEC_H264,
        .kind = SC_ENCODER_SOFTWARE,
        .bitrate_kbit = BITRATE,
        .max_fps = 60 },
      "x264enc" },
    { "mjpeg",
      { .codec = SC_CODEC_MJPEG,
        .kind = SC_ENCODER_SOFTWARE,
        .bitrate_kbit = BITRATE,
        .max_fps = 60 },
      NULL },
    { "custom",
      { .codec = SC_CODEC_H264,
        .kind = SC_ENCODER_CUSTOM,
        .description =
            "x264enc tune=zerolatency speed-preset=ultrafast bitrate=100000 key-int-max=1000",
        .bitrate_kbit = BITRATE,
        .max_fps = 60 },
      NULL },
};

/* A feature of the registry is hidden by its rank and name, so take it out while @way is tested. */
static GstPluginFeature *hide(const Way *way)
{
    GstPluginFeature *feature;

    gst_init(NULL, NULL);
    if (way->without == NULL) {
        return NULL;
    }
    feature = gst_registry_lookup_feature(gst_registry_get(), way->without);
    gst_registry_remove_feature(gst_registry_get(), feature);
    return feature;
}

static void unhide(GstPluginFeature *feature)
{
    if (feature != NULL) {
        gst_registry_add_feature(gst_registry_get(), feature);
        gst_object_unref(feature);
    }
}

static void check_decoded(Harness *harness, guint first, const Picture *picture,
                          const char *colorimetry)
{
    g_autofree char *said = NULL;
    g_autofree guint32 *decoded = NULL;
    guint width, height, n_pictures;

    decoded = decode(harness->packets, first, &width, &height, &n_pictures, &said);
    g_assert_cmpuint(n_pictures, ==, harness->packets->len - first);
    g_assert_cmpuint(width, ==, (picture->width + 1) / 2 * 2);
    g_assert_cmpuint(height, ==, (picture->height + 1) / 2 * 2);
    check_patches(picture, decoded, width, TOLERANCE);
    if (colorimetry != NULL) {
        g_assert_cmpstr(said, ==, colorimetry);
    }
}

/* Whole pictures, then small changes, which reach the picture too. */
static void test_pictures(gconstpointer data)
{
    static const struct {
        guint width, height;
    } sizes[] = { { 320, 240 }, { 801, 601 }, { 1280, 720 } };
    const Way *way = data;
    GstPluginFeature *hidden = hide(way);

    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        Harness harness;
        Picture picture;
        pixman_region32_t damage;

        harness_init(&harness, &way->config);
        picture_init(&picture, sizes[i].width, sizes[i].height);
        harness_encode(&harness, &picture, FALSE);
        picture_draw(&picture, 2);
        harness_encode(&harness, &picture, FALSE);
        harness_encode(&harness, &picture, TRUE); /* a scene cut in a P frame costs quality */
        check_decoded(&harness, 0, &picture, way->config.kind == SC_ENCODER_AUTO ? "bt709" : NULL);
        for (guint n = 0; n < 5; n++) {
            g_autoptr(ScFrame) frame = NULL;

            picture_draw_patch(&picture, n, n, 0x20e060 + n, &damage);
            frame = picture_new_frame(&picture, &damage);
            g_assert_true(sc_encoder_submit(harness.encoder, frame, FALSE, NULL));
            harness_wait_packets(&harness, 4 + n);
            g_assert_cmpuint(sc_packet_get_info(harness.packets->pdata[3 + n])->serial, ==,
                             sc_frame_get_serial(frame));
        }
        check_decoded(&harness, 0, &picture, NULL);
        g_assert_cmpuint(harness.n_dropped + harness.n_failed, ==, 0);
        picture_clear(&picture);
        harness_clear(&harness);
    }
    unhide(hidden);
}

/* Key frames where they are asked for and nowhere else, each with parameter sets. */
static void test_keys(gconstpointer data)
{
    const Way *way = data;
    gboolean mjpeg = way->config.codec == SC_CODEC_MJPEG;
    GstPluginFeature *hidden = hide(way);
    Harness harness;
    Picture picture;
    guint n_keys = 0;
    ScEncoderCounts counts;

    harness_init(&harness, &way->config);
    picture_init(&picture, 320, 240);
    for (guint i = 0; i < 100; i++) {
        gboolean wanted = i % 16 == 7;
        gboolean is_key = mjpeg || wanted || i == 0;
        ScPacket *packet;

        picture_draw(&picture, i); /* a scene cut each time */
        packet = harness_encode(&harness, &picture, wanted);
        g_assert_cmpint(sc_packet_get_info(packet)->is_key, ==, is_key);
        if (!mjpeg) {
            g_assert_cmpint(has_nal(packet, NAL_IDR), ==, is_key);
            g_assert_true(!is_key || (has_nal(packet, NAL_SPS) && has_nal(packet, NAL_PPS)));
        }
        n_keys += is_key;
    }
    check_decoded(&harness, 87, &picture, NULL); /* from a key frame in the middle */
    sc_encoder_get_counts(harness.encoder, &counts);
    g_assert_cmpuint(counts.pictures, ==, 100);
    g_assert_cmpuint(counts.key_frames, ==, n_keys);
    g_assert_cmpuint(counts.copied_pixels, ==, 100 * 320 * 240);
    g_assert_cmpuint(counts.step_downs, ==, 0);
    g_assert_cmpuint(counts.bytes, >, 0);
    g_assert_cmpuint(counts.encode_us, >, 0);
    picture_clear(&picture);
    harness_clear(&harness);
    unhide(hidden);
}

static void test_resolution(gconstpointer data)
{
    const Way *way = data;
    GstPluginFeature *hidden = hide(way);
    Harness harness;

    harness_init(&harness, &way->config);
    for (guint i = 0; i < 6; i++) {
        guint first = harness.packets->len;
        Picture picture;
        ScPacket *packet;

        picture_init(&picture, 320 + i * 65, 240 + i * 33);
        packet = harness_encode(&harness, &picture, FALSE);
        g_assert_true(sc_packet_get_info(packet)->is_key);
        g_assert_cmpuint(sc_packet_get_info(packet)->width, ==, picture.width);
        g_assert_cmpuint(sc_packet_get_info(packet)->height, ==, picture.height);
        picture_draw(&picture, 3);
        harness_encode(&harness, &picture, FALSE);
        check_decoded(&harness, first, &picture, NULL);
        picture_clear(&picture);
    }
    harness_clear(&harness);
    unhide(hidden);
}

static void draw_noise(Picture *picture, GRand *rand)
{
    for (guint i = 0; i < picture->width * picture->height; i++) {
        picture->pixels[i] = g_rand_int(rand);
    }
}

static gsize encode_noise(Harness *harness, Picture *picture, GRand *rand, guint n)
{
    gsize bytes = 0;

    for (guint i = 0; i < n; i++) {
        draw_noise(picture, rand);
        bytes += g_bytes_get_size(sc_packet_get_data(harness_encode(harness, picture, FALSE)));
    }
    return bytes;
}

/* Noise needs more than it gets, so the rate control decides: a quarter of the rate gives clearly
 * less, without a key frame or a pause. */
static void test_bitrate(gconstpointer data)
{
    const Way *way = data;
    GstPluginFeature *hidden = hide(way);
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    ScEncoderConfig config = way->config;
    Harness harness;
    Picture picture;
    gsize before, after;

    config.bitrate_kbit = 12000;
    config.max_fps = 30;
    harness_init(&harness, &config);
    picture_init(&picture, 320, 240);
    encode_noise(&harness, &picture, rand, 30);
    before = encode_noise(&harness, &picture, rand, 30);
    sc_encoder_set_bitrate(harness.encoder, 3000);
    encode_noise(&harness, &picture, rand, 30);
    after = encode_noise(&harness, &picture, rand, 30);
    g_test_message("%" G_GSIZE_FORMAT " and %" G_GSIZE_FORMAT " bytes a second", before, after);
    g_assert_cmpuint(before, <, 12000 * 125 * 3 / 2);
    g_assert_cmpuint(after, <, before * 4 / 5); /* openh264 has no coarser quantiser */
    for (guint i = 1; i < harness.packets->len; i++) {
        /* openh264 may begin a new sequence, of another level, with the new rate. */
        g_assert_true(!sc_packet_get_info(harness.packets->pdata[i])->is_key ||
                      (i == 60 && way->without != NULL));
    }
    picture_clear(&picture);
    harness_clear(&harness);
    unhide(hidden);
}

/* Viewers come one by one to a guest that shows a page of text and does nothing. What each begins
 * with is legible, at the bit rate that scancast has if it is told none; repeated as often as the
 * encoder is strained, it is as good as the bit rate allows. */
static void test_strain(gconstpointer data)
{
    const Way *way = data;
    GstPluginFeature *hidden = hide(way);
    ScEncoderConfig config = way->config;
    Harness harness;
    Picture picture;

    config.bitrate_kbit = 8000;
    harness_init(&harness, &config);
    picture_init(&picture, 1280, 720);
    picture_draw_text(&picture, 1);
    for (guint i = 0; i < 6; i++) {
        guint first = harness.packets->len;
        double key_error, last_error;

        harness_encode(&harness, &picture, TRUE);
        key_error = decode_error(harness.packets, first, &picture);
        g_assert_true(sc_encoder_is_strained(harness.encoder));
        while (sc_encoder_is_strained(harness.encoder)) {
            harness_encode(&harness, &picture, FALSE);
            g_assert_cmpuint(harness.packets->len - first, <=, 60);
        }
        last_error = decode_error(harness.packets, first, &picture);
        g_test_message("off by %.1f, and after %u more by %.1f", key_error,
                       harness.packets->len - first - 1, last_error);
        g_assert_cmpfloat(key_error, <, 20);
        g_assert_cmpfloat(last_error, <, 4);
    }
    picture_clear(&picture);
    harness_clear(&harness);
    unhide(hidden);
}

/* What is absorbed while the encoder is busy does not touch the picture in flight, holds no frame,
 * and comes with the next one. */
static void test_absorb(gconstpointer data)
{
    const Way *way = data;
    GstPluginFeature *hidden = hide(way);
    g_autoptr(GError) error = NULL;
    Harness harness;
    Picture picture, before;
    guint frames = sc_frame_count_alive();

    harness_init(&harness, &way->config);
    picture_init(&picture, 1280, 720);
    picture_init(&before, 1280, 720);
    g_assert_false(sc_encoder_submit(harness.encoder, NULL, TRUE, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
    for (guint round = 0; round < 5; round++) {
        guint first = harness.packets->len;

        picture_draw(&picture, round);
        picture_draw(&before, round);
        harness_submit(&harness, &picture, TRUE);
        for (guint i = 0; i < 4; i++) {
            g_autoptr(ScFrame) frame = NULL;
            pixman_region32_t damage;

            picture_draw_patch(&picture, i, i, 0x90a0b0, &damage);
            frame = picture_new_frame(&picture, &damage);
            g_assert_true(sc_encoder_copies(harness.encoder, frame));
            g_assert_true(sc_encoder_absorb(harness.encoder, frame, NULL));
        }
        g_assert_true(sc_encoder_is_busy(harness.encoder));
        g_assert_cmpuint(sc_frame_count_alive(), ==, frames);
        harness_wait_packets(&harness, first + 1);
        check_decoded(&harness, first, &before, NULL);
        g_assert_true(sc_encoder_submit(harness.encoder, NULL, FALSE, NULL));
        harness_wait_packets(&harness, first + 2);
        check_decoded(&harness, first, &picture, NULL);
        g_assert_false(sc_encoder_submit(harness.encoder, NULL, FALSE, NULL));
    }
    /* Nothing new, but a key frame of what there is. */
    g_assert_true(sc_encoder_submit(harness.encoder, NULL, TRUE, NULL));
    harness_wait_packets(&harness, 11);
    check_decoded(&harness, 10, &picture, NULL);
    picture_clear(&picture);
    picture_clear(&before);
    harness_clear(&harness);
    unhide(hidden);
}

static void on_flush(ScFlushResult result, gpointer data)
{
    ++*(guint *)data;
    g_assert_cmpint(result, ==, SC_FLUSH_DONE);
}

/* The guest goes on as soon as the picture is copied. */
static void test_flush(void)
{
    Harness harness;
    Picture picture;
    ScFlushCounts before, after;
    guint n_flushed = 0;

    sc_flush_get_counts(&before);
    harness_init(&harness, NULL);
    picture_init(&picture, 320, 240);
    for (guint i = 0; i < 20; i++) {
        g_autoptr(ScFlush) flush = sc_flush_new(on_flush, &n_flushed);
        ScFrame *frame = sc_frame_new(picture.scanout, NULL, flush);

        g_assert_true(sc_encoder_submit(harness.encoder, frame, FALSE, NULL));
        g_assert_cmpuint(n_flushed, ==, i);
        sc_frame_unref(frame);
        g_assert_cmpuint(n_flushed, ==, i + 1);
        harness_wait_packets(&harness, i + 1);
    }
    sc_flush_get_counts(&after);
    g_assert_cmpint(after.completed[SC_FLUSH_DONE] - before.completed[SC_FLUSH_DONE], ==, 20);
    g_assert_cmpuint(after.outstanding, ==, before.outstanding);
    picture_clear(&picture);
    harness_clear(&harness);
}

static void test_rung(void)
{
    Harness harness;
    Picture picture;

    harness_init(&harness, NULL);
    picture_init(&picture, 320, 240);
    g_assert_cmpstr(sc_encoder_get_rung(harness.encoder), ==, "none");
    harness_encode(&harness, &picture, FALSE);
    g_assert_cmpstr(sc_encoder_get_rung(harness.encoder), ==, "software (x264enc)");
    picture_clear(&picture);
    harness_clear(&harness);
}

/* While it rests nothing is left of the pipeline; the next picture is a whole one. */
static void test_rest(gconstpointer data)
{
    const Way *way = data;
    GstPluginFeature *hidden = hide(way);
    Harness harness;
    Picture picture;

    harness_init(&harness, &way->config);
    picture_init(&picture, 320, 240);
    for (guint i = 0; i < 3; i++) {
        sc_encoder_rest(harness.encoder); /* at first there is nothing to let go */
        picture_draw(&picture, i);
        g_assert_true(sc_packet_get_info(harness_encode(&harness, &picture, FALSE))->is_key);
        picture_draw(&picture, i + 10);
        harness_encode(&harness, &picture, FALSE);
        check_decoded(&harness, 2 * i, &picture, NULL);
        g_assert_cmpuint(sc_pipeline_count_alive(), ==, 1);
        sc_encoder_rest(harness.encoder);
        g_assert_true(sc_reaper_wait(DEADLINE_US));
        g_assert_cmpuint(sc_pipeline_count_alive(), ==, 0);
        g_assert_cmpuint(count_threads(), ==, 0);
        g_assert_false(sc_encoder_submit(harness.encoder, NULL, TRUE, NULL));
    }
    g_assert_cmpuint(harness.n_dropped + harness.n_failed, ==, 0);
    picture_clear(&picture);
    harness_clear(&harness);
    unhide(hidden);
}

/* Descriptors, threads and frames do not pile up, however an encoder ends. */
static void test_leaks(void)
{
    guint fds = 0;
    guint frames = sc_frame_count_alive();
    Picture picture;

    picture_init(&picture, 320, 240);
    for (guint i = 0; i < 100; i++) {
        Harness harness;

        harness_init(&harness, &ways[i % 3].config);
        if (i % 2 == 0) {
            harness_encode(&harness, &picture, FALSE);
        }
        if (i % 4 != 1) {
            harness_submit(&harness, &picture, FALSE); /* freed with a picture in flight */
        }
        harness_clear(&harness);
        if (i == 9) { /* GStreamer has what it keeps */
            g_assert_true(sc_reaper_wait(DEADLINE_US));
            fds = count_fds();
        }
    }
    g_assert_true(sc_reaper_wait(DEADLINE_US));
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    g_assert_cmpuint(count_fds(), <=, fds);
    g_assert_cmpuint(count_threads(), ==, 0);
    g_assert_cmpuint(sc_pipeline_count_alive(), ==, 0);
    g_assert_cmpuint(sc_frame_count_alive(), ==, frames);
    picture_clear(&picture);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(ways); i++) {
        static const struct {
            const char *name;
            GTestDataFunc func;
        } tests[] = { { "pictures", test_pictures },
                      { "keys", test_keys },
                      { "resolution", test_resolution },
                      { "absorb", test_absorb },
                      { "rest", test_rest } };

        for (gsize t = 0; t < G_N_ELEMENTS(tests); t++) {
            g_autofree char *path = g_strdup_printf("/encoder/%s/%s", ways[i].name, tests[t].name);

            g_test_add_data_func(path, &ways[i], tests[t].func);
        }
    }
    g_test_add_data_func("/encoder/h264/bitrate", &ways[0], test_bitrate);
    g_test_add_data_func("/encoder/openh264/bitrate", &ways[1], test_bitrate);
    g_test_add_data_func("/encoder/h264/strain", &ways[0], test_strain);
    g_test_add_data_func("/encoder/openh264/strain", &ways[1], test_strain);
    g_test_add_func("/encoder/flush", test_flush);
    g_test_add_func("/encoder/rung", test_rung);
    g_test_add_func("/encoder/leaks", test_leaks);
    return g_test_run();
}
