/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vhost-user protocol and the guest's memory. */
#include "capture/error.h"
#include "tests/vhost-user/echo.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the protocol ----------------------------------------------------------------------- */

static void test_config(EchoFixture *fixture, gconstpointer features)
{
    struct {
        guint32 offset, size, flags;
        guint8 bytes[ECHO_CONFIG_SIZE];
    } config = { 4, 8, 0, "12345678" };

    g_assert_cmpuint(vmm_order(fixture->vmm, VMM_SET_CONFIG, &config, 20, NULL, 0), ==, 0);
    g_assert_cmpmem(fixture->echo->config + 4, 8, "12345678", 8);
    config.offset = 0;
    config.size = ECHO_CONFIG_SIZE;
    vmm_send(fixture->vmm, VMM_GET_CONFIG, 0, &config, sizeof config, NULL, 0);
    g_assert_cmpint(vmm_receive(fixture->vmm, VMM_GET_CONFIG, &config, sizeof config), ==, 28);
    g_assert_cmpmem(config.bytes, ECHO_CONFIG_SIZE, fixture->echo->config, ECHO_CONFIG_SIZE);
    config.offset = ECHO_CONFIG_SIZE - 4;
    g_assert_cmpuint(vmm_order(fixture->vmm, VMM_SET_CONFIG, &config, 28, NULL, 0), ==, 1);
    config.offset = config.size = G_MAXUINT32;
    g_assert_cmpuint(vmm_order(fixture->vmm, VMM_SET_CONFIG, &config, 28, NULL, 0), ==, 1);
    vmm_send(fixture->vmm, VMM_GET_CONFIG, 0, &config, sizeof config, NULL, 0);
    g_assert_cmpint(vmm_receive(fixture->vmm, VMM_GET_CONFIG, &config, sizeof config), ==, 0);
    echo_check(fixture->vmm, FALSE, 5, "still alive");
}

static void test_config_change(EchoFixture *fixture, gconstpointer features)
{
    guint32 header[3];

    sc_vhost_user_config_changed(fixture->echo->vhost);
    g_assert_cmpint(recv(fixture->vmm->backend, header, sizeof header, MSG_DONTWAIT), ==, 12);
    g_assert_cmpuint(header[0], ==, 2);
    g_assert_cmpuint(header[2], ==, 0);
    close(fixture->vmm->backend);
    fixture->vmm->backend = -1;
    sc_vhost_user_config_changed(fixture->echo->vhost); /* nobody listens: no harm */
}

/* What the device holds comes back at the stop, and the driver goes on where it was. */
static void test_stop_and_go_on(EchoFixture *fixture, gconstpointer features)
{
    Vmm *vmm = fixture->vmm;
    VmmSegment one = { vmm_alloc(vmm, 4, 4), 4, TRUE };
    guint32 base;

    for (int i = 0; i < 3; i++) {
        vmm_add(vmm, 1, &one, 1);
    }
    vmm_kick(vmm, 1);
    vmm_settle();
    g_assert_cmpuint(vmm_count_used(vmm, 1), ==, 0);
    echo_check(vmm, FALSE, 5, "before");
    base = vmm_stop_queue(vmm, 1);
    g_assert_cmpuint(base, ==, 3);
    g_assert_cmpuint(vmm_count_used(vmm, 1), ==, 3);
    vmm_wait_used(vmm, 1, 3);
    g_assert_cmpuint(fixture->echo->stops, ==, 1);
    base = vmm_stop_queue(vmm, 0);
    g_assert_cmpuint(base, ==, 1);

    vmm_start_queue(vmm, 0, base);
    g_assert_cmpuint(fixture->echo->resets, ==, 0);
    echo_check(vmm, FALSE, 5, "after");
    base = vmm_stop_queue(vmm, 0);
    g_assert_cmpuint(base, ==, 2);
    vmm_start_queue(vmm, 0, 0);
    g_assert_cmpuint(fixture->echo->resets, ==, 1);
    echo_check(vmm, FALSE, 5, "anew");
    g_assert_cmpuint(vmm_order(vmm, VMM_RESET_DEVICE, NULL, 0, NULL, 0), ==, 0);
    g_assert_cmpuint(fixture->echo->resets, ==, 2);
}

static guint64 order_region(Vmm *vmm, guint32 request, const VmmRegion *region)
{
    guint64 payload[5] = { 0, region->guest, region->size, region->user, region->offset };

    return vmm_order(vmm, request, payload, sizeof payload, &vmm->memfd, 1);
}

static void test_hot_plug(EchoFixture *fixture, gconstpointer features)
{
    Vmm *vmm = fixture->vmm;
    ScGuestMemory *memory = sc_vhost_user_get_memory(fixture->echo->vhost);
    VmmRegion high = vmm_get_region(1), other = high;

    g_assert_cmpuint(vmm_ask_u64(vmm, VMM_GET_MAX_MEM_SLOTS), ==, SC_GUEST_MEMORY_MAX_REGIONS);
    g_assert_cmpuint(order_region(vmm, VMM_ADD_MEM_REG, &high), ==, 1); /* there already */
    g_assert_cmpuint(order_region(vmm, VMM_REM_MEM_REG, &high), ==, 0);
    g_assert_cmpuint(sc_guest_memory_count(memory), ==, 1);
    g_assert_cmpuint(order_region(vmm, VMM_REM_MEM_REG, &high), ==, 1);
    echo_check(vmm, FALSE, 5, "still alive");
    vmm->next_free = VMM_HIGH_BASE;
    g_assert_cmpuint(order_region(vmm, VMM_ADD_MEM_REG, &high), ==, 0);
    echo_check(vmm, FALSE, 5, "in the other region");

    /* Impossible ones. */
    other.guest = other.user = VMM_HIGH_BASE * 2;
    other.offset = VMM_LOW_SIZE + 4096;
    g_assert_cmpuint(order_region(vmm, VMM_ADD_MEM_REG, &other), ==, 1);
    other.offset = G_MAXUINT64;
    g_assert_cmpuint(order_region(vmm, VMM_ADD_MEM_REG, &other), ==, 1);
    other.offset = 0;
    other.size = 0;
    g_assert_cmpuint(order_region(vmm, VMM_ADD_MEM_REG, &other), ==, 1);
    other.size = 4096;
    other.guest = G_MAXUINT64 - 100;
    g_assert_cmpuint(order_region(vmm, VMM_ADD_MEM_REG, &other), ==, 1);
    g_assert_cmpuint(vmm_order(vmm, VMM_ADD_MEM_REG, &other, sizeof other, NULL, 0), ==, 1);

    /* Many, until it is too much; a buffer may lie over the border of two that touch. */
    for (guint i = 2; i < SC_GUEST_MEMORY_MAX_REGIONS; i++) {
        other = (VmmRegion){ VMM_HIGH_BASE * 4 + i * 4096, 4096, VMM_HIGH_BASE * 4 + i * 4096,
                             i * 4096 };
        g_assert_cmpuint(order_region(vmm, VMM_ADD_MEM_REG, &other), ==, 0);
    }
    other.guest = other.user = VMM_HIGH_BASE * 8;
    g_assert_cmpuint(order_region(vmm, VMM_ADD_MEM_REG, &other), ==, 1);
    {
        guint8 bytes[8192];

        g_assert_true(sc_guest_memory_read(memory, VMM_HIGH_BASE * 4 + 20 * 4096 + 1, bytes, 8192));
        g_assert_cmpmem(bytes, 8192, vmm->memory + 20 * 4096 + 1, 8192);
    }
    /* The rings' own region: the queue rests, and goes on when it is back. */
    other = vmm_get_region(0);
    g_assert_cmpuint(order_region(vmm, VMM_REM_MEM_REG, &other), ==, 0);
    vmm_kick(vmm, 0);
    vmm_settle();
    g_assert_cmpuint(vmm_set_memory(vmm), ==, 0);
    g_assert_cmpuint(sc_guest_memory_count(memory), ==, 2);
    echo_check(vmm, FALSE, 5, "back again");
}

/* A table that is sent again, with new descriptors, changes nothing for who holds a region. */
static void test_same_memory(EchoFixture *fixture, gconstpointer features)
{
    ScGuestMemory *memory = sc_vhost_user_get_memory(fixture->echo->vhost);
    ScGuestRange before, after;

    g_assert_true(sc_guest_memory_find(memory, VMM_HIGH_BASE, 1, &before));
    g_assert_cmpuint(vmm_set_memory(fixture->vmm), ==, 0);
    g_assert_true(sc_guest_memory_find(memory, VMM_HIGH_BASE, 1, &after));
    g_assert_true(before.region == after.region);
}

static void test_memory_that_shrinks(void)
{
    EchoFixture fixture = { .first_fd = vmm_next_fd() };
    Vmm *vmm;

    fixture.echo = echo_new();
    fixture.vmm = vmm = vmm_new(fixture.echo->path, 0);
    vmm_start(vmm, 0);
    echo_check(vmm, FALSE, 5, "alive");
    g_assert_cmpint(ftruncate(vmm->memfd, VMM_LOW_SIZE), ==, 0);
    vmm_kick(vmm, 0);
    vmm_settle();
    g_assert_true(vmm_is_hung_up(vmm));
    echo_tear_down(&fixture, NULL);
}

static void test_nonsense(EchoFixture *fixture, gconstpointer features)
{
    Vmm *vmm = fixture->vmm;
    guint64 packed = G_GUINT64_CONSTANT(1) << 34, no_fd = 0x100;
    guint32 address[10] = { 0 };

    g_assert_cmpuint(vmm_order(vmm, 99, NULL, 0, NULL, 0), ==, 1);
    g_assert_cmpuint(vmm_order(vmm, VMM_SET_FEATURES, &packed, 8, NULL, 0), ==, 1);
    g_assert_cmpuint(vmm_order_state(vmm, VMM_SET_VRING_NUM, 0, 0), ==, 1);
    g_assert_cmpuint(vmm_order_state(vmm, VMM_SET_VRING_NUM, 0, 3), ==, 1);
    g_assert_cmpuint(vmm_order_state(vmm, VMM_SET_VRING_NUM, 0, 1u << 31), ==, 1);
    g_assert_cmpuint(vmm_order_state(vmm, VMM_SET_VRING_ENABLE, 2, 1), ==, 1);
    g_assert_cmpuint(vmm_order(vmm, VMM_SET_VRING_ADDR, address, 40, NULL, 0), ==, 1);
    g_assert_cmpuint(vmm_order(vmm, VMM_SET_VRING_KICK, &no_fd, 8, NULL, 0), ==, 1);
    /* It had no right kick descriptor for a moment and no rings: begins anew. */
    vmm_stop_queue(vmm, 0);
    vmm_start_queue(vmm, 0, 0);
    echo_check(vmm, FALSE, 5, "still alive");
    /* Who does not ask is sent away. */
    vmm_send(vmm, VMM_SET_VRING_ADDR, 0, address, 40, NULL, 0);
    g_assert_true(vmm_is_hung_up(vmm));
    g_assert_cmpuint(fixture->echo->unlinked, ==, 1);
}

static void test_bad_headers(void)
{
    static const guint32 headers[][3] = {
        { VMM_GET_FEATURES, 0, 0 },
        { VMM_GET_FEATURES, 2, 0 },
        { VMM_GET_FEATURES, 1, 1025 },
        { VMM_GET_FEATURES, 1, G_MAXUINT32 },
    };
    EchoFixture fixture = { .first_fd = vmm_next_fd() };

    fixture.echo = echo_new();
    for (gsize i = 0; i < G_N_ELEMENTS(headers); i++) {
        Vmm *vmm = vmm_new(fixture.echo->path, ECHO_SEALS);

        g_assert_cmpint(send(vmm->fd, headers[i], 12, 0), ==, 12);
        g_assert_true(vmm_is_hung_up(vmm));
        vmm_free(vmm);
    }
    echo_tear_down(&fixture, NULL);
}

/* More descriptors than any message has, at any place of a message that comes byte by byte. */
static void test_flood_of_fds(EchoFixture *fixture, gconstpointer features)
{
    Vmm *vmm = fixture->vmm;
    int fds[16];
    int before = vmm_next_fd();

    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = vmm->memfd;
    }
    for (int i = 0; i < 50; i++) {
        vmm_send(vmm, VMM_SET_OWNER, 0, fds, 64, fds, G_N_ELEMENTS(fds));
        vmm_send(vmm, VMM_GPU_SET_SOCKET, 0, NULL, 0, fds, 2);
        vmm_settle();
    }
    g_assert_cmpint(vmm_next_fd(), <=, before + 1); /* the one it keeps */
    echo_check(vmm, FALSE, 5, "still alive");
}

/* A VMM may vanish at any moment, and come back. */
static void test_comes_and_goes(void)
{
    EchoFixture fixture = { .first_fd = vmm_next_fd() };
    Vmm *second;

    fixture.echo = echo_new();
    for (int round = 0; round < 5; round++) {
        fixture.vmm = vmm_new(fixture.echo->path, ECHO_SEALS);
        vmm_start(fixture.vmm, EVENT_IDX | INDIRECT);
        echo_check(fixture.vmm, TRUE, 5, "served");
        vmm_add_head(fixture.vmm, 1, 0);
        vmm_kick(fixture.vmm, 1);
        g_clear_pointer(&fixture.vmm, vmm_free);
    }
    fixture.vmm = vmm_new(fixture.echo->path, ECHO_SEALS);
    vmm_start(fixture.vmm, 0);
    second = vmm_new(fixture.echo->path, ECHO_SEALS);
    g_assert_true(vmm_is_hung_up(second));
    vmm_free(second);
    echo_check(fixture.vmm, FALSE, 5, "the first one stays");
    echo_tear_down(&fixture, NULL);
}

/* The same greeting again and again, each time a byte longer. */
static void test_vanishes_anywhere(void)
{
    EchoFixture fixture = { .first_fd = vmm_next_fd() };
    guint32 message[6] = { VMM_SET_VRING_NUM, 1, 8, 0, 64, 0 };

    fixture.echo = echo_new();
    for (gsize size = 0; size <= 20; size++) {
        Vmm *vmm = vmm_new(fixture.echo->path, ECHO_SEALS);

        g_assert_cmpint(send(vmm->fd, message, size, 0), ==, size);
        vmm_settle();
        vmm_free(vmm);
        vmm_settle();
    }
    echo_tear_down(&fixture, NULL);
}

static void test_random_bytes(void)
{
    EchoFixture fixture = { .first_fd = vmm_next_fd() };
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);

    fixture.echo = echo_new();
    for (int round = 0; round < 200; round++) {
        Vmm *vmm = vmm_new(fixture.echo->path, ECHO_SEALS);
        guint32 words[64];

        if (round % 2 == 0) {
            vmm_start(vmm, 0);
        }
        for (int i = 0; i < 20; i++) {
            for (gsize j = 0; j < G_N_ELEMENTS(words); j++) {
                words[j] = g_rand_int(rand) >> g_rand_int_range(rand, 0, 32);
            }
            vmm_send(vmm, words[0] % 40, words[1] & 0x8, words + 2, (words[2] % 32) * 4,
                     (int[]){ vmm->memfd, vmm->memfd }, words[3] % 3);
            vmm_settle();
        }
        vmm_free(vmm);
        vmm_settle();
    }
    echo_tear_down(&fixture, NULL);
}

static void test_paths(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *long_path = g_strnfill(200, 'x');
    Echo *echo = echo_new();
    ScVhostUser *second;

    g_assert_null(sc_vhost_user_new("", &echo_device, echo, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_null(sc_vhost_user_new(long_path, &echo_device, echo, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
    g_clear_error(&error);
    second = sc_vhost_user_new(echo->path, &echo_device, echo, &error);
    g_assert_false(sc_vhost_user_listen(second, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_FAILED);
    sc_vhost_user_free(second);
    vmm_settle();
    echo_free(echo);
}

static const guint64 all = EVENT_IDX | INDIRECT | 1 << ECHO_FEATURE;

#define ADD(name, features, function)                                                              \
    g_test_add("/vhost-user/" name, EchoFixture, features, echo_set_up, function, echo_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK); /* warnings are wanted here */
    vmm_settle(); /* the main context has a descriptor of its own */
    ADD("config", &all, test_config);
    ADD("config-change", &all, test_config_change);
    ADD("stop-and-go-on", &all, test_stop_and_go_on);
    ADD("hot-plug", &all, test_hot_plug);
    ADD("same-memory", &all, test_same_memory);
    ADD("nonsense", &all, test_nonsense);
    ADD("flood-of-fds", &all, test_flood_of_fds);
    g_test_add_func("/vhost-user/memory-that-shrinks", test_memory_that_shrinks);
    g_test_add_func("/vhost-user/bad-headers", test_bad_headers);
    g_test_add_func("/vhost-user/comes-and-goes", test_comes_and_goes);
    g_test_add_func("/vhost-user/vanishes-anywhere", test_vanishes_anywhere);
    g_test_add_func("/vhost-user/random-bytes", test_random_bytes);
    g_test_add_func("/vhost-user/paths", test_paths);
    return g_test_run();
}
