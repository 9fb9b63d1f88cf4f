/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a key types on a US keyboard.
 */
#pragma once

#include <stdbool.h>

/* @code: KEY_* of <linux/input-event-codes.h>. '\b' for backspace, '\0' if it types nothing. */
char keymap_character(unsigned code, bool shift, bool caps);
