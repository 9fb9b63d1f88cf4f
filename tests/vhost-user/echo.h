/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A vhost-user device that gives back what it gets, and the VMM of vmm.h on it.
 */
#pragma once

#include "capture/vhost-user.h"
#include "tests/vhost-user/vmm.h"

#include <fcntl.h>

#define ECHO_CONFIG_SIZE 16
#define ECHO_FEATURE 5 /* the bit of a feature of its own */
#define ECHO_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)
#define EVENT_IDX (G_GUINT64_CONSTANT(1) << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT (G_GUINT64_CONSTANT(1) << VIRTIO_RING_F_INDIRECT_DESC)

/* Queue 0 gives back each byte plus 1; queue 1 keeps what it gets until it stops. */
typedef struct {
    ScVhostUser *vhost;
    char *folder, *path;
    guint8 config[ECHO_CONFIG_SIZE];
    guint linked, unlinked, resets, stops;
    GQueue kept;
} Echo;

extern const ScVhostDevice echo_device;

Echo *echo_new(void);
void echo_free(Echo *echo);

typedef struct {
    int first_fd;
    Echo *echo;
    Vmm *vmm;
} EchoFixture;

/* For g_test_add(). @features: a guint64 that the driver accepts; NULL: nothing is said yet. The
 * second checks that nothing has leaked. */
void echo_set_up(EchoFixture *fixture, gconstpointer features);
void echo_tear_down(EchoFixture *fixture, gconstpointer features);

/* Sends @text through queue 0 in pieces of @piece bytes and expects it back. */
void echo_check(Vmm *vmm, gboolean indirect, guint piece, const char *text);
