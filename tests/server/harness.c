/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/server/harness.h"

#include "capture/pattern.h"

#include <glib/gstdio.h>
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void on_joined(ScViewer *viewer, gpointer data)
{
    ((Served *)data)->n_joined++;
}

static void on_ready(ScViewer *viewer, ScCodec codec, gpointer data)
{
    Served *served = data;

    g_assert_true(viewer == served->viewer);
    served->n_ready++;
    served->codec = codec;
}

static void on_wants_key(ScViewer *viewer, gpointer data)
{
    ((Served *)data)->n_wants_key++;
}

static void on_has_room(ScViewer *viewer, gpointer data)
{
    g_assert_false(sc_viewer_is_congested(viewer));
    ((Served *)data)->n_has_room++;
}

static void on_closed(ScViewer *viewer, gpointer data)
{
    Served *served = data;

    served->n_closed++;
    g_assert_cmpuint(served->n_closed, ==, 1);
}

static void on_key(ScViewer *viewer, guint scancode, gboolean pressed, gpointer data)
{
    g_string_append_printf(((Served *)data)->input, "key=%u,%d ", scancode, pressed);
}

static void on_motion(ScViewer *viewer, int dx, int dy, gpointer data)
{
    g_string_append_printf(((Served *)data)->input, "motion=%d,%d ", dx, dy);
}

static void on_position(ScViewer *viewer, guint x, guint y, gpointer data)
{
    g_string_append_printf(((Served *)data)->input, "position=%u,%u ", x, y);
}

static void on_button(ScViewer *viewer, ScButton button, gboolean pressed, gpointer data)
{
    g_string_append_printf(((Served *)data)->input, "button=%d,%d ", button, pressed);
}

static void on_wheel(ScViewer *viewer, int steps, gpointer data)
{
    g_string_append_printf(((Served *)data)->input, "wheel=%d ", steps);
}

static void on_size(ScViewer *viewer, guint width, guint height, gpointer data)
{
    g_string_append_printf(((Served *)data)->input, "size=%u,%u ", width, height);
}

static gboolean on_wants_greeting(ScViewer *viewer, gpointer data)
{
    ((Served *)data)->n_wants_greeting++;
    return TRUE;
}

static const ScViewerListener viewer_listener = {
    .joined = on_joined,
    .wants_greeting = on_wants_greeting,
    .ready = on_ready,
    .wants_key = on_wants_key,
    .has_room = on_has_room,
    .closed = on_closed,
    .key = on_key,
    .motion = on_motion,
    .position = on_position,
    .button = on_button,
    .wheel = on_wheel,
    .size = on_size,
};

static Served *find_served(Harness *harness, guint32 connection_id)
{
    for (guint i = 0; i < harness->served->len; i++) {
        Served *served = g_ptr_array_index(harness->served, i);

        if (served->viewer != NULL && connection_id != 0 &&
            sc_viewer_get_connection_id(served->viewer) == connection_id) {
            return served;
        }
    }
    return NULL;
}

static void on_connection(int fd, guint32 connection_id, const char *peer, gpointer data)
{
    Harness *harness = data;
    Served *served = find_served(harness, connection_id);
    g_autoptr(GError) error = NULL;

    if (connection_id != 0 && served == NULL) {
        g_close(fd, NULL);
        return;
    }
    if (served == NULL) {
        served = g_new0(Served, 1);
        served->harness = harness;
        served->input = g_string_new(NULL);
        served->viewer = sc_viewer_new(&harness->config, &viewer_listener, served, &error);
        g_assert_no_error(error);
        sc_viewer_set_codecs(served->viewer, harness->codecs);
        g_ptr_array_add(harness->served, served);
    }
    sc_viewer_add_connection(served->viewer, fd, peer, &error);
    g_assert_no_error(error);
}

void harness_free_viewer(Served *served)
{
    sc_viewer_free(g_steal_pointer(&served->viewer));
}

static void served_free(gpointer data)
{
    Served *served = data;

    harness_free_viewer(served);
    g_string_free(served->input, TRUE);
    g_free(served);
}

static void probe_child_free(gpointer data)
{
    ProbeChild *probe = data;

    g_subprocess_force_exit(probe->process);
    g_subprocess_wait(probe->process, NULL, NULL);
    g_cancellable_cancel(probe->reading);
    g_object_unref(probe->reading);
    g_object_unref(probe->output);
    g_object_unref(probe->process);
    g_ptr_array_unref(probe->lines);
    g_free(probe);
}

void harness_init(int *argc, char ***argv)
{
    g_test_init(argc, argv, NULL);
    g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
    signal(SIGPIPE, SIG_IGN);
    gst_init(NULL, NULL);
}

Harness *harness_new(const char *address, const char *password)
{
    Harness *harness = g_new0(Harness, 1);
    ScListenerConfig config = { 0 };
    g_autofree char *unix_address = NULL;
    g_autoptr(GError) error = NULL;

    harness->config = (ScViewerConfig){ .name = "harness", .password = password };
    harness->codecs = 1u << SC_CODEC_H264;
    harness->served = g_ptr_array_new_with_free_func(served_free);
    harness->probes = g_ptr_array_new_with_free_func(probe_child_free);
    harness->directory = g_dir_make_tmp("scancast-XXXXXX", &error);
    g_assert_no_error(error);
    unix_address = g_strdup_printf("unix:%s/spice", harness->directory);
    config.address = address != NULL ? address : unix_address;
    config.is_open = password == NULL;
    harness->listener = sc_listener_new(&config, on_connection, harness, &error);
    g_assert_no_error(error);
    return harness;
}

void harness_free(Harness *harness)
{
    g_ptr_array_unref(harness->probes);
    g_ptr_array_unref(harness->served);
    sc_listener_free(harness->listener);
    g_assert_cmpint(g_rmdir(harness->directory), ==, 0);
    g_free(harness->directory);
    g_free(harness);
}

static gboolean on_turn_over(gpointer data)
{
    return G_SOURCE_REMOVE;
}

void harness_iterate(void)
{
    guint id = g_timeout_add(5, on_turn_over, NULL);

    g_main_context_iteration(NULL, TRUE);
    if (g_main_context_find_source_by_id(NULL, id) != NULL) {
        g_source_remove(id);
    }
}

void harness_run(gint64 duration)
{
    gint64 end = g_get_monotonic_time() + duration;

    while (g_get_monotonic_time() < end) {
        harness_iterate();
    }
}

Served *harness_wait_viewer(Harness *harness, guint index)
{
    HARNESS_WAIT(harness->served->len > index);
    return g_ptr_array_index(harness->served, index);
}

Served *harness_wait_ready(Harness *harness, guint index)
{
    Served *served = harness_wait_viewer(harness, index);

    HARNESS_WAIT(served->n_ready > 0 && served->n_wants_key > 0);
    return served;
}

void harness_send_all(Served *served, GPtrArray *packets)
{
    for (guint i = 0; i < packets->len; i++) {
        HARNESS_WAIT(!sc_viewer_is_congested(served->viewer));
        sc_viewer_send(served->viewer, g_ptr_array_index(packets, i));
    }
}

static GstElement *make_pipeline(ScCodec codec, int width, int height, guint key_interval)
{
    /* Sizes are made even for H.264, as an encoder must; the true size goes with the packet. */
    const int even_width = (width + 1) & ~1, even_height = (height + 1) & ~1;
    g_autofree char *encoder = NULL;
    g_autofree char *description = NULL;
    g_autoptr(GError) error = NULL;
    GstElement *pipeline;

    if (codec == SC_CODEC_MJPEG) {
        encoder = g_strdup("videoconvert ! jpegenc quality=90");
    } else {
        encoder = g_strdup_printf("videobox autocrop=true ! video/x-raw,width=%d,height=%d ! "
                                  "videoconvert ! x264enc tune=zerolatency speed-preset=ultrafast "
                                  "threads=1 bitrate=8000 key-int-max=%u ! video/x-h264,"
                                  "stream-format=byte-stream,alignment=au",
                                  even_width, even_height, key_interval);
    }
    description = g_strdup_printf("appsrc name=source format=time caps=video/x-raw,format=BGRx,"
                                  "width=%d,height=%d,framerate=60/1 ! %s ! "
                                  "appsink name=sink sync=false",
                                  width, height, encoder);
    pipeline = gst_parse_launch(description, &error);
    g_assert_no_error(error);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    return pipeline;
}

static void push_pattern(GstAppSrc *source, int width, int height, guint number, guint index)
{
    const int stride = width * (int)sizeof(guint32);
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, (gsize)stride * height, NULL);
    GstMapInfo map;

    g_assert_true(gst_buffer_map(buffer, &map, GST_MAP_WRITE));
    pattern_draw((uint32_t *)map.data, stride, width, height, number);
    gst_buffer_unmap(buffer, &map);
    GST_BUFFER_PTS(buffer) = index * GST_SECOND / 60;
    g_assert_cmpint(gst_app_src_push_buffer(source, buffer), ==, GST_FLOW_OK);
}

static ScPacket *pull_packet(GstAppSink *sink, const ScPacketInfo *info)
{
    g_autoptr(GstSample) sample = gst_app_sink_pull_sample(sink);
    GstBuffer *buffer;
    g_autoptr(GBytes) bytes = NULL;
    ScPacketInfo own = *info;
    GstMapInfo map;

    g_assert_nonnull(sample);
    buffer = gst_sample_get_buffer(sample);
    own.is_key = !GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    g_assert_true(gst_buffer_map(buffer, &map, GST_MAP_READ));
    bytes = g_bytes_new(map.data, map.size);
    gst_buffer_unmap(buffer, &map);
    return sc_packet_new(bytes, &own);
}

GPtrArray *harness_encode(ScCodec codec, int width, int height, guint first, guint n,
                          guint key_interval)
{
    g_autoptr(GstElement) pipeline = make_pipeline(codec, width, height, key_interval);
    g_autoptr(GstElement) source = gst_bin_get_by_name(GST_BIN(pipeline), "source");
    g_autoptr(GstElement) sink = gst_bin_get_by_name(GST_BIN(pipeline), "sink");
    GPtrArray *packets = g_ptr_array_new_with_free_func((GDestroyNotify)sc_packet_unref);

    for (guint i = 0; i < n; i++) {
        ScPacketInfo info = {
            .codec = codec,
            .width = width,
            .height = height,
            .serial = first + i,
            .capture_time = g_get_monotonic_time(),
        };

        push_pattern(GST_APP_SRC(source), width, height, first + i, i);
        g_ptr_array_add(packets, pull_packet(GST_APP_SINK(sink), &info));
    }
    gst_element_set_state(pipeline, GST_STATE_NULL);
    return packets;
}

static void read_line(ProbeChild *probe);

static void on_line(GObject *object, GAsyncResult *result, gpointer data)
{
    ProbeChild *probe = data; /* freed if there is no line because it was cancelled */
    char *line =
        g_data_input_stream_read_line_finish_utf8(G_DATA_INPUT_STREAM(object), result, NULL, NULL);

    if (line != NULL) {
        g_test_message("probe: %s", line);
        g_ptr_array_add(probe->lines, line);
        read_line(probe);
    }
}

static void read_line(ProbeChild *probe)
{
    g_data_input_stream_read_line_async(probe->output, G_PRIORITY_DEFAULT, probe->reading, on_line,
                                        probe);
}

ProbeChild *harness_probe(Harness *harness, const char *const *options)
{
    const char *address = sc_listener_get_address(harness->listener);
    const char *colon = strrchr(address, ':');
    ProbeChild *probe = g_new0(ProbeChild, 1);
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;

    g_ptr_array_add(words, g_strdup("tests/client/spice-probe"));
    if (g_str_has_prefix(address, "unix:")) {
        g_ptr_array_add(words, g_strdup_printf("--unix=%s", colon + 1));
    } else {
        g_ptr_array_add(words, g_strdup_printf("--uri=spice://127.0.0.1?port=%s", colon + 1));
    }
    for (guint i = 0; options != NULL && options[i] != NULL; i++) {
        g_ptr_array_add(words, g_strdup(options[i]));
    }
    g_ptr_array_add(words, NULL);
    probe->process =
        g_subprocess_newv((const char *const *)words->pdata,
                          G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error);
    g_assert_no_error(error);
    probe->output = g_data_input_stream_new(g_subprocess_get_stdout_pipe(probe->process));
    probe->lines = g_ptr_array_new_with_free_func(g_free);
    probe->reading = g_cancellable_new();
    g_ptr_array_add(harness->probes, probe);
    read_line(probe);
    return probe;
}

static const char *find_line(ProbeChild *probe, const char *prefix)
{
    while (probe->next < probe->lines->len) {
        const char *line = g_ptr_array_index(probe->lines, probe->next++);

        if (g_str_has_prefix(line, prefix)) {
            return line;
        }
    }
    return NULL;
}

const char *probe_wait(ProbeChild *probe, const char *prefix)
{
    const char *line;

    HARNESS_WAIT((line = find_line(probe, prefix)) != NULL);
    return line;
}

void probe_wait_frame(ProbeChild *probe, guint number, int width, int height)
{
    const char *line;

    do {
        line = probe_wait(probe, "frame ");
    } while (probe_get(line, "number") != number);
    g_assert_cmpint(probe_get(line, "width"), ==, width);
    g_assert_cmpint(probe_get(line, "height"), ==, height);
}

static gboolean has_inputs(const ProbeChild *probe)
{
    for (guint i = 0; i < probe->lines->len; i++) {
        if (g_str_has_prefix(g_ptr_array_index(probe->lines, i), "leds ")) {
            return TRUE;
        }
    }
    return FALSE;
}

void probe_wait_inputs(ProbeChild *probe)
{
    HARNESS_WAIT(has_inputs(probe));
}

gint64 probe_get(const char *line, const char *key)
{
    g_autofree char *pattern = g_strdup_printf(" %s=", key);
    const char *found = strstr(line, pattern);

    return found != NULL ? g_ascii_strtoll(found + strlen(pattern), NULL, 10) : -1;
}

void probe_tell(ProbeChild *probe, const char *format, ...)
{
    GOutputStream *stream = g_subprocess_get_stdin_pipe(probe->process);
    va_list arguments;

    va_start(arguments, format);
    g_output_stream_vprintf(stream, NULL, NULL, NULL, format, arguments);
    va_end(arguments);
    g_output_stream_write_all(stream, "\n", 1, NULL, NULL, NULL);
}

void probe_signal(ProbeChild *probe, int signal)
{
    const char *identifier = g_subprocess_get_identifier(probe->process);

    /* g_subprocess_send_signal() leaves it to a thread, which may be late. */
    g_assert_nonnull(identifier);
    g_assert_cmpint(kill(atoi(identifier), signal), ==, 0);
}

static void on_exited(GObject *object, GAsyncResult *result, gpointer data)
{
    g_subprocess_wait_finish(G_SUBPROCESS(object), result, NULL);
    *(gboolean *)data = TRUE;
}

int probe_finish(ProbeChild *probe)
{
    gboolean exited = FALSE;

    g_subprocess_wait_async(probe->process, NULL, on_exited, &exited);
    HARNESS_WAIT(exited);
    g_assert_true(g_subprocess_get_if_exited(probe->process));
    return g_subprocess_get_exit_status(probe->process);
}
