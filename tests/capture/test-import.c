/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions that a library imports, replaced for that library alone. */
#include "capture/error.h"
#include "capture/import.h"

#include <glib-object.h>
#include <string.h>

static char *shout(const char *text)
{
    return text != NULL ? g_ascii_strup(text, -1) : NULL;
}

static void test_replaced(void)
{
    g_auto(GValue) value = G_VALUE_INIT;
    g_autoptr(GError) error = NULL;
    g_autofree char *own = NULL;

    g_value_init(&value, G_TYPE_STRING);
    g_value_set_string(&value, "before");
    g_assert_cmpstr(g_value_get_string(&value), ==, "before");

    g_assert_true(sc_import_replace(g_value_set_string, "g_strdup", shout, &error));
    g_assert_no_error(error);
    g_value_set_string(&value, "after");
    g_assert_cmpstr(g_value_get_string(&value), ==, "AFTER");

    /* Only where it was asked for. */
    own = g_strdup("mine");
    g_assert_cmpstr(own, ==, "mine");

    g_assert_true(sc_import_replace(g_value_set_string, "g_strdup", g_strdup, &error));
    g_assert_no_error(error);
    g_value_set_string(&value, "again");
    g_assert_cmpstr(g_value_get_string(&value), ==, "again");
}

static void test_refused(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(sc_import_replace(g_value_set_string, "no_such_function", shout, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED);
    g_assert_nonnull(strstr(error->message, "no_such_function"));
    g_clear_error(&error);

    g_assert_false(sc_import_replace(&error, "g_strdup", shout, &error)); /* in no library */
    g_assert_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/import/replaced", test_replaced);
    g_test_add_func("/import/refused", test_refused);
    return g_test_run();
}
