/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The virtual GPU, with an encoder that reads all pictures, now or later. */
#include "capture/error.h"
#include "capture/virtio-gpu.h"
#include "tests/fuzz/machine.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Larger ones are refused, as the kernel's limits would. */
#define MAX_DMABUF (4 << 20)

typedef struct {
    ScVirtioGpu *gpu;
    ScScanout *scanout; /* NULL: off */
    GQueue frames;      /* that the encoder still has */
    gboolean is_slow;   /* it keeps them */
} Host;

/* A memfd with the same bytes, as a kernel without udmabuf has no other. */
static int make_dmabuf(const ScGuestBuffer *buffer, GError **error)
{
    guint64 size = sc_guest_buffer_get_size(buffer);
    g_autofree guint8 *bytes = NULL;
    int fd;

    if (size > MAX_DMABUF || size % 8192 != 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "refused");
        return -1;
    }
    bytes = g_malloc0(size);
    sc_guest_buffer_read(buffer, 0, bytes, size);
    fd = memfd_create("dmabuf", MFD_CLOEXEC);
    g_assert_true(write(fd, bytes, size) == (gssize)size);
    return fd;
}

static guint read_picture(ScScanout *scanout)
{
    guint32 height = sc_scanout_get_height(scanout);
    gsize row_size = sc_scanout_get_width(scanout) * sizeof(guint32);
    ScPixels pixels;
    guint sum = 0;

    if (!sc_scanout_begin_read(scanout, &pixels, NULL)) {
        return 0;
    }
    /* First and last bytes are enough: the sanitizer watches between the objects. */
    for (guint32 y = 0; y < height; y += MAX(1, height / 64)) {
        const guint8 *row = pixels.data + (gssize)y * pixels.stride;

        sum += row[0] + row[row_size - 1];
    }
    sum += (pixels.data + (gssize)(height - 1) * pixels.stride)[row_size - 1];
    sc_scanout_end_read(scanout);
    return sum;
}

static void on_linked(gboolean is_linked, const char *reason, gpointer data)
{
}

static void on_scanout(ScScanout *scanout, gpointer data)
{
    Host *host = data;

    sc_scanout_unref(host->scanout);
    host->scanout = scanout != NULL ? sc_scanout_ref(scanout) : NULL;
}

static void on_frame(ScFrame *frame, gpointer data)
{
    Host *host = data;

    sc_frame_set_taken(frame);
    read_picture(sc_frame_get_scanout(frame));
    if (host->is_slow) {
        g_queue_push_tail(&host->frames, sc_frame_ref(frame));
    }
}

static void on_cursor_shape(ScCursor *cursor, gpointer data)
{
}

static void on_cursor_position(int x, int y, gpointer data)
{
}

static gpointer host_new(const char *path)
{
    static const ScVirtioGpuListener listener = { on_linked, on_scanout, on_frame, on_cursor_shape,
                                                  on_cursor_position };
    Host *host = g_new0(Host, 1);

    g_queue_init(&host->frames);
    host->gpu = sc_virtio_gpu_new(path, make_dmabuf, &listener, host, NULL);
    g_assert_true(sc_virtio_gpu_listen(host->gpu, NULL));
    sc_virtio_gpu_set_watched(host->gpu, TRUE);
    return host;
}

static void release_frame(gpointer data)
{
    ScFrame *frame = data;

    read_picture(sc_frame_get_scanout(frame));
    sc_frame_unref(frame);
}

static void host_free(gpointer data)
{
    Host *host = data;
    ScFlushCounts counts;

    g_queue_clear_full(&host->frames, release_frame);
    sc_virtio_gpu_free(host->gpu);
    sc_scanout_unref(host->scanout);
    g_free(host);
    sc_flush_get_counts(&counts);
    g_assert_true(counts.outstanding == 0 && sc_frame_count_alive() == 0);
}

static void host_act(gpointer data, FuzzBytes *bytes)
{
    Host *host = data;
    guint8 what = fuzz_take_u8(bytes);

    switch (what % 4) {
    case 0:
        sc_virtio_gpu_set_watched(host->gpu, what >> 2 & 1);
        break;
    case 1:
        sc_virtio_gpu_set_size(host->gpu, 1 + fuzz_take_u16(bytes), 1 + fuzz_take_u16(bytes));
        break;
    case 2:
        host->is_slow = what >> 2 & 1;
        break;
    default:
        if (!g_queue_is_empty(&host->frames)) {
            release_frame(g_queue_pop_head(&host->frames));
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static const FuzzTarget target = { 2, host_new, host_free, host_act };

    return fuzz_run(&target, data, size);
}
