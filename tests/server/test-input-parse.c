/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/input-parse.h"

#include <spice/enums.h>
#include <spice/vd_agent.h>
#include <string.h>

typedef struct {
    ScScancodeState state;
    GString *keys;
} Keyboard;

static void feed_keys(Keyboard *keyboard, const char *bytes, gsize size)
{
    for (gsize i = 0; i < size; i++) {
        guint scancode;
        gboolean pressed;

        if (sc_scancode_feed(&keyboard->state, bytes[i], &scancode, &pressed)) {
            g_string_append_printf(keyboard->keys, "%x%c ", scancode, pressed ? '+' : '-');
        }
    }
}

static void assert_keys(const char *bytes, gsize size, const char *expected)
{
    Keyboard keyboard = { .keys = g_string_new(NULL) };

    feed_keys(&keyboard, bytes, size);
    g_assert_cmpstr(keyboard.keys->str, ==, expected);
    g_string_free(keyboard.keys, TRUE);
}

#define ASSERT_KEYS(bytes, expected) assert_keys(bytes, sizeof(bytes) - 1, expected)

static void test_scancodes(void)
{
    ASSERT_KEYS("\x1e\x9e", "1e+ 1e- ");
    ASSERT_KEYS("\xe0\x48\xe0\xc8", "148+ 148- ");
    ASSERT_KEYS("\x1d\xe0\x1d\x9d\xe0\x9d", "1d+ 11d+ 1d- 11d- ");
    /* Pause, then something after it. */
    ASSERT_KEYS("\xe1\x1d\x45\xe1\x9d\xc5\x1e", "146+ 146- 1e+ ");
    ASSERT_KEYS("\xe0\x46\xe0\xc6", "146+ 146- ");
    /* No keys. */
    ASSERT_KEYS("\x00\x80\xe0\x00\xe0\x80", "");
    ASSERT_KEYS("\xe1\x1e\x30\x1e", "1e+ ");
    ASSERT_KEYS("\xe2\x1e\x1e", "1e+ ");
    ASSERT_KEYS("\xe0\xe0\x48", "148+ ");
    ASSERT_KEYS("\xe1\x1d\xe0\x48", "148+ ");
}

static void test_random_scancodes(void)
{
    ScScancodeState state = { 0 };

    for (guint i = 0; i < 100000; i++) {
        guint scancode = 0;
        gboolean pressed = -1;

        if (sc_scancode_feed(&state, g_test_rand_int_range(0, 256), &scancode, &pressed)) {
            g_assert_cmpuint(scancode & ~0x100u, >, 0);
            g_assert_cmpuint(scancode & ~0x100u, <, 0x80);
            g_assert_true(pressed == TRUE || pressed == FALSE);
        }
    }
}

static void test_mouse_buttons(void)
{
    /* What RED_MOUSE_STATE_TO_LOCAL makes of each button. */
    g_assert_cmphex(sc_button_mask_from_mouse(0x01), ==, SPICE_MOUSE_BUTTON_MASK_LEFT);
    g_assert_cmphex(sc_button_mask_from_mouse(0x02), ==, SPICE_MOUSE_BUTTON_MASK_RIGHT);
    g_assert_cmphex(sc_button_mask_from_mouse(0x04), ==, SPICE_MOUSE_BUTTON_MASK_MIDDLE);
    g_assert_cmphex(sc_button_mask_from_mouse(0x40), ==, SPICE_MOUSE_BUTTON_MASK_SIDE);
    g_assert_cmphex(sc_button_mask_from_mouse(0x80), ==, SPICE_MOUSE_BUTTON_MASK_EXTRA);
    g_assert_cmphex(sc_button_mask_from_mouse(0xc7), ==, 0x67);
    g_assert_cmphex(sc_button_mask_from_mouse(0xffffff38), ==, 0);
}

typedef struct {
    VDIChunkHeader chunk;
    VDAgentMessage message;
    VDAgentMouseState mouse;
} __attribute__((packed)) AgentBytes;

static AgentBytes make_agent_bytes(guint32 port, guint32 type, guint32 x, guint32 y,
                                   guint32 buttons)
{
    return (AgentBytes){
        .chunk = { .port = GUINT32_TO_LE(port),
                   .size = GUINT32_TO_LE(sizeof(VDAgentMessage) + sizeof(VDAgentMouseState)) },
        .message = { .protocol = GUINT32_TO_LE(VD_AGENT_PROTOCOL),
                     .type = GUINT32_TO_LE(type),
                     .size = GUINT32_TO_LE(sizeof(VDAgentMouseState)) },
        .mouse = { .x = GUINT32_TO_LE(x),
                   .y = GUINT32_TO_LE(y),
                   .buttons = GUINT32_TO_LE(buttons) },
    };
}

/* Feeds in pieces of @piece bytes; returns how many events came, the last one in @event. */
static guint feed_agent(ScAgentState *state, gconstpointer bytes, gsize size, gsize piece,
                        ScAgentEvent *event)
{
    guint n = 0;

    for (gsize offset = 0; offset < size;) {
        gsize left = MIN(piece, size - offset);

        while (left > 0) {
            ScAgentEvent now;
            gsize used = sc_agent_feed(state, (const guint8 *)bytes + offset, left, &now);

            g_assert_cmpuint(used, >, 0);
            g_assert_cmpuint(used, <=, left);
            offset += used;
            left -= used;
            if (now.type != SC_AGENT_NOTHING) {
                *event = now;
                n++;
            }
        }
    }
    return n;
}

static void test_agent(void)
{
    const AgentBytes bytes[] = {
        make_agent_bytes(VDP_SERVER_PORT, VD_AGENT_MOUSE_STATE, 1, 2, 0),
        make_agent_bytes(VDP_CLIENT_PORT, VD_AGENT_MOUSE_STATE, 3, 4, 0),
        make_agent_bytes(VDP_SERVER_PORT, VD_AGENT_MONITORS_CONFIG, 5, 6, 0),
        make_agent_bytes(VDP_CLIENT_PORT, VD_AGENT_MONITORS_CONFIG, 5, 6, 0), /* too short */
        make_agent_bytes(VDP_SERVER_PORT, VD_AGENT_MOUSE_STATE, 70000, G_MAXUINT32,
                         VD_AGENT_LBUTTON_MASK | VD_AGENT_DBUTTON_MASK | VD_AGENT_EBUTTON_MASK),
    };

    for (gsize piece = 1; piece <= sizeof bytes; piece++) {
        ScAgentState state = { 0 };
        ScAgentEvent event;

        g_assert_cmpuint(feed_agent(&state, bytes, sizeof bytes, piece, &event), ==, 2);
        g_assert_cmpint(event.type, ==, SC_AGENT_POINTER);
        g_assert_cmpuint(event.pointer.x, ==, 70000);
        g_assert_cmpuint(event.pointer.y, ==, G_MAXUINT32);
        g_assert_cmphex(event.pointer.buttons, ==,
                        SPICE_MOUSE_BUTTON_MASK_LEFT | SPICE_MOUSE_BUTTON_MASK_DOWN |
                            SPICE_MOUSE_BUTTON_MASK_EXTRA);
    }
}

/* A client's message about @n monitors, the first of 1000x700 pixels, in chunks of @chunk bytes;
 * the library's own messages, which are about the pointer, come in between. */
static GByteArray *make_monitors(guint n, gsize chunk)
{
    const AgentBytes other = make_agent_bytes(VDP_SERVER_PORT, VD_AGENT_MOUSE_STATE, 1, 2, 0);
    VDAgentMonitorsConfig config = { .num_of_monitors = GUINT32_TO_LE(n) };
    VDAgentMessage header = {
        .protocol = GUINT32_TO_LE(VD_AGENT_PROTOCOL),
        .type = GUINT32_TO_LE(VD_AGENT_MONITORS_CONFIG),
        .size = GUINT32_TO_LE(sizeof config + n * sizeof(VDAgentMonConfig)),
    };
    g_autoptr(GByteArray) message = g_byte_array_new();
    GByteArray *bytes = g_byte_array_new();

    g_byte_array_append(message, (guint8 *)&header, sizeof header);
    g_byte_array_append(message, (guint8 *)&config, sizeof config);
    for (guint i = 0; i < n; i++) {
        VDAgentMonConfig monitor = { .width = GUINT32_TO_LE(1000 + i),
                                     .height = GUINT32_TO_LE(700 + i) };

        g_byte_array_append(message, (guint8 *)&monitor, sizeof monitor);
    }
    for (gsize offset = 0; offset < message->len; offset += chunk) {
        gsize size = MIN(chunk, message->len - offset);
        VDIChunkHeader start = { GUINT32_TO_LE(VDP_CLIENT_PORT), GUINT32_TO_LE(size) };

        g_byte_array_append(bytes, (guint8 *)&start, sizeof start);
        g_byte_array_append(bytes, message->data + offset, size);
        g_byte_array_append(bytes, (guint8 *)&other, sizeof other);
    }
    return bytes;
}

static void test_agent_size(void)
{
    const guint n_monitors[] = { 0, 1, 2, 16, 256 };
    const gsize chunks[] = { 20, 33, 48, 2048 };

    for (guint i = 0; i < G_N_ELEMENTS(n_monitors) * G_N_ELEMENTS(chunks); i++) {
        guint n = n_monitors[i / G_N_ELEMENTS(chunks)];
        gsize chunk = chunks[i % G_N_ELEMENTS(chunks)];
        g_autoptr(GByteArray) bytes = make_monitors(n, chunk);
        ScAgentState state = { 0 };
        guint n_sizes = 0;
        ScAgentEvent event;

        /* Twice: the end of the first is the beginning of the second. */
        for (gsize offset = 0; offset < 2 * bytes->len;) {
            gsize start = offset % bytes->len;

            offset +=
                sc_agent_feed(&state, bytes->data + start, MIN(7, bytes->len - start), &event);
            if (event.type == SC_AGENT_SIZE) {
                g_assert_cmpuint(event.width, ==, 1000);
                g_assert_cmpuint(event.height, ==, 700);
                n_sizes++;
            }
        }
        g_assert_cmpuint(n_sizes, ==, n > 0 ? 2 : 0);
    }
}

static void test_agent_skips(void)
{
    const AgentBytes good = make_agent_bytes(VDP_SERVER_PORT, VD_AGENT_MOUSE_STATE, 8, 9, 0);
    const guint32 sizes[] = { 0, 1, sizeof good - 9, sizeof good - 7, 100000 };
    ScAgentState state = { 0 };
    ScAgentEvent event;

    for (guint i = 0; i < 3 * G_N_ELEMENTS(sizes); i++) {
        guint32 size = sizes[i / 3];
        const VDIChunkHeader header = { GUINT32_TO_LE(i % 3), GUINT32_TO_LE(size) };
        g_autofree guint8 *body = g_malloc0(size + 1);

        g_assert_cmpuint(feed_agent(&state, &header, sizeof header, 5, &event), ==, 0);
        g_assert_cmpuint(feed_agent(&state, body, size, 999, &event), ==, 0);
        g_assert_cmpuint(feed_agent(&state, &good, sizeof good, 7, &event), ==, 1);
    }
}

static void test_random_agent(void)
{
    ScAgentState state = { 0 };
    ScAgentEvent event;
    guint8 bytes[64];

    for (guint i = 0; i < 100000; i++) {
        for (guint j = 0; j < sizeof bytes; j++) {
            bytes[j] = g_test_rand_int_range(0, 3); /* small, so that chunks end */
        }
        feed_agent(&state, bytes, sizeof bytes, g_test_rand_int_range(1, sizeof bytes + 1), &event);
    }
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/input-parse/scancodes", test_scancodes);
    g_test_add_func("/input-parse/scancodes/random", test_random_scancodes);
    g_test_add_func("/input-parse/mouse-buttons", test_mouse_buttons);
    g_test_add_func("/input-parse/agent", test_agent);
    g_test_add_func("/input-parse/agent/size", test_agent_size);
    g_test_add_func("/input-parse/agent/skips", test_agent_skips);
    g_test_add_func("/input-parse/agent/random", test_random_agent);
    return g_test_run();
}
