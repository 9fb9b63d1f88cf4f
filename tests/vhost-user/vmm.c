/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/vhost-user/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEADLINE_US (60 * G_USEC_PER_SEC)

/* CONFIG, BACKEND_REQ, REPLY_ACK, MQ, RESET_DEVICE, CONFIGURE_MEM_SLOTS */
#define PROTOCOL_FEATURES (1 << 0 | 1 << 3 | 1 << 5 | 1 << 9 | 1 << 13 | 1 << 15)
#define F_PROTOCOL_FEATURES (G_GUINT64_CONSTANT(1) << 30)
#define F_VERSION_1 (G_GUINT64_CONSTANT(1) << 32)

/* Where the rings are: behind them is free memory. */
#define RINGS_BASE 0x10000
#define RINGS_STRIDE 0x10000
#define FREE_BASE 0x100000

typedef struct {
    guint32 request, flags, size;
} Header;

/* ---- waiting ---------------------------------------------------------------------------- */

void vmm_settle(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static gboolean on_timeout(gpointer data)
{
    *(gboolean *)data = TRUE;
    return G_SOURCE_REMOVE;
}

void vmm_run(guint milliseconds)
{
    gboolean done = FALSE;

    g_timeout_add(milliseconds, on_timeout, &done);
    while (!done) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void wait_readable(int fd)
{
    gint64 end = g_get_monotonic_time() + DEADLINE_US;
    struct pollfd state = { .fd = fd, .events = POLLIN };

    do {
        g_main_context_iteration(NULL, FALSE);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    } while (poll(&state, 1, 0) == 0);
}

int vmm_next_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    return fd;
}

guint vmm_count_fds(void)
{
    g_autoptr(GDir) folder = g_dir_open("/proc/self/fd", 0, NULL);
    guint n = 0;

    while (g_dir_read_name(folder) != NULL) {
        n++;
    }
    return n - 1; /* that of the folder */
}

/* ---- memory ----------------------------------------------------------------------------- */

VmmRegion vmm_get_region(guint index)
{
    return index == 0 ? (VmmRegion){ 0, VMM_LOW_SIZE, VMM_USER_BASE, 0 }
                      : (VmmRegion){ VMM_HIGH_BASE, VMM_HIGH_SIZE, VMM_HIGH_USER, VMM_LOW_SIZE };
}

guint64 vmm_alloc(Vmm *vmm, gsize size, gsize align)
{
    guint64 address = (vmm->next_free + align - 1) / align * align;

    if (address < VMM_HIGH_BASE && address + size > VMM_LOW_SIZE) {
        address = VMM_HIGH_BASE;
    }
    vmm->next_free = address + size;
    g_assert_cmpuint(vmm->next_free, <=, VMM_HIGH_BASE + VMM_HIGH_SIZE);
    return address;
}

gpointer vmm_at(Vmm *vmm, guint64 address)
{
    return vmm->memory +
           (address < VMM_HIGH_BASE ? address : address - VMM_HIGH_BASE + VMM_LOW_SIZE);
}

/* ---- the connection --------------------------------------------------------------------- */

Vmm *vmm_new(const char *path, int seals)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    Vmm *vmm = g_new0(Vmm, 1);

    vmm->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(name.sun_path, path);
    g_assert_cmpint(connect(vmm->fd, (struct sockaddr *)&name, sizeof name), ==, 0);
    vmm->backend = -1;
    vmm->memfd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    g_assert_cmpint(ftruncate(vmm->memfd, VMM_LOW_SIZE + VMM_HIGH_SIZE), ==, 0);
    g_assert_cmpint(fcntl(vmm->memfd, F_ADD_SEALS, seals), ==, 0);
    vmm->memory =
        mmap(NULL, VMM_LOW_SIZE + VMM_HIGH_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, vmm->memfd, 0);
    g_assert_true(vmm->memory != MAP_FAILED);
    vmm->next_free = FREE_BASE;
    for (guint i = 0; i < VMM_QUEUES; i++) {
        vmm->queues[i].kick = vmm->queues[i].call = -1;
    }
    return vmm;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

void vmm_free(Vmm *vmm)
{
    close_fd(&vmm->fd);
    close_fd(&vmm->backend);
    close_fd(&vmm->memfd);
    for (guint i = 0; i < VMM_QUEUES; i++) {
        close_fd(&vmm->queues[i].kick);
        close_fd(&vmm->queues[i].call);
    }
    munmap(vmm->memory, VMM_LOW_SIZE + VMM_HIGH_SIZE);
    g_free(vmm);
}

void vmm_send(Vmm *vmm, guint32 request, guint32 flags, gconstpointer payload, gsize size,
              const int *fds, guint n_fds)
{
    Header header = { request, 1 | flags, (guint32)size };
    char control[CMSG_SPACE(16 * sizeof(int))] = { 0 };
    struct iovec io[2] = { { &header, sizeof header }, { (gpointer)payload, size } };
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
    /* Fails if the device has hung up, which the next answer shows. */
    if (sendmsg(vmm->fd, &message, MSG_NOSIGNAL) < 0) {
        g_assert_true(errno == EPIPE || errno == ECONNRESET);
    }
}

gssize vmm_receive(Vmm *vmm, guint32 request, gpointer payload, gsize size)
{
    Header header;

    wait_readable(vmm->fd);
    if (recv(vmm->fd, &header, sizeof header, MSG_WAITALL) != sizeof header) {
        return -1;
    }
    g_assert_cmpuint(header.request, ==, request);
    g_assert_cmpuint(header.flags, ==, 1 | 4);
    g_assert_cmpuint(header.size, <=, size);
    if (header.size > 0) {
        g_assert_cmpint(recv(vmm->fd, payload, header.size, MSG_WAITALL), ==, header.size);
    }
    return header.size;
}

guint64 vmm_ask_u64(Vmm *vmm, guint32 request)
{
    guint64 value;

    vmm_send(vmm, request, 0, NULL, 0, NULL, 0);
    g_assert_cmpint(vmm_receive(vmm, request, &value, sizeof value), ==, sizeof value);
    return value;
}

guint64 vmm_order(Vmm *vmm, guint32 request, gconstpointer payload, gsize size, const int *fds,
                  guint n_fds)
{
    guint64 verdict;

    vmm_send(vmm, request, VMM_NEED_REPLY, payload, size, fds, n_fds);
    return vmm_receive(vmm, request, &verdict, sizeof verdict) == sizeof verdict ? verdict
                                                                                 : G_MAXUINT64;
}

guint64 vmm_order_state(Vmm *vmm, guint32 request, guint32 index, guint32 value)
{
    guint32 state[2] = { index, value };

    return vmm_order(vmm, request, state, sizeof state, NULL, 0);
}

guint64 vmm_set_memory(Vmm *vmm)
{
    struct {
        guint32 n, padding;
        VmmRegion regions[VMM_REGIONS];
    } table = { .n = VMM_REGIONS };
    int fds[VMM_REGIONS];

    for (guint i = 0; i < VMM_REGIONS; i++) {
        table.regions[i] = vmm_get_region(i);
        fds[i] = vmm->memfd;
    }
    return vmm_order(vmm, VMM_SET_MEM_TABLE, &table, sizeof table, fds, VMM_REGIONS);
}

gboolean vmm_is_hung_up(Vmm *vmm)
{
    struct pollfd state = { .fd = vmm->fd, .events = POLLRDHUP };

    vmm_settle();
    return poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP)) != 0;
}

/* ---- queues ----------------------------------------------------------------------------- */

static void lay_out(Vmm *vmm, guint index)
{
    VmmQueue *queue = &vmm->queues[index];

    queue->desc_address = RINGS_BASE + index * RINGS_STRIDE;
    queue->desc = vmm_at(vmm, queue->desc_address);
    queue->avail = (gpointer)(queue->desc + VMM_RING_SIZE);
    queue->used = (gpointer)((guint8 *)queue->desc + RINGS_STRIDE / 2);
}

static void set_fd(Vmm *vmm, guint32 request, guint index, int *fd)
{
    guint64 payload = index;

    close_fd(fd);
    *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g_assert_cmpuint(vmm_order(vmm, request, &payload, sizeof payload, fd, 1), ==, 0);
}

/* @base 0: a driver that begins, with empty rings. */
void vmm_start_queue(Vmm *vmm, guint index, guint32 base)
{
    VmmQueue *queue = &vmm->queues[index];
    struct {
        guint32 index, flags;
        guint64 desc, used, avail, log;
    } address = { .index = index };

    lay_out(vmm, index);
    if (base == 0) {
        memset(queue->desc, 0, RINGS_STRIDE);
        queue->seen_used = queue->next_desc = 0;
    }
    address.desc = VMM_USER_BASE + queue->desc_address;
    address.avail = address.desc + VMM_RING_SIZE * sizeof(struct vring_desc);
    address.used = address.desc + RINGS_STRIDE / 2;
    g_assert_cmpuint(vmm_order_state(vmm, VMM_SET_VRING_NUM, index, VMM_RING_SIZE), ==, 0);
    g_assert_cmpuint(vmm_order_state(vmm, VMM_SET_VRING_BASE, index, base), ==, 0);
    g_assert_cmpuint(vmm_order(vmm, VMM_SET_VRING_ADDR, &address, sizeof address, NULL, 0), ==, 0);
    set_fd(vmm, VMM_SET_VRING_KICK, index, &queue->kick);
    set_fd(vmm, VMM_SET_VRING_CALL, index, &queue->call);
    g_assert_cmpuint(vmm_order_state(vmm, VMM_SET_VRING_ENABLE, index, 1), ==, 0);
}

guint32 vmm_stop_queue(Vmm *vmm, guint index)
{
    guint32 state[2] = { index, 0 };

    vmm_send(vmm, VMM_GET_VRING_BASE, 0, state, sizeof state, NULL, 0);
    g_assert_cmpint(vmm_receive(vmm, VMM_GET_VRING_BASE, state, sizeof state), ==, sizeof state);
    g_assert_cmpuint(state[0], ==, index);
    return state[1];
}

void vmm_start(Vmm *vmm, guint64 features)
{
    guint64 protocol = PROTOCOL_FEATURES;
    int pair[2];

    g_assert_cmphex(vmm_ask_u64(vmm, VMM_GET_FEATURES) & (features | F_VERSION_1), ==,
                    features | F_VERSION_1);
    g_assert_cmphex(vmm_ask_u64(vmm, VMM_GET_PROTOCOL_FEATURES) & protocol, ==, protocol);
    vmm_send(vmm, VMM_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof protocol, NULL, 0);
    vmm->features = features | F_VERSION_1 | F_PROTOCOL_FEATURES;
    vmm->event_idx = (features >> VIRTIO_RING_F_EVENT_IDX & 1) != 0;
    g_assert_cmpuint(vmm_order(vmm, VMM_SET_OWNER, NULL, 0, NULL, 0), ==, 0);
    g_assert_cmpuint(
        vmm_order(vmm, VMM_SET_FEATURES, &vmm->features, sizeof vmm->features, NULL, 0), ==, 0);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    g_assert_cmpuint(vmm_order(vmm, VMM_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1), ==, 0);
    close(pair[1]);
    vmm->backend = pair[0];
    g_assert_cmpuint(vmm_set_memory(vmm), ==, 0);
    for (guint i = 0; i < VMM_QUEUES; i++) {
        vmm_start_queue(vmm, i, 0);
    }
}

/* ---- rings ------------------------------------------------------------------------------ */

void vmm_add_head(Vmm *vmm, guint index, guint16 head)
{
    VmmQueue *queue = &vmm->queues[index];

    queue->avail->ring[queue->avail->idx % VMM_RING_SIZE] = head;
    __atomic_store_n(&queue->avail->idx, (guint16)(queue->avail->idx + 1), __ATOMIC_RELEASE);
}

static struct vring_desc to_desc(const VmmSegment *segment, gboolean has_next, guint16 next)
{
    return (struct vring_desc){ .addr = segment->address,
                                .len = segment->length,
                                .flags = (guint16)((segment->to_write ? VRING_DESC_F_WRITE : 0) |
                                                   (has_next ? VRING_DESC_F_NEXT : 0)),
                                .next = next };
}

guint16 vmm_add(Vmm *vmm, guint index, const VmmSegment *segments, guint n)
{
    VmmQueue *queue = &vmm->queues[index];
    guint16 head = queue->next_desc;

    for (guint i = 0; i < n; i++) {
        guint16 at = queue->next_desc;

        queue->next_desc = (guint16)((at + 1) % VMM_RING_SIZE);
        queue->desc[at] = to_desc(&segments[i], i + 1 < n, queue->next_desc);
    }
    vmm_add_head(vmm, index, head);
    return head;
}

guint16 vmm_add_indirect(Vmm *vmm, guint index, const VmmSegment *segments, guint n)
{
    VmmQueue *queue = &vmm->queues[index];
    guint64 table = vmm_alloc(vmm, n * sizeof(struct vring_desc), 16);
    struct vring_desc *desc = vmm_at(vmm, table);
    guint16 head = queue->next_desc;

    for (guint i = 0; i < n; i++) {
        desc[i] = to_desc(&segments[i], i + 1 < n, (guint16)(i + 1));
    }
    queue->next_desc = (guint16)((head + 1) % VMM_RING_SIZE);
    queue->desc[head] = (struct vring_desc){ .addr = table,
                                             .len = (guint32)(n * sizeof(struct vring_desc)),
                                             .flags = VRING_DESC_F_INDIRECT };
    vmm_add_head(vmm, index, head);
    return head;
}

void vmm_kick(Vmm *vmm, guint index)
{
    guint64 one = 1;

    g_assert_cmpint(write(vmm->queues[index].kick, &one, sizeof one), ==, sizeof one);
}

guint vmm_count_used(Vmm *vmm, guint index)
{
    VmmQueue *queue = &vmm->queues[index];

    return (guint16)(__atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE) - queue->seen_used);
}

struct vring_used_elem vmm_wait_used(Vmm *vmm, guint index, guint n)
{
    VmmQueue *queue = &vmm->queues[index];
    gint64 end = g_get_monotonic_time() + DEADLINE_US;

    while (vmm_count_used(vmm, index) < n) {
        g_main_context_iteration(NULL, FALSE);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    queue->seen_used = (guint16)(queue->seen_used + n);
    if (vmm->event_idx) {
        queue->avail->ring[VMM_RING_SIZE] = queue->seen_used;
    }
    return queue->used->ring[(guint16)(queue->seen_used - 1) % VMM_RING_SIZE];
}

guint vmm_take_interrupts(Vmm *vmm, guint index)
{
    guint64 count = 0;

    vmm_settle();
    if (read(vmm->queues[index].call, &count, sizeof count) < 0) {
        g_assert_cmpint(errno, ==, EAGAIN);
    }
    return (guint)count;
}
