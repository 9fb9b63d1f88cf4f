/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The resources of a virtio-gpu device (virtio 1.2, section 5.7.6): buffers that the guest draws
 * in.
 *
 * The contents of a resource are in one of two places:
 *   live    in the guest's own pages: blobs, and 2D resources that a dmabuf could be made of.
 *           Transfers have nothing to do.
 *   copied  in memory of ours, which transfers fill: all other 2D resources.
 *
 * Thread: the owner thread.
 * Errors: what a command failed for is told by the codes of the specification,
 *         VIRTIO_GPU_RESP_ERR_* of <linux/virtio_gpu.h>; VIRTIO_GPU_RESP_OK_NODATA is success.
 */
#pragma once

#include "capture/guest-buffer.h"
#include "capture/scanout.h"
#include "capture/virtio-gpu-lease.h"
#include <linux/virtio_gpu.h>

G_BEGIN_DECLS

/* What all resources of a guest may cost this host: pixels, and what is known of them. Two
 * framebuffers of 8K, or eight of 4K, fit. */
#define SC_GPU_MAX_BYTES (512 * 1024 * 1024)

/* Pieces of one backing; 64 MiB in single pages are 16384. */
#define SC_GPU_MAX_ENTRIES 65536

/* Making a dmabuf costs as much as copying 16 to 32 KiB (tests/bench/bench-vhost-user), and using
 * it costs more than using memory: pointers and icons are copied. */
#define SC_GPU_MIN_DMABUF_BYTES (64 * 1024)

/* Dmabufs at a time; each costs this process one descriptor (two while it is shown), of which most
 * systems give 1024, and the kernel memory. What comes later is copied. */
#define SC_GPU_MAX_DMABUFS 128

/* A picture that is shown: one of 8192x8192. A blob's may be larger than the guest's memory, for
 * its pages may repeat, and its copy would be of this host's. */
#define SC_GPU_MAX_PICTURE_BYTES (256 * 1024 * 1024)

/* A picture in a resource. */
typedef struct {
    guint32 width, height; /* pixels */
    guint32 stride;        /* bytes */
    guint32 fourcc;        /* DRM_FORMAT_* */
    guint64 offset;        /* bytes, of the first row */
} ScGpuLayout;

/* Makes a dmabuf of a buffer: sc_udmabuf_new(). */
typedef int (*ScGpuDmabufFunc)(const ScGuestBuffer *buffer, GError **error);

typedef struct ScGpuResources ScGpuResources;
typedef struct ScGpuResource ScGpuResource;

ScGpuResources *sc_gpu_resources_new(ScGpuDmabufFunc make_dmabuf);
void sc_gpu_resources_free(ScGpuResources *resources); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScGpuResources, sc_gpu_resources_free)

/* Black at first. @format: VIRTIO_GPU_FORMAT_*. */
guint32 sc_gpu_resources_create_2d(ScGpuResources *resources, guint32 id, guint32 format,
                                   guint32 width, guint32 height);
guint32 sc_gpu_resources_create_blob(ScGpuResources *resources, guint32 id, guint32 blob_mem,
                                     guint64 size);

/* NULL if there is none. The result stays the table's. */
ScGpuResource *sc_gpu_resources_find(const ScGpuResources *resources, guint32 id);

/* Ends the resource. Returns what is to be waited for before the guest may use the pages for
 * something else; NULL: nothing. */
ScGpuLease *sc_gpu_resources_remove(ScGpuResources *resources, ScGpuResource *resource);

void sc_gpu_resources_remove_all(ScGpuResources *resources);

guint sc_gpu_resources_count(const ScGpuResources *resources);

/* DRM's name for a format of virtio-gpu (which names bytes in memory); 0: there is no such. */
guint32 sc_gpu_format_to_fourcc(guint32 format);

guint32 sc_gpu_resource_get_id(const ScGpuResource *resource);
gboolean sc_gpu_resource_is_blob(const ScGpuResource *resource);
gboolean sc_gpu_resource_is_live(const ScGpuResource *resource);

/* The whole picture of a 2D resource; zeroes for a blob. */
const ScGpuLayout *sc_gpu_resource_get_layout(const ScGpuResource *resource);

/* Whether @layout lies inside the resource. */
gboolean sc_gpu_resource_has_layout(const ScGpuResource *resource, const ScGpuLayout *layout);

/* A random UUID of 16 bytes, the same each time. */
const guint8 *sc_gpu_resource_get_uuid(ScGpuResource *resource);

gboolean sc_gpu_resource_has_backing(const ScGpuResource *resource);

/* Takes @backing, also on failure. */
guint32 sc_gpu_resource_attach(ScGpuResource *resource, ScGuestBuffer *backing);

/* As sc_gpu_resources_remove(). What a 2D resource showed stays. */
ScGpuLease *sc_gpu_resource_detach(ScGpuResource *resource);

/* From @offset of the backing on into the rectangle. @is_urgent: now; else it may be put off until
 * sc_gpu_resource_settle(), by when the guest may have drawn more. */
guint32 sc_gpu_resource_transfer(ScGpuResource *resource, const struct virtio_gpu_rect *rect,
                                 guint64 offset, gboolean is_urgent);

/* Makes up for the transfers that were put off. */
void sc_gpu_resource_settle(ScGpuResource *resource);

/*
 * The picture as a scanout; @direct: as a dmabuf of the guest's pages, which is possible for live
 * resources only, and not for all. Valid until the next call, or the resource changes. NULL if
 * there is no such.
 */
ScScanout *sc_gpu_resource_get_scanout(ScGpuResource *resource, const ScGpuLayout *layout,
                                       gboolean direct);

/* Copies the part @region of the picture; @to has rows @to_stride apart. FALSE if it is not there.
 */
gboolean sc_gpu_resource_copy(ScGpuResource *resource, const ScGpuLayout *layout,
                              const pixman_region32_t *region, guint8 *to, guint32 to_stride);

G_END_DECLS
