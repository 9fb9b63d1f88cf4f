/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether all keys are there, once each. */
#include "capture/scancode.h"

#include <linux/input-event-codes.h>

/* Codes that no scancode has, or only one with another meaning. */
static gboolean has_no_scancode(guint code)
{
    return code == 84 || code == KEY_ISO || code == KEY_BASSBOOST || code == KEY_EXIT ||
           code == KEY_MOVE || (code >= 195 && code <= 199);
}

static void test_scancodes(void)
{
    guint8 seen[KEY_CNT] = { 0 };

    for (guint scancode = 0; scancode < 0x10000; scancode++) {
        seen[sc_scancode_to_key(scancode)]++;
    }
    for (guint code = KEY_ESC; code <= KEY_UWB; code++) {
        g_test_message("code %u", code);
        g_assert_cmpuint(seen[code], ==, code == KEY_SYSRQ ? 2 : has_no_scancode(code) ? 0 : 1);
    }
    for (guint code = KEY_UWB + 1; code < KEY_CNT; code++) {
        g_assert_cmpuint(seen[code], ==, 0);
    }
    g_assert_cmpuint(sc_scancode_to_key(0x1e), ==, KEY_A);
    g_assert_cmpuint(sc_scancode_to_key(0x11c), ==, KEY_KPENTER);
    g_assert_cmpuint(sc_scancode_to_key(0x148), ==, KEY_UP);
    g_assert_cmpuint(sc_scancode_to_key(0x57), ==, KEY_F11);
    g_assert_cmpuint(sc_scancode_to_key(0x146), ==, KEY_PAUSE);
    g_assert_cmpuint(sc_scancode_to_key(0x15b), ==, KEY_LEFTMETA);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/scancode/all-keys", test_scancodes);
    return g_test_run();
}
