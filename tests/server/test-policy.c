/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The policy as a table: a situation in, a decision out. */
#include "server/policy.h"

#define INTERVAL 16000

static const struct {
    const char *what;
    ScPolicyInput input;
    ScPolicyAction action;
    gint64 retry_at;
    gint64 next_due;
} rows[] = {
    { "nobody watches",
      { .awaited = TRUE, .now = 1000, .interval = INTERVAL },
      SC_POLICY_SKIP,
      0,
      0 },
    { "nobody has room, whatever else",
      { .encoder_busy = TRUE, .copies = TRUE, .awaited = TRUE, .now = 1000, .next_due = 9000 },
      SC_POLICY_SKIP,
      0,
      9000 },
    { "the first picture",
      { .open_viewers = 1, .now = 1000, .interval = INTERVAL },
      SC_POLICY_ENCODE,
      0,
      1000 + INTERVAL },
    { "one of many viewers has room",
      { .open_viewers = 1, .now = 1000, .next_due = 900 },
      SC_POLICY_ENCODE,
      0,
      1000 },
    { "busy, the guest waits for a copy",
      { .open_viewers = 1, .encoder_busy = TRUE, .copies = TRUE, .awaited = TRUE },
      SC_POLICY_ABSORB,
      0,
      0 },
    { "busy, the guest waits for the encoder",
      { .open_viewers = 1, .encoder_busy = TRUE, .awaited = TRUE },
      SC_POLICY_HOLD,
      0,
      0 },
    { "busy, nobody waits: no copy is needed",
      { .open_viewers = 1, .encoder_busy = TRUE, .copies = TRUE },
      SC_POLICY_HOLD,
      0,
      0 },
    { "too soon, the guest waits for a copy",
      { .open_viewers = 1,
        .copies = TRUE,
        .awaited = TRUE,
        .now = 1000,
        .interval = INTERVAL,
        .next_due = 1001 + INTERVAL / 4 },
      SC_POLICY_ABSORB,
      1001 + INTERVAL / 4,
      1001 + INTERVAL / 4 },
    { "too soon, nobody waits",
      { .open_viewers = 1,
        .copies = TRUE,
        .now = 1000,
        .interval = INTERVAL,
        .next_due = 1001 + INTERVAL / 4 },
      SC_POLICY_HOLD,
      1001 + INTERVAL / 4,
      1001 + INTERVAL / 4 },
    { "a little early is not too soon, and does not raise the rate",
      { .open_viewers = 1, .now = 1000, .interval = INTERVAL, .next_due = 1000 + INTERVAL / 4 },
      SC_POLICY_ENCODE,
      0,
      1000 + INTERVAL / 4 + INTERVAL },
    { "after a pause the schedule starts anew",
      { .open_viewers = 1, .now = 1000000, .interval = INTERVAL, .next_due = 20 },
      SC_POLICY_ENCODE,
      0,
      1000000 + INTERVAL },
    { "no limit",
      { .open_viewers = 2, .now = 5, .interval = 0, .next_due = 5 },
      SC_POLICY_ENCODE,
      0,
      5 },
};

static void test_table(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        ScPolicyDecision decision = sc_policy_decide(&rows[i].input);

        g_test_message("%s", rows[i].what);
        g_assert_cmpint(decision.action, ==, rows[i].action);
        g_assert_cmpint(decision.retry_at, ==, rows[i].retry_at);
        g_assert_cmpint(decision.next_due, ==, rows[i].next_due);
    }
}

/* A guest at @guest_us an interval for ten seconds: how many pictures come out. */
static guint count_encoded(gint64 guest_us, gint64 interval)
{
    gint64 next_due = 0, retry_at = 0;
    gboolean is_held = FALSE;
    guint encoded = 0;

    for (gint64 now = 1; now < 10 * G_USEC_PER_SEC; now++) {
        ScPolicyInput input = {
            .open_viewers = 1, .now = now, .interval = interval, .next_due = next_due
        };
        ScPolicyDecision decision;

        if (now % guest_us != 0 && !(is_held && now >= retry_at)) {
            continue;
        }
        decision = sc_policy_decide(&input);
        next_due = decision.next_due;
        retry_at = decision.retry_at;
        is_held = decision.action == SC_POLICY_HOLD;
        encoded += decision.action == SC_POLICY_ENCODE;
    }
    return encoded;
}

static void test_rates(void)
{
    /* Fast guests are held to the limit, guests at the limit or below lose nothing. */
    g_assert_cmpuint(count_encoded(1000, 20000), <=, 501);
    g_assert_cmpuint(count_encoded(1000, 20000), >=, 499);
    g_assert_cmpuint(count_encoded(20000, 20000), ==, 499);
    g_assert_cmpuint(count_encoded(19999, 20000), >=, 499);
    g_assert_cmpuint(count_encoded(33333, 20000), ==, 300);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/policy/table", test_table);
    g_test_add_func("/policy/rates", test_rates);
    return g_test_run();
}
