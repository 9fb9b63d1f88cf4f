/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/client/probe.h"

static void on_set(SpiceCursorChannel *cursor, int width, int height, int hot_x, int hot_y,
                   gpointer rgba, gpointer data)
{
    g_autofree char *hash = NULL;

    if (rgba != NULL) {
        hash = g_compute_checksum_for_data(G_CHECKSUM_SHA1, rgba, (gsize)width * height * 4);
    }
    probe_print("cursor-set width=%d height=%d hot-x=%d hot-y=%d sha1=%s", width, height, hot_x,
                hot_y, hash != NULL ? hash : "default");
}

static void on_move(SpiceCursorChannel *cursor, int x, int y, gpointer data)
{
    probe_print("cursor-move x=%d y=%d", x, y);
}

static void on_hide(SpiceCursorChannel *cursor, gpointer data)
{
    probe_print("cursor-hide");
}

void probe_watch_cursor(SpiceCursorChannel *cursor)
{
    g_signal_connect(cursor, "cursor-set", G_CALLBACK(on_set), NULL);
    g_signal_connect(cursor, "cursor-move", G_CALLBACK(on_move), NULL);
    g_signal_connect(cursor, "cursor-hide", G_CALLBACK(on_hide), NULL);
    g_signal_connect(cursor, "cursor-reset", G_CALLBACK(on_hide), NULL);
}
