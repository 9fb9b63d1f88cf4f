/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "examples/guest/kms.h"
#include "examples/guest/report.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEVICE "/dev/dri/card0"
#define DEVICE_ATTEMPTS 100 /* the driver's probe may end after insmod */
#define ATTEMPT_US 20000
#define FLIP_TIMEOUT_MS 5000

/* A request that a signal cut short is repeated. */
static int try_ioctl(const Kms *kms, unsigned long request, void *argument)
{
    int result;

    do {
        result = ioctl(kms->fd, request, argument);
    } while (result < 0 && (errno == EINTR || errno == EAGAIN));
    return result;
}

static void must_ioctl(const Kms *kms, unsigned long request, void *argument, const char *what)
{
    if (try_ioctl(kms, request, argument) < 0) {
        report_fatal(what);
    }
}

static void open_device(Kms *kms)
{
    for (int attempt = 0; attempt < DEVICE_ATTEMPTS; attempt++) {
        kms->fd = open(DEVICE, O_RDWR | O_CLOEXEC);
        if (kms->fd >= 0) {
            return;
        }
        usleep(ATTEMPT_US);
    }
    report_fatal("open " DEVICE);
}

void kms_read_modes(Kms *kms)
{
    struct drm_mode_get_connector connector = { .connector_id = kms->connector };

    /* The first call probes and tells how many; the second one fills what is asked for. */
    must_ioctl(kms, DRM_IOCTL_MODE_GETCONNECTOR, &connector, "GETCONNECTOR");
    if (connector.count_modes > KMS_MAX_MODES) {
        connector.count_modes = KMS_MAX_MODES;
    }
    connector.count_props = 0;
    connector.count_encoders = 0;
    connector.modes_ptr = (uintptr_t)kms->modes;
    must_ioctl(kms, DRM_IOCTL_MODE_GETCONNECTOR, &connector, "GETCONNECTOR");
    kms->n_modes =
        (int)connector.count_modes < KMS_MAX_MODES ? (int)connector.count_modes : KMS_MAX_MODES;
    if (kms->n_modes == 0) {
        errno = ENODEV;
        report_fatal("no mode");
    }
}

void kms_open(Kms *kms)
{
    uint32_t crtcs[16], connectors[16];
    struct drm_mode_card_res resources = { .crtc_id_ptr = (uintptr_t)crtcs,
                                           .count_crtcs = 16,
                                           .connector_id_ptr = (uintptr_t)connectors,
                                           .count_connectors = 16 };

    memset(kms, 0, sizeof *kms);
    open_device(kms);
    must_ioctl(kms, DRM_IOCTL_MODE_GETRESOURCES, &resources, "GETRESOURCES");
    if (resources.count_crtcs == 0 || resources.count_connectors == 0) {
        errno = ENODEV;
        report_fatal("no output");
    }
    kms->crtc = crtcs[0];
    kms->connector = connectors[0];
    kms_read_modes(kms);
}

const struct drm_mode_modeinfo *kms_find_mode(const Kms *kms, int width, int height)
{
    for (int i = 0; i < kms->n_modes; i++) {
        if (width == 0 || (kms->modes[i].hdisplay == width && kms->modes[i].vdisplay == height)) {
            return &kms->modes[i];
        }
    }
    return NULL;
}

const struct drm_mode_modeinfo *kms_make_mode(Kms *kms, int width, int height)
{
    struct drm_mode_modeinfo *mode = &kms->modes[kms->n_modes - 1];

    memset(mode, 0, sizeof *mode);
    mode->hdisplay = (uint16_t)width;
    mode->hsync_start = (uint16_t)(width + 16);
    mode->hsync_end = (uint16_t)(width + 32);
    mode->htotal = (uint16_t)(width + 64);
    mode->vdisplay = (uint16_t)height;
    mode->vsync_start = (uint16_t)(height + 3);
    mode->vsync_end = (uint16_t)(height + 6);
    mode->vtotal = (uint16_t)(height + 12);
    mode->vrefresh = 60;
    mode->clock = (uint32_t)mode->htotal * mode->vtotal * mode->vrefresh / 1000;
    return mode;
}

KmsBuffer kms_create_buffer(Kms *kms, int width, int height)
{
    struct drm_mode_create_dumb dumb = { .width = (uint32_t)width,
                                         .height = (uint32_t)height,
                                         .bpp = 32 };
    struct drm_mode_fb_cmd2 framebuffer = { .width = (uint32_t)width,
                                            .height = (uint32_t)height,
                                            .pixel_format = DRM_FORMAT_XRGB8888 };
    struct drm_mode_map_dumb map = { 0 };
    KmsBuffer buffer = { .width = width, .height = height };

    must_ioctl(kms, DRM_IOCTL_MODE_CREATE_DUMB, &dumb, "CREATE_DUMB");
    framebuffer.handles[0] = map.handle = buffer.handle = dumb.handle;
    framebuffer.pitches[0] = dumb.pitch;
    must_ioctl(kms, DRM_IOCTL_MODE_ADDFB2, &framebuffer, "ADDFB2");
    must_ioctl(kms, DRM_IOCTL_MODE_MAP_DUMB, &map, "MAP_DUMB");
    buffer.framebuffer = framebuffer.fb_id;
    buffer.stride = (int)dumb.pitch;
    buffer.size = dumb.size;
    buffer.pixels =
        mmap(NULL, dumb.size, PROT_READ | PROT_WRITE, MAP_SHARED, kms->fd, (off_t)map.offset);
    if (buffer.pixels == MAP_FAILED) {
        report_fatal("mmap of a buffer");
    }
    return buffer;
}

void kms_destroy_buffer(Kms *kms, KmsBuffer *buffer)
{
    struct drm_mode_destroy_dumb dumb = { .handle = buffer->handle };

    munmap(buffer->pixels, buffer->size);
    must_ioctl(kms, DRM_IOCTL_MODE_RMFB, &buffer->framebuffer, "RMFB");
    must_ioctl(kms, DRM_IOCTL_MODE_DESTROY_DUMB, &dumb, "DESTROY_DUMB");
    memset(buffer, 0, sizeof *buffer);
}

void kms_set_mode(Kms *kms, const struct drm_mode_modeinfo *mode, const KmsBuffer *buffer)
{
    struct drm_mode_crtc crtc = { .crtc_id = kms->crtc,
                                  .fb_id = buffer->framebuffer,
                                  .set_connectors_ptr = (uintptr_t)&kms->connector,
                                  .count_connectors = 1,
                                  .mode_valid = 1,
                                  .mode = *mode };

    must_ioctl(kms, DRM_IOCTL_MODE_SETCRTC, &crtc, "SETCRTC");
}

void kms_flip(Kms *kms, const KmsBuffer *buffer)
{
    struct drm_mode_crtc_page_flip flip = { .crtc_id = kms->crtc,
                                            .fb_id = buffer->framebuffer,
                                            .flags = DRM_MODE_PAGE_FLIP_EVENT };
    struct pollfd wait = { .fd = kms->fd, .events = POLLIN };
    char events[256];

    must_ioctl(kms, DRM_IOCTL_MODE_PAGE_FLIP, &flip, "PAGE_FLIP");
    if (poll(&wait, 1, FLIP_TIMEOUT_MS) <= 0) {
        errno = ETIMEDOUT;
        report_fatal("page flip");
    }
    if (read(kms->fd, events, sizeof events) < (ssize_t)sizeof(struct drm_event)) {
        report_fatal("read of the page flip's event");
    }
}

void kms_flush(Kms *kms, const KmsBuffer *buffer, const KmsRect *rects, int n_rects)
{
    struct drm_clip_rect clips[16];
    struct drm_mode_fb_dirty_cmd dirty = { .fb_id = buffer->framebuffer,
                                           .clips_ptr = (uintptr_t)clips };

    for (int i = 0; i < n_rects && dirty.num_clips < 16; i++) {
        const KmsRect *rect = &rects[i];

        if (rect->width > 0 && rect->height > 0) {
            clips[dirty.num_clips++] = (struct drm_clip_rect){ (uint16_t)rect->x, (uint16_t)rect->y,
                                                               (uint16_t)(rect->x + rect->width),
                                                               (uint16_t)(rect->y + rect->height) };
        }
    }
    if (dirty.num_clips > 0) {
        must_ioctl(kms, DRM_IOCTL_MODE_DIRTYFB, &dirty, "DIRTYFB");
    }
}

void kms_set_cursor(Kms *kms, const KmsBuffer *buffer, int hot_x, int hot_y, int x, int y)
{
    struct drm_mode_cursor2 cursor = { .flags = DRM_MODE_CURSOR_BO | DRM_MODE_CURSOR_MOVE,
                                       .crtc_id = kms->crtc,
                                       .x = x - hot_x,
                                       .y = y - hot_y,
                                       .hot_x = hot_x,
                                       .hot_y = hot_y };

    if (buffer != NULL) {
        cursor.width = (uint32_t)buffer->width;
        cursor.height = (uint32_t)buffer->height;
        cursor.handle = buffer->handle;
    }
    must_ioctl(kms, DRM_IOCTL_MODE_CURSOR2, &cursor, "CURSOR2");
}

void kms_move_cursor(Kms *kms, int x, int y)
{
    struct drm_mode_cursor cursor = {
        .flags = DRM_MODE_CURSOR_MOVE, .crtc_id = kms->crtc, .x = x, .y = y
    };

    must_ioctl(kms, DRM_IOCTL_MODE_CURSOR, &cursor, "CURSOR");
}
