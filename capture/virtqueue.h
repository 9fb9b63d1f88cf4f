/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The device's end of a split virtqueue (virtio 1.2, section 2.7), with indirect descriptors and
 * event indices.
 *
 * The rings lie in the guest's memory and change at any time: what is read there is copied once and
 * checked then. Nothing in them can make this code read or write anything but guest memory, or go
 * on for longer than the rings are long.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/guest-memory.h"

G_BEGIN_DECLS

#define SC_VIRTQUEUE_MAX_SIZE 1024 /* entries; QEMU's limit (VIRTQUEUE_MAX_SIZE) */

typedef struct ScVirtqueue ScVirtqueue;

/* @memory must stay. */
ScVirtqueue *sc_virtqueue_new(ScGuestMemory *memory);
void sc_virtqueue_free(ScVirtqueue *queue); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScVirtqueue, sc_virtqueue_free)

/* ---- setting up: for capture/vhost-user.c ------------------------------------------------ */

/* FALSE if @size is no power of two or too large. */
gboolean sc_virtqueue_set_size(ScVirtqueue *queue, guint32 size);

/* Addresses of the VMM (sc_guest_memory_find_user). FALSE if the rings are not in memory or not
 * aligned; the queue cannot be used then. */
gboolean sc_virtqueue_set_rings(ScVirtqueue *queue, guint64 desc, guint64 avail, guint64 used);

/* The memory's regions have changed: looks the rings up again. */
void sc_virtqueue_remap(ScVirtqueue *queue);

/* The next entry of the available ring. */
void sc_virtqueue_set_base(ScVirtqueue *queue, guint16 base);
guint16 sc_virtqueue_get_base(const ScVirtqueue *queue);

/* Whether the feature VIRTIO_RING_F_EVENT_IDX was negotiated. */
void sc_virtqueue_set_event_idx(ScVirtqueue *queue, gboolean has_event_idx);

/* The eventfd that interrupts the guest, -1 for none. Takes it; closes the one before. */
void sc_virtqueue_set_call(ScVirtqueue *queue, int fd);

/* Nothing is popped from a queue that is not enabled. FALSE at first. */
void sc_virtqueue_set_enabled(ScVirtqueue *queue, gboolean enabled);

/* Back to the beginning: not enabled, no rings. What was negotiated stays. */
void sc_virtqueue_reset(ScVirtqueue *queue);

/* ---- at work ---------------------------------------------------------------------------- */

typedef struct {
    guint64 address; /* of the guest */
    guint32 length;
} ScVirtqueueSegment;

/* A chain of descriptors, copied. */
typedef struct {
    guint16 head;
    guint n_out, n_in;
    gsize out_size, in_size;       /* bytes that the guest gives, bytes it has room for */
    ScVirtqueueSegment segments[]; /* first those that the guest gives */
} ScVirtqueueElement;

/*
 * What the guest has made available, NULL if there is nothing (left). Chains that are malformed
 * (they loop, or leave the ring) are given back at once, empty. A guest that claims more than the
 * ring can hold breaks the queue until it is reset.
 *
 * The caller frees the result with g_free(); that alone does not give it back to the guest.
 */
ScVirtqueueElement *sc_virtqueue_pop(ScVirtqueue *queue);

/* Whether sc_virtqueue_pop() would find something; asks the guest for a kick when it does not. */
gboolean sc_virtqueue_wait(ScVirtqueue *queue);

/* Copies out of what the guest gives, from @offset on. FALSE if there is less, or not in memory. */
gboolean sc_virtqueue_read(const ScVirtqueue *queue, const ScVirtqueueElement *element,
                           gsize offset, void *to, gsize size);

/* Copies to the beginning of what the guest has room for. Returns how much: less than @size if
 * there is less room or memory. */
gsize sc_virtqueue_write(const ScVirtqueue *queue, const ScVirtqueueElement *element,
                         const void *from, gsize size);

/* Gives @element back with @written bytes in it; the guest hears of it at sc_virtqueue_notify(). */
void sc_virtqueue_push(ScVirtqueue *queue, const ScVirtqueueElement *element, gsize written);

/* Interrupts the guest, once for all that was pushed, if it wants that. */
void sc_virtqueue_notify(ScVirtqueue *queue);

gboolean sc_virtqueue_is_broken(const ScVirtqueue *queue);

/* Interrupts so far, for tests and benches. */
guint64 sc_virtqueue_count_calls(const ScVirtqueue *queue);

G_END_DECLS
