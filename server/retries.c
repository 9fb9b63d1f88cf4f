/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/retries.h"

#include <string.h>

#define FREE_ATTEMPTS 3
#define FIRST_DELAY G_TIME_SPAN_SECOND
#define MAX_DELAY G_TIME_SPAN_MINUTE
#define FORGET_AFTER (10 * G_TIME_SPAN_MINUTE)

typedef struct {
    char *name;
    guint n_attempts;
    gint64 last;
} Host;

struct ScRetries {
    GArray *hosts; /* of Host; few enough to look at all of them */
};

static void clear_host(gpointer data)
{
    g_free(((Host *)data)->name);
}

ScRetries *sc_retries_new(void)
{
    ScRetries *retries = g_new0(ScRetries, 1);

    retries->hosts = g_array_new(FALSE, FALSE, sizeof(Host));
    g_array_set_clear_func(retries->hosts, clear_host);
    return retries;
}

void sc_retries_free(ScRetries *retries)
{
    if (retries == NULL) {
        return;
    }
    g_array_unref(retries->hosts);
    g_free(retries);
}

static Host *find(const ScRetries *retries, const char *name)
{
    for (guint i = 0; i < retries->hosts->len; i++) {
        Host *host = &g_array_index(retries->hosts, Host, i);

        if (strcmp(host->name, name) == 0) {
            return host;
        }
    }
    return NULL;
}

static guint find_quietest(const ScRetries *retries)
{
    guint found = 0;

    for (guint i = 1; i < retries->hosts->len; i++) {
        if (g_array_index(retries->hosts, Host, i).last <
            g_array_index(retries->hosts, Host, found).last) {
            found = i;
        }
    }
    return found;
}

gint64 sc_retries_get_start(const ScRetries *retries, const char *host, gint64 now)
{
    const Host *found = find(retries, host);
    guint n_doublings;

    if (found == NULL || found->n_attempts < FREE_ATTEMPTS || now - found->last >= FORGET_AFTER) {
        return now;
    }
    n_doublings = MIN(found->n_attempts - FREE_ATTEMPTS, 10);
    return found->last + MIN(FIRST_DELAY << n_doublings, MAX_DELAY);
}

void sc_retries_note(ScRetries *retries, const char *host, gint64 now)
{
    Host *found = find(retries, host);

    if (found == NULL) {
        Host fresh = { .name = g_strdup(host) };

        if (retries->hosts->len >= SC_RETRIES_MAX_HOSTS) {
            g_array_remove_index_fast(retries->hosts, find_quietest(retries));
        }
        g_array_append_val(retries->hosts, fresh);
        found = &g_array_index(retries->hosts, Host, retries->hosts->len - 1);
    } else if (now - found->last >= FORGET_AFTER) {
        found->n_attempts = 0;
    }
    found->n_attempts++;
    found->last = now;
}

void sc_retries_forgive(ScRetries *retries, const char *host)
{
    for (guint i = 0; i < retries->hosts->len; i++) {
        if (strcmp(g_array_index(retries->hosts, Host, i).name, host) == 0) {
            g_array_remove_index_fast(retries->hosts, i);
            return;
        }
    }
}
