/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/error.h"
#include "server/password.h"
#include "server/retries.h"

#include <glib/gstdio.h>
#include <unistd.h>

#define SECOND G_TIME_SPAN_SECOND

typedef struct {
    const char *text;
    const char *password; /* NULL: refused */
    gint64 expires;       /* seconds */
} Row;

static const Row rows[] = {
    { "secret", "secret", 0 },
    { "secret\n", "secret", 0 },
    { "two words\r\n", "two words", 0 },
    { "secret\nexpires=2001-09-09T01:46:40Z\n", "secret", 1000000000 },
    { "secret\r\nexpires=2001-09-09T03:46:40+02:00\r\n", "secret", 1000000000 },
    { "secret\nexpires=2001-09-09T01:46:40Z", "secret", 1000000000 },
    { "secret\nanything else\n", "secret", 0 },
    { "secret\n\nexpires=2001-09-09T01:46:40Z\n", "secret", 0 },
    { "secret\nexpires=\n", NULL, 0 },
    { "secret\nexpires=tomorrow\n", NULL, 0 },
    { "secret\nexpires=2001-13-09T01:46:40Z\n", NULL, 0 },
    { "", NULL, 0 },
    { "\nsecret\n", NULL, 0 },
    { "012345678901234567890123456789012345678901234567890123456789",
      "012345678901234567890123456789012345678901234567890123456789", 0 },
    { "0123456789012345678901234567890123456789012345678901234567890", NULL, 0 },
};

static void test_file(void)
{
    g_autofree char *file = NULL;
    int fd = g_file_open_tmp("scancast-XXXXXX", &file, NULL);

    close(fd);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(ScPassword) password = NULL;

        g_test_message("%s", rows[i].text);
        g_assert_true(g_file_set_contents(file, rows[i].text, -1, NULL));
        password = sc_password_read(file, &error);
        if (rows[i].password == NULL) {
            g_assert_null(password);
            g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
        } else {
            g_assert_no_error(error);
            g_assert_cmpstr(password->text, ==, rows[i].password);
            g_assert_cmpint(password->expires, ==, rows[i].expires * SECOND);
        }
    }
    g_unlink(file);
    g_assert_null(sc_password_read(file, NULL));
}

static void test_delays(void)
{
    static const int delays[] = { 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60 };
    g_autoptr(ScRetries) retries = sc_retries_new();
    gint64 now = 1000 * SECOND;

    for (guint i = 0; i < G_N_ELEMENTS(delays); i++) {
        gint64 start = sc_retries_get_start(retries, "a", now);

        g_assert_cmpint(start - now, ==, delays[i] * SECOND);
        /* Nobody else is delayed. */
        g_assert_cmpint(sc_retries_get_start(retries, "b", now), ==, now);
        now = start;
        g_assert_cmpint(sc_retries_get_start(retries, "a", now), <=, now);
        sc_retries_note(retries, "a", now);
    }
    sc_retries_forgive(retries, "b");
    g_assert_cmpint(sc_retries_get_start(retries, "a", now), >, now);
    sc_retries_forgive(retries, "a");
    g_assert_cmpint(sc_retries_get_start(retries, "a", now), ==, now);
}

static void test_quiet(void)
{
    g_autoptr(ScRetries) retries = sc_retries_new();
    gint64 now = 1000 * SECOND;

    for (guint i = 0; i < 100; i++) {
        sc_retries_note(retries, "a", now);
    }
    g_assert_cmpint(sc_retries_get_start(retries, "a", now), ==, now + 60 * SECOND);
    now += 600 * SECOND;
    g_assert_cmpint(sc_retries_get_start(retries, "a", now), ==, now);
    sc_retries_note(retries, "a", now);
    g_assert_cmpint(sc_retries_get_start(retries, "a", now), ==, now);
}

/* Those who come in crowds do not make it grow, and one that goes on is not forgotten for them. */
static void test_crowd(void)
{
    g_autoptr(ScRetries) retries = sc_retries_new();
    gint64 now = 1000 * SECOND;

    for (guint i = 0; i < 10 * SC_RETRIES_MAX_HOSTS; i++) {
        g_autofree char *host = g_strdup_printf("192.0.2.%u", i);

        sc_retries_note(retries, "a", now++);
        sc_retries_note(retries, host, now++);
    }
    g_assert_cmpint(sc_retries_get_start(retries, "a", now), >, now + 50 * SECOND);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/password/file", test_file);
    g_test_add_func("/password/retries/delays", test_delays);
    g_test_add_func("/password/retries/quiet", test_quiet);
    g_test_add_func("/password/retries/crowd", test_crowd);
    return g_test_run();
}
