/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection's cursor channel, for capture/source-spice.c only: the guest's pointer becomes
 * cursor shapes and positions of the source.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/source-impl.h"
#include <spice-client.h>

G_BEGIN_DECLS

typedef struct ScSpiceCursor ScSpiceCursor;

/* Takes its own reference to @channel; @source must outlive the result. */
ScSpiceCursor *sc_spice_cursor_new(ScSource *source, SpiceChannel *channel);

void sc_spice_cursor_free(ScSpiceCursor *cursor); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScSpiceCursor, sc_spice_cursor_free)

G_END_DECLS
