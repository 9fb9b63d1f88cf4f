/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/client-mouse.h"

#include "capture/error.h"

#define SIDE 64 /* pixels of the surface; any size would do */

/* The device exists for a moment only and its worker is never started, so what follows is called
 * little or not at all; but none of it may be NULL. */

static void qxl_attached_worker(QXLInstance *qxl)
{
}

static void qxl_set_compression_level(QXLInstance *qxl, int level)
{
}

static void qxl_get_init_info(QXLInstance *qxl, QXLDevInitInfo *info)
{
    *info = (QXLDevInitInfo){
        .num_memslots_groups = 1,
        .num_memslots = 1,
        .memslot_gen_bits = 1,
        .memslot_id_bits = 1,
        .n_surfaces = 1,
    };
}

static int qxl_get_command(QXLInstance *qxl, QXLCommandExt *command)
{
    return FALSE;
}

static int qxl_req_notification(QXLInstance *qxl)
{
    return TRUE;
}

static void qxl_release_resource(QXLInstance *qxl, QXLReleaseInfoExt info)
{
}

static void qxl_notify_update(QXLInstance *qxl, uint32_t update_id)
{
}

static int qxl_flush_resources(QXLInstance *qxl)
{
    return 0;
}

static void qxl_async_complete(QXLInstance *qxl, uint64_t cookie)
{
}

static void qxl_update_area_complete(QXLInstance *qxl, uint32_t surface_id, QXLRect *rects,
                                     uint32_t n_rects)
{
}

static void qxl_set_client_capabilities(QXLInstance *qxl, uint8_t present,
                                        uint8_t caps[SPICE_CAPABILITIES_SIZE])
{
}

static const QXLInterface qxl_interface = {
    .base = { SPICE_INTERFACE_QXL, "scancast", SPICE_INTERFACE_QXL_MAJOR,
              SPICE_INTERFACE_QXL_MINOR },
    .attached_worker = qxl_attached_worker,
    .set_compression_level = qxl_set_compression_level,
    .get_init_info = qxl_get_init_info,
    .get_command = qxl_get_command,
    .req_cmd_notification = qxl_req_notification,
    .release_resource = qxl_release_resource,
    .get_cursor_command = qxl_get_command,
    .req_cursor_notification = qxl_req_notification,
    .notify_update = qxl_notify_update,
    .flush_resources = qxl_flush_resources,
    .async_complete = qxl_async_complete,
    .update_area_complete = qxl_update_area_complete,
    .set_client_capabilities = qxl_set_client_capabilities,
};

gboolean sc_client_mouse_allow(SpiceServer *server, GError **error)
{
    QXLInstance qxl = { .base.sif = &qxl_interface.base };
    g_autofree guint32 *pixels = g_new0(guint32, SIDE * SIDE);
    QXLDevMemSlot slot = {
        .virt_start = (uintptr_t)pixels,
        .virt_end = (uintptr_t)(pixels + SIDE * SIDE),
    };
    QXLDevSurfaceCreate surface = {
        .width = SIDE,
        .height = SIDE,
        .stride = -SIDE * (int)sizeof(guint32),
        .format = SPICE_SURFACE_FMT_32_xRGB,
        .mouse_mode = TRUE, /* the point of it all */
        .mem = (uintptr_t)pixels,
    };

    if (spice_server_add_interface(server, &qxl.base) != 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED,
                    "libspice-server refuses a graphics device; its log says why");
        return FALSE;
    }
    spice_qxl_add_memslot(&qxl, &slot);
    spice_qxl_create_primary_surface(&qxl, 0, &surface);
    /* It remembers what the device allowed. */
    spice_server_remove_interface(&qxl.base);
    return TRUE;
}
