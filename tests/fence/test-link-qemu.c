/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The SPICE link to a real QEMU: its firmware's screen is all the guest that is needed. Skipped
 * where there is no qemu-system-x86_64 with SPICE.
 */
#include "tests/fence/link.h"

#include <string.h>

#define SKIPPED 77 /* for automake */

/* "{"return..." is QMP's word for ok; what the guest's devices get is traced in between. */
static void start_qemu(Link *link, gboolean paused)
{
    g_autofree char *spice = g_strdup_printf("unix=on,addr=%s,disable-ticketing=on", link->path);

    child_free(link->host);
    link->host = child_new("/usr/bin/env", "qemu-system-x86_64", "-nodefaults", "-no-user-config",
                           "-machine", "pc", "-accel", "tcg", "-m", "32", "-vga", "std", "-display",
                           "none", "-device", "qemu-xhci", "-device", "usb-tablet", "-spice", spice,
                           "-qmp", "stdio", "-trace", "input_event_*", paused ? "-S" : NULL, NULL);
    child_say(link->host, "{ \"execute\": \"qmp_capabilities\" }");
    g_free(child_expect(link->host, "{\"return\": {}}"));
}

static gboolean is_colourful(Watcher *watcher)
{
    ScPixels pixels;
    guint32 first;
    gboolean differs = FALSE;

    if (watcher->scanout == NULL || !sc_scanout_begin_read(watcher->scanout, &pixels, NULL)) {
        return FALSE;
    }
    memcpy(&first, pixels.data, sizeof(first));
    for (guint y = 0; y < sc_scanout_get_height(watcher->scanout); y++) {
        const guint32 *row = (const guint32 *)(pixels.data + (gssize)y * pixels.stride);

        for (guint x = 0; x < sc_scanout_get_width(watcher->scanout); x++) {
            differs |= row[x] != first;
        }
    }
    sc_scanout_end_read(watcher->scanout);
    return differs;
}

/* VGA text mode. */
static gboolean shows_text_mode(Watcher *watcher)
{
    return watcher->scanout != NULL && sc_scanout_get_width(watcher->scanout) == 720 &&
           sc_scanout_get_height(watcher->scanout) == 400;
}

static Link *qemu_link_new(void)
{
    Link *link = link_new_empty("qemu");

    start_qemu(link, FALSE);
    link->watcher = watcher_new(link->path);
    wait_until(link->watcher->state == SC_SOURCE_CONNECTED);
    wait_until(shows_text_mode(link->watcher) && is_colourful(link->watcher));
    return link;
}

/* The screen of a machine that has not started yet, then the firmware's. */
static void test_screen(void)
{
    Link *link = link_new_empty("qemu");

    start_qemu(link, TRUE);
    link->watcher = watcher_new(link->path);
    wait_until(link->watcher->n_frames > 0);
    g_assert_false(shows_text_mode(link->watcher));
    child_say(link->host, "{ \"execute\": \"cont\" }");
    wait_until(shows_text_mode(link->watcher) && is_colourful(link->watcher));
    g_assert_cmpuint(link->watcher->n_scanouts, >=, 2);
    g_assert_cmpuint(link->watcher->n_dark, ==, 0);
    g_assert_cmpuint(link->watcher->n_awaited, ==, 0);
    link_free(link);
}

/* Each event as QEMU's input layer passes it on. */
static void test_input(void)
{
    Link *link = qemu_link_new();
    ScSource *source = link->watcher->source;

    wait_until(link->watcher->leds != (ScLeds)-1);
    g_assert_cmpint(link->watcher->pointer_mode, ==, SC_POINTER_RELATIVE);
    sc_source_send_key(source, 0x1e, TRUE);
    g_free(child_expect(link->host, "input_event_key_qcode con -1, key qcode a, down 1"));
    sc_source_send_key(source, 0x1e, FALSE);
    g_free(child_expect(link->host, "input_event_key_qcode con -1, key qcode a, down 0"));
    sc_source_send_motion(source, 3, -4);
    g_free(child_expect(link->host, "input_event_rel con -1, axis x, value 3"));
    g_free(child_expect(link->host, "input_event_rel con -1, axis y, value -4"));
    sc_source_send_button(source, SC_BUTTON_RIGHT, TRUE);
    g_free(child_expect(link->host, "input_event_btn con -1, button right, down 1"));
    sc_source_send_button(source, SC_BUTTON_RIGHT, FALSE);
    g_free(child_expect(link->host, "input_event_btn con -1, button right, down 0"));
    sc_source_send_wheel(source, 1);
    g_free(child_expect(link->host, "input_event_btn con -1, button wheel-down, down 1"));

    /* The guest's driver for the tablet comes up. */
    child_say(link->host, "{ \"execute\": \"human-monitor-command\", \"arguments\": "
                          "{ \"command-line\": \"mouse_set 3\" } }");
    wait_until(link->watcher->pointer_mode == SC_POINTER_ABSOLUTE);
    sc_source_send_position(source, 360, 100);
    g_free(child_expect(link->host, "input_event_abs con -1, axis x, value 0x3fff"));
    link_free(link);
}

static void test_restart(void)
{
    Link *link = qemu_link_new();

    child_kill(link->host);
    wait_until(link->watcher->state == SC_SOURCE_CONNECTING);
    g_assert_true(shows_text_mode(link->watcher) && is_colourful(link->watcher));
    g_assert_cmpuint(link->watcher->n_dark, ==, 0);

    start_qemu(link, FALSE);
    wait_until(link->watcher->state == SC_SOURCE_CONNECTED);
    link->watcher->n_frames = 0;
    wait_until(link->watcher->n_frames > 0);
    wait_until(shows_text_mode(link->watcher) && is_colourful(link->watcher));
    link_free(link);
}

static gboolean have_qemu(void)
{
    char *argv[] = { "/bin/sh", "-c", "qemu-system-x86_64 -spice help 2>&1", NULL };
    g_autofree char *output = NULL;

    return g_spawn_sync(NULL, argv, NULL, 0, NULL, NULL, &output, NULL, NULL, NULL) &&
           strstr(output, "disable-ticketing") != NULL;
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!have_qemu()) {
        g_print("skipped: no qemu-system-x86_64 with SPICE (Debian: qemu-system-x86)\n");
        return SKIPPED;
    }
    g_test_add_func("/link/qemu/screen", test_screen);
    g_test_add_func("/link/qemu/input", test_input);
    g_test_add_func("/link/qemu/restart", test_restart);
    return g_test_run();
}
