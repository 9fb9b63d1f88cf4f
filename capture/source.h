/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A source: a link to a VMM that yields scanouts, frames and the cursor, and accepts input.
 *
 * Thread:   the owner thread. The listener is called from the main context that was the thread
 *           default at sc_source_new(), never from inside sc_source_new() or an input function.
 * Lifetime: sc_source_free() completes the flushes still pending as dropped, tells the listener
 *           nothing more, and leaves nothing running.
 */
#pragma once

#include "capture/cursor.h"
#include "capture/frame.h"

G_BEGIN_DECLS

typedef struct ScSource ScSource;

typedef enum {
    SC_SOURCE_CONNECTING,   /* not there yet, or gone and being tried again */
    SC_SOURCE_CONNECTED,    /* the link stands; a scanout follows when the guest shows one */
    SC_SOURCE_DISCONNECTED, /* gone for good: the source gives up */
} ScSourceState;

typedef enum {
    SC_POINTER_RELATIVE, /* the guest wants motions */
    SC_POINTER_ABSOLUTE, /* the guest wants positions */
} ScPointerMode;

/* Bits of the keyboard's lamps, as SPICE_KEYBOARD_MODIFIER_FLAGS_* in <spice/enums.h>. */
typedef enum {
    SC_LED_SCROLL_LOCK = 1 << 0,
    SC_LED_NUM_LOCK = 1 << 1,
    SC_LED_CAPS_LOCK = 1 << 2,
} ScLeds;

typedef enum {
    SC_BUTTON_LEFT,
    SC_BUTTON_MIDDLE,
    SC_BUTTON_RIGHT,
    SC_BUTTON_SIDE,
    SC_BUTTON_EXTRA,
} ScButton;

/* What a finger does; the numbers are those of org.qemu.Display1.MultiTouch. */
typedef enum {
    SC_TOUCH_BEGIN,
    SC_TOUCH_UPDATE,
    SC_TOUCH_END,
    SC_TOUCH_CANCEL,
} ScTouch;

/* All members are optional. What is passed stays the source's unless it is referenced. */
typedef struct {
    /* @reason is for people; NULL where there is nothing to say. */
    void (*state)(ScSourceState state, const char *reason, gpointer data);

    /* NULL: the output is off. A source whose VMM went away does not call this: the last picture
     * stays until there is a new one. */
    void (*scanout)(ScScanout *scanout, gpointer data);

    /* Something of the current scanout changed. Keep a reference to hold the guest. */
    void (*frame)(ScFrame *frame, gpointer data);

    /* NULL: the pointer is hidden. */
    void (*cursor_shape)(ScCursor *cursor, gpointer data);
    /* Top left corner of the hot spot, in pixels of the scanout. */
    void (*cursor_position)(int x, int y, gpointer data);

    void (*pointer_mode)(ScPointerMode mode, gpointer data);
    void (*leds)(ScLeds leds, gpointer data);
} ScSourceListener;

/*
 * @location is the SOURCE of the command line: "pattern:1280x720@60", "spice+unix:PATH", ...
 * Fails with SC_ERROR_INVALID if it cannot be understood; a VMM that is not there is no error
 * here, but a state. @listener is copied. Nothing happens before sc_source_start().
 */
ScSource *sc_source_new(const char *location, const ScSourceListener *listener, gpointer data,
                        GError **error);

/* Before sc_source_start(): the guest's input device gets the socket @path, for VMMs that have a
 * connection for each device. Fails with SC_ERROR_INVALID if this kind of source has no such,
 * or
 * @path is none. */
gboolean sc_source_set_input(ScSource *source, const char *path, GError **error);

/* Once. Fails only for what trying again cannot mend. */
gboolean sc_source_start(ScSource *source, GError **error);

void sc_source_free(ScSource *source); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScSource, sc_source_free)

/* Whether anybody looks at the pictures. A source that draws them itself need not draw them for
 * nobody. FALSE at first. */
void sc_source_set_watched(ScSource *source, gboolean watched);

/* Input. Ignored while the source is not connected, or has no such device.
 * @scancode: PC AT set 1, with 0x100 added for keys that are preceded by 0xe0. */
void sc_source_send_key(ScSource *source, guint scancode, gboolean pressed);
void sc_source_send_motion(ScSource *source, int dx, int dy);
/* In pixels of the scanout; only in SC_POINTER_ABSOLUTE. */
void sc_source_send_position(ScSource *source, guint x, guint y);
void sc_source_send_button(ScSource *source, ScButton button, gboolean pressed);
/* Detents; positive is towards the user. */
void sc_source_send_wheel(ScSource *source, int steps);
void sc_source_send_leds(ScSource *source, ScLeds leds);
/* @slot: which finger, counted from 0. @x, @y: in pixels of the scanout. */
void sc_source_send_touch(ScSource *source, ScTouch touch, guint slot, double x, double y);
/* The size of picture that suits who looks, in pixels, not 0; the guest may take it or not, and a
 * scanout of that size follows if it does. */
void sc_source_send_size(ScSource *source, guint width, guint height);

/*
 * What there is at @location, for people: a line for each console, which begins with its SOURCE.
 * The caller frees it. Runs the default main context until the VMM has answered, some seconds at
 * most. Fails with SC_ERROR_UNSUPPORTED for kinds of sources that have one output each.
 */
char *sc_source_list(const char *location, GError **error);

/* One line for usage messages, e.g. "spice+unix:PATH  QEMU with -spice gl=on,unix=on"; NULL
 * after the last. */
const char *sc_source_get_help(guint index);

G_END_DECLS
