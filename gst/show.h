/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A show: what an element gives to viewers, either packets as they are or pictures, which a head
 * encodes.
 *
 * Thread: the owner thread, where the listener is called, too.
 */
#pragma once

#include "encoder/encoder.h"
#include "server/audience.h"
#include <gst/video/video.h>

G_BEGIN_DECLS

typedef struct ScShow ScShow;

typedef struct {
    ScAudienceConfig audience;
    ScEncoderConfig encoder; /* for pictures; the codec is left open */
} ScShowConfig;

/* All mandatory. */
typedef struct {
    /* For upstream: a viewer's input, or that one needs a key frame. The callee's. */
    void (*event)(GstEvent *event, gpointer data);
    void (*viewer)(const ScViewerStats *viewer, gboolean joined, gpointer data);
} ScShowListener;

/* Listens. The strings of @config must outlive the show; @listener is copied. Fails as
 * sc_audience_new() does. */
ScShow *sc_show_new(const ScShowConfig *config, const ScShowListener *listener, gpointer data,
                    GError **error);

void sc_show_free(ScShow *show); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScShow, sc_show_free)

/* NULL where there is none. Valid as long as @show. */
const char *sc_show_get_address(const ScShow *show);
const char *sc_show_get_tls_address(const ScShow *show);

/* From now on there are packets of @codec, of pictures of this size. */
void sc_show_set_coded(ScShow *show, ScCodec codec, guint width, guint height);
void sc_show_send_packet(ScShow *show, GstBuffer *buffer);

/* From now on there are pictures like @info. Fails if they cannot be encoded. */
gboolean sc_show_set_raw(ScShow *show, const GstVideoInfo *info, GError **error);
gboolean sc_show_send_picture(ScShow *show, GstBuffer *buffer, GError **error);

void sc_show_get_counts(const ScShow *show, ScAudienceCounts *counts);

G_END_DECLS
