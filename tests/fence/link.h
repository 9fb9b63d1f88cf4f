/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VMM's stand-in and a watcher on its socket: what most tests of the SPICE link begin with.
 */
#pragma once

#include "tests/fence/child.h"
#include "tests/fence/watcher.h"

G_BEGIN_DECLS

typedef struct {
    const char *program; /* the stand-in: "gl-host" or "rude-host" */
    char *dir, *path;
    Child *host;
    Watcher *watcher;
} Link;

/* A gl-host and a watcher, the display channel connected, the host's first surface shown. */
Link *link_new(void);

/* Neither up yet. */
Link *link_new_empty(const char *program);

/* Starts the host (again). */
void link_start_host(Link *link);

/* Until the watcher's display is connected to a gl-host. */
void link_wait_up(Link *link);

/* Ends both and checks that nothing is left behind. */
void link_free(Link *link);

G_END_DECLS
