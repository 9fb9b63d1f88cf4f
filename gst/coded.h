/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Coded video as SPICE clients take it, in GStreamer's words.
 *
 * Thread: pure functions.
 */
#pragma once

#include "encoder/packet.h"
#include <gst/gst.h>

G_BEGIN_DECLS

/* The caller's. */
GstCaps *sc_coded_get_caps(void);

/* What one of these caps is; FALSE if it does not tell the size. */
gboolean sc_coded_parse(const GstStructure *structure, ScCodec *codec, guint *width, guint *height);

G_END_DECLS
