/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes guessing a password slow: every host may try three times, then has to wait before each
 * further attempt, one second at first, twice as long each time, a minute at most. Who gets in, or
 * keeps quiet for ten minutes, begins anew. An attempt counts from its beginning: many at once do
 * not help.
 *
 * Thread: any one at a time; it reads no clock.
 * Units:  microseconds of whatever clock the caller has.
 * Memory: bounded: of the hosts above a hundred the one that was quiet longest is forgotten.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define SC_RETRIES_MAX_HOSTS 100

typedef struct ScRetries ScRetries;

ScRetries *sc_retries_new(void);
void sc_retries_free(ScRetries *retries); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScRetries, sc_retries_free)

/* When @host may try next: not after @now if at once. */
gint64 sc_retries_get_start(const ScRetries *retries, const char *host, gint64 now);

/* @host tries @now. */
void sc_retries_note(ScRetries *retries, const char *host, gint64 now);

/* @host knows the password. */
void sc_retries_forgive(ScRetries *retries, const char *host);

G_END_DECLS
