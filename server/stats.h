/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Statistics for people and for Prometheus. All counts are since the start.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "server/audience.h"
#include "server/head.h"

G_BEGIN_DECLS

/* What --stats prints of the head: one line of NAME=VALUE pairs. The caller frees the result. */
char *sc_stats_format(const ScHead *head, const ScAudienceCounts *viewers);

/* What --metrics serves; see server/metrics-text.h. The caller frees the result. */
char *sc_stats_format_metrics(const char *source, const ScHead *head, const ScAudience *audience);

G_END_DECLS
