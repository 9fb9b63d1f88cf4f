/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/picture.h"

#include "capture/error.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Of x86-64, and of arm64 with its usual pages of 4 KiB. */
#define HUGE_PAGE (2 * 1024 * 1024)

/* The first copy into a picture is what a guest, or a viewer that has just come, waits for, and
 * most of it is page faults: so few large ones, where the kernel has them to give. */
static guint8 *alloc_pixels(gsize size)
{
    gboolean is_large = size >= HUGE_PAGE;
    void *data;

    if (posix_memalign(&data, is_large ? HUGE_PAGE : sizeof(gpointer), size) != 0) {
        return NULL;
    }
    if (is_large) {
        madvise(data, size, MADV_HUGEPAGE);
    }
    /* Rows may have a few bytes more than pixels, which nobody writes but others may read. */
    memset(data, 0, size);
    return data;
}

ScPicture *sc_picture_new(const GstVideoInfo *info, GError **error)
{
    guint8 *data = alloc_pixels(info->size);
    ScPicture *picture;

    if (data == NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_FAILED,
                    "no memory for a picture of %dx%d pixels (%" G_GSIZE_FORMAT " bytes)",
                    info->width, info->height, info->size);
        return NULL;
    }
    picture = g_new0(ScPicture, 1);
    g_atomic_ref_count_init(&picture->ref_count);
    picture->info = *info;
    picture->data = data;
    return picture;
}

ScPicture *sc_picture_ref(ScPicture *picture)
{
    g_atomic_ref_count_inc(&picture->ref_count);
    return picture;
}

void sc_picture_unref(ScPicture *picture)
{
    if (picture == NULL || !g_atomic_ref_count_dec(&picture->ref_count)) {
        return;
    }
    free(picture->data);
    g_free(picture);
}

gboolean sc_picture_is_shared(ScPicture *picture)
{
    return !g_atomic_ref_count_compare(&picture->ref_count, 1);
}
