/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Surfaces: pictures in memory.
 *
 * Thread: any; what is in a surface never changes but its pixels, its origin and its fence.
 */
#pragma once

#include "tests/va-driver/driver.h"
#include "tests/va-driver/format.h"

G_BEGIN_DECLS

#define SC_VA_MAX_OBJECTS 4 /* VADRMPRIMESurfaceDescriptor in <va/va_drmcommon.h> */

typedef struct {
    ScVaObject object;
    ScVaDriver *driver;
    const ScVaFormat *format;
    guint width, height;
    guint64 modifier;
    gboolean is_imported;
    guint n_memories;
    ScVaMemory memories[SC_VA_MAX_OBJECTS];
    struct {
        guint memory; /* index */
        guint32 pitch, offset;
    } planes[SC_VA_MAX_PLANES];
    guint64 origin;   /* inode of the picture last converted into it; the engine's thread only */
    ScVaFence *fence; /* slot of the newest job that reads or writes it */
} ScVaSurface;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScVaSurface, sc_va_object_unref)

/* An empty surface: the caller fills in memories and planes. The last unref traces the release of
 * an import. */
ScVaSurface *sc_va_surface_new(ScVaDriver *driver, const ScVaFormat *format, guint width,
                               guint height);

guint8 *sc_va_surface_get_plane(const ScVaSurface *surface, guint plane);

/* Bracket access by the CPU, all memories at once. */
void sc_va_surface_begin(const ScVaSurface *surface, gboolean write);
void sc_va_surface_end(const ScVaSurface *surface, gboolean write);

VAStatus sc_va_x_create_surfaces(VADriverContextP context, int width, int height, int format,
                                 int num_surfaces, VASurfaceID *surfaces);
VAStatus sc_va_x_create_surfaces2(VADriverContextP context, unsigned int format, unsigned int width,
                                  unsigned int height, VASurfaceID *surfaces,
                                  unsigned int num_surfaces, VASurfaceAttrib *attributes,
                                  unsigned int num_attributes);
VAStatus sc_va_x_destroy_surfaces(VADriverContextP context, VASurfaceID *surfaces,
                                  int num_surfaces);
VAStatus sc_va_x_sync_surface(VADriverContextP context, VASurfaceID surface);
VAStatus sc_va_x_sync_surface2(VADriverContextP context, VASurfaceID surface, uint64_t timeout_ns);
VAStatus sc_va_x_query_surface_status(VADriverContextP context, VASurfaceID surface,
                                      VASurfaceStatus *status);
VAStatus sc_va_x_export_surface_handle(VADriverContextP context, VASurfaceID surface,
                                       uint32_t memory_type, uint32_t flags, void *descriptor);

G_END_DECLS
