/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/stats.h"

#define U64 G_GUINT64_FORMAT
#define I64 G_GINT64_FORMAT

/* Of whatever it consists, it stays one word of one line. */
static void append_quoted(GString *line, const char *name, const char *text)
{
    g_autofree char *plain = g_strdelimit(g_strdup(text), "\"\n\r", '\'');

    g_string_append_printf(line, " %s=\"%s\"", name, plain);
}

static void append_stream(GString *line, const ScStream *stream, ScCodec codec)
{
    ScStreamCounts stream_counts;
    ScEncoderCounts encoder_counts;
    const ScEncoder *encoder = sc_stream_get_encoder(stream);
    const char *reason = sc_encoder_get_step_down_reason(encoder);

    sc_stream_get_counts(stream, &stream_counts);
    sc_encoder_get_counts(encoder, &encoder_counts);
    g_string_append_printf(line, " codec=%s", sc_codec_name(codec));
    append_quoted(line, "rung", sc_encoder_get_rung(encoder));
    g_string_append_printf(line,
                           " encoded=%" U64 " absorbed=%" U64 " replaced=%" U64 " skipped=%" U64
                           " repeated=%" U64 " packets=%" U64 " keys=%" U64 " bytes=%" U64
                           " encode_us=%" U64 " bitrate_kbit=%u"
                           " step_downs=%" U64,
                           stream_counts.encoded, stream_counts.absorbed, stream_counts.replaced,
                           stream_counts.skipped, stream_counts.repeated, encoder_counts.pictures,
                           encoder_counts.key_frames, encoder_counts.bytes,
                           encoder_counts.encode_us / MAX(encoder_counts.pictures, 1),
                           sc_stream_get_bitrate(stream), encoder_counts.step_downs);
    if (reason != NULL) {
        append_quoted(line, "step_down_reason", reason);
    }
}

char *sc_stats_format(const ScHead *head, const ScAudienceCounts *viewers)
{
    GString *line = g_string_new(NULL);
    ScFlushCounts flushes;
    guint64 completed = 0;

    sc_flush_get_counts(&flushes);
    g_string_append_printf(line, "frames=%" U64 " viewers=%u sent=%" U64 " lost=%" U64,
                           sc_head_get_frames(head), viewers->viewers, viewers->sent,
                           viewers->dropped);
    for (guint i = 0; i < SC_FLUSH_N_RESULTS; i++) {
        g_string_append_printf(line, " flushes_%s=%" U64, sc_flush_result_name(i),
                               flushes.completed[i]);
        completed += flushes.completed[i];
    }
    g_string_append_printf(
        line, " flushes_outstanding=%u hold_us=%" U64 " hold_p50_us=%" I64 " hold_p99_us=%" I64,
        flushes.outstanding, (guint64)flushes.held / MAX(completed, 1),
        sc_histogram_get_percentile(sc_flush_get_hold(), 0.5),
        sc_histogram_get_percentile(sc_flush_get_hold(), 0.99));
    for (guint i = 0; i < SC_N_CODECS; i++) {
        if (sc_head_get_stream(head, i) != NULL) {
            append_stream(line, sc_head_get_stream(head, i), i);
        }
    }
    return g_string_free(line, FALSE);
}
