/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits what share of a thread's time some kind of work may take: an account that fills up at a
 * fraction of real time. Work may begin while there is something in it, and is charged afterwards.
 *
 * Thread: any one at a time; pure, it reads no clock.
 * Units:  microseconds.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
    gint64 burst; /* what the account holds at most, and at first */
    guint share;  /* one in @share microseconds goes into it */
    gint64 level, updated;
} ScPace;

#define SC_PACE_INIT(burst_, share_)                                                               \
    {                                                                                              \
        .burst = (burst_), .share = (share_), .level = (burst_)                                    \
    }

/* When work may begin: @now if at once. */
gint64 sc_pace_get_start(ScPace *pace, gint64 now);

/* Work that has ended @now took @cost. */
void sc_pace_charge(ScPace *pace, gint64 now, gint64 cost);

G_END_DECLS
