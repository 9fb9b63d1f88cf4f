/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Surfaces made of foreign dmabufs. Descriptors come from applications that pass on what a guest
 * or another program said: nothing in them is believed.
 *
 * Thread: any.
 */
#pragma once

#include "tests/va-driver/surface.h"

G_BEGIN_DECLS

/*
 * @memory_type: VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME with a VASurfaceAttribExternalBuffers, or
 * …_DRM_PRIME_2 with a VADRMPRIMESurfaceDescriptor. NULL and an error if it is refused; either way
 * the trace tells.
 */
ScVaSurface *sc_va_import(ScVaDriver *driver, guint32 memory_type, const void *descriptor,
                          guint32 va_fourcc, guint width, guint height, GError **error);

G_END_DECLS
