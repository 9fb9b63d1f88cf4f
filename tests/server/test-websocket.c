/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/error.h"
#include "server/websocket.h"

#include <string.h>

#define BASE                                                                                       \
    "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"                                    \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

typedef struct {
    const char *name;
    const char *request; /* without the empty line */
    gboolean is_open;
    const char *answer; /* how it begins */
} Request;

static const Request requests[] = {
    { "plain", "GET / HTTP/1.1\r\nHost: a:1\r\n" BASE, TRUE, "HTTP/1.1 101 " },
    { "path", "GET /websockify?x HTTP/1.1\r\n" BASE, TRUE, "HTTP/1.1 101 " },
    { "post", "POST / HTTP/1.1\r\n" BASE, TRUE, "HTTP/1.1 400 " },
    { "old", "GET / HTTP/1.0\r\n" BASE, TRUE, "HTTP/1.1 400 " },
    { "browser", "GET / HTTP/1.1\r\nHost: a\r\n", TRUE, "HTTP/1.1 426 " },
    { "key-twice", "GET / HTTP/1.1\r\nSec-WebSocket-Key: x\r\n" BASE, TRUE, "HTTP/1.1 426 " },
    { "key-bad",
      "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhl\r\nSec-WebSocket-Version: 13\r\n",
      TRUE, "HTTP/1.1 426 " },
    { "version",
      "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n",
      TRUE, "HTTP/1.1 426 " },
    { "own-page",
      "GET / HTTP/1.1\r\nHost: 127.0.0.1:5930\r\nOrigin: http://127.0.0.1:8000\r\n" BASE, TRUE,
      "HTTP/1.1 101 " },
    { "localhost", "GET / HTTP/1.1\r\nHost: LocalHost:5930\r\nOrigin: http://localhost\r\n" BASE,
      TRUE, "HTTP/1.1 101 " },
    { "ipv6", "GET / HTTP/1.1\r\nHost: [::1]:5930\r\nOrigin: https://[::1]:8000\r\n" BASE, TRUE,
      "HTTP/1.1 101 " },
    { "other-page", "GET / HTTP/1.1\r\nHost: 127.0.0.1:5930\r\nOrigin: http://evil.test\r\n" BASE,
      TRUE, "HTTP/1.1 403 " },
    { "other-page-password", "GET / HTTP/1.1\r\nHost: h:1\r\nOrigin: http://evil.test\r\n" BASE,
      FALSE, "HTTP/1.1 403 " },
    { "rebound", "GET / HTTP/1.1\r\nHost: evil.test:5930\r\nOrigin: http://evil.test\r\n" BASE,
      TRUE, "HTTP/1.1 403 " },
    { "rebound-password", "GET / HTTP/1.1\r\nHost: h.test:1\r\nOrigin: http://h.test\r\n" BASE,
      FALSE, "HTTP/1.1 101 " },
    { "no-page", "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n" BASE, TRUE,
      "HTTP/1.1 403 " },
    { "no-host", "GET / HTTP/1.1\r\nOrigin: http://localhost\r\n" BASE, TRUE, "HTTP/1.1 403 " },
    { "nothing", "", TRUE, "HTTP/1.1 400 " },
};

static void test_request(gconstpointer data)
{
    const Request *row = data;
    g_autofree char *request = g_strconcat(row->request, "\r\n", NULL);
    gboolean accepted;
    g_autofree char *answer = sc_websocket_answer(request, row->is_open, &accepted);

    g_assert_true(g_str_has_prefix(answer, row->answer));
    g_assert_true(g_str_has_suffix(answer, "\r\n\r\n"));
    g_assert_cmpint(accepted, ==, g_str_has_prefix(answer, "HTTP/1.1 101 "));
    /* The example of RFC 6455, 1.3. */
    g_assert_cmpint(strstr(answer, "Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") != NULL, ==,
                    accepted);
}

static void test_protocol(void)
{
    gboolean accepted;
    g_autofree char *with = sc_websocket_answer("GET / HTTP/1.1\r\n" BASE
                                                "Sec-WebSocket-Protocol: base64, binary\r\n\r\n",
                                                TRUE, &accepted);
    g_autofree char *without =
        sc_websocket_answer("GET / HTTP/1.1\r\n" BASE "\r\n", TRUE, &accepted);

    g_assert_nonnull(strstr(with, "\r\nSec-WebSocket-Protocol: binary\r\n"));
    g_assert_null(strstr(without, "Protocol: "));
}

static void append_frame(GByteArray *out, guint8 first, const guint8 *bytes, guint64 size,
                         guint8 length_kind)
{
    const guint8 mask[] = { 0x9a, 0x01, 0xff, 0x30 };
    guint8 header[2] = { first, 0x80 | (length_kind != 0 ? length_kind : size) };
    guint n_length = length_kind == 126 ? 2 : length_kind == 127 ? 8 : 0;

    g_byte_array_append(out, header, sizeof header);
    for (guint i = n_length; i > 0; i--) {
        guint8 byte = size >> (8 * (i - 1));

        g_byte_array_append(out, &byte, 1);
    }
    g_byte_array_append(out, mask, sizeof mask);
    for (guint64 i = 0; i < size; i++) {
        guint8 byte = bytes[i] ^ mask[i % 4];

        g_byte_array_append(out, &byte, 1);
    }
}

/* Decodes in pieces of up to @most bytes, 0: of any size. NULL: refused. */
static GByteArray *decode(ScWebsocket *websocket, const GByteArray *in, gsize most)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    gsize done = 0;

    while (done < in->len) {
        gsize size = most != 0 ? most : (gsize)g_test_rand_int_range(1, 300), piece;
        g_autoptr(GError) error = NULL;
        g_autofree guint8 *bytes = NULL;

        size = piece = MIN(size, in->len - done);
        bytes = g_memdup2(in->data + done, size); /* a buffer of just its size, for sanitizers */
        if (!sc_websocket_decode(websocket, bytes, &size, &error)) {
            g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
            return NULL;
        }
        g_assert_cmpuint(size, <=, piece);
        g_byte_array_append(out, bytes, size);
        done += piece;
    }
    return g_steal_pointer(&out);
}

static void test_frames(void)
{
    g_autoptr(GByteArray) in = g_byte_array_new();
    g_autofree guint8 *bytes = g_malloc(100000);

    for (guint i = 0; i < 100000; i++) {
        bytes[i] = i * 7;
    }
    append_frame(in, 0x82, bytes, 100, 0);
    append_frame(in, 0x02, bytes + 100, 20, 126);
    append_frame(in, 0x89, bytes, 125, 0); /* a ping amid a message */
    append_frame(in, 0x00, bytes + 120, 0, 0);
    append_frame(in, 0x80, bytes + 120, 40000, 126);
    append_frame(in, 0x8a, bytes, 3, 0);
    append_frame(in, 0x82, bytes + 40120, 59880, 127);
    for (gsize most = 0; most <= 4; most++) {
        g_autoptr(ScWebsocket) websocket = sc_websocket_new();
        guint8 reply[SC_WEBSOCKET_MAX_REPLY];
        g_autoptr(GByteArray) out = decode(websocket, in, most < 4 ? most : in->len);

        g_assert_cmpmem(out->data, out->len, bytes, 100000);
        g_assert_cmpuint(sc_websocket_take_reply(websocket, reply), ==, 127);
        g_assert_cmphex(reply[0], ==, 0x8a);
        g_assert_cmpuint(reply[1], ==, 125);
        g_assert_cmpmem(reply + 2, 125, bytes, 125);
        g_assert_cmpuint(sc_websocket_take_reply(websocket, reply), ==, 0);
        g_assert_false(sc_websocket_is_closed(websocket));
    }
}

static void test_close(void)
{
    g_autoptr(ScWebsocket) websocket = sc_websocket_new();
    g_autoptr(GByteArray) in = g_byte_array_new(), out = NULL;
    guint8 reply[SC_WEBSOCKET_MAX_REPLY];

    append_frame(in, 0x82, (const guint8 *)"last", 4, 0);
    append_frame(in, 0x88, (const guint8 *)"\x03\xe8", 2, 0);
    append_frame(in, 0x82, (const guint8 *)"too late", 8, 0);
    out = decode(websocket, in, 0);
    g_assert_cmpmem(out->data, out->len, "last", 4);
    g_assert_true(sc_websocket_is_closed(websocket));
    g_assert_cmpuint(sc_websocket_take_reply(websocket, reply), ==, 4);
    g_assert_cmpmem(reply, 4, SC_WEBSOCKET_CLOSE, SC_WEBSOCKET_CLOSE_SIZE);
}

static void assert_bad(const char *bytes, gsize size)
{
    g_autoptr(ScWebsocket) websocket = sc_websocket_new();
    g_autoptr(GByteArray) in = g_byte_array_new();

    g_byte_array_append(in, (const guint8 *)bytes, size);
    g_assert_null(decode(websocket, in, 1));
}

static void test_bad_frames(void)
{
    assert_bad("\x82\x01\0\0\0\0x", 7);                                 /* not masked */
    assert_bad("\xc2\x81\0\0\0\0x", 7);                                 /* a reserved bit */
    assert_bad("\x81\x81\0\0\0\0x", 7);                                 /* text */
    assert_bad("\x83\x81\0\0\0\0x", 7);                                 /* unknown */
    assert_bad("\x80\x81\0\0\0\0x", 7);                                 /* continues nothing */
    assert_bad("\x02\x80\0\0\0\0\x82\x80\0\0\0\0", 12);                 /* begins in the middle */
    assert_bad("\x09\x80\0\0\0\0", 6);                                  /* a ping in pieces */
    assert_bad("\x89\xfe\0\x7e\0\0\0\0", 8);                            /* a ping of 126 bytes */
    assert_bad("\x88\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14); /* a huge farewell */
}

static void test_random(void)
{
    for (guint i = 0; i < 20000; i++) {
        g_autoptr(ScWebsocket) websocket = sc_websocket_new();
        g_autoptr(GByteArray) in = g_byte_array_new(), out = NULL;
        guint n = g_test_rand_int_range(1, 400);

        for (guint j = 0; j < n; j++) {
            guint8 byte = j == 0   ? 0x82
                          : j == 1 ? 0x80 | g_test_rand_int_range(0, 128)
                                   : g_test_rand_int_range(0, 256);

            g_byte_array_append(in, &byte, 1);
        }
        out = decode(websocket, in, 0);
    }
}

static void test_header(void)
{
    guint8 header[SC_WEBSOCKET_MAX_HEADER];

    g_assert_cmpuint(sc_websocket_make_header(header, 125), ==, 2);
    g_assert_cmpmem(header, 2, "\x82\x7d", 2);
    g_assert_cmpuint(sc_websocket_make_header(header, 126), ==, 4);
    g_assert_cmpmem(header, 4, "\x82\x7e\x00\x7e", 4);
    g_assert_cmpuint(sc_websocket_make_header(header, 65535), ==, 4);
    g_assert_cmpmem(header, 4, "\x82\x7e\xff\xff", 4);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(requests); i++) {
        g_autofree char *path = g_strdup_printf("/websocket/request/%s", requests[i].name);

        g_test_add_data_func(path, &requests[i], test_request);
    }
    g_test_add_func("/websocket/protocol", test_protocol);
    g_test_add_func("/websocket/frames", test_frames);
    g_test_add_func("/websocket/close", test_close);
    g_test_add_func("/websocket/bad-frames", test_bad_frames);
    g_test_add_func("/websocket/random", test_random);
    g_test_add_func("/websocket/header", test_header);
    return g_test_run();
}
