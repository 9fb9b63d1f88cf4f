/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line: what is taken, and what each mistake is told. */
#include "capture/error.h"
#include "server/options.h"

#include <glib/gstdio.h>
#include <string.h>
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
        { "--config=/nonexistent pattern", "/nonexistent" },
        { "--source=pattern", "source" },
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

/* A command line with --config of a file that holds @text; the file is in *@file for a moment. */
static ScOptions *parse_with_file(const char *text, const char *line, char **file, GError **error)
{
    g_autofree char *whole = NULL;
    ScOptions *options;
    int fd = g_file_open_tmp("scancast-XXXXXX", file, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_true(g_file_set_contents(*file, text, -1, NULL));
    whole = g_strdup_printf("--config='%s' %s", *file, line);
    options = parse(whole, error);
    g_unlink(*file);
    return options;
}

static void test_config(void)
{
    static const char text[] = "# Of the living room\n"
                               "[scancast]\n"
                               "source = dbus:unix:path=/run/bus,name=org.qemu#1\n"
                               "listen=unix:/tmp/s\n"
                               "encoder=x264enc ! h264parse\n"
                               "bitrate=500\n"
                               "max-fps=24\n"
                               "stats=true\n"
                               "sasl=false\n";
    g_autoptr(GError) error = NULL;
    g_autofree char *file = NULL, *other = NULL;
    g_autoptr(ScOptions) options = parse_with_file(text, "", &file, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(options->source, ==, "dbus:unix:path=/run/bus,name=org.qemu#1");
    g_assert_cmpstr(options->listen, ==, "unix:/tmp/s");
    g_assert_cmpstr(options->encoder_description, ==, "x264enc ! h264parse");
    g_assert_cmpuint(options->bitrate_kbit, ==, 500);
    g_assert_cmpuint(options->max_fps, ==, 24);
    g_assert_cmpuint(options->max_viewers, ==, 16);
    g_assert_cmpint(options->fence_deadline, ==, 40000);
    g_assert_true(options->stats);
    g_assert_false(options->sasl);
    g_clear_pointer(&options, sc_options_free);

    options = parse_with_file(
        text, "--listen=5931 --encoder=va --bitrate=600 --max-viewers=3 pattern", &other, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(options->source, ==, "pattern");
    g_assert_cmpstr(options->listen, ==, "5931");
    g_assert_cmpint(options->encoder_kind, ==, SC_ENCODER_VA);
    g_assert_cmpuint(options->bitrate_kbit, ==, 600);
    g_assert_cmpuint(options->max_fps, ==, 24);
    g_assert_cmpuint(options->max_viewers, ==, 3);
}

static void test_config_mistakes(void)
{
    static const struct {
        const char *text, *line, *names; /* the file's name is expected too, but in the last two */
    } rows[] = {
        { "[scancast]\nbitrates=500\n", "pattern", "bitrates" },
        { "[scancast]\nconfig=/tmp/other\n", "pattern", "config" },
        { "[scancast]\nlist=true\n", "pattern", "list" },
        { "[scancast]\nlisten[de]=5930\n", "pattern", "listen[de]" },
        { "[scancast]\nbitrate=much\n", "pattern", "bitrate: " },
        { "[scancast]\nbitrate=much\n", "--bitrate=500 pattern", "bitrate: " },
        { "[scancast]\nbitrate=49\n", "pattern", "bitrate=49" },
        { "[scancast]\nmax-fps=99999999999999\n", "pattern", "max-fps: " },
        { "[scancast]\nstats=perhaps\n", "pattern", "stats: " },
        { "[scancast]\nencoder=\\q\n", "pattern", "encoder: " },
        { "[scancast]\n[qemu]\nlisten=5930\n", "pattern", "[qemu]" },
        { "[scancast]\npattern\n", "pattern", "key-value pair" },
        { "bitrate=500\n", "pattern", "group" },
        { "[scancast]\nbitrate=500\n", "--bitrate=49 pattern", "--bitrate=49" },
        { "[scancast]\nbitrate=500\n", "", "SOURCE" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        gboolean is_of_file = i + 2 < G_N_ELEMENTS(rows);
        g_autoptr(GError) error = NULL;
        g_autofree char *file = NULL;
        g_autoptr(ScOptions) options = parse_with_file(rows[i].text, rows[i].line, &file, &error);

        g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
        g_test_message("%s -> %s", rows[i].text, error->message);
        g_assert_null(options);
        g_assert_nonnull(strstr(error->message, rows[i].names));
        g_assert_true((strstr(error->message, file) != NULL) == is_of_file);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/defaults", test_defaults);
    g_test_add_func("/options/all", test_all);
    g_test_add_func("/options/va", test_va);
    g_test_add_func("/options/mistakes", test_mistakes);
    g_test_add_func("/options/password-file", test_password_file);
    g_test_add_func("/options/config", test_config);
    g_test_add_func("/options/config-mistakes", test_config_mistakes);
    return g_test_run();
}
