/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fence/link.h"

#include <glib/gstdio.h>
#include <spice/enums.h>

Link *link_new_empty(const char *program)
{
    Link *link = g_new0(Link, 1);
    g_autoptr(GError) error = NULL;

    link->program = program;
    link->dir = g_dir_make_tmp("scancast-XXXXXX", &error);
    g_assert_no_error(error);
    link->path = g_build_filename(link->dir, "spice.sock", NULL);
    return link;
}

void link_start_host(Link *link)
{
    child_free(link->host);
    link->host = child_new(link->program, link->path, NULL);
    g_free(child_expect(link->host, "ok ready"));
}

void link_wait_up(Link *link)
{
    g_autofree char *up = g_strdup_printf("channel %d up", SPICE_CHANNEL_DISPLAY);

    g_free(child_expect(link->host, up));
}

Link *link_new(void)
{
    Link *link = link_new_empty("gl-host");

    link_start_host(link);
    link->watcher = watcher_new(link->path);
    link_wait_up(link);
    /* The host's surface comes first, as QEMU's does. */
    wait_until(link->watcher->n_frames > 0);
    g_hash_table_remove_all(link->watcher->seen);
    link->watcher->n_frames = 0;
    return link;
}

void link_free(Link *link)
{
    g_clear_pointer(&link->watcher, watcher_free);
    child_free(link->host);
    /* spice-gtk takes a session apart in idle calls. */
    for (int i = 0; i < 1000 && g_main_context_iteration(NULL, FALSE); i++) {
    }
    assert_nothing_left();
    g_remove(link->path);
    g_rmdir(link->dir);
    g_free(link->path);
    g_free(link->dir);
    g_free(link);
}
