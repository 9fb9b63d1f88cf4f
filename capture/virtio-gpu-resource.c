/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/virtio-gpu-resource.h"

#include "capture/format.h"

#include <drm_fourcc.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PIXEL 4 /* bytes: all formats of virtio-gpu have as many */

/* Rectangles that are kept in mind; beyond that it is cheaper to copy them. */
#define MAX_PUT_OFF 32

/* What a resource without anything in it is reckoned to cost. */
#define OVERHEAD 512

struct ScGpuResources {
    GHashTable *table; /* id: ScGpuResource */
    ScGpuDmabufFunc make_dmabuf;
    guint64 cost;
    guint n_dmabufs;
    gboolean has_complained;
};

struct ScGpuResource {
    ScGpuResources *owner;
    guint32 id;
    gboolean is_blob;
    ScGpuLayout layout; /* 2D */
    guint64 size;       /* bytes */
    guint64 cost;
    guint64 backing_cost;
    gboolean has_uuid;
    guint8 uuid[16];

    ScGuestBuffer *backing; /* NULL: none */
    int dmabuf;             /* of the backing, -1: none */
    ScGpuLease *lease;      /* of the dmabuf */
    gboolean is_live;
    guint8 *pixels;            /* of what is copied; NULL until needed */
    pixman_region32_t put_off; /* transfers yet to be made, each from where it is in the picture */

    ScScanout *scanout; /* made last, NULL: none */
    ScGpuLayout scanout_layout;
    gboolean scanout_is_direct;
};

/* ---- formats ---------------------------------------------------------------------------- */

static const struct {
    guint32 format, fourcc;
} formats[] = {
    { VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, DRM_FORMAT_ARGB8888 },
    { VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, DRM_FORMAT_XRGB8888 },
    { VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, DRM_FORMAT_BGRA8888 },
    { VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, DRM_FORMAT_BGRX8888 },
    { VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, DRM_FORMAT_ABGR8888 },
    { VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, DRM_FORMAT_RGBX8888 },
    { VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, DRM_FORMAT_RGBA8888 },
    { VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, DRM_FORMAT_XBGR8888 },
};

guint32 sc_gpu_format_to_fourcc(guint32 format)
{
    for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (formats[i].format == format) {
            return formats[i].fourcc;
        }
    }
    return 0;
}

/* ---- the table -------------------------------------------------------------------------- */

static void forget_scanout(ScGpuResource *resource)
{
    if (resource->scanout != NULL) {
        sc_scanout_detach_pixels(resource->scanout);
        g_clear_pointer(&resource->scanout, sc_scanout_unref);
    }
}

/* Lets go of the guest's pages; see sc_gpu_resource_detach(). */
static ScGpuLease *drop_backing(ScGpuResource *resource)
{
    ScGpuLease *lease = g_steal_pointer(&resource->lease);

    if (resource->scanout_is_direct) {
        forget_scanout(resource);
    }
    if (resource->dmabuf >= 0) {
        close(resource->dmabuf);
        resource->dmabuf = -1;
        resource->owner->n_dmabufs--;
    }
    g_clear_pointer(&resource->backing, sc_guest_buffer_free);
    resource->owner->cost -= resource->backing_cost;
    resource->backing_cost = 0;
    if (lease != NULL && sc_gpu_lease_is_over(lease)) {
        g_clear_pointer(&lease, sc_gpu_lease_unref);
    }
    return lease;
}

static void resource_free(gpointer data)
{
    ScGpuResource *resource = data;

    forget_scanout(resource);
    sc_gpu_lease_unref(drop_backing(resource));
    resource->owner->cost -= resource->cost;
    pixman_region32_fini(&resource->put_off);
    g_free(resource->pixels);
    g_free(resource);
}

ScGpuResources *sc_gpu_resources_new(ScGpuDmabufFunc make_dmabuf)
{
    ScGpuResources *resources = g_new0(ScGpuResources, 1);

    resources->table = g_hash_table_new_full(NULL, NULL, NULL, resource_free);
    resources->make_dmabuf = make_dmabuf;
    return resources;
}

void sc_gpu_resources_free(ScGpuResources *resources)
{
    if (resources == NULL) {
        return;
    }
    g_hash_table_unref(resources->table);
    g_free(resources);
}

/* Takes what a new one costs out of the guest's allowance. */
static guint32 add_resource(ScGpuResources *resources, guint32 id, guint64 cost,
                            ScGpuResource **resource)
{
    if (id == 0 || sc_gpu_resources_find(resources, id) != NULL) {
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    }
    if (cost > SC_GPU_MAX_BYTES - resources->cost) {
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    }
    *resource = g_new0(ScGpuResource, 1);
    (*resource)->owner = resources;
    (*resource)->id = id;
    (*resource)->cost = cost;
    (*resource)->dmabuf = -1;
    pixman_region32_init(&(*resource)->put_off);
    resources->cost += cost;
    g_hash_table_insert(resources->table, GUINT_TO_POINTER(id), *resource);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

guint32 sc_gpu_resources_create_2d(ScGpuResources *resources, guint32 id, guint32 format,
                                   guint32 width, guint32 height)
{
    guint32 fourcc = sc_gpu_format_to_fourcc(format);
    ScGpuResource *resource;
    guint64 size;
    guint32 code;

    if (fourcc == 0 || width == 0 || height == 0 || width > SC_MAX_DIMENSION ||
        height > SC_MAX_DIMENSION) {
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    }
    size = (guint64)width * height * PIXEL;
    code = add_resource(resources, id, OVERHEAD + size, &resource);
    if (code == VIRTIO_GPU_RESP_OK_NODATA) {
        resource->layout = (ScGpuLayout){ width, height, width * PIXEL, fourcc, 0 };
        resource->size = size;
    }
    return code;
}

guint32 sc_gpu_resources_create_blob(ScGpuResources *resources, guint32 id, guint32 blob_mem,
                                     guint64 size)
{
    ScGpuResource *resource;
    guint32 code;

    if (blob_mem != VIRTIO_GPU_BLOB_MEM_GUEST || size == 0) {
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    }
    code = add_resource(resources, id, OVERHEAD, &resource);
    if (code == VIRTIO_GPU_RESP_OK_NODATA) {
        resource->is_blob = resource->is_live = TRUE;
        resource->size = size;
    }
    return code;
}

ScGpuResource *sc_gpu_resources_find(const ScGpuResources *resources, guint32 id)
{
    return g_hash_table_lookup(resources->table, GUINT_TO_POINTER(id));
}

ScGpuLease *sc_gpu_resources_remove(ScGpuResources *resources, ScGpuResource *resource)
{
    ScGpuLease *lease = drop_backing(resource);

    g_hash_table_remove(resources->table, GUINT_TO_POINTER(resource->id));
    return lease;
}

void sc_gpu_resources_remove_all(ScGpuResources *resources)
{
    g_hash_table_remove_all(resources->table);
}

guint sc_gpu_resources_count(const ScGpuResources *resources)
{
    return g_hash_table_size(resources->table);
}

/* ---- one resource ----------------------------------------------------------------------- */

guint32 sc_gpu_resource_get_id(const ScGpuResource *resource)
{
    return resource->id;
}

gboolean sc_gpu_resource_is_blob(const ScGpuResource *resource)
{
    return resource->is_blob;
}

gboolean sc_gpu_resource_is_live(const ScGpuResource *resource)
{
    return resource->is_live;
}

const ScGpuLayout *sc_gpu_resource_get_layout(const ScGpuResource *resource)
{
    return &resource->layout;
}

gboolean sc_gpu_resource_has_layout(const ScGpuResource *resource, const ScGpuLayout *layout)
{
    return sc_format_check_layout(layout->fourcc, layout->width, layout->height, layout->stride,
                                  layout->offset, resource->size, NULL);
}

const guint8 *sc_gpu_resource_get_uuid(ScGpuResource *resource)
{
    for (gsize i = 0; !resource->has_uuid && i < sizeof resource->uuid; i++) {
        resource->uuid[i] = (guint8)g_random_int();
    }
    /* RFC 4122, which virtio names: version 4, variant 1. */
    resource->uuid[6] = (resource->uuid[6] & 0x0f) | 0x40;
    resource->uuid[8] = (resource->uuid[8] & 0x3f) | 0x80;
    resource->has_uuid = TRUE;
    return resource->uuid;
}

gboolean sc_gpu_resource_has_backing(const ScGpuResource *resource)
{
    return resource->backing != NULL;
}

static gboolean layouts_equal(const ScGpuLayout *a, const ScGpuLayout *b)
{
    return a->width == b->width && a->height == b->height && a->stride == b->stride &&
           a->fourcc == b->fourcc && a->offset == b->offset;
}

/* Memory for what is copied, black; NULL if there is none. */
static guint8 *get_pixels(ScGpuResource *resource)
{
    if (resource->pixels == NULL) {
        resource->pixels = g_try_malloc0(resource->size);
    }
    return resource->pixels;
}

void sc_gpu_resource_settle(ScGpuResource *resource)
{
    const ScGpuLayout *layout = &resource->layout;
    guint8 *pixels;

    if (!pixman_region32_not_empty(&resource->put_off)) {
        return;
    }
    pixels = get_pixels(resource);
    if (pixels != NULL && resource->backing != NULL) {
        sc_guest_buffer_copy(resource->backing, 0, layout->stride, &resource->put_off, pixels,
                             layout->stride);
    }
    pixman_region32_clear(&resource->put_off);
}

/* From now on its contents are in our memory; @copy: those it has now. */
static gboolean stop_being_live(ScGpuResource *resource, gboolean copy)
{
    guint8 *pixels = get_pixels(resource);
    guint64 backed = resource->backing != NULL ? sc_guest_buffer_get_size(resource->backing) : 0;

    if (pixels == NULL) {
        return FALSE;
    }
    if (copy) {
        sc_guest_buffer_read(resource->backing, 0, pixels, MIN(backed, resource->size));
    }
    if (resource->scanout_is_direct) {
        forget_scanout(resource);
    }
    resource->is_live = FALSE;
    return TRUE;
}

/* Each reason is told once: it is the host's, and the same for all resources. */
static void make_dmabuf(ScGpuResource *resource)
{
    g_autoptr(GError) error = NULL;

    if (resource->size < SC_GPU_MIN_DMABUF_BYTES ||
        resource->owner->n_dmabufs >= SC_GPU_MAX_DMABUFS) {
        return;
    }
    resource->dmabuf = resource->owner->make_dmabuf(resource->backing, &error);
    if (resource->dmabuf >= 0) {
        resource->owner->n_dmabufs++;
        resource->lease = sc_gpu_lease_new();
    } else if (!resource->owner->has_complained) {
        resource->owner->has_complained = TRUE;
        g_message("the guest's pictures are copied: %s", error->message);
    }
}

guint32 sc_gpu_resource_attach(ScGpuResource *resource, ScGuestBuffer *backing)
{
    g_autoptr(ScGuestBuffer) owned = backing;
    guint64 cost = sc_guest_buffer_count(backing) * sizeof(ScGuestRange);

    if (resource->backing != NULL) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    if (resource->is_blob && sc_guest_buffer_get_size(backing) < resource->size) {
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    }
    if (cost > SC_GPU_MAX_BYTES - resource->owner->cost) {
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    }
    resource->backing = g_steal_pointer(&owned);
    resource->backing_cost = cost;
    resource->owner->cost += cost;
    if (sc_guest_buffer_get_size(backing) >= resource->size) {
        make_dmabuf(resource);
    }
    if (!resource->is_blob && resource->dmabuf >= 0) {
        forget_scanout(resource);
        g_clear_pointer(&resource->pixels, g_free);
        resource->is_live = TRUE;
    }
    return VIRTIO_GPU_RESP_OK_NODATA;
}

ScGpuLease *sc_gpu_resource_detach(ScGpuResource *resource)
{
    sc_gpu_resource_settle(resource);
    if (!resource->is_blob && resource->is_live) {
        stop_being_live(resource, TRUE);
    }
    return drop_backing(resource);
}

static gboolean is_inside(const struct virtio_gpu_rect *rect, const ScGpuLayout *layout)
{
    return rect->x <= layout->width && rect->width <= layout->width - rect->x &&
           rect->y <= layout->height && rect->height <= layout->height - rect->y;
}

/* Of a rectangle that is inside. */
static guint32 transfer_now(ScGpuResource *resource, const struct virtio_gpu_rect *rect,
                            guint64 offset)
{
    const ScGpuLayout *layout = &resource->layout;
    guint8 *pixels = get_pixels(resource);
    pixman_region32_t region; /* one box: nothing to free */

    if (pixels == NULL) {
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    }
    pixman_region32_init_rect(&region, 0, 0, rect->width, rect->height);
    return sc_guest_buffer_copy(resource->backing, offset, layout->stride, &region,
                                pixels + (gsize)rect->y * layout->stride + (gsize)rect->x * PIXEL,
                                layout->stride)
               ? VIRTIO_GPU_RESP_OK_NODATA
               : VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
}

guint32 sc_gpu_resource_transfer(ScGpuResource *resource, const struct virtio_gpu_rect *rect,
                                 guint64 offset, gboolean is_urgent)
{
    const ScGpuLayout *layout = &resource->layout;
    gboolean is_in_place = offset == (guint64)rect->y * layout->stride + (guint64)rect->x * PIXEL;

    if (resource->is_blob) {
        return VIRTIO_GPU_RESP_OK_NODATA; /* Linux sends them for blobs, too */
    }
    if (resource->backing == NULL) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    if (!is_inside(rect, layout)) {
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    }
    if ((resource->is_live && is_in_place) || rect->width == 0 || rect->height == 0) {
        return VIRTIO_GPU_RESP_OK_NODATA;
    }
    if (!is_urgent && is_in_place &&
        sc_guest_buffer_get_size(resource->backing) >= resource->size) {
        pixman_region32_union_rect(&resource->put_off, &resource->put_off, (int)rect->x,
                                   (int)rect->y, rect->width, rect->height);
        if (pixman_region32_n_rects(&resource->put_off) > MAX_PUT_OFF) {
            sc_gpu_resource_settle(resource);
        }
        return VIRTIO_GPU_RESP_OK_NODATA;
    }
    /* A guest that lays out its backing in its own way. */
    if (resource->is_live && !stop_being_live(resource, TRUE)) {
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    }
    sc_gpu_resource_settle(resource);
    return transfer_now(resource, rect, offset);
}

/* ---- pictures --------------------------------------------------------------------------- */

static ScScanout *new_direct_scanout(ScGpuResource *resource, const ScGpuLayout *layout)
{
    ScDmabufLayout description = {
        .width = layout->width,
        .height = layout->height,
        .fourcc = layout->fourcc,
        .modifier = DRM_FORMAT_MOD_LINEAR,
        .n_planes = 1,
        .planes[0] = { .fd = -1, .offset = (guint32)layout->offset, .stride = layout->stride },
    };
    g_autoptr(ScDmabuf) dmabuf = NULL;

    if (resource->dmabuf < 0 || layout->offset > G_MAXUINT32) {
        return NULL;
    }
    description.planes[0].fd = fcntl(resource->dmabuf, F_DUPFD_CLOEXEC, 0);
    if (description.planes[0].fd < 0) {
        return NULL;
    }
    dmabuf = sc_dmabuf_new(&description, NULL);
    if (dmabuf == NULL) {
        return NULL;
    }
    sc_gpu_lease_add(resource->lease, dmabuf);
    return sc_scanout_new_dmabuf(dmabuf, FALSE);
}

static ScScanout *new_copied_scanout(ScGpuResource *resource, const ScGpuLayout *layout)
{
    guint8 *pixels = resource->is_live ? NULL : get_pixels(resource);

    return pixels != NULL
               ? sc_scanout_new_pixels(pixels + layout->offset, resource->size - layout->offset,
                                       layout->width, layout->height, layout->stride,
                                       layout->fourcc, FALSE, NULL)
               : NULL;
}

ScScanout *sc_gpu_resource_get_scanout(ScGpuResource *resource, const ScGpuLayout *layout,
                                       gboolean direct)
{
    if (!sc_gpu_resource_has_layout(resource, layout)) {
        return NULL;
    }
    if (resource->scanout == NULL || resource->scanout_is_direct != direct ||
        !layouts_equal(&resource->scanout_layout, layout)) {
        forget_scanout(resource);
        resource->scanout =
            direct ? new_direct_scanout(resource, layout) : new_copied_scanout(resource, layout);
        resource->scanout_layout = *layout;
        resource->scanout_is_direct = direct;
    }
    return resource->scanout;
}

static gboolean copy_pixels(ScGpuResource *resource, const ScGpuLayout *layout,
                            const pixman_region32_t *region, guint8 *to, guint32 to_stride)
{
    int n;
    const pixman_box32_t *boxes = pixman_region32_rectangles((pixman_region32_t *)region, &n);
    const guint8 *pixels;

    sc_gpu_resource_settle(resource);
    pixels = get_pixels(resource);
    for (int i = 0; i < n && pixels != NULL; i++) {
        for (int y = boxes[i].y1; y < boxes[i].y2; y++) {
            memcpy(to + (gsize)to_stride * (guint)y + (gsize)boxes[i].x1 * PIXEL,
                   pixels + layout->offset + (gsize)layout->stride * (guint)y +
                       (gsize)boxes[i].x1 * PIXEL,
                   (gsize)(boxes[i].x2 - boxes[i].x1) * PIXEL);
        }
    }
    return pixels != NULL;
}

gboolean sc_gpu_resource_copy(ScGpuResource *resource, const ScGpuLayout *layout,
                              const pixman_region32_t *region, guint8 *to, guint32 to_stride)
{
    if (!sc_gpu_resource_has_layout(resource, layout)) {
        return FALSE;
    }
    if (!resource->is_live) {
        return copy_pixels(resource, layout, region, to, to_stride);
    }
    return resource->backing != NULL && sc_guest_buffer_copy(resource->backing, layout->offset,
                                                             layout->stride, region, to, to_stride);
}
