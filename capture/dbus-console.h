/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a VMM with a D-Bus display has to show: its consoles, one for each head of a display device
 * and for each text console.
 *
 * Thread: any.
 */
#pragma once

#include "capture/source.h"

#include <gio/gio.h>

G_BEGIN_DECLS

#define SC_DBUS_ROOT "/org/qemu/Display1"
#define SC_DBUS_CONSOLE "org.qemu.Display1.Console"
#define SC_DBUS_KEYBOARD "org.qemu.Display1.Keyboard"
#define SC_DBUS_MOUSE "org.qemu.Display1.Mouse"
#define SC_DBUS_TOUCH "org.qemu.Display1.MultiTouch"

typedef struct {
    guint id;
    char *path;
    char *label;  /* "VGA" */
    char *type;   /* "Graphic", "Text" */
    char *device; /* "pci/0000/01.0"; empty if the VMM does not tell */
    guint head;
    guint width, height; /* 0 if the VMM does not tell */
    ScLeds leds;
    gboolean is_absolute; /* the guest takes positions */
    guint max_touches;    /* 0: no multi-touch */
    gboolean is_modern;   /* QEMU 8.1 or newer: it drops pictures that it has not sent yet */
} ScDbusConsole;

void sc_dbus_console_free(ScDbusConsole *console); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScDbusConsole, sc_dbus_console_free)

/* @objects: what GetManagedObjects() of SC_DBUS_ROOT returned, "(a{oa{sa{sv}}})". The result holds
 * ScDbusConsole in the order of their numbers. */
GPtrArray *sc_dbus_consoles_new(GVariant *objects);

/* Takes the console @number out of @consoles, or the first graphic one for -1 (where there is none,
 * the first). NULL and an error that lists what there is. */
ScDbusConsole *sc_dbus_consoles_take(GPtrArray *consoles, int number, GError **error);

G_END_DECLS
