/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gst/spice-sink.h"

#include "capture/error.h"
#include "gst/coded.h"
#include "gst/owner.h"
#include "gst/picture-source.h"
#include "gst/show.h"

#include <string.h>

GST_DEBUG_CATEGORY_STATIC(spice_sink_debug);
#define GST_CAT_DEFAULT spice_sink_debug

/* As the daemon's (server/options.c). */
#define DEFAULT_LISTEN "127.0.0.1:5930"
#define DEFAULT_BITRATE 8000
#define MAX_BITRATE 2000000
#define DEFAULT_MAX_FPS 60
#define MAX_MAX_FPS 1000
#define DEFAULT_MAX_VIEWERS 16
#define MAX_MAX_VIEWERS 1000

/* Properties that are strings: these first, in the order of string_properties. */
enum {
    STRING_LISTEN,
    STRING_TLS_LISTEN,
    STRING_TLS_CERT,
    STRING_TLS_KEY,
    STRING_TLS_CA,
    STRING_PASSWORD,
    STRING_TITLE,
    STRING_ENCODER,
    STRING_RENDER_NODE,
    N_STRINGS,
};

static const struct {
    const char *name, *nick, *blurb, *initial;
    gboolean is_secret;
} string_properties[N_STRINGS] = {
    [STRING_LISTEN] = { .name = "listen",
                        .nick = "Listen",
                        .blurb = "Where viewers connect: [ADDR:]PORT or unix:PATH; port 0: any; "
                                 "null: nowhere, if there is tls-listen",
                        .initial = DEFAULT_LISTEN },
    [STRING_TLS_LISTEN] = { .name = "tls-listen",
                            .nick = "Listen for TLS",
                            .blurb =
                                "Where viewers connect with TLS: [ADDR:]PORT; needs tls-cert" },
    [STRING_TLS_CERT] = { .name = "tls-cert",
                          .nick = "TLS certificate",
                          .blurb = "File with the certificate for TLS (PEM)" },
    [STRING_TLS_KEY] = { .name = "tls-key",
                         .nick = "TLS key",
                         .blurb = "File with its private key (PEM); null: that of tls-cert" },
    [STRING_TLS_CA] = { .name = "tls-ca",
                        .nick = "TLS authority",
                        .blurb = "File with who has issued it (PEM), for clients" },
    [STRING_PASSWORD] = { .name = "password",
                          .nick = "Password",
                          .blurb = "What viewers must know, 1 to 60 bytes; null: everybody may "
                                   "watch",
                          .is_secret = TRUE },
    [STRING_TITLE] = { .name = "title",
                       .nick = "Title",
                       .blurb = "The name that viewers show",
                       .initial = "scancast" },
    [STRING_ENCODER] = { .name = "encoder",
                         .nick = "Encoder",
                         .blurb = "For raw video: auto, va, software, or elements in the notation "
                                  "of gst-launch that take raw video and yield H.264",
                         .initial = "auto" },
    [STRING_RENDER_NODE] = { .name = "render-node",
                             .nick = "Render node",
                             .blurb = "For raw video: the GPU to use, e.g. /dev/dri/renderD128; "
                                      "null: the one that does best" },
};

enum {
    PROP_FIRST_STRING = 1,
    PROP_MAX_VIEWERS = PROP_FIRST_STRING + N_STRINGS,
    PROP_BITRATE,
    PROP_MAX_FPS,
    PROP_ADDRESS,
    PROP_TLS_ADDRESS,
    PROP_VIEWERS,
    PROP_STATS,
    N_PROPS,
};

enum {
    SIGNAL_VIEWER_JOINED,
    SIGNAL_VIEWER_LEFT,
    N_SIGNALS,
};

static GParamSpec *properties[N_PROPS];
static guint signals[N_SIGNALS];

struct _ScSpiceSink {
    GstBaseSink parent;

    /* Properties; they change while stopped only. */
    char *strings[N_STRINGS];
    guint max_viewers, bitrate, max_fps;

    ScShow *show;         /* the owner thread's; NULL while stopped */
    gboolean is_raw;      /* the streaming thread's */
    GThreadPool *reports; /* of Report, one thread; NULL while stopped */

    /* Under the object lock. */
    gboolean is_started;
    char *address, *tls_address; /* NULL while stopped */
    guint n_viewers;
    ScAudienceCounts counts;
};

G_DEFINE_TYPE(ScSpiceSink, sc_spice_sink, GST_TYPE_BASE_SINK)

/* What a viewer did, for upstream or for the application. */
typedef struct {
    GstEvent *event; /* or: */
    guint signal;
    guint64 id;
    char *peer;
} Report;

/* What a function that runs on the owner thread is given and gives back. */
typedef struct {
    ScSpiceSink *self;
    GstBuffer *buffer;
    ScCodec codec;
    const GstVideoInfo *info; /* NULL: coded */
    guint width, height;
    GError *error;
} Call;

/* The show's listener, on the owner thread */

static void on_event(GstEvent *event, gpointer data)
{
    ScSpiceSink *self = data;
    Report *report = g_new0(Report, 1);

    report->event = event;
    g_thread_pool_push(self->reports, report, NULL);
}

static void update_counts(ScSpiceSink *self)
{
    ScAudienceCounts counts;

    sc_show_get_counts(self->show, &counts);
    GST_OBJECT_LOCK(self);
    self->counts = counts;
    GST_OBJECT_UNLOCK(self);
}

static void on_viewer(const ScViewerStats *viewer, gboolean joined, gpointer data)
{
    ScSpiceSink *self = data;
    Report *report = g_new0(Report, 1);

    GST_OBJECT_LOCK(self);
    self->n_viewers += joined ? 1 : -1;
    GST_OBJECT_UNLOCK(self);
    report->signal = signals[joined ? SIGNAL_VIEWER_JOINED : SIGNAL_VIEWER_LEFT];
    report->id = viewer->id;
    report->peer = g_strdup(viewer->peer);
    g_thread_pool_push(self->reports, report, NULL);
}

/* On the thread of the pool. */
static void deliver(gpointer item, gpointer data)
{
    ScSpiceSink *self = data;
    Report *report = item;

    if (report->event != NULL) {
        gst_pad_push_event(GST_BASE_SINK_PAD(self), report->event);
    } else {
        g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_VIEWERS]);
        g_signal_emit(self, report->signal, 0, report->id, report->peer);
    }
    g_free(report->peer);
    g_free(report);
}

/* On the owner thread, for others */

static void call_start(gpointer data)
{
    static const ScShowListener listener = {
        .event = on_event,
        .viewer = on_viewer,
    };
    Call *call = data;
    ScSpiceSink *self = call->self;
    char **strings = self->strings;
    ScShowConfig config = {
        .audience = {
            .name = strings[STRING_TITLE],
            .listen = strings[STRING_LISTEN],
            .tls_listen = strings[STRING_TLS_LISTEN],
            .tls_cert = strings[STRING_TLS_CERT],
            .tls_key = strings[STRING_TLS_KEY] != NULL ? strings[STRING_TLS_KEY]
                                                       : strings[STRING_TLS_CERT],
            .tls_ca = strings[STRING_TLS_CA],
            .password = strings[STRING_PASSWORD],
            .max_viewers = self->max_viewers,
        },
        .encoder = {
            .kind = sc_encoder_kind_from_string(strings[STRING_ENCODER]),
            .description = strings[STRING_ENCODER],
            .render_node = strings[STRING_RENDER_NODE],
            .bitrate_kbit = self->bitrate,
            .max_fps = self->max_fps,
        },
    };

    self->show = sc_show_new(&config, &listener, self, &call->error);
    if (self->show != NULL) {
        GST_OBJECT_LOCK(self);
        self->address = g_strdup(sc_show_get_address(self->show));
        self->tls_address = g_strdup(sc_show_get_tls_address(self->show));
        GST_OBJECT_UNLOCK(self);
    }
}

static void call_stop(gpointer data)
{
    ScSpiceSink *self = ((Call *)data)->self;

    update_counts(self);
    g_clear_pointer(&self->show, sc_show_free);
}

static void call_set_format(gpointer data)
{
    Call *call = data;

    if (call->info != NULL) {
        sc_show_set_raw(call->self->show, call->info, &call->error);
    } else {
        sc_show_set_coded(call->self->show, call->codec, call->width, call->height);
    }
}

static void call_send(gpointer data)
{
    Call *call = data;

    if (call->self->is_raw) {
        sc_show_send_picture(call->self->show, call->buffer, &call->error);
    } else {
        sc_show_send_packet(call->self->show, call->buffer);
    }
    update_counts(call->self);
}

/* Streaming */

static gboolean sc_spice_sink_set_caps(GstBaseSink *base, GstCaps *caps)
{
    ScSpiceSink *self = SC_SPICE_SINK(base);
    const GstStructure *structure = gst_caps_get_structure(caps, 0);
    Call call = { .self = self };
    g_autoptr(GError) error = NULL;
    GstVideoInfo info;

    self->is_raw = gst_structure_has_name(structure, "video/x-raw");
    if (self->is_raw && gst_video_info_from_caps(&info, caps)) {
        call.info = &info;
    } else if (self->is_raw || !sc_coded_parse(structure, &call.codec, &call.width, &call.height)) {
        GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                          ("The video's caps do not tell its size; put a parser (h264parse, "
                           "jpegparse, ...) in front of spicesink."),
                          ("%" GST_PTR_FORMAT, caps));
        return FALSE;
    }
    sc_owner_call(call_set_format, &call);
    error = call.error;
    if (error != NULL) {
        GST_ELEMENT_ERROR(self, STREAM, ENCODE, ("The video cannot be encoded: %s", error->message),
                          ("the property encoder tells how to"));
        return FALSE;
    }
    return TRUE;
}

static GstFlowReturn sc_spice_sink_render(GstBaseSink *base, GstBuffer *buffer)
{
    ScSpiceSink *self = SC_SPICE_SINK(base);
    Call call = { .self = self, .buffer = buffer };
    g_autoptr(GError) error = NULL;

    sc_owner_call(call_send, &call);
    error = call.error;
    if (error != NULL) {
        GST_ELEMENT_ERROR(self, STREAM, ENCODE, ("A picture cannot be read: %s", error->message),
                          (NULL));
        return GST_FLOW_ERROR;
    }
    return GST_FLOW_OK;
}

static gboolean sc_spice_sink_propose_allocation(GstBaseSink *base, GstQuery *query)
{
    gst_query_add_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL);
    return TRUE;
}

/* States */

static void set_started(ScSpiceSink *self, gboolean started)
{
    GST_OBJECT_LOCK(self);
    self->is_started = started;
    if (!started) {
        g_clear_pointer(&self->address, g_free);
        g_clear_pointer(&self->tls_address, g_free);
    }
    GST_OBJECT_UNLOCK(self);
    g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_ADDRESS]);
    g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_TLS_ADDRESS]);
}

static void end(ScSpiceSink *self)
{
    sc_owner_release();
    g_thread_pool_free(g_steal_pointer(&self->reports), FALSE, TRUE);
    set_started(self, FALSE);
}

static gboolean sc_spice_sink_start(GstBaseSink *base)
{
    ScSpiceSink *self = SC_SPICE_SINK(base);
    Call call = { .self = self };
    g_autoptr(GError) error = NULL;

    if (self->strings[STRING_LISTEN] == NULL && self->strings[STRING_TLS_LISTEN] == NULL) {
        GST_ELEMENT_ERROR(self, RESOURCE, SETTINGS, ("There is nowhere to listen."),
                          ("set listen or tls-listen"));
        return FALSE;
    }
    if (self->strings[STRING_TLS_LISTEN] != NULL && self->strings[STRING_TLS_CERT] == NULL) {
        GST_ELEMENT_ERROR(self, RESOURCE, SETTINGS, ("tls-listen needs a certificate."),
                          ("set tls-cert"));
        return FALSE;
    }
    self->n_viewers = 0;
    self->reports = g_thread_pool_new(deliver, self, 1, FALSE, NULL);
    sc_owner_hold();
    sc_owner_call(call_start, &call);
    error = call.error;
    if (self->show != NULL) {
        set_started(self, TRUE);
        return TRUE;
    }
    end(self);
    if (g_error_matches(error, SC_ERROR, SC_ERROR_INVALID)) {
        GST_ELEMENT_ERROR(self, RESOURCE, SETTINGS, ("%s", error->message),
                          ("listen=[ADDR:]PORT or listen=unix:PATH"));
    } else {
        GST_ELEMENT_ERROR(self, RESOURCE, OPEN_READ_WRITE, ("%s", error->message),
                          ("listen=127.0.0.1:0 takes any port that is free; the property address "
                           "tells which"));
    }
    return FALSE;
}

static gboolean sc_spice_sink_stop(GstBaseSink *base)
{
    Call call = { .self = SC_SPICE_SINK(base) };

    sc_owner_call(call_stop, &call);
    end(call.self);
    return TRUE;
}

/* Properties */

static GstStructure *get_stats(ScSpiceSink *self)
{
    ScAudienceCounts counts;

    GST_OBJECT_LOCK(self);
    counts = self->counts;
    GST_OBJECT_UNLOCK(self);
    return gst_structure_new("spicesink-stats", "sent", G_TYPE_UINT64, counts.sent, "dropped",
                             G_TYPE_UINT64, counts.dropped, "joined", G_TYPE_UINT64, counts.joined,
                             NULL);
}

static void sc_spice_sink_get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    ScSpiceSink *self = SC_SPICE_SINK(object);

    GST_OBJECT_LOCK(self);
    switch (id) {
    case PROP_MAX_VIEWERS:
        g_value_set_uint(value, self->max_viewers);
        break;
    case PROP_BITRATE:
        g_value_set_uint(value, self->bitrate);
        break;
    case PROP_MAX_FPS:
        g_value_set_uint(value, self->max_fps);
        break;
    case PROP_ADDRESS:
        g_value_set_string(value, self->address);
        break;
    case PROP_TLS_ADDRESS:
        g_value_set_string(value, self->tls_address);
        break;
    case PROP_VIEWERS:
        g_value_set_uint(value, self->n_viewers);
        break;
    case PROP_STATS:
        GST_OBJECT_UNLOCK(self);
        g_value_take_boxed(value, get_stats(self));
        return;
    default:
        g_value_set_string(value, self->strings[id - PROP_FIRST_STRING]);
    }
    GST_OBJECT_UNLOCK(self);
}

/* Empty is as good as NULL. */
static void set_string(ScSpiceSink *self, guint index, const char *text)
{
    if (text == NULL || text[0] == '\0') {
        text = index == STRING_LISTEN ? NULL : string_properties[index].initial;
    }
    g_free(self->strings[index]);
    self->strings[index] = g_strdup(text);
}

static void sc_spice_sink_set_property(GObject *object, guint id, const GValue *value,
                                       GParamSpec *spec)
{
    ScSpiceSink *self = SC_SPICE_SINK(object);

    GST_OBJECT_LOCK(self);
    if (self->is_started) {
        GST_OBJECT_UNLOCK(self);
        g_warning("spicesink: property %s cannot be changed while it runs", spec->name);
        return;
    }
    switch (id) {
    case PROP_MAX_VIEWERS:
        self->max_viewers = g_value_get_uint(value);
        break;
    case PROP_BITRATE:
        self->bitrate = g_value_get_uint(value);
        break;
    case PROP_MAX_FPS:
        self->max_fps = g_value_get_uint(value);
        break;
    default:
        set_string(self, id - PROP_FIRST_STRING, g_value_get_string(value));
    }
    GST_OBJECT_UNLOCK(self);
}

static void sc_spice_sink_finalize(GObject *object)
{
    ScSpiceSink *self = SC_SPICE_SINK(object);

    for (gsize i = 0; i < N_STRINGS; i++) {
        g_free(self->strings[i]);
    }
    G_OBJECT_CLASS(sc_spice_sink_parent_class)->finalize(object);
}

static void make_properties(void)
{
    const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;
    const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

    for (guint i = 0; i < N_STRINGS; i++) {
        properties[PROP_FIRST_STRING + i] = g_param_spec_string(
            string_properties[i].name, string_properties[i].nick, string_properties[i].blurb,
            string_properties[i].initial,
            string_properties[i].is_secret ? G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS : flags);
    }
    properties[PROP_MAX_VIEWERS] = g_param_spec_uint(
        "max-viewers", "Viewers at most",
        "How many may watch at once; with 1 a new one takes the place of the one before", 1,
        MAX_MAX_VIEWERS, DEFAULT_MAX_VIEWERS, flags);
    properties[PROP_BITRATE] =
        g_param_spec_uint("bitrate", "Bit rate", "For raw video: kbit/s at most", 1, MAX_BITRATE,
                          DEFAULT_BITRATE, flags);
    properties[PROP_MAX_FPS] = g_param_spec_uint("max-fps", "Frames per second",
                                                 "For raw video: pictures per second at "
                                                 "most",
                                                 1, MAX_MAX_FPS, DEFAULT_MAX_FPS, flags);
    properties[PROP_ADDRESS] = g_param_spec_string(
        "address", "Address", "Where it listens, with the port the system chose; none: it does not",
        NULL, readable);
    properties[PROP_TLS_ADDRESS] =
        g_param_spec_string("tls-address", "TLS address", "The same for TLS", NULL, readable);
    properties[PROP_VIEWERS] =
        g_param_spec_uint("viewers", "Viewers", "How many watch now", 0, G_MAXUINT, 0, readable);
    properties[PROP_STATS] = g_param_spec_boxed("stats", "Statistics",
                                                "Counts since the start: packets sent to viewers; "
                                                "packets dropped, which viewers had no room "
                                                "for; viewers that joined",
                                                GST_TYPE_STRUCTURE, readable);
}

static void make_signals(GType type)
{
    /**
     * ScSpiceSink::viewer-joined:
     * @id: counts up
     * @peer: its address
     *
     * Emitted from a thread of the element's own.
     */
    signals[SIGNAL_VIEWER_JOINED] =
        g_signal_new("viewer-joined", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 2,
                     G_TYPE_UINT64, G_TYPE_STRING);

    /**
     * ScSpiceSink::viewer-left:
     * @id: as in viewer-joined
     * @peer: its address
     *
     * Emitted from a thread of the element's own.
     */
    signals[SIGNAL_VIEWER_LEFT] =
        g_signal_new("viewer-left", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 2,
                     G_TYPE_UINT64, G_TYPE_STRING);
}

static void add_template(GstElementClass *element)
{
    GstCaps *caps = sc_coded_get_caps();

    gst_caps_append(caps, sc_picture_source_get_caps());
    gst_element_class_add_pad_template(
        element, gst_pad_template_new("sink", GST_PAD_SINK, GST_PAD_ALWAYS, caps));
    gst_caps_unref(caps);
}

static void sc_spice_sink_class_init(ScSpiceSinkClass *class)
{
    GObjectClass *object = G_OBJECT_CLASS(class);
    GstElementClass *element = GST_ELEMENT_CLASS(class);
    GstBaseSinkClass *base = GST_BASE_SINK_CLASS(class);

    GST_DEBUG_CATEGORY_INIT(spice_sink_debug, "spicesink", 0, "video for SPICE clients");
    object->get_property = sc_spice_sink_get_property;
    object->set_property = sc_spice_sink_set_property;
    object->finalize = sc_spice_sink_finalize;
    make_properties();
    g_object_class_install_properties(object, N_PROPS, properties);
    make_signals(G_TYPE_FROM_CLASS(class));

    gst_element_class_set_static_metadata(
        element, "SPICE sink", "Sink/Video/Network",
        "Shows video to SPICE clients (remote-viewer and others). Coded video is sent as it is; "
        "clients that cannot decode it are turned away. Raw video is encoded for those who watch, "
        "as the daemon scancast does. It listens from state READY on, and properties change in "
        "NULL "
        "only. A viewer that joins, or has lost something, asks upstream "
        "for a key frame (GstForceKeyUnit); what viewers do with keyboard and pointer goes "
        "upstream as navigation events, with the field \"scancode\" (PC AT set 1) besides \"key\".",
        "Scancast");
    add_template(element);

    base->start = sc_spice_sink_start;
    base->stop = sc_spice_sink_stop;
    base->set_caps = sc_spice_sink_set_caps;
    base->render = sc_spice_sink_render;
    base->propose_allocation = sc_spice_sink_propose_allocation;
}

static void sc_spice_sink_init(ScSpiceSink *self)
{
    for (gsize i = 0; i < N_STRINGS; i++) {
        self->strings[i] = g_strdup(string_properties[i].initial);
    }
    self->bitrate = DEFAULT_BITRATE;
    self->max_fps = DEFAULT_MAX_FPS;
    self->max_viewers = DEFAULT_MAX_VIEWERS;
    gst_base_sink_set_last_sample_enabled(GST_BASE_SINK(self), FALSE);
    /* What is late is shown late. Time for it would delay every picture, and live sources, which
     * hold none back, would be found too short of buffers. */
    gst_base_sink_set_processing_deadline(GST_BASE_SINK(self), 0);
}
