/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A dmabuf: memory of a guest (or a GPU) shared as a file descriptor, with its layout.
 *
 * Lifetime: reference counted; the last unref closes the descriptors and unmaps.
 * Thread:   the owner thread, except sc_dmabuf_ref/unref, which any thread may call.
 * Units:    bytes and pixels. Plane 0 is at most SC_MAX_DIMENSION in either direction.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define SC_DMABUF_MAX_PLANES 4 /* as in DRM framebuffers, drm_mode_fb_cmd2 in <drm_mode.h> */

typedef struct ScDmabuf ScDmabuf;

typedef struct {
    guint32 width, height;
    guint32 fourcc;   /* DRM_FORMAT_* */
    guint64 modifier; /* DRM_FORMAT_MOD_*; DRM_FORMAT_MOD_INVALID when the link does not tell */
    guint n_planes;   /* 1 to SC_DMABUF_MAX_PLANES */
    struct {
        int fd;
        guint32 offset;
        guint32 stride;
    } planes[SC_DMABUF_MAX_PLANES];
} ScDmabufLayout;

/*
 * Takes the descriptors in @layout, also on failure; planes may share one number, which is then
 * closed once. Fails with SC_ERROR_INVALID if sizes, strides or offsets cannot be true.
 */
ScDmabuf *sc_dmabuf_new(const ScDmabufLayout *layout, GError **error);

ScDmabuf *sc_dmabuf_ref(ScDmabuf *dmabuf);
void sc_dmabuf_unref(ScDmabuf *dmabuf); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScDmabuf, sc_dmabuf_unref)

/* @func is called once, on the thread that drops the last reference, when the descriptors are
 * closed and nothing is mapped any more. */
void sc_dmabuf_set_release_func(ScDmabuf *dmabuf, GDestroyNotify func, gpointer data);

/* Valid as long as @dmabuf; the descriptors stay ours. */
const ScDmabufLayout *sc_dmabuf_get_layout(const ScDmabuf *dmabuf);

/* Size in bytes of the memory behind plane @plane, 0 if the kernel does not tell. */
guint64 sc_dmabuf_get_size(const ScDmabuf *dmabuf, guint plane);

/* What identifies the memory while anybody holds it open: descriptors are dup'ed and their numbers
 * reused, the inode is not. Two dmabufs with equal keys and layouts show the same memory. */
guint64 sc_dmabuf_get_inode(const ScDmabuf *dmabuf);

/* TRUE if the CPU reads it like any memory, laid out as the guest's drivers say: pages of a guest
 * (udmabuf), of a dma-buf heap, or no dmabuf at all but a memfd. What GPUs export may be far away,
 * uncached or tiled. */
gboolean sc_dmabuf_is_system_memory(ScDmabuf *dmabuf);

/* TRUE if @layout describes the same memory in the same way (compares inodes, not fd numbers). */
gboolean sc_dmabuf_matches(const ScDmabuf *dmabuf, const ScDmabufLayout *layout);

/*
 * Maps plane 0 for reading (once, the mapping is kept) and tells the kernel that the CPU reads
 * (DMA_BUF_IOCTL_SYNC, <linux/dma-buf.h>). @data points at the plane's first row. Only linear,
 * single-plane formats of capture/format.h can be read. End each successful begin.
 */
gboolean sc_dmabuf_begin_read(ScDmabuf *dmabuf, const guint8 **data, GError **error);
void sc_dmabuf_end_read(ScDmabuf *dmabuf);

G_END_DECLS
