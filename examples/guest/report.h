/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guest tells the host: lines on the serial console that begin with "guest ", one fact
 * each, for programs to read. main.c lists them.
 */
#pragma once

/* One line; the newline is added. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "guest error WHAT: reason of errno", then the end of the program: nothing here can go on without
 * its display. */
void report_fatal(const char *what) __attribute__((noreturn));
