/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gl-host [--password=WORD] PATH: a stand-in for QEMU -spice gl=on,unix=on,addr=PATH, told by lines
 * on its standard input what its guest does. Answers each command with one line "ok ..." or
 * "error ..."; what happens is reported in lines of their own in between.
 *
 *   buffers N WxH [FOURCC] [far]    N buffers to flip; "ok memfd" or "ok udmabuf"; default XR24;
 *                                   far: "ok far", see gl_host_set_buffers()
 *   fill I NUMBER                   the test pattern of that number into buffer I
 *   scanout I [bottom-up]           show buffer I, no draw
 *   draw NUMBER [X Y W H]           draw what is shown
 *   run COUNT [INTERVAL_MS]         COUNT flips: fill the next buffer, show it, draw it; each when
 *                                   the one before is done (and INTERVAL_MS after it began); ends
 *                                   with "ran COUNT"
 *   poison on|off                   overwrite a buffer as soon as its draw is done: whoever reads
 *                                   it later reads white, which is number 4294967295
 *   disable                         no scanout
 *   offer WxH STRIDE FOURCC BYTES   a scanout of these numbers on a memfd of BYTES
 *   offer-pipe WxH STRIDE FOURCC    the same on a pipe, which cannot be mapped
 *   primary WxH [16|32]             the ordinary surface, at first 640x480;  no-primary: none
 *   paint NUMBER                    the test pattern on all of the surface
 *   rect X Y W H RRGGBB             one colour
 *   cursor W H HOT_X HOT_Y AARRGGBB;  cursor-at X Y;  cursor-hide
 *   tablet on|off                   whether there is an absolute pointer
 *   leds BITS                       the guest sets its keyboard's lamps
 *   agent                           the guest starts its SPICE agent
 *   quit
 *
 * Reports: "done NUMBER US START" (the draw is done, US microseconds after START), "ran COUNT",
 * "channel TYPE up|down", and input: "key 1e", "motion DX DY DZ BUTTONS", "position X Y BUTTONS",
 * "wheel DZ", "buttons BUTTONS", "window W H" (the size that clients wish).
 */
#include "tests/fence/gl-host.h"

#include "capture/pattern.h"
#include "capture/timer.h"

#include <drm_fourcc.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WHITE 0xffffffffu

typedef struct {
    GMainLoop *loop;
    GlHost *host;
    guint n_buffers;
    guint shown; /* the buffer */
    gboolean poison;

    guint32 number; /* of the last flip */
    guint run_left, run_total;
    gint64 interval_us, flipped_at;
    ScTimer *next_flip;

    int width, height; /* of the surface */
} Program;

static void say(const char *format, ...) G_GNUC_PRINTF(1, 2);

static void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

/* ---- what the guest does ---- */

static void fill(Program *self, guint index, guint32 number)
{
    int width = gl_host_get_width(self->host);

    pattern_draw(gl_host_get_pixels(self->host, index), width * 4, width,
                 gl_host_get_height(self->host), number);
}

static void draw_all(Program *self, guint32 number)
{
    gl_host_draw(self->host, number, 0, 0, (guint32)gl_host_get_width(self->host),
                 (guint32)gl_host_get_height(self->host));
}

static void flip(gpointer data)
{
    Program *self = data;

    self->run_left--;
    self->number++;
    self->shown = (self->shown + 1) % self->n_buffers;
    self->flipped_at = g_get_monotonic_time();
    fill(self, self->shown, self->number);
    gl_host_scanout(self->host, self->shown, FALSE);
    draw_all(self, self->number);
}

static void draw_done(guint32 number, gint64 held_us, gpointer data)
{
    Program *self = data;

    if (self->poison && self->n_buffers > 0) {
        gsize n = (gsize)gl_host_get_width(self->host) * gl_host_get_height(self->host);
        guint32 *pixels = gl_host_get_pixels(self->host, self->shown);

        for (gsize i = 0; i < n; i++) {
            pixels[i] = WHITE;
        }
    }
    say("done %u %" G_GINT64_FORMAT " %" G_GINT64_FORMAT, number, held_us,
        g_get_monotonic_time() - held_us);
    if (self->run_left > 0) {
        sc_timer_set_at(self->next_flip, self->flipped_at + self->interval_us);
    } else if (self->run_total > 0) {
        say("ran %u", self->run_total);
        self->run_total = 0;
    }
}

static void channel(int type, gboolean up, gpointer data)
{
    say("channel %d %s", type, up ? "up" : "down");
}

static void input(const char *text, gpointer data)
{
    say("%s", text);
}

/* ---- commands ---- */

static const char *cmd_buffers(Program *self, const char *args)
{
    guint n;
    int width, height;
    char fourcc[5] = "XR24", far[4] = "";
    gboolean udmabuf;

    if (sscanf(args, "%u %dx%d %4c %3s", &n, &width, &height, fourcc, far) < 3) {
        return "buffers N WxH [FOURCC] [far]";
    }
    udmabuf = gl_host_set_buffers(self->host, n, width, height,
                                  fourcc_code(fourcc[0], fourcc[1], fourcc[2], fourcc[3]),
                                  far[0] != '\0');
    self->n_buffers = n;
    self->shown = 0;
    say("ok %s", far[0] != '\0' ? "far" : udmabuf ? "udmabuf" : "memfd");
    return "";
}

static const char *cmd_fill(Program *self, const char *args)
{
    guint index, number;

    if (sscanf(args, "%u %u", &index, &number) != 2 || index >= self->n_buffers) {
        return "fill I NUMBER";
    }
    fill(self, index, number);
    return NULL;
}

static const char *cmd_scanout(Program *self, const char *args)
{
    guint index;

    if (sscanf(args, "%u", &index) != 1 || index >= self->n_buffers ||
        gl_host_is_drawing(self->host)) {
        return "scanout I [bottom-up], not while drawing";
    }
    self->shown = index;
    gl_host_scanout(self->host, index, strstr(args, "bottom-up") != NULL);
    return NULL;
}

static const char *cmd_draw(Program *self, const char *args)
{
    guint number, x, y, width, height;
    int n = sscanf(args, "%u %u %u %u %u", &number, &x, &y, &width, &height);

    if ((n != 1 && n != 5) || gl_host_is_drawing(self->host)) {
        return "draw NUMBER [X Y W H], not while drawing";
    }
    if (n == 5) {
        gl_host_draw(self->host, number, x, y, width, height);
    } else {
        draw_all(self, number);
    }
    return NULL;
}

static const char *cmd_run(Program *self, const char *args)
{
    guint interval_ms = 0;

    if (sscanf(args, "%u %u", &self->run_left, &interval_ms) < 1 || self->run_left == 0 ||
        self->n_buffers == 0 || gl_host_is_drawing(self->host)) {
        self->run_left = 0;
        return "run COUNT [INTERVAL_MS], after buffers, not while drawing";
    }
    self->run_total = self->run_left;
    self->interval_us = interval_ms * G_GINT64_CONSTANT(1000);
    flip(self);
    return NULL;
}

static const char *cmd_poison(Program *self, const char *args)
{
    self->poison = strcmp(args, "on") == 0;
    return NULL;
}

static const char *cmd_disable(Program *self, const char *args)
{
    if (gl_host_is_drawing(self->host)) {
        return "not while drawing";
    }
    gl_host_disable(self->host);
    return NULL;
}

static const char *offer(Program *self, int fd, const char *args)
{
    guint width, height, stride;
    char fourcc[5];

    if (sscanf(args, "%ux%u %u %4c", &width, &height, &stride, fourcc) != 4 ||
        gl_host_is_drawing(self->host)) {
        close(fd);
        return "WxH STRIDE FOURCC, not while drawing";
    }
    gl_host_scanout_fd(self->host, fd, width, height, stride,
                       fourcc_code(fourcc[0], fourcc[1], fourcc[2], fourcc[3]), FALSE);
    return NULL;
}

static const char *cmd_offer(Program *self, const char *args)
{
    const char *bytes = strrchr(args, ' ');
    int fd = memfd_create("gl-host-offer", MFD_CLOEXEC);

    g_assert_no_errno(ftruncate(fd, bytes != NULL ? atol(bytes) : 0));
    return offer(self, fd, args);
}

static const char *cmd_offer_pipe(Program *self, const char *args)
{
    int fds[2];

    g_assert_no_errno(pipe2(fds, O_CLOEXEC));
    close(fds[1]);
    return offer(self, fds[0], args);
}

static const char *cmd_primary(Program *self, const char *args)
{
    int bits = 32;

    if (sscanf(args, "%dx%d %d", &self->width, &self->height, &bits) < 2) {
        return "primary WxH [16|32]";
    }
    gl_host_create_primary(self->host, self->width, self->height, bits);
    return NULL;
}

static const char *cmd_no_primary(Program *self, const char *args)
{
    gl_host_destroy_primary(self->host);
    return NULL;
}

static const char *cmd_paint(Program *self, const char *args)
{
    g_autofree guint32 *pixels = g_new(guint32, (gsize)self->width * self->height);

    pattern_draw(pixels, self->width * 4, self->width, self->height, (guint32)atol(args));
    gl_host_paint(self->host, 0, 0, self->width, self->height, pixels);
    return NULL;
}

static guint32 *one_colour(int width, int height, guint32 colour)
{
    gsize n = (gsize)width * height;
    guint32 *pixels = g_new(guint32, n);

    for (gsize i = 0; i < n; i++) {
        pixels[i] = colour;
    }
    return pixels;
}

static const char *cmd_rect(Program *self, const char *args)
{
    int x, y, width, height;
    guint colour;
    g_autofree guint32 *pixels = NULL;

    if (sscanf(args, "%d %d %d %d %x", &x, &y, &width, &height, &colour) != 5) {
        return "rect X Y W H RRGGBB";
    }
    pixels = one_colour(width, height, 0xff000000u | colour);
    gl_host_paint(self->host, x, y, width, height, pixels);
    return NULL;
}

static const char *cmd_cursor(Program *self, const char *args)
{
    int width, height, hot_x, hot_y;
    guint colour;
    g_autofree guint32 *argb = NULL;

    if (sscanf(args, "%d %d %d %d %x", &width, &height, &hot_x, &hot_y, &colour) != 5) {
        return "cursor W H HOT_X HOT_Y AARRGGBB";
    }
    argb = one_colour(width, height, colour);
    gl_host_set_cursor(self->host, width, height, hot_x, hot_y, argb);
    return NULL;
}

static const char *cmd_cursor_at(Program *self, const char *args)
{
    int x, y;

    if (sscanf(args, "%d %d", &x, &y) != 2) {
        return "cursor-at X Y";
    }
    gl_host_move_cursor(self->host, x, y);
    return NULL;
}

static const char *cmd_cursor_hide(Program *self, const char *args)
{
    gl_host_hide_cursor(self->host);
    return NULL;
}

static const char *cmd_tablet(Program *self, const char *args)
{
    gl_host_set_tablet(self->host, strcmp(args, "on") == 0);
    return NULL;
}

static const char *cmd_agent(Program *self, const char *args)
{
    gl_host_start_agent(self->host);
    return NULL;
}

static const char *cmd_leds(Program *self, const char *args)
{
    gl_host_set_leds(self->host, atoi(args));
    return NULL;
}

static const char *cmd_quit(Program *self, const char *args)
{
    g_main_loop_quit(self->loop);
    return NULL;
}

/* Each returns NULL for "ok", "" if it has answered, else what is wrong. */
static const struct {
    const char *name;
    const char *(*run)(Program *self, const char *args);
} commands[] = {
    { "buffers", cmd_buffers },
    { "fill", cmd_fill },
    { "scanout", cmd_scanout },
    { "draw", cmd_draw },
    { "run", cmd_run },
    { "poison", cmd_poison },
    { "disable", cmd_disable },
    { "offer", cmd_offer },
    { "offer-pipe", cmd_offer_pipe },
    { "primary", cmd_primary },
    { "no-primary", cmd_no_primary },
    { "paint", cmd_paint },
    { "rect", cmd_rect },
    { "cursor", cmd_cursor },
    { "cursor-at", cmd_cursor_at },
    { "cursor-hide", cmd_cursor_hide },
    { "tablet", cmd_tablet },
    { "leds", cmd_leds },
    { "agent", cmd_agent },
    { "quit", cmd_quit },
};

static void obey(Program *self, char *line)
{
    char *args = strchr(line, ' ');
    const char *result = "no such command";

    if (args != NULL) {
        *args++ = '\0';
    } else {
        args = line + strlen(line);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(commands[i].name, line) == 0) {
            result = commands[i].run(self, args);
            break;
        }
    }
    if (result == NULL) {
        say("ok");
    } else if (*result != '\0') {
        say("error %s", result);
    }
}

static gboolean on_stdin(GIOChannel *io, GIOCondition condition, gpointer data)
{
    Program *self = data;
    g_autofree char *line = NULL;
    gsize end;

    if (g_io_channel_read_line(io, &line, NULL, &end, NULL) != G_IO_STATUS_NORMAL) {
        g_main_loop_quit(self->loop);
        return G_SOURCE_REMOVE;
    }
    line[end] = '\0';
    obey(self, line);
    return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
    static const GlHostListener listener = { draw_done, channel, input };
    g_autofree char *password = NULL;
    GOptionEntry options[] = {
        { "password", 0, 0, G_OPTION_ARG_STRING, &password, "Ask clients for it", "WORD" },
        { 0 },
    };
    g_autoptr(GOptionContext) context = g_option_context_new("PATH");
    g_autoptr(GError) error = NULL;
    g_autoptr(GIOChannel) io = g_io_channel_unix_new(STDIN_FILENO);
    Program self = { .width = 640, .height = 480 };

    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc != 2) {
        g_printerr("gl-host: %s\n", error != NULL ? error->message : "one PATH is needed");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* libspice-server writes to clients that are gone */
    self.loop = g_main_loop_new(NULL, FALSE);
    self.host = gl_host_new(argv[1], password, &listener, &self);
    self.next_flip = sc_timer_new(flip, &self);
    g_io_add_watch(io, G_IO_IN | G_IO_HUP, on_stdin, &self);
    say("ok ready");
    g_main_loop_run(self.loop);

    gl_host_free(self.host);
    sc_timer_free(self.next_flip);
    g_main_loop_unref(self.loop);
    return 0;
}
