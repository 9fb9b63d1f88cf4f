/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/dbus-cursor.h"

#include "capture/complaints.h"
#include "capture/error.h"

struct ScDbusCursor {
    ScSource *source;
    ScComplaints *complaints;
    ScCursor *shape; /* NULL: there was none, or none we can use */
    gboolean on;     /* the VMM wants it seen */
    int x, y;        /* of the shape's top left corner */
};

ScDbusCursor *sc_dbus_cursor_new(ScSource *source)
{
    ScDbusCursor *self = g_new0(ScDbusCursor, 1);

    self->source = source;
    self->complaints = sc_complaints_new();
    self->on = TRUE;
    return self;
}

void sc_dbus_cursor_free(ScDbusCursor *self)
{
    if (self == NULL) {
        return;
    }
    sc_cursor_unref(self->shape);
    sc_complaints_free(self->complaints);
    g_free(self);
}

static ScCursor *parse_shape(GVariant *body, GError **error)
{
    gint32 width, height, hot_x, hot_y;
    g_autoptr(GVariant) data = NULL;
    g_autofree guint32 *argb = NULL;
    gconstpointer words;
    gsize n_bytes, n_pixels;

    g_variant_get(body, "(iiii@ay)", &width, &height, &hot_x, &hot_y, &data);
    words = g_variant_get_fixed_array(data, &n_bytes, 1);
    if (width < 1 || width > SC_CURSOR_MAX_SIZE || height < 1 || height > SC_CURSOR_MAX_SIZE ||
        (n_pixels = (gsize)width * (gsize)height) > n_bytes / sizeof(guint32)) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "%dx%d in %" G_GSIZE_FORMAT " bytes", width,
                    height, n_bytes);
        return NULL;
    }
    argb = g_memdup2(words, n_pixels * sizeof(guint32));
    sc_cursor_premultiply(argb, n_pixels);
    /* Guests let the hot spot lie just outside. */
    return sc_cursor_new((guint)width, (guint)height, (guint)CLAMP(hot_x, 0, width - 1),
                         (guint)CLAMP(hot_y, 0, height - 1), argb, error);
}

void sc_dbus_cursor_take(ScDbusCursor *self, const ScDbusNews *news)
{
    gboolean was_on = self->on;
    g_autoptr(GError) error = NULL;
    gint32 on;

    if (news->cursor != NULL) {
        sc_cursor_unref(self->shape);
        self->shape = parse_shape(g_dbus_message_get_body(news->cursor), &error);
        if (error != NULL) {
            sc_complaints_add(self->complaints, "the shape of the guest's pointer", error);
        }
    }
    if (news->mouse != NULL) {
        g_variant_get(g_dbus_message_get_body(news->mouse), "(iii)", &self->x, &self->y, &on);
        self->on = on != 0;
    }
    if (news->cursor != NULL || self->on != was_on) {
        sc_source_emit_cursor_shape(self->source, self->on ? self->shape : NULL);
    }
    if (self->shape != NULL && (news->cursor != NULL || news->mouse != NULL)) {
        gint64 x = (gint64)self->x + sc_cursor_get_hot_x(self->shape);
        gint64 y = (gint64)self->y + sc_cursor_get_hot_y(self->shape);

        sc_source_emit_cursor_position(self->source, (int)CLAMP(x, G_MININT16, G_MAXINT16),
                                       (int)CLAMP(y, G_MININT16, G_MAXINT16));
    }
}
