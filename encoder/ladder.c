/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/encoder-impl.h"

/* Guests change among a few modes; a rung that failed for one is remembered for that many. */
#define MAX_RECORDS 8

/* A way to encode, on a device where it needs one. */
typedef struct {
    const ScRungImpl *impl;
    const ScVaDevice *device; /* or NULL */
    GError *impossible;       /* why not on this host, or NULL */
} Rung;

/* Until the scanout changes. */
#define NEVER G_MAXINT64

/* How a rung does for a target. */
typedef struct {
    gboolean proven;      /* has put out a packet */
    GError *obstacle;     /* why it is not used, or NULL */
    gint64 retry_at;      /* until then it is not */
    gint64 failing_since; /* without a packet in between; 0: it is not failing */
    gint64 last_failure;
    guint failures; /* each less than the window after the one before */
} Trial;

typedef struct {
    ScTarget target;
    Trial *trials; /* one for each rung */
    guint n_trials;
    gboolean has_failures;
} Record;

struct ScLadder {
    ScEncoderConfig config;
    GPtrArray *devices; /* of ScVaDevice; NULL: no rung needs one */
    GArray *rungs;      /* of Rung */
    GPtrArray *records; /* of Record, the current target's first */
    guint current;
    guint64 step_downs;
    char *step_down_reason; /* of the last one */
};

static const ScRungImpl *const video_rungs[] = { &sc_rung_va_dmabuf, &sc_rung_va_upload,
                                                 &sc_rung_software, NULL };
static const ScRungImpl *const va_rungs[] = { &sc_rung_va_dmabuf, &sc_rung_va_upload, NULL };
static const ScRungImpl *const software_rungs[] = { &sc_rung_software, NULL };
/* The codec for viewers that have no other, or not yet. */
static const ScRungImpl *const jpeg_rungs[] = { &sc_rung_va_download, &sc_rung_software, NULL };
static const ScRungImpl *const custom_rungs[] = { &sc_rung_custom, NULL };

const ScRungImpl *const *sc_ladder_get_rungs(const ScEncoderConfig *config)
{
    if (config->codec == SC_CODEC_MJPEG) {
        return config->kind == SC_ENCODER_AUTO || config->kind == SC_ENCODER_VA ? jpeg_rungs
                                                                                : software_rungs;
    }
    switch (config->kind) {
    case SC_ENCODER_AUTO:
        return video_rungs;
    case SC_ENCODER_VA:
        return va_rungs;
    case SC_ENCODER_SOFTWARE:
        return software_rungs;
    case SC_ENCODER_CUSTOM:
        return custom_rungs;
    }
    g_return_val_if_reached(NULL);
}

static Rung *get_rung(const ScLadder *ladder, guint index)
{
    return &g_array_index(ladder->rungs, Rung, index);
}

static void rung_clear(gpointer data)
{
    g_clear_error(&((Rung *)data)->impossible);
}

static void record_free(gpointer data)
{
    Record *record = data;

    for (guint i = 0; i < record->n_trials; i++) {
        g_clear_error(&record->trials[i].obstacle);
    }
    g_free(record->trials);
    g_free(record);
}

static void add_rung(ScLadder *ladder, const ScRungImpl *impl, const ScVaDevice *device)
{
    Rung rung = { .impl = impl, .device = device };

    if (impl->needs_device && device == NULL) {
        g_set_error(&rung.impossible, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "this host has no render node (/dev/dri/renderD*): there is no GPU, or its "
                    "kernel driver is missing");
    } else {
        impl->check(&ladder->config, device, &rung.impossible);
    }
    if (rung.impossible != NULL) {
        /* Who named a device wants to know. */
        g_log(G_LOG_DOMAIN,
              impl->needs_device && ladder->config.render_node != NULL ? G_LOG_LEVEL_MESSAGE
                                                                       : G_LOG_LEVEL_INFO,
              "no %s encoder: %s", impl->name, rung.impossible->message);
    }
    g_array_append_val(ladder->rungs, rung);
}

/* A rung that needs a device becomes one for each, so that the device which can import the guest's
 * buffers is found. */
static void add_rungs(ScLadder *ladder, const ScRungImpl *impl)
{
    if (!impl->needs_device) {
        add_rung(ladder, impl, NULL);
        return;
    }
    if (ladder->devices == NULL) {
        ladder->devices = sc_va_probe(ladder->config.render_node);
    }
    for (guint i = 0; i < ladder->devices->len; i++) {
        add_rung(ladder, impl, ladder->devices->pdata[i]);
    }
    if (ladder->devices->len == 0) {
        add_rung(ladder, impl, NULL);
    }
}

static gboolean is_candidate(const ScLadder *ladder, const Record *record, guint index, gint64 now)
{
    const Trial *trial = &record->trials[index];

    return get_rung(ladder, index)->impossible == NULL &&
           (trial->obstacle == NULL || trial->retry_at <= now);
}

/* Its index; the number of rungs if there is none. When nothing else is left, what failed just now
 * is tried before its time. */
static guint find_best(const ScLadder *ladder, const Record *record, gboolean copying, gint64 now)
{
    const gint64 times[] = { now, NEVER - 1 };
    guint n = ladder->rungs->len;

    for (gsize i = 0; i < G_N_ELEMENTS(times); i++) {
        for (guint best = 0; best < n; best++) {
            if (is_candidate(ladder, record, best, times[i]) &&
                (get_rung(ladder, best)->impl->copies || !copying)) {
                return best;
            }
        }
    }
    return n;
}

static Record *new_record(const ScLadder *ladder, const ScTarget *target)
{
    Record *record = g_new0(Record, 1);

    record->target = *target;
    record->n_trials = ladder->rungs->len;
    record->trials = g_new0(Trial, record->n_trials);
    for (guint i = 0; i < record->n_trials; i++) {
        const Rung *rung = get_rung(ladder, i);
        Trial *trial = &record->trials[i];

        if (rung->impossible == NULL && rung->impl->takes != NULL && target->width > 0 &&
            !rung->impl->takes(&ladder->config, rung->device, target, &trial->obstacle)) {
            trial->retry_at = NEVER;
            g_info("no %s for this scanout: %s", rung->impl->name, trial->obstacle->message);
        }
    }
    return record;
}

/* The current target's record is the first and stays there. */
static Record *get_record(const ScLadder *ladder, const ScTarget *target)
{
    Record *record;

    for (guint i = 0; i < ladder->records->len; i++) {
        record = ladder->records->pdata[i];
        if (sc_target_equal(&record->target, target)) {
            return record;
        }
    }
    record = new_record(ladder, target);
    g_ptr_array_insert(ladder->records, MIN(ladder->records->len, 1), record);
    if (ladder->records->len > MAX_RECORDS) {
        g_ptr_array_set_size(ladder->records, MAX_RECORDS);
    }
    return record;
}

static Record *get_current_record(const ScLadder *ladder)
{
    return ladder->records->pdata[0];
}

static Trial *get_current_trial(const ScLadder *ladder)
{
    return &get_current_record(ladder)->trials[ladder->current];
}

ScLadder *sc_ladder_new_unchecked(const ScRungImpl *const *rungs, const ScEncoderConfig *config)
{
    static const ScTarget nothing;
    ScLadder *ladder = g_new0(ScLadder, 1);

    ladder->config = *config;
    ladder->rungs = g_array_new(FALSE, TRUE, sizeof(Rung));
    g_array_set_clear_func(ladder->rungs, rung_clear);
    ladder->records = g_ptr_array_new_with_free_func(record_free);
    for (guint i = 0; rungs[i] != NULL; i++) {
        add_rungs(ladder, rungs[i]);
    }
    get_record(ladder, &nothing);
    return ladder;
}

ScLadder *sc_ladder_new(const ScRungImpl *const *rungs, const ScEncoderConfig *config,
                        GError **error)
{
    g_autoptr(ScLadder) ladder = sc_ladder_new_unchecked(rungs, config);
    guint n_possible = 0;

    for (guint i = 0; i < ladder->rungs->len; i++) {
        n_possible += get_rung(ladder, i)->impossible == NULL;
    }
    if (n_possible == 0) {
        g_propagate_error(error,
                          g_error_copy(get_rung(ladder, ladder->rungs->len - 1)->impossible));
        return NULL;
    }
    return g_steal_pointer(&ladder);
}

void sc_ladder_free(ScLadder *ladder)
{
    if (ladder == NULL) {
        return;
    }
    g_ptr_array_unref(ladder->records);
    g_array_unref(ladder->rungs);
    g_free(ladder->step_down_reason);
    if (ladder->devices != NULL) {
        g_ptr_array_unref(ladder->devices);
    }
    g_free(ladder);
}

void sc_ladder_set_target(ScLadder *ladder, const ScTarget *target)
{
    Record *before = get_current_record(ladder);
    Record *record = get_record(ladder, target);
    guint index;

    if (record == before) {
        return;
    }
    g_ptr_array_find(ladder->records, record, &index);
    g_ptr_array_insert(ladder->records, 0, g_ptr_array_steal_index(ladder->records, index));
    /* A change, and so a new chance when it comes back. */
    if (before->has_failures) {
        g_ptr_array_remove(ladder->records, before);
    }
}

const ScRungImpl *sc_ladder_peek(const ScLadder *ladder, const ScTarget *target, gint64 now)
{
    guint best = find_best(ladder, get_record(ladder, target), FALSE, now);

    return best < ladder->rungs->len ? get_rung(ladder, best)->impl : NULL;
}

const ScRungImpl *sc_ladder_choose(ScLadder *ladder, gboolean copying, gint64 now)
{
    Record *record = get_current_record(ladder);
    guint best = find_best(ladder, record, copying, now);

    if (best == ladder->rungs->len) {
        return NULL;
    }
    ladder->current = best;
    g_clear_error(&record->trials[best].obstacle);
    return get_rung(ladder, best)->impl;
}

const ScVaDevice *sc_ladder_get_device(const ScLadder *ladder)
{
    return get_rung(ladder, ladder->current)->device;
}

gboolean sc_ladder_is_current(const ScLadder *ladder, const ScRungImpl *rung,
                              const ScVaDevice *device)
{
    const Rung *current = get_rung(ladder, ladder->current);

    return current->impl == rung && current->device == device;
}

gboolean sc_ladder_awaits_better(const ScLadder *ladder, gint64 now)
{
    for (guint i = 0; i < ladder->current; i++) {
        if (is_candidate(ladder, get_current_record(ladder), i, now + SC_LADDER_BACKOFF)) {
            return TRUE;
        }
    }
    return FALSE;
}

const ScRungImpl *sc_ladder_get_last_resort(const ScLadder *ladder)
{
    guint last = ladder->rungs->len - 1;

    return last > ladder->current && !get_rung(ladder, last)->impl->needs_device &&
                   is_candidate(ladder, get_current_record(ladder), last, NEVER - 1)
               ? get_rung(ladder, last)->impl
               : NULL;
}

const GError *sc_ladder_get_error(const ScLadder *ladder)
{
    guint last = ladder->rungs->len - 1;
    const GError *impossible = get_rung(ladder, last)->impossible;

    return impossible != NULL ? impossible : get_current_record(ladder)->trials[last].obstacle;
}

void sc_ladder_note_success(ScLadder *ladder)
{
    Trial *trial = get_current_trial(ladder);

    trial->proven = TRUE;
    trial->failing_since = 0;
}

/* Whether there is a rung below the current one that was not given up. */
static gboolean can_step_down(const ScLadder *ladder)
{
    for (guint i = ladder->current + 1; i < ladder->rungs->len; i++) {
        if (is_candidate(ladder, get_current_record(ladder), i, NEVER - 1)) {
            return TRUE;
        }
    }
    return FALSE;
}

static void step_down(ScLadder *ladder, const GError *error, gint64 delay)
{
    const char *name = get_rung(ladder, ladder->current)->impl->name;
    g_autofree char *target = sc_target_to_string(&get_current_record(ladder)->target);
    g_autofree char *how = delay > 0 ? g_strdup_printf("set aside for %d ms", (int)(delay / 1000))
                                     : g_strdup("given up until the scanout changes");

    ladder->step_downs++;
    g_free(ladder->step_down_reason);
    ladder->step_down_reason = g_strdup_printf("%s %s: %s", name, how, error->message);
    g_message("%s encoder %s, for %s: %s", name, how, target, error->message);
}

/* @delay 0: for good. */
static void take_out(ScLadder *ladder, const GError *error, gint64 now, gint64 delay)
{
    Trial *trial = get_current_trial(ladder);

    if (can_step_down(ladder)) {
        step_down(ladder, error, delay);
    }
    g_clear_error(&trial->obstacle);
    trial->obstacle = g_error_copy(error);
    trial->retry_at = delay > 0 ? now + delay : NEVER;
    get_current_record(ladder)->has_failures = TRUE;
}

void sc_ladder_give_up(ScLadder *ladder, const GError *error, gint64 now)
{
    take_out(ladder, error, now, 0);
}

gint64 sc_ladder_note_failure(ScLadder *ladder, const GError *error, gint64 since, gint64 now)
{
    Trial *trial = get_current_trial(ladder);
    gboolean has_lower = can_step_down(ladder);
    guint trials = get_rung(ladder, ladder->current)->impl->trials;
    gint64 delay;

    if (now - trial->last_failure > SC_LADDER_FAILURE_WINDOW) {
        trial->failures = 0;
        trial->failing_since = 0;
    }
    get_current_record(ladder)->has_failures = TRUE;
    trial->last_failure = now;
    trial->failures++;
    if (trial->failing_since == 0) {
        trial->failing_since = since;
    }
    delay = MIN(SC_LADDER_BACKOFF << MIN(trial->failures - 1, 16), SC_LADDER_BACKOFF_MAX);
    if (has_lower ? now - trial->failing_since >= SC_LADDER_FAILING
                  : trial->failures >= (trial->proven ? SC_LADDER_MAX_FAILURES : trials)) {
        sc_ladder_give_up(ladder, error, now);
        return 0;
    }
    if (has_lower) {
        take_out(ladder, error, now, delay);
        return 0;
    }
    return delay;
}

guint64 sc_ladder_get_step_downs(const ScLadder *ladder)
{
    return ladder->step_downs;
}

const char *sc_ladder_get_step_down_reason(const ScLadder *ladder)
{
    return ladder->step_down_reason;
}

guint sc_ladder_get_length(const ScLadder *ladder)
{
    return ladder->rungs->len;
}

void sc_ladder_describe(const ScLadder *ladder, guint index, ScEncoderRung *description)
{
    const Rung *rung = get_rung(ladder, index);
    const GError *obstacle = rung->impossible != NULL
                                 ? rung->impossible
                                 : get_current_record(ladder)->trials[index].obstacle;

    *description = (ScEncoderRung){
        .name = rung->impl->name,
        .node = rung->device != NULL ? rung->device->node : NULL,
        .copies = rung->impl->copies,
        .obstacle = obstacle != NULL ? obstacle->message : NULL,
    };
}
