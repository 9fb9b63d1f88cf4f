/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Buffers: parameters, coded data, the pixels of images.
 */
#pragma once

#include "tests/va-driver/surface.h"

G_BEGIN_DECLS

typedef struct {
    ScVaObject object;
    VABufferType type;
    guint element_size, n_elements;
    guint8 *data;
    VACodedBufferSegment segment; /* VAEncCodedBufferType: what mapping shows */
    ScVaSurface *surface;         /* an image derived from it: whose pixels these are; or NULL */
    ScVaFence *fence;             /* slot of the job that writes coded data */
} ScVaBuffer;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScVaBuffer, sc_va_object_unref)

/* @surface: the buffer shows its first memory and keeps a reference. Else @data is copied, zeros if
 * it is NULL. NULL if the size is 0 or too large. */
ScVaBuffer *sc_va_buffer_new(VABufferType type, guint element_size, guint n_elements,
                             const void *data, ScVaSurface *surface);

VAStatus sc_va_x_create_buffer(VADriverContextP context, VAContextID owner, VABufferType type,
                               unsigned int size, unsigned int num_elements, void *data,
                               VABufferID *id);
VAStatus sc_va_x_buffer_set_num_elements(VADriverContextP context, VABufferID id,
                                         unsigned int num_elements);
VAStatus sc_va_x_map_buffer(VADriverContextP context, VABufferID id, void **data);
VAStatus sc_va_x_unmap_buffer(VADriverContextP context, VABufferID id);
VAStatus sc_va_x_destroy_buffer(VADriverContextP context, VABufferID id);
VAStatus sc_va_x_sync_buffer(VADriverContextP context, VABufferID id, uint64_t timeout_ns);
VAStatus sc_va_x_buffer_info(VADriverContextP context, VABufferID id, VABufferType *type,
                             unsigned int *size, unsigned int *num_elements);

G_END_DECLS
