/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images: how applications get at pixels with the CPU. They wait for the surface themselves
 * (vaSyncSurface) where libva says so; copies wait here.
 */
#pragma once

#include "tests/va-driver/surface.h"

G_BEGIN_DECLS

VAStatus sc_va_x_query_image_formats(VADriverContextP context, VAImageFormat *formats,
                                     int *num_formats);
VAStatus sc_va_x_create_image(VADriverContextP context, VAImageFormat *format, int width,
                              int height, VAImage *image);
VAStatus sc_va_x_derive_image(VADriverContextP context, VASurfaceID surface, VAImage *image);
VAStatus sc_va_x_destroy_image(VADriverContextP context, VAImageID id);
VAStatus sc_va_x_get_image(VADriverContextP context, VASurfaceID surface, int x, int y,
                           unsigned int width, unsigned int height, VAImageID id);
VAStatus sc_va_x_put_image(VADriverContextP context, VASurfaceID surface, VAImageID id, int src_x,
                           int src_y, unsigned int src_width, unsigned int src_height, int dest_x,
                           int dest_y, unsigned int dest_width, unsigned int dest_height);

/* Number of formats that vaQueryImageFormats gives. */
guint sc_va_image_count_formats(void);

G_END_DECLS
