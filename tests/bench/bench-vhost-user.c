/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the virtio-gpu device costs by itself: a driver in the same process, and nobody who encodes.
 * Each figure stands beside a peer of the same run.
 */
#include "capture/udmabuf.h"
#include "tests/vhost-user/gpu-guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 1920
#define HEIGHT 1080
#define STRIDE (WIDTH * 4)
#define SIZE (STRIDE * HEIGHT)
#define PAGE 4096

#define ROUNDS 60
#define BATCH 32
#define N_BATCHES 2000

static int compare(gconstpointer a, gconstpointer b)
{
    return *(const gint64 *)a > *(const gint64 *)b ? 1 : -1;
}

static double median(gint64 *times, guint n)
{
    qsort(times, n, sizeof *times, compare);
    return (double)times[n / 2];
}

static Guest *new_guest(void)
{
    Guest *guest = guest_new();

    guest_connect(guest, GPU_FEATURES);
    sc_virtio_gpu_set_watched(guest->gpu, TRUE);
    guest_refuses_dmabufs = TRUE;
    return guest;
}

static void bench_commands(void)
{
    Guest *guest = new_guest();
    struct virtio_gpu_ctrl_hdr request = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
    guint64 free_before = guest->vmm->next_free;
    gint64 start = g_get_monotonic_time();
    double seconds;

    for (int i = 0; i < N_BATCHES; i++) {
        guest->vmm->next_free = free_before;
        for (int j = 0; j < BATCH; j++) {
            guest_post(guest, &request, sizeof request, NULL, 0);
        }
        vmm_kick(guest->vmm, CONTROL);
        vmm_wait_used(guest->vmm, CONTROL, BATCH);
    }
    seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
    printf("commands: %.0f a second, %d of them a kick\n", N_BATCHES * BATCH / seconds, BATCH);
    guest_free(guest);
}

/* One round copies what the device would, the next has the device do it: both see the same caches
 * and the same neighbours. */
static void bench_flush(guint piece)
{
    static guint8 target[SIZE];
    Guest *guest = new_guest();
    g_auto(Pages) pages = guest_alloc_pages(guest, SIZE, piece);
    gint64 flushes[ROUNDS], copies[ROUNDS];
    double flush, copy;

    guest_create_blob(guest, 1, SIZE, pages.entries, pages.n);
    guest_set_scanout_blob(guest, 0, 1, WIDTH, HEIGHT, STRIDE, 0);
    memset(target, 1, sizeof target);
    guest_flush(guest, 1, RECT(0, 0, WIDTH, HEIGHT));
    for (int i = 0; i < ROUNDS; i++) {
        gint64 start = g_get_monotonic_time();

        memcpy(target, vmm_at(guest->vmm, VMM_HIGH_BASE), SIZE);
        copies[i] = g_get_monotonic_time() - start;
        start = g_get_monotonic_time();
        guest_flush(guest, 1, RECT(0, 0, WIDTH, HEIGHT));
        flushes[i] = g_get_monotonic_time() - start;
    }
    flush = median(flushes, ROUNDS);
    copy = median(copies, ROUNDS);
    printf("flush of %dx%d, %3u pieces: %.0f us, memcpy %.0f us, ratio %.2f (goal: at most 1.2)\n",
           WIDTH, HEIGHT, pages.n, flush, copy, flush / copy);
    guest_free(guest);
}

static void bench_udmabuf(gsize size)
{
    static guint8 target[SIZE];
    Guest *guest = new_guest();
    g_auto(Pages) pages = guest_alloc_pages(guest, size, 4);
    g_autoptr(ScGuestMemory) memory = sc_guest_memory_new();
    g_autoptr(ScGuestBuffer) buffer = sc_guest_buffer_new();
    gint64 makes[ROUNDS], copies[ROUNDS];

    for (guint i = 0; i < 2; i++) {
        VmmRegion region = vmm_get_region(i);
        ScGuestRegionInfo info = { region.guest, region.size, region.user, region.offset };

        g_assert_true(sc_guest_memory_add(memory, &info, dup(guest->vmm->memfd), NULL));
    }
    for (guint i = 0; i < pages.n; i++) {
        sc_guest_buffer_append(buffer, memory, pages.entries[i].addr, pages.entries[i].length);
    }
    for (int i = 0; i < ROUNDS; i++) {
        gint64 start = g_get_monotonic_time();
        int fd = sc_udmabuf_new(buffer, NULL);

        close(fd);
        makes[i] = g_get_monotonic_time() - start;
        start = g_get_monotonic_time();
        sc_guest_buffer_read(buffer, 0, target, size);
        copies[i] = g_get_monotonic_time() - start;
    }
    printf("dmabuf of %5zu KiB, %3u pieces: made and closed in %.0f us, copied in %.0f us\n",
           size / 1024, pages.n, median(makes, ROUNDS), median(copies, ROUNDS));
    guest_free(guest);
}

int main(void)
{
    vmm_settle();
    bench_commands();
    bench_flush(SIZE / PAGE + 1);
    bench_flush(41);
    bench_flush(4);
    if (!guest_has_udmabuf()) {
        printf("dmabuf: this machine has no /dev/udmabuf\n");
        return 0;
    }
    for (gsize size = 16 * 1024; size <= SIZE; size *= 2) {
        bench_udmabuf(size);
    }
    return 0;
}
