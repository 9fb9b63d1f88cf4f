/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fence/gl-host-impl.h"

#include <spice/qxl_dev.h>
#include <string.h>

/* What libspice-server's worker takes from a queue and hands back when it is done with it. The
 * "physical" addresses of QXL are pointers here: the memory slot covers everything. */
typedef struct {
    QXLCommandExt ext;
    union {
        QXLDrawable drawable;
        QXLCursorCmd cursor;
    };
    QXLImage image;
    guint8 *memory; /* pixels, or a QXLCursor */
} Command;

static uint64_t address_of(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

static Command *command_new(QXLReleaseInfo *(*release_info)(Command *command), guint32 type)
{
    Command *command = g_new0(Command, 1);
    QXLReleaseInfo *info = release_info(command);

    info->id = address_of(command);
    command->ext.cmd.type = type;
    command->ext.cmd.data = address_of(info);
    return command;
}

static QXLReleaseInfo *drawable_info(Command *command)
{
    return &command->drawable.release_info;
}

static QXLReleaseInfo *cursor_info(Command *command)
{
    return &command->cursor.release_info;
}

static void command_free(gpointer data)
{
    Command *command = data;

    g_free(command->memory);
    g_free(command);
}

/* ---- called by the worker ---- */

static GlHost *host_of(QXLInstance *qxl)
{
    return SPICE_CONTAINEROF(qxl, GlHost, qxl);
}

static int take(GAsyncQueue *queue, QXLCommandExt *ext)
{
    Command *command = g_async_queue_try_pop(queue);

    if (command == NULL) {
        return 0;
    }
    *ext = command->ext;
    return 1;
}

static int qxl_get_command(QXLInstance *qxl, QXLCommandExt *ext)
{
    return take(host_of(qxl)->commands, ext);
}

static int qxl_req_cmd_notification(QXLInstance *qxl)
{
    return g_async_queue_length(host_of(qxl)->commands) <= 0;
}

static int qxl_get_cursor_command(QXLInstance *qxl, QXLCommandExt *ext)
{
    return take(host_of(qxl)->cursor_commands, ext);
}

static int qxl_req_cursor_notification(QXLInstance *qxl)
{
    return g_async_queue_length(host_of(qxl)->cursor_commands) <= 0;
}

static void qxl_release_resource(QXLInstance *qxl, QXLReleaseInfoExt info)
{
    command_free((gpointer)(uintptr_t)info.info->id);
}

void gl_host_2d_init(GlHost *host, QXLInterface *interface)
{
    host->commands = g_async_queue_new_full(command_free);
    host->cursor_commands = g_async_queue_new_full(command_free);
    interface->get_command = qxl_get_command;
    interface->req_cmd_notification = qxl_req_cmd_notification;
    interface->get_cursor_command = qxl_get_cursor_command;
    interface->req_cursor_notification = qxl_req_cursor_notification;
    interface->release_resource = qxl_release_resource;
}

void gl_host_2d_finish(GlHost *host)
{
    g_async_queue_unref(host->commands);
    g_async_queue_unref(host->cursor_commands);
    g_free(host->primary);
}

/* ---- the surface ---- */

void gl_host_destroy_primary(GlHost *host)
{
    if (host->primary != NULL) {
        spice_qxl_destroy_primary_surface(&host->qxl, 0);
        g_clear_pointer(&host->primary, g_free);
    }
}

void gl_host_create_primary(GlHost *host, int width, int height, int bits)
{
    QXLDevSurfaceCreate surface = {
        .width = (guint32)width,
        .height = (guint32)height,
        .stride = -width * bits / 8, /* negative: rows from the top, as QEMU has it */
        .format = bits == 16 ? SPICE_SURFACE_FMT_16_555 : SPICE_SURFACE_FMT_32_xRGB,
        .mouse_mode = TRUE,
    };

    gl_host_destroy_primary(host);
    host->primary = g_malloc0((gsize)width * height * 4);
    surface.mem = address_of(host->primary);
    spice_qxl_create_primary_surface(&host->qxl, 0, &surface);
}

void gl_host_paint(GlHost *host, int x, int y, int width, int height, const guint32 *pixels)
{
    static guint32 unique;
    Command *command = command_new(drawable_info, QXL_CMD_DRAW);
    QXLDrawable *drawable = &command->drawable;
    QXLImage *image = &command->image;

    command->memory = g_memdup2(pixels, (gsize)width * height * 4);
    QXL_SET_IMAGE_ID(image, QXL_IMAGE_GROUP_RED, ++unique);
    image->descriptor.type = SPICE_IMAGE_TYPE_BITMAP;
    image->descriptor.width = (guint32)width;
    image->descriptor.height = (guint32)height;
    image->bitmap.format = SPICE_BITMAP_FMT_32BIT;
    image->bitmap.flags = QXL_BITMAP_DIRECT | QXL_BITMAP_TOP_DOWN;
    image->bitmap.x = (guint32)width;
    image->bitmap.y = (guint32)height;
    image->bitmap.stride = (guint32)width * 4;
    image->bitmap.data = address_of(command->memory);

    drawable->type = QXL_DRAW_COPY;
    drawable->effect = QXL_EFFECT_OPAQUE;
    drawable->clip.type = SPICE_CLIP_TYPE_NONE;
    drawable->bbox = (QXLRect){ .left = x, .top = y, .right = x + width, .bottom = y + height };
    for (gsize i = 0; i < G_N_ELEMENTS(drawable->surfaces_dest); i++) {
        drawable->surfaces_dest[i] = -1;
    }
    drawable->u.copy.src_bitmap = address_of(image);
    drawable->u.copy.src_area = (QXLRect){ .right = width, .bottom = height };
    drawable->u.copy.rop_descriptor = SPICE_ROPD_OP_PUT;

    g_async_queue_push(host->commands, command);
    spice_qxl_wakeup(&host->qxl);
}

/* ---- the cursor ---- */

static void push_cursor(GlHost *host, Command *command)
{
    g_async_queue_push(host->cursor_commands, command);
    spice_qxl_wakeup(&host->qxl);
}

void gl_host_set_cursor(GlHost *host, int width, int height, int hot_x, int hot_y,
                        const guint32 *argb)
{
    Command *command = command_new(cursor_info, QXL_CMD_CURSOR);
    gsize size = (gsize)width * height * 4;
    QXLCursor *cursor = g_malloc0(sizeof(QXLCursor) + size);

    command->memory = (guint8 *)cursor;
    cursor->header.type = SPICE_CURSOR_TYPE_ALPHA;
    cursor->header.width = (guint16)width;
    cursor->header.height = (guint16)height;
    cursor->header.hot_spot_x = (guint16)hot_x;
    cursor->header.hot_spot_y = (guint16)hot_y;
    cursor->data_size = (guint32)size;
    cursor->chunk.data_size = (guint32)size;
    memcpy(cursor->chunk.data, argb, size);

    command->cursor.type = QXL_CURSOR_SET;
    command->cursor.u.set.visible = TRUE;
    command->cursor.u.set.shape = address_of(cursor);
    push_cursor(host, command);
}

void gl_host_move_cursor(GlHost *host, int x, int y)
{
    Command *command = command_new(cursor_info, QXL_CMD_CURSOR);

    command->cursor.type = QXL_CURSOR_MOVE;
    command->cursor.u.position.x = (gint16)x;
    command->cursor.u.position.y = (gint16)y;
    push_cursor(host, command);
}

void gl_host_hide_cursor(GlHost *host)
{
    Command *command = command_new(cursor_info, QXL_CMD_CURSOR);

    command->cursor.type = QXL_CURSOR_HIDE;
    push_cursor(host, command);
}
