/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who reads a resource's pages directly: counts the dmabufs that were made of them and tells when
 * the last one is gone, on whatever thread that happens.
 *
 * Thread: the owner thread, but for what is said otherwise. Callbacks come from the main context
 *         that was the thread default at sc_gpu_lease_new().
 */
#pragma once

#include "capture/dmabuf.h"

G_BEGIN_DECLS

typedef struct ScGpuLease ScGpuLease;

ScGpuLease *sc_gpu_lease_new(void);
ScGpuLease *sc_gpu_lease_ref(ScGpuLease *lease);
void sc_gpu_lease_unref(ScGpuLease *lease); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScGpuLease, sc_gpu_lease_unref)

/* Counts @dmabuf, by its release function, until its last reference goes. */
void sc_gpu_lease_add(ScGpuLease *lease, ScDmabuf *dmabuf);

gboolean sc_gpu_lease_is_over(const ScGpuLease *lease);

/* Calls @func once, when it is over; it must not be over yet. NULL: no longer. */
void sc_gpu_lease_wait(ScGpuLease *lease, void (*func)(gpointer data), gpointer data);

G_END_DECLS
