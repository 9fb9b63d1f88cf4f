/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/loop.h"

/* Takes @source. */
static guint attach(GSource *source)
{
    guint id = g_source_attach(source, g_main_context_get_thread_default());

    g_source_unref(source);
    return id;
}

guint sc_loop_add_idle(int priority, GSourceFunc func, gpointer data, GDestroyNotify notify)
{
    GSource *source = g_idle_source_new();

    g_source_set_priority(source, priority);
    g_source_set_callback(source, func, data, notify);
    return attach(source);
}

guint sc_loop_add_fd(int fd, GIOCondition condition, GUnixFDSourceFunc func, gpointer data)
{
    GSource *source = g_unix_fd_source_new(fd, condition);

    g_source_set_callback(source, G_SOURCE_FUNC(func), data, NULL);
    return attach(source);
}

void sc_loop_remove(guint id)
{
    GSource *source = g_main_context_find_source_by_id(g_main_context_get_thread_default(), id);

    g_return_if_fail(source != NULL);
    g_source_destroy(source);
}
