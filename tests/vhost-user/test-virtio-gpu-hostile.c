/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The virtio-gpu device with a driver that does everything wrong: each mistake gets its code, and
 * who behaves afterwards is served. */
#include "tests/vhost-user/gpu-guest.h"

#include <string.h>
#include <unistd.h>

#define OK VIRTIO_GPU_RESP_OK_NODATA
#define UNSPEC VIRTIO_GPU_RESP_ERR_UNSPEC
#define NO_MEMORY VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
#define BAD_SCANOUT VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID
#define BAD_RESOURCE VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define BAD_PARAMETER VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define XRGB VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define HUGE_NUMBER G_MAXUINT32

typedef struct {
    Guest *guest;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
    fixture->guest = guest_new();
    guest_connect(fixture->guest, GPU_FEATURES);
    sc_virtio_gpu_set_watched(fixture->guest->gpu, TRUE);
}

/* Resource 1 is 2D with backing, 2 a blob, 3 is 2D without backing; all of the usual size. */
static void create_resources(Guest *guest)
{
    g_auto(Pages) plain = guest_alloc_pages(guest, GUEST_SIZE, 4);
    G_GNUC_UNUSED g_auto(Pages) blob = guest_make_blob(guest, 2, 1);

    g_assert_cmphex(guest_create_2d(guest, 1, XRGB, GUEST_WIDTH, GUEST_HEIGHT), ==, OK);
    g_assert_cmphex(guest_attach(guest, 1, plain.entries, plain.n), ==, OK);
    g_assert_cmphex(guest_create_2d(guest, 3, XRGB, GUEST_WIDTH, GUEST_HEIGHT), ==, OK);
}

/* Whatever came before: a picture goes from the guest to the listener. */
static void check_alive(Guest *guest)
{
    G_GNUC_UNUSED g_auto(Pages) pages = guest_make_blob(guest, 77, 7);

    guest_show_blob(guest, 77);
    g_assert_cmphex(guest_flush(guest, 77, GUEST_ALL), ==, OK);
    guest_check_picture(guest, GUEST_ALL, 7);
    g_assert_cmphex(guest_set_scanout(guest, 0, 0, GUEST_ALL), ==, OK);
    g_assert_cmphex(guest_unref(guest, 77), ==, OK);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    check_alive(fixture->guest);
    guest_free(fixture->guest);
}

/* ---- wrong numbers ---------------------------------------------------------------------- */

static void test_create_2d(Fixture *fixture, gconstpointer data)
{
    static const struct {
        guint32 id, format, width, height, code;
    } tries[] = {
        { 0, XRGB, 10, 10, BAD_RESOURCE },
        { 1, XRGB, 10, 10, BAD_RESOURCE },
        { 9, 0, 10, 10, BAD_PARAMETER },
        { 9, 5, 10, 10, BAD_PARAMETER },
        { 9, HUGE_NUMBER, 10, 10, BAD_PARAMETER },
        { 9, XRGB, 0, 10, BAD_PARAMETER },
        { 9, XRGB, 10, 0, BAD_PARAMETER },
        { 9, XRGB, HUGE_NUMBER, 10, BAD_PARAMETER },
        { 9, XRGB, 10, HUGE_NUMBER, BAD_PARAMETER },
        { 9, XRGB, 16385, 1, BAD_PARAMETER },
        { 9, XRGB, 1 << 31, 1 << 31, BAD_PARAMETER },
        { 9, XRGB, 16384, 16384, NO_MEMORY },
    };

    create_resources(fixture->guest);
    for (gsize i = 0; i < G_N_ELEMENTS(tries); i++) {
        g_assert_cmphex(guest_create_2d(fixture->guest, tries[i].id, tries[i].format,
                                        tries[i].width, tries[i].height),
                        ==, tries[i].code);
    }
}

static void test_create_blob(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    struct virtio_gpu_mem_entry page = { 0x200000, 4096, 0 };
    struct virtio_gpu_resource_create_blob request = {
        .hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
        .resource_id = 9,
        .nr_entries = 1,
        .size = 4096,
    };

    create_resources(guest);
    for (guint32 mem = 0; mem < 6; mem++) {
        request.blob_mem = mem;
        g_assert_cmphex(guest_call(guest, &request, sizeof request, &page, sizeof page, NULL, 0),
                        ==, mem == VIRTIO_GPU_BLOB_MEM_GUEST ? OK : BAD_PARAMETER);
    }
    g_assert_cmphex(guest_unref(guest, 9), ==, OK);
    g_assert_cmphex(guest_create_blob(guest, 0, 4096, &page, 1), ==, BAD_RESOURCE);
    g_assert_cmphex(guest_create_blob(guest, 2, 4096, &page, 1), ==, BAD_RESOURCE);
    g_assert_cmphex(guest_create_blob(guest, 9, 0, &page, 1), ==, BAD_PARAMETER);
    g_assert_cmphex(guest_create_blob(guest, 9, 4097, &page, 1), ==, BAD_PARAMETER);
    g_assert_cmphex(guest_create_blob(guest, 9, G_MAXUINT64, &page, 1), ==, BAD_PARAMETER);
    /* None of them is left. */
    g_assert_cmphex(guest_unref(guest, 9), ==, BAD_RESOURCE);
}

static void test_entries(Fixture *fixture, gconstpointer data)
{
    static const struct virtio_gpu_mem_entry entries[] = {
        { VMM_LOW_SIZE - 4096, 8192, 0 }, { VMM_HIGH_BASE + VMM_HIGH_SIZE, 1, 0 },
        { VMM_HIGH_BASE - 1, 2, 0 },      { G_MAXUINT64, 1, 0 },
        { G_MAXUINT64 - 4095, 4096, 0 },  { 0, HUGE_NUMBER, 0 },
        { G_MAXUINT64, HUGE_NUMBER, 0 },
    };
    static const guint32 counts[] = { 2, 1000, 65537, 1 << 28, HUGE_NUMBER };
    Guest *guest = fixture->guest;
    struct virtio_gpu_resource_attach_backing request = {
        .hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, .resource_id = 3
    };

    create_resources(guest);
    for (gsize i = 0; i < G_N_ELEMENTS(entries); i++) {
        g_assert_cmphex(guest_attach(guest, 3, &entries[i], 1), ==, BAD_PARAMETER);
    }
    /* More entries than the request has. */
    for (gsize i = 0; i < G_N_ELEMENTS(counts); i++) {
        struct virtio_gpu_mem_entry one = { 0, 4096, 0 };

        request.nr_entries = counts[i];
        g_assert_cmphex(guest_call(guest, &request, sizeof request, &one, sizeof one, NULL, 0), ==,
                        BAD_PARAMETER);
    }
    g_assert_cmphex(guest_attach(guest, 1, NULL, 0), ==, UNSPEC); /* has one */
    g_assert_cmphex(guest_attach(guest, 99, NULL, 0), ==, BAD_RESOURCE);
    /* Too little, or nothing: allowed, but there is nothing to transfer. */
    g_assert_cmphex(guest_attach(guest, 3, NULL, 0), ==, OK);
    g_assert_cmphex(guest_transfer(guest, 3, GUEST_ALL, 0), ==, BAD_PARAMETER);
    g_assert_cmphex(guest_detach(guest, 3), ==, OK);
    g_assert_cmphex(guest_detach(guest, 3), ==, UNSPEC);
    g_assert_cmphex(guest_detach(guest, 99), ==, BAD_RESOURCE);
    g_assert_cmphex(guest_unref(guest, 0), ==, BAD_RESOURCE);
}

static void test_rectangles(Fixture *fixture, gconstpointer data)
{
    static const struct virtio_gpu_rect rects[] = {
        { 1, 0, GUEST_WIDTH, 1 },
        { 0, 1, 1, GUEST_HEIGHT },
        { HUGE_NUMBER, 0, 1, 1 },
        { 0, HUGE_NUMBER, 1, 1 },
        { HUGE_NUMBER, HUGE_NUMBER, HUGE_NUMBER, HUGE_NUMBER },
        { 0, 0, HUGE_NUMBER, 1 },
        { 0, 0, 1, HUGE_NUMBER },
        { 1, 1, HUGE_NUMBER, HUGE_NUMBER },
        { GUEST_WIDTH + 1, 0, 0, 0 },
    };
    Guest *guest = fixture->guest;

    create_resources(guest);
    g_assert_cmphex(guest_set_scanout(guest, 0, 1, GUEST_ALL), ==, OK);
    for (gsize i = 0; i < G_N_ELEMENTS(rects); i++) {
        g_assert_cmphex(guest_transfer(guest, 1, rects[i], 0), ==, BAD_PARAMETER);
        g_assert_cmphex(guest_flush(guest, 1, rects[i]), ==, BAD_PARAMETER);
        g_assert_cmphex(guest_set_scanout(guest, 0, 1, rects[i]), ==, BAD_PARAMETER);
    }
    g_assert_cmphex(guest_set_scanout(guest, 0, 1, RECT(0, 0, 0, 0)), ==, BAD_PARAMETER);
    g_assert_cmphex(guest_transfer(guest, 1, GUEST_ALL, G_MAXUINT64), ==, BAD_PARAMETER);
    g_assert_cmphex(guest_transfer(guest, 1, GUEST_ALL, G_MAXUINT64 - GUEST_SIZE + 1), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(guest_transfer(guest, 3, GUEST_ALL, 0), ==, UNSPEC);
    g_assert_cmphex(guest_transfer(guest, 99, GUEST_ALL, 0), ==, BAD_RESOURCE);
    g_assert_cmphex(guest_flush(guest, 99, GUEST_ALL), ==, BAD_RESOURCE);
    /* A blob's flush names no picture of its own: what is outside is cut off. */
    guest_show_blob(guest, 2);
    for (gsize i = 0; i < G_N_ELEMENTS(rects); i++) {
        g_assert_cmphex(guest_flush(guest, 2, rects[i]), ==, OK);
    }
}

static void test_scanouts(Fixture *fixture, gconstpointer data)
{
    static const struct {
        guint32 width, height, stride, offset;
    } layouts[] = {
        { 0, GUEST_HEIGHT, GUEST_STRIDE, 0 },
        { GUEST_WIDTH, 0, GUEST_STRIDE, 0 },
        { HUGE_NUMBER, HUGE_NUMBER, HUGE_NUMBER, HUGE_NUMBER },
        { 16384, 16384, HUGE_NUMBER, 0 },
        { GUEST_WIDTH, GUEST_HEIGHT, GUEST_STRIDE - 1, 0 },
        { GUEST_WIDTH, GUEST_HEIGHT, 0, 0 },
        { GUEST_WIDTH, GUEST_HEIGHT, HUGE_NUMBER, 0 },
        { GUEST_WIDTH, GUEST_HEIGHT, GUEST_STRIDE, 1 },
        { GUEST_WIDTH, GUEST_HEIGHT, GUEST_STRIDE, HUGE_NUMBER },
        { GUEST_WIDTH, GUEST_HEIGHT + 1, GUEST_STRIDE, 0 },
    };
    Guest *guest = fixture->guest;

    create_resources(guest);
    for (gsize i = 0; i < G_N_ELEMENTS(layouts); i++) {
        g_assert_cmphex(guest_set_scanout_blob(guest, 0, 2, layouts[i].width, layouts[i].height,
                                               layouts[i].stride, layouts[i].offset),
                        ==, BAD_PARAMETER);
    }
    g_assert_cmphex(guest_set_scanout(guest, 16, 1, GUEST_ALL), ==, BAD_SCANOUT);
    g_assert_cmphex(guest_set_scanout(guest, HUGE_NUMBER, 1, GUEST_ALL), ==, BAD_SCANOUT);
    g_assert_cmphex(guest_set_scanout(guest, 16, 0, GUEST_ALL), ==, BAD_SCANOUT);
    g_assert_cmphex(guest_set_scanout(guest, 0, 99, GUEST_ALL), ==, BAD_RESOURCE);
    g_assert_cmphex(guest_set_scanout(guest, 0, 2, GUEST_ALL), ==, BAD_PARAMETER);
    g_assert_cmphex(guest_set_scanout_blob(guest, 0, 1, GUEST_WIDTH, GUEST_HEIGHT, GUEST_STRIDE, 0),
                    ==, BAD_PARAMETER);
    g_assert_cmphex(guest_set_scanout_blob(guest, 99, 2, 1, 1, 4, 0), ==, BAD_SCANOUT);
    /* Odd but possible: rows that overlap no words. */
    g_assert_cmphex(guest_set_scanout_blob(guest, 0, 2, 100, 100, 403, 3), ==, OK);
    g_assert_cmphex(guest_flush(guest, 2, RECT(0, 0, 100, 100)), ==, OK);
}

static void test_requests(Fixture *fixture, gconstpointer data)
{
    static const guint32 unknown[] = { 0,     0x108, 0x109,  0x10e,  0x200,
                                       0x207, 0x300, 0x1100, 0x1200, HUGE_NUMBER };
    Guest *guest = fixture->guest;
    struct virtio_gpu_ctrl_hdr header = { 0 };
    struct virtio_gpu_cmd_get_edid edid = { .hdr.type = VIRTIO_GPU_CMD_GET_EDID, .scanout = 16 };

    create_resources(guest);
    for (gsize i = 0; i < G_N_ELEMENTS(unknown); i++) {
        header.type = unknown[i];
        g_assert_cmphex(CALL(guest, header), ==, UNSPEC);
    }
    g_assert_cmphex(CALL(guest, edid), ==, BAD_SCANOUT);
    /* Each command cut short, at every length. */
    for (guint32 type = 0x100; type <= 0x10d; type++) {
        guint8 bytes[64] = { 0 };

        header.type = type;
        memcpy(bytes, &header, sizeof header);
        for (gsize size = 1; size < 32; size++) {
            guint32 code = guest_call(guest, bytes, size, NULL, 0, NULL, 0);

            g_assert_true(code == UNSPEC || code == BAD_RESOURCE || code == BAD_PARAMETER ||
                          (type == 0x100 && size >= sizeof header));
        }
    }
    header.type = VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID;
    g_assert_cmphex(guest_call(guest, &header, sizeof header, NULL, 0, NULL, 0), ==, UNSPEC);
}

static void test_no_blob_feature(Fixture *fixture, gconstpointer data)
{
    struct virtio_gpu_mem_entry page = { 0x200000, 4096, 0 };

    guest_disconnect(fixture->guest);
    guest_connect(fixture->guest, 0);
    g_assert_cmphex(guest_create_blob(fixture->guest, 9, 4096, &page, 1), ==, UNSPEC);
    g_assert_cmphex(guest_set_scanout_blob(fixture->guest, 0, 9, 1, 1, 4, 0), ==, UNSPEC);
    guest_disconnect(fixture->guest);
    guest_connect(fixture->guest, GPU_FEATURES);
}

/* Answers that do not fit, requests without room for one, and room without a request. */
static void test_odd_chains(Fixture *fixture, gconstpointer data)
{
    Vmm *vmm = fixture->guest->vmm;
    guint64 at = vmm_alloc(vmm, 4096, 16);
    struct virtio_gpu_ctrl_hdr *header = vmm_at(vmm, at);
    VmmSegment shapes[][2] = {
        { { at, 24, FALSE }, { at + 1000, 3, TRUE } },
        { { at, 24, FALSE }, { 0x40000000, 24, TRUE } },
        { { at, 24, FALSE }, { at, 0, TRUE } },
        { { at, 0, FALSE }, { at + 1000, 24, TRUE } },
        { { 0x40000000, 24, FALSE }, { at + 1000, 24, TRUE } },
        { { at, HUGE_NUMBER, FALSE }, { at + 1000, HUGE_NUMBER, TRUE } },
    };

    header->type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO;
    for (gsize i = 0; i < G_N_ELEMENTS(shapes); i++) {
        header->type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO;
        vmm_add(vmm, CONTROL, shapes[i], 2);
        vmm_add(vmm, CONTROL, shapes[i], 1);
        vmm_add(vmm, CURSOR, shapes[i], 2);
        vmm_add(vmm, CURSOR, &shapes[i][1], 1);
        vmm_kick(vmm, CONTROL);
        vmm_kick(vmm, CURSOR);
        vmm_wait_used(vmm, CONTROL, 2);
        vmm_wait_used(vmm, CURSOR, 2);
    }
}

/* ---- too much --------------------------------------------------------------------------- */

static void test_limits(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    guint32 n = 0, code;

    /* 64 MiB each: nothing of it is touched, but it is reckoned. */
    do {
        code = guest_create_2d(guest, 100 + n, XRGB, 4096, 4096);
        n++;
    } while (code == OK && n < 1000);
    g_assert_cmphex(code, ==, NO_MEMORY);
    g_assert_cmpuint(n, ==, SC_GPU_MAX_BYTES / (64 * 1024 * 1024));
    /* What was given back can be had again. */
    g_assert_cmphex(guest_unref(guest, 100), ==, OK);
    g_assert_cmphex(guest_create_2d(guest, 100, XRGB, 4096, 4096), ==, OK);
    for (guint32 i = 0; i < n - 1; i++) {
        g_assert_cmphex(guest_unref(guest, 100 + i), ==, OK);
    }
}

static void test_many_resources(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;

    for (guint32 i = 1; i <= 5000; i++) {
        g_assert_cmphex(guest_create_2d(guest, 1000 + i, XRGB, 1, 1), ==, OK);
    }
    for (guint32 i = 1; i <= 5000; i++) {
        g_assert_cmphex(guest_unref(guest, 1000 + i), ==, OK);
    }
}

/* As many pieces as there may be, again and again, and one more. */
static void test_many_entries(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    guint n = SC_GPU_MAX_ENTRIES;
    g_autofree struct virtio_gpu_mem_entry *entries = g_new0(struct virtio_gpu_mem_entry, n + 1);

    for (guint i = 0; i <= n; i++) {
        entries[i] = (struct virtio_gpu_mem_entry){ (i % 100) * 8192, 4096, 0 };
    }
    for (int round = 0; round < 3; round++) {
        g_assert_cmphex(guest_create_2d(guest, 1, XRGB, 2048, 2048), ==, OK);
        g_assert_cmphex(guest_attach(guest, 1, entries, n + 1), ==, BAD_PARAMETER);
        g_assert_cmphex(guest_attach(guest, 1, entries, n), ==, OK);
        g_assert_cmphex(guest_transfer(guest, 1, RECT(0, 0, 2048, 2048), 0), ==, OK);
        g_assert_cmphex(guest_unref(guest, 1), ==, OK);
    }
}

/* Each dmabuf costs a descriptor, and viewers need some. Those that were not made are copied. */
static void test_many_dmabufs(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    g_auto(Pages) pages = guest_alloc_pages(guest, GUEST_SIZE, 4);
    guint before = vmm_count_fds();
    guint n = 3 * SC_GPU_MAX_DMABUFS;

    guest_draw(guest, &pages, GUEST_WIDTH, GUEST_HEIGHT, GUEST_STRIDE, 0, 3);
    for (guint32 i = 0; i < n; i++) {
        if (i % 2 == 0) {
            g_assert_cmphex(guest_create_blob(guest, 100 + i, GUEST_SIZE, pages.entries, pages.n),
                            ==, OK);
        } else {
            g_assert_cmphex(guest_create_2d(guest, 100 + i, XRGB, GUEST_WIDTH, GUEST_HEIGHT), ==,
                            OK);
            g_assert_cmphex(guest_attach(guest, 100 + i, pages.entries, pages.n), ==, OK);
        }
    }
    g_assert_cmpuint(vmm_count_fds(), ==, before + SC_GPU_MAX_DMABUFS);
    for (guint32 id = 100 + n - 2; id < 100 + n; id++) {
        if (id % 2 == 0) {
            guest_show_blob(guest, id);
        } else {
            g_assert_cmphex(guest_transfer(guest, id, GUEST_ALL, 0), ==, OK);
            g_assert_cmphex(guest_set_scanout(guest, 0, id, GUEST_ALL), ==, OK);
        }
        guest_flush_fenced(guest, id, id);
        vmm_wait_used(guest->vmm, CONTROL, 1);
        g_assert_false(guest_is_direct(guest));
        guest_check_picture(guest, GUEST_ALL, 3);
    }
    for (guint32 i = 0; i < n; i++) {
        g_assert_cmphex(guest_unref(guest, 100 + i), ==, OK);
    }
    g_assert_cmpuint(vmm_count_fds(), ==, before);
    /* What was given back can be had again. */
    g_assert_cmphex(guest_create_blob(guest, 1, GUEST_SIZE, pages.entries, pages.n), ==, OK);
    g_assert_cmpuint(vmm_count_fds(), ==, before + 1);
}

/* The same memory again and again makes a picture that is larger than all of the guest. */
static void test_huge_picture(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    struct virtio_gpu_mem_entry entries[128];
    guint32 size = 16384;

    guest_refuses_dmabufs = TRUE;
    for (gsize i = 0; i < G_N_ELEMENTS(entries); i++) {
        entries[i] = (struct virtio_gpu_mem_entry){ VMM_HIGH_BASE, 8 << 20, 0 };
    }
    g_assert_cmphex(guest_create_blob(guest, 1, (guint64)size * size * 4, entries, 128), ==, OK);
    g_assert_cmphex(guest_set_scanout_blob(guest, 0, 1, size, size, size * 4, 0), ==, NO_MEMORY);
    g_assert_cmphex(guest_set_scanout_blob(guest, 0, 1, 8192, 8193, 8192 * 4, 0), ==, NO_MEMORY);
    g_assert_cmphex(guest_set_scanout_blob(guest, 0, 1, 8192, 8192, 8192 * 4, 0), ==, OK);
    g_assert_cmphex(guest_set_scanout(guest, 0, 0, GUEST_ALL), ==, OK);
    g_assert_cmphex(guest_unref(guest, 1), ==, OK);
}

/* ---- at random -------------------------------------------------------------------------- */

static guint32 random_number(GRand *rand)
{
    static const guint32 edges[] = { 0,
                                     1,
                                     2,
                                     3,
                                     4,
                                     16,
                                     64,
                                     4096,
                                     GUEST_WIDTH,
                                     GUEST_HEIGHT,
                                     GUEST_STRIDE,
                                     HUGE_NUMBER,
                                     HUGE_NUMBER - 1,
                                     1u << 31 };

    return g_rand_boolean(rand) ? edges[g_rand_int_range(rand, 0, G_N_ELEMENTS(edges))]
                                : g_rand_int(rand) >> g_rand_int_range(rand, 0, 32);
}

/* Requests of random numbers, flushes held and dropped at will. */
static void test_random(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    g_autoptr(GRand) rand = g_rand_new_with_seed(2);

    create_resources(guest);
    guest->hold = TRUE;
    for (int i = 0; i < 20000; i++) {
        guint64 before = guest->vmm->next_free;
        guint32 words[32];

        for (gsize j = 0; j < G_N_ELEMENTS(words); j++) {
            words[j] = random_number(rand);
        }
        words[0] = 0x100 + words[0] % 16;
        words[1] %= 2;
        words[6] %= 6;
        guest_post(guest, words, (gsize)g_rand_int_range(rand, 1, sizeof words), words,
                   (gsize)g_rand_int_range(rand, 0, sizeof words));
        if (i % 8 == 0) {
            vmm_kick(guest->vmm, CONTROL);
            vmm_settle();
            guest->vmm->next_free = before;
        }
        while (guest->frames.length > 8) {
            guest_release_frame(guest, (guint)g_rand_int_range(rand, 0, 8));
        }
    }
    guest->hold = FALSE;
    g_queue_clear_full(&guest->frames, (GDestroyNotify)sc_frame_unref);
    guest_disconnect(guest);
    guest_connect(guest, GPU_FEATURES);
}

typedef struct {
    Vmm *vmm;
    guint64 requests; /* where they lie, in 8 KiB */
    gint stop;        /* atomic */
} Scribbler;

/* Another processor of the guest, which writes where the device reads: the descriptors, the
 * indirect tables, the requests and their entries. The ring's indices stay, lest the queue breaks
 * at once. */
static gpointer scribble(gpointer data)
{
    Scribbler *scribbler = data;
    g_autoptr(GRand) rand = g_rand_new_with_seed(3);
    guint8 *desc = (guint8 *)scribbler->vmm->queues[CONTROL].desc;
    guint8 *requests = vmm_at(scribbler->vmm, scribbler->requests);

    while (!g_atomic_int_get(&scribbler->stop)) {
        guint32 value = random_number(rand), before;
        gint32 where = g_rand_int_range(rand, 0, 32);
        gpointer to = where == 0   ? desc + 4 * g_rand_int_range(rand, 0, 4)
                      : where < 16 ? requests + 4 * where
                                   : requests + 4 * g_rand_int_range(rand, 0, 2048);

        /* Right when it is judged and wrong when it is used, with some luck. */
        for (guint i = 0; i < 200; i++) {
            before = __atomic_exchange_n((guint32 *)to, value, __ATOMIC_RELAXED);
            __atomic_store_n((guint32 *)to, before, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

/* The @i-th of requests that are all right as long as nobody touches them. */
static void post_right(Guest *guest, guint32 i, const struct virtio_gpu_mem_entry *entries, guint n)
{
    struct virtio_gpu_transfer_to_host_2d transfer = {
        .hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, .r = GUEST_ALL, .resource_id = 1
    };
    struct virtio_gpu_set_scanout scanout = { .hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT,
                                              .r = GUEST_ALL,
                                              .resource_id = 1 };
    struct virtio_gpu_resource_flush flush = {
        .hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_FLUSH, .flags = i / 8 % 2, .fence_id = i },
        .r = GUEST_ALL,
        .resource_id = 1
    };
    struct virtio_gpu_resource_attach_backing attach = {
        .hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, .resource_id = 3, .nr_entries = n
    };
    struct virtio_gpu_resource_detach_backing detach = { .hdr.type =
                                                             VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING,
                                                         .resource_id = 3 };

    switch (i % 8) {
    case 0:
        guest_post(guest, &scanout, sizeof scanout, NULL, 0);
        break;
    case 1:
        guest_post(guest, &attach, sizeof attach, entries, n * sizeof *entries);
        break;
    case 2:
        guest_post(guest, &flush, sizeof flush, NULL, 0);
        break;
    case 3:
        guest_post(guest, &detach, sizeof detach, NULL, 0);
        break;
    default:
        guest_post(guest, &transfer, sizeof transfer, NULL, 0);
        break;
    }
}

/* What the device has checked is what it works with, whatever stands there now. */
static void test_rewritten(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    Scribbler scribbler = { .vmm = guest->vmm };
    struct virtio_gpu_mem_entry entries[64];
    VmmQueue *control = &guest->vmm->queues[CONTROL];
    guint answered = 0;
    GThread *thread;

    /* Then transfers write, to where somebody else might have something. */
    guest_refuses_dmabufs = TRUE;
    create_resources(guest);
    scribbler.requests = vmm_alloc(guest->vmm, 8192, 4096);
    for (gsize i = 0; i < G_N_ELEMENTS(entries); i++) {
        entries[i] = (struct virtio_gpu_mem_entry){ 0x200000 + 8192 * i, 4096, 0 };
    }
    thread = g_thread_new("scribbler", scribble, &scribbler);
    for (guint32 i = 0; i < 20000; i++) {
        guest->vmm->next_free = scribbler.requests;
        control->next_desc = 0;
        post_right(guest, i, entries, G_N_ELEMENTS(entries));
        vmm_kick(guest->vmm, CONTROL);
        vmm_settle();
        answered += vmm_count_used(guest->vmm, CONTROL);
        control->seen_used = control->used->idx;
    }
    g_atomic_int_set(&scribbler.stop, 1);
    g_thread_join(thread);
    g_assert_cmpuint(answered, ==, 20000);
    guest_disconnect(guest);
    guest_connect(guest, GPU_FEATURES);
}

#define ADD(name, function)                                                                        \
    g_test_add("/virtio-gpu-hostile/" name, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK); /* warnings are wanted here */
    vmm_settle(); /* the main context has a descriptor of its own */
    ADD("create-2d", test_create_2d);
    ADD("create-blob", test_create_blob);
    ADD("entries", test_entries);
    ADD("rectangles", test_rectangles);
    ADD("scanouts", test_scanouts);
    ADD("requests", test_requests);
    ADD("no-blob-feature", test_no_blob_feature);
    ADD("odd-chains", test_odd_chains);
    ADD("limits", test_limits);
    ADD("many-resources", test_many_resources);
    ADD("many-entries", test_many_entries);
    ADD("many-dmabufs", test_many_dmabufs);
    ADD("huge-picture", test_huge_picture);
    ADD("random", test_random);
    ADD("rewritten", test_rewritten);
    return g_test_run();
}
