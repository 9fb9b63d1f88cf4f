/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/edid.h"

#include <string.h>

#define BLOCK 128

/* 12 bits, and 16 bits of 10 kHz, are what the base block has room for. */
#define BASE_MAX_DIMENSION 4095
#define BASE_MAX_CLOCK 65535

/* 10 kHz. Who reads EDIDs takes less than 10 MHz for nonsense. */
#define MIN_CLOCK 1000

#define REFRESH 60
#define DPI 96

/* CVT's reduced blanking: the horizontal figures are constant, the vertical ones enough for any
 * size (no real monitor has to retrace anything). */
#define H_BLANK 160
#define H_FRONT 48
#define H_SYNC 32
#define V_FRONT 3
#define V_SYNC 6
#define V_BACK 6

typedef struct {
    guint width, height;
    guint v_blank;
    guint clock;               /* 10 kHz */
    guint width_mm, height_mm; /* of the monitor; 12 bits, which is what there is room for */
} Timing;

static guint to_millimetres(guint pixels)
{
    return MIN(pixels * 254 / (10 * DPI), 4095);
}

static Timing make_timing(guint width, guint height)
{
    Timing timing = { .width = width,
                      .height = height,
                      .width_mm = to_millimetres(width),
                      .height_mm = to_millimetres(height) };
    guint64 pixels;
    guint min_lines = (MIN_CLOCK * 10000 / REFRESH) / (width + H_BLANK) + 1;

    timing.v_blank = MAX(height / 30, V_FRONT + V_SYNC + V_BACK);
    timing.v_blank = MAX(timing.v_blank, min_lines - MIN(height, min_lines));
    pixels = (guint64)(width + H_BLANK) * (height + timing.v_blank);
    timing.clock = (guint)(pixels * REFRESH / 10000);
    return timing;
}

static void set_checksum(guint8 *block, gsize size)
{
    guint8 sum = 0;

    for (gsize i = 0; i + 1 < size; i++) {
        sum = (guint8)(sum + block[i]);
    }
    block[size - 1] = (guint8)-sum;
}

/* A detailed timing descriptor, section 3.10.2. */
static void write_detailed(guint8 *d, const Timing *timing)
{
    d[0] = (guint8)timing->clock;
    d[1] = (guint8)(timing->clock >> 8);
    d[2] = (guint8)timing->width;
    d[3] = H_BLANK;
    d[4] = (guint8)(timing->width >> 8 << 4 | H_BLANK >> 8);
    d[5] = (guint8)timing->height;
    d[6] = (guint8)timing->v_blank;
    d[7] = (guint8)(timing->height >> 8 << 4 | timing->v_blank >> 8);
    d[8] = H_FRONT;
    d[9] = H_SYNC;
    d[10] = V_FRONT << 4 | V_SYNC;
    d[12] = (guint8)timing->width_mm;
    d[13] = (guint8)timing->height_mm;
    d[14] = (guint8)(timing->width_mm >> 8 << 4 | timing->height_mm >> 8);
    d[17] = 0x1a; /* separate sync, horizontal positive */
}

/* A display descriptor, section 3.10.3. */
static void write_descriptor(guint8 *d, guint8 tag, const char *text)
{
    d[3] = tag;
    memset(d + 5, ' ', 13);
    memcpy(d + 5, text, strlen(text));
    d[5 + strlen(text)] = '\n';
}

static void write_range_limits(guint8 *d)
{
    static const guint8 limits[18] = { 0,   0, 0,    0xfd, 0,   50,  125, 30,  255,
                                       255, 1, '\n', ' ',  ' ', ' ', ' ', ' ', ' ' };

    memcpy(d, limits, sizeof limits);
}

static void write_base(guint8 *edid, const Timing *timing)
{
    static const guint8 header[8] = { 0, 255, 255, 255, 255, 255, 255, 0 };
    /* sRGB, as section 3.7 encodes it. */
    static const guint8 chromaticity[10] = { 0xee, 0x91, 0xa3, 0x54, 0x4c,
                                             0x99, 0x26, 0x0f, 0x50, 0x54 };
    /* Section 3.9: width / 8 - 31, then the shape and the rate. */
    static const guint8 standard[8] = { 0x81, 0xc0, 0x81, 0x80, 0xa9, 0xc0, 0xd1, 0xc0 };

    memcpy(edid, header, sizeof header);
    /* "SCN", five bits a letter. */
    edid[8] = ('S' - '@') << 2 | ('C' - '@') >> 3;
    edid[9] = (guint8)(('C' - '@') << 5 | ('N' - '@'));
    edid[10] = 1;
    edid[12] = 1;
    edid[17] = 2026 - 1990;
    edid[18] = 1;
    edid[19] = 4;
    edid[20] = 0xa5; /* digital, 8 bits a colour, DisplayPort */
    edid[21] = (guint8)MIN(timing->width_mm / 10, 255);
    edid[22] = (guint8)MIN(timing->height_mm / 10, 255);
    edid[23] = 120;  /* gamma 2.2 */
    edid[24] = 0x06; /* sRGB, the first timing is the preferred one */
    memcpy(edid + 25, chromaticity, sizeof chromaticity);
    /* Others that guests may choose: 640x480, 800x600, 1024x768; 1280x720, 1280x1024, 1600x900,
     * 1920x1080, all at 60 Hz. */
    edid[35] = 0x21;
    edid[36] = 0x08;
    memset(edid + 38, 1, 16);
    memcpy(edid + 38, standard, sizeof standard);
    write_detailed(edid + 54, timing);
    write_range_limits(edid + 72);
    write_descriptor(edid + 90, 0xfc, "Scancast");
    write_descriptor(edid + 108, 0xff, "1");
}

static void put_le16(guint8 *to, guint value)
{
    to[0] = (guint8)value;
    to[1] = (guint8)(value >> 8);
}

/* Data blocks of a DisplayID section, each a tag, a revision, a size and so many bytes. */
enum {
    DISPLAY_ID_PRODUCT = 0x00,
    DISPLAY_ID_PARAMETERS = 0x01,
    DISPLAY_ID_TIMINGS = 0x03, /* of type 1 */
    DISPLAY_ID_INTERFACE = 0x0f,
};

/* Appends one to @section, whose second byte counts. Returns its bytes. */
static guint8 *add_block(guint8 *section, guint8 tag, guint8 size)
{
    guint8 *block = section + 4 + section[1];

    block[0] = tag;
    block[2] = size;
    section[1] = (guint8)(section[1] + 3 + size);
    return block + 3;
}

/* What every display has to say of itself there, beside its timings. */
static void write_display(guint8 *section, const Timing *timing)
{
    guint8 *d = add_block(section, DISPLAY_ID_PRODUCT, 12);

    memcpy(d, "SCN", 3);
    d[3] = 1;
    d[10] = 2026 - 2000;
    d = add_block(section, DISPLAY_ID_PARAMETERS, 12);
    put_le16(d, timing->width_mm * 10); /* tenths */
    put_le16(d + 2, timing->height_mm * 10);
    put_le16(d + 4, timing->width);
    put_le16(d + 6, timing->height);
    d[9] = 120; /* gamma 2.2 */
    d[10] = (guint8)MIN(
        100 * MAX(timing->width, timing->height) / MIN(timing->width, timing->height) - 100, 255);
    d[11] = 0x77; /* 8 bits a colour */
    d = add_block(section, DISPLAY_ID_INTERFACE, 10);
    d[0] = 0xa1; /* DisplayPort, one link */
    d[1] = 0x12; /* version 1.2 */
    d[2] = 0x02; /* RGB of 8 bits */
}

/* A type 1 detailed timing, whose numbers are all one less. */
static void write_timing(guint8 *section, const Timing *timing)
{
    guint8 *d = add_block(section, DISPLAY_ID_TIMINGS, 20);
    guint clock = timing->clock - 1;

    d[0] = (guint8)clock;
    d[1] = (guint8)(clock >> 8);
    d[2] = (guint8)(clock >> 16);
    d[3] = 0x88; /* preferred, progressive, no aspect ratio of the list */
    put_le16(d + 4, timing->width - 1);
    put_le16(d + 6, H_BLANK - 1);
    put_le16(d + 8, (H_FRONT - 1) | 0x8000); /* positive, as in the base block */
    put_le16(d + 10, H_SYNC - 1);
    put_le16(d + 12, timing->height - 1);
    put_le16(d + 14, timing->v_blank - 1);
    put_le16(d + 16, V_FRONT - 1);
    put_le16(d + 18, V_SYNC - 1);
}

static void write_display_id(guint8 *block, const Timing *timing)
{
    guint8 *section = block + 1;

    block[0] = 0x70;
    section[0] = 0x13; /* version 1.3 */
    section[2] = 0x03; /* a display of its own */
    write_display(section, timing);
    write_timing(section, timing);
    set_checksum(section, 4 + section[1] + 1);
    set_checksum(block, BLOCK);
}

gsize sc_edid_make(guint width, guint height, guint8 edid[SC_EDID_MAX_SIZE])
{
    Timing timing = make_timing(CLAMP(width, SC_EDID_MIN_DIMENSION, SC_EDID_MAX_DIMENSION),
                                CLAMP(height, SC_EDID_MIN_DIMENSION, SC_EDID_MAX_DIMENSION));
    gboolean fits = timing.width <= BASE_MAX_DIMENSION && timing.height <= BASE_MAX_DIMENSION &&
                    timing.clock <= BASE_MAX_CLOCK;
    Timing base = fits ? timing : make_timing(1920, 1080);

    base.width_mm = timing.width_mm;
    base.height_mm = timing.height_mm;
    memset(edid, 0, SC_EDID_MAX_SIZE);
    write_base(edid, &base);
    if (!fits) {
        edid[126] = 1;
        edid[24] = 0x04; /* the extension has the preferred timing */
        write_display_id(edid + BLOCK, &timing);
    }
    set_checksum(edid, BLOCK);
    return fits ? BLOCK : 2 * BLOCK;
}
