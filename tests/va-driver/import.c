/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/import.h"

#include "tests/va-driver/error.h"
#include <drm_fourcc.h>
#include <sys/stat.h>
#include <va/va_drmcommon.h>

#define MAX_PLANES 4 /* of both descriptors */

/* What both kinds of descriptor say, unchecked. */
typedef struct {
    guint32 memory_type;
    guint32 va_fourcc;
    guint width, height;
    guint64 modifier;
    guint n_objects;
    struct {
        int fd;
        guint64 size; /* 0: not told */
    } objects[SC_VA_MAX_OBJECTS];
    guint n_planes;
    struct {
        guint32 object, pitch, offset;
    } planes[MAX_PLANES];
} Layout;

static guint64 inode_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static gboolean read_prime(const VASurfaceAttribExternalBuffers *from, Layout *layout,
                           GError **error)
{
    if (!from->buffers || from->num_buffers < 1 || from->num_buffers > MAX_PLANES ||
        from->num_planes > MAX_PLANES)
        return sc_va_error_false(error, VA_STATUS_ERROR_INVALID_PARAMETER,
                                 "%u buffers with %u planes", from->num_buffers, from->num_planes);
    /* GStreamer 1.22 gives one for each plane; this kind of import can have but one memory. */
    for (guint i = 1; i < from->num_buffers; i++) {
        if (inode_of((int)from->buffers[i]) != inode_of((int)from->buffers[0]))
            return sc_va_error_false(error, VA_STATUS_ERROR_INVALID_PARAMETER,
                                     "planes in different buffers");
    }
    layout->modifier = DRM_FORMAT_MOD_INVALID;
    layout->n_objects = 1;
    layout->objects[0].fd = (int)from->buffers[0];
    layout->objects[0].size = from->data_size;
    layout->n_planes = from->num_planes;
    for (guint i = 0; i < from->num_planes; i++) {
        layout->planes[i].pitch = from->pitches[i];
        layout->planes[i].offset = from->offsets[i];
    }
    return TRUE;
}

static gboolean read_prime2(const VADRMPRIMESurfaceDescriptor *from, Layout *layout, GError **error)
{
    if (from->num_objects < 1 || from->num_objects > SC_VA_MAX_OBJECTS || from->num_layers < 1 ||
        from->num_layers > G_N_ELEMENTS(from->layers))
        return sc_va_error_false(error, VA_STATUS_ERROR_INVALID_PARAMETER,
                                 "%u objects with %u layers", from->num_objects, from->num_layers);
    layout->modifier = from->objects[0].drm_format_modifier;
    layout->n_objects = from->num_objects;
    for (guint i = 0; i < from->num_objects; i++) {
        layout->objects[i].fd = from->objects[i].fd;
        layout->objects[i].size = from->objects[i].size;
        if (from->objects[i].drm_format_modifier != layout->modifier)
            return sc_va_error_false(error, VA_STATUS_ERROR_INVALID_PARAMETER,
                                     "objects with different modifiers");
    }
    for (guint i = 0; i < from->num_layers; i++) {
        for (guint k = 0; k < from->layers[i].num_planes; k++) {
            if (k >= MAX_PLANES || layout->n_planes >= MAX_PLANES)
                return sc_va_error_false(error, VA_STATUS_ERROR_INVALID_PARAMETER,
                                         "more than %d planes", MAX_PLANES);
            layout->planes[layout->n_planes].object = from->layers[i].object_index[k];
            layout->planes[layout->n_planes].pitch = from->layers[i].pitch[k];
            layout->planes[layout->n_planes++].offset = from->layers[i].offset[k];
        }
    }
    return TRUE;
}

static gboolean read_descriptor(const void *descriptor, Layout *layout, GError **error)
{
    if (layout->memory_type == VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME)
        return read_prime(descriptor, layout, error);
    return read_prime2(descriptor, layout, error);
}

/* The switches that pretend to be a pickier driver. */
static gboolean check_switches(const ScVaSwitches *switches, const ScVaFormat *format,
                               const Layout *layout, guint number, GError **error)
{
    if (!(layout->memory_type & switches->memory_types))
        return sc_va_error_false(error, VA_STATUS_ERROR_UNSUPPORTED_MEMORY_TYPE, "memory type");
    if (!format || !sc_va_switches_accept_format(switches, format->name))
        return sc_va_error_false(error, VA_STATUS_ERROR_UNSUPPORTED_RT_FORMAT, "format");
    if (!sc_va_switches_accept_modifier(switches, layout->modifier))
        return sc_va_error_false(error, VA_STATUS_ERROR_INVALID_PARAMETER,
                                 "modifier 0x%" G_GINT64_MODIFIER "x", layout->modifier);
    if (layout->width < 1 || layout->width > switches->max_width || layout->height < 1 ||
        layout->height > switches->max_height)
        return sc_va_error_false(error, VA_STATUS_ERROR_RESOLUTION_NOT_SUPPORTED, "size %ux%u",
                                 layout->width, layout->height);
    if (sc_va_range_contains(&switches->refused_imports, number))
        return sc_va_error_false(error, VA_STATUS_ERROR_ALLOCATION_FAILED, "import %u", number);
    return TRUE;
}

/* A plane inside the memory it is said to be in. */
static gboolean check_plane(const ScVaSwitches *switches, const ScVaSurface *surface, guint plane,
                            GError **error)
{
    guint64 pitch = surface->planes[plane].pitch, offset = surface->planes[plane].offset;
    guint64 size = surface->memories[surface->planes[plane].memory].size;
    guint row_bytes = sc_va_format_row_bytes(surface->format, plane, surface->width);
    guint64 rows = sc_va_format_rows(surface->format, plane, surface->height);
    guint64 padded_rows = (rows + switches->height_alignment - 1) / switches->height_alignment *
                          switches->height_alignment;

    if (pitch < row_bytes)
        return sc_va_error_false(error, VA_STATUS_ERROR_INVALID_PARAMETER,
                                 "pitch %" G_GUINT64_FORMAT " is less than a row", pitch);
    if (pitch % switches->pitch_alignment != 0)
        return sc_va_error_false(error, VA_STATUS_ERROR_INVALID_PARAMETER,
                                 "pitch %" G_GUINT64_FORMAT " is not a multiple of %u", pitch,
                                 switches->pitch_alignment);
    /* All are 32 bit numbers: nothing overflows. */
    if (offset + pitch * (rows - 1) + row_bytes > size)
        return sc_va_error_false(error, VA_STATUS_ERROR_INVALID_PARAMETER,
                                 "plane %u ends behind %" G_GUINT64_FORMAT " bytes", plane, size);
    if (switches->height_alignment > 1 && offset + pitch * padded_rows > size)
        return sc_va_error_false(error, VA_STATUS_ERROR_INVALID_PARAMETER,
                                 "plane %u has no room for %" G_GUINT64_FORMAT " rows", plane,
                                 padded_rows);
    return TRUE;
}

static gboolean import_objects(ScVaSurface *surface, const Layout *layout, GError **error)
{
    for (guint i = 0; i < layout->n_objects; i++) {
        ScVaMemory *memory = &surface->memories[i];
        if (!sc_va_memory_import(memory, surface->driver->handles, layout->objects[i].fd, error))
            return FALSE;
        surface->n_memories++;
        if (layout->objects[i].size > memory->size)
            return sc_va_error_false(error, VA_STATUS_ERROR_INVALID_PARAMETER,
                                     "said to have %" G_GUINT64_FORMAT " bytes, has %zu",
                                     layout->objects[i].size, memory->size);
    }
    return TRUE;
}

static ScVaSurface *import(ScVaDriver *driver, const Layout *layout, guint number, GError **error)
{
    const ScVaFormat *format = sc_va_format_from_va(layout->va_fourcc);
    if (!check_switches(driver->switches, format, layout, number, error))
        return NULL;
    if (layout->n_planes != format->n_planes)
        return sc_va_error_null(error, VA_STATUS_ERROR_INVALID_PARAMETER, "%u planes",
                                layout->n_planes);

    g_autoptr(ScVaSurface) surface =
        sc_va_surface_new(driver, format, layout->width, layout->height);
    surface->modifier = layout->modifier;
    if (!import_objects(surface, layout, error))
        return NULL;
    for (guint i = 0; i < layout->n_planes; i++) {
        if (layout->planes[i].object >= layout->n_objects)
            return sc_va_error_null(error, VA_STATUS_ERROR_INVALID_PARAMETER,
                                    "plane %u lies in object %u", i, layout->planes[i].object);
        surface->planes[i].memory = layout->planes[i].object;
        surface->planes[i].pitch = layout->planes[i].pitch;
        surface->planes[i].offset = layout->planes[i].offset;
        if (!check_plane(driver->switches, surface, i, error))
            return NULL;
    }
    surface->is_imported = TRUE;
    return g_steal_pointer(&surface);
}

static void trace_import(ScVaDriver *driver, const Layout *layout, guint number,
                         const GError *error)
{
    const ScVaFormat *format = sc_va_format_from_va(layout->va_fourcc);
    g_autoptr(GString) pitches = g_string_new(NULL), offsets = g_string_new(NULL);
    for (guint i = 0; i < layout->n_planes; i++) {
        g_string_append_printf(pitches, "%s%u", i ? "," : "", layout->planes[i].pitch);
        g_string_append_printf(offsets, "%s%u", i ? "," : "", layout->planes[i].offset);
    }
    sc_va_trace(driver->trace,
                "import number=%u inode=%" G_GUINT64_FORMAT
                " fourcc=%s modifier=0x%" G_GINT64_MODIFIER "x width=%u height=%u pitch=%s"
                " offset=%s size=%" G_GUINT64_FORMAT " type=%s result=%s%s%s",
                number, layout->n_objects ? inode_of(layout->objects[0].fd) : 0,
                format ? format->name : "unknown", layout->modifier, layout->width, layout->height,
                pitches->str, offsets->str, layout->objects[0].size,
                layout->memory_type == VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME ? "prime" : "prime2",
                error ? "refused" : "ok", error ? " reason=" : "", error ? error->message : "");
}

ScVaSurface *sc_va_import(ScVaDriver *driver, guint32 memory_type, const void *descriptor,
                          guint32 va_fourcc, guint width, guint height, GError **error)
{
    guint number = sc_va_device_count_import();
    Layout layout = {
        .memory_type = memory_type,
        .va_fourcc = va_fourcc,
        .width = width,
        .height = height,
    };
    g_autoptr(GError) problem = NULL;
    g_autoptr(ScVaSurface) surface = NULL;
    if (read_descriptor(descriptor, &layout, &problem))
        surface = import(driver, &layout, number, &problem);
    trace_import(driver, &layout, number, problem);
    if (problem)
        g_propagate_error(error, g_steal_pointer(&problem));
    return g_steal_pointer(&surface);
}
