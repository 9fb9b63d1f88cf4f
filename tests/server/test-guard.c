/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/error.h"
#include "server/guard.h"

#include <spice/enums.h>
#include <spice/protocol.h>
#include <string.h>

#define AUTH_SELECTION (1u << SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION)
#define MINI_HEADER (1u << SPICE_COMMON_CAP_MINI_HEADER)
#define USUAL_CAPS (AUTH_SELECTION | MINI_HEADER)

static void append_u32(GByteArray *bytes, guint32 value)
{
    value = GUINT32_TO_LE(value);
    g_byte_array_append(bytes, (const guint8 *)&value, sizeof value);
}

static void append_hex(GByteArray *bytes, const char *hex)
{
    for (; hex[0] != '\0'; hex += hex[0] == ' ' ? 1 : 2) {
        if (hex[0] != ' ') {
            guint8 byte = g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]);

            g_byte_array_append(bytes, &byte, 1);
        }
    }
}

static void append_link(GByteArray *bytes, guint8 channel, guint32 id, guint32 caps)
{
    SpiceLinkHeader header = {
        .magic = SPICE_MAGIC,
        .major_version = GUINT32_TO_LE(SPICE_VERSION_MAJOR),
        .minor_version = GUINT32_TO_LE(SPICE_VERSION_MINOR),
        .size = GUINT32_TO_LE(sizeof(SpiceLinkMess) + sizeof caps),
    };
    SpiceLinkMess message = {
        .connection_id = GUINT32_TO_LE(id),
        .channel_type = channel,
        .num_common_caps = GUINT32_TO_LE(1),
        .caps_offset = GUINT32_TO_LE(sizeof(SpiceLinkMess)),
    };

    g_byte_array_append(bytes, (const guint8 *)&header, sizeof header);
    g_byte_array_append(bytes, (const guint8 *)&message, sizeof message);
    append_u32(bytes, caps);
}

static void append_ticket(GByteArray *bytes)
{
    guint8 ticket[SPICE_TICKET_KEY_PAIR_LENGTH / 8];

    memset(ticket, 0xff, sizeof ticket);
    g_byte_array_append(bytes, ticket, sizeof ticket);
}

/* All that comes before the first message. */
static GByteArray *make_handshake(guint8 channel)
{
    GByteArray *bytes = g_byte_array_new();

    append_link(bytes, channel, channel == SPICE_CHANNEL_MAIN ? 0 : 42, USUAL_CAPS);
    append_u32(bytes, SPICE_COMMON_CAP_AUTH_SPICE);
    append_ticket(bytes);
    return bytes;
}

/* In pieces of up to @most bytes, 0: of any size. */
static gboolean check_in_pieces(const GByteArray *bytes, gsize most)
{
    g_autoptr(ScGuard) guard = sc_guard_new(FALSE);
    g_autoptr(GError) error = NULL;
    gsize done = 0;

    while (done < bytes->len) {
        gsize size = most != 0 ? most : (gsize)g_test_rand_int_range(1, 40);

        size = MIN(size, bytes->len - done);
        if (!sc_guard_check(guard, bytes->data + done, size, &error)) {
            g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
            return FALSE;
        }
        done += size;
    }
    return TRUE;
}

/* How it is cut into pieces does not matter. */
static gboolean check(const GByteArray *bytes)
{
    gboolean good = check_in_pieces(bytes, bytes->len);

    g_assert_cmpint(check_in_pieces(bytes, 1), ==, good);
    for (guint i = 0; i < 5; i++) {
        g_assert_cmpint(check_in_pieces(bytes, 0), ==, good);
    }
    return good;
}

typedef struct {
    const char *name;
    guint8 channel;
    gboolean good;
    const char *hex; /* messages with mini headers: type, size, body */
} Row;

#define MAIN SPICE_CHANNEL_MAIN
#define DISPLAY SPICE_CHANNEL_DISPLAY
#define CURSOR SPICE_CHANNEL_CURSOR
#define INPUTS SPICE_CHANNEL_INPUTS

static const Row rows[] = {
    { "ack-sync", DISPLAY, TRUE, "0100 04000000 01000000" },
    { "ack", CURSOR, TRUE, "0200 00000000 0200 00000000" },
    { "pong", MAIN, TRUE, "0300 0c000000 000000000000000000000000" },
    { "disconnecting", INPUTS, TRUE, "0600 0c000000 000000000000000000000000" },
    { "ack-with-body", DISPLAY, FALSE, "0200 01000000 00" },
    { "flush-mark/main", MAIN, FALSE, "0400 00000000" },
    { "flush-mark/display", DISPLAY, FALSE, "0400 00000000" },
    { "flush-mark/cursor", CURSOR, FALSE, "0400 00000000" },
    { "flush-mark/inputs", INPUTS, FALSE, "0400 00000000" },
    { "migrate-data", DISPLAY, FALSE, "0500 04000000 00000000" },
    { "migrate-data/empty", MAIN, FALSE, "0500 00000000" },
    { "client-info", MAIN, FALSE, "6500 08000000 0000000000000000" },
    { "migrate-connected", MAIN, FALSE, "6600 00000000" },
    { "migrate-connect-error", MAIN, FALSE, "6700 00000000" },
    { "migrate-end", MAIN, FALSE, "6d00 00000000" },
    { "migrate-dst-do-seamless", MAIN, FALSE, "6e00 04000000 01000000" },
    { "migrate-connected-seamless", MAIN, FALSE, "6f00 00000000" },
    { "attach", MAIN, TRUE, "6800 00000000" },
    { "attach-twice", MAIN, FALSE, "6800 00000000 6800 00000000" },
    { "mouse-mode", MAIN, TRUE, "6900 02000000 0100 6900 02000000 0200" },
    { "agent", MAIN, TRUE, "6a00 04000000 0a000000 6b00 02000000 0000 6c00 04000000 01000000" },
    { "agent-token-first", MAIN, FALSE, "6c00 04000000 01000000" },
    { "agent-data-first", MAIN, FALSE, "6b00 01000000 00" },
    { "agent-data-empty", MAIN, FALSE, "6a00 04000000 0a000000 6b00 00000000" },
    { "agent-data-long", MAIN, FALSE, "6a00 04000000 0a000000 6b00 01080000" },
    { "display-init", DISPLAY, TRUE, "6500 0e000000 0000000000000000000000000000" },
    { "display-init-twice", DISPLAY, FALSE,
      "6500 0e000000 0000000000000000000000000000 6500 0e000000 0000000000000000000000000000" },
    { "display-codecs", DISPLAY, TRUE, "6900 03000000 020103" },
    { "display-codecs-none", DISPLAY, FALSE, "6900 00000000" },
    { "display-codecs-many", DISPLAY, FALSE, "6900 12000000" },
    { "display-compression", DISPLAY, TRUE, "6700 01000000 01" },
    { "draw-done", DISPLAY, FALSE, "6800 00000000" },
    { "key", INPUTS, TRUE, "6500 04000000 1e000000 6600 04000000 9e000000" },
    { "key-short", INPUTS, FALSE, "6500 03000000 1e0000" },
    { "key-long", INPUTS, FALSE, "6500 05000000 1e00000000" },
    { "modifiers", INPUTS, TRUE, "6700 02000000 0000" },
    { "scancodes", INPUTS, TRUE, "6800 02000000 1e9e" },
    { "scancodes-many", INPUTS, FALSE, "6800 41000000" },
    { "motion", INPUTS, TRUE, "6f00 0a000000 01000000ffffffff0000" },
    { "position", INPUTS, TRUE, "7000 0b000000 0100000001000000000000" },
    { "press", INPUTS, TRUE, "7100 03000000 010100 7200 03000000 010000" },
    { "key-on-main", MAIN, FALSE, "6500 04000000 1e000000" },
    { "key-on-cursor", CURSOR, FALSE, "6500 04000000 1e000000" },
    { "unknown", CURSOR, FALSE, "ffff 00000000" },
    { "huge", INPUTS, FALSE, "6800 ffffffff" },
    { "good-then-bad", INPUTS, FALSE, "6700 02000000 0000 0400 00000000" },
    { "half-of-a-bad-one", INPUTS, TRUE, "0400 000000" },
};

static void test_row(gconstpointer data)
{
    const Row *row = data;
    g_autoptr(GByteArray) bytes = make_handshake(row->channel);

    append_hex(bytes, row->hex);
    g_assert_cmpint(check(bytes), ==, row->good);
}

/* Without the mini header's capability: a serial number, type, size, and a list. */
static void test_full_header(void)
{
    for (guint i = 0; i < 3; i++) {
        g_autoptr(GByteArray) bytes = g_byte_array_new();

        append_link(bytes, DISPLAY, 1, AUTH_SELECTION);
        append_u32(bytes, SPICE_COMMON_CAP_AUTH_SPICE);
        append_ticket(bytes);
        append_hex(bytes, "0100000000000000 0100 04000000 00000000 00000000");
        append_hex(bytes, "0200000000000000");
        append_hex(bytes, i == 0   ? "0200 00000000 00000000"
                          : i == 1 ? "0400 00000000 00000000"
                                   : "0200 00000000 04000000");
        g_assert_cmpint(check(bytes), ==, i == 0);
    }
}

static void test_link(void)
{
    g_autoptr(ScGuard) guard = sc_guard_new(FALSE);
    g_autoptr(GByteArray) bytes = make_handshake(INPUTS);
    guint32 id = 0;
    gsize link_size = sizeof(SpiceLinkHeader) + sizeof(SpiceLinkMess) + sizeof(guint32);

    g_assert_true(sc_guard_check(guard, bytes->data, link_size - 1, NULL));
    g_assert_false(sc_guard_get_link(guard, &id));
    g_assert_true(sc_guard_check(guard, bytes->data + link_size - 1, 1, NULL));
    g_assert_true(sc_guard_get_link(guard, &id));
    g_assert_cmpuint(id, ==, 42);
}

static gboolean check_link(guint8 channel, guint32 id)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    append_link(bytes, channel, id, USUAL_CAPS);
    return check(bytes);
}

static void test_channels(void)
{
    for (guint8 channel = 0; channel < 20; channel++) {
        g_assert_cmpint(check_link(channel, 0), ==, channel == MAIN);
        g_assert_cmpint(check_link(channel, 1), ==,
                        channel == DISPLAY || channel == INPUTS || channel == CURSOR);
    }
}

/* A link message whose word at @offset is @value. */
static gboolean check_link_word(gsize offset, guint32 value)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    append_link(bytes, MAIN, 0, USUAL_CAPS);
    value = GUINT32_TO_LE(value);
    memcpy(bytes->data + offset, &value, sizeof value);
    return check(bytes);
}

static void test_link_words(void)
{
    const gsize message = sizeof(SpiceLinkHeader);
    const gsize size = offsetof(SpiceLinkHeader, size);
    const gsize n_common = message + offsetof(SpiceLinkMess, num_common_caps);
    const gsize n_channel = message + offsetof(SpiceLinkMess, num_channel_caps);
    const gsize caps = message + offsetof(SpiceLinkMess, caps_offset);

    g_assert_false(check_link_word(0, 0));
    g_assert_false(check_link_word(offsetof(SpiceLinkHeader, major_version), 1));
    g_assert_true(check_link_word(offsetof(SpiceLinkHeader, minor_version), 9));
    g_assert_false(check_link_word(size, 0));
    g_assert_false(check_link_word(size, sizeof(SpiceLinkMess) - 1));
    g_assert_true(check_link_word(size, 4096)); /* up to here; the rest is waited for */
    g_assert_false(check_link_word(size, 4097));
    g_assert_false(check_link_word(size, G_MAXUINT32));
    g_assert_false(check_link_word(n_common, 2));
    g_assert_false(check_link_word(n_common, G_MAXUINT32));
    g_assert_false(check_link_word(n_channel, 1));
    g_assert_false(check_link_word(n_channel, 0x40000000));
    g_assert_false(check_link_word(caps, 0));
    g_assert_false(check_link_word(caps, sizeof(SpiceLinkMess) + 1));
    g_assert_false(check_link_word(caps, G_MAXUINT32));
    /* Without capabilities nobody looks for them. */
    g_assert_true(check_link_word(n_common, 0));
}

static void test_authentication(void)
{
    g_autoptr(GByteArray) sasl = g_byte_array_new(), old = g_byte_array_new();

    append_link(sasl, MAIN, 0, USUAL_CAPS);
    append_u32(sasl, SPICE_COMMON_CAP_AUTH_SASL);
    g_assert_false(check(sasl));

    /* Clients that do not choose how to authenticate send the ticket at once. */
    append_link(old, MAIN, 0, MINI_HEADER);
    append_ticket(old);
    append_hex(old, "6800 00000000");
    g_assert_true(check(old));
    append_hex(old, "0400 00000000");
    g_assert_false(check(old));
}

static gboolean check_with_sasl(guint32 caps, guint32 mechanism)
{
    g_autoptr(ScGuard) guard = sc_guard_new(TRUE);
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    append_link(bytes, MAIN, 0, caps);
    append_u32(bytes, mechanism);
    append_hex(bytes, "0400 00000000 ffffffffffffffffffffffffffffffff");
    return sc_guard_check(guard, bytes->data, bytes->len, NULL);
}

/* Only SASL, and then everything: it may be encrypted. */
static void test_sasl(void)
{
    g_assert_true(check_with_sasl(USUAL_CAPS, SPICE_COMMON_CAP_AUTH_SASL));
    g_assert_false(check_with_sasl(USUAL_CAPS, SPICE_COMMON_CAP_AUTH_SPICE));
    g_assert_false(check_with_sasl(MINI_HEADER, SPICE_COMMON_CAP_AUTH_SASL));
}

/* Whatever comes, an answer is found. */
static void test_random(void)
{
    static const guint8 channels[] = { MAIN, DISPLAY, CURSOR, INPUTS };
    guint n_good = 0;

    for (guint i = 0; i < 20000; i++) {
        g_autoptr(GByteArray) bytes = make_handshake(channels[i % G_N_ELEMENTS(channels)]);
        guint n = g_test_rand_int_range(1, 60);

        if (i % 5 == 0) {
            g_byte_array_set_size(bytes, g_test_rand_int_range(0, bytes->len));
        }
        for (guint j = 0; j < n; j++) {
            /* Small numbers make more that is nearly right. */
            guint8 byte =
                g_test_rand_bit() ? g_test_rand_int_range(0, 256) : g_test_rand_int_range(0, 5);

            g_byte_array_append(bytes, &byte, 1);
        }
        if (i % 3 == 0) {
            bytes->data[g_test_rand_int_range(0, bytes->len)] ^= 1u << g_test_rand_int_range(0, 8);
        }
        n_good += check(bytes);
    }
    g_test_message("%u of 20000 passed", n_good);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *path = g_strdup_printf("/guard/message/%s", rows[i].name);

        g_test_add_data_func(path, &rows[i], test_row);
    }
    g_test_add_func("/guard/full-header", test_full_header);
    g_test_add_func("/guard/link", test_link);
    g_test_add_func("/guard/channels", test_channels);
    g_test_add_func("/guard/link-words", test_link_words);
    g_test_add_func("/guard/authentication", test_authentication);
    g_test_add_func("/guard/sasl", test_sasl);
    g_test_add_func("/guard/random", test_random);
    return g_test_run();
}
