/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The SPICE link in a main context of its own, on a thread of its own, as inside a program that
 * is not ours: everything of it happens there, while the default context is run elsewhere.
 */
#include "capture/source.h"
#include "tests/fence/child.h"

#include <glib/gstdio.h>

#define N_FLIPS 50

typedef struct {
    char *dir, *path;
    GMainContext *context;
    GThread *thread;
    gint stopping;
    ScSource *source;

    gint connections, frames;
} Owner;

static void on_state(ScSourceState state, const char *reason, gpointer data)
{
    Owner *owner = data;

    g_assert_true(g_thread_self() == owner->thread);
    if (state == SC_SOURCE_CONNECTED) {
        g_atomic_int_inc(&owner->connections);
    }
}

static void on_scanout(ScScanout *scanout, gpointer data)
{
    g_assert_true(g_thread_self() == ((Owner *)data)->thread);
}

static void on_frame(ScFrame *frame, gpointer data)
{
    Owner *owner = data;

    g_assert_true(g_thread_self() == owner->thread);
    if (sc_frame_is_awaited(frame)) {
        g_atomic_int_inc(&owner->frames);
    }
}

static gpointer run_owner(gpointer data)
{
    static const ScSourceListener listener = {
        .state = on_state,
        .scanout = on_scanout,
        .frame = on_frame,
    };
    Owner *owner = data;
    g_autofree char *location = g_strdup_printf("spice+unix:%s", owner->path);
    g_autoptr(GError) error = NULL;

    g_main_context_push_thread_default(owner->context);
    owner->source = sc_source_new(location, &listener, owner, &error);
    g_assert_no_error(error);
    g_assert_true(sc_source_start(owner->source, &error));
    while (!g_atomic_int_get(&owner->stopping)) {
        g_main_context_iteration(owner->context, TRUE);
    }
    sc_source_free(owner->source);
    /* spice-gtk takes a session apart in idle calls. */
    for (int i = 0; i < 1000 && g_main_context_iteration(owner->context, FALSE); i++) {
    }
    g_main_context_pop_thread_default(owner->context);
    return NULL;
}

static void owner_start(Owner *owner)
{
    g_atomic_int_set(&owner->stopping, FALSE);
    g_atomic_int_set(&owner->connections, 0);
    g_atomic_int_set(&owner->frames, 0);
    owner->context = g_main_context_new();
    owner->thread = g_thread_new("owner", run_owner, owner);
}

static void owner_stop(Owner *owner)
{
    g_atomic_int_set(&owner->stopping, TRUE);
    g_main_context_wakeup(owner->context);
    g_thread_join(owner->thread);
    g_main_context_unref(owner->context);
    g_assert_cmpuint(sc_frame_count_alive(), ==, 0);
}

static void test_own_context(void)
{
    Owner owner = { .dir = g_dir_make_tmp("scancast-XXXXXX", NULL) };
    Child *host;

    owner.path = g_build_filename(owner.dir, "spice.sock", NULL);
    host = child_new("gl-host", owner.path, NULL);
    g_free(child_expect(host, "ok ready"));
    child_ask(host, "buffers 2 640x480");
    for (int round = 0; round < 3; round++) { /* each time another thread and context */
        g_autofree char *down = NULL;

        owner_start(&owner);
        g_free(child_expect(host, "channel 2 up"));
        child_say(host, "run %d", N_FLIPS);
        g_free(child_expect(host, "ran 50"));
        owner_stop(&owner);
        g_assert_cmpint(owner.connections, ==, 1);
        g_assert_cmpint(owner.frames, ==, N_FLIPS);
        down = child_expect(host, "channel 2 down");
    }
    child_free(host);
    g_remove(owner.path);
    g_rmdir(owner.dir);
    g_free(owner.path);
    g_free(owner.dir);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/link-thread/own-context", test_own_context);
    return g_test_run();
}
