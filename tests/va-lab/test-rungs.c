/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rungs va-dmabuf and va-upload when all is well. */
#include "tests/va-lab/rungs.h"

#include <drm_fourcc.h>

#define N_PICTURES 4

typedef struct {
    const char *name;
    GuestLayout layout;
    const char *rung;
} Case;

static const Case cases[] = {
    { "plain", { .width = 320, .height = 240 }, "va-dmabuf" },
    { "large", { .width = 1280, .height = 720 }, "va-dmabuf" },
    { "padded", { .width = 320, .height = 240, .pitch = 1536, .offset = 8192 }, "va-dmabuf" },
    { "implicit",
      { .width = 320, .height = 240, .modifier = DRM_FORMAT_MOD_INVALID },
      "va-dmabuf" },
    { "bottom-up", { .width = 320, .height = 240, .bottom_up = TRUE }, "va-dmabuf" },
    { "argb", { .width = 320, .height = 240, .fourcc = DRM_FORMAT_ARGB8888 }, "va-dmabuf" },
    { "odd", { .width = 321, .height = 241 }, "va-upload" },
    { "odd-bottom-up", { .width = 321, .height = 241, .bottom_up = TRUE }, "va-upload" },
};

/* The guest flips between two buffers; no CPU touches what it draws. */
static void check_trace(ScLabTrace *trace, GuestBuffer buffers[2])
{
    g_assert_cmpuint(sc_lab_trace_count(trace, "import", "result", "ok", NULL), ==, N_PICTURES);
    g_assert_cmpuint(sc_lab_trace_count(trace, "release", NULL), ==, N_PICTURES);
    g_assert_cmpuint(sc_lab_trace_count(trace, "put-image", NULL), ==, 0);
    g_assert_cmpuint(sc_lab_trace_count(trace, "get-image", NULL), ==, 0);
    for (guint i = 0; i < N_PICTURES; i++) {
        const ScLabEvent *event = sc_lab_trace_find(trace, i, "encode-end", "status", "0", NULL);

        g_assert_nonnull(event);
        g_assert_cmpuint(sc_lab_event_get_number(event, "origin"), ==,
                         buffers[i % 2].memory->inode);
    }
}

static void test_picture(gconstpointer data)
{
    const Case *test = data;
    gboolean is_zero_copy = g_strcmp0(test->rung, "va-dmabuf") == 0;
    g_autoptr(ScLabTrace) trace = sc_lab_trace_new();
    guint frames = sc_frame_count_alive();
    GuestBuffer buffers[2];
    ScEncoderCounts counts;
    Harness harness;

    guest_buffer_init(&buffers[0], &test->layout);
    guest_buffer_init(&buffers[1], &test->layout);
    rungs_init(&harness, SC_ENCODER_VA);
    for (guint i = 0; i < N_PICTURES; i++) {
        GuestFlush flush;
        g_autoptr(ScFrame) frame = guest_flush(&buffers[i % 2], &flush, 0);

        g_assert_cmpint(sc_encoder_copies(harness.encoder, frame), ==, !is_zero_copy);
        g_clear_pointer(&frame, sc_frame_unref);
        guest_buffer_draw(&buffers[i % 2], i);
        rungs_encode(&harness, &buffers[i % 2], FALSE);
        rungs_assert_rung(&harness, test->rung);
        g_assert_cmpint(sc_packet_get_info(harness.packets->pdata[i])->is_key, ==, i == 0);
    }
    g_assert_cmpuint(harness.n_dropped, ==, 0);
    g_assert_cmpuint(sc_frame_count_alive(), ==, frames);
    rungs_check(&harness, 0, &buffers[(N_PICTURES - 1) % 2]);
    sc_encoder_get_counts(harness.encoder, &counts);
    g_assert_cmpint(counts.copied_pixels > 0, ==, !is_zero_copy);
    sc_lab_trace_read(trace);
    if (is_zero_copy) {
        check_trace(trace, buffers);
    } else {
        g_assert_cmpuint(sc_lab_trace_count(trace, "import", NULL), ==, 0);
    }
    harness_clear(&harness);
    guest_buffer_clear(&buffers[0]);
    guest_buffer_clear(&buffers[1]);
}

int main(int argc, char **argv)
{
    sc_lab_enter(argv);
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/rungs/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_picture);
    }
    return g_test_run();
}
