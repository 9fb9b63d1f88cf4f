/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program that is told what to do by lines and reports in lines (gl-host, rude-host, a QEMU
 * monitor), in a process of its own: it may hang, crash or be killed without the test doing so.
 * It dies with the test; what it says on standard error counts as lines, too.
 *
 * Thread: one; the waiting functions run the default main context meanwhile. What does not come
 * within 20 s fails the test.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define TEST_DEADLINE_US (60 * G_USEC_PER_SEC)

typedef struct Child Child;

/* @program: a path relative to the test program. The arguments end with NULL. */
Child *child_new(const char *program, ...) G_GNUC_NULL_TERMINATED;

/* Kills it if it still runs. If it has ended by itself, not well, and nobody has waited for that or
 * killed it afterwards, the test fails. */
void child_free(Child *child);

/* By SIGKILL, and waits for the end. NULL is ignored. */
void child_kill(Child *child);

void child_signal(Child *child, int signal_number);

/* By itself. */
gboolean child_has_ended(const Child *child);

/* Waits until it ends by itself; its exit status, -1 if it was a signal. */
int child_wait(Child *child);

void child_say(Child *child, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* child_say() and waits for a line that begins with "ok". */
void child_ask(Child *child, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Waits for a line that begins with @prefix among those not yet taken, and takes it; the result is
 * what follows the prefix, to be freed. */
char *child_expect(Child *child, const char *prefix);

/* The same without waiting: NULL if there is none. */
char *child_take(Child *child, const char *prefix);

/* Waits for it to say anything, without running the main context. */
void child_wait_readable(Child *child);

/* Lines that came so far and begin with @prefix, taken or not. */
guint child_count(Child *child, const char *prefix);

/* Runs the main context until @condition holds; fails the test at the deadline. */
#define wait_until(condition)                                                                      \
    G_STMT_START                                                                                   \
    {                                                                                              \
        gint64 wait_end = g_get_monotonic_time() + TEST_DEADLINE_US;                               \
        while (!(condition)) {                                                                     \
            if (!iterate_until(wait_end)) {                                                        \
                g_error("%s:%d: still not: %s", __FILE__, __LINE__, #condition);                   \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    G_STMT_END

/* One iteration, at most until @end; FALSE when that is past. */
gboolean iterate_until(gint64 end);

/* Runs the main context for @us: for proving that something does not happen. */
void iterate_for(gint64 us);

/* Of this process. */
guint count_open_fds(void);

G_END_DECLS
