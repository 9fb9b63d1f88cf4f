/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a source must bring. For capture/source-*.c only.
 *
 * To add one: write capture/source-NAME.c with a ScSourceImpl, and add it to the table in
 * capture/source.c.
 */
#pragma once

#include "capture/source.h"

G_BEGIN_DECLS

typedef struct {
    const char *scheme; /* what precedes the colon of a location (or all of it) */
    const char *help;   /* see sc_source_get_help() */

    /* Mandatory. @address is what follows the colon, NULL if there is none. The implementation
     * embeds ScSource as its first member; sc_source_new() fills that in afterwards. */
    ScSource *(*new)(const char *address, GError **error);
    gboolean (*start)(ScSource *source, GError **error);
    void (*free)(ScSource *source);

    /* Optional. */
    gboolean (*set_input)(ScSource *source, const char *path, GError **error);
    void (*set_watched)(ScSource *source, gboolean watched);
    void (*send_key)(ScSource *source, guint scancode, gboolean pressed);
    void (*send_motion)(ScSource *source, int dx, int dy);
    void (*send_position)(ScSource *source, guint x, guint y);
    void (*send_button)(ScSource *source, ScButton button, gboolean pressed);
    void (*send_wheel)(ScSource *source, int steps);
    void (*send_leds)(ScSource *source, ScLeds leds);
    void (*send_size)(ScSource *source, guint width, guint height);
    void (*send_touch)(ScSource *source, ScTouch touch, guint slot, double x, double y);
    char *(*list)(const char *address, GError **error);
} ScSourceImpl;

struct ScSource {
    const ScSourceImpl *impl;
    ScSourceListener listener;
    gpointer listener_data;
};

/* What sc_source_new() does with a source that @impl has made; for those that no location names. */
void sc_source_init(ScSource *source, const ScSourceImpl *impl, const ScSourceListener *listener,
                    gpointer data);

/* Tell the listener; each does nothing where the listener has no such member. */
void sc_source_emit_state(ScSource *source, ScSourceState state, const char *reason);
void sc_source_emit_scanout(ScSource *source, ScScanout *scanout);
void sc_source_emit_frame(ScSource *source, ScFrame *frame);
void sc_source_emit_cursor_shape(ScSource *source, ScCursor *cursor);
void sc_source_emit_cursor_position(ScSource *source, int x, int y);
void sc_source_emit_pointer_mode(ScSource *source, ScPointerMode mode);
void sc_source_emit_leds(ScSource *source, ScLeds leds);

extern const ScSourceImpl sc_source_dbus;
extern const ScSourceImpl sc_source_pattern;
extern const ScSourceImpl sc_source_spice;
extern const ScSourceImpl sc_source_vhost_user;

G_END_DECLS
