/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "examples/guest/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void report(const char *format, ...)
{
    va_list arguments;

    /* One write for the whole line: a message of the kernel must not come in between. */
    char line[160];
    int length = snprintf(line, sizeof line, "guest ");

    va_start(arguments, format);
    vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
    va_end(arguments);
    puts(line);
    fflush(stdout);
}

void report_fatal(const char *what)
{
    report("error %s: %s", what, strerror(errno));
    exit(1);
}
