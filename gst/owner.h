/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The owner thread of all elements of this process: what capture/ and server/ call by that name. It
 * has a main context of its own, so that applications need not run one.
 *
 * Thread: any. Functions given to it run in the order in which they were given, and must not wait
 *         for anything that waits for this thread.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef void (*ScOwnerFunc)(gpointer data);

/* The thread runs as long as anybody holds it. */
void sc_owner_hold(void);

/* The last one waits for what has been given to it, and for what libraries put off. */
void sc_owner_release(void);

/* Only while it is held. Waits until @func has returned; on the owner thread @func is called at
 * once. */
void sc_owner_call(ScOwnerFunc func, gpointer data);

/* Only while it is held. Waits for nothing. @notify, or NULL, frees @data afterwards. */
void sc_owner_post(ScOwnerFunc func, gpointer data, GDestroyNotify notify);

G_END_DECLS
