/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The element scanoutsrc: a guest's scanout as a live source. `gst-inspect-1.0 scanoutsrc` is its
 * description for users.
 *
 * Thread: as GstPushSrc; what belongs to the owner thread (gst/owner.h) is reached through it.
 */
#pragma once

#include <gst/base/gstpushsrc.h>

G_BEGIN_DECLS

#define SC_TYPE_SCANOUT_SRC (sc_scanout_src_get_type())
G_DECLARE_FINAL_TYPE(ScScanoutSrc, sc_scanout_src, SC, SCANOUT_SRC, GstPushSrc)

G_END_DECLS
