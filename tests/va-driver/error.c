/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/error.h"

GQuark sc_va_error_quark(void)
{
    /* No static quark: those remember the string by its address, and the driver is unloaded. */
    return g_quark_from_string("scancast-va-driver");
}

gboolean sc_va_error_false(GError **error, VAStatus status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_propagate_error(error, g_error_new_valist(SC_VA_ERROR, status, format, arguments));
    va_end(arguments);
    return FALSE;
}

gpointer sc_va_error_null(GError **error, VAStatus status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_propagate_error(error, g_error_new_valist(SC_VA_ERROR, status, format, arguments));
    va_end(arguments);
    return NULL;
}
