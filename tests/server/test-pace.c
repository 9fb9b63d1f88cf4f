/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/pace.h"

#define MS G_TIME_SPAN_MILLISECOND
#define BEGIN (1000 * G_TIME_SPAN_SECOND)

static void test_burst(void)
{
    ScPace pace = SC_PACE_INIT(300 * MS, 4);
    gint64 now = BEGIN;
    guint n = 0;

    /* 33 ms each: nine begin at once, the tenth has to wait. */
    while (sc_pace_get_start(&pace, now) == now) {
        now += 33 * MS;
        sc_pace_charge(&pace, now, 33 * MS);
        n++;
    }
    g_assert_cmpuint(n, >=, 9);
    g_assert_cmpuint(n, <=, 13);
    g_assert_cmpint(sc_pace_get_start(&pace, now), >, now);
    g_assert_cmpint(sc_pace_get_start(&pace, now), <=, now + 4 * 33 * MS + 8);
}

/* Work that never ends takes its share, whatever a piece of it costs. */
static void test_share(gconstpointer data)
{
    gint64 cost = GPOINTER_TO_INT(data);
    ScPace pace = SC_PACE_INIT(300 * MS, 4);
    gint64 now = BEGIN, end = BEGIN + 60 * G_TIME_SPAN_SECOND;
    gint64 spent = 0;

    while (now < end) {
        now = sc_pace_get_start(&pace, now) + cost;
        sc_pace_charge(&pace, now, cost);
        spent += cost;
    }
    g_assert_cmpint(spent, <=, (now - BEGIN) / 4 + 300 * MS + cost);
    g_assert_cmpint(spent, >=, (now - BEGIN) / 4 - cost);
}

/* What may begin then, may begin then: nobody waits in vain, nor spins. */
static void test_start(void)
{
    ScPace pace = SC_PACE_INIT(100, 3);
    gint64 now = BEGIN;

    for (guint i = 0; i < 1000; i++) {
        gint64 start = sc_pace_get_start(&pace, now);

        g_assert_cmpint(start, >=, now);
        if (start > now) {
            g_assert_cmpint(sc_pace_get_start(&pace, start - 1), ==, start);
        }
        g_assert_cmpint(sc_pace_get_start(&pace, start), ==, start);
        now = start + 7;
        sc_pace_charge(&pace, now, g_test_rand_int_range(0, 250));
    }
}

static void test_rest(void)
{
    ScPace pace = SC_PACE_INIT(300 * MS, 4);

    /* Years of rest do not add up. */
    sc_pace_charge(&pace, BEGIN, 0);
    sc_pace_charge(&pace, BEGIN + 100000 * G_TIME_SPAN_DAY, 300 * MS);
    g_assert_cmpint(sc_pace_get_start(&pace, BEGIN + 100000 * G_TIME_SPAN_DAY), >,
                    BEGIN + 100000 * G_TIME_SPAN_DAY);
    /* Nor does a clock that stands still give anything. */
    g_assert_cmpint(pace.level, ==, 0);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pace/burst", test_burst);
    g_test_add_data_func("/pace/share/1us", GINT_TO_POINTER(1000), test_share);
    g_test_add_data_func("/pace/share/33ms", GINT_TO_POINTER(33 * MS), test_share);
    g_test_add_data_func("/pace/share/1s", GINT_TO_POINTER(1000 * MS), test_share);
    g_test_add_func("/pace/start", test_start);
    g_test_add_func("/pace/rest", test_rest);
    return g_test_run();
}
