/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Serves statistics over HTTP: GET /metrics, and nothing else. A few connections at a time, each
 * for one request and for a few seconds at most; costs nothing while nobody asks.
 *
 * Thread: the owner thread, running the default main context.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct ScMetrics ScMetrics;

/* The text to answer with (server/metrics-text.h); the caller frees it. */
typedef char *(*ScMetricsFunc)(gpointer data);

/* @address: see sc_listener_new(). SC_ERROR_INVALID: it is wrong; anything else: it cannot be had.
 * @data must outlive the result. */
ScMetrics *sc_metrics_new(const char *address, ScMetricsFunc func, gpointer data, GError **error);

/* Ends all connections. NULL is ignored. */
void sc_metrics_free(ScMetrics *metrics);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScMetrics, sc_metrics_free)

/* "127.0.0.1:9100" or "unix:PATH". Valid as long as @metrics. */
const char *sc_metrics_get_address(const ScMetrics *metrics);

G_END_DECLS
