/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Video processing: one surface converted into another.
 *
 * Thread: that of the context; the conversion itself runs in the engine's.
 */
#pragma once

#include "tests/va-driver/buffer.h"
#include "tests/va-driver/convert.h"
#include <va/va_backend_vpp.h>
#include <va/va_vpp.h>

G_BEGIN_DECLS

/* What the buffers of one picture say. */
typedef struct {
    gboolean has_pipeline;
    VAProcPipelineParameterBuffer pipeline;
} ScVaVpp;

/* One source for each picture: a second one (compositing) is refused. */
VAStatus sc_va_vpp_render(ScVaVpp *vpp, const ScVaBuffer *buffer);

/* Submits the picture. */
VAStatus sc_va_vpp_end(ScVaVpp *vpp, ScVaDriver *driver, ScVaSurface *target);

VAStatus sc_va_x_query_video_proc_filters(VADriverContextP context, VAContextID id,
                                          VAProcFilterType *filters, unsigned int *num_filters);
VAStatus sc_va_x_query_video_proc_filter_caps(VADriverContextP context, VAContextID id,
                                              VAProcFilterType type, void *caps,
                                              unsigned int *num_caps);
VAStatus sc_va_x_query_video_proc_pipeline_caps(VADriverContextP context, VAContextID id,
                                                VABufferID *filters, unsigned int num_filters,
                                                VAProcPipelineCaps *caps);

G_END_DECLS
