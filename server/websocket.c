/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/websocket.h"

#include "capture/error.h"

#include <gio/gio.h>
#include <string.h>

/* RFC 6455, 1.3: what the answer's hash begins with is the client's key and then this. */
#define KEY_SUFFIX "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_SIZE 16

#define MAX_LINES 100

/* RFC 6455, 5.2. */
enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
#define FIN 0x80
#define RESERVED 0x70
#define OPCODE 0x0f
#define MASKED 0x80
#define IS_CONTROL 0x08

#define MAX_CONTROL_SIZE 125
#define MAX_CLIENT_HEADER (2 + 8 + 4)

struct ScWebsocket {
    guint8 header[MAX_CLIENT_HEADER];
    gsize header_size; /* of it, what is there */

    gboolean in_payload;
    guint8 opcode;
    guint64 left; /* of the payload */
    guint8 mask[4];
    guint mask_position;
    gboolean in_message; /* a continuation may come */

    guint8 control[MAX_CONTROL_SIZE];
    gsize control_size;

    guint8 reply[SC_WEBSOCKET_MAX_REPLY];
    gsize reply_size;
    gboolean is_closed;
};

/* The request */

/* Stripped; NULL if there is none, "" if there are several, which no honest client sends. */
static const char *find_header(char **lines, const char *name)
{
    const char *found = NULL;
    gsize length = strlen(name);

    for (char **line = lines; *line != NULL; line++) {
        if (g_ascii_strncasecmp(*line, name, length) == 0 && (*line)[length] == ':') {
            if (found != NULL) {
                return "";
            }
            found = *line + length + 1 + strspn(*line + length + 1, " \t");
        }
    }
    return found;
}

/* @value is a list with commas between. */
static gboolean has_token(const char *value, const char *token)
{
    g_auto(GStrv) items = g_strsplit(value != NULL ? value : "", ",", MAX_LINES);

    for (char **item = items; *item != NULL; item++) {
        if (g_ascii_strcasecmp(g_strstrip(*item), token) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* The host of "host", "host:port", "[host]:port"; NULL if it is none. */
static char *get_host(const char *authority)
{
    g_autofree char *uri = g_strdup_printf("http://%s/", authority);
    g_autoptr(GUri) parsed = g_uri_parse(uri, G_URI_FLAGS_NONE, NULL);

    return parsed != NULL ? g_strdup(g_uri_get_host(parsed)) : NULL;
}

static gboolean is_own_page(char **lines, gboolean is_open)
{
    const char *origin = find_header(lines, "Origin");
    const char *host_header = find_header(lines, "Host");
    g_autoptr(GUri) page = NULL;
    g_autofree char *host = NULL;

    if (origin == NULL) {
        return TRUE; /* no browser */
    }
    page = g_uri_parse(origin, G_URI_FLAGS_NONE, NULL);
    host = host_header != NULL ? get_host(host_header) : NULL;
    if (page == NULL || g_uri_get_host(page) == NULL || host == NULL ||
        g_ascii_strcasecmp(g_uri_get_host(page), host) != 0) {
        return FALSE;
    }
    return !is_open || g_hostname_is_ip_address(host) || g_ascii_strcasecmp(host, "localhost") == 0;
}

static gboolean is_key(const char *key)
{
    g_autofree guchar *bytes = NULL;
    gsize size = 0;

    if (key == NULL || key[0] == '\0') {
        return FALSE;
    }
    bytes = g_base64_decode(key, &size);
    return size == KEY_SIZE;
}

static char *refuse(const char *status, const char *header)
{
    return g_strdup_printf("HTTP/1.1 %s\r\n%sConnection: close\r\nContent-Length: 0\r\n\r\n",
                           status, header);
}

static char *accept(const char *key, gboolean names_binary)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA1);
    g_autofree char *hash = NULL;
    guint8 digest[20];
    gsize size = sizeof digest;

    g_checksum_update(checksum, (const guchar *)key, strlen(key));
    g_checksum_update(checksum, (const guchar *)KEY_SUFFIX, strlen(KEY_SUFFIX));
    g_checksum_get_digest(checksum, digest, &size);
    hash = g_base64_encode(digest, size);
    return g_strdup_printf("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                           "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
                           hash, names_binary ? "Sec-WebSocket-Protocol: binary\r\n" : "");
}

char *sc_websocket_answer(const char *request, gboolean is_open, gboolean *accepted)
{
    g_auto(GStrv) lines = g_strsplit(request, "\r\n", MAX_LINES);
    const char *key = find_header(lines, "Sec-WebSocket-Key");
    const char *version = find_header(lines, "Sec-WebSocket-Version");

    *accepted = FALSE;
    for (char **line = lines; *line != NULL; line++) {
        g_strchomp(*line);
    }
    if (lines[0] == NULL || !g_str_has_prefix(lines[0], "GET /") ||
        !g_str_has_suffix(lines[0], " HTTP/1.1")) {
        return refuse("400 Bad Request", "");
    }
    if (!has_token(find_header(lines, "Upgrade"), "websocket") ||
        !has_token(find_header(lines, "Connection"), "upgrade") || !is_key(key) ||
        g_strcmp0(version, "13") != 0) {
        return refuse("426 Upgrade Required",
                      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    }
    if (!is_own_page(lines, is_open)) {
        return refuse("403 Forbidden", "");
    }
    *accepted = TRUE;
    return accept(key, has_token(find_header(lines, "Sec-WebSocket-Protocol"), "binary"));
}

/* The frames */

gsize sc_websocket_make_header(guint8 header[SC_WEBSOCKET_MAX_HEADER], gsize size)
{
    header[0] = FIN | BINARY;
    if (size <= MAX_CONTROL_SIZE) {
        header[1] = size;
        return 2;
    }
    header[1] = 126;
    header[2] = size >> 8;
    header[3] = size & 0xff;
    return 4;
}

ScWebsocket *sc_websocket_new(void)
{
    return g_new0(ScWebsocket, 1);
}

void sc_websocket_free(ScWebsocket *websocket)
{
    g_free(websocket);
}

static gboolean fail(GError **error, const char *reason)
{
    g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "WebSocket: %s", reason);
    return FALSE;
}

/* How long the header is, as far as that is known yet. */
static gsize get_header_size(const ScWebsocket *websocket)
{
    if (websocket->header_size < 2) {
        return 2;
    }
    switch (websocket->header[1] & ~MASKED) {
    case 126:
        return 2 + 2 + sizeof websocket->mask;
    case 127:
        return 2 + 8 + sizeof websocket->mask;
    default:
        return 2 + sizeof websocket->mask;
    }
}

static gboolean check_opcode(ScWebsocket *websocket, GError **error)
{
    gboolean is_last = (websocket->header[0] & FIN) != 0;

    switch (websocket->opcode) {
    case BINARY:
    case CONTINUATION:
        if (websocket->in_message != (websocket->opcode == CONTINUATION)) {
            return fail(error, "a message is continued that was not begun, or the other way round");
        }
        websocket->in_message = !is_last;
        return TRUE;
    case CLOSE:
    case PING:
    case PONG:
        if (!is_last || websocket->left > MAX_CONTROL_SIZE) {
            return fail(error, "a control frame that is too long");
        }
        websocket->control_size = 0;
        return TRUE;
    case TEXT:
        return fail(error, "text; only binary messages are understood");
    default:
        return fail(error, "a frame of an unknown kind");
    }
}

static gboolean take_header(ScWebsocket *websocket, GError **error)
{
    const guint8 *header = websocket->header;
    gsize length_size = get_header_size(websocket) - 2 - sizeof websocket->mask;

    if ((header[0] & RESERVED) != 0 || (header[1] & MASKED) == 0) {
        return fail(error, "a frame that is not masked, or has reserved bits set");
    }
    websocket->opcode = header[0] & OPCODE;
    websocket->left = length_size == 0 ? header[1] & ~MASKED : 0;
    for (gsize i = 0; i < length_size; i++) {
        websocket->left = websocket->left << 8 | header[2 + i];
    }
    memcpy(websocket->mask, header + 2 + length_size, sizeof websocket->mask);
    websocket->mask_position = 0;
    websocket->header_size = 0;
    websocket->in_payload = TRUE;
    return check_opcode(websocket, error);
}

static void end_frame(ScWebsocket *websocket)
{
    websocket->in_payload = FALSE;
    if (websocket->opcode == CLOSE) {
        websocket->is_closed = TRUE;
    }
    if (websocket->opcode == CLOSE || websocket->opcode == PING) {
        websocket->reply[0] = FIN | (websocket->opcode == CLOSE ? CLOSE : PONG);
        websocket->reply[1] = websocket->control_size;
        memcpy(websocket->reply + 2, websocket->control, websocket->control_size);
        websocket->reply_size = 2 + websocket->control_size;
    }
}

/* Of @there bytes at @from, those of this frame; what is payload goes to @to, which is at or before
 * @from. Returns how many were used. */
static gsize take_payload(ScWebsocket *websocket, const guint8 *from, gsize there, guint8 **to)
{
    gsize used = MIN(there, websocket->left);

    for (gsize i = 0; i < used; i++) {
        guint8 byte = from[i] ^ websocket->mask[websocket->mask_position++ % 4];

        if (websocket->opcode & IS_CONTROL) {
            websocket->control[websocket->control_size++] = byte;
        } else {
            *(*to)++ = byte;
        }
    }
    websocket->left -= used;
    return used;
}

gboolean sc_websocket_decode(ScWebsocket *websocket, guint8 *bytes, gsize *size, GError **error)
{
    const guint8 *from = bytes, *end = bytes + *size;
    guint8 *to = bytes;

    while (from < end && !websocket->is_closed) {
        if (!websocket->in_payload) {
            websocket->header[websocket->header_size++] = *from++;
            if (websocket->header_size == get_header_size(websocket) &&
                !take_header(websocket, error)) {
                return FALSE;
            }
        } else {
            from += take_payload(websocket, from, end - from, &to);
        }
        if (websocket->in_payload && websocket->left == 0) {
            end_frame(websocket);
        }
    }
    *size = to - bytes;
    return TRUE;
}

gsize sc_websocket_take_reply(ScWebsocket *websocket, guint8 reply[SC_WEBSOCKET_MAX_REPLY])
{
    gsize size = websocket->reply_size;

    memcpy(reply, websocket->reply, size);
    websocket->reply_size = 0;
    return size;
}

gboolean sc_websocket_is_closed(const ScWebsocket *websocket)
{
    return websocket->is_closed;
}
