/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/spice-cursor.h"

struct ScSpiceCursor {
    ScSource *source;
    SpiceCursorChannel *channel;
    ScCursor *shape; /* the last one; NULL if there was none */
    gboolean hidden;
    gboolean complained;
};

/* spice-gtk gives bytes R, G, B, A. */
static guint32 *argb_from_rgba(const guint8 *rgba, gsize n_pixels)
{
    guint32 *argb = g_new(guint32, n_pixels);

    for (gsize i = 0; i < n_pixels; i++) {
        const guint8 *in = rgba + 4 * i;

        argb[i] = (guint32)in[3] << 24 | (guint32)in[0] << 16 | (guint32)in[1] << 8 | in[2];
    }
    sc_cursor_premultiply(argb, n_pixels);
    return argb;
}

static ScCursor *cursor_from_shape(const SpiceCursorShape *shape, GError **error)
{
    g_autofree guint32 *argb = NULL;

    if (shape->width > 0 && shape->width <= SC_CURSOR_MAX_SIZE && shape->height > 0 &&
        shape->height <= SC_CURSOR_MAX_SIZE) {
        argb = argb_from_rgba(shape->data, (gsize)shape->width * shape->height);
    }
    /* spice-gtk lets the hot spot lie just outside. */
    return sc_cursor_new(shape->width, shape->height, MIN(shape->hot_spot_x, shape->width - 1),
                         MIN(shape->hot_spot_y, shape->height - 1), argb, error);
}

static void set_shape(ScSpiceCursor *self, ScCursor *shape)
{
    g_clear_pointer(&self->shape, sc_cursor_unref);
    self->shape = shape;
    self->hidden = shape == NULL;
    sc_source_emit_cursor_shape(self->source, shape);
}

static void on_cursor(GObject *object, GParamSpec *pspec, gpointer data)
{
    ScSpiceCursor *self = data;
    g_autoptr(GError) error = NULL;
    SpiceCursorShape *shape = NULL;
    ScCursor *cursor;

    g_object_get(object, "cursor", &shape, NULL);
    if (shape == NULL) {
        return;
    }
    cursor = cursor_from_shape(shape, &error);
    g_boxed_free(SPICE_TYPE_CURSOR_SHAPE, shape);
    if (cursor == NULL && !self->complained) {
        self->complained = TRUE;
        g_warning("the guest's pointer is not shown: %s", error->message);
    }
    set_shape(self, cursor);
}

static void on_hide(SpiceCursorChannel *channel, gpointer data)
{
    ScSpiceCursor *self = data;

    if (!self->hidden) {
        self->hidden = TRUE;
        sc_source_emit_cursor_shape(self->source, NULL);
    }
}

static void on_move(SpiceCursorChannel *channel, int x, int y, gpointer data)
{
    ScSpiceCursor *self = data;

    /* In this protocol a move makes a hidden pointer visible again. */
    if (self->hidden && self->shape != NULL) {
        self->hidden = FALSE;
        sc_source_emit_cursor_shape(self->source, self->shape);
    }
    sc_source_emit_cursor_position(self->source, x, y);
}

static void on_reset(SpiceCursorChannel *channel, gpointer data)
{
    set_shape(data, NULL);
}

ScSpiceCursor *sc_spice_cursor_new(ScSource *source, SpiceChannel *channel)
{
    ScSpiceCursor *self = g_new0(ScSpiceCursor, 1);

    self->source = source;
    self->channel = g_object_ref(SPICE_CURSOR_CHANNEL(channel));
    g_signal_connect(channel, "notify::cursor", G_CALLBACK(on_cursor), self);
    g_signal_connect(channel, "cursor-hide", G_CALLBACK(on_hide), self);
    g_signal_connect(channel, "cursor-move", G_CALLBACK(on_move), self);
    g_signal_connect(channel, "cursor-reset", G_CALLBACK(on_reset), self);
    return self;
}

void sc_spice_cursor_free(ScSpiceCursor *self)
{
    if (self == NULL) {
        return;
    }
    g_signal_handlers_disconnect_by_data(self->channel, self);
    sc_cursor_unref(self->shape);
    g_object_unref(self->channel);
    g_free(self);
}
