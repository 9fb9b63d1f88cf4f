/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rings, rightly and wrongly laid out. */
#include "tests/vhost-user/echo.h"

#include <string.h>

static void test_chains(EchoFixture *fixture, gconstpointer features)
{
    for (int round = 0; round < 100; round++) {
        echo_check(fixture->vmm, FALSE, 100, "in one piece");
        echo_check(fixture->vmm, FALSE, 3, "in several pieces of a few bytes");
        echo_check(fixture->vmm, TRUE, 1, "in a table, byte by byte");
    }
}

/* A buffer over the end of a region, into the next one if that follows. */
static void test_region_ends(EchoFixture *fixture, gconstpointer features)
{
    VmmSegment across[2] = { { VMM_LOW_SIZE - 8, 16, FALSE }, { VMM_LOW_SIZE - 8, 16, TRUE } };
    VmmSegment huge[2] = { { 0, G_MAXUINT32, FALSE }, { G_MAXUINT64 - 4, 16, TRUE } };

    vmm_add(fixture->vmm, 0, across, 2);
    vmm_add(fixture->vmm, 0, huge, 2);
    vmm_kick(fixture->vmm, 0);
    g_assert_cmpuint(vmm_wait_used(fixture->vmm, 0, 2).len, ==, 0);
    echo_check(fixture->vmm, FALSE, 4, "goes on");
}

/* One interrupt for all that one kick brought. */
static void test_interrupts(EchoFixture *fixture, gconstpointer features)
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
static void test_wants_kicks(EchoFixture *fixture, gconstpointer features)
{
    Vmm *vmm = fixture->vmm;

    echo_check(vmm, FALSE, 9, "something");
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

static void test_malformed(EchoFixture *fixture, gconstpointer features)
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
        echo_check(vmm, FALSE, 5, "still alive");
    }
    vmm_add_head(vmm, 0, 0xffff);
    vmm_kick(vmm, 0);
    g_assert_cmpuint(vmm_wait_used(vmm, 0, 1).id, ==, 0xffff);
}

/* A ring cannot hold more than it has entries: the queue rests until the driver starts anew. */
static void test_too_much_available(EchoFixture *fixture, gconstpointer features)
{
    Vmm *vmm = fixture->vmm;

    vmm->queues[0].avail->idx += VMM_RING_SIZE + 1;
    vmm_kick(vmm, 0);
    vmm_settle();
    g_assert_true(sc_virtqueue_is_broken(sc_vhost_user_get_queue(fixture->echo->vhost, 0)));
    g_assert_cmpuint(vmm_count_used(vmm, 0), ==, 0);

    vmm_stop_queue(vmm, 0);
    vmm_start_queue(vmm, 0, 0);
    echo_check(vmm, FALSE, 5, "still alive");
}

static const guint64 plain = 0, all = EVENT_IDX | INDIRECT | 1 << ECHO_FEATURE;

#define ADD(name, features, function)                                                              \
    g_test_add("/virtqueue/" name, EchoFixture, features, echo_set_up, function, echo_tear_down)

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
    return g_test_run();
}
