/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A flush: the guest waits until it is completed, and it is completed exactly once.
 *
 * The source that received the guest's RESOURCE_FLUSH (or its equivalent on the link) creates it
 * with the function that releases the guest. It then travels with a frame: when the last reference
 * to the frame goes, the flush completes as done or dropped; at its deadline it completes as
 * expired, whoever still holds the frame.
 *
 * Thread:  the owner thread only (the one that created it).
 * Errors:  completing twice is a programming error and asserts. Losing the last reference while
 *          pending is one too: it is logged as critical and the guest is released as dropped.
 */
#pragma once

#include "capture/histogram.h"

G_BEGIN_DECLS

typedef struct ScFlush ScFlush;

typedef enum {
    SC_FLUSH_DONE,    /* the picture was taken: copied, or encoded and let go of */
    SC_FLUSH_DROPPED, /* nobody needed the picture */
    SC_FLUSH_EXPIRED, /* the deadline came first; the guest may draw into the buffer again */
} ScFlushResult;

#define SC_FLUSH_N_RESULTS 3

/* Called exactly once. The flush is no longer pending; the function may drop its references. */
typedef void (*ScFlushFunc)(ScFlushResult result, gpointer data);

/* The caller owns one reference. @data must live until @func was called: a source that goes away
 * completes its pending flushes itself. */
ScFlush *sc_flush_new(ScFlushFunc func, gpointer data);

ScFlush *sc_flush_ref(ScFlush *flush);
void sc_flush_unref(ScFlush *flush); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScFlush, sc_flush_unref)

/* Completes as SC_FLUSH_EXPIRED @timeout_us after the flush was created, if still pending then. */
void sc_flush_set_timeout(ScFlush *flush, gint64 timeout_us);

/* @flush must be pending. */
void sc_flush_complete(ScFlush *flush, ScFlushResult result);

gboolean sc_flush_is_pending(const ScFlush *flush);
gboolean sc_flush_is_expired(const ScFlush *flush);

/* When the guest began to wait (monotonic microseconds). */
gint64 sc_flush_get_start(const ScFlush *flush);

/* Counts for the whole process, for statistics and for tests that look for leaks. */
typedef struct {
    guint64 completed[SC_FLUSH_N_RESULTS]; /* by ScFlushResult */
    guint outstanding;                     /* created and not yet completed */
    gint64 held;                           /* microseconds guests waited, added up */
} ScFlushCounts;

void sc_flush_get_counts(ScFlushCounts *counts);

/* How long guests waited, also for the whole process. */
const ScHistogram *sc_flush_get_hold(void);

/* "done", "dropped", "expired" */
const char *sc_flush_result_name(ScFlushResult result);

G_END_DECLS
