/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sources of the owner thread's main context: what g_idle_add(), g_unix_fd_add() and
 * g_source_remove() do for the default context, which need not be the owner's.
 *
 * Thread: the owner thread; callbacks run in the main context that was the thread default when the
 *         source was added. Remove on the same thread.
 */
#pragma once

#include <glib-unix.h>

G_BEGIN_DECLS

/* Both return an id that is not 0. A callback that returns G_SOURCE_REMOVE ends its source. */
guint sc_loop_add_idle(int priority, GSourceFunc func, gpointer data, GDestroyNotify notify);
guint sc_loop_add_fd(int fd, GIOCondition condition, GUnixFDSourceFunc func, gpointer data);

/* @id must be that of a source that still exists. */
void sc_loop_remove(guint id);

G_END_DECLS
