/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/metrics-text.h"

static void append_escaped(GString *text, const char *value)
{
    g_autofree char *valid = g_utf8_make_valid(value, -1);

    for (const char *c = valid; *c != '\0'; c++) {
        switch (*c) {
        case '\\':
            g_string_append(text, "\\\\");
            break;
        case '"':
            g_string_append(text, "\\\"");
            break;
        case '\n':
            g_string_append(text, "\\n");
            break;
        default:
            g_string_append_c(text, *c);
            break;
        }
    }
}

void sc_metrics_text_add_family(GString *text, const char *name, const char *type, const char *help)
{
    g_string_append_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void sc_metrics_text_add_sample(GString *text, const char *name, const char *const *labels,
                                double value)
{
    char number[G_ASCII_DTOSTR_BUF_SIZE];

    g_string_append(text, name);
    for (guint i = 0; labels[i] != NULL; i += 2) {
        g_string_append_printf(text, "%c%s=\"", i == 0 ? '{' : ',', labels[i]);
        append_escaped(text, labels[i + 1]);
        g_string_append_c(text, '"');
    }
    g_string_append(text, labels[0] != NULL ? "} " : " ");
    g_string_append(text, g_ascii_formatd(number, sizeof number, "%.15g", value));
    g_string_append_c(text, '\n');
}
