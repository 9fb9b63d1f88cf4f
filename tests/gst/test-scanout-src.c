/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* scanoutsrc with the test picture: frames, caps, states and errors. */
#include "capture/pattern.h"
#include "tests/gst/setup.h"

#include <gst/video/video.h>
#include <string.h>

static GstHarness *new_harness(const char *location, const char *caps)
{
    GstHarness *harness = gst_harness_new("scanoutsrc");

    gst_harness_use_systemclock(harness);
    g_object_set(harness->element, "location", location, NULL);
    if (caps != NULL) {
        gst_harness_set_sink_caps_str(harness, caps);
    }
    return harness;
}

static void get_info(GstHarness *harness, GstVideoInfo *info)
{
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(harness->sinkpad);

    g_assert_nonnull(caps);
    g_assert_true(gst_video_info_from_caps(info, caps));
}

/* The whole picture must be that of the frame number in it, which is returned. */
static guint32 check_picture(GstHarness *harness, GstBuffer *buffer, int width, int height)
{
    g_autofree guint32 *wanted = g_new(guint32, (gsize)width * (gsize)height);
    GstVideoInfo info;
    GstVideoFrame frame;
    guint32 number;

    get_info(harness, &info);
    g_assert_cmpint(info.width, ==, width);
    g_assert_cmpint(info.height, ==, height);
    g_assert_true(gst_video_frame_map(&frame, &info, buffer, GST_MAP_READ));
    number = pattern_read(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0),
                          GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0), width, height);
    pattern_draw(wanted, width * 4, width, height, number);
    for (int y = 0; y < height; y++) {
        const guint32 *row = (guint32 *)((guint8 *)GST_VIDEO_FRAME_PLANE_DATA(&frame, 0) +
                                         y * GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0));

        for (int x = 0; x < width; x++) {
            g_assert_cmphex(row[x] & 0xffffff, ==, wanted[y * width + x] & 0xffffff);
        }
    }
    gst_video_frame_unmap(&frame);
    return number;
}

static void test_pictures(void)
{
    GstHarness *harness = new_harness("pattern:320x240@50", NULL);
    GstClockTime before = 0;
    guint32 last = 0;

    gst_harness_play(harness);
    for (int i = 0; i < 30; i++) {
        g_autoptr(GstBuffer) buffer = gst_harness_pull(harness);
        guint32 number;

        g_assert_nonnull(buffer);
        number = check_picture(harness, buffer, 320, 240);
        g_assert_true(GST_BUFFER_PTS_IS_VALID(buffer));
        if (i > 0) {
            g_assert_cmpuint(number, >=, last);
            g_assert_cmpuint(GST_BUFFER_PTS(buffer), >, before);
        }
        before = GST_BUFFER_PTS(buffer);
        last = number;
    }
    g_assert_cmpuint(last, >=, 20);
    gst_harness_teardown(harness);
}

/* What no meta says to have changed has not. */
static void test_damage(void)
{
    GstHarness *harness = new_harness("pattern:320x240@50", NULL);
    g_autofree guint32 *picture = g_new0(guint32, 320 * 240);
    gsize changed = 0;

    gst_harness_play(harness);
    for (int i = 0; i < 20; i++) {
        g_autoptr(GstBuffer) buffer = gst_harness_pull(harness);
        GstVideoRegionOfInterestMeta *meta;
        gpointer state = NULL;
        GstMapInfo map;

        g_assert_true(gst_buffer_map(buffer, &map, GST_MAP_READ));
        while ((meta = (GstVideoRegionOfInterestMeta *)gst_buffer_iterate_meta_filtered(
                    buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)) != NULL) {
            g_assert_cmpstr(g_quark_to_string(meta->roi_type), ==, "damage");
            changed += i > 0 ? meta->w * meta->h : 0;
            for (guint y = meta->y; y < meta->y + meta->h; y++) {
                memcpy(picture + y * 320 + meta->x, map.data + (y * 320 + meta->x) * 4,
                       meta->w * 4);
            }
        }
        g_assert_cmpmem(picture, 320 * 240 * 4, map.data, 320 * 240 * 4);
        gst_buffer_unmap(buffer, &map);
    }
    g_assert_cmpuint(changed, <, 19 * 320 * 240 / 2);
    gst_harness_teardown(harness);
}

static void test_odd_size(void)
{
    for (int with_meta = 0; with_meta < 2; with_meta++) {
        GstHarness *harness = new_harness("pattern:323x241@50", NULL);
        g_autoptr(GstBuffer) buffer = NULL;

        if (with_meta) {
            gst_harness_add_propose_allocation_meta(harness, GST_VIDEO_META_API_TYPE, NULL);
        }
        gst_harness_play(harness);
        buffer = gst_harness_pull(harness);
        g_assert_true(with_meta || gst_buffer_get_video_meta(buffer) == NULL);
        check_picture(harness, buffer, 323, 241);
        gst_harness_teardown(harness);
    }
}

static GstState get_state(GstElement *element)
{
    GstState state;

    gst_element_get_state(element, &state, NULL, 10 * GST_SECOND);
    return state;
}

static void test_state_cycles(void)
{
    GstElement *pipeline = setup_launch("scanoutsrc location=pattern:64x64@100 ! fakesink");
    static const GstState states[] = { GST_STATE_PLAYING, GST_STATE_PAUSED, GST_STATE_PLAYING,
                                       GST_STATE_READY,   GST_STATE_PAUSED, GST_STATE_NULL };

    for (int i = 0; i < 20; i++) {
        for (gsize j = 0; j < G_N_ELEMENTS(states); j++) {
            g_assert_cmpint(gst_element_set_state(pipeline, states[j]), !=,
                            GST_STATE_CHANGE_FAILURE);
            if (i % 4 == 0 && states[j] != GST_STATE_PAUSED) {
                g_assert_cmpint(get_state(pipeline), ==, states[j]);
            }
        }
    }
    gst_object_unref(pipeline);
}

/* A buffer outlives the element that made it. */
static void test_buffer_outlives_source(void)
{
    GstHarness *harness = new_harness("pattern:320x240@50", NULL);
    GstBuffer *buffer;
    GstMapInfo map;

    gst_harness_play(harness);
    buffer = gst_harness_pull(harness);
    gst_harness_teardown(harness);
    g_assert_true(gst_buffer_map(buffer, &map, GST_MAP_READ));
    g_assert_cmpuint(pattern_read((guint32 *)map.data, 320 * 4, 320, 240), <, 100);
    gst_buffer_unmap(buffer, &map);
    gst_buffer_unref(buffer);
}

static void test_eos(void)
{
    GstElement *pipeline = setup_launch("scanoutsrc location=pattern:64x64@100 ! fakesink");
    GstElement *limited =
        setup_launch("scanoutsrc location=pattern:64x64@100 num-buffers=5 ! fakesink");
    g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
    g_autoptr(GstBus) limited_bus = gst_element_get_bus(limited);

    gst_element_set_state(limited, GST_STATE_PLAYING);
    gst_message_unref(setup_wait(limited_bus, GST_MESSAGE_EOS));
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    get_state(pipeline);
    gst_element_send_event(pipeline, gst_event_new_eos());
    gst_message_unref(setup_wait(bus, GST_MESSAGE_EOS));
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_element_set_state(limited, GST_STATE_NULL);
    gst_object_unref(pipeline);
    gst_object_unref(limited);
}

static void test_flush(void)
{
    GstHarness *harness = new_harness("pattern:64x64@100", NULL);
    GstPad *pad;

    gst_harness_play(harness);
    gst_buffer_unref(gst_harness_pull(harness));
    pad = gst_element_get_static_pad(harness->element, "src");
    for (int i = 0; i < 5; i++) {
        gst_element_send_event(harness->element, gst_event_new_flush_start());
        gst_element_send_event(harness->element, gst_event_new_flush_stop(TRUE));
        gst_buffer_unref(gst_harness_pull(harness));
    }
    gst_object_unref(pad);
    gst_harness_teardown(harness);
}

static void test_events_while_stopped(void)
{
    GstElement *source = gst_object_ref_sink(gst_element_factory_make("scanoutsrc", NULL));
    static const GstState states[] = { GST_STATE_NULL, GST_STATE_READY };

    g_object_set(source, "location", "pattern:64x64", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(states); i++) {
        gst_element_set_state(source, states[i]);
        gst_element_send_event(source, gst_event_new_flush_start());
        gst_element_send_event(source, gst_event_new_flush_stop(TRUE));
        gst_element_send_event(source, gst_event_new_reconfigure());
        gst_element_send_event(source, gst_event_new_navigation(gst_structure_new(
                                           "application/x-gst-navigation", "event", G_TYPE_STRING,
                                           "key-press", "key", G_TYPE_STRING, "a", NULL)));
    }
    gst_element_set_state(source, GST_STATE_NULL);
    gst_object_unref(source);
}

static GstPadProbeReturn note_time(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    gint *ms = data;

    g_atomic_int_set(ms, (gint)(GST_BUFFER_PTS(GST_PAD_PROBE_INFO_BUFFER(info)) / GST_MSECOND));
    return GST_PAD_PROBE_OK;
}

/* After a flush the running time begins again, and so do time stamps. */
static void test_time_after_flush(void)
{
    GstElement *pipeline =
        setup_launch("scanoutsrc location=pattern:64x64@100 ! fakesink name=sink sync=true");
    g_autoptr(GstElement) sink = gst_bin_get_by_name(GST_BIN(pipeline), "sink");
    g_autoptr(GstPad) pad = gst_element_get_static_pad(sink, "sink");
    gint ms = -1;

    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, note_time, &ms, NULL);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    SETUP_POLL(g_atomic_int_get(&ms) > 1000);
    gst_element_send_event(pipeline, gst_event_new_flush_start());
    gst_element_send_event(pipeline, gst_event_new_flush_stop(TRUE));
    SETUP_POLL(g_atomic_int_get(&ms) < 500);
    SETUP_POLL(g_atomic_int_get(&ms) > 700);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}

static void test_properties_while_running(void)
{
    GstElement *pipeline = setup_launch("scanoutsrc name=src location=pattern:64x64 ! fakesink");
    g_autoptr(GstElement) source = gst_bin_get_by_name(GST_BIN(pipeline), "src");
    g_autofree char *location = NULL, *changed = NULL;

    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    g_object_set(source, "location", "pattern:32x32", NULL);
    g_object_get(source, "location", &location, NULL);
    g_assert_cmpstr(location, ==, "pattern:64x64");
    gst_element_set_state(pipeline, GST_STATE_NULL);
    g_object_set(source, "location", "pattern:32x32", NULL);
    g_object_get(source, "location", &changed, NULL);
    g_assert_cmpstr(changed, ==, "pattern:32x32");
    gst_object_unref(pipeline);
}

static void test_messages_and_stats(void)
{
    GstElement *pipeline =
        setup_launch("scanoutsrc name=src location=pattern:64x48@100 num-buffers=10 ! fakesink");
    g_autoptr(GstElement) source = gst_bin_get_by_name(GST_BIN(pipeline), "src");
    g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
    g_autoptr(GstMessage) connected = NULL, scanout = NULL;
    g_autoptr(GstStructure) stats = NULL;
    const GstStructure *structure;
    guint width, height;
    guint64 copied, shared;

    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    connected = setup_wait(bus, GST_MESSAGE_ELEMENT);
    structure = gst_message_get_structure(connected);
    g_assert_cmpstr(gst_structure_get_name(structure), ==, "scancast-source");
    g_assert_cmpstr(gst_structure_get_string(structure, "state"), ==, "connected");
    scanout = setup_wait(bus, GST_MESSAGE_ELEMENT);
    structure = gst_message_get_structure(scanout);
    g_assert_cmpstr(gst_structure_get_name(structure), ==, "scancast-scanout");
    g_assert_true(gst_structure_get(structure, "width", G_TYPE_UINT, &width, "height", G_TYPE_UINT,
                                    &height, NULL));
    g_assert_cmpuint(width, ==, 64);
    g_assert_cmpuint(height, ==, 48);
    g_assert_cmpstr(gst_structure_get_string(structure, "drm-format"), ==, "XR24");

    gst_message_unref(setup_wait(bus, GST_MESSAGE_EOS));
    gst_element_set_state(pipeline, GST_STATE_NULL);
    g_object_get(source, "stats", &stats, NULL);
    g_assert_true(gst_structure_get(stats, "copied", G_TYPE_UINT64, &copied, "shared",
                                    G_TYPE_UINT64, &shared, NULL));
    g_assert_cmpuint(copied, ==, 10);
    g_assert_cmpuint(shared, ==, 0);
    gst_object_unref(pipeline);
}

static void expect_failure(const char *description, GQuark domain, int code, const char *text,
                           const char *hint)
{
    GstElement *pipeline = setup_launch(description);

    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    setup_expect_error(pipeline, domain, code, text, hint);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}

static void test_errors(void)
{
    expect_failure("scanoutsrc ! fakesink", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
                   "No location", "location=pattern");
    expect_failure("scanoutsrc location=nonsense:1 ! fakesink", GST_RESOURCE_ERROR,
                   GST_RESOURCE_ERROR_OPEN_READ, "nonsense", "gst-inspect-1.0");
    expect_failure("scanoutsrc location=pattern:0x480 ! fakesink", GST_RESOURCE_ERROR,
                   GST_RESOURCE_ERROR_OPEN_READ, "0x480", "gst-inspect-1.0");
    expect_failure("scanoutsrc location=spice+unix:/nonexistent/vm.sock ! fakesink",
                   GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ, "/nonexistent/vm.sock",
                   "reconnect=true");
    expect_failure("scanoutsrc location=pattern:64x64 ! video/x-raw,framerate=30/1 ! fakesink",
                   GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "downstream", "videorate");
    expect_failure("scanoutsrc location=pattern:64x64 copy=never ! fakesink", GST_STREAM_ERROR,
                   GST_STREAM_ERROR_FORMAT, "no dmabuf", "copy=auto");
}

/* A wall of them: they share one owner thread. */
static void test_several(void)
{
    GstElement *pipeline =
        setup_launch("scanoutsrc location=pattern:64x64@50 num-buffers=30 ! fakesink "
                     "scanoutsrc location=pattern:96x64@50 num-buffers=30 ! fakesink "
                     "scanoutsrc location=pattern:64x96@50 num-buffers=30 ! fakesink");
    g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);

    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    gst_message_unref(setup_wait(bus, GST_MESSAGE_EOS));
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}

int main(int argc, char *argv[])
{
    setup_init(&argc, &argv);
    g_test_add_func("/scanoutsrc/pictures", test_pictures);
    g_test_add_func("/scanoutsrc/damage", test_damage);
    g_test_add_func("/scanoutsrc/odd-size", test_odd_size);
    g_test_add_func("/scanoutsrc/state-cycles", test_state_cycles);
    g_test_add_func("/scanoutsrc/buffer-outlives-source", test_buffer_outlives_source);
    g_test_add_func("/scanoutsrc/eos", test_eos);
    g_test_add_func("/scanoutsrc/flush", test_flush);
    g_test_add_func("/scanoutsrc/events-while-stopped", test_events_while_stopped);
    g_test_add_func("/scanoutsrc/time-after-flush", test_time_after_flush);
    g_test_add_func("/scanoutsrc/properties-while-running", test_properties_while_running);
    g_test_add_func("/scanoutsrc/messages-and-stats", test_messages_and_stats);
    g_test_add_func("/scanoutsrc/errors", test_errors);
    g_test_add_func("/scanoutsrc/several", test_several);
    return setup_finish(g_test_run());
}
