/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gst/tap.h"

#include "capture/format.h"
#include "gst/owner.h"

struct ScTap {
    GstElement *element;
    gboolean reconnect;

    /* The owner thread's. */
    ScFeed *feed;

    /* Everybody's, under the mutex. */
    GMutex mutex;
    GCond cond;
    gboolean is_ready; /* there may be a picture */
    gboolean is_flushing;
    GError *failure; /* of the source */
    ScFeedCounts counts;
};

/* What a function that runs on the owner thread is given and gives back. */
typedef struct {
    ScTap *tap;
    const ScFeedConfig *config;
    gboolean active;
    ScTarget *target;
    gboolean is_slow, zero_copy, has_picture;
    GstBuffer *buffer;
    gint64 time;
    GError **error;
} Call;

typedef struct {
    ScTap *tap;
    GstEvent *event;
} Navigation;

static void set_ready(ScTap *tap, gboolean is_ready)
{
    g_mutex_lock(&tap->mutex);
    tap->is_ready = is_ready;
    g_cond_signal(&tap->cond);
    g_mutex_unlock(&tap->mutex);
}

/* The feed's listener */

static void on_ready(gpointer data)
{
    set_ready(data, TRUE);
}

/* Takes @structure. */
static void post(ScTap *tap, GstStructure *structure)
{
    gst_element_post_message(tap->element,
                             gst_message_new_element(GST_OBJECT(tap->element), structure));
}

static void fail(ScTap *tap, const char *reason)
{
    g_mutex_lock(&tap->mutex);
    if (tap->failure == NULL) {
        tap->failure = g_error_new_literal(GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ, reason);
    }
    g_cond_signal(&tap->cond);
    g_mutex_unlock(&tap->mutex);
}

static void on_state(ScSourceState state, const char *reason, gpointer data)
{
    static const char *const names[] = {
        [SC_SOURCE_CONNECTING] = "connecting",
        [SC_SOURCE_CONNECTED] = "connected",
        [SC_SOURCE_DISCONNECTED] = "disconnected",
    };
    ScTap *tap = data;

    post(tap, gst_structure_new("scancast-source", "state", G_TYPE_STRING, names[state], "reason",
                                G_TYPE_STRING, reason, NULL));
    if (state == SC_SOURCE_DISCONNECTED) {
        fail(tap, reason != NULL ? reason : "the connection has ended");
    } else if (state == SC_SOURCE_CONNECTING && reason != NULL && !tap->reconnect) {
        fail(tap, reason);
    }
}

static void on_target(const ScTarget *target, gpointer data)
{
    g_autofree char *format = target != NULL ? sc_format_name(target->fourcc) : NULL;
    GstStructure *structure =
        gst_structure_new("scancast-scanout", "visible", G_TYPE_BOOLEAN, target != NULL, NULL);

    if (target != NULL) {
        gst_structure_set(structure, "width", G_TYPE_UINT, target->width, "height", G_TYPE_UINT,
                          target->height, "drm-format", G_TYPE_STRING, format, "modifier",
                          G_TYPE_UINT64, target->modifier, "dmabuf", G_TYPE_BOOLEAN,
                          target->is_dmabuf, "bottom-up", G_TYPE_BOOLEAN, target->bottom_up, NULL);
    }
    post(data, structure);
}

/* On the owner thread, for others */

static void update_counts(ScTap *tap)
{
    ScFeedCounts counts;

    sc_feed_get_counts(tap->feed, &counts);
    g_mutex_lock(&tap->mutex);
    tap->counts = counts;
    g_mutex_unlock(&tap->mutex);
}

static void start(gpointer data)
{
    static const ScFeedListener listener = {
        .ready = on_ready,
        .state = on_state,
        .target = on_target,
    };
    Call *call = data;

    call->tap->feed = sc_feed_new(call->config, &listener, call->tap, call->error);
}

static void stop(gpointer data)
{
    g_clear_pointer(&((ScTap *)data)->feed, sc_feed_free);
}

static void set_active(gpointer data)
{
    Call *call = data;

    sc_feed_set_active(call->tap->feed, call->active);
    update_counts(call->tap);
}

static void navigate(gpointer data)
{
    Navigation *navigation = data;

    sc_feed_send_navigation(navigation->tap->feed, gst_event_get_structure(navigation->event));
}

static void peek(gpointer data)
{
    Call *call = data;

    set_ready(call->tap, FALSE);
    call->has_picture = sc_feed_peek(call->tap->feed, call->target, &call->is_slow);
    if (call->has_picture) {
        set_ready(call->tap, TRUE); /* until it is taken, and the next peek finds none */
    }
}

static void take(gpointer data)
{
    Call *call = data;
    ScFeed *feed = call->tap->feed;
    ScTarget target;

    if (!sc_feed_peek(feed, &target, &call->is_slow) || !sc_target_equal(&target, call->target)) {
        return;
    }
    call->buffer = sc_feed_take(feed, call->zero_copy, &call->time, call->error);
    update_counts(call->tap);
}

/* The tap itself */

ScTap *sc_tap_new(GstElement *element, const ScFeedConfig *config, gboolean reconnect,
                  GError **error)
{
    ScTap *tap = g_new0(ScTap, 1);
    Call call = { .tap = tap, .config = config, .error = error };

    tap->element = element;
    tap->reconnect = reconnect;
    tap->is_ready = TRUE; /* for the first to be asked for */
    g_mutex_init(&tap->mutex);
    g_cond_init(&tap->cond);
    sc_owner_hold();
    sc_owner_call(start, &call);
    if (tap->feed == NULL) {
        sc_tap_free(tap);
        return NULL;
    }
    return tap;
}

void sc_tap_free(ScTap *tap)
{
    if (tap == NULL) {
        return;
    }
    sc_owner_call(stop, tap);
    sc_owner_release();
    g_clear_error(&tap->failure);
    g_mutex_clear(&tap->mutex);
    g_cond_clear(&tap->cond);
    g_free(tap);
}

void sc_tap_set_active(ScTap *tap, gboolean active)
{
    sc_owner_call(set_active, &(Call){ .tap = tap, .active = active });
}

void sc_tap_set_flushing(ScTap *tap, gboolean flushing)
{
    g_mutex_lock(&tap->mutex);
    tap->is_flushing = flushing;
    g_cond_signal(&tap->cond);
    g_mutex_unlock(&tap->mutex);
}

static void navigation_free(gpointer data)
{
    Navigation *navigation = data;

    gst_event_unref(navigation->event);
    g_free(navigation);
}

void sc_tap_send_navigation(ScTap *tap, GstEvent *event)
{
    Navigation *navigation = g_new(Navigation, 1);

    navigation->tap = tap;
    navigation->event = gst_event_ref(event);
    sc_owner_post(navigate, navigation, navigation_free);
}

void sc_tap_get_counts(ScTap *tap, ScFeedCounts *counts)
{
    g_mutex_lock(&tap->mutex);
    *counts = tap->counts;
    g_mutex_unlock(&tap->mutex);
}

GstFlowReturn sc_tap_wait(ScTap *tap, GError **error)
{
    GstFlowReturn result = GST_FLOW_OK;

    g_mutex_lock(&tap->mutex);
    while (!tap->is_ready && !tap->is_flushing && tap->failure == NULL) {
        g_cond_wait(&tap->cond, &tap->mutex);
    }
    if (tap->is_flushing) {
        result = GST_FLOW_FLUSHING;
    } else if (tap->failure != NULL) {
        g_propagate_error(error, g_steal_pointer(&tap->failure));
        result = GST_FLOW_ERROR;
    }
    g_mutex_unlock(&tap->mutex);
    return result;
}

gboolean sc_tap_peek(ScTap *tap, ScTarget *target, gboolean *is_slow)
{
    Call call = { .tap = tap, .target = target };

    sc_owner_call(peek, &call);
    *is_slow = call.is_slow;
    return call.has_picture;
}

GstBuffer *sc_tap_take(ScTap *tap, const ScTarget *target, gboolean zero_copy, gint64 *time,
                       GError **error)
{
    ScTarget wanted = *target;
    Call call = { .tap = tap, .target = &wanted, .zero_copy = zero_copy, .error = error };

    sc_owner_call(take, &call);
    *time = call.time;
    return call.buffer;
}
