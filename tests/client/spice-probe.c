/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/client/probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char help[] =
    "Prints one line per event:\n"
    "  connecting | connected | closed | error channel=NAME reason=REASON message=TEXT\n"
    "  channel name=NAME state=open|closed [time=US]\n"
    "  stream                   a decoder is made for a video stream\n"
    "  display width=W height=H | display-destroy\n"
    "  frame number=N count=N width=W height=H path=canvas|overlay [time=US]\n"
    "  decoded number=N time=US   before it is made a picture for the screen; with --latency\n"
    "  mouse-mode mode=client|server\n"
    "  cursor-set width=W height=H hot-x=X hot-y=Y sha1=RGBA | cursor-move x=X y=Y | cursor-hide\n"
    "  leds value=MASK\n"
    "  saved file=FILE | unknown command=LINE\n"
    "  done frames=N status=0|1\n"
    "\n"
    "Reads one command per line; without down or up both are done:\n"
    "  key SCANCODE [down|up]   PC AT set 1, 0x100 added for 0xe0\n"
    "  motion DX DY | position X Y | button N [down|up]   N as SPICE_MOUSE_BUTTON_*\n"
    "  wheel N                  detents, positive towards the user\n"
    "  leds MASK                lamps the client wants\n"
    "  window W H               the size of the client's window\n"
    "  save FILE.ppm            the last picture\n"
    "  raw main|display|inputs|cursor HEX   bytes past the protocol\n"
    "  reconnect | quit\n"
    "\n"
    "Exit status: 0 when --frames were seen, or without --frames when it was connected at the "
    "end;\n"
    "1 otherwise. time= is g_get_monotonic_time(), of a frame when it was shown.\n";

void probe_print(const char *format, ...)
{
    va_list arguments;

    flockfile(stdout); /* GStreamer's threads print, too */
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
}

void probe_fail(Probe *probe)
{
    probe->failed = TRUE;
    g_main_loop_quit(probe->loop);
}

void probe_count_frame(Probe *probe)
{
    probe->n_frames++;
    if (probe->n_frames == probe->frames) {
        g_main_loop_quit(probe->loop);
    }
}

static const char *get_channel_name(SpiceChannel *channel)
{
    int type;

    g_object_get(channel, "channel-type", &type, NULL);
    return spice_channel_type_to_string(type);
}

static const char *get_reason(SpiceChannelEvent event)
{
    switch (event) {
    case SPICE_CHANNEL_ERROR_CONNECT:
        return "connect";
    case SPICE_CHANNEL_ERROR_TLS:
        return "tls";
    case SPICE_CHANNEL_ERROR_LINK:
        return "link";
    case SPICE_CHANNEL_ERROR_AUTH:
        return "auth";
    case SPICE_CHANNEL_ERROR_IO:
        return "io";
    default:
        return "unknown";
    }
}

static void print_open(const Probe *probe, const char *name)
{
    if (probe->latency) {
        probe_print("channel name=%s state=open time=%" G_GINT64_FORMAT, name,
                    g_get_monotonic_time());
    } else {
        probe_print("channel name=%s state=open", name);
    }
}

static void on_channel_event(SpiceChannel *channel, SpiceChannelEvent event, Probe *probe)
{
    const GError *error;

    switch (event) {
    case SPICE_CHANNEL_OPENED:
        print_open(probe, get_channel_name(channel));
        if (SPICE_IS_MAIN_CHANNEL(channel)) {
            probe->failed = FALSE;
            probe_print("connected");
        }
        break;
    case SPICE_CHANNEL_CLOSED:
    case SPICE_CHANNEL_SWITCHING:
    case SPICE_CHANNEL_NONE:
        probe_print("channel name=%s state=closed", get_channel_name(channel));
        if (SPICE_CHANNEL(probe->main) == channel) {
            probe_print("closed");
            probe_fail(probe);
        }
        break;
    default:
        error = spice_channel_get_error(channel);
        probe_print("error channel=%s reason=%s message=%s", get_channel_name(channel),
                    get_reason(event), error != NULL ? error->message : "");
        if (SPICE_IS_MAIN_CHANNEL(channel)) {
            probe_fail(probe);
        }
        break;
    }
}

static void on_mouse_mode(SpiceMainChannel *channel, GParamSpec *pspec, Probe *probe)
{
    int mode;

    g_object_get(channel, "mouse-mode", &mode, NULL);
    probe_print("mouse-mode mode=%s", mode == SPICE_MOUSE_MODE_CLIENT ? "client" : "server");
}

static void on_modifiers(SpiceInputsChannel *channel, Probe *probe)
{
    int modifiers;

    g_object_get(channel, "key-modifiers", &modifiers, NULL);
    probe_print("leds value=%d", modifiers);
}

static void on_channel_new(SpiceSession *session, SpiceChannel *channel, Probe *probe)
{
    g_signal_connect(channel, "channel-event", G_CALLBACK(on_channel_event), probe);
    if (SPICE_IS_MAIN_CHANNEL(channel)) {
        probe->main = SPICE_MAIN_CHANNEL(channel);
        g_signal_connect(channel, "main-mouse-update", G_CALLBACK(on_mouse_mode), probe);
        return; /* which has connected already */
    }
    if (SPICE_IS_DISPLAY_CHANNEL(channel) && probe->display == NULL) {
        probe->display = SPICE_DISPLAY_CHANNEL(channel);
        probe_watch_display(probe, probe->display);
    } else if (SPICE_IS_INPUTS_CHANNEL(channel)) {
        probe->inputs = SPICE_INPUTS_CHANNEL(channel);
        g_signal_connect(channel, "inputs-modifiers", G_CALLBACK(on_modifiers), probe);
    } else if (SPICE_IS_CURSOR_CHANNEL(channel)) {
        probe->cursor = SPICE_CURSOR_CHANNEL(channel);
        probe_watch_cursor(probe->cursor);
    } else {
        return;
    }
    spice_channel_connect(channel);
}

static void on_channel_destroy(SpiceSession *session, SpiceChannel *channel, Probe *probe)
{
    if (SPICE_CHANNEL(probe->display) == channel) {
        probe_forget_display(probe);
        probe->display = NULL;
    } else if (SPICE_CHANNEL(probe->inputs) == channel) {
        probe->inputs = NULL;
    } else if (SPICE_CHANNEL(probe->cursor) == channel) {
        probe->cursor = NULL;
    } else if (SPICE_CHANNEL(probe->main) == channel) {
        probe->main = NULL;
    }
}

void probe_connect(Probe *probe)
{
    probe_print("connecting");
    probe->buttons = 0;
    probe->session = spice_session_new();
    g_object_set(probe->session, "enable-audio", FALSE, "enable-usbredir", FALSE,
                 "enable-smartcard", FALSE, NULL);
    if (probe->unix_path != NULL) {
        g_object_set(probe->session, "unix-path", probe->unix_path, NULL);
    } else {
        g_object_set(probe->session, "uri", probe->uri, NULL);
    }
    /* After the URI, which has a password of its own or none. */
    g_object_set(probe->session, "username", probe->username, "password", probe->password, NULL);
    if (probe->ca_file != NULL) {
        g_object_set(probe->session, "ca-file", probe->ca_file, NULL);
    }
    g_signal_connect(probe->session, "channel-new", G_CALLBACK(on_channel_new), probe);
    g_signal_connect(probe->session, "channel-destroy", G_CALLBACK(on_channel_destroy), probe);
    if (!spice_session_connect(probe->session)) {
        probe_print("error channel=main reason=connect message=spice_session_connect");
        probe_fail(probe);
    }
}

void probe_disconnect(Probe *probe)
{
    SpiceSession *session = g_steal_pointer(&probe->session);

    /* It lives on until its coroutines have ended. */
    spice_session_disconnect(session);
    g_object_unref(session);
    probe_forget_display(probe);
    probe->main = NULL;
    probe->display = NULL;
    probe->inputs = NULL;
    probe->cursor = NULL;
}

static gboolean on_deadline(gpointer data)
{
    Probe *probe = data;

    g_main_loop_quit(probe->loop);
    return G_SOURCE_REMOVE;
}

static gboolean parse_options(Probe *probe, int *argc, char ***argv)
{
    const GOptionEntry entries[] = {
        { "uri", 0, 0, G_OPTION_ARG_STRING, &probe->uri, "spice://HOST?port=PORT, or tls-port",
          "URI" },
        { "unix", 0, 0, G_OPTION_ARG_FILENAME, &probe->unix_path, "a unix socket", "PATH" },
        { "ca-file", 0, 0, G_OPTION_ARG_FILENAME, &probe->ca_file, "whom to trust with TLS",
          "FILE" },
        { "username", 0, 0, G_OPTION_ARG_STRING, &probe->username, "for SASL", "NAME" },
        { "password", 0, 0, G_OPTION_ARG_STRING, &probe->password, "the ticket", "TEXT" },
        { "overlay", 0, 0, G_OPTION_ARG_NONE, &probe->overlay,
          "show video by GStreamer's sink, not by the canvas", NULL },
        { "no-h264", 0, 0, G_OPTION_ARG_NONE, &probe->no_h264, "a client without H.264", NULL },
        { "latency", 0, 0, G_OPTION_ARG_NONE, &probe->latency, "add time=, tell what is decoded",
          NULL },
        { "frames", 0, 0, G_OPTION_ARG_INT, &probe->frames, "end after N frames", "N" },
        { "seconds", 0, 0, G_OPTION_ARG_INT, &probe->seconds, "end after N seconds (30)", "N" },
        { 0 },
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_description(context, help);
    if (!g_option_context_parse(context, argc, argv, &error)) {
        g_printerr("spice-probe: %s\n", error->message);
        return FALSE;
    }
    if (*argc != 1 || (probe->uri == NULL) == (probe->unix_path == NULL)) {
        g_printerr("spice-probe: give --uri or --unix; --help says more\n");
        return FALSE;
    }
    return TRUE;
}

int main(int argc, char *argv[])
{
    Probe probe = { .seconds = 30, .failed = TRUE };

    if (!parse_options(&probe, &argc, &argv)) {
        return 2;
    }
    gst_init(NULL, NULL);
    if (probe.no_h264) {
        probe_remove_h264();
    }
    probe.loop = g_main_loop_new(NULL, FALSE);
    g_timeout_add_seconds(probe.seconds, on_deadline, &probe);
    probe_watch_commands(&probe);
    probe_connect(&probe);
    g_main_loop_run(probe.loop);
    if (probe.frames > 0 && probe.n_frames < probe.frames) {
        probe.failed = TRUE;
    }
    probe_print("done frames=%d status=%d", probe.n_frames, probe.failed);
    /* Decoders and coroutines end with the process; nobody shall take them for leaks. */
    _exit(probe.failed);
}
