/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What to do with a picture, given who watches, what the encoder does and what time it is. Pure:
 * no state, no clock, no side effects; the caller carries the numbers from one decision to the
 * next.
 *
 * Thread: any.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
    SC_POLICY_SKIP,   /* let the guest go on; remember what changed */
    SC_POLICY_ENCODE, /* now */
    SC_POLICY_ABSORB, /* copy now and let the guest go on, encode later */
    SC_POLICY_HOLD,   /* keep the frame, newest only, encode later */
} ScPolicyAction;

typedef struct {
    guint open_viewers;    /* that want pictures of this stream and have room for one */
    gboolean encoder_busy; /* a picture is in flight */
    gboolean copies;       /* the encoder would copy this picture */
    gboolean awaited;      /* the guest waits until we are done with it */
    gint64 now;            /* microseconds */
    gint64 interval;       /* between pictures, microseconds; 0: no limit */
    gint64 next_due;       /* from the decision before; 0 at first */
} ScPolicyInput;

typedef struct {
    ScPolicyAction action;
    gint64 next_due; /* carry it to the next input */
    gint64 retry_at; /* for HOLD and ABSORB: ask again then; 0: when the encoder is idle again */
} ScPolicyDecision;

ScPolicyDecision sc_policy_decide(const ScPolicyInput *input);

G_END_DECLS
