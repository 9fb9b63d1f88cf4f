/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The password that viewers must know, as --password-file holds it: the first line, and in the
 * second one, if it is there, "expires=" and a time of ISO 8601 (of this host's zone unless it
 * names one). After that time nobody new gets in; who is in stays.
 *
 * Thread: any.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
    char *text;     /* 1 to 60 bytes, what SPICE allows */
    gint64 expires; /* microseconds of g_get_real_time(); 0: never */
} ScPassword;

/* SC_ERROR_INVALID if @file holds none, or another error if it cannot be read; both name the
 * option. */
ScPassword *sc_password_read(const char *file, GError **error);

void sc_password_free(ScPassword *password); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScPassword, sc_password_free)

G_END_DECLS
