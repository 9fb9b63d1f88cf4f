/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/error.h"
#include "server/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spice/enums.h>
#include <spice/protocol.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE (60 * G_TIME_SPAN_SECOND)
#define HEADER_SIZE (sizeof(SpiceLinkHeader) + sizeof(SpiceLinkMess))

typedef struct {
    char *directory, *path, *unix_address;
    int first_fd; /* the next free one before the test */
    guint n_accepted;
    guint32 last_id;
    int last_fd;
    char *last_peer;
    gint64 cost; /* of handing a connection on, in the thread's time */
} Fixture;

static int get_next_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    close(fd);
    return fd;
}

static void fixture_set_up(Fixture *fixture, gconstpointer data)
{
    fixture->directory = g_dir_make_tmp("scancast-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->directory, "socket", NULL);
    fixture->unix_address = g_strdup_printf("unix:%s", fixture->path);
    fixture->last_fd = -1;
    /* GLib opens some of its own on first use. */
    g_main_context_iteration(NULL, FALSE);
    fixture->first_fd = get_next_fd();
}

static void fixture_tear_down(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpint(get_next_fd(), ==, fixture->first_fd);
    g_assert_cmpint(g_rmdir(fixture->directory), ==, 0);
    g_free(fixture->directory);
    g_free(fixture->path);
    g_free(fixture->unix_address);
    g_free(fixture->last_peer);
}

static gint64 get_thread_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * G_TIME_SPAN_SECOND + now.tv_nsec / 1000;
}

static void on_connection(int fd, guint32 connection_id, const char *peer, gpointer data)
{
    Fixture *fixture = data;
    gint64 end = get_thread_time() + fixture->cost;

    while (get_thread_time() < end) {
    }
    fixture->n_accepted++;
    g_free(fixture->last_peer);
    fixture->last_peer = g_strdup(peer);
    fixture->last_id = connection_id;
    if (fixture->last_fd >= 0) {
        close(fixture->last_fd);
    }
    fixture->last_fd = fd;
}

static ScListener *listen_on(Fixture *fixture, const char *address)
{
    g_autoptr(GError) error = NULL;
    ScListenerConfig config = { .address = address, .is_open = TRUE };
    ScListener *listener = sc_listener_new(&config, on_connection, fixture, &error);

    g_assert_no_error(error);
    return listener;
}

/* From @host of this machine, which has many; NULL: any. */
static int connect_from(const ScListener *listener, const char *host)
{
    const char *address = sc_listener_get_address(listener);
    g_autoptr(GSocketAddress) name = NULL;
    g_autoptr(GSocket) socket = NULL;
    g_autoptr(GError) error = NULL;

    if (g_str_has_prefix(address, "unix:")) {
        name = g_unix_socket_address_new(address + strlen("unix:"));
    } else {
        name = g_inet_socket_address_new_from_string("127.0.0.1", atoi(strrchr(address, ':') + 1));
    }
    socket = g_socket_new(g_socket_address_get_family(name), G_SOCKET_TYPE_STREAM, 0, &error);
    g_assert_no_error(error);
    if (host != NULL) {
        g_autoptr(GSocketAddress) from = g_inet_socket_address_new_from_string(host, 0);

        g_socket_bind(socket, from, FALSE, &error);
        g_assert_no_error(error);
    }
    g_socket_connect(socket, name, NULL, &error);
    g_assert_no_error(error);
    return dup(g_socket_get_fd(socket));
}

static int connect_to(const ScListener *listener)
{
    return connect_from(listener, NULL);
}

static void make_header(guint8 bytes[HEADER_SIZE], guint32 connection_id, guint8 channel_type)
{
    SpiceLinkHeader header = {
        .magic = SPICE_MAGIC,
        .major_version = GUINT32_TO_LE(SPICE_VERSION_MAJOR),
        .minor_version = GUINT32_TO_LE(SPICE_VERSION_MINOR),
        .size = GUINT32_TO_LE(sizeof(SpiceLinkMess)),
    };
    SpiceLinkMess message = {
        .connection_id = GUINT32_TO_LE(connection_id),
        .channel_type = channel_type,
        .caps_offset = GUINT32_TO_LE(sizeof(SpiceLinkMess)),
    };

    memcpy(bytes, &header, sizeof header);
    memcpy(bytes + sizeof header, &message, sizeof message);
}

static void send_bytes(int fd, const guint8 *bytes, gsize size)
{
    g_assert_cmpint(send(fd, bytes, size, MSG_NOSIGNAL), ==, size);
}

static void iterate(void)
{
    g_main_context_iteration(NULL, FALSE);
    g_usleep(500);
}

static void wait_accepted(Fixture *fixture, guint n)
{
    gint64 deadline = g_get_monotonic_time() + DEADLINE;

    while (fixture->n_accepted < n) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        iterate();
    }
}

static void wait_closed(int fd)
{
    gint64 deadline = g_get_monotonic_time() + DEADLINE;
    char byte;
    ssize_t size;

    while ((size = recv(fd, &byte, 1, MSG_DONTWAIT)) > 0 || (size < 0 && errno == EAGAIN)) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        iterate();
    }
    g_assert_cmpint(size, <=, 0);
}

/* Soon nothing is ready any more: nobody spins. */
static void assert_idle(void)
{
    gint64 deadline = g_get_monotonic_time() + DEADLINE;

    for (guint n_idle = 0; n_idle < 5; n_idle++) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(500);
        if (g_main_context_iteration(NULL, FALSE)) {
            n_idle = 0;
        }
    }
}

static void test_header(Fixture *fixture, gconstpointer data)
{
    const char *address = data != NULL ? data : fixture->unix_address;
    g_autoptr(ScListener) listener = listen_on(fixture, address);
    guint8 header[HEADER_SIZE], read_back[HEADER_SIZE];
    int fd = connect_to(listener);

    make_header(header, 0, SPICE_CHANNEL_MAIN);
    send_bytes(fd, header, sizeof header);
    wait_accepted(fixture, 1);
    g_assert_cmpuint(fixture->last_id, ==, 0);
    g_assert_cmpint(recv(fixture->last_fd, read_back, sizeof read_back, 0), ==, sizeof read_back);
    g_assert_cmpmem(header, sizeof header, read_back, sizeof read_back);
    close(fd);

    fd = connect_to(listener);
    make_header(header, 0x12345678, SPICE_CHANNEL_DISPLAY);
    send_bytes(fd, header, sizeof header);
    wait_accepted(fixture, 2);
    g_assert_cmphex(fixture->last_id, ==, 0x12345678);
    close(fd);
    close(fixture->last_fd);
}

static void test_pieces(Fixture *fixture, gconstpointer data)
{
    const char *address = data != NULL ? data : fixture->unix_address;
    g_autoptr(ScListener) listener = listen_on(fixture, address);
    guint8 header[HEADER_SIZE];
    int fd = connect_to(listener);

    make_header(header, 7, SPICE_CHANNEL_INPUTS);
    for (gsize i = 0; i < sizeof header; i++) {
        send_bytes(fd, header + i, 1);
        if (fixture->n_accepted == 0) {
            assert_idle();
        }
    }
    wait_accepted(fixture, 1);
    g_assert_cmpuint(fixture->last_id, ==, 7);
    close(fd);
    close(fixture->last_fd);
}

static void test_hostile(Fixture *fixture, gconstpointer data)
{
    const char *address = data != NULL ? data : fixture->unix_address;
    g_autoptr(ScListener) listener = listen_on(fixture, address);
    guint8 header[HEADER_SIZE];
    int fd;

    fd = connect_to(listener);
    send_bytes(fd, (const guint8 *)"GET / HTTP/1.1\r\n\r\n", 18);
    wait_closed(fd);
    close(fd);

    /* Migration: a main channel for a client that has one. */
    fd = connect_to(listener);
    make_header(header, 7, SPICE_CHANNEL_MAIN);
    send_bytes(fd, header, sizeof header);
    wait_closed(fd);
    close(fd);

    /* A display for nobody. */
    fd = connect_to(listener);
    make_header(header, 0, SPICE_CHANNEL_DISPLAY);
    send_bytes(fd, header, sizeof header);
    wait_closed(fd);
    close(fd);

    /* Half a header, then the end. */
    fd = connect_to(listener);
    make_header(header, 0, SPICE_CHANNEL_MAIN);
    send_bytes(fd, header, sizeof header / 2);
    assert_idle();
    shutdown(fd, SHUT_WR);
    wait_closed(fd);
    close(fd);

    /* Only the end, and not even that. */
    close(connect_to(listener));
    fd = connect_to(listener);
    assert_idle();
    close(fd);
    assert_idle();
    g_assert_cmpuint(fixture->n_accepted, ==, 0);
}

static void test_flood(Fixture *fixture, gconstpointer data)
{
    g_autoptr(ScListener) listener = listen_on(fixture, fixture->unix_address);
    guint8 header[HEADER_SIZE];
    int fds[65];

    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = connect_to(listener);
        assert_idle();
    }
    wait_closed(fds[0]);
    make_header(header, 0, SPICE_CHANNEL_MAIN);
    for (guint i = 1; i < G_N_ELEMENTS(fds); i++) {
        send_bytes(fds[i], header, sizeof header);
    }
    wait_accepted(fixture, G_N_ELEMENTS(fds) - 1);
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        close(fds[i]);
    }
    close(fixture->last_fd);
}

static void assert_open(int fd)
{
    char byte;

    g_assert_cmpint(recv(fd, &byte, 1, MSG_DONTWAIT), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
}

/* Who fills the queue loses places in it, not those who came before. */
static void test_flood_of_one_host(Fixture *fixture, gconstpointer data)
{
    g_autoptr(ScListener) listener = listen_on(fixture, "0");
    int other = connect_from(listener, "127.0.0.2");
    int fds[100];

    assert_idle();
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = connect_from(listener, "127.0.0.3");
        assert_idle();
    }
    wait_closed(fds[0]);
    assert_open(other);
    assert_open(fds[G_N_ELEMENTS(fds) - 1]);
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        close(fds[i]);
    }
    close(other);
}

/* Handing on gets its share of the thread, and every host its turn. */
static void test_pace(Fixture *fixture, gconstpointer data)
{
    g_autoptr(ScListener) listener = listen_on(fixture, "0");
    guint8 header[HEADER_SIZE];
    gint64 begin, spent;
    int fds[40], other;

    fixture->cost = 30 * G_TIME_SPAN_MILLISECOND;
    make_header(header, 0, SPICE_CHANNEL_MAIN);
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = connect_from(listener, "127.0.0.3");
    }
    other = connect_from(listener, "127.0.0.2");
    assert_idle(); /* all are accepted */
    begin = g_get_monotonic_time();
    spent = get_thread_time();
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        send_bytes(fds[i], header, sizeof header);
    }
    wait_accepted(fixture, 30);
    spent = get_thread_time() - spent;
    g_test_message("%" G_GINT64_FORMAT " us spent", spent);
    /* 300 ms and one piece at once, the rest in a quarter of the time (and some of it for reading).
     * On a busy machine that is no limit. */
    g_assert_cmpint(spent, <=,
                    400 * G_TIME_SPAN_MILLISECOND + (g_get_monotonic_time() - begin) / 4);

    send_bytes(other, header, sizeof header);
    for (guint n = fixture->n_accepted; !g_str_has_prefix(fixture->last_peer, "127.0.0.2:");) {
        g_assert_cmpuint(fixture->n_accepted, <=, n + 3); /* not after the others */
        iterate();
    }
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        close(fds[i]);
    }
    close(other);
    close(fixture->last_fd);
}

/* Our end of @client's connection. */
static int find_accepted(int client)
{
    struct sockaddr_in wanted = { 0 }, peer;
    socklen_t length = sizeof wanted;

    g_assert_cmpint(getsockname(client, (struct sockaddr *)&wanted, &length), ==, 0);
    for (int fd = 0; fd < 1000; fd++) {
        length = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0 && peer.sin_family == AF_INET &&
            peer.sin_port == wanted.sin_port) {
            return fd;
        }
    }
    g_assert_not_reached();
}

static int get_option(int fd, int level, int option)
{
    int value = -1;
    socklen_t length = sizeof value;

    g_assert_cmpint(getsockopt(fd, level, option, &value, &length), ==, 0);
    return value;
}

/* What gives up a peer that has vanished, and what keeps delay short. */
static void test_socket_options(Fixture *fixture, gconstpointer data)
{
    g_autoptr(ScListener) listener = listen_on(fixture, "0");
    int client = connect_to(listener);
    int fd;

    assert_idle();
    fd = find_accepted(client);
    g_assert_cmpint(get_option(fd, IPPROTO_TCP, TCP_NODELAY), ==, 1);
    g_assert_cmpint(get_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), ==, 30000);
    g_assert_cmpint(get_option(fd, SOL_SOCKET, SO_KEEPALIVE), ==, 1);
    g_assert_cmpint(get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE) +
                        get_option(fd, IPPROTO_TCP, TCP_KEEPINTVL) *
                            get_option(fd, IPPROTO_TCP, TCP_KEEPCNT),
                    <=, 30);
    g_assert_cmpint(get_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), <=, 128 * 1024);
    close(client);
}

/* 10 s, so only with -m slow. */
static void test_timeout(Fixture *fixture, gconstpointer data)
{
    g_autoptr(ScListener) listener = NULL;
    int fd;

    if (!g_test_slow()) {
        g_test_skip("takes 10 s; run with -m slow");
        return;
    }
    listener = listen_on(fixture, fixture->unix_address);
    fd = connect_to(listener);
    wait_closed(fd);
    close(fd);
}

static void assert_fails(const char *address, ScError code, const char *text)
{
    g_autoptr(GError) error = NULL;
    ScListenerConfig config = { .address = address, .is_open = TRUE };
    ScListener *listener = sc_listener_new(&config, on_connection, NULL, &error);

    g_assert_null(listener);
    g_assert_error(error, SC_ERROR, (int)code);
    if (strstr(error->message, text) == NULL) {
        g_error("'%s' does not say '%s'", error->message, text);
    }
}

static void test_unix_file(Fixture *fixture, gconstpointer data)
{
    g_autoptr(ScListener) listener = listen_on(fixture, fixture->unix_address);
    g_autofree char *twin = g_build_filename(fixture->directory, "twin", NULL);
    g_autofree char *long_address = NULL;

    g_assert_cmpstr(sc_listener_get_address(listener), ==, fixture->unix_address);
    assert_fails(fixture->unix_address, SC_ERROR_FAILED, "in use");

    /* A second name for the socket outlives the listener: a file that nobody answers. */
    g_assert_cmpint(link(fixture->path, twin), ==, 0);
    g_clear_pointer(&listener, sc_listener_free);
    g_assert_false(g_file_test(fixture->path, G_FILE_TEST_EXISTS));
    g_assert_cmpint(g_rename(twin, fixture->path), ==, 0);
    listener = listen_on(fixture, fixture->unix_address);
    g_clear_pointer(&listener, sc_listener_free);

    g_assert_true(g_file_set_contents(fixture->path, "precious", -1, NULL));
    assert_fails(fixture->unix_address, SC_ERROR_FAILED, "no socket");
    g_assert_true(g_file_test(fixture->path, G_FILE_TEST_IS_REGULAR));
    g_unlink(fixture->path);

    long_address = g_strdup_printf("unix:%s/%0200d", fixture->directory, 1);
    assert_fails(long_address, SC_ERROR_INVALID, "bytes");
    assert_fails("unix:", SC_ERROR_INVALID, "bytes");
    assert_fails("unix:/nonexistent/socket", SC_ERROR_FAILED, "No such file");
}

static void test_addresses(Fixture *fixture, gconstpointer data)
{
    g_autoptr(ScListener) listener = listen_on(fixture, "0");
    static const char *const bad[] = { "",        "x",        "65536",     "-1",      ":5930",
                                       "1.2.3.4", "::1:5930", "[::1]5930", "[]:5930", "1.2.3.4:x" };

    g_assert_true(g_str_has_prefix(sc_listener_get_address(listener), "127.0.0.1:"));
    g_assert_cmpstr(sc_listener_get_address(listener), !=, "127.0.0.1:0");
    assert_fails(sc_listener_get_address(listener), SC_ERROR_FAILED, "choose another port");
    assert_fails("192.0.2.1:0", SC_ERROR_FAILED, "address of this host");
    assert_fails("no.such.host.invalid:0", SC_ERROR_INVALID, "no.such.host.invalid");
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        assert_fails(bad[i], SC_ERROR_INVALID, "[ADDR6]:PORT");
    }
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, data, func)                                                                      \
    g_test_add("/listener/" path, Fixture, data, fixture_set_up, func, fixture_tear_down)
    ADD("header/tcp", "0", test_header);
    ADD("header/unix", NULL, test_header);
    ADD("pieces/tcp", "0", test_pieces);
    ADD("pieces/unix", NULL, test_pieces);
    ADD("hostile/tcp", "0", test_hostile);
    ADD("hostile/unix", NULL, test_hostile);
    ADD("flood", NULL, test_flood);
    ADD("flood-of-one-host", NULL, test_flood_of_one_host);
    ADD("pace", NULL, test_pace);
    ADD("socket-options", NULL, test_socket_options);
    ADD("timeout", NULL, test_timeout);
    ADD("unix-file", NULL, test_unix_file);
    ADD("addresses", NULL, test_addresses);
    return g_test_run();
}
