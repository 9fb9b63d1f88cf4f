/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/capabilities.h"

#include "capture/error.h"
#include "capture/format.h"
#include "encoder/va-probe.h"

#include <drm_fourcc.h>
#include <json-glib/json-glib.h>

/* What guests show most; with another buffer the ladder may end elsewhere. */
#define TYPICAL_WIDTH 1920
#define TYPICAL_HEIGHT 1080
#define TYPICAL_FOURCC DRM_FORMAT_XRGB8888

static void add_string(JsonBuilder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    if (value != NULL) {
        json_builder_add_string_value(builder, value);
    } else {
        json_builder_add_null_value(builder);
    }
}

static void add_boolean(JsonBuilder *builder, const char *name, gboolean value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_boolean_value(builder, value);
}

static void add_number(JsonBuilder *builder, const char *name, gint64 value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, value);
}

static void add_entry_point(JsonBuilder *builder, const char *name,
                            const ScVaEntryPoint *entry_point)
{
    json_builder_set_member_name(builder, name);
    json_builder_begin_object(builder);
    add_boolean(builder, "available", entry_point->available);
    add_number(builder, "max-width", entry_point->max_width);
    add_number(builder, "max-height", entry_point->max_height);
    add_boolean(builder, "cbr", entry_point->cbr);
    add_boolean(builder, "vbr", entry_point->vbr);
    add_boolean(builder, "cqp", entry_point->cqp);
    json_builder_end_object(builder);
}

static void add_imports(JsonBuilder *builder, const ScVaDevice *device)
{
    g_autofree char *modifier =
        g_strdup_printf("0x%" G_GINT64_MODIFIER "x", device->native_modifier);

    json_builder_set_member_name(builder, "imports");
    json_builder_begin_object(builder);
    add_boolean(builder, "prime", device->imports_prime);
    add_boolean(builder, "prime-2", device->imports_prime_2);
    add_number(builder, "max-width", device->max_import_width);
    add_number(builder, "max-height", device->max_import_height);
    add_string(builder, "native-modifier",
               device->native_modifier != DRM_FORMAT_MOD_INVALID ? modifier : NULL);
    json_builder_set_member_name(builder, "formats");
    json_builder_begin_array(builder);
    for (guint i = 0; i < device->import_fourccs->len; i++) {
        g_autofree char *name = sc_format_name(g_array_index(device->import_fourccs, guint32, i));

        json_builder_add_string_value(builder, name);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
}

static void add_device(JsonBuilder *builder, const ScVaDevice *device)
{
    g_autoptr(GError) error = NULL;

    sc_va_device_can_encode(device, &error);
    json_builder_begin_object(builder);
    add_string(builder, "node", device->node);
    add_string(builder, "kernel-driver", device->kernel_driver);
    add_string(builder, "va-driver", device->va_driver);
    add_string(builder, "obstacle", error != NULL ? error->message : NULL);
    add_string(builder, "h264-profiles", device->profiles);
    add_entry_point(builder, "encode", &device->encode);
    add_entry_point(builder, "encode-low-power", &device->encode_low_power);
    add_boolean(builder, "postproc", device->has_postproc);
    add_imports(builder, device);
    json_builder_end_object(builder);
}

/* Of the rungs; strings are kept, for they do not stay. */
typedef struct {
    char *name, *node, *obstacle;
    gboolean copies;
} Rung;

static void rung_free(gpointer data)
{
    Rung *rung = data;

    g_free(rung->name);
    g_free(rung->node);
    g_free(rung->obstacle);
    g_free(rung);
}

static void on_rung(const ScEncoderRung *rung, gpointer data)
{
    Rung *copy = g_new0(Rung, 1);

    copy->name = g_strdup(rung->name);
    copy->node = g_strdup(rung->node);
    copy->obstacle = g_strdup(rung->obstacle);
    copy->copies = rung->copies;
    g_ptr_array_add(data, copy);
}

static const Rung *find_used(GPtrArray *rungs)
{
    for (guint i = 0; i < rungs->len; i++) {
        const Rung *rung = rungs->pdata[i];

        if (rung->obstacle == NULL) {
            return rung;
        }
    }
    return NULL;
}

static void add_rungs(JsonBuilder *builder, GPtrArray *rungs)
{
    const Rung *used = find_used(rungs);

    json_builder_set_member_name(builder, "rungs");
    json_builder_begin_array(builder);
    for (guint i = 0; i < rungs->len; i++) {
        const Rung *rung = rungs->pdata[i];

        json_builder_begin_object(builder);
        add_string(builder, "name", rung->name);
        add_string(builder, "node", rung->node);
        add_boolean(builder, "copies", rung->copies);
        add_boolean(builder, "used", rung == used);
        add_string(builder, "obstacle", rung->obstacle);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

static char *format_json(GPtrArray *devices, GPtrArray *rungs)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonGenerator) generator = json_generator_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "devices");
    json_builder_begin_array(builder);
    for (guint i = 0; i < devices->len; i++) {
        add_device(builder, devices->pdata[i]);
    }
    json_builder_end_array(builder);
    add_rungs(builder, rungs);
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    json_generator_set_pretty(generator, TRUE);
    json_generator_set_root(generator, root);
    text = json_generator_to_data(generator, NULL);
    return g_strconcat(text, "\n", NULL);
}

static void print_entry_point(GString *text, const char *name, const ScVaEntryPoint *entry_point)
{
    if (!entry_point->available) {
        return;
    }
    g_string_append_printf(text, "  %s: rate control%s%s%s", name, entry_point->cbr ? " cbr" : "",
                           entry_point->vbr ? " vbr" : "", entry_point->cqp ? " cqp" : "");
    if (entry_point->max_width > 0) {
        g_string_append_printf(text, ", up to %ux%u", entry_point->max_width,
                               entry_point->max_height);
    }
    g_string_append_c(text, '\n');
}

static void print_imports(GString *text, const ScVaDevice *device)
{
    g_string_append_printf(text, "  imports dmabufs:%s%s", device->imports_prime ? " PRIME" : "",
                           device->imports_prime_2 ? " PRIME_2" : "");
    for (guint i = 0; i < device->import_fourccs->len; i++) {
        g_autofree char *name = sc_format_name(g_array_index(device->import_fourccs, guint32, i));

        g_string_append_printf(text, "%s%s", i == 0 ? " of " : ", ", name);
    }
    if (device->native_modifier != DRM_FORMAT_MOD_INVALID) {
        g_string_append_printf(text, "; its own have modifier 0x%" G_GINT64_MODIFIER "x",
                               device->native_modifier);
    }
    g_string_append_c(text, '\n');
}

static void print_device(GString *text, const ScVaDevice *device)
{
    g_string_append_printf(text, "%s (%s)\n", device->node,
                           device->kernel_driver != NULL ? device->kernel_driver : "no driver");
    if (device->problem != NULL) {
        g_string_append_printf(text, "  cannot be used: %s\n", device->problem);
        return;
    }
    g_string_append_printf(text, "  VA-API driver: %s\n  H.264 profiles: %s\n", device->va_driver,
                           device->profiles[0] != '\0' ? device->profiles : "none");
    print_entry_point(text, "encoder", &device->encode);
    print_entry_point(text, "low-power encoder", &device->encode_low_power);
    g_string_append_printf(text, "  colour conversion: %s\n", device->has_postproc ? "yes" : "no");
    if (device->imports_prime || device->imports_prime_2) {
        print_imports(text, device);
    }
}

static char *format_text(GPtrArray *devices, GPtrArray *rungs)
{
    GString *text = g_string_new("VA-API devices, best first:\n");
    const Rung *used = find_used(rungs);

    for (guint i = 0; i < devices->len; i++) {
        print_device(text, devices->pdata[i]);
    }
    if (devices->len == 0) {
        g_string_append(text, "  none: no /dev/dri/renderD*\n");
    }
    g_string_append_printf(text, "\nWays to encode a %ux%u scanout in a linear dmabuf:\n",
                           TYPICAL_WIDTH, TYPICAL_HEIGHT);
    for (guint i = 0; i < rungs->len; i++) {
        const Rung *rung = rungs->pdata[i];

        g_string_append_printf(text, "%s %s%s%s (%s)", rung == used ? "*" : " ", rung->name,
                               rung->node != NULL ? " on " : "",
                               rung->node != NULL ? rung->node : "",
                               rung->copies ? "copies" : "no copy");
        g_string_append_printf(text, ": %s\n",
                               rung->obstacle != NULL ? rung->obstacle
                               : rung == used         ? "will be used"
                                                      : "would work, too");
    }
    if (used == NULL) {
        g_string_append(text, "Nothing can be encoded on this host.\n");
    }
    return g_string_free(text, FALSE);
}

char *sc_capabilities_format(const ScOptions *options, GError **error)
{
    ScEncoderConfig config = {
        .codec = SC_CODEC_H264,
        .kind = options->encoder_kind,
        .description = options->encoder_description,
        .render_node = options->render_node,
        .bitrate_kbit = options->bitrate_kbit,
        .max_fps = options->max_fps,
    };
    g_autoptr(GPtrArray) devices = sc_va_probe(options->render_node);
    g_autoptr(GPtrArray) rungs = g_ptr_array_new_with_free_func(rung_free);

    if (!sc_encoder_list_rungs(&config, TYPICAL_WIDTH, TYPICAL_HEIGHT, TYPICAL_FOURCC, on_rung,
                               rungs, error)) {
        return NULL;
    }
    return options->json ? format_json(devices, rungs) : format_text(devices, rungs);
}
