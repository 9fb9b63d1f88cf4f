/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/qmp.h"

#include "capture/error.h"

#include <gio/gunixconnection.h>
#include <gio/gunixfdmessage.h>
#include <gio/gunixsocketaddress.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <unistd.h>

/* What QEMU says to us is short; a monitor that is none may say anything. */
#define MAX_LINE (64 * 1024)

#define FD_NAME "scancast"

/* One conversation: its greeting, and then the answers to our commands, one after the other. */
typedef struct {
    char *path;
    char *protocol;
    int fd; /* -1 once it was sent */
    GSocketConnection *connection;
    GString *input;
    char buffer[4096];
    int step; /* which command is sent next */
} Talk;

enum { SEND_CAPABILITIES, SEND_GETFD, SEND_ADD_CLIENT, N_STEPS };

static void read_more(GTask *task);

static void talk_free(Talk *talk)
{
    g_clear_object(&talk->connection);
    if (talk->fd >= 0) {
        close(talk->fd);
    }
    g_string_free(talk->input, TRUE);
    g_free(talk->path);
    g_free(talk->protocol);
    g_free(talk);
}

/* Takes @error. */
static void fail(GTask *task, GError *error)
{
    Talk *talk = g_task_get_task_data(task);

    if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        g_prefix_error(&error, "%s: ", talk->path);
    }
    g_task_return_error(task, error);
    g_object_unref(task);
}

static char *next_command(const Talk *talk)
{
    switch (talk->step) {
    case SEND_CAPABILITIES:
        return g_strdup("{\"execute\": \"qmp_capabilities\"}\n");
    case SEND_GETFD:
        return g_strdup("{\"execute\": \"getfd\", \"arguments\": "
                        "{\"fdname\": \"" FD_NAME "\"}}\n");
    default:
        return g_strdup_printf("{\"execute\": \"add_client\", \"arguments\": "
                               "{\"protocol\": \"%s\", \"fdname\": \"" FD_NAME "\"}}\n",
                               talk->protocol);
    }
}

static void send_command(GTask *task)
{
    Talk *talk = g_task_get_task_data(task);
    g_autofree char *line = next_command(talk);
    GOutputVector vector = { .buffer = line, .size = strlen(line) };
    GSocketControlMessage *fds = NULL;
    GError *error = NULL;
    gssize n_sent;

    if (talk->step == SEND_GETFD) {
        fds = g_unix_fd_message_new();
        if (!g_unix_fd_message_append_fd(G_UNIX_FD_MESSAGE(fds), talk->fd, &error)) {
            g_object_unref(fds);
            fail(task, error);
            return;
        }
        close(talk->fd); /* the message has a duplicate */
        talk->fd = -1;
    }
    /* A socket that has nothing to do takes a hundred bytes at once. */
    n_sent = g_socket_send_message(g_socket_connection_get_socket(talk->connection), NULL, &vector,
                                   1, fds != NULL ? &fds : NULL, fds != NULL ? 1 : 0,
                                   G_SOCKET_MSG_NONE, g_task_get_cancellable(task), &error);
    g_clear_object(&fds);
    if (n_sent != (gssize)vector.size) {
        fail(task, error != NULL
                       ? error
                       : g_error_new(SC_ERROR, SC_ERROR_FAILED, "the monitor does not listen"));
        return;
    }
    talk->step++;
    read_more(task);
}

/* What an answer says of its error; foreign text, which may have any shape. */
static const char *get_description(JsonNode *refusal)
{
    JsonNode *text = NULL;

    if (JSON_NODE_HOLDS_OBJECT(refusal)) {
        text = json_object_get_member(json_node_get_object(refusal), "desc");
    }
    return text != NULL && JSON_NODE_HOLDS_VALUE(text) && json_node_get_string(text) != NULL
               ? json_node_get_string(text)
               : "it does not say why";
}

/* TRUE: it was the greeting or an answer. Events may come at any time. */
static gboolean read_line(const Talk *talk, const char *line, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    JsonNode *root;
    JsonObject *object;

    if (!json_parser_load_from_data(parser, line, -1, NULL) ||
        (root = json_parser_get_root(parser)) == NULL || !JSON_NODE_HOLDS_OBJECT(root)) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "whoever listens there does not speak QMP; give the socket of QEMU's "
                    "-qmp unix:PATH,server=on,wait=off");
        return FALSE;
    }
    object = json_node_get_object(root);
    if (json_object_has_member(object, "error")) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED,
                    "QEMU refuses the connection: %s (it needs -display dbus,p2p=yes)",
                    get_description(json_object_get_member(object, "error")));
        return FALSE;
    }
    return json_object_has_member(object, talk->step == 0 ? "QMP" : "return");
}

/* Takes lines off the input until one is what we wait for. */
static gboolean find_answer(Talk *talk, GError **error)
{
    char *end;

    while ((end = memchr(talk->input->str, '\n', talk->input->len)) != NULL) {
        g_autofree char *line = g_strndup(talk->input->str, (gsize)(end - talk->input->str));
        GError *reason = NULL;
        gboolean is_answer;

        g_string_erase(talk->input, 0, end - talk->input->str + 1);
        is_answer = read_line(talk, line, &reason);
        if (reason != NULL) {
            g_propagate_error(error, reason);
            return FALSE;
        }
        if (is_answer) {
            return TRUE;
        }
    }
    if (talk->input->len > MAX_LINE) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "a line of more than %d bytes", MAX_LINE);
    }
    return FALSE;
}

static void on_read(GObject *object, GAsyncResult *result, gpointer data)
{
    GTask *task = data;
    Talk *talk = g_task_get_task_data(task);
    GError *error = NULL;
    gssize n = g_input_stream_read_finish(G_INPUT_STREAM(object), result, &error);

    if (n == 0) {
        error = g_error_new(SC_ERROR, SC_ERROR_FAILED, "the monitor ended the connection");
    }
    if (n > 0) {
        g_string_append_len(talk->input, talk->buffer, n);
    }
    if (error == NULL && !find_answer(talk, &error) && error == NULL) {
        read_more(task);
        return;
    }
    if (error != NULL) {
        fail(task, error);
    } else if (talk->step < N_STEPS) {
        send_command(task);
    } else {
        g_task_return_boolean(task, TRUE);
        g_object_unref(task);
    }
}

static void read_more(GTask *task)
{
    Talk *talk = g_task_get_task_data(task);

    g_input_stream_read_async(g_io_stream_get_input_stream(G_IO_STREAM(talk->connection)),
                              talk->buffer, sizeof(talk->buffer), G_PRIORITY_DEFAULT,
                              g_task_get_cancellable(task), on_read, task);
}

static void on_connected(GObject *object, GAsyncResult *result, gpointer data)
{
    GTask *task = data;
    Talk *talk = g_task_get_task_data(task);
    GError *error = NULL;

    talk->connection = g_socket_client_connect_finish(G_SOCKET_CLIENT(object), result, &error);
    if (talk->connection == NULL) {
        fail(task, error);
        return;
    }
    read_more(task);
}

void sc_qmp_add_client(const char *path, const char *protocol, int fd, GCancellable *cancellable,
                       GAsyncReadyCallback callback, gpointer data)
{
    GTask *task = g_task_new(NULL, cancellable, callback, data);
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    Talk *talk = g_new0(Talk, 1);

    talk->path = g_strdup(path);
    talk->protocol = g_strdup(protocol);
    talk->fd = fd;
    talk->input = g_string_new(NULL);
    g_task_set_task_data(task, talk, (GDestroyNotify)talk_free);
    g_task_set_source_tag(task, sc_qmp_add_client);
    g_socket_client_connect_async(client, G_SOCKET_CONNECTABLE(address), cancellable, on_connected,
                                  task);
}

gboolean sc_qmp_add_client_finish(GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_async_result_is_tagged(result, sc_qmp_add_client), FALSE);

    return g_task_propagate_boolean(G_TASK(result), error);
}
