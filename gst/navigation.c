/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gst/navigation.h"

#include <math.h>
#include <string.h>

typedef struct {
    guint scancode;
    const char *name;
} Key;

/* PC AT set 1, 0x100 added where 0xe0 precedes. */
static const Key keys[] = {
    { 0x01, "Escape" },      { 0x02, "1" },           { 0x03, "2" },
    { 0x04, "3" },           { 0x05, "4" },           { 0x06, "5" },
    { 0x07, "6" },           { 0x08, "7" },           { 0x09, "8" },
    { 0x0a, "9" },           { 0x0b, "0" },           { 0x0c, "minus" },
    { 0x0d, "equal" },       { 0x0e, "BackSpace" },   { 0x0f, "Tab" },
    { 0x10, "q" },           { 0x11, "w" },           { 0x12, "e" },
    { 0x13, "r" },           { 0x14, "t" },           { 0x15, "y" },
    { 0x16, "u" },           { 0x17, "i" },           { 0x18, "o" },
    { 0x19, "p" },           { 0x1a, "bracketleft" }, { 0x1b, "bracketright" },
    { 0x1c, "Return" },      { 0x1d, "Control_L" },   { 0x1e, "a" },
    { 0x1f, "s" },           { 0x20, "d" },           { 0x21, "f" },
    { 0x22, "g" },           { 0x23, "h" },           { 0x24, "j" },
    { 0x25, "k" },           { 0x26, "l" },           { 0x27, "semicolon" },
    { 0x28, "apostrophe" },  { 0x29, "grave" },       { 0x2a, "Shift_L" },
    { 0x2b, "backslash" },   { 0x2c, "z" },           { 0x2d, "x" },
    { 0x2e, "c" },           { 0x2f, "v" },           { 0x30, "b" },
    { 0x31, "n" },           { 0x32, "m" },           { 0x33, "comma" },
    { 0x34, "period" },      { 0x35, "slash" },       { 0x36, "Shift_R" },
    { 0x37, "KP_Multiply" }, { 0x38, "Alt_L" },       { 0x39, "space" },
    { 0x3a, "Caps_Lock" },   { 0x3b, "F1" },          { 0x3c, "F2" },
    { 0x3d, "F3" },          { 0x3e, "F4" },          { 0x3f, "F5" },
    { 0x40, "F6" },          { 0x41, "F7" },          { 0x42, "F8" },
    { 0x43, "F9" },          { 0x44, "F10" },         { 0x45, "Num_Lock" },
    { 0x46, "Scroll_Lock" }, { 0x47, "KP_7" },        { 0x48, "KP_8" },
    { 0x49, "KP_9" },        { 0x4a, "KP_Subtract" }, { 0x4b, "KP_4" },
    { 0x4c, "KP_5" },        { 0x4d, "KP_6" },        { 0x4e, "KP_Add" },
    { 0x4f, "KP_1" },        { 0x50, "KP_2" },        { 0x51, "KP_3" },
    { 0x52, "KP_0" },        { 0x53, "KP_Decimal" },  { 0x56, "less" },
    { 0x57, "F11" },         { 0x58, "F12" },         { 0x11c, "KP_Enter" },
    { 0x11d, "Control_R" },  { 0x135, "KP_Divide" },  { 0x137, "Print" },
    { 0x138, "Alt_R" },      { 0x146, "Pause" },      { 0x147, "Home" },
    { 0x148, "Up" },         { 0x149, "Page_Up" },    { 0x14b, "Left" },
    { 0x14d, "Right" },      { 0x14f, "End" },        { 0x150, "Down" },
    { 0x151, "Page_Down" },  { 0x152, "Insert" },     { 0x153, "Delete" },
    { 0x15b, "Super_L" },    { 0x15c, "Super_R" },    { 0x15d, "Menu" },
};

/* Other names of the same keys, and what they are with Shift held: some sinks send that. */
static const Key aliases[] = {
    { 0x02, "exclam" },
    { 0x03, "at" },
    { 0x04, "numbersign" },
    { 0x05, "dollar" },
    { 0x06, "percent" },
    { 0x07, "asciicircum" },
    { 0x08, "ampersand" },
    { 0x09, "asterisk" },
    { 0x0a, "parenleft" },
    { 0x0b, "parenright" },
    { 0x0c, "underscore" },
    { 0x0d, "plus" },
    { 0x1a, "braceleft" },
    { 0x1b, "braceright" },
    { 0x27, "colon" },
    { 0x28, "quotedbl" },
    { 0x29, "asciitilde" },
    { 0x2b, "bar" },
    { 0x33, "less" },
    { 0x34, "greater" },
    { 0x35, "question" },
    { 0x0f, "ISO_Left_Tab" },
    { 0x138, "ISO_Level3_Shift" },
    { 0x149, "Prior" },
    { 0x151, "Next" },
};

/* The numbers that X11 gives to buttons, of which 4 to 7 are wheels. */
static const guint buttons[] = {
    [SC_BUTTON_LEFT] = 1, [SC_BUTTON_MIDDLE] = 2, [SC_BUTTON_RIGHT] = 3,
    [SC_BUTTON_SIDE] = 8, [SC_BUTTON_EXTRA] = 9,
};
#define BUTTON_WHEEL_UP 4
#define BUTTON_WHEEL_DOWN 5

/* Some sinks count scrolling in Windows' units, of which this many are one detent. */
#define WHEEL_DELTA 120
#define MAX_WHEEL_STEPS 32

static const Key *find_by_name(const Key *table, gsize n, const char *name)
{
    for (gsize i = 0; i < n; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* 0 if there is no such key. */
static guint get_scancode(const char *name)
{
    const Key *key = find_by_name(keys, G_N_ELEMENTS(keys), name);
    char lower[2] = { g_ascii_tolower(name[0]), '\0' };

    if (key == NULL) {
        key = find_by_name(aliases, G_N_ELEMENTS(aliases), name);
    }
    if (key == NULL && name[0] != '\0' && name[1] == '\0') {
        key = find_by_name(keys, G_N_ELEMENTS(keys), lower);
    }
    return key != NULL ? key->scancode : 0;
}

static const char *get_name(guint scancode)
{
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (keys[i].scancode == scancode) {
            return keys[i].name;
        }
    }
    return "VoidSymbol";
}

/* Takes @structure. */
static GstEvent *new_event(GstStructure *structure)
{
    return gst_event_new_custom(GST_EVENT_NAVIGATION, structure);
}

GstEvent *sc_navigation_new_key(guint scancode, gboolean pressed)
{
    return new_event(gst_structure_new("application/x-gst-navigation", "event", G_TYPE_STRING,
                                       pressed ? "key-press" : "key-release", "key", G_TYPE_STRING,
                                       get_name(scancode), "scancode", G_TYPE_UINT, scancode,
                                       NULL));
}

GstEvent *sc_navigation_new_move(double x, double y)
{
    return new_event(gst_structure_new("application/x-gst-navigation", "event", G_TYPE_STRING,
                                       "mouse-move", "button", G_TYPE_INT, 0, "pointer_x",
                                       G_TYPE_DOUBLE, x, "pointer_y", G_TYPE_DOUBLE, y, NULL));
}

GstEvent *sc_navigation_new_button(ScButton button, gboolean pressed, double x, double y)
{
    return new_event(gst_structure_new("application/x-gst-navigation", "event", G_TYPE_STRING,
                                       pressed ? "mouse-button-press" : "mouse-button-release",
                                       "button", G_TYPE_INT, (int)buttons[button], "pointer_x",
                                       G_TYPE_DOUBLE, x, "pointer_y", G_TYPE_DOUBLE, y, NULL));
}

GstEvent *sc_navigation_new_wheel(int steps, double x, double y)
{
    return new_event(gst_structure_new("application/x-gst-navigation", "event", G_TYPE_STRING,
                                       "mouse-scroll", "pointer_x", G_TYPE_DOUBLE, x, "pointer_y",
                                       G_TYPE_DOUBLE, y, "delta_pointer_x", G_TYPE_DOUBLE, 0.0,
                                       "delta_pointer_y", G_TYPE_DOUBLE, (double)-steps, NULL));
}

static void send_key(ScInput *input, gconstpointer viewer, const GstStructure *navigation,
                     gboolean pressed)
{
    const char *name = gst_structure_get_string(navigation, "key");
    guint scancode = 0;

    if (!gst_structure_get_uint(navigation, "scancode", &scancode) && name != NULL) {
        scancode = get_scancode(name);
    }
    if (scancode != 0) {
        sc_input_key(input, viewer, scancode, pressed);
    }
}

static void send_position(ScInput *input, const GstStructure *navigation)
{
    double x, y;

    if (gst_structure_get_double(navigation, "pointer_x", &x) &&
        gst_structure_get_double(navigation, "pointer_y", &y) && isfinite(x) && isfinite(y)) {
        sc_input_position(input, (guint)CLAMP(x, 0, G_MAXUINT16), (guint)CLAMP(y, 0, G_MAXUINT16));
    }
}

static void send_button(ScInput *input, gconstpointer viewer, const GstStructure *navigation,
                        gboolean pressed)
{
    int number = 0;

    send_position(input, navigation);
    gst_structure_get_int(navigation, "button", &number);
    for (gsize i = 0; i < G_N_ELEMENTS(buttons); i++) {
        if ((int)buttons[i] == number) {
            sc_input_button(input, viewer, (ScButton)i, pressed);
        }
    }
    if (pressed && (number == BUTTON_WHEEL_UP || number == BUTTON_WHEEL_DOWN)) {
        sc_input_wheel(input, number == BUTTON_WHEEL_DOWN ? 1 : -1);
    }
}

static void send_wheel(ScInput *input, const GstStructure *navigation)
{
    double delta = 0;

    gst_structure_get_double(navigation, "delta_pointer_y", &delta);
    if (fabs(delta) >= WHEEL_DELTA) {
        delta /= WHEEL_DELTA;
    }
    delta = CLAMP(delta, -MAX_WHEEL_STEPS, MAX_WHEEL_STEPS);
    if (isfinite(delta) && delta != 0) {
        send_position(input, navigation);
        sc_input_wheel(input, (int)(delta > 0 ? -ceil(delta) : -floor(delta)));
    }
}

void sc_navigation_send(ScInput *input, gconstpointer viewer, const GstStructure *navigation)
{
    const char *event = gst_structure_get_string(navigation, "event");

    if (g_strcmp0(event, "key-press") == 0 || g_strcmp0(event, "key-release") == 0) {
        send_key(input, viewer, navigation, strcmp(event, "key-press") == 0);
    } else if (g_strcmp0(event, "mouse-move") == 0) {
        send_position(input, navigation);
    } else if (g_strcmp0(event, "mouse-button-press") == 0 ||
               g_strcmp0(event, "mouse-button-release") == 0) {
        send_button(input, viewer, navigation, strcmp(event, "mouse-button-press") == 0);
    } else if (g_strcmp0(event, "mouse-scroll") == 0) {
        send_wheel(input, navigation);
    }
}
