/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/dbus-listener.h"

#include "capture/dbus-display.h"
#include "capture/dbus-inbox.h"
#include "capture/dbus-link.h"
#include "capture/timer.h"

#include <errno.h>
#include <gio/gunixfdlist.h>
#include <sys/socket.h>

/* QEMU shakes hands as soon as it has answered. */
#define SET_UP_TIMEOUT_MS (10 * 1000)

struct ScDbusListener {
    ScSource *source;
    ScDbusCursor *cursor;
    ScDbusListenerFuncs funcs;
    gpointer data;

    GCancellable *cancellable;
    ScTimer *timeout;
    char *failure;       /* why it could not even be asked for; told by the timer */
    gboolean registered; /* the VMM has said yes */
    GDBusConnection *connection;
    ScDbusInbox *inbox;
    ScDbusDisplay *display;
};

static void on_news(gpointer data)
{
    ScDbusListener *self = data;
    ScDbusNews news;
    gboolean is_flooded;

    if (self->display == NULL) {
        return;
    }
    sc_dbus_inbox_take(self->inbox, &news);
    sc_dbus_display_take(self->display, &news);
    sc_dbus_cursor_take(self->cursor, &news);
    is_flooded = news.is_flooded;
    sc_dbus_news_clear(&news);
    if (is_flooded) {
        self->funcs.flooded(self, self->data);
    }
}

static void end(ScDbusListener *self, const char *reason)
{
    self->funcs.ended(self, reason, self->data);
}

static void on_timeout(gpointer data)
{
    ScDbusListener *self = data;
    g_autofree char *failure = g_steal_pointer(&self->failure);

    end(self, failure != NULL ? failure : "the VMM does not answer");
}

static void on_closed(GDBusConnection *connection, gboolean remote_peer_vanished, GError *error,
                      gpointer data)
{
    end(data, "the VMM ended the connection to its listener");
}

static void on_lost(gpointer data)
{
    ScDbusListener *self = data;

    self->funcs.lost(self, self->data);
}

static void check_up(ScDbusListener *self)
{
    if (self->registered && self->connection != NULL) {
        sc_timer_cancel(self->timeout);
        self->funcs.up(self, self->data);
    }
}

static void on_registered(GObject *object, GAsyncResult *result, gpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) answer = g_dbus_connection_call_with_unix_fd_list_finish(
        G_DBUS_CONNECTION(object), NULL, result, &error);
    ScDbusListener *self = data;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        return;
    }
    if (answer == NULL) {
        end(self, error->message);
        return;
    }
    self->registered = TRUE;
    check_up(self);
}

static void on_connected(GObject *object, GAsyncResult *result, gpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusConnection) connection = g_dbus_connection_new_finish(result, &error);
    ScDbusListener *self = data;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        return;
    }
    if (connection == NULL || !sc_dbus_inbox_attach(self->inbox, connection, &error)) {
        end(self, error->message);
        return;
    }
    self->connection = g_steal_pointer(&connection);
    g_dbus_connection_set_exit_on_close(self->connection, FALSE);
    g_signal_connect(self->connection, "closed", G_CALLBACK(on_closed), self);
    self->display = sc_dbus_display_new(self->source, self->connection, on_lost, self);
    g_dbus_connection_start_message_processing(self->connection);
    check_up(self);
}

static void ask(ScDbusListener *self, GDBusConnection *control, const char *name, const char *path)
{
    g_autoptr(GUnixFDList) fds = NULL;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        self->failure = g_strdup_printf("no socket for a listener: %s", g_strerror(errno));
        sc_timer_set_after(self->timeout, 0);
        return;
    }
    fds = g_unix_fd_list_new_from_array(&ends[1], 1);
    g_dbus_connection_call_with_unix_fd_list(control, name, path, SC_DBUS_CONSOLE,
                                             "RegisterListener", g_variant_new("(h)", 0), NULL,
                                             G_DBUS_CALL_FLAGS_NO_AUTO_START, SET_UP_TIMEOUT_MS,
                                             fds, self->cancellable, on_registered, self);
    /* Not one message before we can take them. */
    sc_dbus_connect_fd(ends[0], G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING, self->cancellable,
                       on_connected, self);
}

ScDbusListener *sc_dbus_listener_new(ScSource *source, ScDbusCursor *cursor,
                                     GDBusConnection *control, const char *name,
                                     const ScDbusConsole *console, const ScDbusListenerFuncs *funcs,
                                     gpointer data)
{
    ScDbusListener *self = g_new0(ScDbusListener, 1);

    self->source = source;
    self->cursor = cursor;
    self->funcs = *funcs;
    self->data = data;
    self->cancellable = g_cancellable_new();
    self->inbox = sc_dbus_inbox_new(!console->is_modern, on_news, self);
    self->timeout = sc_timer_new(on_timeout, self);
    sc_timer_set_after(self->timeout, SET_UP_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND);
    ask(self, control, name, console->path);
    return self;
}

void sc_dbus_listener_free(ScDbusListener *self)
{
    if (self == NULL) {
        return;
    }
    g_cancellable_cancel(self->cancellable);
    g_object_unref(self->cancellable);
    sc_timer_free(self->timeout);
    sc_dbus_inbox_free(self->inbox);
    sc_dbus_display_free(self->display);
    if (self->connection != NULL) {
        g_signal_handlers_disconnect_by_data(self->connection, self);
        g_dbus_connection_close(self->connection, NULL, NULL, NULL);
        g_object_unref(self->connection);
    }
    g_free(self->failure);
    g_free(self);
}
