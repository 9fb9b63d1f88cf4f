/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What VA-API can do on this host: libva is asked, nothing is guessed from vendors' names.
 *
 * Thread: any, one at a time. Opening a device may take tens of milliseconds (drivers load
 *         firmware and compile shaders), so ask once and keep the answer.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How H.264 can be encoded through one entry point. */
typedef struct {
    gboolean available;
    guint max_width, max_height; /* 0: the driver does not tell */
    gboolean cbr, vbr, cqp;      /* rate-control modes */
} ScVaEntryPoint;

typedef struct {
    char *node;          /* "/dev/dri/renderD128" */
    char *kernel_driver; /* "i915", "amdgpu", ...; NULL if the kernel does not tell */
    char *va_driver;     /* libva's vendor string; NULL if no driver could be loaded */
    char *problem;       /* why the device cannot be used at all, for people; NULL: it can */

    char *profiles; /* H.264 profiles, "constrained-baseline main high" */
    ScVaEntryPoint encode;
    ScVaEntryPoint encode_low_power;

    gboolean has_postproc;                     /* can convert RGB to what encoders take */
    guint max_import_width, max_import_height; /* of that; 0: the driver does not tell */
    gboolean imports_prime;                    /* dmabufs by VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME */
    gboolean imports_prime_2;                  /* by .._DRM_PRIME_2, which knows modifiers */
    GArray *import_fourccs;                    /* of guint32: DRM formats, those scanouts have */
    guint64 native_modifier; /* of an RGB surface the driver makes itself; DRM_FORMAT_MOD_INVALID
                                if it does not tell. The API has no list of what it imports. */
} ScVaDevice;

/* Asks every render node, or only @node if that is not NULL. Elements are ScVaDevice, best first;
 * devices with a problem are included, with their reason. Never NULL; empty if there is no node. */
GPtrArray *sc_va_probe(const char *node);

/* Whether frames can be encoded on @device at all, and if not why (SC_ERROR_UNSUPPORTED). */
gboolean sc_va_device_can_encode(const ScVaDevice *device, GError **error);

/* Whether dmabufs of @fourcc may be given to it without a copy; whether a given buffer is taken
 * only the import itself shows. */
gboolean sc_va_device_can_import(const ScVaDevice *device, guint32 fourcc, GError **error);

G_END_DECLS
