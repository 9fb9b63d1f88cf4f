/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Judges what a client sends on one connection before libspice-server sees it. libspice-server
 * (0.15) trusts its clients with the order of some messages and ends the process where it is wrong:
 * migration messages that nobody asked for, an empty or untimely message for the agent, a second
 * DISPLAY_INIT. So only what a viewer needs may pass: the link message of a main, display, cursor
 * or inputs channel, a ticket, and then, of each channel, a short list of messages, each with its
 * size.
 *
 * Thread: any one at a time; a guard does nothing by itself, and reads no clock.
 * Sizes:  a guard holds less than 5 KiB, and looks at every byte once.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A link message and its header: libspice-server takes no longer ones (reds.cpp, 0.15). */
#define SC_GUARD_MAX_LINK (16 + 4096)

typedef struct ScGuard ScGuard;

/* @sasl: clients authenticate by SASL, not by a ticket. What they send for that is left to
 * libspice-server, and what comes after it is encrypted by SASL (libspice-server insists on it), so
 * it cannot be judged: with SASL, only who has authenticated can do libspice-server harm. */
ScGuard *sc_guard_new(gboolean sasl);
/* NULL is ignored. */
void sc_guard_free(ScGuard *guard);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScGuard, sc_guard_free)

/* The next @size bytes of the client, in whatever pieces they come. FALSE: they break the rules, as
 * @error says (SC_ERROR_INVALID). Then none of them may pass, the connection must be closed, and
 * the guard must not be asked again. */
gboolean sc_guard_check(ScGuard *guard, const guint8 *bytes, gsize size, GError **error);

/* TRUE when the link message is complete, and then the SPICE connection id it gives: 0 for the main
 * channel, which makes a new client, and never 0 for the others. */
gboolean sc_guard_get_link(const ScGuard *guard, guint32 *connection_id);

/* From the link message on: messages, in both directions, begin with a SpiceMiniDataHeader. */
gboolean sc_guard_has_mini_header(const ScGuard *guard);

G_END_DECLS
