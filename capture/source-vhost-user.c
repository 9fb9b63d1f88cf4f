/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The display of any VMM that speaks vhost-user: a virtio-gpu device of ours, to which it connects,
 * and a virtio-input device, if a socket was given for that.
 */
#include "capture/error.h"
#include "capture/source-impl.h"
#include "capture/udmabuf.h"
#include "capture/virtio-gpu.h"
#include "capture/virtio-input.h"

typedef struct {
    ScSource base;
    char *path;
    ScVirtioGpu *gpu;
    ScVirtioInput *input; /* NULL: the guest has other devices */
    guint width, height;  /* of the scanout */
} VhostSource;

static void on_linked(gboolean is_linked, const char *reason, gpointer data)
{
    VhostSource *self = data;

    if (is_linked) {
        sc_source_emit_state(&self->base, SC_SOURCE_CONNECTED, NULL);
    } else {
        g_autofree char *text = g_strdup_printf("%s: the VMM is gone: %s", self->path, reason);

        sc_source_emit_state(&self->base, SC_SOURCE_CONNECTING, text);
    }
}

static void on_scanout(ScScanout *scanout, gpointer data)
{
    VhostSource *self = data;

    if (scanout != NULL) {
        self->width = sc_scanout_get_width(scanout);
        self->height = sc_scanout_get_height(scanout);
    }
    sc_source_emit_scanout(&self->base, scanout);
}

static void on_frame(ScFrame *frame, gpointer data)
{
    sc_source_emit_frame(data, frame);
}

static void on_cursor_shape(ScCursor *cursor, gpointer data)
{
    sc_source_emit_cursor_shape(data, cursor);
}

static void on_cursor_position(int x, int y, gpointer data)
{
    sc_source_emit_cursor_position(data, x, y);
}

static void on_leds(ScLeds leds, gpointer data)
{
    sc_source_emit_leds(data, leds);
}

static ScSource *vhost_new(const char *address, GError **error)
{
    static const ScVirtioGpuListener listener = {
        .linked = on_linked,
        .scanout = on_scanout,
        .frame = on_frame,
        .cursor_shape = on_cursor_shape,
        .cursor_position = on_cursor_position,
    };
    VhostSource *self;
    ScVirtioGpu *gpu;

    if (address == NULL || *address == '\0') {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "a path is missing; give the one that the VMM's chardev connects to");
        return NULL;
    }
    self = g_new0(VhostSource, 1);
    gpu = sc_virtio_gpu_new(address, sc_udmabuf_new, &listener, self, error);
    if (gpu == NULL) {
        g_free(self);
        return NULL;
    }
    self->path = g_strdup(address);
    self->gpu = gpu;
    return &self->base;
}

static gboolean vhost_set_input(ScSource *source, const char *path, GError **error)
{
    VhostSource *self = (VhostSource *)source;

    sc_virtio_input_free(self->input);
    self->input = sc_virtio_input_new(path, on_leds, self, error);
    return self->input != NULL;
}

static gboolean vhost_start(ScSource *source, GError **error)
{
    VhostSource *self = (VhostSource *)source;
    g_autofree char *waiting = g_strdup_printf("%s: no VMM has connected yet", self->path);

    if (!sc_virtio_gpu_listen(self->gpu, error) ||
        (self->input != NULL && !sc_virtio_input_listen(self->input, error))) {
        return FALSE;
    }
    if (self->input != NULL) {
        sc_source_emit_pointer_mode(source, SC_POINTER_ABSOLUTE);
    }
    sc_source_emit_state(source, SC_SOURCE_CONNECTING, waiting);
    return TRUE;
}

static void vhost_free(ScSource *source)
{
    VhostSource *self = (VhostSource *)source;

    sc_virtio_input_free(self->input);
    sc_virtio_gpu_free(self->gpu);
    g_free(self->path);
    g_free(self);
}

static void vhost_set_watched(ScSource *source, gboolean watched)
{
    sc_virtio_gpu_set_watched(((VhostSource *)source)->gpu, watched);
}

static void vhost_send_key(ScSource *source, guint scancode, gboolean pressed)
{
    VhostSource *self = (VhostSource *)source;

    if (self->input != NULL) {
        sc_virtio_input_send_key(self->input, scancode, pressed);
    }
}

static void vhost_send_position(ScSource *source, guint x, guint y)
{
    VhostSource *self = (VhostSource *)source;

    if (self->input != NULL) {
        sc_virtio_input_send_position(self->input, x, y, self->width, self->height);
    }
}

static void vhost_send_button(ScSource *source, ScButton button, gboolean pressed)
{
    VhostSource *self = (VhostSource *)source;

    if (self->input != NULL) {
        sc_virtio_input_send_button(self->input, button, pressed);
    }
}

static void vhost_send_wheel(ScSource *source, int steps)
{
    VhostSource *self = (VhostSource *)source;

    if (self->input != NULL) {
        sc_virtio_input_send_wheel(self->input, steps);
    }
}

static void vhost_send_size(ScSource *source, guint width, guint height)
{
    sc_virtio_gpu_set_size(((VhostSource *)source)->gpu, width, height);
}

const ScSourceImpl sc_source_vhost_user = {
    .scheme = "vhost-user",
    .help = "vhost-user:PATH        any VMM with a vhost-user virtio-gpu that connects to PATH",
    .new = vhost_new,
    .start = vhost_start,
    .free = vhost_free,
    .set_input = vhost_set_input,
    .set_watched = vhost_set_watched,
    .send_key = vhost_send_key,
    .send_position = vhost_send_position,
    .send_button = vhost_send_button,
    .send_wheel = vhost_send_wheel,
    .send_size = vhost_send_size,
};
