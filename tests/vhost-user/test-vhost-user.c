/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The protocol, the guest's memory and the rings, with a device that gives back what it gets. */
#include "capture/error.h"
#include "capture/vhost-user.h"
#include "tests/vhost-user/vmm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONFIG_SIZE 16
#define FEATURE 5
#define EVENT_IDX (G_GUINT64_CONSTANT(1) << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT (G_GUINT64_CONSTANT(1) << VIRTIO_RING_F_INDIRECT_DESC)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

/* Queue 0 gives back each byte plus 1; queue 1 keeps what it gets until it stops. */
typedef struct {
    ScVhostUser *vhost;
    char *folder, *path;
    guint8 config[CONFIG_SIZE];
    guint linked, unlinked, resets, stops;
    GQueue kept;
} Echo;

static void echo_get_config(guint8 *config, gpointer data)
{
    Echo *echo = data;

    memcpy(config, echo->config, CONFIG_SIZE);
}

static void echo_set_config(guint offset, const guint8 *bytes, guint size, gpointer data)
{
    Echo *echo = data;

    memcpy(echo->config + offset, bytes, size);
}

static gboolean echo_kicked(guint index, gpointer data)
{
    Echo *echo = data;
    ScVirtqueue *queue = sc_vhost_user_get_queue(echo->vhost, index);
    ScVirtqueueElement *element;

    while ((element = sc_virtqueue_pop(queue)) != NULL) {
        g_autofree guint8 *bytes = NULL;
        gsize size = MIN(element->out_size, 1 << 20);

        if (index == 1) {
            g_queue_push_tail(&echo->kept, element);
            continue;
        }
        bytes = g_malloc0(size + 1);
        if (sc_virtqueue_read(queue, element, 0, bytes, size)) {
            for (gsize i = 0; i < size; i++) {
                bytes[i]++;
            }
        }
        sc_virtqueue_push(queue, element, sc_virtqueue_write(queue, element, bytes, size));
        g_free(element);
    }
    return sc_virtqueue_wait(queue);
}

static void echo_stopping(guint index, gpointer data)
{
    Echo *echo = data;
    ScVirtqueueElement *element;

    echo->stops++;
    while (index == 1 && (element = g_queue_pop_head(&echo->kept)) != NULL) {
        sc_virtqueue_push(sc_vhost_user_get_queue(echo->vhost, index), element, 0);
        g_free(element);
    }
}

static void echo_reset(gpointer data)
{
    Echo *echo = data;

    echo->resets++;
}

static void echo_linked(gboolean is_linked, const char *reason, gpointer data)
{
    Echo *echo = data;

    echo->linked += is_linked ? 1 : 0;
    echo->unlinked += is_linked ? 0 : 1;
}

static const ScVhostDevice echo_device = {
    .n_queues = 2,
    .features = 1 << FEATURE,
    .config_size = CONFIG_SIZE,
    .get_config = echo_get_config,
    .set_config = echo_set_config,
    .kicked = echo_kicked,
    .stopping = echo_stopping,
    .reset = echo_reset,
    .linked = echo_linked,
};

static Echo *echo_new(void)
{
    Echo *echo = g_new0(Echo, 1);
    g_autoptr(GError) error = NULL;

    echo->folder = g_dir_make_tmp("scancast-XXXXXX", NULL);
    echo->path = g_build_filename(echo->folder, "vm.sock", NULL);
    echo->vhost = sc_vhost_user_new(echo->path, &echo_device, echo, &error);
    g_assert_no_error(error);
    g_assert_true(sc_vhost_user_listen(echo->vhost, &error));
    return echo;
}

static void echo_free(Echo *echo)
{
    sc_vhost_user_free(echo->vhost);
    g_queue_clear_full(&echo->kept, g_free);
    g_assert_false(g_file_test(echo->path, G_FILE_TEST_EXISTS));
    rmdir(echo->folder);
    g_free(echo->folder);
    g_free(echo->path);
    g_free(echo);
}

typedef struct {
    int first_fd;
    Echo *echo;
    Vmm *vmm;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer features)
{
    fixture->first_fd = vmm_next_fd();
    fixture->echo = echo_new();
    fixture->vmm = vmm_new(fixture->echo->path, SEALS);
    if (features != NULL) {
        vmm_start(fixture->vmm, *(const guint64 *)features);
    }
}

static void tear_down(Fixture *fixture, gconstpointer features)
{
    if (fixture->vmm != NULL) {
        vmm_free(fixture->vmm);
    }
    vmm_settle();
    g_assert_cmpuint(fixture->echo->linked, ==, fixture->echo->unlinked);
    echo_free(fixture->echo);
    g_assert_cmpint(vmm_next_fd(), ==, fixture->first_fd);
}

/* Sends @text through the queue in pieces of @piece bytes and expects it back. */
static void check_echo(Vmm *vmm, gboolean indirect, guint piece, const char *text)
{
    guint size = (guint)strlen(text);
    guint64 out = vmm_alloc(vmm, size, 1), in = vmm_alloc(vmm, size, 1);
    VmmSegment segments[64];
    struct vring_used_elem used;
    guint n = 0;
    guint16 head;

    memcpy(vmm_at(vmm, out), text, size);
    for (guint at = 0; at < size; at += piece) {
        segments[n++] = (VmmSegment){ out + at, MIN(piece, size - at), FALSE };
    }
    for (guint at = 0; at < size; at += piece) {
        segments[n++] = (VmmSegment){ in + at, MIN(piece, size - at), TRUE };
    }
    head = indirect ? vmm_add_indirect(vmm, 0, segments, n) : vmm_add(vmm, 0, segments, n);
    vmm_kick(vmm, 0);
    used = vmm_wait_used(vmm, 0, 1);
    g_assert_cmpuint(used.id, ==, head);
    g_assert_cmpuint(used.len, ==, size);
    for (guint i = 0; i < size; i++) {
        g_assert_cmpint(((char *)vmm_at(vmm, in))[i], ==, text[i] + 1);
    }
}

static void test_chains(Fixture *fixture, gconstpointer features)
{
    for (int round = 0; round < 100; round++) {
        check_echo(fixture->vmm, FALSE, 100, "in one piece");
        check_echo(fixture->vmm, FALSE, 3, "in several pieces of a few bytes");
        check_echo(fixture->vmm, TRUE, 1, "in a table, byte by byte");
    }
}

/* A buffer over the end of a region, into the next one if that follows. */
static void test_region_ends(Fixture *fixture, gconstpointer features)
{
    VmmSegment across[2] = { { VMM_LOW_SIZE - 8, 16, FALSE }, { VMM_LOW_SIZE - 8, 16, TRUE } };
    VmmSegment huge[2] = { { 0, G_MAXUINT32, FALSE }, { G_MAXUINT64 - 4, 16, TRUE } };

    vmm_add(fixture->vmm, 0, across, 2);
    vmm_add(fixture->vmm, 0, huge, 2);
    vmm_kick(fixture->vmm, 0);
    g_assert_cmpuint(vmm_wait_used(fixture->vmm, 0, 2).len, ==, 0);
    check_echo(fixture->vmm, FALSE, 4, "goes on");
}

/* One interrupt for all that one kick brought. */
static void test_interrupts(Fixture *fixture, gconstpointer features)
{
    Vmm *vmm = fixture->vmm;
    VmmSegment one = { vmm_alloc(vmm, 4, 4), 4, TRUE };

    for (int round = 1; round < 20; round++) {
        for (int i = 0; i < round; i++) {
            vmm_add(vmm, 0, &one, 1);
        }
        vmm_kick(vmm, 0);
        vmm_wait_used(vmm, 0, (guint)round);
        g_assert_cmpuint(vmm_take_interrupts(vmm, 0), ==, 1);
    }
    if (vmm->event_idx) {
        /* Not before three are done. */
        vmm->queues[0].avail->ring[VMM_RING_SIZE] = (guint16)(vmm->queues[0].used->idx + 2);
        for (int i = 0; i < 3; i++) {
            g_assert_cmpuint(vmm_take_interrupts(vmm, 0), ==, 0);
            vmm_add(vmm, 0, &one, 1);
            vmm_kick(vmm, 0);
            vmm_settle();
        }
    } else {
        vmm->queues[0].avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
        vmm_add(vmm, 0, &one, 1);
        vmm_kick(vmm, 0);
        vmm_wait_used(vmm, 0, 1);
        g_assert_cmpuint(vmm_take_interrupts(vmm, 0), ==, 0);
        vmm->queues[0].avail->flags = 0;
        vmm_add(vmm, 0, &one, 1);
        vmm_kick(vmm, 0);
    }
    g_assert_cmpuint(vmm_take_interrupts(vmm, 0), ==, 1);
}

/* Whoever has nothing to do asks to be kicked for the next one, and only for that. */
static void test_wants_kicks(Fixture *fixture, gconstpointer features)
{
    Vmm *vmm = fixture->vmm;

    check_echo(vmm, FALSE, 9, "something");
    vmm_settle();
    g_assert_cmpuint((guint16)vmm->queues[0].used->ring[VMM_RING_SIZE].id, ==,
                     vmm->queues[0].avail->idx);
}

/* ---- malformed rings -------------------------------------------------------------------- */

typedef struct {
    const char *name;
    struct vring_desc desc[3];  /* the first ones of the ring */
    struct vring_desc table[3]; /* at guest address TABLE */
} Malformed;

#define TABLE 0x80000
#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define TABLE_FLAG VRING_DESC_F_INDIRECT

static const Malformed malformed[] = {
    { .name = "loop of one", .desc = { { 0, 4, NEXT, 0 } } },
    { .name = "loop of two", .desc = { { 0, 4, NEXT, 1 }, { 0, 4, NEXT, 0 } } },
    { .name = "leaves the ring", .desc = { { 0, 4, NEXT, VMM_RING_SIZE } } },
    { .name = "leaves it far", .desc = { { 0, 4, NEXT, 0xffff } } },
    { .name = "read after write", .desc = { { 0, 4, NEXT | WRITE, 1 }, { 0, 4, 0, 0 } } },
    { .name = "table and next", .desc = { { TABLE, 16, TABLE_FLAG | NEXT, 1 } } },
    { .name = "empty table", .desc = { { TABLE, 0, TABLE_FLAG, 0 } } },
    { .name = "broken table", .desc = { { TABLE, 17, TABLE_FLAG, 0 } } },
    { .name = "table nowhere", .desc = { { 0x80000000, 16, TABLE_FLAG, 0 } } },
    { .name = "table at the end",
      .desc = { { G_MAXUINT64 - 15, 32, TABLE_FLAG, 0 } },
      .table = { { 0 } } },
    { .name = "huge table",
      .desc = { { TABLE, 0xfffffff0, TABLE_FLAG, 0 } },
      .table = { { 0, 4, NEXT, 1 }, { 0, 4, NEXT, 0 } } },
    { .name = "table that loops",
      .desc = { { TABLE, 32, TABLE_FLAG, 0 } },
      .table = { { 0, 4, NEXT, 1 }, { 0, 4, NEXT, 0 } } },
    { .name = "table that is left",
      .desc = { { TABLE, 32, TABLE_FLAG, 0 } },
      .table = { { 0, 4, NEXT, 2 }, { 0 }, { 0, 4, 0, 0 } } },
    { .name = "table in a table",
      .desc = { { TABLE, 16, TABLE_FLAG, 0 } },
      .table = { { TABLE, 16, TABLE_FLAG, 0 } } },
};

static void test_malformed(Fixture *fixture, gconstpointer features)
{
    Vmm *vmm = fixture->vmm;

    for (gsize i = 0; i < G_N_ELEMENTS(malformed); i++) {
        struct vring_used_elem used;

        memcpy(vmm->queues[0].desc, malformed[i].desc, sizeof malformed[i].desc);
        memcpy(vmm_at(vmm, TABLE), malformed[i].table, sizeof malformed[i].table);
        vmm_add_head(vmm, 0, 0);
        vmm_kick(vmm, 0);
        used = vmm_wait_used(vmm, 0, 1);
        g_test_message("%s: id %u, %u bytes", malformed[i].name, used.id, used.len);
        g_assert_cmpuint(used.id, ==, 0);
        g_assert_cmpuint(used.len, ==, 0);
        vmm->queues[0].next_desc = 0;
        check_echo(vmm, FALSE, 5, "still alive");
    }
    vmm_add_head(vmm, 0, 0xffff);
    vmm_kick(vmm, 0);
    g_assert_cmpuint(vmm_wait_used(vmm, 0, 1).id, ==, 0xffff);
}

/* A ring cannot hold more than it has entries: the queue rests until the driver starts anew. */
static void test_too_much_available(Fixture *fixture, gconstpointer features)
{
    Vmm *vmm = fixture->vmm;

    vmm->queues[0].avail->idx += VMM_RING_SIZE + 1;
    vmm_kick(vmm, 0);
    vmm_settle();
    g_assert_true(sc_virtqueue_is_broken(sc_vhost_user_get_queue(fixture->echo->vhost, 0)));
    g_assert_cmpuint(vmm_count_used(vmm, 0), ==, 0);

    vmm_stop_queue(vmm, 0);
    vmm_start_queue(vmm, 0, 0);
    check_echo(vmm, FALSE, 5, "still alive");
}

/* ---- the protocol ----------------------------------------------------------------------- */

static void test_config(Fixture *fixture, gconstpointer features)
{
    struct {
        guint32 offset, size, flags;
        guint8 bytes[CONFIG_SIZE];
    } config = { 4, 8, 0, "12345678" };

    g_assert_cmpuint(vmm_order(fixture->vmm, VMM_SET_CONFIG, &config, 20, NULL, 0), ==, 0);
    g_assert_cmpmem(fixture->echo->config + 4, 8, "12345678", 8);
    config.offset = 0;
    config.size = CONFIG_SIZE;
    vmm_send(fixture->vmm, VMM_GET_CONFIG, 0, &config, sizeof config, NULL, 0);
    g_assert_cmpint(vmm_receive(fixture->vmm, VMM_GET_CONFIG, &config, sizeof config), ==, 28);
    g_assert_cmpmem(config.bytes, CONFIG_SIZE, fixture->echo->config, CONFIG_SIZE);
    config.offset = CONFIG_SIZE - 4;
    g_assert_cmpuint(vmm_order(fixture->vmm, VMM_SET_CONFIG, &config, 28, NULL, 0), ==, 1);
    config.offset = config.size = G_MAXUINT32;
    g_assert_cmpuint(vmm_order(fixture->vmm, VMM_SET_CONFIG, &config, 28, NULL, 0), ==, 1);
    vmm_send(fixture->vmm, VMM_GET_CONFIG, 0, &config, sizeof config, NULL, 0);
    g_assert_cmpint(vmm_receive(fixture->vmm, VMM_GET_CONFIG, &config, sizeof config), ==, 0);
    check_echo(fixture->vmm, FALSE, 5, "still alive");
}

static void test_config_change(Fixture *fixture, gconstpointer features)
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
static void test_stop_and_go_on(Fixture *fixture, gconstpointer features)
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
    check_echo(vmm, FALSE, 5, "before");
    base = vmm_stop_queue(vmm, 1);
    g_assert_cmpuint(base, ==, 3);
    g_assert_cmpuint(vmm_count_used(vmm, 1), ==, 3);
    vmm_wait_used(vmm, 1, 3);
    g_assert_cmpuint(fixture->echo->stops, ==, 1);
    base = vmm_stop_queue(vmm, 0);
    g_assert_cmpuint(base, ==, 1);

    vmm_start_queue(vmm, 0, base);
    g_assert_cmpuint(fixture->echo->resets, ==, 0);
    check_echo(vmm, FALSE, 5, "after");
    base = vmm_stop_queue(vmm, 0);
    g_assert_cmpuint(base, ==, 2);
    vmm_start_queue(vmm, 0, 0);
    g_assert_cmpuint(fixture->echo->resets, ==, 1);
    check_echo(vmm, FALSE, 5, "anew");
    g_assert_cmpuint(vmm_order(vmm, VMM_RESET_DEVICE, NULL, 0, NULL, 0), ==, 0);
    g_assert_cmpuint(fixture->echo->resets, ==, 2);
}

static guint64 order_region(Vmm *vmm, guint32 request, const VmmRegion *region)
{
    guint64 payload[5] = { 0, region->guest, region->size, region->user, region->offset };

    return vmm_order(vmm, request, payload, sizeof payload, &vmm->memfd, 1);
}

static void test_hot_plug(Fixture *fixture, gconstpointer features)
{
    Vmm *vmm = fixture->vmm;
    ScGuestMemory *memory = sc_vhost_user_get_memory(fixture->echo->vhost);
    VmmRegion high = vmm_get_region(1), other = high;

    g_assert_cmpuint(vmm_ask_u64(vmm, VMM_GET_MAX_MEM_SLOTS), ==, SC_GUEST_MEMORY_MAX_REGIONS);
    g_assert_cmpuint(order_region(vmm, VMM_ADD_MEM_REG, &high), ==, 1); /* there already */
    g_assert_cmpuint(order_region(vmm, VMM_REM_MEM_REG, &high), ==, 0);
    g_assert_cmpuint(sc_guest_memory_count(memory), ==, 1);
    g_assert_cmpuint(order_region(vmm, VMM_REM_MEM_REG, &high), ==, 1);
    check_echo(vmm, FALSE, 5, "still alive");
    vmm->next_free = VMM_HIGH_BASE;
    g_assert_cmpuint(order_region(vmm, VMM_ADD_MEM_REG, &high), ==, 0);
    check_echo(vmm, FALSE, 5, "in the other region");

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
    check_echo(vmm, FALSE, 5, "back again");
}

/* A table that is sent again, with new descriptors, changes nothing for who holds a region. */
static void test_same_memory(Fixture *fixture, gconstpointer features)
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
    Fixture fixture = { .first_fd = vmm_next_fd() };
    Vmm *vmm;

    fixture.echo = echo_new();
    fixture.vmm = vmm = vmm_new(fixture.echo->path, 0);
    vmm_start(vmm, 0);
    check_echo(vmm, FALSE, 5, "alive");
    g_assert_cmpint(ftruncate(vmm->memfd, VMM_LOW_SIZE), ==, 0);
    vmm_kick(vmm, 0);
    vmm_settle();
    g_assert_true(vmm_is_hung_up(vmm));
    tear_down(&fixture, NULL);
}

static void test_nonsense(Fixture *fixture, gconstpointer features)
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
    check_echo(vmm, FALSE, 5, "still alive");
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
    Fixture fixture = { .first_fd = vmm_next_fd() };

    fixture.echo = echo_new();
    for (gsize i = 0; i < G_N_ELEMENTS(headers); i++) {
        Vmm *vmm = vmm_new(fixture.echo->path, SEALS);

        g_assert_cmpint(send(vmm->fd, headers[i], 12, 0), ==, 12);
        g_assert_true(vmm_is_hung_up(vmm));
        vmm_free(vmm);
    }
    tear_down(&fixture, NULL);
}

/* More descriptors than any message has, at any place of a message that comes byte by byte. */
static void test_flood_of_fds(Fixture *fixture, gconstpointer features)
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
    check_echo(vmm, FALSE, 5, "still alive");
}

/* A VMM may vanish at any moment, and come back. */
static void test_comes_and_goes(void)
{
    Fixture fixture = { .first_fd = vmm_next_fd() };
    Vmm *second;

    fixture.echo = echo_new();
    for (int round = 0; round < 5; round++) {
        fixture.vmm = vmm_new(fixture.echo->path, SEALS);
        vmm_start(fixture.vmm, EVENT_IDX | INDIRECT);
        check_echo(fixture.vmm, TRUE, 5, "served");
        vmm_add_head(fixture.vmm, 1, 0);
        vmm_kick(fixture.vmm, 1);
        g_clear_pointer(&fixture.vmm, vmm_free);
    }
    fixture.vmm = vmm_new(fixture.echo->path, SEALS);
    vmm_start(fixture.vmm, 0);
    second = vmm_new(fixture.echo->path, SEALS);
    g_assert_true(vmm_is_hung_up(second));
    vmm_free(second);
    check_echo(fixture.vmm, FALSE, 5, "the first one stays");
    tear_down(&fixture, NULL);
}

/* The same greeting again and again, each time a byte longer. */
static void test_vanishes_anywhere(void)
{
    Fixture fixture = { .first_fd = vmm_next_fd() };
    guint32 message[6] = { VMM_SET_VRING_NUM, 1, 8, 0, 64, 0 };

    fixture.echo = echo_new();
    for (gsize size = 0; size <= 20; size++) {
        Vmm *vmm = vmm_new(fixture.echo->path, SEALS);

        g_assert_cmpint(send(vmm->fd, message, size, 0), ==, size);
        vmm_settle();
        vmm_free(vmm);
        vmm_settle();
    }
    tear_down(&fixture, NULL);
}

static void test_random_bytes(void)
{
    Fixture fixture = { .first_fd = vmm_next_fd() };
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);

    fixture.echo = echo_new();
    for (int round = 0; round < 200; round++) {
        Vmm *vmm = vmm_new(fixture.echo->path, SEALS);
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
    tear_down(&fixture, NULL);
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

static const guint64 plain = 0, all = EVENT_IDX | INDIRECT | 1 << FEATURE;

#define ADD(name, features, function)                                                              \
    g_test_add("/vhost-user/" name, Fixture, features, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK); /* warnings are wanted here */
    vmm_settle(); /* the main context has a descriptor of its own */
    ADD("chains", &plain, test_chains);
    ADD("chains/event-idx", &all, test_chains);
    ADD("region-ends", &all, test_region_ends);
    ADD("interrupts", &plain, test_interrupts);
    ADD("interrupts/event-idx", &all, test_interrupts);
    ADD("wants-kicks", &all, test_wants_kicks);
    ADD("malformed", &all, test_malformed);
    ADD("too-much-available", &all, test_too_much_available);
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
