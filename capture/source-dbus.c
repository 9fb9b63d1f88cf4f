/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client of QEMU's D-Bus display. This file keeps it together: the link to the VMM, over which
 * consoles are found and input is sent, and the listener, a connection of its own that brings the
 * pictures. The listener outlives the link: QEMU does not notice when its bus goes, and pictures
 * go on until a new listener takes over.
 */
#include "capture/dbus-console.h"
#include "capture/dbus-input.h"
#include "capture/dbus-link.h"
#include "capture/dbus-listener.h"
#include "capture/error.h"
#include "capture/source-impl.h"
#include "capture/timer.h"

/* Between two listeners, when the first one has to go: time for QEMU to notice its end. */
#define LISTEN_AGAIN_US (50 * 1000)

typedef struct {
    ScSource base;
    ScDbusAddress *address;
    ScDbusLink *link;
    ScDbusCursor *cursor;
    ScDbusHeld held;
    GHashTable *told; /* reasons the listener knows: each is told once until pictures come */
    guint wanted_width, wanted_height; /* 0: nobody has a wish */

    GDBusConnection *connection; /* NULL: the link is down, and all up to the empty line are */
    char *name;                  /* of the VMM on the bus, or NULL */
    ScDbusConsole *console;
    ScDbusInput *input;
    ScDbusListener *coming; /* NULL also once it is up */
    ScTimer *listen_again;
    gboolean was_flooded, was_lost; /* why there is another listener: that is no news */

    ScDbusListener *listener; /* NULL: no pictures come */
} DbusSource;

/* ---- the end of things ------------------------------------------------------------------ */

static void tell_connecting(DbusSource *self, const char *reason)
{
    g_autofree char *text =
        self->listener != NULL
            ? g_strdup_printf("%s; pictures still come, but keys and pointer are lost", reason)
            : g_strdup(reason);

    if (g_hash_table_add(self->told, g_strdup(text))) {
        sc_source_emit_state(&self->base, SC_SOURCE_CONNECTING, text);
    }
}

static void drop_link(DbusSource *self)
{
    sc_timer_cancel(self->listen_again);
    g_clear_object(&self->connection);
    g_clear_pointer(&self->name, g_free);
    g_clear_pointer(&self->console, sc_dbus_console_free);
    self->was_flooded = FALSE;
    self->was_lost = FALSE;
    g_clear_pointer(&self->coming, sc_dbus_listener_free);
    g_clear_pointer(&self->input, sc_dbus_input_free);
}

/* The VMM is there but of no use. */
static void give_up_link(DbusSource *self, const char *reason)
{
    g_autofree char *text = g_strdup_printf("%s: %s", self->address->text, reason);

    drop_link(self);
    sc_dbus_link_retry(self->link);
    tell_connecting(self, text);
}

/* ---- the listener ----------------------------------------------------------------------- */

static void on_listener_up(ScDbusListener *listener, gpointer data)
{
    DbusSource *self = data;

    sc_dbus_listener_free(self->listener);
    self->listener = listener;
    self->coming = NULL;
    if (self->was_flooded || self->was_lost) {
        return;
    }
    g_hash_table_remove_all(self->told);
    sc_source_emit_state(&self->base, SC_SOURCE_CONNECTED, NULL);
}

static void on_listener_ended(ScDbusListener *listener, const char *reason, gpointer data)
{
    DbusSource *self = data;
    gboolean was_coming = listener == self->coming;

    if (was_coming) {
        self->coming = NULL;
    } else {
        self->listener = NULL;
    }
    sc_dbus_listener_free(listener);
    /* If the VMM went its link tells so, too; the other listener makes up for an old one. */
    if (was_coming || (self->connection != NULL && self->coming == NULL)) {
        give_up_link(self, reason);
    }
}

/* There will be some frames' pause, but the queue is gone, and the next picture is the newest. */
static void on_listener_flooded(ScDbusListener *listener, gpointer data)
{
    DbusSource *self = data;

    if (self->coming != NULL) {
        return; /* it takes over in a moment */
    }
    if (self->connection == NULL) {
        /* No other one can be had, and a queue without a limit is worse than no pictures. */
        g_clear_pointer(&self->listener, sc_dbus_listener_free);
        tell_connecting(self, "the guest draws faster than QEMU can send: pictures stop, too");
        return;
    }
    if (!self->was_flooded) {
        g_message("%s: the guest draws faster than QEMU can send; pictures are left out (GL, or "
                  "QEMU 8.1 and newer, do that better)",
                  self->address->text);
    }
    self->was_flooded = TRUE;
    g_clear_pointer(&self->listener, sc_dbus_listener_free);
    sc_timer_set_after(self->listen_again, LISTEN_AGAIN_US);
}

static void on_listener_lost(ScDbusListener *listener, gpointer data)
{
    DbusSource *self = data;

    if (listener != self->listener || self->coming != NULL || self->connection == NULL) {
        return; /* another one is coming, or none can */
    }
    if (!self->was_lost) {
        g_message("%s: QEMU has lost a flip of the guest (QEMU 9.2 and newer do that with GL); "
                  "pictures are left out",
                  self->address->text);
    }
    self->was_lost = TRUE;
    g_clear_pointer(&self->listener, sc_dbus_listener_free);
    sc_timer_set_after(self->listen_again, LISTEN_AGAIN_US);
}

static const ScDbusListenerFuncs listener_funcs = {
    .up = on_listener_up,
    .flooded = on_listener_flooded,
    .lost = on_listener_lost,
    .ended = on_listener_ended,
};

static void listen(gpointer data)
{
    DbusSource *self = data;

    self->coming = sc_dbus_listener_new(&self->base, self->cursor, self->connection, self->name,
                                        self->console, &listener_funcs, self);
}

/* ---- the link --------------------------------------------------------------------------- */

static void on_up(GDBusConnection *connection, const char *name, GPtrArray *consoles, gpointer data)
{
    DbusSource *self = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(ScDbusConsole) console =
        sc_dbus_consoles_take(consoles, self->address->console, &error);

    drop_link(self);
    if (console == NULL) {
        give_up_link(self, error->message);
        return;
    }
    if (name == NULL) {
        /* QEMU 7 knows no two listeners of a direct connection apart: when the older one goes it
         * drops the newer one. */
        g_clear_pointer(&self->listener, sc_dbus_listener_free);
    }
    self->connection = g_object_ref(connection);
    self->name = g_strdup(name);
    self->console = g_steal_pointer(&console);
    self->input = sc_dbus_input_new(&self->base, connection, name, self->console, &self->held);
    if (self->wanted_width > 0) {
        sc_dbus_input_send_size(self->input, self->wanted_width, self->wanted_height);
    }
    listen(self);
}

static void on_down(const char *reason, gpointer data)
{
    DbusSource *self = data;

    drop_link(self);
    tell_connecting(self, reason);
}

/* ---- the source ------------------------------------------------------------------------- */

static ScSource *dbus_new(const char *address, GError **error)
{
    ScDbusAddress *parsed = sc_dbus_address_parse(address, error);
    DbusSource *self;

    if (parsed == NULL) {
        return NULL;
    }
    self = g_new0(DbusSource, 1);
    self->address = parsed;
    self->cursor = sc_dbus_cursor_new(&self->base);
    self->told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    self->listen_again = sc_timer_new(listen, self);
    return &self->base;
}

static gboolean dbus_start(ScSource *source, GError **error)
{
    static const ScDbusLinkListener listener = { .up = on_up, .down = on_down };
    DbusSource *self = (DbusSource *)source;

    self->link = sc_dbus_link_new(self->address, &listener, self);
    return TRUE;
}

static void dbus_free(ScSource *source)
{
    DbusSource *self = (DbusSource *)source;

    drop_link(self);
    sc_dbus_link_free(self->link);
    sc_dbus_listener_free(self->listener);
    sc_dbus_cursor_free(self->cursor);
    sc_timer_free(self->listen_again);
    g_hash_table_unref(self->told);
    sc_dbus_address_free(self->address);
    g_free(self);
}

static void dbus_send_key(ScSource *source, guint scancode, gboolean pressed)
{
    DbusSource *self = (DbusSource *)source;

    if (self->input != NULL) {
        sc_dbus_input_send_key(self->input, scancode, pressed);
    }
}

static void dbus_send_motion(ScSource *source, int dx, int dy)
{
    DbusSource *self = (DbusSource *)source;

    if (self->input != NULL) {
        sc_dbus_input_send_motion(self->input, dx, dy);
    }
}

static void dbus_send_position(ScSource *source, guint x, guint y)
{
    DbusSource *self = (DbusSource *)source;

    if (self->input != NULL) {
        sc_dbus_input_send_position(self->input, x, y);
    }
}

static void dbus_send_button(ScSource *source, ScButton button, gboolean pressed)
{
    DbusSource *self = (DbusSource *)source;

    if (self->input != NULL) {
        sc_dbus_input_send_button(self->input, button, pressed);
    }
}

static void dbus_send_wheel(ScSource *source, int steps)
{
    DbusSource *self = (DbusSource *)source;

    if (self->input != NULL) {
        sc_dbus_input_send_wheel(self->input, steps);
    }
}

static void dbus_send_leds(ScSource *source, ScLeds leds)
{
    DbusSource *self = (DbusSource *)source;

    if (self->input != NULL) {
        sc_dbus_input_send_leds(self->input, leds);
    }
}

static void dbus_send_touch(ScSource *source, ScTouch touch, guint slot, double x, double y)
{
    DbusSource *self = (DbusSource *)source;

    if (self->input != NULL) {
        sc_dbus_input_send_touch(self->input, touch, slot, x, y);
    }
}

/* A VMM that comes later is told, too: viewers say it once. */
static void dbus_send_size(ScSource *source, guint width, guint height)
{
    DbusSource *self = (DbusSource *)source;

    self->wanted_width = width;
    self->wanted_height = height;
    if (self->input != NULL) {
        sc_dbus_input_send_size(self->input, width, height);
    }
}

/* ---- the list --------------------------------------------------------------------------- */

typedef struct {
    const ScDbusAddress *address;
    GMainLoop *loop;
    GString *text;
    char *reason; /* why there is none */
} List;

static void on_list_up(GDBusConnection *connection, const char *name, GPtrArray *consoles,
                       gpointer data)
{
    List *list = data;

    for (guint i = 0; i < consoles->len; i++) {
        const ScDbusConsole *console = consoles->pdata[i];

        g_string_append_printf(list->text, "dbus:%s#%u  %ux%u  %s  %s%s%s\n", list->address->text,
                               console->id, console->width, console->height, console->type,
                               console->label, console->device[0] != '\0' ? "  " : "",
                               console->device);
    }
    g_clear_pointer(&list->reason, g_free);
    g_main_loop_quit(list->loop);
}

static void on_list_down(const char *reason, gpointer data)
{
    List *list = data;

    g_free(list->reason);
    list->reason = g_strdup(reason);
    g_main_loop_quit(list->loop);
}

static char *dbus_list(const char *text, GError **error)
{
    static const ScDbusLinkListener listener = { .up = on_list_up, .down = on_list_down };
    g_autoptr(ScDbusAddress) address = sc_dbus_address_parse(text, error);
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    List list = { .address = address, .loop = loop };
    ScDbusLink *link;

    if (address == NULL) {
        return NULL;
    }
    list.text = g_string_new(NULL);
    link = sc_dbus_link_new(address, &listener, &list);
    g_main_loop_run(loop); /* the link gives up by itself */
    sc_dbus_link_free(link);
    if (list.reason != NULL) {
        g_set_error_literal(error, SC_ERROR, SC_ERROR_FAILED, list.reason);
        g_free(list.reason);
        g_string_free(list.text, TRUE);
        return NULL;
    }
    return g_string_free(list.text, FALSE);
}

const ScSourceImpl sc_source_dbus = {
    .scheme = "dbus",
    .help = "dbus:ADDRESS[,name=NAME][#N], dbus:p2p:QMP-SOCKET[#N]\n"
            "                         QEMU with -display dbus,addr=ADDRESS or dbus,p2p=yes",
    .new = dbus_new,
    .start = dbus_start,
    .free = dbus_free,
    .send_key = dbus_send_key,
    .send_motion = dbus_send_motion,
    .send_position = dbus_send_position,
    .send_button = dbus_send_button,
    .send_wheel = dbus_send_wheel,
    .send_leds = dbus_send_leds,
    .send_size = dbus_send_size,
    .send_touch = dbus_send_touch,
    .list = dbus_list,
};
