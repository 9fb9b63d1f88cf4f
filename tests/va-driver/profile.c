/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/profile.h"

#include "tests/va-driver/format.h"
#include <string.h>

static const VAProfile h264_profiles[] = {
    VAProfileH264ConstrainedBaseline,
    VAProfileH264Main,
    VAProfileH264High,
};

static gboolean is_h264(VAProfile profile)
{
    for (guint i = 0; i < G_N_ELEMENTS(h264_profiles); i++) {
        if (h264_profiles[i] == profile)
            return TRUE;
    }
    return FALSE;
}

/* Fills @entry_points (room for SC_VA_MAX_ENTRY_POINTS) with those that a profile has. */
static int list_entry_points(const ScVaSwitches *switches, VAProfile profile,
                             VAEntrypoint *entry_points)
{
    int n = 0;
    if (profile == VAProfileNone && switches->entry_points & SC_VA_ENTRY_VPP)
        entry_points[n++] = VAEntrypointVideoProc;
    if (is_h264(profile) && switches->entry_points & SC_VA_ENTRY_SLICE)
        entry_points[n++] = VAEntrypointEncSlice;
    if (is_h264(profile) && switches->entry_points & SC_VA_ENTRY_LP)
        entry_points[n++] = VAEntrypointEncSliceLP;
    return n;
}

VAStatus sc_va_x_query_config_profiles(VADriverContextP context, VAProfile *profiles,
                                       int *num_profiles)
{
    const ScVaSwitches *switches = sc_va_driver(context)->switches;
    VAEntrypoint entry_points[SC_VA_MAX_ENTRY_POINTS];
    int n = 0;
    if (list_entry_points(switches, VAProfileNone, entry_points) > 0)
        profiles[n++] = VAProfileNone;
    for (guint i = 0; i < G_N_ELEMENTS(h264_profiles); i++) {
        if (list_entry_points(switches, h264_profiles[i], entry_points) > 0)
            profiles[n++] = h264_profiles[i];
    }
    *num_profiles = n;
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_query_config_entry_points(VADriverContextP context, VAProfile profile,
                                           VAEntrypoint *entry_points, int *num_entry_points)
{
    *num_entry_points = list_entry_points(sc_va_driver(context)->switches, profile, entry_points);
    return *num_entry_points > 0 ? VA_STATUS_SUCCESS : VA_STATUS_ERROR_UNSUPPORTED_PROFILE;
}

static VAStatus check_entry_point(const ScVaSwitches *switches, VAProfile profile,
                                  VAEntrypoint entry_point)
{
    VAEntrypoint entry_points[SC_VA_MAX_ENTRY_POINTS];
    int n = list_entry_points(switches, profile, entry_points);
    for (int i = 0; i < n; i++) {
        if (entry_points[i] == entry_point)
            return VA_STATUS_SUCCESS;
    }
    return n > 0 ? VA_STATUS_ERROR_UNSUPPORTED_ENTRYPOINT : VA_STATUS_ERROR_UNSUPPORTED_PROFILE;
}

static guint32 encoder_attribute(const ScVaSwitches *switches, VAConfigAttribType type)
{
    switch (type) {
    case VAConfigAttribRTFormat:
        return VA_RT_FORMAT_YUV420;
    case VAConfigAttribRateControl:
        return switches->rate_control;
    case VAConfigAttribEncPackedHeaders:
        return VA_ENC_PACKED_HEADER_NONE; /* libx264 writes its own */
    case VAConfigAttribEncMaxRefFrames:
        return 1; /* one in list 0, none in list 1: no B frames */
    case VAConfigAttribEncMaxSlices:
        return 1;
    case VAConfigAttribEncSliceStructure:
        return VA_ENC_SLICE_STRUCTURE_EQUAL_ROWS;
    case VAConfigAttribEncQualityRange:
        return 1;
    default:
        return VA_ATTRIB_NOT_SUPPORTED;
    }
}

static guint32 attribute(const ScVaSwitches *switches, VAEntrypoint entry_point,
                         VAConfigAttribType type)
{
    if (type == VAConfigAttribMaxPictureWidth)
        return switches->max_width;
    if (type == VAConfigAttribMaxPictureHeight)
        return switches->max_height;
    if (entry_point != VAEntrypointVideoProc)
        return encoder_attribute(switches, type);
    if (type == VAConfigAttribRTFormat)
        return VA_RT_FORMAT_YUV420 | VA_RT_FORMAT_RGB32;
    return VA_ATTRIB_NOT_SUPPORTED;
}

VAStatus sc_va_x_get_config_attributes(VADriverContextP context, VAProfile profile,
                                       VAEntrypoint entry_point, VAConfigAttrib *attributes,
                                       int num_attributes)
{
    const ScVaSwitches *switches = sc_va_driver(context)->switches;
    VAStatus status = check_entry_point(switches, profile, entry_point);
    if (status != VA_STATUS_SUCCESS)
        return status;
    for (int i = 0; i < num_attributes; i++)
        attributes[i].value = attribute(switches, entry_point, attributes[i].type);
    return VA_STATUS_SUCCESS;
}

static void config_free(gpointer object)
{
    /* Nothing in it is allocated. */
}

VAStatus sc_va_x_create_config(VADriverContextP context, VAProfile profile,
                               VAEntrypoint entry_point, VAConfigAttrib *attributes,
                               int num_attributes, VAConfigID *id)
{
    ScVaDriver *driver = sc_va_driver(context);
    VAStatus status = check_entry_point(driver->switches, profile, entry_point);
    if (status != VA_STATUS_SUCCESS)
        return status;

    guint rt_formats = attribute(driver->switches, entry_point, VAConfigAttribRTFormat);
    guint rt_format = VA_RT_FORMAT_YUV420, rate_control = VA_RC_CQP;
    for (int i = 0; i < num_attributes; i++) {
        if (attributes[i].type == VAConfigAttribRTFormat)
            rt_format = attributes[i].value;
        if (attributes[i].type == VAConfigAttribRateControl)
            rate_control = attributes[i].value;
    }
    if (!(rt_format & rt_formats))
        return VA_STATUS_ERROR_UNSUPPORTED_RT_FORMAT;
    if (entry_point != VAEntrypointVideoProc && !(rate_control & driver->switches->rate_control))
        return VA_STATUS_ERROR_INVALID_VALUE;

    ScVaConfig *config = sc_va_object_new(sizeof(*config), SC_VA_CONFIG, config_free);
    config->profile = profile;
    config->entry_point = entry_point;
    config->rt_format = rt_format;
    config->rate_control = rate_control;
    *id = sc_va_objects_add(driver->objects, config);
    return VA_STATUS_SUCCESS;
}

VAStatus sc_va_x_destroy_config(VADriverContextP context, VAConfigID id)
{
    ScVaObjects *objects = sc_va_driver(context)->objects;
    g_autoptr(ScVaConfig) config = sc_va_objects_remove(objects, id, SC_VA_CONFIG);
    return config ? VA_STATUS_SUCCESS : VA_STATUS_ERROR_INVALID_CONFIG;
}

VAStatus sc_va_x_query_config_attributes(VADriverContextP context, VAConfigID id,
                                         VAProfile *profile, VAEntrypoint *entry_point,
                                         VAConfigAttrib *attributes, int *num_attributes)
{
    ScVaObjects *objects = sc_va_driver(context)->objects;
    g_autoptr(ScVaConfig) config = sc_va_objects_get(objects, id, SC_VA_CONFIG);
    if (!config)
        return VA_STATUS_ERROR_INVALID_CONFIG;
    *profile = config->profile;
    *entry_point = config->entry_point;
    attributes[0] = (VAConfigAttrib){ VAConfigAttribRTFormat, config->rt_format };
    *num_attributes = 1;
    if (config->entry_point != VAEntrypointVideoProc)
        attributes[(*num_attributes)++] =
            (VAConfigAttrib){ VAConfigAttribRateControl, config->rate_control };
    return VA_STATUS_SUCCESS;
}

static void add_integer(GArray *list, VASurfaceAttribType type, guint flags, int value)
{
    VASurfaceAttrib attrib = { .type = type, .flags = flags };
    attrib.value.type = VAGenericValueTypeInteger;
    attrib.value.value.i = value;
    g_array_append_val(list, attrib);
}

static void add_pointer(GArray *list, VASurfaceAttribType type)
{
    VASurfaceAttrib attrib = { .type = type, .flags = VA_SURFACE_ATTRIB_SETTABLE };
    attrib.value.type = VAGenericValueTypePointer;
    g_array_append_val(list, attrib);
}

static GArray *list_surface_attributes(const ScVaSwitches *switches, const ScVaConfig *config)
{
    const guint get = VA_SURFACE_ATTRIB_GETTABLE;
    const guint both = VA_SURFACE_ATTRIB_GETTABLE | VA_SURFACE_ATTRIB_SETTABLE;
    GArray *list = g_array_new(FALSE, TRUE, sizeof(VASurfaceAttrib));
    const ScVaFormat *format;
    for (guint i = 0; (format = sc_va_format_nth(i)); i++) {
        if (config->entry_point == VAEntrypointVideoProc || !format->is_rgb)
            add_integer(list, VASurfaceAttribPixelFormat, both, format->va_fourcc);
    }
    add_integer(list, VASurfaceAttribMinWidth, get, SC_VA_MIN_SIZE);
    add_integer(list, VASurfaceAttribMinHeight, get, SC_VA_MIN_SIZE);
    add_integer(list, VASurfaceAttribMaxWidth, get, switches->max_width);
    add_integer(list, VASurfaceAttribMaxHeight, get, switches->max_height);
    add_integer(list, VASurfaceAttribMemoryType, both,
                VA_SURFACE_ATTRIB_MEM_TYPE_VA | switches->memory_types);
    if (switches->memory_types)
        add_pointer(list, VASurfaceAttribExternalBufferDescriptor);
    add_pointer(list, VASurfaceAttribDRMFormatModifiers);
    return list;
}

VAStatus sc_va_x_query_surface_attributes(VADriverContextP context, VAConfigID id,
                                          VASurfaceAttrib *attributes, unsigned int *num_attributes)
{
    ScVaDriver *driver = sc_va_driver(context);
    g_autoptr(ScVaConfig) config = sc_va_objects_get(driver->objects, id, SC_VA_CONFIG);
    if (!config)
        return VA_STATUS_ERROR_INVALID_CONFIG;

    g_autoptr(GArray) list = list_surface_attributes(driver->switches, config);
    unsigned int room = *num_attributes;
    *num_attributes = list->len;
    if (!attributes)
        return VA_STATUS_SUCCESS;
    if (room < list->len)
        return VA_STATUS_ERROR_MAX_NUM_EXCEEDED;
    memcpy(attributes, list->data, list->len * sizeof(VASurfaceAttrib));
    return VA_STATUS_SUCCESS;
}
