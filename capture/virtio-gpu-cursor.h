/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pointer of a virtio-gpu device's first output.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/cursor.h"
#include "capture/virtio-gpu-resource.h"

G_BEGIN_DECLS

typedef struct ScGpuCursor ScGpuCursor;

/* As the members of ScSourceListener. All are mandatory. */
typedef struct {
    void (*shape)(ScCursor *cursor, gpointer data);
    void (*position)(int x, int y, gpointer data);
} ScGpuCursorListener;

/* @listener must stay. */
ScGpuCursor *sc_gpu_cursor_new(const ScGpuCursorListener *listener, gpointer data);
void sc_gpu_cursor_free(ScGpuCursor *cursor); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScGpuCursor, sc_gpu_cursor_free)

/* UPDATE_CURSOR or MOVE_CURSOR; returns the code of the answer. */
guint32 sc_gpu_cursor_execute(ScGpuCursor *cursor, ScGpuResources *resources,
                              const struct virtio_gpu_update_cursor *request);

void sc_gpu_cursor_hide(ScGpuCursor *cursor);

G_END_DECLS
