/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rude-host PATH: speaks the server's side of the SPICE protocol on a unix socket without
 * libspice-server, to send what that would never send: scanouts replaced in mid-draw, draws nobody
 * has finished, messages without their descriptor, channels that make no sense.
 *
 * Told by lines on standard input, answers "ok"; one client at a time.
 *
 *   scanout WxH STRIDE FOURCC BYTES   a GL scanout on a memfd of BYTES; BYTES 0: no descriptor
 *   cut WxH STRIDE FOURCC             a GL scanout without even the byte for its descriptor
 *   off                               a GL scanout of format 0: none
 *   draw X Y W H                      a GL draw, whatever is still being drawn
 *   surface WxH FORMAT                a primary surface (SPICE_SURFACE_FMT_*)
 *   message TYPE HEX...               any message on the display channel
 *   close CHANNEL                     ends that channel (1 main, 2 display, 3 inputs, 4 cursor)
 *   quit
 *
 * Reports "up CHANNEL", "down CHANNEL" and "done N": N answers to draws came on this channel.
 */
#include <errno.h>
#include <poll.h>
#include <spice/protocol.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <spice/start-packed.h>
/* The messages as they are on the wire, all numbers little-endian. */
typedef struct SPICE_ATTR_PACKED {
    SpiceLinkHeader header;
    SpiceLinkReply reply;
    uint32_t common_caps;
} LinkReply;

typedef struct {
    uint32_t session_id, display_channels_hint, supported_mouse_modes, current_mouse_mode,
        agent_connected, agent_tokens, multi_media_time, ram_hint;
} MainInit;

typedef struct SPICE_ATTR_PACKED {
    uint32_t count;
    struct SPICE_ATTR_PACKED {
        uint8_t type, id;
    } channels[8];
} ChannelsList;

typedef struct {
    uint32_t width, height, stride, fourcc, flags;
} GlScanout;

typedef struct {
    uint32_t x, y, width, height;
} GlDraw;

typedef struct {
    uint32_t id, width, height, format, flags;
} SurfaceCreate;
#include <spice/end-packed.h>

#define N_CHANNELS 5 /* indexed by SPICE_CHANNEL_MAIN (1) to SPICE_CHANNEL_CURSOR (4) */

static int channels[N_CHANNELS]; /* 0: none */
static unsigned n_done;

static void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

static int read_all(int fd, void *data, size_t size)
{
    return recv(fd, data, size, MSG_WAITALL) == (ssize_t)size ? 0 : -1;
}

static int write_all(int fd, const void *data, size_t size)
{
    return send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -1;
}

static void send_message(int channel, unsigned type, const void *data, size_t size)
{
    SpiceMiniDataHeader header = { .type = (uint16_t)type, .size = (uint32_t)size };

    if (channels[channel] != 0) {
        write_all(channels[channel], &header, sizeof(header));
        write_all(channels[channel], data, size);
    }
}

/* ---- a client comes ---- */

/* Any odd number will do as the modulus: nobody decrypts the ticket. */
static void make_public_key(uint8_t key[SPICE_TICKET_PUBKEY_BYTES])
{
    static const uint8_t head[] = { 0x30, 0x81, 0x9f, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48,
                                    0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03, 0x81,
                                    0x8d, 0x00, 0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00 };
    static const uint8_t tail[] = { 0x02, 0x03, 0x01, 0x00, 0x01 };

    memset(key, 0xc5, SPICE_TICKET_PUBKEY_BYTES);
    memcpy(key, head, sizeof(head));
    memcpy(key + SPICE_TICKET_PUBKEY_BYTES - sizeof(tail), tail, sizeof(tail));
}

static int send_link_reply(int fd)
{
    LinkReply reply = {
        .header = { SPICE_MAGIC, SPICE_VERSION_MAJOR, SPICE_VERSION_MINOR,
                    sizeof(LinkReply) - sizeof(SpiceLinkHeader) },
        .reply = { .num_common_caps = 1, .caps_offset = sizeof(SpiceLinkReply) },
        .common_caps = 1 << SPICE_COMMON_CAP_MINI_HEADER,
    };

    make_public_key(reply.reply.pub_key);
    return write_all(fd, &reply, sizeof(reply));
}

/* The channel's type, or -1. */
static int handshake(int fd)
{
    SpiceLinkHeader header;
    SpiceLinkEncryptedTicket ticket;
    uint8_t body[4096];
    const SpiceLinkMess *link = (const SpiceLinkMess *)body;
    uint32_t ok = SPICE_LINK_ERR_OK;

    if (read_all(fd, &header, sizeof(header)) != 0 || header.size < sizeof(*link) ||
        header.size > sizeof(body) || read_all(fd, body, header.size) != 0 ||
        send_link_reply(fd) != 0 || read_all(fd, &ticket, sizeof(ticket)) != 0 ||
        write_all(fd, &ok, sizeof(ok)) != 0 || link->channel_type >= N_CHANNELS) {
        return -1;
    }
    return link->channel_type;
}

/* The list has every channel twice and some that do not exist. */
static void begin_main(void)
{
    MainInit init = { .session_id = 1,
                      .display_channels_hint = 1,
                      .supported_mouse_modes = SPICE_MOUSE_MODE_SERVER,
                      .current_mouse_mode = SPICE_MOUSE_MODE_SERVER };
    ChannelsList list = { 8,
                          { { SPICE_CHANNEL_DISPLAY, 0 },
                            { SPICE_CHANNEL_DISPLAY, 0 },
                            { SPICE_CHANNEL_DISPLAY, 1 },
                            { SPICE_CHANNEL_INPUTS, 0 },
                            { SPICE_CHANNEL_INPUTS, 0 },
                            { SPICE_CHANNEL_CURSOR, 0 },
                            { SPICE_CHANNEL_CURSOR, 0 },
                            { 200, 200 } } };

    send_message(SPICE_CHANNEL_MAIN, SPICE_MSG_MAIN_INIT, &init, sizeof(init));
    send_message(SPICE_CHANNEL_MAIN, SPICE_MSG_MAIN_CHANNELS_LIST, &list, sizeof(list));
}

static void accept_client(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    int type = fd >= 0 ? handshake(fd) : -1;

    if (type <= 0) {
        close(fd);
        return;
    }
    if (channels[type] != 0) {
        close(channels[type]);
    }
    channels[type] = fd;
    if (type == SPICE_CHANNEL_DISPLAY) {
        n_done = 0;
    }
    say("up %d", type);
    if (type == SPICE_CHANNEL_MAIN) {
        begin_main();
    }
}

/* ---- what clients say ---- */

static void close_channel(int channel)
{
    if (channels[channel] != 0) {
        close(channels[channel]);
        channels[channel] = 0;
        say("down %d", channel);
    }
}

static void read_message(int channel)
{
    SpiceMiniDataHeader header;
    uint8_t body[65536];

    if (read_all(channels[channel], &header, sizeof(header)) != 0 || header.size > sizeof(body) ||
        (header.size > 0 && read_all(channels[channel], body, header.size) != 0)) {
        close_channel(channel);
    } else if (channel == SPICE_CHANNEL_DISPLAY && header.type == SPICE_MSGC_DISPLAY_GL_DRAW_DONE) {
        say("done %u", ++n_done);
    }
}

/* ---- commands ---- */

static void send_descriptor(int fd)
{
    char byte = 0;
    struct iovec data = { &byte, 1 };
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
    }
    sendmsg(channels[SPICE_CHANNEL_DISPLAY], &message, MSG_NOSIGNAL);
}

static int cmd_cut(const char *args)
{
    GlScanout scanout = { 0 };
    char fourcc[4];

    if (sscanf(args, "%ux%u %u %4c", &scanout.width, &scanout.height, &scanout.stride, fourcc) !=
        4) {
        return -1;
    }
    memcpy(&scanout.fourcc, fourcc, sizeof(fourcc));
    send_message(SPICE_CHANNEL_DISPLAY, SPICE_MSG_DISPLAY_GL_SCANOUT_UNIX, &scanout,
                 sizeof(scanout));
    return 0;
}

static int cmd_scanout(const char *args)
{
    const char *last = strrchr(args, ' ');
    long bytes = last != NULL ? atol(last) : 0;
    int fd = -1;

    if (cmd_cut(args) != 0) {
        return -1;
    }
    if (bytes > 0) {
        fd = memfd_create("rude-host", MFD_CLOEXEC);
        if (ftruncate(fd, bytes) != 0) {
            return -1;
        }
    }
    send_descriptor(fd);
    if (fd >= 0) {
        close(fd);
    }
    return 0;
}

static int cmd_off(const char *args)
{
    GlScanout scanout = { 0 };

    (void)args;
    send_message(SPICE_CHANNEL_DISPLAY, SPICE_MSG_DISPLAY_GL_SCANOUT_UNIX, &scanout,
                 sizeof(scanout));
    return 0;
}

static int cmd_draw(const char *args)
{
    GlDraw draw;

    if (sscanf(args, "%u %u %u %u", &draw.x, &draw.y, &draw.width, &draw.height) != 4) {
        return -1;
    }
    send_message(SPICE_CHANNEL_DISPLAY, SPICE_MSG_DISPLAY_GL_DRAW, &draw, sizeof(draw));
    return 0;
}

static int cmd_surface(const char *args)
{
    SurfaceCreate surface = { .flags = SPICE_SURFACE_FLAGS_PRIMARY };

    if (sscanf(args, "%ux%u %u", &surface.width, &surface.height, &surface.format) != 3) {
        return -1;
    }
    send_message(SPICE_CHANNEL_DISPLAY, SPICE_MSG_DISPLAY_SURFACE_CREATE, &surface,
                 sizeof(surface));
    send_message(SPICE_CHANNEL_DISPLAY, SPICE_MSG_DISPLAY_MARK, NULL, 0);
    return 0;
}

static int cmd_message(const char *args)
{
    uint8_t body[256];
    size_t size = 0;
    unsigned type, byte;
    int used;

    if (sscanf(args, "%u%n", &type, &used) != 1) {
        return -1;
    }
    for (args += used; size < sizeof(body) && sscanf(args, "%2x%n", &byte, &used) == 1;
         args += used) {
        body[size++] = (uint8_t)byte;
    }
    send_message(SPICE_CHANNEL_DISPLAY, type, body, size);
    return 0;
}

static int cmd_close(const char *args)
{
    int channel = atoi(args);

    if (channel <= 0 || channel >= N_CHANNELS) {
        return -1;
    }
    close_channel(channel);
    return 0;
}

static int cmd_quit(const char *args)
{
    (void)args;
    exit(0);
}

static const struct {
    const char *name;
    int (*run)(const char *args);
} commands[] = {
    { "scanout ", cmd_scanout }, { "cut ", cmd_cut },         { "off", cmd_off },
    { "draw ", cmd_draw },       { "surface ", cmd_surface }, { "message ", cmd_message },
    { "close ", cmd_close },     { "quit", cmd_quit },
};

static void read_command(void)
{
    static char line[4096];
    static size_t used;
    ssize_t n = read(STDIN_FILENO, line + used, 1); /* so that none waits in a buffer for poll() */

    if (n <= 0 || used == sizeof(line) - 1) {
        exit(n == 0 ? 0 : 1);
    }
    if (line[used] != '\n') {
        used++;
        return;
    }
    line[used] = '\0';
    used = 0;
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        size_t length = strlen(commands[i].name);

        if (strncmp(line, commands[i].name, length) == 0) {
            say(commands[i].run(line + length) == 0 ? "ok" : "error");
            return;
        }
    }
    say("error");
}

static int listen_on(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path)) {
        return -1;
    }
    strcpy(address.sun_path, path);
    unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 16) != 0) {
        return -1;
    }
    return fd;
}

int main(int argc, char **argv)
{
    int listener = argc == 2 ? listen_on(argv[1]) : -1;

    if (listener < 0) {
        fprintf(stderr, "rude-host: one PATH to listen on is needed: %s\n", strerror(errno));
        return 2;
    }
    say("ok ready");
    for (;;) {
        struct pollfd polled[2 + N_CHANNELS] = { { .fd = STDIN_FILENO, .events = POLLIN },
                                                 { .fd = listener, .events = POLLIN } };

        for (int i = 0; i < N_CHANNELS; i++) {
            polled[2 + i].fd = channels[i] != 0 ? channels[i] : -1;
            polled[2 + i].events = POLLIN;
        }
        if (poll(polled, 2 + N_CHANNELS, -1) < 0) {
            return 1;
        }
        for (int i = 0; i < N_CHANNELS; i++) {
            if (polled[2 + i].revents != 0) {
                read_message(i);
            }
        }
        if (polled[1].revents != 0) {
            accept_client(listener);
        }
        if (polled[0].revents != 0) {
            read_command();
        }
    }
}
