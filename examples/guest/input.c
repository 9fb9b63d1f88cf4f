/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "examples/guest/input.h"
#include "examples/guest/keymap.h"
#include "examples/guest/report.h"

#include <fcntl.h>
#include <linux/input.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

int64_t input_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int read_abs_range(int fd, int axis)
{
    struct input_absinfo info = { 0 };

    return ioctl(fd, EVIOCGABS(axis), &info) == 0 && info.maximum > 0 ? info.maximum : 1;
}

void input_open(Input *input)
{
    memset(input, 0, sizeof *input);
    for (int i = 0; i < INPUT_MAX_DEVICES; i++) {
        char path[32];
        int fd;

        snprintf(path, sizeof path, "/dev/input/event%d", i);
        fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) {
            continue;
        }
        /* The kernel's own keyboard handling would switch the lamps too, and reboot. */
        ioctl(fd, EVIOCGRAB, 1);
        input->abs_range[input->n_devices][0] = read_abs_range(fd, ABS_X);
        input->abs_range[input->n_devices][1] = read_abs_range(fd, ABS_Y);
        input->devices[input->n_devices++] = (struct pollfd){ .fd = fd, .events = POLLIN };
    }
}

static int clamp(int value, int limit)
{
    return value < 0 ? 0 : value >= limit ? limit - 1 : value;
}

void input_set_screen(Input *input, int width, int height)
{
    input->width = width;
    input->height = height;
    input->x = clamp(input->x, width);
    input->y = clamp(input->y, height);
}

/* QEMU scales positions to the axis' range by truncating; rounding undoes that exactly. */
static int scale_position(int value, int range, int pixels)
{
    return clamp((int)(((int64_t)value * pixels + range / 2) / range), pixels);
}

static void type_character(Input *input, char character)
{
    size_t length = strlen(input->typed);

    if (character == '\b') {
        input->typed[length > 0 ? length - 1 : 0] = '\0';
    } else if (character != '\0') {
        if (length == INPUT_MAX_TYPED) {
            memmove(input->typed, input->typed + 1, --length);
        }
        input->typed[length] = character;
        input->typed[length + 1] = '\0';
    }
}

static void toggle_led(Input *input, int fd, uint16_t led)
{
    struct input_event events[2] = { { .type = EV_LED, .code = led }, { .type = EV_SYN } };

    input->leds ^= 1u << led;
    events[0].value = (input->leds >> led & 1) != 0;
    /* The device's lamp follows, and the event comes back to us, which reports it. A keyboard
     * without lamps ignores it. */
    if (write(fd, events, sizeof events) != (ssize_t)sizeof events) {
        report("led %u unset", led);
    }
}

static void handle_key(Input *input, int fd, const struct input_event *event)
{
    if (event->value != 2) { /* not a repetition */
        report("key %u %d", event->code, event->value);
    }
    if (event->code == KEY_LEFTSHIFT || event->code == KEY_RIGHTSHIFT) {
        input->shift = event->value != 0;
    }
    if (event->value == 0) {
        return;
    }
    if (event->value == 1 && event->code == KEY_CAPSLOCK) {
        toggle_led(input, fd, LED_CAPSL);
    } else if (event->value == 1 && event->code == KEY_NUMLOCK) {
        toggle_led(input, fd, LED_NUML);
    } else if (event->value == 1 && event->code == KEY_SCROLLLOCK) {
        toggle_led(input, fd, LED_SCROLLL);
    }
    type_character(
        input, keymap_character(event->code, input->shift, (input->leds >> LED_CAPSL & 1) != 0));
}

static void handle_button(Input *input, const struct input_event *event)
{
    uint32_t bit = 1u << (event->code - BTN_LEFT);

    report("button %u %d", event->code, event->value);
    input->buttons = event->value != 0 ? input->buttons | bit : input->buttons & ~bit;
}

static void handle_relative(Input *input, const struct input_event *event)
{
    if (event->code == REL_X) {
        input->dx += event->value;
    } else if (event->code == REL_Y) {
        input->dy += event->value;
    } else if (event->code == REL_WHEEL) {
        report("wheel %d", event->value);
    }
}

/* The end of a group of events that happened together. */
static void handle_sync(Input *input)
{
    if (input->moved) {
        report("pointer %d %d", input->x, input->y);
        input->moved = false;
    }
    if (input->dx != 0 || input->dy != 0) {
        report("rel %d %d", input->dx, input->dy);
        input->x = clamp(input->x + input->dx, input->width);
        input->y = clamp(input->y + input->dy, input->height);
        input->dx = input->dy = 0;
    }
}

static void handle_event(Input *input, int device, const struct input_event *event)
{
    const int *range = input->abs_range[device];

    if (event->type == EV_KEY && event->code >= BTN_LEFT && event->code <= BTN_TASK) {
        handle_button(input, event);
    } else if (event->type == EV_KEY && event->code < BTN_MISC) {
        handle_key(input, input->devices[device].fd, event);
    } else if (event->type == EV_ABS && event->code == ABS_X) {
        input->x = scale_position(event->value, range[0], input->width);
        input->moved = true;
    } else if (event->type == EV_ABS && event->code == ABS_Y) {
        input->y = scale_position(event->value, range[1], input->height);
        input->moved = true;
    } else if (event->type == EV_REL) {
        handle_relative(input, event);
    } else if (event->type == EV_LED) {
        report("led %u %d", event->code, event->value);
    } else if (event->type == EV_SYN) {
        handle_sync(input);
    }
}

static void read_device(Input *input, int device)
{
    struct input_event events[32];
    ssize_t size = read(input->devices[device].fd, events, sizeof events);

    for (size_t i = 0; size > 0 && i < (size_t)size / sizeof events[0]; i++) {
        handle_event(input, device, &events[i]);
    }
}

void input_run_until(Input *input, int64_t deadline_us)
{
    int64_t left;

    do {
        struct timespec timeout;
        int n_ready;

        left = deadline_us - input_now();
        left = left < 0 ? 0 : left;
        timeout = (struct timespec){ left / 1000000, left % 1000000 * 1000 };
        n_ready = ppoll(input->devices, (nfds_t)input->n_devices,
                        deadline_us == INT64_MAX ? NULL : &timeout, NULL);
        for (int i = 0; n_ready > 0 && i < input->n_devices; i++) {
            if (input->devices[i].revents != 0) {
                read_device(input, i);
            }
        }
    } while (left > 0);
}
