/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A histogram of durations, for percentiles: a fixed array, cheap enough to be always on.
 *
 * Units:  microseconds; negative ones count as 0, and ones from SC_HISTOGRAM_MAX on as just less.
 * Error:  a percentile is off by at most 1/16 of the value; below 16 it is exact.
 * Thread: one at a time.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* 67 s. */
#define SC_HISTOGRAM_MAX (G_GINT64_CONSTANT(1) << 26)

/* Eight buckets for each power of two, all as wide as 1/8 of it; below 8 one for each value. */
#define SC_HISTOGRAM_N_BUCKETS 192

/* Zero is empty. */
typedef struct {
    guint64 total;
    gint64 sum;
    guint64 counts[SC_HISTOGRAM_N_BUCKETS];
} ScHistogram;

void sc_histogram_add(ScHistogram *histogram, gint64 duration);

/* The smallest duration that @share (0 to 1) of all do not exceed; 0 if there are none. */
gint64 sc_histogram_get_percentile(const ScHistogram *histogram, double share);

G_END_DECLS
