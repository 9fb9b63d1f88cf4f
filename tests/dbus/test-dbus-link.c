/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding a VMM's D-Bus display, losing it and finding it again; addresses, consoles, and input.
 */
#include "tests/dbus/pair.h"

#include "capture/dbus-address.h"
#include "capture/dbus-console.h"
#include "capture/error.h"

#include <drm_fourcc.h>
#include <string.h>
#include <unistd.h>

/* ---- addresses and consoles ---- */

static void test_addresses(void)
{
    static const struct {
        const char *text, *bus, *qmp, *name;
        int console;
    } good[] = {
        { "unix:path=/run/bus", "unix:path=/run/bus", NULL, "org.qemu", -1 },
        { "unix:path=/run/bus#0", "unix:path=/run/bus", NULL, "org.qemu", 0 },
        { "unix:path=/a,guid=0123456789abcdef0123456789abcdef,name=org.example.vm#12",
          "unix:path=/a,guid=0123456789abcdef0123456789abcdef", NULL, "org.example.vm", 12 },
        { "unix:abstract=x,name=:1.5", "unix:abstract=x", NULL, ":1.5", -1 },
        { "unix:path=/a;unix:path=/b", "unix:path=/a;unix:path=/b", NULL, "org.qemu", -1 },
        { "p2p:/run/qmp#3", NULL, "/run/qmp", NULL, 3 },
        { "p2p:/run/odd#name", NULL, "/run/odd#name", NULL, -1 },
        { "p2p:q,name=x", NULL, "q,name=x", NULL, -1 },
    };
    static const char *const bad[] = {
        NULL,
        "",
        "#1",
        "nonsense",
        "unix:path=/a,name=",
        "unix:path=/a,name=x",
        "p2p:",
        "p2p:#1",
        "unix:path=/a#99999",
        "unix:path=/a#x",
        "smoke:signals=1",
    };
    g_autofree char *long_path = g_strnfill(200, 'x');
    g_autofree char *too_long = g_strconcat("p2p:", long_path, NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(ScDbusAddress) address = sc_dbus_address_parse(good[i].text, &error);

        g_assert_no_error(error);
        g_assert_cmpstr(address->bus, ==, good[i].bus);
        g_assert_cmpstr(address->qmp, ==, good[i].qmp);
        g_assert_cmpstr(address->name, ==, good[i].name);
        g_assert_cmpint(address->console, ==, good[i].console);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("%s", bad[i] != NULL ? bad[i] : "none");
        g_assert_null(sc_dbus_address_parse(bad[i], &error));
        g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
    }
    g_assert_null(sc_dbus_address_parse(too_long, NULL));
}

static void test_list(void)
{
    Pair *pair = pair_new_empty();
    g_autoptr(GError) error = NULL;
    g_autofree char *missing = sc_source_list(pair->qemu->location, &error);
    g_autofree char *list = NULL;
    g_auto(GStrv) lines = NULL;

    g_assert_null(missing);
    g_assert_error(error, SC_ERROR, SC_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, pair->qemu->path));
    g_clear_error(&error);

    played_qemu_start(pair->qemu);
    list = sc_source_list(pair->qemu->location, &error);
    g_assert_no_error(error);
    lines = g_strsplit(list, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 4); /* the last one is empty */
    g_assert_true(g_str_has_prefix(lines[0], pair->qemu->location));
    g_assert_nonnull(strstr(lines[0], "#0  320x200  Graphic  first  pci/0000/02.0"));
    g_assert_nonnull(strstr(lines[1], "#1  0x0  Graphic  second"));
    g_assert_nonnull(strstr(lines[2], "#10  0x0  Text"));

    g_assert_null(sc_source_list("pattern", &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED);
    g_clear_error(&error);
    g_assert_null(sc_source_list("dbus:", &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
    pair_free(pair);
}

static void test_console_that_is_not_there(void)
{
    Pair *pair = pair_new_empty();
    g_autofree char *location = g_strconcat(pair->qemu->location, "#5", NULL);

    played_qemu_start(pair->qemu);
    pair->watcher = watcher_new_at(location);
    wait_until(watcher_was_told(pair->watcher, "no console 5; it has 0, 1, 10"));
    g_assert_cmpint(pair->watcher->state, ==, SC_SOURCE_CONNECTING);
    pair_free(pair);
}

/* ---- the link ---- */

static void test_vmm_comes_later(void)
{
    Pair *pair = pair_new_empty();

    pair->watcher = watcher_new_at(pair->qemu->location);
    wait_until(watcher_was_told(pair->watcher, pair->qemu->path));
    iterate_for(500 * 1000);
    g_assert_cmpuint(pair->watcher->reasons->len, ==, 1); /* said once */
    pair->qemu->shows_after = 100 * 1000;
    pair->qemu->is_old = TRUE;
    played_qemu_start(pair->qemu);
    played_qemu_wait_listener(pair->qemu);
    wait_until(pair->watcher->n_connected == 1);
    pair_show_pixels(pair, 320, 200, 1);
    pair_free(pair);
}

/* Viewers keep the last picture, and get the new one from the VMM's next life. */
static void test_vmm_restarts(void)
{
    Pair *pair = pair_new();
    Watcher *watcher = pair->watcher;

    for (guint i = 1; i <= 3; i++) {
        pair_show_pixels(pair, 320, 200, i);
        played_qemu_die(pair->qemu);
        wait_until(watcher->state == SC_SOURCE_CONNECTING);
        iterate_for(300 * 1000);
        g_assert_cmpuint(watcher_read_number(watcher), ==, i);
        played_qemu_start(pair->qemu);
        played_qemu_wait_listener(pair->qemu);
        wait_until(watcher->n_connected == i + 1);
    }
    g_assert_cmpuint(watcher->n_dark, ==, 0);
    pair_free(pair);
}

/* The listener's connection alone: another one is asked for. */
static void test_listener_is_dropped(void)
{
    Pair *pair = pair_new();

    pair_show_pixels(pair, 320, 200, 1);
    played_qemu_drop_listener(pair->qemu);
    played_qemu_wait_listener(pair->qemu);
    wait_until(pair->watcher->n_connected == 2);
    g_assert_true(watcher_was_told(pair->watcher, "listener"));
    pair_show_pixels(pair, 320, 200, 2);
    g_assert_cmpuint(pair->watcher->n_dark, ==, 0);
    pair_free(pair);
}

/* Another client takes the direct connection: pictures go on, and in a while we take it back, but
 * do not fight over it. */
static void test_other_client(void)
{
    Pair *pair = pair_new();
    Watcher *watcher = pair->watcher;
    g_autoptr(GError) error = NULL;
    g_autofree char *list G_GNUC_UNUSED = sc_source_list(pair->qemu->location, &error);

    g_assert_no_error(error);
    wait_until(watcher_was_told(watcher, "another client has taken it"));
    g_assert_true(watcher_was_told(watcher, "pictures still come"));
    g_assert_cmpuint(watcher->n_connected, ==, 1);
    pair_show_pixels(pair, 320, 200, 3);
    g_assert_cmpuint(pair->qemu->n_controls, ==, 2);
    played_qemu_wait_listener(pair->qemu);
    wait_until(watcher->n_connected == 2);
    g_assert_cmpuint(pair->qemu->n_controls, ==, 3);
    pair_show_pixels(pair, 320, 200, 4);
    pair_free(pair);
}

static void test_refusals(void)
{
    static const struct {
        const char *greeting, *refusal;
        gboolean refuses_listener;
        const char *reason;
    } cases[] = {
        { "SSH-2.0-OpenSSH\r\n", NULL, FALSE, "does not speak QMP" },
        { "[]\n", NULL, FALSE, "does not speak QMP" },
        { "{\"QMP\": 1}\n", "{\"error\": {\"class\": \"x\", \"desc\": \"p2p connections not\"}}\n",
          FALSE, "p2p connections not" },
        { "{\"QMP\": 1}\n", "{\"error\": 5}\n", FALSE, "refuses" },
        { "{\"QMP\": 1}\n", "{\"error\": {\"desc\": {}}}\n", FALSE, "refuses" },
        { "{\"QMP\": 1}\n", NULL, TRUE, "played refusal" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        Pair *pair = pair_new_empty();

        pair->qemu->greeting = cases[i].greeting;
        pair->qemu->refusal = cases[i].refusal;
        pair->qemu->refuses_listener = cases[i].refuses_listener;
        played_qemu_start(pair->qemu);
        pair->watcher = watcher_new_at(pair->qemu->location);
        wait_until(watcher_was_told(pair->watcher, cases[i].reason));
        g_assert_true(watcher_was_told(pair->watcher, pair->qemu->path));
        g_assert_cmpuint(pair->watcher->n_connected, ==, 0);
        pair_free(pair);
    }
}

static void test_endless_greeting(void)
{
    Pair *pair = pair_new_empty();
    g_autofree char *line = g_strnfill(100 * 1000, 'x');

    pair->qemu->greeting = line;
    played_qemu_start(pair->qemu);
    pair->watcher = watcher_new_at(pair->qemu->location);
    wait_until(watcher_was_told(pair->watcher, "a line of more than"));
    pair_free(pair);
}

/* A monitor that has another client does not even greet. */
static void test_silent_monitor(void)
{
    Pair *pair = pair_new_empty();

    pair->qemu->greeting = NULL;
    played_qemu_start(pair->qemu);
    pair->watcher = watcher_new_at(pair->qemu->location);
    wait_until(watcher_was_told(pair->watcher, "has it another client"));
    pair_free(pair);
}

static void draw_all_sorts(Pair *pair, int fd)
{
    played_say(pair->qemu, "ScanoutDMABUF", dmabuf_arguments(320, 200, 1280), fd);
    played_say(pair->qemu, "UpdateDMABUF", g_variant_new("(iiii)", 0, 0, 320, 200), -1);
    played_say(pair->qemu, "Scanout", scanout_arguments(320, 200, 5), -1);
    played_say(pair->qemu, "Update",
               g_variant_new("(iiiiuu@ay)", 0, 0, 10, 10, 40, XRGB,
                             played_part(320, 200, 6, 0, 0, 10, 10)),
               -1);
}

/* The end of the VMM at any moment: while we connect, and in the middle of whatever happens; and
 * our own, before or after we have noticed. */
static void test_vmm_vanishes(void)
{
    Pair *pair = pair_new_empty();
    int fd = played_buffer(320, 200, 1280, 1);

    for (int i = 0; i < 60; i++) {
        played_qemu_start(pair->qemu);
        pair->watcher = watcher_new_at(pair->qemu->location);
        pair->watcher->hold = i % 2 == 0;
        if (i >= 40) {
            played_qemu_wait_listener(pair->qemu);
            draw_all_sorts(pair, fd);
        }
        iterate_for((i % 40) * 1000);
        if (i % 5 != 0) {
            played_qemu_die(pair->qemu);
            iterate_for((i % 4) * 500);
        }
        if (i % 3 == 0) {
            watcher_let_go(pair->watcher);
        }
        watcher_free(g_steal_pointer(&pair->watcher));
        played_qemu_die(pair->qemu);
        wait_until(pair->qemu->talks->len == 0);
    }
    close(fd);
    pair_free(pair);
}

/* ---- input ---- */

static void wait_for_call(Pair *pair, const char *call, guint since)
{
    wait_until(played_was_called(pair->qemu, call, since));
}

static guint count_calls(Pair *pair, const char *prefix)
{
    guint n = 0;

    for (guint i = 0; i < pair->qemu->calls->len; i++) {
        n += g_str_has_prefix(pair->qemu->calls->pdata[i], prefix);
    }
    return n;
}

static void test_keys(void)
{
    Pair *pair = pair_new();
    ScSource *source = pair->watcher->source;

    sc_source_send_key(source, 0x1e, TRUE);
    wait_for_call(pair, "Keyboard.Press (30,)", 0);
    sc_source_send_key(source, 0x1e, FALSE);
    wait_for_call(pair, "Keyboard.Release (30,)", 0);
    sc_source_send_key(source, 0x148, TRUE); /* up */
    wait_for_call(pair, "Keyboard.Press (200,)", 0);
    sc_source_send_key(source, 0x30, FALSE); /* was never pressed */
    sc_source_send_key(source, 0x148, FALSE);
    wait_for_call(pair, "Keyboard.Release (200,)", 0);
    g_assert_false(played_was_called(pair->qemu, "Keyboard.Release (48,)", 0));
    pair_free(pair);
}

/* Whose keys were down when the link went cannot let go of them: that is done for them. */
static void test_held_keys(void)
{
    Pair *pair = pair_new();
    ScSource *source = pair->watcher->source;
    guint since;

    sc_source_send_key(source, 0x1e, TRUE);
    sc_source_send_button(source, SC_BUTTON_RIGHT, TRUE);
    wait_for_call(pair, "Mouse.Press (2,)", 0);
    played_qemu_drop_control(pair->qemu);
    wait_until(pair->watcher->state == SC_SOURCE_CONNECTING);
    since = pair->qemu->calls->len;
    sc_source_send_button(source, SC_BUTTON_RIGHT, FALSE);
    played_qemu_wait_listener(pair->qemu);
    wait_for_call(pair, "Keyboard.Release (30,)", since);
    wait_for_call(pair, "Mouse.Release (2,)", since);
    sc_source_send_key(source, 0x1e, FALSE);
    sc_source_send_key(source, 0x1f, TRUE);
    wait_for_call(pair, "Keyboard.Press (31,)", since);
    g_assert_cmpuint(count_calls(pair, "Keyboard.Release"), ==, 1);
    pair_free(pair);
}

/* The guest's tablet driver comes up while we connect. */
static void test_pointer_mode_meanwhile(void)
{
    Pair *pair = pair_new_empty();

    pair->qemu->turns_absolute = TRUE;
    played_qemu_start(pair->qemu);
    pair->watcher = watcher_new_at(pair->qemu->location);
    wait_until(pair->watcher->n_connected == 1);
    wait_until(pair->watcher->pointer_mode == SC_POINTER_ABSOLUTE);
    pair_free(pair);
}

static void test_lamps(void)
{
    Pair *pair = pair_new();
    ScSource *source = pair->watcher->source;

    g_assert_cmpint(pair->watcher->leds, ==, SC_LED_NUM_LOCK);
    sc_source_send_leds(source, SC_LED_NUM_LOCK | SC_LED_CAPS_LOCK);
    sc_source_send_leds(source, SC_LED_NUM_LOCK | SC_LED_CAPS_LOCK); /* on its way already */
    wait_for_call(pair, "Keyboard.Release (58,)", 0);
    played_change(pair->qemu, SC_DBUS_KEYBOARD, "Modifiers", g_variant_new_uint32(6));
    wait_until(pair->watcher->leds == (SC_LED_NUM_LOCK | SC_LED_CAPS_LOCK));
    sc_source_send_leds(source, SC_LED_NUM_LOCK | SC_LED_CAPS_LOCK);
    sc_source_send_leds(source, SC_LED_SCROLL_LOCK | SC_LED_NUM_LOCK | SC_LED_CAPS_LOCK);
    wait_for_call(pair, "Keyboard.Release (70,)", 0);
    g_assert_cmpuint(pair->qemu->calls->len, ==, 1 + 4); /* and RegisterListener */
    pair_free(pair);
}

static void test_pointer(void)
{
    Pair *pair = pair_new();
    ScSource *source = pair->watcher->source;

    g_assert_cmpint(pair->watcher->pointer_mode, ==, SC_POINTER_RELATIVE);
    sc_source_send_position(source, 5, 6); /* not in this mode */
    sc_source_send_motion(source, 7, -3);
    wait_for_call(pair, "Mouse.RelMotion (7, -3)", 0);
    sc_source_send_button(source, SC_BUTTON_RIGHT, TRUE);
    wait_for_call(pair, "Mouse.Press (2,)", 0);
    sc_source_send_button(source, SC_BUTTON_RIGHT, FALSE);
    wait_for_call(pair, "Mouse.Release (2,)", 0);
    sc_source_send_button(source, SC_BUTTON_EXTRA, TRUE);
    wait_for_call(pair, "Mouse.Press (6,)", 0);
    sc_source_send_wheel(source, 2);
    sc_source_send_wheel(source, -1);
    wait_for_call(pair, "Mouse.Release (3,)", 0);
    g_assert_true(played_was_called(pair->qemu, "Mouse.Press (4,)", 0));

    /* The guest's tablet driver comes up. */
    played_change(pair->qemu, SC_DBUS_MOUSE, "IsAbsolute", g_variant_new_boolean(TRUE));
    wait_until(pair->watcher->pointer_mode == SC_POINTER_ABSOLUTE);
    sc_source_send_motion(source, 9, 9);
    sc_source_send_position(source, 100, 50);
    wait_for_call(pair, "Mouse.SetAbsPosition (100, 50)", 0);
    sc_source_send_position(source, 4000, 4000); /* QEMU refuses what is outside */
    wait_for_call(pair, "Mouse.SetAbsPosition (319, 199)", 0);
    played_change(pair->qemu, SC_DBUS_CONSOLE, "Width", g_variant_new_uint32(1000));
    wait_until(({
        sc_source_send_position(source, 4000, 4000);
        played_was_called(pair->qemu, "Mouse.SetAbsPosition (999, 199)", 0);
    }));
    g_assert_false(played_was_called(pair->qemu, "Mouse.SetAbsPosition (5, 6)", 0));
    g_assert_false(played_was_called(pair->qemu, "Mouse.RelMotion (9, 9)", 0));
    pair_free(pair);
}

static void test_touch_and_size(void)
{
    Pair *pair = pair_new();
    ScSource *source = pair->watcher->source;

    sc_source_send_touch(source, SC_TOUCH_BEGIN, 9, 10.5, 20);
    wait_for_call(pair, "MultiTouch.SendEvent (0, 9, 10.5, 20.0)", 0);
    sc_source_send_touch(source, SC_TOUCH_BEGIN, 10, 1, 1); /* it has ten */
    sc_source_send_touch(source, SC_TOUCH_END, 9, 1, 2);
    wait_for_call(pair, "MultiTouch.SendEvent (2, 9, 1.0, 2.0)", 0);
    g_assert_false(played_was_called(pair->qemu, "MultiTouch.SendEvent (0, 10, 1.0, 1.0)", 0));

    sc_source_send_size(source, 1111, 777);
    wait_for_call(pair, "Console.SetUIInfo (0, 0, 0, 0, 1111, 777)", 0);
    /* A VMM that was restarted is told again. */
    played_qemu_die(pair->qemu);
    wait_until(pair->watcher->state == SC_SOURCE_CONNECTING);
    g_ptr_array_set_size(pair->qemu->calls, 0);
    played_qemu_start(pair->qemu);
    wait_for_call(pair, "Console.SetUIInfo (0, 0, 0, 0, 1111, 777)", 0);
    pair_free(pair);
}

/* A VMM that does not answer: what is sent to it is bounded, and it ends up in the right state. */
static void test_deaf_vmm(void)
{
    Pair *pair = pair_new();
    ScSource *source = pair->watcher->source;

    pair->qemu->is_deaf = TRUE;
    for (int i = 0; i < 5000; i++) {
        sc_source_send_motion(source, 1, 0);
        sc_source_send_size(source, 100 + i, 100);
    }
    sc_source_send_key(source, 0x10, TRUE);
    sc_source_send_touch(source, SC_TOUCH_BEGIN, 3, 10, 20);
    for (int i = 0; i < 5000; i++) {
        sc_source_send_key(source, 0x1e, TRUE);
        sc_source_send_key(source, 0x1e, FALSE);
        sc_source_send_wheel(source, 1);
    }
    sc_source_send_touch(source, SC_TOUCH_BEGIN, 4, 10, 20); /* one too many */
    sc_source_send_touch(source, SC_TOUCH_END, 4, 10, 20);
    sc_source_send_touch(source, SC_TOUCH_END, 3, 10, 20);
    sc_source_send_key(source, 0x10, FALSE);
    wait_for_call(pair, "MultiTouch.SendEvent (2, 3, 10.0, 20.0)", 0);
    g_assert_cmpuint(count_calls(pair, "MultiTouch.SendEvent"), ==, 2);
    wait_for_call(pair, "Keyboard.Release (16,)", 0);
    g_assert_cmpuint(pair->qemu->calls->len, <, 300);
    g_assert_cmpuint(count_calls(pair, "Console.SetUIInfo"), ==, 1);
    g_assert_cmpuint(count_calls(pair, "Keyboard.Press (30,)"), ==,
                     count_calls(pair, "Keyboard.Release (30,)"));
    /* No motion was lost: those that waited went before the key. */
    g_assert_true(played_was_called(pair->qemu, "Mouse.RelMotion (4996, 0)", 0));

    pair->qemu->is_deaf = FALSE;
    while (pair->qemu->deaf_calls->len > 0) {
        g_dbus_method_invocation_return_value(g_ptr_array_steal_index(pair->qemu->deaf_calls, 0),
                                              NULL);
    }
    wait_for_call(pair, "Console.SetUIInfo (0, 0, 0, 0, 5099, 100)", 0);
    sc_source_send_key(source, 0x11, TRUE);
    wait_for_call(pair, "Keyboard.Press (17,)", 0);
    pair_free(pair);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dbus/addresses", test_addresses);
    g_test_add_func("/dbus/list", test_list);
    g_test_add_func("/dbus/console-that-is-not-there", test_console_that_is_not_there);
    g_test_add_func("/dbus/link/vmm-comes-later", test_vmm_comes_later);
    g_test_add_func("/dbus/link/vmm-restarts", test_vmm_restarts);
    g_test_add_func("/dbus/link/listener-is-dropped", test_listener_is_dropped);
    g_test_add_func("/dbus/link/other-client", test_other_client);
    g_test_add_func("/dbus/link/refusals", test_refusals);
    g_test_add_func("/dbus/link/endless-greeting", test_endless_greeting);
    g_test_add_func("/dbus/link/silent-monitor", test_silent_monitor);
    g_test_add_func("/dbus/link/vmm-vanishes", test_vmm_vanishes);
    g_test_add_func("/dbus/input/keys", test_keys);
    g_test_add_func("/dbus/input/held-keys", test_held_keys);
    g_test_add_func("/dbus/input/lamps", test_lamps);
    g_test_add_func("/dbus/input/pointer", test_pointer);
    g_test_add_func("/dbus/input/pointer-mode-meanwhile", test_pointer_mode_meanwhile);
    g_test_add_func("/dbus/input/touch-and-size", test_touch_and_size);
    g_test_add_func("/dbus/input/deaf-vmm", test_deaf_vmm);
    return g_test_run();
}
