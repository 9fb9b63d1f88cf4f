/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/vhost-user/gpu-guest.h"

#include "capture/error.h"
#include "capture/udmabuf.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096

gboolean guest_refuses_dmabufs;

/* ---- the device's side ------------------------------------------------------------------ */

gboolean guest_has_udmabuf(void)
{
    return access("/dev/udmabuf", R_OK | W_OK) == 0;
}

static int make_dmabuf(const ScGuestBuffer *buffer, GError **error)
{
    guint64 size = sc_guest_buffer_get_size(buffer);
    g_autofree guint8 *bytes = NULL;
    int fd;

    if (guest_refuses_dmabufs) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "the test refuses it");
        return -1;
    }
    if (guest_has_udmabuf()) {
        return sc_udmabuf_new(buffer, error);
    }
    bytes = g_malloc(size);
    fd = memfd_create("dmabuf", MFD_CLOEXEC);
    g_assert_true(sc_guest_buffer_read(buffer, 0, bytes, size));
    g_assert_cmpint(write(fd, bytes, size), ==, size);
    return fd;
}

static void on_linked(gboolean is_linked, const char *reason, gpointer data)
{
    Guest *guest = data;

    guest->links += is_linked ? 1 : 0;
    guest->unlinks += is_linked ? 0 : 1;
}

static void on_scanout(ScScanout *scanout, gpointer data)
{
    Guest *guest = data;

    if (scanout != NULL) {
        sc_scanout_ref(scanout);
    }
    sc_scanout_unref(guest->scanout);
    guest->scanout = scanout;
    guest->scanouts++;
}

static void on_frame(ScFrame *frame, gpointer data)
{
    Guest *guest = data;

    g_assert_true(sc_frame_get_scanout(frame) == guest->scanout);
    guest->n_frames++;
    guest->damage = *pixman_region32_extents((pixman_region32_t *)sc_frame_get_damage(frame));
    guest->was_awaited = sc_frame_is_awaited(frame);
    sc_frame_set_taken(frame);
    if (guest->hold) {
        g_queue_push_tail(&guest->frames, sc_frame_ref(frame));
    }
}

static void on_cursor_shape(ScCursor *cursor, gpointer data)
{
    Guest *guest = data;

    if (cursor != NULL) {
        sc_cursor_ref(cursor);
    }
    sc_cursor_unref(guest->cursor);
    guest->cursor = cursor;
}

static void on_cursor_position(int x, int y, gpointer data)
{
    Guest *guest = data;

    guest->cursor_x = x;
    guest->cursor_y = y;
}

Guest *guest_new(void)
{
    static const ScVirtioGpuListener listener = { on_linked, on_scanout, on_frame, on_cursor_shape,
                                                  on_cursor_position };
    Guest *guest = g_new0(Guest, 1);
    g_autoptr(GError) error = NULL;

    guest->first_fd = vmm_next_fd();
    guest->folder = g_dir_make_tmp("scancast-XXXXXX", NULL);
    guest->path = g_build_filename(guest->folder, "vm.sock", NULL);
    g_queue_init(&guest->frames);
    guest->gpu = sc_virtio_gpu_new(guest->path, make_dmabuf, &listener, guest, &error);
    g_assert_no_error(error);
    g_assert_true(sc_virtio_gpu_listen(guest->gpu, &error));
    guest_refuses_dmabufs = FALSE;
    return guest;
}

void guest_connect(Guest *guest, guint64 features)
{
    guest->vmm = vmm_new(guest->path, F_SEAL_SHRINK | F_SEAL_GROW);
    vmm_start(guest->vmm, features);
}

void guest_disconnect(Guest *guest)
{
    g_clear_pointer(&guest->vmm, vmm_free);
    vmm_settle();
}

void guest_free(Guest *guest)
{
    ScFlushCounts counts;

    if (guest->vmm != NULL) {
        guest_disconnect(guest);
    }
    g_assert_cmpuint(guest->links, ==, guest->unlinks);
    g_queue_clear_full(&guest->frames, (GDestroyNotify)sc_frame_unref);
    sc_virtio_gpu_free(guest->gpu);
    sc_scanout_unref(guest->scanout);
    sc_cursor_unref(guest->cursor);
    vmm_settle();
    sc_flush_get_counts(&counts);
    g_assert_cmpuint(counts.outstanding, ==, 0);
    g_assert_cmpuint(sc_frame_count_alive(), ==, 0);
    g_assert_cmpint(vmm_next_fd(), ==, guest->first_fd);
    rmdir(guest->folder);
    g_free(guest->folder);
    g_free(guest->path);
    g_free(guest);
}

void guest_release_frame(Guest *guest, guint index)
{
    ScFrame *frame = g_queue_pop_nth(&guest->frames, index);

    g_assert_nonnull(frame);
    sc_frame_unref(frame);
    vmm_settle();
}

/* ---- the driver's side ------------------------------------------------------------------ */

Posted guest_post(Guest *guest, gconstpointer request, gsize size, gconstpointer tail,
                  gsize tail_size)
{
    Vmm *vmm = guest->vmm;
    guint64 out = vmm_alloc(vmm, size + tail_size, 8);
    Posted posted = { .response = vmm_alloc(vmm, sizeof(struct virtio_gpu_resp_edid), 8) };
    VmmSegment segments[3] = { { out, (guint32)size, FALSE } };
    guint n = 1;

    memcpy(vmm_at(vmm, out), request, size);
    if (tail_size > 0) {
        memcpy(vmm_at(vmm, out + size), tail, tail_size);
        segments[n++] = (VmmSegment){ out + size, (guint32)tail_size, FALSE };
    }
    memset(vmm_at(vmm, posted.response), 0, sizeof(struct virtio_gpu_resp_edid));
    segments[n++] = (VmmSegment){ posted.response, sizeof(struct virtio_gpu_resp_edid), TRUE };
    posted.head = vmm_add_indirect(vmm, CONTROL, segments, n);
    return posted;
}

guint32 guest_get_type(Guest *guest, const Posted *posted)
{
    return ((struct virtio_gpu_ctrl_hdr *)vmm_at(guest->vmm, posted->response))->type;
}

guint32 guest_call(Guest *guest, gconstpointer request, gsize size, gconstpointer tail,
                   gsize tail_size, gpointer response, gsize response_size)
{
    guint64 before = guest->vmm->next_free;
    Posted posted = guest_post(guest, request, size, tail, tail_size);
    struct vring_used_elem used;

    vmm_kick(guest->vmm, CONTROL);
    used = vmm_wait_used(guest->vmm, CONTROL, 1);
    g_assert_cmpuint(used.id, ==, posted.head);
    if (response != NULL) {
        g_assert_cmpuint(used.len, ==, response_size);
        memcpy(response, vmm_at(guest->vmm, posted.response), response_size);
    }
    guest->vmm->next_free = before;
    return guest_get_type(guest, &posted);
}

guint32 guest_create_2d(Guest *guest, guint32 id, guint32 format, guint32 width, guint32 height)
{
    struct virtio_gpu_resource_create_2d request = {
        .hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
        .resource_id = id,
        .format = format,
        .width = width,
        .height = height,
    };

    return CALL(guest, request);
}

guint32 guest_create_blob(Guest *guest, guint32 id, guint64 size,
                          const struct virtio_gpu_mem_entry *entries, guint n)
{
    struct virtio_gpu_resource_create_blob request = {
        .hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
        .resource_id = id,
        .blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
        .blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE,
        .nr_entries = n,
        .size = size,
    };

    return guest_call(guest, &request, sizeof request, entries, n * sizeof *entries, NULL, 0);
}

guint32 guest_attach(Guest *guest, guint32 id, const struct virtio_gpu_mem_entry *entries, guint n)
{
    struct virtio_gpu_resource_attach_backing request = {
        .hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
        .resource_id = id,
        .nr_entries = n,
    };

    return guest_call(guest, &request, sizeof request, entries, n * sizeof *entries, NULL, 0);
}

guint32 guest_detach(Guest *guest, guint32 id)
{
    struct virtio_gpu_resource_detach_backing request = {
        .hdr.type = VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING,
        .resource_id = id,
    };

    return CALL(guest, request);
}

guint32 guest_unref(Guest *guest, guint32 id)
{
    struct virtio_gpu_resource_unref request = {
        .hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
        .resource_id = id,
    };

    return CALL(guest, request);
}

guint32 guest_set_scanout(Guest *guest, guint32 scanout, guint32 id, struct virtio_gpu_rect rect)
{
    struct virtio_gpu_set_scanout request = {
        .hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT,
        .r = rect,
        .scanout_id = scanout,
        .resource_id = id,
    };

    return CALL(guest, request);
}

guint32 guest_set_scanout_blob(Guest *guest, guint32 scanout, guint32 id, guint32 width,
                               guint32 height, guint32 stride, guint32 offset)
{
    struct virtio_gpu_set_scanout_blob request = {
        .hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
        .r = { 0, 0, width, height },
        .scanout_id = scanout,
        .resource_id = id,
        .width = width,
        .height = height,
        .format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
        .strides = { stride },
        .offsets = { offset },
    };

    return CALL(guest, request);
}

guint32 guest_transfer(Guest *guest, guint32 id, struct virtio_gpu_rect rect, guint64 offset)
{
    struct virtio_gpu_transfer_to_host_2d request = {
        .hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
        .r = rect,
        .offset = offset,
        .resource_id = id,
    };

    return CALL(guest, request);
}

guint32 guest_flush(Guest *guest, guint32 id, struct virtio_gpu_rect rect)
{
    struct virtio_gpu_resource_flush request = {
        .hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
        .r = rect,
        .resource_id = id,
    };

    return CALL(guest, request);
}

Posted guest_post_flush(Guest *guest, guint32 id, struct virtio_gpu_rect rect, guint64 fence)
{
    struct virtio_gpu_resource_flush request = {
        .hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
                 .flags = VIRTIO_GPU_FLAG_FENCE,
                 .fence_id = fence },
        .r = rect,
        .resource_id = id,
    };

    return guest_post(guest, &request, sizeof request, NULL, 0);
}

/* ---- memory ----------------------------------------------------------------------------- */

Pages guest_alloc_pages(Guest *guest, gsize size, guint piece)
{
    guint n_pages = (guint)((size + PAGE - 1) / PAGE);
    guint n = (n_pages + piece - 1) / piece;
    Pages pages = { g_new0(struct virtio_gpu_mem_entry, n), n, (gsize)n_pages * PAGE };
    guint64 base = vmm_alloc(guest->vmm, (gsize)n * (piece + 1) * PAGE, PAGE);

    /* The last first, with a gap after each. */
    for (guint i = 0; i < n; i++) {
        pages.entries[i].addr = base + (guint64)(n - 1 - i) * (piece + 1) * PAGE;
        pages.entries[i].length = MIN(piece, n_pages - i * piece) * PAGE;
    }
    return pages;
}

void guest_pages_clear(Pages *pages)
{
    g_clear_pointer(&pages->entries, g_free);
}

guint32 *guest_page_at(Guest *guest, const Pages *pages, gsize offset)
{
    gsize entry = offset / pages->entries[0].length;

    return vmm_at(guest->vmm, pages->entries[entry].addr + offset % pages->entries[0].length);
}

guint32 guest_pixel(guint32 x, guint32 y, guint32 seed)
{
    return 0xff000000 | ((x * 7 + y * 1021 + seed * 65537) & 0xffffff);
}

void guest_draw(Guest *guest, const Pages *pages, guint32 width, guint32 height, guint32 stride,
                guint32 offset, guint32 seed)
{
    for (guint32 y = 0; y < height; y++) {
        for (guint32 x = 0; x < width; x++) {
            *guest_page_at(guest, pages, offset + (gsize)stride * y + x * 4) =
                guest_pixel(x, y, seed);
        }
    }
}

void guest_check_picture(Guest *guest, struct virtio_gpu_rect rect, guint32 seed)
{
    g_autoptr(GError) error = NULL;
    ScPixels pixels;
    guint wrong = 0;

    g_assert_nonnull(guest->scanout);
    g_assert_true(sc_scanout_begin_read(guest->scanout, &pixels, &error));
    for (guint32 y = rect.y; y < rect.y + rect.height; y++) {
        const guint32 *row = (const guint32 *)(pixels.data + (gssize)pixels.stride * y);

        for (guint32 x = rect.x; x < rect.x + rect.width; x++) {
            wrong += row[x] != guest_pixel(x, y, seed) ? 1 : 0;
        }
    }
    sc_scanout_end_read(guest->scanout);
    g_assert_cmpuint(wrong, ==, 0);
}

void guest_check_damage(Guest *guest, int x, int y, int width, int height)
{
    g_assert_cmpint(guest->damage.x1, ==, x);
    g_assert_cmpint(guest->damage.y1, ==, y);
    g_assert_cmpint(guest->damage.x2, ==, x + width);
    g_assert_cmpint(guest->damage.y2, ==, y + height);
}

/* ---- the usual picture ------------------------------------------------------------------ */

Pages guest_show_2d(Guest *guest, guint32 id, guint32 seed)
{
    Pages pages = guest_alloc_pages(guest, GUEST_SIZE, 3);

    g_assert_cmphex(
        guest_create_2d(guest, id, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, GUEST_WIDTH, GUEST_HEIGHT), ==,
        VIRTIO_GPU_RESP_OK_NODATA);
    g_assert_cmphex(guest_attach(guest, id, pages.entries, pages.n), ==, VIRTIO_GPU_RESP_OK_NODATA);
    guest_draw(guest, &pages, GUEST_WIDTH, GUEST_HEIGHT, GUEST_STRIDE, 0, seed);
    g_assert_cmphex(guest_transfer(guest, id, GUEST_ALL, 0), ==, VIRTIO_GPU_RESP_OK_NODATA);
    g_assert_cmphex(guest_set_scanout(guest, 0, id, GUEST_ALL), ==, VIRTIO_GPU_RESP_OK_NODATA);
    return pages;
}

Pages guest_make_blob(Guest *guest, guint32 id, guint32 seed)
{
    Pages pages = guest_alloc_pages(guest, GUEST_SIZE, 2);

    guest_draw(guest, &pages, GUEST_WIDTH, GUEST_HEIGHT, GUEST_STRIDE, 0, seed);
    g_assert_cmphex(guest_create_blob(guest, id, GUEST_SIZE, pages.entries, pages.n), ==,
                    VIRTIO_GPU_RESP_OK_NODATA);
    return pages;
}

void guest_show_blob(Guest *guest, guint32 id)
{
    g_assert_cmphex(
        guest_set_scanout_blob(guest, 0, id, GUEST_WIDTH, GUEST_HEIGHT, GUEST_STRIDE, 0), ==,
        VIRTIO_GPU_RESP_OK_NODATA);
}

Posted guest_flush_fenced(Guest *guest, guint32 id, guint64 fence)
{
    Posted posted = guest_post_flush(guest, id, GUEST_ALL, fence);

    vmm_kick(guest->vmm, CONTROL);
    vmm_settle();
    return posted;
}

gboolean guest_is_direct(Guest *guest)
{
    return guest->scanout != NULL && sc_scanout_get_dmabuf(guest->scanout) != NULL;
}
