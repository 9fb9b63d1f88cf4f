/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/pace.h"

static void fill(ScPace *pace, gint64 now)
{
    gint64 gain = (now - pace->updated) / pace->share;

    if (gain >= pace->burst - pace->level) {
        pace->level = pace->burst;
        pace->updated = now;
    } else if (gain > 0) {
        pace->level += gain;
        pace->updated += gain * pace->share;
    }
}

gint64 sc_pace_get_start(ScPace *pace, gint64 now)
{
    fill(pace, now);
    return pace->level > 0 ? now : pace->updated + (1 - pace->level) * pace->share;
}

void sc_pace_charge(ScPace *pace, gint64 now, gint64 cost)
{
    fill(pace, now);
    pace->level -= MAX(cost, 0);
}
