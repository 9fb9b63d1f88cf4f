/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The virtio-gpu device with a driver that behaves: displays, pictures, the pointer. */
#include "capture/virtio-gpu-display.h"
#include "tests/vhost-user/gpu-guest.h"

#include <drm_fourcc.h>
#include <string.h>
#include <sys/socket.h>

#define OK VIRTIO_GPU_RESP_OK_NODATA
#define XRGB VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define SMALL 64 /* such ones are copied */

#define WIDTH GUEST_WIDTH
#define HEIGHT GUEST_HEIGHT
#define STRIDE GUEST_STRIDE
#define SIZE GUEST_SIZE
#define ALL GUEST_ALL

typedef struct {
    Guest *guest;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
    fixture->guest = guest_new();
    guest_connect(fixture->guest, GPU_FEATURES);
    sc_virtio_gpu_set_watched(fixture->guest->gpu, TRUE);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    guest_free(fixture->guest);
}

/* ---- display information ---------------------------------------------------------------- */

/* 60 Hz; and no nonsense to who reads it. */
static void check_clock(guint64 clock, guint columns, guint lines)
{
    g_assert_cmpuint(clock, >=, 1000);
    g_assert_cmpuint(clock * 10000 / (columns * lines), >=, 59);
    g_assert_cmpuint(clock * 10000 / (columns * lines), <=, 60);
}

static guint8 add_up(const guint8 *bytes, gsize n)
{
    guint8 sum = 0;

    for (gsize i = 0; i < n; i++) {
        sum = (guint8)(sum + bytes[i]);
    }
    return sum;
}

static void check_base(const guint8 *edid, guint width, guint height)
{
    guint columns = edid[56] | (edid[58] & 0xf0) << 4, lines = edid[59] | (edid[61] & 0xf0) << 4;

    g_assert_cmpuint(columns, ==, width);
    g_assert_cmpuint(lines, ==, height);
    check_clock(edid[54] | edid[55] << 8, columns + (edid[57] | (edid[58] & 0xf) << 8),
                lines + (edid[60] | (edid[61] & 0xf) << 8));
}

/* The DisplayID extension: what displays must say of themselves, and the timing. */
static void check_extension(const guint8 *block, guint width, guint height)
{
    static const guint8 tags[] = { 0x00, 0x01, 0x0f, 0x03 };
    const guint8 *end = block + 6 + block[2];
    guint n = 0;

    g_assert_cmphex(block[0], ==, 0x70);
    g_assert_cmphex(block[3], ==, 0x03); /* not a television */
    g_assert_cmpuint(add_up(block + 1, (gsize)(end - block) - 1), ==, 0);
    for (const guint8 *data = block + 5; data < end - 1; data += 3 + data[2]) {
        g_assert_cmpuint(n, <, G_N_ELEMENTS(tags));
        g_assert_cmphex(data[0], ==, tags[n++]);
        if (data[0] == 0x03) {
            const guint8 *timing = data + 3;
            guint columns = timing[4] + (timing[5] << 8) + 1;
            guint lines = timing[12] + (timing[13] << 8) + 1;

            g_assert_cmpuint(columns, ==, width);
            g_assert_cmpuint(lines, ==, height);
            check_clock((timing[0] | timing[1] << 8 | timing[2] << 16) + 1,
                        columns + timing[6] + (timing[7] << 8) + 1,
                        lines + timing[14] + (timing[15] << 8) + 1);
        }
    }
    g_assert_cmpuint(n, ==, G_N_ELEMENTS(tags));
}

static void check_edid(const guint8 *edid, guint size, guint width, guint height)
{
    static const guint8 header[] = { 0, 255, 255, 255, 255, 255, 255, 0 };

    g_assert_cmpmem(edid, 8, header, 8);
    g_assert_cmpuint(size, ==, 128u * (1 + edid[126]));
    for (guint block = 0; block < size / 128; block++) {
        g_assert_cmpuint(add_up(edid + 128 * block, 128), ==, 0);
    }
    if (size == 128) {
        check_base(edid, width, height);
    } else {
        check_extension(edid + 128, width, height);
    }
}

static void check_sizes(Guest *guest, guint width, guint height)
{
    struct virtio_gpu_ctrl_hdr info = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
    struct virtio_gpu_cmd_get_edid edid = { .hdr.type = VIRTIO_GPU_CMD_GET_EDID };
    struct virtio_gpu_resp_display_info modes;
    struct virtio_gpu_resp_edid answer;

    g_assert_cmphex(guest_call(guest, &info, sizeof info, NULL, 0, &modes, sizeof modes), ==,
                    VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
    g_assert_cmpuint(modes.pmodes[0].enabled, ==, 1);
    g_assert_cmpuint(modes.pmodes[0].r.width, ==, width);
    g_assert_cmpuint(modes.pmodes[0].r.height, ==, height);
    g_assert_cmpuint(modes.pmodes[1].enabled, ==, 0);
    g_assert_cmphex(guest_call(guest, &edid, sizeof edid, NULL, 0, &answer, sizeof answer), ==,
                    VIRTIO_GPU_RESP_OK_EDID);
    check_edid(answer.edid, answer.size, width, height);
}

static guint32 read_events(Guest *guest)
{
    struct {
        guint32 offset, size, flags;
        struct virtio_gpu_config config;
    } message = { 0, sizeof(struct virtio_gpu_config), 0, { 0 } };

    vmm_send(guest->vmm, VMM_GET_CONFIG, 0, &message, sizeof message, NULL, 0);
    g_assert_cmpint(vmm_receive(guest->vmm, VMM_GET_CONFIG, &message, sizeof message), ==,
                    sizeof message);
    g_assert_cmpuint(message.config.num_scanouts, ==, 1);
    return message.config.events_read;
}

static void test_sizes(Fixture *fixture, gconstpointer data)
{
    static const guint sizes[][2] = { { 1920, 1080 }, { 801, 603 },   { 64, 64 },
                                      { 3840, 2160 }, { 5120, 2880 }, { 8192, 8192 } };
    Guest *guest = fixture->guest;
    guint32 clear[4] = { 4, 4, 0, VIRTIO_GPU_EVENT_DISPLAY };
    guint32 news[3];

    check_sizes(guest, 1280, 800);
    g_assert_cmpuint(read_events(guest), ==, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        sc_virtio_gpu_set_size(guest->gpu, sizes[i][0], sizes[i][1]);
        g_assert_cmpint(recv(guest->vmm->backend, news, sizeof news, MSG_DONTWAIT), ==, 12);
        g_assert_cmpuint(read_events(guest), ==, VIRTIO_GPU_EVENT_DISPLAY);
        g_assert_cmpuint(vmm_order(guest->vmm, VMM_SET_CONFIG, clear, sizeof clear, NULL, 0), ==,
                         0);
        g_assert_cmpuint(read_events(guest), ==, 0);
        check_sizes(guest, sizes[i][0], sizes[i][1]);
        /* The same again is no news. */
        sc_virtio_gpu_set_size(guest->gpu, sizes[i][0], sizes[i][1]);
        g_assert_cmpint(recv(guest->vmm->backend, news, sizeof news, MSG_DONTWAIT), <, 0);
    }
}

/* ---- pictures --------------------------------------------------------------------------- */

static void test_formats(Fixture *fixture, gconstpointer data)
{
    /* A pixel of red 0x11, green 0x22, blue 0x33, alpha 0x44 in memory. */
    static const struct {
        guint32 format, fourcc;
        guint8 bytes[4];
    } formats[] = {
        { VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, DRM_FORMAT_ARGB8888, { 0x33, 0x22, 0x11, 0x44 } },
        { VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, DRM_FORMAT_XRGB8888, { 0x33, 0x22, 0x11, 0x44 } },
        { VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, DRM_FORMAT_BGRA8888, { 0x44, 0x11, 0x22, 0x33 } },
        { VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, DRM_FORMAT_BGRX8888, { 0x44, 0x11, 0x22, 0x33 } },
        { VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, DRM_FORMAT_ABGR8888, { 0x11, 0x22, 0x33, 0x44 } },
        { VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, DRM_FORMAT_RGBX8888, { 0x44, 0x33, 0x22, 0x11 } },
        { VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, DRM_FORMAT_RGBA8888, { 0x44, 0x33, 0x22, 0x11 } },
        { VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, DRM_FORMAT_XBGR8888, { 0x11, 0x22, 0x33, 0x44 } },
    };
    Guest *guest = fixture->guest;
    g_auto(Pages) pages = guest_alloc_pages(guest, SMALL * SMALL * 4, 1);

    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        ScPixels pixels;

        memcpy(guest_page_at(guest, &pages, 0), formats[i].bytes, 4);
        g_assert_cmphex(guest_create_2d(guest, 1 + i, formats[i].format, SMALL, SMALL), ==, OK);
        g_assert_cmphex(guest_attach(guest, 1 + i, pages.entries, pages.n), ==, OK);
        g_assert_cmphex(guest_transfer(guest, 1 + i, RECT(0, 0, SMALL, SMALL), 0), ==, OK);
        g_assert_cmphex(guest_set_scanout(guest, 0, 1 + i, RECT(0, 0, SMALL, SMALL)), ==, OK);
        g_assert_cmphex(guest_flush(guest, 1 + i, RECT(0, 0, SMALL, SMALL)), ==, OK);
        g_assert_cmphex(sc_scanout_get_fourcc(guest->scanout), ==, formats[i].fourcc);
        g_assert_true(sc_scanout_begin_read(guest->scanout, &pixels, NULL));
        g_assert_cmpmem(pixels.data, 4, formats[i].bytes, 4);
        sc_scanout_end_read(guest->scanout);
    }
}

/* A transfer shows what it has moved, and only that. */
static void test_copied(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    g_auto(Pages) pages = guest_alloc_pages(guest, SMALL * SMALL * 4, 1);

    g_assert_cmphex(guest_create_2d(guest, 1, XRGB, SMALL, SMALL), ==, OK);
    g_assert_cmphex(guest_attach(guest, 1, pages.entries, pages.n), ==, OK);
    guest_draw(guest, &pages, SMALL, SMALL, SMALL * 4, 0, 1);
    g_assert_cmphex(guest_transfer(guest, 1, RECT(0, 0, SMALL, SMALL), 0), ==, OK);
    g_assert_cmphex(guest_set_scanout(guest, 0, 1, RECT(0, 0, SMALL, SMALL)), ==, OK);
    g_assert_cmphex(guest_flush(guest, 1, RECT(0, 0, SMALL, SMALL)), ==, OK);
    g_assert_false(guest_is_direct(guest));
    guest_check_picture(guest, RECT(0, 0, SMALL, SMALL), 1);

    guest_draw(guest, &pages, SMALL, SMALL, SMALL * 4, 0, 2);
    guest_check_picture(guest, RECT(0, 0, SMALL, SMALL), 1);
    g_assert_cmphex(guest_transfer(guest, 1, RECT(10, 20, 30, 40), (20 * SMALL + 10) * 4), ==, OK);
    g_assert_cmphex(guest_flush(guest, 1, RECT(10, 20, 30, 40)), ==, OK);
    guest_check_damage(guest, 10, 20, 30, 40);
    guest_check_picture(guest, RECT(10, 20, 30, 40), 2);
    guest_check_picture(guest, RECT(0, 0, SMALL, 20), 1);
    guest_check_picture(guest, RECT(0, 20, 10, 44), 1);

    /* What was transferred outlives its backing. */
    g_assert_cmphex(guest_detach(guest, 1), ==, OK);
    guest_draw(guest, &pages, SMALL, SMALL, SMALL * 4, 0, 3);
    g_assert_cmphex(guest_flush(guest, 1, RECT(0, 0, SMALL, SMALL)), ==, OK);
    guest_check_picture(guest, RECT(10, 20, 30, 40), 2);
    g_assert_cmphex(guest_transfer(guest, 1, RECT(0, 0, 1, 1), 0), ==, VIRTIO_GPU_RESP_ERR_UNSPEC);
}

/* Drivers may keep the rectangles they transfer anywhere in the backing. */
static void test_odd_transfers(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    g_auto(Pages) pages = guest_show_2d(guest, 1, 1);

    g_assert_cmphex(guest_flush(guest, 1, ALL), ==, OK);
    guest_check_picture(guest, ALL, 1);
    guest_draw(guest, &pages, WIDTH, 100, STRIDE, 0, 2);
    g_assert_cmphex(guest_transfer(guest, 1, RECT(0, 200, WIDTH, 100), 0), ==, OK);
    g_assert_cmphex(guest_flush(guest, 1, ALL), ==, OK);
    {
        ScPixels pixels;

        g_assert_true(sc_scanout_begin_read(guest->scanout, &pixels, NULL));
        for (guint x = 0; x < WIDTH; x++) {
            g_assert_cmphex(((const guint32 *)(pixels.data + 200 * pixels.stride))[x], ==,
                            guest_pixel(x, 0, 2));
        }
        sc_scanout_end_read(guest->scanout);
    }
    g_assert_cmphex(guest_transfer(guest, 1, ALL, 8192), ==, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
}

/* No fence: the picture is the one of the flush, whatever the guest draws afterwards. */
static void check_never_torn(Guest *guest, Pages *pages, guint32 id)
{
    g_assert_cmphex(guest_flush(guest, id, ALL), ==, OK);
    g_assert_false(guest_is_direct(guest));
    g_assert_false(guest->was_awaited);
    guest_check_picture(guest, ALL, 1);
    guest_draw(guest, pages, WIDTH, HEIGHT, STRIDE, 0, 2);
    guest_check_picture(guest, ALL, 1);
    g_assert_cmphex(guest_flush(guest, id, RECT(100, 50, 20, 200)), ==, OK);
    guest_check_damage(guest, 100, 50, 20, 200);
    guest_check_picture(guest, RECT(100, 50, 20, 200), 2);
    guest_check_picture(guest, RECT(0, 0, 100, HEIGHT), 1);
    guest_check_picture(guest, RECT(120, 0, WIDTH - 120, HEIGHT), 1);
}

static void test_unfenced_2d(Fixture *fixture, gconstpointer data)
{
    g_auto(Pages) pages = guest_show_2d(fixture->guest, 1, 1);

    check_never_torn(fixture->guest, &pages, 1);
}

static void test_unfenced_blob(Fixture *fixture, gconstpointer data)
{
    g_auto(Pages) pages = guest_make_blob(fixture->guest, 1, 1);

    guest_show_blob(fixture->guest, 1);
    check_never_torn(fixture->guest, &pages, 1);
}

/* The same where no dmabuf can be made; a fence is answered after the copy. */
static void test_no_udmabuf(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    g_auto(Pages) blob = { 0 };
    g_auto(Pages) plain = { 0 };
    Posted posted;

    guest_refuses_dmabufs = TRUE;
    blob = guest_make_blob(guest, 1, 1);
    guest_show_blob(guest, 1);
    guest->hold = TRUE;
    posted = guest_flush_fenced(guest, 1, 7);
    g_assert_cmphex(guest_get_type(guest, &posted), ==, OK);
    vmm_wait_used(guest->vmm, CONTROL, 1);
    g_assert_false(guest_is_direct(guest));
    guest_check_picture(guest, ALL, 1);
    check_never_torn(guest, &blob, 1);
    plain = guest_show_2d(guest, 2, 5);
    g_assert_cmphex(guest_flush(guest, 2, ALL), ==, OK);
    guest_check_picture(guest, ALL, 5);
}

/* Two buffers of which one is shown and the other drawn: what a flush names is all that changed. */
static void test_flips(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    G_GNUC_UNUSED g_auto(Pages) a = guest_make_blob(guest, 1, 1);
    g_auto(Pages) b = guest_make_blob(guest, 2, 2);
    ScScanout *first;

    guest_show_blob(guest, 1);
    g_assert_cmphex(guest_flush(guest, 1, ALL), ==, OK);
    first = guest->scanout;
    guest_show_blob(guest, 2);
    g_assert_cmphex(guest_flush(guest, 2, RECT(0, 0, WIDTH, 10)), ==, OK);
    g_assert_true(guest->scanout == first);
    guest_check_picture(guest, RECT(0, 0, WIDTH, 10), 2);
    guest_check_picture(guest, RECT(0, 10, WIDTH, HEIGHT - 10), 1);

    /* Those that wait get the same two scanouts again and again. */
    for (int i = 0; i < 2 * SC_GPU_DISPLAY_TRUST; i++) {
        guest_show_blob(guest, 1 + (guint)i % 2);
        guest_flush_fenced(guest, 1 + (guint)i % 2, (guint64)i);
        vmm_wait_used(guest->vmm, CONTROL, 1);
    }
    g_assert_true(guest_is_direct(guest));
    first = guest->scanout;
    guest_show_blob(guest, 1);
    guest_flush_fenced(guest, 1, 100);
    vmm_wait_used(guest->vmm, CONTROL, 1);
    g_assert_true(guest->scanout != first);
    guest_show_blob(guest, 2);
    guest_flush_fenced(guest, 2, 101);
    g_assert_true(guest->scanout == first);
    vmm_wait_used(guest->vmm, CONTROL, 1);
    /* Of a memfd as well as of a real dmabuf: the guest's own pages. */
    g_assert_true(sc_dmabuf_is_system_memory(sc_scanout_get_dmabuf(guest->scanout)));
    if (guest_has_udmabuf()) {
        guest_draw(guest, &b, WIDTH, HEIGHT, STRIDE, 0, 9);
        guest_check_picture(guest, ALL, 9);
    }
}

/* A part of a larger picture, at its place. */
static void test_part_of_resource(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    G_GNUC_UNUSED g_auto(Pages) pages = guest_show_2d(guest, 1, 1);
    ScPixels pixels;

    g_assert_cmphex(guest_set_scanout(guest, 0, 1, RECT(50, 60, 200, 100)), ==, OK);
    g_assert_cmphex(guest_flush(guest, 1, RECT(0, 0, 60, 70)), ==, OK);
    guest_check_damage(guest, 0, 0, 200, 100); /* the first picture of this size */
    g_assert_cmpuint(sc_scanout_get_width(guest->scanout), ==, 200);
    g_assert_true(sc_scanout_begin_read(guest->scanout, &pixels, NULL));
    g_assert_cmphex(*(const guint32 *)pixels.data, ==, guest_pixel(50, 60, 1));
    sc_scanout_end_read(guest->scanout);
    g_assert_cmphex(guest_flush(guest, 1, RECT(0, 0, 60, 70)), ==, OK);
    guest_check_damage(guest, 0, 0, 10, 10);
    guest->n_frames = 0;
    g_assert_cmphex(guest_flush(guest, 1, RECT(0, 0, 50, 300)), ==, OK);
    g_assert_cmpuint(guest->n_frames, ==, 0);
}

static void test_other_scanouts(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    G_GNUC_UNUSED g_auto(Pages) pages = guest_show_2d(guest, 1, 1);

    g_assert_cmphex(guest_flush(guest, 1, ALL), ==, OK);
    guest->n_frames = guest->scanouts = 0;
    g_assert_cmphex(guest_create_2d(guest, 2, XRGB, WIDTH, HEIGHT), ==, OK);
    for (guint32 i = 1; i < 16; i++) {
        g_assert_cmphex(guest_set_scanout(guest, i, 2, ALL), ==, OK);
        g_assert_cmphex(guest_flush(guest, 2, ALL), ==, OK);
        g_assert_cmphex(guest_set_scanout(guest, i, 0, ALL), ==, OK);
    }
    g_assert_cmpuint(guest->n_frames + guest->scanouts, ==, 0);
    g_assert_cmphex(guest_set_scanout(guest, 0, 0, ALL), ==, OK);
    g_assert_null(guest->scanout);
}

static void test_never_flushed(Fixture *fixture, gconstpointer data)
{
    G_GNUC_UNUSED g_auto(Pages) pages = guest_show_2d(fixture->guest, 1, 1);

    g_assert_null(fixture->guest->scanout);
    for (int i = 0; i < 100 && fixture->guest->scanout == NULL; i++) {
        vmm_run(20);
    }
    guest_check_picture(fixture->guest, ALL, 1);
}

/* While nobody looks nothing is copied; who comes sees the newest. */
static void test_unwatched(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    g_auto(Pages) pages = guest_make_blob(guest, 1, 1);

    guest_show_blob(guest, 1);
    sc_virtio_gpu_set_watched(guest->gpu, FALSE);
    g_assert_cmphex(guest_flush(guest, 1, ALL), ==, OK);
    g_assert_nonnull(guest->scanout); /* its size is known */
    guest->n_frames = 0;
    guest_draw(guest, &pages, WIDTH, HEIGHT, STRIDE, 0, 2);
    g_assert_cmphex(guest_flush(guest, 1, ALL), ==, OK);
    g_assert_cmpuint(guest->n_frames, ==, 0);
    guest_check_picture(guest, ALL, 1);
    sc_virtio_gpu_set_watched(guest->gpu, TRUE);
    g_assert_cmpuint(guest->n_frames, ==, 1);
    guest_check_picture(guest, ALL, 2);
}

/* The same for a resource that is copied: its transfers wait until somebody looks. */
static void test_unwatched_copied(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    g_auto(Pages) pages = { 0 };

    guest_refuses_dmabufs = TRUE;
    pages = guest_show_2d(guest, 1, 1);
    g_assert_cmphex(guest_flush(guest, 1, ALL), ==, OK);
    guest_check_picture(guest, ALL, 1);
    sc_virtio_gpu_set_watched(guest->gpu, FALSE);
    guest->n_frames = 0;
    guest_draw(guest, &pages, WIDTH, 100, STRIDE, 0, 2);
    g_assert_cmphex(guest_transfer(guest, 1, RECT(0, 0, WIDTH, 100), 0), ==, OK);
    g_assert_cmphex(guest_flush(guest, 1, ALL), ==, OK);
    g_assert_cmpuint(guest->n_frames, ==, 0);
    guest_check_picture(guest, ALL, 1);
    sc_virtio_gpu_set_watched(guest->gpu, TRUE);
    g_assert_cmpuint(guest->n_frames, ==, 1);
    guest_check_picture(guest, RECT(0, 0, WIDTH, 100), 2);
    guest_check_picture(guest, RECT(0, 100, WIDTH, HEIGHT - 100), 1);

    /* What was put off is not lost with the backing. */
    sc_virtio_gpu_set_watched(guest->gpu, FALSE);
    guest_draw(guest, &pages, WIDTH, HEIGHT, STRIDE, 0, 3);
    g_assert_cmphex(guest_set_scanout(guest, 0, 0, ALL), ==, OK);
    g_assert_cmphex(guest_transfer(guest, 1, ALL, 0), ==, OK);
    g_assert_cmphex(guest_detach(guest, 1), ==, OK);
    sc_virtio_gpu_set_watched(guest->gpu, TRUE);
    g_assert_cmphex(guest_set_scanout(guest, 0, 1, ALL), ==, OK);
    g_assert_cmphex(guest_flush(guest, 1, ALL), ==, OK);
    guest_check_picture(guest, ALL, 3);
}

/* ---- the pointer ------------------------------------------------------------------------ */

static void post_cursor(Guest *guest, guint32 type, guint32 scanout, guint32 id, gint32 x, gint32 y)
{
    struct virtio_gpu_update_cursor request = { .hdr.type = type,
                                                .pos = { scanout, (guint32)x, (guint32)y, 0 },
                                                .resource_id = id,
                                                .hot_x = 5,
                                                .hot_y = 6 };
    guint64 address = vmm_alloc(guest->vmm, sizeof request, 8);
    VmmSegment segment = { address, sizeof request, FALSE };

    memcpy(vmm_at(guest->vmm, address), &request, sizeof request);
    vmm_add(guest->vmm, CURSOR, &segment, 1);
    vmm_kick(guest->vmm, CURSOR);
    vmm_wait_used(guest->vmm, CURSOR, 1);
}

static void test_cursor(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    g_auto(Pages) pages = guest_alloc_pages(guest, SMALL * SMALL * 4, 1);

    *guest_page_at(guest, &pages, 0) = 0x80402010;
    *guest_page_at(guest, &pages, 4) = 0xff112233;
    g_assert_cmphex(guest_create_2d(guest, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, SMALL, SMALL), ==,
                    OK);
    g_assert_cmphex(guest_attach(guest, 1, pages.entries, pages.n), ==, OK);
    g_assert_cmphex(guest_transfer(guest, 1, RECT(0, 0, SMALL, SMALL), 0), ==, OK);
    g_assert_cmphex(guest_create_blob(guest, 2, SMALL * SMALL * 4, pages.entries, pages.n), ==, OK);
    for (guint32 id = 1; id <= 2; id++) {
        post_cursor(guest, VIRTIO_GPU_CMD_UPDATE_CURSOR, 0, id, 100, 200);
        g_assert_nonnull(guest->cursor);
        g_assert_cmpuint(sc_cursor_get_width(guest->cursor), ==, SMALL);
        g_assert_cmpuint(sc_cursor_get_hot_x(guest->cursor), ==, 5);
        g_assert_cmphex(sc_cursor_get_argb(guest->cursor)[0], ==, 0x80402010);
        g_assert_cmphex(sc_cursor_get_argb(guest->cursor)[1], ==, 0xff112233);
        g_assert_cmpint(guest->cursor_x, ==, 105);
        g_assert_cmpint(guest->cursor_y, ==, 206);
        post_cursor(guest, VIRTIO_GPU_CMD_MOVE_CURSOR, 0, 0, -5, -10);
        g_assert_cmpint(guest->cursor_x, ==, 0);
        g_assert_cmpint(guest->cursor_y, ==, -4);
        post_cursor(guest, VIRTIO_GPU_CMD_UPDATE_CURSOR, 0, 0, 0, 0);
        g_assert_null(guest->cursor);
    }
    /* Another output's, unknown resources, unknown outputs, other commands: nothing. */
    guest->cursor_x = 1234;
    post_cursor(guest, VIRTIO_GPU_CMD_UPDATE_CURSOR, 1, 1, 0, 0);
    post_cursor(guest, VIRTIO_GPU_CMD_UPDATE_CURSOR, 0, 77, 0, 0);
    post_cursor(guest, VIRTIO_GPU_CMD_MOVE_CURSOR, 16, 0, 0, 0);
    post_cursor(guest, VIRTIO_GPU_CMD_GET_DISPLAY_INFO, 0, 0, 0, 0);
    g_assert_null(guest->cursor);
    g_assert_cmpint(guest->cursor_x, ==, 1234);
    post_cursor(guest, VIRTIO_GPU_CMD_MOVE_CURSOR, 0, 0, G_MAXINT32, G_MININT32);
}

static void test_cursor_formats(Fixture *fixture, gconstpointer data)
{
    static const struct {
        guint32 format, pixel; /* red 0x10, green 0x20, blue 0x30, alpha 0x80 if any */
        guint32 argb;
    } formats[] = {
        { VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 0x80302010, 0x80102030 },
        { VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, 0x30201080, 0x80102030 },
        { VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, 0x10203080, 0x80102030 },
        { VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 0x00102030, 0xff102030 },
    };
    Guest *guest = fixture->guest;
    g_auto(Pages) pages = guest_alloc_pages(guest, SMALL * SMALL * 4, 1);

    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        *guest_page_at(guest, &pages, 0) = formats[i].pixel;
        g_assert_cmphex(guest_create_2d(guest, 1 + i, formats[i].format, SMALL, SMALL), ==, OK);
        g_assert_cmphex(guest_attach(guest, 1 + i, pages.entries, pages.n), ==, OK);
        g_assert_cmphex(guest_transfer(guest, 1 + i, RECT(0, 0, SMALL, SMALL), 0), ==, OK);
        post_cursor(guest, VIRTIO_GPU_CMD_UPDATE_CURSOR, 0, 1 + i, 0, 0);
        g_assert_cmphex(sc_cursor_get_argb(guest->cursor)[0], ==, formats[i].argb);
    }
}

static void test_uuid(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    struct virtio_gpu_resource_assign_uuid request = { .hdr.type =
                                                           VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID,
                                                       .resource_id = 1 };
    struct virtio_gpu_resp_resource_uuid a, b;

    g_assert_cmphex(guest_create_2d(guest, 1, XRGB, 10, 10), ==, OK);
    g_assert_cmphex(guest_call(guest, &request, sizeof request, NULL, 0, &a, sizeof a), ==,
                    VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
    g_assert_cmphex(guest_call(guest, &request, sizeof request, NULL, 0, &b, sizeof b), ==,
                    VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
    g_assert_cmpmem(a.uuid, 16, b.uuid, 16);
    g_assert_cmphex(a.uuid[6] & 0xf0, ==, 0x40); /* random, by RFC 4122 */
    g_assert_cmphex(a.uuid[8] & 0xc0, ==, 0x80);
    g_assert_cmphex(guest_create_2d(guest, 2, XRGB, 10, 10), ==, OK);
    request.resource_id = 2;
    guest_call(guest, &request, sizeof request, NULL, 0, &b, sizeof b);
    g_assert_true(memcmp(a.uuid, b.uuid, 16) != 0);
    request.resource_id = 3;
    g_assert_cmphex(CALL(guest, request), ==, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
}

#define ADD(name, function)                                                                        \
    g_test_add("/virtio-gpu/" name, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK); /* warnings are wanted here */
    vmm_settle(); /* the main context has a descriptor of its own */
    ADD("sizes", test_sizes);
    ADD("formats", test_formats);
    ADD("copied", test_copied);
    ADD("odd-transfers", test_odd_transfers);
    ADD("unfenced/2d", test_unfenced_2d);
    ADD("unfenced/blob", test_unfenced_blob);
    ADD("no-udmabuf", test_no_udmabuf);
    ADD("flips", test_flips);
    ADD("part-of-resource", test_part_of_resource);
    ADD("other-scanouts", test_other_scanouts);
    ADD("never-flushed", test_never_flushed);
    ADD("unwatched", test_unwatched);
    ADD("unwatched-copied", test_unwatched_copied);
    ADD("cursor", test_cursor);
    ADD("cursor-formats", test_cursor_formats);
    ADD("uuid", test_uuid);
    return g_test_run();
}
