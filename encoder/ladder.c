/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/encoder-impl.h"

typedef struct {
    const ScRungImpl *impl;
    gboolean impossible; /* on this host */
    gboolean proven;     /* has put out a packet */
    GError *obstacle;    /* why it was given up, or NULL */
    gint64 retry_at;
    gint64 retry_delay;
    guint failures; /* in a row, each less than the window after the one before */
    gint64 last_failure;
} Rung;

struct ScLadder {
    Rung *rungs;
    guint n_rungs;
    guint current;
    guint64 step_downs;
};

static const ScRungImpl *const video_rungs[] = { &sc_rung_software, NULL };
static const ScRungImpl *const software_rungs[] = { &sc_rung_software, NULL };
static const ScRungImpl *const custom_rungs[] = { &sc_rung_custom, NULL };

const ScRungImpl *const *sc_ladder_get_rungs(const ScEncoderConfig *config)
{
    /* The codec for viewers that have no other: a user's description is for H.264. */
    if (config->codec == SC_CODEC_MJPEG) {
        return software_rungs;
    }
    switch (config->kind) {
    case SC_ENCODER_AUTO:
        return video_rungs;
    case SC_ENCODER_SOFTWARE:
        return software_rungs;
    case SC_ENCODER_CUSTOM:
        return custom_rungs;
    }
    g_return_val_if_reached(NULL);
}

ScLadder *sc_ladder_new(const ScRungImpl *const *rungs, const ScEncoderConfig *config,
                        GError **error)
{
    g_autoptr(ScLadder) ladder = g_new0(ScLadder, 1);
    guint n_possible = 0;

    while (rungs[ladder->n_rungs] != NULL) {
        ladder->n_rungs++;
    }
    ladder->rungs = g_new0(Rung, ladder->n_rungs);
    for (guint i = 0; i < ladder->n_rungs; i++) {
        Rung *rung = &ladder->rungs[i];

        rung->impl = rungs[i];
        rung->retry_delay = SC_LADDER_RETRY;
        rung->impossible = !rung->impl->check(config, &rung->obstacle);
        if (rung->impossible) {
            g_info("no %s encoder: %s", rung->impl->name, rung->obstacle->message);
        } else {
            n_possible++;
        }
    }
    if (n_possible == 0) {
        g_propagate_error(error, g_error_copy(sc_ladder_get_error(ladder)));
        return NULL;
    }
    return g_steal_pointer(&ladder);
}

void sc_ladder_free(ScLadder *ladder)
{
    if (ladder == NULL) {
        return;
    }
    for (guint i = 0; i < ladder->n_rungs; i++) {
        g_clear_error(&ladder->rungs[i].obstacle);
    }
    g_free(ladder->rungs);
    g_free(ladder);
}

static void rung_clear(Rung *rung)
{
    if (!rung->impossible) {
        g_clear_error(&rung->obstacle);
        rung->failures = 0;
        rung->proven = FALSE;
    }
}

/* Its index; the number of rungs if there is none. */
static guint find_best(const ScLadder *ladder, gint64 now)
{
    guint usable = 0;

    while (usable < ladder->n_rungs && ladder->rungs[usable].obstacle != NULL) {
        usable++;
    }
    for (guint i = 0; i < usable && usable < ladder->n_rungs; i++) {
        if (!ladder->rungs[i].impossible && now >= ladder->rungs[i].retry_at) {
            return i;
        }
    }
    return usable;
}

const ScRungImpl *sc_ladder_peek(const ScLadder *ladder, gint64 now)
{
    guint best = find_best(ladder, now);

    return best < ladder->n_rungs ? ladder->rungs[best].impl : NULL;
}

const ScRungImpl *sc_ladder_choose(ScLadder *ladder, gint64 now)
{
    guint best = find_best(ladder, now);

    if (best == ladder->n_rungs) {
        return NULL;
    }
    ladder->current = best;
    if (ladder->rungs[best].obstacle != NULL) {
        rung_clear(&ladder->rungs[best]);
    }
    return ladder->rungs[best].impl;
}

const GError *sc_ladder_get_error(const ScLadder *ladder)
{
    return ladder->rungs[ladder->n_rungs - 1].obstacle;
}

void sc_ladder_note_success(ScLadder *ladder)
{
    ladder->rungs[ladder->current].proven = TRUE;
}

void sc_ladder_give_up(ScLadder *ladder, const GError *error, gint64 now)
{
    Rung *rung = &ladder->rungs[ladder->current];

    g_clear_error(&rung->obstacle);
    rung->obstacle = g_error_copy(error);
    rung->retry_at = now + rung->retry_delay;
    rung->retry_delay = MIN(rung->retry_delay * 2, SC_LADDER_RETRY_MAX);
    if (ladder->current + 1 < ladder->n_rungs) {
        ladder->step_downs++;
        g_message("%s encoder given up: %s", rung->impl->name, error->message);
    }
}

gint64 sc_ladder_note_failure(ScLadder *ladder, const GError *error, gint64 now)
{
    Rung *rung = &ladder->rungs[ladder->current];

    if (now - rung->last_failure > SC_LADDER_FAILURE_WINDOW) {
        rung->failures = 0;
    }
    rung->last_failure = now;
    rung->failures++;
    if (rung->failures >= (rung->proven ? SC_LADDER_MAX_FAILURES : rung->impl->trials)) {
        sc_ladder_give_up(ladder, error, now);
        return 0;
    }
    return (gint64)SC_LADDER_BACKOFF << (rung->failures - 1);
}

void sc_ladder_reset(ScLadder *ladder)
{
    for (guint i = 0; i < ladder->n_rungs; i++) {
        rung_clear(&ladder->rungs[i]);
        ladder->rungs[i].retry_delay = SC_LADDER_RETRY;
    }
}

guint64 sc_ladder_get_step_downs(const ScLadder *ladder)
{
    return ladder->step_downs;
}
