/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/context.h"

static gboolean is_encoder(const ScVaContext *self)
{
    return self->entry_point != VAEntrypointVideoProc;
}

static void context_free(gpointer object)
{
    ScVaContext *self = object;
    sc_va_object_unref(self->target);
    if (is_encoder(self))
        sc_va_encode_clear(&self->encode);
}

static ScVaContext *get(VADriverContextP context, VAContextID id)
{
    return sc_va_objects_get(sc_va_driver(context)->objects, id, SC_VA_CONTEXT);
}

VAStatus sc_va_x_create_context(VADriverContextP context, VAConfigID config_id, int width,
                                int height, int flag, VASurfaceID *targets, int num_targets,
                                VAContextID *id)
{
    ScVaDriver *driver = sc_va_driver(context);
    g_autoptr(ScVaConfig) config = sc_va_objects_get(driver->objects, config_id, SC_VA_CONFIG);
    if (!config)
        return VA_STATUS_ERROR_INVALID_CONFIG;
    if (sc_va_driver_is_lost(driver))
        return VA_STATUS_ERROR_OPERATION_FAILED;
    /* Converting needs no size: GStreamer says 0x0. */
    gboolean encodes = config->entry_point != VAEntrypointVideoProc;
    if (encodes && (width < SC_VA_MIN_SIZE || width > (int)driver->switches->max_width ||
                    height < SC_VA_MIN_SIZE || height > (int)driver->switches->max_height))
        return VA_STATUS_ERROR_RESOLUTION_NOT_SUPPORTED;

    ScVaContext *self = sc_va_object_new(sizeof(*self), SC_VA_CONTEXT, context_free);
    self->entry_point = config->entry_point;
    if (encodes)
        sc_va_encode_init(&self->encode, config, width, height);
    *id = sc_va_objects_add(driver->objects, self);
    sc_va_trace(driver->trace, "context entry-point=%s width=%d height=%d rate-control=%s",
                !encodes                                      ? "vpp"
                : config->entry_point == VAEntrypointEncSlice ? "slice"
                                                              : "lp",
                width, height,
                !encodes                            ? "none"
                : config->rate_control == VA_RC_CQP ? "cqp"
                : config->rate_control == VA_RC_CBR ? "cbr"
                                                    : "vbr");
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_destroy_context(VADriverContextP context, VAContextID id)
{
    ScVaObjects *objects = sc_va_driver(context)->objects;
    g_autoptr(ScVaContext) self = sc_va_objects_remove(objects, id, SC_VA_CONTEXT);
    return self ? VA_STATUS_SUCCESS : VA_STATUS_ERROR_INVALID_CONTEXT;
}

VAStatus sc_va_x_begin_picture(VADriverContextP context, VAContextID id, VASurfaceID target)
{
    ScVaDriver *driver = sc_va_driver(context);
    g_autoptr(ScVaContext) self = get(context, id);
    if (!self)
        return VA_STATUS_ERROR_INVALID_CONTEXT;
    if (sc_va_driver_is_lost(driver))
        return VA_STATUS_ERROR_OPERATION_FAILED;
    g_autoptr(ScVaSurface) surface = sc_va_objects_get(driver->objects, target, SC_VA_SURFACE);
    if (!surface)
        return VA_STATUS_ERROR_INVALID_SURFACE;
    sc_va_object_unref(self->target);
    self->target = g_steal_pointer(&surface);
    if (is_encoder(self))
        sc_va_encode_begin(&self->encode);
    else
        self->vpp = (ScVaVpp){ .has_pipeline = FALSE };
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_render_picture(VADriverContextP context, VAContextID id, VABufferID *buffers,
                                int num_buffers)
{
    ScVaObjects *objects = sc_va_driver(context)->objects;
    g_autoptr(ScVaContext) self = get(context, id);
    if (!self || !self->target)
        return VA_STATUS_ERROR_INVALID_CONTEXT;
    for (int i = 0; i < num_buffers; i++) {
        g_autoptr(ScVaBuffer) buffer = sc_va_objects_get(objects, buffers[i], SC_VA_BUFFER);
        if (!buffer)
            return VA_STATUS_ERROR_INVALID_BUFFER;
        VAStatus status = is_encoder(self) ? sc_va_encode_render(&self->encode, buffer)
                                           : sc_va_vpp_render(&self->vpp, buffer);
        if (status != VA_STATUS_SUCCESS)
            return status;
    }
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_end_picture(VADriverContextP context, VAContextID id)
{
    ScVaDriver *driver = sc_va_driver(context);
    g_autoptr(ScVaContext) self = get(context, id);
    if (!self || !self->target)
        return VA_STATUS_ERROR_INVALID_CONTEXT;
    g_autoptr(ScVaSurface) target = g_steal_pointer(&self->target);
    if (sc_va_driver_is_lost(driver))
        return VA_STATUS_ERROR_OPERATION_FAILED;
    if (is_encoder(self))
        return sc_va_encode_end(&self->encode, driver, self, target);
    return sc_va_vpp_end(&self->vpp, driver, target);
}
