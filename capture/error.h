/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The error domain of all layers. Functions that can fail return FALSE (or NULL) and set a GError
 * whose message names the thing, the reason and, where there is one, the remedy.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define SC_ERROR (sc_error_quark())

typedef enum {
    SC_ERROR_INVALID,     /* bad input: an option, a size, a message from a guest, VMM or viewer */
    SC_ERROR_UNSUPPORTED, /* well-formed, but we (or this host) cannot do it */
    SC_ERROR_FAILED,      /* it should have worked: a device, a pipeline, a system call */
} ScError;

GQuark sc_error_quark(void);

G_END_DECLS
