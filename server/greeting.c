/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/greeting.h"

#include "capture/timer.h"
#include "encoder/copy.h"
#include "encoder/target.h"

/* So many pixels a client decodes within 20 ms also on a slow machine. */
#define MAX_PIXELS (1280 * 1024)

/* Viewers often come together, and some connect again at once. */
#define REST_DELAY (5 * G_TIME_SPAN_SECOND)

struct ScGreeting {
    ScEncoder *encoder;
    ScGreetingFunc made;
    gpointer data;
    ScScanout *scanout; /* NULL: nothing is shown */

    guint32 width, height; /* of what the encoder was given */
    gboolean has_changed;  /* the picture, since it was given to the encoder */
    ScPacket *packet;      /* of the picture as it is; NULL: there is none */
    ScTimer *deliver, *rest;
};

static gboolean submit(ScGreeting *greeting, GError **error)
{
    g_autoptr(ScFrame) frame = sc_frame_new(greeting->scanout, NULL, NULL);
    g_autoptr(ScFrame) small_frame = NULL;
    g_autoptr(ScScanout) small = NULL;
    ScTarget target;
    guint divisor;

    sc_target_init(&target, greeting->scanout);
    divisor = sc_target_get_divisor(&target, MAX_PIXELS);
    if (divisor == 1 || !sc_encoder_copies(greeting->encoder, frame)) {
        return sc_encoder_submit(greeting->encoder, frame, TRUE, error);
    }
    small = sc_copy_reduced(greeting->scanout, divisor, error);
    if (small == NULL) {
        return FALSE;
    }
    small_frame = sc_frame_new(small, NULL, NULL);
    return sc_encoder_submit(greeting->encoder, small_frame, TRUE, error);
}

gboolean sc_greeting_make(ScGreeting *greeting)
{
    g_autoptr(GError) error = NULL;

    if (sc_encoder_is_busy(greeting->encoder)) {
        return TRUE;
    }
    if (greeting->packet != NULL) {
        sc_timer_set_after(greeting->deliver, 0);
        return TRUE;
    }
    if (greeting->scanout == NULL) {
        return FALSE;
    }
    sc_timer_set_after(greeting->rest, REST_DELAY);
    if (!submit(greeting, &error)) {
        g_info("nobody is greeted: %s", error->message);
        return FALSE;
    }
    greeting->width = sc_scanout_get_width(greeting->scanout);
    greeting->height = sc_scanout_get_height(greeting->scanout);
    greeting->has_changed = FALSE;
    return TRUE;
}

static void on_deliver(gpointer data)
{
    ScGreeting *greeting = data;

    if (greeting->packet != NULL) {
        greeting->made(greeting->packet, greeting->data);
    } else {
        sc_greeting_make(greeting); /* it has changed in this moment */
    }
}

static void on_rest(gpointer data)
{
    ScGreeting *greeting = data;

    if (sc_encoder_is_busy(greeting->encoder)) {
        sc_timer_set_after(greeting->rest, REST_DELAY);
    } else {
        sc_encoder_rest(greeting->encoder);
    }
}

/* What is shown now has the size of what was encoded. */
static gboolean fits(const ScGreeting *greeting)
{
    return greeting->scanout != NULL &&
           sc_scanout_get_width(greeting->scanout) == greeting->width &&
           sc_scanout_get_height(greeting->scanout) == greeting->height;
}

static void on_packet(ScPacket *packet, gpointer data)
{
    ScGreeting *greeting = data;
    ScPacketInfo info = *sc_packet_get_info(packet);
    g_autoptr(ScPacket) full = NULL;

    if (!fits(greeting)) {
        sc_timer_set_after(greeting->deliver, 0);
        return;
    }
    info.width = greeting->width;
    info.height = greeting->height;
    full = sc_packet_new(sc_packet_get_data(packet), &info);
    if (!greeting->has_changed) {
        greeting->packet = sc_packet_ref(full);
    }
    greeting->made(full, greeting->data);
}

static void on_failed(const GError *error, gpointer data)
{
    g_info("nobody is greeted: %s", error->message);
}

ScGreeting *sc_greeting_new(const ScEncoderConfig *config, ScGreetingFunc made, gpointer data,
                            GError **error)
{
    static const ScEncoderListener listener = {
        .packet = on_packet,
        .dropped = on_failed,
        .failed = on_failed,
    };
    g_autoptr(ScGreeting) greeting = g_new0(ScGreeting, 1);
    ScEncoderConfig mjpeg = *config;

    mjpeg.codec = SC_CODEC_MJPEG;
    mjpeg.max_pixels = MAX_PIXELS;
    greeting->made = made;
    greeting->data = data;
    greeting->deliver = sc_timer_new(on_deliver, greeting);
    greeting->rest = sc_timer_new(on_rest, greeting);
    greeting->encoder = sc_encoder_new(&mjpeg, &listener, greeting, error);
    return greeting->encoder != NULL ? g_steal_pointer(&greeting) : NULL;
}

void sc_greeting_free(ScGreeting *greeting)
{
    if (greeting == NULL) {
        return;
    }
    sc_encoder_free(greeting->encoder);
    sc_timer_free(greeting->deliver);
    sc_timer_free(greeting->rest);
    sc_scanout_unref(greeting->scanout);
    sc_packet_unref(greeting->packet);
    g_free(greeting);
}

void sc_greeting_set_scanout(ScGreeting *greeting, ScScanout *scanout)
{
    ScScanout *before = greeting->scanout;

    greeting->scanout = scanout != NULL ? sc_scanout_ref(scanout) : NULL;
    sc_scanout_unref(before);
    sc_greeting_note_change(greeting);
}

void sc_greeting_note_change(ScGreeting *greeting)
{
    greeting->has_changed = TRUE;
    g_clear_pointer(&greeting->packet, sc_packet_unref);
}
