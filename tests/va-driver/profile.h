/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the driver can do: profiles, entry points, their attributes, and configurations, which are
 * choices among those.
 */
#pragma once

#include "tests/va-driver/driver.h"

G_BEGIN_DECLS

#define SC_VA_MAX_PROFILES 4
#define SC_VA_MAX_ENTRY_POINTS 2
#define SC_VA_MIN_SIZE 16 /* a macroblock */

typedef struct {
    ScVaObject object;
    VAProfile profile;
    VAEntrypoint entry_point;
    guint rt_format;
    guint rate_control; /* one of VA_RC_* */
} ScVaConfig;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScVaConfig, sc_va_object_unref)

VAStatus sc_va_x_query_config_profiles(VADriverContextP context, VAProfile *profiles,
                                       int *num_profiles);
VAStatus sc_va_x_query_config_entry_points(VADriverContextP context, VAProfile profile,
                                           VAEntrypoint *entry_points, int *num_entry_points);
VAStatus sc_va_x_get_config_attributes(VADriverContextP context, VAProfile profile,
                                       VAEntrypoint entry_point, VAConfigAttrib *attributes,
                                       int num_attributes);
VAStatus sc_va_x_create_config(VADriverContextP context, VAProfile profile,
                               VAEntrypoint entry_point, VAConfigAttrib *attributes,
                               int num_attributes, VAConfigID *id);
VAStatus sc_va_x_destroy_config(VADriverContextP context, VAConfigID id);
VAStatus sc_va_x_query_config_attributes(VADriverContextP context, VAConfigID id,
                                         VAProfile *profile, VAEntrypoint *entry_point,
                                         VAConfigAttrib *attributes, int *num_attributes);
VAStatus sc_va_x_query_surface_attributes(VADriverContextP context, VAConfigID id,
                                          VASurfaceAttrib *attributes,
                                          unsigned int *num_attributes);

G_END_DECLS
