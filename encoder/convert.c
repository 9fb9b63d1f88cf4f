/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/convert.h"

#include "capture/error.h"

struct ScConverter {
    GstVideoConverter *converter;
    GstVideoInfo from, to; /* of a band */
    int width, height;     /* of the picture */
    int rows;              /* of a band */
};

/* The description of @rows rows out of @whole: strides depend on the width alone, so these rows
 * can be a part of the whole picture. */
static gboolean band_info_init(GstVideoInfo *info, const GstVideoInfo *whole, int rows)
{
    if (!gst_video_info_set_format(info, GST_VIDEO_INFO_FORMAT(whole), (guint)whole->width,
                                   (guint)rows)) {
        return FALSE;
    }
    info->colorimetry = whole->colorimetry;
    info->chroma_site = whole->chroma_site;
    return TRUE;
}

ScConverter *sc_converter_new(const GstVideoInfo *from, const GstVideoInfo *to, GError **error)
{
    g_autoptr(ScConverter) converter = g_new0(ScConverter, 1);

    converter->width = from->width;
    converter->height = from->height;
    converter->rows = MIN(SC_CONVERT_BAND, from->height);
    if (band_info_init(&converter->from, from, converter->rows) &&
        band_info_init(&converter->to, to, converter->rows)) {
        converter->converter = gst_video_converter_new(&converter->from, &converter->to, NULL);
    }
    if (converter->converter == NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "GStreamer cannot convert %s to %s at %d pixels width",
                    gst_video_format_to_string(GST_VIDEO_INFO_FORMAT(from)),
                    gst_video_format_to_string(GST_VIDEO_INFO_FORMAT(to)), from->width);
        return NULL;
    }
    return g_steal_pointer(&converter);
}

void sc_converter_free(ScConverter *converter)
{
    if (converter == NULL) {
        return;
    }
    g_clear_pointer(&converter->converter, gst_video_converter_free);
    g_free(converter);
}

/* The rows of @picture from @y on as a frame of their own. */
static void frame_init(GstVideoFrame *frame, const GstVideoInfo *info, const ScPicture *picture,
                       int y)
{
    const GstVideoInfo *whole = &picture->info;

    *frame = (GstVideoFrame){ .info = *info };
    for (guint plane = 0; plane < GST_VIDEO_INFO_N_PLANES(whole); plane++) {
        /* Component @plane lies in plane @plane in all formats we convert between. */
        int row = GST_VIDEO_FORMAT_INFO_SCALE_HEIGHT(whole->finfo, plane, y);

        frame->data[plane] =
            picture->data + whole->offset[plane] + (gsize)whole->stride[plane] * (gsize)row;
    }
}

static void run_band(ScConverter *converter, const ScPicture *from, ScPicture *to, int y)
{
    GstVideoFrame from_frame, to_frame;

    /* GStreamer (1.22) caches the last lines it converted and never forgets them when they are all
     * there are: two lines would stay what they were for ever. */
    if (converter->rows < SC_CONVERT_BAND) {
        gst_video_converter_free(converter->converter);
        converter->converter = gst_video_converter_new(&converter->from, &converter->to, NULL);
    }
    frame_init(&from_frame, &converter->from, from, y);
    frame_init(&to_frame, &converter->to, to, y);
    gst_video_converter_frame(converter->converter, &from_frame, &to_frame);
}

void sc_converter_run(ScConverter *converter, const ScPicture *from,
                      const pixman_region32_t *changes, ScPicture *to)
{
    for (int y = 0; y < converter->height; y += SC_CONVERT_BAND) {
        /* The last band ends with the picture, and may overlap the one before: one size for all. */
        int start = MIN(y, converter->height - converter->rows);
        pixman_box32_t rows = { 0, start, converter->width, start + converter->rows };

        if (changes == NULL || pixman_region32_contains_rectangle((pixman_region32_t *)changes,
                                                                  &rows) != PIXMAN_REGION_OUT) {
            run_band(converter, from, to, start);
        }
    }
}
