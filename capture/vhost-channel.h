/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection of the vhost-user protocol: messages of a header and a payload, with descriptors.
 * docs/interop/vhost-user.rst of QEMU is the specification.
 *
 * Thread: the owner thread; callbacks come from the main context that was the thread default at
 *         sc_vhost_channel_new().
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define SC_VHOST_MAX_PAYLOAD 1024 /* the largest we know is GET_CONFIG's, 12 + 256 bytes */
#define SC_VHOST_MAX_FDS 8        /* VHOST_MEMORY_BASELINE_NREGIONS */

/* Bits of a message's flags. */
#define SC_VHOST_VERSION 0x1
#define SC_VHOST_VERSION_MASK 0x3
#define SC_VHOST_REPLY 0x4
#define SC_VHOST_NEED_REPLY 0x8

typedef struct {
    guint32 request;
    guint32 flags;
    guint32 size; /* of the payload */
} ScVhostHeader;

typedef struct {
    ScVhostHeader header;
    guint64 payload[SC_VHOST_MAX_PAYLOAD / sizeof(guint64)]; /* zero after its size */
    int fds[SC_VHOST_MAX_FDS];                               /* -1: taken */
    guint n_fds;
} ScVhostMessage;

typedef struct ScVhostChannel ScVhostChannel;

typedef struct {
    /* The descriptors that it does not take are closed afterwards. May free the channel. */
    void (*message)(ScVhostMessage *message, gpointer data);

    /* The other end is gone, or sent what is no message; nothing more comes. May free the channel.
     */
    void (*closed)(const char *reason, gpointer data);
} ScVhostChannelListener;

/* Takes @fd. @listener must stay. */
ScVhostChannel *sc_vhost_channel_new(int fd, const ScVhostChannelListener *listener, gpointer data);
void sc_vhost_channel_free(ScVhostChannel *channel); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScVhostChannel, sc_vhost_channel_free)

/* Whether the other end has hung up, even if that was not yet reported. */
gboolean sc_vhost_channel_is_gone(const ScVhostChannel *channel);

/* Takes a descriptor out of @message; -1 if there is no such. */
int sc_vhost_message_take_fd(ScVhostMessage *message, guint index);

/* FALSE if it could not be sent whole at once: the other end does not read. Never blocks. */
gboolean sc_vhost_send(int fd, guint32 request, guint32 flags, gconstpointer payload, gsize size);

/* Answers @message. */
gboolean sc_vhost_channel_reply(ScVhostChannel *channel, const ScVhostMessage *message,
                                gconstpointer payload, gsize size);

G_END_DECLS
