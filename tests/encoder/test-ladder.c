/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which rung is used, and when the others are tried again. */
#include "capture/error.h"
#include "encoder/encoder-impl.h"

#define HOUR (3600 * (gint64)G_USEC_PER_SEC)

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
static const ScRungImpl second = { "second", TRUE, 1, check_yes, NULL, FALSE, NULL };
static const ScRungImpl missing = { "missing", TRUE, 1, check_no, NULL, FALSE, NULL };
static const ScRungImpl last = { "last", TRUE, 3, check_yes, NULL, FALSE, NULL };
static const ScRungImpl *const all_rungs[] = { &best, &missing, &last, NULL };
static const ScRungImpl *const three_rungs[] = { &best, &second, &last, NULL };
static const ScRungImpl *const no_rungs[] = { &missing, NULL };
static const ScEncoderConfig config;
static const ScTarget no_target, target = { .width = 8, .height = 8 };

static ScLadder *new_ladder(const ScRungImpl *const *rungs)
{
    g_autoptr(GError) error = NULL;
    ScLadder *ladder = sc_ladder_new(rungs, &config, &error);

    g_assert_no_error(error);
    return ladder;
}

static gint64 fail_since(ScLadder *ladder, gint64 since, gint64 now)
{
    g_autoptr(GError) error = g_error_new(SC_ERROR, SC_ERROR_FAILED, "broken at %d", (int)now);

    return sc_ladder_note_failure(ladder, error, since, now);
}

static gint64 fail(ScLadder *ladder, gint64 now)
{
    return fail_since(ladder, now, now);
}

static void test_none(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(sc_ladder_new(no_rungs, &config, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED);
}

/* Where there is none below, the last one is tried again, and then nothing is left. */
static void test_last(void)
{
    g_autoptr(ScLadder) ladder = new_ladder(all_rungs);
    gint64 now = 1;

    g_assert_true(sc_ladder_choose(ladder, TRUE, now) == &last);
    g_assert_cmpint(fail(ladder, now), ==, SC_LADDER_BACKOFF);
    g_assert_true(sc_ladder_choose(ladder, TRUE, now) == &last);
    g_assert_cmpint(fail(ladder, now), ==, 2 * SC_LADDER_BACKOFF);
    g_assert_null(sc_ladder_get_error(ladder));
    g_assert_cmpint(fail(ladder, now), ==, 0);
    g_assert_null(sc_ladder_choose(ladder, TRUE, now));
    g_assert_error(sc_ladder_get_error(ladder), SC_ERROR, SC_ERROR_FAILED);
    g_assert_cmpuint(sc_ladder_get_step_downs(ladder), ==, 0);
    g_assert_null(sc_ladder_get_step_down_reason(ladder));

    /* The best one has become the last. */
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
    g_assert_cmpint(fail(ladder, now), ==, 0);
    g_assert_null(sc_ladder_choose(ladder, FALSE, now));

    /* Nothing but a change helps now. */
    g_assert_null(sc_ladder_choose(ladder, FALSE, now + HOUR));
    sc_ladder_set_target(ladder, &target);
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
    sc_ladder_set_target(ladder, &no_target);
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
}

/* A failure now and then: a lower rung takes over at once and for ever longer, never for good. */
static void test_transient(void)
{
    g_autoptr(ScLadder) ladder = new_ladder(all_rungs);
    gint64 now = 1, delay = SC_LADDER_BACKOFF;

    for (guint i = 0; i < 12; i++) {
        g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
        sc_ladder_note_success(ladder);
        now += 2 * SC_LADDER_FAILING; /* it worked for so long */
        g_assert_cmpint(fail(ladder, now), ==, 0);
        g_assert_cmpuint(sc_ladder_get_step_downs(ladder), ==, i + 1);
        g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &last);
        sc_ladder_note_success(ladder);
        g_assert_true(sc_ladder_choose(ladder, FALSE, now + delay - 1) == &last);
        now += delay;
        g_assert_true(sc_ladder_peek(ladder, &no_target, now) == &best);
        delay = MIN(2 * delay, SC_LADDER_BACKOFF_MAX);
    }
    g_assert_cmpint(delay, ==, SC_LADDER_BACKOFF_MAX);

    /* And after a while it is as good as new. */
    now += SC_LADDER_FAILURE_WINDOW + 1;
    sc_ladder_choose(ladder, FALSE, now);
    fail(ladder, now);
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &last);
    g_assert_true(sc_ladder_choose(ladder, FALSE, now + SC_LADDER_BACKOFF) == &best);
}

/* Half a second of nothing but failures: until the scanout changes, but not for other scanouts. */
static void test_failing(void)
{
    g_autoptr(ScLadder) ladder = new_ladder(all_rungs);
    gint64 start = 1, now = start, delay = SC_LADDER_BACKOFF;

    sc_ladder_set_target(ladder, &target);
    while (now - start < SC_LADDER_FAILING) {
        g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
        fail(ladder, now);
        g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &last);
        sc_ladder_note_success(ladder); /* no success of the one that fails */
        now += delay;
        delay *= 2;
    }
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
    fail(ladder, now);
    g_assert_true(sc_ladder_choose(ladder, FALSE, now + HOUR) == &last);
    g_assert_true(sc_ladder_peek(ladder, &no_target, now) == &best);
    sc_ladder_set_target(ladder, &no_target);
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
    sc_ladder_set_target(ladder, &target);
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);

    /* One picture may take that long to fail. */
    fail_since(ladder, now, now + SC_LADDER_FAILING);
    now += HOUR;
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &last);
}

/* Failures with nothing tried for a long time in between are no half a second. */
static void test_idle(void)
{
    g_autoptr(ScLadder) ladder = new_ladder(all_rungs);
    gint64 now = 1;

    for (guint i = 0; i < 5; i++) {
        g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
        fail(ladder, now);
        now += SC_LADDER_FAILURE_WINDOW + 1;
    }
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
}

/* With all of them failing at once, what is left is taken before its time. */
static void test_steps(void)
{
    g_autoptr(ScLadder) ladder = new_ladder(three_rungs);
    gint64 now = 1;

    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
    fail(ladder, now);
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &second);
    fail(ladder, now);
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &last);
    for (guint i = 0; i < SC_LADDER_MAX_FAILURES; i++) {
        g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &last);
        fail(ladder, now);
    }
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
    g_assert_true(sc_ladder_choose(ladder, TRUE, now) == &second);
    g_assert_cmpuint(sc_ladder_get_step_downs(ladder), ==, 2);
}

/* Who stands in, and for how long it is worth it to change to what is only a little better. */
static void test_stand_in(void)
{
    g_autoptr(ScLadder) ladder = new_ladder(three_rungs);
    gint64 now = 1;

    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
    g_assert_true(sc_ladder_is_current(ladder, &best, NULL));
    g_assert_true(sc_ladder_get_last_resort(ladder) == &last);
    g_assert_false(sc_ladder_awaits_better(ladder, now));

    fail(ladder, now);
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &second);
    g_assert_false(sc_ladder_is_current(ladder, &best, NULL));
    g_assert_true(sc_ladder_awaits_better(ladder, now));
    now += SC_LADDER_BACKOFF;
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &best);
    fail(ladder, now); /* it is set aside for twice as long */
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &second);
    g_assert_false(sc_ladder_awaits_better(ladder, now));
    g_assert_true(sc_ladder_awaits_better(ladder, now + SC_LADDER_BACKOFF));

    fail(ladder, now);
    g_assert_true(sc_ladder_choose(ladder, FALSE, now) == &last);
    g_assert_null(sc_ladder_get_last_resort(ladder)); /* it is the one */
}

static guint n_messages;

static GLogWriterOutput on_log(GLogLevelFlags level, const GLogField *fields, gsize n_fields,
                               gpointer data)
{
    n_messages += level & G_LOG_LEVEL_MESSAGE ? 1 : 0;
    return g_log_writer_default(level, fields, n_fields, data);
}

/* Each step down is told once, with its reason, which stays. */
static void test_reason(void)
{
    g_autoptr(ScLadder) ladder = new_ladder(all_rungs);

    n_messages = 0;
    sc_ladder_set_target(ladder, &target);
    sc_ladder_choose(ladder, FALSE, 1000);
    fail(ladder, 1000);
    g_assert_cmpuint(n_messages, ==, 1);
    g_assert_cmpstr(sc_ladder_get_step_down_reason(ladder), ==,
                    "best set aside for 100 ms: broken at 1000");
    sc_ladder_choose(ladder, FALSE, 1000);
    fail(ladder, 2000); /* of the last one: no step */
    g_assert_cmpuint(n_messages, ==, 1);
    sc_ladder_choose(ladder, FALSE, SC_LADDER_FAILING + 1000);
    fail(ladder, SC_LADDER_FAILING + 1000);
    g_assert_cmpuint(n_messages, ==, 2);
    g_assert_cmpstr(sc_ladder_get_step_down_reason(ladder), ==,
                    "best given up until the scanout changes: broken at 501000");
    g_assert_cmpuint(sc_ladder_get_step_downs(ladder), ==, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_writer_func(on_log, NULL, NULL);
    g_test_add_func("/ladder/none", test_none);
    g_test_add_func("/ladder/last", test_last);
    g_test_add_func("/ladder/transient", test_transient);
    g_test_add_func("/ladder/failing", test_failing);
    g_test_add_func("/ladder/idle", test_idle);
    g_test_add_func("/ladder/steps", test_steps);
    g_test_add_func("/ladder/stand-in", test_stand_in);
    g_test_add_func("/ladder/reason", test_reason);
    return g_test_run();
}
