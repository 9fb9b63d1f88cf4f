/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * scanoutsrc and a guest's fence: gl-host plays QEMU, its buffers go through a pipeline as the
 * guest's own memory, and it is released when the pipeline lets go of them.
 */
#include "capture/pattern.h"
#include "tests/fence/child.h"
#include "tests/gst/setup.h"

#include <glib/gstdio.h>
#include <gst/allocators/gstdmabuf.h>
#include <gst/video/video.h>
#include <sys/stat.h>

/* Long against the 0.2 ms that a completion takes to come back. */
#define NOTHING_HAPPENS_US (50 * 1000)

#define DMABUF_CAPS "video/x-raw(memory:DMABuf)"
#define BOTH_CAPS DMABUF_CAPS "; video/x-raw"

typedef struct {
    char *dir, *path;
    Child *host;
    GstHarness *harness;
} Link;

static void start_host(Link *link)
{
    link->host = child_new("../fence/gl-host", link->path, NULL);
    g_free(child_expect(link->host, "ok ready"));
}

/* @deadline: ms. The pipeline plays, and has had the host's first surface. */
static Link *link_new(const char *copy, guint deadline, const char *caps)
{
    Link *link = g_new0(Link, 1);
    g_autofree char *location = NULL;

    link->dir = g_dir_make_tmp("scancast-XXXXXX", NULL);
    link->path = g_build_filename(link->dir, "vm.sock", NULL);
    location = g_strdup_printf("spice+unix:%s", link->path);
    start_host(link);
    child_ask(link->host, "no-primary");
    link->harness = gst_harness_new("scanoutsrc");
    gst_harness_use_systemclock(link->harness);
    g_object_set(link->harness->element, "location", location, "fence-deadline", deadline, NULL);
    gst_util_set_object_arg(G_OBJECT(link->harness->element), "copy", copy);
    gst_harness_set_sink_caps_str(link->harness, caps);
    gst_harness_play(link->harness);
    for (int channel = 1; channel <= 4; channel++) { /* main, display, inputs, cursor */
        g_autofree char *up = g_strdup_printf("channel %d up", channel);

        g_free(child_expect(link->host, up));
    }
    child_ask(link->host, "buffers 2 320x240");
    return link;
}

static void link_free(Link *link)
{
    gst_harness_teardown(link->harness);
    child_free(link->host);
    g_remove(link->path);
    g_rmdir(link->dir);
    g_free(link->path);
    g_free(link->dir);
    g_free(link);
}

static void draw(Link *link, guint index, guint number)
{
    child_ask(link->host, "fill %u %u", index, number);
    child_ask(link->host, "scanout %u", index);
    child_ask(link->host, "draw %u", number);
}

static GstBuffer *pull(Link *link)
{
    GstBuffer *buffer = gst_harness_pull(link->harness);

    g_assert_nonnull(buffer);
    return buffer;
}

static gboolean is_dmabuf(GstBuffer *buffer)
{
    return gst_is_dmabuf_memory(gst_buffer_peek_memory(buffer, 0));
}

static guint64 get_inode(GstBuffer *buffer)
{
    struct stat status;

    g_assert_true(is_dmabuf(buffer));
    fstat(gst_dmabuf_memory_get_fd(gst_buffer_peek_memory(buffer, 0)), &status);
    return status.st_ino;
}

static guint32 read_number(GstBuffer *buffer)
{
    GstVideoMeta *meta = gst_buffer_get_video_meta(buffer);
    GstMapInfo map;
    guint32 number;

    g_assert_nonnull(meta);
    g_assert_true(gst_buffer_map(buffer, &map, GST_MAP_READ));
    number = pattern_read((guint32 *)(map.data + meta->offset[0]), meta->stride[0],
                          (int)meta->width, (int)meta->height);
    gst_buffer_unmap(buffer, &map);
    return number;
}

static guint64 get_stat(Link *link, const char *name)
{
    g_autoptr(GstStructure) stats = NULL;
    guint64 value = 0;

    g_object_get(link->harness->element, "stats", &stats, NULL);
    g_assert_true(gst_structure_get_uint64(stats, name, &value));
    return value;
}

/* Of all buffers, until the guest is released. */
static void let_go(Link *link)
{
    char *done = NULL;

    while (done == NULL) {
        gst_clear_buffer(&(GstBuffer *){ gst_harness_try_pull(link->harness) });
        iterate_for(1000);
        done = child_take(link->host, "done");
    }
    g_free(done);
}

/* A scanout of a new kind may be seen before it is drawn on; its flips are not. Gets past that. */
static void settle(Link *link)
{
    GstBuffer *buffer;

    draw(link, 0, 0);
    let_go(link);
    SETUP_POLL(gst_harness_buffers_received(link->harness) ==
               get_stat(link, "shared") + get_stat(link, "copied"));
    while ((buffer = gst_harness_try_pull(link->harness)) != NULL) {
        gst_buffer_unref(buffer);
    }
}

static void test_released_with_the_buffer(void)
{
    Link *link = link_new("auto", 10000, BOTH_CAPS);
    g_autoptr(GHashTable) inodes = g_hash_table_new(g_direct_hash, g_direct_equal);
    guint64 before;

    settle(link);
    before = get_stat(link, "shared");
    for (guint number = 1; number <= 20; number++) {
        GstBuffer *buffer, *second_reference;

        draw(link, number % 2, number);
        buffer = pull(link);
        while (read_number(buffer) == 0) { /* a look at the first scanout may still come */
            gst_buffer_unref(buffer);
            buffer = pull(link);
        }
        g_assert_cmpuint(read_number(buffer), ==, number);
        g_hash_table_add(inodes, GSIZE_TO_POINTER(get_inode(buffer)));

        if (number % 10 == 0) {
            second_reference = gst_buffer_ref(buffer);
            gst_buffer_unref(buffer);
            iterate_for(NOTHING_HAPPENS_US);
            g_assert_null(child_take(link->host, "done"));
            buffer = second_reference;
        }
        gst_buffer_unref(buffer);
        g_free(child_expect(link->host, "done"));
    }
    g_assert_cmpuint(child_count(link->host, "done"), ==, 21);
    g_assert_cmpuint(g_hash_table_size(inodes), ==, 2); /* the guest's own memory */
    g_assert_cmpuint(get_stat(link, "shared"), >=, before + 20);
    g_assert_cmpuint(get_stat(link, "copied"), ==, 0);
    link_free(link);
}

/* Somebody else's reference to the memory, as drivers and queues hold it, counts as well. */
static void test_released_with_the_memory(void)
{
    Link *link = link_new("auto", 10000, BOTH_CAPS);
    GstBuffer *buffer;
    GstMemory *memory;

    settle(link);
    draw(link, 1, 7);
    buffer = pull(link);
    memory = gst_buffer_get_memory(buffer, 0);
    gst_buffer_unref(buffer);
    iterate_for(NOTHING_HAPPENS_US);
    g_assert_null(child_take(link->host, "done"));
    gst_memory_unref(memory);
    g_free(child_expect(link->host, "done 7"));
    link_free(link);
}

static void test_copied(const char *copy, const char *caps)
{
    Link *link = link_new(copy, 10000, caps);
    guint64 before;

    settle(link);
    before = get_stat(link, "copied");
    for (guint number = 1; number <= 10; number++) {
        g_autoptr(GstBuffer) buffer = NULL;

        draw(link, number % 2, number);
        do { /* a look at the first scanout may still come */
            gst_clear_buffer(&buffer);
            buffer = pull(link);
        } while (read_number(buffer) == 0);
        g_free(child_expect(link->host, "done")); /* though the buffer is still here */
        g_assert_false(is_dmabuf(buffer));
        g_assert_cmpuint(read_number(buffer), ==, number);
    }
    g_assert_cmpuint(get_stat(link, "copied"), >=, before + 10);
    link_free(link);
}

static void test_copy_always(void)
{
    test_copied("always", BOTH_CAPS);
}

static void test_downstream_takes_no_dmabufs(void)
{
    test_copied("auto", "video/x-raw");
}

static void test_bottom_up(void)
{
    Link *link = link_new("auto", 10000, BOTH_CAPS);
    g_autoptr(GstBuffer) buffer = NULL;

    child_ask(link->host, "fill 0 5");
    child_ask(link->host, "scanout 0 bottom-up");
    child_ask(link->host, "draw 5");
    buffer = pull(link);
    g_free(child_expect(link->host, "done 5"));
    g_assert_false(is_dmabuf(buffer));
    link_free(link);
}

/* A buffer that stays away does not hold the guest, and the next ones are copied. */
static void test_deadline(void)
{
    Link *link = link_new("auto", 1000, BOTH_CAPS);
    g_autoptr(GstBuffer) kept = NULL;
    g_autofree char *done = NULL;
    gint64 held;

    settle(link);
    draw(link, 1, 1);
    kept = pull(link);
    g_assert_true(is_dmabuf(kept));
    done = child_expect(link->host, "done 1 ");
    held = g_ascii_strtoll(done, NULL, 10);
    g_assert_cmpint(held, >=, 900 * 1000);

    for (guint number = 2; number <= 3; number++) {
        g_autoptr(GstBuffer) copy = NULL;

        draw(link, number % 2, number);
        copy = pull(link);
        g_free(child_expect(link->host, "done"));
        g_assert_false(is_dmabuf(copy));
        g_assert_cmpuint(read_number(copy), ==, number);
        SETUP_POLL(get_stat(link, "expired") == 1);
        gst_clear_buffer(&kept); /* that it has come back then changes nothing for a while */
    }
    link_free(link);
}

/* Nobody takes pictures: the guest goes on at the deadline, and nobody sees half a picture. */
static void test_blocked_pipeline(void)
{
    Link *link = link_new("auto", 50, BOTH_CAPS);
    guint32 last = 0;

    settle(link);
    child_ask(link->host, "poison on");
    gst_harness_set_blocking_push_mode(link->harness);
    child_say(link->host, "run 10");
    g_free(child_expect(link->host, "ran 10"));
    for (int i = 0; i < 3 && last != 10; i++) {
        g_autoptr(GstBuffer) buffer = pull(link);

        last = read_number(buffer);
    }
    g_assert_cmpuint(last, ==, 10);
    link_free(link);
}

static GstClockTime get_running_time(Link *link)
{
    GstElement *element = link->harness->element;
    g_autoptr(GstClock) clock = gst_element_get_clock(element);

    return gst_clock_get_time(clock) - gst_element_get_base_time(element);
}

/* They are the flush's, however late the pipeline takes the picture. */
static void test_timestamps(void)
{
    Link *link = link_new("always", 50, BOTH_CAPS);
    g_autoptr(GstBuffer) buffer = NULL;
    GstClockTime before, after;

    settle(link);
    gst_harness_set_blocking_push_mode(link->harness);
    draw(link, 1, 1);
    g_free(child_expect(link->host, "done 1"));
    before = get_running_time(link);
    draw(link, 0, 2);
    g_free(child_expect(link->host, "done 2"));
    after = get_running_time(link);
    do {
        gst_clear_buffer(&buffer);
        buffer = pull(link);
    } while (read_number(buffer) != 2);
    g_assert_cmpuint(GST_BUFFER_PTS(buffer), >=, before);
    g_assert_cmpuint(GST_BUFFER_PTS(buffer), <=, after);
    link_free(link);
}

static void test_never_without_dmabuf(void)
{
    Link *link = link_new("auto", 10000, BOTH_CAPS);
    g_autofree char *description =
        g_strdup_printf("scanoutsrc location=spice+unix:%s copy=never ! fakesink", link->path);
    GstElement *pipeline = setup_launch(description);

    gst_element_set_state(link->harness->element, GST_STATE_NULL);
    child_kill(link->host);
    child_free(link->host);
    start_host(link); /* which begins with a surface */
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    setup_expect_error(pipeline, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "no dmabuf",
                       "copy=auto");
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    link_free(link);
}

static void test_mode_change(void)
{
    static const struct {
        int width, height;
    } sizes[] = { { 320, 240 }, { 640, 480 }, { 100, 50 } };
    Link *link = link_new("auto", 10000, BOTH_CAPS);

    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GstBuffer) buffer = NULL;
        g_autoptr(GstCaps) caps = NULL;
        int width = 0, height = 0;

        child_ask(link->host, "buffers 2 %dx%d", sizes[i].width, sizes[i].height);
        draw(link, 0, i + 1);
        buffer = pull(link);
        caps = gst_pad_get_current_caps(link->harness->sinkpad);
        gst_structure_get(gst_caps_get_structure(caps, 0), "width", G_TYPE_INT, &width, "height",
                          G_TYPE_INT, &height, NULL);
        g_assert_cmpint(width, ==, sizes[i].width);
        g_assert_cmpint(height, ==, sizes[i].height);
        g_assert_true(gst_caps_features_contains(gst_caps_get_features(caps, 0),
                                                 GST_CAPS_FEATURE_MEMORY_DMABUF));
        gst_clear_buffer(&buffer);
        let_go(link);
    }
    link_free(link);
}

/* Stopping releases the guest, whoever holds the buffer; that one stays readable. */
static void test_stop_while_held(void)
{
    Link *link = link_new("auto", 10000, BOTH_CAPS);
    GstBuffer *buffer;

    settle(link);
    draw(link, 1, 9);
    buffer = pull(link);
    gst_element_set_state(link->harness->element, GST_STATE_NULL);
    g_free(child_expect(link->host, "channel 2 down"));
    g_assert_cmpuint(read_number(buffer), ==, 9);
    gst_buffer_unref(buffer);
    link_free(link);
}

static void test_paused_holds_nobody(void)
{
    Link *link = link_new("auto", 10000, BOTH_CAPS);
    g_autoptr(GstBuffer) buffer = NULL;

    settle(link);
    gst_element_set_state(link->harness->element, GST_STATE_PAUSED);
    child_say(link->host, "run 20");
    g_free(child_expect(link->host, "ran 20"));
    gst_element_set_state(link->harness->element, GST_STATE_PLAYING);
    buffer = pull(link);
    g_assert_cmpuint(read_number(buffer), ==, 20);
    link_free(link);
}

static void test_navigation(void)
{
    static const char *const events[][2] = {
        { "application/x-gst-navigation, event=key-press, key=a", "key 1e" },
        { "application/x-gst-navigation, event=key-release, key=A", "key 9e" },
        { "application/x-gst-navigation, event=key-press, key=VoidSymbol, scancode=(uint)28",
          "key 1c" },
        { "application/x-gst-navigation, event=mouse-move, pointer_x=12.0, pointer_y=34.0",
          "position 12 34" },
        { "application/x-gst-navigation, event=mouse-button-press, button=1, pointer_x=12.0, "
          "pointer_y=34.0",
          "wheel 0" }, /* how libspice-server tells a tablet's buttons */
        { "application/x-gst-navigation, event=mouse-scroll, pointer_x=12.0, pointer_y=34.0, "
          "delta_pointer_x=0.0, delta_pointer_y=1.0",
          "wheel -1" },
    };
    Link *link = link_new("auto", 10000, BOTH_CAPS);

    child_ask(link->host, "tablet on");
    settle(link);
    for (gsize i = 0; i < G_N_ELEMENTS(events); i++) {
        GstStructure *structure = gst_structure_from_string(events[i][0], NULL);

        g_assert_nonnull(structure);
        gst_harness_push_upstream_event(link->harness,
                                        gst_event_new_custom(GST_EVENT_NAVIGATION, structure));
        g_free(child_expect(link->host, events[i][1]));
    }
    link_free(link);
}

static void test_guest_gone(void)
{
    Link *link = link_new("auto", 10000, BOTH_CAPS);
    g_autoptr(GstBus) bus = gst_bus_new();

    settle(link);
    gst_element_set_bus(link->harness->element, bus);
    child_kill(link->host);
    setup_expect_error(link->harness->element, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ,
                       "is lost", "reconnect=true");
    gst_element_set_bus(link->harness->element, NULL);
    link_free(link);
}

static void test_reconnect(void)
{
    Link *link = link_new("auto", 10000, BOTH_CAPS);
    g_autoptr(GstBuffer) buffer = NULL;

    gst_element_set_state(link->harness->element, GST_STATE_NULL);
    g_object_set(link->harness->element, "reconnect", TRUE, NULL);
    /* libspice-server 0.15 crashes now and then when clients come and go within milliseconds. */
    g_usleep(G_USEC_PER_SEC);
    gst_element_set_state(link->harness->element, GST_STATE_PLAYING);
    g_free(child_expect(link->host, "channel 2 up"));
    settle(link);
    child_kill(link->host);
    child_free(link->host);
    start_host(link);
    g_free(child_expect(link->host, "channel 2 up"));
    child_ask(link->host, "no-primary");
    child_ask(link->host, "buffers 2 320x240");
    draw(link, 0, 22);
    do { /* the host's first surface may come before */
        gst_clear_buffer(&buffer);
        buffer = pull(link);
    } while (read_number(buffer) != 22);
    link_free(link);
}

int main(int argc, char *argv[])
{
    setup_init(&argc, &argv);
    /* spice-gtk warns when a host ends while it connects. */
    g_log_set_fatal_mask("GSpice", G_LOG_FATAL_MASK);
#define ADD(path, func) g_test_add_func("/scanoutsrc-fence/" path, func)
    ADD("released-with-the-buffer", test_released_with_the_buffer);
    ADD("released-with-the-memory", test_released_with_the_memory);
    ADD("copy-always", test_copy_always);
    ADD("downstream-takes-no-dmabufs", test_downstream_takes_no_dmabufs);
    ADD("bottom-up", test_bottom_up);
    ADD("deadline", test_deadline);
    ADD("blocked-pipeline", test_blocked_pipeline);
    ADD("timestamps", test_timestamps);
    ADD("never-without-dmabuf", test_never_without_dmabuf);
    ADD("mode-change", test_mode_change);
    ADD("stop-while-held", test_stop_while_held);
    ADD("paused-holds-nobody", test_paused_holds_nobody);
    ADD("navigation", test_navigation);
    ADD("guest-gone", test_guest_gone);
    ADD("reconnect", test_reconnect);
    return setup_finish(g_test_run());
}
