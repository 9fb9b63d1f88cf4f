/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/timer.h"

struct ScTimer {
    GSource *source;
    ScTimerFunc func;
    gpointer data;
};

/* What glib allocates for us; the timer may be freed while its source is being dispatched. */
typedef struct {
    GSource base;
    ScTimer *timer;
} TimerSource;

static gboolean timer_source_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    ScTimer *timer = ((TimerSource *)source)->timer;

    g_source_set_ready_time(source, -1);
    timer->func(timer->data);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs timer_source_funcs = {
    .dispatch = timer_source_dispatch,
};

ScTimer *sc_timer_new(ScTimerFunc func, gpointer data)
{
    ScTimer *timer = g_new0(ScTimer, 1);
    g_autoptr(GMainContext) context = g_main_context_ref_thread_default();

    timer->func = func;
    timer->data = data;
    timer->source = g_source_new(&timer_source_funcs, sizeof(TimerSource));
    ((TimerSource *)timer->source)->timer = timer;
    g_source_set_static_name(timer->source, "ScTimer");
    g_source_attach(timer->source, context);
    return timer;
}

void sc_timer_free(ScTimer *timer)
{
    if (timer == NULL) {
        return;
    }
    g_source_destroy(timer->source);
    g_source_unref(timer->source);
    g_free(timer);
}

void sc_timer_set_at(ScTimer *timer, gint64 when)
{
    /* GLib reads -1 as "never"; anything in the past means now. */
    g_source_set_ready_time(timer->source, MAX(when, 0));
}

void sc_timer_set_after(ScTimer *timer, gint64 delay)
{
    sc_timer_set_at(timer, g_get_monotonic_time() + delay);
}

void sc_timer_cancel(ScTimer *timer)
{
    g_source_set_ready_time(timer->source, -1);
}

gboolean sc_timer_is_set(const ScTimer *timer)
{
    return g_source_get_ready_time(timer->source) != -1;
}
