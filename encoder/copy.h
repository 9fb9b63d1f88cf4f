/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copies pixels of a scanout into a picture that encoders can use.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/scanout.h"
#include "encoder/picture.h"
#include <pixman.h>

G_BEGIN_DECLS

/* The picture @scanout is copied into: BGRx, both sizes even (as chroma of half size needs). */
gboolean sc_copy_get_info(ScScanout *scanout, GstVideoInfo *info, GError **error);

/*
 * Copies @region (in shown pixels, inside the scanout) into @to, whose description is that of
 * sc_copy_get_info(). A column or row that was added to make a size even repeats its neighbour.
 * The fourth byte of each pixel is undefined. Fails, having written nothing, if the scanout cannot
 * be read or its format has no name in pixman.
 *
 * Channels of 10 bits lose their lowest two.
 */
gboolean sc_copy_region(ScScanout *scanout, const pixman_region32_t *region, ScPicture *to,
                        GError **error);

/*
 * A copy of 1/@divisor the size in either direction, rounded up: XRGB8888, with pixels of its own,
 * each a mixture of the four in the middle of those it stands for. Fails like sc_copy_region(), and
 * if rows or pixels of @scanout do not begin at multiples of 4 bytes.
 */
ScScanout *sc_copy_reduced(ScScanout *scanout, guint divisor, GError **error);

G_END_DECLS
