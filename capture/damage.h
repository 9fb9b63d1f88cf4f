/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Collecting what changed of a picture, from rectangles that a VMM names.
 *
 * Thread: pure functions, callable from anywhere.
 */
#pragma once

#include <glib.h>
#include <pixman.h>

G_BEGIN_DECLS

/*
 * Adds a rectangle, cut to a picture of @max_width x @max_height, to @damage, which is in that
 * picture; many rectangles become their hull. The numbers may be any of 32 bits, signed or not.
 * FALSE: nothing of it is inside.
 */
gboolean sc_damage_add(pixman_region32_t *damage, gint64 x, gint64 y, gint64 width, gint64 height,
                       guint32 max_width, guint32 max_height);

G_END_DECLS
