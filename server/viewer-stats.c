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
    g_autofree char *message = g_strdup_printf("viewer %s: gone; %s", stats->peer, pairs);
    g_autoptr(GVariant) fields = NULL;
    GVariantDict dict;

    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "MESSAGE", "s", message);
    g_variant_dict_insert(&dict, "SCANCAST_VIEWER", "t", stats->id);
    g_variant_dict_insert(&dict, "SCANCAST_PEER", "s", stats->peer);
    g_variant_dict_insert(&dict, "SCANCAST_SECONDS", "x", get_seconds(stats));
    g_variant_dict_insert(&dict, "SCANCAST_CODEC", "s", sc_viewer_stats_get_codec(stats));
    g_variant_dict_insert(&dict, "SCANCAST_FRAMES", "t", counts->packets);
    g_variant_dict_insert(&dict, "SCANCAST_DROPPED", "t", counts->dropped);
    g_variant_dict_insert(&dict, "SCANCAST_KEYS", "t", counts->key_frames);
    g_variant_dict_insert(&dict, "SCANCAST_BYTES", "t", counts->bytes);
    fields = g_variant_ref_sink(g_variant_dict_end(&dict));
    g_log_variant(G_LOG_DOMAIN, G_LOG_LEVEL_MESSAGE, fields);
}
