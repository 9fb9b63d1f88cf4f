/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/password.h"

#include "capture/error.h"

#include <string.h>

#define MAX_LENGTH 60 /* SPICE_MAX_PASSWORD_LENGTH, <spice/protocol.h> */

#define EXPIRES "expires="

static gboolean parse_expiry(ScPassword *password, const char *file, char *line, GError **error)
{
    g_autoptr(GTimeZone) zone = g_time_zone_new_local();
    g_autoptr(GDateTime) time = NULL;

    if (line == NULL || !g_str_has_prefix(line, EXPIRES)) {
        return TRUE;
    }
    g_strchomp(line);
    time = g_date_time_new_from_iso8601(line + strlen(EXPIRES), zone);
    if (time == NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "--password-file: '%s' in '%s' is no time; write it as 2030-12-31T23:59:59Z",
                    line, file);
        return FALSE;
    }
    password->expires =
        g_date_time_to_unix(time) * G_TIME_SPAN_SECOND + g_date_time_get_microsecond(time);
    return TRUE;
}

ScPassword *sc_password_read(const char *file, GError **error)
{
    g_autoptr(ScPassword) password = g_new0(ScPassword, 1);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(file, &text, NULL, error)) {
        g_prefix_error(error, "--password-file: ");
        return NULL;
    }
    lines = g_strsplit(text, "\n", 3);
    password->text = g_strdup(lines[0] != NULL ? lines[0] : "");
    password->text[strcspn(password->text, "\r")] = '\0';
    if (password->text[0] == '\0' || strlen(password->text) > MAX_LENGTH) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "--password-file: the first line of '%s' must hold 1 to %d bytes, which is "
                    "what SPICE allows",
                    file, MAX_LENGTH);
        return NULL;
    }
    if (lines[0] != NULL && !parse_expiry(password, file, lines[1], error)) {
        return NULL;
    }
    return g_steal_pointer(&password);
}

void sc_password_free(ScPassword *password)
{
    if (password == NULL) {
        return;
    }
    g_free(password->text);
    g_free(password);
}
