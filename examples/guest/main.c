/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest to look at and to test with: the only program of a small Linux, drawing on its display
 * through DRM. What it does is told on the kernel's command line (see guest.h, Options):
 *
 *   scancast.mode=demo    moving picture, clock, what is typed, the pointer
 *   scancast.mode=idle    test picture of frame `first`, nothing moves
 *   scancast.mode=flip    a page flip for each frame
 *   scancast.mode=atomic  the same by atomic commits, with out-fences
 *   scancast.mode=dirty   one buffer, changed rectangles are flushed
 *   scancast.mode=resize  another mode of the display for each frame
 *   scancast.mode=follow  the mode that the display prefers, also when that changes
 *   scancast.mode=cursor  the hardware pointer moves and changes its shape
 *
 * What it tells on the console, a line each, after the word "guest":
 *
 *   ready WxH             the first picture is shown, input is open
 *   frame NUMBER          the frame that is shown and stays; in mode resize each
 *   mode WxH              that mode was set
 *   rate N.N/s            frames, about once a second
 *   key CODE VALUE        KEY_*, 1 pressed, 0 released
 *   pointer X Y           where an absolute pointer is, pixels
 *   rel DX DY             how a relative pointer moved
 *   button CODE VALUE     BTN_*, 1 pressed, 0 released
 *   wheel STEPS           positive is away from the user
 *   led CODE VALUE        LED_*, when a lamp changes
 *   cursor SHAPE X Y      in mode cursor; SHAPE -1 is hidden
 *   error WHAT: REASON    and it ends
 */
#include "examples/guest/guest.h"
#include "examples/guest/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNSET_FPS (-1)

static const struct {
    const char *name;
    int fps; /* if not told */
    void (*run)(Guest *guest);
} modes[] = {
    { "demo", 30, demo_run },           { "idle", 0, tests_run_idle },
    { "flip", 30, tests_run_flip },     { "atomic", 30, tests_run_atomic },
    { "follow", 10, tests_run_follow }, { "dirty", 30, tests_run_dirty },
    { "resize", 1, tests_run_resize },  { "cursor", 2, tests_run_cursor },
};

static void read_option(Options *options, const char *word)
{
    if (sscanf(word, "scancast.mode=%15s", options->mode) == 1 ||
        sscanf(word, "scancast.fps=%d", &options->fps) == 1 ||
        sscanf(word, "scancast.frames=%u", &options->frames) == 1 ||
        sscanf(word, "scancast.first=%u", &options->first) == 1 ||
        sscanf(word, "scancast.size=%dx%d", &options->width, &options->height) == 2) {
        return;
    }
    errno = EINVAL;
    report_fatal(word);
}

static Options read_options(void)
{
    Options options = { .mode = "demo", .fps = UNSET_FPS };
    FILE *file = fopen("/proc/cmdline", "re");
    char word[128];

    if (file == NULL) {
        report_fatal("open /proc/cmdline");
    }
    while (fscanf(file, "%127s", word) == 1) {
        if (strncmp(word, "scancast.", strlen("scancast.")) == 0) {
            read_option(&options, word);
        }
    }
    fclose(file);
    return options;
}

int main(void)
{
    static Guest guest;

    guest.options = read_options();
    kms_open(&guest.kms);
    input_open(&guest.input);
    guest.mode = kms_find_mode(&guest.kms, guest.options.width, guest.options.height);
    if (guest.mode == NULL) {
        guest.mode = kms_make_mode(&guest.kms, guest.options.width, guest.options.height);
    }
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(modes[i].name, guest.options.mode) == 0) {
            if (guest.options.fps == UNSET_FPS) {
                guest.options.fps = modes[i].fps;
            }
            modes[i].run(&guest);
        }
    }
    errno = EINVAL;
    report_fatal("scancast.mode");
}
