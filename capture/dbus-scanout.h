/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The buffers that the calls ScanoutDMABUF, ScanoutDMABUF2 and ScanoutMap of a VMM describe.
 *
 * Thread: any.
 */
#pragma once

#include "capture/dmabuf.h"

#include <gio/gio.h>

G_BEGIN_DECLS

/* The descriptors in @layout stay those of @call. Fails with SC_ERROR_INVALID if @call contradicts
 * itself; whether the numbers can be true sc_dmabuf_new() finds out. @bottom_up: the first row in
 * memory is the lowest shown. */
gboolean sc_dbus_scanout_parse(GDBusMessage *call, ScDmabufLayout *layout, gboolean *bottom_up,
                               GError **error);

G_END_DECLS
