/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages about connections that were closed because what came on them is nothing of a viewer's:
 * of somebody who looks at open ports, or has the wrong program. The first one is told at once, of
 * those of the next 10 s only how many they were, and so on: however many come, the log does not
 * fill.
 *
 * Thread: the owner thread.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct ScRefusals ScRefusals;

ScRefusals *sc_refusals_new(void);

/* Tells first what was not told yet. NULL is ignored. */
void sc_refusals_free(ScRefusals *refusals);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScRefusals, sc_refusals_free)

/* A connection of @peer is closed because of @reason. */
void sc_refusals_add(ScRefusals *refusals, const char *peer, const GError *reason);

G_END_DECLS
