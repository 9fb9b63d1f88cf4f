/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/image.h"

#include "tests/va-driver/buffer.h"
#include <string.h>

typedef struct {
    ScVaObject object;
    const ScVaFormat *format;
    guint width, height;
    ScVaPlanes planes;
    ScVaBuffer *buffer;
} Image;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Image, sc_va_object_unref)

static void image_free(gpointer object)
{
    sc_va_object_unref(((Image *)object)->buffer);
}

guint sc_va_image_count_formats(void)
{
    guint n = 0;
    while (sc_va_format_nth(n))
        n++;
    return n;
}

VAStatus sc_va_x_query_image_formats(VADriverContextP context, VAImageFormat *formats,
                                     int *num_formats)
{
    *num_formats = sc_va_image_count_formats();
    for (int i = 0; i < *num_formats; i++)
        sc_va_format_to_image_format(sc_va_format_nth(i), &formats[i]);
    return VA_STATUS_SUCCESS;
}

/* Takes the caller's reference to @buffer. */
static void add_image(ScVaDriver *driver, const Image *from, ScVaBuffer *buffer, VAImage *to)
{
    Image *image = sc_va_object_new(sizeof(*image), SC_VA_IMAGE, image_free);
    image->format = from->format;
    image->width = from->width;
    image->height = from->height;
    image->planes = from->planes;
    image->buffer = sc_va_object_ref(buffer);

    *to = (VAImage){ .width = from->width, .height = from->height };
    sc_va_format_to_image_format(from->format, &to->format);
    to->buf = sc_va_objects_add(driver->objects, buffer);
    to->image_id = sc_va_objects_add(driver->objects, image);
    to->data_size = from->planes.size;
    to->num_planes = from->planes.n_planes;
    for (guint i = 0; i < from->planes.n_planes; i++) {
        to->pitches[i] = from->planes.pitch[i];
        to->offsets[i] = from->planes.offset[i];
    }
}

VAStatus sc_va_x_create_image(VADriverContextP context, VAImageFormat *format, int width,
                              int height, VAImage *to)
{
    ScVaDriver *driver = sc_va_driver(context);
    Image image = { .format = sc_va_format_from_va(format->fourcc) };
    if (!image.format)
        return VA_STATUS_ERROR_INVALID_IMAGE_FORMAT;
    if (width < 1 || width > (int)driver->switches->max_width || height < 1 ||
        height > (int)driver->switches->max_height)
        return VA_STATUS_ERROR_INVALID_PARAMETER;
    image.width = width;
    image.height = height;
    sc_va_format_lay_out(image.format, width, height, &image.planes);
    ScVaBuffer *buffer = sc_va_buffer_new(VAImageBufferType, image.planes.size, 1, NULL, NULL);
    if (!buffer)
        return VA_STATUS_ERROR_ALLOCATION_FAILED;
    add_image(driver, &image, buffer, to);
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_derive_image(VADriverContextP context, VASurfaceID id, VAImage *to)
{
    ScVaDriver *driver = sc_va_driver(context);
    g_autoptr(ScVaSurface) surface = sc_va_objects_get(driver->objects, id, SC_VA_SURFACE);
    if (!surface)
        return VA_STATUS_ERROR_INVALID_SURFACE;
    if (surface->n_memories != 1)
        return VA_STATUS_ERROR_OPERATION_FAILED;
    Image image = {
        .format = surface->format,
        .width = surface->width,
        .height = surface->height,
        .planes = { .n_planes = surface->format->n_planes, .size = surface->memories[0].size },
    };
    for (guint i = 0; i < image.planes.n_planes; i++) {
        image.planes.pitch[i] = surface->planes[i].pitch;
        image.planes.offset[i] = surface->planes[i].offset;
    }
    ScVaBuffer *buffer = sc_va_buffer_new(VAImageBufferType, image.planes.size, 1, NULL, surface);
    if (!buffer)
        return VA_STATUS_ERROR_ALLOCATION_FAILED;
    add_image(driver, &image, buffer, to);
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_destroy_image(VADriverContextP context, VAImageID id)
{
    ScVaDriver *driver = sc_va_driver(context);
    g_autoptr(Image) image = sc_va_objects_remove(driver->objects, id, SC_VA_IMAGE);
    if (!image)
        return VA_STATUS_ERROR_INVALID_IMAGE;
    sc_va_x_destroy_buffer(context, image->buffer->object.id);
    return VA_STATUS_SUCCESS;
}

/* Whole pictures only, top left corner to top left corner: no application we know asks for more. */
static VAStatus copy(VADriverContextP context, VASurfaceID surface_id, VAImageID image_id,
                     guint width, guint height, gboolean put)
{
    ScVaDriver *driver = sc_va_driver(context);
    g_autoptr(ScVaSurface) surface = sc_va_objects_get(driver->objects, surface_id, SC_VA_SURFACE);
    g_autoptr(Image) image = sc_va_objects_get(driver->objects, image_id, SC_VA_IMAGE);
    if (!surface)
        return VA_STATUS_ERROR_INVALID_SURFACE;
    if (!image)
        return VA_STATUS_ERROR_INVALID_IMAGE;
    if (surface->format != image->format)
        return VA_STATUS_ERROR_UNIMPLEMENTED;
    if (width > MIN(surface->width, image->width) || height > MIN(surface->height, image->height))
        return VA_STATUS_ERROR_INVALID_PARAMETER;
    if (put && !surface->memories[0].is_writable)
        return VA_STATUS_ERROR_OPERATION_FAILED;
    VAStatus status = sc_va_engine_wait(driver->engine, &surface->fence, VA_TIMEOUT_INFINITE);
    if (status != VA_STATUS_SUCCESS)
        return status;

    sc_va_surface_begin(surface, put);
    for (guint i = 0; i < image->planes.n_planes; i++) {
        guint rows = sc_va_format_rows(image->format, i, height);
        guint bytes = sc_va_format_row_bytes(image->format, i, width);
        guint8 *in_surface = sc_va_surface_get_plane(surface, i);
        guint8 *in_image = image->buffer->data + image->planes.offset[i];
        for (guint y = 0; y < rows; y++) {
            memcpy(put ? in_surface : in_image, put ? in_image : in_surface, bytes);
            in_surface += surface->planes[i].pitch;
            in_image += image->planes.pitch[i];
        }
    }
    sc_va_surface_end(surface, put);
    sc_va_trace(driver->trace, "%s surface=%u width=%u height=%u", put ? "put-image" : "get-image",
                surface_id, width, height);
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_get_image(VADriverContextP context, VASurfaceID surface, int x, int y,
                           unsigned int width, unsigned int height, VAImageID id)
{
    if (x != 0 || y != 0)
        return VA_STATUS_ERROR_UNIMPLEMENTED;
    return copy(context, surface, id, width, height, FALSE);
}

VAStatus sc_va_x_put_image(VADriverContextP context, VASurfaceID surface, VAImageID id, int src_x,
                           int src_y, unsigned int src_width, unsigned int src_height, int dest_x,
                           int dest_y, unsigned int dest_width, unsigned int dest_height)
{
    if (src_x != 0 || src_y != 0 || dest_x != 0 || dest_y != 0 || src_width != dest_width ||
        src_height != dest_height)
        return VA_STATUS_ERROR_UNIMPLEMENTED;
    return copy(context, surface, id, src_width, src_height, TRUE);
}
