/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection's display channel, for capture/source-spice.c only: GL scanouts with their draws,
 * and the primary surface with its damage, become scanouts and frames of the source.
 *
 * Fence:    each gl-draw is one flush, and one DONE goes back when it completes, whatever the
 *           result; a DONE too many makes libspice-server close the link.
 * Thread:   the owner thread.
 */
#pragma once

#include "capture/source-impl.h"
#include <spice-client.h>

G_BEGIN_DECLS

typedef struct ScSpiceDisplay ScSpiceDisplay;

/* Takes its own reference to @channel; @source must outlive the result. */
ScSpiceDisplay *sc_spice_display_new(ScSource *source, SpiceChannel *channel);

/* The connection is gone: nothing is sent any more. */
void sc_spice_display_set_gone(ScSpiceDisplay *display);

/* Completes what is pending as dropped (and says so to the VMM unless it is gone). Whoever still
 * holds a scanout of a surface keeps a copy of its picture. NULL is ignored. */
void sc_spice_display_free(ScSpiceDisplay *display);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScSpiceDisplay, sc_spice_display_free)

G_END_DECLS
