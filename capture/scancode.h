/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keys: from the scancodes of SPICE to the codes of <linux/input-event-codes.h>.
 *
 * Thread: any.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Scancodes are below this. */
#define SC_SCANCODE_END 0x180

/* @scancode: PC AT set 1, with 0x100 added for keys that are preceded by 0xe0. 0 (KEY_RESERVED) if
 * no key has it. */
guint16 sc_scancode_to_key(guint scancode);

G_END_DECLS
