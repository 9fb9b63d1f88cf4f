/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/scanout-cache.h"

#include "capture/error.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Guests flip between two or three buffers. */
#define CACHE_SIZE 4

struct ScScanoutCache {
    ScScanout *(*make)(ScDmabuf *dmabuf, gboolean bottom_up);
    GQueue entries; /* of Entry, the latest first; all of one shape */
};

typedef struct {
    ScDmabuf *dmabuf;
    ScScanout *scanout;
} Entry;

static void entry_free(Entry *entry)
{
    sc_dmabuf_unref(entry->dmabuf);
    sc_scanout_unref(entry->scanout);
    g_free(entry);
}

ScScanoutCache *sc_scanout_cache_new(ScScanout *(*make)(ScDmabuf *dmabuf, gboolean bottom_up))
{
    ScScanoutCache *self = g_new0(ScScanoutCache, 1);

    self->make = make;
    g_queue_init(&self->entries);
    return self;
}

void sc_scanout_cache_clear(ScScanoutCache *self)
{
    g_queue_clear_full(&self->entries, (GDestroyNotify)entry_free);
}

void sc_scanout_cache_free(ScScanoutCache *self)
{
    if (self == NULL) {
        return;
    }
    sc_scanout_cache_clear(self);
    g_free(self);
}

static gboolean is_same_shape(const Entry *entry, const ScDmabufLayout *layout)
{
    const ScDmabufLayout *other = sc_dmabuf_get_layout(entry->dmabuf);

    return other->width == layout->width && other->height == layout->height &&
           other->fourcc == layout->fourcc && other->modifier == layout->modifier &&
           other->planes[0].stride == layout->planes[0].stride;
}

/* An entry taken out of the queue, or NULL. */
static Entry *take_entry(ScScanoutCache *self, const ScDmabufLayout *layout, gboolean bottom_up)
{
    for (GList *link = self->entries.head; link != NULL; link = link->next) {
        Entry *entry = link->data;

        if (sc_scanout_is_bottom_up(entry->scanout) == bottom_up &&
            sc_dmabuf_matches(entry->dmabuf, layout)) {
            g_queue_delete_link(&self->entries, link);
            return entry;
        }
    }
    return NULL;
}

/* Planes that share a number share its duplicate, too. */
static gboolean duplicate_planes(ScDmabufLayout *own, const ScDmabufLayout *layout, GError **error)
{
    guint n_planes = MIN(layout->n_planes, SC_DMABUF_MAX_PLANES);

    for (guint i = 0; i < n_planes; i++) {
        guint first = 0;

        while (layout->planes[first].fd != layout->planes[i].fd) {
            first++;
        }
        own->planes[i].fd =
            first < i ? own->planes[first].fd : fcntl(layout->planes[i].fd, F_DUPFD_CLOEXEC, 0);
        if (own->planes[i].fd >= 0) {
            continue;
        }
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED, "its descriptor cannot be duplicated: %s",
                    g_strerror(errno));
        for (guint j = 0; j < i; j++) {
            close(own->planes[j].fd);
        }
        return FALSE;
    }
    return TRUE;
}

static Entry *new_entry(ScScanoutCache *self, const ScDmabufLayout *layout, gboolean bottom_up,
                        GError **error)
{
    ScDmabufLayout own = *layout;
    ScDmabuf *dmabuf;
    Entry *entry;

    if (!duplicate_planes(&own, layout, error)) {
        return NULL;
    }
    dmabuf = sc_dmabuf_new(&own, error);
    if (dmabuf == NULL) {
        return NULL;
    }
    entry = g_new0(Entry, 1);
    entry->dmabuf = dmabuf;
    entry->scanout = self->make(dmabuf, bottom_up);
    return entry;
}

ScScanout *sc_scanout_cache_get(ScScanoutCache *self, const ScDmabufLayout *layout,
                                gboolean bottom_up, gboolean *is_other, GError **error)
{
    Entry *entry;

    if (!g_queue_is_empty(&self->entries) &&
        !is_same_shape(g_queue_peek_head(&self->entries), layout)) {
        sc_scanout_cache_clear(self);
    }
    *is_other = g_queue_is_empty(&self->entries);
    entry = take_entry(self, layout, bottom_up);
    if (entry == NULL) {
        entry = new_entry(self, layout, bottom_up, error);
    }
    if (entry == NULL) {
        return NULL;
    }
    g_queue_push_head(&self->entries, entry);
    if (self->entries.length > CACHE_SIZE) {
        entry_free(g_queue_pop_tail(&self->entries));
    }
    return entry->scanout;
}
