/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/damage.h"

#define MAX_DAMAGE_RECTS 32 /* beyond that their hull is cheaper to deal with */

gboolean sc_damage_add(pixman_region32_t *damage, gint64 x, gint64 y, gint64 width, gint64 height,
                       guint32 max_width, guint32 max_height)
{
    int left = (int)CLAMP(x, 0, max_width);
    int top = (int)CLAMP(y, 0, max_height);
    int right = (int)CLAMP(x + width, 0, max_width);
    int bottom = (int)CLAMP(y + height, 0, max_height);

    if (left >= right || top >= bottom) {
        return FALSE;
    }
    pixman_region32_union_rect(damage, damage, left, top, (guint)(right - left),
                               (guint)(bottom - top));
    if (pixman_region32_n_rects(damage) > MAX_DAMAGE_RECTS) {
        pixman_box32_t hull = *pixman_region32_extents(damage);

        pixman_region32_reset(damage, &hull);
    }
    return TRUE;
}
