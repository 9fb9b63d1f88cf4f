/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The GStreamer plugin scancast.
 */
#include "config.h"

#include "gst/scanout-src.h"
#include "gst/spice-sink.h"

static gboolean plugin_init(GstPlugin *plugin)
{
    return gst_element_register(plugin, "scanoutsrc", GST_RANK_NONE, SC_TYPE_SCANOUT_SRC) &&
           gst_element_register(plugin, "spicesink", GST_RANK_NONE, SC_TYPE_SPICE_SINK);
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, scancast, "Displays of virtual machines",
                  plugin_init, PACKAGE_VERSION, "LGPL", "Scancast", "scancast")
