/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/gst-pipeline.h"

#include "capture/error.h"
#include "encoder/convert.h"
#include "encoder/gst-build.h"
#include "encoder/gst-dmabuf.h"
#include "encoder/reaper.h"
#include "encoder/sps.h"

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <string.h>

/* Time stamps are real time in steps no finer than this: some encoders reckon in ms. */
#define PTS_STEP GST_MSECOND

/* GStreamer's va plugin tells this in its own log only. */
#define IMPORT_HINT                                                                                \
    "; it may be that the driver does not import this buffer (GST_DEBUG=va*:4 shows it)"

/* What the feeder is to do. */
typedef struct {
    ScPicture *picture; /* or: */
    ScDmabuf *dmabuf;
    pixman_region32_t changes; /* of @picture */
    gboolean key;
    guint bitrate_kbit;
} Job;

struct ScPipeline {
    gatomicrefcount ref_count;
    char *name;
    GMainContext *context;

    /* The owner's. */
    ScPipelineListener listener;
    gpointer listener_data;
    gboolean closed;
    gboolean fed;       /* a picture has been given, */
    gboolean has_begun; /* and not only to warm up */

    GThread *starter; /* joined by the reaper */

    /* The feeder's, and after it the reaper's. */
    ScSkeleton skeleton;
    ScConverter *converter; /* NULL: pictures enter as they are */
    ScPicture *converted;
    GstElement *bitrate_element; /* or NULL */
    char *bitrate_property;
    guint bitrate_units, bitrate_kbit;
    gboolean takes_dmabufs;
    gboolean retimes;
    gboolean adds_bt709;
    gboolean nudges_key;
    guint nudge; /* 0 or 1: units by which the bit rate is higher than it should */
    GstClockTime first_time;

    /* Everybody's, under the mutex. */
    GMutex mutex;
    GCond cond;
    Job *job;
    gboolean stopping;
    gboolean broken;        /* the failure has been reported */
    gboolean in_flight;     /* pushed and not yet complete: */
    GstClockTime pts;       /*   its time stamp */
    GBytes *packet;         /*   NULL until it is out */
    gboolean packet_is_key; /*   */
    gboolean released;      /*   the pipeline has let go of the memory */
};

/* The memory of a picture on its way through GStreamer. */
typedef struct {
    ScPipeline *pipeline;
    ScPicture *picture; /* or: */
    ScDmabuf *dmabuf;
} Lease;

/* What is handed over to the owner. */
typedef struct {
    ScPipeline *pipeline;
    GBytes *packet; /* or: */
    gboolean is_key;
    GError *error;
} Event;

static gint n_alive; /* atomic */

static void job_free(Job *job)
{
    if (job == NULL) {
        return;
    }
    sc_picture_unref(job->picture);
    sc_dmabuf_unref(job->dmabuf);
    pixman_region32_fini(&job->changes);
    g_free(job);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Job, job_free)

static ScPipeline *pipeline_ref(ScPipeline *pipeline)
{
    g_atomic_ref_count_inc(&pipeline->ref_count);
    return pipeline;
}

static void pipeline_unref(gpointer data)
{
    ScPipeline *pipeline = data;

    if (!g_atomic_ref_count_dec(&pipeline->ref_count)) {
        return;
    }
    job_free(pipeline->job);
    g_clear_pointer(&pipeline->packet, g_bytes_unref);
    sc_converter_free(pipeline->converter);
    sc_picture_unref(pipeline->converted);
    g_main_context_unref(pipeline->context);
    g_mutex_clear(&pipeline->mutex);
    g_cond_clear(&pipeline->cond);
    g_free(pipeline->bitrate_property);
    g_free(pipeline->name);
    g_free(pipeline);
    g_atomic_int_dec_and_test(&n_alive);
}

/* Handing over */

static void event_free(gpointer data)
{
    Event *event = data;

    g_clear_pointer(&event->packet, g_bytes_unref);
    g_clear_error(&event->error);
    pipeline_unref(event->pipeline);
    g_free(event);
}

static gboolean event_dispatch(gpointer data)
{
    Event *event = data;
    ScPipeline *pipeline = event->pipeline;

    if (pipeline->closed) {
        return G_SOURCE_REMOVE;
    }
    if (event->error != NULL) {
        pipeline->listener.failed(event->error, pipeline->listener_data);
    } else {
        pipeline->listener.done(event->packet, event->is_key, pipeline->listener_data);
    }
    return G_SOURCE_REMOVE;
}

/* Above everything of the default priority, so that a packet that is there is seen before the
 * watchdog that waits for it. */
static void event_post(ScPipeline *pipeline, const Event *event)
{
    GSource *source = g_idle_source_new();
    Event *copy = g_new(Event, 1);

    *copy = *event;
    copy->pipeline = pipeline_ref(pipeline);
    g_source_set_priority(source, G_PRIORITY_HIGH);
    g_source_set_callback(source, event_dispatch, copy, event_free);
    g_source_set_static_name(source, "ScPipeline");
    g_source_attach(source, pipeline->context);
    g_source_unref(source);
}

/* Any thread. Takes @error. */
static void fail(ScPipeline *pipeline, GError *error)
{
    g_mutex_lock(&pipeline->mutex);
    if (pipeline->broken || pipeline->stopping) {
        g_error_free(error);
    } else {
        pipeline->broken = TRUE;
        event_post(pipeline, &(Event){ .error = error });
    }
    g_mutex_unlock(&pipeline->mutex);
}

static void fail_saying(ScPipeline *pipeline, const char *what)
{
    fail(pipeline, g_error_new(SC_ERROR, SC_ERROR_FAILED, "%s: %s", pipeline->name, what));
}

/* With the mutex held. */
static void settle(ScPipeline *pipeline)
{
    if (pipeline->in_flight && pipeline->packet != NULL && pipeline->released) {
        pipeline->in_flight = FALSE;
        event_post(pipeline, &(Event){ .packet = g_steal_pointer(&pipeline->packet),
                                       .is_key = pipeline->packet_is_key });
    }
}

/* GStreamer's threads */

static void lease_end(gpointer data)
{
    Lease *lease = data;
    ScPipeline *pipeline = lease->pipeline;

    sc_picture_unref(lease->picture);
    sc_dmabuf_unref(lease->dmabuf);
    g_mutex_lock(&pipeline->mutex);
    pipeline->released = TRUE;
    settle(pipeline);
    g_mutex_unlock(&pipeline->mutex);
    pipeline_unref(pipeline);
    g_free(lease);
}

/* A copy: packets live as long as the slowest viewer takes, encoders' buffers may come from a small
 * pool. */
static GBytes *copy_packet(GstBuffer *buffer, gboolean adds_bt709)
{
    gboolean is_key = !GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    g_autoptr(GBytes) packet = NULL;
    gpointer data;
    gsize size;

    gst_buffer_extract_dup(buffer, 0, gst_buffer_get_size(buffer), &data, &size);
    packet = g_bytes_new_take(data, size);
    return adds_bt709 && is_key ? sc_sps_set_bt709(packet) : g_steal_pointer(&packet);
}

/* Encoders may shift time stamps together with the segment; running time stays. */
static gboolean is_of_picture(GstSample *sample, GstClockTime pts)
{
    GstClockTime time = GST_BUFFER_PTS(gst_sample_get_buffer(sample));

    return !GST_CLOCK_TIME_IS_VALID(time) ||
           gst_segment_to_running_time(gst_sample_get_segment(sample), GST_FORMAT_TIME, time) ==
               pts;
}

static GstFlowReturn on_sample(GstAppSink *sink, gpointer data)
{
    ScPipeline *pipeline = data;
    g_autoptr(GstSample) sample = gst_app_sink_pull_sample(sink);
    GstBuffer *buffer;
    gboolean fits;

    if (sample == NULL) {
        return GST_FLOW_EOS;
    }
    buffer = gst_sample_get_buffer(sample);
    g_mutex_lock(&pipeline->mutex);
    fits = pipeline->in_flight && pipeline->packet == NULL &&
           (pipeline->retimes || is_of_picture(sample, pipeline->pts));
    if (fits) {
        pipeline->packet = copy_packet(buffer, pipeline->adds_bt709);
        pipeline->packet_is_key = !GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
        settle(pipeline);
    }
    g_mutex_unlock(&pipeline->mutex);
    if (!fits) {
        /* It may be a part of the stream, so it must not be left out either. */
        fail_saying(pipeline, "it put out a packet that belongs to no picture it was given; a "
                              "pipeline must not hold, repeat or retime pictures");
    }
    return fits ? GST_FLOW_OK : GST_FLOW_ERROR;
}

/* "Internal data stream error" alone says little; the last line of what is meant for debugging says
 * why. */
static void fail_by_message(ScPipeline *pipeline, GstMessage *message)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *debug = NULL;
    const char *detail;

    gst_message_parse_error(message, &error, &debug);
    detail = debug != NULL ? strrchr(debug, '\n') : NULL;
    fail(pipeline,
         g_error_new(SC_ERROR, SC_ERROR_FAILED, "%s: %s: %s%s%s%s%s", pipeline->name,
                     message->src != NULL ? GST_OBJECT_NAME(message->src) : "?", error->message,
                     detail != NULL ? " (" : "", detail != NULL ? detail + 1 : "",
                     detail != NULL ? ")" : "", pipeline->takes_dmabufs ? IMPORT_HINT : ""));
}

static GstBusSyncReply on_message(GstBus *bus, GstMessage *message, gpointer data)
{
    ScPipeline *pipeline = data;

    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
        fail_by_message(pipeline, message);
    } else if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS) {
        fail_saying(pipeline, "it ended the stream");
    }
    gst_message_unref(message);
    return GST_BUS_DROP;
}

/* The feeder: the thread in which appsrc runs what follows it */

static GstBuffer *wrap_dmabuf(ScPipeline *pipeline, ScDmabuf *dmabuf)
{
    Lease *lease = g_new0(Lease, 1);

    lease->pipeline = pipeline_ref(pipeline);
    lease->dmabuf = sc_dmabuf_ref(dmabuf);
    return sc_gst_dmabuf_wrap(dmabuf, FALSE, lease_end, lease);
}

static GstBuffer *wrap_picture(ScPipeline *pipeline, ScPicture *picture)
{
    Lease *lease = g_new0(Lease, 1);

    lease->pipeline = pipeline_ref(pipeline);
    lease->picture = sc_picture_ref(picture);
    return gst_buffer_new_wrapped_full(GST_MEMORY_FLAG_READONLY, picture->data, picture->info.size,
                                       0, picture->info.size, lease, lease_end);
}

static GstClockTime next_pts(ScPipeline *pipeline)
{
    GstClockTime now = (GstClockTime)g_get_monotonic_time() * GST_USECOND;

    if (!GST_CLOCK_TIME_IS_VALID(pipeline->first_time)) {
        pipeline->first_time = now;
        return 0;
    }
    return MAX(now - pipeline->first_time, pipeline->pts + PTS_STEP);
}

static void set_bitrate(ScPipeline *pipeline, guint kbit, gboolean key)
{
    guint nudge = pipeline->nudge;

    if (key && pipeline->nudges_key && pipeline->bitrate_kbit == kbit) {
        nudge = !nudge;
    }
    if (pipeline->bitrate_element != NULL &&
        (pipeline->bitrate_kbit != kbit || pipeline->nudge != nudge)) {
        pipeline->bitrate_kbit = kbit;
        pipeline->nudge = nudge;
        g_object_set(pipeline->bitrate_element, pipeline->bitrate_property,
                     kbit * pipeline->bitrate_units + nudge, NULL);
    }
}

/* Takes what @job shows: the shadow is needed no longer than it takes to convert it. */
static GstBuffer *take_buffer(ScPipeline *pipeline, Job *job)
{
    if (job->dmabuf != NULL) {
        return wrap_dmabuf(pipeline, job->dmabuf);
    }
    if (pipeline->converter == NULL) {
        return wrap_picture(pipeline, job->picture);
    }
    sc_converter_run(pipeline->converter, job->picture, &job->changes, pipeline->converted);
    g_clear_pointer(&job->picture, sc_picture_unref);
    return wrap_picture(pipeline, pipeline->converted);
}

/* Takes @job. */
static void run_job(ScPipeline *pipeline, Job *job)
{
    gboolean key = job->key;
    GstBuffer *buffer;
    GstClockTime pts = next_pts(pipeline);

    set_bitrate(pipeline, job->bitrate_kbit, key);
    buffer = take_buffer(pipeline, job);
    job_free(job);
    GST_BUFFER_PTS(buffer) = pts;

    g_mutex_lock(&pipeline->mutex);
    pipeline->pts = pts;
    pipeline->released = FALSE;
    pipeline->in_flight = TRUE;
    g_mutex_unlock(&pipeline->mutex);
    if (key) {
        gst_element_send_event(pipeline->skeleton.sink, gst_video_event_new_upstream_force_key_unit(
                                                            GST_CLOCK_TIME_NONE, TRUE, 0));
    }
    if (gst_app_src_push_buffer(GST_APP_SRC(pipeline->skeleton.source), buffer) != GST_FLOW_OK) {
        fail_saying(pipeline, "it takes no pictures");
    }
}

static Job *wait_for_job(ScPipeline *pipeline)
{
    Job *job;

    g_mutex_lock(&pipeline->mutex);
    while (pipeline->job == NULL && !pipeline->stopping) {
        g_cond_wait(&pipeline->cond, &pipeline->mutex);
    }
    job = pipeline->stopping ? NULL : g_steal_pointer(&pipeline->job);
    g_mutex_unlock(&pipeline->mutex);
    return job;
}

/* Waits here, not in a thread of ours: each hand-over to another one takes time in which a guest
 * may be held. */
static void on_need_data(GstAppSrc *source, guint size, gpointer data)
{
    ScPipeline *pipeline = data;
    Job *job = wait_for_job(pipeline);

    if (job != NULL) {
        run_job(pipeline, job);
    }
}

/* Starting and ending, which may hang */

static gpointer start(gpointer data)
{
    ScPipeline *pipeline = data;

    if (gst_element_set_state(pipeline->skeleton.pipeline, GST_STATE_PLAYING) ==
        GST_STATE_CHANGE_FAILURE) {
        fail_saying(pipeline, "it cannot be started");
    }
    return NULL;
}

static void reap(gpointer data)
{
    ScPipeline *pipeline = data;

    g_thread_join(pipeline->starter);
    gst_element_set_state(pipeline->skeleton.pipeline, GST_STATE_NULL);
    gst_clear_object(&pipeline->bitrate_element);
    sc_skeleton_clear(&pipeline->skeleton);
    pipeline_unref(pipeline);
}

/* The owner */

gboolean sc_pipeline_check(const char *fragment, const char *output_caps, GError **error)
{
    ScSkeleton skeleton;

    if (!sc_skeleton_build(&skeleton, fragment, output_caps, error)) {
        return FALSE;
    }
    sc_skeleton_clear(&skeleton);
    return TRUE;
}

static gboolean prepare_conversion(ScPipeline *pipeline, const ScPipelineConfig *config,
                                   GError **error)
{
    if (config->dmabuf_caps != NULL || gst_video_info_is_equal(&config->input, &config->format)) {
        return TRUE;
    }
    pipeline->converter = sc_converter_new(&config->input, &config->format, error);
    pipeline->converted = sc_picture_new(&config->format, error);
    return pipeline->converter != NULL && pipeline->converted != NULL;
}

static void connect_elements(ScPipeline *pipeline, const ScPipelineConfig *config)
{
    static const GstAppSrcCallbacks source_callbacks = { .need_data = on_need_data };
    static const GstAppSinkCallbacks sink_callbacks = { .new_sample = on_sample };
    ScSkeleton *skeleton = &pipeline->skeleton;
    g_autoptr(GstCaps) caps = config->dmabuf_caps != NULL
                                  ? gst_caps_copy(config->dmabuf_caps)
                                  : gst_video_info_to_caps((GstVideoInfo *)&config->format);
    g_autoptr(GstBus) bus = gst_element_get_bus(skeleton->pipeline);

    gst_app_src_set_caps(GST_APP_SRC(skeleton->source), caps);
    /* These references make circles that end when the reaper lets go of the elements. */
    gst_app_src_set_callbacks(GST_APP_SRC(skeleton->source),
                              (GstAppSrcCallbacks *)&source_callbacks, pipeline_ref(pipeline),
                              pipeline_unref);
    gst_app_sink_set_callbacks(GST_APP_SINK(skeleton->sink), (GstAppSinkCallbacks *)&sink_callbacks,
                               pipeline_ref(pipeline), pipeline_unref);
    gst_bus_set_sync_handler(bus, on_message, pipeline_ref(pipeline), pipeline_unref);
    if (config->bitrate_element != NULL) {
        pipeline->bitrate_element =
            gst_bin_get_by_name(GST_BIN(skeleton->pipeline), config->bitrate_element);
        pipeline->bitrate_property = g_strdup(config->bitrate_property);
        pipeline->bitrate_units = config->bitrate_units;
        pipeline->nudges_key = config->nudges_key;
        set_bitrate(pipeline, config->bitrate_kbit, FALSE);
    }
}

ScPipeline *sc_pipeline_new(const char *name, const ScPipelineConfig *config,
                            const ScPipelineListener *listener, gpointer data, GError **error)
{
    ScPipeline *pipeline = g_new0(ScPipeline, 1);

    g_atomic_int_inc(&n_alive);
    g_atomic_ref_count_init(&pipeline->ref_count);
    g_mutex_init(&pipeline->mutex);
    g_cond_init(&pipeline->cond);
    pipeline->context = g_main_context_ref_thread_default();
    pipeline->name = g_strdup(name);
    pipeline->takes_dmabufs = config->dmabuf_caps != NULL;
    pipeline->retimes = config->retimes;
    pipeline->adds_bt709 = config->adds_bt709;
    pipeline->listener = *listener;
    pipeline->listener_data = data;
    pipeline->first_time = GST_CLOCK_TIME_NONE;
    if (!prepare_conversion(pipeline, config, error) ||
        !sc_skeleton_build(&pipeline->skeleton, config->fragment, config->output_caps, error)) {
        pipeline_unref(pipeline);
        return NULL;
    }
    connect_elements(pipeline, config);
    pipeline->starter = g_thread_new("sc-starter", start, pipeline);
    return pipeline;
}

void sc_pipeline_close(ScPipeline *pipeline)
{
    if (pipeline == NULL) {
        return;
    }
    pipeline->closed = TRUE;
    g_mutex_lock(&pipeline->mutex);
    pipeline->stopping = TRUE;
    g_cond_signal(&pipeline->cond);
    g_mutex_unlock(&pipeline->mutex);
    sc_reaper_run(pipeline->name, reap, pipeline);
}

void sc_pipeline_hand_over(ScPipeline *pipeline, const ScPipelineListener *listener, gpointer data)
{
    pipeline->has_begun = FALSE;
    pipeline->listener = *listener;
    pipeline->listener_data = data;
}

/* Of @picture and @dmabuf one is NULL. @changes NULL: everything. */
static void post(ScPipeline *pipeline, ScPicture *picture, const pixman_region32_t *changes,
                 ScDmabuf *dmabuf, gboolean key, guint bitrate_kbit)
{
    Job *job = g_new0(Job, 1);

    /* An encoder needs no request for its first picture, and might take one for the second. */
    job->key = key && pipeline->fed;
    job->bitrate_kbit = bitrate_kbit;
    job->dmabuf = dmabuf != NULL ? sc_dmabuf_ref(dmabuf) : NULL;
    job->picture = picture != NULL ? sc_picture_ref(picture) : NULL;
    pixman_region32_init(&job->changes);
    if (changes != NULL) {
        pixman_region32_copy(&job->changes, (pixman_region32_t *)changes);
    } else if (picture != NULL) {
        pixman_region32_union_rect(&job->changes, &job->changes, 0, 0, (guint)picture->info.width,
                                   (guint)picture->info.height);
    }
    pipeline->fed = TRUE;

    g_mutex_lock(&pipeline->mutex);
    g_assert(pipeline->job == NULL && !pipeline->in_flight);
    pipeline->job = job;
    g_cond_signal(&pipeline->cond);
    g_mutex_unlock(&pipeline->mutex);
}

void sc_pipeline_warm_up(ScPipeline *pipeline, ScPicture *picture, ScDmabuf *dmabuf,
                         guint bitrate_kbit)
{
    post(pipeline, picture, NULL, dmabuf, FALSE, bitrate_kbit);
}

/* TRUE if the picture that is about to be given is the first one. */
static gboolean begin(ScPipeline *pipeline)
{
    gboolean is_first = !pipeline->has_begun;

    pipeline->has_begun = TRUE;
    return is_first;
}

void sc_pipeline_encode(ScPipeline *pipeline, ScPicture *picture, const pixman_region32_t *changes,
                        gboolean key, guint bitrate_kbit)
{
    gboolean is_first = begin(pipeline);

    post(pipeline, picture, is_first ? NULL : changes, NULL, key || is_first, bitrate_kbit);
}

void sc_pipeline_encode_dmabuf(ScPipeline *pipeline, ScDmabuf *dmabuf, gboolean key,
                               guint bitrate_kbit)
{
    gboolean is_first = begin(pipeline);

    post(pipeline, NULL, NULL, dmabuf, key || is_first, bitrate_kbit);
}

guint sc_pipeline_count_alive(void)
{
    return (guint)g_atomic_int_get(&n_alive);
}
