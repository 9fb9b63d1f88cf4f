/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a client that can show H.264 is shown before it can: one picture in MJPEG. */
#include "tests/server/harness.h"

#include <signal.h>
#include <string.h>

#define WIDTH 640
#define HEIGHT 360
#define BOTH_CODECS (1u << SC_CODEC_H264 | 1u << SC_CODEC_MJPEG)

static guint count_lines(const ProbeChild *probe, const char *prefix)
{
    guint n = 0;

    for (guint i = 0; i < probe->lines->len; i++) {
        n += g_str_has_prefix(g_ptr_array_index(probe->lines, i), prefix);
    }
    return n;
}

/* A client that may have both codecs and wants a greeting. */
static Served *wait_for_wish(Harness *harness, guint index)
{
    Served *served = harness_wait_viewer(harness, index);

    HARNESS_WAIT(served->n_wants_greeting == 1);
    return served;
}

/* One picture in MJPEG, which is shown before H.264 begins, once, and not taken off the screen. */
static void test_greeting(gconstpointer data)
{
    const char *const options[] = { data, NULL };
    g_autoptr(GPtrArray) pictures = harness_encode(SC_CODEC_MJPEG, WIDTH, HEIGHT, 100, 2, 60);
    g_autoptr(GPtrArray) packets = harness_encode(SC_CODEC_H264, WIDTH, HEIGHT, 1, 3, 60);
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ScOutboxCounts counts;
    ProbeChild *probe;
    Served *served;

    harness->codecs = BOTH_CODECS;
    probe = harness_probe(harness, options);
    served = wait_for_wish(harness, 0);
    sc_viewer_greet(served->viewer, g_ptr_array_index(pictures, 0));
    g_assert_true(sc_viewer_is_congested(served->viewer));
    g_assert_false(sc_viewer_is_current(served->viewer));
    sc_viewer_greet(served->viewer, g_ptr_array_index(pictures, 1));
    sc_viewer_send(served->viewer, g_ptr_array_index(packets, 0)); /* nor that */
    g_assert_cmpuint(served->n_ready, ==, 0);

    HARNESS_WAIT(served->n_ready == 1 && served->n_wants_key == 1);
    g_assert_cmpint(served->codec, ==, SC_CODEC_H264);
    g_assert_false(sc_viewer_is_congested(served->viewer));
    sc_viewer_greet(served->viewer, g_ptr_array_index(pictures, 1)); /* of another viewer */
    harness_send_all(served, packets);
    probe_wait_frame(probe, 100, WIDTH, HEIGHT); /* though nobody has waited for it before */
    probe_wait_frame(probe, 3, WIDTH, HEIGHT);
    harness_run(G_TIME_SPAN_SECOND); /* more than until a last picture is sent again */
    sc_viewer_get_counts(served->viewer, &counts);
    g_assert_cmpuint(counts.packets, ==, 1 + packets->len);
    g_assert_cmpuint(count_lines(probe, "display "), ==, 1);
    g_assert_cmpuint(count_lines(probe, "frame number=100 "), ==, 1);
    g_assert_cmpuint(served->n_ready, ==, 1);
    g_assert_cmpuint(served->n_wants_greeting, ==, 1);
}

/* What was taken before the greeting and comes after it, as others may have asked for it, does not
 * bring the picture back that was shown then. */
static void test_greeting_overtakes(void)
{
    g_autoptr(GPtrArray) before = harness_encode(SC_CODEC_H264, WIDTH, HEIGHT, 1, 1, 60);
    g_autoptr(GPtrArray) pictures = harness_encode(SC_CODEC_MJPEG, WIDTH, HEIGHT, 100, 1, 60);
    g_autoptr(GPtrArray) after = harness_encode(SC_CODEC_H264, WIDTH, HEIGHT, 101, 2, 60);
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ProbeChild *probe;
    Served *served;

    harness->codecs = BOTH_CODECS;
    probe = harness_probe(harness, NULL);
    served = wait_for_wish(harness, 0);
    sc_viewer_greet(served->viewer, g_ptr_array_index(pictures, 0));
    HARNESS_WAIT(served->n_ready == 1 && served->n_wants_key == 1);
    harness_send_all(served, before);
    HARNESS_WAIT(served->n_wants_key == 2);
    harness_send_all(served, after);
    probe_wait_frame(probe, 102, WIDTH, HEIGHT);
    g_assert_cmpuint(count_lines(probe, "frame number=1 "), ==, 0);
    g_assert_cmpuint(served->n_wants_key, ==, 2);
}

/* @picture with so much behind it that a client that has stopped cannot be sent all of it. */
static ScPacket *make_huge(ScPacket *picture)
{
    GByteArray *bytes = g_bytes_unref_to_array(g_bytes_ref(sc_packet_get_data(picture)));
    guint size = bytes->len;
    g_autoptr(GBytes) huge = NULL;

    g_byte_array_set_size(bytes, 8 * 1024 * 1024);
    memset(bytes->data + size, 0, bytes->len - size);
    huge = g_byte_array_free_to_bytes(bytes);
    return sc_packet_new(huge, sc_packet_get_info(picture));
}

/* H.264 waits until the client has the picture, which is not sent again meanwhile. */
static void test_greeting_undelivered(void)
{
    g_autoptr(GPtrArray) pictures = harness_encode(SC_CODEC_MJPEG, WIDTH, HEIGHT, 100, 1, 60);
    g_autoptr(GPtrArray) packets = harness_encode(SC_CODEC_H264, WIDTH, HEIGHT, 1, 1, 60);
    g_autoptr(ScPacket) huge = make_huge(g_ptr_array_index(pictures, 0));
    g_autoptr(Harness) harness = harness_new("0", NULL);
    ScOutboxCounts counts;
    ProbeChild *probe;
    Served *served;

    harness->codecs = BOTH_CODECS;
    probe = harness_probe(harness, NULL);
    served = wait_for_wish(harness, 0);
    probe_signal(probe, SIGSTOP);
    sc_viewer_greet(served->viewer, huge);
    harness_run(G_TIME_SPAN_SECOND);
    g_assert_cmpuint(served->n_ready, ==, 0);
    sc_viewer_get_counts(served->viewer, &counts);
    g_assert_cmpuint(counts.flow.waiting, ==, 1);

    probe_signal(probe, SIGCONT);
    HARNESS_WAIT(served->n_ready == 1 && served->n_wants_key == 1);
    sc_viewer_get_counts(served->viewer, &counts);
    g_assert_cmpuint(counts.packets, ==, 1);
    harness_send_all(served, packets);
    probe_wait_frame(probe, 1, WIDTH, HEIGHT);
}

/* There is no picture for it. */
static void test_greeting_without(void)
{
    g_autoptr(GPtrArray) packets = harness_encode(SC_CODEC_H264, WIDTH, HEIGHT, 1, 1, 60);
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ProbeChild *probe;
    Served *served;
    gint64 start;

    harness->codecs = BOTH_CODECS;
    probe = harness_probe(harness, NULL);
    served = wait_for_wish(harness, 0);
    start = g_get_monotonic_time();
    HARNESS_WAIT(served->n_ready == 1 && served->n_wants_key == 1);
    g_assert_cmpint(g_get_monotonic_time() - start, >, 100 * G_TIME_SPAN_MILLISECOND);
    g_assert_cmpint(served->codec, ==, SC_CODEC_H264);
    harness_send_all(served, packets);
    probe_wait_frame(probe, 1, WIDTH, HEIGHT);
}

/* Before or after its picture was sent it turns out that there is only one codec. */
static void test_greeting_given_up(gconstpointer data)
{
    const ScCodec codec = GPOINTER_TO_INT(data);
    g_autoptr(GPtrArray) pictures = harness_encode(SC_CODEC_MJPEG, WIDTH, HEIGHT, 100, 1, 60);
    g_autoptr(GPtrArray) packets = harness_encode(codec, WIDTH, HEIGHT, 1, 3, 60);
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ProbeChild *probe;
    Served *served;

    for (guint sent = 0; sent < 2; sent++) {
        harness->codecs = BOTH_CODECS;
        probe = harness_probe(harness, NULL);
        served = wait_for_wish(harness, sent);
        if (sent > 0) {
            sc_viewer_greet(served->viewer, g_ptr_array_index(pictures, 0));
        }
        sc_viewer_set_codecs(served->viewer, 1u << codec);
        HARNESS_WAIT(served->n_ready == 1 && served->n_wants_key == 1);
        g_assert_cmpint(served->codec, ==, codec);
        harness_send_all(served, packets);
        probe_wait_frame(probe, 3, WIDTH, HEIGHT);
        harness_run(G_TIME_SPAN_SECOND); /* more than any greeting takes */
        g_assert_cmpuint(served->n_ready, ==, 1);
    }
}

int main(int argc, char *argv[])
{
    harness_init(&argc, &argv);
    g_test_add_data_func("/greeting/canvas", NULL, test_greeting);
    g_test_add_data_func("/greeting/overlay", "--overlay", test_greeting);
    g_test_add_func("/greeting/overtakes", test_greeting_overtakes);
    g_test_add_func("/greeting/undelivered", test_greeting_undelivered);
    g_test_add_func("/greeting/without", test_greeting_without);
    g_test_add_data_func("/greeting/h264", GINT_TO_POINTER(SC_CODEC_H264), test_greeting_given_up);
    g_test_add_data_func("/greeting/mjpeg", GINT_TO_POINTER(SC_CODEC_MJPEG),
                         test_greeting_given_up);
    return g_test_run();
}
