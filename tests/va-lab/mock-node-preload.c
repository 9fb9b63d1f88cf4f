/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes terminals that umockdev puts at /dev/dri/renderD128 and 129 pass for DRM render nodes: the
 * four functions of libdrm that stand between a VA driver and the kernel. Preloaded by mock-node.
 *
 * Where the kernel would take a dmabuf, this takes a memfd that /dev/udmabuf would take (sealed
 * against shrinking), or, for memory of a GPU's own, a file without a name on a disk; with the
 * kernel's rules: one handle for one buffer, however often it is imported, until that handle is
 * closed.
 *
 * And it keeps failing opens in /dev away from libumockdev-preload 0.17, which loses one of its 50
 * places with each of them and then aborts: who asks for /dev/udmabuf with each buffer gets there.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xf86drm.h>

#define MAX_HANDLES 1024 /* more than any test imports at a time */

static dev_t foreign_terminal; /* 0: none */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    dev_t device;
    ino_t inode; /* 0: free */
} handles[MAX_HANDLES];

int drmGetNodeTypeFromFd(int fd)
{
    return DRM_NODE_RENDER;
}

drmVersionPtr drmGetVersion(int fd)
{
    drmVersionPtr version = calloc(1, sizeof(*version));
    if (!version)
        return NULL;
    /* drmFreeVersion() frees the strings. */
    version->version_major = 1;
    version->name = strdup("vgem");
    version->name_len = strlen("vgem");
    version->date = strdup("0");
    version->date_len = 1;
    version->desc = strdup("pretended");
    version->desc_len = strlen("pretended");
    return version;
}

static int is_dmabuf(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat status;
    if (seals < 0)
        return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 0;
    return seals & F_SEAL_SHRINK;
}

/* The index of the buffer, else of a free place, else -1. */
static int find(const struct stat *status)
{
    int found = -1;
    for (int i = 0; i < MAX_HANDLES; i++) {
        if (handles[i].inode == status->st_ino && handles[i].device == status->st_dev)
            return i;
        if (handles[i].inode == 0 && found < 0)
            found = i;
    }
    return found;
}

/* Whether it is the node that is told to take no dmabufs. */
static int is_foreign(int fd)
{
    struct stat status;
    return foreign_terminal != 0 && fstat(fd, &status) == 0 && status.st_rdev == foreign_terminal;
}

int drmPrimeFDToHandle(int fd, int prime_fd, uint32_t *handle)
{
    struct stat status;
    if (fstat(prime_fd, &status) < 0)
        return -1;
    if (!is_dmabuf(prime_fd) || is_foreign(fd)) {
        errno = EINVAL;
        return -1;
    }
    pthread_mutex_lock(&lock);
    int index = find(&status);
    if (index >= 0) {
        handles[index].device = status.st_dev;
        handles[index].inode = status.st_ino;
        *handle = index + 1;
    }
    pthread_mutex_unlock(&lock);
    if (index < 0)
        errno = ENOSPC;
    return index < 0 ? -1 : 0;
}

int drmCloseBufferHandle(int fd, uint32_t handle)
{
    pthread_mutex_lock(&lock);
    int known = handle >= 1 && handle <= MAX_HANDLES && handles[handle - 1].inode != 0;
    if (known)
        handles[handle - 1].inode = 0;
    pthread_mutex_unlock(&lock);
    if (!known)
        errno = EINVAL;
    return known ? 0 : -1;
}

typedef int (*OpenFunction)(const char *path, int flags, ...);

static int open_with(const char *function, const char *path, int flags, va_list arguments)
{
    OpenFunction next = (OpenFunction)dlsym(RTLD_NEXT, function);
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE)
        return next(path, flags, va_arg(arguments, mode_t));
    if (strncmp(path, "/dev/", strlen("/dev/")) == 0 && access(path, F_OK) < 0)
        return -1;
    int fd = next(path, flags);
    const char *foreign = getenv("SCANCAST_LAB_FOREIGN");
    struct stat status;
    if (fd >= 0 && foreign && strcmp(path, foreign) == 0 && fstat(fd, &status) == 0)
        foreign_terminal = status.st_rdev;
    return fd;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int fd = open_with("open", path, flags, arguments);
    va_end(arguments);
    return fd;
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int fd = open_with("open64", path, flags, arguments);
    va_end(arguments);
    return fd;
}
