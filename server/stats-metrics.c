/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/stats.h"

#include "server/metrics-text.h"

#define U64 G_GUINT64_FORMAT

/* A metric that streams or viewers have, one sample each. */
typedef struct {
    const char *name, *type, *help;
    double (*get)(gconstpointer item);
} Family;

typedef struct {
    const ScEncoder *encoder;
    ScCodec codec;
    ScStreamCounts counts;
    ScEncoderCounts encoded;
    guint bitrate_kbit;
} StreamItem;

#define GETTER(name, Item, expression)                                                             \
    static double get_##name(gconstpointer data)                                                   \
    {                                                                                              \
        const Item *item = data;                                                                   \
                                                                                                   \
        return (double)(expression);                                                               \
    }

GETTER(stream_packets, StreamItem, item->encoded.pictures)
GETTER(stream_keys, StreamItem, item->encoded.key_frames)
GETTER(stream_bytes, StreamItem, item->encoded.bytes)
GETTER(stream_seconds, StreamItem, item->encoded.encode_us / 1e6)
GETTER(stream_step_downs, StreamItem, item->encoded.step_downs)
GETTER(stream_skipped, StreamItem, item->counts.skipped)
GETTER(stream_bitrate, StreamItem, item->bitrate_kbit * 1000.0)
GETTER(viewer_frames, ScViewerStats, item->counts.packets)
GETTER(viewer_dropped, ScViewerStats, item->counts.dropped)
GETTER(viewer_keys, ScViewerStats, item->counts.key_frames)
GETTER(viewer_bytes, ScViewerStats, item->counts.bytes)
GETTER(viewer_queue, ScViewerStats, item->counts.flow.waiting)
GETTER(viewer_age, ScViewerStats, item->counts.flow.age / 1e6)
GETTER(viewer_far_below, ScViewerStats, item->is_far_below != 0)

static const Family stream_families[] = {
    { "scancast_stream_packets_total", "counter", "Pictures encoded.", get_stream_packets },
    { "scancast_stream_key_frames_total", "counter", "Key frames among them.", get_stream_keys },
    { "scancast_stream_bytes_total", "counter", "Bytes of coded pictures.", get_stream_bytes },
    { "scancast_stream_encode_seconds_total", "counter", "Time encodes took.", get_stream_seconds },
    { "scancast_stream_skipped_frames_total", "counter", "Frames that no viewer had room for.",
      get_stream_skipped },
    { "scancast_stream_step_downs_total", "counter", "Changes to a worse way of encoding.",
      get_stream_step_downs },
    { "scancast_stream_bitrate_bits_per_second", "gauge",
      "Bit rate the encoder is set to; 0 if it has none.", get_stream_bitrate },
};

static const Family viewer_families[] = {
    { "scancast_viewer_frames_total", "counter", "Pictures given to the viewer.",
      get_viewer_frames },
    { "scancast_viewer_dropped_frames_total", "counter", "Pictures it had no room for.",
      get_viewer_dropped },
    { "scancast_viewer_key_frames_total", "counter", "Key frames given to it.", get_viewer_keys },
    { "scancast_viewer_bytes_total", "counter", "Bytes given to it.", get_viewer_bytes },
    { "scancast_viewer_queue_frames", "gauge", "Pictures that wait for its network.",
      get_viewer_queue },
    { "scancast_viewer_queue_age_seconds", "gauge", "How long the oldest of these has waited.",
      get_viewer_age },
    { "scancast_viewer_far_below", "gauge", "1 if it takes far less than most others.",
      get_viewer_far_below },
};

/* What has no labels but the source. */
static void add_one(GString *text, const char *source, const char *name, const char *type,
                    const char *help, double value)
{
    const char *labels[] = { "source", source, NULL };

    sc_metrics_text_add_family(text, name, type, help);
    sc_metrics_text_add_sample(text, name, labels, value);
}

static void add_flushes(GString *text, const char *source)
{
    const ScHistogram *hold = sc_flush_get_hold();
    const char *none[] = { "source", source, NULL };
    const char *p50[] = { "source", source, "quantile", "0.5", NULL };
    const char *p99[] = { "source", source, "quantile", "0.99", NULL };
    ScFlushCounts flushes;

    sc_flush_get_counts(&flushes);
    sc_metrics_text_add_family(text, "scancast_flushes_total", "counter",
                               "Flushes of the guest that were completed.");
    for (guint i = 0; i < SC_FLUSH_N_RESULTS; i++) {
        const char *labels[] = { "source", source, "result", sc_flush_result_name(i), NULL };

        sc_metrics_text_add_sample(text, "scancast_flushes_total", labels,
                                   (double)flushes.completed[i]);
    }
    add_one(text, source, "scancast_flushes_outstanding", "gauge", "Flushes the guest waits for.",
            flushes.outstanding);
    sc_metrics_text_add_family(text, "scancast_flush_hold_seconds", "summary",
                               "How long the guest waited for a flush, within a sixteenth.");
    sc_metrics_text_add_sample(text, "scancast_flush_hold_seconds", p50,
                               (double)sc_histogram_get_percentile(hold, 0.5) / 1e6);
    sc_metrics_text_add_sample(text, "scancast_flush_hold_seconds", p99,
                               (double)sc_histogram_get_percentile(hold, 0.99) / 1e6);
    sc_metrics_text_add_sample(text, "scancast_flush_hold_seconds_sum", none,
                               (double)hold->sum / 1e6);
    sc_metrics_text_add_sample(text, "scancast_flush_hold_seconds_count", none,
                               (double)hold->total);
}

static GArray *collect_streams(const ScHead *head)
{
    GArray *items = g_array_new(FALSE, FALSE, sizeof(StreamItem));

    for (guint i = 0; i < SC_N_CODECS; i++) {
        const ScStream *stream = sc_head_get_stream(head, i);
        StreamItem item = { .codec = i };

        if (stream != NULL) {
            item.encoder = sc_stream_get_encoder(stream);
            sc_stream_get_counts(stream, &item.counts);
            sc_encoder_get_counts(item.encoder, &item.encoded);
            item.bitrate_kbit = sc_stream_get_bitrate(stream);
            g_array_append_val(items, item);
        }
    }
    return items;
}

static void add_streams(GString *text, const char *source, const ScHead *head)
{
    g_autoptr(GArray) items = collect_streams(head);

    for (guint i = 0; i < G_N_ELEMENTS(stream_families); i++) {
        const Family *family = &stream_families[i];

        sc_metrics_text_add_family(text, family->name, family->type, family->help);
        for (guint j = 0; j < items->len; j++) {
            const StreamItem *item = &g_array_index(items, StreamItem, j);
            const char *labels[] = { "source", source, "codec", sc_codec_name(item->codec), NULL };

            sc_metrics_text_add_sample(text, family->name, labels, family->get(item));
        }
    }
    sc_metrics_text_add_family(text, "scancast_stream_rung", "gauge",
                               "The way of encoding in use, always 1.");
    for (guint j = 0; j < items->len; j++) {
        const StreamItem *item = &g_array_index(items, StreamItem, j);
        const char *labels[] = { "source", source,
                                 "codec",  sc_codec_name(item->codec),
                                 "rung",   sc_encoder_get_rung(item->encoder),
                                 NULL };

        sc_metrics_text_add_sample(text, "scancast_stream_rung", labels, 1);
    }
}

static void collect_viewer(const ScViewerStats *stats, gpointer data)
{
    g_array_append_vals(data, stats, 1);
}

static void add_viewers(GString *text, const char *source, const ScAudience *audience)
{
    g_autoptr(GArray) items = g_array_new(FALSE, FALSE, sizeof(ScViewerStats));

    sc_audience_foreach(audience, collect_viewer, items);
    for (guint i = 0; i < G_N_ELEMENTS(viewer_families); i++) {
        const Family *family = &viewer_families[i];

        sc_metrics_text_add_family(text, family->name, family->type, family->help);
        for (guint j = 0; j < items->len; j++) {
            const ScViewerStats *item = &g_array_index(items, ScViewerStats, j);
            g_autofree char *id = g_strdup_printf("%" U64, item->id);
            const char *labels[] = { "source", source,
                                     "viewer", id,
                                     "peer",   item->peer,
                                     "codec",  sc_viewer_stats_get_codec(item),
                                     NULL };

            sc_metrics_text_add_sample(text, family->name, labels, family->get(item));
        }
    }
}

char *sc_stats_format_metrics(const char *source, const ScHead *head, const ScAudience *audience)
{
    GString *text = g_string_new(NULL);
    ScAudienceCounts counts;

    sc_audience_get_counts(audience, &counts);
    add_one(text, source, "scancast_frames_total", "counter", "Frames that came from the source.",
            (double)sc_head_get_frames(head));
    add_one(text, source, "scancast_viewers", "gauge", "Viewers.", counts.viewers);
    add_one(text, source, "scancast_viewers_joined_total", "counter",
            "Viewers that have joined, those gone included.", (double)counts.joined);
    add_one(text, source, "scancast_sent_frames_total", "counter",
            "Pictures given to viewers, those gone included.", (double)counts.sent);
    add_one(text, source, "scancast_dropped_frames_total", "counter",
            "Pictures viewers had no room for, those gone included.", (double)counts.dropped);
    add_flushes(text, source);
    add_streams(text, source, head);
    add_viewers(text, source, audience);
    return g_string_free(text, FALSE);
}
