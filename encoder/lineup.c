/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/lineup.h"

#include "encoder/standby.h"

struct ScLineup {
    const ScEncoderConfig *config;
    ScLadder *ladder;
    ScPipelineListener listener;
    gpointer listener_data;

    ScTarget target;
    ScInUse in_use;
    char *label, *kind;
    ScStandby *trial, *spare; /* NULL: none */
    gboolean spare_failed;
};

ScLineup *sc_lineup_new(const ScEncoderConfig *config, ScLadder *ladder,
                        const ScPipelineListener *listener, gpointer data)
{
    ScLineup *lineup = g_new0(ScLineup, 1);

    lineup->config = config;
    lineup->ladder = ladder;
    lineup->listener = *listener;
    lineup->listener_data = data;
    return lineup;
}

void sc_lineup_free(ScLineup *lineup)
{
    if (lineup == NULL) {
        return;
    }
    sc_lineup_rest(lineup);
    g_free(lineup->label);
    g_free(lineup->kind);
    g_free(lineup);
}

void sc_lineup_close(ScLineup *lineup)
{
    sc_pipeline_close(lineup->in_use.pipeline);
    lineup->in_use = (ScInUse){ 0 };
}

static void drop_trial(ScLineup *lineup)
{
    g_clear_pointer(&lineup->trial, sc_standby_free);
}

static void drop_spare(ScLineup *lineup)
{
    g_clear_pointer(&lineup->spare, sc_standby_free);
    lineup->spare_failed = FALSE;
}

void sc_lineup_rest(ScLineup *lineup)
{
    sc_lineup_close(lineup);
    drop_trial(lineup);
    drop_spare(lineup);
}

/* A pipeline that copies takes pictures of one size, whatever they are copied from. */
gboolean sc_lineup_set_target(ScLineup *lineup, const ScTarget *target)
{
    gboolean has_size =
        lineup->target.width == target->width && lineup->target.height == target->height;
    ScInUse *in_use = &lineup->in_use;

    if (sc_target_equal(&lineup->target, target)) {
        return FALSE;
    }
    drop_trial(lineup);
    if (!has_size) {
        drop_spare(lineup);
    }
    if (!has_size || lineup->target.fourcc != target->fourcc ||
        (in_use->rung != NULL && !in_use->rung->copies)) {
        sc_lineup_close(lineup);
    }
    lineup->target = *target;
    sc_ladder_set_target(lineup->ladder, target);
    return TRUE;
}

const ScTarget *sc_lineup_get_target(const ScLineup *lineup)
{
    return &lineup->target;
}

static gboolean init_request(ScLineup *lineup, ScRungRequest *request, GError **error)
{
    const ScTarget *target = &lineup->target;

    *request = (ScRungRequest){
        .config = lineup->config,
        .target = target,
        .listener = &lineup->listener,
        .listener_data = lineup->listener_data,
    };
    if (!gst_video_info_set_format(&request->picture, GST_VIDEO_FORMAT_BGRx,
                                   GST_ROUND_UP_2(target->width), GST_ROUND_UP_2(target->height))) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "pictures of %ux%u pixels are too large",
                    target->width, target->height);
        return FALSE;
    }
    request->picture.fps_n = (gint)lineup->config->max_fps;
    request->picture.fps_d = 1;
    return TRUE;
}

/* Takes @pipeline and @kind. */
static void use(ScLineup *lineup, ScPipeline *pipeline, const ScRungImpl *rung,
                const ScVaDevice *device, char *kind)
{
    g_autofree char *label = g_strdup_printf("%s (%s)", rung->name, kind);

    sc_lineup_close(lineup);
    lineup->in_use = (ScInUse){ .pipeline = pipeline, .rung = rung, .device = device };
    g_free(lineup->kind);
    lineup->kind = kind;
    if (g_strcmp0(lineup->label, label) != 0) {
        g_message("encoding %s with %s", sc_codec_name(lineup->config->codec), label);
        g_free(lineup->label);
        lineup->label = g_steal_pointer(&label);
    }
}

static gboolean open_pipeline(ScLineup *lineup, const ScRungImpl *rung, GError **error)
{
    g_autofree char *kind = NULL;
    ScRungRequest request;
    ScPipeline *pipeline;

    if (!init_request(lineup, &request, error)) {
        return FALSE;
    }
    request.device = sc_ladder_get_device(lineup->ladder);
    pipeline = rung->open(&request, &kind, error);
    if (pipeline == NULL) {
        return FALSE;
    }
    use(lineup, pipeline, rung, request.device, g_steal_pointer(&kind));
    return TRUE;
}

static void on_spare_failed(const GError *error, gint64 since, gpointer data)
{
    ScLineup *lineup = data;

    g_info("there is no encoder in reserve: %s", error->message);
    drop_spare(lineup);
    lineup->spare_failed = TRUE;
}

/* Takes @standby. What was in use goes into reserve if it is good for that. */
static void take_over(ScLineup *lineup, ScStandby *standby)
{
    const ScVaDevice *device;
    const ScRungImpl *rung = sc_standby_get_rung(standby, &device);
    ScInUse *in_use = &lineup->in_use;
    ScPipeline *pipeline;
    char *kind;

    if (in_use->is_proven && !in_use->rung->needs_device && device != NULL &&
        lineup->spare == NULL) {
        lineup->spare = sc_standby_new_from(g_steal_pointer(&in_use->pipeline), in_use->rung,
                                            lineup->kind, on_spare_failed, lineup);
    }
    pipeline = sc_standby_take(standby, &lineup->listener, lineup->listener_data, &kind);
    use(lineup, pipeline, rung, device, kind);
    in_use->is_proven = TRUE;
}

static void keep_spare(ScLineup *lineup)
{
    const ScRungImpl *rung = sc_ladder_get_last_resort(lineup->ladder);
    g_autoptr(GError) error = NULL;
    ScRungRequest request;

    if (lineup->spare != NULL || lineup->spare_failed || !lineup->in_use.is_proven ||
        lineup->in_use.device == NULL || rung == NULL || !init_request(lineup, &request, NULL)) {
        return;
    }
    lineup->spare = sc_standby_new(rung, &request, NULL, on_spare_failed, lineup, &error);
    if (lineup->spare == NULL) {
        on_spare_failed(error, 0, lineup);
    }
}

static gboolean is_chosen(const ScLineup *lineup, const ScStandby *standby)
{
    const ScVaDevice *device;
    const ScRungImpl *rung;

    if (standby == NULL) {
        return FALSE;
    }
    rung = sc_standby_get_rung(standby, &device);
    return sc_ladder_is_current(lineup->ladder, rung, device);
}

static void on_trial_failed(const GError *error, gint64 since, gpointer data)
{
    ScLineup *lineup = data;
    gboolean counts = is_chosen(lineup, lineup->trial);

    drop_trial(lineup);
    if (counts) {
        sc_ladder_note_failure(lineup->ladder, error, since, g_get_monotonic_time());
    }
}

static gboolean is_copying(const ScLineup *lineup)
{
    return lineup->in_use.pipeline != NULL && lineup->in_use.rung->copies;
}

/* Whether something can go on with copies while what is better is on trial. */
static gboolean can_go_on(ScLineup *lineup)
{
    if (!is_copying(lineup) && sc_standby_is_ready(lineup->spare)) {
        take_over(lineup, g_steal_pointer(&lineup->spare));
    }
    return is_copying(lineup);
}

/* @rung: what the ladder has chosen. */
static gboolean try_beside(ScLineup *lineup, const ScRungImpl *rung, ScDmabuf *dmabuf,
                           GError **error)
{
    ScRungRequest request;

    if (is_chosen(lineup, lineup->trial) || (dmabuf == NULL && !rung->copies)) {
        return TRUE;
    }
    drop_trial(lineup);
    if (!init_request(lineup, &request, error)) {
        return FALSE;
    }
    request.device = sc_ladder_get_device(lineup->ladder);
    lineup->trial = sc_standby_new(rung, &request, rung->copies ? NULL : dmabuf, on_trial_failed,
                                   lineup, error);
    return lineup->trial != NULL;
}

/* Whether what the ladder has chosen is in use, now if need be. */
static gboolean is_settled(ScLineup *lineup, const ScRungImpl *rung, ScDmabuf *dmabuf)
{
    if (dmabuf == NULL && !rung->copies) {
        return FALSE;
    }
    if (is_chosen(lineup, lineup->trial) && sc_standby_is_ready(lineup->trial)) {
        take_over(lineup, g_steal_pointer(&lineup->trial));
    }
    return sc_lineup_is_chosen(lineup);
}

/* The ladder has no better way. */
static gboolean must_copy(const ScLineup *lineup, const ScTarget *target)
{
    const ScRungImpl *rung = sc_ladder_peek(lineup->ladder, target, g_get_monotonic_time());

    return !target->is_dmabuf || rung == NULL || rung->copies;
}

gboolean sc_lineup_prepare(ScLineup *lineup, ScDmabuf *dmabuf, gboolean may_open, GError **error)
{
    gint64 now = g_get_monotonic_time();
    /* While something copies, a copy does not say that the guest's buffers must be copied. */
    gboolean copying =
        dmabuf == NULL && (must_copy(lineup, &lineup->target) || !is_copying(lineup));
    const ScRungImpl *rung;

    while ((rung = sc_ladder_choose(lineup->ladder, copying, now)) != NULL) {
        g_autoptr(GError) reason = NULL;

        if (is_settled(lineup, rung, dmabuf)) {
            drop_trial(lineup);
            keep_spare(lineup);
            return TRUE;
        }
        if (can_go_on(lineup)) {
            if (sc_lineup_is_chosen(lineup) || sc_ladder_awaits_better(lineup->ladder, now) ||
                try_beside(lineup, rung, dmabuf, &reason)) {
                return TRUE;
            }
        } else {
            sc_lineup_close(lineup);
            drop_trial(lineup);
            if (!may_open || open_pipeline(lineup, rung, &reason)) {
                return TRUE;
            }
        }
        sc_ladder_give_up(lineup->ladder, reason, now);
    }
    g_propagate_error(error, g_error_copy(sc_ladder_get_error(lineup->ladder)));
    return FALSE;
}

/* It is a matter of milliseconds. Until then the guest is held, as it is without copies, and so
 * draws nothing that a viewer would miss. */
static gboolean is_standing_in(const ScLineup *lineup, const ScTarget *target)
{
    return is_copying(lineup) && sc_target_equal(target, &lineup->target) &&
           (lineup->trial != NULL ||
            sc_ladder_awaits_better(lineup->ladder, g_get_monotonic_time()));
}

gboolean sc_lineup_copies(const ScLineup *lineup, const ScTarget *target)
{
    return must_copy(lineup, target) && !(target->is_dmabuf && is_standing_in(lineup, target));
}

ScInUse *sc_lineup_get_in_use(ScLineup *lineup)
{
    return &lineup->in_use;
}

gboolean sc_lineup_is_chosen(const ScLineup *lineup)
{
    return lineup->in_use.pipeline != NULL &&
           sc_ladder_is_current(lineup->ladder, lineup->in_use.rung, lineup->in_use.device);
}

const char *sc_lineup_get_label(const ScLineup *lineup)
{
    return lineup->label;
}
