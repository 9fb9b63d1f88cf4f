/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's memory as its VMM shares it: regions, each a part of a file that is mapped here.
 *
 * Everything a guest or VMM names is looked up in these regions, and nothing else can be reached
 * through them. A region is reference counted: who remembers a range keeps what is behind it, also
 * when the VMM takes the region away.
 *
 * Thread: the owner thread.
 * Units:  bytes.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct ScGuestMemory ScGuestMemory;
typedef struct ScGuestRegion ScGuestRegion;

/* As in VHOST_USER_SET_MEM_TABLE, docs/interop/vhost-user.rst of QEMU. */
typedef struct {
    guint64 guest_address; /* what the guest calls physical */
    guint64 size;
    guint64 user_address; /* where the VMM has it; rings are named by this */
    guint64 file_offset;
} ScGuestRegionInfo;

#define SC_GUEST_MEMORY_MAX_REGIONS 512 /* as KVM and QEMU have it */

ScGuestMemory *sc_guest_memory_new(void);
void sc_guest_memory_free(ScGuestMemory *memory); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScGuestMemory, sc_guest_memory_free)

/*
 * Takes @fd, also on failure. Fails (SC_ERROR_*) if the region overlaps another one, reaches past
 * the end of its file, or cannot be mapped.
 */
gboolean sc_guest_memory_add(ScGuestMemory *memory, const ScGuestRegionInfo *info, int fd,
                             GError **error);

/* The region that @info describes (its file offset does not count). FALSE if there is none. */
gboolean sc_guest_memory_remove(ScGuestMemory *memory, const ScGuestRegionInfo *info,
                                GError **error);

/*
 * Replaces all regions; takes the @n descriptors, also on failure, after which there is no region.
 * Those that were there before stay the same objects.
 */
gboolean sc_guest_memory_set(ScGuestMemory *memory, const ScGuestRegionInfo *infos, const int *fds,
                             guint n, GError **error);

guint sc_guest_memory_count(const ScGuestMemory *memory);

/* The file behind some region has become shorter than the region, so that touching it would end
 * this process. */
gboolean sc_guest_memory_is_cut(const ScGuestMemory *memory);

/* A piece of one region. */
typedef struct {
    ScGuestRegion *region; /* a reference, where that is said */
    guint64 offset;        /* in the region */
    guint64 length;
} ScGuestRange;

/*
 * What lies at a guest's address: at most @length bytes, fewer where the region ends (the next may
 * follow seamlessly). FALSE if nothing is there or @length is 0. The region's reference stays the
 * memory's: use it before anything else happens, or take your own.
 */
gboolean sc_guest_memory_find(const ScGuestMemory *memory, guint64 address, guint64 length,
                              ScGuestRange *range);

/* The pointer for all of @length bytes at an address of the VMM's; NULL if they are not inside one
 * region. Valid until the regions change. */
guint8 *sc_guest_memory_find_user(const ScGuestMemory *memory, guint64 address, guint64 length);

/* Copies between the guest's memory and ours. FALSE if not all of it is there; what was copied
 * until then stays copied. */
gboolean sc_guest_memory_read(const ScGuestMemory *memory, guint64 address, void *to, gsize length);
gboolean sc_guest_memory_write(const ScGuestMemory *memory, guint64 address, const void *from,
                               gsize length);

ScGuestRegion *sc_guest_region_ref(ScGuestRegion *region);
void sc_guest_region_unref(ScGuestRegion *region); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScGuestRegion, sc_guest_region_unref)

/* Where the region's first byte is mapped, for reading and writing. */
guint8 *sc_guest_region_get_data(const ScGuestRegion *region);

/* The file can no longer shrink (F_SEAL_SHRINK), as QEMU's memory-backend-memfd sees to. */
gboolean sc_guest_region_is_sealed(const ScGuestRegion *region);

/* The file has become shorter than the region. Asks the kernel, unless it is sealed. */
gboolean sc_guest_region_is_cut(const ScGuestRegion *region);

/* The file it is a part of, and where it begins there. The descriptor stays the region's. */
int sc_guest_region_get_fd(const ScGuestRegion *region);
guint64 sc_guest_region_get_file_offset(const ScGuestRegion *region);

G_END_DECLS
