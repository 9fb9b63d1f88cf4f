/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's virtio-gpu driver on the VMM of vmm.h, with the device it drives and what the device
 * tells, all in one process.
 */
#pragma once

#include "capture/virtio-gpu.h"
#include "tests/vhost-user/vmm.h"

#include <linux/virtio_gpu.h>

enum { CONTROL, CURSOR }; /* queues */

#define GPU_FEATURES                                                                               \
    (1 << VIRTIO_GPU_F_EDID | 1 << VIRTIO_GPU_F_RESOURCE_UUID | 1 << VIRTIO_GPU_F_RESOURCE_BLOB |  \
     G_GUINT64_CONSTANT(1) << VIRTIO_RING_F_EVENT_IDX |                                            \
     G_GUINT64_CONSTANT(1) << VIRTIO_RING_F_INDIRECT_DESC)

typedef struct {
    int first_fd;
    char *folder, *path;
    ScVirtioGpu *gpu;
    Vmm *vmm; /* NULL: none is there */

    /* What the device told. */
    guint links, unlinks, scanouts, n_frames;
    ScScanout *scanout;    /* the last one, NULL: off */
    gboolean hold;         /* keep the frames that come */
    GQueue frames;         /* of ScFrame, those kept */
    pixman_box32_t damage; /* of the last frame */
    gboolean was_awaited;  /* the last frame */
    ScCursor *cursor;      /* NULL: hidden */
    int cursor_x, cursor_y;
} Guest;

/* Where dmabufs come from: the kernel if it has udmabuf; else memfds that are copies. */
gboolean guest_has_udmabuf(void);
extern gboolean guest_refuses_dmabufs;

Guest *guest_new(void);
/* Checks that nothing has leaked. */
void guest_free(Guest *guest);
void guest_connect(Guest *guest, guint64 features);
void guest_disconnect(Guest *guest);

/* A request waits in the ring. */
typedef struct {
    guint16 head;
    guint64 response; /* its address */
} Posted;

/* Without a kick; @tail follows the request in pieces of its own. */
Posted guest_post(Guest *guest, gconstpointer request, gsize size, gconstpointer tail,
                  gsize tail_size);
/* The type in the response, 0 if there is none (yet). */
guint32 guest_get_type(Guest *guest, const Posted *posted);

/* Posts, kicks, waits. The type of the response; @response (or NULL) is filled in. */
guint32 guest_call(Guest *guest, gconstpointer request, gsize size, gconstpointer tail,
                   gsize tail_size, gpointer response, gsize response_size);
#define CALL(guest, request) guest_call(guest, &(request), sizeof(request), NULL, 0, NULL, 0)

guint32 guest_create_2d(Guest *guest, guint32 id, guint32 format, guint32 width, guint32 height);
/* @entries: of them as many as there are in @n. */
guint32 guest_create_blob(Guest *guest, guint32 id, guint64 size,
                          const struct virtio_gpu_mem_entry *entries, guint n);
guint32 guest_attach(Guest *guest, guint32 id, const struct virtio_gpu_mem_entry *entries, guint n);
guint32 guest_detach(Guest *guest, guint32 id);
guint32 guest_unref(Guest *guest, guint32 id);
guint32 guest_set_scanout(Guest *guest, guint32 scanout, guint32 id, struct virtio_gpu_rect rect);
guint32 guest_set_scanout_blob(Guest *guest, guint32 scanout, guint32 id, guint32 width,
                               guint32 height, guint32 stride, guint32 offset);
guint32 guest_transfer(Guest *guest, guint32 id, struct virtio_gpu_rect rect, guint64 offset);
guint32 guest_flush(Guest *guest, guint32 id, struct virtio_gpu_rect rect);
/* Fenced, without waiting. */
Posted guest_post_flush(Guest *guest, guint32 id, struct virtio_gpu_rect rect, guint64 fence);

#define RECT(x, y, width, height) ((struct virtio_gpu_rect){ x, y, width, height })

/* Memory of the guest, in pages that are scattered (@piece pages each) over both regions. */
typedef struct {
    struct virtio_gpu_mem_entry *entries;
    guint n;
    gsize size;
} Pages;

Pages guest_alloc_pages(Guest *guest, gsize size, guint piece);
void guest_pages_clear(Pages *pages);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pages, guest_pages_clear)

/* The words at @offset, which must not cross a page. */
guint32 *guest_page_at(Guest *guest, const Pages *pages, gsize offset);
/* Fills them with a picture of rows @stride apart in which each pixel is another: @seed, x and y.
 */
void guest_draw(Guest *guest, const Pages *pages, guint32 width, guint32 height, guint32 stride,
                guint32 offset, guint32 seed);
guint32 guest_pixel(guint32 x, guint32 y, guint32 seed);

/* Whether the scanout shows guest_draw()'s picture in @rect, which began at (0, 0) there. */
void guest_check_picture(Guest *guest, struct virtio_gpu_rect rect, guint32 seed);
void guest_check_damage(Guest *guest, int x, int y, int width, int height);

void guest_release_frame(Guest *guest, guint index);

/* The usual picture: large enough for a dmabuf, small enough to be compared quickly. */
#define GUEST_WIDTH 400
#define GUEST_HEIGHT 300
#define GUEST_STRIDE (GUEST_WIDTH * 4)
#define GUEST_SIZE (GUEST_STRIDE * GUEST_HEIGHT)
#define GUEST_ALL RECT(0, 0, GUEST_WIDTH, GUEST_HEIGHT)

/* A 2D resource with scattered backing and guest_draw()'s picture, shown but not flushed. */
Pages guest_show_2d(Guest *guest, guint32 id, guint32 seed);
/* A blob with that. */
Pages guest_make_blob(Guest *guest, guint32 id, guint32 seed);
void guest_show_blob(Guest *guest, guint32 id);
/* A fenced flush of all of it, sent; the answer may be yet to come. */
Posted guest_flush_fenced(Guest *guest, guint32 id, guint64 fence);
/* Whether what is shown is the guest's own pages. */
gboolean guest_is_direct(Guest *guest);
