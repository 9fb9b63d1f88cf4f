/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small server made of a listener and viewers, coded pictures to serve, and spice-probe as the
 * client, all in the test's main loop. Everything that waits has a deadline and fails the test.
 */
#pragma once

#include "server/listener.h"
#include "server/viewer.h"

#include <gio/gio.h>

#define HARNESS_DEADLINE (60 * G_TIME_SPAN_SECOND)

typedef struct Harness Harness;

/* A viewer and what it told. */
typedef struct {
    Harness *harness;
    ScViewer *viewer; /* NULL once freed */
    ScCodec codec;
    guint n_joined, n_wants_greeting, n_ready, n_wants_key, n_has_room, n_closed;
    GString *input; /* one word per event, "key=30,1 motion=5,-7 " */
} Served;

struct Harness {
    ScListener *listener;
    ScViewerConfig config;
    guint codecs;      /* of viewers to come, see sc_viewer_set_codecs() */
    GPtrArray *served; /* of Served, in the order they came */
    GPtrArray *probes;
    char *directory;
};

/* g_test_init() and gst_init(). Lets libspice-server warn, as it does of connections that break. */
void harness_init(int *argc, char ***argv);

/* @address NULL: a unix socket of its own. @password may be NULL. Viewers are sent H.264 alone, and
 * so need no greeting, unless the test sets other codecs before it starts a client. */
Harness *harness_new(const char *address, const char *password);
void harness_free(Harness *harness);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Harness, harness_free)

/* The newest viewer; waits for one. */
Served *harness_wait_viewer(Harness *harness, guint index);
Served *harness_wait_ready(Harness *harness, guint index);
void harness_free_viewer(Served *served);

/* All of @packets (of ScPacket), each when the viewer has room for it. */
void harness_send_all(Served *served, GPtrArray *packets);

/* Runs the main loop until @condition. */
#define HARNESS_WAIT(condition)                                                                    \
    G_STMT_START                                                                                   \
    {                                                                                              \
        gint64 harness_deadline = g_get_monotonic_time() + HARNESS_DEADLINE;                       \
        while (!(condition)) {                                                                     \
            g_assert_cmpint(g_get_monotonic_time(), <, harness_deadline);                          \
            harness_iterate();                                                                     \
        }                                                                                          \
    }                                                                                              \
    G_STMT_END

/* One turn of the main loop, which lasts at most a few milliseconds. */
void harness_iterate(void);
void harness_run(gint64 duration);

/* @first .. @first + @n - 1 of the test pattern, a key frame every @key_interval. */
GPtrArray *harness_encode(ScCodec codec, int width, int height, guint first, guint n,
                          guint key_interval);

/* spice-probe as a child. */
typedef struct {
    GSubprocess *process;
    GDataInputStream *output;
    GCancellable *reading;
    GPtrArray *lines; /* of char *, all of its output up to now */
    guint next;       /* where probe_wait() goes on */
} ProbeChild;

/* @options: more command line words, NULL-terminated; may be NULL. */
ProbeChild *harness_probe(Harness *harness, const char *const *options);
/* The next line, from where the last wait ended, that begins with @prefix. */
const char *probe_wait(ProbeChild *probe, const char *prefix);
/* Waits for the picture of frame @number at this size. */
void probe_wait_frame(ProbeChild *probe, guint number, int width, int height);
/* What it is told to type will arrive. Does not move where probe_wait() goes on. */
void probe_wait_inputs(ProbeChild *probe);
/* The value of "key=" in @line, as a number; -1 if it has none. */
gint64 probe_get(const char *line, const char *key);
void probe_tell(ProbeChild *probe, const char *format, ...) G_GNUC_PRINTF(2, 3);
void probe_signal(ProbeChild *probe, int signal);
/* Its exit status. */
int probe_finish(ProbeChild *probe);
