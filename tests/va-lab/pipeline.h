/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A GStreamer pipeline from pictures of ours through vapostproc and vah264enc to packets, or to
 * decoded pictures, one GstBuffer at a time.
 *
 * The pictures are eight colour bars, in rows of two orders, so that a turned, mirrored, shifted or
 * stale picture is told from a right one. Each picture has memory of its own.
 *
 * Thread: the main thread.
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct {
    const char *fourcc; /* DRM name: "XR24", "AR24", "XB24", "AB24" or "NV12" */
    guint width, height;
    guint pitch;        /* bytes; 0: no padding */
    guint offset;       /* bytes before the first plane */
    guint extra;        /* bytes of memory behind the last row */
    gboolean in_ram;    /* ordinary memory, not dmabufs */
    const char *middle; /* what is between source and sink */
} ScLabPipelineConfig;

typedef struct ScLabPipeline ScLabPipeline;

/* Playing. Aborts the test if @config cannot be built. */
ScLabPipeline *sc_lab_pipeline_new(const ScLabPipelineConfig *config);
void sc_lab_pipeline_free(ScLabPipeline *pipeline); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScLabPipeline, sc_lab_pipeline_free)

/* Draws picture @number and pushes it. Returns the inode of its memory. */
guint64 sc_lab_pipeline_push(ScLabPipeline *pipeline, guint number);

/* No more pictures come. */
void sc_lab_pipeline_finish(ScLabPipeline *pipeline);

/* What came out: NULL at the end, after an error, or after @timeout. The caller unrefs it. */
GstSample *sc_lab_pipeline_pull(ScLabPipeline *pipeline, GstClockTime timeout);

/* The first error on the bus, NULL if there is none. The caller frees it. */
GError *sc_lab_pipeline_get_error(ScLabPipeline *pipeline);

/* An element by name, NULL if there is none. The caller unrefs it. */
GstElement *sc_lab_pipeline_get_element(ScLabPipeline *pipeline, const char *name);

/* The words 0xRRGGBB that picture @number has at @x, @y. */
guint32 sc_lab_picture_color(guint number, guint x, guint y, guint width, guint height);

G_END_DECLS
