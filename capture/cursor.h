/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shape of the guest's pointer. Immutable, reference counted, any thread.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define SC_CURSOR_MAX_SIZE 512 /* QEMU's limit for guest cursors (ui/cursor.c) */

typedef struct ScCursor ScCursor;

/* @argb: premultiplied words 0xAARRGGBB in host order, @width * @height of them, copied. NULL and
 * an error if a size is 0 or above SC_CURSOR_MAX_SIZE or the hot spot is outside. */
ScCursor *sc_cursor_new(guint width, guint height, guint hot_x, guint hot_y, const guint32 *argb,
                        GError **error);

ScCursor *sc_cursor_ref(ScCursor *cursor);
void sc_cursor_unref(ScCursor *cursor); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScCursor, sc_cursor_unref)

guint sc_cursor_get_width(const ScCursor *cursor);
guint sc_cursor_get_height(const ScCursor *cursor);
guint sc_cursor_get_hot_x(const ScCursor *cursor);
guint sc_cursor_get_hot_y(const ScCursor *cursor);

/* For what a guest drew: Linux guests have multiplied the colours by alpha, others have not; a
 * colour above its alpha gives the latter away, and then this does it. */
void sc_cursor_premultiply(guint32 *argb, gsize n_pixels);

/* Valid as long as @cursor. */
const guint32 *sc_cursor_get_argb(const ScCursor *cursor);

G_END_DECLS
