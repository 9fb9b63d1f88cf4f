/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The line of statistics that --stats prints: NAME=VALUE pairs, all counts since the start.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "server/head.h"

G_BEGIN_DECLS

/* What the head does not know. */
typedef struct {
    guint viewers;
    guint64 sent;    /* packets given to viewers, those gone included */
    guint64 dropped; /* packets viewers had no room for */
} ScStatsViewers;

/* The caller frees the result. */
char *sc_stats_format(const ScHead *head, const ScStatsViewers *viewers);

G_END_DECLS
