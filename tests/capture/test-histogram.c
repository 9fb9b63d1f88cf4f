/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Percentiles of a histogram against exact ones. */
#include "capture/histogram.h"

#include <math.h>

static int compare(gconstpointer a, gconstpointer b)
{
    gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

    return (x > y) - (x < y);
}

static void check(const ScHistogram *histogram, GArray *exact)
{
    static const double shares[] = { 0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0 };

    g_array_sort(exact, compare);
    for (guint i = 0; i < G_N_ELEMENTS(shares); i++) {
        guint rank = MAX((guint)ceil(shares[i] * exact->len), 1);
        gint64 wanted = g_array_index(exact, gint64, rank - 1);
        gint64 found = sc_histogram_get_percentile(histogram, shares[i]);

        g_assert_cmpint(ABS(found - wanted) * 16, <=, wanted);
    }
}

static void test_percentiles(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);

    /* Up to 1 us, 10 us, ... 10 s, evenly and by magnitude. */
    for (double max = 1; max <= 1e7; max *= 10) {
        for (guint by_magnitude = 0; by_magnitude < 2; by_magnitude++) {
            g_autoptr(GArray) exact = g_array_new(FALSE, FALSE, sizeof(gint64));
            ScHistogram histogram = { 0 };
            gint64 sum = 0;

            for (guint i = 0; i < 5000; i++) {
                double x = g_rand_double(rand);
                gint64 value = (gint64)(by_magnitude ? exp(x * log(max + 1)) : x * max);

                g_array_append_val(exact, value);
                sc_histogram_add(&histogram, value);
                sum += value;
            }
            g_assert_cmpuint(histogram.total, ==, 5000);
            g_assert_cmpint(histogram.sum, ==, sum);
            check(&histogram, exact);
        }
    }
}

/* Every bucket's edges: nothing falls between two, or off the end. */
static void test_every_value(void)
{
    for (gint64 value = 0; value < SC_HISTOGRAM_MAX; value += 1 + value / 500) {
        ScHistogram histogram = { 0 };
        gint64 found;

        sc_histogram_add(&histogram, value);
        found = sc_histogram_get_percentile(&histogram, 0.5);
        g_assert_cmpint(ABS(found - value) * 16, <=, value);
        g_assert_true(value >= 16 || found == value);
    }
}

static void test_extremes(void)
{
    ScHistogram histogram = { 0 };

    g_assert_cmpint(sc_histogram_get_percentile(&histogram, 0.5), ==, 0);
    sc_histogram_add(&histogram, -5);
    g_assert_cmpint(sc_histogram_get_percentile(&histogram, 1), ==, 0);
    sc_histogram_add(&histogram, G_MAXINT64);
    sc_histogram_add(&histogram, SC_HISTOGRAM_MAX);
    g_assert_cmpint(sc_histogram_get_percentile(&histogram, 1), >, SC_HISTOGRAM_MAX / 16 * 15);
    g_assert_cmpint(sc_histogram_get_percentile(&histogram, 1), <, SC_HISTOGRAM_MAX);
    g_assert_cmpint(sc_histogram_get_percentile(&histogram, 0.1), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/histogram/percentiles", test_percentiles);
    g_test_add_func("/histogram/every-value", test_every_value);
    g_test_add_func("/histogram/extremes", test_extremes);
    return g_test_run();
}
