/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commands of a virtio-gpu device's control queue (virtio 1.2, section 5.7.6.8), each from a
 * request in the guest's memory to a response in ours. Whatever the request says, the answer is a
 * code of the specification.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/virtio-gpu-display.h"
#include "capture/virtqueue.h"

G_BEGIN_DECLS

/* What commands work on. */
typedef struct {
    ScGuestMemory *memory;
    ScVirtqueue *queue;
    ScGpuResources *resources;
    ScGpuDisplay *display;
    gboolean has_blobs;  /* the feature was negotiated */
    guint width, height; /* the size that the guest should have */
} ScGpuContext;

typedef union {
    struct virtio_gpu_ctrl_hdr header;
    struct virtio_gpu_resp_display_info display_info;
    struct virtio_gpu_resp_edid edid;
    struct virtio_gpu_resp_resource_uuid uuid;
} ScGpuResponse;

/* One command. */
typedef struct {
    const ScVirtqueueElement *element;
    struct virtio_gpu_ctrl_hdr header; /* copied from there */
    ScFlush *flush;                    /* for RESOURCE_FLUSH: the guest waits; NULL: it does not */

    /* Filled in: */
    ScGpuResponse response;
    gsize response_size;
    gboolean is_flush_taken; /* the answer must wait for @flush */
    ScGpuLease *lease;       /* the answer must wait for this; the caller's; NULL: nothing */
} ScGpuCall;

void sc_gpu_context_execute(ScGpuContext *context, ScGpuCall *call);

G_END_DECLS
