/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/spice-compat.h"

#include "capture/import.h"

#include <dlfcn.h>
#include <spice.h>
#include <time.h>

/* How far libspice-server < 0.16 sets the client's clock back (MM_TIME_DELTA), in milliseconds. */
#define CLOCK_SET_BACK 400

/*
 * How long before its time of display a frame should arrive, in milliseconds.
 * H.264: spice-gtk waits for that time, but shows what is late at once. (Each picture inherits the
 * time of the one before, because its access unit begins with the delimiter sent after that one; so
 * at usual frame rates all are a little late, which is just right.)
 * MJPEG: spice-gtk throws away what is late (mjpeg_decoder_queue_frame), so it must allow for
 * the time a picture takes on the network. The first one is awaited, and comes again if nothing
 * follows, or makes room for H.264 (server/outbox.c): it is late on slow networks, and early on all
 * others.
 */
#define MARGIN_H264 5
#define MARGIN_MJPEG 100
#define MARGIN_MJPEG_FIRST 30

/* Nanoseconds; 0 except while a data message is stamped by this thread. */
static _Thread_local gint64 set_back;

/* The clock_gettime() that libspice-server calls. */
static int get_time_set_back(clockid_t clock, struct timespec *now)
{
    int result = clock_gettime(clock, now);

    if (G_UNLIKELY(set_back != 0) && clock == CLOCK_MONOTONIC && result == 0) {
        gint64 then = now->tv_sec * G_GINT64_CONSTANT(1000000000) + now->tv_nsec - set_back;

        now->tv_sec = then / 1000000000;
        now->tv_nsec = then % 1000000000;
    }
    return result;
}

static gboolean is_old_library(void)
{
    void *library = dlopen("libspice-server.so.1", RTLD_LAZY | RTLD_NOLOAD);
    gboolean is_new = library != NULL && dlsym(library, "spice_qxl_gl_scanout2") != NULL;

    if (library != NULL) {
        dlclose(library);
    }
    return !is_new;
}

/* Whether it has to be made good, and can be. */
static gboolean client_clock_is_set_back(void)
{
    static gsize answer; /* 1: no, 2: yes */

    if (g_once_init_enter(&answer)) {
        g_autoptr(GError) error = NULL;
        gboolean is_replaced = FALSE;

        if (is_old_library()) {
            is_replaced =
                sc_import_replace(spice_server_new, "clock_gettime", get_time_set_back, &error);
        }
        if (error != NULL) {
            g_message("some clients will show pictures %d ms late: %s", CLOCK_SET_BACK,
                      error->message);
        }
        g_once_init_leave(&answer, is_replaced ? 2 : 1);
    }
    return answer == 2;
}

void sc_spice_compat_begin_stamp(ScCodec codec, gboolean is_first)
{
    if (client_clock_is_set_back()) {
        gint64 margin = codec != SC_CODEC_MJPEG ? MARGIN_H264
                        : is_first              ? MARGIN_MJPEG_FIRST
                                                : MARGIN_MJPEG;

        set_back = (CLOCK_SET_BACK - margin) * 1000000;
    }
}

void sc_spice_compat_end_stamp(void)
{
    set_back = 0;
}

/* Byte stream (ITU-T H.264 Annex B): an access unit delimiter (7.3.2.4) for any kind of picture,
 * primary_pic_type 7. */
#define DELIMITER 0, 0, 0, 1, 0x09, 0xf0

GBytes *sc_spice_compat_get_h264_intro(void)
{
    static const guint8 intro[] = { DELIMITER };
    static GBytes *bytes;

    if (bytes == NULL) {
        bytes = g_bytes_new_static(intro, sizeof intro);
    }
    return bytes;
}

GBytes *sc_spice_compat_get_h264_tail(void)
{
    /* After the delimiter an SEI NAL (7.3.2.3) with a user_data_unregistered payload (type 5) of 16
     * bytes UUID and one byte. h264parse takes a NAL as complete only when the next start code is
     * there: the SEI makes it see the end of the delimiter, which ends the access unit. */
    static const guint8 tail[] = {
        DELIMITER, 0,   0,   0,   1,   0x06, 5,   17, /* SEI, payload type and size */
        's',       'c', 'a', 'n', 'c', 'a',  's', 't', '-',
        'e',       'n', 'd', '-', 'o', 'f',  '-', 'u', 0x80, /* rbsp trailing bits */
    };
    static GBytes *bytes;

    if (bytes == NULL) {
        bytes = g_bytes_new_static(tail, sizeof tail);
    }
    return bytes;
}
