/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fence through the whole daemon: a guest (gl-host) draws, scancast encodes, a SPICE client
 * (spice-probe) decodes. Whatever happens to any of the three, the guest is released once per draw
 * and goes on.
 *
 * The daemon's deadline is longer than these tests wait: a guest that is released by the deadline
 * only, where it should not be, makes them fail.
 */
#include "tests/fence/link.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE "--fence-deadline=10000"

typedef struct {
    Link *link; /* without a watcher */
    char *view; /* the socket for viewers */
    Child *scancast;
} Daemon;

static void start_scancast(Daemon *self, const char *option)
{
    g_autofree char *listen = g_strconcat("--listen=unix:", self->view, NULL);
    g_autofree char *source = g_strconcat("spice+unix:", self->link->path, NULL);

    child_free(self->scancast);
    self->scancast = child_new("../../scancast", listen, source, "--stats", DEADLINE, option, NULL);
    g_free(child_expect(self->scancast, "listening on "));
}

/* @option: one more for scancast, or NULL. */
static Daemon *daemon_new(const char *program, const char *option)
{
    Daemon *self = g_new0(Daemon, 1);

    self->link = link_new_empty(program);
    self->view = g_build_filename(self->link->dir, "view.sock", NULL);
    link_start_host(self->link);
    start_scancast(self, option);
    g_free(
        child_expect(self->link->host, g_str_equal(program, "gl-host") ? "channel 2 up" : "up 2"));
    return self;
}

/* A viewer, showing pictures of the kind that it will get: H.264 begins after an MJPEG picture that
 * greets it, with what the guest shows then, which may be nobody's between two draws. */
static Child *start_viewer(Daemon *self, const char *option)
{
    g_autofree char *unix_path = g_strconcat("--unix=", self->view, NULL);
    Child *viewer =
        child_new("../client/spice-probe", unix_path, "--seconds=120", "--latency", option, NULL);

    g_free(child_expect(viewer, "frame "));
    if (g_strcmp0(option, "--no-h264") != 0) {
        g_free(child_expect(viewer, "decoded "));
    }
    return viewer;
}

static guint get_number(const char *line, const char *key)
{
    const char *found = strstr(line, key);

    g_assert_nonnull(found);
    return (guint)strtoul(found + strlen(key), NULL, 10);
}

/* Ends the daemon as its user does, and checks its account: nothing outstanding, nothing expired.
 */
static void stop_scancast(Daemon *self, guint n_draws)
{
    g_autofree char *last = NULL;
    char *stats;

    child_signal(self->scancast, SIGTERM);
    g_assert_cmpint(child_wait(self->scancast), ==, 0);
    while ((stats = child_take(self->scancast, "stats: ")) != NULL) {
        g_free(last);
        last = stats;
    }
    g_assert_nonnull(last);
    g_assert_cmpuint(get_number(last, "flushes_outstanding="), ==, 0);
    g_assert_cmpuint(get_number(last, "flushes_expired="), ==, 0);
    g_assert_cmpuint(get_number(last, "flushes_done=") + get_number(last, "flushes_dropped="), ==,
                     n_draws);
}

static void daemon_free(Daemon *self)
{
    g_autofree char *view = g_steal_pointer(&self->view);

    child_free(self->scancast);
    g_remove(view);
    link_free(self->link);
    g_free(self);
}

static void run(Daemon *self, guint count, guint interval_ms)
{
    child_ask(self->link->host, "run %u %u", count, interval_ms);
}

static void wait_for_run(Daemon *self, guint count)
{
    g_autofree char *ran = g_strdup_printf("ran %u", count);

    g_free(child_expect(self->link->host, ran));
}

static guint n_done(Daemon *self)
{
    return child_count(self->link->host, "done ");
}

/* ---- without accidents ---- */

static void test_no_viewer(void)
{
    Daemon *self = daemon_new("gl-host", NULL);

    child_ask(self->link->host, "buffers 2 640x480");
    run(self, 300, 0);
    wait_for_run(self, 300);
    g_assert_cmpuint(n_done(self), ==, 300);
    stop_scancast(self, 300);
    daemon_free(self);
}

/*
 * Looks at the viewer's pictures until it shows frame @last; how many there were. They come in
 * order, and each must be one of the guest's: a buffer that was read after its draw was done is
 * white.
 */
static guint watch_until(Child *viewer, guint last)
{
    guint number = 0, before = 0, n = 0;

    for (; number < last; n++) {
        g_autofree char *line = child_expect(viewer, "frame number=");

        number = (guint)strtoul(line, NULL, 10);
        g_assert_cmpuint(number, >=, before);
        g_assert_cmpuint(number, <=, last);
        before = number;
    }
    return n;
}

static void test_viewer(gconstpointer option)
{
    Daemon *self = daemon_new("gl-host", NULL);
    Child *viewer = start_viewer(self, option);

    child_ask(self->link->host, "buffers 2 640x480");
    child_ask(self->link->host, "poison on");
    run(self, 100, 20);
    wait_for_run(self, 100);
    g_assert_cmpuint(watch_until(viewer, 100), >, 20);
    g_assert_cmpuint(n_done(self), ==, 100);
    child_free(viewer);
    stop_scancast(self, 100);
    daemon_free(self);
}

/* The guest draws as fast as it is let. */
static void test_fast_guest(void)
{
    Daemon *self = daemon_new("gl-host", NULL);
    Child *viewer = start_viewer(self, NULL);

    child_ask(self->link->host, "buffers 3 640x480");
    run(self, 500, 0);
    wait_for_run(self, 500);
    watch_until(viewer, 500);
    g_assert_cmpuint(n_done(self), ==, 500);
    child_free(viewer);
    stop_scancast(self, 500);
    daemon_free(self);
}

/* ---- an encoder that is slow, or never comes back ---- */

static void test_encoder_sleeps(gconstpointer encoder)
{
    g_autofree char *option = g_strconcat("--encoder=", encoder, NULL);
    g_autofree char *unix_path = NULL;
    Daemon *self = daemon_new("gl-host", option);
    Child *viewer;

    unix_path = g_strconcat("--unix=", self->view, NULL);
    viewer = child_new("../client/spice-probe", unix_path, "--seconds=120", NULL);
    g_free(child_expect(viewer, "channel name=display state=open"));
    child_ask(self->link->host, "buffers 2 640x480");
    run(self, 100, 10);
    wait_for_run(self, 100);
    g_assert_cmpuint(n_done(self), ==, 100);
    child_kill(viewer);
    run(self, 100, 0);
    wait_for_run(self, 100);
    child_free(viewer);
    stop_scancast(self, 200);
    daemon_free(self);
}

/* ---- abrupt ends ---- */

static void test_viewers_killed(void)
{
    Daemon *self = daemon_new("gl-host", NULL);

    child_ask(self->link->host, "buffers 2 640x480");
    run(self, 400, 5);
    for (int i = 0; i < 6; i++) {
        Child *viewer = start_viewer(self, i % 2 == 0 ? NULL : "--no-h264");

        iterate_for(i * 10 * 1000);
        child_kill(viewer);
        child_free(viewer);
    }
    wait_for_run(self, 400);
    g_assert_cmpuint(n_done(self), ==, 400);
    stop_scancast(self, 400);
    daemon_free(self);
}

/* It costs the guest nothing and the other viewer nothing, and has the last picture once it is
 * back. */
static void test_viewer_stopped(void)
{
    Daemon *self = daemon_new("gl-host", NULL);
    Child *stopped = start_viewer(self, NULL);
    Child *other = start_viewer(self, NULL);

    child_signal(stopped, SIGSTOP);
    child_ask(self->link->host, "buffers 2 640x480");
    run(self, 300, 10);
    wait_for_run(self, 300);
    watch_until(other, 300);
    g_assert_cmpuint(n_done(self), ==, 300);
    child_signal(stopped, SIGCONT);
    watch_until(stopped, 300);
    child_free(stopped);
    child_free(other);
    stop_scancast(self, 300);
    daemon_free(self);
}

/* Alone, so that all the daemon's viewers are stopped. */
static void test_only_viewer_stopped(void)
{
    Daemon *self = daemon_new("gl-host", NULL);
    Child *viewer = start_viewer(self, NULL);

    child_ask(self->link->host, "buffers 2 1280x720");
    child_signal(viewer, SIGSTOP);
    run(self, 300, 10);
    wait_for_run(self, 300);
    child_signal(viewer, SIGCONT);
    watch_until(viewer, 300);
    child_free(viewer);
    stop_scancast(self, 300);
    daemon_free(self);
}

static void test_codec_changes(void)
{
    Daemon *self = daemon_new("gl-host", NULL);
    Child *viewer = start_viewer(self, NULL);

    child_ask(self->link->host, "buffers 2 640x480");
    run(self, 200, 10);
    iterate_for(200 * 1000);
    child_free(viewer);
    viewer = start_viewer(self, "--no-h264");
    wait_for_run(self, 200);
    watch_until(viewer, 200);
    g_assert_cmpuint(n_done(self), ==, 200);
    child_free(viewer);
    stop_scancast(self, 200);
    daemon_free(self);
}

/* At different moments of the guest's drawing; a new daemon takes over each time. */
static void test_scancast_ended(gconstpointer signal_number)
{
    Daemon *self = daemon_new("gl-host", NULL);
    guint n = 0;

    child_ask(self->link->host, "buffers 2 640x480");
    for (int i = 0; i < 5; i++) {
        Child *viewer = start_viewer(self, NULL);

        run(self, 200, 2);
        n += 200;
        iterate_for((50 + 7 * i) * 1000);
        child_signal(self->scancast, GPOINTER_TO_INT(signal_number));
        if (GPOINTER_TO_INT(signal_number) == SIGTERM) {
            g_assert_cmpint(child_wait(self->scancast), ==, 0);
        } else {
            child_kill(self->scancast);
        }
        wait_for_run(self, 200);
        g_assert_cmpuint(n_done(self), ==, n);
        child_kill(viewer); /* it may have ended with its server */
        child_free(viewer);
        start_scancast(self, NULL);
        g_free(child_expect(self->link->host, "channel 2 up"));
    }
    daemon_free(self);
}

static void forget_frames(Child *viewer)
{
    char *line;

    while ((line = child_take(viewer, "frame ")) != NULL) {
        g_free(line);
    }
}

static void test_vmm_killed(void)
{
    Daemon *self = daemon_new("gl-host", NULL);
    Child *viewer = start_viewer(self, NULL);

    for (int i = 0; i < 3; i++) {
        child_ask(self->link->host, "buffers 2 640x480");
        run(self, 50, 5);
        wait_for_run(self, 50);
        watch_until(viewer, 50);
        run(self, 1000, 2);
        iterate_for(20 * 1000);
        link_start_host(self->link);
        g_free(child_expect(self->link->host, "channel 2 up"));
        /* The new machine's empty screen, after the last of the old one's pictures. */
        g_free(child_expect(viewer, "frame number=0 "));
        forget_frames(viewer);
    }
    g_assert_cmpuint(child_count(viewer, "closed"), ==, 0);
    child_free(viewer);
    child_signal(self->scancast, SIGTERM);
    g_assert_cmpint(child_wait(self->scancast), ==, 0);
    daemon_free(self);
}

/* What only a VMM without libspice-server does: new scanouts, other sizes and none at all while
 * draws are pending. */
static void test_scanout_changes_in_mid_draw(void)
{
    static const char *const steps[] = {
        "scanout 640x480 2560 XR24 1228800",
        "draw 0 0 640 480",
        "scanout 640x480 2560 XR24 1228800",
        "draw 0 0 640 480",
        "scanout 320x200 1280 XR24 256000",
        "draw 0 0 320 200",
        "off",
        "draw 0 0 10 10",
        "scanout 641x481 2564 XR24 1233284",
        "draw 0 0 641 481",
        "draw 1 1 5 5",
    };
    const guint n_rounds = 30, n_draws = 6;
    Daemon *self = daemon_new("rude-host", NULL);
    Child *viewer;

    child_ask(self->link->host, "scanout 640x480 2560 XR24 1228800");
    viewer = start_viewer(self, NULL);
    for (guint round = 1; round <= n_rounds; round++) {
        g_autofree char *done = g_strdup_printf("done %u", round * n_draws);

        for (gsize i = 0; i < G_N_ELEMENTS(steps); i++) {
            child_say(self->link->host, "%s", steps[i]);
        }
        g_free(child_expect(self->link->host, done));
    }
    iterate_for(100 * 1000);
    g_assert_cmpuint(n_done(self), ==, n_rounds * n_draws);
    child_free(viewer);
    child_signal(self->scancast, SIGTERM);
    g_assert_cmpint(child_wait(self->scancast), ==, 0);
    daemon_free(self);
}

#define X264 "x264enc tune=zerolatency speed-preset=ultrafast"

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fence/daemon/no-viewer", test_no_viewer);
    g_test_add_data_func("/fence/daemon/viewer", NULL, test_viewer);
    g_test_add_data_func("/fence/daemon/viewer-mjpeg", "--no-h264", test_viewer);
    g_test_add_func("/fence/daemon/fast-guest", test_fast_guest);
    g_test_add_data_func("/fence/daemon/encoder-slow", "identity sleep-time=200000 ! " X264,
                         test_encoder_sleeps);
    g_test_add_data_func("/fence/daemon/encoder-hangs", "identity sleep-time=100000000 ! " X264,
                         test_encoder_sleeps);
    g_test_add_func("/fence/daemon/viewers-killed", test_viewers_killed);
    g_test_add_func("/fence/daemon/viewer-stopped", test_viewer_stopped);
    g_test_add_func("/fence/daemon/only-viewer-stopped", test_only_viewer_stopped);
    g_test_add_func("/fence/daemon/codec-changes", test_codec_changes);
    g_test_add_data_func("/fence/daemon/scancast-terminated", GINT_TO_POINTER(SIGTERM),
                         test_scancast_ended);
    g_test_add_data_func("/fence/daemon/scancast-killed", GINT_TO_POINTER(SIGKILL),
                         test_scancast_ended);
    g_test_add_func("/fence/daemon/vmm-killed", test_vmm_killed);
    g_test_add_func("/fence/daemon/scanout-changes-in-mid-draw", test_scanout_changes_in_mid_draw);
    return g_test_run();
}
