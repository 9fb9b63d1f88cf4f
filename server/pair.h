/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two connected sockets, one for libspice-server and one for us.
 *
 * Thread: any.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * @pair: non-blocking, close-on-exec, the caller's; the kernel holds little between them. FALSE and
 * errno on failure.
 *
 * @inet: by TCP on the loopback interface. SASL needs addresses, and libspice-server (0.15) gives
 * it wrong ones for sockets of the other kind. Nobody else can get between the two.
 */
gboolean sc_pair_new(gboolean inet, int pair[2]);

G_END_DECLS
