/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/splitter.h"

#include <spice/protocol.h>
#include <string.h>

/* In the order they come, before the messages. */
enum { LINK_REPLY = 1, LINK_RESULT = 2 };

static gsize get_header_size(const ScSplitter *splitter)
{
    switch (splitter->n_units) {
    case LINK_REPLY:
        return sizeof(SpiceLinkHeader);
    case LINK_RESULT:
        return sizeof(guint32);
    default:
        return splitter->has_mini_header ? sizeof(SpiceMiniDataHeader) : sizeof(SpiceDataHeader);
    }
}

static guint32 get_body_size(const ScSplitter *splitter)
{
    SpiceLinkHeader link;
    SpiceMiniDataHeader mini;
    SpiceDataHeader full;

    if (splitter->n_units == LINK_REPLY) {
        memcpy(&link, splitter->header, sizeof link);
        return GUINT32_FROM_LE(link.size);
    }
    if (splitter->n_units == LINK_RESULT) {
        return 0;
    }
    if (splitter->has_mini_header) {
        memcpy(&mini, splitter->header, sizeof mini);
        return GUINT32_FROM_LE(mini.size);
    }
    memcpy(&full, splitter->header, sizeof full);
    return GUINT32_FROM_LE(full.size);
}

static void begin_unit(ScSplitter *splitter)
{
    splitter->n_units = MIN(splitter->n_units + 1, LINK_RESULT + 1);
    splitter->header_size = 0;
    splitter->in_header = TRUE;
}

void sc_splitter_init(ScSplitter *splitter, gboolean has_mini_header)
{
    *splitter = (ScSplitter){ .has_mini_header = has_mini_header };
    begin_unit(splitter);
}

gsize sc_splitter_next(ScSplitter *splitter, const guint8 *bytes, gsize size)
{
    gsize used = 0;

    while (used < size) {
        gsize n = splitter->in_header ? get_header_size(splitter) - splitter->header_size
                                      : splitter->left;

        n = MIN(n, size - used);
        if (splitter->in_header) {
            memcpy(splitter->header + splitter->header_size, bytes + used, n);
            splitter->header_size += n;
            if (splitter->header_size == get_header_size(splitter)) {
                splitter->in_header = FALSE;
                splitter->left = get_body_size(splitter);
            }
        } else {
            splitter->left -= n;
        }
        used += n;
        if (!splitter->in_header && splitter->left == 0) {
            begin_unit(splitter);
            return used;
        }
    }
    return used;
}
