/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/dbus-scanout.h"

#include "capture/error.h"
#include "capture/format.h"

#include <drm_fourcc.h>
#include <gio/gunixfdlist.h>
#include <string.h>

/* The descriptor that the number @handle in a message's body stands for, -1 if it stands for none.
 */
static int peek_fd(GDBusMessage *call, gint32 handle)
{
    GUnixFDList *list = g_dbus_message_get_unix_fd_list(call);
    int n_fds = 0;
    const int *fds = list != NULL ? g_unix_fd_list_peek_fds(list, &n_fds) : NULL;

    return handle >= 0 && handle < n_fds ? fds[handle] : -1;
}

static gboolean parse_dmabuf(GDBusMessage *call, ScDmabufLayout *layout, gboolean *bottom_up)
{
    gint32 handle;

    g_variant_get(g_dbus_message_get_body(call), "(huuuutb)", &handle, &layout->width,
                  &layout->height, &layout->planes[0].stride, &layout->fourcc, &layout->modifier,
                  bottom_up);
    layout->n_planes = 1;
    layout->planes[0].fd = peek_fd(call, handle);
    return TRUE;
}

static gboolean parse_map(GDBusMessage *call, ScDmabufLayout *layout, GError **error)
{
    gint32 handle;
    guint32 format;

    g_variant_get(g_dbus_message_get_body(call), "(huuuuu)", &handle, &layout->planes[0].offset,
                  &layout->width, &layout->height, &layout->planes[0].stride, &format);
    layout->fourcc = sc_format_from_pixman(format);
    layout->modifier = DRM_FORMAT_MOD_LINEAR;
    layout->n_planes = 1;
    layout->planes[0].fd = peek_fd(call, handle);
    if (layout->fourcc == 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "pixman's format 0x%x is not supported",
                    format);
        return FALSE;
    }
    return TRUE;
}

/* Moves the first plane to the pixel @x, @y of the buffer, as far as we know how. */
static gboolean cut(ScDmabufLayout *layout, guint32 x, guint32 y, GError **error)
{
    guint bytes_per_pixel = sc_format_bytes_per_pixel(layout->fourcc);
    guint64 offset;

    if (x == 0 && y == 0) {
        return TRUE;
    }
    if (layout->n_planes != 1 || bytes_per_pixel == 0 ||
        (layout->modifier != DRM_FORMAT_MOD_LINEAR && layout->modifier != DRM_FORMAT_MOD_INVALID)) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "a part at %u,%u of a buffer that is not linear cannot be shown", x, y);
        return FALSE;
    }
    /* No product here can overflow 64 bits. */
    offset = layout->planes[0].offset + (guint64)y * layout->planes[0].stride +
             (guint64)x * bytes_per_pixel;
    if (x > SC_MAX_DIMENSION || y > SC_MAX_DIMENSION || offset > G_MAXUINT32) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "a part of a buffer at %u,%u", x, y);
        return FALSE;
    }
    layout->planes[0].offset = (guint32)offset;
    return TRUE;
}

/* Planes without a descriptor of their own are in the last one's memory. */
static gboolean parse_planes(GDBusMessage *call, ScDmabufLayout *layout, GVariant *handles,
                             GVariant *offsets, GVariant *strides, GError **error)
{
    gsize n_fds = g_variant_n_children(handles);

    if (layout->n_planes < 1 || layout->n_planes > SC_DMABUF_MAX_PLANES || n_fds < 1 ||
        n_fds > layout->n_planes || g_variant_n_children(offsets) < layout->n_planes ||
        g_variant_n_children(strides) < layout->n_planes) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "%u planes with %" G_GSIZE_FORMAT " descriptors, %" G_GSIZE_FORMAT
                    " offsets, %" G_GSIZE_FORMAT " strides",
                    layout->n_planes, n_fds, g_variant_n_children(offsets),
                    g_variant_n_children(strides));
        return FALSE;
    }
    for (guint i = 0; i < layout->n_planes; i++) {
        gint32 handle;

        g_variant_get_child(handles, MIN(i, n_fds - 1), "h", &handle);
        g_variant_get_child(offsets, i, "u", &layout->planes[i].offset);
        g_variant_get_child(strides, i, "u", &layout->planes[i].stride);
        layout->planes[i].fd = peek_fd(call, handle);
    }
    return TRUE;
}

static gboolean parse_dmabuf2(GDBusMessage *call, ScDmabufLayout *layout, gboolean *bottom_up,
                              GError **error)
{
    g_autoptr(GVariant) handles = NULL;
    g_autoptr(GVariant) offsets = NULL;
    g_autoptr(GVariant) strides = NULL;
    guint32 x, y, whole_width, whole_height;

    g_variant_get(g_dbus_message_get_body(call), "(@ahuuuu@au@auuuuutb)", &handles, &x, &y,
                  &layout->width, &layout->height, &offsets, &strides, &layout->n_planes,
                  &layout->fourcc, &whole_width, &whole_height, &layout->modifier, bottom_up);
    return parse_planes(call, layout, handles, offsets, strides, error) && cut(layout, x, y, error);
}

gboolean sc_dbus_scanout_parse(GDBusMessage *call, ScDmabufLayout *layout, gboolean *bottom_up,
                               GError **error)
{
    const char *method = g_dbus_message_get_member(call);
    gboolean good;

    memset(layout, 0, sizeof(*layout));
    *bottom_up = FALSE;
    if (strcmp(method, "ScanoutMap") == 0) {
        good = parse_map(call, layout, error);
    } else if (strcmp(method, "ScanoutDMABUF2") == 0) {
        good = parse_dmabuf2(call, layout, bottom_up, error);
    } else {
        good = parse_dmabuf(call, layout, bottom_up);
    }
    for (guint i = 0; good && i < layout->n_planes; i++) {
        if (layout->planes[i].fd < 0) {
            g_set_error(error, SC_ERROR, SC_ERROR_INVALID, "a descriptor is missing");
            good = FALSE;
        }
    }
    return good;
}
