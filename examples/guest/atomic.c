/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "examples/guest/atomic.h"
#include "examples/guest/report.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAX_PLANES 16
#define MAX_PROPERTIES 64
#define FENCE_TIMEOUT_MS 5000

static void set_capability(Kms *kms, uint64_t capability, const char *what)
{
    struct drm_set_client_cap request = { .capability = capability, .value = 1 };

    if (ioctl(kms->fd, DRM_IOCTL_SET_CLIENT_CAP, &request) != 0) {
        report_fatal(what);
    }
}

/* The id of an object's property, and its value; 0 if it has none of that name. */
static uint32_t find_property(Kms *kms, uint32_t object, uint32_t type, const char *name,
                              uint64_t *value)
{
    uint32_t ids[MAX_PROPERTIES];
    uint64_t values[MAX_PROPERTIES];
    struct drm_mode_obj_get_properties list = { .props_ptr = (uintptr_t)ids,
                                                .prop_values_ptr = (uintptr_t)values,
                                                .count_props = MAX_PROPERTIES,
                                                .obj_id = object,
                                                .obj_type = type };

    if (ioctl(kms->fd, DRM_IOCTL_MODE_OBJ_GETPROPERTIES, &list) != 0) {
        report_fatal("OBJ_GETPROPERTIES");
    }
    for (uint32_t i = 0; i < list.count_props && i < MAX_PROPERTIES; i++) {
        struct drm_mode_get_property property = { .prop_id = ids[i] };

        if (ioctl(kms->fd, DRM_IOCTL_MODE_GETPROPERTY, &property) == 0 &&
            strncmp(property.name, name, sizeof property.name) == 0) {
            *value = values[i];
            return ids[i];
        }
    }
    return 0;
}

static uint32_t find_primary_plane(Kms *kms)
{
    uint32_t planes[MAX_PLANES];
    struct drm_mode_get_plane_res list = { .plane_id_ptr = (uintptr_t)planes,
                                           .count_planes = MAX_PLANES };
    uint64_t type;

    if (ioctl(kms->fd, DRM_IOCTL_MODE_GETPLANERESOURCES, &list) != 0) {
        report_fatal("GETPLANERESOURCES");
    }
    for (uint32_t i = 0; i < list.count_planes && i < MAX_PLANES; i++) {
        if (find_property(kms, planes[i], DRM_MODE_OBJECT_PLANE, "type", &type) != 0 &&
            type == 1) { /* DRM_PLANE_TYPE_PRIMARY, drm_plane.h of the kernel */
            return planes[i];
        }
    }
    return 0;
}

void atomic_open(Atomic *atomic, Kms *kms)
{
    uint64_t value;

    set_capability(kms, DRM_CLIENT_CAP_UNIVERSAL_PLANES, "universal planes");
    set_capability(kms, DRM_CLIENT_CAP_ATOMIC, "atomic mode setting");
    atomic->plane = find_primary_plane(kms);
    atomic->fb_property = find_property(kms, atomic->plane, DRM_MODE_OBJECT_PLANE, "FB_ID", &value);
    atomic->fence_property =
        find_property(kms, kms->crtc, DRM_MODE_OBJECT_CRTC, "OUT_FENCE_PTR", &value);
    if (atomic->plane == 0 || atomic->fb_property == 0 || atomic->fence_property == 0) {
        errno = ENODEV;
        report_fatal("properties of atomic mode setting");
    }
}

void atomic_flip(const Atomic *atomic, Kms *kms, const KmsBuffer *buffer)
{
    int fence = -1;
    uint32_t objects[] = { atomic->plane, kms->crtc }, counts[] = { 1, 1 };
    uint32_t properties[] = { atomic->fb_property, atomic->fence_property };
    uint64_t values[] = { buffer->framebuffer, (uintptr_t)&fence };
    struct drm_mode_atomic commit = { .flags = DRM_MODE_ATOMIC_NONBLOCK,
                                      .count_objs = 2,
                                      .objs_ptr = (uintptr_t)objects,
                                      .count_props_ptr = (uintptr_t)counts,
                                      .props_ptr = (uintptr_t)properties,
                                      .prop_values_ptr = (uintptr_t)values };
    struct pollfd wait = { .events = POLLIN };

    if (ioctl(kms->fd, DRM_IOCTL_MODE_ATOMIC, &commit) != 0) {
        report_fatal("ATOMIC");
    }
    wait.fd = fence;
    if (poll(&wait, 1, FENCE_TIMEOUT_MS) <= 0) {
        errno = ETIMEDOUT;
        report_fatal("out-fence");
    }
    close(fence);
}
