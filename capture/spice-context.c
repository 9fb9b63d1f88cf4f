/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/spice-context.h"

#include "capture/import.h"

#include <spice-client.h>

/* As GLib's functions of these names, but in the thread's default context. */

static guint attach(GSource *source, GMainContext *context)
{
    return g_source_attach(source, context != NULL ? context : g_main_context_get_thread_default());
}

/* Takes @source. */
static guint attach_call(GSource *source, int priority, GSourceFunc func, gpointer data,
                         GDestroyNotify notify)
{
    guint id;

    g_source_set_priority(source, priority);
    g_source_set_callback(source, func, data, notify);
    id = attach(source, NULL);
    g_source_unref(source);
    return id;
}

static guint idle_add_full(int priority, GSourceFunc func, gpointer data, GDestroyNotify notify)
{
    return attach_call(g_idle_source_new(), priority, func, data, notify);
}

static guint idle_add(GSourceFunc func, gpointer data)
{
    return idle_add_full(G_PRIORITY_DEFAULT_IDLE, func, data, NULL);
}

static guint timeout_add_full(int priority, guint interval, GSourceFunc func, gpointer data,
                              GDestroyNotify notify)
{
    return attach_call(g_timeout_source_new(interval), priority, func, data, notify);
}

static guint timeout_add(guint interval, GSourceFunc func, gpointer data)
{
    return timeout_add_full(G_PRIORITY_DEFAULT, interval, func, data, NULL);
}

static guint timeout_add_seconds(guint interval, GSourceFunc func, gpointer data)
{
    return attach_call(g_timeout_source_new_seconds(interval), G_PRIORITY_DEFAULT, func, data,
                       NULL);
}

static gboolean source_remove(guint id)
{
    GMainContext *context = g_main_context_get_thread_default();
    GSource *source;

    if (context == NULL) {
        return g_source_remove(id);
    }
    source = g_main_context_find_source_by_id(context, id);
    if (source != NULL) {
        g_source_destroy(source);
    }
    return source != NULL;
}

static gboolean idle_remove_by_data(gpointer data)
{
    GMainContext *context = g_main_context_get_thread_default();
    GSource *source;

    if (context == NULL) {
        return g_idle_remove_by_data(data);
    }
    source = g_main_context_find_source_by_funcs_user_data(context, &g_idle_funcs, data);
    if (source != NULL) {
        g_source_destroy(source);
    }
    return source != NULL;
}

gboolean sc_spice_context_prepare(GError **error)
{
    static const struct {
        const char *name;
        gpointer replacement;
    } functions[] = {
        { "g_idle_add", idle_add },
        { "g_idle_add_full", idle_add_full },
        { "g_idle_remove_by_data", idle_remove_by_data },
        { "g_source_attach", attach },
        { "g_source_remove", source_remove },
        { "g_timeout_add", timeout_add },
        { "g_timeout_add_full", timeout_add_full },
        { "g_timeout_add_seconds", timeout_add_seconds },
    };
    static gboolean is_done;

    if (g_main_context_get_thread_default() == NULL) {
        return TRUE;
    }
    for (gsize i = 0; !is_done && i < G_N_ELEMENTS(functions); i++) {
        if (!sc_import_replace(spice_session_get_type, functions[i].name, functions[i].replacement,
                               error)) {
            g_prefix_error(error, "the SPICE client library works in the default main context "
                                  "only: ");
            return FALSE;
        }
    }
    is_done = TRUE;
    return TRUE;
}
