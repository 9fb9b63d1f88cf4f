/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GStreamer's elements for a render node. The va plugin names those of the first node "vah264enc"
 * and those of others "varenderD129h264enc", and which is the first is its secret: they are found
 * by the node they say they use.
 *
 * Thread: any, once GStreamer is initialized.
 */
#pragma once

#include "encoder/va-probe.h"
#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct {
    char *postproc, *encoder; /* factory names; the caller frees them by sc_va_elements_clear() */
} ScVaElements;

/* The low-power encoder if @device has it. SC_ERROR_UNSUPPORTED, with what to install, if GStreamer
 * has no elements for @device; @elements is then cleared. */
gboolean sc_va_elements_find(ScVaElements *elements, const ScVaDevice *device, GError **error);

void sc_va_elements_clear(ScVaElements *elements);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ScVaElements, sc_va_elements_clear)

/* Whether elements of @factory have a property; @value is a nick of its enumeration, NULL: any. */
gboolean sc_va_elements_have(const char *factory, const char *property, const char *value);

/* Whether the sink pad of @factory takes @caps, leaving out what it only passes through. */
gboolean sc_va_elements_take(const char *factory, const GstCaps *caps);

G_END_DECLS
