/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small bitmap font, ASCII only.
 */
#pragma once

#include <stdbool.h>

#define FONT_WIDTH 5  /* columns of ink; leave one between characters */
#define FONT_HEIGHT 8 /* rows, of which the last one is for descenders; leave one between lines */

/* Whether that dot of @character is ink; other characters than ASCII are solid blocks. */
bool font_is_set(char character, int column, int row);
