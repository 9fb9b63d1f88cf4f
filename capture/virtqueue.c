/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/virtqueue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

/* As the rings are laid out by the driver; words are little-endian. */
G_STATIC_ASSERT(G_BYTE_ORDER == G_LITTLE_ENDIAN);

struct ScVirtqueue {
    ScGuestMemory *memory;
    guint32 size; /* 0: not set up */
    guint64 desc_address, avail_address, used_address;
    struct vring_desc *desc; /* NULL: not in memory */
    struct vring_avail *avail;
    struct vring_used *used;
    gboolean enabled, broken;
    gboolean has_event_idx;
    int call_fd;

    guint16 last_avail; /* the next one to pop */
    guint16 last_used;  /* the next one to push */
    guint16 told_used;  /* what the guest was interrupted for */
    guint64 calls;
    gboolean has_complained;
};

/* A chain while it is read. */
typedef struct {
    GArray *out, *in; /* ScVirtqueueSegment */
    gsize out_size, in_size;
    const char *flaw; /* NULL: none */
} Chain;

ScVirtqueue *sc_virtqueue_new(ScGuestMemory *memory)
{
    ScVirtqueue *queue = g_new0(ScVirtqueue, 1);

    queue->memory = memory;
    queue->call_fd = -1;
    return queue;
}

void sc_virtqueue_free(ScVirtqueue *queue)
{
    if (queue == NULL) {
        return;
    }
    sc_virtqueue_set_call(queue, -1);
    g_free(queue);
}

/* ---- setting up ------------------------------------------------------------------------- */

gboolean sc_virtqueue_set_size(ScVirtqueue *queue, guint32 size)
{
    if (size == 0 || size > SC_VIRTQUEUE_MAX_SIZE || (size & (size - 1)) != 0) {
        return FALSE;
    }
    queue->size = size;
    sc_virtqueue_remap(queue);
    return TRUE;
}

/* Both rings end with the index of the other side's event. */
void sc_virtqueue_remap(ScVirtqueue *queue)
{
    gsize avail_size = sizeof(struct vring_avail) + (queue->size + 1) * sizeof(guint16);
    gsize used_size =
        sizeof(struct vring_used) + queue->size * sizeof(struct vring_used_elem) + sizeof(guint16);

    queue->desc = NULL;
    queue->avail = NULL;
    queue->used = NULL;
    if (queue->size > 0) {
        queue->desc = (struct vring_desc *)sc_guest_memory_find_user(
            queue->memory, queue->desc_address, queue->size * sizeof(struct vring_desc));
        queue->avail = (struct vring_avail *)sc_guest_memory_find_user(
            queue->memory, queue->avail_address, avail_size);
        queue->used = (struct vring_used *)sc_guest_memory_find_user(
            queue->memory, queue->used_address, used_size);
    }
}

static gboolean has_rings(const ScVirtqueue *queue)
{
    return queue->desc != NULL && queue->avail != NULL && queue->used != NULL;
}

gboolean sc_virtqueue_set_rings(ScVirtqueue *queue, guint64 desc, guint64 avail, guint64 used)
{
    /* Our pointers need what the guest's addresses must be by the specification. */
    if (desc % VRING_DESC_ALIGN_SIZE != 0 || avail % VRING_AVAIL_ALIGN_SIZE != 0 ||
        used % VRING_USED_ALIGN_SIZE != 0) {
        return FALSE;
    }
    queue->desc_address = desc;
    queue->avail_address = avail;
    queue->used_address = used;
    sc_virtqueue_remap(queue);
    if (!has_rings(queue) || GPOINTER_TO_SIZE(queue->desc) % VRING_DESC_ALIGN_SIZE != 0 ||
        GPOINTER_TO_SIZE(queue->avail) % VRING_AVAIL_ALIGN_SIZE != 0 ||
        GPOINTER_TO_SIZE(queue->used) % VRING_USED_ALIGN_SIZE != 0) {
        queue->desc = NULL;
        return FALSE;
    }
    queue->last_used = __atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE);
    queue->told_used = queue->last_used;
    return TRUE;
}

void sc_virtqueue_set_base(ScVirtqueue *queue, guint16 base)
{
    queue->last_avail = base;
}

guint16 sc_virtqueue_get_base(const ScVirtqueue *queue)
{
    return queue->last_avail;
}

void sc_virtqueue_set_event_idx(ScVirtqueue *queue, gboolean has_event_idx)
{
    queue->has_event_idx = has_event_idx;
}

void sc_virtqueue_set_call(ScVirtqueue *queue, int fd)
{
    if (queue->call_fd >= 0) {
        close(queue->call_fd);
    }
    queue->call_fd = fd;
}

void sc_virtqueue_set_enabled(ScVirtqueue *queue, gboolean enabled)
{
    queue->enabled = enabled;
}

void sc_virtqueue_reset(ScVirtqueue *queue)
{
    sc_virtqueue_set_call(queue, -1);
    queue->size = 0;
    queue->desc_address = queue->avail_address = queue->used_address = 0;
    queue->last_avail = queue->last_used = queue->told_used = 0;
    queue->enabled = queue->broken = queue->has_complained = FALSE;
    sc_virtqueue_remap(queue);
}

/* ---- chains ----------------------------------------------------------------------------- */

static void complain(ScVirtqueue *queue, const char *flaw)
{
    if (!queue->has_complained) {
        queue->has_complained = TRUE;
        g_warning("the guest's ring is malformed: %s", flaw);
    }
}

/* Once, whole: the guest may write there meanwhile. */
static struct vring_desc copy_desc(const struct vring_desc *from)
{
    struct vring_desc desc;

    desc.addr = __atomic_load_n(&from->addr, __ATOMIC_RELAXED);
    desc.len = __atomic_load_n(&from->len, __ATOMIC_RELAXED);
    desc.flags = __atomic_load_n(&from->flags, __ATOMIC_RELAXED);
    desc.next = __atomic_load_n(&from->next, __ATOMIC_RELAXED);
    return desc;
}

static void add_segment(Chain *chain, const struct vring_desc *desc)
{
    gboolean is_in = (desc->flags & VRING_DESC_F_WRITE) != 0;
    ScVirtqueueSegment segment = { desc->addr, desc->len };

    if (!is_in && chain->in->len > 0) {
        chain->flaw = "a descriptor to read follows one to write";
    } else if (chain->out->len + chain->in->len >= SC_VIRTQUEUE_MAX_SIZE) {
        chain->flaw = "a chain is too long";
    } else if (is_in) {
        chain->in_size += desc->len; /* at most 2^10 times 2^32 */
        g_array_append_val(chain->in, segment);
    } else {
        chain->out_size += desc->len;
        g_array_append_val(chain->out, segment);
    }
}

/* The descriptors of an indirect table: @address and @length are the guest's. */
static void walk_indirect(const ScVirtqueue *queue, Chain *chain, guint64 address, guint32 length)
{
    struct vring_desc desc;
    guint32 n = length / sizeof desc;
    guint32 index = 0;

    if (n == 0 || length % sizeof desc != 0) {
        chain->flaw = "an indirect table has an impossible size";
        return;
    }
    for (guint32 steps = 0; chain->flaw == NULL; steps++) {
        guint64 at;

        if (steps >= n || index >= n) {
            chain->flaw = "an indirect chain loops, or leaves its table";
        } else if (!g_uint64_checked_add(&at, address, (guint64)index * sizeof desc) ||
                   !sc_guest_memory_read(queue->memory, at, &desc, sizeof desc)) {
            chain->flaw = "an indirect table is outside of memory";
        } else if (desc.flags & VRING_DESC_F_INDIRECT) {
            chain->flaw = "an indirect table in an indirect table";
        } else {
            add_segment(chain, &desc);
            if (!(desc.flags & VRING_DESC_F_NEXT)) {
                return;
            }
            index = desc.next;
        }
    }
}

static void walk_chain(const ScVirtqueue *queue, Chain *chain, guint32 index)
{
    for (guint32 steps = 0; chain->flaw == NULL; steps++) {
        struct vring_desc desc;

        if (steps >= queue->size || index >= queue->size) {
            chain->flaw = "a chain loops, or leaves the ring";
            return;
        }
        desc = copy_desc(&queue->desc[index]);
        if (desc.flags & VRING_DESC_F_INDIRECT) {
            if (desc.flags & VRING_DESC_F_NEXT) {
                chain->flaw = "an indirect descriptor has a next one";
                return;
            }
            walk_indirect(queue, chain, desc.addr, desc.len);
            return;
        }
        add_segment(chain, &desc);
        if (!(desc.flags & VRING_DESC_F_NEXT)) {
            return;
        }
        index = desc.next;
    }
}

static ScVirtqueueElement *chain_to_element(const Chain *chain, guint16 head)
{
    guint n = chain->out->len + chain->in->len;
    ScVirtqueueElement *element = g_malloc(sizeof *element + n * sizeof(ScVirtqueueSegment));

    element->head = head;
    element->n_out = chain->out->len;
    element->n_in = chain->in->len;
    element->out_size = chain->out_size;
    element->in_size = chain->in_size;
    for (guint i = 0; i < n; i++) {
        element->segments[i] =
            i < chain->out->len ? g_array_index(chain->out, ScVirtqueueSegment, i)
                                : g_array_index(chain->in, ScVirtqueueSegment, i - chain->out->len);
    }
    return element;
}

/* NULL: malformed. */
static ScVirtqueueElement *read_chain(ScVirtqueue *queue, guint16 head)
{
    g_autoptr(GArray) out = g_array_new(FALSE, FALSE, sizeof(ScVirtqueueSegment));
    g_autoptr(GArray) in = g_array_new(FALSE, FALSE, sizeof(ScVirtqueueSegment));
    Chain chain = { .out = out, .in = in };

    walk_chain(queue, &chain, head);
    if (chain.flaw != NULL) {
        complain(queue, chain.flaw);
        return NULL;
    }
    return chain_to_element(&chain, head);
}

/* How many entries wait. More than the ring holds is nonsense that cannot be repaired. */
static guint count_available(ScVirtqueue *queue)
{
    guint16 n;

    if (!queue->enabled || queue->broken || !has_rings(queue)) {
        return 0;
    }
    n = (guint16)(__atomic_load_n(&queue->avail->idx, __ATOMIC_ACQUIRE) - queue->last_avail);
    if (n > queue->size) {
        queue->broken = TRUE;
        complain(queue, "more is available than the ring has entries");
        return 0;
    }
    return n;
}

static void push_head(ScVirtqueue *queue, guint16 head, guint32 written)
{
    struct vring_used_elem *entry;

    if (!has_rings(queue)) {
        return;
    }
    entry = &queue->used->ring[queue->last_used % queue->size];
    entry->id = head;
    entry->len = written;
    queue->last_used++;
    __atomic_store_n(&queue->used->idx, queue->last_used, __ATOMIC_RELEASE);
}

ScVirtqueueElement *sc_virtqueue_pop(ScVirtqueue *queue)
{
    ScVirtqueueElement *element = NULL;

    for (guint left = count_available(queue); left > 0 && element == NULL; left--) {
        guint16 head =
            __atomic_load_n(&queue->avail->ring[queue->last_avail % queue->size], __ATOMIC_RELAXED);

        queue->last_avail++;
        element = read_chain(queue, head);
        if (element == NULL) {
            push_head(queue, head, 0);
        }
    }
    return element;
}

gboolean sc_virtqueue_wait(ScVirtqueue *queue)
{
    if (count_available(queue) > 0) {
        return TRUE;
    }
    if (queue->has_event_idx && has_rings(queue)) {
        guint16 *avail_event = (guint16 *)&queue->used->ring[queue->size];

        __atomic_store_n(avail_event, queue->last_avail, __ATOMIC_RELAXED);
        /* What the guest added before it saw this came without a kick. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    return count_available(queue) > 0;
}

gboolean sc_virtqueue_read(const ScVirtqueue *queue, const ScVirtqueueElement *element,
                           gsize offset, void *to, gsize size)
{
    guint8 *next = to;

    for (guint i = 0; i < element->n_out && size > 0; i++) {
        const ScVirtqueueSegment *segment = &element->segments[i];
        guint64 address;
        gsize n;

        if (offset >= segment->length) {
            offset -= segment->length;
            continue;
        }
        n = MIN(size, segment->length - offset);
        if (!g_uint64_checked_add(&address, segment->address, offset) ||
            !sc_guest_memory_read(queue->memory, address, next, n)) {
            return FALSE;
        }
        next += n;
        size -= n;
        offset = 0;
    }
    return size == 0;
}

gsize sc_virtqueue_write(const ScVirtqueue *queue, const ScVirtqueueElement *element,
                         const void *from, gsize size)
{
    gsize written = 0;

    for (guint i = 0; i < element->n_in && written < size; i++) {
        const ScVirtqueueSegment *segment = &element->segments[element->n_out + i];
        gsize n = MIN(size - written, segment->length);

        if (!sc_guest_memory_write(queue->memory, segment->address, (const guint8 *)from + written,
                                   n)) {
            break;
        }
        written += n;
    }
    return written;
}

void sc_virtqueue_push(ScVirtqueue *queue, const ScVirtqueueElement *element, gsize written)
{
    push_head(queue, element->head, (guint32)MIN(written, G_MAXUINT32));
}

static gboolean wants_call(const ScVirtqueue *queue)
{
    const guint16 *used_event = &queue->avail->ring[queue->size];

    if (queue->has_event_idx) {
        return vring_need_event(__atomic_load_n(used_event, __ATOMIC_RELAXED), queue->last_used,
                                queue->told_used);
    }
    return !(__atomic_load_n(&queue->avail->flags, __ATOMIC_RELAXED) & VRING_AVAIL_F_NO_INTERRUPT);
}

void sc_virtqueue_notify(ScVirtqueue *queue)
{
    guint64 one = 1;

    if (queue->told_used == queue->last_used || !has_rings(queue)) {
        return;
    }
    /* The guest sets the event index, then looks for what is used: this is the other way round. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (wants_call(queue) && queue->call_fd >= 0) {
        /* EAGAIN: the counter is full, so the guest is being interrupted anyway. */
        if (write(queue->call_fd, &one, sizeof one) < 0 && errno != EAGAIN) {
            g_debug("the guest cannot be interrupted: %s", g_strerror(errno));
        }
        queue->calls++;
    }
    queue->told_used = queue->last_used;
}

gboolean sc_virtqueue_is_broken(const ScVirtqueue *queue)
{
    return queue->broken;
}

guint64 sc_virtqueue_count_calls(const ScVirtqueue *queue)
{
    return queue->calls;
}
