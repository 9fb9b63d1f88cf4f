/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/engine.h"

struct ScVaFence {
    gint references;
    gboolean is_done; /* the engine's lock guards the rest */
    VAStatus status;
    gint64 end;
};

typedef struct {
    ScVaJob job;
    ScVaFence *fence;
} Entry;

struct ScVaEngine {
    GMutex lock;
    GCond changed; /* a job came or ended, or quit was set */
    GQueue jobs;   /* Entry */
    gboolean quit;
    GThread *thread;
};

static ScVaFence *fence_ref(ScVaFence *fence)
{
    g_atomic_int_inc(&fence->references);
    return fence;
}

void sc_va_fence_unref(ScVaFence *fence)
{
    if (fence && g_atomic_int_dec_and_test(&fence->references))
        g_free(fence);
}

static void finish(ScVaEngine *engine, Entry *entry, VAStatus status)
{
    /* First let go of what was worked on: who has waited may rely on that. */
    entry->job.free(entry->job.data);

    g_mutex_lock(&engine->lock);
    entry->fence->is_done = TRUE;
    entry->fence->status = status;
    entry->fence->end = g_get_monotonic_time();
    g_cond_broadcast(&engine->changed);
    g_mutex_unlock(&engine->lock);

    sc_va_fence_unref(entry->fence);
    g_free(entry);
}

static gpointer run(gpointer data)
{
    ScVaEngine *engine = data;
    g_mutex_lock(&engine->lock);
    for (;;) {
        Entry *entry = g_queue_pop_head(&engine->jobs);
        gboolean quit = engine->quit;
        if (!entry && quit)
            break;
        if (!entry) {
            g_cond_wait(&engine->changed, &engine->lock);
            continue;
        }
        g_mutex_unlock(&engine->lock);
        finish(engine, entry,
               quit ? VA_STATUS_ERROR_OPERATION_FAILED : entry->job.run(entry->job.data));
        g_mutex_lock(&engine->lock);
    }
    g_mutex_unlock(&engine->lock);
    return NULL;
}

ScVaEngine *sc_va_engine_new(void)
{
    ScVaEngine *engine = g_new0(ScVaEngine, 1);
    g_mutex_init(&engine->lock);
    g_cond_init(&engine->changed);
    g_queue_init(&engine->jobs);
    engine->thread = g_thread_new("scancast-va", run, engine);
    return engine;
}

void sc_va_engine_free(ScVaEngine *engine)
{
    g_mutex_lock(&engine->lock);
    engine->quit = TRUE;
    g_cond_broadcast(&engine->changed);
    g_mutex_unlock(&engine->lock);
    g_thread_join(engine->thread);
    g_cond_clear(&engine->changed);
    g_mutex_clear(&engine->lock);
    g_free(engine);
}

void sc_va_engine_submit(ScVaEngine *engine, const ScVaJob *job, ScVaFence **slots[], guint n_slots)
{
    Entry *entry = g_new0(Entry, 1);
    entry->job = *job;
    entry->fence = g_new0(ScVaFence, 1);
    entry->fence->references = 1;

    g_mutex_lock(&engine->lock);
    for (guint i = 0; i < n_slots; i++) {
        sc_va_fence_unref(*slots[i]);
        *slots[i] = fence_ref(entry->fence);
    }
    g_queue_push_tail(&engine->jobs, entry);
    g_cond_broadcast(&engine->changed);
    g_mutex_unlock(&engine->lock);
}

/* With the lock held. FALSE when @until (-1: never) came first. */
static gboolean wait_locked(ScVaEngine *engine, ScVaFence *fence, gint64 until)
{
    while (!fence->is_done) {
        if (until < 0)
            g_cond_wait(&engine->changed, &engine->lock);
        else if (!g_cond_wait_until(&engine->changed, &engine->lock, until))
            return fence->is_done;
    }
    return TRUE;
}

VAStatus sc_va_engine_wait(ScVaEngine *engine, ScVaFence **slot, guint64 timeout_ns)
{
    /* Beyond a century it is VA_TIMEOUT_INFINITE or as good as. */
    gint64 until = -1;
    if (timeout_ns / 1000 < 100 * 366 * G_TIME_SPAN_DAY)
        until = g_get_monotonic_time() + timeout_ns / 1000;

    VAStatus status = VA_STATUS_SUCCESS;
    g_mutex_lock(&engine->lock);
    if (*slot) {
        ScVaFence *fence = fence_ref(*slot);
        gboolean done = wait_locked(engine, fence, until);
        status = done ? fence->status : VA_STATUS_ERROR_TIMEDOUT;
        sc_va_fence_unref(fence);
    }
    g_mutex_unlock(&engine->lock);
    return status;
}

gboolean sc_va_engine_is_done(ScVaEngine *engine, ScVaFence **slot)
{
    g_mutex_lock(&engine->lock);
    gboolean done = !*slot || (*slot)->is_done;
    g_mutex_unlock(&engine->lock);
    return done;
}

static void sleep_until_locked(ScVaEngine *engine, gint64 until)
{
    while (!engine->quit && g_get_monotonic_time() < until)
        g_cond_wait_until(&engine->changed, &engine->lock, until);
}

void sc_va_engine_hold(ScVaEngine *engine, ScVaFence **slot, guint ms)
{
    g_mutex_lock(&engine->lock);
    if (*slot) {
        ScVaFence *fence = fence_ref(*slot);
        wait_locked(engine, fence, -1);
        sleep_until_locked(engine, fence->end + ms * G_TIME_SPAN_MILLISECOND);
        sc_va_fence_unref(fence);
    }
    g_mutex_unlock(&engine->lock);
}

void sc_va_engine_sleep(ScVaEngine *engine, guint ms)
{
    if (ms == 0)
        return;
    g_mutex_lock(&engine->lock);
    sleep_until_locked(engine, g_get_monotonic_time() + ms * G_TIME_SPAN_MILLISECOND);
    g_mutex_unlock(&engine->lock);
}

VAStatus sc_va_engine_hang(ScVaEngine *engine)
{
    g_mutex_lock(&engine->lock);
    while (!engine->quit)
        g_cond_wait(&engine->changed, &engine->lock);
    g_mutex_unlock(&engine->lock);
    return VA_STATUS_ERROR_OPERATION_FAILED;
}
