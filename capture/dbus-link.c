/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/dbus-link.h"

#include "capture/qmp.h"
#include "capture/timer.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* A restarted QEMU is picked up quickly; one that is gone costs next to nothing. */
#define RETRY_MIN_US (100 * 1000)
#define RETRY_MAX_US (5 * G_USEC_PER_SEC)

/* QEMU has room for one direct connection and drops the older one: two of us must not snatch it
 * from each other all the time. */
#define DIRECT_RETRY_MIN_US (1 * G_USEC_PER_SEC)

/* To connect takes milliseconds. A monitor that is somebody else's never says a word. */
#define CONNECT_TIMEOUT_US (10 * G_USEC_PER_SEC)

#define QMP_PROTOCOL "@dbus-display"

/* A QEMU that we are connected to directly shows its objects a moment later. What comes in before
 * that GDBus (2.74) may even leave without an answer. */
#define ASK_AGAIN_US (20 * 1000)
#define ASK_TIMEOUT_MS 1000
#define GIVE_UP_ASKING_US (5 * G_USEC_PER_SEC)

struct ScDbusLink {
    const ScDbusAddress *address;
    ScDbusLinkListener listener;
    gpointer data;

    ScTimer *retry;
    ScTimer *timeout;
    gint64 delay; /* before the next try */
    gint64 up_at; /* when the connection came up; 0 while it is down */
    guint watch;  /* of the name on the bus, 0: none */
    int fd;       /* our end of the socket that QEMU is being given, -1: none */
    GCancellable *cancellable;
    GDBusConnection *connection;

    ScTimer *ask_again;
    gint64 asked_at;      /* when we began to ask the VMM what it has */
    GCancellable *asking; /* NULL: we do not */
    char *name;           /* whom we ask, or asked */
};

static void try_to_connect(gpointer data);

static void stop_asking(ScDbusLink *self)
{
    sc_timer_cancel(self->ask_again);
    if (self->asking != NULL) {
        g_cancellable_cancel(self->asking);
        g_clear_object(&self->asking);
    }
    g_clear_pointer(&self->name, g_free);
}

static void close_connection(ScDbusLink *self)
{
    stop_asking(self);
    sc_timer_cancel(self->timeout);
    if (self->cancellable != NULL) {
        g_cancellable_cancel(self->cancellable);
        g_clear_object(&self->cancellable);
    }
    g_clear_handle_id(&self->watch, g_bus_unwatch_name);
    if (self->fd >= 0) {
        close(self->fd);
        self->fd = -1;
    }
    if (self->connection != NULL) {
        g_signal_handlers_disconnect_by_data(self->connection, self);
        g_dbus_connection_close(self->connection, NULL, NULL, NULL);
        g_clear_object(&self->connection);
    }
}

void sc_dbus_link_retry(ScDbusLink *self)
{
    gboolean lasted = self->up_at != 0 && g_get_monotonic_time() - self->up_at >= RETRY_MAX_US;

    close_connection(self);
    if (lasted) {
        self->delay = RETRY_MIN_US;
    }
    if (self->up_at != 0 && self->address->qmp != NULL) {
        self->delay = MAX(self->delay, DIRECT_RETRY_MIN_US);
    }
    self->up_at = 0;
    sc_timer_set_after(self->retry, self->delay);
    self->delay = MIN(self->delay * 2, RETRY_MAX_US);
}

static void lose(ScDbusLink *self, const char *reason)
{
    sc_dbus_link_retry(self);
    self->listener.down(reason, self->data);
}

static void on_closed(GDBusConnection *connection, gboolean remote_peer_vanished, GError *error,
                      gpointer data)
{
    ScDbusLink *self = data;
    g_autofree char *reason =
        self->address->qmp != NULL
            ? g_strdup_printf("%s: the connection was closed: QEMU quit, or another client has "
                              "taken it (only one can have it; a bus has room for many)",
                              self->address->qmp)
            : g_strdup_printf("%s: the bus has closed the connection", self->address->bus);

    lose(self, reason);
}

static void on_timeout(gpointer data)
{
    ScDbusLink *self = data;
    g_autofree char *reason =
        self->address->qmp != NULL
            ? g_strdup_printf("%s: no answer from QEMU's monitor: has it another client? Give "
                              "QEMU a second -qmp for Scancast",
                              self->address->qmp)
            : g_strdup_printf("%s: no answer from the bus", self->address->bus);

    lose(self, reason);
}

static gboolean is_too_early(const GError *error)
{
    return g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD) ||
           g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_OBJECT) ||
           g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_INTERFACE) ||
           g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
}

static void on_objects(GObject *object, GAsyncResult *result, gpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) objects =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(object), result, &error);
    ScDbusLink *self = data;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        return;
    }
    if (objects != NULL) {
        g_autoptr(GPtrArray) consoles = sc_dbus_consoles_new(objects);

        self->up_at = g_get_monotonic_time();
        self->listener.up(self->connection, self->name, consoles, self->data);
    } else if (is_too_early(error) && g_get_monotonic_time() - self->asked_at < GIVE_UP_ASKING_US) {
        sc_timer_set_after(self->ask_again, ASK_AGAIN_US);
    } else {
        g_autofree char *reason =
            g_strdup_printf("%s: no D-Bus display there: %s", self->address->text, error->message);

        lose(self, reason);
    }
}

static void ask(gpointer data)
{
    ScDbusLink *self = data;

    g_dbus_connection_call(self->connection, self->name, SC_DBUS_ROOT,
                           "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL,
                           G_VARIANT_TYPE("(a{oa{sa{sv}}})"), G_DBUS_CALL_FLAGS_NO_AUTO_START,
                           ASK_TIMEOUT_MS, self->asking, on_objects, self);
}

static void begin_asking(ScDbusLink *self, const char *name)
{
    stop_asking(self);
    self->name = g_strdup(name);
    self->asking = g_cancellable_new();
    self->asked_at = g_get_monotonic_time();
    sc_timer_set_after(self->ask_again, name != NULL ? 0 : ASK_AGAIN_US);
}

static void on_name_appeared(GDBusConnection *connection, const char *name, const char *owner,
                             gpointer data)
{
    begin_asking(data, owner);
}

static void on_name_vanished(GDBusConnection *connection, const char *name, gpointer data)
{
    ScDbusLink *self = data;
    g_autofree char *reason = NULL;

    if (connection == NULL || g_dbus_connection_is_closed(connection)) {
        return; /* on_closed() tells */
    }
    stop_asking(self);
    reason = g_strdup_printf("%s: nobody there is %s (waiting for QEMU with -display dbus,addr=%s)",
                             self->address->bus, name, self->address->bus);
    self->listener.down(reason, self->data);
}

/* Takes @connection, or the error. */
static void use_connection(ScDbusLink *self, GDBusConnection *connection, const GError *error)
{
    sc_timer_cancel(self->timeout);
    if (connection == NULL) {
        g_autofree char *reason = g_strdup_printf("%s: %s", self->address->text, error->message);

        lose(self, reason);
        return;
    }
    self->connection = connection;
    g_dbus_connection_set_exit_on_close(connection, FALSE);
    g_signal_connect(connection, "closed", G_CALLBACK(on_closed), self);
    if (self->address->bus != NULL) {
        self->watch = g_bus_watch_name_on_connection(
            connection, self->address->name, G_BUS_NAME_WATCHER_FLAGS_NONE, on_name_appeared,
            on_name_vanished, self, NULL);
    } else {
        begin_asking(self, NULL);
    }
}

static void on_bus_connected(GObject *object, GAsyncResult *result, gpointer data)
{
    g_autoptr(GError) error = NULL;
    GDBusConnection *connection = g_dbus_connection_new_for_address_finish(result, &error);

    if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        use_connection(data, connection, error);
    }
}

static void on_peer_connected(GObject *object, GAsyncResult *result, gpointer data)
{
    g_autoptr(GError) error = NULL;
    GDBusConnection *connection = g_dbus_connection_new_finish(result, &error);

    if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        use_connection(data, connection, error);
    }
}

static void on_added(GObject *object, GAsyncResult *result, gpointer data)
{
    g_autoptr(GError) error = NULL;
    gboolean added = sc_qmp_add_client_finish(result, &error);
    ScDbusLink *self = data;
    int fd;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        return;
    }
    if (!added) {
        lose(self, error->message);
        return;
    }
    fd = self->fd;
    self->fd = -1;
    sc_dbus_connect_fd(fd, G_DBUS_CONNECTION_FLAGS_NONE, self->cancellable, on_peer_connected,
                       self);
}

static void try_to_connect(gpointer data)
{
    ScDbusLink *self = data;
    int ends[2];

    self->cancellable = g_cancellable_new();
    sc_timer_set_after(self->timeout, CONNECT_TIMEOUT_US);
    if (self->address->bus != NULL) {
        g_dbus_connection_new_for_address(self->address->bus,
                                          G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                              G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                          NULL, self->cancellable, on_bus_connected, self);
        return;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        lose(self, g_strerror(errno));
        return;
    }
    self->fd = ends[0];
    sc_qmp_add_client(self->address->qmp, QMP_PROTOCOL, ends[1], self->cancellable, on_added, self);
}

ScDbusLink *sc_dbus_link_new(const ScDbusAddress *address, const ScDbusLinkListener *listener,
                             gpointer data)
{
    ScDbusLink *self = g_new0(ScDbusLink, 1);

    self->address = address;
    self->listener = *listener;
    self->data = data;
    self->fd = -1;
    self->delay = RETRY_MIN_US;
    self->retry = sc_timer_new(try_to_connect, self);
    self->timeout = sc_timer_new(on_timeout, self);
    self->ask_again = sc_timer_new(ask, self);
    sc_timer_set_after(self->retry, 0);
    return self;
}

void sc_dbus_link_free(ScDbusLink *self)
{
    if (self == NULL) {
        return;
    }
    close_connection(self);
    sc_timer_free(self->retry);
    sc_timer_free(self->timeout);
    sc_timer_free(self->ask_again);
    g_free(self);
}

void sc_dbus_connect_fd(int fd, GDBusConnectionFlags flags, GCancellable *cancellable,
                        GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fd, NULL);
    g_autoptr(GSocketConnection) stream = NULL;

    g_assert(socket != NULL); /* it is one of ours */
    stream = g_socket_connection_factory_create_connection(socket);
    g_dbus_connection_new(G_IO_STREAM(stream), NULL,
                          flags | G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, cancellable,
                          callback, data);
}
