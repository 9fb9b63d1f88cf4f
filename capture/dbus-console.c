/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/dbus-console.h"

#include "capture/error.h"

#include <stdio.h>
#include <string.h>

#define CONSOLE_PREFIX SC_DBUS_ROOT "/Console_"

void sc_dbus_console_free(ScDbusConsole *self)
{
    if (self == NULL) {
        return;
    }
    g_free(self->path);
    g_free(self->label);
    g_free(self->type);
    g_free(self->device);
    g_free(self);
}

static char *dup_string(GVariant *properties, const char *name)
{
    char *value = NULL;

    if (properties != NULL) {
        g_variant_lookup(properties, name, "s", &value);
    }
    return value != NULL ? value : g_strdup("");
}

static guint get_number(GVariant *properties, const char *name)
{
    guint value = 0;

    if (properties != NULL) {
        g_variant_lookup(properties, name, "u", &value);
    }
    return value;
}

static ScDbusConsole *console_new(const char *path, guint id, GVariant *interfaces)
{
    ScDbusConsole *self = g_new0(ScDbusConsole, 1);
    g_autoptr(GVariant) console =
        g_variant_lookup_value(interfaces, SC_DBUS_CONSOLE, G_VARIANT_TYPE_VARDICT);
    g_autoptr(GVariant) keyboard =
        g_variant_lookup_value(interfaces, SC_DBUS_KEYBOARD, G_VARIANT_TYPE_VARDICT);
    g_autoptr(GVariant) mouse =
        g_variant_lookup_value(interfaces, SC_DBUS_MOUSE, G_VARIANT_TYPE_VARDICT);
    g_autoptr(GVariant) touch =
        g_variant_lookup_value(interfaces, SC_DBUS_TOUCH, G_VARIANT_TYPE_VARDICT);
    g_autoptr(GVariant) modern = NULL;
    int max_touches = 0;

    self->id = id;
    self->path = g_strdup(path);
    self->label = dup_string(console, "Label");
    self->type = dup_string(console, "Type");
    self->device = dup_string(console, "DeviceAddress");
    self->head = get_number(console, "Head");
    self->width = get_number(console, "Width");
    self->height = get_number(console, "Height");
    self->leds = get_number(keyboard, "Modifiers");
    if (mouse != NULL) {
        g_variant_lookup(mouse, "IsAbsolute", "b", &self->is_absolute);
    }
    if (touch != NULL) {
        g_variant_lookup(touch, "MaxSlots", "i", &max_touches);
    }
    self->max_touches = (guint)MAX(max_touches, 0);
    /* It came with that version. */
    modern = console != NULL ? g_variant_lookup_value(console, "Interfaces", NULL) : NULL;
    self->is_modern = modern != NULL;
    return self;
}

static gint compare_ids(gconstpointer a, gconstpointer b)
{
    const ScDbusConsole *const *first = a;
    const ScDbusConsole *const *second = b;

    return (*first)->id < (*second)->id ? -1 : (*first)->id > (*second)->id;
}

GPtrArray *sc_dbus_consoles_new(GVariant *objects)
{
    GPtrArray *consoles = g_ptr_array_new_with_free_func((GDestroyNotify)sc_dbus_console_free);
    g_autoptr(GVariantIter) iter = NULL;
    const char *path;
    GVariant *interfaces;

    g_variant_get(objects, "(a{oa{sa{sv}}})", &iter);
    while (g_variant_iter_loop(iter, "{&o@a{sa{sv}}}", &path, &interfaces)) {
        const char *digits = path + strlen(CONSOLE_PREFIX);
        guint64 id;

        if (g_str_has_prefix(path, CONSOLE_PREFIX) &&
            g_ascii_string_to_unsigned(digits, 10, 0, G_MAXUINT, &id, NULL)) {
            g_ptr_array_add(consoles, console_new(path, (guint)id, interfaces));
        }
    }
    g_ptr_array_sort(consoles, compare_ids);
    return consoles;
}

static char *list_ids(const GPtrArray *consoles)
{
    GString *list = g_string_new(NULL);

    for (guint i = 0; i < consoles->len; i++) {
        const ScDbusConsole *console = consoles->pdata[i];

        g_string_append_printf(list, "%s%u", i > 0 ? ", " : "", console->id);
    }
    return g_string_free(list, FALSE);
}

ScDbusConsole *sc_dbus_consoles_take(GPtrArray *consoles, int number, GError **error)
{
    g_autofree char *list = list_ids(consoles);

    for (guint i = 0; i < consoles->len; i++) {
        const ScDbusConsole *console = consoles->pdata[i];

        if (number < 0 ? strcmp(console->type, "Graphic") == 0 : console->id == (guint)number) {
            return g_ptr_array_steal_index(consoles, i);
        }
    }
    if (number < 0 && consoles->len > 0) {
        return g_ptr_array_steal_index(consoles, 0);
    }
    if (consoles->len == 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "the VM has no console");
    } else {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "the VM has no console %d; it has %s (--list tells more)", number, list);
    }
    return NULL;
}
