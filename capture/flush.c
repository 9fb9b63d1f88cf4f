/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/flush.h"

#include "capture/timer.h"

struct ScFlush {
    guint ref_count;
    gboolean pending;
    ScFlushResult result; /* once no longer pending */
    ScFlushFunc func;
    gpointer data;
    gint64 start;
    ScTimer *deadline; /* NULL until there is one */
};

static ScFlushCounts flush_counts;
static ScHistogram flush_hold;

ScFlush *sc_flush_new(ScFlushFunc func, gpointer data)
{
    ScFlush *flush = g_new0(ScFlush, 1);

    flush->ref_count = 1;
    flush->pending = TRUE;
    flush->func = func;
    flush->data = data;
    flush->start = g_get_monotonic_time();
    flush_counts.outstanding++;
    return flush;
}

ScFlush *sc_flush_ref(ScFlush *flush)
{
    flush->ref_count++;
    return flush;
}

void sc_flush_unref(ScFlush *flush)
{
    if (flush == NULL || flush->ref_count-- > 1) {
        return;
    }
    if (flush->pending) {
        g_critical("a flush was forgotten; its guest is released");
        flush->ref_count = 1; /* for the time of the callback */
        sc_flush_complete(flush, SC_FLUSH_DROPPED);
    }
    sc_timer_free(flush->deadline);
    g_free(flush);
}

static void flush_expired(gpointer data)
{
    ScFlush *flush = data;

    sc_flush_complete(flush, SC_FLUSH_EXPIRED);
}

void sc_flush_set_timeout(ScFlush *flush, gint64 timeout_us)
{
    if (!flush->pending) {
        return;
    }
    if (flush->deadline == NULL) {
        flush->deadline = sc_timer_new(flush_expired, flush);
    }
    sc_timer_set_at(flush->deadline, flush->start + timeout_us);
}

void sc_flush_complete(ScFlush *flush, ScFlushResult result)
{
    gint64 hold = g_get_monotonic_time() - flush->start;

    g_assert(flush->pending);

    flush->pending = FALSE;
    flush->result = result;
    if (flush->deadline != NULL) {
        sc_timer_cancel(flush->deadline);
    }
    flush_counts.outstanding--;
    flush_counts.completed[result]++;
    flush_counts.held += hold;
    sc_histogram_add(&flush_hold, hold);

    sc_flush_ref(flush);
    flush->func(result, flush->data);
    sc_flush_unref(flush);
}

gboolean sc_flush_is_pending(const ScFlush *flush)
{
    return flush->pending;
}

gboolean sc_flush_is_expired(const ScFlush *flush)
{
    return !flush->pending && flush->result == SC_FLUSH_EXPIRED;
}

gint64 sc_flush_get_start(const ScFlush *flush)
{
    return flush->start;
}

void sc_flush_get_counts(ScFlushCounts *counts)
{
    *counts = flush_counts;
}

const ScHistogram *sc_flush_get_hold(void)
{
    return &flush_hold;
}

const char *sc_flush_result_name(ScFlushResult result)
{
    switch (result) {
    case SC_FLUSH_DONE:
        return "done";
    case SC_FLUSH_DROPPED:
        return "dropped";
    case SC_FLUSH_EXPIRED:
        return "expired";
    }
    g_return_val_if_reached("?");
}
