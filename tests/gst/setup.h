/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tests of the plugin share: GStreamer with the plugin of this build, and a look at what is
 * left behind.
 *
 * Thread: the main thread.
 */
#pragma once

#include <gst/check/gstharness.h>
#include <gst/gst.h>

G_BEGIN_DECLS

/* To be called first in main(). */
void setup_init(int *argc, char ***argv);

/* After g_test_run(), whose result is passed on if nothing of GStreamer's is left alive. */
int setup_finish(int result);

/* A message of @types from @bus, waited for; the caller's. Warnings of GLib's are none. */
GstMessage *setup_wait(GstBus *bus, GstMessageType types);

/* Waits for an error of @pipeline and asserts that its message contains @text, and the message or
 * what is there for who looks closer @hint. */
void setup_expect_error(GstElement *pipeline, GQuark domain, int code, const char *text,
                        const char *hint);

/* gst_parse_launch(), and asserts that it works. */
GstElement *setup_launch(const char *description);

/* Waits for what other threads do: wait_until() of tests/fence/child.h is for the main context. */
#define SETUP_POLL(condition)                                                                      \
    G_STMT_START                                                                                   \
    {                                                                                              \
        gint64 poll_end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;                            \
        while (!(condition)) {                                                                     \
            if (g_get_monotonic_time() > poll_end) {                                               \
                g_error("%s:%d: still not: %s", __FILE__, __LINE__, #condition);                   \
            }                                                                                      \
            g_main_context_iteration(NULL, FALSE);                                                 \
            g_usleep(2000);                                                                        \
        }                                                                                          \
    }                                                                                              \
    G_STMT_END

G_END_DECLS
