/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtio-gpu device (virtio 1.2, section 5.7) for any VMM that speaks vhost-user: it sees the
 * guest's own commands, makes the dmabufs of the guest's pages and owns the guest's fences.
 *
 * Fences: a command with VIRTIO_GPU_FLAG_FENCE is answered when it is done and all earlier ones
 * with that flag were answered: RESOURCE_FLUSH, where pages are shown directly, when its ScFlush
 * completes. Commands without it are answered at once. Only RESOURCE_UNREF and DETACH_BACKING wait
 * in either case, until nobody here reads the pages any more, but not for ever.
 *
 * Thread: the owner thread; the listener is called from the main context that was the thread
 * default at sc_virtio_gpu_new(), and from inside sc_virtio_gpu_set_watched().
 */
#pragma once

#include "capture/cursor.h"
#include "capture/frame.h"
#include "capture/virtio-gpu-resource.h"

G_BEGIN_DECLS

typedef struct ScVirtioGpu ScVirtioGpu;

/* The longest the guest waits for its pages to be let go of; an encode takes some ms. */
#define SC_VIRTIO_GPU_RELEASE_DEADLINE (250 * G_TIME_SPAN_MILLISECOND)

/* As the members of ScSourceListener. All are mandatory. */
typedef struct {
    void (*linked)(gboolean is_linked, const char *reason, gpointer data);
    void (*scanout)(ScScanout *scanout, gpointer data);
    void (*frame)(ScFrame *frame, gpointer data);
    void (*cursor_shape)(ScCursor *cursor, gpointer data);
    void (*cursor_position)(int x, int y, gpointer data);
} ScVirtioGpuListener;

/* @path: where the VMM connects. @listener must stay. Fails with SC_ERROR_INVALID if @path cannot
 * be that of a socket. */
ScVirtioGpu *sc_virtio_gpu_new(const char *path, ScGpuDmabufFunc make_dmabuf,
                               const ScVirtioGpuListener *listener, gpointer data, GError **error);

/* Drops the guest's flushes; tells the listener nothing more. NULL is ignored. */
void sc_virtio_gpu_free(ScVirtioGpu *gpu);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScVirtioGpu, sc_virtio_gpu_free)

/* Once. */
gboolean sc_virtio_gpu_listen(ScVirtioGpu *gpu, GError **error);

/* Whether anybody looks. FALSE at first. */
void sc_virtio_gpu_set_watched(ScVirtioGpu *gpu, gboolean watched);

/* The size that the guest should give its first output; told to it. */
void sc_virtio_gpu_set_size(ScVirtioGpu *gpu, guint width, guint height);

G_END_DECLS
