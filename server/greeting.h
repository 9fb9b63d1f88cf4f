/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The greeting: one MJPEG picture of what a head shows, for clients that will watch H.264 but need
 * tenths of a second to make a decoder for it. It is encoded when it is asked for, and once for all
 * who ask while the picture stays; the encoder is let go some seconds later.
 *
 * Pictures of more than 1280 x 1024 pixels are encoded at a half, a quarter... of their size, which
 * spice-gtk stretches: it decodes MJPEG where all else it does must wait, and until H.264 comes the
 * whole at once is better than the details later.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/scanout.h"
#include "encoder/encoder.h"

G_BEGIN_DECLS

typedef struct ScGreeting ScGreeting;

/* The packet tells the size of what is shown, whatever that of the picture in it. Called from the
 * main loop, never from inside a function of this header. */
typedef void (*ScGreetingFunc)(ScPacket *packet, gpointer data);

/* @config: of an encoder; the codec is SC_CODEC_MJPEG whatever it says. */
ScGreeting *sc_greeting_new(const ScEncoderConfig *config, ScGreetingFunc made, gpointer data,
                            GError **error);
void sc_greeting_free(ScGreeting *greeting); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScGreeting, sc_greeting_free)

/* What is shown, referenced; NULL: nothing. Nobody is shown a scanout of before. */
void sc_greeting_set_scanout(ScGreeting *greeting, ScScanout *scanout);

/* It has changed. A greeting that is in the making is made nevertheless. */
void sc_greeting_note_change(ScGreeting *greeting);

/* TRUE: @made will be called, unless encoding fails or nothing is shown any more. FALSE: there is
 * nothing to show, or it cannot be copied (the log says why). */
gboolean sc_greeting_make(ScGreeting *greeting);

G_END_DECLS
