/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* spicesink with real SPICE clients: codecs, key frames, input, states and errors. */
#include "tests/fence/child.h"
#include "tests/gst/setup.h"

#include <gst/video/video.h>
#include <string.h>

#define TEST_SOURCE "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 "
#define H264 "! x264enc tune=zerolatency key-int-max=3600 speed-preset=ultrafast "
#define SINK "! spicesink name=sink listen=127.0.0.1:0 "

typedef struct {
    GstElement *pipeline, *sink;
    GstBus *bus;
    gint keys;          /* force-key-unit events */
    GAsyncQueue *input; /* char *: navigation events */
    gint joined, left;
} Fixture;

static GstPadProbeReturn on_upstream_event(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    Fixture *fixture = data;
    GstEvent *event = GST_PAD_PROBE_INFO_EVENT(info);

    if (gst_video_event_is_force_key_unit(event)) {
        g_atomic_int_inc(&fixture->keys);
    } else if (GST_EVENT_TYPE(event) == GST_EVENT_NAVIGATION) {
        g_async_queue_push(fixture->input, gst_structure_to_string(gst_event_get_structure(event)));
    }
    return GST_PAD_PROBE_OK;
}

static void on_joined(GstElement *sink, guint64 id, const char *peer, Fixture *fixture)
{
    g_atomic_int_inc(&fixture->joined);
    g_assert_cmpuint(id, >=, 1); /* they count from the start of the sink */
    g_assert_nonnull(strstr(peer, "127.0.0.1:"));
}

static void on_left(GstElement *sink, guint64 id, const char *peer, Fixture *fixture)
{
    g_atomic_int_inc(&fixture->left);
}

static Fixture *fixture_new(const char *description)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autoptr(GstPad) pad = NULL;

    fixture->pipeline = setup_launch(description);
    fixture->sink = gst_bin_get_by_name(GST_BIN(fixture->pipeline), "sink");
    fixture->bus = gst_element_get_bus(fixture->pipeline);
    fixture->input = g_async_queue_new_full(g_free);
    pad = gst_element_get_static_pad(fixture->sink, "sink");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_EVENT_UPSTREAM, on_upstream_event, fixture, NULL);
    g_signal_connect(fixture->sink, "viewer-joined", G_CALLBACK(on_joined), fixture);
    g_signal_connect(fixture->sink, "viewer-left", G_CALLBACK(on_left), fixture);
    gst_element_set_state(fixture->pipeline, GST_STATE_PLAYING);
    gst_message_unref(setup_wait(fixture->bus, GST_MESSAGE_ASYNC_DONE));
    return fixture;
}

static void fixture_free(Fixture *fixture)
{
    gst_element_set_state(fixture->pipeline, GST_STATE_NULL);
    gst_object_unref(fixture->sink);
    gst_object_unref(fixture->pipeline);
    gst_object_unref(fixture->bus);
    g_async_queue_unref(fixture->input);
    g_free(fixture);
}

static Child *connect_client(Fixture *fixture, const char *option)
{
    g_autofree char *address = NULL, *uri = NULL;

    g_object_get(fixture->sink, "address", &address, NULL);
    g_assert_nonnull(address);
    uri = g_strdup_printf("--uri=spice://%s", address);
    return child_new("../client/spice-probe", uri, "--seconds=60", option, NULL);
}

static void wait_for_frames(Child *client, guint n)
{
    for (guint i = 0; i < n; i++) {
        g_free(child_expect(client, "frame "));
    }
}

static void quit(Child *client)
{
    child_say(client, "quit");
    g_assert_cmpint(child_wait(client), ==, 0);
    child_free(client);
}

static guint get_viewers(Fixture *fixture)
{
    guint viewers;

    g_object_get(fixture->sink, "viewers", &viewers, NULL);
    return viewers;
}

static guint64 get_stat(Fixture *fixture, const char *name)
{
    g_autoptr(GstStructure) stats = NULL;
    guint64 value = 0;

    g_object_get(fixture->sink, "stats", &stats, NULL);
    g_assert_true(gst_structure_get_uint64(stats, name, &value));
    return value;
}

/* A viewer that comes late asks for a key frame, gets it and sees pictures. */
static void test_viewers(void)
{
    Fixture *fixture = fixture_new(TEST_SOURCE H264 SINK);
    Child *first, *second;
    int keys;

    g_assert_cmpuint(get_viewers(fixture), ==, 0);
    first = connect_client(fixture, NULL);
    wait_for_frames(first, 10);
    g_assert_cmpuint(get_viewers(fixture), ==, 1);
    keys = g_atomic_int_get(&fixture->keys);
    g_assert_cmpint(keys, >=, 1);
    second = connect_client(fixture, NULL);
    wait_for_frames(second, 10);
    g_assert_cmpint(g_atomic_int_get(&fixture->keys), ==, keys + 1);
    g_assert_cmpuint(get_viewers(fixture), ==, 2);
    SETUP_POLL(g_atomic_int_get(&fixture->joined) == 2);
    g_assert_cmpuint(get_stat(fixture, "joined"), ==, 2);
    g_assert_cmpuint(get_stat(fixture, "sent"), >=, 20);
    quit(first);
    SETUP_POLL(get_viewers(fixture) == 1);
    wait_for_frames(second, 10);
    quit(second);
    SETUP_POLL(g_atomic_int_get(&fixture->left) == 2);
    fixture_free(fixture);
}

static void test_codecs(void)
{
    static const char *const encoders[] = {
        "! vp8enc deadline=1 keyframe-max-dist=3600 ",
        "! vp9enc deadline=1 keyframe-max-dist=3600 ",
        "! jpegenc ",
        "! videoconvert ! video/x-raw,format=I420 ! x265enc tune=zerolatency ! h265parse ",
        "! videoconvert ! video/x-raw,format=BGRx ",
        "! videoconvert ! video/x-raw,format=RGB16 ",
        "! videoconvert ! video/x-raw,format=RGB ",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(encoders); i++) {
        g_autofree char *description = g_strconcat(TEST_SOURCE, encoders[i], SINK, NULL);
        Fixture *fixture = fixture_new(description);
        Child *client = connect_client(fixture, NULL);

        wait_for_frames(client, 10);
        quit(client);
        fixture_free(fixture);
    }
}

/* One that cannot decode what there is is told so by being disconnected; raw video is for all. */
static void test_client_without_h264(void)
{
    Fixture *fixture = fixture_new(TEST_SOURCE H264 SINK);
    Child *client = connect_client(fixture, "--no-h264");

    g_free(child_expect(client, "closed"));
    g_assert_cmpint(child_wait(client), ==, 1);
    child_free(client);
    fixture_free(fixture);

    fixture = fixture_new(TEST_SOURCE SINK);
    client = connect_client(fixture, "--no-h264");
    wait_for_frames(client, 10);
    quit(client);
    fixture_free(fixture);
}

/* Clients may repeat where the pointer is. */
static void expect_input(Fixture *fixture, const char *part, const char *other)
{
    g_autofree char *event = NULL;

    do {
        g_free(event);
        event = g_async_queue_timeout_pop(fixture->input, 20 * G_USEC_PER_SEC);
        g_assert_nonnull(event);
        g_test_message("%s", event);
    } while (strstr(event, "mouse-move") != NULL && strstr(event, part) == NULL);
    g_assert_nonnull(strstr(event, part));
    g_assert_nonnull(strstr(event, other));
}

static void test_input(void)
{
    Fixture *fixture = fixture_new(TEST_SOURCE H264 SINK);
    Child *client = connect_client(fixture, NULL);

    wait_for_frames(client, 1);
    g_free(child_expect(client, "mouse-mode mode=client"));
    child_say(client, "key 30");
    expect_input(fixture, "key-press", "key=(string)a");
    expect_input(fixture, "key-release", "scancode=(uint)30");
    child_say(client, "position 12 34");
    expect_input(fixture, "mouse-move", "pointer_x=(double)12");
    child_say(client, "button 3");
    expect_input(fixture, "mouse-button-press", "button=(int)3");
    expect_input(fixture, "mouse-button-release", "pointer_y=(double)34");
    child_say(client, "wheel 1");
    expect_input(fixture, "mouse-scroll", "delta_pointer_y=(double)-1");
    /* What a viewer holds is released when it leaves. */
    child_say(client, "key 31 down");
    expect_input(fixture, "key-press", "key=(string)s");
    child_kill(client);
    child_free(client);
    expect_input(fixture, "key-release", "key=(string)s");
    fixture_free(fixture);
}

static void test_password(void)
{
    Fixture *fixture = fixture_new(TEST_SOURCE H264 SINK "password=sesame");
    Child *client = connect_client(fixture, "--password=wrong");

    g_free(child_expect(client, "error channel=main reason=auth"));
    g_assert_cmpint(child_wait(client), ==, 1);
    child_free(client);
    client = connect_client(fixture, "--password=sesame");
    wait_for_frames(client, 3);
    quit(client);
    fixture_free(fixture);
}

/* The last picture stays for those who are there; stopping sends them away. */
static void test_eos_and_stop(void)
{
    Fixture *fixture = fixture_new(TEST_SOURCE H264 SINK);
    Child *client = connect_client(fixture, NULL);

    wait_for_frames(client, 3);
    gst_element_send_event(fixture->pipeline, gst_event_new_eos());
    gst_message_unref(setup_wait(fixture->bus, GST_MESSAGE_EOS));
    g_assert_cmpuint(get_viewers(fixture), ==, 1);
    gst_element_set_state(fixture->pipeline, GST_STATE_READY);
    g_assert_cmpuint(get_viewers(fixture), ==, 1);
    gst_element_set_state(fixture->pipeline, GST_STATE_NULL);
    g_free(child_expect(client, "channel name=main state=closed"));
    child_kill(client);
    child_free(client);
    fixture_free(fixture);
}

static void test_state_cycles(void)
{
    static const GstState states[] = { GST_STATE_READY, GST_STATE_PLAYING, GST_STATE_PAUSED,
                                       GST_STATE_PLAYING, GST_STATE_NULL };
    Fixture *fixture = fixture_new(TEST_SOURCE H264 SINK);

    for (int i = 0; i < 10; i++) {
        Child *client = NULL;

        for (gsize j = 0; j < G_N_ELEMENTS(states); j++) {
            g_assert_cmpint(gst_element_set_state(fixture->pipeline, states[j]), !=,
                            GST_STATE_CHANGE_FAILURE);
            gst_element_get_state(fixture->pipeline, NULL, NULL, GST_CLOCK_TIME_NONE);
            if (states[j] == GST_STATE_PLAYING && client == NULL && i % 3 == 0) {
                client = connect_client(fixture, NULL);
                g_free(child_expect(client, i % 2 == 0 ? "frame " : "connect"));
            }
        }
        if (client != NULL) {
            child_kill(client);
            child_free(client);
        }
    }
    fixture_free(fixture);
}

static void test_flush(void)
{
    Fixture *fixture = fixture_new(TEST_SOURCE H264 SINK);
    Child *client = connect_client(fixture, NULL);

    wait_for_frames(client, 3);
    for (int i = 0; i < 3; i++) {
        g_assert_true(gst_element_seek_simple(fixture->pipeline, GST_FORMAT_TIME,
                                              GST_SEEK_FLAG_FLUSH, i * GST_SECOND));
        gst_element_get_state(fixture->pipeline, NULL, NULL, GST_CLOCK_TIME_NONE);
        wait_for_frames(client, 3);
    }
    quit(client);
    fixture_free(fixture);
}

/* Other size and other codec in mid-stream. */
static void test_caps_change(void)
{
    Fixture *fixture = fixture_new("videotestsrc is-live=true ! capsfilter name=filter "
                                   "caps=video/x-raw,width=320,height=240,framerate=30/1 " SINK);
    Child *client = connect_client(fixture, NULL);
    g_autoptr(GstElement) filter = gst_bin_get_by_name(GST_BIN(fixture->pipeline), "filter");
    g_autoptr(GstCaps) caps =
        gst_caps_from_string("video/x-raw,width=200,height=100,framerate=30/1");

    wait_for_frames(client, 5);
    g_free(child_expect(client, "display width=320 height=240"));
    g_object_set(filter, "caps", caps, NULL);
    g_free(child_expect(client, "display width=200 height=100"));
    wait_for_frames(client, 5);
    quit(client);
    fixture_free(fixture);
}

static void test_several_sinks(void)
{
    GstElement *pipeline = setup_launch(
        TEST_SOURCE H264 "! tee name=t t. ! queue ! spicesink name=a listen=127.0.0.1:0 "
                         "t. ! queue ! spicesink name=b listen=127.0.0.1:0");
    Child *clients[2];

    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    for (int i = 0; i < 2; i++) {
        g_autoptr(GstElement) sink = gst_bin_get_by_name(GST_BIN(pipeline), i == 0 ? "a" : "b");
        g_autofree char *address = NULL, *uri = NULL;

        g_object_get(sink, "address", &address, NULL);
        uri = g_strdup_printf("--uri=spice://%s", address);
        clients[i] = child_new("../client/spice-probe", uri, "--seconds=60", NULL);
    }
    for (int i = 0; i < 2; i++) {
        wait_for_frames(clients[i], 10);
        quit(clients[i]);
    }
    gst_element_set_state(pipeline, GST_STATE_NULL);
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
    Fixture *fixture = fixture_new(TEST_SOURCE H264 SINK);
    g_autofree char *address = NULL, *taken = NULL;

    g_object_get(fixture->sink, "address", &address, NULL);
    taken = g_strdup_printf("videotestsrc ! spicesink listen=%s", address);
    expect_failure(taken, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ_WRITE, address,
                   "127.0.0.1:0");
    fixture_free(fixture);
    expect_failure("videotestsrc ! spicesink listen=nonsense:x", GST_RESOURCE_ERROR,
                   GST_RESOURCE_ERROR_SETTINGS, "nonsense:x", "listen=");
    expect_failure("videotestsrc ! spicesink listen=\"\"", GST_RESOURCE_ERROR,
                   GST_RESOURCE_ERROR_SETTINGS, "nowhere to listen", "tls-listen");
    expect_failure("videotestsrc ! spicesink tls-listen=127.0.0.1:0", GST_RESOURCE_ERROR,
                   GST_RESOURCE_ERROR_SETTINGS, "certificate", "tls-cert");
    expect_failure("videotestsrc ! spicesink listen=127.0.0.1:0 encoder=nosuchelement",
                   GST_STREAM_ERROR, GST_STREAM_ERROR_ENCODE, "nosuchelement", "encoder");
}

static void test_caps_without_size(void)
{
    GstElement *sink = gst_element_factory_make("spicesink", NULL);
    g_autoptr(GstBus) bus = gst_bus_new();
    GstHarness *harness;

    g_object_set(gst_object_ref_sink(sink), "listen", "127.0.0.1:0", NULL);
    gst_element_set_bus(sink, bus);
    harness = gst_harness_new_with_element(sink, "sink", NULL);
    gst_harness_set_src_caps_str(harness, "video/x-vp8");
    g_assert_cmpint(gst_harness_push(harness, gst_buffer_new_and_alloc(10)), ==,
                    GST_FLOW_NOT_NEGOTIATED);
    setup_expect_error(sink, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "size", "h264parse");
    gst_element_set_bus(sink, NULL);
    gst_harness_teardown(harness);
    gst_object_unref(sink);
}

int main(int argc, char *argv[])
{
    setup_init(&argc, &argv);
    g_test_add_func("/spicesink/viewers", test_viewers);
    g_test_add_func("/spicesink/codecs", test_codecs);
    g_test_add_func("/spicesink/client-without-h264", test_client_without_h264);
    g_test_add_func("/spicesink/input", test_input);
    g_test_add_func("/spicesink/password", test_password);
    g_test_add_func("/spicesink/eos-and-stop", test_eos_and_stop);
    g_test_add_func("/spicesink/state-cycles", test_state_cycles);
    g_test_add_func("/spicesink/flush", test_flush);
    g_test_add_func("/spicesink/caps-change", test_caps_change);
    g_test_add_func("/spicesink/several-sinks", test_several_sinks);
    g_test_add_func("/spicesink/errors", test_errors);
    g_test_add_func("/spicesink/caps-without-size", test_caps_without_size);
    return setup_finish(g_test_run());
}
