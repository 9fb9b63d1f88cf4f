/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pixel formats. Everywhere in Scancast a pixel format is a DRM fourcc (<drm_fourcc.h>, which
 * names the channels from the most significant bit of a little-endian word).
 *
 * Thread: pure functions, callable from anywhere.
 */
#pragma once

#include <glib.h>
#include <pixman.h>

G_BEGIN_DECLS

/* The largest width or height anything accepts: H.264 level 6.2 and all known VA encoders end at
 * or below it, pixman above (its limit is 32767). */
#define SC_MAX_DIMENSION 16384

/* Bytes of one pixel, or 0 if we cannot read this format with the CPU. */
guint sc_format_bytes_per_pixel(guint32 fourcc);

/* pixman's name for @fourcc, alpha ignored (a scanout is opaque). FALSE if there is none. */
gboolean sc_format_to_pixman(guint32 fourcc, pixman_format_code_t *format);

/* The other way round, 0 if there is none. @format: a pixman_format_code_t, or any number. */
guint32 sc_format_from_pixman(guint32 format);

/* "XR24" and the like for messages; the caller frees it. */
char *sc_format_name(guint32 fourcc);

/*
 * Checks that @height rows of @width pixels lie inside @size bytes, the first at @offset, each
 * @stride after the one before; nothing may overflow. The error names the offending number.
 * A format we cannot read with the CPU is checked with one byte per pixel.
 */
gboolean sc_format_check_layout(guint32 fourcc, guint32 width, guint32 height, guint32 stride,
                                guint64 offset, guint64 size, GError **error);

G_END_DECLS
