/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory behind surfaces: dmabufs, our own (from /dev/udmabuf; a bare memfd where the kernel has
 * none) or imported ones.
 *
 * An import goes through the DRM node as a real driver's does, and only then is mapped; the kernel
 * gives one handle for one dmabuf however often it is imported, so handles are counted here.
 *
 * Thread: any.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct ScVaHandles ScVaHandles;

/* @drm_fd stays the caller's. */
ScVaHandles *sc_va_handles_new(int drm_fd);
void sc_va_handles_free(ScVaHandles *handles);

typedef struct {
    int fd;
    guint8 *data;
    gsize size;
    gboolean is_writable;
    gboolean is_imported;
    guint32 handle; /* GEM handle of an import */
    guint64 inode;  /* what identifies the memory, whatever the number of the descriptor */
} ScVaMemory;

/* Both set *@memory on success only; end with sc_va_memory_clear(). @fd stays the caller's. */
gboolean sc_va_memory_allocate(ScVaMemory *memory, gsize size, GError **error);
gboolean sc_va_memory_import(ScVaMemory *memory, ScVaHandles *handles, int fd, GError **error);

void sc_va_memory_clear(ScVaMemory *memory, ScVaHandles *handles);

/* Bracket reading (and writing) by the CPU: DMA_BUF_IOCTL_SYNC of <linux/dma-buf.h>. */
void sc_va_memory_begin(const ScVaMemory *memory, gboolean write);
void sc_va_memory_end(const ScVaMemory *memory, gboolean write);

G_END_DECLS
