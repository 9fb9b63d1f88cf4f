/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/viewer-input.h"

#include "capture/error.h"
#include "server/input-parse.h"

#include <spice/enums.h>

/* libspice-server's flags for the lamps are ours. */
G_STATIC_ASSERT((int)SC_LED_SCROLL_LOCK == (int)SPICE_KEYBOARD_MODIFIER_FLAGS_SCROLL_LOCK);
G_STATIC_ASSERT((int)SC_LED_NUM_LOCK == (int)SPICE_KEYBOARD_MODIFIER_FLAGS_NUM_LOCK);
G_STATIC_ASSERT((int)SC_LED_CAPS_LOCK == (int)SPICE_KEYBOARD_MODIFIER_FLAGS_CAPS_LOCK);

struct ScViewerInput {
    ScInputListener listener;
    gpointer data;

    SpiceKbdInstance keyboard;
    ScScancodeState scancode;
    ScLeds leds;

    SpiceMouseInstance mouse;
    SpiceCharDeviceInstance agent;
    ScAgentState agent_state;
    ScButtonMask buttons;
};

static const struct {
    ScButtonMask mask;
    ScButton button;
} buttons[] = {
    { SPICE_MOUSE_BUTTON_MASK_LEFT, SC_BUTTON_LEFT },
    { SPICE_MOUSE_BUTTON_MASK_MIDDLE, SC_BUTTON_MIDDLE },
    { SPICE_MOUSE_BUTTON_MASK_RIGHT, SC_BUTTON_RIGHT },
    { SPICE_MOUSE_BUTTON_MASK_SIDE, SC_BUTTON_SIDE },
    { SPICE_MOUSE_BUTTON_MASK_EXTRA, SC_BUTTON_EXTRA },
};

static void keyboard_push_scan(SpiceKbdInstance *keyboard, uint8_t byte)
{
    ScViewerInput *input = SPICE_CONTAINEROF(keyboard, ScViewerInput, keyboard);
    gboolean pressed;
    guint scancode;

    if (sc_scancode_feed(&input->scancode, byte, &scancode, &pressed)) {
        input->listener.key(scancode, pressed, input->data);
    }
}

static uint8_t keyboard_get_leds(SpiceKbdInstance *keyboard)
{
    return SPICE_CONTAINEROF(keyboard, ScViewerInput, keyboard)->leds;
}

static void update_buttons(ScViewerInput *input, ScButtonMask mask)
{
    ScButtonMask changed = input->buttons ^ mask;

    input->buttons = mask;
    for (guint i = 0; i < G_N_ELEMENTS(buttons); i++) {
        if (changed & buttons[i].mask) {
            input->listener.button(buttons[i].button, (mask & buttons[i].mask) != 0, input->data);
        }
    }
}

static void mouse_motion(SpiceMouseInstance *mouse, int dx, int dy, int dz, uint32_t state)
{
    ScViewerInput *input = SPICE_CONTAINEROF(mouse, ScViewerInput, mouse);

    if (dx != 0 || dy != 0) {
        input->listener.motion(dx, dy, input->data);
    }
    update_buttons(input, sc_button_mask_from_mouse(state));
    if (dz != 0) {
        input->listener.wheel(dz, input->data);
    }
}

static void mouse_buttons(SpiceMouseInstance *mouse, uint32_t state)
{
    update_buttons(SPICE_CONTAINEROF(mouse, ScViewerInput, mouse),
                   sc_button_mask_from_mouse(state));
}

static void handle_pointer(ScViewerInput *input, const ScAgentPointer *pointer)
{
    /* A detent of the wheel is pressed and released like a button. */
    ScButtonMask pressed = pointer->buttons & ~input->buttons;

    /* Even if it has not changed for this client: others may have moved the guest's pointer. */
    input->listener.position(pointer->x, pointer->y, input->data);
    update_buttons(input, pointer->buttons);
    if (pressed & SPICE_MOUSE_BUTTON_MASK_UP) {
        input->listener.wheel(-1, input->data);
    }
    if (pressed & SPICE_MOUSE_BUTTON_MASK_DOWN) {
        input->listener.wheel(1, input->data);
    }
}

static int agent_write(SpiceCharDeviceInstance *agent, const uint8_t *bytes, int size)
{
    ScViewerInput *input = SPICE_CONTAINEROF(agent, ScViewerInput, agent);
    int used = 0;

    while (used < size) {
        ScAgentEvent event;

        used += sc_agent_feed(&input->agent_state, bytes + used, size - used, &event);
        if (event.type == SC_AGENT_POINTER) {
            handle_pointer(input, &event.pointer);
        } else if (event.type == SC_AGENT_SIZE) {
            input->listener.size(event.width, event.height, input->data);
        }
    }
    return size;
}

static int agent_read(SpiceCharDeviceInstance *agent, uint8_t *bytes, int size)
{
    return 0;
}

static void agent_set_state(SpiceCharDeviceInstance *agent, int connected)
{
}

static const SpiceKbdInterface keyboard_interface = {
    .base = { SPICE_INTERFACE_KEYBOARD, "scancast", SPICE_INTERFACE_KEYBOARD_MAJOR,
              SPICE_INTERFACE_KEYBOARD_MINOR },
    .push_scan_freg = keyboard_push_scan,
    .get_leds = keyboard_get_leds,
};

static const SpiceMouseInterface mouse_interface = {
    .base = { SPICE_INTERFACE_MOUSE, "scancast", SPICE_INTERFACE_MOUSE_MAJOR,
              SPICE_INTERFACE_MOUSE_MINOR },
    .motion = mouse_motion,
    .buttons = mouse_buttons,
};

static const SpiceCharDeviceInterface agent_interface = {
    .base = { SPICE_INTERFACE_CHAR_DEVICE, "scancast", SPICE_INTERFACE_CHAR_DEVICE_MAJOR,
              SPICE_INTERFACE_CHAR_DEVICE_MINOR },
    .state = agent_set_state,
    .write = agent_write,
    .read = agent_read,
};

ScViewerInput *sc_viewer_input_new(SpiceServer *server, const ScInputListener *listener,
                                   gpointer data, GError **error)
{
    ScViewerInput *input = g_new0(ScViewerInput, 1);

    input->listener = *listener;
    input->data = data;
    input->keyboard.base.sif = &keyboard_interface.base;
    input->mouse.base.sif = &mouse_interface.base;
    input->agent.base.sif = &agent_interface.base;
    input->agent.subtype = "vdagent";
    if (spice_server_add_interface(server, &input->keyboard.base) != 0 ||
        spice_server_add_interface(server, &input->mouse.base) != 0 ||
        spice_server_add_interface(server, &input->agent.base) != 0 || input->agent.st == NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED,
                    "libspice-server refuses a keyboard, a mouse or an agent; its log says why");
        sc_viewer_input_free(input);
        return NULL;
    }
    return input;
}

void sc_viewer_input_free(ScViewerInput *input)
{
    g_free(input);
}

void sc_viewer_input_set_leds(ScViewerInput *input, ScLeds leds)
{
    input->leds = leds;
    spice_server_kbd_leds(&input->keyboard, leds);
}
