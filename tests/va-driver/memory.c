/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/memory.h"

#include "tests/va-driver/error.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xf86drm.h>

struct ScVaHandles {
    GMutex lock;
    int drm_fd;
    GHashTable *counts; /* GEM handle → number of imports */
};

ScVaHandles *sc_va_handles_new(int drm_fd)
{
    ScVaHandles *handles = g_new0(ScVaHandles, 1);
    g_mutex_init(&handles->lock);
    handles->drm_fd = drm_fd;
    handles->counts = g_hash_table_new(NULL, NULL);
    return handles;
}

void sc_va_handles_free(ScVaHandles *handles)
{
    g_hash_table_unref(handles->counts);
    g_mutex_clear(&handles->lock);
    g_free(handles);
}

static gboolean open_handle(ScVaHandles *handles, int fd, guint32 *handle, GError **error)
{
    g_mutex_lock(&handles->lock);
    gboolean ok = drmPrimeFDToHandle(handles->drm_fd, fd, handle) == 0;
    int problem = errno;
    if (ok) {
        gpointer key = GUINT_TO_POINTER(*handle);
        guint count = GPOINTER_TO_UINT(g_hash_table_lookup(handles->counts, key));
        g_hash_table_insert(handles->counts, key, GUINT_TO_POINTER(count + 1));
    }
    g_mutex_unlock(&handles->lock);
    return ok || sc_va_error_false(error, VA_STATUS_ERROR_INVALID_PARAMETER,
                                   "the DRM node does not import it: %s", g_strerror(problem));
}

static void close_handle(ScVaHandles *handles, guint32 handle)
{
    gpointer key = GUINT_TO_POINTER(handle);
    g_mutex_lock(&handles->lock);
    guint count = GPOINTER_TO_UINT(g_hash_table_lookup(handles->counts, key));
    if (count > 1) {
        g_hash_table_insert(handles->counts, key, GUINT_TO_POINTER(count - 1));
    } else {
        g_hash_table_remove(handles->counts, key);
        if (drmCloseBufferHandle(handles->drm_fd, handle) < 0)
            g_critical("GEM handle %u: %s", handle, g_strerror(errno)); /* we lost count */
    }
    g_mutex_unlock(&handles->lock);
}

static int make_dmabuf(int memfd, gsize size)
{
    int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
    if (device < 0)
        return -1;
    struct udmabuf_create create = {
        .memfd = memfd,
        .flags = UDMABUF_FLAGS_CLOEXEC,
        .size = size,
    };
    int fd = ioctl(device, UDMABUF_CREATE, &create);
    close(device);
    return fd;
}

static gboolean map(ScVaMemory *memory, GError **error)
{
    struct stat status;
    if (fstat(memory->fd, &status) < 0)
        return sc_va_error_false(error, VA_STATUS_ERROR_INVALID_PARAMETER, "descriptor: %s",
                                 g_strerror(errno));
    memory->inode = status.st_ino;

    memory->is_writable = TRUE;
    memory->data = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
    if (memory->data == MAP_FAILED) {
        memory->is_writable = FALSE;
        memory->data = mmap(NULL, memory->size, PROT_READ, MAP_SHARED, memory->fd, 0);
    }
    if (memory->data != MAP_FAILED)
        return TRUE;
    memory->data = NULL;
    return sc_va_error_false(error, VA_STATUS_ERROR_ALLOCATION_FAILED, "mapping it: %s",
                             g_strerror(errno));
}

gboolean sc_va_memory_allocate(ScVaMemory *memory, gsize size, GError **error)
{
    ScVaMemory new = { .fd = -1, .size = (size + 4095) / 4096 * 4096 };
    int memfd = memfd_create("scancast-va", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memfd < 0 || ftruncate(memfd, new.size) < 0 ||
        fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK) < 0) { /* udmabuf insists on this seal */
        sc_va_error_false(error, VA_STATUS_ERROR_ALLOCATION_FAILED, "memory: %s",
                          g_strerror(errno));
        if (memfd >= 0)
            close(memfd);
        return FALSE;
    }
    new.fd = make_dmabuf(memfd, new.size);
    if (new.fd < 0)
        new.fd = memfd;
    else
        close(memfd);
    if (!map(&new, error)) {
        sc_va_memory_clear(&new, NULL);
        return FALSE;
    }
    *memory = new;
    return TRUE;
}

gboolean sc_va_memory_import(ScVaMemory *memory, ScVaHandles *handles, int fd, GError **error)
{
    ScVaMemory new = { .is_imported = TRUE };
    if (!open_handle(handles, fd, &new.handle, error))
        return FALSE;
    new.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    off_t size = lseek(fd, 0, SEEK_END); /* how dmabufs tell their size */
    if (new.fd < 0 || size <= 0) {
        sc_va_error_false(error, VA_STATUS_ERROR_INVALID_PARAMETER, "its size is unknown: %s",
                          g_strerror(errno));
        sc_va_memory_clear(&new, handles);
        return FALSE;
    }
    new.size = size;
    if (!map(&new, error)) {
        sc_va_memory_clear(&new, handles);
        return FALSE;
    }
    *memory = new;
    return TRUE;
}

void sc_va_memory_clear(ScVaMemory *memory, ScVaHandles *handles)
{
    if (memory->data)
        munmap(memory->data, memory->size);
    if (memory->is_imported)
        close_handle(handles, memory->handle);
    if (memory->fd >= 0)
        close(memory->fd);
    *memory = (ScVaMemory){ .fd = -1 };
}

static void synchronize(const ScVaMemory *memory, guint64 flags)
{
    struct dma_buf_sync sync = { .flags = flags };
    /* ENOTTY: a memfd that stands for a dmabuf. */
    while (ioctl(memory->fd, DMA_BUF_IOCTL_SYNC, &sync) < 0 && (errno == EINTR || errno == EAGAIN))
        ;
}

static guint64 direction(gboolean write)
{
    return write ? DMA_BUF_SYNC_RW : DMA_BUF_SYNC_READ;
}

void sc_va_memory_begin(const ScVaMemory *memory, gboolean write)
{
    synchronize(memory, DMA_BUF_SYNC_START | direction(write));
}

void sc_va_memory_end(const ScVaMemory *memory, gboolean write)
{
    synchronize(memory, DMA_BUF_SYNC_END | direction(write));
}
