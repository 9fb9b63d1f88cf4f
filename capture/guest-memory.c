/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/guest-memory.h"

#include "capture/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct ScGuestRegion {
    guint ref_count;
    ScGuestRegionInfo info;
    int fd;
    guint64 device, inode; /* of the file */
    gboolean is_sealed;    /* the file cannot shrink */
    guint8 *map;           /* begins at a page, so perhaps before the region */
    gsize map_size;
    guint8 *data;
};

struct ScGuestMemory {
    GPtrArray *regions; /* ScGuestRegion */
};

/* ---- regions ---------------------------------------------------------------------------- */

ScGuestRegion *sc_guest_region_ref(ScGuestRegion *region)
{
    region->ref_count++;
    return region;
}

void sc_guest_region_unref(ScGuestRegion *region)
{
    if (region == NULL || --region->ref_count > 0) {
        return;
    }
    if (region->map != NULL) {
        munmap(region->map, region->map_size);
    }
    if (region->fd >= 0) {
        close(region->fd);
    }
    g_free(region);
}

guint8 *sc_guest_region_get_data(const ScGuestRegion *region)
{
    return region->data;
}

int sc_guest_region_get_fd(const ScGuestRegion *region)
{
    return region->fd;
}

guint64 sc_guest_region_get_file_offset(const ScGuestRegion *region)
{
    return region->info.file_offset;
}

static gboolean region_fits_file(const ScGuestRegion *region)
{
    struct stat info;

    return fstat(region->fd, &info) == 0 && info.st_size >= 0 &&
           region->info.file_offset + region->info.size <= (guint64)info.st_size;
}

gboolean sc_guest_region_is_sealed(const ScGuestRegion *region)
{
    return region->is_sealed;
}

gboolean sc_guest_region_is_cut(const ScGuestRegion *region)
{
    return !region->is_sealed && !region_fits_file(region);
}

static gboolean check_info(const ScGuestRegionInfo *info, GError **error)
{
    guint64 end;

    if (info->size == 0 || !g_uint64_checked_add(&end, info->guest_address, info->size) ||
        !g_uint64_checked_add(&end, info->user_address, info->size) ||
        !g_uint64_checked_add(&end, info->file_offset, info->size) || end > G_MAXINT64) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "a region of 0x%" G_GINT64_MODIFIER "x bytes at 0x%" G_GINT64_MODIFIER
                    "x, offset 0x%" G_GINT64_MODIFIER "x, cannot be",
                    info->size, info->guest_address, info->file_offset);
        return FALSE;
    }
    return TRUE;
}

/* @block: of the file; its huge pages are mapped as a whole. */
static gboolean map_region(ScGuestRegion *region, guint64 block, GError **error)
{
    guint64 page = MAX(block, (guint64)sysconf(_SC_PAGESIZE));
    guint64 lead = region->info.file_offset % page;
    guint64 size = (lead + region->info.size + page - 1) / page * page;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd,
                     (off_t)(region->info.file_offset - lead));

    if (map == MAP_FAILED) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED,
                    "0x%" G_GINT64_MODIFIER "x bytes of guest memory cannot be mapped: %s",
                    region->info.size, g_strerror(errno));
        return FALSE;
    }
    region->map = map;
    region->map_size = size;
    region->data = region->map + lead;
    return TRUE;
}

/* Takes @fd, also on failure. */
static ScGuestRegion *region_new(const ScGuestRegionInfo *info, int fd, GError **error)
{
    g_autoptr(ScGuestRegion) region = g_new0(ScGuestRegion, 1);
    struct stat file;
    int seals;

    region->ref_count = 1;
    region->info = *info;
    region->fd = fd;
    if (!check_info(info, error)) {
        return NULL;
    }
    if (fstat(fd, &file) != 0 || !region_fits_file(region)) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "a region of 0x%" G_GINT64_MODIFIER "x bytes reaches past the end of its file; "
                    "guest memory must be shared (memory-backend-memfd,share=on)",
                    info->size);
        return NULL;
    }
    region->device = file.st_dev;
    region->inode = file.st_ino;
    seals = fcntl(fd, F_GET_SEALS);
    region->is_sealed = seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
    return map_region(region, (guint64)MAX(file.st_blksize, 0), error) ? g_steal_pointer(&region)
                                                                       : NULL;
}

static gboolean ranges_overlap(guint64 a, guint64 a_size, guint64 b, guint64 b_size)
{
    return a < b + b_size && b < a + a_size;
}

/* ---- all of them ------------------------------------------------------------------------ */

ScGuestMemory *sc_guest_memory_new(void)
{
    ScGuestMemory *memory = g_new0(ScGuestMemory, 1);

    memory->regions = g_ptr_array_new_with_free_func((GDestroyNotify)sc_guest_region_unref);
    return memory;
}

void sc_guest_memory_free(ScGuestMemory *memory)
{
    if (memory == NULL) {
        return;
    }
    g_ptr_array_unref(memory->regions);
    g_free(memory);
}

/* Takes @region, also on failure. */
static gboolean insert_region(ScGuestMemory *memory, ScGuestRegion *region, GError **error)
{
    g_autoptr(ScGuestRegion) owned = region;
    const ScGuestRegionInfo *info = &region->info;

    if (memory->regions->len >= SC_GUEST_MEMORY_MAX_REGIONS) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "more than %d regions of guest memory",
                    SC_GUEST_MEMORY_MAX_REGIONS);
        return FALSE;
    }
    for (guint i = 0; i < memory->regions->len; i++) {
        const ScGuestRegionInfo *other = &((ScGuestRegion *)memory->regions->pdata[i])->info;

        if (ranges_overlap(info->guest_address, info->size, other->guest_address, other->size) ||
            ranges_overlap(info->user_address, info->size, other->user_address, other->size)) {
            g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                        "the region at 0x%" G_GINT64_MODIFIER "x overlaps another one",
                        info->guest_address);
            return FALSE;
        }
    }
    g_ptr_array_add(memory->regions, g_steal_pointer(&owned));
    return TRUE;
}

gboolean sc_guest_memory_add(ScGuestMemory *memory, const ScGuestRegionInfo *info, int fd,
                             GError **error)
{
    ScGuestRegion *region = region_new(info, fd, error);

    return region != NULL && insert_region(memory, region, error);
}

gboolean sc_guest_memory_remove(ScGuestMemory *memory, const ScGuestRegionInfo *info,
                                GError **error)
{
    for (guint i = 0; i < memory->regions->len; i++) {
        const ScGuestRegionInfo *other = &((ScGuestRegion *)memory->regions->pdata[i])->info;

        if (other->guest_address == info->guest_address && other->size == info->size &&
            other->user_address == info->user_address) {
            g_ptr_array_remove_index(memory->regions, i);
            return TRUE;
        }
    }
    g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                "there is no region of 0x%" G_GINT64_MODIFIER "x bytes at 0x%" G_GINT64_MODIFIER
                "x to remove",
                info->size, info->guest_address);
    return FALSE;
}

/* The same part of the same file at the same place, whatever the descriptor's number. */
static ScGuestRegion *find_same(GPtrArray *regions, const ScGuestRegionInfo *info, int fd)
{
    struct stat file;

    if (fstat(fd, &file) != 0) {
        return NULL;
    }
    for (guint i = 0; i < regions->len; i++) {
        ScGuestRegion *region = regions->pdata[i];

        if (memcmp(&region->info, info, sizeof *info) == 0 && region->inode == file.st_ino &&
            region->device == file.st_dev) {
            return region;
        }
    }
    return NULL;
}

gboolean sc_guest_memory_set(ScGuestMemory *memory, const ScGuestRegionInfo *infos, const int *fds,
                             guint n, GError **error)
{
    g_autoptr(GPtrArray) before = g_steal_pointer(&memory->regions);
    gboolean good = TRUE;

    memory->regions = g_ptr_array_new_with_free_func((GDestroyNotify)sc_guest_region_unref);
    for (guint i = 0; i < n; i++) {
        ScGuestRegion *same = good ? find_same(before, &infos[i], fds[i]) : NULL;

        if (!good || same != NULL) {
            close(fds[i]);
        }
        if (same != NULL) {
            good = insert_region(memory, sc_guest_region_ref(same), error);
        } else if (good) {
            good = sc_guest_memory_add(memory, &infos[i], fds[i], error);
        }
    }
    if (!good) {
        g_ptr_array_set_size(memory->regions, 0);
    }
    return good;
}

guint sc_guest_memory_count(const ScGuestMemory *memory)
{
    return memory->regions->len;
}

gboolean sc_guest_memory_is_cut(const ScGuestMemory *memory)
{
    for (guint i = 0; i < memory->regions->len; i++) {
        if (sc_guest_region_is_cut(memory->regions->pdata[i])) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean sc_guest_memory_find(const ScGuestMemory *memory, guint64 address, guint64 length,
                              ScGuestRange *range)
{
    for (guint i = 0; i < memory->regions->len && length > 0; i++) {
        ScGuestRegion *region = memory->regions->pdata[i];

        if (address >= region->info.guest_address &&
            address - region->info.guest_address < region->info.size) {
            range->region = region;
            range->offset = address - region->info.guest_address;
            range->length = MIN(length, region->info.size - range->offset);
            return TRUE;
        }
    }
    return FALSE;
}

guint8 *sc_guest_memory_find_user(const ScGuestMemory *memory, guint64 address, guint64 length)
{
    for (guint i = 0; i < memory->regions->len; i++) {
        const ScGuestRegion *region = memory->regions->pdata[i];
        guint64 offset = address - region->info.user_address;

        if (address >= region->info.user_address && offset < region->info.size &&
            length <= region->info.size - offset) {
            return region->data + offset;
        }
    }
    return NULL;
}

gboolean sc_guest_memory_read(const ScGuestMemory *memory, guint64 address, void *to, gsize length)
{
    guint8 *next = to;
    ScGuestRange range;

    while (length > 0) {
        if (!sc_guest_memory_find(memory, address, length, &range)) {
            return FALSE;
        }
        memcpy(next, range.region->data + range.offset, range.length);
        next += range.length;
        length -= range.length;
        address += range.length;
    }
    return TRUE;
}

gboolean sc_guest_memory_write(const ScGuestMemory *memory, guint64 address, const void *from,
                               gsize length)
{
    const guint8 *next = from;
    ScGuestRange range;

    while (length > 0) {
        if (!sc_guest_memory_find(memory, address, length, &range)) {
            return FALSE;
        }
        memcpy(range.region->data + range.offset, next, range.length);
        next += range.length;
        length -= range.length;
        address += range.length;
    }
    return TRUE;
}
