/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/target.h"

#include "capture/format.h"

#include <drm_fourcc.h>

static gboolean is_split(const ScDmabufLayout *layout)
{
    for (guint i = 1; i < layout->n_planes; i++) {
        if (layout->planes[i].fd != layout->planes[0].fd) {
            return TRUE;
        }
    }
    return FALSE;
}

void sc_target_init(ScTarget *target, const ScScanout *scanout)
{
    ScDmabuf *dmabuf = sc_scanout_get_dmabuf(scanout);

    *target = (ScTarget){
        .width = sc_scanout_get_width(scanout),
        .height = sc_scanout_get_height(scanout),
        .fourcc = sc_scanout_get_fourcc(scanout),
        .is_dmabuf = dmabuf != NULL,
        .bottom_up = sc_scanout_is_bottom_up(scanout),
    };
    if (dmabuf != NULL) {
        target->modifier = sc_dmabuf_get_layout(dmabuf)->modifier;
        target->n_planes = sc_dmabuf_get_layout(dmabuf)->n_planes;
        target->is_split = is_split(sc_dmabuf_get_layout(dmabuf));
        target->is_far = !sc_dmabuf_is_system_memory(dmabuf);
    }
}

guint sc_target_get_divisor(const ScTarget *target, guint max_pixels)
{
    guint64 pixels = (guint64)target->width * target->height;
    guint divisor = 1;

    while (max_pixels > 0 && pixels / divisor / divisor > max_pixels) {
        divisor *= 2;
    }
    return divisor;
}

gboolean sc_target_equal(const ScTarget *a, const ScTarget *b)
{
    return a->width == b->width && a->height == b->height && a->fourcc == b->fourcc &&
           a->is_dmabuf == b->is_dmabuf && a->bottom_up == b->bottom_up &&
           a->modifier == b->modifier && a->n_planes == b->n_planes && a->is_split == b->is_split &&
           a->is_far == b->is_far;
}

char *sc_target_to_string(const ScTarget *target)
{
    g_autofree char *name = sc_format_name(target->fourcc);

    if (!target->is_dmabuf || target->modifier == DRM_FORMAT_MOD_LINEAR ||
        target->modifier == DRM_FORMAT_MOD_INVALID) {
        return g_strdup_printf("%ux%u %s", target->width, target->height, name);
    }
    return g_strdup_printf("%ux%u %s with modifier 0x%" G_GINT64_MODIFIER "x", target->width,
                           target->height, name, target->modifier);
}
