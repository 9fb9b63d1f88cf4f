/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/config-file.h"

#include "capture/error.h"

#include <string.h>

#define GROUP "scancast"

static const GOptionEntry *find_entry(const GOptionEntry *entries, const char *key)
{
    for (; entries->long_name != NULL; entries++) {
        if (strcmp(entries->long_name, key) == 0) {
            return entries;
        }
    }
    return NULL;
}

static void read_string(GKeyFile *keys, const GOptionEntry *entry, GError **error)
{
    char **target = entry->arg_data;
    g_autofree char *value = g_key_file_get_string(keys, GROUP, entry->long_name, error);

    if (*target == NULL) {
        *target = g_steal_pointer(&value);
    }
}

static void read_number(GKeyFile *keys, const GOptionEntry *entry, GError **error)
{
    int *target = entry->arg_data;
    int value = g_key_file_get_integer(keys, GROUP, entry->long_name, error);

    if (*target == SC_CONFIG_UNSET) {
        *target = value;
    }
}

static void read_switch(GKeyFile *keys, const GOptionEntry *entry, GError **error)
{
    gboolean *target = entry->arg_data;

    *target |= g_key_file_get_boolean(keys, GROUP, entry->long_name, error);
}

static gboolean read_value(GKeyFile *keys, const GOptionEntry *entry, GError **error)
{
    GError *reason = NULL;

    if (entry->arg == G_OPTION_ARG_INT) {
        read_number(keys, entry, &reason);
    } else if (entry->arg == G_OPTION_ARG_NONE) {
        read_switch(keys, entry, &reason);
    } else {
        g_assert(entry->arg == G_OPTION_ARG_STRING || entry->arg == G_OPTION_ARG_FILENAME);
        read_string(keys, entry, &reason);
    }
    if (reason != NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "%s: %s", entry->long_name, reason->message);
        g_error_free(reason);
        return FALSE;
    }
    return TRUE;
}

static gboolean read_keys(GKeyFile *keys, const GOptionEntry *entries, GError **error)
{
    g_auto(GStrv) names = g_key_file_get_keys(keys, GROUP, NULL, NULL);

    for (guint i = 0; names != NULL && names[i] != NULL; i++) {
        const GOptionEntry *entry = find_entry(entries, names[i]);

        if (entry == NULL) {
            g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                        "%s: no option that may be in a file has that name (scancast --help lists "
                        "them)",
                        names[i]);
            return FALSE;
        }
        if (!read_value(keys, entry, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean check_groups(GKeyFile *keys, GError **error)
{
    g_auto(GStrv) groups = g_key_file_get_groups(keys, NULL);

    for (guint i = 0; groups[i] != NULL; i++) {
        if (strcmp(groups[i], GROUP) != 0) {
            g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                        "there is a group [%s]; all keys belong into [" GROUP "]", groups[i]);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean sc_config_file_read(const char *file, const GOptionEntry *entries, GError **error)
{
    g_autoptr(GKeyFile) keys = g_key_file_new();
    g_autofree char *text = NULL;
    GError *reason = NULL;
    gsize length;

    if (!g_file_get_contents(file, &text, &length, error)) {
        g_prefix_error(error, "--config: ");
        return FALSE;
    }
    /* Else keys of another language, which none of ours has, would go unnoticed. */
    if (!g_key_file_load_from_data(keys, text, length, G_KEY_FILE_KEEP_TRANSLATIONS, &reason)) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "--config: %s: %s", file, reason->message);
        g_error_free(reason);
        return FALSE;
    }
    if (!check_groups(keys, error) || !read_keys(keys, entries, error)) {
        g_prefix_error(error, "--config: %s: ", file);
        return FALSE;
    }
    return TRUE;
}
