/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/error.h"
#include "capture/source.h"
#include "server/capabilities.h"
#include "server/options.h"
#include "server/server.h"

#include <config.h>
#include <glib-unix.h>
#include <gst/gst.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>

/* The exit status; scancast(1) lists them. */
enum { EXIT_CLEAN = 0, EXIT_RUNTIME = 1, EXIT_USAGE = 2 };

#define MAX_IDLE_CALLS 1000

typedef struct {
    GMainLoop *loop;
    ScServer *server;
    const char *password_file; /* NULL: none */
    int status;
} Program;

static gboolean on_signal(gpointer data)
{
    Program *program = data;

    g_main_loop_quit(program->loop);
    return G_SOURCE_CONTINUE;
}

static void on_lost(const char *reason, gpointer data)
{
    Program *program = data;

    g_printerr("scancast: the source is lost: %s\n", reason);
    program->status = EXIT_RUNTIME;
    g_main_loop_quit(program->loop);
}

/* SIGHUP. Without a good password in the file the old one stays. */
static gboolean on_reload(gpointer data)
{
    Program *program = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(ScPassword) password = sc_password_read(program->password_file, &error);

    if (password != NULL) {
        sc_server_set_password(program->server, password);
        g_message("the password was read again");
    } else {
        g_warning("the password stays as it was: %s", error->message);
    }
    return G_SOURCE_CONTINUE;
}

static int fail(const GError *error)
{
    gboolean is_usage =
        error->domain == G_OPTION_ERROR || g_error_matches(error, SC_ERROR, SC_ERROR_INVALID);

    g_printerr("scancast: %s\n", error->message);
    return is_usage ? EXIT_USAGE : EXIT_RUNTIME;
}

/* What was freed ends in idle calls here and there (spice-gtk's sessions do). They are not many;
 * one that never ends must not keep the program. */
static void finish_idle_calls(void)
{
    for (int i = 0; i < MAX_IDLE_CALLS && g_main_context_iteration(NULL, FALSE); i++) {
    }
}

static void print_addresses(const ScServer *server)
{
    if (sc_server_get_address(server) != NULL) {
        printf("listening on %s\n", sc_server_get_address(server));
    }
    if (sc_server_get_tls_address(server) != NULL) {
        printf("listening on %s with TLS\n", sc_server_get_tls_address(server));
    }
    fflush(stdout);
}

static int run(const ScOptions *options)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    Program program = { .loop = loop, .status = EXIT_CLEAN };
    g_autoptr(GError) error = NULL;
    g_autoptr(ScServer) server = sc_server_new(options, on_lost, &program, &error);
    guint signals[2], reload_id = 0;

    if (server == NULL) {
        return fail(error);
    }
    signals[0] = g_unix_signal_add(SIGINT, on_signal, &program);
    signals[1] = g_unix_signal_add(SIGTERM, on_signal, &program);
    program.server = server;
    program.password_file = options->password_file;
    if (options->password_file != NULL) {
        reload_id = g_unix_signal_add(SIGHUP, on_reload, &program);
    }
    print_addresses(server);

    g_main_loop_run(loop);

    g_source_remove(signals[0]);
    g_source_remove(signals[1]);
    g_clear_handle_id(&reload_id, g_source_remove);
    return program.status;
}

static int print_capabilities(const ScOptions *options)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = sc_capabilities_format(options, &error);

    if (text == NULL) {
        return fail(error);
    }
    fputs(text, stdout);
    return EXIT_CLEAN;
}

static int print_list(const ScOptions *options)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = sc_source_list(options->source, &error);

    if (text == NULL) {
        return fail(error);
    }
    fputs(text, stdout);
    return EXIT_CLEAN;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ScOptions) options = NULL;
    int status;

    setlocale(LC_ALL, "");
    signal(SIGPIPE, SIG_IGN);
    gst_init(NULL, NULL);
    options = sc_options_parse(&argc, &argv, &error);
    if (options == NULL) {
        return fail(error);
    }
    if (options->version) {
        printf("%s\n", PACKAGE_STRING);
        return EXIT_CLEAN;
    }
    if (options->print_capabilities) {
        status = print_capabilities(options);
    } else {
        status = options->list ? print_list(options) : run(options);
    }
    finish_idle_calls();
    return status;
}
