/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Options from a file instead of the command line: a GKeyFile with one group, [scancast], whose
 * keys are the names of options.
 *
 * Thread: any.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What a G_OPTION_ARG_INT holds that nobody has set. */
#define SC_CONFIG_UNSET G_MININT

/*
 * Sets what @entries point to, where the command line has not (strings are NULL, numbers
 * SC_CONFIG_UNSET, switches FALSE). Knows G_OPTION_ARG_STRING, _FILENAME, _INT and _NONE.
 *
 * Fails with SC_ERROR_INVALID, or G_FILE_ERROR if it cannot be read; the message names @file and
 * the key. Some may have been set then.
 */
gboolean sc_config_file_read(const char *file, const GOptionEntry *entries, GError **error);

G_END_DECLS
