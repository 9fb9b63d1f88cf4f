/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/dmabuf.h"

#include "capture/error.h"
#include "capture/format.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the memory is. */
typedef enum { WHERE_UNKNOWN, WHERE_SYSTEM, WHERE_ELSEWHERE } Where;

struct ScDmabuf {
    gatomicrefcount ref_count;
    ScDmabufLayout layout;
    guint64 inode;
    guint64 sizes[SC_DMABUF_MAX_PLANES]; /* 0: the kernel does not tell */
    guint8 *map;                         /* plane 0's whole memory, NULL until read */
    GDestroyNotify released;             /* or NULL */
    gpointer released_data;
    gboolean has_sync; /* FALSE: not a real dmabuf (a memfd), needs no ioctl */
    Where where;
};

static void layout_close(const ScDmabufLayout *layout)
{
    guint n_planes = MIN(layout->n_planes, SC_DMABUF_MAX_PLANES);

    for (guint i = 0; i < n_planes; i++) {
        gboolean closed = FALSE;

        for (guint j = 0; j < i; j++) {
            closed |= layout->planes[j].fd == layout->planes[i].fd;
        }
        if (!closed && layout->planes[i].fd >= 0) {
            close(layout->planes[i].fd);
        }
    }
}

static guint64 fd_get_size(int fd)
{
    off_t end = lseek(fd, 0, SEEK_END);

    return end > 0 ? (guint64)end : 0;
}

static gboolean fd_get_inode(int fd, guint64 *inode, GError **error)
{
    struct stat info;

    if (fstat(fd, &info) != 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "descriptor %d is not usable: %s", fd,
                    g_strerror(errno));
        return FALSE;
    }
    *inode = info.st_ino;
    return TRUE;
}

static gboolean dmabuf_check(ScDmabuf *dmabuf, GError **error)
{
    const ScDmabufLayout *layout = &dmabuf->layout;

    if (layout->n_planes < 1 || layout->n_planes > SC_DMABUF_MAX_PLANES) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "a dmabuf with %u planes", layout->n_planes);
        return FALSE;
    }
    for (guint i = 0; i < layout->n_planes; i++) {
        guint64 inode;

        if (!fd_get_inode(layout->planes[i].fd, &inode, error)) {
            return FALSE;
        }
        dmabuf->inode = i == 0 ? inode : dmabuf->inode;
        dmabuf->sizes[i] = fd_get_size(layout->planes[i].fd);
        if (dmabuf->sizes[i] > 0 && layout->planes[i].offset >= dmabuf->sizes[i]) {
            g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                        "plane %u begins at %u, past its %" G_GUINT64_FORMAT " bytes", i,
                        layout->planes[i].offset, dmabuf->sizes[i]);
            return FALSE;
        }
    }
    /* With a tiling modifier the stride means something else; whoever imports it will judge. */
    if (layout->modifier != DRM_FORMAT_MOD_LINEAR && layout->modifier != DRM_FORMAT_MOD_INVALID) {
        return sc_format_check_layout(0, layout->width, layout->height, G_MAXINT32, 0, G_MAXUINT64,
                                      error);
    }
    return sc_format_check_layout(layout->fourcc, layout->width, layout->height,
                                  layout->planes[0].stride, layout->planes[0].offset,
                                  dmabuf->sizes[0] > 0 ? dmabuf->sizes[0] : G_MAXUINT64, error);
}

ScDmabuf *sc_dmabuf_new(const ScDmabufLayout *layout, GError **error)
{
    g_autoptr(ScDmabuf) dmabuf = g_new0(ScDmabuf, 1);

    g_atomic_ref_count_init(&dmabuf->ref_count);
    dmabuf->layout = *layout;
    if (!dmabuf_check(dmabuf, error)) {
        return NULL;
    }
    return g_steal_pointer(&dmabuf);
}

ScDmabuf *sc_dmabuf_ref(ScDmabuf *dmabuf)
{
    g_atomic_ref_count_inc(&dmabuf->ref_count);
    return dmabuf;
}

void sc_dmabuf_unref(ScDmabuf *dmabuf)
{
    if (dmabuf == NULL || !g_atomic_ref_count_dec(&dmabuf->ref_count)) {
        return;
    }
    if (dmabuf->map != NULL) {
        munmap(dmabuf->map, dmabuf->sizes[0]);
    }
    layout_close(&dmabuf->layout);
    if (dmabuf->released != NULL) {
        dmabuf->released(dmabuf->released_data);
    }
    g_free(dmabuf);
}

void sc_dmabuf_set_release_func(ScDmabuf *dmabuf, GDestroyNotify func, gpointer data)
{
    dmabuf->released = func;
    dmabuf->released_data = data;
}

const ScDmabufLayout *sc_dmabuf_get_layout(const ScDmabuf *dmabuf)
{
    return &dmabuf->layout;
}

guint64 sc_dmabuf_get_size(const ScDmabuf *dmabuf, guint plane)
{
    g_return_val_if_fail(plane < dmabuf->layout.n_planes, 0);

    return dmabuf->sizes[plane];
}

guint64 sc_dmabuf_get_inode(const ScDmabuf *dmabuf)
{
    return dmabuf->inode;
}

static gboolean is_in_system(int fd)
{
    /* dma_buf_show_fdinfo() in the kernel's drivers/dma-buf/dma-buf.c; names as in udmabuf.c and
     * heaps/system_heap.c there. */
    static const char *const exporters[] = { "exp_name:\tudmabuf\n", "exp_name:\tsystem\n" };
    g_autofree char *path = g_strdup_printf("/proc/self/fdinfo/%d", fd);
    g_autofree char *info = NULL;

    /* Of memfds the kernel knows the seals; a file on a disk is nothing that a VMM shows. */
    if (fcntl(fd, F_GET_SEALS) >= 0) {
        return TRUE;
    }
    if (!g_file_get_contents(path, &info, NULL, NULL)) {
        return FALSE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(exporters); i++) {
        if (strstr(info, exporters[i]) != NULL) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean sc_dmabuf_is_system_memory(ScDmabuf *dmabuf)
{
    if (dmabuf->where == WHERE_UNKNOWN) {
        dmabuf->where = is_in_system(dmabuf->layout.planes[0].fd) ? WHERE_SYSTEM : WHERE_ELSEWHERE;
    }
    return dmabuf->where == WHERE_SYSTEM;
}

gboolean sc_dmabuf_matches(const ScDmabuf *dmabuf, const ScDmabufLayout *layout)
{
    const ScDmabufLayout *own = &dmabuf->layout;

    if (own->width != layout->width || own->height != layout->height ||
        own->fourcc != layout->fourcc || own->modifier != layout->modifier ||
        own->n_planes != layout->n_planes) {
        return FALSE;
    }
    for (guint i = 0; i < own->n_planes; i++) {
        guint64 own_inode, inode;

        if (own->planes[i].offset != layout->planes[i].offset ||
            own->planes[i].stride != layout->planes[i].stride ||
            !fd_get_inode(own->planes[i].fd, &own_inode, NULL) ||
            !fd_get_inode(layout->planes[i].fd, &inode, NULL) || own_inode != inode) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean dmabuf_map(ScDmabuf *dmabuf, GError **error)
{
    const ScDmabufLayout *layout = &dmabuf->layout;
    g_autofree char *name = sc_format_name(layout->fourcc);
    void *map;

    if (layout->modifier != DRM_FORMAT_MOD_LINEAR && layout->modifier != DRM_FORMAT_MOD_INVALID) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "a %s buffer with modifier 0x%" G_GINT64_MODIFIER
                    "x is not linear: the CPU cannot read it",
                    name, layout->modifier);
        return FALSE;
    }
    if (layout->n_planes != 1 || sc_format_bytes_per_pixel(layout->fourcc) == 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "format %s with %u planes cannot be copied", name, layout->n_planes);
        return FALSE;
    }
    if (dmabuf->sizes[0] == 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "the size of the buffer is unknown: it is neither a dmabuf nor a file");
        return FALSE;
    }
    map = mmap(NULL, dmabuf->sizes[0], PROT_READ, MAP_SHARED, layout->planes[0].fd, 0);
    if (map == MAP_FAILED) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED, "the buffer cannot be mapped: %s",
                    g_strerror(errno));
        return FALSE;
    }
    dmabuf->map = map;
    dmabuf->has_sync = TRUE;
    return TRUE;
}

static int dmabuf_sync(const ScDmabuf *dmabuf, guint64 flags)
{
    struct dma_buf_sync sync = { .flags = flags | DMA_BUF_SYNC_READ };
    int result;

    do {
        result = ioctl(dmabuf->layout.planes[0].fd, DMA_BUF_IOCTL_SYNC, &sync);
    } while (result != 0 && (errno == EINTR || errno == EAGAIN));
    return result;
}

gboolean sc_dmabuf_begin_read(ScDmabuf *dmabuf, const guint8 **data, GError **error)
{
    if (dmabuf->map == NULL && !dmabuf_map(dmabuf, error)) {
        return FALSE;
    }
    if (dmabuf->has_sync && dmabuf_sync(dmabuf, DMA_BUF_SYNC_START) != 0) {
        if (errno != ENOTTY) {
            g_set_error(error, SC_ERROR, SC_ERROR_FAILED, "the buffer cannot be synchronised: %s",
                        g_strerror(errno));
            return FALSE;
        }
        dmabuf->has_sync = FALSE;
    }
    /* A guest's memory can shrink under us where it is not sealed: reading past its end is SIGBUS,
     * so look again each time. */
    if (fd_get_size(dmabuf->layout.planes[0].fd) < dmabuf->sizes[0]) {
        sc_dmabuf_end_read(dmabuf);
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "the buffer has shrunk");
        return FALSE;
    }
    *data = dmabuf->map + dmabuf->layout.planes[0].offset;
    return TRUE;
}

void sc_dmabuf_end_read(ScDmabuf *dmabuf)
{
    if (dmabuf->has_sync) {
        dmabuf_sync(dmabuf, DMA_BUF_SYNC_END);
    }
}
