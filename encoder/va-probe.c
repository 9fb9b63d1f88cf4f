/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/va-probe.h"

#include "capture/error.h"
#include "capture/format.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <va/va.h>
#include <va/va_drm.h>
#include <va/va_drmcommon.h>
#include <xf86drm.h>

#define DRI_FOLDER "/dev/dri"

static const struct {
    VAProfile profile;
    const char *name;
} h264_profiles[] = {
    { VAProfileH264ConstrainedBaseline, "constrained-baseline" },
    { VAProfileH264Main, "main" },
    { VAProfileH264High, "high" },
};

/* VA names bytes in memory of RGB, DRM words: VA's BGRX is DRM's XRGB8888. */
static const struct {
    guint32 va, drm;
} fourccs[] = {
    { VA_FOURCC_BGRX, DRM_FORMAT_XRGB8888 },
    { VA_FOURCC_BGRA, DRM_FORMAT_ARGB8888 },
    { VA_FOURCC_RGBX, DRM_FORMAT_XBGR8888 },
    { VA_FOURCC_RGBA, DRM_FORMAT_ABGR8888 },
    { VA_FOURCC_XRGB, DRM_FORMAT_BGRX8888 },
    { VA_FOURCC_ARGB, DRM_FORMAT_BGRA8888 },
    { VA_FOURCC_XBGR, DRM_FORMAT_RGBX8888 },
    { VA_FOURCC_ABGR, DRM_FORMAT_RGBA8888 },
    { VA_FOURCC_X2R10G10B10, DRM_FORMAT_XRGB2101010 },
    { VA_FOURCC_A2R10G10B10, DRM_FORMAT_ARGB2101010 },
    { VA_FOURCC_X2B10G10R10, DRM_FORMAT_XBGR2101010 },
    { VA_FOURCC_A2B10G10R10, DRM_FORMAT_ABGR2101010 },
    { VA_FOURCC_NV12, DRM_FORMAT_NV12 },
};

static void device_free(gpointer data)
{
    ScVaDevice *device = data;

    g_free(device->node);
    g_free(device->kernel_driver);
    g_free(device->va_driver);
    g_free(device->problem);
    g_free(device->profiles);
    g_array_unref(device->import_fourccs);
    g_free(device);
}

/* libva would print to the terminal. */
static void log_va(void *context, const char *message)
{
    g_debug("libva: %s", message);
}

static guint32 get_attribute(VADisplay display, VAProfile profile, VAEntrypoint entry_point,
                             VAConfigAttribType type)
{
    VAConfigAttrib attribute = { .type = type };

    if (vaGetConfigAttributes(display, profile, entry_point, &attribute, 1) != VA_STATUS_SUCCESS) {
        return 0;
    }
    return attribute.value == VA_ATTRIB_NOT_SUPPORTED ? 0 : attribute.value;
}

static gboolean has_entry_point(VADisplay display, VAProfile profile, VAEntrypoint wanted)
{
    int n_entry_points = vaMaxNumEntrypoints(display);
    g_autofree VAEntrypoint *entry_points = g_new0(VAEntrypoint, (gsize)MAX(n_entry_points, 1));

    if (vaQueryConfigEntrypoints(display, profile, entry_points, &n_entry_points) !=
        VA_STATUS_SUCCESS) {
        return FALSE;
    }
    for (int i = 0; i < n_entry_points; i++) {
        if (entry_points[i] == wanted) {
            return TRUE;
        }
    }
    return FALSE;
}

static void probe_entry_point(VADisplay display, VAProfile profile, VAEntrypoint entry_point,
                              ScVaEntryPoint *result)
{
    guint32 rate_control;

    if (!has_entry_point(display, profile, entry_point)) {
        return;
    }
    rate_control = get_attribute(display, profile, entry_point, VAConfigAttribRateControl);
    result->available = TRUE;
    result->cbr |= (rate_control & VA_RC_CBR) != 0;
    result->vbr |= (rate_control & VA_RC_VBR) != 0;
    result->cqp |= (rate_control & VA_RC_CQP) != 0;
    result->max_width = get_attribute(display, profile, entry_point, VAConfigAttribMaxPictureWidth);
    result->max_height =
        get_attribute(display, profile, entry_point, VAConfigAttribMaxPictureHeight);
}

static void probe_encoders(VADisplay display, ScVaDevice *device)
{
    GString *names = g_string_new(NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(h264_profiles); i++) {
        VAProfile profile = h264_profiles[i].profile;

        probe_entry_point(display, profile, VAEntrypointEncSlice, &device->encode);
        probe_entry_point(display, profile, VAEntrypointEncSliceLP, &device->encode_low_power);
        if (has_entry_point(display, profile, VAEntrypointEncSlice) ||
            has_entry_point(display, profile, VAEntrypointEncSliceLP)) {
            g_string_append_printf(names, "%s%s", names->len > 0 ? " " : "", h264_profiles[i].name);
        }
    }
    g_free(device->profiles);
    device->profiles = g_string_free(names, FALSE);
}

static void note_surface_attribute(ScVaDevice *device, const VASurfaceAttrib *attribute)
{
    guint32 value = (guint32)attribute->value.value.i;

    switch (attribute->type) {
    case VASurfaceAttribMemoryType:
        device->imports_prime = (value & VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME) != 0;
        device->imports_prime_2 = (value & VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2) != 0;
        break;
    case VASurfaceAttribMaxWidth:
        device->max_import_width = value;
        break;
    case VASurfaceAttribMaxHeight:
        device->max_import_height = value;
        break;
    case VASurfaceAttribPixelFormat:
        for (gsize i = 0; i < G_N_ELEMENTS(fourccs); i++) {
            if (fourccs[i].va == value) {
                g_array_append_val(device->import_fourccs, fourccs[i].drm);
            }
        }
        break;
    default:
        break;
    }
}

static guint64 get_native_modifier(VADisplay display)
{
    VADRMPRIMESurfaceDescriptor descriptor;
    VASurfaceID surface;
    guint64 modifier = DRM_FORMAT_MOD_INVALID;

    if (vaCreateSurfaces(display, VA_RT_FORMAT_RGB32, 256, 256, &surface, 1, NULL, 0) !=
        VA_STATUS_SUCCESS) {
        return modifier;
    }
    if (vaExportSurfaceHandle(display, surface, VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2,
                              VA_EXPORT_SURFACE_READ_ONLY | VA_EXPORT_SURFACE_SEPARATE_LAYERS,
                              &descriptor) == VA_STATUS_SUCCESS) {
        modifier = descriptor.objects[0].drm_format_modifier;
        for (guint i = 0; i < descriptor.num_objects; i++) {
            close(descriptor.objects[i].fd);
        }
    }
    vaDestroySurfaces(display, &surface, 1);
    return modifier;
}

static void probe_postproc(VADisplay display, ScVaDevice *device)
{
    VAConfigID config;
    unsigned int n_attributes = 0;
    g_autofree VASurfaceAttrib *attributes = NULL;

    if (!has_entry_point(display, VAProfileNone, VAEntrypointVideoProc) ||
        vaCreateConfig(display, VAProfileNone, VAEntrypointVideoProc, NULL, 0, &config) !=
            VA_STATUS_SUCCESS) {
        return;
    }
    device->has_postproc = TRUE;
    if (vaQuerySurfaceAttributes(display, config, NULL, &n_attributes) == VA_STATUS_SUCCESS &&
        n_attributes > 0) {
        attributes = g_new0(VASurfaceAttrib, n_attributes);
        if (vaQuerySurfaceAttributes(display, config, attributes, &n_attributes) ==
            VA_STATUS_SUCCESS) {
            for (unsigned int i = 0; i < n_attributes; i++) {
                note_surface_attribute(device, &attributes[i]);
            }
        }
    }
    vaDestroyConfig(display, config);
    device->native_modifier = get_native_modifier(display);
}

static void probe_display(int fd, ScVaDevice *device)
{
    VADisplay display = vaGetDisplayDRM(fd);
    int major, minor;
    VAStatus status;

    if (display == NULL) {
        device->problem = g_strdup("libva does not take it for a DRM device");
        return;
    }
    vaSetErrorCallback(display, log_va, NULL);
    vaSetInfoCallback(display, log_va, NULL);
    status = vaInitialize(display, &major, &minor);
    if (status != VA_STATUS_SUCCESS) {
        device->problem = g_strdup_printf(
            "no VA-API driver for it could be loaded (%s); vainfo shows which one is missing",
            vaErrorStr(status));
        vaTerminate(display);
        return;
    }
    device->va_driver = g_strdup(vaQueryVendorString(display));
    probe_encoders(display, device);
    probe_postproc(display, device);
    vaTerminate(display);
}

static ScVaDevice *probe_node(const char *node)
{
    ScVaDevice *device = g_new0(ScVaDevice, 1);
    drmVersionPtr version;
    int fd;

    device->node = g_strdup(node);
    device->profiles = g_strdup("");
    device->import_fourccs = g_array_new(FALSE, FALSE, sizeof(guint32));
    device->native_modifier = DRM_FORMAT_MOD_INVALID;
    fd = open(node, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        device->problem =
            g_strdup_printf("it cannot be opened: %s%s", g_strerror(errno),
                            errno == EACCES ? " (its group, often 'render', may)" : "");
        return device;
    }
    version = drmGetVersion(fd);
    if (version != NULL) {
        device->kernel_driver = g_strndup(version->name, (gsize)version->name_len);
        drmFreeVersion(version);
    }
    probe_display(fd, device);
    close(fd);
    return device;
}

/* Better: encodes; without a copy; on the entry point made for low latency. */
static int score(const ScVaDevice *device)
{
    int points = 0;

    points += sc_va_device_can_encode(device, NULL) ? 4 : 0;
    points += sc_va_device_can_import(device, DRM_FORMAT_XRGB8888, NULL) ? 2 : 0;
    points += device->encode_low_power.available ? 1 : 0;
    return points;
}

static int compare_devices(gconstpointer a, gconstpointer b)
{
    const ScVaDevice *first = *(ScVaDevice *const *)a, *second = *(ScVaDevice *const *)b;
    int difference = score(second) - score(first);

    return difference != 0 ? difference : strcmp(first->node, second->node);
}

GPtrArray *sc_va_probe(const char *node)
{
    GPtrArray *devices = g_ptr_array_new_with_free_func(device_free);
    g_autoptr(GDir) folder = NULL;
    const char *name;

    if (node != NULL) {
        g_ptr_array_add(devices, probe_node(node));
        return devices;
    }
    folder = g_dir_open(DRI_FOLDER, 0, NULL);
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        if (g_str_has_prefix(name, "renderD")) {
            g_autofree char *path = g_build_filename(DRI_FOLDER, name, NULL);

            g_ptr_array_add(devices, probe_node(path));
        }
    }
    g_ptr_array_sort(devices, compare_devices);
    return devices;
}

gboolean sc_va_device_can_encode(const ScVaDevice *device, GError **error)
{
    if (device->problem != NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "%s: %s", device->node, device->problem);
        return FALSE;
    }
    if (!device->encode.available && !device->encode_low_power.available) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "%s: its driver (%s) has no H.264 encoder", device->node, device->va_driver);
        return FALSE;
    }
    if (!device->has_postproc) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "%s: its driver (%s) cannot convert RGB for its encoder", device->node,
                    device->va_driver);
        return FALSE;
    }
    return TRUE;
}

gboolean sc_va_device_can_import(const ScVaDevice *device, guint32 fourcc, GError **error)
{
    g_autofree char *name = sc_format_name(fourcc);

    if (!sc_va_device_can_encode(device, error)) {
        return FALSE;
    }
    if (!device->imports_prime && !device->imports_prime_2) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "%s: its driver (%s) cannot import dmabufs", device->node, device->va_driver);
        return FALSE;
    }
    for (guint i = 0; i < device->import_fourccs->len; i++) {
        if (g_array_index(device->import_fourccs, guint32, i) == fourcc) {
            return TRUE;
        }
    }
    g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "%s: its driver (%s) does not take %s",
                device->node, device->va_driver, name);
    return FALSE;
}
