/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gets rid of what may hang while it is torn down, in a thread of its own for each, so that nobody
 * waits for it.
 *
 * Thread: any.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How long the process waits, when it exits, for what is still being torn down. A healthy pipeline
 * takes a few ms. */
#define SC_REAPER_EXIT_WAIT (1 * G_USEC_PER_SEC)

/* Calls @func from another thread. @name is for the warning if it never comes back; copied. */
void sc_reaper_run(const char *name, void (*func)(gpointer data), gpointer data);

/* Waits until everything has been torn down and its threads are joined. FALSE after @timeout_us
 * microseconds: the rest is given up and named in a warning. */
gboolean sc_reaper_wait(gint64 timeout_us);

G_END_DECLS
