/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/shadow.h"

typedef struct {
    ScPicture *picture; /* NULL: not needed so far */
    pixman_region32_t stale;
} Slot;

struct ScShadow {
    guint32 width, height, fourcc; /* of the scanout */
    Slot slots[2];
    guint newest;
    pixman_region32_t changes;
    guint64 copied;
};

ScShadow *sc_shadow_new(void)
{
    ScShadow *shadow = g_new0(ScShadow, 1);

    pixman_region32_init(&shadow->slots[0].stale);
    pixman_region32_init(&shadow->slots[1].stale);
    pixman_region32_init(&shadow->changes);
    return shadow;
}

void sc_shadow_free(ScShadow *shadow)
{
    if (shadow == NULL) {
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(shadow->slots); i++) {
        sc_picture_unref(shadow->slots[i].picture);
        pixman_region32_fini(&shadow->slots[i].stale);
    }
    pixman_region32_fini(&shadow->changes);
    g_free(shadow);
}

static void slot_set(Slot *slot, ScPicture *picture, guint width, guint height)
{
    sc_picture_unref(slot->picture);
    slot->picture = picture;
    pixman_region32_fini(&slot->stale);
    pixman_region32_init_rect(&slot->stale, 0, 0, width, height);
}

static void add_copied(ScShadow *shadow, const pixman_region32_t *region)
{
    int n;
    const pixman_box32_t *boxes = pixman_region32_rectangles((pixman_region32_t *)region, &n);

    for (int i = 0; i < n; i++) {
        shadow->copied +=
            (guint64)(boxes[i].x2 - boxes[i].x1) * (guint64)(boxes[i].y2 - boxes[i].y1);
    }
}

static gboolean take_all(ScShadow *shadow, ScScanout *scanout, GError **error)
{
    guint32 width = sc_scanout_get_width(scanout);
    guint32 height = sc_scanout_get_height(scanout);
    g_autoptr(ScPicture) picture = NULL;
    pixman_region32_t all; /* one box: nothing to free */
    GstVideoInfo info;

    if (!sc_copy_get_info(scanout, &info, error)) {
        return FALSE;
    }
    picture = sc_picture_new(&info, error);
    pixman_region32_init_rect(&all, 0, 0, width, height);
    if (picture == NULL || !sc_copy_region(scanout, &all, picture, error)) {
        return FALSE;
    }
    add_copied(shadow, &all);
    shadow->width = width;
    shadow->height = height;
    shadow->fourcc = sc_scanout_get_fourcc(scanout);
    shadow->newest = 0;
    slot_set(&shadow->slots[0], g_steal_pointer(&picture), 0, 0);
    slot_set(&shadow->slots[1], NULL, width, height);
    pixman_region32_copy(&shadow->changes, &all);
    return TRUE;
}

/* The slot to draw into: one that nobody reads. A picture that never comes back (a pipeline that
 * hangs holds it) is replaced. -1 if there is no memory. */
static int choose_slot(ScShadow *shadow, GError **error)
{
    Slot *other = &shadow->slots[!shadow->newest];

    if (!sc_picture_is_shared(shadow->slots[shadow->newest].picture)) {
        return (int)shadow->newest;
    }
    if (other->picture == NULL || sc_picture_is_shared(other->picture)) {
        ScPicture *picture = sc_picture_new(&shadow->slots[shadow->newest].picture->info, error);

        if (picture == NULL) {
            return -1;
        }
        slot_set(other, picture, shadow->width, shadow->height);
    }
    return !shadow->newest;
}

static gboolean take_changes(ScShadow *shadow, ScScanout *scanout, const pixman_region32_t *damage,
                             GError **error)
{
    int chosen = choose_slot(shadow, error);
    pixman_region32_t wanted;
    Slot *other;

    if (chosen < 0) {
        return FALSE;
    }
    pixman_region32_init(&wanted);
    pixman_region32_union(&wanted, &shadow->slots[chosen].stale, (pixman_region32_t *)damage);
    if (!sc_copy_region(scanout, &wanted, shadow->slots[chosen].picture, error)) {
        pixman_region32_fini(&wanted);
        return FALSE;
    }
    add_copied(shadow, &wanted);
    pixman_region32_fini(&wanted);

    pixman_region32_clear(&shadow->slots[chosen].stale);
    shadow->newest = (guint)chosen;
    other = &shadow->slots[!chosen];
    pixman_region32_union(&other->stale, &other->stale, (pixman_region32_t *)damage);
    pixman_region32_union(&shadow->changes, &shadow->changes, (pixman_region32_t *)damage);
    return TRUE;
}

gboolean sc_shadow_take(ScShadow *shadow, ScScanout *scanout, const pixman_region32_t *damage,
                        GError **error)
{
    if (shadow->slots[shadow->newest].picture == NULL ||
        shadow->width != sc_scanout_get_width(scanout) ||
        shadow->height != sc_scanout_get_height(scanout) ||
        shadow->fourcc != sc_scanout_get_fourcc(scanout)) {
        return take_all(shadow, scanout, error);
    }
    return take_changes(shadow, scanout, damage, error);
}

void sc_shadow_forget(ScShadow *shadow)
{
    slot_set(&shadow->slots[0], NULL, 0, 0);
    slot_set(&shadow->slots[1], NULL, 0, 0);
    pixman_region32_clear(&shadow->changes);
    shadow->newest = 0;
    shadow->width = shadow->height = shadow->fourcc = 0;
}

ScPicture *sc_shadow_get_picture(const ScShadow *shadow)
{
    return shadow->slots[shadow->newest].picture;
}

guint32 sc_shadow_get_width(const ScShadow *shadow)
{
    return shadow->width;
}

guint32 sc_shadow_get_height(const ScShadow *shadow)
{
    return shadow->height;
}

guint32 sc_shadow_get_fourcc(const ScShadow *shadow)
{
    return shadow->fourcc;
}

const pixman_region32_t *sc_shadow_get_changes(const ScShadow *shadow)
{
    return &shadow->changes;
}

void sc_shadow_clear_changes(ScShadow *shadow)
{
    pixman_region32_clear(&shadow->changes);
}

guint64 sc_shadow_get_copied(const ScShadow *shadow)
{
    return shadow->copied;
}
