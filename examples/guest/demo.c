/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The demonstration: waves of colour, a turning cube, a clock, what is typed, the pointer and the
 * trail it leaves. Angles are 1/256 of a turn, sines are scaled by 256.
 */
#include "examples/guest/guest.h"
#include "examples/guest/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define WAVE_BLOCK 4 /* pixels; one colour each, so that it is cheap without a GPU */
#define TRAIL_LENGTH 24
#define WHITE 0xffffffff
#define GOLD 0xffffd060
#define GREY 0xffb0b8c8
#define ECHO_LENGTH 18 /* characters of what was typed */

typedef struct {
    KmsBuffer buffers[2];
    KmsBuffer arrow;
    int sine[256];
    uint32_t palette[256];
    unsigned frame;
    int trail[TRAIL_LENGTH][2]; /* the newest first */
    double rate;
    int64_t before; /* when the last frame was drawn, us */
} Demo;

static int sine(const Demo *demo, int angle)
{
    return demo->sine[angle & 255];
}

static int cosine(const Demo *demo, int angle)
{
    return sine(demo, angle + 64);
}

static void make_tables(Demo *demo)
{
    for (int i = 0; i < 256; i++) {
        demo->sine[i] = (int)lrint(256 * sin(i * 2 * M_PI / 256));
    }
    for (int i = 0; i < 256; i++) {
        uint32_t red = (uint32_t)(10 + (sine(demo, i) + 256) * 3 / 8);
        uint32_t green = (uint32_t)(10 + (sine(demo, i + 70) + 256) / 5);
        uint32_t blue = (uint32_t)(60 + (sine(demo, i + 150) + 256) / 3);

        demo->palette[i] = 0xff000000 | red << 16 | green << 8 | blue;
    }
}

static void draw_waves(const Demo *demo, const Screen *screen)
{
    int time = (int)demo->frame;

    for (int y = 0; y < screen->height; y += WAVE_BLOCK) {
        uint32_t *row = screen_row(screen, y);
        int across = sine(demo, y / 5 + time) / 4 + sine(demo, y / 9 - time) / 4;

        for (int x = 0; x < screen->width; x += WAVE_BLOCK) {
            int value = across + sine(demo, x / 6 + time + across / 8) / 3 +
                        sine(demo, (x + y) / 10 - time * 2) / 4;
            uint32_t colour = demo->palette[(value + time / 2) & 255];

            for (int i = 0; i < WAVE_BLOCK && x + i < screen->width; i++) {
                row[x + i] = colour;
            }
        }
        for (int i = 1; i < WAVE_BLOCK && y + i < screen->height; i++) {
            memcpy(screen_row(screen, y + i), row, (size_t)screen->width * sizeof row[0]);
        }
    }
}

/* One corner of a cube of edge 2, turned about two axes, as seen from 5 away. */
static void project_corner(const Demo *demo, int corner, int size, int *x, int *y)
{
    int angle = (int)demo->frame, tilt = (int)demo->frame * 2 / 3;
    int cx = corner & 1 ? 256 : -256, cy = corner & 2 ? 256 : -256, cz = corner & 4 ? 256 : -256;
    int turned_x = (cx * cosine(demo, angle) - cz * sine(demo, angle)) / 256;
    int turned_z = (cx * sine(demo, angle) + cz * cosine(demo, angle)) / 256;
    int turned_y = (cy * cosine(demo, tilt) - turned_z * sine(demo, tilt)) / 256;
    int depth = (cy * sine(demo, tilt) + turned_z * cosine(demo, tilt)) / 256 + 5 * 256;

    *x = turned_x * size * 2 / depth;
    *y = turned_y * size * 2 / depth;
}

static void draw_cube(const Demo *demo, const Screen *screen)
{
    int size = screen->height / 3;
    int centre_x = screen->width * 4 / 5, centre_y = screen->height / 2;

    for (int corner = 0; corner < 8; corner++) {
        for (int axis = 1; axis < 8; axis *= 2) {
            int x0, y0, x1, y1;

            if ((corner & axis) == 0) {
                project_corner(demo, corner, size, &x0, &y0);
                project_corner(demo, corner | axis, size, &x1, &y1);
                screen_line(screen, centre_x + x0, centre_y + y0, centre_x + x1, centre_y + y1, 4,
                            axis == 1   ? WHITE
                            : axis == 2 ? GOLD
                                        : GREY);
            }
        }
    }
}

static void draw_clock(const Demo *demo, const Screen *screen, int x, int y, int scale)
{
    time_t now = time(NULL);
    struct tm parts;
    char text[64];

    gmtime_r(&now, &parts);
    strftime(text, sizeof text, "%H:%M:%S", &parts);
    screen_text(screen, x, y, scale * 3, WHITE, text);
    y += screen_text_height(scale * 3);
    strftime(text, sizeof text, "%A, %d %B %Y", &parts);
    screen_text(screen, x, y, scale, GREY, text);
    y += screen_text_height(scale) * 2;
    snprintf(text, sizeof text, "frame %u, %.0f a second", demo->frame, demo->rate);
    screen_text(screen, x, y, scale, GREY, text);
}

static void draw_input(const Input *input, const Screen *screen, int x, int y, int scale)
{
    char text[64];
    int line = screen_text_height(scale), left = x;
    size_t length = strlen(input->typed);

    screen_text(screen, x, y, scale, GREY, "type here:");
    y += line;
    x = screen_text(screen, x, y, scale * 2, GOLD,
                    input->typed + (length > ECHO_LENGTH ? length - ECHO_LENGTH : 0));
    screen_fill(screen, x, y, scale, screen_text_height(scale * 2), WHITE);
    y += screen_text_height(scale * 2);
    snprintf(text, sizeof text, "pointer %d, %d  buttons %c%c%c", input->x, input->y,
             input->buttons & 1 ? 'L' : '-', input->buttons & 4 ? 'M' : '-',
             input->buttons & 2 ? 'R' : '-');
    screen_text(screen, left, y + line, scale, GREY, text);
}

static void draw_panel(const Demo *demo, const Input *input, const Screen *screen)
{
    int scale = screen->width / 500 + 1;
    int x = screen->width / 20, y = screen->height / 8, margin = scale * 4;
    int line = screen_text_height(scale);

    screen_shade(screen, x, y, (ECHO_LENGTH + 1) * screen_text_width(scale * 2, " "), line * 18);
    x += margin;
    y += margin;
    screen_text(screen, x, y, scale * 3, GOLD, "Scancast");
    y += line * 4;
    draw_clock(demo, screen, x, y, scale);
    draw_input(input, screen, x, y + line * 7, scale);
}

static void draw_trail(Demo *demo, const Input *input, const Screen *screen)
{
    memmove(demo->trail[1], demo->trail[0], sizeof demo->trail - sizeof demo->trail[0]);
    demo->trail[0][0] = input->x;
    demo->trail[0][1] = input->y;
    for (int i = TRAIL_LENGTH - 1; i >= 0; i--) {
        int size = (TRAIL_LENGTH - i) / 2 + 2;

        screen_fill(screen, demo->trail[i][0] - size / 2, demo->trail[i][1] - size / 2, size, size,
                    input->buttons != 0 ? WHITE : GOLD);
    }
}

static void create_arrow(Guest *guest, Demo *demo)
{
    Screen screen;

    demo->arrow = kms_create_buffer(&guest->kms, 64, 64); /* QEMU knows no other size */
    screen = guest_screen(&demo->arrow);
    for (int y = 0; y < 24; y++) {
        int end = y * 2 / 3;

        screen_fill(&screen, 0, y, end + 1, 1, WHITE);
        if (y > 2 && y < 23) {
            screen_fill(&screen, 1, y, end - 1, 1, 0xff202020);
        }
    }
}

static void draw_frame(Guest *guest, Demo *demo, const Screen *screen)
{
    int64_t now = input_now();

    if (demo->frame > 0) {
        demo->rate = demo->rate * 0.95 + 0.05 * 1e6 / (double)(now - demo->before);
    }
    demo->before = now;
    draw_waves(demo, screen);
    draw_cube(demo, screen);
    draw_panel(demo, &guest->input, screen);
    draw_trail(demo, &guest->input, screen);
}

void demo_run(Guest *guest)
{
    static Demo demo;
    Pacer pacer = { 0 };

    make_tables(&demo);
    demo.rate = guest->options.fps;
    create_arrow(guest, &demo);
    demo.buffers[1] = kms_create_buffer(&guest->kms, guest->mode->hdisplay, guest->mode->vdisplay);
    demo.buffers[0] = guest_show(guest, guest->mode, 0);
    guest->input.x = guest->mode->hdisplay / 2;
    guest->input.y = guest->mode->vdisplay / 2;
    for (int i = 0; i < TRAIL_LENGTH; i++) {
        demo.trail[i][0] = guest->input.x;
        demo.trail[i][1] = guest->input.y;
    }
    kms_set_cursor(&guest->kms, &demo.arrow, 0, 0, guest->input.x, guest->input.y);
    while (guest_next_frame(guest, &pacer)) {
        KmsBuffer *buffer = &demo.buffers[(demo.frame + 1) % 2];
        Screen screen = guest_screen(buffer);

        draw_frame(guest, &demo, &screen);
        kms_flip(&guest->kms, buffer);
        kms_move_cursor(&guest->kms, guest->input.x, guest->input.y);
        if (demo.frame++ == 0) {
            guest_report_ready(guest);
        }
    }
    guest_idle(guest);
}
