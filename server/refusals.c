/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/refusals.h"

#include "capture/timer.h"

#define INTERVAL (10 * G_TIME_SPAN_SECOND)

/* Not g_message(), whose structured form tests cannot expect. */
#define TELL(...) g_log(G_LOG_DOMAIN, G_LOG_LEVEL_MESSAGE, __VA_ARGS__)

struct ScRefusals {
    ScTimer *timer; /* set: something was told less than an interval ago */
    guint untold;
};

static void tell_untold(ScRefusals *refusals)
{
    if (refusals->untold > 0) {
        TELL("%u more connection(s) closed: no viewers", refusals->untold);
        refusals->untold = 0;
    }
}

static void on_interval(gpointer data)
{
    ScRefusals *refusals = data;

    if (refusals->untold > 0) {
        tell_untold(refusals);
        sc_timer_set_after(refusals->timer, INTERVAL);
    }
}

ScRefusals *sc_refusals_new(void)
{
    ScRefusals *refusals = g_new0(ScRefusals, 1);

    refusals->timer = sc_timer_new(on_interval, refusals);
    return refusals;
}

void sc_refusals_free(ScRefusals *refusals)
{
    if (refusals == NULL) {
        return;
    }
    tell_untold(refusals);
    sc_timer_free(refusals->timer);
    g_free(refusals);
}

void sc_refusals_add(ScRefusals *refusals, const char *peer, const GError *reason)
{
    if (sc_timer_is_set(refusals->timer)) {
        refusals->untold++;
        return;
    }
    TELL("connection %s: closed, no viewer: %s", peer, reason->message);
    sc_timer_set_after(refusals->timer, INTERVAL);
}
