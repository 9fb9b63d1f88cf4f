/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/vhost-user-impl.h"

#include "capture/error.h"

#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Requests and bits of docs/interop/vhost-user.rst. */
enum {
    GET_FEATURES = 1,
    SET_FEATURES = 2,
    SET_OWNER = 3,
    RESET_OWNER = 4,
    SET_MEM_TABLE = 5,
    SET_VRING_NUM = 8,
    SET_VRING_ADDR = 9,
    SET_VRING_BASE = 10,
    GET_VRING_BASE = 11,
    SET_VRING_KICK = 12,
    SET_VRING_CALL = 13,
    SET_VRING_ERR = 14,
    GET_PROTOCOL_FEATURES = 15,
    SET_PROTOCOL_FEATURES = 16,
    GET_QUEUE_NUM = 17,
    SET_VRING_ENABLE = 18,
    SET_BACKEND_REQ_FD = 21,
    GET_CONFIG = 24,
    SET_CONFIG = 25,
    GPU_SET_SOCKET = 33,
    RESET_DEVICE = 34,
    GET_MAX_MEM_SLOTS = 36,
    ADD_MEM_REG = 37,
    REM_MEM_REG = 38,
};

enum {
    PROTOCOL_MQ = 1 << 0,
    PROTOCOL_REPLY_ACK = 1 << 3,
    PROTOCOL_BACKEND_REQ = 1 << 5,
    PROTOCOL_CONFIG = 1 << 9,
    PROTOCOL_RESET_DEVICE = 1 << 13,
    PROTOCOL_MEM_SLOTS = 1 << 15,
};

#define PROTOCOL_FEATURES                                                                          \
    (PROTOCOL_MQ | PROTOCOL_REPLY_ACK | PROTOCOL_BACKEND_REQ | PROTOCOL_CONFIG |                   \
     PROTOCOL_RESET_DEVICE | PROTOCOL_MEM_SLOTS)

#define VRING_INDEX_MASK 0xff
#define VRING_NO_FD 0x100

#define MAX_TABLE_REGIONS 8 /* of one SET_MEM_TABLE */

typedef struct {
    guint32 index, value;
} VringState;

typedef struct {
    guint32 index, flags;
    guint64 desc, used, avail, log;
} VringAddress;

typedef struct {
    guint64 guest_address, size, user_address, file_offset;
} MemoryRegion;

typedef struct {
    guint32 n, padding;
    MemoryRegion regions[MAX_TABLE_REGIONS];
} MemoryTable;

typedef struct {
    guint64 padding;
    MemoryRegion region;
} OneRegion;

typedef struct {
    guint32 offset, size, flags;
    guint8 bytes[SC_VHOST_MAX_CONFIG];
} Config;

/* What a message is too short for is zero. */
static void get_payload(const ScVhostMessage *message, gpointer to, gsize size)
{
    memcpy(to, message->payload, size);
}

static guint64 get_u64(const ScVhostMessage *message)
{
    return message->payload[0];
}

static void remap_queues(ScVhostUser *vhost)
{
    for (guint i = 0; i < vhost->device->n_queues; i++) {
        sc_virtqueue_remap(vhost->queues[i].ring);
    }
}

static ScVhostQueue *find_queue(ScVhostUser *vhost, guint64 index, GError **error)
{
    if (index >= vhost->device->n_queues) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "there is no queue %" G_GUINT64_FORMAT,
                    index);
        return NULL;
    }
    return &vhost->queues[index];
}

static guint64 get_offered_features(const ScVhostUser *vhost)
{
    return vhost->device->features | SC_VHOST_F_PROTOCOL_FEATURES |
           G_GUINT64_CONSTANT(1) << VIRTIO_F_VERSION_1 |
           G_GUINT64_CONSTANT(1) << VIRTIO_RING_F_INDIRECT_DESC |
           G_GUINT64_CONSTANT(1) << VIRTIO_RING_F_EVENT_IDX;
}

static gboolean set_features(ScVhostUser *vhost, guint64 features, GError **error)
{
    /* QEMU settles some features with the guest whatever we offered. These change the rings. */
    guint64 refused = features & (G_GUINT64_CONSTANT(1) << VIRTIO_F_RING_PACKED |
                                  G_GUINT64_CONSTANT(1) << VIRTIO_F_ACCESS_PLATFORM);

    if (refused != 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "features 0x%" G_GINT64_MODIFIER "x were not offered", refused);
        return FALSE;
    }
    vhost->features = features;
    for (guint i = 0; i < vhost->device->n_queues; i++) {
        sc_virtqueue_set_event_idx(vhost->queues[i].ring,
                                   sc_vhost_user_has_feature(vhost, VIRTIO_RING_F_EVENT_IDX));
    }
    return TRUE;
}

static ScGuestRegionInfo to_info(const MemoryRegion *region)
{
    return (ScGuestRegionInfo){ region->guest_address, region->size, region->user_address,
                                region->file_offset };
}

static gboolean set_mem_table(ScVhostUser *vhost, ScVhostMessage *message, GError **error)
{
    MemoryTable table;
    ScGuestRegionInfo infos[MAX_TABLE_REGIONS];
    int fds[MAX_TABLE_REGIONS];
    gboolean good;

    get_payload(message, &table, sizeof table);
    if (table.n > MAX_TABLE_REGIONS || table.n != message->n_fds) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "%u regions of memory with %u descriptors",
                    table.n, message->n_fds);
        return FALSE;
    }
    for (guint i = 0; i < table.n; i++) {
        infos[i] = to_info(&table.regions[i]);
        fds[i] = sc_vhost_message_take_fd(message, i);
    }
    good = sc_guest_memory_set(vhost->memory, infos, fds, table.n, error);
    remap_queues(vhost);
    return good;
}

static ScGuestRegionInfo get_region(const ScVhostMessage *message)
{
    OneRegion one;

    get_payload(message, &one, sizeof one);
    return to_info(&one.region);
}

static gboolean add_mem_reg(ScVhostUser *vhost, ScVhostMessage *message, GError **error)
{
    ScGuestRegionInfo info = get_region(message);
    gboolean good =
        sc_guest_memory_add(vhost->memory, &info, sc_vhost_message_take_fd(message, 0), error);

    remap_queues(vhost);
    return good;
}

static gboolean rem_mem_reg(ScVhostUser *vhost, ScVhostMessage *message, GError **error)
{
    ScGuestRegionInfo info = get_region(message);
    gboolean good = sc_guest_memory_remove(vhost->memory, &info, error);

    remap_queues(vhost);
    return good;
}

/* A driver that goes on (after a pause) begins where it was stopped; any other has just begun. */
static void set_base(ScVhostQueue *queue, guint32 base)
{
    ScVhostUser *vhost = queue->vhost;

    if (queue->index == 0 && base != queue->stopped_at) {
        vhost->device->reset(vhost->data);
    }
    sc_virtqueue_set_base(queue->ring, (guint16)base);
}

static gboolean set_vring_state(ScVhostUser *vhost, const ScVhostMessage *message, GError **error)
{
    VringState state;
    ScVhostQueue *queue;

    get_payload(message, &state, sizeof state);
    queue = find_queue(vhost, state.index, error);
    if (queue == NULL) {
        return FALSE;
    }
    switch (message->header.request) {
    case SET_VRING_NUM:
        if (!sc_virtqueue_set_size(queue->ring, state.value)) {
            g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "a ring of %u entries", state.value);
            return FALSE;
        }
        break;
    case SET_VRING_BASE:
        set_base(queue, state.value);
        break;
    default: /* SET_VRING_ENABLE */
        sc_virtqueue_set_enabled(queue->ring, state.value != 0);
        if (queue->kick_fd >= 0) {
            sc_timer_set_after(queue->again, 0);
        }
        break;
    }
    return TRUE;
}

static gboolean set_vring_addr(ScVhostUser *vhost, const ScVhostMessage *message, GError **error)
{
    VringAddress address;
    ScVhostQueue *queue;

    get_payload(message, &address, sizeof address);
    queue = find_queue(vhost, address.index, error);
    if (queue == NULL) {
        return FALSE;
    }
    if (!sc_virtqueue_set_rings(queue->ring, address.desc, address.avail, address.used)) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "the rings of queue %u are not in the guest's memory, or not aligned",
                    address.index);
        return FALSE;
    }
    return TRUE;
}

/* What we write to and read from must not be able to stop us. */
static void make_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0) {
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }
}

/* The descriptor of an event, -1 for none. A file, or a device such as /dev/zero, would be readable
 * for long or for ever and keep us busy; what is neither has no type, or is a pipe or a socket. */
static gboolean take_event(ScVhostMessage *message, int *fd, GError **error)
{
    struct stat info;

    *fd = (get_u64(message) & VRING_NO_FD) == 0 ? sc_vhost_message_take_fd(message, 0) : -1;
    if (*fd < 0) {
        return TRUE;
    }
    if (fstat(*fd, &info) != 0 || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode) ||
        S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "a file in the place of an eventfd");
        sc_vhost_close(fd);
        return FALSE;
    }
    make_nonblocking(*fd);
    return TRUE;
}

static gboolean set_vring_fd(ScVhostUser *vhost, ScVhostMessage *message, GError **error)
{
    ScVhostQueue *queue = find_queue(vhost, get_u64(message) & VRING_INDEX_MASK, error);
    int fd;

    if (queue == NULL) {
        return FALSE;
    }
    if (message->header.request == SET_VRING_ERR) {
        return TRUE; /* errors are the guest's own, and it is told in its commands' answers */
    }
    if (!take_event(message, &fd, error)) {
        return FALSE;
    }
    if (message->header.request == SET_VRING_CALL) {
        sc_virtqueue_set_call(queue->ring, fd);
        return TRUE;
    }
    if (fd < 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "a queue without a kick descriptor");
        return FALSE;
    }
    if ((vhost->features & SC_VHOST_F_PROTOCOL_FEATURES) == 0) {
        sc_virtqueue_set_enabled(queue->ring, TRUE);
    }
    sc_vhost_queue_set_kick(queue, fd);
    return TRUE;
}

static gboolean get_vring_base(ScVhostUser *vhost, const ScVhostMessage *message, GError **error)
{
    VringState state;
    ScVhostQueue *queue;

    get_payload(message, &state, sizeof state);
    queue = find_queue(vhost, state.index, error);
    if (queue == NULL) {
        return FALSE;
    }
    sc_vhost_queue_stop(queue, FALSE);
    state.value = queue->stopped_at;
    return sc_vhost_channel_reply(vhost->channel, message, &state, sizeof state);
}

static gboolean check_config(const ScVhostUser *vhost, const Config *config, GError **error)
{
    guint size = vhost->device->config_size;

    if (config->offset > size || config->size > size - config->offset) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "%u bytes at %u of a configuration space of %u bytes", config->size,
                    config->offset, size);
        return FALSE;
    }
    return TRUE;
}

/* VMMs ask for what they take for the whole space, which may be larger than what we know of it. */
static gboolean get_config(ScVhostUser *vhost, const ScVhostMessage *message)
{
    guint8 space[2 * SC_VHOST_MAX_CONFIG] = { 0 };
    Config config;

    get_payload(message, &config, sizeof config);
    if (config.offset > SC_VHOST_MAX_CONFIG || config.size > SC_VHOST_MAX_CONFIG) {
        return sc_vhost_channel_reply(vhost->channel, message, NULL, 0); /* refuses */
    }
    vhost->device->get_config(space, vhost->data);
    memcpy(config.bytes, space + config.offset, config.size);
    return sc_vhost_channel_reply(vhost->channel, message, &config,
                                  G_STRUCT_OFFSET(Config, bytes) + config.size);
}

static gboolean set_config(ScVhostUser *vhost, const ScVhostMessage *message, GError **error)
{
    Config config;

    get_payload(message, &config, sizeof config);
    if (!check_config(vhost, &config, error)) {
        return FALSE;
    }
    vhost->device->set_config(config.offset, config.bytes, config.size, vhost->data);
    return TRUE;
}

static gboolean reply_u64(ScVhostUser *vhost, const ScVhostMessage *message, guint64 value)
{
    return sc_vhost_channel_reply(vhost->channel, message, &value, sizeof value);
}

/* Requests that are questions. FALSE: it is none of them. @sent: whether the answer got out. */
static gboolean answer(ScVhostUser *vhost, const ScVhostMessage *message, gboolean *sent,
                       GError **error)
{
    switch (message->header.request) {
    case GET_FEATURES:
        *sent = reply_u64(vhost, message, get_offered_features(vhost));
        return TRUE;
    case GET_PROTOCOL_FEATURES:
        *sent = reply_u64(vhost, message, PROTOCOL_FEATURES);
        return TRUE;
    case GET_QUEUE_NUM:
        *sent = reply_u64(vhost, message, vhost->device->n_queues);
        return TRUE;
    case GET_MAX_MEM_SLOTS:
        *sent = reply_u64(vhost, message, SC_GUEST_MEMORY_MAX_REGIONS);
        return TRUE;
    case GET_CONFIG:
        *sent = get_config(vhost, message);
        return TRUE;
    case GET_VRING_BASE:
        *sent = get_vring_base(vhost, message, error);
        return TRUE;
    default:
        return FALSE;
    }
}

/* All others. FALSE: it failed, and why. */
static gboolean carry_out(ScVhostUser *vhost, ScVhostMessage *message, GError **error)
{
    switch (message->header.request) {
    case SET_OWNER:
        return TRUE;
    case SET_FEATURES:
        return set_features(vhost, get_u64(message), error);
    case SET_PROTOCOL_FEATURES:
        vhost->protocol_features = get_u64(message);
        return TRUE;
    case SET_MEM_TABLE:
        return set_mem_table(vhost, message, error);
    case ADD_MEM_REG:
        return add_mem_reg(vhost, message, error);
    case REM_MEM_REG:
        return rem_mem_reg(vhost, message, error);
    case SET_VRING_NUM:
    case SET_VRING_BASE:
    case SET_VRING_ENABLE:
        return set_vring_state(vhost, message, error);
    case SET_VRING_ADDR:
        return set_vring_addr(vhost, message, error);
    case SET_VRING_KICK:
    case SET_VRING_CALL:
    case SET_VRING_ERR:
        return set_vring_fd(vhost, message, error);
    case SET_CONFIG:
        return set_config(vhost, message, error);
    case SET_BACKEND_REQ_FD:
        sc_vhost_close(&vhost->backend_fd);
        vhost->backend_fd = sc_vhost_message_take_fd(message, 0);
        return TRUE;
    case GPU_SET_SOCKET:
        /* Kept open, as its VMM wants it; no answer may be awaited there, and none is needed. */
        sc_vhost_close(&vhost->gpu_fd);
        vhost->gpu_fd = sc_vhost_message_take_fd(message, 0);
        return TRUE;
    case RESET_DEVICE:
    case RESET_OWNER:
        sc_vhost_user_reset(vhost);
        return TRUE;
    default:
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "request %u is not known",
                    message->header.request);
        return FALSE;
    }
}

gboolean sc_vhost_user_handle(ScVhostUser *vhost, ScVhostMessage *message, GError **error)
{
    gboolean wants_reply = (message->header.flags & SC_VHOST_NEED_REPLY) != 0 &&
                           (vhost->protocol_features & PROTOCOL_REPLY_ACK) != 0;
    g_autoptr(GError) failure = NULL;
    gboolean sent = TRUE;

    if (!answer(vhost, message, &sent, &failure)) {
        gboolean good = carry_out(vhost, message, &failure);

        if (wants_reply) {
            sent = reply_u64(vhost, message, good ? 0 : 1);
        }
        if (g_error_matches(failure, SC_ERROR, SC_ERROR_UNSUPPORTED) || (!good && wants_reply)) {
            g_info("the VMM is refused: %s", failure->message);
            g_clear_error(&failure);
        }
    }
    if (failure != NULL) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return FALSE;
    }
    if (!sent) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "it does not read its answers");
    }
    return sent;
}
