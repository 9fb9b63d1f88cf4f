/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shadow: our copy of what the scanout shows, kept up to date by copying what changed.
 *
 * There are two pictures. Whoever encodes holds a reference to one of them and reads it in peace;
 * what comes meanwhile goes into the other one. Each remembers where it is older than the newer
 * (stale) and gets these pixels straight from the scanout when its turn comes, so nothing is copied
 * from picture to picture. As long as nobody reads, only one picture is used (and exists).
 *
 * Thread: the owner thread. Pictures may be read and unreferenced anywhere.
 */
#pragma once

#include "encoder/copy.h"

G_BEGIN_DECLS

typedef struct ScShadow ScShadow;

ScShadow *sc_shadow_new(void);
void sc_shadow_free(ScShadow *shadow); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScShadow, sc_shadow_free)

/*
 * Copies @damage (inside the scanout) and whatever else is stale. After a change of size or format
 * everything is. On failure the shadow is as it was.
 */
gboolean sc_shadow_take(ScShadow *shadow, ScScanout *scanout, const pixman_region32_t *damage,
                        GError **error);

/* Frees the pictures: what is shown changes without being copied here. As before the first take. */
void sc_shadow_forget(ScShadow *shadow);

/* The newest picture, NULL before the first take. Reference it to keep it from being drawn into. */
ScPicture *sc_shadow_get_picture(const ScShadow *shadow);

/* Size and format of the scanout that was taken last; 0 before. */
guint32 sc_shadow_get_width(const ScShadow *shadow);
guint32 sc_shadow_get_height(const ScShadow *shadow);
guint32 sc_shadow_get_fourcc(const ScShadow *shadow);

/* What changed since the last sc_shadow_clear_changes(). */
const pixman_region32_t *sc_shadow_get_changes(const ScShadow *shadow);
void sc_shadow_clear_changes(ScShadow *shadow);

/* Pixels copied so far. */
guint64 sc_shadow_get_copied(const ScShadow *shadow);

G_END_DECLS
