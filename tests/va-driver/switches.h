/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the driver is told by environment variables: what it offers and how it misbehaves. README.md
 * has the table for users.
 *
 * Thread: read once in vaInitialize, constant afterwards.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Numbers counted from 0, both ends included; first > last: none. */
typedef struct {
    guint first, last;
} ScVaRange;

typedef struct {
    char *trace; /* path or NULL */

    /* What is offered */
    guint entry_points; /* SC_VA_ENTRY_* */
    guint rate_control; /* VA_RC_* */
    guint memory_types; /* VA_SURFACE_ATTRIB_MEM_TYPE_DRM_* for import */
    guint max_width, max_height;

    /* What is refused */
    GArray *modifiers; /* guint64; those accepted, the first is the one of our own surfaces */
    char **refused_formats;
    guint pitch_alignment;  /* bytes */
    guint height_alignment; /* rows */
    ScVaRange refused_imports;

    /* What goes wrong */
    guint vpp_ms, encode_ms, hold_ms;
    guint slow_every; /* encode_ms is for so many encodes, not for as many, and so on; 0: for all */
    ScVaRange failed_encodes;
    ScVaRange lost_encodes; /* the device is lost at the first of them */
    ScVaRange hung_encodes;
} ScVaSwitches;

enum {
    SC_VA_ENTRY_SLICE = 1 << 0, /* VAEntrypointEncSlice */
    SC_VA_ENTRY_LP = 1 << 1,    /* VAEntrypointEncSliceLP */
    SC_VA_ENTRY_VPP = 1 << 2,   /* VAEntrypointVideoProc */
};

/* NULL and an error that names the variable if one of them makes no sense. */
ScVaSwitches *sc_va_switches_new(GError **error);

void sc_va_switches_free(ScVaSwitches *switches); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScVaSwitches, sc_va_switches_free)

gboolean sc_va_range_contains(const ScVaRange *range, guint number);

gboolean sc_va_switches_accept_modifier(const ScVaSwitches *switches, guint64 modifier);

/* @name: "XR24" and the like. */
gboolean sc_va_switches_accept_format(const ScVaSwitches *switches, const char *name);

G_END_DECLS
