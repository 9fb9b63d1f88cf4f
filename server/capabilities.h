/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What --print-capabilities prints: the VA devices, the rungs of the ladder, which one will be used
 * and why the higher ones will not.
 *
 * Thread: the main thread. Asks all devices, so it takes its time.
 */
#pragma once

#include "server/options.h"

G_BEGIN_DECLS

/* For a person or, if @options say so, JSON for a program. The caller frees it. Fails if the
 * options for the encoder make no sense; that nothing can be encoded is not an error but told. */
char *sc_capabilities_format(const ScOptions *options, GError **error);

G_END_DECLS
