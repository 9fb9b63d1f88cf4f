/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A frame: one state of a scanout that should reach viewers. Refers to the scanout, says what
 * changed, and carries the guest's flush.
 *
 * The fence rule: whoever still needs to read the scanout's buffer holds a reference to the frame.
 * When the last reference goes, the guest is released: as done if anybody took the picture
 * (sc_frame_set_taken), else as dropped. So: a copying encoder drops its reference right after the
 * copy, a zero-copy encoder when the packet is out and the pipeline has let go of the memory.
 *
 * Thread: the owner thread only. GStreamer's threads hand their references back to it.
 */
#pragma once

#include "capture/flush.h"
#include "capture/scanout.h"
#include <pixman.h>

G_BEGIN_DECLS

typedef struct ScFrame ScFrame;

/* Takes its own references. @damage is in shown pixels, origin top left, and is clipped to the
 * scanout; NULL means all of it. @flush may be NULL: nobody waits. */
ScFrame *sc_frame_new(ScScanout *scanout, const pixman_region32_t *damage, ScFlush *flush);

ScFrame *sc_frame_ref(ScFrame *frame);
void sc_frame_unref(ScFrame *frame); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScFrame, sc_frame_unref)

/* The reference stays the frame's. */
ScScanout *sc_frame_get_scanout(const ScFrame *frame);
const pixman_region32_t *sc_frame_get_damage(const ScFrame *frame);

/* Grows the damage, by what frames changed that nobody took. */
void sc_frame_add_damage(ScFrame *frame, const pixman_region32_t *damage);

/* Counts up over the process; packets carry it to say which frame they show. */
guint64 sc_frame_get_serial(const ScFrame *frame);

/* When the source had it, monotonic microseconds. */
gint64 sc_frame_get_time(const ScFrame *frame);

/* Somebody took the picture: the flush will complete as done. */
void sc_frame_set_taken(ScFrame *frame);

/* Starts the deadline: see sc_flush_set_timeout(). Does nothing without a flush. */
void sc_frame_set_timeout(ScFrame *frame, gint64 timeout_us);

/* The guest is waiting for this frame. */
gboolean sc_frame_is_awaited(const ScFrame *frame);

/* The deadline came while somebody held the frame. */
gboolean sc_frame_is_expired(const ScFrame *frame);

/* Frames alive in this process; for tests that look for leaks. */
guint sc_frame_count_alive(void);

G_END_DECLS
