/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's pointer, for capture/source-dbus.c and its listeners only: CursorDefine and MouseSet
 * become cursor shapes and positions of the source. It outlives listeners: QEMU before 8.1 tells a
 * new one no shape until the guest defines the next.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/dbus-inbox.h"
#include "capture/source-impl.h"

G_BEGIN_DECLS

typedef struct ScDbusCursor ScDbusCursor;

/* @source must outlive the result. */
ScDbusCursor *sc_dbus_cursor_new(ScSource *source);

void sc_dbus_cursor_take(ScDbusCursor *cursor, const ScDbusNews *news);

void sc_dbus_cursor_free(ScDbusCursor *cursor); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScDbusCursor, sc_dbus_cursor_free)

G_END_DECLS
