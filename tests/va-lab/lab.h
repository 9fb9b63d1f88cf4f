/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tests need that run on the software VA driver: the driver in place, dmabufs to feed it, and
 * its trace. They run alike on a pretended render node (mock-node) and on a real one (with-driver,
 * in the virtual machine of vm/).
 *
 * Thread: the main thread.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The GStreamer plugins that tests may use, for --plugins of with-driver and mock-node. */
#define SC_LAB_PLUGINS "app,coreelements,libav,va,videoparsersbad,x264"

/*
 * To be called first in main(): unless the lab is set up already, runs the program again with
 * @argv under mock-node. Exits with 77 (skipped) and says why if that is not possible.
 */
void sc_lab_enter(char **argv);

/* Memory shared as a descriptor: a dmabuf where the kernel has /dev/udmabuf, else a memfd that the
 * pretended node takes for one. */
typedef struct {
    int fd;
    guint8 *data; /* mapped for writing */
    gsize size;   /* whole pages */
    guint64 inode;
} ScLabBuffer;

/* Never NULL: aborts the test if there is no memory. */
ScLabBuffer *sc_lab_buffer_new(gsize size);
void sc_lab_buffer_free(ScLabBuffer *buffer); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScLabBuffer, sc_lab_buffer_free)

/* One line of the driver's trace (tests/va-driver/README.md). */
typedef struct {
    gint64 time; /* monotonic microseconds */
    char *event;
    GHashTable *values; /* key → value, both strings; "reason" goes to the end of the line */
} ScLabEvent;

/* Lets drivers that are loaded from now on write a new trace file, removed with the trace. */
typedef struct ScLabTrace ScLabTrace;

ScLabTrace *sc_lab_trace_new(void);
void sc_lab_trace_free(ScLabTrace *trace); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScLabTrace, sc_lab_trace_free)

/* Reads what is there now. */
void sc_lab_trace_read(ScLabTrace *trace);

/*
 * How many of the events that were read are called @event and have all of the keys and values that
 * follow, strings in pairs up to a NULL: sc_lab_trace_count(trace, "import", "result", "ok", NULL).
 */
guint sc_lab_trace_count(ScLabTrace *trace, const char *event, ...) G_GNUC_NULL_TERMINATED;

/* The @nth (from 0) of those, NULL if there are not so many. Valid until the next read. */
const ScLabEvent *sc_lab_trace_find(ScLabTrace *trace, guint nth, const char *event,
                                    ...) G_GNUC_NULL_TERMINATED;

/* A value of an event; NULL if it has no such key. */
const char *sc_lab_event_get(const ScLabEvent *event, const char *key);
guint64 sc_lab_event_get_number(const ScLabEvent *event, const char *key); /* 0 if there is none */

G_END_DECLS
