/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VA driver's switches, seen from the machine's own GStreamer: each does what it says.
 * GStreamer asks a driver once in its life, so each case is a process of its own.
 */
#include "tests/va-lab/lab.h"
#include "tests/va-lab/pipeline.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT (60 * GST_SECOND)

typedef struct {
    const char *name;
    const char *switches;             /* "NAME=VALUE NAME=VALUE", without SCANCAST_VA_ */
    void (*run)(void);                /* in a process with these switches */
    void (*check)(ScLabTrace *trace); /* afterwards, in the test; may be NULL */
} Case;

static ScLabPipeline *new_pipeline(void)
{
    const ScLabPipelineConfig config = {
        .fourcc = "XR24",
        .width = 320,
        .height = 240,
        .middle = "vapostproc ! video/x-raw(memory:VAMemory),format=NV12 ! "
                  "vah264enc rate-control=cbr bitrate=1000",
    };
    return sc_lab_pipeline_new(&config);
}

/* Whether picture @number goes in and comes out as a packet. */
static gboolean encodes(ScLabPipeline *pipeline, guint number)
{
    sc_lab_pipeline_push(pipeline, number);
    GstSample *sample = sc_lab_pipeline_pull(pipeline, TIMEOUT);
    if (sample)
        gst_sample_unref(sample);
    return sample != NULL;
}

static void run_three(void)
{
    g_autoptr(ScLabPipeline) pipeline = new_pipeline();
    for (guint i = 0; i < 3; i++)
        g_assert_true(encodes(pipeline, i));
    g_assert_null(sc_lab_pipeline_get_error(pipeline));
}

/* At least @ms between the events of every picture; @key tells which belong together. */
static void check_delay(ScLabTrace *trace, const char *begin, const char *end, const char *key,
                        guint ms)
{
    for (guint i = 0; i < 3; i++) {
        const ScLabEvent *first = sc_lab_trace_find(trace, i, begin, NULL);
        g_assert_nonnull(first);
        const ScLabEvent *second =
            sc_lab_trace_find(trace, 0, end, key, sc_lab_event_get(first, key), NULL);
        g_assert_nonnull(second);
        g_assert_cmpint(second->time - first->time, >=, ms * G_TIME_SPAN_MILLISECOND);
    }
}

static void check_vpp_ms(ScLabTrace *trace)
{
    check_delay(trace, "vpp-begin", "vpp-end", "inode", 30);
}

static void check_encode_ms(ScLabTrace *trace)
{
    check_delay(trace, "encode-begin", "encode-end", "frame", 30);
}

static void check_slow_every(ScLabTrace *trace)
{
    for (guint i = 0; i < 3; i++) {
        gint64 time = sc_lab_trace_find(trace, i, "encode-end", NULL)->time -
                      sc_lab_trace_find(trace, i, "encode-begin", NULL)->time;
        g_assert_cmpint(time >= 300 * G_TIME_SPAN_MILLISECOND, ==, i != 1);
    }
}

static void check_hold_ms(ScLabTrace *trace)
{
    check_delay(trace, "vpp-end", "release", "inode", 30);
}

/* The third picture fails, and the pipeline with it. */
static void run_fail(void)
{
    g_autoptr(ScLabPipeline) pipeline = new_pipeline();
    g_assert_true(encodes(pipeline, 0));
    g_assert_true(encodes(pipeline, 1));
    g_assert_false(encodes(pipeline, 2));
    g_autoptr(GError) error = sc_lab_pipeline_get_error(pipeline);
    g_assert_nonnull(error);
}

static void check_fail(ScLabTrace *trace)
{
    g_assert_cmpuint(sc_lab_trace_count(trace, "encode-end", "status", "0", NULL), ==, 2);
    const ScLabEvent *event = sc_lab_trace_find(trace, 0, "encode-end", "frame", "2", NULL);
    g_assert_nonnull(event);
    g_assert_cmpint(sc_lab_event_get_number(event, "status"), !=, 0);
    g_assert_cmpuint(sc_lab_event_get_number(event, "bytes"), ==, 0);
}

static void run_lost(void)
{
    g_autoptr(ScLabPipeline) pipeline = new_pipeline();
    g_autoptr(ScLabPipeline) other = new_pipeline();
    g_assert_true(encodes(pipeline, 0));
    g_assert_true(encodes(other, 0));
    g_assert_false(encodes(pipeline, 1));
    g_assert_false(encodes(other, 1));
}

static void check_lost(ScLabTrace *trace)
{
    g_assert_cmpuint(sc_lab_trace_count(trace, "encode-end", "status", "0", NULL), ==, 2);
}

static void run_hang(void)
{
    ScLabPipeline *pipeline = new_pipeline();
    g_assert_true(encodes(pipeline, 0));
    sc_lab_pipeline_push(pipeline, 1);
    g_assert_null(sc_lab_pipeline_pull(pipeline, GST_SECOND / 5));
    g_assert_null(sc_lab_pipeline_get_error(pipeline));
    _exit(EXIT_SUCCESS); /* stopping the pipeline would hang, too */
}

static void check_hang(ScLabTrace *trace)
{
    g_assert_cmpuint(sc_lab_trace_count(trace, "encode-begin", "frame", "1", NULL), ==, 1);
    g_assert_cmpuint(sc_lab_trace_count(trace, "encode-end", "frame", "1", NULL), ==, 0);
}

/* What the driver does not import, GStreamer 1.22 copies and says nothing; 1.26 gives up. Only the
 * trace tells. */
static void run_refused(void)
{
    g_autoptr(ScLabPipeline) pipeline = new_pipeline();
    encodes(pipeline, 0);
}

static void check_refused(ScLabTrace *trace)
{
    g_assert_cmpuint(sc_lab_trace_count(trace, "import", "result", "ok", NULL), ==, 0);
    const ScLabEvent *event = sc_lab_trace_find(trace, 0, "import", "result", "refused", NULL);
    g_assert_nonnull(event);
    g_assert_null(sc_lab_trace_find(trace, 0, "encode-end", "origin",
                                    sc_lab_event_get(event, "inode"), NULL));
}

static gboolean has_element(const char *name)
{
    g_autoptr(GstElementFactory) factory = gst_element_factory_find(name);
    return factory != NULL;
}

static void run_low_power(void)
{
    g_assert_true(has_element("vah264lpenc"));
    g_assert_false(has_element("vah264enc"));
    g_assert_true(has_element("vapostproc"));
}

static void run_both(void)
{
    g_assert_true(has_element("vah264lpenc"));
    g_assert_true(has_element("vah264enc"));
}

static void run_no_encoder(void)
{
    g_assert_false(has_element("vah264lpenc"));
    g_assert_false(has_element("vah264enc"));
    g_assert_true(has_element("vapostproc"));
}

static void run_nothing(void)
{
    g_assert_false(has_element("vah264enc"));
    g_assert_false(has_element("vapostproc"));
}

static void run_rate_control(void)
{
    g_autoptr(GstElement) encoder =
        gst_object_ref_sink(gst_element_factory_make("vah264enc", NULL));
    GParamSpec *property =
        g_object_class_find_property(G_OBJECT_GET_CLASS(encoder), "rate-control");
    g_assert_nonnull(property);
    GEnumClass *modes = G_PARAM_SPEC_ENUM(property)->enum_class;
    g_assert_nonnull(g_enum_get_value_by_nick(modes, "cqp"));
    g_assert_nonnull(g_enum_get_value_by_nick(modes, "vbr"));
    g_assert_null(g_enum_get_value_by_nick(modes, "cbr"));
}

static void run_max_size(void)
{
    g_autoptr(GstElement) encoder =
        gst_object_ref_sink(gst_element_factory_make("vah264enc", NULL));
    g_autoptr(GstPad) pad = gst_element_get_static_pad(encoder, "sink");
    g_autoptr(GstCaps) caps = gst_pad_get_pad_template_caps(pad);
    g_autoptr(GstCaps) fits = gst_caps_from_string("video/x-raw,format=NV12,width=640,height=480");
    g_autoptr(GstCaps) large = gst_caps_from_string("video/x-raw,format=NV12,width=642,height=480");
    g_assert_true(gst_caps_can_intersect(caps, fits));
    g_assert_false(gst_caps_can_intersect(caps, large));
}

static const Case cases[] = {
    { "none", "", run_three, NULL },
    { "vpp-ms", "VPP_MS=30", run_three, check_vpp_ms },
    { "encode-ms", "ENCODE_MS=30", run_three, check_encode_ms },
    { "slow-every", "ENCODE_MS=300 SLOW_EVERY=1", run_three, check_slow_every },
    { "hold-ms", "HOLD_MS=30", run_three, check_hold_ms },
    { "fail-encodes", "FAIL_ENCODES=2", run_fail, check_fail },
    { "lost-at", "LOST_AT=2", run_lost, check_lost },
    { "hang-at", "HANG_AT=1", run_hang, check_hang },
    { "refuse-formats", "REFUSE_FORMATS=XR24", run_refused, check_refused },
    { "low-power", "ENTRY_POINTS=lp,vpp", run_low_power, NULL },
    { "low-power-too", "ENTRY_POINTS=slice,lp,vpp", run_both, NULL },
    { "no-encoder", "ENTRY_POINTS=vpp", run_no_encoder, NULL },
    { "nothing", "ENTRY_POINTS=", run_nothing, NULL },
    { "rate-control", "RATE_CONTROL=cqp,vbr", run_rate_control, NULL },
    { "max-size", "MAX_SIZE=640x480", run_max_size, NULL },
};

static char *program;

/* This program again, the case in it alone, with its switches. */
static void spawn(const Case *test)
{
    g_auto(GStrv) environment = g_get_environ();
    g_auto(GStrv) switches = g_strsplit(test->switches, " ", -1);
    for (guint i = 0; switches[i] && *switches[i]; i++) {
        g_auto(GStrv) pair = g_strsplit(switches[i], "=", 2);
        g_autofree char *name = g_strconcat("SCANCAST_VA_", pair[0], NULL);
        environment = g_environ_setenv(environment, name, pair[1], TRUE);
    }
    environment = g_environ_unsetenv(environment, "GST_REGISTRY"); /* it depends on the switches */
    g_autoptr(GError) error = NULL;
    int status;
    const char *arguments[] = {
        SC_LAB_DIR "/with-driver", "--plugins", SC_LAB_PLUGINS, program, test->name, NULL
    };
    if (!g_spawn_sync(NULL, (char **)arguments, environment, G_SPAWN_DEFAULT, NULL, NULL, NULL,
                      NULL, &status, &error) ||
        !g_spawn_check_wait_status(status, &error))
        g_error("%s: %s", test->name, error->message);
}

static void test_case(gconstpointer data)
{
    const Case *test = data;
    g_autoptr(ScLabTrace) trace = sc_lab_trace_new();
    spawn(test);
    sc_lab_trace_read(trace);
    if (test->check)
        test->check(trace);
}

int main(int argc, char **argv)
{
    sc_lab_enter(argv);
    for (guint i = 0; argc == 2 && i < G_N_ELEMENTS(cases); i++) {
        if (strcmp(argv[1], cases[i].name) == 0) {
            gst_init(NULL, NULL);
            cases[i].run();
            return EXIT_SUCCESS;
        }
    }
    g_test_init(&argc, &argv, NULL);
    program = g_file_read_link("/proc/self/exe", NULL);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/va-switches/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], test_case);
    }
    int result = g_test_run();
    g_free(program);
    return result;
}
