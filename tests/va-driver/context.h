/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Contexts: between vaBeginPicture and vaEndPicture an application describes a picture to encode
 * or to convert; vaEndPicture submits it to the engine.
 */
#pragma once

#include "tests/va-driver/encode.h"
#include "tests/va-driver/profile.h"
#include "tests/va-driver/surface.h"
#include "tests/va-driver/vpp.h"

G_BEGIN_DECLS

typedef struct {
    ScVaObject object;
    VAEntrypoint entry_point;
    ScVaSurface *target; /* between vaBeginPicture and vaEndPicture */
    ScVaEncode encode;   /* entry points to encode */
    ScVaVpp vpp;         /* VAEntrypointVideoProc */
} ScVaContext;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScVaContext, sc_va_object_unref)

VAStatus sc_va_x_create_context(VADriverContextP context, VAConfigID config, int width, int height,
                                int flag, VASurfaceID *targets, int num_targets, VAContextID *id);
VAStatus sc_va_x_destroy_context(VADriverContextP context, VAContextID id);
VAStatus sc_va_x_begin_picture(VADriverContextP context, VAContextID id, VASurfaceID target);
VAStatus sc_va_x_render_picture(VADriverContextP context, VAContextID id, VABufferID *buffers,
                                int num_buffers);
VAStatus sc_va_x_end_picture(VADriverContextP context, VAContextID id);

G_END_DECLS
