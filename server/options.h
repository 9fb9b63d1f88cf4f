/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line: see scancast(1).
 *
 * Thread: the main thread, before anything else runs.
 */
#pragma once

#include "encoder/encoder.h"
#include "server/password.h"

G_BEGIN_DECLS

typedef struct {
    char *source;
    char *input;  /* where a VMM finds the guest's keyboard and pointer; NULL: with the source */
    char *listen; /* NULL: only with TLS */
    char *tls_listen; /* NULL: no TLS, and the following are NULL too */
    char *tls_cert, *tls_key;
    char *tls_ca; /* may be NULL */
    char *password_file;
    gboolean sasl;        /* then there is no password, and no TLS */
    ScPassword *password; /* what was in that file; NULL: none asked for */
    ScEncoderKind encoder_kind;
    char *encoder_description; /* SC_ENCODER_CUSTOM only */
    char *render_node;         /* NULL: the best one */
    char *metrics;             /* where to serve them; NULL: nowhere */
    guint bitrate_kbit;
    guint max_fps;
    guint max_viewers;
    gint64 fence_deadline; /* microseconds */
    gboolean stats;
    gboolean version;            /* only print the version */
    gboolean print_capabilities; /* only print those; no source is needed then */
    gboolean json;               /* for a program */
    gboolean list;               /* only print what there is at the source */
} ScOptions;

/* Takes the options out of @argv. Fails with SC_ERROR_INVALID or an error of GOption; --help prints
 * and exits as GOption does. */
ScOptions *sc_options_parse(int *argc, char ***argv, GError **error);

void sc_options_free(ScOptions *options); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScOptions, sc_options_free)

G_END_DECLS
