/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of a vhost-user device, for capture/vhost-user.c, which keeps the connection and the
 * queues, and capture/vhost-request.c, which does what the VMM asks for.
 */
#pragma once

#include "capture/timer.h"
#include "capture/vhost-channel.h"
#include "capture/vhost-user.h"

G_BEGIN_DECLS

typedef struct {
    ScVhostUser *vhost;
    guint index;
    ScVirtqueue *ring;
    int kick_fd; /* -1: stopped */
    guint kick;  /* 0: not watched */
    ScTimer *again;
    guint16 stopped_at; /* what GET_VRING_BASE told */
} ScVhostQueue;

struct ScVhostUser {
    char *path;
    const ScVhostDevice *device;
    gpointer data;
    ScGuestMemory *memory;
    ScVhostQueue queues[SC_VHOST_MAX_QUEUES];

    int listen_fd; /* -1: not listening */
    guint listening;

    ScVhostChannel *channel; /* NULL: no VMM */
    guint64 features;        /* accepted by the guest */
    guint64 protocol_features;
    int backend_fd; /* for requests of ours */
    int gpu_fd;     /* where a VMM would show our pictures in its own window; unused */
};

/* Closes *@fd if it is one. */
void sc_vhost_close(int *fd);

/* Begins to serve a queue that is kicked by @fd, which it takes; -1: no longer. */
void sc_vhost_queue_set_kick(ScVhostQueue *queue, int fd);

/* @is_gone: nothing may be given back to the guest. */
void sc_vhost_queue_stop(ScVhostQueue *queue, gboolean is_gone);

void sc_vhost_user_reset(ScVhostUser *vhost);

/* Does what @message asks for, and answers. FALSE: it makes no sense, and the VMM must go. */
gboolean sc_vhost_user_handle(ScVhostUser *vhost, ScVhostMessage *message, GError **error);

/* Whether the feature that brings SET_VRING_ENABLE was accepted, and others of the protocol. */
#define SC_VHOST_F_PROTOCOL_FEATURES (G_GUINT64_CONSTANT(1) << 30)

G_END_DECLS
