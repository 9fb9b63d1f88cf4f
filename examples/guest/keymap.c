/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "examples/guest/keymap.h"

#include <linux/input-event-codes.h>
#include <stddef.h>

/* Rows of neighbouring key codes: plain above, shifted below. */
static const struct {
    unsigned first;
    const char *plain, *shifted;
} rows[] = {
    { KEY_1, "1234567890-=\b", "!@#$%^&*()_+\b" },
    { KEY_Q, "qwertyuiop[]", "QWERTYUIOP{}" },
    { KEY_A, "asdfghjkl;'`", "ASDFGHJKL:\"~" },
    { KEY_BACKSLASH, "\\zxcvbnm,./", "|ZXCVBNM<>?" },
    { KEY_SPACE, " ", " " },
};

char keymap_character(unsigned code, bool shift, bool caps)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (unsigned k = 0; rows[i].plain[k] != '\0'; k++) {
            if (rows[i].first + k == code) {
                char plain = rows[i].plain[k];
                bool is_letter = plain >= 'a' && plain <= 'z';

                return shift != (caps && is_letter) ? rows[i].shifted[k] : plain;
            }
        }
    }
    return '\0';
}
