/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pipelines of an encoder: the one in use, and beside it, so that no picture has to wait for a
 * pipeline to be built,
 *   on trial     one of a better rung, while one that copies is in use: it takes over when it has
 *                shown that it works;
 *   in reserve   one of the last rung that needs no device, while a device is in use: it takes over
 *                when that fails.
 * Without them, at first and after a change of size, the best rung is opened and waited for.
 * For encoder/ only.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "encoder/encoder-impl.h"

G_BEGIN_DECLS

typedef struct ScLineup ScLineup;

/* What is in use, and what its user keeps account of: zeroed when it becomes another one. */
typedef struct {
    ScPipeline *pipeline;     /* NULL: none so far, or the last one failed */
    const ScRungImpl *rung;   /* NULL without a pipeline */
    const ScVaDevice *device; /* NULL: it needs none */
    gboolean is_proven;       /* has put out a packet */
    gint64 debt;              /* bits that its pictures took beyond their share of the bit rate */
} ScInUse;

/* Pipelines tell @listener (with @data) while they are in use. @config and @ladder must outlive the
 * lineup. */
ScLineup *sc_lineup_new(const ScEncoderConfig *config, ScLadder *ladder,
                        const ScPipelineListener *listener, gpointer data);

void sc_lineup_free(ScLineup *lineup); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScLineup, sc_lineup_free)

/* What is encoded from now on. Closes what cannot take it. Only while nothing is in flight. FALSE
 * if it is nothing new. */
gboolean sc_lineup_set_target(ScLineup *lineup, const ScTarget *target);
const ScTarget *sc_lineup_get_target(const ScLineup *lineup);

/*
 * Sees to it that there is a pipeline in use. @dmabuf: what is to be encoded (the pipeline may be
 * one that copies all the same); NULL: a copy. @may_open FALSE: it is left to be without one rather
 * than opening one. Fails if no rung is left. Only while nothing is in flight.
 */
gboolean sc_lineup_prepare(ScLineup *lineup, ScDmabuf *dmabuf, gboolean may_open, GError **error);

/* Whether pictures of @target are copied, and that not only until a better rung is ready. */
gboolean sc_lineup_copies(const ScLineup *lineup, const ScTarget *target);

/* Valid as long as the lineup. */
ScInUse *sc_lineup_get_in_use(ScLineup *lineup);

/* What is in use is the rung that the ladder has chosen; what it does, the ladder shall know. */
gboolean sc_lineup_is_chosen(const ScLineup *lineup);

/* "va-dmabuf (vah264enc on /dev/dri/renderD128)", of what is or was in use; NULL at first. */
const char *sc_lineup_get_label(const ScLineup *lineup);

/* Closes what is in use. */
void sc_lineup_close(ScLineup *lineup);

/* Closes everything. */
void sc_lineup_rest(ScLineup *lineup);

G_END_DECLS
