/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The line of statistics that --stats prints: NAME=VALUE pairs, all counts since the start.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "server/audience.h"
#include "server/head.h"

G_BEGIN_DECLS

/* The caller frees the result. */
char *sc_stats_format(const ScHead *head, const ScAudienceCounts *viewers);

G_END_DECLS
