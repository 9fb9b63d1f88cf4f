/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/client/probe.h"

#include <stdlib.h>
#include <string.h>

/* What is done to a key or button. */
typedef enum {
    PRESS = 1 << 0,
    RELEASE = 1 << 1,
} Action;

static int get_number(const char *word)
{
    return word != NULL ? (int)strtol(word, NULL, 0) : 0;
}

static Action get_action(const char *word)
{
    if (g_strcmp0(word, "down") == 0) {
        return PRESS;
    }
    return g_strcmp0(word, "up") == 0 ? RELEASE : PRESS | RELEASE;
}

static void do_key(Probe *probe, char **words)
{
    guint scancode = get_number(words[1]);
    Action action = get_action(words[2]);

    if (action & PRESS) {
        spice_inputs_channel_key_press(probe->inputs, scancode);
    }
    if (action & RELEASE) {
        spice_inputs_channel_key_release(probe->inputs, scancode);
    }
}

static int get_button_mask(int button)
{
    switch (button) {
    case SPICE_MOUSE_BUTTON_LEFT:
        return SPICE_MOUSE_BUTTON_MASK_LEFT;
    case SPICE_MOUSE_BUTTON_MIDDLE:
        return SPICE_MOUSE_BUTTON_MASK_MIDDLE;
    case SPICE_MOUSE_BUTTON_RIGHT:
        return SPICE_MOUSE_BUTTON_MASK_RIGHT;
    case SPICE_MOUSE_BUTTON_SIDE:
        return SPICE_MOUSE_BUTTON_MASK_SIDE;
    case SPICE_MOUSE_BUTTON_EXTRA:
        return SPICE_MOUSE_BUTTON_MASK_EXTRA;
    default:
        return 0;
    }
}

static void press_button(Probe *probe, int button, Action action)
{
    if (action & PRESS) {
        probe->buttons |= get_button_mask(button);
        spice_inputs_channel_button_press(probe->inputs, button, probe->buttons);
    }
    if (action & RELEASE) {
        probe->buttons &= ~get_button_mask(button);
        spice_inputs_channel_button_release(probe->inputs, button, probe->buttons);
    }
}

static void do_button(Probe *probe, char **words)
{
    press_button(probe, get_number(words[1]), get_action(words[2]));
}

static void do_wheel(Probe *probe, char **words)
{
    int steps = get_number(words[1]);
    int button = steps > 0 ? SPICE_MOUSE_BUTTON_DOWN : SPICE_MOUSE_BUTTON_UP;

    for (int i = 0; i < abs(steps); i++) {
        press_button(probe, button, PRESS | RELEASE);
    }
}

static void do_motion(Probe *probe, char **words)
{
    spice_inputs_channel_motion(probe->inputs, get_number(words[1]), get_number(words[2]),
                                probe->buttons);
}

static void do_position(Probe *probe, char **words)
{
    spice_inputs_channel_position(probe->inputs, get_number(words[1]), get_number(words[2]), 0,
                                  probe->buttons);
}

static void do_leds(Probe *probe, char **words)
{
    spice_inputs_channel_set_key_locks(probe->inputs, get_number(words[1]));
}

/* As a client's window does that is given another size. */
static void do_window(Probe *probe, char **words)
{
    gboolean has_agent;

    g_object_get(probe->main, "agent-connected", &has_agent, NULL);
    if (!has_agent) {
        probe_print("error channel=main reason=window message=no agent");
        return;
    }
    spice_main_channel_update_display(probe->main, 0, 0, 0, get_number(words[1]),
                                      get_number(words[2]), FALSE);
    spice_main_channel_update_display_enabled(probe->main, 0, TRUE, FALSE);
    spice_main_channel_send_monitor_config(probe->main);
}

static void do_save(Probe *probe, char **words)
{
    if (probe_save(probe, words[1])) {
        probe_print("saved file=%s", words[1]);
    } else {
        probe_print("error channel=display reason=save message=%s", words[1]);
    }
}

static SpiceChannel *get_channel(Probe *probe, const char *name)
{
    if (g_strcmp0(name, "main") == 0) {
        return SPICE_CHANNEL(probe->main);
    }
    if (g_strcmp0(name, "display") == 0) {
        return SPICE_CHANNEL(probe->display);
    }
    return g_strcmp0(name, "cursor") == 0 ? SPICE_CHANNEL(probe->cursor)
                                          : SPICE_CHANNEL(probe->inputs);
}

static void do_raw(Probe *probe, char **words)
{
    SpiceChannel *channel = get_channel(probe, words[1]);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autoptr(GSocket) socket = NULL;

    for (const char *hex = words[2]; hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
        guint8 byte = g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]);

        g_byte_array_append(bytes, &byte, 1);
    }
    if (channel != NULL) {
        g_object_get(channel, "socket", &socket, NULL);
    }
    if (socket == NULL ||
        g_socket_send(socket, (const char *)bytes->data, bytes->len, NULL, NULL) < 0) {
        probe_print("error channel=%s reason=raw message=not connected", words[1]);
    }
}

static void do_reconnect(Probe *probe, char **words)
{
    probe_disconnect(probe);
    probe_connect(probe);
}

static void do_quit(Probe *probe, char **words)
{
    g_main_loop_quit(probe->loop);
}

static const struct {
    const char *name;
    guint n_arguments; /* at least */
    gboolean is_input;
    void (*func)(Probe *probe, char **words);
} commands[] = {
    { "key", 1, TRUE, do_key },           { "motion", 2, TRUE, do_motion },
    { "position", 2, TRUE, do_position }, { "button", 1, TRUE, do_button },
    { "wheel", 1, TRUE, do_wheel },       { "leds", 1, TRUE, do_leds },
    { "window", 2, TRUE, do_window },     { "save", 1, FALSE, do_save },
    { "raw", 2, FALSE, do_raw },          { "reconnect", 0, FALSE, do_reconnect },
    { "quit", 0, FALSE, do_quit },
};

static gboolean run_command(Probe *probe, char **words)
{
    guint n_arguments = g_strv_length(words) - 1;

    for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(commands[i].name, words[0]) == 0 && n_arguments >= commands[i].n_arguments &&
            (!commands[i].is_input || probe->inputs != NULL)) {
            commands[i].func(probe, words);
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean on_line(GIOChannel *channel, GIOCondition condition, gpointer data)
{
    g_autofree char *line = NULL;
    gsize end = 0;

    if (g_io_channel_read_line(channel, &line, NULL, &end, NULL) != G_IO_STATUS_NORMAL) {
        return G_SOURCE_REMOVE;
    }
    line[end] = '\0';
    if (line[0] != '\0') {
        g_auto(GStrv) words = g_strsplit(line, " ", -1);

        if (!run_command(data, words)) {
            probe_print("unknown command=%s", line);
        }
    }
    return G_SOURCE_CONTINUE;
}

void probe_watch_commands(Probe *probe)
{
    GIOChannel *channel = g_io_channel_unix_new(0);

    g_io_channel_set_encoding(channel, NULL, NULL);
    g_io_add_watch(channel, G_IO_IN | G_IO_HUP, on_line, probe);
    g_io_channel_unref(channel);
}
