/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A buffer of the guest: pieces of its memory, however scattered, that together are one. Keeps what
 * is behind them (the regions), also when the VMM takes it away.
 *
 * Thread: the owner thread.
 * Units:  bytes.
 */
#pragma once

#include "capture/guest-memory.h"
#include <pixman.h>

G_BEGIN_DECLS

typedef struct ScGuestBuffer ScGuestBuffer;

ScGuestBuffer *sc_guest_buffer_new(void);
void sc_guest_buffer_free(ScGuestBuffer *buffer); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScGuestBuffer, sc_guest_buffer_free)

/* Appends @length bytes of @memory. FALSE if not all of them are there: throw the buffer away. */
gboolean sc_guest_buffer_append(ScGuestBuffer *buffer, const ScGuestMemory *memory, guint64 address,
                                guint64 length);

guint64 sc_guest_buffer_get_size(const ScGuestBuffer *buffer);

/* Pieces; those that touch have become one. The regions stay the buffer's. */
guint sc_guest_buffer_count(const ScGuestBuffer *buffer);
const ScGuestRange *sc_guest_buffer_get(const ScGuestBuffer *buffer, guint index);

/* FALSE, with nothing copied, if it ends before @offset + @size, or its file has shrunk. */
gboolean sc_guest_buffer_read(const ScGuestBuffer *buffer, guint64 offset, void *to, gsize size);

/*
 * Copies the boxes of @region out of a picture of 32 bits a pixel whose first row begins at @offset
 * and whose rows are @stride apart; @to has the same picture with rows @to_stride apart. Fails as
 * sc_guest_buffer_read() does.
 */
gboolean sc_guest_buffer_copy(const ScGuestBuffer *buffer, guint64 offset, guint32 stride,
                              const pixman_region32_t *region, guint8 *to, guint32 to_stride);

G_END_DECLS
