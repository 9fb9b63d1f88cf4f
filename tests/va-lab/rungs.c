/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-lab/rungs.h"

#include <drm_fourcc.h>
#include <gst/video/video.h>
#include <string.h>
#include <unistd.h>

#define TOLERANCE 16

/* A plane of chroma, behind the other one after a gap, or alone in its memory. */
static void add_chroma(GuestBuffer *buffer, const GuestLayout *layout, ScDmabufLayout *dmabuf)
{
    guint pitch = dmabuf->planes[0].stride + 64;

    dmabuf->n_planes = 2;
    dmabuf->planes[1].stride = pitch;
    if (layout->apart) {
        buffer->chroma = sc_lab_buffer_new(layout->offset + (gsize)pitch * layout->height / 2);
        dmabuf->planes[1].fd = dup(buffer->chroma->fd);
        dmabuf->planes[1].offset = layout->offset;
    } else {
        dmabuf->planes[1].fd = dmabuf->planes[0].fd;
        dmabuf->planes[1].offset = buffer->memory->size - (gsize)pitch * layout->height / 2;
    }
}

void guest_buffer_init(GuestBuffer *buffer, const GuestLayout *layout)
{
    gboolean is_nv12 = layout->fourcc == DRM_FORMAT_NV12;
    guint pitch = layout->pitch > 0 ? layout->pitch : layout->width * (is_nv12 ? 1 : 4);
    ScDmabufLayout dmabuf = {
        .width = layout->width,
        .height = layout->height,
        .fourcc = layout->fourcc != 0 ? layout->fourcc : DRM_FORMAT_XRGB8888,
        .modifier = layout->modifier,
        .n_planes = 1,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(ScDmabuf) wrapped = NULL;

    picture_init(&buffer->picture, layout->width, layout->height);
    buffer->chroma = NULL;
    buffer->memory =
        sc_lab_buffer_new(layout->offset + (gsize)pitch * layout->height * (is_nv12 ? 2 : 1));
    dmabuf.planes[0].fd = dup(buffer->memory->fd);
    dmabuf.planes[0].offset = layout->offset;
    dmabuf.planes[0].stride = pitch;
    if (is_nv12) {
        add_chroma(buffer, layout, &dmabuf);
    }
    wrapped = sc_dmabuf_new(&dmabuf, &error);
    g_assert_no_error(error);
    buffer->scanout = sc_scanout_new_dmabuf(wrapped, layout->bottom_up);
    guest_buffer_draw(buffer, 1);
}

void guest_buffer_clear(GuestBuffer *buffer)
{
    sc_scanout_unref(buffer->scanout);
    sc_lab_buffer_free(buffer->memory);
    sc_lab_buffer_free(buffer->chroma);
    picture_clear(&buffer->picture);
}

/* By BT.601, limited range: what NV12 of this size is taken for. */
static void draw_nv12(GuestBuffer *buffer, const ScDmabufLayout *layout)
{
    const Picture *picture = &buffer->picture;
    const ScLabBuffer *chroma = buffer->chroma != NULL ? buffer->chroma : buffer->memory;

    for (guint y = 0; y < picture->height; y++) {
        guint row = sc_scanout_is_bottom_up(buffer->scanout) ? picture->height - 1 - y : y;

        for (guint x = 0; x < picture->width; x++) {
            guint32 pixel = picture->pixels[(gsize)row * picture->width + x];
            double red = pixel >> 16 & 0xff, green = pixel >> 8 & 0xff, blue = pixel & 0xff;
            double luma = 0.299 * red + 0.587 * green + 0.114 * blue;
            guint8 *uv = chroma->data + layout->planes[1].offset +
                         (gsize)(y / 2) * layout->planes[1].stride + x / 2 * 2;

            buffer->memory
                ->data[layout->planes[0].offset + (gsize)y * layout->planes[0].stride + x] =
                (guint8)(16.5 + luma * 219 / 255);
            uv[0] = (guint8)(128.5 + (blue - luma) / 1.772 * 224 / 255);
            uv[1] = (guint8)(128.5 + (red - luma) / 1.402 * 224 / 255);
        }
    }
}

void guest_buffer_draw(GuestBuffer *buffer, guint seed)
{
    const ScDmabufLayout *layout = sc_dmabuf_get_layout(sc_scanout_get_dmabuf(buffer->scanout));
    Picture *picture = &buffer->picture;

    picture_draw(picture, seed);
    if (layout->fourcc == DRM_FORMAT_NV12) {
        draw_nv12(buffer, layout);
        return;
    }
    for (guint y = 0; y < picture->height; y++) {
        guint row = sc_scanout_is_bottom_up(buffer->scanout) ? picture->height - 1 - y : y;

        memcpy(buffer->memory->data + layout->planes[0].offset +
                   (gsize)row * layout->planes[0].stride,
               picture->pixels + (gsize)y * picture->width, picture->width * 4);
    }
}

static void on_flushed(ScFlushResult result, gpointer data)
{
    GuestFlush *flush = data;

    g_assert_false(flush->is_complete);
    flush->is_complete = TRUE;
    flush->result = result;
    flush->time = g_get_monotonic_time();
}

ScFrame *guest_flush(GuestBuffer *buffer, GuestFlush *flush, gint64 timeout_us)
{
    g_autoptr(ScFlush) token = NULL;
    ScFrame *frame;

    *flush = (GuestFlush){ 0 };
    token = sc_flush_new(on_flushed, flush);
    frame = sc_frame_new(buffer->scanout, NULL, token);
    if (timeout_us > 0) {
        sc_frame_set_timeout(frame, timeout_us);
    }
    return frame;
}

void rungs_init(Harness *harness, ScEncoderKind kind)
{
    ScEncoderConfig config = {
        .codec = SC_CODEC_H264,
        .kind = kind,
        .bitrate_kbit = 20000,
        .max_fps = 60,
    };

    harness_init(harness, &config);
}

void rungs_submit(Harness *harness, GuestBuffer *buffer, GuestFlush *flush, gint64 timeout_us,
                  gboolean key)
{
    g_autoptr(ScFrame) frame = guest_flush(buffer, flush, timeout_us);
    g_autoptr(GError) error = NULL;

    sc_encoder_submit(harness->encoder, frame, key, &error);
    g_assert_no_error(error);
    g_assert_true(sc_encoder_is_busy(harness->encoder));
}

ScPacket *rungs_encode(Harness *harness, GuestBuffer *buffer, gboolean key)
{
    guint n = harness->packets->len;
    GuestFlush flush;

    rungs_submit(harness, buffer, &flush, 0, key);
    harness_wait_packets(harness, n + 1);
    g_assert_true(flush.is_complete);
    g_assert_cmpint(flush.result, ==, SC_FLUSH_DONE);
    return harness->packets->pdata[n];
}

void rungs_check(Harness *harness, guint first, const GuestBuffer *buffer)
{
    g_autofree char *colorimetry = NULL;
    g_autofree guint32 *decoded = NULL;
    guint width, height, n_pictures;

    g_assert_true(has_nal(harness->packets->pdata[first], NAL_IDR));
    g_assert_true(has_nal(harness->packets->pdata[first], NAL_SPS));
    decoded = decode(harness->packets, first, &width, &height, &n_pictures, &colorimetry);
    g_assert_cmpuint(n_pictures, ==, harness->packets->len - first);
    g_assert_cmpstr(colorimetry, ==, GST_VIDEO_COLORIMETRY_BT709);
    check_patches(&buffer->picture, decoded, width, TOLERANCE);
}

void rungs_assert_rung(Harness *harness, const char *name)
{
    const char *rung = sc_encoder_get_rung(harness->encoder);

    if (!g_str_has_prefix(rung, name) || rung[strlen(name)] != ' ') {
        g_error("%s is used, not %s", rung, name);
    }
}
