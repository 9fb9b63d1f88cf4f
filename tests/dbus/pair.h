/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A played QEMU and a watcher that listens to it: what most tests of the D-Bus display begin with.
 */
#pragma once

#include "tests/dbus/played-qemu.h"
#include "tests/fence/child.h"
#include "tests/fence/watcher.h"

G_BEGIN_DECLS

typedef struct {
    PlayedQemu *qemu;
    Watcher *watcher;
    guint n_fds; /* before */
} Pair;

/* The listener is there; nothing is shown. */
Pair *pair_new(void);

/* Neither up yet. */
Pair *pair_new_empty(void);

/* Ends both and checks that nothing is left behind. */
void pair_free(Pair *pair);

#define XRGB 0x20020888 /* PIXMAN_x8r8g8b8 */

/* Shows a picture as pixels, or a buffer, and waits until the watcher has it. */
void pair_show_pixels(Pair *pair, guint width, guint height, guint32 number);
GVariant *scanout_arguments(guint width, guint height, guint32 number);
GVariant *dmabuf_arguments(guint width, guint height, guint stride);

void assert_damage(Watcher *watcher, int x1, int y1, int x2, int y2);

G_END_DECLS
