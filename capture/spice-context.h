/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lets spice-gtk work in a main context of its caller's, for capture/source-spice.c only.
 *
 * spice-gtk (0.42) puts its idle sources, timers and descriptors into the default main context,
 * wherever it is called. Inside another program (GStreamer's) nobody need run that one, and who
 * does runs it in a thread that is not ours. Here what spice-gtk asks of GLib is changed such that
 * it uses the context that is its thread's default, which for everybody who has pushed none is the
 * default one, as before.
 *
 * Thread: the owner thread. spice-gtk runs its coroutines on one thread of a process only.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Before the first session of a thread. Does nothing where the default context is used. */
gboolean sc_spice_context_prepare(GError **error);

G_END_DECLS
