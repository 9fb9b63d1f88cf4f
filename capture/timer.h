/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A one-shot timer that can be set again, the only kind of timer in Scancast.
 *
 * Thread: create, set, cancel and free on one thread; the callback runs in the main context that
 *         was the thread default at sc_timer_new().
 * Units:  microseconds of g_get_monotonic_time().
 * Cost:   a timer that is not set wakes nobody up.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct ScTimer ScTimer;
typedef void (*ScTimerFunc)(gpointer data);

/* The caller owns the result. @data must outlive it. */
ScTimer *sc_timer_new(ScTimerFunc func, gpointer data);

/* May be called from inside the timer's own callback. NULL is ignored. */
void sc_timer_free(ScTimer *timer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScTimer, sc_timer_free)

/* Fires once at @when (at once if that is past). Replaces an earlier setting. */
void sc_timer_set_at(ScTimer *timer, gint64 when);
void sc_timer_set_after(ScTimer *timer, gint64 delay);

void sc_timer_cancel(ScTimer *timer);
gboolean sc_timer_is_set(const ScTimer *timer);

G_END_DECLS
