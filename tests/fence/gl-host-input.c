/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fence/gl-host-impl.h"

static GlHost *host_of_keyboard(SpiceKbdInstance *keyboard)
{
    return SPICE_CONTAINEROF(keyboard, GlHost, keyboard);
}

static void report(GlHost *host, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void report(GlHost *host, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    host->listener.input(text, host->data);
}

static void keyboard_push(SpiceKbdInstance *keyboard, uint8_t code)
{
    report(host_of_keyboard(keyboard), "key %02x", code);
}

static uint8_t keyboard_get_leds(SpiceKbdInstance *keyboard)
{
    return (uint8_t)host_of_keyboard(keyboard)->leds;
}

static void mouse_motion(SpiceMouseInstance *mouse, int dx, int dy, int dz, uint32_t buttons)
{
    report(SPICE_CONTAINEROF(mouse, GlHost, mouse), "motion %d %d %d %u", dx, dy, dz, buttons);
}

static void mouse_buttons(SpiceMouseInstance *mouse, uint32_t buttons)
{
    report(SPICE_CONTAINEROF(mouse, GlHost, mouse), "buttons %u", buttons);
}

static void tablet_set_logical_size(SpiceTabletInstance *tablet, int width, int height)
{
}

static void tablet_position(SpiceTabletInstance *tablet, int x, int y, uint32_t buttons)
{
    report(SPICE_CONTAINEROF(tablet, GlHost, tablet), "position %d %d %u", x, y, buttons);
}

static void tablet_wheel(SpiceTabletInstance *tablet, int dz, uint32_t buttons)
{
    report(SPICE_CONTAINEROF(tablet, GlHost, tablet), "wheel %d", dz);
}

static void tablet_buttons(SpiceTabletInstance *tablet, uint32_t buttons)
{
    report(SPICE_CONTAINEROF(tablet, GlHost, tablet), "buttons %u", buttons);
}

static const SpiceKbdInterface keyboard_interface = {
    .base = { SPICE_INTERFACE_KEYBOARD, "keyboard", SPICE_INTERFACE_KEYBOARD_MAJOR,
              SPICE_INTERFACE_KEYBOARD_MINOR },
    .push_scan_freg = keyboard_push,
    .get_leds = keyboard_get_leds,
};

static const SpiceMouseInterface mouse_interface = {
    .base = { SPICE_INTERFACE_MOUSE, "mouse", SPICE_INTERFACE_MOUSE_MAJOR,
              SPICE_INTERFACE_MOUSE_MINOR },
    .motion = mouse_motion,
    .buttons = mouse_buttons,
};

static const SpiceTabletInterface tablet_interface = {
    .base = { SPICE_INTERFACE_TABLET, "tablet", SPICE_INTERFACE_TABLET_MAJOR,
              SPICE_INTERFACE_TABLET_MINOR },
    .set_logical_size = tablet_set_logical_size,
    .position = tablet_position,
    .wheel = tablet_wheel,
    .buttons = tablet_buttons,
};

static int agent_write(SpiceCharDeviceInstance *agent, const uint8_t *bytes, int size)
{
    return size;
}

static int agent_read(SpiceCharDeviceInstance *agent, uint8_t *bytes, int size)
{
    return 0;
}

static void agent_set_state(SpiceCharDeviceInstance *agent, int connected)
{
}

static const SpiceCharDeviceInterface agent_interface = {
    .base = { SPICE_INTERFACE_CHAR_DEVICE, "agent", SPICE_INTERFACE_CHAR_DEVICE_MAJOR,
              SPICE_INTERFACE_CHAR_DEVICE_MINOR },
    .state = agent_set_state,
    .write = agent_write,
    .read = agent_read,
};

void gl_host_input_init(GlHost *host)
{
    host->keyboard.base.sif = &keyboard_interface.base;
    host->mouse.base.sif = &mouse_interface.base;
    host->tablet.base.sif = &tablet_interface.base;
    spice_server_add_interface(host->server, &host->keyboard.base);
    spice_server_add_interface(host->server, &host->mouse.base);
}

void gl_host_set_tablet(GlHost *host, gboolean on)
{
    if (on == host->has_tablet) {
        return;
    }
    host->has_tablet = on;
    if (on) {
        spice_server_add_interface(host->server, &host->tablet.base);
    } else {
        spice_server_remove_interface(&host->tablet.base);
    }
}

void gl_host_set_leds(GlHost *host, int leds)
{
    host->leds = leds;
    spice_server_kbd_leds(&host->keyboard, leds);
}

void gl_host_start_agent(GlHost *host)
{
    host->agent.base.sif = &agent_interface.base;
    host->agent.subtype = "vdagent";
    /* Else it would be the pointer. */
    spice_server_set_agent_mouse(host->server, FALSE);
    spice_server_add_interface(host->server, &host->agent.base);
}
