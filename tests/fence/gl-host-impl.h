/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the files of the GL host. */
#pragma once

#include "tests/fence/gl-host.h"

#include <spice/qxl_dev.h>

#define GL_HOST_MAX_BUFFERS 8

typedef struct {
    int fd;
    guint32 *pixels;
} GlHostBuffer;

struct GlHost {
    GlHostListener listener;
    gpointer data;
    SpiceServer *server;
    SpiceCoreInterface core;
    QXLInstance qxl;
    SpiceKbdInstance keyboard;
    SpiceMouseInstance mouse;
    SpiceTabletInstance tablet;
    SpiceCharDeviceInstance agent;
    gboolean has_tablet;
    int leds;

    guint n_buffers;
    GlHostBuffer buffers[GL_HOST_MAX_BUFFERS];
    int width, height;
    guint32 fourcc;
    gboolean drawing;
    gint64 draw_start;

    struct {
        guint16 count, max_allowed;
        QXLHead head;
    } monitors; /* a QXLMonitorsConfig */

    guint8 *primary;
    GAsyncQueue *commands; /* of GlHostCommand, for libspice-server's worker thread */
    GAsyncQueue *cursor_commands;
};

/* gl-host-2d.c: the part of the QXL interface that carries commands. */
void gl_host_2d_init(GlHost *host, QXLInterface *interface);
void gl_host_2d_finish(GlHost *host);

/* gl-host-input.c */
void gl_host_input_init(GlHost *host);
