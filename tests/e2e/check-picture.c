/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check-picture FILE.ppm: whether a picture that went through a codec is the test picture of
 * capture/pattern.h for the frame number that is written in it. Prints
 *
 *   picture size=WxH number=N mean=E worst=E
 *
 * mean: mean difference of a channel's value, over the picture; worst: the same for the worst block
 * of 16x16 pixels. Exit status 0: right, 1: wrong, 2: no picture.
 */
#include "capture/pattern.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * What the right picture keeps below: GStreamer 1.22's converters truncate, the server's and the
 * client's, which makes 3.2; 4:2:0 blurs edges, which makes 12 in the worst block. What a wrong one
 * exceeds: another matrix or range than the coded one makes 6.8 and more in the mean.
 */
#define MAX_MEAN 4.5
#define MAX_WORST 20.0
#define BLOCK 16

typedef struct {
    int width, height;
    uint32_t *pixels;
} Picture;

static void read_picture(const char *path, Picture *picture)
{
    FILE *file = fopen(path, "rb");
    int largest;
    size_t n_pixels;

    if (file == NULL ||
        fscanf(file, "P6 %d %d %d", &picture->width, &picture->height, &largest) != 3 ||
        largest != 255 || picture->width < 1 || picture->width > 16384 || picture->height < 1 ||
        picture->height > 16384 || fgetc(file) == EOF) {
        fprintf(stderr, "check-picture: %s is not a picture\n", path);
        exit(2);
    }
    n_pixels = (size_t)picture->width * (size_t)picture->height;
    picture->pixels = calloc(n_pixels, sizeof picture->pixels[0]);
    for (size_t i = 0; i < n_pixels; i++) {
        int red = fgetc(file), green = fgetc(file), blue = fgetc(file);

        if (blue == EOF) {
            fprintf(stderr, "check-picture: %s is too short\n", path);
            exit(2);
        }
        picture->pixels[i] =
            0xff000000 | (uint32_t)red << 16 | (uint32_t)green << 8 | (uint32_t)blue;
    }
    fclose(file);
}

static int difference(uint32_t a, uint32_t b)
{
    int sum = 0;

    for (int shift = 0; shift < 24; shift += 8) {
        sum += abs((int)(a >> shift & 0xff) - (int)(b >> shift & 0xff));
    }
    return sum;
}

/* The sum over a block, and how many channel values that were. */
static long compare_block(const Picture *a, const Picture *b, int left, int top, long *n_values)
{
    long sum = 0;

    *n_values = 0;
    for (int y = top; y < top + BLOCK && y < a->height; y++) {
        for (int x = left; x < left + BLOCK && x < a->width; x++) {
            size_t i = (size_t)y * (size_t)a->width + (size_t)x;

            sum += difference(a->pixels[i], b->pixels[i]);
            *n_values += 3;
        }
    }
    return sum;
}

int main(int argc, char **argv)
{
    Picture seen, wanted;
    double mean = 0, worst = 0;
    uint32_t number;

    if (argc != 2) {
        fprintf(stderr, "usage: check-picture FILE.ppm\n");
        return 2;
    }
    read_picture(argv[1], &seen);
    wanted = seen;
    wanted.pixels = calloc((size_t)seen.width * (size_t)seen.height, sizeof wanted.pixels[0]);
    number = pattern_read(seen.pixels, seen.width * 4, seen.width, seen.height);
    pattern_draw(wanted.pixels, wanted.width * 4, wanted.width, wanted.height, number);
    for (int y = 0; y < seen.height; y += BLOCK) {
        for (int x = 0; x < seen.width; x += BLOCK) {
            long n_values, sum = compare_block(&seen, &wanted, x, y, &n_values);
            double block = (double)sum / (double)n_values;

            mean += (double)sum;
            worst = block > worst ? block : worst;
        }
    }
    mean /= 3.0 * seen.width * seen.height;
    printf("picture size=%dx%d number=%u mean=%.2f worst=%.2f\n", seen.width, seen.height, number,
           mean, worst);
    free(seen.pixels);
    free(wanted.pixels);
    return mean <= MAX_MEAN && worst <= MAX_WORST ? 0 : 1;
}
