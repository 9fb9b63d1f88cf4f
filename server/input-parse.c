/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/input-parse.h"

#include <spice/enums.h>
#include <spice/vd_agent.h>
#include <string.h>

#define RELEASED 0x80
#define EXTENDED 0x100
#define PAUSE (EXTENDED | 0x46)

G_STATIC_ASSERT(sizeof(VDIChunkHeader) == sizeof(((ScAgentState *)NULL)->header));
G_STATIC_ASSERT(sizeof(VDAgentMessage) + sizeof(VDAgentMouseState) == SC_AGENT_MESSAGE_SIZE);

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
    state->message_size = 0;
    state->left = GUINT32_FROM_LE(header.size);
    /* libspice-server writes each of its own messages as one chunk (vdagent_new_write_buffer). */
    state->skip =
        GUINT32_FROM_LE(header.port) != VDP_SERVER_PORT || state->left != SC_AGENT_MESSAGE_SIZE;
}

static gboolean read_pointer(const ScAgentState *state, ScAgentPointer *pointer)
{
    VDAgentMessage message;
    VDAgentMouseState mouse;

    memcpy(&message, state->message, sizeof message);
    memcpy(&mouse, state->message + sizeof message, sizeof mouse);
    if (GUINT32_FROM_LE(message.protocol) != VD_AGENT_PROTOCOL ||
        GUINT32_FROM_LE(message.type) != VD_AGENT_MOUSE_STATE ||
        GUINT32_FROM_LE(message.size) != sizeof mouse) {
        return FALSE;
    }
    pointer->x = GUINT32_FROM_LE(mouse.x);
    pointer->y = GUINT32_FROM_LE(mouse.y);
    /* VD_AGENT_*BUTTON_MASK are the protocol's masks shifted by one. */
    pointer->buttons = GUINT32_FROM_LE(mouse.buttons) >> 1;
    return TRUE;
}

gsize sc_agent_feed(ScAgentState *state, const guint8 *bytes, gsize size, ScAgentPointer *pointer,
                    gboolean *complete)
{
    gsize used;

    *complete = FALSE;
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
    if (!state->skip) {
        memcpy(state->message + state->message_size, bytes, used);
        state->message_size += used;
    }
    state->left -= used;
    if (state->left == 0 && !state->skip) {
        *complete = read_pointer(state, pointer);
    }
    return used;
}
