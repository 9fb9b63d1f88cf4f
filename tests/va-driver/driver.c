/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/driver.h"

#include "tests/va-driver/buffer.h"
#include "tests/va-driver/context.h"
#include "tests/va-driver/image.h"
#include "tests/va-driver/profile.h"
#include "tests/va-driver/unsupported.h"
#include "tests/va-driver/vpp.h"
#include <va/va_drmcommon.h>

/* Atomic. The linker is told to keep them when libva unloads us (-z nodelete). */
static gint n_imports, n_encodes, n_losses;

guint sc_va_device_count_import(void)
{
    return g_atomic_int_add(&n_imports, 1);
}

guint sc_va_device_count_encode(void)
{
    return g_atomic_int_add(&n_encodes, 1);
}

void sc_va_device_lose(void)
{
    g_atomic_int_inc(&n_losses);
}

gboolean sc_va_driver_is_lost(const ScVaDriver *driver)
{
    return driver->epoch != g_atomic_int_get(&n_losses);
}

static VAStatus terminate(VADriverContextP context)
{
    ScVaDriver *driver = sc_va_driver(context);
    sc_va_engine_free(driver->engine);
    sc_va_trace(driver->trace, "terminate surfaces=%u contexts=%u",
                sc_va_objects_count(driver->objects, SC_VA_SURFACE),
                sc_va_objects_count(driver->objects, SC_VA_CONTEXT));
    sc_va_objects_free(driver->objects);
    sc_va_handles_free(driver->handles);
    sc_va_trace_free(driver->trace);
    sc_va_switches_free(driver->switches);
    g_free(driver);
    context->pDriverData = NULL;
    return VA_STATUS_SUCCESS;
}

static void fill_surfaces(struct VADriverVTable *table)
{
    table->vaCreateSurfaces = sc_va_x_create_surfaces;
    table->vaCreateSurfaces2 = sc_va_x_create_surfaces2;
    table->vaDestroySurfaces = sc_va_x_destroy_surfaces;
    table->vaSyncSurface = sc_va_x_sync_surface;
    table->vaSyncSurface2 = sc_va_x_sync_surface2;
    table->vaQuerySurfaceStatus = sc_va_x_query_surface_status;
    table->vaQuerySurfaceAttributes = sc_va_x_query_surface_attributes;
    table->vaExportSurfaceHandle = sc_va_x_export_surface_handle;
    table->vaQueryImageFormats = sc_va_x_query_image_formats;
    table->vaCreateImage = sc_va_x_create_image;
    table->vaDeriveImage = sc_va_x_derive_image;
    table->vaDestroyImage = sc_va_x_destroy_image;
    table->vaGetImage = sc_va_x_get_image;
    table->vaPutImage = sc_va_x_put_image;
}

static void fill_work(struct VADriverVTable *table)
{
    table->vaQueryConfigProfiles = sc_va_x_query_config_profiles;
    table->vaQueryConfigEntrypoints = sc_va_x_query_config_entry_points;
    table->vaGetConfigAttributes = sc_va_x_get_config_attributes;
    table->vaCreateConfig = sc_va_x_create_config;
    table->vaDestroyConfig = sc_va_x_destroy_config;
    table->vaQueryConfigAttributes = sc_va_x_query_config_attributes;
    table->vaCreateContext = sc_va_x_create_context;
    table->vaDestroyContext = sc_va_x_destroy_context;
    table->vaBeginPicture = sc_va_x_begin_picture;
    table->vaRenderPicture = sc_va_x_render_picture;
    table->vaEndPicture = sc_va_x_end_picture;
    table->vaCreateBuffer = sc_va_x_create_buffer;
    table->vaBufferSetNumElements = sc_va_x_buffer_set_num_elements;
    table->vaMapBuffer = sc_va_x_map_buffer;
    table->vaUnmapBuffer = sc_va_x_unmap_buffer;
    table->vaDestroyBuffer = sc_va_x_destroy_buffer;
    table->vaSyncBuffer = sc_va_x_sync_buffer;
    table->vaBufferInfo = sc_va_x_buffer_info;
}

static void fill_context(VADriverContextP context)
{
    context->version_major = VA_MAJOR_VERSION;
    context->version_minor = VA_MINOR_VERSION;
    context->max_profiles = SC_VA_MAX_PROFILES;
    context->max_entrypoints = SC_VA_MAX_ENTRY_POINTS;
    context->max_attributes = VAConfigAttribTypeMax;
    context->max_image_formats = sc_va_image_count_formats();
    context->max_subpic_formats = 1; /* libva refuses 0, here and below */
    context->max_display_attributes = 1;
    context->str_vendor = "Scancast software driver (libx264)";
    context->vtable->vaTerminate = terminate;
    fill_surfaces(context->vtable);
    fill_work(context->vtable);
    sc_va_unsupported_fill(context->vtable);
    context->vtable_vpp->version = VA_DRIVER_VTABLE_VPP_VERSION;
    context->vtable_vpp->vaQueryVideoProcFilters = sc_va_x_query_video_proc_filters;
    context->vtable_vpp->vaQueryVideoProcFilterCaps = sc_va_x_query_video_proc_filter_caps;
    context->vtable_vpp->vaQueryVideoProcPipelineCaps = sc_va_x_query_video_proc_pipeline_caps;
}

/* The only symbol libva looks for: __vaDriverInit_1_17 and the like, of its own version or an older
 * one. */
#define INIT_NAME(major, minor) INIT_NAME_EXPANDED(major, minor)
#define INIT_NAME_EXPANDED(major, minor) __vaDriverInit_##major##_##minor
#define INIT INIT_NAME(VA_MAJOR_VERSION, VA_MINOR_VERSION)

VAStatus INIT(VADriverContextP context);

__attribute__((visibility("default"))) VAStatus INIT(VADriverContextP context)
{
    const struct drm_state *drm = context->drm_state;
    if (!drm || drm->fd < 0)
        return VA_STATUS_ERROR_INVALID_DISPLAY;

    g_autoptr(GError) error = NULL;
    g_autoptr(ScVaSwitches) switches = sc_va_switches_new(&error);
    g_autoptr(ScVaTrace) trace = switches ? sc_va_trace_new(switches->trace, &error) : NULL;
    if (error) {
        g_printerr("scancast VA driver: %s\n", error->message);
        return VA_STATUS_ERROR_INVALID_PARAMETER;
    }
    ScVaDriver *driver = g_new0(ScVaDriver, 1);
    driver->switches = g_steal_pointer(&switches);
    driver->trace = g_steal_pointer(&trace);
    driver->epoch = g_atomic_int_get(&n_losses);
    driver->objects = sc_va_objects_new();
    driver->engine = sc_va_engine_new();
    driver->handles = sc_va_handles_new(drm->fd);
    context->pDriverData = driver;
    fill_context(context);
    sc_va_trace(driver->trace, "initialize");
    return VA_STATUS_SUCCESS;
}
