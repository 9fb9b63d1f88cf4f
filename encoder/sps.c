/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/sps.h"

#include <gst/base/gstbitreader.h>
#include <gst/base/gstbitwriter.h>

#define NAL_SPS 7 /* table 7-1 */

#define EXTENDED_SAR 255 /* table E-1 */
#define UNSPECIFIED_FORMAT 5
#define BT709 1 /* primaries, transfer and matrix: tables E-3 to E-5 */

/* Names of what is copied are those of clauses 7.3.2.1.1 and E.1.1, in comments. */
typedef struct {
    GstBitReader from;
    GstBitWriter *to;
    gboolean failed; /* the end was reached: all that is read then is 0 */
} Copy;

static guint32 skip_bits(Copy *copy, guint n)
{
    guint32 value = 0;

    copy->failed |= !gst_bit_reader_get_bits_uint32(&copy->from, &value, n);
    return value;
}

static void put_bits(Copy *copy, guint32 value, guint n)
{
    gst_bit_writer_put_bits_uint32(copy->to, value, n);
}

static guint32 copy_bits(Copy *copy, guint n)
{
    guint32 value = skip_bits(copy, n);

    put_bits(copy, value, n);
    return value;
}

/* Exp-Golomb, clause 9.1. */
static guint32 copy_ue(Copy *copy)
{
    guint n_zeros = 0;

    while (!copy->failed && n_zeros < 32 && copy_bits(copy, 1) == 0) {
        n_zeros++;
    }
    if (n_zeros >= 32) {
        copy->failed = TRUE;
    }
    return copy->failed || n_zeros == 0 ? 0 : (1u << n_zeros) - 1 + copy_bits(copy, n_zeros);
}

static gint32 copy_se(Copy *copy)
{
    guint32 code = copy_ue(copy);

    return code % 2 != 0 ? (gint32)(code / 2 + 1) : -(gint32)(code / 2);
}

static void copy_scaling_list(Copy *copy, guint size)
{
    int last = 8, next = 8;

    for (guint i = 0; i < size && next != 0; i++) {
        next = (last + copy_se(copy) % 256 + 256) % 256; /* delta_scale */
        last = next != 0 ? next : last;
    }
}

static gboolean has_chroma_format(guint32 profile)
{
    static const guint32 profiles[] = {
        100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135
    };

    for (gsize i = 0; i < G_N_ELEMENTS(profiles); i++) {
        if (profiles[i] == profile) {
            return TRUE;
        }
    }
    return FALSE;
}

static void copy_chroma_format(Copy *copy)
{
    guint32 format = copy_ue(copy); /* chroma_format_idc */

    if (format == 3) {
        copy_bits(copy, 1); /* separate_colour_plane_flag */
    }
    copy_ue(copy);                 /* bit_depth_luma_minus8 */
    copy_ue(copy);                 /* bit_depth_chroma_minus8 */
    copy_bits(copy, 1);            /* qpprime_y_zero_transform_bypass_flag */
    if (copy_bits(copy, 1) != 0) { /* seq_scaling_matrix_present_flag */
        for (guint i = 0; i < (format == 3 ? 12 : 8); i++) {
            if (copy_bits(copy, 1) != 0) { /* seq_scaling_list_present_flag */
                copy_scaling_list(copy, i < 6 ? 16 : 64);
            }
        }
    }
}

static void copy_order_count(Copy *copy)
{
    guint32 type = copy_ue(copy); /* pic_order_cnt_type */
    guint32 n_frames;

    if (type == 0) {
        copy_ue(copy); /* log2_max_pic_order_cnt_lsb_minus4 */
    } else if (type == 1) {
        copy_bits(copy, 1);       /* delta_pic_order_always_zero_flag */
        copy_ue(copy);            /* offset_for_non_ref_pic */
        copy_ue(copy);            /* offset_for_top_to_bottom_field */
        n_frames = copy_ue(copy); /* num_ref_frames_in_pic_order_cnt_cycle */
        for (guint i = 0; i < n_frames && !copy->failed; i++) {
            copy_ue(copy); /* offset_for_ref_frame */
        }
    }
}

/* Up to the video usability information. */
static void copy_head(Copy *copy)
{
    guint32 profile = copy_bits(copy, 8); /* profile_idc */

    copy_bits(copy, 16); /* constraint flags, level_idc */
    copy_ue(copy);       /* seq_parameter_set_id */
    if (has_chroma_format(profile)) {
        copy_chroma_format(copy);
    }
    copy_ue(copy); /* log2_max_frame_num_minus4 */
    copy_order_count(copy);
    copy_ue(copy);                 /* max_num_ref_frames */
    copy_bits(copy, 1);            /* gaps_in_frame_num_value_allowed_flag */
    copy_ue(copy);                 /* pic_width_in_mbs_minus1 */
    copy_ue(copy);                 /* pic_height_in_map_units_minus1 */
    if (copy_bits(copy, 1) == 0) { /* frame_mbs_only_flag */
        copy_bits(copy, 1);        /* mb_adaptive_frame_field_flag */
    }
    copy_bits(copy, 1);            /* direct_8x8_inference_flag */
    if (copy_bits(copy, 1) != 0) { /* frame_cropping_flag */
        for (guint i = 0; i < 4; i++) {
            copy_ue(copy); /* frame_crop_*_offset */
        }
    }
}

static void put_colours(Copy *copy)
{
    put_bits(copy, 1, 1); /* video_signal_type_present_flag */
    put_bits(copy, UNSPECIFIED_FORMAT, 3);
    put_bits(copy, 0, 1); /* video_full_range_flag */
    put_bits(copy, 1, 1); /* colour_description_present_flag */
    put_bits(copy, BT709, 8);
    put_bits(copy, BT709, 8);
    put_bits(copy, BT709, 8);
}

/* All that is left, the trailing bits, too. */
static void copy_rest(Copy *copy)
{
    while (gst_bit_reader_get_remaining(&copy->from) > 0) {
        copy_bits(copy, 1);
    }
}

static void copy_usability(Copy *copy)
{
    if (copy_bits(copy, 1) != 0 &&            /* aspect_ratio_info_present_flag */
        copy_bits(copy, 8) == EXTENDED_SAR) { /* aspect_ratio_idc */
        copy_bits(copy, 32);                  /* sar_width, sar_height */
    }
    if (copy_bits(copy, 1) != 0) { /* overscan_info_present_flag */
        copy_bits(copy, 1);        /* overscan_appropriate_flag */
    }
    if (skip_bits(copy, 1) != 0) { /* video_signal_type_present_flag */
        skip_bits(copy, 4);
        if (skip_bits(copy, 1) != 0) { /* colour_description_present_flag */
            skip_bits(copy, 24);
        }
    }
    put_colours(copy);
    copy_rest(copy);
}

static void make_usability(Copy *copy)
{
    put_bits(copy, 0, 2); /* nothing of aspect ratio and overscan */
    put_colours(copy);
    put_bits(copy, 0, 6); /* chroma location, timing, two HRDs, picture structure, restriction */
    put_bits(copy, 1, 1); /* rbsp_stop_one_bit */
    gst_bit_writer_align_bytes(copy->to, 0);
}

/* Without the bytes that keep start codes out of a NAL unit, clause 7.4.1. */
static GByteArray *unescape(const guint8 *data, gsize size)
{
    GByteArray *plain = g_byte_array_sized_new((guint)size);
    guint n_zeros = 0;

    for (gsize i = 0; i < size; i++) {
        if (n_zeros >= 2 && data[i] == 3) {
            n_zeros = 0;
            continue;
        }
        g_byte_array_append(plain, &data[i], 1);
        n_zeros = data[i] == 0 ? n_zeros + 1 : 0;
    }
    return plain;
}

static void append_escaped(GByteArray *to, const guint8 *data, gsize size)
{
    static const guint8 escape = 3;
    guint n_zeros = 0;

    for (gsize i = 0; i < size; i++) {
        if (n_zeros >= 2 && data[i] <= 3) {
            g_byte_array_append(to, &escape, 1);
            n_zeros = 0;
        }
        g_byte_array_append(to, &data[i], 1);
        n_zeros = data[i] == 0 ? n_zeros + 1 : 0;
    }
}

/* @data: a sequence parameter set behind its NAL unit's first byte. */
static gboolean append_sps(GByteArray *to, const guint8 *data, gsize size)
{
    g_autoptr(GByteArray) plain = unescape(data, size);
    Copy copy = { .to = gst_bit_writer_new() };
    gsize written;

    /* Zeros behind the trailing bits are not of the NAL unit. */
    while (plain->len > 0 && plain->data[plain->len - 1] == 0) {
        g_byte_array_set_size(plain, plain->len - 1);
    }
    gst_bit_reader_init(&copy.from, plain->data, plain->len);
    copy_head(&copy);
    if (skip_bits(&copy, 1) != 0) { /* vui_parameters_present_flag */
        put_bits(&copy, 1, 1);
        copy_usability(&copy);
        /* What was inserted need not be whole bytes. That may leave zeros. */
        gst_bit_writer_align_bytes(copy.to, 0);
    } else {
        put_bits(&copy, 1, 1);
        make_usability(&copy);
    }
    written = gst_bit_writer_get_size(copy.to) / 8;
    while (written > 0 && gst_bit_writer_get_data(copy.to)[written - 1] == 0) {
        written--;
    }
    if (!copy.failed) {
        append_escaped(to, gst_bit_writer_get_data(copy.to), written);
    }
    gst_bit_writer_free(copy.to);
    return !copy.failed;
}

/* The place of the next start code's first 0, at or behind @offset; @size if there is none. */
static gsize find_start(const guint8 *data, gsize size, gsize offset)
{
    for (; offset + 3 <= size; offset++) {
        if (data[offset] == 0 && data[offset + 1] == 0 && data[offset + 2] == 1) {
            return offset;
        }
    }
    return size;
}

GBytes *sc_sps_set_bt709(GBytes *packet)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(packet, &size);
    g_autoptr(GByteArray) changed = NULL;
    gsize done = 0;

    for (gsize start = find_start(data, size, 0); start + 3 < size;) {
        gsize end = find_start(data, size, start + 3);

        if ((data[start + 3] & 0x1f) == NAL_SPS) {
            changed = changed != NULL ? changed : g_byte_array_sized_new((guint)size + 64);
            g_byte_array_append(changed, data + done, (guint)(start + 4 - done));
            if (!append_sps(changed, data + start + 4, end - start - 4)) {
                return g_bytes_ref(packet);
            }
            /* The longer start code has a 0 more in front. */
            done = end < size && data[end - 1] == 0 ? end - 1 : end;
        }
        start = end;
    }
    if (changed == NULL) {
        return g_bytes_ref(packet);
    }
    g_byte_array_append(changed, data + done, (guint)(size - done));
    return g_byte_array_free_to_bytes(g_steal_pointer(&changed));
}
