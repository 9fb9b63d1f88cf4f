/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The back end of a vhost-user device: a VMM connects to our unix socket, shares the guest's memory
 * and says where the rings are. docs/interop/vhost-user.rst of QEMU is the specification.
 *
 * What the device does is the business of a ScVhostDevice; this is the same for all of them.
 *
 * Thread: the owner thread; callbacks come from the main context that was the thread default at
 *         sc_vhost_user_new().
 * Errors: a VMM that sends nonsense is told so if it asked for an answer, else it is sent away; the
 *         next one is served.
 */
#pragma once

#include "capture/virtqueue.h"

G_BEGIN_DECLS

#define SC_VHOST_MAX_QUEUES 4
#define SC_VHOST_MAX_CONFIG 256 /* VHOST_USER_MAX_CONFIG_SIZE of QEMU */

typedef struct ScVhostUser ScVhostUser;

/* All members are mandatory but those that say otherwise. */
typedef struct {
    guint n_queues;
    guint64 features;  /* of this type of device; those of all are added */
    guint config_size; /* at most SC_VHOST_MAX_CONFIG */

    /* Fills in all of the configuration space. */
    void (*get_config)(guint8 *config, gpointer data);

    /* The guest wrote there; inside the configuration space. */
    void (*set_config)(guint offset, const guint8 *bytes, guint size, gpointer data);

    /* The guest has put something into queue @index. TRUE: there is more, call again soon. */
    gboolean (*kicked)(guint index, gpointer data);

    /* Queue @index stops: give back what was popped, or forget it. What is pushed now still reaches
     * the guest, unless the VMM is gone. */
    void (*stopping)(guint index, gpointer data);

    /* The guest's driver starts anew, or there is no guest any more: as after power on. */
    void (*reset)(gpointer data);

    /* A VMM came, or went; @reason is for people. */
    void (*linked)(gboolean is_linked, const char *reason, gpointer data);
} ScVhostDevice;

/* @device must stay. Fails with SC_ERROR_INVALID if @path is none. */
ScVhostUser *sc_vhost_user_new(const char *path, const ScVhostDevice *device, gpointer data,
                               GError **error);

/* Sends the VMM away without calling the device, and removes the socket. NULL is ignored. */
void sc_vhost_user_free(ScVhostUser *vhost);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScVhostUser, sc_vhost_user_free)

/* Begins to listen. Fails if the path cannot be used; a socket that nobody listens on any more is
 * replaced. */
gboolean sc_vhost_user_listen(ScVhostUser *vhost, GError **error);

ScGuestMemory *sc_vhost_user_get_memory(const ScVhostUser *vhost);
ScVirtqueue *sc_vhost_user_get_queue(const ScVhostUser *vhost, guint index);

/* As if the guest had kicked queue @index, if that runs: for what a device has to say by itself.
 * The device is called from the main loop. */
void sc_vhost_user_serve_soon(ScVhostUser *vhost, guint index);

/* Whether the guest has accepted the feature with this bit number. */
gboolean sc_vhost_user_has_feature(const ScVhostUser *vhost, guint bit);

/* The configuration space has changed: tells the guest, if the VMM can be told. */
void sc_vhost_user_config_changed(ScVhostUser *vhost);

G_END_DECLS
