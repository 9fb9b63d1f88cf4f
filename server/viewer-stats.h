/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known about a viewer, for people and their programs.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "server/outbox.h"

G_BEGIN_DECLS

typedef struct {
    guint64 id;       /* 1, 2, … in the order viewers joined */
    const char *peer; /* its address */
    gint64 since;     /* when it joined, monotonic microseconds */
    gboolean is_ready;
    ScCodec codec; /* once ready */
    ScOutboxCounts counts;
    gboolean is_far_below; /* see server/rate.h */
} ScViewerStats;

/* "H.264"; "none" before the viewer is ready. */
const char *sc_viewer_stats_get_codec(const ScViewerStats *stats);

/* NAME=VALUE pairs. The caller frees the result. */
char *sc_viewer_stats_format(const ScViewerStats *stats);

/* Logs that the viewer has left: one line for people, with the pairs, and the same as fields for
 * the journal and other log writers (SCANCAST_VIEWER, SCANCAST_PEER, …: scancast(1) lists them). */
void sc_viewer_stats_log(const ScViewerStats *stats);

G_END_DECLS
