/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/standby.h"

#include "capture/timer.h"

#include <string.h>

struct ScStandby {
    const ScRungImpl *rung;
    const ScVaDevice *device;
    ScPipeline *pipeline;
    char *label;
    gboolean is_ready;
    gint64 since;
    ScTimer *watchdog;
    ScStandbyFailedFunc failed;
    gpointer data;
};

static void on_done(GBytes *packet, gboolean is_key, gpointer data)
{
    ScStandby *standby = data;

    standby->is_ready = TRUE;
    sc_timer_cancel(standby->watchdog);
}

static void on_failed(const GError *error, gpointer data)
{
    ScStandby *standby = data;

    standby->failed(error, standby->since, standby->data);
}

static void on_watchdog(gpointer data)
{
    ScStandby *standby = data;
    g_autoptr(GError) error =
        g_error_new(SC_ERROR, SC_ERROR_FAILED, "%s has not finished its first picture within %d ms",
                    standby->label, (int)(SC_ENCODER_STALL_FIRST / 1000));

    standby->failed(error, standby->since, standby->data);
}

static const ScPipelineListener listener = { .done = on_done, .failed = on_failed };

/* What it shows does not matter. */
static ScPicture *new_blank(const GstVideoInfo *info, GError **error)
{
    ScPicture *picture = sc_picture_new(info, error);

    if (picture != NULL) {
        memset(picture->data, 0, picture->info.size);
    }
    return picture;
}

static ScStandby *new_standby(const ScRungImpl *rung, const ScVaDevice *device,
                              ScStandbyFailedFunc failed, gpointer data)
{
    ScStandby *standby = g_new0(ScStandby, 1);

    standby->rung = rung;
    standby->device = device;
    standby->since = g_get_monotonic_time();
    standby->watchdog = sc_timer_new(on_watchdog, standby);
    standby->failed = failed;
    standby->data = data;
    return standby;
}

ScStandby *sc_standby_new(const ScRungImpl *rung, const ScRungRequest *request, ScDmabuf *dmabuf,
                          ScStandbyFailedFunc failed, gpointer data, GError **error)
{
    g_autoptr(ScStandby) standby = new_standby(rung, request->device, failed, data);
    g_autoptr(ScPicture) blank = NULL;
    ScRungRequest ours = *request;

    ours.listener = &listener;
    ours.listener_data = standby;
    standby->pipeline = rung->open(&ours, &standby->label, error);
    if (standby->pipeline == NULL) {
        return NULL;
    }
    blank = dmabuf == NULL ? new_blank(&request->picture, error) : NULL;
    if (dmabuf == NULL && blank == NULL) {
        return NULL;
    }
    sc_pipeline_warm_up(standby->pipeline, blank, dmabuf, request->config->bitrate_kbit);
    sc_timer_set_after(standby->watchdog, SC_ENCODER_STALL_FIRST);
    return g_steal_pointer(&standby);
}

ScStandby *sc_standby_new_from(ScPipeline *pipeline, const ScRungImpl *rung, const char *label,
                               ScStandbyFailedFunc failed, gpointer data)
{
    ScStandby *standby = new_standby(rung, NULL, failed, data);

    standby->pipeline = pipeline;
    standby->label = g_strdup(label);
    standby->is_ready = TRUE;
    sc_pipeline_hand_over(pipeline, &listener, standby);
    return standby;
}

void sc_standby_free(ScStandby *standby)
{
    if (standby == NULL) {
        return;
    }
    sc_pipeline_close(standby->pipeline);
    sc_timer_free(standby->watchdog);
    g_free(standby->label);
    g_free(standby);
}

gboolean sc_standby_is_ready(const ScStandby *standby)
{
    return standby != NULL && standby->is_ready;
}

const ScRungImpl *sc_standby_get_rung(const ScStandby *standby, const ScVaDevice **device)
{
    *device = standby->device;
    return standby->rung;
}

ScPipeline *sc_standby_take(ScStandby *standby, const ScPipelineListener *taker, gpointer data,
                            char **label)
{
    ScPipeline *pipeline = g_steal_pointer(&standby->pipeline);

    sc_pipeline_hand_over(pipeline, taker, data);
    *label = g_steal_pointer(&standby->label);
    sc_standby_free(standby);
    return pipeline;
}
