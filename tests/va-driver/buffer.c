/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/buffer.h"

#include <string.h>

/* More than any picture or access unit needs; keeps products in range. */
#define MAX_SIZE (512u * 1024 * 1024)

static void buffer_free(gpointer object)
{
    ScVaBuffer *buffer = object;
    if (buffer->surface)
        sc_va_object_unref(buffer->surface);
    else
        g_free(buffer->data);
    sc_va_fence_unref(buffer->fence);
}

ScVaBuffer *sc_va_buffer_new(VABufferType type, guint element_size, guint n_elements,
                             const void *data, ScVaSurface *surface)
{
    gsize size = (gsize)element_size * n_elements;
    if (size == 0 || size > MAX_SIZE)
        return NULL;
    ScVaBuffer *buffer = sc_va_object_new(sizeof(*buffer), SC_VA_BUFFER, buffer_free);
    buffer->type = type;
    buffer->element_size = element_size;
    buffer->n_elements = n_elements;
    if (surface) {
        buffer->surface = sc_va_object_ref(surface);
        buffer->data = surface->memories[0].data;
        return buffer;
    }
    buffer->data = g_malloc0(size);
    if (data)
        memcpy(buffer->data, data, size);
    buffer->segment.buf = buffer->data;
    return buffer;
}

static ScVaBuffer *get(VADriverContextP context, VABufferID id)
{
    return sc_va_objects_get(sc_va_driver(context)->objects, id, SC_VA_BUFFER);
}

VAStatus sc_va_x_create_buffer(VADriverContextP context, VAContextID owner, VABufferType type,
                               unsigned int size, unsigned int num_elements, void *data,
                               VABufferID *id)
{
    ScVaDriver *driver = sc_va_driver(context);
    if (sc_va_driver_is_lost(driver))
        return VA_STATUS_ERROR_OPERATION_FAILED;
    ScVaBuffer *buffer = sc_va_buffer_new(type, size, num_elements, data, NULL);
    if (!buffer)
        return VA_STATUS_ERROR_INVALID_PARAMETER;
    *id = sc_va_objects_add(driver->objects, buffer);
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_buffer_set_num_elements(VADriverContextP context, VABufferID id,
                                         unsigned int num_elements)
{
    g_autoptr(ScVaBuffer) buffer = get(context, id);
    if (!buffer)
        return VA_STATUS_ERROR_INVALID_BUFFER;
    return num_elements == buffer->n_elements ? VA_STATUS_SUCCESS : VA_STATUS_ERROR_UNIMPLEMENTED;
}

VAStatus sc_va_x_map_buffer(VADriverContextP context, VABufferID id, void **data)
{
    ScVaDriver *driver = sc_va_driver(context);
    g_autoptr(ScVaBuffer) buffer = get(context, id);
    if (!buffer)
        return VA_STATUS_ERROR_INVALID_BUFFER;
    if (buffer->type == VAEncCodedBufferType) {
        *data = &buffer->segment;
        return sc_va_engine_wait(driver->engine, &buffer->fence, VA_TIMEOUT_INFINITE);
    }
    if (buffer->surface)
        sc_va_surface_begin(buffer->surface, buffer->surface->memories[0].is_writable);
    *data = buffer->data;
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_unmap_buffer(VADriverContextP context, VABufferID id)
{
    g_autoptr(ScVaBuffer) buffer = get(context, id);
    if (!buffer)
        return VA_STATUS_ERROR_INVALID_BUFFER;
    if (buffer->surface)
        sc_va_surface_end(buffer->surface, buffer->surface->memories[0].is_writable);
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_destroy_buffer(VADriverContextP context, VABufferID id)
{
    ScVaObjects *objects = sc_va_driver(context)->objects;
    g_autoptr(ScVaBuffer) buffer = sc_va_objects_remove(objects, id, SC_VA_BUFFER);
    return buffer ? VA_STATUS_SUCCESS : VA_STATUS_ERROR_INVALID_BUFFER;
}

VAStatus sc_va_x_sync_buffer(VADriverContextP context, VABufferID id, uint64_t timeout_ns)
{
    g_autoptr(ScVaBuffer) buffer = get(context, id);
    if (!buffer)
        return VA_STATUS_ERROR_INVALID_BUFFER;
    return sc_va_engine_wait(sc_va_driver(context)->engine, &buffer->fence, timeout_ns);
}

VAStatus sc_va_x_buffer_info(VADriverContextP context, VABufferID id, VABufferType *type,
                             unsigned int *size, unsigned int *num_elements)
{
    g_autoptr(ScVaBuffer) buffer = get(context, id);
    if (!buffer)
        return VA_STATUS_ERROR_INVALID_BUFFER;
    *type = buffer->type;
    *size = buffer->element_size;
    *num_elements = buffer->n_elements;
    return VA_STATUS_SUCCESS;
}
