/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two render nodes: the one that imports the guest's buffers is used, or the one that was named,
 * and what is said of the choice. */
#include "encoder/encoder-impl.h"
#include "tests/va-lab/rungs.h"

#include <string.h>

#define FIRST "/dev/dri/renderD128"
#define SECOND "/dev/dri/renderD129"

typedef struct {
    const char *name;
    const char *foreign;     /* the node that takes no dmabufs, NULL: none */
    const char *render_node; /* --render-node */
    const char *rung;
} Case;

static const Case cases[] = {
    { "first", NULL, NULL, "va-dmabuf (vah264enc on " FIRST ")" },
    { "second", FIRST, NULL, "va-dmabuf (varenderD129h264enc on " SECOND ")" },
    { "named", NULL, SECOND, "va-dmabuf (varenderD129h264enc on " SECOND ")" },
    { "named-foreign", FIRST, FIRST, "va-upload (vah264enc on " FIRST ")" },
};

static void run_case(const Case *test)
{
    static const GuestLayout layout = { .width = 320, .height = 240 };
    ScEncoderConfig config = {
        .codec = SC_CODEC_H264,
        .kind = SC_ENCODER_AUTO,
        .render_node = test->render_node,
        .bitrate_kbit = 20000,
        .max_fps = 60,
    };
    GuestBuffer buffer;
    Harness harness;
    const char *reason;

    guest_buffer_init(&buffer, &layout);
    harness_init(&harness, &config);
    /* More than half a second, for the wrong one to be given up. */
    for (guint i = 0; i < 100; i++) {
        guest_buffer_draw(&buffer, i);
        rungs_encode(&harness, &buffer, FALSE);
        g_usleep(10 * 1000);
    }
    g_assert_cmpstr(sc_encoder_get_rung(harness.encoder), ==, test->rung);
    rungs_encode(&harness, &buffer, TRUE);
    rungs_check(&harness, harness.packets->len - 1, &buffer);
    g_assert_cmpuint(harness.n_dropped, ==, 0);
    reason = sc_encoder_get_step_down_reason(harness.encoder);
    g_assert_cmpint(reason != NULL, ==, test->foreign != NULL);
    g_assert_true(reason == NULL || strstr(reason, test->foreign) != NULL);
    harness_clear(&harness);
    guest_buffer_clear(&buffer);
}

/* The nodes are what they are for the life of a process. */
static void test_case(gconstpointer data)
{
    const Case *test = data;

    if (g_test_subprocess()) {
        run_case(test);
        return;
    }
    if (test->foreign != NULL) {
        g_setenv("SCANCAST_LAB_FOREIGN", test->foreign, TRUE);
    }
    g_test_trap_subprocess(NULL, 2 * DEADLINE_US, G_TEST_SUBPROCESS_INHERIT_STDERR);
    g_unsetenv("SCANCAST_LAB_FOREIGN");
    g_test_trap_assert_passed();
}

int main(int argc, char **argv)
{
    g_setenv("SCANCAST_LAB_NODES", "2", TRUE);
    sc_lab_enter(argv);
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK); /* warnings are wanted here */
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/nodes/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    return g_test_run();
}
