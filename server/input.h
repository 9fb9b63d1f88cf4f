/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Merges the input of all viewers into the one keyboard and pointer of the guest: a key is down as
 * long as any viewer holds it, what a viewer held is released when it leaves, and motions and
 * positions are turned into what the guest's pointer wants. Of the sizes of their windows the last
 * one told counts.
 *
 * Viewers are told apart by any pointer that is theirs.
 *
 * Thread: the owner thread.
 */
#pragma once

#include "capture/source.h"

G_BEGIN_DECLS

typedef struct ScInput ScInput;

/* Who gets the events of one keyboard and pointer. All members are mandatory. Keys, units and signs
 * as in capture/source.h. */
typedef struct {
    void (*key)(guint scancode, gboolean pressed, gpointer data);
    void (*motion)(int dx, int dy, gpointer data);
    void (*position)(guint x, guint y, gpointer data);
    void (*button)(ScButton button, gboolean pressed, gpointer data);
    void (*wheel)(int steps, gpointer data);
    /* The size of picture that would suit, in pixels. */
    void (*size)(guint width, guint height, gpointer data);
} ScInputListener;

/* Sizes outside these bounds nobody can mean: windows that are not laid out yet, and what is larger
 * than any screen (8K is 7680x4320), for which a guest would waste its memory. */
#define SC_INPUT_MIN_WIDTH 320
#define SC_INPUT_MIN_HEIGHT 200
#define SC_INPUT_MAX_SIZE 8192

/* How long sizes are collected, microseconds: a window that is drawn larger tells many, and a guest
 * takes some 100 ms for a change of mode. */
#define SC_INPUT_SIZE_DELAY (200 * G_TIME_SPAN_MILLISECOND)

/* @listener gets the merged events; it is copied. Its size() is called from the main loop, the
 * others from inside the functions below. */
ScInput *sc_input_new(const ScInputListener *listener, gpointer data);

void sc_input_free(ScInput *input); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScInput, sc_input_free)

/* What the guest's pointer wants, and the size of its picture; positions are clipped to that. */
void sc_input_set_pointer_mode(ScInput *input, ScPointerMode mode);
void sc_input_set_size(ScInput *input, guint width, guint height);

void sc_input_key(ScInput *input, gconstpointer viewer, guint scancode, gboolean pressed);
void sc_input_button(ScInput *input, gconstpointer viewer, ScButton button, gboolean pressed);
void sc_input_motion(ScInput *input, int dx, int dy);
void sc_input_position(ScInput *input, guint x, guint y);
void sc_input_wheel(ScInput *input, int steps);
/* Any number may come. */
void sc_input_wish_size(ScInput *input, guint width, guint height);

/* The viewer has left: releases what it alone held. */
void sc_input_forget(ScInput *input, gconstpointer viewer);

G_END_DECLS
