/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/viewer-stats.h"

#define U64 G_GUINT64_FORMAT
#define I64 G_GINT64_FORMAT

const char *sc_viewer_stats_get_codec(const ScViewerStats *stats)
{
    return stats->is_ready ? sc_codec_name(stats->codec) : "none";
}

static gint64 get_seconds(const ScViewerStats *stats)
{
    return (g_get_monotonic_time() - stats->since) / G_USEC_PER_SEC;
}

char *sc_viewer_stats_format(const ScViewerStats *stats)
{
    const ScOutboxCounts *counts = &stats->counts;

    return g_strdup_printf(
        "viewer=%" U64 " peer=%s seconds=%" I64 " codec=%s frames=%" U64 " dropped=%" U64
        " keys=%" U64 " bytes=%" U64 " queued=%u queue_age_us=%" I64 " far_below=%d",
        stats->id, stats->peer, get_seconds(stats), sc_viewer_stats_get_codec(stats),
        counts->packets, counts->dropped, counts->key_frames, counts->bytes, counts->flow.waiting,
        counts->flow.age, stats->is_far_below);
}

void sc_viewer_stats_log(const ScViewerStats *stats)
{
    const ScOutboxCounts *counts = &stats->counts;
    g_autofree char *pairs = sc_viewer_stats_format(stats);

    g_log_structured(G_LOG_DOMAIN, G_LOG_LEVEL_MESSAGE,                        /* */
                     "SCANCAST_VIEWER", "%" U64, stats->id,                    /* */
                     "SCANCAST_PEER", "%s", stats->peer,                       /* */
                     "SCANCAST_SECONDS", "%" I64, get_seconds(stats),          /* */
                     "SCANCAST_CODEC", "%s", sc_viewer_stats_get_codec(stats), /* */
                     "SCANCAST_FRAMES", "%" U64, counts->packets,              /* */
                     "SCANCAST_DROPPED", "%" U64, counts->dropped,             /* */
                     "SCANCAST_KEYS", "%" U64, counts->key_frames,             /* */
                     "SCANCAST_BYTES", "%" U64, counts->bytes,                 /* */
                     "MESSAGE", "viewer %s: gone; %s", stats->peer, pairs);
}
