/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/options.h"

#include "capture/error.h"
#include "capture/source.h"
#include "server/config-file.h"

#include <string.h>

#define DEFAULT_LISTEN "127.0.0.1:5930"
#define DEFAULT_BITRATE_KBIT 8000 /* 1080p desktops at 60 fps without visible blocks */
#define DEFAULT_MAX_FPS 60
#define DEFAULT_MAX_VIEWERS 16
/* Linux guests give up waiting for a flush after 50 ms (virtio_gpu's fence timeout, measured) and
 * draw into the buffer again; stay safely below. */
#define DEFAULT_FENCE_DEADLINE_MS 40

/* What GOption and a file fill in, before it is checked. */
typedef struct {
    char *encoder;
    int bitrate, max_fps, max_viewers, fence_deadline_ms;
    char *config;
    char **rest;
} RawOptions;

static char *describe_sources(void)
{
    GString *text = g_string_new("SOURCE is one of\n");

    for (guint i = 0; sc_source_get_help(i) != NULL; i++) {
        g_string_append_printf(text, "  %s\n", sc_source_get_help(i));
    }
    return g_string_free(text, FALSE);
}

/* SC_CONFIG_UNSET is good. @where and @option tell whose value it is. */
static gboolean check_range(const char *where, const char *option, int value, int min, int max,
                            GError **error)
{
    if (value != SC_CONFIG_UNSET && (value < min || value > max)) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "%s%s=%d: must be between %d and %d", where,
                    option, value, min, max);
        return FALSE;
    }
    return TRUE;
}

static gboolean check_numbers(const RawOptions *raw, const char *where, GError **error)
{
    return check_range(where, "bitrate", raw->bitrate, 50, 1000000, error) &&
           check_range(where, "max-fps", raw->max_fps, 1, 1000, error) &&
           check_range(where, "max-viewers", raw->max_viewers, 1, 1000, error) &&
           check_range(where, "fence-deadline", raw->fence_deadline_ms, 1, 10000, error);
}

static guint number_or(int value, guint otherwise)
{
    return value != SC_CONFIG_UNSET ? (guint)value : otherwise;
}

static void set_numbers(ScOptions *options, const RawOptions *raw)
{
    options->bitrate_kbit = number_or(raw->bitrate, DEFAULT_BITRATE_KBIT);
    options->max_fps = number_or(raw->max_fps, DEFAULT_MAX_FPS);
    options->max_viewers = number_or(raw->max_viewers, DEFAULT_MAX_VIEWERS);
    options->fence_deadline = number_or(raw->fence_deadline_ms, DEFAULT_FENCE_DEADLINE_MS) *
                              (gint64)G_TIME_SPAN_MILLISECOND;
}

static gboolean parse_command_line(ScOptions *options, RawOptions *raw,
                                   const GOptionEntry *settings, int *argc, char ***argv,
                                   GError **error)
{
    const GOptionEntry entries[] = {
        { "config", 0, 0, G_OPTION_ARG_FILENAME, &raw->config,
          "take what is not given here from FILE: lines of NAME=VALUE below [scancast]", "FILE" },
        { "print-capabilities", 0, 0, G_OPTION_ARG_NONE, &options->print_capabilities,
          "print how this host would encode, and why not better; no SOURCE is needed", NULL },
        { "json", 0, 0, G_OPTION_ARG_NONE, &options->json, "print the capabilities as JSON", NULL },
        { "list", 0, 0, G_OPTION_ARG_NONE, &options->list,
          "print the consoles there are at SOURCE, one of dbus:", NULL },
        { "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "print the version", NULL },
        { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw->rest, NULL, "SOURCE" },
        { 0 },
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autofree char *sources = describe_sources();

    g_option_context_set_summary(context, "Streams a virtual machine's display to SPICE clients.");
    g_option_context_set_description(context, sources);
    g_option_context_add_main_entries(context, settings, NULL);
    g_option_context_add_main_entries(context, entries, NULL);
    return g_option_context_parse(context, argc, argv, error) && check_numbers(raw, "--", error);
}

/* What the command line has brought is good, and stays. */
static gboolean parse_file(const RawOptions *raw, const GOptionEntry *settings, GError **error)
{
    g_autofree char *where = g_strdup_printf("--config: %s: ", raw->config);

    return sc_config_file_read(raw->config, settings, error) && check_numbers(raw, where, error);
}

static gboolean parse_arguments(ScOptions *options, RawOptions *raw, int *argc, char ***argv,
                                GError **error)
{
    /* The first one is for files, which cannot have it without a name. */
    const GOptionEntry settings[] = {
        { "source", 0, 0, G_OPTION_ARG_STRING, &options->source, NULL, NULL },
        { "input", 0, 0, G_OPTION_ARG_FILENAME, &options->input,
          "the guest's keyboard and pointer, for vhost-user: a socket for QEMU's "
          "vhost-user-input-pci",
          "PATH" },
        { "listen", 0, 0, G_OPTION_ARG_STRING, &options->listen,
          "where viewers connect (default " DEFAULT_LISTEN ")", "[ADDR:]PORT|unix:PATH" },
        { "tls-port", 0, 0, G_OPTION_ARG_STRING, &options->tls_listen,
          "where viewers connect with TLS; without --listen, only so", "[ADDR:]PORT" },
        { "tls-cert", 0, 0, G_OPTION_ARG_FILENAME, &options->tls_cert, "certificate for TLS (PEM)",
          "FILE" },
        { "tls-key", 0, 0, G_OPTION_ARG_FILENAME, &options->tls_key,
          "its private key (default: in the file of the certificate)", "FILE" },
        { "tls-ca", 0, 0, G_OPTION_ARG_FILENAME, &options->tls_ca,
          "the certificate of who issued it, sent to viewers too", "FILE" },
        { "password-file", 0, 0, G_OPTION_ARG_FILENAME, &options->password_file,
          "viewers must know the first line of FILE", "FILE" },
        { "sasl", 0, 0, G_OPTION_ARG_NONE, &options->sasl,
          "viewers authenticate by SASL (settings: /etc/sasl2/scancast.conf)", NULL },
        { "encoder", 0, 0, G_OPTION_ARG_STRING, &raw->encoder,
          "auto, va, software, or elements of GStreamer: raw video in, H.264 out",
          "KIND|DESCRIPTION" },
        { "render-node", 0, 0, G_OPTION_ARG_FILENAME, &options->render_node,
          "the GPU for VA-API, such as /dev/dri/renderD128 (default: the one that does best)",
          "PATH" },
        { "bitrate", 0, 0, G_OPTION_ARG_INT, &raw->bitrate, "at most that much video, kbit/s",
          "KBIT" },
        { "max-fps", 0, 0, G_OPTION_ARG_INT, &raw->max_fps, "at most N pictures a second", "N" },
        { "max-viewers", 0, 0, G_OPTION_ARG_INT, &raw->max_viewers,
          "at most N viewers at once; 1: the newest", "N" },
        { "fence-deadline", 0, 0, G_OPTION_ARG_INT, &raw->fence_deadline_ms,
          "the longest a guest may wait for a picture to be encoded", "MS" },
        { "stats", 0, 0, G_OPTION_ARG_NONE, &options->stats,
          "print a line of statistics a second while pictures flow, and one at the end", NULL },
        { "metrics", 0, 0, G_OPTION_ARG_STRING, &options->metrics,
          "serve statistics to Prometheus, by HTTP without a password", "[ADDR:]PORT|unix:PATH" },
        { 0 },
    };

    return parse_command_line(options, raw, settings + 1, argc, argv, error) &&
           (raw->config == NULL || parse_file(raw, settings, error));
}

static gboolean read_password(ScOptions *options, GError **error)
{
    if (options->password_file != NULL) {
        options->password = sc_password_read(options->password_file, error);
    }
    return options->password_file == NULL || options->password != NULL;
}

static gboolean check_sasl(const ScOptions *options, GError **error)
{
    if (options->sasl && options->tls_listen != NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "--sasl: not with --tls-port, where SPICE clients expect the server to know "
                    "of TLS and libspice-server does not; SASL encrypts by itself");
        return FALSE;
    }
    if (options->sasl && options->password_file != NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "--sasl: not with --password-file; SASL knows the passwords");
        return FALSE;
    }
    return TRUE;
}

static gboolean check_tls(ScOptions *options, GError **error)
{
    if (options->tls_listen == NULL) {
        if (options->tls_cert != NULL || options->tls_key != NULL || options->tls_ca != NULL) {
            g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                        "--tls-cert, --tls-key and --tls-ca: only with --tls-port");
            return FALSE;
        }
        return TRUE;
    }
    if (options->tls_cert == NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "--tls-port=%s: needs a certificate (--tls-cert)", options->tls_listen);
        return FALSE;
    }
    if (options->tls_key == NULL) {
        options->tls_key = g_strdup(options->tls_cert);
    }
    return TRUE;
}

static void set_encoder(ScOptions *options, const char *encoder)
{
    options->encoder_kind =
        encoder != NULL ? sc_encoder_kind_from_string(encoder) : SC_ENCODER_AUTO;
    if (options->encoder_kind == SC_ENCODER_CUSTOM) {
        options->encoder_description = g_strdup(encoder);
    }
}

static gboolean check_rest(ScOptions *options, char **rest, GError **error)
{
    if (rest == NULL || rest[0] == NULL) {
        if (options->source != NULL) {
            return TRUE;
        }
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "no SOURCE given; try pattern, or spice+unix:PATH for a running QEMU");
        return FALSE;
    }
    if (rest[1] != NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "'%s' is one SOURCE too many: one process serves one", rest[1]);
        return FALSE;
    }
    g_free(options->source); /* of a file */
    options->source = g_strdup(rest[0]);
    return TRUE;
}

static gboolean check_options(ScOptions *options, const RawOptions *raw, GError **error)
{
    if (options->version) {
        return TRUE;
    }
    if (options->listen == NULL && options->tls_listen == NULL) {
        options->listen = g_strdup(DEFAULT_LISTEN);
    }
    set_encoder(options, raw->encoder);
    if (options->json && !options->print_capabilities) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "--json: only with --print-capabilities");
        return FALSE;
    }
    set_numbers(options, raw);
    return (options->print_capabilities || check_rest(options, raw->rest, error)) &&
           check_tls(options, error) && check_sasl(options, error) && read_password(options, error);
}

ScOptions *sc_options_parse(int *argc, char ***argv, GError **error)
{
    g_autoptr(ScOptions) options = g_new0(ScOptions, 1);
    RawOptions raw = {
        .bitrate = SC_CONFIG_UNSET,
        .max_fps = SC_CONFIG_UNSET,
        .max_viewers = SC_CONFIG_UNSET,
        .fence_deadline_ms = SC_CONFIG_UNSET,
    };
    gboolean good =
        parse_arguments(options, &raw, argc, argv, error) && check_options(options, &raw, error);

    g_free(raw.encoder);
    g_free(raw.config);
    g_strfreev(raw.rest);
    return good ? g_steal_pointer(&options) : NULL;
}

void sc_options_free(ScOptions *options)
{
    if (options == NULL) {
        return;
    }
    g_free(options->source);
    g_free(options->input);
    g_free(options->listen);
    g_free(options->tls_listen);
    g_free(options->tls_cert);
    g_free(options->tls_key);
    g_free(options->tls_ca);
    g_free(options->password_file);
    sc_password_free(options->password);
    g_free(options->encoder_description);
    g_free(options->render_node);
    g_free(options->metrics);
    g_free(options);
}
