/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libva wants to be there although the driver has nothing of the kind: subpictures, palettes,
 * windows and display attributes.
 */
#pragma once

#include <va/va_backend.h>

/* Fills these into libva's table. */
void sc_va_unsupported_fill(struct VADriverVTable *table);
