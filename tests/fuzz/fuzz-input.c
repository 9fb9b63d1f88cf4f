/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The input device, with viewers that type. */
#include "capture/virtio-input.h"
#include "tests/fuzz/machine.h"

static void on_leds(ScLeds leds, gpointer data)
{
}

static gpointer input_new(const char *path)
{
    ScVirtioInput *input = sc_virtio_input_new(path, on_leds, NULL, NULL);

    g_assert_true(sc_virtio_input_listen(input, NULL));
    return input;
}

static void input_free(gpointer data)
{
    sc_virtio_input_free(data);
}

/* One, or so many that they do not fit. */
static void input_act(gpointer data, FuzzBytes *bytes)
{
    guint8 what = fuzz_take_u8(bytes);
    guint value = fuzz_take_u16(bytes);
    guint n = what & 0x80 ? 300 : 1;

    for (guint i = 0; i < n; i++) {
        switch (what % 4) {
        case 0:
            sc_virtio_input_send_key(data, value + i / 2, i % 2 == (what >> 2 & 1));
            break;
        case 1:
            sc_virtio_input_send_button(data, value % (SC_BUTTON_EXTRA + 1), what >> 2 & 1);
            break;
        case 2:
            sc_virtio_input_send_wheel(data, (gint16)value);
            break;
        default:
            sc_virtio_input_send_position(data, value, i, value * 2, 1000);
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static const FuzzTarget target = { 2, input_new, input_free, input_act };

    return fuzz_run(&target, data, size);
}
