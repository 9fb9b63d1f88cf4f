/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VMM and its guest that do what the bytes of a fuzzer say: messages, memory, rings, requests.
 * The same bytes always do the same.
 *
 * Thread: one; runs the default main context, where the device lives.
 */
#pragma once

#include <glib.h>

/* Input that is used up; what is missing is zero. */
typedef struct {
    const guint8 *at, *end;
} FuzzBytes;

guint8 fuzz_take_u8(FuzzBytes *bytes);
guint16 fuzz_take_u16(FuzzBytes *bytes);
/* At most @size of them; how many in *@size. */
const guint8 *fuzz_take(FuzzBytes *bytes, gsize *size);

/* A device under test. All members are mandatory. */
typedef struct {
    guint n_queues;

    /* Begins to listen at @path. */
    gpointer (*new)(const char *path);
    void (*free)(gpointer device);

    /* Does something of the host's own, as @bytes say. */
    void (*act)(gpointer device, FuzzBytes *bytes);
} FuzzTarget;

/*
 * Lets the machine do all that is in @data. Aborts if a descriptor is left open, or the device
 * keeps itself busy; critical messages abort too. Returns 0, for LLVMFuzzerTestOneInput().
 */
int fuzz_run(const FuzzTarget *target, const guint8 *data, gsize size);

/* What libFuzzer calls. */
int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);
