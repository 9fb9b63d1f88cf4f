/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Input for a console, for capture/source-dbus.c only: keyboard, pointer, touches and lamps, the
 * pointer mode, and the size that viewers wish for.
 *
 * What goes to the VMM is bounded: as long as it does not answer, motions are added up and
 * positions replaced, and further presses are lost, but never a release of what was pressed.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/dbus-console.h"
#include "capture/source-impl.h"

G_BEGIN_DECLS

typedef struct ScDbusInput ScDbusInput;

#define SC_DBUS_MAX_KEYS 256 /* QEMU's key numbers have 8 bits */
#define SC_DBUS_MAX_BUTTONS 8
#define SC_DBUS_MAX_TOUCHES 16 /* QEMU has 10 */

/* What is pressed in the VMM, by its numbers. Zeroed at first; outlives each input, as a VMM whose
 * link was lost and found again still holds it. */
typedef struct {
    gboolean keys[SC_DBUS_MAX_KEYS];
    gboolean buttons[SC_DBUS_MAX_BUTTONS];
} ScDbusHeld;

/* References @connection, and takes from @console what it needs; tells @source, which must outlive
 * the result like @held, the pointer mode and the lamps, now and when they change. Releases what is
 * in @held: who let go of it meanwhile could not say so. @name: see capture/dbus-link.h. */
ScDbusInput *sc_dbus_input_new(ScSource *source, GDBusConnection *connection, const char *name,
                               const ScDbusConsole *console, ScDbusHeld *held);

void sc_dbus_input_free(ScDbusInput *input); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScDbusInput, sc_dbus_input_free)

/* As in capture/source.h. */
void sc_dbus_input_send_key(ScDbusInput *input, guint scancode, gboolean pressed);
void sc_dbus_input_send_motion(ScDbusInput *input, int dx, int dy);
void sc_dbus_input_send_position(ScDbusInput *input, guint x, guint y);
void sc_dbus_input_send_button(ScDbusInput *input, ScButton button, gboolean pressed);
void sc_dbus_input_send_wheel(ScDbusInput *input, int steps);
void sc_dbus_input_send_leds(ScDbusInput *input, ScLeds leds);
void sc_dbus_input_send_size(ScDbusInput *input, guint width, guint height);
void sc_dbus_input_send_touch(ScDbusInput *input, ScTouch touch, guint slot, double x, double y);

G_END_DECLS
