/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The buffers a guest flips between. Its VMM describes the same few again and again, with other
 * descriptors each time; who asks here gets the same scanouts again, and with them their mappings.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/scanout.h"

G_BEGIN_DECLS

typedef struct ScScanoutCache ScScanoutCache;

/* @make makes a scanout of a buffer: sc_scanout_new_dmabuf() or sc_scanout_new_memory(). */
ScScanoutCache *sc_scanout_cache_new(ScScanout *(*make)(ScDmabuf *dmabuf, gboolean bottom_up));
void sc_scanout_cache_free(ScScanoutCache *cache); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScScanoutCache, sc_scanout_cache_free)

/*
 * The scanout for @layout, whose descriptors stay the caller's. It stays the cache's: valid until
 * the next call. @is_other: the buffer is of another shape than the one before, or the first.
 * NULL and an error if the layout cannot be true.
 */
ScScanout *sc_scanout_cache_get(ScScanoutCache *cache, const ScDmabufLayout *layout,
                                gboolean bottom_up, gboolean *is_other, GError **error);

void sc_scanout_cache_clear(ScScanoutCache *cache);

G_END_DECLS
