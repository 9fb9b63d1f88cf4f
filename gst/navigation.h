/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keyboard and pointer as GStreamer's navigation events (GstNavigation), from viewers and to
 * guests.
 *
 * Keys have the names of X11's keysyms on a US keyboard without modifiers, as other sinks send
 * them, and in a field "scancode" (uint) what SPICE calls them: events from here to there lose
 * nothing.
 *
 * Thread: pure functions, but for sc_navigation_send(): the owner thread.
 */
#pragma once

#include "server/input.h"
#include <gst/gst.h>

G_BEGIN_DECLS

/* Events of the units and signs of capture/source.h. */
GstEvent *sc_navigation_new_key(guint scancode, gboolean pressed);
GstEvent *sc_navigation_new_move(double x, double y);
GstEvent *sc_navigation_new_button(ScButton button, gboolean pressed, double x, double y);
GstEvent *sc_navigation_new_wheel(int steps, double x, double y);

/* Hands on what @navigation, a navigation event's structure, says; what is unknown is ignored.
 * @viewer: see server/input.h. */
void sc_navigation_send(ScInput *input, gconstpointer viewer, const GstStructure *navigation);

G_END_DECLS
