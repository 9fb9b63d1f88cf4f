/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plays a QEMU with -display dbus,p2p=yes: its monitor on a socket, its consoles, and its side of a
 * listener's connection, for what stock QEMU cannot do without a GPU, and for what it never does.
 *
 * Thread: one, with the default main context; GDBus's thread does the transport for both sides.
 */
#pragma once

#include <gio/gio.h>
#include <gio/gunixfdlist.h>

G_BEGIN_DECLS

typedef struct {
    char *dir, *path; /* of the monitor's socket */
    char *location;   /* as a SOURCE */

    /* How it behaves; set it before anybody connects. */
    const char *greeting; /* of the monitor; NULL: none */
    const char *refusal;  /* what it answers to add_client; NULL: yes */
    gint64 shows_after;   /* its objects, microseconds after the connection came */
    gboolean is_old;      /* as QEMU 7.2; does not ask for the listener's interfaces */
    gboolean is_absolute;
    gboolean turns_absolute; /* right after it has listed its objects, and tells nobody */
    gboolean is_deaf;        /* does not answer calls to its consoles */
    gboolean refuses_listener;
    gboolean is_swamped; /* its answers to the listener do not get out of its queue */

    GCancellable *life; /* cancelled when it dies */
    guint showing;      /* a source, 0: none */
    GSocketService *monitor;
    GPtrArray *talks; /* GSocketConnection, to the monitor */
    int fd;           /* given by getfd, -1: none */
    GDBusConnection *control;
    GArray *objects;       /* guint, what is registered on it */
    GPtrArray *deaf_calls; /* GDBusMethodInvocation */

    GPtrArray *calls; /* char *: "Keyboard.Press (30,)" and so on */
    guint n_controls, n_listeners;
    char **interfaces;         /* what the listener said it can do */
    GDBusConnection *listener; /* the newest */
} PlayedQemu;

/* A call to the listener. */
typedef struct {
    gboolean done;
    char *error; /* once done: NULL if there was none */
} PlayedCall;

PlayedQemu *played_qemu_new(void);

/* Its monitor listens; to be called once it behaves as wanted, and again after played_qemu_die().
 */
void played_qemu_start(PlayedQemu *qemu);

/* All its connections end at once. */
void played_qemu_die(PlayedQemu *qemu);

/* Drops what it has with its listener, and nothing else. */
void played_qemu_drop_listener(PlayedQemu *qemu);
void played_qemu_drop_control(PlayedQemu *qemu);

void played_qemu_free(PlayedQemu *qemu);

/* Until somebody listens. */
void played_qemu_wait_listener(PlayedQemu *qemu);

/* Calls a method of the listener, by its name alone, with descriptors that stay the caller's (-1
 * ends). @arguments may be floating. Free the result with played_call_free() once it is done. */
PlayedCall *played_call(PlayedQemu *qemu, const char *method, GVariant *arguments, int fd, ...);
PlayedCall *played_call_no_fd(PlayedQemu *qemu, const char *method, GVariant *arguments);
void played_call_free(PlayedCall *call);

/* The same, waits, and wants no error. */
void played_do(PlayedQemu *qemu, const char *method, GVariant *arguments, int fd);

/* The same without asking for an answer, as QEMU does mostly. */
void played_say(PlayedQemu *qemu, const char *method, GVariant *arguments, int fd);

/* All that was said has left this side. Does not run the main context. */
void played_flush(PlayedQemu *qemu);

/* Tells that a property of Console_0 has changed. */
void played_change(PlayedQemu *qemu, const char *interface, const char *name, GVariant *value);

/* Whether "Interface.Method (arguments)" was called, from the call @since on. */
gboolean played_was_called(PlayedQemu *qemu, const char *call, guint since);

/* A memfd with the test picture @number, XR24, rows of @stride bytes. */
int played_buffer(guint width, guint height, guint stride, guint32 number);

/* The same as a byte array, of the rows from @y to @y + @height of a picture @width wide. */
GVariant *played_pixels(guint width, guint height, guint32 number);
GVariant *played_part(guint width, guint height, guint32 number, guint x, guint y, guint part_width,
                      guint part_height);

G_END_DECLS
