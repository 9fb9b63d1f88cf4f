/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plays QEMU with -spice gl=on,unix=on: a libspice-server on a unix socket whose guest is this
 * program's caller. GL scanouts are memfds (or udmabufs, where the kernel has them) with the test
 * pattern in them; every completed draw is reported with the time the guest had to wait.
 *
 * Thread:   one thread that runs the default main context; the listener is called there.
 * Lifetime: one host at a time (libspice-server's channel events carry no pointer).
 */
#pragma once

#include <glib.h>
#include <spice.h>

G_BEGIN_DECLS

typedef struct GlHost GlHost;

/* Every member is mandatory. */
typedef struct {
    void (*draw_done)(guint32 number, gint64 held_us, gpointer data);
    /* A client's channel (SPICE_CHANNEL_*) came or went. */
    void (*channel)(int type, gboolean up, gpointer data);
    /* "window W H", "key 1e", "motion DX DY DZ BUTTONS", "position X Y BUTTONS", "wheel DZ",
     * "buttons BUTTONS" */
    void (*input)(const char *text, gpointer data);
} GlHostListener;

/* @password: NULL: none is asked for. Exits the program if libspice-server refuses. */
GlHost *gl_host_new(const char *path, const char *password, const GlHostListener *listener,
                    gpointer data);
void gl_host_free(GlHost *host);

/* ---- GL ---- */

/* The guest's buffers from now on; the old ones go. @fourcc must have 4 bytes per pixel. @far:
 * files in the working directory, which a reader cannot know for memory where that is on a disk, as
 * it cannot that of a GPU. TRUE if they are udmabufs. */
gboolean gl_host_set_buffers(GlHost *host, guint n, int width, int height, guint32 fourcc,
                             gboolean far);

/* Of buffer @index; rows are width * 4 bytes apart. */
guint32 *gl_host_get_pixels(GlHost *host, guint index);
int gl_host_get_width(GlHost *host);
int gl_host_get_height(GlHost *host);

/* Not while a draw is pending: libspice-server aborts the program (spice_return_if_fail). */
void gl_host_scanout(GlHost *host, guint index, gboolean bottom_up);
void gl_host_disable(GlHost *host);

/* Whatever the caller says, true or not. Takes @fd. */
void gl_host_scanout_fd(GlHost *host, int fd, guint32 width, guint32 height, guint32 stride,
                        guint32 fourcc, gboolean bottom_up);

gboolean gl_host_is_drawing(GlHost *host);
/* @number comes back with draw_done(). Not while a draw is pending. */
void gl_host_draw(GlHost *host, guint32 number, guint32 x, guint32 y, guint32 width,
                  guint32 height);

/* ---- the ordinary way (gl-host-2d.c) ---- */

/* Replaces the one there is; at first it has 640x480 pixels. @bits: 16 or 32. */
void gl_host_create_primary(GlHost *host, int width, int height, int bits);
void gl_host_destroy_primary(GlHost *host);
/* @pixels: words 0xffRRGGBB, copied. */
void gl_host_paint(GlHost *host, int x, int y, int width, int height, const guint32 *pixels);

/* @argb: premultiplied, copied. */
void gl_host_set_cursor(GlHost *host, int width, int height, int hot_x, int hot_y,
                        const guint32 *argb);
void gl_host_move_cursor(GlHost *host, int x, int y);
void gl_host_hide_cursor(GlHost *host);

/* ---- input ---- */

/* With a tablet clients may use absolute positions. */
void gl_host_set_tablet(GlHost *host, gboolean on);
void gl_host_set_leds(GlHost *host, int leds);
/* The guest's SPICE agent opens its port, and reads whatever comes. */
void gl_host_start_agent(GlHost *host);

G_END_DECLS
