/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libva says of the pretended node, and of what is no node. */
#include "capture/error.h"
#include "encoder/va-probe.h"
#include "tests/va-lab/lab.h"

#include <drm_fourcc.h>
#include <string.h>

#define NODE "/dev/dri/renderD128"

static ScVaDevice *probe(GPtrArray **devices)
{
    *devices = sc_va_probe(NODE);
    g_assert_cmpuint((*devices)->len, ==, 1);
    return (*devices)->pdata[0];
}

static void test_all(void)
{
    g_autoptr(GPtrArray) devices = NULL;
    g_autoptr(GError) error = NULL;
    ScVaDevice *device = probe(&devices);

    g_assert_cmpstr(device->node, ==, NODE);
    g_assert_cmpstr(device->kernel_driver, ==, "vgem");
    g_assert_nonnull(device->va_driver);
    g_assert_null(device->problem);
    g_assert_cmpstr(device->profiles, ==, "constrained-baseline main high");
    g_assert_true(device->encode.available);
    g_assert_cmpuint(device->encode.max_width, ==, 4096);
    g_assert_cmpuint(device->encode.max_height, ==, 4096);
    g_assert_true(device->encode.cbr && device->encode.vbr && device->encode.cqp);
    g_assert_false(device->encode_low_power.available);
    g_assert_true(device->has_postproc);
    g_assert_true(device->imports_prime && device->imports_prime_2);
    g_assert_cmpuint(device->native_modifier, ==, DRM_FORMAT_MOD_LINEAR);
    g_assert_true(sc_va_device_can_encode(device, &error));
    g_assert_true(sc_va_device_can_import(device, DRM_FORMAT_XRGB8888, &error));
    g_assert_true(sc_va_device_can_import(device, DRM_FORMAT_NV12, &error));
    g_assert_no_error(error);
    g_assert_false(sc_va_device_can_import(device, DRM_FORMAT_RGB565, &error));
    g_assert_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED);
    g_assert_nonnull(strstr(error->message, "RG16"));
}

static void test_low_power(void)
{
    g_autoptr(GPtrArray) devices = NULL;
    ScVaDevice *device;

    g_setenv("SCANCAST_VA_ENTRY_POINTS", "lp,vpp", TRUE);
    g_setenv("SCANCAST_VA_RATE_CONTROL", "cqp", TRUE);
    g_setenv("SCANCAST_VA_MODIFIERS", "0x100000000000002", TRUE);
    g_setenv("SCANCAST_VA_MEMORY_TYPES", "prime2", TRUE);
    device = probe(&devices);
    g_assert_false(device->encode.available);
    g_assert_true(device->encode_low_power.available);
    g_assert_true(device->encode_low_power.cqp);
    g_assert_false(device->encode_low_power.cbr || device->encode_low_power.vbr);
    g_assert_cmpuint(device->native_modifier, ==, 0x100000000000002);
    g_assert_false(device->imports_prime);
    g_assert_true(device->imports_prime_2);
    g_assert_true(sc_va_device_can_encode(device, NULL));
    g_unsetenv("SCANCAST_VA_ENTRY_POINTS");
    g_unsetenv("SCANCAST_VA_RATE_CONTROL");
    g_unsetenv("SCANCAST_VA_MODIFIERS");
    g_unsetenv("SCANCAST_VA_MEMORY_TYPES");
}

/* Devices that cannot do it, and the word that says why. */
static void test_lacking(void)
{
    static const struct {
        const char *variable, *value, *word;
        gboolean encodes;
    } lacks[] = {
        { "SCANCAST_VA_ENTRY_POINTS", "vpp", "no H.264 encoder", FALSE },
        { "SCANCAST_VA_ENTRY_POINTS", "slice", "cannot convert", FALSE },
        { "SCANCAST_VA_ENTRY_POINTS", "", "no H.264 encoder", FALSE },
        { "SCANCAST_VA_MEMORY_TYPES", "", "cannot import dmabufs", TRUE },
        { "LIBVA_DRIVER_NAME", "nosuchdriver", "no VA-API driver", FALSE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(lacks); i++) {
        g_autofree char *before = g_strdup(g_getenv(lacks[i].variable));
        g_autoptr(GPtrArray) devices = NULL;
        g_autoptr(GError) error = NULL;
        ScVaDevice *device;

        g_setenv(lacks[i].variable, lacks[i].value, TRUE);
        device = probe(&devices);
        g_assert_cmpint(sc_va_device_can_encode(device, NULL), ==, lacks[i].encodes);
        g_assert_false(sc_va_device_can_import(device, DRM_FORMAT_XRGB8888, &error));
        g_assert_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED);
        g_test_message("%s", error->message);
        g_assert_nonnull(strstr(error->message, lacks[i].word));
        g_assert_nonnull(strstr(error->message, NODE));
        if (before != NULL) {
            g_setenv(lacks[i].variable, before, TRUE);
        } else {
            g_unsetenv(lacks[i].variable);
        }
    }
}

static void test_no_node(void)
{
    static const char *const paths[] = { "/nonexistent", "/", "" };

    for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autoptr(GPtrArray) devices = sc_va_probe(paths[i]);
        ScVaDevice *device = devices->pdata[0];

        g_test_message("%s: %s", paths[i], device->problem);
        g_assert_nonnull(device->problem);
        g_assert_false(sc_va_device_can_encode(device, NULL));
    }
}

static void test_search(void)
{
    g_autoptr(GPtrArray) devices = sc_va_probe(NULL);

    g_assert_cmpuint(devices->len, ==, 1);
    g_assert_cmpstr(((ScVaDevice *)devices->pdata[0])->node, ==, NODE);
}

int main(int argc, char **argv)
{
    sc_lab_enter(argv);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/va-probe/all", test_all);
    g_test_add_func("/va-probe/low-power", test_low_power);
    g_test_add_func("/va-probe/lacking", test_lacking);
    g_test_add_func("/va-probe/no-node", test_no_node);
    g_test_add_func("/va-probe/search", test_search);
    return g_test_run();
}
