/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * spice-probe: a SPICE client without a screen that tells on stdout what it sees, one line per
 * event, and does what it reads on stdin. doc: print_help() in spice-probe.c.
 *
 * Thread: the main thread, except where a comment says otherwise.
 */
#pragma once

#include <gst/gst.h>
#include <spice-client.h>

typedef struct {
    /* Options. */
    char *uri, *unix_path, *ca_file, *username, *password;
    gboolean overlay, no_h264, latency;
    int frames;  /* how many to see; 0: no such goal */
    int seconds; /* deadline */

    GMainLoop *loop;
    gboolean failed;
    int n_frames;

    /* The session and what it brought; NULL before. */
    SpiceSession *session;
    SpiceMainChannel *main;
    SpiceDisplayChannel *display;
    SpiceInputsChannel *inputs;
    SpiceCursorChannel *cursor;
    int buttons; /* held: SPICE_MOUSE_BUTTON_MASK_* */

    /* The display's picture: of the canvas path, words 0xXXRRGGBB in spice-glib's memory. */
    const guint32 *pixels;
    int width, height, stride;
    GstSample *sample; /* the last one of the overlay path, BGRx */
} Probe;

/* Prints "event key=value ..." and a newline, at once. Any thread. */
void probe_print(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* Ends the program with status 1. */
void probe_fail(Probe *probe);

/* Counts a frame; the program ends when there were enough. */
void probe_count_frame(Probe *probe);

void probe_connect(Probe *probe);
void probe_disconnect(Probe *probe);

/* probe-display.c */
void probe_watch_display(Probe *probe, SpiceDisplayChannel *display);
void probe_forget_display(Probe *probe);
gboolean probe_save(Probe *probe, const char *path);
/* Before the first connection: makes spice-glib believe that no H.264 decoder is installed. */
void probe_remove_h264(void);

/* probe-cursor.c */
void probe_watch_cursor(SpiceCursorChannel *cursor);

/* probe-commands.c: reads stdin. */
void probe_watch_commands(Probe *probe);
