/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a server needs for TLS, from the files that people have.
 *
 * Thread: any; sc_tls_load() runs a main context of its own.
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/*
 * The certificate in the PEM file @cert_file (with those that lead from it to its issuer, if they
 * are there) and its private key in @key_file. @ca_file, which may be NULL, holds who has issued
 * it; it is sent to clients with it. Everything is checked that can be: SC_ERROR_FAILED says which
 * option is wrong, and how. What is not valid at this time is only warned about.
 */
GTlsCertificate *sc_tls_load(const char *cert_file, const char *key_file, const char *ca_file,
                             GError **error);

G_END_DECLS
