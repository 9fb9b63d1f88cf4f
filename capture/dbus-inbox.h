/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The newest state of a console, put together from the calls that a VMM makes on the connection of
 * a listener.
 *
 * QEMU does not wait for its listeners (but for the answer to UpdateDMABUF): what nobody reads
 * fills its memory, and what nobody handles would fill ours. So each call is taken by GDBus's own
 * thread when it was read, before the next one is. What a newer one makes obsolete is forgotten,
 * changes of a picture are drawn into one another; the owner's thread takes the sum when it gets to
 * it. However late that is, at most one picture, its changes and a few small messages are kept.
 *
 * A QEMU before 8.1 also queues what it cannot write as fast as its guest draws, without a limit
 * and without dropping what is obsolete. So a small call to it goes with the pictures all the time:
 * what comes in before its answer was queued there.
 *
 * Thread: the owner thread, except that calls arrive in GDBus's.
 */
#pragma once

#include <gio/gio.h>
#include <pixman.h>

G_BEGIN_DECLS

typedef struct ScDbusInbox ScDbusInbox;

typedef enum {
    SC_DBUS_NOTHING,
    SC_DBUS_PIXELS, /* Scanout */
    SC_DBUS_DMABUF, /* ScanoutDMABUF, ScanoutDMABUF2 */
    SC_DBUS_MAP,    /* ScanoutMap */
} ScDbusKind;

/* A picture in bytes, or a change of one. */
typedef struct {
    GBytes *bytes;
    guint32 width, height; /* pixels */
    guint32 stride;        /* bytes */
    guint32 fourcc;
} ScDbusPixels;

/* All of it happened since the last one was taken; in the order of the members. */
typedef struct {
    ScDbusKind kind;       /* of the new scanout; SC_DBUS_NOTHING if there is none */
    ScDbusPixels pixels;   /* SC_DBUS_PIXELS */
    GDBusMessage *scanout; /* else the call, which wants an answer */
    GError *error;         /* SC_DBUS_PIXELS that cannot be used; .pixels is empty then */

    /* What changed of the pixels, in a picture of their size. */
    ScDbusPixels changes;
    pixman_region32_t changed; /* empty: nothing, and .changes is */
    GError *changes_error;     /* some change could not be used */

    pixman_region32_t map_damage;    /* UpdateMap, not cut to the scanout */
    pixman_region32_t dmabuf_damage; /* UpdateDMABUF, likewise */
    GPtrArray *dmabuf_updates;       /* these calls (GDBusMessage): they want an answer */

    gboolean was_disabled; /* Disable, before one of the changes above */
    gboolean is_disabled;  /* and after them */

    /* The VMM queues ever more: only a new listener makes it forget that. */
    gboolean is_flooded;

    GDBusMessage *cursor; /* CursorDefine */
    GDBusMessage *mouse;  /* MouseSet */
} ScDbusNews;

/* @func is called in the main context that is the thread default now, when there is news.
 * @watches_queue: whether to find out if the VMM is flooded. */
ScDbusInbox *sc_dbus_inbox_new(gboolean watches_queue, void (*func)(gpointer data), gpointer data);

/* Becomes the listener on @connection, which does not process messages yet. Once. */
gboolean sc_dbus_inbox_attach(ScDbusInbox *inbox, GDBusConnection *connection, GError **error);

/* What came since the last call; clear it. */
void sc_dbus_inbox_take(ScDbusInbox *inbox, ScDbusNews *news);
void sc_dbus_news_clear(ScDbusNews *news);

/* Nothing more is taken or told. NULL is ignored. */
void sc_dbus_inbox_free(ScDbusInbox *inbox);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScDbusInbox, sc_dbus_inbox_free)

/* Answers a call that wants an answer: with @error, or without a result. Any thread. */
void sc_dbus_answer(GDBusConnection *connection, GDBusMessage *call, const GError *error);

G_END_DECLS
