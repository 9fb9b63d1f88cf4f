/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine: what would be the GPU. A thread that runs jobs one after the other; submitting does
 * not wait, synchronizing does.
 *
 * A fence stands for the end of a job. Whatever a job works on has a fence slot, which submitting
 * sets: the newest job's fence is enough to wait for, since jobs run in order.
 *
 * Thread: any, unless said otherwise.
 */
#pragma once

#include <glib.h>
#include <va/va.h>

G_BEGIN_DECLS

typedef struct ScVaEngine ScVaEngine;
typedef struct ScVaFence ScVaFence;

typedef struct {
    VAStatus (*run)(gpointer data); /* in the engine's thread; its result is the fence's */
    GDestroyNotify free;            /* in the engine's thread, before the fence is signalled */
    gpointer data;
} ScVaJob;

ScVaEngine *sc_va_engine_new(void);

/* Jobs that have not begun fail, one that sleeps or hangs is woken. */
void sc_va_engine_free(ScVaEngine *engine);

/* @slots: the n fence slots that get the job's fence; each is NULL or owns a fence. */
void sc_va_engine_submit(ScVaEngine *engine, const ScVaJob *job, ScVaFence **slots[],
                         guint n_slots);

/* Waits until the job of the fence in @slot has ended and returns what it returned: SUCCESS if
 * there is no fence, VA_STATUS_ERROR_TIMEDOUT after @timeout_ns. */
VAStatus sc_va_engine_wait(ScVaEngine *engine, ScVaFence **slot, guint64 timeout_ns);

/* Whether there is nothing to wait for. */
gboolean sc_va_engine_is_done(ScVaEngine *engine, ScVaFence **slot);

/* Waits like sc_va_engine_wait() and then until @ms have passed since the job ended. */
void sc_va_engine_hold(ScVaEngine *engine, ScVaFence **slot, guint ms);

void sc_va_fence_unref(ScVaFence *fence); /* NULL is ignored */

/* In a job: work slowly; and never finish (returns a failure when the engine is freed). */
void sc_va_engine_sleep(ScVaEngine *engine, guint ms);
VAStatus sc_va_engine_hang(ScVaEngine *engine);

G_END_DECLS
