/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/picture.h"

#include "capture/error.h"

ScPicture *sc_picture_new(const GstVideoInfo *info, GError **error)
{
    /* Zeroed, so that large pictures cost memory only where they are drawn. */
    guint8 *data = g_try_malloc0(info->size);
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
    g_free(picture->data);
    g_free(picture);
}

gboolean sc_picture_is_shared(ScPicture *picture)
{
    return !g_atomic_ref_count_compare(&picture->ref_count, 1);
}
