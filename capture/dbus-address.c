/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/dbus-address.h"

#include "capture/error.h"

#include <gio/gio.h>
#include <string.h>
#include <sys/un.h>

#define DEFAULT_NAME "org.qemu"
#define P2P_PREFIX "p2p:"
#define NAME_KEY ",name="
#define MAX_CONSOLE_DIGITS 4

/* Cuts "#N" off @text. A '#' is escaped inside an address, and a path that ends like that is the
 * user's to rename. */
static int take_console(char *text)
{
    char *mark = strrchr(text, '#');
    gsize n_digits = mark != NULL ? strspn(mark + 1, "0123456789") : 0;
    int console;

    if (n_digits < 1 || n_digits > MAX_CONSOLE_DIGITS || mark[1 + n_digits] != '\0') {
        return -1;
    }
    console = (int)g_ascii_strtoll(mark + 1, NULL, 10);
    *mark = '\0';
    return console;
}

static gboolean parse_qmp(ScDbusAddress *self, GError **error)
{
    self->qmp = g_strdup(self->text + strlen(P2P_PREFIX));
    if (self->qmp[0] == '\0' ||
        strlen(self->qmp) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "'%s' cannot be the path of a socket; give the one of QEMU's "
                    "-qmp unix:PATH,server=on,wait=off",
                    self->qmp);
        return FALSE;
    }
    return TRUE;
}

static gboolean parse_bus(ScDbusAddress *self, GError **error)
{
    const char *key = g_strrstr(self->text, NAME_KEY);
    g_autoptr(GError) reason = NULL;

    self->name = g_strdup(key != NULL ? key + strlen(NAME_KEY) : DEFAULT_NAME);
    self->bus =
        key != NULL ? g_strndup(self->text, (gsize)(key - self->text)) : g_strdup(self->text);
    if (!g_dbus_is_name(self->name)) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "'%s' is no name on a bus, as org.qemu is",
                    self->name);
        return FALSE;
    }
    if (strchr(self->bus, '#') != NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "what follows '#' is not the number of a console, as in #0");
        return FALSE;
    }
    if (!g_dbus_is_supported_address(self->bus, &reason)) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "'%s' is no address of a bus, as unix:path=/run/bus is: %s", self->bus,
                    reason->message);
        return FALSE;
    }
    return TRUE;
}

ScDbusAddress *sc_dbus_address_parse(const char *text, GError **error)
{
    g_autoptr(ScDbusAddress) self = g_new0(ScDbusAddress, 1);

    self->text = g_strdup(text != NULL ? text : "");
    self->console = take_console(self->text);
    if (self->text[0] == '\0') {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "an address is missing; give the one of QEMU's -display dbus,addr=ADDRESS");
        return NULL;
    }
    if (!(g_str_has_prefix(text, P2P_PREFIX) ? parse_qmp(self, error) : parse_bus(self, error))) {
        return NULL;
    }
    return g_steal_pointer(&self);
}

void sc_dbus_address_free(ScDbusAddress *self)
{
    if (self == NULL) {
        return;
    }
    g_free(self->text);
    g_free(self->bus);
    g_free(self->qmp);
    g_free(self->name);
    g_free(self);
}
