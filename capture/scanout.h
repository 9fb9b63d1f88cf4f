/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A scanout: what one output of the guest's virtual GPU shows now. Either a dmabuf or pixels in
 * memory. Its description never changes; what it shows does, with each frame.
 *
 * Lifetime: reference counted.
 * Thread:   the owner thread, except sc_scanout_ref/unref on scanouts with a dmabuf.
 */
#pragma once

#include "capture/dmabuf.h"

G_BEGIN_DECLS

typedef struct ScScanout ScScanout;

/* Takes its own reference to @dmabuf. @bottom_up: the first row in memory is the lowest shown. */
ScScanout *sc_scanout_new_dmabuf(ScDmabuf *dmabuf, gboolean bottom_up);

/* The same for memory that is no dmabuf, though shared by a descriptor (a memfd): no device can
 * import it. */
ScScanout *sc_scanout_new_memory(ScDmabuf *memory, gboolean bottom_up);

/*
 * @pixels stays the source's and must remain readable until sc_scanout_detach_pixels(), which the
 * source calls before it frees or reuses that memory, or until the last unref. Only the formats of
 * capture/format.h. @size is the number of bytes behind @pixels.
 */
ScScanout *sc_scanout_new_pixels(const guint8 *pixels, gsize size, guint32 width, guint32 height,
                                 guint32 stride, guint32 fourcc, gboolean bottom_up,
                                 GError **error);

/* The same with pixels that are kept: @bytes is referenced until the last unref, the first row
 * first. */
ScScanout *sc_scanout_new_bytes(GBytes *bytes, guint32 width, guint32 height, guint32 stride,
                                guint32 fourcc, GError **error);

/* The source's memory goes away: whoever still holds the scanout keeps a copy of the picture
 * (made now, and only then). Does nothing for memory that is kept anyway, or detached before. */
void sc_scanout_detach_pixels(ScScanout *scanout);

ScScanout *sc_scanout_ref(ScScanout *scanout);
void sc_scanout_unref(ScScanout *scanout); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScScanout, sc_scanout_unref)

guint32 sc_scanout_get_width(const ScScanout *scanout);
guint32 sc_scanout_get_height(const ScScanout *scanout);
guint32 sc_scanout_get_fourcc(const ScScanout *scanout);
gboolean sc_scanout_is_bottom_up(const ScScanout *scanout);

/* NULL if only the CPU can read the scanout. The reference stays the scanout's. */
ScDmabuf *sc_scanout_get_dmabuf(const ScScanout *scanout);

/* The picture as the CPU sees it. Rows are in the order they are shown: for a bottom-up scanout
 * @data points at the last row in memory and @stride is negative. */
typedef struct {
    const guint8 *data;
    int stride; /* bytes */
} ScPixels;

/* End each successful begin. The pixels are valid between the two. */
gboolean sc_scanout_begin_read(ScScanout *scanout, ScPixels *pixels, GError **error);
void sc_scanout_end_read(ScScanout *scanout);

G_END_DECLS
