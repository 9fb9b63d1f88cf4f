/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A relay between two ends that the test holds: the client's and libspice-server's. */
#include "server/pair.h"
#include "server/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <spice/enums.h>
#include <spice/protocol.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE (60 * G_TIME_SPAN_SECOND)

typedef struct {
    int first_fd; /* the next free one before the test */
    ScRelay *relay;
    ScRefusals *refusals;
    int client, server;
    guint32 connection_id;
    guint n_linked, n_ended;
    guint n_turns; /* of the main loop, in which something was done */
} Fixture;

static int get_next_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    close(fd);
    return fd;
}

static void iterate(Fixture *fixture)
{
    fixture->n_turns += g_main_context_iteration(NULL, FALSE);
    g_usleep(200);
}

#define WAIT(fixture, condition)                                                                   \
    G_STMT_START                                                                                   \
    {                                                                                              \
        gint64 wait_deadline = g_get_monotonic_time() + DEADLINE;                                  \
        while (!(condition)) {                                                                     \
            g_assert_cmpint(g_get_monotonic_time(), <, wait_deadline);                             \
            iterate(fixture);                                                                      \
        }                                                                                          \
    }                                                                                              \
    G_STMT_END

static void on_linked(ScRelay *relay, guint32 connection_id, gpointer data)
{
    Fixture *fixture = data;

    fixture->n_linked++;
    fixture->connection_id = connection_id;
}

static void on_ended(ScRelay *relay, gpointer data)
{
    Fixture *fixture = data;

    fixture->n_ended++;
    g_clear_pointer(&fixture->relay, sc_relay_free);
}

static void set_up(Fixture *fixture, gconstpointer data)
{
    static const ScRelayListener listener = { .linked = on_linked, .ended = on_ended };
    g_autoptr(GSocket) socket = NULL;
    g_autoptr(GSocketConnection) stream = NULL;
    ScRelayConfig config;
    int pair[2];

    g_main_context_iteration(NULL, FALSE);
    fixture->first_fd = get_next_fd();
    fixture->server = -1;
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), ==,
                    0);
    fixture->client = pair[1];
    socket = g_socket_new_from_fd(pair[0], NULL);
    stream = g_socket_connection_factory_create_connection(socket);
    config = (ScRelayConfig){
        .stream = G_IO_STREAM(stream),
        .socket = socket,
        .peer = "a test",
        .is_open = TRUE,
        .refusals = fixture->refusals = sc_refusals_new(),
    };
    fixture->relay = sc_relay_new(&config, &listener, fixture);
}

static void close_end(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    sc_relay_free(fixture->relay);
    sc_refusals_free(fixture->refusals);
    close_end(&fixture->client);
    close_end(&fixture->server);
    g_assert_cmpint(get_next_fd(), ==, fixture->first_fd);
}

static void send_all(int fd, gconstpointer bytes, gsize size)
{
    g_assert_cmpint(send(fd, bytes, size, MSG_NOSIGNAL), ==, size);
}

/* Waits for exactly @size bytes. */
static void receive_all(Fixture *fixture, int fd, guint8 *bytes, gsize size)
{
    gsize done = 0;

    while (done < size) {
        ssize_t n = -1;

        WAIT(fixture, (n = recv(fd, bytes + done, size - done, 0)) >= 0 || errno != EAGAIN);
        g_assert_cmpint(n, >, 0);
        done += n;
    }
}

static void wait_end(Fixture *fixture, int fd)
{
    guint8 byte;

    WAIT(fixture, recv(fd, &byte, 1, 0) == 0 || errno == ECONNRESET);
}

static void assert_nothing(int fd)
{
    guint8 byte;

    g_assert_cmpint(recv(fd, &byte, 1, 0), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
}

/* Soon nothing is ready any more, and it stays so: nobody polls. */
static void assert_idle(Fixture *fixture)
{
    gint64 deadline = g_get_monotonic_time() + DEADLINE;

    for (guint n_idle = 0; n_idle < 20;) {
        guint before = fixture->n_turns;

        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        iterate(fixture);
        n_idle = fixture->n_turns == before ? n_idle + 1 : 0;
    }
}

#define REQUEST                                                                                    \
    "GET / HTTP/1.1\r\nHost: localhost:1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"         \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

static const guint8 key[] = { 0x65, 0, 4, 0, 0, 0, 0x1e, 0, 0, 0 };
static const guint8 flush_mark[] = { 4, 0, 0, 0, 0, 0 };

static gsize make_link(guint8 *bytes, guint8 channel)
{
    const guint32 caps = GUINT32_TO_LE(1u << SPICE_COMMON_CAP_MINI_HEADER);
    SpiceLinkHeader header = {
        .magic = SPICE_MAGIC,
        .major_version = GUINT32_TO_LE(SPICE_VERSION_MAJOR),
        .size = GUINT32_TO_LE(sizeof(SpiceLinkMess) + sizeof caps),
    };
    SpiceLinkMess message = {
        .connection_id = GUINT32_TO_LE(7),
        .channel_type = channel,
        .num_common_caps = GUINT32_TO_LE(1),
        .caps_offset = GUINT32_TO_LE(sizeof(SpiceLinkMess)),
    };

    memcpy(bytes, &header, sizeof header);
    memcpy(bytes + sizeof header, &message, sizeof message);
    memcpy(bytes + sizeof header + sizeof message, &caps, sizeof caps);
    return sizeof header + sizeof message + sizeof caps;
}

/* Opens the relay and brings it past link message and ticket. */
static void link_up(Fixture *fixture)
{
    guint8 link[100], arrived[100], ticket[128] = { 0 }, ticket_arrived[128];
    gsize size = make_link(link, SPICE_CHANNEL_INPUTS);

    send_all(fixture->client, link, size);
    WAIT(fixture, fixture->n_linked == 1);
    g_assert_cmpuint(fixture->connection_id, ==, 7);
    fixture->server = sc_relay_open(fixture->relay, NULL);
    g_assert_cmpint(fixture->server, >=, 0);
    /* libspice-server finds the link message without waiting for it. */
    g_assert_cmpint(recv(fixture->server, arrived, sizeof arrived, 0), ==, size);
    g_assert_cmpmem(arrived, size, link, size);
    send_all(fixture->client, ticket, sizeof ticket);
    receive_all(fixture, fixture->server, ticket_arrived, sizeof ticket_arrived);
}

static void test_both_ways(Fixture *fixture, gconstpointer data)
{
    guint8 bytes[sizeof key];

    link_up(fixture);
    for (guint i = 0; i < 100; i++) {
        send_all(fixture->client, key, sizeof key);
        receive_all(fixture, fixture->server, bytes, sizeof key);
        g_assert_cmpmem(bytes, sizeof key, key, sizeof key);
        send_all(fixture->server, "answer", 6);
        receive_all(fixture, fixture->client, bytes, 6);
    }
    assert_idle(fixture);
    g_assert_cmpuint(fixture->n_ended, ==, 0);
}

static void test_forbidden(Fixture *fixture, gconstpointer data)
{
    link_up(fixture);
    for (guint i = 0; i < sizeof flush_mark - 1; i++) {
        send_all(fixture->client, flush_mark + i, 1);
        assert_idle(fixture);
    }
    g_test_expect_message("scancast-server", G_LOG_LEVEL_MESSAGE,
                          "*viewer a test*message 4 of 0 bytes*inputs*");
    send_all(fixture->client, flush_mark + sizeof flush_mark - 1, 1);
    WAIT(fixture, fixture->n_ended == 1);
    g_test_assert_expected_messages();
    wait_end(fixture, fixture->client);
}

/* Nothing of a piece that holds something forbidden passes, nor does anything after it. */
static void test_forbidden_in_a_row(Fixture *fixture, gconstpointer data)
{
    guint8 bytes[3 * sizeof key];

    link_up(fixture);
    memcpy(bytes, key, sizeof key);
    memcpy(bytes + sizeof key, flush_mark, sizeof flush_mark);
    memcpy(bytes + sizeof key + sizeof flush_mark, key, sizeof key);
    g_test_expect_message("scancast-server", G_LOG_LEVEL_MESSAGE, "*message 4*");
    send_all(fixture->client, bytes, 2 * sizeof key + sizeof flush_mark);
    WAIT(fixture, fixture->n_ended == 1);
    g_test_assert_expected_messages();
    g_assert_cmpint(recv(fixture->server, bytes, 1, 0), ==, 0);
}

static void test_garbage(Fixture *fixture, gconstpointer data)
{
    g_test_expect_message("scancast-server", G_LOG_LEVEL_MESSAGE, "connection a test: closed*");
    send_all(fixture->client, "SSH-2.0-x\r\n", 11);
    WAIT(fixture, fixture->n_ended == 1);
    g_assert_cmpuint(fixture->n_linked, ==, 0);
    g_test_assert_expected_messages();
}

/* The log tells of one, and then how many there were. */
static void test_refusals(void)
{
    g_autoptr(ScRefusals) refusals = sc_refusals_new();
    g_autoptr(GError) error = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_FAILED, "nonsense");

    g_test_expect_message("scancast-server", G_LOG_LEVEL_MESSAGE, "*192.0.2.1:7: *nonsense");
    for (guint i = 0; i < 1000; i++) {
        sc_refusals_add(refusals, "192.0.2.1:7", error);
    }
    g_test_assert_expected_messages();
    g_test_expect_message("scancast-server", G_LOG_LEVEL_MESSAGE, "999 more *");
    g_clear_pointer(&refusals, sc_refusals_free);
    g_test_assert_expected_messages();
}

/* A client's frame, masked. */
static void send_frame(Fixture *fixture, guint8 first, const guint8 *bytes, gsize size)
{
    static const guint8 mask[] = { 1, 2, 3, 4 };
    guint8 frame[200] = { first, 0x80 | size };

    g_assert_cmpuint(size, <, 126);
    memcpy(frame + 2, mask, sizeof mask);
    for (gsize i = 0; i < size; i++) {
        frame[6 + i] = bytes[i] ^ mask[i % 4];
    }
    send_all(fixture->client, frame, 6 + size);
}

/* Waits for a frame of the server whose payload is @bytes. */
static void receive_frame(Fixture *fixture, guint8 first, gconstpointer bytes, gsize size)
{
    guint8 frame[200];

    receive_all(fixture, fixture->client, frame, 2 + size);
    g_assert_cmphex(frame[0], ==, first);
    g_assert_cmpuint(frame[1], ==, size);
    g_assert_cmpmem(frame + 2, size, bytes, size);
}

static void receive_text(Fixture *fixture, const char *text)
{
    guint8 bytes[20];

    receive_all(fixture, fixture->client, bytes, strlen(text));
    g_assert_cmpmem(bytes, strlen(text), text, strlen(text));
}

static void skip_http(Fixture *fixture)
{
    guint8 byte;
    guint n_ends = 0;

    while (n_ends < 4) {
        receive_all(fixture, fixture->client, &byte, 1);
        n_ends = byte == '\r' || byte == '\n' ? n_ends + 1 : 0;
    }
}

static void test_websocket(Fixture *fixture, gconstpointer data)
{
    guint8 link[100], arrived[128], ticket[100] = { 0 };
    gsize size = make_link(link, SPICE_CHANNEL_INPUTS);

    for (const char *at = REQUEST; *at != '\0'; at++) {
        send_all(fixture->client, at, 1);
        iterate(fixture);
    }
    receive_text(fixture, "HTTP/1.1 101 ");
    skip_http(fixture);
    send_frame(fixture, 0x82, link, size);
    WAIT(fixture, fixture->n_linked == 1);
    fixture->server = sc_relay_open(fixture->relay, NULL);
    receive_all(fixture, fixture->server, arrived, size);
    g_assert_cmpmem(arrived, size, link, size);
    send_frame(fixture, 0x02, ticket, 100);
    send_frame(fixture, 0x80, ticket, 28);
    receive_all(fixture, fixture->server, arrived, 128);

    send_frame(fixture, 0x89, link, 5);
    receive_frame(fixture, 0x8a, link, 5);
    send_all(fixture->server, "answer", 6);
    receive_frame(fixture, 0x82, "answer", 6);
    send_frame(fixture, 0x82, key, sizeof key);
    receive_all(fixture, fixture->server, arrived, sizeof key);
    g_assert_cmpmem(arrived, sizeof key, key, sizeof key);

    g_test_expect_message("scancast-server", G_LOG_LEVEL_MESSAGE, "*message 4*");
    send_frame(fixture, 0x82, flush_mark, sizeof flush_mark);
    WAIT(fixture, fixture->n_ended == 1);
    g_test_assert_expected_messages();
}

/* Either side closes: the other is told, and WebSocket's own words are said. */
static void test_websocket_end(Fixture *fixture, gconstpointer data)
{
    guint8 link[100], arrived[100];
    gsize size = make_link(link, SPICE_CHANNEL_INPUTS);

    send_all(fixture->client, REQUEST, strlen(REQUEST));
    skip_http(fixture);
    send_frame(fixture, 0x82, link, size);
    WAIT(fixture, fixture->n_linked == 1);
    fixture->server = sc_relay_open(fixture->relay, NULL);
    receive_all(fixture, fixture->server, arrived, size);
    if (data == NULL) {
        send_all(fixture->server, "last", 4);
        close_end(&fixture->server);
        receive_frame(fixture, 0x82, "last", 4);
        receive_frame(fixture, 0x88, "\x03\xe8", 2);
    } else {
        send_frame(fixture, 0x88, (const guint8 *)"\x03\xe9", 2);
        receive_frame(fixture, 0x88, "\x03\xe9", 2);
        wait_end(fixture, fixture->server);
        close_end(&fixture->server);
    }
    wait_end(fixture, fixture->client);
    WAIT(fixture, fixture->n_ended == 1);
}

static void test_websocket_refused(Fixture *fixture, gconstpointer data)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    send_all(fixture->client, request, strlen(request));
    receive_text(fixture, "HTTP/1.1 426 ");
    skip_http(fixture);
    wait_end(fixture, fixture->client);
    g_assert_cmpuint(fixture->n_ended, ==, 1);
}

static void test_websocket_endless(Fixture *fixture, gconstpointer data)
{
    guint n = 0;

    send_all(fixture->client, "GET /", 5);
    while (fixture->n_ended == 0 && n++ < 20000) {
        if (send(fixture->client, "x", 1, MSG_NOSIGNAL) < 0) {
            break;
        }
        iterate(fixture);
    }
    WAIT(fixture, fixture->n_ended == 1);
    g_assert_cmpuint(n, <=, 9000);
}

/* libspice-server's last words, more than fits anywhere at once, and its end. */
static void test_last_words(Fixture *fixture, gconstpointer data)
{
    g_autofree guint8 *words = g_malloc(1 << 20), *arrived = g_malloc(1 << 20);
    gsize sent = 0, got = 0;
    ssize_t n;

    link_up(fixture);
    for (gsize i = 0; i < 1 << 20; i++) {
        words[i] = i % 251;
    }
    while (sent < 1 << 20) {
        n = send(fixture->server, words + sent, (1 << 20) - sent, MSG_NOSIGNAL);
        sent += MAX(n, 0);
        iterate(fixture);
        if (n < 0) {
            n = recv(fixture->client, arrived + got, 10000, 0);
            got += MAX(n, 0);
        }
    }
    /* It does not read any more, as when it refuses a ticket. */
    send_all(fixture->client, key, sizeof key);
    assert_idle(fixture);
    close_end(&fixture->server);
    receive_all(fixture, fixture->client, arrived + got, (1 << 20) - got);
    g_assert_cmpmem(words, 1 << 20, arrived, 1 << 20);
    wait_end(fixture, fixture->client);
    WAIT(fixture, fixture->n_ended == 1);
}

static void test_half_close(Fixture *fixture, gconstpointer data)
{
    guint8 bytes[sizeof key];

    link_up(fixture);
    send_all(fixture->client, key, sizeof key);
    shutdown(fixture->client, SHUT_WR);
    receive_all(fixture, fixture->server, bytes, sizeof key);
    wait_end(fixture, fixture->server);
    assert_idle(fixture);
    g_assert_cmpuint(fixture->n_ended, ==, 0);
    send_all(fixture->server, "answer", 6);
    close_end(&fixture->server);
    receive_all(fixture, fixture->client, bytes, 6);
    WAIT(fixture, fixture->n_ended == 1);
}

/* Both have to end; neither does. */
static void test_linger(Fixture *fixture, gconstpointer data)
{
    link_up(fixture);
    shutdown(fixture->client, SHUT_WR);
    WAIT(fixture, fixture->n_ended == 1);
    wait_end(fixture, fixture->server);
}

/* libspice-server is through with a client that does not read. */
static void test_linger_stuck(Fixture *fixture, gconstpointer data)
{
    guint8 bytes[4096] = { 0 };

    link_up(fixture);
    for (guint i = 0; i < 100; i++) {
        while (send(fixture->server, bytes, sizeof bytes, MSG_NOSIGNAL) > 0) {
        }
        iterate(fixture);
    }
    assert_idle(fixture);
    close_end(&fixture->server);
    assert_idle(fixture);
    g_assert_cmpuint(fixture->n_ended, ==, 0);
    WAIT(fixture, fixture->n_ended == 1);
}

static void test_client_gone(Fixture *fixture, gconstpointer data)
{
    link_up(fixture);
    send_all(fixture->server, "unread", 6);
    assert_idle(fixture);
    close_end(&fixture->client); /* unread data: a reset */
    wait_end(fixture, fixture->server);
    close_end(&fixture->server);
    WAIT(fixture, fixture->n_ended == 1);
}

/* What a client may make us, and libspice-server, hold has a bound, in both directions. */
static void test_bounds(Fixture *fixture, gconstpointer data)
{
    guint8 bytes[4096];
    gsize down = 0, up = 0;
    ssize_t n;

    memset(bytes, 0, sizeof bytes);
    link_up(fixture);
    for (guint i = 0; i < 100; i++) {
        while ((n = send(fixture->server, bytes, sizeof bytes, MSG_NOSIGNAL)) > 0) {
            down += n;
        }
        iterate(fixture);
    }
    g_test_message("%zu bytes wait for a client that does not read", down);
    /* The client's own socket holds half of it here. */
    g_assert_cmpuint(down, <, 640 * 1024);
    assert_idle(fixture);

    /* Nothing is read from it either now. */
    for (guint i = 0; i < 100; i++) {
        while ((n = send(fixture->client, key, sizeof key, MSG_NOSIGNAL)) > 0) {
            up += n;
        }
        iterate(fixture);
    }
    assert_nothing(fixture->server);
    assert_idle(fixture);

    /* It was only slow. */
    while (down > 0) {
        n = recv(fixture->client, bytes, MIN(sizeof bytes, down), 0);
        down -= MAX(n, 0);
        iterate(fixture);
    }
    while (up > 0) {
        n = recv(fixture->server, bytes, MIN(sizeof bytes, up), 0);
        up -= MAX(n, 0);
        iterate(fixture);
    }
    g_assert_cmpuint(fixture->n_ended, ==, 0);
}

static void test_waiting(Fixture *fixture, gconstpointer data)
{
    guint8 link[100];

    /* A client that goes while it waits for its turn. */
    send_all(fixture->client, link, make_link(link, SPICE_CHANNEL_INPUTS));
    WAIT(fixture, fixture->n_linked == 1);
    assert_idle(fixture);
    close_end(&fixture->client);
    WAIT(fixture, fixture->n_ended == 1);
}

/* Sockets for libspice-server, of both kinds. */
static void test_pair(Fixture *fixture, gconstpointer data)
{
    for (guint inet = 0; inet < 2; inet++) {
        struct sockaddr_storage name;
        socklen_t length = sizeof name;
        guint8 bytes[5];
        int pair[2];

        g_assert_true(sc_pair_new(inet, pair));
        g_assert_cmpint(getpeername(pair[1], (struct sockaddr *)&name, &length), ==, 0);
        g_assert_cmpint(name.ss_family, ==, inet ? AF_INET : AF_UNIX);
        for (guint i = 0; i < 2; i++) {
            assert_nothing(pair[i]);
            g_assert_cmpint(fcntl(pair[i], F_GETFD), ==, FD_CLOEXEC);
            send_all(pair[i], "there", 5);
            receive_all(fixture, pair[1 - i], bytes, 5);
            g_assert_cmpmem(bytes, 5, "there", 5);
        }
        close(pair[0]);
        wait_end(fixture, pair[1]);
        close(pair[1]);
    }
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add("/relay/" path, Fixture, NULL, set_up, func, tear_down)
    ADD("both-ways", test_both_ways);
    ADD("forbidden", test_forbidden);
    ADD("forbidden-in-a-row", test_forbidden_in_a_row);
    ADD("garbage", test_garbage);
    g_test_add_func("/relay/refusals", test_refusals);
    ADD("websocket", test_websocket);
    g_test_add("/relay/websocket/end/server", Fixture, NULL, set_up, test_websocket_end, tear_down);
    g_test_add("/relay/websocket/end/client", Fixture, "client", set_up, test_websocket_end,
               tear_down);
    ADD("websocket/refused", test_websocket_refused);
    ADD("websocket/endless", test_websocket_endless);
    ADD("last-words", test_last_words);
    ADD("half-close", test_half_close);
    ADD("linger", test_linger);
    ADD("linger-stuck", test_linger_stuck);
    ADD("client-gone", test_client_gone);
    ADD("bounds", test_bounds);
    ADD("waiting", test_waiting);
    ADD("pair", test_pair);
    return g_test_run();
}
