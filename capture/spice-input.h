/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection's input, for capture/source-spice.c only: keyboard, pointer and lamps through the
 * inputs channel, the pointer mode through the main channel. The functions of capture/source.h that
 * send input end here; they do nothing until the VMM has said hello on the inputs channel.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/source-impl.h"
#include <spice-client.h>

G_BEGIN_DECLS

typedef struct ScSpiceInput ScSpiceInput;

/*
 * @source must outlive the result. @session is made read-only until the state of the guest's lamps
 * is known: spice-gtk would begin by switching them all off.
 */
ScSpiceInput *sc_spice_input_new(ScSource *source, SpiceSession *session);

/* In this order; a reference is taken. FALSE: there is one already (or no main channel yet). */
gboolean sc_spice_input_set_main(ScSpiceInput *input, SpiceChannel *channel);
gboolean sc_spice_input_set_inputs(ScSpiceInput *input, SpiceChannel *channel);

void sc_spice_input_free(ScSpiceInput *input); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScSpiceInput, sc_spice_input_free)

void sc_spice_input_send_key(ScSpiceInput *input, guint scancode, gboolean pressed);
void sc_spice_input_send_motion(ScSpiceInput *input, int dx, int dy);
void sc_spice_input_send_position(ScSpiceInput *input, guint x, guint y);
void sc_spice_input_send_button(ScSpiceInput *input, ScButton button, gboolean pressed);
void sc_spice_input_send_wheel(ScSpiceInput *input, int steps);
void sc_spice_input_send_leds(ScSpiceInput *input, ScLeds leds);
/* Only where the guest runs a SPICE agent: clients may not speak of sizes to anybody else. */
void sc_spice_input_send_size(ScSpiceInput *input, guint width, guint height);

G_END_DECLS
