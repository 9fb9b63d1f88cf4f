/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prometheus' text format, version 0.0.4: metric families, each with its samples right behind it.
 *
 * Thread: any.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define SC_METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* @type: "counter", "gauge" or "summary". @help: one line. */
void sc_metrics_text_add_family(GString *text, const char *name, const char *type,
                                const char *help);

/* @labels: names and values in turn, NULL at the end. Values may hold anything; what is no UTF-8 is
 * replaced. */
void sc_metrics_text_add_sample(GString *text, const char *name, const char *const *labels,
                                double value);

G_END_DECLS
