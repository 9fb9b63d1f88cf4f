/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gst/owner.h"

#include <signal.h>

/* What was freed ends in idle calls here and there (spice-gtk's sessions do). They are not many;
 * one that never ends must not keep the thread. */
#define MAX_IDLE_CALLS 1000

static GMutex mutex;
static guint n_holders;
static GThread *thread;
static GMainContext *context; /* once made it stays: what libraries left there goes on */
static gint stopping;

typedef struct {
    ScOwnerFunc func;
    gpointer data;
    GDestroyNotify notify;
    gboolean *is_done; /* NULL: nobody waits */
} Call;

static GMutex call_mutex;
static GCond call_done;

static gpointer run(gpointer data)
{
    sigset_t signals;

    /* libspice-server writes to sockets as if somebody ignored this one, and so do its threads,
     * which this one starts; whether the program does is not ours to decide. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    g_main_context_push_thread_default(context);
    while (!g_atomic_int_get(&stopping)) {
        g_main_context_iteration(context, TRUE);
    }
    for (int i = 0; i < MAX_IDLE_CALLS && g_main_context_iteration(context, FALSE); i++) {
    }
    g_main_context_pop_thread_default(context);
    return NULL;
}

void sc_owner_hold(void)
{
    g_mutex_lock(&mutex);
    if (n_holders++ == 0) {
        if (context == NULL) {
            context = g_main_context_new();
        }
        g_atomic_int_set(&stopping, FALSE);
        thread = g_thread_new("scancast", run, NULL);
    }
    g_mutex_unlock(&mutex);
}

void sc_owner_release(void)
{
    g_mutex_lock(&mutex);
    g_assert(n_holders > 0);
    if (--n_holders == 0) {
        g_assert(g_thread_self() != thread);
        g_atomic_int_set(&stopping, TRUE);
        g_main_context_wakeup(context);
        g_thread_join(g_steal_pointer(&thread));
    }
    g_mutex_unlock(&mutex);
}

static gboolean dispatch(gpointer data)
{
    Call *call = data;

    call->func(call->data);
    if (call->is_done != NULL) {
        g_mutex_lock(&call_mutex);
        *call->is_done = TRUE;
        g_cond_broadcast(&call_done);
        g_mutex_unlock(&call_mutex);
    }
    return G_SOURCE_REMOVE;
}

static void call_free(gpointer data)
{
    Call *call = data;

    if (call->notify != NULL) {
        call->notify(call->data);
    }
    g_free(call);
}

static void add(const Call *call)
{
    GSource *source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, dispatch, g_memdup2(call, sizeof *call), call_free);
    g_source_set_static_name(source, "ScOwner");
    g_source_attach(source, context);
    g_source_unref(source);
}

void sc_owner_call(ScOwnerFunc func, gpointer data)
{
    gboolean is_done = FALSE;

    if (g_thread_self() == thread) {
        func(data);
        return;
    }
    add(&(Call){ .func = func, .data = data, .is_done = &is_done });
    g_mutex_lock(&call_mutex);
    while (!is_done) {
        g_cond_wait(&call_done, &call_mutex);
    }
    g_mutex_unlock(&call_mutex);
}

void sc_owner_post(ScOwnerFunc func, gpointer data, GDestroyNotify notify)
{
    add(&(Call){ .func = func, .data = data, .notify = notify });
}
