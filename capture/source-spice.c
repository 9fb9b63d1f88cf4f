/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A local SPICE client of a VMM (QEMU's -spice unix=on): its display becomes scanouts and frames,
 * and input goes the other way. This file keeps the link: it connects, notices the end, and tries
 * again with increasing delay. What flows over the link is in capture/spice-*.c.
 *
 * spice-gtk runs its channels as coroutines in the owner's main context (see spice-context.h) and
 * emits its signals from idle sources there; nothing here runs on another thread.
 */
#include "capture/error.h"
#include "capture/loop.h"
#include "capture/source-impl.h"
#include "capture/spice-context.h"
#include "capture/spice-cursor.h"
#include "capture/spice-display.h"
#include "capture/spice-hangup.h"
#include "capture/spice-input.h"
#include "capture/timer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A restarted QEMU is picked up quickly; one that is gone costs next to nothing. */
#define RETRY_MIN_US (100 * 1000)
#define RETRY_MAX_US (5 * G_USEC_PER_SEC)

/* Where another client has taken the link, it is left in peace at first: libspice-server 0.15
 * crashes, and QEMU with it, when clients oust one another in the middle of their handshakes. */
#define OUSTED_MIN_US (1 * G_USEC_PER_SEC)

typedef struct {
    ScSource base;
    char *path;

    ScTimer *retry;
    gint64 delay;     /* before the next try */
    gint64 linked_at; /* when the link came up; 0 while it is down */
    pid_t peer;       /* the process behind the link, or the last one; 0 if unknown */
    gboolean waited;  /* after that process had ended the link */
    GHashTable *told; /* reasons the listener knows: each is told once until the link stands */

    /* The link: NULL while there is none. */
    SpiceSession *session;
    GPtrArray *channels; /* those we listen to */
    ScSpiceDisplay *display;
    ScSpiceHangup *hangup;
    ScSpiceCursor *cursor;
    ScSpiceInput *input;
} SpiceSource;

static void on_channel_event(SpiceChannel *channel, SpiceChannelEvent event, gpointer data);
static void on_channel_new(SpiceSession *session, SpiceChannel *channel, gpointer data);

/* Takes @reason. */
static void tell_connecting(SpiceSource *self, char *reason)
{
    if (g_hash_table_add(self->told, reason)) {
        sc_source_emit_state(&self->base, SC_SOURCE_CONNECTING, reason);
    }
}

/* ---- the link, down --------------------------------------------------------------------- */

static void unwatch_channel(gpointer data)
{
    SpiceChannel *channel = data;

    g_signal_handlers_disconnect_matched(channel, G_SIGNAL_MATCH_FUNC, 0, 0, NULL, on_channel_event,
                                         NULL);
    g_object_unref(channel);
}

static void end_channels(SpiceSession *session)
{
    g_autoptr(GList) channels = spice_session_get_channels(session);

    for (GList *link = channels; link != NULL; link = link->next) {
        spice_channel_disconnect(link->data, SPICE_CHANNEL_NONE);
    }
}

static gboolean bury_session(gpointer data)
{
    end_channels(data); /* again: this is lost on one that had yet to start */
    spice_session_disconnect(data);
    return G_SOURCE_REMOVE;
}

/*
 * spice-gtk stumbles over a session that goes while one of its channels has yet to start (its
 * socket leaks) or is in the middle of a signal (it goes on without the session). Both are pending
 * as idle sources, so the session is let go when none is left: after the channels were told to end,
 * lest one that never stops talking keeps it alive.
 */
static void drop_link(SpiceSource *self)
{
    if (self->session == NULL) {
        return;
    }
    g_signal_handlers_disconnect_by_data(self->session, self);
    g_clear_pointer(&self->display, sc_spice_display_free);
    g_clear_pointer(&self->cursor, sc_spice_cursor_free);
    g_clear_pointer(&self->input, sc_spice_input_free);
    g_ptr_array_set_size(self->channels, 0);
    end_channels(self->session);
    g_clear_pointer(&self->hangup, sc_spice_hangup_free);
    sc_loop_add_idle(G_PRIORITY_LOW, bury_session, g_steal_pointer(&self->session), g_object_unref);
}

/* Takes @reason. */
static void lose_link(SpiceSource *self, char *reason)
{
    gboolean lasted =
        self->linked_at != 0 && g_get_monotonic_time() - self->linked_at >= RETRY_MAX_US;

    if (self->display != NULL) {
        sc_spice_display_set_gone(self->display);
    }
    drop_link(self);
    if (lasted) {
        self->delay = RETRY_MIN_US;
    }
    self->linked_at = 0;
    sc_timer_set_after(self->retry, self->delay);
    self->delay = MIN(self->delay * 2, RETRY_MAX_US);
    tell_connecting(self, reason);
}

static char *closed_reason(SpiceSource *self)
{
    return g_strdup_printf(
        "%s: the link was closed: QEMU quit, or another SPICE client has taken it", self->path);
}

static void give_up(SpiceSource *self, const char *reason)
{
    if (self->display != NULL) {
        sc_spice_display_set_gone(self->display);
    }
    drop_link(self);
    self->linked_at = 0;
    sc_source_emit_state(&self->base, SC_SOURCE_DISCONNECTED, reason);
}

/* ---- the link, up ----------------------------------------------------------------------- */

/* A connected socket, or -1 and errno. We connect ourselves, as spice-gtk's way of doing it can
 * neither be cancelled nor says plainly what went wrong. */
static int connect_socket(SpiceSource *self)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }
    g_strlcpy(address.sun_path, self->path, sizeof(address.sun_path));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static pid_t peer_of(int fd)
{
    struct ucred credentials = { 0 };
    socklen_t size = sizeof(credentials);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 ? credentials.pid : 0;
}

/* Whether to link now with the process behind @fd. If it is the one we had a link with, it was not
 * its end that ended the link, so we wait longer, and twice as long each time: two clients must not
 * snatch the link from each other all the time. */
static gboolean judge_peer(SpiceSource *self, int fd)
{
    pid_t peer = peer_of(fd);

    if (peer != self->peer || peer == 0) {
        self->peer = peer;
        self->delay = RETRY_MIN_US;
        return TRUE;
    }
    if (self->waited) {
        self->waited = FALSE;
        return TRUE;
    }
    self->waited = TRUE;
    self->delay = MAX(self->delay, OUSTED_MIN_US);
    sc_timer_set_after(self->retry, self->delay);
    tell_connecting(self, g_strdup_printf("%s: process %d is still running and ended the link, as "
                                          "QEMU does when another SPICE client connects; taking it "
                                          "back in a while (only one can have it)",
                                          self->path, (int)peer));
    return FALSE;
}

static void try_to_connect(gpointer data)
{
    SpiceSource *self = data;
    int fd = connect_socket(self);

    if (fd < 0) {
        lose_link(self, g_strdup_printf("%s: %s (waiting for QEMU with -spice unix=on,addr=%s)",
                                        self->path, g_strerror(errno), self->path));
        return;
    }
    if (!judge_peer(self, fd)) {
        close(fd);
        return;
    }
    /* Not spice_session_new(): that one starts to look for USB devices. */
    self->session = g_object_new(SPICE_TYPE_SESSION, "enable-audio", FALSE, "enable-usbredir",
                                 FALSE, "enable-smartcard", FALSE, "gl-scanout", TRUE,
                                 "preferred-compression", SPICE_IMAGE_COMPRESSION_OFF, NULL);
    self->input = sc_spice_input_new(&self->base, self->session);
    g_signal_connect(self->session, "channel-new", G_CALLBACK(on_channel_new), self);
    if (!spice_session_open_fd(self->session, fd)) {
        close(fd);
        lose_link(self,
                  g_strdup_printf("%s: the SPICE client library refuses to use it", self->path));
    }
}

static void watch_channel(SpiceSource *self, SpiceChannel *channel)
{
    g_ptr_array_add(self->channels, g_object_ref(channel));
    g_signal_connect(channel, "channel-event", G_CALLBACK(on_channel_event), self);
}

static void on_hangup(gpointer data)
{
    SpiceSource *self = data;

    lose_link(self, closed_reason(self));
}

static void open_channel(SpiceSource *self, SpiceChannel *channel)
{
    int fd = connect_socket(self);

    if (fd < 0) {
        lose_link(self, g_strdup_printf("%s: %s", self->path, g_strerror(errno)));
        return;
    }
    if (SPICE_IS_DISPLAY_CHANNEL(channel)) {
        self->hangup = sc_spice_hangup_new(channel, fd, on_hangup, self);
    }
    if (!spice_channel_open_fd(channel, fd)) {
        close(fd);
    }
}

static void on_channel_new(SpiceSession *session, SpiceChannel *channel, gpointer data)
{
    SpiceSource *self = data;
    int type, id;

    g_object_get(channel, "channel-type", &type, "channel-id", &id, NULL);
    if (id != 0) {
        return;
    }
    /* The list comes from the VMM: a second channel of a kind is left alone. */
    switch (type) {
    case SPICE_CHANNEL_MAIN:
        if (sc_spice_input_set_main(self->input, channel)) {
            watch_channel(self, channel); /* the session opens it */
        }
        break;
    case SPICE_CHANNEL_DISPLAY:
        if (self->display == NULL) {
            watch_channel(self, channel);
            self->display = sc_spice_display_new(&self->base, channel);
            open_channel(self, channel);
        }
        break;
    case SPICE_CHANNEL_CURSOR:
        if (self->cursor == NULL) {
            watch_channel(self, channel);
            self->cursor = sc_spice_cursor_new(&self->base, channel);
            open_channel(self, channel);
        }
        break;
    case SPICE_CHANNEL_INPUTS:
        if (sc_spice_input_set_inputs(self->input, channel)) {
            watch_channel(self, channel);
            open_channel(self, channel);
        }
        break;
    }
}

static void on_channel_event(SpiceChannel *channel, SpiceChannelEvent event, gpointer data)
{
    SpiceSource *self = data;

    switch (event) {
    case SPICE_CHANNEL_OPENED:
        if (SPICE_IS_MAIN_CHANNEL(channel)) {
            self->linked_at = g_get_monotonic_time();
            g_hash_table_remove_all(self->told);
            sc_source_emit_state(&self->base, SC_SOURCE_CONNECTED, NULL);
        }
        break;
    case SPICE_CHANNEL_SWITCHING: /* the guest moves to another host; the end comes later */
        break;
    case SPICE_CHANNEL_ERROR_AUTH: {
        g_autofree char *reason =
            g_strdup_printf("%s: QEMU asks for a password; add disable-ticketing=on to its -spice "
                            "option, the socket's permissions protect it",
                            self->path);

        give_up(self, reason);
        break;
    }
    case SPICE_CHANNEL_ERROR_LINK:
        lose_link(self, g_strdup_printf("%s: whoever listens there does not speak SPICE as a "
                                        "server should, or quit while it was asked",
                                        self->path));
        break;
    default:
        lose_link(self, closed_reason(self));
        break;
    }
}

/* ---- the source ------------------------------------------------------------------------- */

static ScSource *spice_new(const char *address, GError **error)
{
    SpiceSource *self;

    if (address == NULL || *address == '\0') {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "a path is missing; give the one of QEMU's -spice unix=on,addr=PATH");
        return NULL;
    }
    if (strlen(address) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                    "the path of a socket can have %zu bytes at most; choose a shorter one",
                    sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
        return NULL;
    }
    if (!sc_spice_context_prepare(error)) {
        return NULL;
    }
    self = g_new0(SpiceSource, 1);
    self->path = g_strdup(address);
    self->delay = RETRY_MIN_US;
    self->retry = sc_timer_new(try_to_connect, self);
    self->told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    self->channels = g_ptr_array_new_with_free_func(unwatch_channel);
    return &self->base;
}

static gboolean spice_start(ScSource *source, GError **error)
{
    SpiceSource *self = (SpiceSource *)source;

    sc_timer_set_after(self->retry, 0);
    return TRUE;
}

static void spice_free(ScSource *source)
{
    SpiceSource *self = (SpiceSource *)source;

    drop_link(self);
    sc_timer_free(self->retry);
    g_hash_table_unref(self->told);
    g_ptr_array_unref(self->channels);
    g_free(self->path);
    g_free(self);
}

static void spice_send_key(ScSource *source, guint scancode, gboolean pressed)
{
    SpiceSource *self = (SpiceSource *)source;

    if (self->input != NULL) {
        sc_spice_input_send_key(self->input, scancode, pressed);
    }
}

static void spice_send_motion(ScSource *source, int dx, int dy)
{
    SpiceSource *self = (SpiceSource *)source;

    if (self->input != NULL) {
        sc_spice_input_send_motion(self->input, dx, dy);
    }
}

static void spice_send_position(ScSource *source, guint x, guint y)
{
    SpiceSource *self = (SpiceSource *)source;

    if (self->input != NULL) {
        sc_spice_input_send_position(self->input, x, y);
    }
}

static void spice_send_button(ScSource *source, ScButton button, gboolean pressed)
{
    SpiceSource *self = (SpiceSource *)source;

    if (self->input != NULL) {
        sc_spice_input_send_button(self->input, button, pressed);
    }
}

static void spice_send_wheel(ScSource *source, int steps)
{
    SpiceSource *self = (SpiceSource *)source;

    if (self->input != NULL) {
        sc_spice_input_send_wheel(self->input, steps);
    }
}

static void spice_send_leds(ScSource *source, ScLeds leds)
{
    SpiceSource *self = (SpiceSource *)source;

    if (self->input != NULL) {
        sc_spice_input_send_leds(self->input, leds);
    }
}

static void spice_send_size(ScSource *source, guint width, guint height)
{
    SpiceSource *self = (SpiceSource *)source;

    if (self->input != NULL) {
        sc_spice_input_send_size(self->input, width, height);
    }
}

const ScSourceImpl sc_source_spice = {
    .scheme = "spice+unix",
    .help = "spice+unix:PATH        QEMU with -spice gl=on,unix=on,addr=PATH,disable-ticketing=on",
    .new = spice_new,
    .start = spice_start,
    .free = spice_free,
    .send_key = spice_send_key,
    .send_motion = spice_send_motion,
    .send_position = spice_send_position,
    .send_button = spice_send_button,
    .send_wheel = spice_send_wheel,
    .send_leds = spice_send_leds,
    .send_size = spice_send_size,
};
