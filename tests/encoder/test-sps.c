/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The colours are told in whatever an encoder makes, and nothing else is changed. */
#include "encoder/sps.h"
#include "tests/encoder/harness.h"

#include <gst/video/video.h>
#include <string.h>

#define BT601 "videoconvert ! video/x-raw,format=I420,colorimetry=bt601 ! "
#define X264 "x264enc tune=zerolatency speed-preset=ultrafast "

#define HIGH BT601 X264 "dct8x8=true ! video/x-h264,profile=high"

static const struct {
    const char *name, *description;
} encoders[] = {
    { "vui", BT601 X264 "option-string=fullrange=on:videoformat=pal" },
    { "aspect-ratio", BT601 X264 "option-string=sar=13/11:overscan=crop" },
    { "high", HIGH },
    { "interlaced", BT601 X264 "interlaced=true" },
    { "openh264", BT601 "openh264enc" },
};

static ScPacket *rewrite(ScPacket *packet)
{
    g_autoptr(GBytes) data = sc_sps_set_bt709(sc_packet_get_data(packet));

    return sc_packet_new(data, sc_packet_get_info(packet));
}

static char *read_colorimetry(ScPacket *packet, guint32 **pixels)
{
    g_autoptr(GPtrArray) packets = g_ptr_array_new();
    guint width, height, n_pictures;
    char *colorimetry = NULL;

    g_ptr_array_add(packets, packet);
    *pixels = decode(packets, 0, &width, &height, &n_pictures, &colorimetry);
    g_assert_cmpuint(n_pictures, ==, 1);
    return colorimetry;
}

static void test_encoder(gconstpointer data)
{
    g_autofree guint32 *before = NULL;
    g_autofree guint32 *after = NULL;
    g_autofree char *old_colorimetry = NULL;
    g_autofree char *colorimetry = NULL;
    g_autoptr(ScPacket) changed = NULL;
    g_autoptr(ScPacket) again = NULL;
    Harness harness;
    Picture picture;

    harness_init_custom(&harness, data);
    picture_init(&picture, 330, 250);
    harness_encode(&harness, &picture, FALSE);
    changed = rewrite(harness.packets->pdata[0]);
    old_colorimetry = read_colorimetry(harness.packets->pdata[0], &before);
    colorimetry = read_colorimetry(changed, &after);
    g_assert_cmpstr(old_colorimetry, !=, GST_VIDEO_COLORIMETRY_BT709);
    g_assert_cmpstr(colorimetry, ==, GST_VIDEO_COLORIMETRY_BT709);
    again = rewrite(changed);
    g_assert_true(g_bytes_equal(sc_packet_get_data(again), sc_packet_get_data(changed)));
    picture_clear(&picture);
    harness_clear(&harness);
}

/* Written into a parameter set that has none: its fifth byte is the first behind the flag that
 * tells of them (clause 7.3.2.1.1, with the values x264 gives to what stands before). */
static ScPacket *add_scaling_lists(ScPacket *packet)
{
    /* All values 8; 8 and then the last one; the default lists; values that lead there; none. */
    static const char bits[] = "11111111111111111"
                               "11000010001"
                               "1000010001"
                               "11000010001"
                               "11000010001"
                               "1000010001"
                               "11111111111111111111111111111111111111111111111111111111111111111"
                               "0";
    gsize size;
    const guint8 *data = g_bytes_get_data(sc_packet_get_data(packet), &size);
    GByteArray *array = g_byte_array_new();
    g_autoptr(GBytes) bytes = NULL;
    gsize sps = 0;

    while (!(data[sps] == 0 && data[sps + 1] == 0 && data[sps + 2] == 1 && data[sps + 3] == 0x67)) {
        g_assert_cmpuint(++sps + 8, <, size);
    }
    g_byte_array_append(array, data, (guint)sps + 8);
    g_assert_cmpuint(array->data[sps + 7], ==, 0xac);
    array->data[sps + 7] |= 1;
    for (guint i = 0; i < strlen(bits); i += 8) {
        guint8 byte = (guint8)g_ascii_strtoull((char[]){ bits[i], bits[i + 1], bits[i + 2],
                                                         bits[i + 3], bits[i + 4], bits[i + 5],
                                                         bits[i + 6], bits[i + 7], 0 },
                                               NULL, 2);

        g_byte_array_append(array, &byte, 1);
    }
    g_byte_array_append(array, data + sps + 8, (guint)(size - sps - 8));
    bytes = g_byte_array_free_to_bytes(array);
    return sc_packet_new(bytes, sc_packet_get_info(packet));
}

static void test_scaling_lists(void)
{
    g_autofree guint32 *pixels = NULL;
    g_autofree char *colorimetry = NULL;
    g_autoptr(ScPacket) packet = NULL;
    g_autoptr(ScPacket) changed = NULL;
    Harness harness;
    Picture picture;

    harness_init_custom(&harness, HIGH);
    picture_init(&picture, 330, 250);
    packet = add_scaling_lists(harness_encode(&harness, &picture, FALSE));
    changed = rewrite(packet);
    colorimetry = read_colorimetry(changed, &pixels);
    g_assert_cmpstr(colorimetry, ==, GST_VIDEO_COLORIMETRY_BT709);
    picture_clear(&picture);
    harness_clear(&harness);
}

/* Whatever it is, it stays as it is, or is at least not read past its end. */
static void test_nonsense(void)
{
    Harness harness;
    Picture picture;
    const guint8 *data;
    gsize size;

    harness_init_custom(&harness, HIGH);
    picture_init(&picture, 320, 240);
    data = g_bytes_get_data(sc_packet_get_data(harness_encode(&harness, &picture, FALSE)), &size);
    for (gsize n = 0; n < MIN(size, 200); n++) {
        g_autoptr(GBytes) cut = g_bytes_new(data, n);

        g_bytes_unref(sc_sps_set_bt709(cut));
    }
    for (guint i = 0; i < 20000; i++) {
        g_autofree guint8 *noise = g_memdup2(data, MIN(size, 200));
        g_autoptr(GBytes) bytes = NULL;

        for (guint k = 0; k < 4; k++) {
            noise[g_test_rand_int_range(0, (gint)MIN(size, 64))] =
                (guint8)g_test_rand_int_range(0, 256);
        }
        bytes = g_bytes_new(noise, MIN(size, 200));
        g_bytes_unref(sc_sps_set_bt709(bytes));
    }
    picture_clear(&picture);
    harness_clear(&harness);
}

/* No parameter sets, or one that ends too early: the same object. */
static void test_untouched(void)
{
    static const guint8 slice[] = { 0, 0, 0, 1, 0x41, 0x9a, 0x24, 0x6c };
    static const guint8 cut[] = { 0, 0, 1, 0x67, 0x42, 0xc0, 0x0d, 0xda };
    g_autoptr(GBytes) slice_bytes = g_bytes_new_static(slice, sizeof(slice));
    g_autoptr(GBytes) cut_bytes = g_bytes_new_static(cut, sizeof(cut));
    g_autoptr(GBytes) same = sc_sps_set_bt709(slice_bytes);
    g_autoptr(GBytes) same_cut = sc_sps_set_bt709(cut_bytes);

    g_assert_true(same == slice_bytes);
    g_assert_true(same_cut == cut_bytes);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
    for (gsize i = 0; i < G_N_ELEMENTS(encoders); i++) {
        g_autofree char *path = g_strconcat("/sps/", encoders[i].name, NULL);

        g_test_add_data_func(path, encoders[i].description, test_encoder);
    }
    g_test_add_func("/sps/scaling-lists", test_scaling_lists);
    g_test_add_func("/sps/nonsense", test_nonsense);
    g_test_add_func("/sps/untouched", test_untouched);
    return g_test_run();
}
