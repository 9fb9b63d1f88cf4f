/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the scanouts of a virtio-gpu device show. All are tracked; the first one's pictures are told
 * to a listener, in one of three ways:
 *
 *   direct   the guest's pages, as a dmabuf. Only for flushes with a fence: the guest waits until
 *            the picture was read.
 *   copied   pixels of the resource, which the guest's transfers have filled; while nobody watches
 *            they are put off.
 *   shadow   a copy made at the flush: the pages of a guest that does not wait, or that no dmabuf
 * can be made of. Not made while nobody watches.
 *
 * The second and third never change but in commands of the guest, so whoever reads them between two
 * commands sees a whole picture, and the guest is not held.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/frame.h"
#include "capture/virtio-gpu-resource.h"

G_BEGIN_DECLS

typedef struct ScGpuDisplay ScGpuDisplay;

/* As the members of ScSourceListener. All are mandatory. */
typedef struct {
    void (*scanout)(ScScanout *scanout, gpointer data);
    void (*frame)(ScFrame *frame, gpointer data);
} ScGpuDisplayListener;

/* Flushes with a fence that must follow one without before pages are shown directly: a guest that
 * waits for some of its pictures only would make viewers' streams start anew all the time. */
#define SC_GPU_DISPLAY_TRUST 16

/* A picture that is never flushed is shown so much later, microseconds. */
#define SC_GPU_DISPLAY_UNDRAWN (50 * G_TIME_SPAN_MILLISECOND)

/* @resources and @listener must stay. */
ScGpuDisplay *sc_gpu_display_new(ScGpuResources *resources, const ScGpuDisplayListener *listener,
                                 gpointer data);
void sc_gpu_display_free(ScGpuDisplay *display); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScGpuDisplay, sc_gpu_display_free)

/* Scanout @index, below VIRTIO_GPU_MAX_SCANOUTS, shows the part at (@x, @y) of @resource, as
 * @layout describes it; nothing is told until it is flushed (or it is not, for a while). @resource
 * NULL: it is off. */
void sc_gpu_display_set(ScGpuDisplay *display, guint index, ScGpuResource *resource, guint32 x,
                        guint32 y, const ScGpuLayout *layout);

/*
 * The guest has changed @rect of @resource. @flush: it waits, NULL if not. TRUE: a frame has taken
 * the flush, which completes with it; FALSE: nobody reads the guest's pages.
 */
gboolean sc_gpu_display_flush(ScGpuDisplay *display, ScGpuResource *resource,
                              const struct virtio_gpu_rect *rect, ScFlush *flush);

/* @resource will lose its backing: what is shown of it stays, but in memory of ours. */
void sc_gpu_display_save(ScGpuDisplay *display, ScGpuResource *resource);

/* @resource will end: scanouts that show it are off; what is still shown of it stays. */
void sc_gpu_display_forget(ScGpuDisplay *display, ScGpuResource *resource);

/* All resources will end; what is shown stays. */
void sc_gpu_display_reset(ScGpuDisplay *display);

/* Whether anybody looks. FALSE at first. */
void sc_gpu_display_set_watched(ScGpuDisplay *display, gboolean watched);
gboolean sc_gpu_display_is_watched(const ScGpuDisplay *display);

G_END_DECLS
