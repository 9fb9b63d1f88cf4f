/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The driver: one for each vaInitialize(), what all its functions share.
 *
 * The headers of this folder declare, besides their own, the functions of libva's table that they
 * implement: sc_va_x_…() with a VADriverContextP. Those may be called from any thread, except that
 * one context is used by one thread at a time, as libva says. What they mean is told by <va/va.h>.
 */
#pragma once

#include "tests/va-driver/engine.h"
#include "tests/va-driver/memory.h"
#include "tests/va-driver/object.h"
#include "tests/va-driver/switches.h"
#include "tests/va-driver/trace.h"
#include <va/va_backend.h>

G_BEGIN_DECLS

typedef struct {
    ScVaSwitches *switches;
    ScVaTrace *trace; /* may be NULL */
    ScVaObjects *objects;
    ScVaEngine *engine;
    ScVaHandles *handles;
    gint epoch; /* how often the device had been lost when this began */
} ScVaDriver;

static inline ScVaDriver *sc_va_driver(VADriverContextP context)
{
    return context->pDriverData;
}

/* The device is one for the whole process: it counts imports and encodes from 0, and when it is
 * lost, it is for every driver that is open. */
guint sc_va_device_count_import(void);
guint sc_va_device_count_encode(void);
void sc_va_device_lose(void);
gboolean sc_va_driver_is_lost(const ScVaDriver *driver);

G_END_DECLS
