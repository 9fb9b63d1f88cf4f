/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/dbus-input.h"

#include <string.h>

/* The documentation of org.qemu.Display1.Mouse: 3 and 4 are the wheel. */
#define BUTTON_WHEEL_UP 3
#define BUTTON_WHEEL_DOWN 4

/* More detents in one event than any wheel has: each costs two messages. */
#define MAX_WHEEL_STEPS 32

/* Unanswered calls: then motions wait, and then presses are lost. A VMM that lives answers within
 * a millisecond. */
#define MAX_EAGER_CALLS 4
#define MAX_CALLS 256

#define QNUM_EXTENDED 0x80

#define SCANCODE_EXTENDED 0x100

struct ScDbusInput {
    ScSource *source;
    GDBusConnection *connection;
    char *name, *path;
    GCancellable *cancellable;
    guint subscription;
    guint n_calls; /* sent and not answered */

    gboolean absolute;
    guint width, height; /* of the console, 0: unknown */
    ScLeds leds;         /* as the guest has them, or will have when it sees what we pressed */
    ScDbusHeld *held;
    guint max_touches;
    gboolean touches[SC_DBUS_MAX_TOUCHES];

    gboolean has_motion, has_position; /* to be sent when there is room */
    int dx, dy;
    guint x, y;

    gboolean has_size, size_is_sent; /* one at a time, the newest */
    guint wanted_width, wanted_height;
};

/* By ScButton. */
static const guint buttons[] = {
    [SC_BUTTON_LEFT] = 0, [SC_BUTTON_MIDDLE] = 1, [SC_BUTTON_RIGHT] = 2,
    [SC_BUTTON_SIDE] = 5, [SC_BUTTON_EXTRA] = 6,
};

/* By bit of ScLeds: the keys that toggle them, as scan codes. */
static const struct {
    ScLeds led;
    guint scancode;
} lock_keys[] = {
    { SC_LED_SCROLL_LOCK, 0x46 },
    { SC_LED_NUM_LOCK, 0x45 },
    { SC_LED_CAPS_LOCK, 0x3a },
};

static void send_pointer(ScDbusInput *self);
static void send_size(ScDbusInput *self);

/* ---- calls ------------------------------------------------------------------------------ */

/* Refusals are no news: positions are refused while the guest has no tablet (its property tells
 * us), and so are sizes by devices that know none. */
static gboolean finish_call(GObject *object, GAsyncResult *result)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) answer G_GNUC_UNUSED =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(object), result, &error);

    if (error != NULL && !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        g_debug("input: %s", error->message);
    }
    return !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void on_answer(GObject *object, GAsyncResult *result, gpointer data)
{
    ScDbusInput *self = data;

    if (finish_call(object, result)) {
        self->n_calls--;
        send_pointer(self);
    }
}

/* Takes a floating @arguments. */
static void call(ScDbusInput *self, const char *interface, const char *method, GVariant *arguments)
{
    self->n_calls++;
    g_dbus_connection_call(self->connection, self->name, self->path, interface, method, arguments,
                           NULL, G_DBUS_CALL_FLAGS_NO_AUTO_START, G_MAXINT, self->cancellable,
                           on_answer, self);
}

/* What the pointer did before something else happens. */
static void flush_pointer(ScDbusInput *self)
{
    if (self->has_position) {
        call(self, SC_DBUS_MOUSE, "SetAbsPosition", g_variant_new("(uu)", self->x, self->y));
    }
    if (self->has_motion) {
        call(self, SC_DBUS_MOUSE, "RelMotion", g_variant_new("(ii)", self->dx, self->dy));
    }
    self->has_position = FALSE;
    self->has_motion = FALSE;
    self->dx = 0;
    self->dy = 0;
}

static void send_pointer(ScDbusInput *self)
{
    if (self->n_calls < MAX_EAGER_CALLS) {
        flush_pointer(self);
    }
}

/* Whether a press may be sent, and a release must: only what was pressed is released. */
static gboolean change_state(ScDbusInput *self, gboolean *state, gboolean pressed)
{
    if (pressed ? self->n_calls >= MAX_CALLS : !*state) {
        return FALSE;
    }
    *state = pressed;
    return TRUE;
}

static void press_key(ScDbusInput *self, guint number, gboolean pressed)
{
    if (change_state(self, &self->held->keys[number], pressed)) {
        flush_pointer(self);
        call(self, SC_DBUS_KEYBOARD, pressed ? "Press" : "Release", g_variant_new("(u)", number));
    }
}

static void press_button(ScDbusInput *self, guint number, gboolean pressed)
{
    if (change_state(self, &self->held->buttons[number], pressed)) {
        flush_pointer(self);
        call(self, SC_DBUS_MOUSE, pressed ? "Press" : "Release", g_variant_new("(u)", number));
    }
}

/* ---- what the VMM tells ----------------------------------------------------------------- */

static void take_properties(ScDbusInput *self, const char *of, GVariant *properties)
{
    gboolean absolute;
    guint leds;

    if (strcmp(of, SC_DBUS_MOUSE) == 0 &&
        g_variant_lookup(properties, "IsAbsolute", "b", &absolute) && absolute != self->absolute) {
        self->absolute = absolute;
        self->has_position = FALSE;
        self->has_motion = FALSE;
        sc_source_emit_pointer_mode(self->source,
                                    absolute ? SC_POINTER_ABSOLUTE : SC_POINTER_RELATIVE);
    } else if (strcmp(of, SC_DBUS_KEYBOARD) == 0 &&
               g_variant_lookup(properties, "Modifiers", "u", &leds)) {
        self->leds = (ScLeds)leds;
        sc_source_emit_leds(self->source, self->leds);
    } else if (strcmp(of, SC_DBUS_CONSOLE) == 0) {
        g_variant_lookup(properties, "Width", "u", &self->width);
        g_variant_lookup(properties, "Height", "u", &self->height);
    }
}

static void on_properties_changed(GDBusConnection *connection, const char *sender, const char *path,
                                  const char *interface, const char *signal, GVariant *parameters,
                                  gpointer data)
{
    ScDbusInput *self = data;
    g_autoptr(GVariant) changed = NULL;
    const char *of;

    if (!g_variant_is_of_type(parameters, G_VARIANT_TYPE("(sa{sv}as)"))) {
        return;
    }
    g_variant_get(parameters, "(&s@a{sv}@as)", &of, &changed, NULL);
    take_properties(self, of, changed);
}

static void on_mouse_properties(GObject *object, GAsyncResult *result, gpointer data)
{
    g_autoptr(GVariant) answer =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(object), result, NULL);
    g_autoptr(GVariant) properties = NULL;

    if (answer != NULL) { /* @data may be gone otherwise */
        properties = g_variant_get_child_value(answer, 0);
        take_properties(data, SC_DBUS_MOUSE, properties);
    }
}

/* What changed between the list of consoles and our subscription nobody has told us; a guest that
 * boots changes the mode of its pointer. */
static void ask_for_mode(ScDbusInput *self)
{
    g_dbus_connection_call(
        self->connection, self->name, self->path, "org.freedesktop.DBus.Properties", "GetAll",
        g_variant_new("(s)", SC_DBUS_MOUSE), G_VARIANT_TYPE("(a{sv})"),
        G_DBUS_CALL_FLAGS_NO_AUTO_START, G_MAXINT, self->cancellable, on_mouse_properties, self);
}

static void release_held(ScDbusInput *self)
{
    for (guint i = 0; i < SC_DBUS_MAX_KEYS; i++) {
        press_key(self, i, FALSE);
    }
    for (guint i = 0; i < SC_DBUS_MAX_BUTTONS; i++) {
        press_button(self, i, FALSE);
    }
}

ScDbusInput *sc_dbus_input_new(ScSource *source, GDBusConnection *connection, const char *name,
                               const ScDbusConsole *console, ScDbusHeld *held)
{
    ScDbusInput *self = g_new0(ScDbusInput, 1);

    self->source = source;
    self->held = held;
    self->connection = g_object_ref(connection);
    self->name = g_strdup(name);
    self->path = g_strdup(console->path);
    self->absolute = console->is_absolute;
    self->leds = console->leds;
    self->width = console->width;
    self->height = console->height;
    self->max_touches = MIN(console->max_touches, SC_DBUS_MAX_TOUCHES);
    self->cancellable = g_cancellable_new();
    self->subscription = g_dbus_connection_signal_subscribe(
        connection, name, "org.freedesktop.DBus.Properties", "PropertiesChanged", self->path, NULL,
        G_DBUS_SIGNAL_FLAGS_NONE, on_properties_changed, self, NULL);
    sc_source_emit_pointer_mode(source, self->absolute ? SC_POINTER_ABSOLUTE : SC_POINTER_RELATIVE);
    sc_source_emit_leds(source, self->leds);
    ask_for_mode(self);
    release_held(self);
    return self;
}

void sc_dbus_input_free(ScDbusInput *self)
{
    if (self == NULL) {
        return;
    }
    g_dbus_connection_signal_unsubscribe(self->connection, self->subscription);
    g_cancellable_cancel(self->cancellable);
    g_object_unref(self->cancellable);
    g_object_unref(self->connection);
    g_free(self->name);
    g_free(self->path);
    g_free(self);
}

/* ---- what viewers do -------------------------------------------------------------------- */

void sc_dbus_input_send_key(ScDbusInput *self, guint scancode, gboolean pressed)
{
    guint number = scancode & 0x7f;

    if (scancode & SCANCODE_EXTENDED) {
        number |= QNUM_EXTENDED;
    }
    press_key(self, number, pressed);
}

void sc_dbus_input_send_motion(ScDbusInput *self, int dx, int dy)
{
    if (self->absolute) {
        return;
    }
    /* Nobody pushes a mouse that far while the VMM does not answer. */
    self->dx = (int)CLAMP((gint64)self->dx + dx, G_MININT16, G_MAXINT16);
    self->dy = (int)CLAMP((gint64)self->dy + dy, G_MININT16, G_MAXINT16);
    self->has_motion = TRUE;
    send_pointer(self);
}

void sc_dbus_input_send_position(ScDbusInput *self, guint x, guint y)
{
    if (!self->absolute) {
        return;
    }
    /* QEMU refuses positions outside. */
    self->x = self->width > 0 ? MIN(x, self->width - 1) : x;
    self->y = self->height > 0 ? MIN(y, self->height - 1) : y;
    self->has_position = TRUE;
    send_pointer(self);
}

void sc_dbus_input_send_button(ScDbusInput *self, ScButton button, gboolean pressed)
{
    g_return_if_fail(button < G_N_ELEMENTS(buttons));

    press_button(self, buttons[button], pressed);
}

void sc_dbus_input_send_wheel(ScDbusInput *self, int steps)
{
    guint number = steps > 0 ? BUTTON_WHEEL_DOWN : BUTTON_WHEEL_UP;

    steps = CLAMP(steps, -MAX_WHEEL_STEPS, MAX_WHEEL_STEPS);
    for (int i = 0; i < ABS(steps); i++) {
        press_button(self, number, TRUE);
        press_button(self, number, FALSE);
    }
}

/* The lamps are the guest's: what is wrong is mended by pressing the key, as SPICE servers do. */
void sc_dbus_input_send_leds(ScDbusInput *self, ScLeds leds)
{
    for (gsize i = 0; i < G_N_ELEMENTS(lock_keys); i++) {
        if ((self->leds ^ leds) & lock_keys[i].led) {
            sc_dbus_input_send_key(self, lock_keys[i].scancode, TRUE);
            sc_dbus_input_send_key(self, lock_keys[i].scancode, FALSE);
            self->leds ^= lock_keys[i].led;
        }
    }
}

static void on_size_answer(GObject *object, GAsyncResult *result, gpointer data)
{
    ScDbusInput *self = data;

    if (finish_call(object, result)) {
        self->size_is_sent = FALSE;
        send_size(self);
    }
}

static void send_size(ScDbusInput *self)
{
    if (!self->has_size || self->size_is_sent) {
        return;
    }
    self->has_size = FALSE;
    self->size_is_sent = TRUE;
    /* Without millimetres QEMU assumes an ordinary screen. */
    g_dbus_connection_call(
        self->connection, self->name, self->path, SC_DBUS_CONSOLE, "SetUIInfo",
        g_variant_new("(qqiiuu)", 0, 0, 0, 0, self->wanted_width, self->wanted_height), NULL,
        G_DBUS_CALL_FLAGS_NO_AUTO_START, G_MAXINT, self->cancellable, on_size_answer, self);
}

void sc_dbus_input_send_size(ScDbusInput *self, guint width, guint height)
{
    self->has_size = TRUE;
    self->wanted_width = width;
    self->wanted_height = height;
    send_size(self);
}

void sc_dbus_input_send_touch(ScDbusInput *self, ScTouch touch, guint slot, double x, double y)
{
    gboolean ends = touch == SC_TOUCH_END || touch == SC_TOUCH_CANCEL;

    if (slot >= self->max_touches ||
        (touch == SC_TOUCH_UPDATE ? !self->touches[slot] || self->n_calls >= MAX_CALLS
                                  : !change_state(self, &self->touches[slot], !ends))) {
        return;
    }
    flush_pointer(self);
    call(self, SC_DBUS_TOUCH, "SendEvent",
         g_variant_new("(utdd)", (guint)touch, (guint64)slot, x, y));
}
