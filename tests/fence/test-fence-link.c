/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fence on the SPICE link, at the source: a guest (gl-host, behind a real libspice-server)
 * draws on GL scanouts, and is released exactly when the last reference to the frame goes, or by
 * its deadline, or by whatever ends the link.
 */
#include "tests/fence/link.h"

#include <gio/gunixsocketaddress.h>

/* Long against the 0.2 ms that a completion takes to come back. */
#define NOTHING_HAPPENS_US (50 * 1000)

static guint n_completed(ScFlushResult result)
{
    ScFlushCounts counts;

    sc_flush_get_counts(&counts);
    return (guint)counts.completed[result];
}

static Link *link_with_buffers(void)
{
    Link *link = link_new();

    child_ask(link->host, "buffers 2 640x480");
    return link;
}

static void test_held_until_released(void)
{
    Link *link = link_with_buffers();
    guint dropped = n_completed(SC_FLUSH_DROPPED);
    ScFrame *second_reference;

    link->watcher->hold = TRUE;
    child_ask(link->host, "fill 0 1");
    child_ask(link->host, "scanout 0");
    child_ask(link->host, "draw 1");
    wait_until(link->watcher->held->len == 1);
    second_reference = sc_frame_ref(link->watcher->held->pdata[0]);

    watcher_let_go(link->watcher);
    iterate_for(NOTHING_HAPPENS_US);
    g_assert_cmpuint(child_count(link->host, "done"), ==, 0);

    sc_frame_unref(second_reference);
    g_free(child_expect(link->host, "done 1 "));
    g_assert_cmpuint(n_completed(SC_FLUSH_DROPPED), ==, dropped + 1);
    link_free(link);
}

static void test_taken_is_done(void)
{
    Link *link = link_with_buffers();
    guint done = n_completed(SC_FLUSH_DONE);

    link->watcher->read = TRUE; /* marks frames as taken */
    child_ask(link->host, "run 3");
    g_free(child_expect(link->host, "ran 3"));
    g_assert_cmpuint(n_completed(SC_FLUSH_DONE), ==, done + 3);
    link_free(link);
}

/* libspice-server closes the display channel when it gets one DONE too many. */
static void test_exactly_once(void)
{
    Link *link = link_with_buffers();
    Watcher *watcher = link->watcher;

    watcher->read = TRUE;
    child_ask(link->host, "run 200");
    g_free(child_expect(link->host, "ran 200"));
    iterate_for(NOTHING_HAPPENS_US);
    g_assert_cmpuint(child_count(link->host, "done"), ==, 200);
    g_assert_cmpuint(child_count(link->host, "channel 2 down"), ==, 0);
    g_assert_cmpuint(watcher->n_connected, ==, 1);
    g_assert_cmpuint(watcher->n_awaited, ==, 200);

    /* Each picture was the guest's, and two buffers make two scanouts however often they flip. */
    g_assert_cmpuint(watcher->numbers->len, ==, 200);
    for (guint i = 0; i < 200; i++) {
        g_assert_cmpuint(g_array_index(watcher->numbers, guint32, i), ==, i + 1);
    }
    g_assert_cmpuint(g_hash_table_size(watcher->seen), ==, 2);
    link_free(link);
}

static void test_expires(void)
{
    Link *link = link_with_buffers();
    guint expired = n_completed(SC_FLUSH_EXPIRED);

    link->watcher->hold = TRUE;
    link->watcher->timeout_us = 20 * 1000;
    child_ask(link->host, "scanout 0");
    child_ask(link->host, "draw 1");
    g_free(child_expect(link->host, "done 1 "));
    g_assert_cmpuint(n_completed(SC_FLUSH_EXPIRED), ==, expired + 1);
    g_assert_cmpuint(link->watcher->held->len, ==, 1);
    g_assert_true(sc_frame_is_expired(link->watcher->held->pdata[0]));

    /* The late release is no second completion: the link stays, and the next draw works. */
    watcher_let_go(link->watcher);
    link->watcher->hold = FALSE;
    child_ask(link->host, "draw 2");
    g_free(child_expect(link->host, "done 2 "));
    iterate_for(NOTHING_HAPPENS_US);
    g_assert_cmpuint(child_count(link->host, "done"), ==, 2);
    g_assert_cmpuint(child_count(link->host, "channel 2 down"), ==, 0);
    link_free(link);
}

static void test_source_freed(void)
{
    Link *link = link_with_buffers();

    link->watcher->hold = TRUE;
    child_ask(link->host, "scanout 0");
    child_ask(link->host, "draw 1");
    wait_until(link->watcher->held->len == 1);
    watcher_stop(link->watcher);
    g_assert_false(sc_frame_is_awaited(link->watcher->held->pdata[0]));
    g_free(child_expect(link->host, "done 1 "));

    watcher_let_go(link->watcher);
    iterate_for(NOTHING_HAPPENS_US);
    g_assert_cmpuint(child_count(link->host, "done"), ==, 1);
    link_free(link);
}

/* The guest is released although our main loop does not run any more. */
static void test_source_freed_without_loop(void)
{
    Link *link = link_with_buffers();
    ScFlushCounts counts;

    link->watcher->hold = TRUE;
    child_ask(link->host, "scanout 0");
    child_ask(link->host, "draw 1");
    wait_until(link->watcher->held->len == 1);
    watcher_stop(link->watcher);
    sc_flush_get_counts(&counts);
    g_assert_cmpuint(counts.outstanding, ==, 0);
    child_wait_readable(link->host);
    g_free(child_expect(link->host, "done 1 "));
    link_free(link);
}

static void test_host_killed(void)
{
    Link *link = link_with_buffers();
    guint dropped = n_completed(SC_FLUSH_DROPPED);

    link->watcher->hold = TRUE;
    child_ask(link->host, "fill 0 77");
    child_ask(link->host, "scanout 0");
    child_ask(link->host, "draw 77");
    wait_until(link->watcher->held->len == 1);
    child_kill(link->host);
    wait_until(link->watcher->state == SC_SOURCE_CONNECTING);
    g_assert_cmpuint(n_completed(SC_FLUSH_DROPPED), ==, dropped + 1);
    g_assert_false(sc_frame_is_awaited(link->watcher->held->pdata[0]));
    g_assert_true(watcher_was_told(link->watcher, link->path));

    /* The last picture stays readable, and the output is not off. */
    g_assert_cmpuint(link->watcher->n_dark, ==, 0);
    g_assert_cmpuint(watcher_read_number(link->watcher), ==, 77);

    /* A late release sends nothing to the next VMM. */
    link_start_host(link);
    link_wait_up(link);
    watcher_let_go(link->watcher);
    link->watcher->hold = FALSE;
    child_ask(link->host, "buffers 2 640x480");
    child_ask(link->host, "run 5");
    g_free(child_expect(link->host, "ran 5"));
    iterate_for(NOTHING_HAPPENS_US);
    g_assert_cmpuint(child_count(link->host, "done"), ==, 5);
    g_assert_cmpuint(child_count(link->host, "channel 2 down"), ==, 0);
    link_free(link);
}

/* libspice-server 0.15 can crash when a client leaves while a channel of it is being set up. */
static void wait_settled(Link *link, guint n_clients)
{
    wait_until(child_count(link->host, "channel 2 up") == n_clients &&
               child_count(link->host, "channel 3 up") == n_clients &&
               child_count(link->host, "channel 4 up") == n_clients);
    iterate_for(NOTHING_HAPPENS_US);
}

/* Another client takes the link: libspice-server completes the draw itself, we must not. FALSE: it
 * has crashed when that client left, which is none of our faults (doc/architecture.md). */
static gboolean try_evicted(void)
{
    Link *link = link_with_buffers();
    ScSourceListener deaf = { 0 };
    g_autofree char *location = g_strconcat("spice+unix:", link->path, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(ScSource) other = sc_source_new(location, &deaf, NULL, &error);

    g_assert_no_error(error);
    link->watcher->hold = TRUE;
    child_ask(link->host, "scanout 0");
    child_ask(link->host, "draw 1");
    wait_until(link->watcher->held->len == 1);
    wait_settled(link, 1);
    g_assert_true(sc_source_start(other, NULL));
    g_free(child_expect(link->host, "done 1 "));
    wait_until(watcher_was_told(link->watcher, "when another SPICE client connects"));
    wait_settled(link, 2);
    g_clear_pointer(&other, sc_source_free);

    /* Alone again, it gets the link back; what it held from before is nobody's business. */
    wait_until(link->watcher->state == SC_SOURCE_CONNECTED || child_has_ended(link->host));
    watcher_let_go(link->watcher);
    if (child_has_ended(link->host)) {
        child_kill(link->host);
        link_free(link);
        return FALSE;
    }
    iterate_for(NOTHING_HAPPENS_US);
    g_assert_cmpint(link->watcher->state, ==, SC_SOURCE_CONNECTED);
    g_assert_cmpuint(child_count(link->host, "done"), ==, 1);
    link_free(link);
    return TRUE;
}

static void test_evicted(void)
{
    g_assert_true(try_evicted() || try_evicted() || try_evicted());
}

static void test_not_there_yet(void)
{
    Link *link = link_new_empty("gl-host");

    link->watcher = watcher_new(link->path);
    wait_until(link->watcher->state == SC_SOURCE_CONNECTING && link->watcher->reasons->len == 1);
    g_assert_true(watcher_was_told(link->watcher, "No such file"));
    g_assert_true(watcher_was_told(link->watcher, link->path));
    /* Some more tries are no news. */
    iterate_for(400 * 1000);
    g_assert_cmpuint(link->watcher->reasons->len, ==, 1);

    link_start_host(link);
    link_wait_up(link);
    g_assert_cmpint(link->watcher->state, ==, SC_SOURCE_CONNECTED);
    link_free(link);
}

static void test_password(void)
{
    Link *link = link_new_empty("gl-host");

    link->host = child_new("gl-host", "--password=secret", link->path, NULL);
    g_free(child_expect(link->host, "ok ready"));
    link->watcher = watcher_new(link->path);
    wait_until(link->watcher->state == SC_SOURCE_DISCONNECTED);
    g_assert_true(watcher_was_told(link->watcher, "disable-ticketing=on"));
    link_free(link);
}

static void test_not_spice(void)
{
    Link *link = link_new_empty("gl-host");
    g_autoptr(GSocketListener) listener = g_socket_listener_new();
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(link->path);
    g_autoptr(GSocketConnection) connection = NULL;
    g_autoptr(GError) error = NULL;

    g_socket_listener_add_address(listener, address, G_SOCKET_TYPE_STREAM,
                                  G_SOCKET_PROTOCOL_DEFAULT, NULL, NULL, &error);
    g_assert_no_error(error);
    link->watcher = watcher_new(link->path);
    iterate_for(10 * 1000);
    connection = g_socket_listener_accept(listener, NULL, NULL, &error);
    g_assert_no_error(error);
    g_output_stream_write(g_io_stream_get_output_stream(G_IO_STREAM(connection)),
                          "HTTP/1.0 400 Bad Request\r\n\r\n", 28, NULL, NULL);
    g_io_stream_close(G_IO_STREAM(connection), NULL, NULL);
    wait_until(watcher_was_told(link->watcher, "does not speak SPICE"));
    link_free(link);
}

static void test_bad_location(void)
{
    ScSourceListener deaf = { 0 };
    g_autofree char *long_path = g_strnfill(200, 'x');
    g_autofree char *location = g_strconcat("spice+unix:", long_path, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_null(sc_source_new("spice+unix:", &deaf, NULL, &error));
    g_assert_nonnull(error);
    g_clear_error(&error);
    g_assert_null(sc_source_new(location, &deaf, NULL, &error));
    g_assert_nonnull(error);
}

/* fds, mappings and objects: as many after 500 flips as after 20. */
static void test_flips_leak_nothing(void)
{
    Link *link = link_with_buffers();
    guint fds;

    link->watcher->read = TRUE;
    child_ask(link->host, "run 20");
    g_free(child_expect(link->host, "ran 20"));
    fds = count_open_fds();
    child_ask(link->host, "run 500");
    g_free(child_expect(link->host, "ran 500"));
    g_assert_cmpuint(count_open_fds(), ==, fds);
    g_assert_cmpuint(g_hash_table_size(link->watcher->seen), ==, 2);
    link_free(link);
}

static guint fds_after_flips(Link *link, guint n_buffers)
{
    child_ask(link->host, "buffers %u 640x480", n_buffers);
    child_ask(link->host, "run 24");
    g_free(child_expect(link->host, "ran 24"));
    g_hash_table_remove_all(link->watcher->seen);
    return count_open_fds();
}

/* However many buffers the guest has, we keep four. */
static void test_cache_is_bounded(void)
{
    Link *link = link_new();
    guint fds = fds_after_flips(link, 4);

    g_assert_cmpuint(fds_after_flips(link, 8), ==, fds);
    link_free(link);
}

static void restart(Link *link)
{
    child_kill(link->host);
    wait_until(link->watcher->state == SC_SOURCE_CONNECTING);
    link_start_host(link);
    link_wait_up(link);
    child_ask(link->host, "buffers 2 320x200");
    child_ask(link->host, "run 3");
    g_free(child_expect(link->host, "ran 3"));
}

static void test_reconnects_leak_nothing(void)
{
    Link *link = link_with_buffers();
    guint fds;

    link->watcher->read = TRUE;
    for (int i = 0; i < 3; i++) {
        restart(link);
    }
    g_hash_table_remove_all(link->watcher->seen);
    fds = count_open_fds();
    for (int i = 0; i < 50; i++) {
        restart(link);
        g_hash_table_remove_all(link->watcher->seen);
    }
    /* The last link's channel objects go in an idle call. */
    iterate_for(NOTHING_HAPPENS_US);
    g_assert_cmpuint(count_open_fds(), ==, fds);
    g_assert_cmpuint(link->watcher->n_connected, ==, 54);
    link_free(link);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fence/link/held-until-released", test_held_until_released);
    g_test_add_func("/fence/link/taken-is-done", test_taken_is_done);
    g_test_add_func("/fence/link/exactly-once", test_exactly_once);
    g_test_add_func("/fence/link/expires", test_expires);
    g_test_add_func("/fence/link/source-freed", test_source_freed);
    g_test_add_func("/fence/link/source-freed-without-loop", test_source_freed_without_loop);
    g_test_add_func("/fence/link/host-killed", test_host_killed);
    g_test_add_func("/fence/link/evicted", test_evicted);
    g_test_add_func("/fence/link/not-there-yet", test_not_there_yet);
    g_test_add_func("/fence/link/password", test_password);
    g_test_add_func("/fence/link/not-spice", test_not_spice);
    g_test_add_func("/fence/link/bad-location", test_bad_location);
    g_test_add_func("/fence/link/flips-leak-nothing", test_flips_leak_nothing);
    g_test_add_func("/fence/link/cache-is-bounded", test_cache_is_bounded);
    g_test_add_func("/fence/link/reconnects-leak-nothing", test_reconnects_leak_nothing);
    return g_test_run();
}
