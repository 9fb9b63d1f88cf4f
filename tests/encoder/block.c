/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/encoder/block.h"

#include <gst/gst.h>

typedef struct {
    GstElement parent;
    GstPad *src;
} BlockElement;

typedef struct {
    GstElementClass parent;
} BlockElementClass;

static GType block_element_get_type(void);
G_DEFINE_TYPE(BlockElement, block_element, GST_TYPE_ELEMENT)

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

static GMutex mutex;
static GCond cond;
static Block blocked;
static guint n_waiting;

void block_set(Block block)
{
    g_mutex_lock(&mutex);
    blocked = block;
    g_cond_broadcast(&cond);
    g_mutex_unlock(&mutex);
}

guint block_count(void)
{
    guint n;

    g_mutex_lock(&mutex);
    n = n_waiting;
    g_mutex_unlock(&mutex);
    return n;
}

static gboolean is_set(Block block)
{
    gboolean result;

    g_mutex_lock(&mutex);
    result = blocked == block;
    g_mutex_unlock(&mutex);
    return result;
}

static void wait_while(Block what)
{
    g_mutex_lock(&mutex);
    n_waiting++;
    while (blocked == what) {
        g_cond_wait(&cond, &mutex);
    }
    n_waiting--;
    g_mutex_unlock(&mutex);
}

static GstFlowReturn block_chain(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
    GstFlowReturn result;

    wait_while(BLOCK_PICTURES);
    if (is_set(BLOCK_KEEP)) {
        result = gst_pad_push(((BlockElement *)parent)->src, gst_buffer_ref(buffer));
        wait_while(BLOCK_KEEP);
        gst_buffer_unref(buffer);
        return result;
    }
    if (is_set(BLOCK_RETIME)) {
        buffer = gst_buffer_make_writable(buffer);
        GST_BUFFER_PTS(buffer) += GST_SECOND;
    }
    return gst_pad_push(((BlockElement *)parent)->src, buffer);
}

static GstStateChangeReturn block_change_state(GstElement *element, GstStateChange change)
{
    if (change == GST_STATE_CHANGE_READY_TO_PAUSED) {
        wait_while(BLOCK_START);
    }
    return GST_ELEMENT_CLASS(block_element_parent_class)->change_state(element, change);
}

static void block_element_class_init(BlockElementClass *klass)
{
    GstElementClass *element_class = GST_ELEMENT_CLASS(klass);

    element_class->change_state = block_change_state;
    gst_element_class_add_static_pad_template(element_class, &sink_template);
    gst_element_class_add_static_pad_template(element_class, &src_template);
    gst_element_class_set_static_metadata(element_class, "Block", "Filter", "Misbehaves on command",
                                          "tests");
}

static void block_element_init(BlockElement *self)
{
    GstPad *sink = gst_pad_new_from_static_template(&sink_template, "sink");

    self->src = gst_pad_new_from_static_template(&src_template, "src");
    gst_pad_set_chain_function(sink, block_chain);
    GST_PAD_SET_PROXY_CAPS(sink);
    GST_PAD_SET_PROXY_CAPS(self->src);
    gst_element_add_pad(GST_ELEMENT(self), sink);
    gst_element_add_pad(GST_ELEMENT(self), self->src);
}

void block_register(void)
{
    g_assert_true(gst_element_register(NULL, "scblock", GST_RANK_NONE, block_element_get_type()));
}
