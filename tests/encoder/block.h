/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A GStreamer element "scblock" that passes everything through and misbehaves on command.
 */
#pragma once

#include <glib.h>

typedef enum {
    BLOCK_NOTHING,
    BLOCK_PICTURES,
    BLOCK_START,  /* the change to PAUSED */
    BLOCK_RETIME, /* hangs nowhere, but adds a second to all time stamps */
    BLOCK_KEEP,   /* passes pictures on, but does not let go of them */
} Block;

/* After gst_init(). */
void block_register(void);

/* For all elements of the kind; what hangs and should not any longer goes on. */
void block_set(Block block);

/* How many calls hang right now. */
guint block_count(void);
