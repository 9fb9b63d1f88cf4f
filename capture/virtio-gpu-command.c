/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/virtio-gpu-command.h"

#include "capture/edid.h"
#include "capture/format.h"

#include <string.h>

#define PIXEL 4

/* Entries are read from the guest so many at a time. */
#define ENTRIES_AT_ONCE 256

typedef guint32 (*CommandFunc)(ScGpuContext *context, ScGpuCall *call);

/* Requests are structures of <linux/virtio_gpu.h>, copied once; words are little-endian, as the
 * hosts are that capture/format.c is for. */
static gboolean read_request(const ScGpuContext *context, const ScGpuCall *call, gpointer request,
                             gsize size)
{
    return sc_virtqueue_read(context->queue, call->element, 0, request, size);
}

/* ---- the display ------------------------------------------------------------------------ */

static guint32 get_display_info(ScGpuContext *context, ScGpuCall *call)
{
    struct virtio_gpu_resp_display_info *response = &call->response.display_info;

    response->pmodes[0].r.width = context->width;
    response->pmodes[0].r.height = context->height;
    response->pmodes[0].enabled = 1;
    call->response_size = sizeof *response;
    return VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
}

static guint32 get_edid(ScGpuContext *context, ScGpuCall *call)
{
    struct virtio_gpu_resp_edid *response = &call->response.edid;
    struct virtio_gpu_cmd_get_edid request;

    if (!read_request(context, call, &request, sizeof request)) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    if (request.scanout >= VIRTIO_GPU_MAX_SCANOUTS) {
        return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
    }
    G_STATIC_ASSERT(sizeof response->edid >= SC_EDID_MAX_SIZE);
    response->size = (guint32)sc_edid_make(context->width, context->height, response->edid);
    call->response_size = sizeof *response;
    return VIRTIO_GPU_RESP_OK_EDID;
}

/* Layouts that reach past SC_MAX_DIMENSION or the resource, and those whose copy would be too
 * large, are refused here, once and for all. */
static guint32 show(ScGpuContext *context, guint32 scanout, ScGpuResource *resource,
                    const struct virtio_gpu_rect *rect, ScGpuLayout *layout)
{
    if (rect->width == 0 || rect->height == 0 || rect->x > layout->width ||
        rect->width > layout->width - rect->x || rect->y > layout->height ||
        rect->height > layout->height - rect->y || !sc_gpu_resource_has_layout(resource, layout)) {
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    }
    if ((guint64)rect->width * rect->height * PIXEL > SC_GPU_MAX_PICTURE_BYTES) {
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    }
    layout->offset += (guint64)layout->stride * rect->y + (guint64)rect->x * PIXEL;
    layout->width = rect->width;
    layout->height = rect->height;
    sc_gpu_display_set(context->display, scanout, resource, rect->x, rect->y, layout);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

/* The resource to show; NULL and a code if there is none, or none is wanted. */
static ScGpuResource *find_to_show(ScGpuContext *context, guint32 scanout, guint32 id,
                                   guint32 *code)
{
    ScGpuResource *resource = sc_gpu_resources_find(context->resources, id);

    *code = VIRTIO_GPU_RESP_OK_NODATA;
    if (scanout >= VIRTIO_GPU_MAX_SCANOUTS) {
        *code = VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
        return NULL;
    }
    if (id == 0) {
        sc_gpu_display_set(context->display, scanout, NULL, 0, 0, NULL);
    } else if (resource == NULL) {
        *code = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    }
    return resource;
}

static guint32 set_scanout(ScGpuContext *context, ScGpuCall *call)
{
    struct virtio_gpu_set_scanout request;
    ScGpuResource *resource;
    ScGpuLayout layout;
    guint32 code;

    if (!read_request(context, call, &request, sizeof request)) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    resource = find_to_show(context, request.scanout_id, request.resource_id, &code);
    if (resource == NULL) {
        return code;
    }
    layout = *sc_gpu_resource_get_layout(resource); /* empty for a blob: its layout is unknown */
    return show(context, request.scanout_id, resource, &request.r, &layout);
}

static guint32 set_scanout_blob(ScGpuContext *context, ScGpuCall *call)
{
    struct virtio_gpu_set_scanout_blob request;
    ScGpuResource *resource;
    ScGpuLayout layout;
    guint32 code;

    if (!context->has_blobs || !read_request(context, call, &request, sizeof request)) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    resource = find_to_show(context, request.scanout_id, request.resource_id, &code);
    if (resource == NULL) {
        return code;
    }
    layout = (ScGpuLayout){ .width = request.width,
                            .height = request.height,
                            .stride = request.strides[0],
                            .fourcc = sc_gpu_format_to_fourcc(request.format),
                            .offset = request.offsets[0] };
    if (!sc_gpu_resource_is_blob(resource) || layout.fourcc == 0) {
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    }
    return show(context, request.scanout_id, resource, &request.r, &layout);
}

static guint32 resource_flush(ScGpuContext *context, ScGpuCall *call)
{
    struct virtio_gpu_resource_flush request;
    ScGpuResource *resource;
    const ScGpuLayout *layout;

    if (!read_request(context, call, &request, sizeof request)) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    resource = sc_gpu_resources_find(context->resources, request.resource_id);
    if (resource == NULL) {
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    }
    layout = sc_gpu_resource_get_layout(resource);
    if (!sc_gpu_resource_is_blob(resource) &&
        (request.r.x > layout->width || request.r.width > layout->width - request.r.x ||
         request.r.y > layout->height || request.r.height > layout->height - request.r.y)) {
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    }
    call->is_flush_taken =
        sc_gpu_display_flush(context->display, resource, &request.r, call->flush);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

/* ---- resources -------------------------------------------------------------------------- */

static guint32 create_2d(ScGpuContext *context, ScGpuCall *call)
{
    struct virtio_gpu_resource_create_2d request;

    if (!read_request(context, call, &request, sizeof request)) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    return sc_gpu_resources_create_2d(context->resources, request.resource_id, request.format,
                                      request.width, request.height);
}

/* The memory that @n entries at @offset of the request name. NULL and a code if it is not the
 * guest's. */
static ScGuestBuffer *read_entries(const ScGpuContext *context, const ScGpuCall *call, gsize offset,
                                   guint32 n, guint32 *code)
{
    g_autoptr(ScGuestBuffer) buffer = sc_guest_buffer_new();
    struct virtio_gpu_mem_entry entries[ENTRIES_AT_ONCE];

    *code = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    if (n > SC_GPU_MAX_ENTRIES) {
        return NULL;
    }
    for (guint32 done = 0; done < n;) {
        guint32 some = MIN(n - done, ENTRIES_AT_ONCE);

        if (!sc_virtqueue_read(context->queue, call->element, offset, entries,
                               some * sizeof entries[0])) {
            return NULL;
        }
        for (guint32 i = 0; i < some; i++) {
            if (!sc_guest_buffer_append(buffer, context->memory, entries[i].addr,
                                        entries[i].length)) {
                return NULL;
            }
        }
        /* One entry can be many pieces where regions follow one another. */
        if (sc_guest_buffer_count(buffer) > SC_GPU_MAX_ENTRIES) {
            *code = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
            return NULL;
        }
        done += some;
        offset += some * sizeof entries[0];
    }
    return g_steal_pointer(&buffer);
}

static guint32 create_blob(ScGpuContext *context, ScGpuCall *call)
{
    struct virtio_gpu_resource_create_blob request;
    ScGpuResource *resource;
    ScGuestBuffer *backing;
    guint32 code;

    if (!context->has_blobs || !read_request(context, call, &request, sizeof request)) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    code = sc_gpu_resources_create_blob(context->resources, request.resource_id, request.blob_mem,
                                        request.size);
    if (code != VIRTIO_GPU_RESP_OK_NODATA || request.nr_entries == 0) {
        return code;
    }
    resource = sc_gpu_resources_find(context->resources, request.resource_id);
    backing = read_entries(context, call, sizeof request, request.nr_entries, &code);
    if (backing != NULL) {
        code = sc_gpu_resource_attach(resource, backing);
    }
    if (code != VIRTIO_GPU_RESP_OK_NODATA) {
        sc_gpu_lease_unref(sc_gpu_resources_remove(context->resources, resource));
    }
    return code;
}

static guint32 attach_backing(ScGpuContext *context, ScGpuCall *call)
{
    struct virtio_gpu_resource_attach_backing request;
    ScGpuResource *resource;
    ScGuestBuffer *backing;
    guint32 code;

    if (!read_request(context, call, &request, sizeof request)) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    resource = sc_gpu_resources_find(context->resources, request.resource_id);
    if (resource == NULL) {
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    }
    if (sc_gpu_resource_has_backing(resource)) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    backing = read_entries(context, call, sizeof request, request.nr_entries, &code);
    return backing != NULL ? sc_gpu_resource_attach(resource, backing) : code;
}

static guint32 detach_backing(ScGpuContext *context, ScGpuCall *call)
{
    struct virtio_gpu_resource_detach_backing request;
    ScGpuResource *resource;

    if (!read_request(context, call, &request, sizeof request)) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    resource = sc_gpu_resources_find(context->resources, request.resource_id);
    if (resource == NULL) {
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    }
    if (!sc_gpu_resource_has_backing(resource)) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    sc_gpu_display_save(context->display, resource);
    call->lease = sc_gpu_resource_detach(resource);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static guint32 resource_unref(ScGpuContext *context, ScGpuCall *call)
{
    struct virtio_gpu_resource_unref request;
    ScGpuResource *resource;

    if (!read_request(context, call, &request, sizeof request)) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    resource = sc_gpu_resources_find(context->resources, request.resource_id);
    if (resource == NULL) {
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    }
    sc_gpu_display_forget(context->display, resource);
    call->lease = sc_gpu_resources_remove(context->resources, resource);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static guint32 transfer_to_host_2d(ScGpuContext *context, ScGpuCall *call)
{
    struct virtio_gpu_transfer_to_host_2d request;
    ScGpuResource *resource;

    if (!read_request(context, call, &request, sizeof request)) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    resource = sc_gpu_resources_find(context->resources, request.resource_id);
    return resource != NULL ? sc_gpu_resource_transfer(resource, &request.r, request.offset,
                                                       sc_gpu_display_is_watched(context->display))
                            : VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
}

static guint32 assign_uuid(ScGpuContext *context, ScGpuCall *call)
{
    struct virtio_gpu_resource_assign_uuid request;
    ScGpuResource *resource;

    if (!read_request(context, call, &request, sizeof request)) {
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    }
    resource = sc_gpu_resources_find(context->resources, request.resource_id);
    if (resource == NULL) {
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    }
    memcpy(call->response.uuid.uuid, sc_gpu_resource_get_uuid(resource),
           sizeof call->response.uuid.uuid);
    call->response_size = sizeof call->response.uuid;
    return VIRTIO_GPU_RESP_OK_RESOURCE_UUID;
}

/* ---- */

static const struct {
    guint32 type;
    CommandFunc func;
} commands[] = {
    { VIRTIO_GPU_CMD_GET_DISPLAY_INFO, get_display_info },
    { VIRTIO_GPU_CMD_GET_EDID, get_edid },
    { VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, create_2d },
    { VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, create_blob },
    { VIRTIO_GPU_CMD_RESOURCE_UNREF, resource_unref },
    { VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, attach_backing },
    { VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, detach_backing },
    { VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, assign_uuid },
    { VIRTIO_GPU_CMD_SET_SCANOUT, set_scanout },
    { VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, set_scanout_blob },
    { VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, transfer_to_host_2d },
    { VIRTIO_GPU_CMD_RESOURCE_FLUSH, resource_flush },
};

static CommandFunc find_command(guint32 type)
{
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (commands[i].type == type) {
            return commands[i].func;
        }
    }
    return NULL;
}

void sc_gpu_context_execute(ScGpuContext *context, ScGpuCall *call)
{
    CommandFunc func = find_command(call->header.type);
    struct virtio_gpu_ctrl_hdr *header = &call->response.header;
    guint32 code;

    memset(&call->response, 0, sizeof call->response);
    call->response_size = sizeof *header;
    code = func != NULL ? func(context, call) : VIRTIO_GPU_RESP_ERR_UNSPEC;
    header->type = code;
    if (call->header.flags & VIRTIO_GPU_FLAG_FENCE) {
        header->flags =
            call->header.flags & (VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX);
        header->fence_id = call->header.fence_id;
        header->ctx_id = call->header.ctx_id;
        header->ring_idx = call->header.ring_idx;
    }
}
