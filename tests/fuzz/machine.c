/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fuzz/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_QUEUES 2
#define RING_SIZE 16

/* The guest's memory: two regions in one file. */
#define LOW_SIZE (768 * 1024)
#define HIGH_SIZE (256 * 1024)
#define HIGH_BASE G_GUINT64_CONSTANT(0x100000000)
#define USER_BASE G_GUINT64_CONSTANT(0x7f0000000000)

/* Inside a page for each queue. */
#define RINGS_BASE 0x1000
#define AVAIL_OFFSET 0x400
#define USED_OFFSET 0x800

/* Where requests are put, in turns. */
#define DATA_BASE 0x10000
#define DATA_SIZE 0x40000

/* A device that still has something to do after so many turns has it for ever. */
#define MAX_TURNS 20000

/* More than a run has open at once, mostly. */
#define MAX_FDS 128

enum { /* requests, docs/interop/vhost-user.rst of QEMU */
       SET_FEATURES = 2,
       SET_OWNER = 3,
       SET_MEM_TABLE = 5,
       SET_VRING_NUM = 8,
       SET_VRING_ADDR = 9,
       SET_VRING_BASE = 10,
       GET_VRING_BASE = 11,
       SET_VRING_KICK = 12,
       SET_VRING_CALL = 13,
       SET_PROTOCOL_FEATURES = 16,
       SET_VRING_ENABLE = 18,
       SET_BACKEND_REQ_FD = 21,
};

/* Bits of the first byte. */
enum {
    BEGIN_GREETED = 1 << 0,
    BEGIN_EVENT_IDX = 1 << 1,
    BEGIN_SHRINKABLE = 1 << 2,
    BEGIN_PLAIN = 1 << 3, /* without the features of the device */
};

typedef struct {
    const FuzzTarget *target;
    gpointer device;
    FuzzBytes bytes;
    const char *path;
    guint8 begin;
    int connection, memory, event;
    guint16 avail[MAX_QUEUES], next_desc[MAX_QUEUES];
    guint64 next_data;
} Machine;

/* ---- input ------------------------------------------------------------------------------ */

const guint8 *fuzz_take(FuzzBytes *bytes, gsize *size)
{
    const guint8 *start = bytes->at;

    *size = MIN(*size, (gsize)(bytes->end - bytes->at));
    bytes->at += *size;
    return start;
}

guint8 fuzz_take_u8(FuzzBytes *bytes)
{
    return bytes->at < bytes->end ? *bytes->at++ : 0;
}

guint16 fuzz_take_u16(FuzzBytes *bytes)
{
    guint16 low = fuzz_take_u8(bytes);

    return (guint16)(low | fuzz_take_u8(bytes) << 8);
}

static guint take_queue(Machine *machine)
{
    return fuzz_take_u8(&machine->bytes) % machine->target->n_queues;
}

/* ---- the VMM ---------------------------------------------------------------------------- */

static void run(void)
{
    guint turns = 0;

    while (g_main_context_iteration(NULL, FALSE)) {
        if (++turns > MAX_TURNS) {
            abort();
        }
    }
}

/* Answers are not looked at. */
static void drain(Machine *machine)
{
    char bytes[4096];

    while (recv(machine->connection, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
    }
}

/* Fails where the device has hung up, which is its right. */
static void send_message(Machine *machine, guint32 request, guint32 flags, gconstpointer payload,
                         gsize size, const int *fds, guint n_fds)
{
    guint32 header[3] = { request, flags, (guint32)size };
    char control[CMSG_SPACE(16 * sizeof(int))] = { 0 };
    struct iovec io[2] = { { header, sizeof header }, { (gpointer)payload, size } };
    struct msghdr message = { .msg_iov = io, .msg_iovlen = 2 };

    if (n_fds > 0) {
        struct cmsghdr *rights;

        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(rights), fds, n_fds * sizeof(int));
    }
    if (sendmsg(machine->connection, &message, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
        run();
        drain(machine);
    }
}

static void send_state(Machine *machine, guint32 request, guint32 index, guint32 value)
{
    guint32 state[2] = { index, value };

    send_message(machine, request, 1, state, sizeof state, NULL, 0);
}

static void greet_queue(Machine *machine, guint index)
{
    struct {
        guint32 index, flags;
        guint64 desc, used, avail, log;
    } address = { .index = index };
    guint64 payload = index;

    address.desc = USER_BASE + RINGS_BASE + index * 0x1000;
    address.avail = address.desc + AVAIL_OFFSET;
    address.used = address.desc + USED_OFFSET;
    machine->avail[index] = machine->next_desc[index] = 0;
    send_state(machine, SET_VRING_NUM, index, RING_SIZE);
    send_state(machine, SET_VRING_BASE, index, 0);
    send_message(machine, SET_VRING_ADDR, 1, &address, sizeof address, NULL, 0);
    send_message(machine, SET_VRING_CALL, 1, &payload, sizeof payload, &machine->event, 1);
    send_message(machine, SET_VRING_KICK, 1, &payload, sizeof payload, &machine->event, 1);
    send_state(machine, SET_VRING_ENABLE, index, 1);
}

static void greet(Machine *machine)
{
    struct {
        guint32 n, padding;
        guint64 regions[2][4];
    } table = { 2,
                0,
                { { 0, LOW_SIZE, USER_BASE, 0 },
                  { HIGH_BASE, HIGH_SIZE, USER_BASE + HIGH_BASE, LOW_SIZE } } };
    int fds[2] = { machine->memory, machine->memory };
    guint64 protocol = 1 << 0 | 1 << 3 | 1 << 5 | 1 << 9 | 1 << 13 | 1 << 15;
    guint64 features = G_GUINT64_CONSTANT(1) << 30 | G_GUINT64_CONSTANT(1) << VIRTIO_F_VERSION_1 |
                       G_GUINT64_CONSTANT(1) << VIRTIO_RING_F_INDIRECT_DESC;

    if (machine->begin & BEGIN_EVENT_IDX) {
        features |= G_GUINT64_CONSTANT(1) << VIRTIO_RING_F_EVENT_IDX;
    }
    if (!(machine->begin & BEGIN_PLAIN)) {
        features |= 0xffffff;
    }
    send_message(machine, SET_PROTOCOL_FEATURES, 1, &protocol, sizeof protocol, NULL, 0);
    send_message(machine, SET_FEATURES, 1, &features, sizeof features, NULL, 0);
    send_message(machine, SET_BACKEND_REQ_FD, 1, NULL, 0, &machine->event, 1);
    send_message(machine, SET_MEM_TABLE, 1, &table, sizeof table, fds, 2);
    for (guint i = 0; i < machine->target->n_queues; i++) {
        greet_queue(machine, i);
    }
}

static void hang_up(Machine *machine)
{
    close(machine->connection);
    run();
}

static void connect_device(Machine *machine)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };

    strcpy(name.sun_path, machine->path);
    machine->connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(machine->connection, (struct sockaddr *)&name, sizeof name) != 0) {
        abort();
    }
    run();
    if (machine->begin & BEGIN_GREETED) {
        greet(machine);
    }
}

/* ---- the guest -------------------------------------------------------------------------- */

/* What is at no place of the guest's memory is lost. Not by a mapping: the file may be cut. */
static void write_guest(Machine *machine, guint64 address, gconstpointer bytes, gsize size)
{
    guint64 offset = address < HIGH_BASE ? address : address - HIGH_BASE + LOW_SIZE;

    if (offset + size <= LOW_SIZE + HIGH_SIZE &&
        pwrite(machine->memory, bytes, size, (off_t)offset) < 0 && errno != EPERM) {
        abort();
    }
}

static guint64 get_rings(guint queue)
{
    return RINGS_BASE + queue * 0x1000;
}

static void put_desc(Machine *machine, guint queue, guint index, guint64 address, guint32 length,
                     guint16 flags, guint16 next)
{
    struct vring_desc desc = { address, length, flags, next };

    write_guest(machine, get_rings(queue) + index % RING_SIZE * sizeof desc, &desc, sizeof desc);
}

static void make_available(Machine *machine, guint queue, guint16 head)
{
    guint64 ring = get_rings(queue) + AVAIL_OFFSET;

    write_guest(machine, ring + 4 + machine->avail[queue] % RING_SIZE * 2, &head, sizeof head);
    machine->avail[queue]++;
    write_guest(machine, ring + 2, &machine->avail[queue], sizeof machine->avail[queue]);
}

/* All queues have the same descriptor to be kicked by. */
static void kick(Machine *machine)
{
    guint64 one = 1;

    if (write(machine->event, &one, sizeof one) == sizeof one) {
        run();
    }
}

/* A request in several pieces, and room for an answer. */
static void put_request(Machine *machine, guint queue, const guint8 *bytes, gsize size,
                        guint pieces, guint room)
{
    guint16 head = machine->next_desc[queue];
    guint64 address = DATA_BASE + machine->next_data;
    gsize piece = (size + pieces - 1) / pieces;

    machine->next_data = (machine->next_data + size + room + 63) / 64 * 64 % DATA_SIZE;
    write_guest(machine, address, bytes, size);
    for (gsize at = 0; at < size; at += piece) {
        gboolean is_last = at + piece >= size && room == 0;
        guint16 index = machine->next_desc[queue]++ % RING_SIZE;

        put_desc(machine, queue, index, address + at, (guint32)MIN(piece, size - at),
                 is_last ? 0 : VRING_DESC_F_NEXT, (guint16)((index + 1) % RING_SIZE));
    }
    if (room > 0) {
        put_desc(machine, queue, machine->next_desc[queue]++, address + size, room,
                 VRING_DESC_F_WRITE, 0);
    }
    make_available(machine, queue, head % RING_SIZE);
}

/* ---- what the bytes say ----------------------------------------------------------------- */

static void do_message(Machine *machine)
{
    FuzzBytes *bytes = &machine->bytes;
    guint8 request = fuzz_take_u8(bytes);
    guint8 flags = fuzz_take_u8(bytes);
    gsize size = fuzz_take_u8(bytes);
    guint8 with = fuzz_take_u8(bytes);
    const guint8 *payload = fuzz_take(bytes, &size);
    int fds[9];

    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = with & 0x80 ? machine->event : machine->memory;
    }
    send_message(machine, request, flags, payload, size, fds, (with & 0x7f) % 10);
}

static void do_state(Machine *machine)
{
    static const guint32 requests[] = { SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE,
                                        SET_VRING_ENABLE };
    guint8 what = fuzz_take_u8(&machine->bytes);

    send_state(machine, requests[what % G_N_ELEMENTS(requests)], what >> 6,
               fuzz_take_u16(&machine->bytes));
}

static void do_bytes(Machine *machine)
{
    gsize size = fuzz_take_u8(&machine->bytes);
    const guint8 *raw = fuzz_take(&machine->bytes, &size);

    if (send(machine->connection, raw, size, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
        run();
        drain(machine);
    }
}

static void do_write(Machine *machine)
{
    guint64 address = fuzz_take_u16(&machine->bytes) * 16u;
    gsize size = fuzz_take_u8(&machine->bytes);
    const guint8 *raw = fuzz_take(&machine->bytes, &size);

    write_guest(machine, address, raw, size);
}

static void do_descriptor(Machine *machine)
{
    static const guint64 bases[] = { 0, DATA_BASE, LOW_SIZE - 64, HIGH_BASE, G_MAXUINT64 - 64 };
    FuzzBytes *bytes = &machine->bytes;
    guint queue = take_queue(machine);
    guint8 index = fuzz_take_u8(bytes);
    guint64 address = bases[fuzz_take_u8(bytes) % G_N_ELEMENTS(bases)];
    guint32 length;

    address += fuzz_take_u16(bytes);
    length = fuzz_take_u16(bytes);
    put_desc(machine, queue, index, address, length & 0x8000 ? ~length : length,
             fuzz_take_u8(bytes), fuzz_take_u8(bytes));
}

static void do_request(Machine *machine)
{
    FuzzBytes *bytes = &machine->bytes;
    guint queue = take_queue(machine);
    guint8 shape = fuzz_take_u8(bytes);
    gsize size = fuzz_take_u8(bytes);
    const guint8 *request = fuzz_take(bytes, &size);

    put_request(machine, queue, request, size, 1 + shape % 4, (shape >> 2 & 0x1f) * 16);
    if (shape & 0x80) {
        kick(machine);
    }
}

static void do_available(Machine *machine)
{
    guint queue = take_queue(machine);

    make_available(machine, queue, fuzz_take_u8(&machine->bytes));
}

static void do_cut(Machine *machine)
{
    if (machine->begin & BEGIN_SHRINKABLE &&
        ftruncate(machine->memory, fuzz_take_u8(&machine->bytes) * 4096) != 0) {
        abort();
    }
}

static void do_reconnect(Machine *machine)
{
    hang_up(machine);
    connect_device(machine);
}

static void do_act(Machine *machine)
{
    machine->target->act(machine->device, &machine->bytes);
}

static void do_run(Machine *machine)
{
    run();
}

static void follow(Machine *machine)
{
    static void (*const steps[])(Machine * machine) = {
        do_message,   do_state, do_bytes, do_write,     do_descriptor, do_request,
        do_available, do_act,   do_cut,   do_reconnect, do_run,
    };

    while (machine->bytes.at < machine->bytes.end) {
        guint8 step = fuzz_take_u8(&machine->bytes);

        if (step & 0x80) {
            kick(machine);
        }
        steps[(step & 0x7f) % G_N_ELEMENTS(steps)](machine);
    }
    run();
}

/* ---- one run ---------------------------------------------------------------------------- */

static GLogWriterOutput write_log(GLogLevelFlags level, const GLogField *fields, gsize n_fields,
                                  gpointer data)
{
    if (level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR)) {
        g_log_writer_default(level, fields, n_fields, data);
        abort();
    }
    return G_LOG_WRITER_HANDLED; /* warnings are what a hostile guest gets */
}

static char *folder;

static void remove_folder(void)
{
    rmdir(folder);
}

static const char *get_path(void)
{
    static char *path;

    if (path == NULL) {
        g_log_set_writer_func(write_log, NULL, NULL);
        folder = g_dir_make_tmp("scancast-fuzz-XXXXXX", NULL);
        path = g_build_filename(folder, "vm.sock", NULL);
        atexit(remove_folder);
        run(); /* the main context has a descriptor of its own */
    }
    return path;
}

static guint count_fds(void)
{
    guint n = 0;

    for (int fd = 0; fd < MAX_FDS; fd++) {
        n += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return n;
}

int fuzz_run(const FuzzTarget *target, const guint8 *data, gsize size)
{
    Machine machine = { .target = target, .bytes = { data, data + size }, .path = get_path() };
    guint fds = count_fds();

    g_assert(target->n_queues <= MAX_QUEUES);
    machine.begin = fuzz_take_u8(&machine.bytes);
    machine.memory = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    machine.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ftruncate(machine.memory, LOW_SIZE + HIGH_SIZE) != 0 ||
        (!(machine.begin & BEGIN_SHRINKABLE) &&
         fcntl(machine.memory, F_ADD_SEALS, F_SEAL_SHRINK) != 0)) {
        abort();
    }
    machine.device = target->new (machine.path);
    connect_device(&machine);
    follow(&machine);
    hang_up(&machine);
    target->free(machine.device);
    run();
    close(machine.event);
    close(machine.memory);
    if (count_fds() != fds) {
        abort();
    }
    return 0;
}
