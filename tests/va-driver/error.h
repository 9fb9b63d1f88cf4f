/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors inside the driver: a GError whose code is the VAStatus that libva's caller gets and whose
 * message goes to the trace.
 *
 * Thread: any.
 */
#pragma once

#include <glib.h>
#include <va/va.h>

G_BEGIN_DECLS

#define SC_VA_ERROR (sc_va_error_quark())

GQuark sc_va_error_quark(void);

/* Sets @error and returns FALSE or NULL, whatever the caller returns. */
gboolean sc_va_error_false(GError **error, VAStatus status, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
gpointer sc_va_error_null(GError **error, VAStatus status, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

G_END_DECLS
