/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The element spicesink: video for SPICE clients. `gst-inspect-1.0 spicesink` is its description
 * for users.
 *
 * Thread: as GstBaseSink; what belongs to the owner thread (gst/owner.h) is reached through it.
 * What viewers cause, signals and upstream events, comes from a thread of the element's own, so
 *         that nobody's handler holds the owner thread up.
 */
#pragma once

#include <gst/base/gstbasesink.h>

G_BEGIN_DECLS

#define SC_TYPE_SPICE_SINK (sc_spice_sink_get_type())
G_DECLARE_FINAL_TYPE(ScSpiceSink, sc_spice_sink, SC, SPICE_SINK, GstBaseSink)

G_END_DECLS
