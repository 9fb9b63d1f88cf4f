/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/trace.h"

#include "tests/va-driver/error.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct ScVaTrace {
    int fd;
};

ScVaTrace *sc_va_trace_new(const char *path, GError **error)
{
    if (!path)
        return NULL;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        return sc_va_error_null(error, VA_STATUS_ERROR_OPERATION_FAILED, "trace file %s: %s", path,
                                g_strerror(errno));
    ScVaTrace *trace = g_new0(ScVaTrace, 1);
    trace->fd = fd;
    return trace;
}

void sc_va_trace_free(ScVaTrace *trace)
{
    if (!trace)
        return;
    close(trace->fd);
    g_free(trace);
}

void sc_va_trace(ScVaTrace *trace, const char *format, ...)
{
    if (!trace)
        return;
    g_autoptr(GString) line = g_string_new(NULL);
    g_string_printf(line, "%" G_GINT64_FORMAT " ", g_get_monotonic_time());
    va_list arguments;
    va_start(arguments, format);
    g_string_append_vprintf(line, format, arguments);
    va_end(arguments);
    g_string_append_c(line, '\n');
    while (write(trace->fd, line->str, line->len) < 0 && errno == EINTR)
        ;
}
