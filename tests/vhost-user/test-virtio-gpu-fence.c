/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The virtio-gpu device: fences, pages that are given back, VMMs and drivers that come and go. */
#include "tests/vhost-user/gpu-guest.h"

#define OK VIRTIO_GPU_RESP_OK_NODATA
#define XRGB VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM

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

/* ---- fences ----------------------------------------------------------------------------- */

static void test_fence(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    G_GNUC_UNUSED g_auto(Pages) pages = guest_make_blob(guest, 1, 1);
    struct virtio_gpu_ctrl_hdr *answer;
    Posted posted;

    guest_show_blob(guest, 1);
    guest->hold = TRUE;
    posted = guest_flush_fenced(guest, 1, G_GUINT64_CONSTANT(0x123456789abcdef0));
    g_assert_true(guest_is_direct(guest));
    g_assert_true(guest->was_awaited);
    guest_check_picture(guest, ALL, 1);
    vmm_run(20);
    g_assert_cmpuint(vmm_count_used(guest->vmm, CONTROL), ==, 0);
    vmm_take_interrupts(guest->vmm, CONTROL);
    guest_release_frame(guest, 0);
    g_assert_cmpuint(vmm_wait_used(guest->vmm, CONTROL, 1).len, ==, sizeof *answer);
    g_assert_cmpuint(vmm_take_interrupts(guest->vmm, CONTROL), ==, 1);
    answer = vmm_at(guest->vmm, posted.response);
    g_assert_cmphex(answer->type, ==, OK);
    g_assert_cmphex(answer->flags, ==, VIRTIO_GPU_FLAG_FENCE);
    g_assert_cmphex(answer->fence_id, ==, G_GUINT64_CONSTANT(0x123456789abcdef0));
}

/* A later fence never overtakes an earlier one; what has none is answered at once. */
static void test_fence_order(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    G_GNUC_UNUSED g_auto(Pages) a = guest_make_blob(guest, 1, 1);
    G_GNUC_UNUSED g_auto(Pages) b = guest_make_blob(guest, 2, 2);
    struct virtio_gpu_ctrl_hdr info = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO,
                                        .flags = VIRTIO_GPU_FLAG_FENCE,
                                        .fence_id = 3 };
    Posted first, second, third;

    guest->hold = TRUE;
    guest_show_blob(guest, 1);
    first = guest_flush_fenced(guest, 1, 1);
    guest_show_blob(guest, 2);
    second = guest_flush_fenced(guest, 2, 2);
    third = guest_post(guest, &info, sizeof info, NULL, 0);
    vmm_kick(guest->vmm, CONTROL);
    vmm_settle();
    g_assert_cmpuint(vmm_count_used(guest->vmm, CONTROL), ==, 0);
    /* Without a fence: guest_call() wants the next answer to be its own. */
    g_assert_cmphex(guest_create_2d(guest, 3, XRGB, 10, 10), ==, OK);

    guest_release_frame(guest, 1);
    g_assert_cmphex(guest_get_type(guest, &second), ==, 0);
    g_assert_cmpuint(vmm_count_used(guest->vmm, CONTROL), ==, 0);
    vmm_take_interrupts(guest->vmm, CONTROL);
    guest_release_frame(guest, 0);
    g_assert_cmpuint(vmm_count_used(guest->vmm, CONTROL), ==, 3);
    g_assert_cmphex(guest_get_type(guest, &first), ==, OK);
    g_assert_cmphex(guest_get_type(guest, &second), ==, OK);
    g_assert_cmphex(guest_get_type(guest, &third), ==, VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
    g_assert_cmpuint(vmm_wait_used(guest->vmm, CONTROL, 1).id, ==, first.head);
    g_assert_cmpuint(vmm_wait_used(guest->vmm, CONTROL, 1).id, ==, second.head);
    g_assert_cmpuint(vmm_wait_used(guest->vmm, CONTROL, 1).id, ==, third.head);
    g_assert_cmpuint(vmm_take_interrupts(guest->vmm, CONTROL), ==, 1);
}

/* The deadline answers the guest, though somebody still reads. */
static void test_fence_expires(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    G_GNUC_UNUSED g_auto(Pages) pages = guest_make_blob(guest, 1, 1);

    guest_show_blob(guest, 1);
    guest->hold = TRUE;
    guest_flush_fenced(guest, 1, 1);
    sc_frame_set_timeout(g_queue_peek_head(&guest->frames), 1000);
    vmm_wait_used(guest->vmm, CONTROL, 1);
    g_assert_cmpuint(guest->frames.length, ==, 1);
}

static void test_one_interrupt(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    G_GNUC_UNUSED g_auto(Pages) pages = guest_make_blob(guest, 1, 1);

    guest_show_blob(guest, 1);
    vmm_take_interrupts(guest->vmm, CONTROL);
    for (guint64 i = 0; i < 20; i++) {
        guest_post_flush(guest, 1, ALL, i);
    }
    vmm_kick(guest->vmm, CONTROL);
    vmm_wait_used(guest->vmm, CONTROL, 20);
    g_assert_cmpuint(vmm_take_interrupts(guest->vmm, CONTROL), ==, 1);
}

/* ---- pages that are given back ---------------------------------------------------------- */

static void check_waits_for_reader(Guest *guest, guint32 type)
{
    struct virtio_gpu_resource_unref request = { .hdr.type = type, .resource_id = 1 };
    Posted flushed, posted;

    guest->hold = TRUE;
    flushed = guest_flush_fenced(guest, 1, 1);
    posted = guest_post(guest, &request, sizeof request, NULL, 0);
    vmm_kick(guest->vmm, CONTROL);
    vmm_run(30);
    g_assert_cmphex(guest_get_type(guest, &posted), ==, 0);
    guest_release_frame(guest, 0);
    g_assert_cmpuint(vmm_wait_used(guest->vmm, CONTROL, 1).id, ==, flushed.head);
    g_assert_cmpuint(vmm_wait_used(guest->vmm, CONTROL, 1).id, ==, posted.head);
    g_assert_cmphex(guest_get_type(guest, &posted), ==, OK);
}

static void test_unref_waits(Fixture *fixture, gconstpointer data)
{
    G_GNUC_UNUSED g_auto(Pages) pages = guest_make_blob(fixture->guest, 1, 1);

    guest_show_blob(fixture->guest, 1);
    check_waits_for_reader(fixture->guest, VIRTIO_GPU_CMD_RESOURCE_UNREF);
    g_assert_null(fixture->guest->scanout);
}

static void test_detach_waits(Fixture *fixture, gconstpointer data)
{
    G_GNUC_UNUSED g_auto(Pages) pages = guest_make_blob(fixture->guest, 1, 1);

    guest_show_blob(fixture->guest, 1);
    check_waits_for_reader(fixture->guest, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING);
    g_assert_false(guest_is_direct(fixture->guest));
}

/* Not for ever. */
static void test_wait_is_bounded(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    G_GNUC_UNUSED g_auto(Pages) pages = guest_make_blob(guest, 1, 1);

    guest_show_blob(guest, 1);
    guest->hold = TRUE;
    guest_flush_fenced(guest, 1, 1);
    sc_frame_set_timeout(g_queue_peek_head(&guest->frames), 1000);
    vmm_wait_used(guest->vmm, CONTROL, 1);
    g_assert_cmphex(guest_unref(guest, 1), ==, OK);
    g_assert_cmpuint(guest->frames.length, ==, 1);
    g_assert_true(guest_is_direct(guest) || guest->scanout == NULL);
}

/* A backing moves: the picture stays, first in memory of ours, then in the new pages. */
static void check_moves(Guest *guest, Pages *pages)
{
    g_auto(Pages) other = guest_alloc_pages(guest, SIZE, 5);

    guest_flush_fenced(guest, 1, 1);
    vmm_wait_used(guest->vmm, CONTROL, 1);
    g_assert_true(guest_is_direct(guest));
    guest->n_frames = 0;
    g_assert_cmphex(guest_detach(guest, 1), ==, OK);
    guest_draw(guest, pages, WIDTH, HEIGHT, STRIDE, 0, 99);
    g_assert_false(guest_is_direct(guest));
    guest_check_picture(guest, ALL, 1);
    g_assert_cmpuint(guest->n_frames, ==, 1);

    guest_draw(guest, &other, WIDTH, HEIGHT, STRIDE, 0, 1);
    g_assert_cmphex(guest_attach(guest, 1, other.entries, other.n), ==, OK);
    guest_check_picture(guest, ALL, 1);
    guest_draw(guest, &other, WIDTH, 10, STRIDE, 0, 3);
    guest_draw(guest, pages, WIDTH, HEIGHT, STRIDE, 0, 98);
    guest_flush_fenced(guest, 1, 2);
    vmm_wait_used(guest->vmm, CONTROL, 1);
    if (guest_has_udmabuf()) {
        guest_check_picture(guest, RECT(0, 0, WIDTH, 10), 3);
    }
    guest_check_picture(guest, RECT(0, 10, WIDTH, HEIGHT - 10), 1);
    g_assert_nonnull(guest->scanout);
}

static void test_blob_moves(Fixture *fixture, gconstpointer data)
{
    g_auto(Pages) pages = guest_make_blob(fixture->guest, 1, 1);

    guest_show_blob(fixture->guest, 1);
    check_moves(fixture->guest, &pages);
}

static void test_2d_moves(Fixture *fixture, gconstpointer data)
{
    g_auto(Pages) pages = guest_show_2d(fixture->guest, 1, 1);

    check_moves(fixture->guest, &pages);
}

/* The buffer that was shown goes before the next one is flushed. */
static void test_unref_before_flip(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    g_auto(Pages) a = guest_make_blob(guest, 1, 1);
    G_GNUC_UNUSED g_auto(Pages) b = guest_make_blob(guest, 2, 2);

    guest_show_blob(guest, 1);
    guest_flush_fenced(guest, 1, 1);
    vmm_wait_used(guest->vmm, CONTROL, 1);
    g_assert_true(guest_is_direct(guest));
    guest_show_blob(guest, 2);
    g_assert_cmphex(guest_unref(guest, 1), ==, OK);
    guest_draw(guest, &a, WIDTH, HEIGHT, STRIDE, 0, 99);
    guest_check_picture(guest, ALL, 1);
    guest_flush_fenced(guest, 2, 2);
    vmm_wait_used(guest->vmm, CONTROL, 1);
    guest_check_picture(guest, ALL, 2);
}

/* ---- coming and going ------------------------------------------------------------------- */

/* Held answers come at the stop, and the resources are still there after it. */
static void test_pause(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    G_GNUC_UNUSED g_auto(Pages) pages = guest_make_blob(guest, 1, 1);
    guint32 control, cursor;

    guest_show_blob(guest, 1);
    guest->hold = TRUE;
    guest_flush_fenced(guest, 1, 1);
    g_assert_cmpuint(vmm_count_used(guest->vmm, CONTROL), ==, 0);
    control = vmm_stop_queue(guest->vmm, CONTROL);
    cursor = vmm_stop_queue(guest->vmm, CURSOR);
    vmm_wait_used(guest->vmm, CONTROL, 1);
    guest_release_frame(guest, 0);
    vmm_start_queue(guest->vmm, CONTROL, control);
    vmm_start_queue(guest->vmm, CURSOR, cursor);
    guest->hold = FALSE;
    g_assert_cmphex(guest_flush(guest, 1, ALL), ==, OK);
    guest_check_picture(guest, ALL, 1);
}

/* A driver that starts anew finds an empty device; viewers still see the last picture. */
static void test_reboot(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    g_auto(Pages) pages = guest_make_blob(guest, 1, 1);

    guest_show_blob(guest, 1);
    guest_flush_fenced(guest, 1, 1);
    vmm_wait_used(guest->vmm, CONTROL, 1);
    g_assert_true(guest_is_direct(guest));
    vmm_stop_queue(guest->vmm, CONTROL);
    vmm_start_queue(guest->vmm, CONTROL, 0);
    guest_draw(guest, &pages, WIDTH, HEIGHT, STRIDE, 0, 99);
    guest_check_picture(guest, ALL, 1);
    g_assert_cmphex(guest_flush(guest, 1, ALL), ==, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
    g_assert_cmphex(guest_create_2d(guest, 1, XRGB, 10, 10), ==, OK);
}

static void test_vanishes(Fixture *fixture, gconstpointer data)
{
    Guest *guest = fixture->guest;
    ScFlushCounts counts;

    for (int round = 0; round < 3; round++) {
        G_GNUC_UNUSED g_auto(Pages) pages = guest_make_blob(guest, 1, 1);

        guest_show_blob(guest, 1);
        guest->hold = TRUE;
        guest_flush_fenced(guest, 1, 1);
        g_assert_true(guest_is_direct(guest));
        guest_disconnect(guest);
        sc_flush_get_counts(&counts);
        g_assert_cmpuint(counts.outstanding, ==, 0);
        g_assert_false(guest_is_direct(guest));
        guest_check_picture(guest, ALL, 1);
        guest_release_frame(guest, 0);
        guest_connect(guest, GPU_FEATURES);
    }
}

#define ADD(name, function)                                                                        \
    g_test_add("/virtio-gpu-fence/" name, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK); /* warnings are wanted here */
    vmm_settle(); /* the main context has a descriptor of its own */
    ADD("fence", test_fence);
    ADD("fence-order", test_fence_order);
    ADD("fence-expires", test_fence_expires);
    ADD("one-interrupt", test_one_interrupt);
    ADD("unref-waits", test_unref_waits);
    ADD("detach-waits", test_detach_waits);
    ADD("wait-is-bounded", test_wait_is_bounded);
    ADD("moves/blob", test_blob_moves);
    ADD("moves/2d", test_2d_moves);
    ADD("unref-before-flip", test_unref_before_flip);
    ADD("pause", test_pause);
    ADD("reboot", test_reboot);
    ADD("vanishes", test_vanishes);
    return g_test_run();
}
