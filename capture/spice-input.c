/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/spice-input.h"

/* More detents in one event than any wheel has: each costs two messages. */
#define MAX_WHEEL_STEPS 32

struct ScSpiceInput {
    ScSource *source;
    SpiceSession *session;
    SpiceMainChannel *main;
    SpiceInputsChannel *inputs;
    gboolean ready;
    gboolean absolute;
    int buttons; /* SPICE_MOUSE_BUTTON_MASK_* pressed now */
};

/* By ScButton. */
static const struct {
    int button, mask;
} buttons[] = {
    [SC_BUTTON_LEFT] = { SPICE_MOUSE_BUTTON_LEFT, SPICE_MOUSE_BUTTON_MASK_LEFT },
    [SC_BUTTON_MIDDLE] = { SPICE_MOUSE_BUTTON_MIDDLE, SPICE_MOUSE_BUTTON_MASK_MIDDLE },
    [SC_BUTTON_RIGHT] = { SPICE_MOUSE_BUTTON_RIGHT, SPICE_MOUSE_BUTTON_MASK_RIGHT },
    [SC_BUTTON_SIDE] = { SPICE_MOUSE_BUTTON_SIDE, SPICE_MOUSE_BUTTON_MASK_SIDE },
    [SC_BUTTON_EXTRA] = { SPICE_MOUSE_BUTTON_EXTRA, SPICE_MOUSE_BUTTON_MASK_EXTRA },
};

static void on_mouse_mode(GObject *object, GParamSpec *pspec, gpointer data)
{
    ScSpiceInput *self = data;
    int mode = 0;

    g_object_get(object, "mouse-mode", &mode, NULL);
    self->absolute = mode == SPICE_MOUSE_MODE_CLIENT;
    sc_source_emit_pointer_mode(self->source,
                                self->absolute ? SC_POINTER_ABSOLUTE : SC_POINTER_RELATIVE);
}

static void on_modifiers(SpiceChannel *channel, gpointer data)
{
    ScSpiceInput *self = data;
    int modifiers = 0;

    if (!self->ready) {
        self->ready = TRUE;
        g_object_set(self->session, "read-only", FALSE, NULL);
        /* What spice-gtk asked for by itself was held back by read-only; QEMU ignores the request
         * while the guest has no absolute pointer, and later spice-gtk asks by itself. */
        spice_main_channel_request_mouse_mode(self->main, SPICE_MOUSE_MODE_CLIENT);
    }
    g_object_get(channel, "key-modifiers", &modifiers, NULL);
    sc_source_emit_leds(self->source, (ScLeds)modifiers);
}

ScSpiceInput *sc_spice_input_new(ScSource *source, SpiceSession *session)
{
    ScSpiceInput *self = g_new0(ScSpiceInput, 1);

    self->source = source;
    self->session = g_object_ref(session);
    g_object_set(session, "read-only", TRUE, NULL);
    return self;
}

gboolean sc_spice_input_set_main(ScSpiceInput *self, SpiceChannel *channel)
{
    if (self->main != NULL) {
        return FALSE;
    }
    self->main = g_object_ref(SPICE_MAIN_CHANNEL(channel));
    g_signal_connect(channel, "notify::mouse-mode", G_CALLBACK(on_mouse_mode), self);
    return TRUE;
}

gboolean sc_spice_input_set_inputs(ScSpiceInput *self, SpiceChannel *channel)
{
    if (self->main == NULL || self->inputs != NULL) {
        return FALSE;
    }
    self->inputs = g_object_ref(SPICE_INPUTS_CHANNEL(channel));
    g_signal_connect(channel, "inputs-modifiers", G_CALLBACK(on_modifiers), self);
    return TRUE;
}

void sc_spice_input_free(ScSpiceInput *self)
{
    if (self == NULL) {
        return;
    }
    if (self->main != NULL) {
        g_signal_handlers_disconnect_by_data(self->main, self);
        g_object_unref(self->main);
    }
    if (self->inputs != NULL) {
        g_signal_handlers_disconnect_by_data(self->inputs, self);
        g_object_unref(self->inputs);
    }
    g_object_unref(self->session);
    g_free(self);
}

/* Between the end of a channel and the news of it spice-gtk complains of messages and leaks them.
 */
static gboolean can_send(const ScSpiceInput *self)
{
    g_autoptr(GSocket) socket = NULL;

    if (self->ready) {
        g_object_get(self->inputs, "socket", &socket, NULL);
    }
    return socket != NULL;
}

void sc_spice_input_send_key(ScSpiceInput *self, guint scancode, gboolean pressed)
{
    if (!can_send(self)) {
        return;
    }
    /* spice-gtk takes scan codes in the same form. */
    if (pressed) {
        spice_inputs_channel_key_press(self->inputs, scancode);
    } else {
        spice_inputs_channel_key_release(self->inputs, scancode);
    }
}

void sc_spice_input_send_motion(ScSpiceInput *self, int dx, int dy)
{
    if (!self->absolute && can_send(self)) {
        spice_inputs_channel_motion(self->inputs, dx, dy, self->buttons);
    }
}

void sc_spice_input_send_position(ScSpiceInput *self, guint x, guint y)
{
    if (self->absolute && can_send(self)) {
        spice_inputs_channel_position(self->inputs, (int)MIN(x, G_MAXINT), (int)MIN(y, G_MAXINT), 0,
                                      self->buttons);
    }
}

void sc_spice_input_send_button(ScSpiceInput *self, ScButton button, gboolean pressed)
{
    g_return_if_fail(button < G_N_ELEMENTS(buttons));

    if (!can_send(self)) {
        return;
    }
    if (pressed) {
        self->buttons |= buttons[button].mask;
        spice_inputs_channel_button_press(self->inputs, buttons[button].button, self->buttons);
    } else {
        self->buttons &= ~buttons[button].mask;
        spice_inputs_channel_button_release(self->inputs, buttons[button].button, self->buttons);
    }
}

void sc_spice_input_send_wheel(ScSpiceInput *self, int steps)
{
    int button = steps > 0 ? SPICE_MOUSE_BUTTON_DOWN : SPICE_MOUSE_BUTTON_UP;

    if (!can_send(self)) {
        return;
    }
    steps = CLAMP(steps, -MAX_WHEEL_STEPS, MAX_WHEEL_STEPS);
    for (int i = 0; i < ABS(steps); i++) {
        spice_inputs_channel_button_press(self->inputs, button, self->buttons);
        spice_inputs_channel_button_release(self->inputs, button, self->buttons);
    }
}

void sc_spice_input_send_leds(ScSpiceInput *self, ScLeds leds)
{
    if (can_send(self)) {
        spice_inputs_channel_set_key_locks(self->inputs, leds);
    }
}

void sc_spice_input_send_size(ScSpiceInput *self, guint width, guint height)
{
    gboolean has_agent = FALSE;

    if (can_send(self)) {
        g_object_get(self->main, "agent-connected", &has_agent, NULL);
    }
    if (has_agent) {
        spice_main_channel_update_display(self->main, 0, 0, 0, (int)width, (int)height, FALSE);
        spice_main_channel_update_display_enabled(self->main, 0, TRUE, FALSE);
        spice_main_channel_send_monitor_config(self->main);
    }
}
