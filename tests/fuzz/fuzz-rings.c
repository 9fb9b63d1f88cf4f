/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The protocol, the guest's memory and the rings, with a device that gives back what it gets. */
#include "capture/vhost-user.h"
#include "tests/fuzz/machine.h"

#include <string.h>

#define CONFIG_SIZE 16
#define MAX_ECHO 65536

/* Queue 0 gives back at once; queue 1 keeps what it gets until it stops. */
typedef struct {
    ScVhostUser *vhost;
    guint8 config[CONFIG_SIZE];
    GQueue kept;
} Echo;

static void echo_get_config(guint8 *config, gpointer data)
{
    memcpy(config, ((Echo *)data)->config, CONFIG_SIZE);
}

static void echo_set_config(guint offset, const guint8 *bytes, guint size, gpointer data)
{
    memcpy(((Echo *)data)->config + offset, bytes, size);
}

static void give_back(ScVirtqueue *queue, const ScVirtqueueElement *element)
{
    gsize size = MIN(element->out_size, MAX_ECHO);
    g_autofree guint8 *bytes = g_malloc0(size + 1);

    if (!sc_virtqueue_read(queue, element, 0, bytes, size)) {
        size = 0;
    }
    sc_virtqueue_read(queue, element, size / 2, bytes, size - size / 2);
    sc_virtqueue_push(queue, element, sc_virtqueue_write(queue, element, bytes, size));
}

static gboolean echo_kicked(guint index, gpointer data)
{
    Echo *echo = data;
    ScVirtqueue *queue = sc_vhost_user_get_queue(echo->vhost, index);
    ScVirtqueueElement *element;

    while ((element = sc_virtqueue_pop(queue)) != NULL) {
        if (index == 1) {
            g_queue_push_tail(&echo->kept, element);
            continue;
        }
        give_back(queue, element);
        g_free(element);
    }
    return sc_virtqueue_wait(queue);
}

static void echo_stopping(guint index, gpointer data)
{
    Echo *echo = data;
    ScVirtqueueElement *element;

    while (index == 1 && (element = g_queue_pop_head(&echo->kept)) != NULL) {
        give_back(sc_vhost_user_get_queue(echo->vhost, index), element);
        g_free(element);
    }
}

static void echo_reset(gpointer data)
{
    memset(((Echo *)data)->config, 0, CONFIG_SIZE);
}

static void echo_linked(gboolean is_linked, const char *reason, gpointer data)
{
}

static gpointer echo_new(const char *path)
{
    static const ScVhostDevice device = {
        .n_queues = 2,
        .features = 1,
        .config_size = CONFIG_SIZE,
        .get_config = echo_get_config,
        .set_config = echo_set_config,
        .kicked = echo_kicked,
        .stopping = echo_stopping,
        .reset = echo_reset,
        .linked = echo_linked,
    };
    Echo *echo = g_new0(Echo, 1);

    echo->vhost = sc_vhost_user_new(path, &device, echo, NULL);
    g_assert_true(sc_vhost_user_listen(echo->vhost, NULL));
    return echo;
}

static void echo_free(gpointer data)
{
    Echo *echo = data;

    sc_vhost_user_free(echo->vhost);
    g_queue_clear_full(&echo->kept, g_free);
    g_free(echo);
}

static void echo_act(gpointer data, FuzzBytes *bytes)
{
    Echo *echo = data;
    guint8 what = fuzz_take_u8(bytes);

    if (what & 1) {
        sc_vhost_user_config_changed(echo->vhost);
    } else {
        sc_vhost_user_serve_soon(echo->vhost, what >> 1 & 1);
    }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static const FuzzTarget target = { 2, echo_new, echo_free, echo_act };

    return fuzz_run(&target, data, size);
}
