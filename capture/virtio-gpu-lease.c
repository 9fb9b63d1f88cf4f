/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/virtio-gpu-lease.h"

struct ScGpuLease {
    gatomicrefcount ref_count; /* each dmabuf has one */
    GMainContext *context;
    gint n_dmabufs; /* atomic */
    void (*func)(gpointer data);
    gpointer data;
};

ScGpuLease *sc_gpu_lease_new(void)
{
    ScGpuLease *lease = g_new0(ScGpuLease, 1);

    g_atomic_ref_count_init(&lease->ref_count);
    lease->context = g_main_context_ref_thread_default();
    return lease;
}

ScGpuLease *sc_gpu_lease_ref(ScGpuLease *lease)
{
    g_atomic_ref_count_inc(&lease->ref_count);
    return lease;
}

void sc_gpu_lease_unref(ScGpuLease *lease)
{
    if (lease == NULL || !g_atomic_ref_count_dec(&lease->ref_count)) {
        return;
    }
    g_main_context_unref(lease->context);
    g_free(lease);
}

static gboolean tell(gpointer data)
{
    ScGpuLease *lease = data;
    void (*func)(gpointer data) = lease->func;

    if (sc_gpu_lease_is_over(lease) && func != NULL) {
        lease->func = NULL;
        func(lease->data);
    }
    return G_SOURCE_REMOVE;
}

/* On any thread. Never told at once, lest the guest's rings are touched from inside a library. */
static void on_released(gpointer data)
{
    ScGpuLease *lease = data;

    if (g_atomic_int_dec_and_test(&lease->n_dmabufs)) {
        g_autoptr(GSource) source = g_idle_source_new();

        g_source_set_priority(source, G_PRIORITY_DEFAULT);
        g_source_set_callback(source, tell, lease, (GDestroyNotify)sc_gpu_lease_unref);
        g_source_attach(source, lease->context);
    } else {
        sc_gpu_lease_unref(lease);
    }
}

void sc_gpu_lease_add(ScGpuLease *lease, ScDmabuf *dmabuf)
{
    g_atomic_int_inc(&lease->n_dmabufs);
    sc_dmabuf_set_release_func(dmabuf, on_released, sc_gpu_lease_ref(lease));
}

gboolean sc_gpu_lease_is_over(const ScGpuLease *lease)
{
    return g_atomic_int_get(&lease->n_dmabufs) == 0;
}

void sc_gpu_lease_wait(ScGpuLease *lease, void (*func)(gpointer data), gpointer data)
{
    lease->func = func;
    lease->data = data;
}
