/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "encoder/va-elements.h"

#include "capture/error.h"

#include <string.h>

static GstElement *make(const char *factory)
{
    GstElement *element = gst_element_factory_make(factory, NULL);

    return element != NULL ? gst_object_ref_sink(element) : NULL;
}

/* GStreamer before 1.24 tells the path only while the device is open. */
static char *read_path(const char *factory)
{
    g_autoptr(GstElement) element = make(factory);
    char *path = NULL;

    if (element == NULL ||
        g_object_class_find_property(G_OBJECT_GET_CLASS(element), "device-path") == NULL) {
        return NULL;
    }
    g_object_get(element, "device-path", &path, NULL);
    if (path == NULL) {
        gst_element_set_state(element, GST_STATE_READY);
        g_object_get(element, "device-path", &path, NULL);
        gst_element_set_state(element, GST_STATE_NULL);
    }
    return path;
}

/* Opening devices takes its time, and the answer does not change. */
static gboolean is_on_node(const char *factory, const char *node)
{
    static GMutex mutex;
    static GHashTable *paths; /* factory → path */
    char *path;

    g_mutex_lock(&mutex);
    if (paths == NULL) {
        paths = g_hash_table_new(g_str_hash, g_str_equal);
    }
    path = g_hash_table_lookup(paths, factory);
    if (path == NULL) {
        path = read_path(factory);
        if (path != NULL) {
            g_hash_table_insert(paths, g_strdup(factory), path);
        }
    }
    g_mutex_unlock(&mutex);
    return g_strcmp0(path, node) == 0;
}

/* The factory of the va plugin whose name ends like this; the caller frees it. */
static char *find(const char *suffix, const char *node)
{
    GList *features = gst_registry_get_feature_list_by_plugin(gst_registry_get(), "va");
    char *found = NULL;

    for (GList *item = features; item != NULL && found == NULL; item = item->next) {
        const char *name = gst_plugin_feature_get_name(item->data);

        if (g_str_has_suffix(name, suffix) && is_on_node(name, node)) {
            found = g_strdup(name);
        }
    }
    gst_plugin_feature_list_free(features);
    return found;
}

gboolean sc_va_elements_find(ScVaElements *elements, const ScVaDevice *device, GError **error)
{
    *elements = (ScVaElements){ 0 };
    elements->postproc = find("postproc", device->node);
    if (device->encode_low_power.available) {
        elements->encoder = find("h264lpenc", device->node);
    }
    if (elements->encoder == NULL && device->encode.available) {
        elements->encoder = find("h264enc", device->node);
    }
    if (elements->postproc != NULL && elements->encoder != NULL) {
        return TRUE;
    }
    g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                "%s: GStreamer's plugin va has no %s for it: install gstreamer1.0-plugins-bad, and "
                "see what \"GST_VA_ALL_DRIVERS=1 gst-inspect-1.0 va\" says",
                device->node, elements->postproc == NULL ? "vapostproc" : "vah264enc");
    sc_va_elements_clear(elements);
    return FALSE;
}

void sc_va_elements_clear(ScVaElements *elements)
{
    g_clear_pointer(&elements->postproc, g_free);
    g_clear_pointer(&elements->encoder, g_free);
}

gboolean sc_va_elements_have(const char *factory, const char *property, const char *value)
{
    g_autoptr(GstElement) element = make(factory);
    GParamSpec *spec = element != NULL
                           ? g_object_class_find_property(G_OBJECT_GET_CLASS(element), property)
                           : NULL;

    if (spec == NULL || value == NULL) {
        return spec != NULL;
    }
    return G_IS_PARAM_SPEC_ENUM(spec) &&
           g_enum_get_value_by_nick(G_PARAM_SPEC_ENUM(spec)->enum_class, value) != NULL;
}

gboolean sc_va_elements_take(const char *factory, const GstCaps *caps)
{
    g_autoptr(GstElement) element = make(factory);
    g_autoptr(GstPad) pad = element != NULL ? gst_element_get_static_pad(element, "sink") : NULL;
    g_autoptr(GstCaps) all = pad != NULL ? gst_pad_get_pad_template_caps(pad) : NULL;

    for (guint i = 0; all != NULL && i < gst_caps_get_size(all); i++) {
        g_autoptr(GstCaps) one = NULL;

        if (gst_caps_features_is_any(gst_caps_get_features(all, i))) {
            continue; /* the CPU's business */
        }
        one = gst_caps_copy_nth(all, i);
        if (gst_caps_can_intersect(one, caps)) {
            return TRUE;
        }
    }
    return FALSE;
}
