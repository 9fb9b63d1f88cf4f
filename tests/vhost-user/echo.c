/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/vhost-user/echo.h"

#include <string.h>
#include <unistd.h>

static void echo_get_config(guint8 *config, gpointer data)
{
    Echo *echo = data;

    memcpy(config, echo->config, ECHO_CONFIG_SIZE);
}

static void echo_set_config(guint offset, const guint8 *bytes, guint size, gpointer data)
{
    Echo *echo = data;

    memcpy(echo->config + offset, bytes, size);
}

static gboolean echo_kicked(guint index, gpointer data)
{
    Echo *echo = data;
    ScVirtqueue *queue = sc_vhost_user_get_queue(echo->vhost, index);
    ScVirtqueueElement *element;

    while ((element = sc_virtqueue_pop(queue)) != NULL) {
        g_autofree guint8 *bytes = NULL;
        gsize size = MIN(element->out_size, 1 << 20);

        if (index == 1) {
            g_queue_push_tail(&echo->kept, element);
            continue;
        }
        bytes = g_malloc0(size + 1);
        if (sc_virtqueue_read(queue, element, 0, bytes, size)) {
            for (gsize i = 0; i < size; i++) {
                bytes[i]++;
            }
        }
        sc_virtqueue_push(queue, element, sc_virtqueue_write(queue, element, bytes, size));
        g_free(element);
    }
    return sc_virtqueue_wait(queue);
}

static void echo_stopping(guint index, gpointer data)
{
    Echo *echo = data;
    ScVirtqueueElement *element;

    echo->stops++;
    while (index == 1 && (element = g_queue_pop_head(&echo->kept)) != NULL) {
        sc_virtqueue_push(sc_vhost_user_get_queue(echo->vhost, index), element, 0);
        g_free(element);
    }
}

static void echo_reset(gpointer data)
{
    Echo *echo = data;

    echo->resets++;
}

static void echo_linked(gboolean is_linked, const char *reason, gpointer data)
{
    Echo *echo = data;

    echo->linked += is_linked ? 1 : 0;
    echo->unlinked += is_linked ? 0 : 1;
}

const ScVhostDevice echo_device = {
    .n_queues = 2,
    .features = 1 << ECHO_FEATURE,
    .config_size = ECHO_CONFIG_SIZE,
    .get_config = echo_get_config,
    .set_config = echo_set_config,
    .kicked = echo_kicked,
    .stopping = echo_stopping,
    .reset = echo_reset,
    .linked = echo_linked,
};

Echo *echo_new(void)
{
    Echo *echo = g_new0(Echo, 1);
    g_autoptr(GError) error = NULL;

    echo->folder = g_dir_make_tmp("scancast-XXXXXX", NULL);
    echo->path = g_build_filename(echo->folder, "vm.sock", NULL);
    echo->vhost = sc_vhost_user_new(echo->path, &echo_device, echo, &error);
    g_assert_no_error(error);
    g_assert_true(sc_vhost_user_listen(echo->vhost, &error));
    return echo;
}

void echo_free(Echo *echo)
{
    sc_vhost_user_free(echo->vhost);
    g_queue_clear_full(&echo->kept, g_free);
    g_assert_false(g_file_test(echo->path, G_FILE_TEST_EXISTS));
    rmdir(echo->folder);
    g_free(echo->folder);
    g_free(echo->path);
    g_free(echo);
}

void echo_set_up(EchoFixture *fixture, gconstpointer features)
{
    fixture->first_fd = vmm_next_fd();
    fixture->echo = echo_new();
    fixture->vmm = vmm_new(fixture->echo->path, ECHO_SEALS);
    if (features != NULL) {
        vmm_start(fixture->vmm, *(const guint64 *)features);
    }
}

void echo_tear_down(EchoFixture *fixture, gconstpointer features)
{
    if (fixture->vmm != NULL) {
        vmm_free(fixture->vmm);
    }
    vmm_settle();
    g_assert_cmpuint(fixture->echo->linked, ==, fixture->echo->unlinked);
    echo_free(fixture->echo);
    g_assert_cmpint(vmm_next_fd(), ==, fixture->first_fd);
}

void echo_check(Vmm *vmm, gboolean indirect, guint piece, const char *text)
{
    guint size = (guint)strlen(text);
    guint64 out = vmm_alloc(vmm, size, 1), in = vmm_alloc(vmm, size, 1);
    VmmSegment segments[64];
    struct vring_used_elem used;
    guint n = 0;
    guint16 head;

    memcpy(vmm_at(vmm, out), text, size);
    for (guint at = 0; at < size; at += piece) {
        segments[n++] = (VmmSegment){ out + at, MIN(piece, size - at), FALSE };
    }
    for (guint at = 0; at < size; at += piece) {
        segments[n++] = (VmmSegment){ in + at, MIN(piece, size - at), TRUE };
    }
    head = indirect ? vmm_add_indirect(vmm, 0, segments, n) : vmm_add(vmm, 0, segments, n);
    vmm_kick(vmm, 0);
    used = vmm_wait_used(vmm, 0, 1);
    g_assert_cmpuint(used.id, ==, head);
    g_assert_cmpuint(used.len, ==, size);
    for (guint i = 0; i < size; i++) {
        g_assert_cmpint(((char *)vmm_at(vmm, in))[i], ==, text[i] + 1);
    }
}
