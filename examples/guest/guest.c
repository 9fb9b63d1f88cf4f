/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "examples/guest/guest.h"
#include "capture/pattern.h"
#include "examples/guest/report.h"

#include <stdlib.h>

#define SECOND 1000000

static void report_rate(Pacer *pacer, int64_t now)
{
    double seconds = (double)(now - pacer->mark) / SECOND;

    report("rate %.1f/s", (pacer->count - pacer->marked) / seconds);
    pacer->mark = now;
    pacer->marked = pacer->count;
}

bool guest_next_frame(Guest *guest, Pacer *pacer)
{
    const Options *options = &guest->options;
    int64_t now = input_now();

    if (pacer->count == 0) {
        pacer->next = pacer->mark = now;
    } else if (now - pacer->mark >= SECOND) {
        report_rate(pacer, now);
    }
    if (options->frames > 0 && pacer->count == options->frames) {
        if (pacer->count > pacer->marked) {
            report_rate(pacer, now);
        }
        return false;
    }
    input_run_until(&guest->input, options->fps > 0 ? pacer->next : 0);
    if (options->fps > 0) {
        int64_t period = SECOND / options->fps;

        /* What could not be shown in time is left out, not made up for. */
        now = input_now();
        pacer->next = now - pacer->next > period ? now + period : pacer->next + period;
    }
    pacer->count++;
    return true;
}

void guest_idle(Guest *guest)
{
    input_run_until(&guest->input, INT64_MAX);
    abort();
}

Screen guest_screen(const KmsBuffer *buffer)
{
    return (Screen){ buffer->pixels, buffer->stride, buffer->width, buffer->height };
}

KmsBuffer guest_show(Guest *guest, const struct drm_mode_modeinfo *mode, uint32_t number)
{
    KmsBuffer buffer = kms_create_buffer(&guest->kms, mode->hdisplay, mode->vdisplay);

    pattern_draw(buffer.pixels, buffer.stride, buffer.width, buffer.height, number);
    kms_set_mode(&guest->kms, mode, &buffer);
    input_set_screen(&guest->input, buffer.width, buffer.height);
    return buffer;
}

void guest_report_ready(const Guest *guest)
{
    report("ready %dx%d", guest->mode->hdisplay, guest->mode->vdisplay);
}
