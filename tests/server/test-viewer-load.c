/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What viewers cost and leave behind, and what hostile ones can do. */
#include "capture/error.h"
#include "tests/server/harness.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <malloc.h>
#include <signal.h>
#include <spice/enums.h>
#include <spice/protocol.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define WIDTH 640
#define HEIGHT 360

static guint count_entries(const char *path)
{
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    guint n = 0;

    while (g_dir_read_name(directory) != NULL) {
        n++;
    }
    return n;
}

typedef struct {
    guint fds, threads;
    gssize heap; /* bytes */
    gint64 cpu;  /* microseconds */
} Usage;

static Usage get_usage(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (Usage){
        .fds = count_entries("/proc/self/fd"),
        .threads = count_entries("/proc/self/task"),
        .heap = mallinfo2().uordblks,
        .cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * G_USEC_PER_SEC +
               usage.ru_utime.tv_usec + usage.ru_stime.tv_usec,
    };
}

static void test_cycles(void)
{
    const guint n_warm_up = 20, n_cycles = g_test_slow() ? 1000 : 200;
    g_autoptr(GPtrArray) packets = harness_encode(SC_CODEC_H264, WIDTH, HEIGHT, 1, 1, 1);
    g_autoptr(Harness) harness = harness_new("0", NULL);
    const char *const options[] = { "--seconds=600", NULL };
    ProbeChild *probe = harness_probe(harness, options);
    Usage before = { 0 }, after;

    for (guint i = 0; i < n_warm_up + n_cycles; i++) {
        Served *served = harness_wait_ready(harness, i);

        if (i == n_warm_up) {
            before = get_usage();
        }
        sc_viewer_send(served->viewer, g_ptr_array_index(packets, 0));
        probe_wait(probe, "frame number=1 ");
        g_ptr_array_set_size(probe->lines, 0); /* they would count as heap */
        probe->next = 0;
        probe_tell(probe, "reconnect");
        HARNESS_WAIT(served->n_closed == 1);
        harness_free_viewer(served);
    }
    harness_wait_ready(harness, n_warm_up + n_cycles);
    after = get_usage();
    g_test_message("%u cycles: %u to %u fds, %u to %u threads; each leaves %zd bytes of heap and "
                   "takes %" G_GINT64_FORMAT " us of CPU",
                   n_cycles, before.fds, after.fds, before.threads, after.threads,
                   (after.heap - before.heap) / (gssize)n_cycles,
                   (after.cpu - before.cpu) / n_cycles);
    /* Fewer is no leak: GLib lets idle threads of its pools go. */
    g_assert_cmpuint(after.fds, <=, before.fds);
    g_assert_cmpuint(after.threads, <=, before.threads);
}

/* Bytes of memory that are ours alone. */
static gssize get_private_memory(void)
{
    g_autofree char *text = NULL;
    glong pages[3] = { 0 };

    g_assert_true(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
    g_assert_cmpint(sscanf(text, "%ld %ld %ld", &pages[0], &pages[1], &pages[2]), ==, 3);
    return (gssize)(pages[1] - pages[2]) * sysconf(_SC_PAGESIZE);
}

static gsize alive_bytes; /* of packets */

static void free_body(gpointer data)
{
    GBytes *bytes = data;

    alive_bytes -= g_bytes_get_size(bytes);
    g_bytes_unref(bytes);
}

static ScPacket *make_packet(gsize size)
{
    /* A key frame: none is dropped for want of one. */
    ScPacketInfo info = {
        .codec = SC_CODEC_H264, .is_key = TRUE, .width = WIDTH, .height = HEIGHT
    };
    gpointer memory = memset(g_malloc(size), 1, size);
    GBytes *bytes = g_bytes_new_take(memory, size);
    g_autoptr(GBytes) body = g_bytes_new_with_free_func(memory, size, free_body, bytes);

    alive_bytes += size;
    return sc_packet_new(body, &info);
}

/* What a viewer that has stopped holds, however much is sent: eight packets, or as many as come to
 * 8 MiB and the one that went over that, and the one that the library is writing. */
static void test_memory(gconstpointer data)
{
    const gsize size = GPOINTER_TO_SIZE(data), bound = (8 << 20) + 2 * size;
    g_autoptr(Harness) harness = harness_new("0", NULL);
    ProbeChild *probe = harness_probe(harness, NULL);
    Served *served = harness_wait_ready(harness, 0);
    gssize before = get_private_memory(), most = 0;
    gsize most_alive = 0;
    ScOutboxCounts counts;

    probe_signal(probe, SIGSTOP);
    for (gsize i = 0; i < 400; i++) {
        g_autoptr(ScPacket) packet = make_packet(size);

        sc_viewer_send(served->viewer, packet);
        g_clear_pointer(&packet, sc_packet_unref);
        harness_iterate();
        most = MAX(most, get_private_memory() - before);
        most_alive = MAX(most_alive, alive_bytes);
    }
    sc_viewer_get_counts(served->viewer, &counts);
    g_test_message("400 packets of %zu KiB: %zd KiB more at most, %zu of them in packets; %u wait",
                   size / 1024, most / 1024, most_alive / 1024, counts.queued);
    g_assert_cmpuint(counts.queued, <=, 8);
    g_assert_cmpuint(counts.dropped, >, 0);
    g_assert_cmpuint(most_alive, <=, bound);
#ifndef __SANITIZE_ADDRESS__ /* which keeps what was freed */
    g_assert_cmpint(most, <=, (gssize)bound + (4 << 20));
#endif
    probe_signal(probe, SIGCONT);
}

static int connect_raw(Harness *harness)
{
    const char *address = sc_listener_get_address(harness->listener);
    g_autoptr(GSocketAddress) name = g_unix_socket_address_new(address + strlen("unix:"));
    g_autoptr(GSocket) socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, 0, NULL);

    g_assert_true(g_socket_connect(socket, name, NULL, NULL));
    return dup(g_socket_get_fd(socket));
}

/* The beginning of a connection, as far as the listener looks. */
static void send_header(int fd, guint32 connection_id, guint8 channel_type)
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

    g_assert_cmpint(send(fd, &header, sizeof header, MSG_NOSIGNAL), ==, sizeof header);
    g_assert_cmpint(send(fd, &message, sizeof message, MSG_NOSIGNAL), ==, sizeof message);
}

/* libspice-server's answer to a whole link message. */
static void wait_answer(int fd)
{
    guint8 byte;

    HARNESS_WAIT(recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
}

static void send_bytes(int fd, const char *text)
{
    g_assert_cmpint(send(fd, text, strlen(text), MSG_NOSIGNAL), ==, strlen(text));
}

static void wait_cut_off(int fd)
{
    HARNESS_WAIT(send(fd, "x", 1, MSG_NOSIGNAL) == -1);
}

/* Viewers that are freed, or leave, in the middle of a handshake. */
static void test_half_handshakes(void)
{
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    guint fds = count_entries("/proc/self/fd");

    for (guint i = 0; i < 40; i++) {
        int fd = connect_raw(harness);
        Served *served;

        send_header(fd, 0, SPICE_CHANNEL_MAIN);
        served = harness_wait_viewer(harness, i);
        if (i % 4 < 2) {
            wait_answer(fd);
            send_bytes(fd, "half a ticket"); /* libspice-server waits for the rest */
        }
        if (i % 2 == 0) {
            close(fd);
            HARNESS_WAIT(served->n_closed == 1);
            harness_free_viewer(served);
        } else {
            harness_free_viewer(served);
            wait_cut_off(fd);
            close(fd);
        }
    }
    harness_run(20 * G_TIME_SPAN_MILLISECOND);
    g_assert_cmpuint(count_entries("/proc/self/fd"), <=, fds);
}

/* A connection of a viewer that is there and complete. */
static void test_half_channel(void)
{
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ProbeChild *probe = harness_probe(harness, NULL);
    Served *served = harness_wait_ready(harness, 0);
    guint32 id = sc_viewer_get_connection_id(served->viewer);
    guint fds = count_entries("/proc/self/fd");
    int half = connect_raw(harness), other = connect_raw(harness);

    send_header(half, id, SPICE_CHANNEL_INPUTS);
    send_header(other, id, SPICE_CHANNEL_DISPLAY);
    wait_answer(half);
    wait_answer(other);
    send_bytes(half, "half a ticket");
    g_assert_cmpuint(served->n_closed, ==, 0);
    harness_free_viewer(served);
    wait_cut_off(half);
    close(half);
    close(other);
    probe_wait(probe, "closed");
    harness_run(20 * G_TIME_SPAN_MILLISECOND);
    g_assert_cmpuint(count_entries("/proc/self/fd"), <, fds);
}

/* Who knows the id of a viewer, but not the password, and does not wait for an answer. */
static void test_input_without_password(void)
{
    static const char *const options[] = { "--password=correct horse", NULL };
    static const guint8 key[] = { 0x65, 0, 4, 0, 0, 0, 0x1e, 0, 0, 0 };
    g_autoptr(Harness) harness = harness_new(NULL, "correct horse");
    ProbeChild *probe = harness_probe(harness, options);
    Served *served = harness_wait_ready(harness, 0);
    guint8 bytes[128 + 20 * sizeof key] = { 0 };
    int fd = connect_raw(harness);

    for (gsize i = 128; i < sizeof bytes; i++) {
        bytes[i] = key[(i - 128) % sizeof key];
    }
    send_header(fd, sc_viewer_get_connection_id(served->viewer), SPICE_CHANNEL_INPUTS);
    wait_answer(fd);
    send(fd, bytes, sizeof bytes, MSG_NOSIGNAL);
    wait_cut_off(fd);
    close(fd);
    g_assert_cmpstr(served->input->str, ==, "");

    /* Who knows it still gets through. */
    probe_wait_inputs(probe);
    probe_tell(probe, "key 30");
    HARNESS_WAIT(strstr(served->input->str, "key=30,0") != NULL);
}

static void test_many_connections(void)
{
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    g_autoptr(GError) error = NULL;
    int pairs[20][2];
    Served *served;
    guint n_refused = 0;

    harness_probe(harness, NULL);
    served = harness_wait_ready(harness, 0);
    for (guint i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs[i]), ==, 0);
        if (!sc_viewer_add_connection(served->viewer, pairs[i][0], "a test", &error)) {
            g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
            g_clear_error(&error);
            n_refused++;
        }
    }
    g_assert_cmpuint(n_refused, ==, 12);
    for (guint i = 0; i < G_N_ELEMENTS(pairs); i++) {
        close(pairs[i][1]);
    }
    harness_run(20 * G_TIME_SPAN_MILLISECOND);
    g_assert_cmpuint(served->n_closed, ==, 0);
}

/* Rubbish after the handshake, on every channel, while another viewer looks on. */
static void test_garbage(void)
{
    static const char *const channels[] = { "main", "display", "inputs", "cursor" };
    /* By message type: unknown ones, and known ones with bodies that make no sense. */
    static const char *const messages[] = {
        "ffff00000000",         "ffffffffffffff",     "0b0004000000ffffffff", "0c0002000000ffff",
        "6500040000007fe1e0ff", "680003000000e0e1ff", "7000000000000000",
    };
    g_autoptr(GPtrArray) packets = harness_encode(SC_CODEC_H264, WIDTH, HEIGHT, 0, 40, 1000);
    g_autoptr(Harness) harness = harness_new(NULL, NULL);
    ProbeChild *watcher = harness_probe(harness, NULL);
    Served *watched = harness_wait_ready(harness, 0);
    guint n = 1;

    for (guint i = 0; i < G_N_ELEMENTS(channels); i++) {
        for (guint j = 0; j < G_N_ELEMENTS(messages); j++) {
            ProbeChild *probe = harness_probe(harness, NULL);
            Served *served = harness_wait_ready(harness, n++);

            probe_wait_inputs(probe);
            for (guint k = 0; k < 10; k++) {
                probe_tell(probe, "raw %s %s", channels[i], messages[j]);
            }
            probe_tell(probe, "quit");
            HARNESS_WAIT(served->n_closed == 1);
            harness_free_viewer(served);
            probe_finish(probe);
            sc_viewer_send(watched->viewer, g_ptr_array_index(packets, n - 2));
        }
    }
    probe_wait(watcher, "frame number=27 ");
    g_assert_cmpuint(watched->n_closed, ==, 0);
}

int main(int argc, char *argv[])
{
    harness_init(&argc, &argv);
    g_test_add_func("/viewer/cycles", test_cycles);
    g_test_add_data_func("/viewer/memory/small", GSIZE_TO_POINTER(64 * 1024), test_memory);
    g_test_add_data_func("/viewer/memory/large", GSIZE_TO_POINTER(3 << 20), test_memory);
    g_test_add_func("/viewer/hostile/half-handshakes", test_half_handshakes);
    g_test_add_func("/viewer/hostile/half-channel", test_half_channel);
    g_test_add_func("/viewer/hostile/input-without-password", test_input_without_password);
    g_test_add_func("/viewer/hostile/many-connections", test_many_connections);
    g_test_add_func("/viewer/hostile/garbage", test_garbage);
    return g_test_run();
}
