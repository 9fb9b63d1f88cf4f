/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/spice-core.h"

#include "capture/timer.h"

struct SpiceWatch {
    GSource base;
    int fd;
    int mask;
    gpointer tag; /* NULL while nothing is waited for */
    SpiceWatchFunc func;
    void *opaque;
};

/* All there are, for sc_spice_core_poke(). */
static GList *watches;

static SpiceTimer *core_timer_add(SpiceTimerFunc func, void *opaque)
{
    return (SpiceTimer *)sc_timer_new(func, opaque);
}

static void core_timer_start(SpiceTimer *timer, uint32_t ms)
{
    sc_timer_set_after((ScTimer *)timer, ms * G_GINT64_CONSTANT(1000));
}

static void core_timer_cancel(SpiceTimer *timer)
{
    sc_timer_cancel((ScTimer *)timer);
}

static void core_timer_remove(SpiceTimer *timer)
{
    sc_timer_free((ScTimer *)timer);
}

static gboolean watch_check(GSource *source)
{
    SpiceWatch *watch = (SpiceWatch *)source;

    return watch->tag != NULL && g_source_query_unix_fd(source, watch->tag) != 0;
}

static gboolean watch_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    SpiceWatch *watch = (SpiceWatch *)source;
    GIOCondition condition = 0;
    int event = 0;

    /* What was dispatched just before may have changed the mask. */
    if (watch->tag != NULL) {
        condition = g_source_query_unix_fd(source, watch->tag);
    }
    /* A connection that broke is reported as whatever is waited for: the read or write fails. */
    if (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR)) {
        event |= SPICE_WATCH_EVENT_READ;
    }
    if (condition & (G_IO_OUT | G_IO_HUP | G_IO_ERR)) {
        event |= SPICE_WATCH_EVENT_WRITE;
    }
    if (event & watch->mask) {
        watch->func(watch->fd, event & watch->mask, watch->opaque);
    }
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs watch_funcs = {
    .check = watch_check,
    .dispatch = watch_dispatch,
};

static void core_watch_update_mask(SpiceWatch *watch, int mask)
{
    GSource *source = &watch->base;
    GIOCondition condition = 0;

    if (watch->mask == mask) {
        return;
    }
    watch->mask = mask;
    if (mask & SPICE_WATCH_EVENT_READ) {
        condition |= G_IO_IN;
    }
    if (mask & SPICE_WATCH_EVENT_WRITE) {
        condition |= G_IO_OUT;
    }
    /* Errors are polled for whatever the condition is, so waiting for nothing needs no entry. */
    if (condition == 0) {
        g_source_remove_unix_fd(source, g_steal_pointer(&watch->tag));
    } else if (watch->tag == NULL) {
        watch->tag = g_source_add_unix_fd(source, watch->fd, condition);
    } else {
        g_source_modify_unix_fd(source, watch->tag, condition);
    }
}

static SpiceWatch *core_watch_add(int fd, int mask, SpiceWatchFunc func, void *opaque)
{
    SpiceWatch *watch = (SpiceWatch *)g_source_new(&watch_funcs, sizeof(SpiceWatch));

    watch->fd = fd;
    watch->func = func;
    watch->opaque = opaque;
    g_source_set_static_name(&watch->base, "SpiceWatch");
    core_watch_update_mask(watch, mask);
    g_source_attach(&watch->base, g_main_context_get_thread_default());
    watches = g_list_prepend(watches, watch);
    return watch;
}

static void core_watch_remove(SpiceWatch *watch)
{
    watches = g_list_remove(watches, watch);
    g_source_destroy(&watch->base);
    g_source_unref(&watch->base);
}

void sc_spice_core_init(SpiceCoreInterface *core,
                        void (*channel_event)(int event, SpiceChannelEventInfo *info))
{
    *core = (SpiceCoreInterface){
        .base = { SPICE_INTERFACE_CORE, "scancast", SPICE_INTERFACE_CORE_MAJOR,
                  SPICE_INTERFACE_CORE_MINOR },
        .timer_add = core_timer_add,
        .timer_start = core_timer_start,
        .timer_cancel = core_timer_cancel,
        .timer_remove = core_timer_remove,
        .watch_add = core_watch_add,
        .watch_update_mask = core_watch_update_mask,
        .watch_remove = core_watch_remove,
        .channel_event = channel_event,
    };
}

void sc_spice_core_poke(int fd)
{
    for (GList *item = watches; item != NULL; item = item->next) {
        SpiceWatch *watch = item->data;

        if (watch->fd == fd) {
            watch->func(fd, SPICE_WATCH_EVENT_READ, watch->opaque);
            return;
        }
    }
}
