/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/surface.h"

#include "tests/va-driver/error.h"
#include "tests/va-driver/import.h"
#include <drm_fourcc.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <va/va_drmcommon.h>

static void surface_free(gpointer object)
{
    ScVaSurface *surface = object;
    guint64 inode = surface->memories[0].inode;
    for (guint i = 0; i < surface->n_memories; i++)
        sc_va_memory_clear(&surface->memories[i], surface->driver->handles);
    if (surface->is_imported)
        sc_va_trace(surface->driver->trace, "release surface=%u inode=%" G_GUINT64_FORMAT,
                    surface->object.id, inode);
    sc_va_fence_unref(surface->fence);
}

ScVaSurface *sc_va_surface_new(ScVaDriver *driver, const ScVaFormat *format, guint width,
                               guint height)
{
    ScVaSurface *surface = sc_va_object_new(sizeof(*surface), SC_VA_SURFACE, surface_free);
    surface->driver = driver;
    surface->format = format;
    surface->width = width;
    surface->height = height;
    return surface;
}

guint8 *sc_va_surface_get_plane(const ScVaSurface *surface, guint plane)
{
    return surface->memories[surface->planes[plane].memory].data + surface->planes[plane].offset;
}

void sc_va_surface_begin(const ScVaSurface *surface, gboolean write)
{
    for (guint i = 0; i < surface->n_memories; i++)
        sc_va_memory_begin(&surface->memories[i], write);
}

void sc_va_surface_end(const ScVaSurface *surface, gboolean write)
{
    for (guint i = 0; i < surface->n_memories; i++)
        sc_va_memory_end(&surface->memories[i], write);
}

/* What vaCreateSurfaces was asked for. */
typedef struct {
    const ScVaFormat *format;
    guint32 va_fourcc;
    guint width, height;
    guint32 memory_type;
    const void *descriptor;
    const VADRMFormatModifierList *modifiers;
} Request;

static void read_attributes(Request *request, const VASurfaceAttrib *attributes, guint n)
{
    for (guint i = 0; i < n; i++) {
        const VAGenericValue *value = &attributes[i].value;
        switch (attributes[i].type) {
        case VASurfaceAttribPixelFormat:
            request->va_fourcc = value->value.i;
            request->format = sc_va_format_from_va(request->va_fourcc);
            break;
        case VASurfaceAttribMemoryType:
            request->memory_type = value->value.i;
            break;
        case VASurfaceAttribExternalBufferDescriptor:
            request->descriptor = value->value.p;
            break;
        case VASurfaceAttribDRMFormatModifiers:
            request->modifiers = value->value.p;
            break;
        default:
            break;
        }
    }
}

/* The modifier of a new surface: the driver's favourite among those the application allows. */
static gboolean choose_modifier(const ScVaSwitches *switches, const Request *request,
                                guint64 *modifier)
{
    *modifier = g_array_index(switches->modifiers, guint64, 0);
    if (*modifier == DRM_FORMAT_MOD_INVALID)
        *modifier = DRM_FORMAT_MOD_LINEAR;
    if (!request->modifiers)
        return TRUE;
    for (guint i = 0; i < request->modifiers->num_modifiers; i++) {
        *modifier = request->modifiers->modifiers[i];
        if (sc_va_switches_accept_modifier(switches, *modifier))
            return TRUE;
    }
    return FALSE;
}

static ScVaSurface *allocate(ScVaDriver *driver, const Request *request, GError **error)
{
    if (request->width < 1 || request->width > driver->switches->max_width || request->height < 1 ||
        request->height > driver->switches->max_height)
        return sc_va_error_null(error, VA_STATUS_ERROR_RESOLUTION_NOT_SUPPORTED, "size %ux%u",
                                request->width, request->height);
    g_autoptr(ScVaSurface) surface =
        sc_va_surface_new(driver, request->format, request->width, request->height);
    if (!choose_modifier(driver->switches, request, &surface->modifier))
        return sc_va_error_null(error, VA_STATUS_ERROR_ATTR_NOT_SUPPORTED, "modifiers");
    ScVaPlanes planes;
    sc_va_format_lay_out(request->format, request->width, request->height, &planes);
    if (!sc_va_memory_allocate(&surface->memories[0], planes.size, error))
        return NULL;
    surface->n_memories = 1;
    for (guint i = 0; i < planes.n_planes; i++) {
        surface->planes[i].pitch = planes.pitch[i];
        surface->planes[i].offset = planes.offset[i];
    }
    return g_steal_pointer(&surface);
}

static ScVaSurface *create(ScVaDriver *driver, const Request *request, GError **error)
{
    switch (request->memory_type) {
    case VA_SURFACE_ATTRIB_MEM_TYPE_VA:
        if (!request->format)
            return sc_va_error_null(error, VA_STATUS_ERROR_UNSUPPORTED_RT_FORMAT, "format");
        return allocate(driver, request, error);
    case VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME:
    case VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2:
        if (!request->descriptor)
            return sc_va_error_null(error, VA_STATUS_ERROR_INVALID_PARAMETER, "descriptor");
        return sc_va_import(driver, request->memory_type, request->descriptor, request->va_fourcc,
                            request->width, request->height, error);
    default:
        return sc_va_error_null(error, VA_STATUS_ERROR_UNSUPPORTED_MEMORY_TYPE, "memory type");
    }
}

VAStatus sc_va_x_create_surfaces2(VADriverContextP context, unsigned int format, unsigned int width,
                                  unsigned int height, VASurfaceID *surfaces,
                                  unsigned int num_surfaces, VASurfaceAttrib *attributes,
                                  unsigned int num_attributes)
{
    ScVaDriver *driver = sc_va_driver(context);
    if (sc_va_driver_is_lost(driver))
        return VA_STATUS_ERROR_OPERATION_FAILED;

    Request request = {
        .format = sc_va_format_from_rt(format),
        .width = width,
        .height = height,
        .memory_type = VA_SURFACE_ATTRIB_MEM_TYPE_VA,
    };
    if (request.format)
        request.va_fourcc = request.format->va_fourcc;
    read_attributes(&request, attributes, num_attributes);
    if (request.memory_type != VA_SURFACE_ATTRIB_MEM_TYPE_VA && num_surfaces != 1)
        return VA_STATUS_ERROR_INVALID_PARAMETER;

    for (unsigned int i = 0; i < num_surfaces; i++) {
        g_autoptr(GError) error = NULL;
        ScVaSurface *surface = create(driver, &request, &error);
        if (!surface) {
            sc_va_x_destroy_surfaces(context, surfaces, i);
            return error->code;
        }
        surfaces[i] = sc_va_objects_add(driver->objects, surface);
    }
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_create_surfaces(VADriverContextP context, int width, int height, int format,
                                 int num_surfaces, VASurfaceID *surfaces)
{
    if (width < 0 || height < 0 || num_surfaces < 0)
        return VA_STATUS_ERROR_INVALID_PARAMETER;
    return sc_va_x_create_surfaces2(context, format, width, height, surfaces, num_surfaces, NULL,
                                    0);
}

VAStatus sc_va_x_destroy_surfaces(VADriverContextP context, VASurfaceID *surfaces, int num_surfaces)
{
    ScVaDriver *driver = sc_va_driver(context);
    for (int i = 0; i < num_surfaces; i++) {
        g_autoptr(ScVaSurface) surface =
            sc_va_objects_remove(driver->objects, surfaces[i], SC_VA_SURFACE);
        if (!surface)
            return VA_STATUS_ERROR_INVALID_SURFACE;
        if (surface->is_imported && driver->switches->hold_ms > 0)
            sc_va_engine_hold(driver->engine, &surface->fence, driver->switches->hold_ms);
    }
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_sync_surface2(VADriverContextP context, VASurfaceID id, uint64_t timeout_ns)
{
    ScVaDriver *driver = sc_va_driver(context);
    g_autoptr(ScVaSurface) surface = sc_va_objects_get(driver->objects, id, SC_VA_SURFACE);
    if (!surface)
        return VA_STATUS_ERROR_INVALID_SURFACE;
    VAStatus status = sc_va_engine_wait(driver->engine, &surface->fence, timeout_ns);
    sc_va_trace(driver->trace, "synced surface=%u status=%d", id, status);
    return status;
}

VAStatus sc_va_x_sync_surface(VADriverContextP context, VASurfaceID id)
{
    return sc_va_x_sync_surface2(context, id, VA_TIMEOUT_INFINITE);
}

VAStatus sc_va_x_query_surface_status(VADriverContextP context, VASurfaceID id,
                                      VASurfaceStatus *status)
{
    ScVaDriver *driver = sc_va_driver(context);
    g_autoptr(ScVaSurface) surface = sc_va_objects_get(driver->objects, id, SC_VA_SURFACE);
    if (!surface)
        return VA_STATUS_ERROR_INVALID_SURFACE;
    gboolean done = sc_va_engine_is_done(driver->engine, &surface->fence);
    *status = done ? VASurfaceReady : VASurfaceRendering;
    return VA_STATUS_SUCCESS;
}

static void describe_layers(const ScVaSurface *surface, gboolean composed,
                            VADRMPRIMESurfaceDescriptor *to)
{
    for (guint i = 0; i < surface->format->n_planes; i++) {
        guint layer = composed ? 0 : i, plane = composed ? i : 0;
        to->num_layers = layer + 1;
        to->layers[layer].num_planes = plane + 1;
        to->layers[layer].drm_format =
            composed ? surface->format->drm_fourcc : surface->format->layers[i];
        to->layers[layer].object_index[plane] = surface->planes[i].memory;
        to->layers[layer].pitch[plane] = surface->planes[i].pitch;
        to->layers[layer].offset[plane] = surface->planes[i].offset;
    }
}

VAStatus sc_va_x_export_surface_handle(VADriverContextP context, VASurfaceID id,
                                       uint32_t memory_type, uint32_t flags, void *descriptor)
{
    ScVaDriver *driver = sc_va_driver(context);
    VADRMPRIMESurfaceDescriptor *to = descriptor;
    g_autoptr(ScVaSurface) surface = sc_va_objects_get(driver->objects, id, SC_VA_SURFACE);
    if (!surface)
        return VA_STATUS_ERROR_INVALID_SURFACE;
    if (memory_type != VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2)
        return VA_STATUS_ERROR_UNSUPPORTED_MEMORY_TYPE;

    *to = (VADRMPRIMESurfaceDescriptor){
        .fourcc = surface->format->va_fourcc,
        .width = surface->width,
        .height = surface->height,
    };
    for (guint i = 0; i < surface->n_memories; i++) {
        int fd = fcntl(surface->memories[i].fd, F_DUPFD_CLOEXEC, 0);
        if (fd < 0) {
            while (to->num_objects > 0)
                close(to->objects[--to->num_objects].fd);
            return VA_STATUS_ERROR_ALLOCATION_FAILED;
        }
        to->objects[i].fd = fd;
        to->objects[i].size = surface->memories[i].size;
        to->objects[i].drm_format_modifier = surface->modifier;
        to->num_objects++;
    }
    describe_layers(surface, (flags & VA_EXPORT_SURFACE_COMPOSED_LAYERS) != 0, to);
    return VA_STATUS_SUCCESS;
}
