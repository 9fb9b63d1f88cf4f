/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A pipeline that is made ready beside the one in use. It encodes one picture that nobody gets to
 * see; so devices and encoders are open when it takes over, which costs no more than a key frame
 * then. For encoder/ only.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "encoder/encoder-impl.h"

G_BEGIN_DECLS

typedef struct ScStandby ScStandby;

/* Nothing will come of it: free it. Called at most once, never from inside a function of this
 * header. @since: when it was begun, microseconds of g_get_monotonic_time(). */
typedef void (*ScStandbyFailedFunc)(const GError *error, gint64 since, gpointer data);

/*
 * Opens a pipeline of @rung; of @request the listener is ignored. @dmabuf: what it is tried with if
 * the rung does not copy, whoever may draw into it meanwhile; else NULL. Fails as the rung's
 * open().
 */
ScStandby *sc_standby_new(const ScRungImpl *rung, const ScRungRequest *request, ScDmabuf *dmabuf,
                          ScStandbyFailedFunc failed, gpointer data, GError **error);

/* Of a pipeline that has been in use and has nothing in flight: takes it. Its rung needs no device.
 * Ready at once. */
ScStandby *sc_standby_new_from(ScPipeline *pipeline, const ScRungImpl *rung, const char *label,
                               ScStandbyFailedFunc failed, gpointer data);

void sc_standby_free(ScStandby *standby); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScStandby, sc_standby_free)

/* It has put out its picture. NULL: FALSE. */
gboolean sc_standby_is_ready(const ScStandby *standby);

/* @device: NULL if the rung needs none. */
const ScRungImpl *sc_standby_get_rung(const ScStandby *standby, const ScVaDevice **device);

/* Frees @standby, which must be ready, and hands its pipeline over to the caller, for @taker.
 * @label: as of the rung's open(); the caller frees it. */
ScPipeline *sc_standby_take(ScStandby *standby, const ScPipelineListener *taker, gpointer data,
                            char **label);

G_END_DECLS
