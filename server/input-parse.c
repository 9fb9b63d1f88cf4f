/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/input-parse.h"

#include <spice/enums.h>
#include <spice/vd_agent.h>
#include <string.h>

#define RELEASED 0x80
#define EXTENDED 0x100
#define PAUSE (EXTENDED | 0x46)

G_STATIC_ASSERT(sizeof(VDIChunkHeader) == sizeof(((ScAgentState *)NULL)->header));
G_STATIC_ASSERT(sizeof(VDAgentMessage) + sizeof(VDAgentMouseState) <= SC_AGENT_MESSAGE_SIZE);
G_STATIC_ASSERT(sizeof(VDAgentMessage) + sizeof(VDAgentMonitorsConfig) + sizeof(VDAgentMonConfig) ==
                SC_AGENT_MESSAGE_SIZE);

gboolean sc_scancode_feed(ScScancodeState *state, guint8 byte, guint *scancode, gboolean *pressed)
{
    guint8 prefix = state->prefix;
    guint8 code = byte & ~RELEASED;

    if (byte >= 0xe0 && byte <= 0xe2) {
        *state = (ScScancodeState){ .prefix = byte };
        return FALSE;
    }
    if (prefix == 0xe1 && state->pending == 0) {
        state->pending = byte;
        return FALSE;
    }
    *pressed = !(byte & RELEASED);
    *scancode = prefix == 0xe0 ? EXTENDED | code : code;
    if (prefix == 0xe1) {
        gboolean is_pause = (state->pending & ~RELEASED) == 0x1d && code == 0x45;

        *scancode = is_pause ? PAUSE : 0;
    }
    *state = (ScScancodeState){ 0 };
    /* 0 is no key, and 0xe2 introduces none that any keyboard has. */
    return prefix != 0xe2 && *scancode != 0 && code != 0;
}

ScButtonMask sc_button_mask_from_mouse(guint32 state)
{
    const guint32 side = SPICE_MOUSE_BUTTON_MASK_SIDE | SPICE_MOUSE_BUTTON_MASK_EXTRA;
    ScButtonMask mask = state & SPICE_MOUSE_BUTTON_MASK_LEFT;

    mask |= (state >> 1) & (SPICE_MOUSE_BUTTON_MASK_MIDDLE | side);
    mask |= (state << 1) & SPICE_MOUSE_BUTTON_MASK_RIGHT;
    return mask;
}

static void begin_chunk(ScAgentState *state)
{
    VDIChunkHeader header;

    memcpy(&header, state->header, sizeof header);
    state->header_size = 0;
    state->left = GUINT32_FROM_LE(header.size);
    switch (GUINT32_FROM_LE(header.port)) {
    case VDP_SERVER_PORT:
        /* libspice-server writes each of its own messages as one chunk (vdagent_new_write_buffer),
         * also between two of a client's message. */
        state->message = &state->from_server;
        state->message->size = 0;
        break;
    case VDP_CLIENT_PORT:
        state->message = &state->from_client;
        break;
    default:
        state->message = NULL;
        break;
    }
}

static gboolean read_pointer(const guint8 *bytes, guint size, ScAgentPointer *pointer)
{
    VDAgentMouseState mouse;

    if (size != sizeof mouse) {
        return FALSE;
    }
    memcpy(&mouse, bytes, sizeof mouse);
    pointer->x = GUINT32_FROM_LE(mouse.x);
    pointer->y = GUINT32_FROM_LE(mouse.y);
    /* VD_AGENT_*BUTTON_MASK are the protocol's masks shifted by one. */
    pointer->buttons = GUINT32_FROM_LE(mouse.buttons) >> 1;
    return TRUE;
}

static gboolean read_size(const guint8 *bytes, guint size, ScAgentEvent *event)
{
    VDAgentMonitorsConfig config;
    VDAgentMonConfig monitor;

    if (size < sizeof config + sizeof monitor) {
        return FALSE;
    }
    memcpy(&config, bytes, sizeof config);
    memcpy(&monitor, bytes + sizeof config, sizeof monitor);
    event->width = GUINT32_FROM_LE(monitor.width);
    event->height = GUINT32_FROM_LE(monitor.height);
    return config.num_of_monitors != 0 && event->width != 0 && event->height != 0;
}

/* @state->message is there as a whole, as far as it was kept. */
static void read_message(const ScAgentState *state, ScAgentEvent *event)
{
    const ScAgentMessage *message = state->message;
    const guint8 *body = message->bytes + sizeof(VDAgentMessage);
    guint size = message->size - sizeof(VDAgentMessage);
    VDAgentMessage header;

    memcpy(&header, message->bytes, sizeof header);
    if (GUINT32_FROM_LE(header.protocol) != VD_AGENT_PROTOCOL) {
        return;
    }
    if (message == &state->from_server && GUINT32_FROM_LE(header.type) == VD_AGENT_MOUSE_STATE) {
        event->type =
            read_pointer(body, size, &event->pointer) ? SC_AGENT_POINTER : SC_AGENT_NOTHING;
    } else if (message == &state->from_client &&
               GUINT32_FROM_LE(header.type) == VD_AGENT_MONITORS_CONFIG) {
        event->type = read_size(body, size, event) ? SC_AGENT_SIZE : SC_AGENT_NOTHING;
    }
}

/* Returns how many of @bytes belong to the message. TRUE in @complete: it ends with them. */
static gsize add_to_message(ScAgentMessage *message, const guint8 *bytes, gsize size,
                            gboolean *complete)
{
    const guint header_size = sizeof(VDAgentMessage);
    gboolean is_header = message->size < header_size;
    gsize used = MIN(size, is_header ? header_size - message->size : message->left);
    gsize kept = MIN(used, sizeof message->bytes - message->size);

    memcpy(message->bytes + message->size, bytes, kept);
    message->size += kept;
    if (!is_header) {
        message->left -= used;
    } else if (message->size == header_size) {
        VDAgentMessage header;

        memcpy(&header, message->bytes, sizeof header);
        message->left = GUINT32_FROM_LE(header.size);
    }
    *complete = message->size >= header_size && message->left == 0;
    return used;
}

gsize sc_agent_feed(ScAgentState *state, const guint8 *bytes, gsize size, ScAgentEvent *event)
{
    gboolean complete = FALSE;
    gsize used;

    event->type = SC_AGENT_NOTHING;
    if (state->left == 0) {
        used = MIN(size, sizeof state->header - state->header_size);
        memcpy(state->header + state->header_size, bytes, used);
        state->header_size += used;
        if (state->header_size == sizeof state->header) {
            begin_chunk(state);
        }
        return used;
    }
    used = MIN(size, state->left);
    if (state->message != NULL) {
        used = add_to_message(state->message, bytes, used, &complete);
    }
    state->left -= used;
    if (complete) {
        read_message(state, event);
        state->message->size = 0;
    }
    return used;
}
