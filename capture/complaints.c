/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/complaints.h"

#define MAX_COMPLAINTS 16

struct ScComplaints {
    GHashTable *told; /* char * */
};

ScComplaints *sc_complaints_new(void)
{
    ScComplaints *self = g_new0(ScComplaints, 1);

    self->told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return self;
}

void sc_complaints_free(ScComplaints *self)
{
    if (self == NULL) {
        return;
    }
    g_hash_table_unref(self->told);
    g_free(self);
}

void sc_complaints_add(ScComplaints *self, const char *what, const GError *error)
{
    if (g_hash_table_size(self->told) >= MAX_COMPLAINTS ||
        !g_hash_table_add(self->told, g_strdup(error->message))) {
        return;
    }
    g_warning("%s is unusable: %s", what, error->message);
    if (g_hash_table_size(self->told) == MAX_COMPLAINTS) {
        g_warning("further nonsense from this VMM is not reported");
    }
}
