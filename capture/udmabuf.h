/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Dmabufs made of a guest's memory (/dev/udmabuf, <linux/udmabuf.h>): one linear buffer of pages
 * that are scattered in memfds, without a copy.
 *
 * Thread: any.
 */
#pragma once

#include "capture/guest-buffer.h"

G_BEGIN_DECLS

/*
 * The descriptor of a new dmabuf with the contents of @buffer, from its first byte; -1 if the
 * kernel cannot make it: the device is missing or may not be opened, the memory is no memfd or not
 * sealed against shrinking, pieces are no whole pages, or there are more of them than its limits
 * allow. The error says which, and the remedy.
 */
int sc_udmabuf_new(const ScGuestBuffer *buffer, GError **error);

G_END_DECLS
