/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/dbus/played-qemu.h"

#include "capture/dbus-display1.h"
#include "capture/pattern.h"
#include "tests/fence/child.h"

#include <gio/gunixfdmessage.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOT "/org/qemu/Display1"
#define CONSOLE ROOT "/Console_0"
#define LISTENER ROOT "/Listener"

static const char manager_xml[] =
    "<node><interface name='org.freedesktop.DBus.ObjectManager'>"
    "<method name='GetManagedObjects'><arg type='a{oa{sa{sv}}}' direction='out'/></method>"
    "</interface></node>";

static void serve(PlayedQemu *self, int fd, GAsyncReadyCallback callback)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fd, &error);
    g_autoptr(GSocketConnection) stream = NULL;
    g_autofree char *guid = g_dbus_generate_guid();

    g_assert_no_error(error);
    stream = g_socket_connection_factory_create_connection(socket);
    g_dbus_connection_new(G_IO_STREAM(stream), guid,
                          G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER |
                              G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING,
                          NULL, self->life, callback, self);
}

static void drop(GDBusConnection **connection)
{
    if (*connection != NULL) {
        g_dbus_connection_close_sync(*connection, NULL, NULL);
        g_clear_object(connection);
    }
}

/* ---- consoles --------------------------------------------------------------------------- */

static GVariant *managed_objects(PlayedQemu *self)
{
    g_autofree char *text = g_strdup_printf(
        "({objectpath '/org/qemu/Display1/VM': {'org.qemu.Display1.VM': {'Name': <'played'>}},"
        "'/org/qemu/Display1/Console_10': {'org.qemu.Display1.Console': {'Type': <'Text'>}},"
        "'/org/qemu/Display1/Console_1': {'org.qemu.Display1.Console': {'Label': <'second'>, "
        "'Type': <'Graphic'>, 'Head': <uint32 1>}},"
        "'/org/qemu/Display1/Console_x': {'org.qemu.Display1.Console': {'Label': <'nonsense'>}},"
        "'/org/qemu/Display1/Console_0': {'org.qemu.Display1.Console': {'Label': <'first'>, "
        "'Type': <'Graphic'>, %s 'Width': <uint32 320>, 'Height': <uint32 200>, "
        "'DeviceAddress': <'pci/0000/02.0'>}, 'org.qemu.Display1.Keyboard': {'Modifiers': "
        "<uint32 2>}, 'org.qemu.Display1.Mouse': {'IsAbsolute': <%s>}, "
        "'org.qemu.Display1.MultiTouch': {'MaxSlots': <10>}}},)",
        self->is_old ? "" : "'Interfaces': <@as []>,", self->is_absolute ? "true" : "false");
    g_autoptr(GError) error = NULL;
    GVariant *objects =
        g_variant_parse(G_VARIANT_TYPE("(a{oa{sa{sv}}})"), text, NULL, NULL, &error);

    g_assert_no_error(error);
    return objects;
}

static void on_listener_interfaces(GObject *object, GAsyncResult *result, gpointer data)
{
    g_autoptr(GVariant) answer =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(object), result, NULL);
    PlayedQemu *self = data; /* gone if there is no answer */

    if (answer != NULL) {
        g_autoptr(GVariant) properties = g_variant_get_child_value(answer, 0);

        g_strfreev(self->interfaces);
        self->interfaces = NULL;
        g_variant_lookup(properties, "Interfaces", "^as", &self->interfaces);
        self->n_listeners++;
    }
}

static GDBusMessage *swallow_calls(GDBusConnection *connection, GDBusMessage *message,
                                   gboolean is_incoming, gpointer data)
{
    if (is_incoming &&
        g_dbus_message_get_message_type(message) == G_DBUS_MESSAGE_TYPE_METHOD_CALL) {
        g_clear_object(&message);
    }
    return message;
}

static void on_listener(GObject *object, GAsyncResult *result, gpointer data)
{
    GDBusConnection *connection = g_dbus_connection_new_finish(result, NULL);
    PlayedQemu *self = data;

    if (connection == NULL) {
        return; /* whoever asked for it is gone */
    }
    g_clear_object(&self->listener);
    self->listener = connection;
    if (self->is_swamped) {
        g_dbus_connection_add_filter(connection, swallow_calls, NULL, NULL);
    }
    g_dbus_connection_start_message_processing(connection);
    if (self->is_old) {
        self->n_listeners++;
        return;
    }
    g_dbus_connection_call(connection, NULL, LISTENER, "org.freedesktop.DBus.Properties", "GetAll",
                           g_variant_new("(s)", "org.qemu.Display1.Listener"), NULL,
                           G_DBUS_CALL_FLAGS_NONE, -1, self->life, on_listener_interfaces, self);
}

static void register_listener(PlayedQemu *self, GDBusMethodInvocation *invocation)
{
    GUnixFDList *fds =
        g_dbus_message_get_unix_fd_list(g_dbus_method_invocation_get_message(invocation));
    g_autoptr(GError) error = NULL;
    int fd;

    if (self->refuses_listener) {
        g_dbus_method_invocation_return_dbus_error(invocation, "org.qemu.Display1.Error.Failed",
                                                   "played refusal");
        return;
    }
    fd = g_unix_fd_list_get(fds, 0, &error);
    g_assert_no_error(error);
    g_dbus_method_invocation_return_value(invocation, NULL);
    serve(self, fd, on_listener);
}

static void on_call(GDBusConnection *connection, const char *sender, const char *path,
                    const char *interface, const char *method, GVariant *parameters,
                    GDBusMethodInvocation *invocation, gpointer data)
{
    PlayedQemu *self = data;
    g_autofree char *arguments = g_variant_print(parameters, FALSE);

    if (strcmp(method, "GetManagedObjects") == 0) {
        g_dbus_method_invocation_return_value(invocation, managed_objects(self));
        self->is_absolute |= self->turns_absolute;
        return;
    }
    g_ptr_array_add(self->calls,
                    g_strdup_printf("%s.%s %s", strrchr(interface, '.') + 1, method, arguments));
    if (strcmp(method, "RegisterListener") == 0) {
        register_listener(self, invocation);
    } else if (self->is_deaf) {
        g_ptr_array_add(self->deaf_calls, invocation);
    } else {
        g_dbus_method_invocation_return_value(invocation, NULL);
    }
}

/* Only one of them is asked for. */
static GVariant *get_property(GDBusConnection *connection, const char *sender, const char *path,
                              const char *interface, const char *property, GError **error,
                              gpointer data)
{
    PlayedQemu *self = data;

    if (strcmp(property, "IsAbsolute") == 0) {
        return g_variant_new_boolean(self->is_absolute);
    }
    g_set_error(error, G_DBUS_ERROR, G_DBUS_ERROR_FAILED, "%s is not played", property);
    return NULL;
}

static void register_object(PlayedQemu *self, const char *path, GDBusInterfaceInfo *interface)
{
    static const GDBusInterfaceVTable vtable = { .method_call = on_call,
                                                 .get_property = get_property };
    guint id = g_dbus_connection_register_object(self->control, path, interface, &vtable, self,
                                                 NULL, NULL);

    g_assert_cmpuint(id, !=, 0);
    g_array_append_val(self->objects, id);
}

static gboolean show_objects(gpointer data)
{
    PlayedQemu *self = data;
    GDBusNodeInfo *manager = g_dbus_node_info_new_for_xml(manager_xml, NULL);

    if (self->control != NULL) {
        register_object(self, ROOT, manager->interfaces[0]);
        register_object(self, CONSOLE, (gpointer)&org_qemu_display1_console_interface);
        register_object(self, CONSOLE, (gpointer)&org_qemu_display1_keyboard_interface);
        register_object(self, CONSOLE, (gpointer)&org_qemu_display1_mouse_interface);
        register_object(self, CONSOLE, (gpointer)&org_qemu_display1_multi_touch_interface);
    }
    g_dbus_node_info_unref(manager);
    self->showing = 0;
    return G_SOURCE_REMOVE;
}

void played_qemu_drop_control(PlayedQemu *self)
{
    for (guint i = 0; i < self->objects->len; i++) {
        g_dbus_connection_unregister_object(self->control, g_array_index(self->objects, guint, i));
    }
    g_array_set_size(self->objects, 0);
    g_clear_handle_id(&self->showing, g_source_remove);
    drop(&self->control);
}

/* As QEMU does it: the newer connection takes the objects from the older one. */
static void on_control(GObject *object, GAsyncResult *result, gpointer data)
{
    GDBusConnection *connection = g_dbus_connection_new_finish(result, NULL);
    PlayedQemu *self = data;

    if (connection == NULL) {
        return;
    }
    played_qemu_drop_control(self);
    self->control = connection;
    self->n_controls++;
    g_dbus_connection_start_message_processing(connection);
    if (self->shows_after > 0) {
        self->showing = g_timeout_add((guint)(self->shows_after / 1000), show_objects, self);
    } else {
        show_objects(self);
    }
}

/* ---- the monitor ------------------------------------------------------------------------ */

static void answer(GSocket *socket, const char *text)
{
    g_socket_send(socket, text, strlen(text), NULL, NULL);
}

static void take_fds(PlayedQemu *self, GSocketControlMessage **messages, int n_messages)
{
    for (int i = 0; i < n_messages; i++) {
        if (G_IS_UNIX_FD_MESSAGE(messages[i])) {
            g_autofree int *fds = g_unix_fd_message_steal_fds(G_UNIX_FD_MESSAGE(messages[i]), NULL);

            if (self->fd >= 0) {
                close(self->fd); /* whoever gave it has gone */
            }
            self->fd = fds[0];
        }
        g_object_unref(messages[i]);
    }
    g_free(messages);
}

static void end_talk(PlayedQemu *self, GSocket *socket)
{
    for (guint i = 0; i < self->talks->len; i++) {
        if (g_socket_connection_get_socket(self->talks->pdata[i]) == socket) {
            g_ptr_array_remove_index(self->talks, i);
            return;
        }
    }
}

static gboolean on_command(GSocket *socket, GIOCondition condition, gpointer data)
{
    PlayedQemu *self = data;
    char text[1024];
    GInputVector vector = { .buffer = text, .size = sizeof(text) - 1 };
    GSocketControlMessage **messages = NULL;
    int n_messages = 0;
    gssize n = g_socket_receive_message(socket, NULL, &vector, 1, &messages, &n_messages, NULL,
                                        NULL, NULL);

    take_fds(self, messages, n_messages);
    if (n <= 0 || self->monitor == NULL) {
        end_talk(self, socket);
        return G_SOURCE_REMOVE;
    }
    text[n] = '\0';
    if (strstr(text, "\"add_client\"") == NULL) {
        answer(socket, "{\"event\": \"NOISE\", \"data\": {}}\r\n{\"return\": {}}\r\n");
    } else if (self->refusal != NULL) {
        answer(socket, self->refusal);
    } else {
        g_assert_nonnull(strstr(text, "\"@dbus-display\""));
        answer(socket, "{\"return\": {}}\r\n");
        g_assert_cmpint(self->fd, >=, 0);
        serve(self, self->fd, on_control);
        self->fd = -1;
    }
    return G_SOURCE_CONTINUE;
}

static gboolean on_incoming(GSocketService *service, GSocketConnection *connection, GObject *object,
                            gpointer data)
{
    PlayedQemu *self = data;
    GSocket *socket = g_socket_connection_get_socket(connection);
    g_autoptr(GSource) source = g_socket_create_source(socket, G_IO_IN | G_IO_HUP, NULL);

    g_ptr_array_add(self->talks, g_object_ref(connection));
    g_source_set_callback(source, G_SOURCE_FUNC(on_command), self, NULL);
    g_source_attach(source, NULL);
    if (self->greeting != NULL) {
        answer(socket, self->greeting);
    }
    return TRUE;
}

/* ---- all of it -------------------------------------------------------------------------- */

PlayedQemu *played_qemu_new(void)
{
    PlayedQemu *self = g_new0(PlayedQemu, 1);
    g_autoptr(GError) error = NULL;

    self->dir = g_dir_make_tmp("scancast-XXXXXX", &error);
    g_assert_no_error(error);
    self->path = g_build_filename(self->dir, "qmp.sock", NULL);
    self->location = g_strconcat("dbus:p2p:", self->path, NULL);
    self->greeting = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";
    self->fd = -1;
    self->talks = g_ptr_array_new_with_free_func(g_object_unref);
    self->calls = g_ptr_array_new_with_free_func(g_free);
    self->deaf_calls = g_ptr_array_new();
    self->objects = g_array_new(FALSE, FALSE, sizeof(guint));
    return self;
}

void played_qemu_start(PlayedQemu *self)
{
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(self->path);
    g_autoptr(GError) error = NULL;

    g_remove(self->path);
    g_clear_object(&self->life);
    self->life = g_cancellable_new();
    self->monitor = g_socket_service_new();
    g_socket_listener_add_address(G_SOCKET_LISTENER(self->monitor), address, G_SOCKET_TYPE_STREAM,
                                  G_SOCKET_PROTOCOL_DEFAULT, NULL, NULL, &error);
    g_assert_no_error(error);
    g_signal_connect(self->monitor, "incoming", G_CALLBACK(on_incoming), self);
}

void played_qemu_drop_listener(PlayedQemu *self)
{
    drop(&self->listener);
}

void played_qemu_die(PlayedQemu *self)
{
    if (self->monitor != NULL) {
        g_socket_service_stop(self->monitor);
        g_socket_listener_close(G_SOCKET_LISTENER(self->monitor));
        g_clear_object(&self->monitor);
    }
    g_remove(self->path);
    for (guint i = 0; i < self->talks->len; i++) {
        g_socket_shutdown(g_socket_connection_get_socket(self->talks->pdata[i]), TRUE, TRUE, NULL);
    }
    if (self->fd >= 0) {
        close(self->fd);
        self->fd = -1;
    }
    g_cancellable_cancel(self->life);
    g_clear_object(&self->life);
    drop(&self->listener);
    played_qemu_drop_control(self);
    for (guint i = 0; i < self->deaf_calls->len; i++) {
        g_object_unref(self->deaf_calls->pdata[i]);
    }
    g_ptr_array_set_size(self->deaf_calls, 0);
}

void played_qemu_free(PlayedQemu *self)
{
    played_qemu_die(self);
    wait_until(self->talks->len == 0);
    g_rmdir(self->dir);
    g_strfreev(self->interfaces);
    g_ptr_array_unref(self->talks);
    g_ptr_array_unref(self->calls);
    g_ptr_array_unref(self->deaf_calls);
    g_array_unref(self->objects);
    g_free(self->location);
    g_free(self->path);
    g_free(self->dir);
    g_free(self);
}

void played_qemu_wait_listener(PlayedQemu *self)
{
    guint before = self->n_listeners;

    wait_until(self->n_listeners > before && self->listener != NULL);
}

/* ---- calls to the listener -------------------------------------------------------------- */

static const char *interface_of(const char *method)
{
    if (g_str_has_suffix(method, "Map")) {
        return "org.qemu.Display1.Listener.Unix.Map";
    }
    return strcmp(method, "ScanoutDMABUF2") == 0 ? "org.qemu.Display1.Listener.Unix.ScanoutDMABUF2"
                                                 : "org.qemu.Display1.Listener";
}

static void on_answer(GObject *object, GAsyncResult *result, gpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) value G_GNUC_UNUSED = g_dbus_connection_call_with_unix_fd_list_finish(
        G_DBUS_CONNECTION(object), NULL, result, &error);
    PlayedCall *call = data;

    call->done = TRUE;
    call->error = error != NULL ? g_strdup(error->message) : NULL;
}

static PlayedCall *call_with(PlayedQemu *self, const char *method, GVariant *arguments,
                             GUnixFDList *fds)
{
    PlayedCall *call = g_new0(PlayedCall, 1);

    g_assert_nonnull(self->listener);
    g_dbus_connection_call_with_unix_fd_list(self->listener, NULL, LISTENER, interface_of(method),
                                             method, arguments, NULL, G_DBUS_CALL_FLAGS_NONE,
                                             G_MAXINT, fds, NULL, on_answer, call);
    return call;
}

PlayedCall *played_call(PlayedQemu *self, const char *method, GVariant *arguments, int fd, ...)
{
    g_autoptr(GUnixFDList) fds = g_unix_fd_list_new();
    va_list more;

    va_start(more, fd);
    for (; fd >= 0; fd = va_arg(more, int)) {
        g_assert_cmpint(g_unix_fd_list_append(fds, fd, NULL), >=, 0);
    }
    va_end(more);
    return call_with(self, method, arguments, fds);
}

PlayedCall *played_call_no_fd(PlayedQemu *self, const char *method, GVariant *arguments)
{
    return call_with(self, method, arguments, NULL);
}

void played_call_free(PlayedCall *call)
{
    g_assert_true(call->done);
    g_free(call->error);
    g_free(call);
}

void played_do(PlayedQemu *self, const char *method, GVariant *arguments, int fd)
{
    PlayedCall *call = fd >= 0 ? played_call(self, method, arguments, fd, -1)
                               : played_call_no_fd(self, method, arguments);

    wait_until(call->done);
    g_assert_cmpstr(call->error, ==, NULL);
    played_call_free(call);
}

void played_say(PlayedQemu *self, const char *method, GVariant *arguments, int fd)
{
    g_autoptr(GDBusMessage) message =
        g_dbus_message_new_method_call(NULL, LISTENER, interface_of(method), method);
    g_autoptr(GError) error = NULL;

    if (fd >= 0) {
        g_autoptr(GUnixFDList) fds = g_unix_fd_list_new();

        g_unix_fd_list_append(fds, fd, &error);
        g_dbus_message_set_unix_fd_list(message, fds);
    }
    if (arguments != NULL) {
        g_dbus_message_set_body(message, arguments);
    }
    g_dbus_message_set_flags(message, G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED);
    g_dbus_connection_send_message(self->listener, message, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL,
                                   &error);
    g_assert_no_error(error);
}

void played_flush(PlayedQemu *self)
{
    g_autoptr(GError) error = NULL;

    g_dbus_connection_flush_sync(self->listener, NULL, &error);
    g_assert_no_error(error);
}

void played_change(PlayedQemu *self, const char *interface, const char *name, GVariant *value)
{
    GVariantBuilder changed;

    g_variant_builder_init(&changed, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&changed, "{sv}", name, value);
    g_dbus_connection_emit_signal(self->control, NULL, CONSOLE, "org.freedesktop.DBus.Properties",
                                  "PropertiesChanged",
                                  g_variant_new("(sa{sv}as)", interface, &changed, NULL), NULL);
}

gboolean played_was_called(PlayedQemu *self, const char *call, guint since)
{
    for (guint i = since; i < self->calls->len; i++) {
        if (strcmp(self->calls->pdata[i], call) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* ---- pictures --------------------------------------------------------------------------- */

int played_buffer(guint width, guint height, guint stride, guint32 number)
{
    int fd = memfd_create("buffer", MFD_CLOEXEC);
    gsize size = (gsize)stride * height;
    guint8 *pixels;

    g_assert_no_errno(ftruncate(fd, (off_t)size));
    pixels = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    g_assert_true(pixels != MAP_FAILED);
    pattern_draw((guint32 *)pixels, (int)stride, (int)width, (int)height, number);
    munmap(pixels, size);
    return fd;
}

GVariant *played_part(guint width, guint height, guint32 number, guint x, guint y, guint part_width,
                      guint part_height)
{
    g_autofree guint32 *pixels = g_new(guint32, (gsize)width * height);
    guint32 *part = g_new(guint32, (gsize)part_width * part_height);

    pattern_draw(pixels, (int)width * 4, (int)width, (int)height, number);
    for (guint row = 0; row < part_height; row++) {
        memcpy(part + (gsize)row * part_width, pixels + (gsize)(y + row) * width + x,
               part_width * 4);
    }
    return g_variant_new_from_data(G_VARIANT_TYPE_BYTESTRING, part,
                                   (gsize)part_width * part_height * 4, TRUE, g_free, part);
}

GVariant *played_pixels(guint width, guint height, guint32 number)
{
    return played_part(width, height, number, 0, 0, width, height);
}
