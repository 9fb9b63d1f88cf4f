/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Replaces one function that one shared library imports, for where a library offers no other way of
 * telling it something. Other libraries, and the program, keep the function they have.
 *
 * Thread: any, one at a time; while none runs code of the library.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * @exported: the address of any function of the library. From now on the library's calls of
 * @function end in @replacement; its addresses of that function are changed too. Calls inside the
 * library that defines @function are not.
 *
 * SC_ERROR_UNSUPPORTED if the library does not import @function, or in a way unknown here (this
 * knows ELF with RELA relocations: all 64-bit ports of Linux).
 */
gboolean sc_import_replace(gconstpointer exported, const char *function, gpointer replacement,
                           GError **error);

G_END_DECLS
