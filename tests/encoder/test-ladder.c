/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which rung is used, and when the others are tried again. */
#include "capture/error.h"
#include "encoder/encoder-impl.h"

static gboolean check_yes(const ScEncoderConfig *config, const ScVaDevice *device, GError **error)
{
    return TRUE;
}

static gboolean check_no(const ScEncoderConfig *config, const ScVaDevice *device, GError **error)
{
    g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "nothing installed");
    return FALSE;
}

static const ScRungImpl best = { "best", FALSE, 1, check_yes, NULL, FALSE, NULL };
static const ScRungImpl missing = { "missing", TRUE, 1, check_no, NULL, FALSE, NULL };
static const ScRungImpl last = { "last", TRUE, 3, check_yes, NULL, FALSE, NULL };
static const ScRungImpl *const all_rungs[] = { &best, &missing, &last, NULL };
static const ScRungImpl *const no_rungs[] = { &missing, NULL };
static const ScEncoderConfig config;
static const ScTarget no_target, target = { .width = 8, .height = 8 };

static ScLadder *new_ladder(void)
{
    g_autoptr(GError) error = NULL;
    ScLadder *ladder = sc_ladder_new(all_rungs, &config, &error);

    g_assert_no_error(error);
    return ladder;
}

static gint64 fail(ScLadder *ladder, gint64 now)
{
    g_autoptr(GError) error = g_error_new(SC_ERROR, SC_ERROR_FAILED, "broken at %d", (int)now);

    return sc_ladder_note_failure(ladder, error, now);
}

static void test_none(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(sc_ladder_new(no_rungs, &config, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED);
}

/* A rung that never worked is left at its first failure; the last one is tried again. */
static void test_steps(void)
{
    g_autoptr(ScLadder) ladder = new_ladder();
    gint64 now = 1;

    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
    g_assert_cmpint(fail(ladder, now), ==, 0);
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &last);
    g_assert_cmpuint(sc_ladder_get_step_downs(ladder), ==, 1);
    g_assert_cmpint(fail(ladder, now), ==, SC_LADDER_BACKOFF);
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &last);
    g_assert_cmpint(fail(ladder, now), ==, 2 * SC_LADDER_BACKOFF);
    g_assert_null(sc_ladder_get_error(ladder));
    g_assert_cmpint(fail(ladder, now), ==, 0);
    g_assert_null(sc_ladder_choose(ladder, FALSE, now));
    g_assert_error(sc_ladder_get_error(ladder), SC_ERROR, SC_ERROR_FAILED);
    g_assert_cmpuint(sc_ladder_get_step_downs(ladder), ==, 1);

    /* Nothing but a change helps now. */
    g_assert_null(sc_ladder_choose(ladder, FALSE, now + SC_LADDER_RETRY_MAX));
    sc_ladder_set_target(ladder, &target);
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
}

/* One that worked is given up only if it fails again and again. */
static void test_proven(void)
{
    g_autoptr(ScLadder) ladder = new_ladder();
    gint64 now = 1;

    sc_ladder_choose(ladder, FALSE, now);
    sc_ladder_note_success(ladder);
    for (guint i = 0; i < 10; i++) {
        g_assert_cmpint(fail(ladder, now), ==, SC_LADDER_BACKOFF);
        g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
        now += SC_LADDER_FAILURE_WINDOW + 1;
    }
    for (guint i = 0; i < SC_LADDER_MAX_FAILURES; i++) {
        g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
        fail(ladder, now++);
    }
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &last);
}

/* A better rung is tried again, at ever longer intervals. */
static void test_retry(void)
{
    g_autoptr(ScLadder) ladder = new_ladder();
    gint64 now = 1;
    gint64 delay = SC_LADDER_RETRY;

    for (guint i = 0; i < 12; i++) {
        g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
        fail(ladder, now);
        g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &last);
        g_assert_true(sc_ladder_choose(ladder, FALSE, now + delay - 1) == &last);
        now += delay;
        g_assert_true(sc_ladder_peek(ladder, &no_target, now) == &best);
        sc_ladder_note_success(ladder); /* still of the rung that was chosen */
        delay = MIN(2 * delay, SC_LADDER_RETRY_MAX);
    }
    g_assert_cmpuint(sc_ladder_get_step_downs(ladder), ==, 12);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ladder/none", test_none);
    g_test_add_func("/ladder/steps", test_steps);
    g_test_add_func("/ladder/proven", test_proven);
    g_test_add_func("/ladder/retry", test_retry);
    return g_test_run();
}
