/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds where messages end in what libspice-server sends: spice-gtk (0.42) forgets the rest of a
 * TLS record when a message ends within it, until more comes (spice_channel_iterate_read() asks the
 * socket, not TLS). So a record must not hold the end of one message and the beginning of the next.
 *
 * Thread: any one at a time; pure.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
    gboolean has_mini_header;
    guint n_units;     /* that have begun */
    guint8 header[18]; /* of this one */
    gsize header_size; /* of it, what is there */
    gboolean in_header;
    guint64 left; /* of the body */
} ScSplitter;

/* @has_mini_header: as in sc_guard_has_mini_header(). */
void sc_splitter_init(ScSplitter *splitter, gboolean has_mini_header);

/* How many of the next @size bytes, which are not none, belong together; the others must be asked
 * about again. */
gsize sc_splitter_next(ScSplitter *splitter, const guint8 *bytes, gsize size);

G_END_DECLS
