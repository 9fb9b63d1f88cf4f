/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/unsupported.h"

static VAStatus put_surface(VADriverContextP context, VASurfaceID surface, void *draw, short srcx,
                            short srcy, unsigned short srcw, unsigned short srch, short destx,
                            short desty, unsigned short destw, unsigned short desth,
                            VARectangle *cliprects, unsigned int number_cliprects,
                            unsigned int flags)
{
    return VA_STATUS_ERROR_UNIMPLEMENTED;
}

static VAStatus query_surface_error(VADriverContextP context, VASurfaceID surface, VAStatus status,
                                    void **error_info)
{
    return VA_STATUS_ERROR_UNIMPLEMENTED;
}

static VAStatus set_image_palette(VADriverContextP context, VAImageID image, unsigned char *palette)
{
    return VA_STATUS_ERROR_UNIMPLEMENTED;
}

static VAStatus query_subpicture_formats(VADriverContextP context, VAImageFormat *formats,
                                         unsigned int *flags, unsigned int *num_formats)
{
    *num_formats = 0;
    return VA_STATUS_SUCCESS;
}

static VAStatus create_subpicture(VADriverContextP context, VAImageID image,
                                  VASubpictureID *subpicture)
{
    return VA_STATUS_ERROR_UNIMPLEMENTED;
}

static VAStatus destroy_subpicture(VADriverContextP context, VASubpictureID subpicture)
{
    return VA_STATUS_ERROR_UNIMPLEMENTED;
}

static VAStatus set_subpicture_image(VADriverContextP context, VASubpictureID subpicture,
                                     VAImageID image)
{
    return VA_STATUS_ERROR_UNIMPLEMENTED;
}

static VAStatus set_subpicture_chromakey(VADriverContextP context, VASubpictureID subpicture,
                                         unsigned int min, unsigned int max, unsigned int mask)
{
    return VA_STATUS_ERROR_UNIMPLEMENTED;
}

static VAStatus set_subpicture_global_alpha(VADriverContextP context, VASubpictureID subpicture,
                                            float alpha)
{
    return VA_STATUS_ERROR_UNIMPLEMENTED;
}

static VAStatus associate_subpicture(VADriverContextP context, VASubpictureID subpicture,
                                     VASurfaceID *surfaces, int num_surfaces, short src_x,
                                     short src_y, unsigned short src_width,
                                     unsigned short src_height, short dest_x, short dest_y,
                                     unsigned short dest_width, unsigned short dest_height,
                                     unsigned int flags)
{
    return VA_STATUS_ERROR_UNIMPLEMENTED;
}

static VAStatus deassociate_subpicture(VADriverContextP context, VASubpictureID subpicture,
                                       VASurfaceID *surfaces, int num_surfaces)
{
    return VA_STATUS_ERROR_UNIMPLEMENTED;
}

static VAStatus query_display_attributes(VADriverContextP context, VADisplayAttribute *attributes,
                                         int *num_attributes)
{
    *num_attributes = 0;
    return VA_STATUS_SUCCESS;
}

static VAStatus get_display_attributes(VADriverContextP context, VADisplayAttribute *attributes,
                                       int num_attributes)
{
    for (int i = 0; i < num_attributes; i++)
        attributes[i].flags = VA_DISPLAY_ATTRIB_NOT_SUPPORTED;
    return VA_STATUS_SUCCESS;
}

static VAStatus set_display_attributes(VADriverContextP context, VADisplayAttribute *attributes,
                                       int num_attributes)
{
    return VA_STATUS_ERROR_UNIMPLEMENTED;
}

void sc_va_unsupported_fill(struct VADriverVTable *table)
{
    table->vaPutSurface = put_surface;
    table->vaQuerySurfaceError = query_surface_error;
    table->vaSetImagePalette = set_image_palette;
    table->vaQuerySubpictureFormats = query_subpicture_formats;
    table->vaCreateSubpicture = create_subpicture;
    table->vaDestroySubpicture = destroy_subpicture;
    table->vaSetSubpictureImage = set_subpicture_image;
    table->vaSetSubpictureChromakey = set_subpicture_chromakey;
    table->vaSetSubpictureGlobalAlpha = set_subpicture_global_alpha;
    table->vaAssociateSubpicture = associate_subpicture;
    table->vaDeassociateSubpicture = deassociate_subpicture;
    table->vaQueryDisplayAttributes = query_display_attributes;
    table->vaGetDisplayAttributes = get_display_attributes;
    table->vaSetDisplayAttributes = set_display_attributes;
}
