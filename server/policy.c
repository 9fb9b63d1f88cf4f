/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/policy.h"

/* A picture may be this much of an interval early: guests at exactly --max-fps jitter, and waiting
 * for the schedule would cost them latency for nothing. The schedule keeps the average. */
#define EARLY_DIVISOR 4

static ScPolicyAction later_action(const ScPolicyInput *input)
{
    return input->awaited && input->copies ? SC_POLICY_ABSORB : SC_POLICY_HOLD;
}

ScPolicyDecision sc_policy_decide(const ScPolicyInput *input)
{
    ScPolicyDecision decision = { .action = SC_POLICY_SKIP, .next_due = input->next_due };

    /* Neither nobody nor a slow network may hold up the guest. Once a viewer has room again the
     * stream takes the current picture from the scanout. */
    if (input->open_viewers == 0) {
        return decision;
    }
    if (input->encoder_busy) {
        decision.action = later_action(input);
        return decision;
    }
    if (input->now + input->interval / EARLY_DIVISOR < input->next_due) {
        decision.action = later_action(input);
        decision.retry_at = input->next_due;
        return decision;
    }
    decision.action = SC_POLICY_ENCODE;
    /* After a pause the schedule starts anew; otherwise it goes on from where it was, so that
     * early pictures do not raise the rate. */
    decision.next_due = MAX(input->next_due, input->now) + input->interval;
    return decision;
}
