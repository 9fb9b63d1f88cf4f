/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rungs va-dmabuf and va-upload on a driver that has bad days: guests go on, no picture is
 * missing. The driver counts over the life of a process, so each case is one of its own.
 */
#include "encoder/encoder-impl.h"
#include "encoder/reaper.h"
#include "tests/va-lab/rungs.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DEADLINE (40 * G_TIME_SPAN_MILLISECOND) /* the daemon's default */

typedef struct {
    const char *name;
    const char *switches; /* "NAME=VALUE NAME=VALUE", without SCANCAST_VA_ */
    void (*run)(void);
} Case;

static const GuestLayout plain = { .width = 320, .height = 240 };

typedef struct {
    Harness harness;
    GuestBuffer buffer;
    ScLabTrace *trace;
    guint frames; /* alive before */
} Stage;

static void stage_init(Stage *stage, ScEncoderKind kind, const GuestLayout *layout)
{
    stage->trace = sc_lab_trace_new();
    stage->frames = sc_frame_count_alive();
    guest_buffer_init(&stage->buffer, layout);
    rungs_init(&stage->harness, kind);
}

static void stage_clear(Stage *stage)
{
    harness_clear(&stage->harness);
    g_assert_cmpuint(sc_frame_count_alive(), ==, stage->frames);
    guest_buffer_clear(&stage->buffer);
    sc_lab_trace_free(stage->trace);
}

static ScPacket *draw_and_encode(Stage *stage, guint seed)
{
    guest_buffer_draw(&stage->buffer, seed);
    return rungs_encode(&stage->harness, &stage->buffer, FALSE);
}

static guint64 count_step_downs(Stage *stage)
{
    ScEncoderCounts counts;

    sc_encoder_get_counts(stage->harness.encoder, &counts);
    return counts.step_downs;
}

/* The flush of every frame comes after the packet of that frame and after its memory was let go of,
 * whichever is late. */
static void run_fence(void)
{
    gint64 completed[3];
    Stage stage;

    stage_init(&stage, SC_ENCODER_VA, &plain);
    for (guint i = 0; i < G_N_ELEMENTS(completed); i++) {
        GuestFlush flush;

        guest_buffer_draw(&stage.buffer, i);
        rungs_submit(&stage.harness, &stage.buffer, &flush, 0, FALSE);
        harness_wait_packets(&stage.harness, i + 1);
        g_assert_true(flush.is_complete);
        g_assert_cmpint(flush.result, ==, SC_FLUSH_DONE);
        completed[i] = flush.time;
    }
    rungs_assert_rung(&stage.harness, "va-dmabuf");
    sc_lab_trace_read(stage.trace);
    for (guint i = 0; i < G_N_ELEMENTS(completed); i++) {
        const ScLabEvent *end = sc_lab_trace_find(stage.trace, i, "encode-end", NULL);
        const ScLabEvent *release = sc_lab_trace_find(stage.trace, i, "release", NULL);

        g_assert_cmpint(completed[i], >=, end->time);
        g_assert_cmpint(completed[i], >=, release->time);
    }
    stage_clear(&stage);
}

static void iterate_for(gint64 us)
{
    gint64 end = g_get_monotonic_time() + us;

    while (g_get_monotonic_time() < end) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(1000);
    }
}

static gboolean is_given_up(Stage *stage)
{
    const char *reason = sc_encoder_get_step_down_reason(stage->harness.encoder);

    return reason != NULL && strstr(reason, "va-dmabuf given up until the scanout changes: ");
}

/* What the driver does not take is copied, the very first frame, too. It is tried again a few times
 * in half a second, and then no more. */
static void run_refused_layout(const GuestLayout *layout)
{
    guint n = 0, n_imports;
    Stage stage;

    stage_init(&stage, SC_ENCODER_VA, layout);
    do {
        draw_and_encode(&stage, n++);
        rungs_assert_rung(&stage.harness, "va-upload");
        g_assert_cmpuint(n, <, 1000);
        iterate_for(10 * G_TIME_SPAN_MILLISECOND);
        sc_lab_trace_read(stage.trace);
        n_imports = sc_lab_trace_count(stage.trace, "import", NULL);
        /* Modifiers GStreamer refuses for the driver, from 1.24 on, before anything is tried. */
    } while (n_imports > 0 && !is_given_up(&stage));
    iterate_for(2 * SC_LADDER_FAILING);
    for (guint i = 0; i < 3; i++) {
        g_assert_false(sc_packet_get_info(draw_and_encode(&stage, n++))->is_key);
    }
    g_assert_cmpuint(stage.harness.n_dropped, ==, 0);
    rungs_check(&stage.harness, 0, &stage.buffer);
    sc_lab_trace_read(stage.trace);
    g_assert_cmpuint(sc_lab_trace_count(stage.trace, "import", "result", "ok", NULL), ==, 0);
    g_assert_cmpuint(sc_lab_trace_count(stage.trace, "import", NULL), ==, n_imports);
    g_assert_cmpuint(count_step_downs(&stage), <=, 4);
    g_assert_cmpint(count_step_downs(&stage) > 0, ==, n_imports > 0);
    stage_clear(&stage);
}

static void run_refused(void)
{
    run_refused_layout(&plain);
}

static void run_refused_pitch(void)
{
    run_refused_layout(&(GuestLayout){ .width = 320, .height = 240, .pitch = 1284 });
}

/* Only the combination that fails steps down; when it comes back it has a new chance. */
static void run_refused_one(void)
{
    GuestBuffer other;
    Stage stage;

    stage_init(&stage, SC_ENCODER_VA, &(GuestLayout){ .width = 320, .height = 240, .pitch = 1284 });
    guest_buffer_init(&other, &(GuestLayout){ .width = 640, .height = 480 });
    for (guint i = 0; i < 3; i++) {
        guint first = stage.harness.packets->len;

        draw_and_encode(&stage, i);
        rungs_assert_rung(&stage.harness, "va-upload");
        rungs_check(&stage.harness, first, &stage.buffer);
        rungs_encode(&stage.harness, &other, FALSE);
        rungs_assert_rung(&stage.harness, "va-dmabuf");
        rungs_check(&stage.harness, first + 1, &other);
        g_assert_cmpuint(count_step_downs(&stage), ==, i + 1);
    }
    g_assert_cmpuint(stage.harness.n_dropped, ==, 0);
    guest_buffer_clear(&other);
    stage_clear(&stage);
}

/* Takes the picture by a copy of what changed since, and checks that the whole is right: what was
 * copied before pictures that were not is of no use. */
static void check_copy(Stage *stage)
{
    guint n = stage->harness.packets->len;
    g_autoptr(ScFrame) frame = NULL;
    pixman_region32_t little;

    pixman_region32_init_rect(&little, 0, 0, 1, 1);
    frame = sc_frame_new(stage->buffer.scanout, &little, NULL);
    g_assert_true(sc_encoder_absorb(stage->harness.encoder, frame, NULL));
    g_assert_true(sc_encoder_submit(stage->harness.encoder, NULL, FALSE, NULL));
    harness_wait_packets(&stage->harness, n + 1);
    rungs_check(&stage->harness, n, &stage->buffer);
}

/* Encodes until @rung does it. Whatever does it meanwhile does it right. */
static void encode_until(Stage *stage, const char *rung)
{
    gint64 end = g_get_monotonic_time() + DEADLINE_US;

    for (guint seed = 3; !g_str_has_prefix(sc_encoder_get_rung(stage->harness.encoder), rung);
         seed++) {
        guint n = stage->harness.packets->len;
        gboolean is_key = sc_packet_get_info(draw_and_encode(stage, seed))->is_key;

        g_assert_cmpuint(stage->harness.packets->len, ==, n + 1);
        if (is_key) {
            rungs_check(&stage->harness, n, &stage->buffer);
        }
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        iterate_for(10 * G_TIME_SPAN_MILLISECOND);
    }
    rungs_check(&stage->harness, stage->harness.packets->len - 1, &stage->buffer);
}

/* One failure in mid-stream: that picture is there all the same, as a key frame, and later ones are
 * not copied again. */
static void run_midway(void)
{
    Stage stage;

    stage_init(&stage, SC_ENCODER_VA, &plain);
    for (guint i = 0; i < 3; i++) {
        g_assert_cmpint(sc_packet_get_info(draw_and_encode(&stage, i))->is_key, ==, i != 1);
        rungs_assert_rung(&stage.harness, i < 2 ? "va-dmabuf" : "va-upload");
    }
    rungs_check(&stage.harness, 2, &stage.buffer);
    encode_until(&stage, "va-dmabuf");
    check_copy(&stage);
    g_assert_cmpuint(stage.harness.n_dropped, ==, 0);
    stage_clear(&stage);
}

/* The same with an encoder in reserve: no pipeline has to be built for that picture. What was tried
 * beside the one in use takes over by itself. */
static void run_reserve(void)
{
    Stage stage;

    stage_init(&stage, SC_ENCODER_AUTO, &plain);
    draw_and_encode(&stage, 0);
    draw_and_encode(&stage, 1);
    g_assert_cmpuint(sc_pipeline_count_alive(), ==, 2);
    iterate_for(SC_ENCODER_STALL_FIRST); /* it is ready by then, or was given up */
    g_assert_true(sc_packet_get_info(draw_and_encode(&stage, 2))->is_key);
    rungs_assert_rung(&stage.harness, "software");
    rungs_check(&stage.harness, 2, &stage.buffer);
    encode_until(&stage, "va-dmabuf");
    g_assert_cmpuint(count_step_downs(&stage), ==, 1);
    check_copy(&stage);
    g_assert_cmpuint(stage.harness.n_dropped, ==, 0);
    stage_clear(&stage);
    g_assert_true(sc_reaper_wait(DEADLINE_US));
    g_assert_cmpuint(sc_pipeline_count_alive(), ==, 0);
}

static guint count_encodes(Stage *stage)
{
    sc_lab_trace_read(stage->trace);
    return sc_lab_trace_count(stage->trace, "encode-begin", NULL);
}

/* Flips as the stream does, for @us: pictures that had been copied are reported and submitted
 * again, but no guest waits in vain. */
static void flip_for(Stage *stage, GuestBuffer *buffer, gint64 us)
{
    gint64 end = g_get_monotonic_time() + us;

    while (g_get_monotonic_time() < end) {
        GuestFlush flush;

        rungs_submit(&stage->harness, buffer, &flush, 0, FALSE);
        while (sc_encoder_is_busy(stage->harness.encoder)) {
            g_main_context_iteration(NULL, TRUE);
        }
        g_assert_true(flush.is_complete);
        g_assert_cmpint(flush.result, ==, SC_FLUSH_DONE);
        iterate_for(10 * G_TIME_SPAN_MILLISECOND);
    }
}

/* A driver that does nothing right any more ends with software, and is left alone until the scanout
 * changes. */
static void run_dead(void)
{
    GuestBuffer other;
    Stage stage;
    guint n, first;

    stage_init(&stage, SC_ENCODER_AUTO, &plain);
    guest_buffer_init(&other, &(GuestLayout){ .width = 640, .height = 480 });
    draw_and_encode(&stage, 0);
    draw_and_encode(&stage, 1);
    flip_for(&stage, &stage.buffer, 3 * SC_LADDER_FAILING);
    n = count_encodes(&stage);
    g_assert_cmpuint(n, >, 4);
    first = stage.harness.packets->len;
    flip_for(&stage, &stage.buffer, 5 * SC_LADDER_FAILING);
    g_assert_cmpuint(count_encodes(&stage), ==, n);
    g_assert_true(
        g_str_has_prefix(sc_encoder_get_rung(stage.harness.encoder), "software (x264enc"));
    g_assert_nonnull(strstr(sc_encoder_get_step_down_reason(stage.harness.encoder),
                            " given up until the scanout changes: "));
    for (guint i = first; i < stage.harness.packets->len; i++) {
        g_assert_false(sc_packet_get_info(stage.harness.packets->pdata[i])->is_key);
    }

    /* Also the driver's chance is over then: what it fails on must be submitted again. */
    flip_for(&stage, &other, 3 * SC_LADDER_FAILING);
    g_assert_cmpuint(count_encodes(&stage), >, n);
    g_assert_cmpuint(stage.harness.n_failed, ==, 0);
    rungs_encode(&stage.harness, &other, TRUE);
    rungs_check(&stage.harness, stage.harness.packets->len - 1, &other);
    guest_buffer_clear(&other);
    stage_clear(&stage);
}

/* The guest goes on at the deadline; the viewer gets the picture when the pipeline is given up,
 * from a rung that copies. */
static void run_hang(void)
{
    g_autoptr(ScFrame) next = NULL;
    GuestFlush flush, next_flush;
    Stage stage;

    stage_init(&stage, SC_ENCODER_VA, &plain);
    draw_and_encode(&stage, 0);
    draw_and_encode(&stage, 1);
    next = guest_flush(&stage.buffer, &next_flush, 0);
    g_assert_false(sc_encoder_copies(stage.harness.encoder, next));

    rungs_submit(&stage.harness, &stage.buffer, &flush, DEADLINE, FALSE);
    while (!flush.is_complete) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpint(flush.result, ==, SC_FLUSH_EXPIRED);
    g_assert_cmpuint(stage.harness.n_dropped, ==, 0);
    /* Nobody else waits for the deadline. */
    g_assert_true(sc_encoder_copies(stage.harness.encoder, next));
    guest_buffer_draw(&stage.buffer, 5);
    g_assert_true(sc_encoder_absorb(stage.harness.encoder, next, NULL));
    g_clear_pointer(&next, sc_frame_unref);
    g_assert_cmpint(next_flush.result, ==, SC_FLUSH_DONE);

    harness_wait_dropped(&stage.harness, 1);
    g_assert_cmpuint(sc_frame_count_alive(), ==, stage.frames);
    g_assert_true(sc_encoder_submit(stage.harness.encoder, NULL, TRUE, NULL));
    harness_wait_packets(&stage.harness, 3);
    rungs_assert_rung(&stage.harness, "va-upload");
    rungs_check(&stage.harness, 2, &stage.buffer);
    /* It gets no second chance soon. */
    iterate_for(2 * SC_LADDER_BACKOFF);
    draw_and_encode(&stage, 6);
    rungs_assert_rung(&stage.harness, "va-upload");
    stage_clear(&stage);
    _exit(0); /* the driver's thread hangs on, and exit() would say so */
}

/* An encoder slower than guests may wait: after some that did, pictures are copied. */
static void run_slow(void)
{
    guint n = 0, n_expired = 0;
    GuestFlush flush;
    Stage stage;

    stage_init(&stage, SC_ENCODER_VA, &plain);
    while (!is_given_up(&stage)) {
        guest_buffer_draw(&stage.buffer, n);
        rungs_submit(&stage.harness, &stage.buffer, &flush, DEADLINE, FALSE);
        harness_wait_packets(&stage.harness, ++n);
        g_assert_true(flush.is_complete);
        rungs_assert_rung(&stage.harness,
                          flush.result == SC_FLUSH_EXPIRED ? "va-dmabuf" : "va-upload");
        n_expired += flush.result == SC_FLUSH_EXPIRED;
        /* The first picture of the first pipeline is not held against it; later ones have encoded
         * one that nobody waited for. */
        g_assert_cmpuint(count_step_downs(&stage), ==, MAX(n_expired, 1) - 1);
        g_assert_cmpuint(n_expired, <=, 5);
    }
    for (guint i = 0; i < 6; i++) {
        guest_buffer_draw(&stage.buffer, i);
        rungs_encode(&stage.harness, &stage.buffer, FALSE);
        rungs_assert_rung(&stage.harness, "va-upload");
    }
    g_assert_true(is_given_up(&stage));
    rungs_check(&stage.harness, n, &stage.buffer);
    g_assert_cmpuint(stage.harness.n_dropped, ==, 0);
    stage_clear(&stage);
}

/* The guest changes to a smaller picture, and lets go of the larger one, while that is being
 * encoded.
 */
static void run_shrink(void)
{
    GuestBuffer small;
    GuestFlush flush;
    Stage stage;

    stage_init(&stage, SC_ENCODER_VA, &(GuestLayout){ .width = 640, .height = 480 });
    guest_buffer_init(&small, &plain);
    for (guint i = 0; i < 2; i++) {
        GuestFlush small_flush;
        g_autoptr(ScFrame) frame = guest_flush(&small, &small_flush, 0);

        guest_buffer_draw(&small, 7 + i);
        rungs_submit(&stage.harness, &stage.buffer, &flush, 0, FALSE);
        g_clear_pointer(&stage.buffer.scanout, sc_scanout_unref);
        g_clear_pointer(&stage.buffer.memory, sc_lab_buffer_free);
        if (i == 1) {
            g_assert_true(sc_encoder_absorb(stage.harness.encoder, frame, NULL));
        }
        harness_wait_packets(&stage.harness, 2 * i + 1);
        g_assert_cmpint(flush.result, ==, SC_FLUSH_DONE);
        g_assert_true(sc_encoder_submit(stage.harness.encoder, i == 0 ? frame : NULL, FALSE, NULL));
        g_clear_pointer(&frame, sc_frame_unref);
        harness_wait_packets(&stage.harness, 2 * i + 2);
        rungs_assert_rung(&stage.harness, i == 0 ? "va-dmabuf" : "va-upload");
        rungs_check(&stage.harness, 2 * i + 1, &small);
        guest_buffer_clear(&stage.buffer);
        guest_buffer_init(&stage.buffer, &(GuestLayout){ .width = 640, .height = 480 });
    }
    g_assert_cmpuint(stage.harness.n_dropped, ==, 0);
    guest_buffer_clear(&small);
    stage_clear(&stage);
}

/* Nothing waits for the GPU when the encoder goes. */
static void run_free(void)
{
    GuestFlush flush;
    Stage stage;

    stage_init(&stage, SC_ENCODER_VA, &plain);
    draw_and_encode(&stage, 0);
    rungs_submit(&stage.harness, &stage.buffer, &flush, 0, FALSE);
    iterate_for(20 * G_TIME_SPAN_MILLISECOND);
    g_assert_false(flush.is_complete);
    g_clear_pointer(&stage.harness.encoder, sc_encoder_free);
    g_assert_true(flush.is_complete);
    g_assert_cmpint(flush.result, ==, SC_FLUSH_DROPPED);
    stage_clear(&stage);
    _exit(0);
}

static const Case cases[] = {
    { "late-packet", "ENCODE_MS=60", run_fence },
    { "late-release", "HOLD_MS=60", run_fence },
    { "refused-format", "REFUSE_FORMATS=XR24", run_refused },
    { "refused-height", "HEIGHT_ALIGN=256", run_refused },
    { "refused-pitch", "PITCH_ALIGN=256", run_refused_pitch },
    { "refused-modifier", "MODIFIERS=0x100000000000002", run_refused },
    { "refused-one", "PITCH_ALIGN=256", run_refused_one },
    { "midway-encode", "FAIL_ENCODES=2", run_midway },
    { "midway-import", "REFUSE_IMPORTS=2", run_midway },
    { "midway-lost", "LOST_AT=2", run_midway },
    { "reserve-encode", "FAIL_ENCODES=2", run_reserve },
    { "reserve-import", "REFUSE_IMPORTS=2", run_reserve },
    { "reserve-lost", "LOST_AT=2", run_reserve },
    { "dead", "FAIL_ENCODES=2-", run_dead },
    { "hang", "HANG_AT=2", run_hang },
    { "slow", "ENCODE_MS=150", run_slow },
    { "shrink", "ENCODE_MS=60", run_shrink },
    { "free", "HANG_AT=1-", run_free },
};

static void test_case(gconstpointer data)
{
    const Case *test = data;
    g_auto(GStrv) switches = g_strsplit(test->switches, " ", -1);

    if (g_test_subprocess()) {
        test->run();
        return;
    }
    for (guint i = 0; switches[i] != NULL; i++) {
        g_auto(GStrv) pair = g_strsplit(switches[i], "=", 2);
        g_autofree char *name = g_strconcat("SCANCAST_VA_", pair[0], NULL);

        g_setenv(name, pair[1], TRUE);
    }
    g_test_trap_subprocess(NULL, 2 * DEADLINE_US, G_TEST_SUBPROCESS_INHERIT_STDERR);
    for (guint i = 0; switches[i] != NULL; i++) {
        g_auto(GStrv) pair = g_strsplit(switches[i], "=", 2);
        g_autofree char *name = g_strconcat("SCANCAST_VA_", pair[0], NULL);

        g_unsetenv(name);
    }
    g_test_trap_assert_passed();
}

int main(int argc, char **argv)
{
    sc_lab_enter(argv);
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK); /* warnings are wanted here */
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/rungs-failures/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    return g_test_run();
}
