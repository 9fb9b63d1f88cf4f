/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/virtio-gpu.h"

#include "capture/timer.h"
#include "capture/vhost-user.h"
#include "capture/virtio-gpu-command.h"
#include "capture/virtio-gpu-cursor.h"

#include <string.h>

enum { CONTROL_QUEUE, CURSOR_QUEUE, N_QUEUES };

#define FEATURES                                                                                   \
    (1 << VIRTIO_GPU_F_EDID | 1 << VIRTIO_GPU_F_RESOURCE_UUID | 1 << VIRTIO_GPU_F_RESOURCE_BLOB)

/* QEMU's own virtio-gpu begins with that, too. */
#define DEFAULT_WIDTH 1280
#define DEFAULT_HEIGHT 800

/* A guest that never stops is served in slices: others shall have their turn. */
#define SLICE_US (10 * G_TIME_SPAN_MILLISECOND)

struct ScVirtioGpu {
    ScVhostUser *vhost;
    const ScVirtioGpuListener *listener;
    gpointer data;
    ScGpuResources *resources;
    ScGpuDisplay *display;
    ScGpuCursor *cursor;
    guint width, height;
    struct virtio_gpu_config config;
    GQueue commands; /* Command: not answered yet, the oldest first */
};

typedef struct {
    ScVirtioGpu *gpu;
    ScVirtqueueElement *element;
    ScGpuCall call;
    gboolean is_fenced;
    gboolean is_executing;
    gboolean is_ready;
    ScFlush *flush;    /* NULL: none is pending */
    ScTimer *deadline; /* for the lease */
} Command;

/* ---- answering -------------------------------------------------------------------------- */

static void command_free(Command *command)
{
    sc_timer_free(command->deadline);
    if (command->call.lease != NULL) {
        sc_gpu_lease_wait(command->call.lease, NULL, NULL);
        sc_gpu_lease_unref(command->call.lease);
    }
    sc_flush_unref(command->flush);
    g_free(command->element);
    g_free(command);
}

static void answer(Command *command)
{
    ScVirtqueue *queue = sc_vhost_user_get_queue(command->gpu->vhost, CONTROL_QUEUE);

    sc_virtqueue_push(queue, command->element,
                      sc_virtqueue_write(queue, command->element, &command->call.response,
                                         command->call.response_size));
    command_free(command);
}

/* Answers what is ready; a fence never before an earlier one. */
static void answer_ready(ScVirtioGpu *gpu)
{
    gboolean is_fence_pending = FALSE;
    GList *next;

    for (GList *link = gpu->commands.head; link != NULL; link = next) {
        Command *command = link->data;

        next = link->next;
        if (command->is_ready && !(command->is_fenced && is_fence_pending)) {
            g_queue_delete_link(&gpu->commands, link);
            answer(command);
        } else {
            is_fence_pending |= command->is_fenced;
        }
    }
}

/* Not in the middle of a kick. */
static void set_ready(Command *command)
{
    ScVirtioGpu *gpu = command->gpu;

    command->is_ready = TRUE;
    if (!command->is_executing) {
        sc_vhost_user_serve_soon(gpu->vhost, CONTROL_QUEUE);
    }
}

static void on_flushed(ScFlushResult result, gpointer data)
{
    set_ready(data);
}

static void on_released(gpointer data)
{
    set_ready(data);
}

static void on_deadline(gpointer data)
{
    g_warning("an encoder still reads a buffer that the guest has taken back %d ms ago",
              (int)(SC_VIRTIO_GPU_RELEASE_DEADLINE / 1000));
    set_ready(data);
}

/* ---- the control queue ------------------------------------------------------------------ */

static ScGpuContext get_context(ScVirtioGpu *gpu)
{
    return (ScGpuContext){
        .memory = sc_vhost_user_get_memory(gpu->vhost),
        .queue = sc_vhost_user_get_queue(gpu->vhost, CONTROL_QUEUE),
        .resources = gpu->resources,
        .display = gpu->display,
        .has_blobs = sc_vhost_user_has_feature(gpu->vhost, VIRTIO_GPU_F_RESOURCE_BLOB),
        .width = gpu->width,
        .height = gpu->height,
    };
}

/* Takes @element. */
static Command *command_new(ScVirtioGpu *gpu, ScVirtqueueElement *element)
{
    Command *command = g_new0(Command, 1);

    command->gpu = gpu;
    command->element = element;
    command->call.element = element;
    /* A request too short for a header is unknown, like any other type 0. */
    if (!sc_virtqueue_read(sc_vhost_user_get_queue(gpu->vhost, CONTROL_QUEUE), element, 0,
                           &command->call.header, sizeof command->call.header)) {
        memset(&command->call.header, 0, sizeof command->call.header);
    }
    command->is_fenced = (command->call.header.flags & VIRTIO_GPU_FLAG_FENCE) != 0;
    if (command->is_fenced && command->call.header.type == VIRTIO_GPU_CMD_RESOURCE_FLUSH) {
        command->flush = sc_flush_new(on_flushed, command);
        command->call.flush = command->flush;
    }
    return command;
}

static void execute(ScVirtioGpu *gpu, ScVirtqueueElement *element)
{
    Command *command = command_new(gpu, element);
    ScGpuContext context = get_context(gpu);

    g_queue_push_tail(&gpu->commands, command);
    command->is_executing = TRUE;
    sc_gpu_context_execute(&context, &command->call);
    if (command->flush != NULL && !command->call.is_flush_taken) {
        sc_flush_complete(command->flush, SC_FLUSH_DONE); /* copied, or not shown */
    }
    if (command->call.lease != NULL) {
        command->deadline = sc_timer_new(on_deadline, command);
        sc_timer_set_after(command->deadline, SC_VIRTIO_GPU_RELEASE_DEADLINE);
        sc_gpu_lease_wait(command->call.lease, on_released, command);
    } else if (command->flush == NULL) {
        command->is_ready = TRUE;
    }
    command->is_executing = FALSE;
    answer_ready(gpu);
}

static gboolean serve_control(ScVirtioGpu *gpu)
{
    ScVirtqueue *queue = sc_vhost_user_get_queue(gpu->vhost, CONTROL_QUEUE);
    gint64 end = g_get_monotonic_time() + SLICE_US;
    ScVirtqueueElement *element;

    answer_ready(gpu);
    do {
        element = sc_virtqueue_pop(queue);
        if (element == NULL) {
            return sc_virtqueue_wait(queue);
        }
        execute(gpu, element);
    } while (g_get_monotonic_time() < end);
    return TRUE;
}

/* ---- the cursor queue ------------------------------------------------------------------- */

static gboolean serve_cursor(ScVirtioGpu *gpu)
{
    ScVirtqueue *queue = sc_vhost_user_get_queue(gpu->vhost, CURSOR_QUEUE);
    gint64 end = g_get_monotonic_time() + SLICE_US;

    do {
        g_autofree ScVirtqueueElement *element = sc_virtqueue_pop(queue);
        struct virtio_gpu_ctrl_hdr response = { .type = VIRTIO_GPU_RESP_ERR_UNSPEC };
        struct virtio_gpu_update_cursor request;

        if (element == NULL) {
            return sc_virtqueue_wait(queue);
        }
        if (sc_virtqueue_read(queue, element, 0, &request, sizeof request)) {
            response.type = sc_gpu_cursor_execute(gpu->cursor, gpu->resources, &request);
        }
        sc_virtqueue_push(queue, element,
                          sc_virtqueue_write(queue, element, &response, sizeof response));
    } while (g_get_monotonic_time() < end);
    return TRUE;
}

/* ---- the device ------------------------------------------------------------------------- */

static gboolean on_kicked(guint index, gpointer data)
{
    return index == CONTROL_QUEUE ? serve_control(data) : serve_cursor(data);
}

/* Nothing may be left behind: the guest may go on later, and would wait for ever. */
static void on_stopping(guint index, gpointer data)
{
    ScVirtioGpu *gpu = data;

    if (index != CONTROL_QUEUE) {
        return;
    }
    for (GList *link = gpu->commands.head; link != NULL; link = link->next) {
        Command *command = link->data;

        command->is_executing = TRUE;
        if (command->flush != NULL && sc_flush_is_pending(command->flush)) {
            sc_flush_complete(command->flush, SC_FLUSH_DROPPED);
        }
        command->is_ready = TRUE;
    }
    answer_ready(gpu);
}

static void on_reset(gpointer data)
{
    ScVirtioGpu *gpu = data;

    sc_gpu_display_reset(gpu->display);
    sc_gpu_resources_remove_all(gpu->resources);
    sc_gpu_cursor_hide(gpu->cursor);
    gpu->config.events_read = 0;
}

static void on_linked(gboolean is_linked, const char *reason, gpointer data)
{
    ScVirtioGpu *gpu = data;

    gpu->listener->linked(is_linked, reason, gpu->data);
}

static void on_get_config(guint8 *config, gpointer data)
{
    ScVirtioGpu *gpu = data;

    memcpy(config, &gpu->config, sizeof gpu->config);
}

/* What the guest writes into events_clear it has seen; nothing else can be written. */
static void on_set_config(guint offset, const guint8 *bytes, guint size, gpointer data)
{
    ScVirtioGpu *gpu = data;
    struct virtio_gpu_config config = { 0 };

    memcpy((guint8 *)&config + offset, bytes, size);
    gpu->config.events_read &= ~config.events_clear;
}

static const ScVhostDevice gpu_device = {
    .n_queues = N_QUEUES,
    .features = FEATURES,
    .config_size = sizeof(struct virtio_gpu_config),
    .get_config = on_get_config,
    .set_config = on_set_config,
    .kicked = on_kicked,
    .stopping = on_stopping,
    .reset = on_reset,
    .linked = on_linked,
};

static void on_scanout(ScScanout *scanout, gpointer data)
{
    ScVirtioGpu *gpu = data;

    gpu->listener->scanout(scanout, gpu->data);
}

static void on_frame(ScFrame *frame, gpointer data)
{
    ScVirtioGpu *gpu = data;

    gpu->listener->frame(frame, gpu->data);
}

static void on_cursor_shape(ScCursor *cursor, gpointer data)
{
    ScVirtioGpu *gpu = data;

    gpu->listener->cursor_shape(cursor, gpu->data);
}

static void on_cursor_position(int x, int y, gpointer data)
{
    ScVirtioGpu *gpu = data;

    gpu->listener->cursor_position(x, y, gpu->data);
}

ScVirtioGpu *sc_virtio_gpu_new(const char *path, ScGpuDmabufFunc make_dmabuf,
                               const ScVirtioGpuListener *listener, gpointer data, GError **error)
{
    static const ScGpuDisplayListener display_listener = { on_scanout, on_frame };
    static const ScGpuCursorListener cursor_listener = { on_cursor_shape, on_cursor_position };
    g_autoptr(ScVirtioGpu) gpu = g_new0(ScVirtioGpu, 1);

    gpu->listener = listener;
    gpu->data = data;
    gpu->width = DEFAULT_WIDTH;
    gpu->height = DEFAULT_HEIGHT;
    gpu->config.num_scanouts = 1;
    g_queue_init(&gpu->commands);
    gpu->resources = sc_gpu_resources_new(make_dmabuf);
    gpu->display = sc_gpu_display_new(gpu->resources, &display_listener, gpu);
    gpu->cursor = sc_gpu_cursor_new(&cursor_listener, gpu);
    gpu->vhost = sc_vhost_user_new(path, &gpu_device, gpu, error);
    return gpu->vhost != NULL ? g_steal_pointer(&gpu) : NULL;
}

static void drop_command(gpointer data)
{
    Command *command = data;

    command->is_executing = TRUE;
    if (command->flush != NULL && sc_flush_is_pending(command->flush)) {
        sc_flush_complete(command->flush, SC_FLUSH_DROPPED);
    }
    command_free(command);
}

void sc_virtio_gpu_free(ScVirtioGpu *gpu)
{
    if (gpu == NULL) {
        return;
    }
    g_queue_clear_full(&gpu->commands, drop_command);
    sc_vhost_user_free(gpu->vhost);
    sc_gpu_display_free(gpu->display);
    sc_gpu_cursor_free(gpu->cursor);
    sc_gpu_resources_free(gpu->resources);
    g_free(gpu);
}

gboolean sc_virtio_gpu_listen(ScVirtioGpu *gpu, GError **error)
{
    return sc_vhost_user_listen(gpu->vhost, error);
}

void sc_virtio_gpu_set_watched(ScVirtioGpu *gpu, gboolean watched)
{
    sc_gpu_display_set_watched(gpu->display, watched);
}

void sc_virtio_gpu_set_size(ScVirtioGpu *gpu, guint width, guint height)
{
    if (gpu->width == width && gpu->height == height) {
        return;
    }
    gpu->width = width;
    gpu->height = height;
    gpu->config.events_read |= VIRTIO_GPU_EVENT_DISPLAY;
    sc_vhost_user_config_changed(gpu->vhost);
}
