/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/gst-build.h"

#include "capture/error.h"

/* GStreamer opened one end on each side; there must have been no more. */
static gboolean is_chain(GstBin *bin)
{
    g_autoptr(GstPad) other_sink = gst_bin_find_unlinked_pad(bin, GST_PAD_SINK);
    g_autoptr(GstPad) other_src = gst_bin_find_unlinked_pad(bin, GST_PAD_SRC);

    return GST_ELEMENT(bin)->numsinkpads == 1 && GST_ELEMENT(bin)->numsrcpads == 1 &&
           other_sink == NULL && other_src == NULL;
}

static GstElement *build_fragment(const char *fragment, GError **error)
{
    g_autoptr(GError) reason = NULL;
    g_autoptr(GstElement) bin = NULL;

    bin = gst_parse_bin_from_description_full(fragment, TRUE, NULL, GST_PARSE_FLAG_FATAL_ERRORS,
                                              &reason);
    if (bin != NULL) {
        gst_object_ref_sink(bin);
    }
    if (reason != NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "it cannot be built: %s%s", reason->message,
                    g_error_matches(reason, GST_PARSE_ERROR, GST_PARSE_ERROR_NO_SUCH_ELEMENT)
                        ? " (is its plugin installed?)"
                        : "");
        return NULL;
    }
    if (!is_chain(GST_BIN(bin))) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "it is not one chain of elements open at both ends: give what stands between "
                    "\"gst-launch-1.0 videotestsrc !\" and \"! fakesink\"");
        return NULL;
    }
    return g_steal_pointer(&bin);
}

static GstElement *make(const char *factory, GError **error)
{
    GstElement *element = gst_element_factory_make(factory, NULL);

    if (element == NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "GStreamer's element %s is missing: install gstreamer1.0-plugins-base",
                    factory);
        return NULL;
    }
    return gst_object_ref_sink(element);
}

static gboolean make_ends(ScSkeleton *skeleton, const char *output_caps, GError **error)
{
    g_autoptr(GstCaps) caps = gst_caps_from_string(output_caps);

    skeleton->source = make("appsrc", error);
    if (skeleton->source == NULL) {
        return FALSE;
    }
    skeleton->sink = make("appsink", error);
    if (skeleton->sink == NULL) {
        return FALSE;
    }
    /* Live: encoders that would like to collect some pictures first then do not. */
    g_object_set(skeleton->source, "format", GST_FORMAT_TIME, "is-live", TRUE, "emit-signals",
                 FALSE, NULL);
    /* Packets are due at once: no clock, no waiting for a first one before the pipeline runs. */
    g_object_set(skeleton->sink, "caps", caps, "sync", FALSE, "async", FALSE, "enable-last-sample",
                 FALSE, NULL);
    return TRUE;
}

gboolean sc_skeleton_build(ScSkeleton *skeleton, const char *fragment, const char *output_caps,
                           GError **error)
{
    g_autoptr(GstElement) bin = build_fragment(fragment, error);

    *skeleton = (ScSkeleton){ 0 };
    if (bin == NULL || !make_ends(skeleton, output_caps, error)) {
        sc_skeleton_clear(skeleton);
        return FALSE;
    }
    skeleton->pipeline = gst_object_ref_sink(gst_pipeline_new(NULL));
    gst_bin_add_many(GST_BIN(skeleton->pipeline), skeleton->source, bin, skeleton->sink, NULL);
    if (!gst_element_link(skeleton->source, bin) || !gst_element_link(bin, skeleton->sink)) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "it cannot be linked: it must take raw video and put out %s", output_caps);
        sc_skeleton_clear(skeleton);
        return FALSE;
    }
    return TRUE;
}

void sc_skeleton_clear(ScSkeleton *skeleton)
{
    gst_clear_object(&skeleton->source);
    gst_clear_object(&skeleton->sink);
    gst_clear_object(&skeleton->pipeline);
}
