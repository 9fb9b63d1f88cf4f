/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encoders that fail, hang or never worked: the owner hears of it and is never held up. */
#include "capture/error.h"
#include "encoder/encoder-impl.h"
#include "encoder/reaper.h"
#include "tests/encoder/block.h"
#include "tests/encoder/harness.h"

#include <gst/gst.h>
#include <string.h>

#define X264 "x264enc tune=zerolatency speed-preset=ultrafast"

static const struct {
    const char *description;
    const char *reason; /* a part of the message */
} unbuildable[] = {
    { "", "empty" },
    { "nosuchencoder ! h264parse", "nosuchencoder" },
    { "x264enc nosuchproperty=1", "nosuchproperty" },
    { "x264enc !", "syntax" },
    { "! x264enc", "syntax" },
    { "fakesink", "" },
    { "videotestsrc ! x264enc", "" },
    { "jpegenc", "jpegenc" },
    { "x264enc name=a tee name=b", "" },
};

static void test_unbuildable(void)
{
    static const ScEncoderListener listener;
    ScEncoderConfig config = {
        .codec = SC_CODEC_H264, .kind = SC_ENCODER_CUSTOM, .bitrate_kbit = 1000, .max_fps = 60
    };

    for (gsize i = 0; i < G_N_ELEMENTS(unbuildable); i++) {
        g_autoptr(GError) error = NULL;

        config.description = unbuildable[i].description;
        g_assert_null(sc_encoder_new(&config, &listener, NULL, &error));
        g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
        g_test_message("%s", error->message);
        g_assert_nonnull(strstr(error->message, unbuildable[i].description));
        g_assert_nonnull(strstr(error->message, unbuildable[i].reason));
    }
    config.description = X264;
    config.max_fps = 0;
    g_assert_null(sc_encoder_new(&config, &listener, NULL, NULL));
    config.max_fps = 60;
    config.bitrate_kbit = 0;
    g_assert_null(sc_encoder_new(&config, &listener, NULL, NULL));
}

static void test_not_installed(void)
{
    static const char *const factories[] = { "x264enc", "openh264enc" };
    static const ScEncoderListener listener;
    GstPluginFeature *features[G_N_ELEMENTS(factories)];
    g_autoptr(GError) error = NULL;
    ScEncoderConfig config = { .codec = SC_CODEC_H264, .bitrate_kbit = 1000, .max_fps = 60 };

    for (gsize i = 0; i < G_N_ELEMENTS(factories); i++) {
        features[i] = gst_registry_lookup_feature(gst_registry_get(), factories[i]);
        gst_registry_remove_feature(gst_registry_get(), features[i]);
    }
    g_assert_null(sc_encoder_new(&config, &listener, NULL, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED);
    g_assert_nonnull(strstr(error->message, "gstreamer1.0-plugins-ugly"));
    for (gsize i = 0; i < G_N_ELEMENTS(factories); i++) {
        gst_registry_add_feature(gst_registry_get(), features[i]);
        gst_object_unref(features[i]);
    }
}

/* These never put out a first packet, and are given up at once. */
static void test_never(gconstpointer data)
{
    const char *description = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(ScFrame) frame = NULL;
    Harness harness;
    Picture picture;

    harness_init_custom(&harness, description);
    picture_init(&picture, 320, 240);
    harness_submit(&harness, &picture, FALSE);
    harness_wait_failed(&harness);
    g_test_message("%s", harness.failed->message);
    g_assert_nonnull(strstr(harness.failed->message, description));
    g_assert_cmpuint(harness.n_dropped, ==, 1);
    g_assert_cmpuint(harness.packets->len, ==, 0);

    frame = picture_new_frame(&picture, NULL);
    g_assert_false(sc_encoder_submit(harness.encoder, frame, FALSE, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_FAILED);
    g_assert_false(sc_encoder_is_busy(harness.encoder));
    picture_clear(&picture);
    harness_clear(&harness);
}

/* These work for some pictures, and are built again, up to a bound. What was lost is a key frame
 * the next time. */
static void test_midway(gconstpointer data)
{
    const char *description = data;
    gboolean expect_key = TRUE;
    guint n_packets = 0, n_dropped = 0;
    Harness harness;
    Picture picture;

    harness_init_custom(&harness, description);
    picture_init(&picture, 320, 240);
    while (harness.n_failed == 0) {
        g_autoptr(ScFrame) frame = picture_new_frame(&picture, NULL);

        if (!sc_encoder_submit(harness.encoder, frame, FALSE, NULL)) {
            harness_wait_failed(&harness);
            break;
        }
        while (harness.packets->len == n_packets && harness.n_dropped == n_dropped) {
            g_main_context_iteration(NULL, TRUE);
        }
        if (harness.packets->len > n_packets) {
            ScPacket *packet = harness.packets->pdata[n_packets];

            g_assert_cmpint(sc_packet_get_info(packet)->is_key, ==, expect_key);
            expect_key = FALSE;
        } else {
            expect_key = TRUE;
        }
        g_assert_cmpuint(harness.packets->len + harness.n_dropped, ==, n_packets + n_dropped + 1);
        n_packets = harness.packets->len;
        n_dropped = harness.n_dropped;
    }
    g_assert_cmpuint(n_dropped, ==, SC_LADDER_MAX_FAILURES);
    g_assert_cmpuint(n_packets, >=, SC_LADDER_MAX_FAILURES * 3);
    g_assert_cmpuint(harness.n_failed, ==, 1);
    g_assert_nonnull(strstr(harness.failed->message, description));
    picture_clear(&picture);
    harness_clear(&harness);
}

/* A packet whose picture cannot be told. */
static void test_retime(void)
{
    Harness harness;
    Picture picture;

    harness_init_custom(&harness, "scblock ! " X264);
    picture_init(&picture, 320, 240);
    harness_encode(&harness, &picture, FALSE);
    block_set(BLOCK_RETIME);
    harness_submit(&harness, &picture, FALSE);
    harness_wait_dropped(&harness, 1);
    g_assert_nonnull(strstr(harness.dropped->message, "belongs to no picture"));
    block_set(BLOCK_NOTHING);
    g_assert_true(sc_encoder_submit(harness.encoder, NULL, FALSE, NULL)); /* it is owed */
    harness_wait_packets(&harness, 2);
    picture_clear(&picture);
    harness_clear(&harness);
}

static void wait_until_blocked(guint n)
{
    gint64 end = g_get_monotonic_time() + DEADLINE_US;

    while (block_count() < n && g_get_monotonic_time() < end) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(1000);
    }
    g_assert_cmpuint(block_count(), ==, n);
}

/* A pipeline that hangs once: the picture is reported as lost, absorbing goes on, and the next
 * pipeline takes over with the picture as it is then. */
static void test_hang(void)
{
    g_autoptr(ScFrame) frame = NULL;
    g_autofree guint32 *decoded = NULL;
    g_autofree char *colorimetry = NULL;
    guint frames = sc_frame_count_alive();
    guint width, height, n_pictures;
    pixman_region32_t damage;
    Harness harness;
    Picture picture;

    harness_init_custom(&harness, "scblock ! " X264);
    picture_init(&picture, 320, 240);
    harness_encode(&harness, &picture, FALSE);
    block_set(BLOCK_PICTURES);
    harness_submit(&harness, &picture, FALSE);
    wait_until_blocked(1);
    picture_draw_patch(&picture, 1, 1, 0x405060, &damage);
    frame = picture_new_frame(&picture, &damage);
    g_assert_true(sc_encoder_absorb(harness.encoder, frame, NULL));
    g_clear_pointer(&frame, sc_frame_unref);
    g_assert_cmpuint(sc_frame_count_alive(), ==, frames);

    harness_wait_dropped(&harness, 1);
    g_assert_cmpuint(block_count(), ==, 1); /* it hangs on; nobody waits for it */
    block_set(BLOCK_NOTHING);
    g_assert_true(sc_encoder_submit(harness.encoder, NULL, FALSE, NULL));
    harness_wait_packets(&harness, 2);
    g_assert_true(sc_packet_get_info(harness.packets->pdata[1])->is_key);
    decoded = decode(harness.packets, 1, &width, &height, &n_pictures, &colorimetry);
    check_patches(&picture, decoded, width, 16);
    g_assert_cmpuint(harness.n_failed, ==, 0);
    picture_clear(&picture);
    harness_clear(&harness);
    g_assert_true(sc_reaper_wait(DEADLINE_US));
}

static void on_done(GBytes *packet, gboolean is_key, gpointer data)
{
    *(GBytes **)data = g_bytes_ref(packet);
    g_assert_true(is_key);
}

static void on_failed(const GError *error, gpointer data)
{
    g_error("%s", error->message);
}

/* A pipeline that takes over from another one knows nothing of the picture so far. */
static void test_takeover(void)
{
    static const ScPipelineListener listener = { on_done, on_failed };
    ScEncoderConfig config = { .codec = SC_CODEC_H264, .bitrate_kbit = 20000, .max_fps = 60 };
    g_autoptr(GBytes) data = NULL;
    ScRungRequest request = { .config = &config, .listener = &listener, .listener_data = &data };
    g_autoptr(GPtrArray) packets = g_ptr_array_new_with_free_func((GDestroyNotify)sc_packet_unref);
    g_autoptr(ScPicture) picture = NULL;
    g_autoptr(ScPipeline) pipeline = NULL;
    g_autofree char *label = NULL;
    g_autofree char *colorimetry = NULL;
    g_autofree guint32 *decoded = NULL;
    guint width, height, n_pictures;
    pixman_region32_t little;
    Picture shown;

    picture_init(&shown, 320, 240);
    pixman_region32_init_rect(&little, 100, 100, 1, 1);
    gst_video_info_set_format(&request.picture, GST_VIDEO_FORMAT_BGRx, 320, 240);
    request.picture.fps_n = 60;
    picture = sc_picture_new(&request.picture, NULL);
    memcpy(picture->data, shown.pixels, picture->info.size);
    pipeline = sc_rung_software.open(&request, &label, NULL);
    sc_pipeline_encode(pipeline, picture, &little, FALSE, 20000);
    while (data == NULL) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_ptr_array_add(packets, sc_packet_new(data, &(ScPacketInfo){ .codec = SC_CODEC_H264 }));
    decoded = decode(packets, 0, &width, &height, &n_pictures, &colorimetry);
    check_patches(&shown, decoded, width, 16);
    picture_clear(&shown);
}

/* Nobody waits for a pipeline that hangs, whenever the encoder goes. */
static void test_free_while_hanging(gconstpointer data)
{
    Block block = (Block)GPOINTER_TO_INT(data);
    guint frames = sc_frame_count_alive();
    Harness harness;
    Picture picture;

    picture_init(&picture, 320, 240);
    block_set(block);
    for (guint i = 0; i < 3; i++) {
        harness_init_custom(&harness, "scblock ! " X264);
        harness_submit(&harness, &picture, FALSE);
        wait_until_blocked(i + 1);
        if (i == 2) {
            harness.free_when_dropped = TRUE;
            harness_wait_dropped(&harness, 1);
            g_assert_null(harness.encoder);
        }
        harness_clear(&harness); /* would hang here */
        g_assert_cmpuint(sc_frame_count_alive(), ==, frames);
    }
    g_assert_false(sc_reaper_wait(1000));
    block_set(BLOCK_NOTHING);
    g_assert_true(sc_reaper_wait(DEADLINE_US));
    g_assert_cmpuint(count_threads(), ==, 0);
    picture_clear(&picture);
}

/* "Until something changes": another size is such a thing. */
static void test_change_helps(void)
{
    g_autoptr(ScFrame) frame = NULL;
    Harness harness;
    Picture picture, other;

    harness_init_custom(&harness, "scblock ! " X264);
    picture_init(&picture, 320, 240);
    picture_init(&other, 336, 240);
    block_set(BLOCK_PICTURES);
    harness_submit(&harness, &picture, FALSE);
    harness_wait_failed(&harness);
    block_set(BLOCK_NOTHING);
    frame = picture_new_frame(&picture, NULL);
    g_assert_false(sc_encoder_submit(harness.encoder, frame, FALSE, NULL));
    harness_encode(&harness, &other, FALSE);
    picture_clear(&picture);
    picture_clear(&other);
    harness_clear(&harness);
}

/* Somebody stopped the owner for longer than a picture may take: not the encoder's fault. */
static void test_owner_stopped(void)
{
    Harness harness;
    Picture picture;

    harness_init_custom(&harness, "scblock ! " X264);
    picture_init(&picture, 320, 240);
    harness_encode(&harness, &picture, FALSE);
    block_set(BLOCK_PICTURES);
    harness_submit(&harness, &picture, FALSE);
    wait_until_blocked(1);
    g_usleep(SC_ENCODER_STALL * 3 / 2);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    block_set(BLOCK_NOTHING);
    harness_wait_packets(&harness, 2);
    g_assert_cmpuint(harness.n_dropped, ==, 0);
    picture_clear(&picture);
    harness_clear(&harness);
}

/* A process with a hanging encoder ends all the same. */
static void test_exit(void)
{
    if (g_test_subprocess()) {
        Harness harness;
        Picture picture;

        picture_init(&picture, 320, 240);
        block_set(BLOCK_PICTURES);
        harness_init_custom(&harness, "scblock ! " X264);
        harness_submit(&harness, &picture, FALSE);
        wait_until_blocked(1);
        harness_clear(&harness);
        picture_clear(&picture);
        return;
    }
    g_test_trap_subprocess(NULL, DEADLINE_US, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*giving up on encoder \"scblock*");
}

static void test_unreadable(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ScFrame) frame = NULL;
    Harness harness;
    Picture picture, gone;

    harness_init(&harness, NULL);
    picture_init(&picture, 320, 240);
    picture_init(&gone, 320, 240);
    harness_encode(&harness, &picture, FALSE);
    frame = picture_new_frame(&gone, NULL);
    sc_scanout_unref(gone.scanout); /* so that only the frame holds it: detached, it is gone */
    sc_scanout_detach_pixels(gone.scanout);
    g_assert_false(sc_encoder_absorb(harness.encoder, frame, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_FAILED);
    g_assert_false(sc_encoder_submit(harness.encoder, frame, FALSE, NULL));
    g_assert_false(sc_encoder_is_busy(harness.encoder));
    harness_encode(&harness, &picture, FALSE);
    g_free(gone.pixels);
    picture_clear(&picture);
    harness_clear(&harness);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK); /* warnings are wanted here */
    gst_init(NULL, NULL);
    block_register();
    g_test_add_func("/failures/unbuildable", test_unbuildable);
    g_test_add_func("/failures/not-installed", test_not_installed);
    g_test_add_func("/failures/unreadable", test_unreadable);
    g_test_add_data_func("/failures/never/delays", "x264enc", test_never);
    g_test_add_data_func("/failures/never/drops", "identity drop-probability=1 ! " X264,
                         test_never);
    g_test_add_data_func("/failures/never/error", "identity error-after=1 ! " X264, test_never);
    g_test_add_data_func("/failures/never/ends", "identity eos-after=1 ! " X264, test_never);
    g_test_add_data_func("/failures/never/negotiates", "video/x-raw,width=99 ! " X264, test_never);
    g_test_add_data_func("/failures/never/profile", X264 " ! video/x-h264,profile=high-4:4:4",
                         test_never);
    g_test_add_data_func("/failures/midway/error", "identity error-after=5 ! " X264, test_midway);
    g_test_add_data_func("/failures/midway/ends", "identity eos-after=5 ! " X264, test_midway);
    g_test_add_func("/failures/retime", test_retime);
    g_test_add_func("/failures/takeover", test_takeover);
    g_test_add_func("/failures/hang", test_hang);
    g_test_add_data_func("/failures/free/pictures", GINT_TO_POINTER(BLOCK_PICTURES),
                         test_free_while_hanging);
    g_test_add_data_func("/failures/free/start", GINT_TO_POINTER(BLOCK_START),
                         test_free_while_hanging);
    g_test_add_func("/failures/change-helps", test_change_helps);
    g_test_add_func("/failures/owner-stopped", test_owner_stopped);
    g_test_add_func("/failures/exit", test_exit);
    return g_test_run();
}
