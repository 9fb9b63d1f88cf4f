/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/reaper.h"

#include <stdlib.h>

typedef struct {
    char *name;
    void (*func)(gpointer data);
    gpointer data;
    GThread *thread;
    gboolean done;
} Task;

static GMutex reaper_mutex; /* protects what follows */
static GCond reaper_cond;
static GList *reaper_tasks;

static gpointer task_run(gpointer data)
{
    Task *task = data;

    task->func(task->data);

    g_mutex_lock(&reaper_mutex);
    task->done = TRUE;
    g_cond_broadcast(&reaper_cond);
    g_mutex_unlock(&reaper_mutex);
    return NULL;
}

/* Joins the threads that have done their work: they are about to end, nothing is waited for. */
static void join_done(void)
{
    for (GList *item = reaper_tasks, *next; item != NULL; item = next) {
        Task *task = item->data;

        next = item->next;
        if (task->done) {
            reaper_tasks = g_list_delete_link(reaper_tasks, item);
            g_thread_join(task->thread);
            g_free(task->name);
            g_free(task);
        }
    }
}

/* Else exit() would pull the libraries from under the feet of threads that are a few ms from
 * their end. */
static void wait_at_exit(void)
{
    sc_reaper_wait(SC_REAPER_EXIT_WAIT);
}

void sc_reaper_run(const char *name, void (*func)(gpointer data), gpointer data)
{
    static gsize registered;
    Task *task = g_new0(Task, 1);

    if (g_once_init_enter(&registered)) {
        atexit(wait_at_exit);
        g_once_init_leave(&registered, 1);
    }
    task->name = g_strdup(name);
    task->func = func;
    task->data = data;

    g_mutex_lock(&reaper_mutex);
    join_done();
    reaper_tasks = g_list_prepend(reaper_tasks, task);
    task->thread = g_thread_new("sc-reaper", task_run, task);
    g_mutex_unlock(&reaper_mutex);
}

gboolean sc_reaper_wait(gint64 timeout_us)
{
    gint64 end = g_get_monotonic_time() + timeout_us;
    gboolean in_time = TRUE;

    g_mutex_lock(&reaper_mutex);
    for (;;) {
        join_done();
        if (reaper_tasks == NULL || !in_time) {
            break;
        }
        in_time = g_cond_wait_until(&reaper_cond, &reaper_mutex, end);
    }
    for (GList *item = reaper_tasks; item != NULL; item = item->next) {
        g_warning("giving up on %s: it does not stop", ((Task *)item->data)->name);
    }
    in_time = reaper_tasks == NULL;
    g_mutex_unlock(&reaper_mutex);
    return in_time;
}
