/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The trace: one line per event, "TIME EVENT KEY=VALUE…", TIME in microseconds of the monotonic
 * clock (that of g_get_monotonic_time()). README.md lists the events.
 *
 * Thread: any; a line is written whole, so that several processes can share a file.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct ScVaTrace ScVaTrace;

/* Appends to @path. NULL, without an error, if @path is NULL. */
ScVaTrace *sc_va_trace_new(const char *path, GError **error);

void sc_va_trace_free(ScVaTrace *trace); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScVaTrace, sc_va_trace_free)

/* Does nothing if @trace is NULL. */
void sc_va_trace(ScVaTrace *trace, const char *format, ...) G_GNUC_PRINTF(2, 3);

G_END_DECLS
