/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keyboard and pointer of one SpiceServer.
 *
 * In server mouse mode libspice-server calls a mouse, with motions. In client mouse mode it writes
 * positions to the guest's agent, which we therefore play: a tablet could not be switched off again
 * for a guest that wants motions. Clients tell the agent how large their windows are, too.
 *
 * Thread: the owner thread. The listener is called from inside libspice-server, which must not be
 *         called back.
 */
#pragma once

#include "server/input.h"
#include <spice.h>

G_BEGIN_DECLS

typedef struct ScViewerInput ScViewerInput;

/* Adds the devices to @server. @listener is copied; a button is reported when it changes. */
ScViewerInput *sc_viewer_input_new(SpiceServer *server, const ScInputListener *listener,
                                   gpointer data, GError **error);

/* After spice_server_destroy(), which still reports the keys that it releases. NULL is ignored. */
void sc_viewer_input_free(ScViewerInput *input);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScViewerInput, sc_viewer_input_free)

void sc_viewer_input_set_leds(ScViewerInput *input, ScLeds leds);

G_END_DECLS
