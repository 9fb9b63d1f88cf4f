/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gst/scanout-src.h"

#include "encoder/gst-dmabuf.h"
#include "gst/tap.h"

#include <gst/allocators/gstdmabuf.h>
#include <gst/video/video.h>

GST_DEBUG_CATEGORY_STATIC(scanout_src_debug);
#define GST_CAT_DEFAULT scanout_src_debug

/* As the daemon's --fence-deadline. */
#define DEFAULT_FENCE_DEADLINE 40
#define MAX_FENCE_DEADLINE 10000

#define FIRST_DURATION (GST_SECOND / 30)
#define MIN_DURATION GST_MSECOND
#define MAX_DURATION GST_SECOND

#define SYSTEM_CAPS GST_VIDEO_CAPS_MAKE("BGRx")

typedef enum {
    COPY_AUTO,
    COPY_ALWAYS,
    COPY_NEVER,
} CopyMode;

enum {
    PROP_LOCATION = 1,
    PROP_COPY,
    PROP_FENCE_DEADLINE,
    PROP_RECONNECT,
    PROP_STATS,
};

struct _ScScanoutSrc {
    GstPushSrc parent;

    /* Properties; they change in states READY and NULL only. */
    char *location;
    CopyMode copy;
    guint fence_deadline; /* ms */
    gboolean reconnect;

    ScTap *tap;          /* NULL while stopped; it changes under the object lock */
    ScFeedCounts counts; /* of the last one */

    /* The streaming thread's. */
    gboolean has_target; /* caps were negotiated for: */
    ScTarget target;
    gboolean may_share;               /*   dmabufs were offered to whom it may concern */
    gboolean shares;                  /*   and taken */
    gboolean has_video_meta;          /* downstream knows it */
    GstClockTime base_time, last_pts; /* of the buffer before; NONE: there is none */
};

G_DEFINE_TYPE(ScScanoutSrc, sc_scanout_src, GST_TYPE_PUSH_SRC)

static GType copy_mode_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        { COPY_AUTO, "Copy what is no dmabuf, is upside down or came back too late", "auto" },
        { COPY_ALWAYS, "Copy every picture", "always" },
        { COPY_NEVER, "Only dmabufs, without a copy; anything else is an error", "never" },
        { 0, NULL, NULL },
    };

    if (g_once_init_enter(&type)) {
        g_once_init_leave(&type, g_enum_register_static("ScScanoutSrcCopy", values));
    }
    return type;
}

/* Caps */

static GstCaps *get_system_caps(const ScTarget *target)
{
    return gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, "BGRx", "width", G_TYPE_INT,
                               (int)target->width, "height", G_TYPE_INT, (int)target->height,
                               "framerate", GST_TYPE_FRACTION, 0, 1, NULL);
}

/* What the pictures can be, best first. */
static GstCaps *get_offer(ScScanoutSrc *self, GError **error)
{
    g_autoptr(GstCaps) offer = gst_caps_new_empty();
    g_autoptr(GError) reason = NULL;

    if (self->may_share) {
        GstCaps *dmabuf = sc_gst_dmabuf_get_caps(&self->target, 0, &reason);

        if (dmabuf != NULL) {
            gst_caps_append(offer, dmabuf);
        }
    } else if (self->copy == COPY_NEVER) {
        g_set_error(&reason, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "it is %s",
                    self->target.is_dmabuf ? "upside down in memory" : "no dmabuf");
    }
    if (self->copy != COPY_NEVER) {
        gst_caps_append(offer, get_system_caps(&self->target));
    } else if (reason != NULL) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return NULL;
    }
    return g_steal_pointer(&offer);
}

static gboolean sc_scanout_src_negotiate(GstBaseSrc *base)
{
    ScScanoutSrc *self = SC_SCANOUT_SRC(base);
    GstPad *pad = GST_BASE_SRC_PAD(base);
    g_autoptr(GError) error = NULL;
    g_autoptr(GstCaps) offer = NULL, peer = NULL, chosen = NULL;

    if (!self->has_target) {
        return TRUE; /* with the first picture */
    }
    offer = get_offer(self, &error);
    if (offer == NULL) {
        GST_ELEMENT_ERROR(
            self, STREAM, FORMAT,
            ("The guest's picture cannot be shown without a copy: %s.", error->message),
            ("copy=auto copies such pictures"));
        return FALSE;
    }
    peer = gst_pad_peer_query_caps(pad, offer);
    chosen = gst_caps_intersect_full(offer, peer, GST_CAPS_INTERSECT_FIRST);
    if (gst_caps_is_empty(chosen)) {
        GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                          ("No element downstream takes the guest's picture; put videoconvert (and "
                           "videorate for a constant frame rate) behind scanoutsrc."),
                          ("offered %" GST_PTR_FORMAT, offer));
        return FALSE;
    }
    chosen = gst_caps_fixate(g_steal_pointer(&chosen));
    self->shares = gst_caps_features_contains(gst_caps_get_features(chosen, 0),
                                              GST_CAPS_FEATURE_MEMORY_DMABUF);
    GST_INFO_OBJECT(self, "%s: %" GST_PTR_FORMAT, self->shares ? "no copies" : "copies", chosen);
    return gst_base_src_set_caps(base, chosen);
}

static gboolean sc_scanout_src_decide_allocation(GstBaseSrc *base, GstQuery *query)
{
    ScScanoutSrc *self = SC_SCANOUT_SRC(base);

    /* The memory is ours or the guest's. */
    while (gst_query_get_n_allocation_pools(query) > 0) {
        gst_query_remove_nth_allocation_pool(query, 0);
    }
    self->has_video_meta = gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL);
    return TRUE;
}

/* Streaming */

/* Copies are a column wider where the width is odd, which only a GstVideoMeta can tell. */
static GstBuffer *pack(const ScScanoutSrc *self, GstBuffer *wide)
{
    GstVideoInfo info;
    GstVideoFrame from, to;
    GstBuffer *packed;

    gst_video_info_set_format(&info, GST_VIDEO_FORMAT_BGRx, self->target.width,
                              self->target.height);
    packed = gst_buffer_new_and_alloc(info.size);
    gst_buffer_copy_into(packed, wide, GST_BUFFER_COPY_META, 0, (gsize)-1);
    gst_video_frame_map(&from, &info, wide, GST_MAP_READ);
    gst_video_frame_map(&to, &info, packed, GST_MAP_WRITE);
    gst_video_frame_copy(&to, &from);
    gst_video_frame_unmap(&to);
    gst_video_frame_unmap(&from);
    gst_buffer_unref(wide);
    return packed;
}

/* Nobody knows how long a picture will be shown. As long as the one before is a guess that muxers
 * can use: they would leave out the last picture if it took no time. */
static GstClockTime guess_duration(const ScScanoutSrc *self, GstClockTime pts)
{
    return GST_CLOCK_TIME_IS_VALID(self->last_pts)
               ? CLAMP(pts - self->last_pts, MIN_DURATION, MAX_DURATION)
               : FIRST_DURATION;
}

/* @time: monotonic microseconds. */
static void stamp(ScScanoutSrc *self, GstBuffer *buffer, gint64 time)
{
    g_autoptr(GstClock) clock = gst_element_get_clock(GST_ELEMENT(self));
    GstClockTime base_time = gst_element_get_base_time(GST_ELEMENT(self));
    GstClockTime start, now, pts;

    if (clock == NULL) {
        return;
    }
    now = gst_clock_get_time(clock);
    start = base_time + (GstClockTime)(g_get_monotonic_time() - time) * GST_USECOND;
    pts = now > start ? now - start : 0;
    if (base_time != self->base_time) { /* time starts again, as after flushes */
        self->base_time = base_time;
        self->last_pts = GST_CLOCK_TIME_NONE;
    }
    if (GST_CLOCK_TIME_IS_VALID(self->last_pts)) {
        pts = MAX(pts, self->last_pts + GST_USECOND);
    }
    GST_BUFFER_PTS(buffer) = pts;
    GST_BUFFER_DURATION(buffer) = guess_duration(self, pts);
    self->last_pts = pts;
}

static gboolean may_share(const ScScanoutSrc *self, const ScTarget *target, gboolean is_slow)
{
    return target->is_dmabuf && !target->bottom_up &&
           (self->copy == COPY_NEVER || (self->copy == COPY_AUTO && !is_slow));
}

/* For the picture that is there now. */
static gboolean update_caps(ScScanoutSrc *self, const ScTarget *target, gboolean is_slow)
{
    gboolean share = may_share(self, target, is_slow);

    if (self->has_target && share == self->may_share && sc_target_equal(target, &self->target)) {
        return TRUE;
    }
    self->has_target = TRUE;
    self->target = *target;
    self->may_share = share;
    return gst_base_src_negotiate(GST_BASE_SRC(self));
}

static GstBuffer *take(ScScanoutSrc *self, GError **error)
{
    gint64 time;
    GstBuffer *buffer = sc_tap_take(self->tap, &self->target, self->shares, &time, error);

    if (buffer == NULL) {
        return NULL;
    }
    if (!self->shares && self->target.width % 2 != 0 && !self->has_video_meta) {
        buffer = pack(self, buffer);
    }
    stamp(self, buffer, time);
    return buffer;
}

static GstFlowReturn sc_scanout_src_create(GstPushSrc *push, GstBuffer **buffer)
{
    ScScanoutSrc *self = SC_SCANOUT_SRC(push);
    g_autoptr(GError) error = NULL;
    GstFlowReturn result;
    ScTarget target;
    gboolean is_slow;

    *buffer = NULL;
    while ((result = sc_tap_wait(self->tap, &error)) == GST_FLOW_OK) {
        if (!sc_tap_peek(self->tap, &target, &is_slow)) {
            continue;
        }
        if (!update_caps(self, &target, is_slow)) {
            return GST_FLOW_NOT_NEGOTIATED;
        }
        *buffer = take(self, &error);
        if (*buffer != NULL) {
            return GST_FLOW_OK;
        }
        if (error != NULL) {
            GST_ELEMENT_ERROR(self, RESOURCE, READ,
                              ("The guest's picture cannot be read: %s", error->message), (NULL));
            return GST_FLOW_ERROR;
        }
    }
    if (error != NULL) {
        GST_ELEMENT_ERROR(self, RESOURCE, READ, ("The guest's display is lost: %s", error->message),
                          ("reconnect=true waits for the guest to come back"));
    }
    return result;
}

/* Flushes come while stopped, too. */
static gboolean set_flushing(GstBaseSrc *base, gboolean flushing)
{
    ScScanoutSrc *self = SC_SCANOUT_SRC(base);

    GST_OBJECT_LOCK(self);
    if (self->tap != NULL) {
        sc_tap_set_flushing(self->tap, flushing);
    }
    GST_OBJECT_UNLOCK(self);
    return TRUE;
}

static gboolean sc_scanout_src_unlock(GstBaseSrc *base)
{
    return set_flushing(base, TRUE);
}

static gboolean sc_scanout_src_unlock_stop(GstBaseSrc *base)
{
    return set_flushing(base, FALSE);
}

/* States */

static void set_tap(ScScanoutSrc *self, ScTap *tap)
{
    GST_OBJECT_LOCK(self);
    self->tap = tap;
    GST_OBJECT_UNLOCK(self);
}

static gboolean sc_scanout_src_start(GstBaseSrc *base)
{
    ScScanoutSrc *self = SC_SCANOUT_SRC(base);
    ScFeedConfig config = {
        .location = self->location,
        .fence_deadline = self->fence_deadline * G_GINT64_CONSTANT(1000),
    };
    g_autoptr(GError) error = NULL;

    if (self->location == NULL) {
        GST_ELEMENT_ERROR(self, RESOURCE, NOT_FOUND,
                          ("No location is set; try location=pattern, or "
                           "location=spice+unix:PATH for a running QEMU."),
                          (NULL));
        return FALSE;
    }
    self->has_target = FALSE;
    self->base_time = self->last_pts = GST_CLOCK_TIME_NONE;
    set_tap(self, sc_tap_new(GST_ELEMENT(self), &config, self->reconnect, &error));
    if (self->tap == NULL) {
        GST_ELEMENT_ERROR(self, RESOURCE, OPEN_READ, ("%s", error->message),
                          ("gst-inspect-1.0 scanoutsrc lists the locations there are"));
        return FALSE;
    }
    return TRUE;
}

static gboolean sc_scanout_src_stop(GstBaseSrc *base)
{
    ScScanoutSrc *self = SC_SCANOUT_SRC(base);
    ScTap *tap = self->tap;

    if (tap != NULL) {
        sc_tap_get_counts(tap, &self->counts);
        set_tap(self, NULL);
        sc_tap_free(tap);
    }
    return TRUE;
}

static GstStateChangeReturn sc_scanout_src_change_state(GstElement *element,
                                                        GstStateChange transition)
{
    ScScanoutSrc *self = SC_SCANOUT_SRC(element);

    /* A live source gives nothing in PAUSED: nobody is held for it. */
    if (self->tap != NULL && (transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING ||
                              transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED)) {
        sc_tap_set_active(self->tap, transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING);
    }
    return GST_ELEMENT_CLASS(sc_scanout_src_parent_class)->change_state(element, transition);
}

static gboolean sc_scanout_src_event(GstBaseSrc *base, GstEvent *event)
{
    ScScanoutSrc *self = SC_SCANOUT_SRC(base);

    if (GST_EVENT_TYPE(event) != GST_EVENT_NAVIGATION) {
        return GST_BASE_SRC_CLASS(sc_scanout_src_parent_class)->event(base, event);
    }
    GST_OBJECT_LOCK(self);
    if (self->tap != NULL) {
        sc_tap_send_navigation(self->tap, event);
    }
    GST_OBJECT_UNLOCK(self);
    return TRUE;
}

static gboolean sc_scanout_src_is_seekable(GstBaseSrc *base)
{
    return FALSE;
}

/* Properties */

static GstStructure *get_stats(ScScanoutSrc *self)
{
    ScFeedCounts counts;

    GST_OBJECT_LOCK(self);
    counts = self->counts;
    if (self->tap != NULL) {
        sc_tap_get_counts(self->tap, &counts);
    }
    GST_OBJECT_UNLOCK(self);
    return gst_structure_new("scanoutsrc-stats", "frames", G_TYPE_UINT64, counts.frames, "merged",
                             G_TYPE_UINT64, counts.merged, "copied", G_TYPE_UINT64, counts.copied,
                             "shared", G_TYPE_UINT64, counts.shared, "expired", G_TYPE_UINT64,
                             counts.expired, "copied-pixels", G_TYPE_UINT64, counts.copied_pixels,
                             NULL);
}

static void sc_scanout_src_get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    ScScanoutSrc *self = SC_SCANOUT_SRC(object);

    if (id == PROP_STATS) {
        g_value_take_boxed(value, get_stats(self));
        return;
    }
    GST_OBJECT_LOCK(self);
    switch (id) {
    case PROP_LOCATION:
        g_value_set_string(value, self->location);
        break;
    case PROP_COPY:
        g_value_set_enum(value, (int)self->copy);
        break;
    case PROP_FENCE_DEADLINE:
        g_value_set_uint(value, self->fence_deadline);
        break;
    case PROP_RECONNECT:
        g_value_set_boolean(value, self->reconnect);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
    GST_OBJECT_UNLOCK(self);
}

static void sc_scanout_src_set_property(GObject *object, guint id, const GValue *value,
                                        GParamSpec *spec)
{
    ScScanoutSrc *self = SC_SCANOUT_SRC(object);

    GST_OBJECT_LOCK(self);
    if (self->tap != NULL) {
        GST_OBJECT_UNLOCK(self);
        g_warning("scanoutsrc: property %s cannot be changed while it runs", spec->name);
        return;
    }
    switch (id) {
    case PROP_LOCATION:
        g_free(self->location);
        self->location = g_value_dup_string(value);
        break;
    case PROP_COPY:
        self->copy = (CopyMode)g_value_get_enum(value);
        break;
    case PROP_FENCE_DEADLINE:
        self->fence_deadline = g_value_get_uint(value);
        break;
    case PROP_RECONNECT:
        self->reconnect = g_value_get_boolean(value);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
    GST_OBJECT_UNLOCK(self);
}

static void sc_scanout_src_finalize(GObject *object)
{
    ScScanoutSrc *self = SC_SCANOUT_SRC(object);

    g_free(self->location);
    G_OBJECT_CLASS(sc_scanout_src_parent_class)->finalize(object);
}

static char *describe_locations(void)
{
    GString *text = g_string_new("What to show, one of:");

    for (guint i = 0; sc_source_get_help(i) != NULL; i++) {
        g_string_append_printf(text, "\n\t\t\t%s", sc_source_get_help(i));
    }
    return g_string_free(text, FALSE);
}

static void install_properties(GObjectClass *object)
{
    const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
    g_autofree char *locations = describe_locations();

    g_object_class_install_property(
        object, PROP_LOCATION,
        g_param_spec_string("location", "Location", locations, NULL,
                            G_PARAM_READWRITE | GST_PARAM_MUTABLE_READY));
    g_object_class_install_property(
        object, PROP_COPY,
        g_param_spec_enum("copy", "Copy",
                          "When to copy pictures instead of sharing the guest's "
                          "memory as dmabufs",
                          copy_mode_get_type(), COPY_AUTO, flags));
    g_object_class_install_property(
        object, PROP_FENCE_DEADLINE,
        g_param_spec_uint(
            "fence-deadline", "Fence deadline",
            "How long a guest may wait for a buffer to come back, in ms; Linux guests "
            "give up after 50 ms and draw into it",
            1, MAX_FENCE_DEADLINE, DEFAULT_FENCE_DEADLINE, flags));
    g_object_class_install_property(
        object, PROP_RECONNECT,
        g_param_spec_boolean("reconnect", "Reconnect",
                             "Wait for a guest that is not there (any more) instead of failing",
                             FALSE, flags));
    g_object_class_install_property(
        object, PROP_STATS,
        g_param_spec_boxed(
            "stats", "Statistics",
            "Counts since the start: frames of the guest; of those merged into newer "
            "ones; buffers copied, or shared with the guest; of the latter expired, "
            "which is too late for the guest; copied-pixels",
            GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

static void add_template(GstElementClass *element)
{
    GstCaps *caps = sc_gst_dmabuf_get_template_caps();

    gst_caps_append(caps, gst_caps_from_string(SYSTEM_CAPS));
    gst_element_class_add_pad_template(
        element, gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
    gst_caps_unref(caps);
}

static void sc_scanout_src_class_init(ScScanoutSrcClass *class)
{
    GObjectClass *object = G_OBJECT_CLASS(class);
    GstElementClass *element = GST_ELEMENT_CLASS(class);
    GstBaseSrcClass *base = GST_BASE_SRC_CLASS(class);

    GST_DEBUG_CATEGORY_INIT(scanout_src_debug, "scanoutsrc", 0, "scanouts of guests");
    object->get_property = sc_scanout_src_get_property;
    object->set_property = sc_scanout_src_set_property;
    object->finalize = sc_scanout_src_finalize;
    install_properties(object);

    gst_element_class_set_static_metadata(
        element, "Scanout source", "Source/Video",
        "What a virtual machine shows, as a live source. A buffer is the guest's own memory where "
        "that is a dmabuf and downstream takes it, and the guest's flush completes when the "
        "buffer's memory is released; else it is a copy. What has changed since the buffer before "
        "is told by GstVideoRegionOfInterestMeta of type \"" SC_FEED_DAMAGE "\". Buffers come when "
        "the guest draws. Navigation events become the guest's input. Element messages: "
        "\"scancast-scanout\" (visible, width, height, drm-format, modifier, dmabuf, bottom-up) "
        "and "
        "\"scancast-source\" (state, reason).",
        "Scancast");
    add_template(element);
    gst_type_mark_as_plugin_api(copy_mode_get_type(), 0);
    element->change_state = sc_scanout_src_change_state;

    base->start = sc_scanout_src_start;
    base->stop = sc_scanout_src_stop;
    base->negotiate = sc_scanout_src_negotiate;
    base->decide_allocation = sc_scanout_src_decide_allocation;
    base->unlock = sc_scanout_src_unlock;
    base->unlock_stop = sc_scanout_src_unlock_stop;
    base->event = sc_scanout_src_event;
    base->is_seekable = sc_scanout_src_is_seekable;
    GST_PUSH_SRC_CLASS(class)->create = sc_scanout_src_create;
}

static void sc_scanout_src_init(ScScanoutSrc *self)
{
    self->fence_deadline = DEFAULT_FENCE_DEADLINE;
    gst_base_src_set_live(GST_BASE_SRC(self), TRUE);
    gst_base_src_set_format(GST_BASE_SRC(self), GST_FORMAT_TIME);
}
