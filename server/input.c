/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/input.h"

#include "capture/timer.h"

/* A key or button and a viewer that holds it. */
typedef struct {
    gconstpointer viewer;
    gboolean is_button;
    guint code;
} Held;

struct ScInput {
    ScInputListener listener;
    gpointer data;
    GArray *held; /* of Held; a few at most, bounded by the number of keys times viewers */
    ScPointerMode mode;
    guint width, height; /* 0 until known */
    int x, y;            /* where the pointer is, as far as positions tell */
    guint wished_width, wished_height;
    ScTimer *wish_timer;
};

static void on_wish(gpointer data)
{
    ScInput *input = data;

    input->listener.size(input->wished_width, input->wished_height, input->data);
}

ScInput *sc_input_new(const ScInputListener *listener, gpointer data)
{
    ScInput *input = g_new0(ScInput, 1);

    input->listener = *listener;
    input->data = data;
    input->held = g_array_new(FALSE, FALSE, sizeof(Held));
    input->mode = SC_POINTER_ABSOLUTE;
    input->wish_timer = sc_timer_new(on_wish, input);
    return input;
}

void sc_input_free(ScInput *input)
{
    if (input == NULL) {
        return;
    }
    sc_timer_free(input->wish_timer);
    g_array_unref(input->held);
    g_free(input);
}

void sc_input_set_pointer_mode(ScInput *input, ScPointerMode mode)
{
    input->mode = mode;
}

void sc_input_set_size(ScInput *input, guint width, guint height)
{
    input->width = width;
    input->height = height;
    input->x = MIN(input->x, (int)width - 1);
    input->y = MIN(input->y, (int)height - 1);
}

static void send(ScInput *input, gboolean is_button, guint code, gboolean pressed)
{
    if (is_button) {
        input->listener.button(code, pressed, input->data);
    } else {
        input->listener.key(code, pressed, input->data);
    }
}

/* @mine: the index of this viewer's hold or -1. Returns whether another viewer holds it too. */
static gboolean find_held(const ScInput *input, const Held *wanted, int *mine)
{
    gboolean is_shared = FALSE;

    *mine = -1;
    for (guint i = 0; i < input->held->len; i++) {
        const Held *held = &g_array_index(input->held, Held, i);

        if (held->is_button != wanted->is_button || held->code != wanted->code) {
            continue;
        }
        if (held->viewer == wanted->viewer) {
            *mine = (int)i;
        } else {
            is_shared = TRUE;
        }
    }
    return is_shared;
}

static void press_or_release(ScInput *input, const Held *wanted, gboolean pressed)
{
    int mine;
    gboolean is_shared = find_held(input, wanted, &mine);

    if (pressed) {
        if (mine < 0) {
            g_array_append_val(input->held, *wanted);
        }
        /* A press of what is already down is the viewer's keyboard repeating it. */
        send(input, wanted->is_button, wanted->code, TRUE);
        return;
    }
    if (mine < 0) {
        return; /* pressed before this viewer came; nothing of it is down in the guest */
    }
    g_array_remove_index_fast(input->held, (guint)mine);
    if (!is_shared) {
        send(input, wanted->is_button, wanted->code, FALSE);
    }
}

void sc_input_key(ScInput *input, gconstpointer viewer, guint scancode, gboolean pressed)
{
    Held wanted = { .viewer = viewer, .is_button = FALSE, .code = scancode };

    press_or_release(input, &wanted, pressed);
}

void sc_input_button(ScInput *input, gconstpointer viewer, ScButton button, gboolean pressed)
{
    Held wanted = { .viewer = viewer, .is_button = TRUE, .code = button };

    press_or_release(input, &wanted, pressed);
}

static void move_to(ScInput *input, gint64 x, gint64 y)
{
    input->x = (int)CLAMP(x, 0, MAX((gint64)input->width - 1, 0));
    input->y = (int)CLAMP(y, 0, MAX((gint64)input->height - 1, 0));
}

void sc_input_motion(ScInput *input, int dx, int dy)
{
    if (input->mode == SC_POINTER_RELATIVE) {
        input->listener.motion(dx, dy, input->data);
        return;
    }
    move_to(input, (gint64)input->x + dx, (gint64)input->y + dy);
    input->listener.position((guint)input->x, (guint)input->y, input->data);
}

void sc_input_position(ScInput *input, guint x, guint y)
{
    int before_x = input->x, before_y = input->y;

    move_to(input, x, y);
    if (input->mode == SC_POINTER_ABSOLUTE) {
        input->listener.position((guint)input->x, (guint)input->y, input->data);
    } else if (input->x != before_x || input->y != before_y) {
        input->listener.motion(input->x - before_x, input->y - before_y, input->data);
    }
}

void sc_input_wheel(ScInput *input, int steps)
{
    input->listener.wheel(steps, input->data);
}

void sc_input_wish_size(ScInput *input, guint width, guint height)
{
    if (width < SC_INPUT_MIN_WIDTH || width > SC_INPUT_MAX_SIZE || height < SC_INPUT_MIN_HEIGHT ||
        height > SC_INPUT_MAX_SIZE) {
        g_debug("a viewer wishes %ux%u pixels: nobody can mean that", width, height);
        return;
    }
    input->wished_width = width;
    input->wished_height = height;
    if (!sc_timer_is_set(input->wish_timer)) {
        sc_timer_set_after(input->wish_timer, SC_INPUT_SIZE_DELAY);
    }
}

void sc_input_forget(ScInput *input, gconstpointer viewer)
{
    for (guint i = input->held->len; i-- > 0;) {
        Held held = g_array_index(input->held, Held, i);

        if (held.viewer == viewer) {
            press_or_release(input, &held, FALSE);
        }
    }
}
