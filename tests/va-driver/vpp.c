/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/vpp.h"

#include "tests/va-driver/profile.h"

typedef struct {
    ScVaDriver *driver;
    ScVaSurface *source, *target;
    ScVaPicture from, to;
    ScVaTransform transform;
} Job;

static void job_free(gpointer data)
{
    Job *job = data;
    sc_va_object_unref(job->source);
    sc_va_object_unref(job->target);
    g_free(job);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Job, job_free)

static VAStatus job_run(gpointer data)
{
    Job *job = data;
    ScVaDriver *driver = job->driver;
    const ScVaColor *color = &job->to.color;
    guint64 inode = job->source->memories[0].inode;
    if (sc_va_driver_is_lost(driver))
        return VA_STATUS_ERROR_OPERATION_FAILED;

    sc_va_trace(driver->trace,
                "vpp-begin source=%u inode=%" G_GUINT64_FORMAT
                " fourcc=%s target=%u target-fourcc=%s width=%u height=%u matrix=%s range=%s",
                job->source->object.id, inode, job->source->format->name, job->target->object.id,
                job->target->format->name, job->to.width, job->to.height,
                color->is_bt601 ? "bt601" : "bt709", color->is_full ? "full" : "limited");
    /* Before reading: who lets go of the source too early shall see it in the picture. */
    sc_va_engine_sleep(driver->engine, driver->switches->vpp_ms);
    sc_va_surface_begin(job->source, FALSE);
    sc_va_surface_begin(job->target, TRUE);
    sc_va_convert(&job->from, &job->to, &job->transform);
    sc_va_surface_end(job->target, TRUE);
    sc_va_surface_end(job->source, FALSE);
    job->target->origin = job->source->origin ? job->source->origin : inode;
    sc_va_trace(driver->trace, "vpp-end source=%u inode=%" G_GUINT64_FORMAT " target=%u",
                job->source->object.id, inode, job->target->object.id);
    return VA_STATUS_SUCCESS;
}

/* Applications name a standard, or say "explicit" and give the numbers of ITU-T H.273. */
static ScVaColor resolve_color(VAProcColorStandardType standard,
                               const VAProcColorProperties *properties)
{
    ScVaColor color = { .is_full = properties->color_range == VA_SOURCE_RANGE_FULL };
    switch (standard) {
    case VAProcColorStandardBT601:
    case VAProcColorStandardBT470M:
    case VAProcColorStandardBT470BG:
    case VAProcColorStandardSMPTE170M:
        color.is_bt601 = TRUE;
        break;
    case VAProcColorStandardExplicit:
        color.is_bt601 =
            properties->matrix_coefficients == 5 || properties->matrix_coefficients == 6;
        break;
    default:
        break;
    }
    return color;
}

/* FALSE if @region (NULL: everything) is not inside @surface. */
static gboolean fill_picture(ScVaPicture *picture, const ScVaSurface *surface,
                             const VARectangle *region, ScVaColor color)
{
    *picture = (ScVaPicture){
        .format = surface->format,
        .width = surface->width,
        .height = surface->height,
        .color = color,
    };
    for (guint i = 0; i < surface->format->n_planes; i++) {
        picture->planes[i] = sc_va_surface_get_plane(surface, i);
        picture->pitches[i] = surface->planes[i].pitch;
    }
    if (!region)
        return TRUE;
    picture->x = region->x;
    picture->y = region->y;
    picture->width = region->width;
    picture->height = region->height;
    return region->x >= 0 && region->y >= 0 && region->width > 0 && region->height > 0 &&
           region->x + region->width <= (int)surface->width &&
           region->y + region->height <= (int)surface->height;
}

VAStatus sc_va_vpp_render(ScVaVpp *vpp, const ScVaBuffer *buffer)
{
    if (buffer->type == VAProcFilterParameterBufferType)
        return VA_STATUS_ERROR_UNSUPPORTED_FILTER;
    if (buffer->type != VAProcPipelineParameterBufferType ||
        buffer->element_size < sizeof(vpp->pipeline))
        return VA_STATUS_ERROR_INVALID_BUFFER;
    if (vpp->has_pipeline)
        return VA_STATUS_ERROR_UNIMPLEMENTED;
    vpp->pipeline = *(const VAProcPipelineParameterBuffer *)buffer->data;
    vpp->has_pipeline = TRUE;
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_vpp_end(ScVaVpp *vpp, ScVaDriver *driver, ScVaSurface *target)
{
    const VAProcPipelineParameterBuffer *pipeline = &vpp->pipeline;
    if (!vpp->has_pipeline)
        return VA_STATUS_ERROR_INVALID_PARAMETER;
    if (pipeline->num_filters > 0)
        return VA_STATUS_ERROR_UNSUPPORTED_FILTER;
    g_autoptr(ScVaSurface) source =
        sc_va_objects_get(driver->objects, pipeline->surface, SC_VA_SURFACE);
    if (!source)
        return VA_STATUS_ERROR_INVALID_SURFACE;
    if (pipeline->rotation_state > VA_ROTATION_270 || !target->memories[0].is_writable)
        return VA_STATUS_ERROR_INVALID_PARAMETER;

    g_autoptr(Job) job = g_new0(Job, 1);
    job->driver = driver;
    job->source = sc_va_object_ref(source);
    job->target = sc_va_object_ref(target);
    job->transform.quarter_turns = pipeline->rotation_state;
    job->transform.mirror_x = (pipeline->mirror_state & VA_MIRROR_HORIZONTAL) != 0;
    job->transform.mirror_y = (pipeline->mirror_state & VA_MIRROR_VERTICAL) != 0;
    if (!fill_picture(
            &job->from, source, pipeline->surface_region,
            resolve_color(pipeline->surface_color_standard, &pipeline->input_color_properties)) ||
        !fill_picture(
            &job->to, target, pipeline->output_region,
            resolve_color(pipeline->output_color_standard, &pipeline->output_color_properties)))
        return VA_STATUS_ERROR_INVALID_PARAMETER;
    if (!target->format->is_rgb && (job->to.x % 2 != 0 || job->to.y % 2 != 0))
        return VA_STATUS_ERROR_INVALID_PARAMETER;

    sc_va_trace(driver->trace, "vpp-submit source=%u inode=%" G_GUINT64_FORMAT " target=%u",
                source->object.id, source->memories[0].inode, target->object.id);
    ScVaFence **slots[] = { &source->fence, &target->fence };
    const ScVaJob submitted = { job_run, job_free, g_steal_pointer(&job) };
    sc_va_engine_submit(driver->engine, &submitted, slots, G_N_ELEMENTS(slots));
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_query_video_proc_filters(VADriverContextP context, VAContextID id,
                                          VAProcFilterType *filters, unsigned int *num_filters)
{
    /* GStreamer offers to turn and mirror only where there is a filter, whichever. */
    if (*num_filters < 1) {
        *num_filters = 1;
        return VA_STATUS_ERROR_MAX_NUM_EXCEEDED;
    }
    filters[0] = VAProcFilterNone;
    *num_filters = 1;
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_query_video_proc_filter_caps(VADriverContextP context, VAContextID id,
                                              VAProcFilterType type, void *caps,
                                              unsigned int *num_caps)
{
    *num_caps = 0;
    return VA_STATUS_ERROR_UNSUPPORTED_FILTER;
}

VAStatus sc_va_x_query_video_proc_pipeline_caps(VADriverContextP context, VAContextID id,
                                                VABufferID *filters, unsigned int num_filters,
                                                VAProcPipelineCaps *caps)
{
    static VAProcColorStandardType standards[] = { VAProcColorStandardBT601,
                                                   VAProcColorStandardBT709,
                                                   VAProcColorStandardExplicit };
    const ScVaSwitches *switches = sc_va_driver(context)->switches;
    *caps = (VAProcPipelineCaps){
        .input_color_standards = standards,
        .num_input_color_standards = G_N_ELEMENTS(standards),
        .output_color_standards = standards,
        .num_output_color_standards = G_N_ELEMENTS(standards),
        .rotation_flags = 1 << VA_ROTATION_NONE | 1 << VA_ROTATION_90 | 1 << VA_ROTATION_180 |
                          1 << VA_ROTATION_270,
        .mirror_flags = VA_MIRROR_HORIZONTAL | VA_MIRROR_VERTICAL,
        .max_input_width = switches->max_width,
        .max_input_height = switches->max_height,
        .min_input_width = SC_VA_MIN_SIZE,
        .min_input_height = SC_VA_MIN_SIZE,
        .max_output_width = switches->max_width,
        .max_output_height = switches->max_height,
        .min_output_width = SC_VA_MIN_SIZE,
        .min_output_height = SC_VA_MIN_SIZE,
    };
    return VA_STATUS_SUCCESS;
}
