/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/udmabuf.h"

#include "capture/error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEVICE "/dev/udmabuf"

static gboolean check_range(const ScGuestRange *range, guint64 page, GError **error)
{
    int fd = sc_guest_region_get_fd(range->region);
    int seals = fcntl(fd, F_GET_SEALS);
    guint64 offset = sc_guest_region_get_file_offset(range->region) + range->offset;

    if (seals < 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "the guest's memory is no memfd; QEMU has memory-backend-memfd for that");
        return FALSE;
    }
    if (!(seals & F_SEAL_SHRINK) || (seals & F_SEAL_WRITE)) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "the guest's memory is not sealed against shrinking; QEMU's "
                    "memory-backend-memfd does it with seal=on");
        return FALSE;
    }
    if (offset % page != 0 || range->length % page != 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "the buffer is not made of whole pages");
        return FALSE;
    }
    return TRUE;
}

static struct udmabuf_create_list *make_list(const ScGuestBuffer *buffer, GError **error)
{
    guint64 page = (guint64)sysconf(_SC_PAGESIZE);
    guint n = sc_guest_buffer_count(buffer);
    g_autofree struct udmabuf_create_list *list =
        g_malloc0(sizeof *list + n * sizeof(struct udmabuf_create_item));

    list->flags = UDMABUF_FLAGS_CLOEXEC;
    list->count = n;
    for (guint i = 0; i < n; i++) {
        const ScGuestRange *range = sc_guest_buffer_get(buffer, i);

        if (!check_range(range, page, error)) {
            return NULL;
        }
        list->list[i].memfd = (guint32)sc_guest_region_get_fd(range->region);
        list->list[i].offset = sc_guest_region_get_file_offset(range->region) + range->offset;
        list->list[i].size = range->length;
    }
    return g_steal_pointer(&list);
}

static const char *get_remedy(int failure)
{
    switch (failure) {
    case ENOENT:
        return "; load the kernel's module udmabuf";
    case EACCES:
    case EPERM:
        return "; add the user to the group it belongs to (kvm on Debian)";
    case EINVAL:
        return "; the kernel's module udmabuf has limits, list_limit and size_limit_mb";
    default:
        return "";
    }
}

static void set_system_error(GError **error, int failure)
{
    g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "%s: %s%s", DEVICE, g_strerror(failure),
                get_remedy(failure));
}

int sc_udmabuf_new(const ScGuestBuffer *buffer, GError **error)
{
    g_autofree struct udmabuf_create_list *list = NULL;
    int device = open(DEVICE, O_RDWR | O_CLOEXEC);
    int fd;

    if (device < 0) {
        set_system_error(error, errno);
        return -1;
    }
    list = make_list(buffer, error);
    if (list == NULL) {
        close(device);
        return -1;
    }
    fd = ioctl(device, UDMABUF_CREATE_LIST, list);
    if (fd < 0) {
        set_system_error(error, errno);
    }
    close(device);
    return fd;
}
