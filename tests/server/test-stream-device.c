/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stream device against the real libspice-server without a client, which takes everything and
 * complains of what is malformed (a critical message of ours, which fails the test), and against
 * bytes of our own. tests/server/test-viewer.c has the client. */
#include "server/spice-compat.h"
#include "server/spice-core.h"
#include "server/stream-device.h"

#include <spice/enums.h>
#include <spice/stream-device.h>
#include <string.h>

typedef struct {
    SpiceCoreInterface core;
    SpiceServer *server;
    ScStreamDevice *device;
    guint n_taken, n_delivered, n_codecs, codecs;
    gboolean in_write;
} Fixture;

/* Messages of libscancast's, of which those that tests ask for are not fatal. */
static guint n_complaints;

static GLogWriterOutput count_complaints(GLogLevelFlags level, const GLogField *fields,
                                         gsize n_fields, gpointer data)
{
    if (level & (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL)) {
        n_complaints++;
    }
    return g_log_writer_default(level, fields, n_fields, data);
}

#define ASSERT_COMPLAINS(statement)                                                                \
    G_STMT_START                                                                                   \
    {                                                                                              \
        GLogLevelFlags fatal = g_log_set_always_fatal(G_LOG_LEVEL_ERROR);                          \
        guint before = n_complaints;                                                               \
        statement;                                                                                 \
        g_assert_cmpuint(n_complaints, ==, before + 1);                                            \
        g_log_set_always_fatal(fatal);                                                             \
    }                                                                                              \
    G_STMT_END

static void on_codecs(guint codecs, gpointer data)
{
    Fixture *fixture = data;

    g_assert_false(fixture->in_write);
    fixture->n_codecs++;
    fixture->codecs = codecs;
}

static void on_taken(ScPacket *packet, gpointer data)
{
    ((Fixture *)data)->n_taken++;
}

static void on_delivered(gpointer data)
{
    Fixture *fixture = data;

    fixture->n_delivered++;
    g_assert_cmpuint(fixture->n_delivered, <=, fixture->n_taken);
}

static void on_channel_event(int event, SpiceChannelEventInfo *info)
{
}

static void fixture_set_up(Fixture *fixture, gconstpointer data)
{
    const ScStreamDeviceListener listener = {
        .codecs = on_codecs,
        .taken = on_taken,
        .delivered = on_delivered,
    };
    g_autoptr(GError) error = NULL;

    sc_spice_core_init(&fixture->core, on_channel_event);
    fixture->server = spice_server_new();
    g_assert_cmpint(spice_server_init(fixture->server, &fixture->core), ==, 0);
    fixture->device = sc_stream_device_new(fixture->server, &listener, fixture, &error);
    g_assert_no_error(error);
}

static void fixture_tear_down(Fixture *fixture, gconstpointer data)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    spice_server_destroy(fixture->server);
    sc_stream_device_free(fixture->device);
}

static ScPacket *make_packet(ScCodec codec, guint32 width, guint32 height, gsize size)
{
    const ScPacketInfo info = { .codec = codec, .width = width, .height = height, .is_key = TRUE };
    g_autoptr(GBytes) bytes = g_bytes_new_take(g_malloc0(size), size);

    return sc_packet_new(bytes, &info);
}

static gboolean send_packet(Fixture *fixture, ScCodec codec, guint32 width, guint32 height,
                            gsize size)
{
    g_autoptr(ScPacket) packet = make_packet(codec, width, height, size);

    return sc_stream_device_send_packet(fixture->device, packet);
}

static void test_packets(Fixture *fixture, gconstpointer data)
{
    const gsize limit = 32 * 1024 * 1024;
    const gsize h264_limit = limit - g_bytes_get_size(sc_spice_compat_get_h264_tail());
    gsize bytes;

    /* Not open yet: they wait. */
    g_assert_true(send_packet(fixture, SC_CODEC_H264, 801, 601, 1));
    g_assert_true(send_packet(fixture, SC_CODEC_H264, 801, 601, 99));
    g_assert_cmpuint(sc_stream_device_get_queued(fixture->device, &bytes), ==, 2);
    g_assert_cmpuint(bytes, ==, 100);
    sc_stream_device_open(fixture->device);
    g_assert_cmpuint(fixture->n_taken, ==, 2);
    g_assert_cmpuint(fixture->n_delivered, ==, 2);
    g_assert_cmpuint(sc_stream_device_get_queued(fixture->device, &bytes), ==, 0);
    g_assert_cmpuint(bytes, ==, 0);

    g_assert_true(send_packet(fixture, SC_CODEC_MJPEG, 801, 601, 1234567));
    g_assert_true(send_packet(fixture, SC_CODEC_H264, 1, 1, h264_limit));
    g_assert_true(send_packet(fixture, SC_CODEC_MJPEG, 16384, 16384, limit));
    g_assert_cmpuint(fixture->n_taken, ==, 5);

    ASSERT_COMPLAINS(g_assert_false(send_packet(fixture, SC_CODEC_H264, 1, 1, h264_limit + 1)));
    ASSERT_COMPLAINS(g_assert_false(send_packet(fixture, SC_CODEC_MJPEG, 1, 1, limit + 1)));
    ASSERT_COMPLAINS(g_assert_false(send_packet(fixture, SC_CODEC_H264, 1, 1, 0)));
    g_assert_cmpuint(fixture->n_taken, ==, 5);
}

static void test_clear(Fixture *fixture, gconstpointer data)
{
    gsize bytes;

    send_packet(fixture, SC_CODEC_H264, 64, 64, 10);
    send_packet(fixture, SC_CODEC_H264, 64, 64, 10);
    g_assert_cmpuint(sc_stream_device_clear(fixture->device), ==, 2);
    g_assert_cmpuint(sc_stream_device_get_queued(fixture->device, &bytes), ==, 0);
    g_assert_cmpuint(bytes, ==, 0);
    sc_stream_device_open(fixture->device);
    g_assert_cmpuint(fixture->n_taken, ==, 0);
    send_packet(fixture, SC_CODEC_H264, 64, 64, 10);
    g_assert_cmpuint(fixture->n_taken, ==, 1);
}

static void test_cursors(Fixture *fixture, gconstpointer data)
{
    const guint sizes[][2] = { { 1, 1 }, { 64, 64 }, { 3, 511 }, { 512, 512 } };
    g_autofree guint32 *argb = g_new0(guint32, 512 * 512);

    sc_stream_device_open(fixture->device);
    sc_stream_device_send_cursor(fixture->device, NULL);
    sc_stream_device_send_cursor_position(fixture->device, -5, 70000);
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(ScCursor) cursor =
            sc_cursor_new(sizes[i][0], sizes[i][1], sizes[i][0] - 1, sizes[i][1] - 1, argb, NULL);

        g_assert_nonnull(cursor);
        sc_stream_device_send_cursor(fixture->device, cursor);
    }
    send_packet(fixture, SC_CODEC_H264, 64, 64, 10);
    g_assert_cmpuint(fixture->n_taken, ==, 1);
}

/* Plays libspice-server. */
static void write_bytes(Fixture *fixture, gconstpointer bytes, gsize size, gsize piece)
{
    SpiceCharDeviceInstance *instance = (SpiceCharDeviceInstance *)fixture->device;
    const SpiceCharDeviceInterface *interface =
        SPICE_CONTAINEROF(instance->base.sif, SpiceCharDeviceInterface, base);

    fixture->in_write = TRUE;
    for (gsize offset = 0; offset < size; offset += piece) {
        gsize length = MIN(piece, size - offset);

        g_assert_cmpint(interface->write(instance, (const uint8_t *)bytes + offset, length), ==,
                        length);
    }
    fixture->in_write = FALSE;
}

static void write_message(Fixture *fixture, guint type, gconstpointer body, gsize size, gsize piece)
{
    StreamDevHeader header = {
        .protocol_version = STREAM_DEVICE_PROTOCOL,
        .type = GUINT16_TO_LE(type),
        .size = GUINT32_TO_LE(size),
    };
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    g_byte_array_append(bytes, (const guint8 *)&header, sizeof header);
    g_byte_array_append(bytes, body, size);
    write_bytes(fixture, bytes->data, bytes->len, piece);
}

static void run(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static void test_start_stop(Fixture *fixture, gconstpointer data)
{
    const guint8 all[] = { 6, 1, 2, 3, 4, 5, 99 }, mjpeg[] = { 1, 1 }, none[] = { 0 };
    const guint mjpeg_bit = 1u << SC_CODEC_MJPEG;

    sc_stream_device_open(fixture->device);
    for (gsize piece = 1; piece < 16; piece++) {
        fixture->n_codecs = 0;
        write_message(fixture, STREAM_TYPE_START_STOP, all, sizeof all, piece);
        /* Nothing may be read before it is answered. */
        send_packet(fixture, SC_CODEC_H264, 64, 64, 10);
        g_assert_cmpuint(sc_stream_device_get_queued(fixture->device, NULL), ==, 1);
        run();
        g_assert_cmpuint(fixture->n_codecs, ==, 1);
        g_assert_cmphex(fixture->codecs, ==, (1u << SC_N_CODECS) - 1);
        g_assert_cmpuint(sc_stream_device_get_queued(fixture->device, NULL), ==, 0);
    }
    write_message(fixture, STREAM_TYPE_START_STOP, mjpeg, sizeof mjpeg, 3);
    run();
    g_assert_cmphex(fixture->codecs, ==, mjpeg_bit);
    /* Of several only the last counts. */
    fixture->n_codecs = 0;
    write_message(fixture, STREAM_TYPE_START_STOP, mjpeg, sizeof mjpeg, 3);
    write_message(fixture, STREAM_TYPE_START_STOP, none, sizeof none, 100);
    run();
    g_assert_cmpuint(fixture->n_codecs, ==, 1);
    g_assert_cmphex(fixture->codecs, ==, 0);
}

static void test_odd_bytes(Fixture *fixture, gconstpointer data)
{
    g_autofree guint8 *body = g_malloc0(100000);
    const guint8 lying[] = { 200, 1, 3 }, mjpeg[] = { 1, 1 };

    ASSERT_COMPLAINS(write_message(fixture, STREAM_TYPE_START_STOP, lying, sizeof lying, 1));
    ASSERT_COMPLAINS(write_message(fixture, STREAM_TYPE_START_STOP, NULL, 0, 1));
    ASSERT_COMPLAINS(write_message(fixture, STREAM_TYPE_NOTIFY_ERROR, "\0\0\0\0no", 7, 1));
    ASSERT_COMPLAINS(write_message(fixture, STREAM_TYPE_NOTIFY_ERROR, "\0\0", 2, 1));
    write_message(fixture, STREAM_TYPE_CAPABILITIES, body, STREAM_MSG_CAPABILITIES_MAX_BYTES, 7);
    write_message(fixture, STREAM_TYPE_CAPABILITIES, body, 100000, 777);
    write_message(fixture, 999, body, 5, 1);
    run();
    g_assert_cmpuint(fixture->n_codecs, ==, 0);
    write_message(fixture, STREAM_TYPE_START_STOP, mjpeg, sizeof mjpeg, 1);
    run();
    g_assert_cmpuint(fixture->n_codecs, ==, 1);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_writer_func(count_complaints, NULL, NULL);
#define ADD(path, func)                                                                            \
    g_test_add("/stream-device/" path, Fixture, NULL, fixture_set_up, func, fixture_tear_down)
    ADD("packets", test_packets);
    ADD("clear", test_clear);
    ADD("cursors", test_cursors);
    ADD("start-stop", test_start_stop);
    ADD("odd-bytes", test_odd_bytes);
    return g_test_run();
}
