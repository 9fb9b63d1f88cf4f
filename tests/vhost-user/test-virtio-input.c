/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The input device, with the test itself as the VMM and the guest's driver. */
#include "capture/error.h"
#include "capture/scancode.h"
#include "capture/virtio-input.h"
#include "tests/vhost-user/vmm.h"

#include <fcntl.h>
#include <linux/input-event-codes.h>
#include <linux/virtio_input.h>
#include <string.h>
#include <unistd.h>

#define EVENTS 0 /* queues */
#define STATUS 1
#define QEMU_RING 4 /* of vhost-user-input-pci */

#define SCANCODE_A 0x1e
#define SCANCODE_SHIFT 0x2a

typedef struct virtio_input_event Event;

typedef struct {
    int first_fd;
    char *folder, *path;
    ScVirtioInput *input;
    Vmm *vmm;
    ScLeds leds;
    guint led_changes;
    guint64 buffers; /* VMM_RING_SIZE events, by descriptor */
} Fixture;

static void on_leds(ScLeds leds, gpointer data)
{
    Fixture *fixture = data;

    fixture->leds = leds;
    fixture->led_changes++;
}

static void connect_vmm(Fixture *fixture)
{
    fixture->vmm = vmm_new(fixture->path, F_SEAL_SHRINK);
    vmm_start(fixture->vmm, G_GUINT64_CONSTANT(1) << VIRTIO_RING_F_EVENT_IDX);
    fixture->buffers = vmm_alloc(fixture->vmm, VMM_RING_SIZE * sizeof(Event), 8);
}

static void set_up(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;

    fixture->first_fd = vmm_next_fd();
    fixture->folder = g_dir_make_tmp("scancast-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->folder, "in.sock", NULL);
    fixture->input = sc_virtio_input_new(fixture->path, on_leds, fixture, &error);
    g_assert_no_error(error);
    g_assert_true(sc_virtio_input_listen(fixture->input, &error));
    connect_vmm(fixture);
}

static void tear_down(Fixture *fixture, gconstpointer unused)
{
    g_clear_pointer(&fixture->vmm, vmm_free);
    vmm_settle();
    sc_virtio_input_free(fixture->input);
    g_assert_false(g_file_test(fixture->path, G_FILE_TEST_EXISTS));
    rmdir(fixture->folder);
    g_free(fixture->folder);
    g_free(fixture->path);
    g_assert_cmpint(vmm_next_fd(), ==, fixture->first_fd);
}

/* ---- the guest's driver ----------------------------------------------------------------- */

/* @size: of each buffer. */
static void post(Fixture *fixture, guint n, guint32 size)
{
    for (guint i = 0; i < n; i++) {
        guint index = fixture->vmm->queues[EVENTS].next_desc;
        VmmSegment segment = { fixture->buffers + index * sizeof(Event), size, TRUE };

        vmm_add(fixture->vmm, EVENTS, &segment, 1);
    }
    vmm_kick(fixture->vmm, EVENTS);
    vmm_settle();
}

static guint count(Fixture *fixture)
{
    vmm_settle();
    return vmm_count_used(fixture->vmm, EVENTS);
}

/* The next event; its buffer is not made available again. */
static Event take(Fixture *fixture)
{
    struct vring_used_elem used = vmm_wait_used(fixture->vmm, EVENTS, 1);
    Event event;

    g_assert_cmpuint(used.len, ==, sizeof event);
    memcpy(&event, vmm_at(fixture->vmm, fixture->buffers + used.id * sizeof event), sizeof event);
    return event;
}

static void expect(Fixture *fixture, guint type, guint code, gint32 value)
{
    Event event = take(fixture);

    g_assert_cmpuint(event.type, ==, type);
    g_assert_cmpuint(event.code, ==, code);
    g_assert_cmpint((gint32)event.value, ==, value);
}

static void expect_end(Fixture *fixture)
{
    expect(fixture, EV_SYN, SYN_REPORT, 0);
}

static void expect_key(Fixture *fixture, guint code, gboolean pressed)
{
    expect(fixture, EV_KEY, code, pressed);
    expect_end(fixture);
}

static void expect_nothing(Fixture *fixture)
{
    g_assert_cmpuint(count(fixture), ==, 0);
}

/* ---- the configuration space ------------------------------------------------------------ */

typedef struct {
    guint32 offset, size, flags;
    struct virtio_input_config space;
} Config;

/* As QEMU does it: the whole space is written for each byte of the guest's. */
static struct virtio_input_config query(Fixture *fixture, guint8 select, guint8 subsel)
{
    Config config = { 0, sizeof config.space, 0, { .select = select, .subsel = subsel } };

    memset(&config.space.size, 0xff, 7);
    g_assert_cmpuint(vmm_order(fixture->vmm, VMM_SET_CONFIG, &config, sizeof config, NULL, 0), ==,
                     0);
    memset(&config.space, 0xff, sizeof config.space);
    vmm_send(fixture->vmm, VMM_GET_CONFIG, 0, &config, sizeof config, NULL, 0);
    g_assert_cmpint(vmm_receive(fixture->vmm, VMM_GET_CONFIG, &config, sizeof config), ==,
                    sizeof config);
    g_assert_cmpuint(config.space.select, ==, select);
    g_assert_cmpuint(config.space.subsel, ==, subsel);
    for (guint i = config.space.size; i < sizeof config.space.u; i++) {
        g_assert_cmpuint(config.space.u.bitmap[i], ==, 0);
    }
    return config.space;
}

static gboolean has_bit(const struct virtio_input_config *config, guint bit)
{
    return bit / 8 < config->size && (config->u.bitmap[bit / 8] >> bit % 8 & 1);
}

static void test_identity(Fixture *fixture, gconstpointer unused)
{
    struct virtio_input_config config = query(fixture, VIRTIO_INPUT_CFG_ID_NAME, 0);

    g_assert_cmpuint(config.size, >, 0);
    g_assert_cmpuint(config.size, ==, strnlen(config.u.string, sizeof config.u.string));
    g_assert_true(g_str_has_prefix(config.u.string, "Scancast"));
    g_assert_cmpuint(query(fixture, VIRTIO_INPUT_CFG_ID_SERIAL, 0).size, ==, 0);
    config = query(fixture, VIRTIO_INPUT_CFG_ID_DEVIDS, 0);
    g_assert_cmpuint(config.size, ==, 8);
    g_assert_cmpuint(config.u.ids.bustype, ==, 6);
    g_assert_cmpuint(query(fixture, VIRTIO_INPUT_CFG_PROP_BITS, 0).size, ==, 0);
}

static void test_abilities(Fixture *fixture, gconstpointer unused)
{
    struct virtio_input_config config = query(fixture, VIRTIO_INPUT_CFG_EV_BITS, EV_KEY);
    guint keys = 0;

    for (guint code = 0; code < 8 * sizeof config.u; code++) {
        keys += has_bit(&config, code) ? 1 : 0;
    }
    g_assert_cmpuint(keys, ==, 229 + 5);
    g_assert_true(has_bit(&config, KEY_ESC) && has_bit(&config, KEY_UWB));
    for (guint code = BTN_LEFT; code <= BTN_EXTRA; code++) {
        g_assert_true(has_bit(&config, code));
    }
    config = query(fixture, VIRTIO_INPUT_CFG_EV_BITS, EV_REL);
    g_assert_cmpuint(config.size, ==, 2);
    g_assert_cmphex(config.u.bitmap[0] | config.u.bitmap[1] << 8, ==, 1 << REL_WHEEL);
    config = query(fixture, VIRTIO_INPUT_CFG_EV_BITS, EV_ABS);
    g_assert_cmpuint(config.size, ==, 1);
    g_assert_cmphex(config.u.bitmap[0], ==, 1 << ABS_X | 1 << ABS_Y);
    config = query(fixture, VIRTIO_INPUT_CFG_EV_BITS, EV_LED);
    g_assert_cmpuint(config.size, ==, 1);
    g_assert_cmphex(config.u.bitmap[0], ==, 1 << LED_NUML | 1 << LED_CAPSL | 1 << LED_SCROLLL);
    config = query(fixture, VIRTIO_INPUT_CFG_EV_BITS, EV_REP);
    g_assert_cmpuint(config.size, ==, 1);
    for (guint axis = ABS_X; axis <= ABS_Y; axis++) {
        config = query(fixture, VIRTIO_INPUT_CFG_ABS_INFO, (guint8)axis);
        g_assert_cmpuint(config.size, ==, 20);
        g_assert_cmpuint(config.u.abs.min, ==, 0);
        g_assert_cmpuint(config.u.abs.max, ==, 32767);
        g_assert_cmpuint(config.u.abs.fuzz | config.u.abs.flat | config.u.abs.res, ==, 0);
    }
}

/* What there is not has no size (5.8.5.2). */
static void test_inabilities(Fixture *fixture, gconstpointer unused)
{
    static const guint8 subsels[] = { 0, EV_KEY, EV_REL, EV_ABS, EV_MSC, EV_LED, EV_REP, 255 };
    guint known = 0;

    for (guint select = 0; select < 256; select++) {
        for (gsize i = 0; i < G_N_ELEMENTS(subsels); i++) {
            known += query(fixture, (guint8)select, subsels[i]).size > 0 ? 1 : 0;
        }
    }
    /* Name, devids, five kinds of events, two axes (of which EV_KEY is the number of one). */
    g_assert_cmpuint(known, ==, 9);
}

/* A guest's driver that writes byte by byte, and one that writes elsewhere. */
static void test_config_bytes(Fixture *fixture, gconstpointer unused)
{
    Config config = { 0, 1, 0, { 0 } };

    query(fixture, 0, 0);
    for (guint8 offset = 0; offset < 136; offset++) {
        guint8 bytes[sizeof config] = { 0 };

        config.offset = offset;
        memcpy(bytes, &config, 12);
        bytes[12] = offset < 2 ? (guint8[]){ VIRTIO_INPUT_CFG_EV_BITS, EV_ABS }[offset] : 0xff;
        g_assert_cmpuint(vmm_order(fixture->vmm, VMM_SET_CONFIG, bytes, 13, NULL, 0), ==, 0);
    }
    config.offset = 0;
    config.size = sizeof config.space;
    vmm_send(fixture->vmm, VMM_GET_CONFIG, 0, &config, sizeof config, NULL, 0);
    vmm_receive(fixture->vmm, VMM_GET_CONFIG, &config, sizeof config);
    g_assert_cmpuint(config.space.size, ==, 1);
    g_assert_cmphex(config.space.u.bitmap[0], ==, 3);
}

/* ---- keys ------------------------------------------------------------------------------- */

static void press(Fixture *fixture, guint scancode, gboolean pressed)
{
    sc_virtio_input_send_key(fixture->input, scancode, pressed);
}

static void test_order(Fixture *fixture, gconstpointer unused)
{
    ScVirtioInput *input = fixture->input;

    post(fixture, VMM_RING_SIZE, sizeof(Event));
    press(fixture, SCANCODE_A, TRUE);
    press(fixture, SCANCODE_A, TRUE); /* a repetition */
    press(fixture, 0x12a, TRUE);      /* no key */
    press(fixture, SCANCODE_SHIFT, FALSE);
    sc_virtio_input_send_position(input, 0, 0, 640, 480);
    sc_virtio_input_send_position(input, 320, 479, 640, 480);
    sc_virtio_input_send_position(input, 640, 0, 640, 480); /* outside */
    sc_virtio_input_send_position(input, 0, 0, 0, 0);
    sc_virtio_input_send_button(input, SC_BUTTON_RIGHT, TRUE);
    sc_virtio_input_send_wheel(input, 1);
    sc_virtio_input_send_wheel(input, -3);
    sc_virtio_input_send_wheel(input, 0);
    sc_virtio_input_send_button(input, SC_BUTTON_RIGHT, FALSE);
    press(fixture, SCANCODE_A, FALSE);

    expect_key(fixture, KEY_A, TRUE);
    expect(fixture, EV_ABS, ABS_X, 16384);
    expect(fixture, EV_ABS, ABS_Y, 32700);
    expect_end(fixture);
    expect_key(fixture, BTN_RIGHT, TRUE);
    expect(fixture, EV_REL, REL_WHEEL, 2);
    expect_end(fixture);
    expect_key(fixture, BTN_RIGHT, FALSE);
    expect_key(fixture, KEY_A, FALSE);
    expect_nothing(fixture);
    g_assert_cmpuint(vmm_take_interrupts(fixture->vmm, EVENTS), ==, 1);
}

static void test_buttons(Fixture *fixture, gconstpointer unused)
{
    static const guint codes[] = { BTN_LEFT, BTN_MIDDLE, BTN_RIGHT, BTN_SIDE, BTN_EXTRA };

    post(fixture, VMM_RING_SIZE, sizeof(Event));
    for (guint i = 0; i < G_N_ELEMENTS(codes); i++) {
        sc_virtio_input_send_button(fixture->input, (ScButton)i, TRUE);
        sc_virtio_input_send_button(fixture->input, (ScButton)i, FALSE);
        expect_key(fixture, codes[i], TRUE);
        expect_key(fixture, codes[i], FALSE);
    }
    sc_virtio_input_send_wheel(fixture->input, G_MAXINT);
    sc_virtio_input_send_wheel(fixture->input, G_MAXINT);
    expect(fixture, EV_REL, REL_WHEEL, -32);
    expect_end(fixture);
    expect_nothing(fixture);
}

/* Each pixel comes back to itself, whether the guest rounds down or to the nearest. */
static void test_positions(Fixture *fixture, gconstpointer unused)
{
    static const guint sizes[] = { 1, 2, 640, 801, 1080, 1920, 3840, 7680, 8192 };

    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        guint size = sizes[i];

        for (guint pixel = 0; pixel < size; pixel += 1 + size / 50) {
            guint x, y;

            post(fixture, 3, sizeof(Event));
            sc_virtio_input_send_position(fixture->input, pixel, size - 1 - pixel, size, size);
            x = take(fixture).value;
            y = take(fixture).value;
            expect_end(fixture);
            g_assert_cmpuint(MAX(x, y), <=, 32767);
            g_assert_cmpuint(x * size / 32768, ==, pixel);
            g_assert_cmpuint(y * size / 32768, ==, size - 1 - pixel);
            if (size > 2) {
                g_assert_cmpuint((x * size + 16383) / 32767, ==, pixel);
            }
        }
    }
}

/* ---- rings that are full, missing, stopped ---------------------------------------------- */

/* A word typed at once, into a ring that holds two keystrokes. */
static void test_burst(Fixture *fixture, gconstpointer unused)
{
    post(fixture, QEMU_RING, sizeof(Event));
    for (guint scancode = 0x10; scancode < 0x1a; scancode++) {
        press(fixture, scancode, TRUE);
        press(fixture, scancode, FALSE);
        sc_virtio_input_send_position(fixture->input, scancode, 0, 100, 100);
    }
    g_assert_cmpuint(count(fixture), ==, QEMU_RING);
    /* It wants to hear of the next buffer: the event index behind the used ring. */
    g_assert_cmpuint((guint16)fixture->vmm->queues[EVENTS].used->ring[VMM_RING_SIZE].id, ==,
                     fixture->vmm->queues[EVENTS].avail->idx);
    for (guint i = 0; i < 70; i++) {
        guint code = KEY_Q + i / 7;
        const Event expected[] = {
            { EV_KEY, (guint16)code, 1 }, { EV_SYN, SYN_REPORT, 0 }, { EV_KEY, (guint16)code, 0 },
            { EV_SYN, SYN_REPORT, 0 },    { EV_ABS, ABS_X, 0 },      { EV_ABS, ABS_Y, 0 },
            { EV_SYN, SYN_REPORT, 0 },
        };
        Event event = take(fixture);

        g_assert_cmpuint(event.type, ==, expected[i % 7].type);
        g_assert_cmpuint(event.code, ==, expected[i % 7].code);
        if (event.type == EV_KEY) {
            g_assert_cmpuint(event.value, ==, expected[i % 7].value);
        }
        if (i % 3 == 2) {
            post(fixture, 3, sizeof(Event));
        }
    }
    expect_nothing(fixture);
}

/* What is behind a position that was told in part is a new one. */
static void test_position_in_pieces(Fixture *fixture, gconstpointer unused)
{
    post(fixture, 1, sizeof(Event));
    sc_virtio_input_send_position(fixture->input, 1, 1, 32768, 32768);
    expect(fixture, EV_ABS, ABS_X, 1);
    sc_virtio_input_send_position(fixture->input, 2, 2, 32768, 32768);
    sc_virtio_input_send_position(fixture->input, 3, 3, 32768, 32768);
    post(fixture, 10, sizeof(Event));
    expect(fixture, EV_ABS, ABS_Y, 1);
    expect_end(fixture);
    expect(fixture, EV_ABS, ABS_X, 3);
    expect(fixture, EV_ABS, ABS_Y, 3);
    expect_end(fixture);
    expect_nothing(fixture);
}

/* Everything that the guest has not taken yet. Returns how much that was. */
static guint take_flood(Fixture *fixture)
{
    gboolean down[KEY_CNT] = { 0 };
    guint n_down = 0, total = 0;
    gboolean is_open = FALSE;

    while (count(fixture) > 0) {
        Event event = take(fixture);

        total++;
        if (event.type == EV_KEY) {
            g_assert_false(is_open);
            g_assert_cmpint(down[event.code], !=, event.value);
            down[event.code] = event.value != 0;
            n_down += event.value != 0 ? 1 : -1;
        }
        is_open = event.type != EV_SYN;
        post(fixture, 1, sizeof(Event));
    }
    g_assert_false(is_open);
    g_assert_cmpuint(n_down, ==, 0);
    return total;
}

/* A guest that takes nothing for long: a bound, nothing in pieces, and no key stays down. */
static void test_flood(Fixture *fixture, gconstpointer unused)
{
    post(fixture, QEMU_RING, sizeof(Event));
    for (guint lead = 0; lead < 3; lead++) { /* whatever it is that comes last */
        guint total;

        for (guint i = 0; i < lead; i++) {
            sc_virtio_input_send_button(fixture->input, SC_BUTTON_SIDE, i % 2 == 0);
        }
        for (guint i = 0; i < 5000; i++) {
            press(fixture, 1 + i % 80, i / 80 % 2 == 0);
            sc_virtio_input_send_position(fixture->input, i % 100, 0, 100, 100);
        }
        for (guint scancode = 1; scancode < SC_SCANCODE_END; scancode++) {
            press(fixture, scancode, FALSE);
        }
        sc_virtio_input_send_button(fixture->input, SC_BUTTON_SIDE, FALSE);
        total = take_flood(fixture);
        g_assert_cmpuint(total, >, 500);
        g_assert_cmpuint(total, <=, 512 * 3);
    }
    press(fixture, SCANCODE_A, TRUE);
    expect_key(fixture, KEY_A, TRUE);
}

/* No driver: what is typed is not for the guest that comes later. */
static void test_no_buffers(Fixture *fixture, gconstpointer unused)
{
    press(fixture, SCANCODE_A, TRUE);
    sc_virtio_input_send_position(fixture->input, 1, 1, 100, 100);
    sc_virtio_input_send_wheel(fixture->input, 1);
    vmm_settle();
    post(fixture, VMM_RING_SIZE, sizeof(Event));
    press(fixture, SCANCODE_A, FALSE);
    expect_nothing(fixture);
    press(fixture, SCANCODE_SHIFT, TRUE);
    expect_key(fixture, KEY_LEFTSHIFT, TRUE);
    expect_nothing(fixture);
}

/* A pause of the VM: the key that was released meanwhile is up, what was typed is lost. */
static void test_pause(Fixture *fixture, gconstpointer unused)
{
    guint32 base;

    post(fixture, 3, sizeof(Event));
    press(fixture, SCANCODE_A, TRUE);
    expect_key(fixture, KEY_A, TRUE);
    press(fixture, SCANCODE_SHIFT, TRUE);
    expect(fixture, EV_KEY, KEY_LEFTSHIFT, 1);
    base = vmm_stop_queue(fixture->vmm, EVENTS);
    press(fixture, SCANCODE_A, FALSE);
    press(fixture, SCANCODE_SHIFT, FALSE);
    press(fixture, SCANCODE_A, TRUE);
    press(fixture, SCANCODE_A, FALSE);
    sc_virtio_input_send_wheel(fixture->input, 1);
    vmm_start_queue(fixture->vmm, EVENTS, base);
    post(fixture, 10, sizeof(Event));
    expect_end(fixture);
    expect_key(fixture, KEY_A, FALSE);
    expect_key(fixture, KEY_LEFTSHIFT, FALSE);
    expect_nothing(fixture);
}

/* A guest that boots anew knows of no key, and gets nothing of what the one before left. */
static void test_restart(Fixture *fixture, gconstpointer by_vmm)
{
    post(fixture, 3, sizeof(Event));
    press(fixture, SCANCODE_A, TRUE);
    press(fixture, SCANCODE_SHIFT, TRUE);
    expect_key(fixture, KEY_A, TRUE);
    expect(fixture, EV_KEY, KEY_LEFTSHIFT, 1);
    query(fixture, VIRTIO_INPUT_CFG_ID_NAME, 0);
    if (by_vmm != NULL) {
        vmm_free(fixture->vmm);
        vmm_settle();
        connect_vmm(fixture);
    } else {
        vmm_stop_queue(fixture->vmm, EVENTS);
        vmm_start_queue(fixture->vmm, EVENTS, 0);
    }
    post(fixture, VMM_RING_SIZE, sizeof(Event));
    press(fixture, SCANCODE_A, FALSE);
    expect_nothing(fixture);
    press(fixture, SCANCODE_A, TRUE);
    expect_key(fixture, KEY_A, TRUE);
    press(fixture, SCANCODE_A, FALSE);
    expect_key(fixture, KEY_A, FALSE);
    expect_nothing(fixture);
}

/* Buffers that hold no event, or are no place to write. */
static void test_bad_buffers(Fixture *fixture, gconstpointer unused)
{
    VmmSegment bad[] = {
        { 0x1000, 8, FALSE },
        { G_MAXUINT64 - 4, 8, TRUE },
        { 0x80000000, 8, TRUE },
    };

    post(fixture, 2, 3);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        vmm_add(fixture->vmm, EVENTS, &bad[i], 1);
    }
    vmm_kick(fixture->vmm, EVENTS);
    press(fixture, SCANCODE_A, TRUE);
    press(fixture, SCANCODE_A, FALSE);
    press(fixture, SCANCODE_A, TRUE);
    g_assert_cmpuint(count(fixture), ==, 5);
    g_assert_cmpuint(vmm_wait_used(fixture->vmm, EVENTS, 1).len, <, sizeof(Event));
    vmm_wait_used(fixture->vmm, EVENTS, 4);
    post(fixture, 3, sizeof(Event));
    expect_end(fixture);
    press(fixture, SCANCODE_A, FALSE);
    expect_key(fixture, KEY_A, FALSE);
}

/* ---- lamps ------------------------------------------------------------------------------ */

static void tell(Fixture *fixture, guint type, guint code, guint value, guint32 size)
{
    Event event = { (guint16)type, (guint16)code, value };
    VmmSegment segment = { vmm_alloc(fixture->vmm, sizeof event, 8), size, FALSE };

    memcpy(vmm_at(fixture->vmm, segment.address), &event, sizeof event);
    vmm_add(fixture->vmm, STATUS, &segment, 1);
    vmm_kick(fixture->vmm, STATUS);
    g_assert_cmpuint(vmm_wait_used(fixture->vmm, STATUS, 1).len, ==, 0);
}

static void test_leds(Fixture *fixture, gconstpointer unused)
{
    tell(fixture, EV_LED, LED_CAPSL, 1, 8);
    g_assert_cmpuint(fixture->leds, ==, SC_LED_CAPS_LOCK);
    tell(fixture, EV_LED, LED_NUML, 1, 8);
    g_assert_cmpuint(fixture->leds, ==, SC_LED_CAPS_LOCK | SC_LED_NUM_LOCK);
    tell(fixture, EV_LED, LED_SCROLLL, 7, 8);
    tell(fixture, EV_LED, LED_CAPSL, 0, 8);
    g_assert_cmpuint(fixture->leds, ==, SC_LED_SCROLL_LOCK | SC_LED_NUM_LOCK);
    g_assert_cmpuint(fixture->led_changes, ==, 4);
    /* What says nothing. */
    tell(fixture, EV_LED, LED_NUML, 1, 8);
    tell(fixture, EV_LED, LED_NUML, 0, 7);
    tell(fixture, EV_LED, 3, 1, 8);
    tell(fixture, EV_LED, 0xffff, 1, 8);
    tell(fixture, EV_SND, LED_NUML, 0, 8);
    g_assert_cmpuint(fixture->led_changes, ==, 4);
    /* The guest is gone, and its lamps with it. */
    vmm_free(fixture->vmm);
    vmm_settle();
    g_assert_cmpuint(fixture->leds, ==, 0);
    connect_vmm(fixture);
}

static void test_paths(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(sc_virtio_input_new("", on_leds, NULL, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_INVALID);
    sc_virtio_input_free(NULL);
}

#define ADD(name, data, function)                                                                  \
    g_test_add("/virtio-input/" name, Fixture, data, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vmm_settle(); /* the main context has a descriptor of its own */
    ADD("identity", NULL, test_identity);
    ADD("abilities", NULL, test_abilities);
    ADD("inabilities", NULL, test_inabilities);
    ADD("config-bytes", NULL, test_config_bytes);
    ADD("order", NULL, test_order);
    ADD("buttons", NULL, test_buttons);
    ADD("positions", NULL, test_positions);
    ADD("burst", NULL, test_burst);
    ADD("position-in-pieces", NULL, test_position_in_pieces);
    ADD("flood", NULL, test_flood);
    ADD("no-buffers", NULL, test_no_buffers);
    ADD("pause", NULL, test_pause);
    ADD("restart", NULL, test_restart);
    ADD("restart/vmm", "", test_restart);
    ADD("bad-buffers", NULL, test_bad_buffers);
    ADD("leds", NULL, test_leds);
    g_test_add_func("/virtio-input/paths", test_paths);
    return g_test_run();
}
