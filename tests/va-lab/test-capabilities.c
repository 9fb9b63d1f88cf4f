/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --print-capabilities: the rung it names is the one that is used, and what is said of the others.
 */
#include "server/capabilities.h"
#include "tests/va-lab/lab.h"

#include <json-glib/json-glib.h>
#include <string.h>

typedef struct {
    const char *name;
    const char *variable, *value; /* the driver's */
    ScEncoderKind kind;
    const char *node;     /* --render-node */
    const char *used;     /* NULL: none */
    const char *obstacle; /* of the best rung, a part of it; NULL: none */
} Case;

static const Case cases[] = {
    { "all", NULL, NULL, SC_ENCODER_AUTO, NULL, "va-dmabuf", NULL },
    { "node", NULL, NULL, SC_ENCODER_VA, "/dev/dri/renderD128", "va-dmabuf", NULL },
    { "no-node", NULL, NULL, SC_ENCODER_AUTO, "/nonexistent", "software",
      "/nonexistent: it cannot" },
    { "no-node-va", NULL, NULL, SC_ENCODER_VA, "/nonexistent", NULL, "/nonexistent: it cannot" },
    { "no-encoder", "ENTRY_POINTS", "vpp", SC_ENCODER_AUTO, NULL, "software", "no H.264 encoder" },
    { "no-import", "MEMORY_TYPES", "", SC_ENCODER_AUTO, NULL, "va-upload", "cannot import" },
    { "software", NULL, NULL, SC_ENCODER_SOFTWARE, NULL, "software", NULL },
};

static char *format(const Case *test, gboolean json)
{
    ScOptions options = {
        .encoder_kind = test->kind,
        .render_node = (char *)test->node,
        .bitrate_kbit = 8000,
        .max_fps = 60,
        .json = json,
    };
    g_autoptr(GError) error = NULL;
    char *text = sc_capabilities_format(&options, &error);

    g_assert_no_error(error);
    return text;
}

static void check_json(const Case *test)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autofree char *text = format(test, TRUE);
    g_autoptr(GError) error = NULL;
    const char *used = NULL, *obstacle;
    JsonArray *rungs;

    json_parser_load_from_data(parser, text, -1, &error);
    g_assert_no_error(error);
    rungs =
        json_object_get_array_member(json_node_get_object(json_parser_get_root(parser)), "rungs");
    for (guint i = 0; i < json_array_get_length(rungs); i++) {
        JsonObject *rung = json_array_get_object_element(rungs, i);

        if (json_object_get_boolean_member(rung, "used")) {
            g_assert_null(used);
            used = json_object_get_string_member(rung, "name");
        }
    }
    g_assert_cmpstr(used, ==, test->used);
    obstacle = json_object_get_string_member_with_default(json_array_get_object_element(rungs, 0),
                                                          "obstacle", NULL);
    g_assert_cmpint(obstacle != NULL, ==, test->obstacle != NULL);
    g_assert_true(obstacle == NULL || strstr(obstacle, test->obstacle) != NULL);
}

static void check_text(const Case *test)
{
    g_autofree char *text = format(test, FALSE);
    g_autofree char *line = test->used != NULL ? g_strdup_printf("\n* %s ", test->used)
                                               : g_strdup("Nothing can be encoded");

    g_assert_nonnull(strstr(text, line));
    g_assert_true(test->obstacle == NULL || strstr(text, test->obstacle) != NULL);
}

static void test_case(gconstpointer data)
{
    const Case *test = data;
    g_autofree char *variable = g_strconcat("SCANCAST_VA_", test->variable, NULL);

    if (test->variable != NULL) {
        g_setenv(variable, test->value, TRUE);
    }
    check_json(test);
    check_text(test);
    g_unsetenv(variable);
}

int main(int argc, char **argv)
{
    sc_lab_enter(argv);
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/capabilities/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    return g_test_run();
}
