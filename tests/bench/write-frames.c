/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* write-frames WIDTH HEIGHT COUNT FILE: frames 0 to COUNT-1 of the test pattern as raw BGRx. */
#include "capture/pattern.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    int width = argc == 5 ? atoi(argv[1]) : 0;
    int height = argc == 5 ? atoi(argv[2]) : 0;
    uint32_t count = argc == 5 ? (uint32_t)atoi(argv[3]) : 0;
    PatternRect rects[PATTERN_N_RECTS];
    uint32_t *pixels;
    FILE *file;

    if (width < 1 || height < 1 || count < 1) {
        fprintf(stderr, "usage: write-frames WIDTH HEIGHT COUNT FILE\n");
        return 2;
    }
    pixels = malloc((size_t)width * (size_t)height * 4);
    file = fopen(argv[4], "wb");
    if (pixels == NULL || file == NULL) {
        perror(argv[4]);
        return 1;
    }
    pattern_draw(pixels, width * 4, width, height, 0);
    for (uint32_t number = 0; number < count; number++) {
        if (number > 0) {
            pattern_update(pixels, width * 4, width, height, number - 1, number, rects);
        }
        if (fwrite(pixels, (size_t)width * 4, (size_t)height, file) != (size_t)height) {
            perror(argv[4]);
            return 1;
        }
    }
    free(pixels);
    if (fclose(file) != 0) {
        perror(argv[4]);
        return 1;
    }
    return 0;
}
