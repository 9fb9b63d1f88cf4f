/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The description of a monitor that prefers a size: EDID 1.4 (VESA E-EDID, release A2), with a
 * DisplayID extension (VESA DisplayID 1.3) for sizes that it has no room for.
 *
 * Thread: any.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define SC_EDID_MAX_SIZE 256

/* What a monitor may prefer. */
#define SC_EDID_MIN_DIMENSION 64
#define SC_EDID_MAX_DIMENSION 16384

/* Sizes outside the bounds are moved inside. Returns how many bytes are in @edid: 128 or 256. */
gsize sc_edid_make(guint width, guint height, guint8 edid[SC_EDID_MAX_SIZE]);

G_END_DECLS
