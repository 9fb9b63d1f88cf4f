/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A running GStreamer pipeline that encodes: appsrc ! FRAGMENT ! appsink. It takes either pictures,
 * of which the thread of the pipeline first brings what changed into the format the encoder wants,
 * or dmabufs, which are not copied.
 *
 * Thread:   the owner thread. Threads of GStreamer hand over to the main context that was the
 *           thread default at sc_pipeline_new(); the listener is called from there.
 * Hanging:  no function here waits for the pipeline. It is started by a thread of its own, and
 *           sc_pipeline_close() leaves tearing it down to encoder/reaper.h.
 * In flight: one picture at a time.
 */
#pragma once

#include "capture/dmabuf.h"
#include "encoder/picture.h"
#include <pixman.h>

G_BEGIN_DECLS

typedef struct ScPipeline ScPipeline;

typedef struct {
    const char *fragment;    /* gst-launch: raw video in, coded pictures out */
    const char *output_caps; /* what appsink takes */
    /* The pictures given to sc_pipeline_encode(), and what is made of them before they enter the
     * fragment (same size; if equal they enter as they are). */
    GstVideoInfo input, format;
    /* Those of sc_gst_dmabuf_get_caps(): the pipeline takes such dmabufs instead of pictures. */
    const GstCaps *dmabuf_caps;
    /* The element of the fragment that has this name has this property for the bit rate, of which
     * @bitrate_units are one kbit/s; NULL if there is none. */
    const char *bitrate_element, *bitrate_property;
    guint bitrate_units;
    guint bitrate_kbit; /* of the first picture: some encoders never forget what they begin with */
    /* The element begins anew, with a key frame, when the bit rate changes, and may put out
     * something else than a key frame when asked for one: changes its bit rate by one unit then. */
    gboolean nudges_key;
    /* Packets have time stamps of the encoder's own, which say nothing of the picture; it is known
     * to put out one packet for each picture, in order. */
    gboolean retimes;
    /* The colours are BT.709, and packets do not say so. */
    gboolean adds_bt709;
} ScPipelineConfig;

typedef struct {
    /* The packet is out and the pipeline has let go of the picture. */
    void (*done)(GBytes *packet, gboolean is_key, gpointer data);

    /* Nothing will come of this pipeline any more: close it. Called at most once. */
    void (*failed)(const GError *error, gpointer data);
} ScPipelineListener;

/*
 * Builds @fragment between a source and a sink, as sc_pipeline_new() does, and forgets it.
 * SC_ERROR_INVALID, with GStreamer's reason, if that is not possible.
 */
gboolean sc_pipeline_check(const char *fragment, const char *output_caps, GError **error);

/* Builds the pipeline and begins to start it. All arguments are copied; @name is for messages. */
ScPipeline *sc_pipeline_new(const char *name, const ScPipelineConfig *config,
                            const ScPipelineListener *listener, gpointer data, GError **error);

/* Tells the listener nothing more and lets go of everything, at once as far as the caller can
 * tell. NULL is ignored. */
void sc_pipeline_close(ScPipeline *pipeline);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScPipeline, sc_pipeline_close)

/* For somebody else: @listener (copied) is told from now on, and the next picture is his first.
 * Only when nothing is in flight. */
void sc_pipeline_hand_over(ScPipeline *pipeline, const ScPipelineListener *listener, gpointer data);

/*
 * Encodes @picture, or @dmabuf (the other one is NULL), to have the encoder ready: what comes of it
 * is of no use. Otherwise as the functions below, for which what follows is the first picture.
 */
void sc_pipeline_warm_up(ScPipeline *pipeline, ScPicture *picture, ScDmabuf *dmabuf,
                         guint bitrate_kbit);

/*
 * For a pipeline of pictures: encodes @picture, of which @changes (NULL: all) is new since the
 * picture before. Holds a reference as long as anybody reads it. The first picture of a pipeline is
 * converted as a whole, and a key frame whatever @key says. Only when nothing is in flight.
 */
void sc_pipeline_encode(ScPipeline *pipeline, ScPicture *picture, const pixman_region32_t *changes,
                        gboolean key, guint bitrate_kbit);

/* For a pipeline of dmabufs: the same. The memory is referenced until the pipeline has let go of
 * it, which a pipeline that failed or hangs may do long after it was closed. */
void sc_pipeline_encode_dmabuf(ScPipeline *pipeline, ScDmabuf *dmabuf, gboolean key,
                               guint bitrate_kbit);

/* Pipelines of this process that have not been torn down; for tests. Any thread. */
guint sc_pipeline_count_alive(void);

G_END_DECLS
