/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gst/feed.h"

#include "capture/timer.h"
#include "encoder/gst-dmabuf.h"
#include "encoder/shadow.h"
#include "gst/navigation.h"
#include "gst/owner.h"

#include <gst/video/video.h>

/* After a buffer that came back too late; as long as the daemon's ladder waits (encoder/). */
#define SLOW_FOR (10 * G_USEC_PER_SEC)

/* A scanout that no frame announces is shown as it is, but not at once: a frame that follows is
 * better, for with that the guest says that it is complete. */
#define SHOW_UNDRAWN (10 * 1000)

/* Beyond that one rectangle around them says enough. */
#define MAX_DAMAGE_RECTS 16

struct ScFeed {
    gint64 fence_deadline;
    ScFeedListener listener;
    gpointer data;

    ScSource *source;
    ScInput *input;
    ScScanout *scanout; /* NULL: nothing is shown */
    gboolean is_active;
    gboolean is_awaited; /* ready() is due */

    ScFrame *frame;           /* the newest, not taken yet; or NULL */
    pixman_region32_t unseen; /* changed, and neither in a buffer nor in the frame's damage */
    gboolean is_absorbed;     /* of that, all is in the shadow */
    gint64 absorbed_time;
    ScShadow *shadow;
    ScTimer *deadline; /* of the frame */
    ScTimer *repeat;   /* set: what is shown has changed and perhaps no frame will say so */

    GList *leases; /* of Lease, not come back yet */
    gint64 slow_until;
    ScFeedCounts counts;
};

/* A buffer with the guest's memory. */
typedef struct {
    ScFeed *feed;   /* NULL once the feed is gone; under lease_mutex */
    ScFrame *frame; /* the owner's; NULL once the feed is gone */
    ScDmabuf *dmabuf;
} Lease;

static GMutex lease_mutex;

/* Leases */

static void lease_free(Lease *lease)
{
    sc_dmabuf_unref(lease->dmabuf);
    g_free(lease);
}

static void end_frame(ScFeed *feed, ScFrame *frame)
{
    if (sc_frame_is_expired(frame)) {
        feed->counts.expired++;
        feed->slow_until = g_get_monotonic_time() + SLOW_FOR;
    }
    sc_frame_unref(frame);
}

static void lease_end(gpointer data)
{
    Lease *lease = data;
    ScFeed *feed = lease->feed; /* changes on this thread only */

    if (feed != NULL) {
        feed->leases = g_list_remove(feed->leases, lease);
        end_frame(feed, lease->frame);
    }
    lease_free(lease);
}

/* Any thread. */
static void on_released(gpointer data)
{
    Lease *lease = data;
    gboolean is_orphan;

    g_mutex_lock(&lease_mutex);
    is_orphan = lease->feed == NULL;
    if (!is_orphan) {
        sc_owner_post(lease_end, lease, NULL); /* held: the feed is still there */
    }
    g_mutex_unlock(&lease_mutex);
    if (is_orphan) {
        lease_free(lease);
    }
}

static guint count_overdue(const ScFeed *feed)
{
    guint n = 0;

    for (GList *item = feed->leases; item != NULL; item = item->next) {
        n += sc_frame_is_expired(((Lease *)item->data)->frame);
    }
    return n;
}

static void revoke_leases(ScFeed *feed)
{
    /* Without a feed any thread may end a lease. */
    g_mutex_lock(&lease_mutex);
    for (GList *item = feed->leases; item != NULL; item = item->next) {
        Lease *lease = item->data;

        lease->feed = NULL;
        item->data = g_steal_pointer(&lease->frame);
    }
    g_mutex_unlock(&lease_mutex);
    g_list_free_full(g_steal_pointer(&feed->leases), (GDestroyNotify)sc_frame_unref);
}

/* What is to be shown */

static gboolean has_picture(const ScFeed *feed)
{
    return feed->frame != NULL ||
           (feed->scanout != NULL && pixman_region32_not_empty((pixman_region32_t *)&feed->unseen));
}

static void tell_ready(ScFeed *feed)
{
    if (feed->is_awaited && feed->is_active && has_picture(feed)) {
        feed->is_awaited = FALSE;
        feed->listener.ready(feed->data);
    }
}

static void mark_unseen(ScFeed *feed, const pixman_region32_t *damage)
{
    pixman_region32_union(&feed->unseen, &feed->unseen, (pixman_region32_t *)damage);
    feed->is_absorbed = FALSE;
}

static void mark_all_unseen(ScFeed *feed)
{
    pixman_region32_fini(&feed->unseen);
    pixman_region32_init(&feed->unseen);
    feed->is_absorbed = FALSE;
    if (feed->scanout != NULL) {
        pixman_region32_union_rect(&feed->unseen, &feed->unseen, 0, 0,
                                   sc_scanout_get_width(feed->scanout),
                                   sc_scanout_get_height(feed->scanout));
    }
}

static void drop_frame(ScFeed *feed)
{
    sc_timer_cancel(feed->deadline);
    if (feed->frame != NULL) {
        mark_unseen(feed, sc_frame_get_damage(feed->frame));
        g_clear_pointer(&feed->frame, sc_frame_unref);
    }
}

static void on_repeat(gpointer data)
{
    tell_ready(data);
}

/* The guest can wait no longer for somebody to take the frame. */
static void on_deadline(gpointer data)
{
    ScFeed *feed = data;
    g_autoptr(ScFrame) frame = g_steal_pointer(&feed->frame);
    g_autoptr(GError) error = NULL;

    mark_unseen(feed, sc_frame_get_damage(frame));
    if (sc_shadow_take(feed->shadow, feed->scanout, &feed->unseen, &error)) {
        feed->is_absorbed = TRUE;
        feed->absorbed_time = sc_frame_get_time(frame);
        sc_frame_set_taken(frame);
    } else {
        g_info("a picture that waits too long cannot be copied: %s", error->message);
    }
}

static gboolean is_same_kind(ScScanout *a, ScScanout *b)
{
    ScTarget target_a, target_b;

    if (a == NULL || b == NULL || sc_scanout_get_dmabuf(b) == NULL) {
        return FALSE;
    }
    sc_target_init(&target_a, a);
    sc_target_init(&target_b, b);
    return sc_target_equal(&target_a, &target_b);
}

static void on_scanout(ScScanout *scanout, gpointer data)
{
    ScFeed *feed = data;
    ScScanout *before = feed->scanout;
    gboolean is_same = is_same_kind(before, scanout);

    drop_frame(feed);
    feed->scanout = scanout != NULL ? sc_scanout_ref(scanout) : NULL;
    if (!is_same) {
        ScTarget target;

        sc_shadow_forget(feed->shadow);
        mark_all_unseen(feed);
        if (scanout != NULL) {
            sc_target_init(&target, scanout);
            sc_input_set_size(feed->input, target.width, target.height);
        }
        feed->listener.target(scanout != NULL ? &target : NULL, feed->data);
        sc_timer_set_after(feed->repeat, SHOW_UNDRAWN);
    }
    sc_scanout_unref(before);
}

static void on_frame(ScFrame *frame, gpointer data)
{
    ScFeed *feed = data;

    feed->counts.frames++;
    feed->counts.merged += feed->frame != NULL;
    drop_frame(feed);
    if (!feed->is_active) {
        mark_unseen(feed, sc_frame_get_damage(frame));
        return;
    }
    feed->frame = sc_frame_ref(frame);
    if (sc_frame_is_awaited(frame)) {
        sc_timer_set_at(feed->deadline, sc_frame_get_time(frame) + feed->fence_deadline);
    }
    tell_ready(feed);
}

static void on_state(ScSourceState state, const char *reason, gpointer data)
{
    ScFeed *feed = data;

    feed->listener.state(state, reason, feed->data);
}

static void on_pointer_mode(ScPointerMode mode, gpointer data)
{
    sc_input_set_pointer_mode(((ScFeed *)data)->input, mode);
}

/* Input */

static void on_key(guint scancode, gboolean pressed, gpointer data)
{
    sc_source_send_key(((ScFeed *)data)->source, scancode, pressed);
}

static void on_motion(int dx, int dy, gpointer data)
{
    sc_source_send_motion(((ScFeed *)data)->source, dx, dy);
}

static void on_position(guint x, guint y, gpointer data)
{
    sc_source_send_position(((ScFeed *)data)->source, x, y);
}

static void on_button(ScButton button, gboolean pressed, gpointer data)
{
    sc_source_send_button(((ScFeed *)data)->source, button, pressed);
}

static void on_wheel(int steps, gpointer data)
{
    sc_source_send_wheel(((ScFeed *)data)->source, steps);
}

/* Buffers */

static void add_damage(GstBuffer *buffer, const pixman_region32_t *region)
{
    pixman_region32_t *damage = (pixman_region32_t *)region;
    int n;
    const pixman_box32_t *boxes = pixman_region32_rectangles(damage, &n);

    if (n > MAX_DAMAGE_RECTS) {
        boxes = pixman_region32_extents(damage);
        n = 1;
    }
    for (int i = 0; i < n; i++) {
        gst_buffer_add_video_region_of_interest_meta(
            buffer, SC_FEED_DAMAGE, (guint)boxes[i].x1, (guint)boxes[i].y1,
            (guint)(boxes[i].x2 - boxes[i].x1), (guint)(boxes[i].y2 - boxes[i].y1));
    }
}

static GstBuffer *wrap_picture(ScPicture *picture, guint width, guint height)
{
    GstVideoInfo *info = &picture->info;
    GstBuffer *buffer = gst_buffer_new_wrapped_full(
        GST_MEMORY_FLAG_READONLY, picture->data, info->size, 0, (gsize)info->stride[0] * height,
        sc_picture_ref(picture), (GDestroyNotify)sc_picture_unref);

    gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_INFO_FORMAT(info),
                                   width, height, 1, info->offset, info->stride);
    return buffer;
}

static GstBuffer *take_copy(ScFeed *feed, ScFrame *frame, GError **error)
{
    /* What was absorbed is better than the buffer, into which the guest may be drawing again. */
    if (!feed->is_absorbed || sc_frame_is_awaited(frame)) {
        if (!sc_shadow_take(feed->shadow, feed->scanout, sc_frame_get_damage(frame), error)) {
            return NULL;
        }
        sc_frame_set_taken(frame);
    }
    feed->counts.copied++;
    return wrap_picture(sc_shadow_get_picture(feed->shadow), sc_scanout_get_width(feed->scanout),
                        sc_scanout_get_height(feed->scanout));
}

static GstBuffer *take_shared(ScFeed *feed, ScFrame *frame)
{
    Lease *lease = g_new0(Lease, 1);

    sc_frame_set_taken(frame);
    sc_frame_set_timeout(frame, feed->fence_deadline);
    lease->feed = feed;
    lease->frame = sc_frame_ref(frame);
    lease->dmabuf = sc_dmabuf_ref(sc_scanout_get_dmabuf(feed->scanout));
    feed->leases = g_list_prepend(feed->leases, lease);
    sc_shadow_forget(feed->shadow);
    feed->counts.shared++;
    return sc_gst_dmabuf_wrap(lease->dmabuf, TRUE, on_released, lease);
}

GstBuffer *sc_feed_take(ScFeed *feed, gboolean zero_copy, gint64 *time, GError **error)
{
    g_autoptr(ScFrame) frame = g_steal_pointer(&feed->frame);
    GstBuffer *buffer;

    sc_timer_cancel(feed->deadline);
    sc_timer_cancel(feed->repeat);
    if (frame != NULL) {
        feed->is_absorbed = FALSE;
        sc_frame_add_damage(frame, &feed->unseen);
    } else {
        frame = sc_frame_new(feed->scanout, &feed->unseen, NULL);
    }
    *time = feed->is_absorbed ? feed->absorbed_time : sc_frame_get_time(frame);
    buffer = zero_copy ? take_shared(feed, frame) : take_copy(feed, frame, error);
    if (buffer == NULL) {
        mark_unseen(feed, sc_frame_get_damage(frame));
        return NULL;
    }
    add_damage(buffer, sc_frame_get_damage(frame));
    pixman_region32_clear(&feed->unseen);
    feed->is_absorbed = FALSE;
    return buffer;
}

gboolean sc_feed_peek(ScFeed *feed, ScTarget *target, gboolean *is_slow)
{
    if (!has_picture(feed)) {
        feed->is_awaited = TRUE;
        return FALSE;
    }
    sc_target_init(target, feed->scanout);
    *is_slow =
        feed->is_absorbed || g_get_monotonic_time() < feed->slow_until || count_overdue(feed) > 0;
    return TRUE;
}

/* The feed itself */

void sc_feed_set_active(ScFeed *feed, gboolean active)
{
    feed->is_active = active;
    sc_source_set_watched(feed->source, active);
    drop_frame(feed);
    if (active) {
        mark_all_unseen(feed);
        sc_timer_set_after(feed->repeat, 0);
    }
}

ScFeed *sc_feed_new(const ScFeedConfig *config, const ScFeedListener *listener, gpointer data,
                    GError **error)
{
    static const ScSourceListener source_listener = {
        .state = on_state,
        .scanout = on_scanout,
        .frame = on_frame,
        .pointer_mode = on_pointer_mode,
    };
    static const ScInputListener input_listener = {
        .key = on_key,
        .motion = on_motion,
        .position = on_position,
        .button = on_button,
        .wheel = on_wheel,
    };
    g_autoptr(ScFeed) feed = g_new0(ScFeed, 1);

    feed->fence_deadline = config->fence_deadline;
    feed->listener = *listener;
    feed->data = data;
    feed->is_awaited = TRUE;
    feed->input = sc_input_new(&input_listener, feed);
    feed->shadow = sc_shadow_new();
    feed->deadline = sc_timer_new(on_deadline, feed);
    feed->repeat = sc_timer_new(on_repeat, feed);
    pixman_region32_init(&feed->unseen);
    feed->source = sc_source_new(config->location, &source_listener, feed, error);
    if (feed->source == NULL || !sc_source_start(feed->source, error)) {
        return NULL;
    }
    return g_steal_pointer(&feed);
}

void sc_feed_free(ScFeed *feed)
{
    if (feed == NULL) {
        return;
    }
    revoke_leases(feed);
    sc_frame_unref(feed->frame);
    if (feed->source != NULL) {
        sc_input_forget(feed->input, feed); /* releases its keys */
    }
    sc_input_free(feed->input);
    sc_source_free(feed->source);
    sc_scanout_unref(feed->scanout);
    sc_shadow_free(feed->shadow);
    sc_timer_free(feed->deadline);
    sc_timer_free(feed->repeat);
    pixman_region32_fini(&feed->unseen);
    g_free(feed);
}

void sc_feed_send_navigation(ScFeed *feed, const GstStructure *navigation)
{
    sc_navigation_send(feed->input, feed, navigation);
}

void sc_feed_get_counts(const ScFeed *feed, ScFeedCounts *counts)
{
    *counts = feed->counts;
    counts->expired += count_overdue(feed);
    counts->copied_pixels = sc_shadow_get_copied(feed->shadow);
}
