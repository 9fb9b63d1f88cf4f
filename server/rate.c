/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/rate.h"

/* A viewer is judged by what was delivered to it in at least so much time, if that is so much data;
 * else in so much time. What is between us and the network passes data on in pieces, and no piece
 * says anything. */
#define WINDOW_MIN (100 * 1000)
#define WINDOW_MAX (400 * 1000)
#define WINDOW_BYTES (40 * 1024)

/* Packets are delayed if they take longer than this, and a quarter longer than pictures come. */
#define MIN_DELAY (50 * 1000)

/* Or if so many of the pictures came late because nobody had room before. */
#define PAUSES 0.25

/* Delays of at most this share of those in the window before: the queue shrinks already. */
#define SHRINKING 0.95

/* So much of what a network was seen to carry is used; the rest empties the queue. */
#define USABLE 0.85

/* What is not even that much too high is not worth a step. */
#define TOLERANCE 0.95

/* A step down is at least this, to have an effect, and at most that: it may be a mere hiccup. */
#define STEP_DOWN_MIN 0.9
#define STEP_DOWN_MAX 0.5

/* Steps up, and how long it must be calm for one: fast ones, and gentle ones near a rate that was
 * too high. Whenever that is still so, gentle ones come half as often. */
#define STEP_UP_FAST 1.25
#define CALM_FAST G_USEC_PER_SEC
#define STEP_UP_GENTLE 1.08
#define CALM_GENTLE G_USEC_PER_SEC
#define CALM_GENTLE_MAX (4 * G_USEC_PER_SEC)

/* Near: from this share of what a viewer could take when it was last too much, up to that; from the
 * one in between on things seem to have become better. */
#define NEAR 0.85
#define PROMISING 1.2
#define BEYOND 1.75

/* Far below: can take less than this share of what most can, and is back from that share on, or
 * when it has kept up for so long. */
#define FAR_BELOW 0.25
#define BACK_AGAIN 0.5
#define KEPT_UP G_USEC_PER_SEC

/* Of the time between two packets, at most so much tells something. */
#define MAX_STEP (100 * 1000)

/* How fast averages forget. That of the source's rate grows fast, for guests that wake up. */
#define FASTER_MEMORY (100 * 1000.0)
#define SLOWER_MEMORY (500 * 1000.0)
#define SIZE_MEMORY 8.0

/* A viewer's network. */
typedef struct {
    guint64 id;
    gboolean is_there;

    /* The window: where counts stood when it began. */
    ScRateViewer start;
    gint64 start_time;
    guint64 start_produced;
    guint start_updates, start_pauses;
    gint64 last_delay; /* of a packet in the window before */

    guint64 skipped; /* the window begins when so many packets have been delivered */

    ScRateViewer last; /* at the last update */
    gint64 progress_at;
    gboolean has_stopped;
    gboolean has_stalled; /* so did the last packet that was delivered */

    gint64 kept_up;       /* for how long */
    gint64 delayed_since; /* 0: not delayed */
    gboolean objects;     /* found just now: the rate is too high for it */
    gboolean is_far_below;
    double can; /* the rate it can take; the ceiling as long as nothing else is known */
} Link;

struct ScRate {
    double ceiling, floor, kbit;
    gint64 frame_time; /* at the encoder's frame rate */
    GArray *links;     /* of Link */

    gint64 last_update; /* 0: none */
    guint64 offered;
    double fps;            /* of the source, at most that of the encoder */
    double size;           /* of a packet that is no key frame; 0: unknown */
    guint64 produced;      /* bytes */
    guint updates, pauses; /* packets, and those before which the source may have paused */
    gint64 calm;           /* for how long nothing was delayed */
    gint64 gentle_calm;    /* how long it must be for a gentle step */
};

ScRate *sc_rate_new(guint ceiling, guint max_fps)
{
    ScRate *rate = g_new0(ScRate, 1);

    rate->ceiling = ceiling;
    rate->floor = MIN(ceiling, SC_RATE_FLOOR);
    rate->kbit = ceiling;
    rate->frame_time = G_USEC_PER_SEC / max_fps;
    rate->fps = max_fps;
    rate->gentle_calm = CALM_GENTLE;
    rate->links = g_array_new(FALSE, TRUE, sizeof(Link));
    return rate;
}

void sc_rate_free(ScRate *rate)
{
    if (rate != NULL) {
        g_array_unref(rate->links);
        g_free(rate);
    }
}

/* The stream */

static void note_source(ScRate *rate, const ScRateInput *input)
{
    double time = (double)(input->now - rate->last_update);
    double pictures = (double)(input->offered - rate->offered);

    rate->produced += input->size;
    rate->updates++;
    rate->pauses += input->may_have_paused;
    if (!input->is_key) {
        rate->size += (input->size - rate->size) / (rate->size > 0 ? SIZE_MEMORY : 1);
    }
    if (rate->last_update > 0 && time > 0 && pictures > 0) {
        double fps = MIN(pictures / time, 1.0 / rate->frame_time) * G_USEC_PER_SEC;
        double memory = fps > rate->fps ? FASTER_MEMORY : SLOWER_MEMORY;

        if (fps > rate->fps || !input->may_have_paused) {
            rate->fps += (fps - rate->fps) * time / (time + memory);
        }
    }
    rate->offered = input->offered;
}

/* The rate that would give packets of the size they have. More than that has no effect. */
static double get_used(const ScRate *rate)
{
    return rate->size > 0 ? MIN(rate->size * 8 * 1000 / rate->frame_time, rate->kbit) : rate->kbit;
}

/* The encoder needs most of what it may use: pictures are worse than they could be. */
static gboolean is_demanding(const ScRate *rate)
{
    return get_used(rate) >= rate->kbit / 2;
}

static gint64 get_max_delay(const ScRate *rate)
{
    return MAX(MIN_DELAY, (gint64)(1.25 * G_USEC_PER_SEC / rate->fps));
}

static void set_rate(ScRate *rate, double kbit)
{
    double used = get_used(rate);

    rate->kbit = CLAMP(kbit, rate->floor, rate->ceiling);
    rate->size *= MIN(rate->kbit / used, 1); /* as the next ones will be */
    rate->calm = 0;
}

/* The viewers */

static Link *get_link(const ScRate *rate, guint index)
{
    return &g_array_index(rate->links, Link, index);
}

static void start_window(const ScRate *rate, Link *link, const ScRateViewer *viewer, gint64 now)
{
    link->start = *viewer;
    link->start_time = now;
    link->start_produced = rate->produced;
    link->start_updates = rate->updates;
    link->start_pauses = rate->pauses;
}

static Link *find_link(ScRate *rate, const ScRateViewer *viewer, gint64 now)
{
    Link link = { .id = viewer->id, .can = rate->ceiling, .last = *viewer };

    for (guint i = 0; i < rate->links->len; i++) {
        if (get_link(rate, i)->id == viewer->id) {
            return get_link(rate, i);
        }
    }
    start_window(rate, &link, viewer, now);
    g_array_append_val(rate->links, link);
    return get_link(rate, rate->links->len - 1);
}

static void note_delay(const ScRate *rate, Link *link, const ScRateViewer *viewer, gint64 now)
{
    gint64 packets = (gint64)(viewer->packets - link->start.packets);
    gint64 delay = (viewer->delay - link->start.delay) / packets;
    gint64 service = MAX(viewer->service - link->start.service, 1);
    gboolean is_held_up =
        rate->pauses - link->start_pauses >= (rate->updates - link->start_updates) * PAUSES;
    double carried = 8000.0 * (double)(viewer->bytes - link->start.bytes) /
                     (double)(is_held_up ? now - link->start_time : service);
    /* The encoder gives each picture its share of a second, whether or not they are so many. */
    double can = USABLE * carried * G_USEC_PER_SEC / rate->frame_time / rate->fps;
    double used = get_used(rate);

    if (delay <= get_max_delay(rate) && !is_held_up) {
        link->delayed_since = 0;
    } else if (link->delayed_since == 0) {
        link->delayed_since = now;
    }
    /* Whatever the numbers say, a queue that stays is too long. */
    if (link->delayed_since > 0 && (double)delay > (double)link->last_delay * SHRINKING &&
        (can < used * TOLERANCE || now - link->delayed_since >= KEPT_UP)) {
        link->objects = TRUE;
        link->can = CLAMP(can, 1, used * STEP_DOWN_MIN);
        link->delayed_since = now;
    }
    link->last_delay = delay;
}

/* To be called while it is not delayed. A viewer that loses packets does not keep up. */
static void note_keeping_up(const ScRate *rate, Link *link, const ScRateViewer *viewer, gint64 now)
{
    guint64 produced = rate->produced - link->start_produced;

    if ((viewer->bytes - link->start.bytes) * 2 >= produced) {
        link->kept_up += MIN(now - link->start_time, WINDOW_MAX);
    }
    if (link->kept_up < KEPT_UP) {
        return;
    }
    if (link->is_far_below) {
        link->is_far_below = FALSE;
        link->can = rate->kbit;
    } else if (rate->kbit > link->can * BEYOND) {
        link->can = rate->ceiling;
    }
}

/* A packet that was under way while everything stood still tells how long that was, and no more.
 * If the next one takes as long, this is what the network is like. */
static gboolean note_stall(Link *link, const ScRateViewer *viewer, gint64 now)
{
    gboolean stalls = viewer->service - link->last.service >= SC_RATE_STALL;
    gboolean is_first = stalls && !link->has_stalled;

    if (viewer->packets != link->last.packets || link->last.waiting == 0) {
        link->progress_at = now;
    }
    link->has_stopped = viewer->waiting > 0 && now - link->progress_at > SC_RATE_STALL;
    link->has_stalled = stalls || (link->has_stalled && viewer->packets == link->last.packets);

    link->last = *viewer;
    return is_first;
}

static gboolean window_is_over(const Link *link, const ScRateViewer *viewer, gint64 now)
{
    gint64 time = now - link->start_time;

    return viewer->packets > link->start.packets &&
           (time >= WINDOW_MAX ||
            (time >= WINDOW_MIN && viewer->bytes - link->start.bytes >= WINDOW_BYTES));
}

static void note_viewer(ScRate *rate, const ScRateViewer *viewer, gint64 now)
{
    Link *link = find_link(rate, viewer, now);

    link->is_there = TRUE;
    link->objects = FALSE;
    if (note_stall(link, viewer, now)) {
        start_window(rate, link, viewer, now);
        return;
    }
    if (viewer->packets < link->skipped && viewer->waiting > 0) {
        start_window(rate, link, viewer, now);
        return;
    }
    if (!window_is_over(link, viewer, now)) {
        return;
    }
    note_delay(rate, link, viewer, now);
    if (link->delayed_since == 0) {
        note_keeping_up(rate, link, viewer, now);
    } else {
        link->kept_up = 0;
    }
    start_window(rate, link, viewer, now);
}

static void note_viewers(ScRate *rate, const ScRateInput *input)
{
    guint n_before = rate->links->len, n_gone = 0;

    for (guint i = 0; i < n_before; i++) {
        get_link(rate, i)->is_there = FALSE;
    }
    for (guint i = 0; i < input->n_viewers; i++) {
        note_viewer(rate, &input->viewers[i], input->now);
    }
    for (guint i = rate->links->len; i > 0; i--) {
        if (!get_link(rate, i - 1)->is_there) {
            g_array_remove_index(rate->links, i - 1);
            n_gone++;
        }
    }
    /* Those who are there now have seen nothing of what made the rate what it is. */
    if (n_before > 0 && n_gone == n_before) {
        rate->gentle_calm = CALM_GENTLE;
        set_rate(rate, rate->ceiling);
    }
}

/* The decision */

static int compare_doubles(gconstpointer a, gconstpointer b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* What at least half of the viewers can take. */
static double get_usual(const ScRate *rate)
{
    g_autoptr(GArray) can = g_array_new(FALSE, FALSE, sizeof(double));

    for (guint i = 0; i < rate->links->len; i++) {
        const Link *link = get_link(rate, i);

        if (!link->has_stopped) {
            g_array_append_val(can, link->can);
        }
    }
    g_array_sort(can, compare_doubles);
    return can->len > 0 ? g_array_index(can, double, can->len / 2) : 0;
}

static void find_far_below(ScRate *rate, const ScRateInput *input)
{
    double usual = get_usual(rate);

    for (guint i = 0; i < rate->links->len; i++) {
        Link *link = get_link(rate, i);

        link->is_far_below = link->can < usual * (link->is_far_below ? BACK_AGAIN : FAR_BELOW) &&
                             rate->links->len > 1;
    }
    for (guint i = 0; i < input->n_viewers; i++) {
        input->viewers[i].is_far_below =
            find_link(rate, &input->viewers[i], input->now)->is_far_below;
    }
}

/* If nobody is healthy, whoever takes something has a say. */
static gboolean has_say(const ScRate *rate, const Link *link, gboolean is_anyone_healthy)
{
    return !link->has_stopped && !(is_anyone_healthy && link->is_far_below);
}

typedef struct {
    gboolean is_delayed, objects;
    double can; /* all of those who have a say */
} Opinion;

static Opinion ask_viewers(const ScRate *rate)
{
    Opinion opinion = { .can = rate->ceiling };
    gboolean is_anyone_healthy = FALSE;

    for (guint i = 0; i < rate->links->len; i++) {
        is_anyone_healthy |= has_say(rate, get_link(rate, i), TRUE);
    }
    for (guint i = 0; i < rate->links->len; i++) {
        const Link *link = get_link(rate, i);

        if (has_say(rate, link, is_anyone_healthy)) {
            opinion.is_delayed |= link->delayed_since > 0;
            opinion.objects |= link->objects;
            opinion.can = MIN(opinion.can, link->can);
        }
    }
    return opinion;
}

/* @before: what all could take, as far as was known when the rate rose to what it is. */
static void step_down(ScRate *rate, double can, double before)
{
    gboolean was_probing = before < rate->ceiling && rate->kbit >= before * NEAR;

    rate->gentle_calm = was_probing ? MIN(rate->gentle_calm * 2, CALM_GENTLE_MAX) : CALM_GENTLE;
    set_rate(rate, MAX(can, get_used(rate) * STEP_DOWN_MAX));
    /* How the packets do that are on their way tells nothing about the new rate. */
    for (guint i = 0; i < rate->links->len; i++) {
        Link *link = get_link(rate, i);

        link->skipped = link->last.packets + link->last.waiting;
    }
}

static void step_up(ScRate *rate, double can)
{
    if (rate->kbit < can * NEAR || can >= rate->ceiling) {
        if (rate->calm >= CALM_FAST) {
            double near = can < rate->ceiling ? can * NEAR : can;

            set_rate(rate, MIN(rate->kbit * STEP_UP_FAST, near));
        }
    } else if (rate->calm >= (rate->kbit < can * PROMISING ? rate->gentle_calm : CALM_GENTLE)) {
        set_rate(rate, rate->kbit * STEP_UP_GENTLE);
    }
}

guint sc_rate_update(ScRate *rate, const ScRateInput *input)
{
    double before = ask_viewers(rate).can;
    Opinion opinion;

    note_source(rate, input);
    note_viewers(rate, input);
    find_far_below(rate, input);
    opinion = ask_viewers(rate);
    if (!opinion.is_delayed) {
        rate->calm += CLAMP(input->now - rate->last_update, 0, MAX_STEP);
    }
    if (opinion.objects) {
        step_down(rate, opinion.can, before);
    } else if (!opinion.is_delayed && is_demanding(rate)) {
        step_up(rate, opinion.can);
    }
    rate->last_update = input->now;
    return (guint)rate->kbit;
}
