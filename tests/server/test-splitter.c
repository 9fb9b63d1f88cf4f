/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/splitter.h"

#include <spice/protocol.h>
#include <string.h>

static void append(GByteArray *out, gconstpointer bytes, gsize size)
{
    g_byte_array_append(out, bytes, size);
}

static void append_unit(GByteArray *out, GArray *ends, gconstpointer header, gsize header_size,
                        gsize size)
{
    g_autofree guint8 *body = g_malloc0(size + 1);

    append(out, header, header_size);
    append(out, body, size);
    g_array_append_val(ends, out->len);
}

/* What a server sends, and where its units end. */
static GByteArray *make_stream(gboolean has_mini_header, GArray *ends)
{
    static const guint32 sizes[] = { 0, 1, 5, 30000, 0, 0, 70000, 17, 3 };
    GByteArray *out = g_byte_array_new();
    SpiceLinkHeader link = { .magic = SPICE_MAGIC, .size = GUINT32_TO_LE(186) };
    guint32 result = 0;

    append_unit(out, ends, &link, sizeof link, 186);
    append_unit(out, ends, &result, sizeof result, 0);
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        SpiceMiniDataHeader mini = { .type = 1, .size = GUINT32_TO_LE(sizes[i]) };
        SpiceDataHeader full = { .type = 1, .size = GUINT32_TO_LE(sizes[i]) };

        if (has_mini_header) {
            append_unit(out, ends, &mini, sizeof mini, sizes[i]);
        } else {
            append_unit(out, ends, &full, sizeof full, sizes[i]);
        }
    }
    return out;
}

/* However the stream is cut, no piece goes past the end of a unit, and every unit ends one. */
static void test_units(gconstpointer data)
{
    gboolean has_mini_header = GPOINTER_TO_INT(data);
    g_autoptr(GArray) ends = g_array_new(FALSE, FALSE, sizeof(guint));
    g_autoptr(GByteArray) bytes = make_stream(has_mini_header, ends);

    for (guint round = 0; round < 20; round++) {
        const int most = round == 0 ? 1 : round == 1 ? (int)bytes->len : 1 << (round % 17);
        ScSplitter splitter;
        gsize done = 0;
        guint unit = 0;

        sc_splitter_init(&splitter, has_mini_header);
        while (done < bytes->len) {
            gsize cut = round < 2 ? most : g_test_rand_int_range(1, most + 2);
            gsize end = MIN(done + cut, bytes->len);

            while (done < end) {
                gsize used = sc_splitter_next(&splitter, bytes->data + done, end - done);

                g_assert_cmpuint(used, >, 0);
                done += used;
                g_assert_cmpuint(done, <=, g_array_index(ends, guint, unit));
                if (done == g_array_index(ends, guint, unit)) {
                    unit++;
                } else {
                    g_assert_cmpuint(done, ==, end);
                }
            }
        }
        g_assert_cmpuint(unit, ==, ends->len);
    }
}

static void test_random(void)
{
    for (guint i = 0; i < 2000; i++) {
        guint8 bytes[200];
        ScSplitter splitter;
        gsize done = 0;

        sc_splitter_init(&splitter, i % 2);
        for (guint j = 0; j < sizeof bytes; j++) {
            bytes[j] = g_test_rand_int_range(0, 256);
        }
        while (done < sizeof bytes) {
            gsize used = sc_splitter_next(&splitter, bytes + done, sizeof bytes - done);

            g_assert_cmpuint(used, >, 0);
            g_assert_cmpuint(used, <=, sizeof bytes - done);
            done += used;
        }
    }
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/splitter/units/mini", GINT_TO_POINTER(TRUE), test_units);
    g_test_add_data_func("/splitter/units/full", GINT_TO_POINTER(FALSE), test_units);
    g_test_add_func("/splitter/random", test_random);
    return g_test_run();
}
