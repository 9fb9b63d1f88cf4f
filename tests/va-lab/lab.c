/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-lab/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/udmabuf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_SKIPPED 77 /* of automake's test driver */

struct ScLabTrace {
    char *path;
    GPtrArray *events;
};

void sc_lab_enter(char **argv)
{
    if (g_getenv("SCANCAST_LAB"))
        return;
    g_autoptr(GPtrArray) command = g_ptr_array_new();
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_ptr_array_add(command, SC_LAB_DIR "/mock-node");
    g_ptr_array_add(command, "--plugins");
    g_ptr_array_add(command, SC_LAB_PLUGINS);
    g_ptr_array_add(command, self);
    for (char **argument = argv + 1; *argument; argument++)
        g_ptr_array_add(command, *argument);
    g_ptr_array_add(command, NULL);
    execv(command->pdata[0], (char **)command->pdata);
    g_print("skipped: %s: %s\n", (char *)command->pdata[0], g_strerror(errno));
    exit(EXIT_SKIPPED);
}

static int make_dmabuf(int memfd, gsize size)
{
    int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
    if (device < 0)
        return -1;
    struct udmabuf_create create = {
        .memfd = memfd,
        .flags = UDMABUF_FLAGS_CLOEXEC,
        .size = size,
    };
    int fd = ioctl(device, UDMABUF_CREATE, &create);
    if (fd < 0)
        g_error("UDMABUF_CREATE: %s", g_strerror(errno));
    close(device);
    return fd;
}

ScLabBuffer *sc_lab_buffer_new(gsize size)
{
    ScLabBuffer *buffer = g_new0(ScLabBuffer, 1);
    buffer->size = (size + 4095) / 4096 * 4096;
    int memfd = memfd_create("lab", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memfd < 0 || ftruncate(memfd, buffer->size) < 0 ||
        fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
        g_error("memfd: %s", g_strerror(errno));
    buffer->data = mmap(NULL, buffer->size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (buffer->data == MAP_FAILED)
        g_error("mmap: %s", g_strerror(errno));
    buffer->fd = make_dmabuf(memfd, buffer->size);
    if (buffer->fd < 0)
        buffer->fd = memfd;
    else
        close(memfd);
    struct stat status;
    if (fstat(buffer->fd, &status) < 0)
        g_error("fstat: %s", g_strerror(errno));
    buffer->inode = status.st_ino;
    return buffer;
}

void sc_lab_buffer_free(ScLabBuffer *buffer)
{
    if (!buffer)
        return;
    munmap(buffer->data, buffer->size);
    close(buffer->fd);
    g_free(buffer);
}

static void event_free(gpointer data)
{
    ScLabEvent *event = data;
    g_free(event->event);
    g_hash_table_unref(event->values);
    g_free(event);
}

ScLabTrace *sc_lab_trace_new(void)
{
    ScLabTrace *trace = g_new0(ScLabTrace, 1);
    int fd = g_file_open_tmp("scancast-va-XXXXXX", &trace->path, NULL);
    if (fd < 0)
        g_error("no temporary file: %s", g_strerror(errno));
    close(fd);
    trace->events = g_ptr_array_new_with_free_func(event_free);
    g_setenv("SCANCAST_VA_TRACE", trace->path, TRUE);
    return trace;
}

void sc_lab_trace_free(ScLabTrace *trace)
{
    if (!trace)
        return;
    g_unlink(trace->path);
    g_free(trace->path);
    g_ptr_array_unref(trace->events);
    g_free(trace);
}

static ScLabEvent *parse(const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    if (g_strv_length(words) < 2)
        return NULL;
    ScLabEvent *event = g_new0(ScLabEvent, 1);
    event->time = g_ascii_strtoll(words[0], NULL, 10);
    event->event = g_strdup(words[1]);
    event->values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (char **word = words + 2; *word; word++) {
        const char *equals = strchr(*word, '=');
        if (!equals)
            continue;
        char *key = g_strndup(*word, equals - *word);
        gboolean is_last = strcmp(key, "reason") == 0;
        const char *value = is_last ? strstr(line, " reason=") + strlen(" reason=") : equals + 1;
        g_hash_table_insert(event->values, key, g_strdup(value));
        if (is_last)
            break;
    }
    return event;
}

void sc_lab_trace_read(ScLabTrace *trace)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(trace->path, &text, NULL, &error))
        g_error("trace: %s", error->message);
    g_ptr_array_set_size(trace->events, 0);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        ScLabEvent *event = parse(*line);
        if (event)
            g_ptr_array_add(trace->events, event);
    }
}

static gboolean matches(const ScLabEvent *event, const char *name, va_list pairs)
{
    if (strcmp(event->event, name) != 0)
        return FALSE;
    const char *key;
    while ((key = va_arg(pairs, const char *))) {
        const char *wanted = va_arg(pairs, const char *);
        if (g_strcmp0(sc_lab_event_get(event, key), wanted) != 0)
            return FALSE;
    }
    return TRUE;
}

static const ScLabEvent *find(ScLabTrace *trace, guint nth, guint *count, const char *name,
                              va_list pairs)
{
    *count = 0;
    for (guint i = 0; i < trace->events->len; i++) {
        const ScLabEvent *event = trace->events->pdata[i];
        va_list copy;
        va_copy(copy, pairs);
        gboolean match = matches(event, name, copy);
        va_end(copy);
        if (match && (*count)++ == nth)
            return event;
    }
    return NULL;
}

guint sc_lab_trace_count(ScLabTrace *trace, const char *event, ...)
{
    guint count;
    va_list pairs;
    va_start(pairs, event);
    find(trace, G_MAXUINT, &count, event, pairs);
    va_end(pairs);
    return count;
}

const ScLabEvent *sc_lab_trace_find(ScLabTrace *trace, guint nth, const char *event, ...)
{
    guint count;
    va_list pairs;
    va_start(pairs, event);
    const ScLabEvent *found = find(trace, nth, &count, event, pairs);
    va_end(pairs);
    return found;
}

const char *sc_lab_event_get(const ScLabEvent *event, const char *key)
{
    return g_hash_table_lookup(event->values, key);
}

guint64 sc_lab_event_get_number(const ScLabEvent *event, const char *key)
{
    const char *value = sc_lab_event_get(event, key);
    return value ? g_ascii_strtoull(value, NULL, 0) : 0;
}
