/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line: what is taken, and what each mistake is told. */
#include "capture/error.h"
#include "server/options.h"

#include <glib/gstdio.h>
#include <unistd.h>

static ScOptions *parse(const char *line, GError **error)
{
    g_autofree char *whole = g_strconcat("scancast ", line, NULL);
    char **argv = NULL, **kept;
    ScOptions *options;
    int argc;

    g_assert_true(g_shell_parse_argv(whole, &argc, &argv, NULL));
    /* GOption moves the entries about; free the strings from a copy of the list. */
    kept = g_memdup2(argv, sizeof(*argv) * (gsize)(argc + 1));
    options = sc_options_parse(&argc, &kept, error);
    g_strfreev(argv);
    g_free(kept);
    return options;
}

static void test_defaults(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ScOptions) options = parse("pattern", &error);

    g_assert_no_error(error);
    g_assert_cmpstr(options->source, ==, "pattern");
    g_assert_cmpstr(options->listen, ==, "127.0.0.1:5930");
    g_assert_null(options->password);
    g_assert_cmpint(options->encoder_kind, ==, SC_ENCODER_AUTO);
    g_assert_cmpint(options->fence_deadline, ==, 40000);
    g_assert_cmpuint(options->max_fps, ==, 60);
    g_assert_cmpuint(options->max_viewers, ==, 16);
}

static void test_all(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ScOptions) options =
        parse("--listen=unix:/tmp/s --encoder='x264enc ! h264parse' --bitrate=500 --max-fps=24 "
              "--max-viewers=2 --fence-deadline=100 --stats --input=/tmp/i pattern:640x480",
              &error);

    g_assert_no_error(error);
    g_assert_cmpstr(options->listen, ==, "unix:/tmp/s");
    g_assert_cmpint(options->encoder_kind, ==, SC_ENCODER_CUSTOM);
    g_assert_cmpstr(options->encoder_description, ==, "x264enc ! h264parse");
    g_assert_cmpuint(options->bitrate_kbit, ==, 500);
    g_assert_cmpuint(options->max_fps, ==, 24);
    g_assert_cmpuint(options->max_viewers, ==, 2);
    g_assert_cmpint(options->fence_deadline, ==, 100000);
    g_assert_true(options->stats);
    g_assert_cmpstr(options->input, ==, "/tmp/i");
}

static void test_va(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ScOptions) options =
        parse("--encoder=va --render-node=/dev/dri/renderD129 --print-capabilities --json", &error);

    g_assert_no_error(error);
    g_assert_cmpint(options->encoder_kind, ==, SC_ENCODER_VA);
    g_assert_cmpstr(options->render_node, ==, "/dev/dri/renderD129");
    g_assert_true(options->print_capabilities);
    g_assert_true(options->json);
    g_assert_null(options->source);
}

static void test_mistakes(void)
{
    static const struct {
        const char *line, *names;
    } rows[] = {
        { "", "SOURCE" },
        { "pattern pattern", "too many" },
        { "--bitrate=0 pattern", "--bitrate=0" },
        { "--bitrate=x pattern", "x" },
        { "--max-fps=0 pattern", "--max-fps=0" },
        { "--max-fps=99999999999999 pattern", "99999999999999" },
        { "--max-viewers=-1 pattern", "--max-viewers=-1" },
        { "--fence-deadline=0 pattern", "--fence-deadline=0" },
        { "--nonsense pattern", "nonsense" },
        { "--password-file=/nonexistent pattern", "/nonexistent" },
        { "--password-file=/dev/null pattern", "/dev/null" },
        { "--json pattern", "--print-capabilities" },
        { "--tls-port=5931 pattern", "--tls-cert" },
        { "--tls-cert=x pattern", "--tls-port" },
        { "--tls-port=5931 --tls-cert=x --sasl pattern", "--sasl" },
        { "--sasl --password-file=/etc/hostname pattern", "--sasl" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(ScOptions) options = parse(rows[i].line, &error);

        g_test_message("%s -> %s", rows[i].line, error != NULL ? error->message : "taken");
        g_assert_null(options);
        g_assert_nonnull(g_strstr_len(error->message, -1, rows[i].names));
    }
}

static void test_password_file(void)
{
    g_autofree char *file = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *line = NULL;
    g_autoptr(ScOptions) options = NULL;
    int fd = g_file_open_tmp("scancast-XXXXXX", &file, &error);

    g_assert_no_error(error);
    close(fd);
    g_assert_true(g_file_set_contents(file, "open sesame\r\nsecond line\n", -1, NULL));
    line = g_strdup_printf("--password-file='%s' pattern", file);
    options = parse(line, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(options->password->text, ==, "open sesame");
    g_assert_cmpint(options->password->expires, ==, 0);
    g_clear_pointer(&options, sc_options_free);

    g_assert_true(g_file_set_contents(
        file, "0123456789012345678901234567890123456789012345678901234567890", -1, NULL));
    options = parse(line, &error);
    g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
    g_unlink(file);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/defaults", test_defaults);
    g_test_add_func("/options/all", test_all);
    g_test_add_func("/options/va", test_va);
    g_test_add_func("/options/mistakes", test_mistakes);
    g_test_add_func("/options/password-file", test_password_file);
    return g_test_run();
}
