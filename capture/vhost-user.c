/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/vhost-user.h"

#include "capture/loop.h"
#include "capture/unix-socket.h"
#include "capture/vhost-user-impl.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKEND_CONFIG_CHANGE 2 /* a request of ours */

static void drop_vmm(ScVhostUser *vhost, const char *reason);

/* ---- queues ----------------------------------------------------------------------------- */

/* Memory whose file has shrunk must not be touched: that would end this process. */
static gboolean drop_if_cut(ScVhostUser *vhost)
{
    if (!sc_guest_memory_is_cut(vhost->memory)) {
        return FALSE;
    }
    drop_vmm(vhost, "the file of its guest's memory has shrunk");
    return TRUE;
}

static void serve_queue(ScVhostQueue *queue)
{
    ScVhostUser *vhost = queue->vhost;
    gboolean again;

    if (drop_if_cut(vhost)) {
        return;
    }
    again = vhost->device->kicked(queue->index, vhost->data);
    sc_virtqueue_notify(queue->ring);
    if (again) {
        sc_timer_set_after(queue->again, 0);
    }
}

static void on_again(gpointer data)
{
    serve_queue(data);
}

static gboolean on_kick(int fd, GIOCondition condition, gpointer data)
{
    ScVhostQueue *queue = data;
    guint64 count;

    if (read(fd, &count, sizeof count) == 0 || (condition & (G_IO_ERR | G_IO_HUP))) {
        queue->kick = 0; /* not an eventfd: it would be readable for ever */
        return G_SOURCE_REMOVE;
    }
    serve_queue(queue);
    return G_SOURCE_CONTINUE;
}

void sc_vhost_queue_set_kick(ScVhostQueue *queue, int fd)
{
    g_clear_handle_id(&queue->kick, sc_loop_remove);
    if (queue->kick_fd >= 0) {
        close(queue->kick_fd);
    }
    queue->kick_fd = fd;
    if (fd >= 0) {
        queue->kick = sc_loop_add_fd(fd, G_IO_IN, on_kick, queue);
        /* What came before there was anybody to be kicked. */
        sc_timer_set_after(queue->again, 0);
    } else {
        sc_timer_cancel(queue->again);
    }
}

void sc_vhost_queue_stop(ScVhostQueue *queue, gboolean is_gone)
{
    ScVhostUser *vhost = queue->vhost;

    if (is_gone) {
        sc_virtqueue_reset(queue->ring);
    }
    if (queue->kick_fd >= 0) {
        sc_vhost_queue_set_kick(queue, -1);
        vhost->device->stopping(queue->index, vhost->data);
    }
    sc_virtqueue_notify(queue->ring);
    queue->stopped_at = sc_virtqueue_get_base(queue->ring);
    sc_virtqueue_reset(queue->ring);
}

void sc_vhost_user_reset(ScVhostUser *vhost)
{
    for (guint i = 0; i < vhost->device->n_queues; i++) {
        sc_vhost_queue_stop(&vhost->queues[i], TRUE);
    }
    vhost->device->reset(vhost->data);
}

void sc_vhost_close(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static void forget_vmm(ScVhostUser *vhost)
{
    g_clear_pointer(&vhost->channel, sc_vhost_channel_free);
    vhost->features = 0;
    vhost->protocol_features = 0;
    for (guint i = 0; i < vhost->device->n_queues; i++) {
        sc_virtqueue_set_event_idx(vhost->queues[i].ring, FALSE);
    }
    sc_vhost_close(&vhost->backend_fd);
    sc_vhost_close(&vhost->gpu_fd);
}

static void drop_vmm(ScVhostUser *vhost, const char *reason)
{
    /* First: a device that gives back what it still has must not find memory that may be cut. */
    sc_guest_memory_set(vhost->memory, NULL, NULL, 0, NULL);
    for (guint i = 0; i < vhost->device->n_queues; i++) {
        sc_virtqueue_remap(vhost->queues[i].ring);
    }
    sc_vhost_user_reset(vhost);
    forget_vmm(vhost);
    vhost->device->linked(FALSE, reason, vhost->data);
}

static void on_message(ScVhostMessage *message, gpointer data)
{
    ScVhostUser *vhost = data;
    g_autoptr(GError) error = NULL;

    /* Requests touch the rings, too. */
    if (drop_if_cut(vhost)) {
        return;
    }
    if (!sc_vhost_user_handle(vhost, message, &error)) {
        g_autofree char *reason = g_strdup_printf("it made no sense: %s", error->message);

        drop_vmm(vhost, reason);
    }
}

static void on_closed(const char *reason, gpointer data)
{
    drop_vmm(data, reason);
}

/* ---- coming and going ------------------------------------------------------------------- */

static gboolean on_connection(int fd, GIOCondition condition, gpointer data)
{
    static const ScVhostChannelListener listener = { on_message, on_closed };
    ScVhostUser *vhost = data;
    int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (connection < 0) {
        return G_SOURCE_CONTINUE; /* gone before we came to it */
    }
    if (vhost->channel != NULL && sc_vhost_channel_is_gone(vhost->channel)) {
        drop_vmm(vhost, "it hung up");
    }
    if (vhost->channel != NULL) {
        g_warning("%s: a second VMM is sent away: one is connected already", vhost->path);
        close(connection);
        return G_SOURCE_CONTINUE;
    }
    vhost->channel = sc_vhost_channel_new(connection, &listener, vhost);
    vhost->device->linked(TRUE, NULL, vhost->data);
    return G_SOURCE_CONTINUE;
}

ScVhostUser *sc_vhost_user_new(const char *path, const ScVhostDevice *device, gpointer data,
                               GError **error)
{
    ScVhostUser *vhost;

    g_assert(device->n_queues <= SC_VHOST_MAX_QUEUES && device->config_size <= SC_VHOST_MAX_CONFIG);
    if (!sc_unix_socket_check_path(path, error)) {
        return NULL;
    }
    vhost = g_new0(ScVhostUser, 1);
    vhost->path = g_strdup(path);
    vhost->device = device;
    vhost->data = data;
    vhost->memory = sc_guest_memory_new();
    vhost->listen_fd = vhost->backend_fd = vhost->gpu_fd = -1;
    for (guint i = 0; i < device->n_queues; i++) {
        ScVhostQueue *queue = &vhost->queues[i];

        queue->vhost = vhost;
        queue->index = i;
        queue->kick_fd = -1;
        queue->ring = sc_virtqueue_new(vhost->memory);
        queue->again = sc_timer_new(on_again, queue);
    }
    return vhost;
}

void sc_vhost_user_free(ScVhostUser *vhost)
{
    if (vhost == NULL) {
        return;
    }
    g_clear_handle_id(&vhost->listening, sc_loop_remove);
    if (vhost->listen_fd >= 0) {
        close(vhost->listen_fd);
        unlink(vhost->path);
    }
    forget_vmm(vhost);
    for (guint i = 0; i < vhost->device->n_queues; i++) {
        sc_vhost_queue_set_kick(&vhost->queues[i], -1);
        sc_timer_free(vhost->queues[i].again);
        sc_virtqueue_free(vhost->queues[i].ring);
    }
    sc_guest_memory_free(vhost->memory);
    g_free(vhost->path);
    g_free(vhost);
}

gboolean sc_vhost_user_listen(ScVhostUser *vhost, GError **error)
{
    vhost->listen_fd = sc_unix_socket_listen(vhost->path, error);
    if (vhost->listen_fd < 0) {
        return FALSE;
    }
    vhost->listening = sc_loop_add_fd(vhost->listen_fd, G_IO_IN, on_connection, vhost);
    return TRUE;
}

ScGuestMemory *sc_vhost_user_get_memory(const ScVhostUser *vhost)
{
    return vhost->memory;
}

ScVirtqueue *sc_vhost_user_get_queue(const ScVhostUser *vhost, guint index)
{
    return vhost->queues[index].ring;
}

void sc_vhost_user_serve_soon(ScVhostUser *vhost, guint index)
{
    if (vhost->queues[index].kick_fd >= 0) {
        sc_timer_set_after(vhost->queues[index].again, 0);
    }
}

gboolean sc_vhost_user_has_feature(const ScVhostUser *vhost, guint bit)
{
    return (vhost->features >> bit & 1) != 0;
}

void sc_vhost_user_config_changed(ScVhostUser *vhost)
{
    if (vhost->backend_fd >= 0 &&
        !sc_vhost_send(vhost->backend_fd, BACKEND_CONFIG_CHANGE, 0, NULL, 0)) {
        g_info("%s: the VMM does not take news of the device", vhost->path);
    }
}
