/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VMM and a guest's driver in one, to drive a vhost-user device in this very process: it speaks
 * the protocol, owns the guest's memory and lays out the rings, rightly or (by hand) wrongly.
 *
 * Whatever waits runs the default main context meanwhile, where the device lives.
 */
#pragma once

#include <glib.h>
#include <linux/virtio_ring.h>

#define VMM_QUEUES 2
#define VMM_RING_SIZE 64
#define VMM_REGIONS 2

#define VMM_LOW_SIZE (8 << 20)                        /* of region 0, at guest address 0 */
#define VMM_HIGH_SIZE (24 << 20)                      /* of region 1 */
#define VMM_HIGH_BASE G_GUINT64_CONSTANT(0x100000000) /* where region 1 begins */
#define VMM_USER_BASE G_GUINT64_CONSTANT(0x7f0000000000)
#define VMM_HIGH_USER (VMM_USER_BASE + G_GUINT64_CONSTANT(0x1000000000))

/* Requests, docs/interop/vhost-user.rst of QEMU. */
enum {
    VMM_GET_FEATURES = 1,
    VMM_SET_FEATURES = 2,
    VMM_SET_OWNER = 3,
    VMM_RESET_OWNER = 4,
    VMM_SET_MEM_TABLE = 5,
    VMM_SET_VRING_NUM = 8,
    VMM_SET_VRING_ADDR = 9,
    VMM_SET_VRING_BASE = 10,
    VMM_GET_VRING_BASE = 11,
    VMM_SET_VRING_KICK = 12,
    VMM_SET_VRING_CALL = 13,
    VMM_SET_VRING_ERR = 14,
    VMM_GET_PROTOCOL_FEATURES = 15,
    VMM_SET_PROTOCOL_FEATURES = 16,
    VMM_GET_QUEUE_NUM = 17,
    VMM_SET_VRING_ENABLE = 18,
    VMM_SET_BACKEND_REQ_FD = 21,
    VMM_GET_CONFIG = 24,
    VMM_SET_CONFIG = 25,
    VMM_GPU_SET_SOCKET = 33,
    VMM_RESET_DEVICE = 34,
    VMM_GET_MAX_MEM_SLOTS = 36,
    VMM_ADD_MEM_REG = 37,
    VMM_REM_MEM_REG = 38,
};

#define VMM_NEED_REPLY 0x8

typedef struct {
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    guint64 desc_address; /* of the guest; the others follow behind */
    int kick, call;
    guint16 seen_used; /* what vmm_wait_used() has told */
    guint16 next_desc; /* a ring of 64 is not soon used up */
    guint interrupts;
} VmmQueue;

typedef struct {
    guint64 guest, size, user, offset;
} VmmRegion;

typedef struct {
    int fd;      /* the connection */
    int backend; /* our end of the device's own requests, -1 until vmm_start() */
    int memfd;
    guint8 *memory; /* regions one after the other */
    guint64 features;
    gboolean event_idx;
    guint64 next_free; /* of vmm_alloc() */
    VmmQueue queues[VMM_QUEUES];
} Vmm;

typedef struct {
    guint64 address;
    guint32 length;
    gboolean to_write; /* by the device */
} VmmSegment;

/* Connects; the memory exists, but nothing was said yet. @seals: of the memory's file. */
Vmm *vmm_new(const char *path, int seals);
void vmm_free(Vmm *vmm);

/* The whole greeting; @features are accepted in addition to VERSION_1. */
void vmm_start(Vmm *vmm, guint64 features);

/* Protocol. @fds are not taken. */
void vmm_send(Vmm *vmm, guint32 request, guint32 flags, gconstpointer payload, gsize size,
              const int *fds, guint n_fds);
/* Waits for the answer; the size of its payload, -1 if the device hung up instead. */
gssize vmm_receive(Vmm *vmm, guint32 request, gpointer payload, gsize size);
guint64 vmm_ask_u64(Vmm *vmm, guint32 request);
/* Sends with NEED_REPLY; the device's verdict, 0 is good; G_MAXUINT64 if it hung up. */
guint64 vmm_order(Vmm *vmm, guint32 request, gconstpointer payload, gsize size, const int *fds,
                  guint n_fds);
guint64 vmm_order_state(Vmm *vmm, guint32 request, guint32 index, guint32 value);
VmmRegion vmm_get_region(guint index);
guint64 vmm_set_memory(Vmm *vmm);
void vmm_start_queue(Vmm *vmm, guint index, guint32 base);
guint32 vmm_stop_queue(Vmm *vmm, guint index);
gboolean vmm_is_hung_up(Vmm *vmm);

/* Memory. Allocations are never freed; vmm_alloc_high() ones are in region 1. */
guint64 vmm_alloc(Vmm *vmm, gsize size, gsize align);
gpointer vmm_at(Vmm *vmm, guint64 address);

/* Rings. A chain made available; the head's number. */
guint16 vmm_add(Vmm *vmm, guint index, const VmmSegment *segments, guint n);
guint16 vmm_add_indirect(Vmm *vmm, guint index, const VmmSegment *segments, guint n);
/* As it stands, head and all. */
void vmm_add_head(Vmm *vmm, guint index, guint16 head);
void vmm_kick(Vmm *vmm, guint index);

/* Waits until the device has given back @n more; the last entry of the used ring. */
struct vring_used_elem vmm_wait_used(Vmm *vmm, guint index, guint n);
/* How many it has given back and vmm_wait_used() has not told. */
guint vmm_count_used(Vmm *vmm, guint index);
/* Interrupts since the last call. */
guint vmm_take_interrupts(Vmm *vmm, guint index);

/* Runs the main context until it has nothing to do, or for some milliseconds. */
void vmm_settle(void);
void vmm_run(guint milliseconds);

/* The next descriptor the kernel would hand out: the same before and after means none leaked. */
int vmm_next_fd(void);

/* Open descriptors of this process. */
guint vmm_count_fds(void);
