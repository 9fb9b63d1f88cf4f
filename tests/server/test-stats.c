/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told of viewers, and the format Prometheus reads. tests/e2e/metrics.py reads all of it.
 */
#include "server/metrics-text.h"
#include "server/viewer-stats.h"

#include <string.h>

static void test_metrics_text(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const char *none[] = { NULL };
    const char *one[] = { "name", "plain", NULL };
    const char *odd[] = { "a", "x\\y\"z\nw", "b", "caf\xc3\xa9 \xff", "c", "", NULL };

    sc_metrics_text_add_family(text, "things_total", "counter", "Things.");
    sc_metrics_text_add_sample(text, "things_total", none, 0);
    sc_metrics_text_add_sample(text, "things_total", one, 123456789012345);
    sc_metrics_text_add_sample(text, "things_total", odd, 0.000125);
    g_assert_cmpstr(text->str, ==,
                    "# HELP things_total Things.\n"
                    "# TYPE things_total counter\n"
                    "things_total 0\n"
                    "things_total{name=\"plain\"} 123456789012345\n"
                    "things_total{a=\"x\\\\y\\\"z\\nw\",b=\"caf\xc3\xa9 \xef\xbf\xbd\",c=\"\"} "
                    "0.000125\n");
}

static const ScViewerStats viewer = {
    .id = 7,
    .peer = "192.0.2.1:4711",
    .is_ready = TRUE,
    .codec = SC_CODEC_H264,
    .counts = { .packets = 100,
                .bytes = 5000000000,
                .key_frames = 3,
                .dropped = 2,
                .flow = { .waiting = 4, .age = 2500 } },
    .is_far_below = TRUE,
};

static void test_viewer_format(void)
{
    ScViewerStats stats = viewer;
    g_autofree char *text = NULL;
    g_autofree char *text_before = NULL;

    stats.since = g_get_monotonic_time();
    text = sc_viewer_stats_format(&stats);
    g_assert_cmpstr(text, ==,
                    "viewer=7 peer=192.0.2.1:4711 seconds=0 codec=H.264 frames=100 dropped=2 "
                    "keys=3 bytes=5000000000 queued=4 queue_age_us=2500 far_below=1");
    stats.is_ready = FALSE;
    text_before = sc_viewer_stats_format(&stats);
    g_assert_nonnull(strstr(text_before, " codec=none "));
}

static GHashTable *logged;

static GLogWriterOutput collect(GLogLevelFlags level, const GLogField *fields, gsize n_fields,
                                gpointer data)
{
    for (gsize i = 0; i < n_fields; i++) {
        g_hash_table_insert(logged, g_strdup(fields[i].key),
                            fields[i].length < 0 ? g_strdup(fields[i].value)
                                                 : g_strndup(fields[i].value, fields[i].length));
    }
    return G_LOG_WRITER_HANDLED;
}

static void test_viewer_log(void)
{
    static const char *const wanted[][2] = {
        { "GLIB_DOMAIN", "scancast-server" }, { "PRIORITY", "5" },
        { "SCANCAST_VIEWER", "7" },           { "SCANCAST_PEER", "192.0.2.1:4711" },
        { "SCANCAST_CODEC", "H.264" },        { "SCANCAST_FRAMES", "100" },
        { "SCANCAST_DROPPED", "2" },          { "SCANCAST_KEYS", "3" },
        { "SCANCAST_BYTES", "5000000000" },
    };
    const char *message;

    logged = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_log_set_writer_func(collect, NULL, NULL);
    sc_viewer_stats_log(&viewer);
    for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++) {
        g_assert_cmpstr(g_hash_table_lookup(logged, wanted[i][0]), ==, wanted[i][1]);
    }
    message = g_hash_table_lookup(logged, "MESSAGE");
    g_assert_true(g_str_has_prefix(message, "viewer 192.0.2.1:4711: gone; viewer=7 peer="));
    g_assert_null(strchr(message, '\n'));
    g_hash_table_unref(logged);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stats/metrics-text", test_metrics_text);
    g_test_add_func("/stats/viewer/format", test_viewer_format);
    g_test_add_func("/stats/viewer/log", test_viewer_log);
    return g_test_run();
}
