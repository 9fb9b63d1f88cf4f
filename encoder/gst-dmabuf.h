/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dmabufs as GStreamer's plugin va takes them. GStreamer 1.24 changed how they are described (by
 * DRM's name and the modifier); which of the two is needed is found out when the program runs.
 *
 * Thread: any.
 */
#pragma once

#include "encoder/target.h"
#include <gst/gst.h>

G_BEGIN_DECLS

/* For dmabufs like @target; @max_fps 0: no constant rate. SC_ERROR_UNSUPPORTED if this GStreamer
 * has no words for it. */
GstCaps *sc_gst_dmabuf_get_caps(const ScTarget *target, guint max_fps, GError **error);

/* For whatever dmabufs there may be. */
GstCaps *sc_gst_dmabuf_get_template_caps(void);

/* A buffer of such caps. @released is called, in whatever thread, when nobody uses the memory any
 * more, what drivers made of it included. @dmabuf must live until then.
 * Unless it is @mappable, nothing can copy it: where the va plugin would do so in silence, when a
 * driver refused the import (GStreamer before 1.24), it gets an error instead. */
GstBuffer *sc_gst_dmabuf_wrap(ScDmabuf *dmabuf, gboolean mappable, GDestroyNotify released,
                              gpointer data);

G_END_DECLS
