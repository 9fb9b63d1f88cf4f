/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/histogram.h"

/* Buckets for each power of two, and the logarithm of that. */
#define STEPS 8
#define STEPS_LOG 3

static guint get_bucket(gint64 duration)
{
    guint power;

    if (duration < STEPS) {
        return (guint)duration;
    }
    power = g_bit_storage((gulong)duration) - 1;
    return (power - STEPS_LOG + 1) * STEPS +
           ((guint)(duration >> (power - STEPS_LOG)) & (STEPS - 1));
}

static gint64 get_middle(guint bucket)
{
    guint shift = bucket / STEPS > 0 ? bucket / STEPS - 1 : 0;
    gint64 lowest = (gint64)(bucket < STEPS ? bucket : STEPS + bucket % STEPS) << shift;

    return lowest + ((gint64)1 << shift) / 2;
}

void sc_histogram_add(ScHistogram *histogram, gint64 duration)
{
    duration = CLAMP(duration, 0, SC_HISTOGRAM_MAX - 1);
    histogram->total++;
    histogram->sum += duration;
    histogram->counts[get_bucket(duration)]++;
}

gint64 sc_histogram_get_percentile(const ScHistogram *histogram, double share)
{
    double wanted = MAX(share * (double)histogram->total, 1);
    guint64 seen = 0;

    for (guint i = 0; i < SC_HISTOGRAM_N_BUCKETS; i++) {
        seen += histogram->counts[i];
        if ((double)seen >= wanted) {
            return get_middle(i);
        }
    }
    return 0;
}
