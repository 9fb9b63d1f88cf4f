/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/gst/setup.h"

#include <string.h>

#define PATIENCE (60 * GST_SECOND)

/* Caps are left out: those of pad templates stay. */
#define TRACER "leaks(filters=\"GstElement,GstPad,GstBuffer,GstMemory,GstMessage,GstEvent,GstBus\")"

void setup_init(int *argc, char ***argv)
{
    g_autofree char *file = NULL, *registry = NULL;
    g_autoptr(GstPlugin) plugin = NULL;
    g_autoptr(GError) error = NULL;

    g_test_init(argc, argv, NULL);
    /* The SPICE libraries warn of what the other side does, which is its right: it ends in the
     * middle of a message, or gives a wrong password. */
    g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
    registry = g_test_build_filename(G_TEST_BUILT, "registry.bin", NULL);
    g_setenv("GST_REGISTRY", registry, FALSE); /* the lab has one of its own */
    g_setenv("GST_TRACERS", TRACER, FALSE);
    gst_init(argc, argv);
    /* Not by a path to search: who searches has no sanitizers. */
    file = g_test_build_filename(G_TEST_BUILT, "../../.libs/libgstscancast.so", NULL);
    plugin = gst_plugin_load_file(file, &error);
    g_assert_no_error(error);
}

/* Encoders that spicesink had are torn down by threads of their own (encoder/reaper.h). */
static gboolean is_reaping(void)
{
    g_autoptr(GDir) tasks = g_dir_open("/proc/self/task", 0, NULL);
    const char *task;

    while ((task = g_dir_read_name(tasks)) != NULL) {
        g_autofree char *path = g_build_filename("/proc/self/task", task, "comm", NULL);
        g_autofree char *name = NULL;

        if (g_file_get_contents(path, &name, NULL, NULL) && g_str_has_prefix(name, "sc-reaper")) {
            return TRUE;
        }
    }
    return FALSE;
}

static guint count_left(GstTracer *tracer)
{
    g_autoptr(GstStructure) info = NULL;
    const GValue *list;
    guint n;

    g_signal_emit_by_name(tracer, "get-live-objects", &info);
    list = info != NULL ? gst_structure_get_value(info, "live-objects-list") : NULL;
    n = list != NULL ? gst_value_list_get_size(list) : 0;
    if (n > 0) {
        g_autofree char *text = gst_structure_to_string(info);

        g_printerr("left alive: %s\n", text);
    }
    return n;
}

int setup_finish(int result)
{
    GList *tracers = gst_tracing_get_active_tracers();

    SETUP_POLL(!is_reaping());
    for (GList *item = tracers; item != NULL; item = item->next) {
        if (strcmp(G_OBJECT_TYPE_NAME(item->data), "GstLeaksTracer") == 0 &&
            count_left(item->data) > 0) {
            result = 1;
        }
    }
    g_list_free_full(tracers, gst_object_unref);
    return result;
}

GstMessage *setup_wait(GstBus *bus, GstMessageType types)
{
    GstMessage *message = gst_bus_timed_pop_filtered(bus, PATIENCE, types | GST_MESSAGE_ERROR);

    if (message == NULL) {
        g_error("no %s within a minute", gst_message_type_get_name(types));
    }
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR && !(types & GST_MESSAGE_ERROR)) {
        g_autoptr(GError) error = NULL;

        gst_message_parse_error(message, &error, NULL);
        g_error("%s while waiting for %s", error->message, gst_message_type_get_name(types));
    }
    return message;
}

void setup_expect_error(GstElement *pipeline, GQuark domain, int code, const char *text,
                        const char *hint)
{
    g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
    g_autoptr(GstMessage) message = setup_wait(bus, GST_MESSAGE_ERROR);
    g_autoptr(GError) error = NULL;
    g_autofree char *debug = NULL;

    gst_message_parse_error(message, &error, &debug);
    g_test_message("%s (%s)", error->message, debug);
    g_assert_error(error, domain, code);
    if (strstr(error->message, text) == NULL) {
        g_error("'%s' does not contain '%s'", error->message, text);
    }
    if (strstr(error->message, hint) == NULL && (debug == NULL || strstr(debug, hint) == NULL)) {
        g_error("neither '%s' nor '%s' contains '%s'", error->message, debug, hint);
    }
}

GstElement *setup_launch(const char *description)
{
    g_autoptr(GError) error = NULL;
    GstElement *pipeline = gst_parse_launch(description, &error);

    g_assert_no_error(error);
    return pipeline;
}
