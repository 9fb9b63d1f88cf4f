/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/tls.h"

#include "capture/error.h"

#include <sys/socket.h>

/* The text of @file, which must hold a certificate. NULL on error. */
static char *read_certificates(const char *option, const char *file, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GTlsCertificate) certificate = NULL;
    g_autoptr(GError) reason = NULL;

    if (g_file_get_contents(file, &text, NULL, &reason)) {
        certificate = g_tls_certificate_new_from_pem(text, -1, &reason);
    }
    if (certificate == NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED, "--%s: '%s': %s", option, file,
                    reason->message);
        return NULL;
    }
    return g_steal_pointer(&text);
}

typedef struct {
    guint n_done;
    gboolean good;
} Trial;

static gboolean on_peer_certificate(GTlsConnection *connection, GTlsCertificate *certificate,
                                    GTlsCertificateFlags flags, gpointer data)
{
    return TRUE;
}

static void on_trial_over(GObject *connection, GAsyncResult *result, gpointer data)
{
    Trial *trial = data;

    trial->n_done++;
    trial->good &= g_tls_connection_handshake_finish(G_TLS_CONNECTION(connection), result, NULL);
    if (!trial->good) {
        /* The other end would wait for an answer. */
        GIOStream *stream = NULL;

        g_object_get(connection, "base-io-stream", &stream, NULL);
        g_socket_close(g_socket_connection_get_socket(G_SOCKET_CONNECTION(stream)), NULL);
        g_object_unref(stream);
    }
}

static GIOStream *wrap(int fd)
{
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fd, NULL);

    return G_IO_STREAM(g_socket_connection_factory_create_connection(socket));
}

/* Whether the key belongs to the certificate: nothing but a handshake with ourselves tells. */
static gboolean try_handshake(GTlsCertificate *certificate)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(GIOStream) server_stream = NULL, client_stream = NULL;
    g_autoptr(GIOStream) server = NULL, client = NULL;
    Trial trial = { .good = TRUE };
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return TRUE; /* not known; clients will tell */
    }
    g_main_context_push_thread_default(context);
    server_stream = wrap(pair[0]);
    client_stream = wrap(pair[1]);
    server = g_tls_server_connection_new(server_stream, certificate, NULL);
    client = g_tls_client_connection_new(client_stream, NULL, NULL);
    if (server == NULL || client == NULL) { /* no key at all */
        g_main_context_pop_thread_default(context);
        return FALSE;
    }
    g_signal_connect(client, "accept-certificate", G_CALLBACK(on_peer_certificate), NULL);
    g_tls_connection_handshake_async(G_TLS_CONNECTION(server), G_PRIORITY_DEFAULT, NULL,
                                     on_trial_over, &trial);
    g_tls_connection_handshake_async(G_TLS_CONNECTION(client), G_PRIORITY_DEFAULT, NULL,
                                     on_trial_over, &trial);
    while (trial.n_done < 2) {
        g_main_context_iteration(context, TRUE);
    }
    g_main_context_pop_thread_default(context);
    return trial.good;
}

static gboolean check_issuer(GTlsCertificate *certificate, const char *cert_file,
                             const char *ca_file, GError **error)
{
    g_autoptr(GTlsCertificate) issuer = NULL;
    GTlsCertificateFlags flags;

    if (ca_file != NULL) {
        issuer = g_tls_certificate_new_from_file(ca_file, error);
        if (issuer == NULL) {
            return FALSE;
        }
    }
    flags = g_tls_certificate_verify(certificate, NULL, issuer);
    if (flags & G_TLS_CERTIFICATE_UNKNOWN_CA) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED,
                    "--tls-ca: '%s' has not issued the certificate in '%s'", ca_file, cert_file);
        return FALSE;
    }
    if (flags & G_TLS_CERTIFICATE_EXPIRED) {
        g_warning("--tls-cert: the certificate in '%s' has expired", cert_file);
    }
    if (flags & G_TLS_CERTIFICATE_NOT_ACTIVATED) {
        g_warning("--tls-cert: the certificate in '%s' is not valid yet", cert_file);
    }
    return TRUE;
}

GTlsCertificate *sc_tls_load(const char *cert_file, const char *key_file, const char *ca_file,
                             GError **error)
{
    g_autoptr(GTlsCertificate) certificate = NULL;
    g_autofree char *cert = NULL, *key = NULL, *ca = NULL, *all = NULL;
    g_autoptr(GError) reason = NULL;

    if (!g_tls_backend_supports_tls(g_tls_backend_get_default())) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "--tls-port: GLib cannot do TLS here; install glib-networking");
        return NULL;
    }
    cert = read_certificates("tls-cert", cert_file, error);
    if (cert == NULL) {
        return NULL;
    }
    ca = ca_file != NULL ? read_certificates("tls-ca", ca_file, error) : g_strdup("");
    if (ca == NULL) {
        return NULL;
    }
    if (g_file_get_contents(key_file, &key, NULL, &reason)) {
        all = g_strconcat(cert, "\n", ca, "\n", key, NULL);
        certificate = g_tls_certificate_new_from_pem(all, -1, &reason);
    }
    if (certificate == NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED, "--tls-key: '%s': %s", key_file,
                    reason->message);
        return NULL;
    }
    if (!check_issuer(certificate, cert_file, ca_file, error)) {
        return NULL;
    }
    if (!try_handshake(certificate)) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED,
                    "--tls-key: the key in '%s' is missing, or not that of the certificate in '%s'",
                    key_file, cert_file);
        return NULL;
    }
    return g_steal_pointer(&certificate);
}
