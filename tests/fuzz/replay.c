/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a fuzz target without the fuzzer, on files: those named, or all of tests/fuzz/corpus/NAME,
 * where the program is fuzz-NAME. $top_srcdir says where tests/ is.
 */
#include "tests/fuzz/machine.h"

#include <stdio.h>
#include <string.h>

static gboolean replay(const char *file)
{
    g_autofree char *bytes = NULL;
    g_autoptr(GError) error = NULL;
    gsize size;

    if (!g_file_get_contents(file, &bytes, &size, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return FALSE;
    }
    /* The last line that is seen names the file that ended the program. */
    printf("%s\n", file);
    fflush(stdout);
    LLVMFuzzerTestOneInput((const guint8 *)bytes, size);
    return TRUE;
}

static int replay_folder(const char *folder)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
    const char *name;
    guint n = 0;

    if (dir == NULL) {
        fprintf(stderr, "%s\n", error->message);
        return 1;
    }
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *file = g_build_filename(folder, name, NULL);

        if (!replay(file)) {
            return 1;
        }
        n++;
    }
    printf("%u files\n", n);
    return n > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *source = g_getenv("top_srcdir");
    g_autofree char *program = g_path_get_basename(argv[0]);
    /* Libtool's wrappers run lt-fuzz-NAME. */
    const char *name = strstr(program, "fuzz-") != NULL ? strstr(program, "fuzz-") + 5 : program;
    g_autofree char *folder =
        g_build_filename(source != NULL ? source : ".", "tests/fuzz/corpus", name, NULL);

    if (argc == 1) {
        return replay_folder(folder);
    }
    for (int i = 1; i < argc; i++) {
        if (!replay(argv[i])) {
            return 1;
        }
    }
    return 0;
}
