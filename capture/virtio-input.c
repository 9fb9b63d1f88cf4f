/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/virtio-input.h"

#include "capture/scancode.h"
#include "capture/vhost-user.h"

#include <linux/input-event-codes.h>
#include <linux/virtio_input.h>
#include <string.h>

enum { QUEUE_EVENTS, QUEUE_STATUS, N_QUEUES };

#define NAME "Scancast keyboard and pointer"
#define BUS_VIRTUAL 0x06 /* <linux/input.h> */

/* Of both axes; as QEMU's tablet has it. */
#define ABS_MAXIMUM 0x7fff

/* Kept for a guest that is slow: more than all keys and buttons that can be held, twice. */
#define MAX_GROUPS 512

/* More detents in one event than any wheel has. */
#define MAX_WHEEL_STEPS 32

/* Events that happen together; the guest sees them when the last one, EV_SYN, comes. */
typedef enum {
    GROUP_KEY,      /* code, pressed */
    GROUP_POSITION, /* x, y */
    GROUP_WHEEL,    /* steps, as Linux counts them */
} GroupKind;

typedef struct {
    GroupKind kind;
    gint32 first, second;
} Group;

#define MAX_GROUP_EVENTS 3

struct ScVirtioInput {
    ScVhostUser *vhost;
    ScVirtioInputLedsFunc leds_changed;
    gpointer data;

    guint8 select, subsel; /* what the guest asks for */
    ScLeds leds;
    gboolean is_open; /* the guest's driver waits for events */

    Group groups[MAX_GROUPS]; /* a ring */
    guint first_group, n_groups;
    guint sent; /* events of the first group that the guest has already */

    gboolean is_down[KEY_CNT]; /* once the guest has all groups */
    guint n_down;              /* for each of them there is room for its release */
};

/* By ScButton. */
static const guint16 buttons[] = {
    [SC_BUTTON_LEFT] = BTN_LEFT, [SC_BUTTON_MIDDLE] = BTN_MIDDLE, [SC_BUTTON_RIGHT] = BTN_RIGHT,
    [SC_BUTTON_SIDE] = BTN_SIDE, [SC_BUTTON_EXTRA] = BTN_EXTRA,
};

/* By the number of the lamp in Linux. */
static const ScLeds lamps[] = {
    [LED_NUML] = SC_LED_NUM_LOCK,
    [LED_CAPSL] = SC_LED_CAPS_LOCK,
    [LED_SCROLLL] = SC_LED_SCROLL_LOCK,
};

/* ---- what the device can ---------------------------------------------------------------- */

static void set_bit(struct virtio_input_config *config, guint bit)
{
    config->u.bitmap[bit / 8] |= (guint8)(1u << bit % 8);
    config->size = MAX(config->size, (guint8)(bit / 8 + 1));
}

static void tell_codes(struct virtio_input_config *config)
{
    switch (config->subsel) {
    case EV_KEY:
        for (guint i = 0; i < SC_SCANCODE_END; i++) {
            if (sc_scancode_to_key(i) != KEY_RESERVED) {
                set_bit(config, sc_scancode_to_key(i));
            }
        }
        for (guint i = 0; i < G_N_ELEMENTS(buttons); i++) {
            set_bit(config, buttons[i]);
        }
        break;
    case EV_REL:
        set_bit(config, REL_WHEEL);
        break;
    case EV_ABS:
        set_bit(config, ABS_X);
        set_bit(config, ABS_Y);
        break;
    case EV_LED:
        for (guint i = 0; i < G_N_ELEMENTS(lamps); i++) {
            set_bit(config, i);
        }
        break;
    case EV_REP:
        /* No codes: that it is there asks the guest to repeat keys. */
        config->size = 1;
        break;
    default:
        break;
    }
}

/* A size of 0 says that there is no such thing: no serial number, no properties. */
static void input_get_config(guint8 *bytes, gpointer data)
{
    ScVirtioInput *input = data;
    struct virtio_input_config config = { .select = input->select, .subsel = input->subsel };

    switch (config.select) {
    case VIRTIO_INPUT_CFG_ID_NAME:
        if (config.subsel == 0) {
            config.size = strlen(NAME);
            memcpy(config.u.string, NAME, config.size);
        }
        break;
    case VIRTIO_INPUT_CFG_ID_DEVIDS:
        if (config.subsel == 0) {
            config.size = sizeof config.u.ids;
            config.u.ids.bustype = BUS_VIRTUAL;
        }
        break;
    case VIRTIO_INPUT_CFG_EV_BITS:
        tell_codes(&config);
        break;
    case VIRTIO_INPUT_CFG_ABS_INFO:
        if (config.subsel == ABS_X || config.subsel == ABS_Y) {
            config.size = sizeof config.u.abs;
            config.u.abs.max = ABS_MAXIMUM;
        }
        break;
    default:
        break;
    }
    memcpy(bytes, &config, sizeof config);
}

/* VMMs may write the whole space; only what is asked for is the guest's to write. */
static void input_set_config(guint offset, const guint8 *bytes, guint size, gpointer data)
{
    ScVirtioInput *input = data;

    for (guint i = 0; i < size; i++) {
        if (offset + i == G_STRUCT_OFFSET(struct virtio_input_config, select)) {
            input->select = bytes[i];
        } else if (offset + i == G_STRUCT_OFFSET(struct virtio_input_config, subsel)) {
            input->subsel = bytes[i];
        }
    }
}

/* ---- events for the guest --------------------------------------------------------------- */

/* Returns how many. */
static guint expand(const Group *group, struct virtio_input_event *events)
{
    static const struct virtio_input_event end = { .type = EV_SYN, .code = SYN_REPORT };
    guint n = 0;

    switch (group->kind) {
    case GROUP_KEY:
        events[n++] =
            (struct virtio_input_event){ EV_KEY, (guint16)group->first, (guint32)group->second };
        break;
    case GROUP_POSITION:
        events[n++] = (struct virtio_input_event){ EV_ABS, ABS_X, (guint32)group->first };
        events[n++] = (struct virtio_input_event){ EV_ABS, ABS_Y, (guint32)group->second };
        break;
    case GROUP_WHEEL:
        events[n++] = (struct virtio_input_event){ EV_REL, REL_WHEEL, (guint32)group->first };
        break;
    }
    events[n++] = end;
    return n;
}

/* One event a buffer. One that the guest made too small is its own loss. */
static void deliver(ScVirtioInput *input, ScVirtqueue *queue)
{
    while (input->n_groups > 0) {
        g_autofree ScVirtqueueElement *element = sc_virtqueue_pop(queue);
        struct virtio_input_event events[MAX_GROUP_EVENTS];
        guint n = expand(&input->groups[input->first_group], events);

        if (element == NULL) {
            return;
        }
        sc_virtqueue_push(
            queue, element,
            sc_virtqueue_write(queue, element, &events[input->sent], sizeof events[0]));
        input->sent++;
        if (input->sent == n) {
            input->sent = 0;
            input->first_group = (input->first_group + 1) % MAX_GROUPS;
            input->n_groups--;
        }
    }
}

/* The last group, if it is of that kind and the guest has nothing of it yet. */
static Group *get_last(ScVirtioInput *input, GroupKind kind)
{
    Group *last;

    if (input->n_groups == 0 || (input->n_groups == 1 && input->sent > 0)) {
        return NULL;
    }
    last = &input->groups[(input->first_group + input->n_groups - 1) % MAX_GROUPS];
    return last->kind == kind ? last : NULL;
}

static void append(ScVirtioInput *input, GroupKind kind, gint32 first, gint32 second)
{
    g_assert(input->n_groups < MAX_GROUPS);
    input->groups[(input->first_group + input->n_groups) % MAX_GROUPS] =
        (Group){ kind, first, second };
    input->n_groups++;
    sc_vhost_user_serve_soon(input->vhost, QUEUE_EVENTS);
}

/* For @n groups more, beside the releases of what is down. */
static gboolean has_room(const ScVirtioInput *input, guint n)
{
    return input->is_open && input->n_groups + input->n_down + n <= MAX_GROUPS;
}

static void send_code(ScVirtioInput *input, guint16 code, gboolean pressed)
{
    /* A press needs room for its release too. */
    if (input->is_down[code] == pressed || (pressed && !has_room(input, 2))) {
        return;
    }
    input->is_down[code] = pressed;
    input->n_down += pressed ? 1 : -1;
    append(input, GROUP_KEY, code, pressed);
}

void sc_virtio_input_send_key(ScVirtioInput *input, guint scancode, gboolean pressed)
{
    guint16 code = sc_scancode_to_key(scancode);

    if (code != KEY_RESERVED) {
        send_code(input, code, pressed != FALSE);
    }
}

void sc_virtio_input_send_button(ScVirtioInput *input, ScButton button, gboolean pressed)
{
    g_return_if_fail(button < G_N_ELEMENTS(buttons));

    send_code(input, buttons[button], pressed != FALSE);
}

void sc_virtio_input_send_wheel(ScVirtioInput *input, int steps)
{
    Group *last = get_last(input, GROUP_WHEEL);
    /* Linux counts away from the user. */
    gint32 value = -CLAMP(steps, -MAX_WHEEL_STEPS, MAX_WHEEL_STEPS);

    if (last != NULL) {
        last->first = CLAMP(last->first + value, -MAX_WHEEL_STEPS, MAX_WHEEL_STEPS);
    } else if (value != 0 && has_room(input, 1)) {
        append(input, GROUP_WHEEL, value, 0);
    }
}

/* The smallest value that belongs to the pixel: guests that round down come back to it, and so do
 * those that round to the nearest. */
static gint32 to_axis(guint value, guint range)
{
    return (gint32)(((guint64)value * (ABS_MAXIMUM + 1) + range - 1) / range);
}

void sc_virtio_input_send_position(ScVirtioInput *input, guint x, guint y, guint width,
                                   guint height)
{
    Group *last = get_last(input, GROUP_POSITION);

    if (x >= width || y >= height) {
        return;
    }
    if (last != NULL) {
        last->first = to_axis(x, width);
        last->second = to_axis(y, height);
    } else if (has_room(input, 1)) {
        append(input, GROUP_POSITION, to_axis(x, width), to_axis(y, height));
    }
}

static gboolean serve_events(ScVirtioInput *input)
{
    ScVirtqueue *queue = sc_vhost_user_get_queue(input->vhost, QUEUE_EVENTS);

    /* A driver shows that it is there by its first buffers. */
    input->is_open = input->is_open || sc_virtqueue_wait(queue);
    deliver(input, queue);
    return input->n_groups > 0 && sc_virtqueue_wait(queue);
}

/* ---- what the guest says ---------------------------------------------------------------- */

static void set_leds(ScVirtioInput *input, ScLeds leds)
{
    if (leds != input->leds) {
        input->leds = leds;
        input->leds_changed(leds, input->data);
    }
}

static gboolean serve_status(ScVirtioInput *input)
{
    ScVirtqueue *queue = sc_vhost_user_get_queue(input->vhost, QUEUE_STATUS);
    ScLeds leds = input->leds;

    for (guint i = 0; i < SC_VIRTQUEUE_MAX_SIZE; i++) {
        g_autofree ScVirtqueueElement *element = sc_virtqueue_pop(queue);
        struct virtio_input_event event;

        if (element == NULL) {
            break;
        }
        if (sc_virtqueue_read(queue, element, 0, &event, sizeof event) && event.type == EV_LED &&
            event.code < G_N_ELEMENTS(lamps)) {
            leds = event.value != 0 ? leds | lamps[event.code] : leds & ~lamps[event.code];
        }
        sc_virtqueue_push(queue, element, 0);
    }
    set_leds(input, leds);
    return sc_virtqueue_wait(queue);
}

/* ---- the device ------------------------------------------------------------------------- */

static gboolean input_kicked(guint index, gpointer data)
{
    return index == QUEUE_EVENTS ? serve_events(data) : serve_status(data);
}

/* What the guest has not taken yet stays: if this is a pause it goes on where it was. */
static void input_stopping(guint index, gpointer data)
{
    ScVirtioInput *input = data;

    if (index == QUEUE_EVENTS) {
        input->is_open = FALSE;
    }
}

static void input_reset(gpointer data)
{
    ScVirtioInput *input = data;

    input->select = input->subsel = 0;
    input->is_open = FALSE;
    input->first_group = input->n_groups = input->sent = 0;
    memset(input->is_down, 0, sizeof input->is_down);
    input->n_down = 0;
    set_leds(input, 0);
}

static void input_linked(gboolean is_linked, const char *reason, gpointer data)
{
    g_info("a VMM %s the input device%s%s", is_linked ? "takes" : "leaves",
           reason != NULL ? ": " : "", reason != NULL ? reason : "");
}

static const ScVhostDevice input_device = {
    .n_queues = N_QUEUES,
    .config_size = sizeof(struct virtio_input_config),
    .get_config = input_get_config,
    .set_config = input_set_config,
    .kicked = input_kicked,
    .stopping = input_stopping,
    .reset = input_reset,
    .linked = input_linked,
};

ScVirtioInput *sc_virtio_input_new(const char *path, ScVirtioInputLedsFunc leds, gpointer data,
                                   GError **error)
{
    g_autoptr(ScVirtioInput) input = g_new0(ScVirtioInput, 1);

    input->leds_changed = leds;
    input->data = data;
    input->vhost = sc_vhost_user_new(path, &input_device, input, error);
    return input->vhost != NULL ? g_steal_pointer(&input) : NULL;
}

void sc_virtio_input_free(ScVirtioInput *input)
{
    if (input == NULL) {
        return;
    }
    sc_vhost_user_free(input->vhost);
    g_free(input);
}

gboolean sc_virtio_input_listen(ScVirtioInput *input, GError **error)
{
    return sc_vhost_user_listen(input->vhost, error);
}
