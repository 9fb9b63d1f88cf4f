/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtio input device (virtio 1.2, section 5.8) over vhost-user: keyboard with lamps, absolute
 * pointer with five buttons and a wheel, all in one.
 *
 * What is sent while the guest's driver is not there is dropped, but for the release of what the
 * guest believes to be held. What a guest does not take in time is kept, up to a limit: positions
 * and wheel steps are summed up, then presses are dropped; a release is never lost, and no group of
 * events that belong together is cut.
 *
 * Thread: the owner thread; callbacks come from the main context that was the thread default at
 *         sc_virtio_input_new().
 */
#pragma once

#include "capture/source.h"

G_BEGIN_DECLS

typedef struct ScVirtioInput ScVirtioInput;

typedef void (*ScVirtioInputLedsFunc)(ScLeds leds, gpointer data);

/* @path: where the VMM will connect. @leds: the guest has changed the lamps; never called from
 * inside another function, and must not free the device. Fails with SC_ERROR_INVALID if @path is
 * none. */
ScVirtioInput *sc_virtio_input_new(const char *path, ScVirtioInputLedsFunc leds, gpointer data,
                                   GError **error);
void sc_virtio_input_free(ScVirtioInput *input); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScVirtioInput, sc_virtio_input_free)

/* See sc_vhost_user_listen(). */
gboolean sc_virtio_input_listen(ScVirtioInput *input, GError **error);

/* As in capture/source.h. Pressing what is held changes nothing: guests repeat keys themselves. */
void sc_virtio_input_send_key(ScVirtioInput *input, guint scancode, gboolean pressed);
void sc_virtio_input_send_button(ScVirtioInput *input, ScButton button, gboolean pressed);
void sc_virtio_input_send_wheel(ScVirtioInput *input, int steps);

/* The pixel at (@x, @y) of a picture of @width times @height; nothing happens outside of it. */
void sc_virtio_input_send_position(ScVirtioInput *input, guint x, guint y, guint width,
                                   guint height);

G_END_DECLS
