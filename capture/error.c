/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/error.h"

G_DEFINE_QUARK(sc - error - quark, sc_error)
