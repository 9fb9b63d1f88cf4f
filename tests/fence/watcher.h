/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A source and all that it tells, for the tests of links. Plays the daemon's part: keeps
 * the current scanout, and holds each frame or lets it go at once.
 *
 * Thread: one, with the default main context.
 */
#pragma once

#include "capture/source.h"

G_BEGIN_DECLS

typedef struct {
    ScSource *source;
    gboolean hold;     /* put frames somebody waits for into @held instead of letting go at once */
    gboolean read;     /* read the frame number of every frame into @numbers */
    gint64 timeout_us; /* of every frame, 0: none */
    GPtrArray *held;   /* ScFrame */
    GArray *numbers;   /* guint32 */
    GHashTable *seen;  /* the different scanouts of frames, by address, referenced */
    guint n_frames, n_awaited;
    pixman_region32_t damage; /* of the last frame */

    ScScanout *scanout; /* NULL: none */
    guint n_scanouts, n_dark;

    ScSourceState state;
    guint n_connected;
    GPtrArray *reasons; /* char *, of all states */

    ScCursor *cursor;
    int cursor_x, cursor_y;
    ScPointerMode pointer_mode;
    ScLeds leds;

    GPtrArray *warnings; /* char *: what the source logged */
} Watcher;

/* Starts a source; only one at a time (the log goes to it). */
Watcher *watcher_new_at(const char *location);

/* On a SPICE server's socket. */
Watcher *watcher_new(const char *path);

/* The source alone; held frames stay. */
void watcher_stop(Watcher *watcher);
void watcher_let_go(Watcher *watcher);
void watcher_free(Watcher *watcher);

/* The frame number in the current scanout's picture (format with 4 bytes per pixel). */
guint32 watcher_read_number(Watcher *watcher);

gboolean watcher_was_told(Watcher *watcher, const char *part_of_reason);
gboolean watcher_was_warned(Watcher *watcher, const char *part_of_warning);

/* No frame, flush or cursor is left behind by anybody. */
void assert_nothing_left(void);

G_END_DECLS
