/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/source.h"

#include "capture/error.h"
#include "capture/source-impl.h"

#include <string.h>

static const ScSourceImpl *const impls[] = {
    &sc_source_spice,
    &sc_source_dbus,
    &sc_source_vhost_user,
    &sc_source_pattern,
};

/* What @location begins with; @address is what follows. */
static const ScSourceImpl *find_impl(const char *location, const char **address, GError **error)
{
    gsize length = strcspn(location, ":");

    *address = location[length] == ':' ? location + length + 1 : NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(impls); i++) {
        if (strlen(impls[i]->scheme) == length &&
            strncmp(impls[i]->scheme, location, length) == 0) {
            return impls[i];
        }
    }
    g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                "source '%s' is of no known kind (--help lists them)", location);
    return NULL;
}

ScSource *sc_source_new(const char *location, const ScSourceListener *listener, gpointer data,
                        GError **error)
{
    const char *address;
    const ScSourceImpl *impl = find_impl(location, &address, error);
    ScSource *source;

    if (impl == NULL) {
        return NULL;
    }
    g_assert(impl->new != NULL);

    source = impl->new (address, error);
    if (source == NULL) {
        g_prefix_error(error, "source '%s': ", location);
        return NULL;
    }
    sc_source_init(source, impl, listener, data);
    return source;
}

void sc_source_init(ScSource *source, const ScSourceImpl *impl, const ScSourceListener *listener,
                    gpointer data)
{
    g_assert(impl->start != NULL && impl->free != NULL);
    source->impl = impl;
    source->listener = *listener;
    source->listener_data = data;
}

gboolean sc_source_set_input(ScSource *source, const char *path, GError **error)
{
    if (source->impl->set_input == NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "'%s' is of no use: source %s needs no input device beside it", path,
                    source->impl->scheme);
        return FALSE;
    }
    return source->impl->set_input(source, path, error);
}

gboolean sc_source_start(ScSource *source, GError **error)
{
    return source->impl->start(source, error);
}

void sc_source_free(ScSource *source)
{
    if (source == NULL) {
        return;
    }
    memset(&source->listener, 0, sizeof(source->listener));
    source->impl->free(source);
}

void sc_source_set_watched(ScSource *source, gboolean watched)
{
    if (source->impl->set_watched != NULL) {
        source->impl->set_watched(source, watched);
    }
}

void sc_source_send_key(ScSource *source, guint scancode, gboolean pressed)
{
    if (source->impl->send_key != NULL) {
        source->impl->send_key(source, scancode, pressed);
    }
}

void sc_source_send_motion(ScSource *source, int dx, int dy)
{
    if (source->impl->send_motion != NULL) {
        source->impl->send_motion(source, dx, dy);
    }
}

void sc_source_send_position(ScSource *source, guint x, guint y)
{
    if (source->impl->send_position != NULL) {
        source->impl->send_position(source, x, y);
    }
}

void sc_source_send_button(ScSource *source, ScButton button, gboolean pressed)
{
    if (source->impl->send_button != NULL) {
        source->impl->send_button(source, button, pressed);
    }
}

void sc_source_send_wheel(ScSource *source, int steps)
{
    if (source->impl->send_wheel != NULL) {
        source->impl->send_wheel(source, steps);
    }
}

void sc_source_send_leds(ScSource *source, ScLeds leds)
{
    if (source->impl->send_leds != NULL) {
        source->impl->send_leds(source, leds);
    }
}

void sc_source_send_size(ScSource *source, guint width, guint height)
{
    if (source->impl->send_size != NULL) {
        source->impl->send_size(source, width, height);
    }
}

void sc_source_send_touch(ScSource *source, ScTouch touch, guint slot, double x, double y)
{
    if (source->impl->send_touch != NULL) {
        source->impl->send_touch(source, touch, slot, x, y);
    }
}

char *sc_source_list(const char *location, GError **error)
{
    const char *address;
    const ScSourceImpl *impl = find_impl(location, &address, error);
    char *list = NULL;

    if (impl != NULL && impl->list == NULL) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED,
                    "source '%s': there is nothing to list, it has one display", location);
    } else if (impl != NULL) {
        list = impl->list(address, error);
    }
    return list;
}

const char *sc_source_get_help(guint index)
{
    return index < G_N_ELEMENTS(impls) ? impls[index]->help : NULL;
}

void sc_source_emit_state(ScSource *source, ScSourceState state, const char *reason)
{
    if (source->listener.state != NULL) {
        source->listener.state(state, reason, source->listener_data);
    }
}

void sc_source_emit_scanout(ScSource *source, ScScanout *scanout)
{
    if (source->listener.scanout != NULL) {
        source->listener.scanout(scanout, source->listener_data);
    }
}

void sc_source_emit_frame(ScSource *source, ScFrame *frame)
{
    if (source->listener.frame != NULL) {
        source->listener.frame(frame, source->listener_data);
    }
}

void sc_source_emit_cursor_shape(ScSource *source, ScCursor *cursor)
{
    if (source->listener.cursor_shape != NULL) {
        source->listener.cursor_shape(cursor, source->listener_data);
    }
}

void sc_source_emit_cursor_position(ScSource *source, int x, int y)
{
    if (source->listener.cursor_position != NULL) {
        source->listener.cursor_position(x, y, source->listener_data);
    }
}

void sc_source_emit_pointer_mode(ScSource *source, ScPointerMode mode)
{
    if (source->listener.pointer_mode != NULL) {
        source->listener.pointer_mode(mode, source->listener_data);
    }
}

void sc_source_emit_leds(ScSource *source, ScLeds leds)
{
    if (source->listener.leds != NULL) {
        source->listener.leds(leds, source->listener_data);
    }
}
