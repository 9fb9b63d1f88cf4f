/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fence/gl-host-impl.h"

#include "server/spice-core.h"

#include <fcntl.h>
#include <linux/udmabuf.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of asynchronous calls that are no draws. */
#define COOKIE_OTHER ((guint64)1 << 32)

static GlHost *the_host;

/* ---- from libspice-server's worker thread ---- */

typedef struct {
    guint64 cookie;
    gint64 time;
} Completion;

static gboolean report_completion(gpointer data)
{
    Completion *completion = data;
    GlHost *host = the_host;

    if (host != NULL && completion->cookie != COOKIE_OTHER) {
        host->drawing = FALSE;
        host->listener.draw_done((guint32)completion->cookie, completion->time - host->draw_start,
                                 host->data);
    }
    return G_SOURCE_REMOVE;
}

static void qxl_async_complete(QXLInstance *qxl, uint64_t cookie)
{
    Completion *completion = g_new(Completion, 1);

    completion->cookie = cookie;
    completion->time = g_get_monotonic_time();
    g_idle_add_full(G_PRIORITY_HIGH, report_completion, completion, g_free);
}

static void qxl_attached_worker(QXLInstance *qxl)
{
}

static void qxl_set_compression_level(QXLInstance *qxl, int level)
{
}

static void qxl_get_init_info(QXLInstance *qxl, QXLDevInitInfo *info)
{
    *info = (QXLDevInitInfo){
        .num_memslots_groups = 1,
        .num_memslots = 2,
        .memslot_gen_bits = 1,
        .memslot_id_bits = 1,
        .n_surfaces = 16,
        .qxl_ram_size = 16 << 20,
    };
}

static void qxl_notify_update(QXLInstance *qxl, uint32_t update_id)
{
}

static int qxl_flush_resources(QXLInstance *qxl)
{
    return 0;
}

static void qxl_update_area_complete(QXLInstance *qxl, uint32_t surface_id, QXLRect *rects,
                                     uint32_t n_rects)
{
}

static void qxl_set_client_capabilities(QXLInstance *qxl, uint8_t present,
                                        uint8_t caps[SPICE_CAPABILITIES_SIZE])
{
}

/* @config NULL: whether such a thing is wanted at all. */
static int qxl_client_monitors_config(QXLInstance *qxl, VDAgentMonitorsConfig *config)
{
    if (config != NULL && config->num_of_monitors > 0) {
        g_autofree char *text =
            g_strdup_printf("window %u %u", config->monitors[0].width, config->monitors[0].height);

        the_host->listener.input(text, the_host->data);
    }
    return TRUE;
}

static QXLInterface qxl_interface = {
    .base = { SPICE_INTERFACE_QXL, "gl-host", SPICE_INTERFACE_QXL_MAJOR,
              SPICE_INTERFACE_QXL_MINOR },
    .attached_worker = qxl_attached_worker,
    .set_compression_level = qxl_set_compression_level,
    .get_init_info = qxl_get_init_info,
    .notify_update = qxl_notify_update,
    .flush_resources = qxl_flush_resources,
    .async_complete = qxl_async_complete,
    .update_area_complete = qxl_update_area_complete,
    .set_client_capabilities = qxl_set_client_capabilities,
    .client_monitors_config = qxl_client_monitors_config,
};

/* ---- life ---- */

static void channel_event(int event, SpiceChannelEventInfo *info)
{
    if (the_host != NULL && event != SPICE_CHANNEL_EVENT_CONNECTED) {
        the_host->listener.channel(info->type, event == SPICE_CHANNEL_EVENT_INITIALIZED,
                                   the_host->data);
    }
}

/* As QEMU does with each scanout. The worker reads it some time later, which is all right: the
 * latest counts. */
static void set_monitor(GlHost *host, guint32 width, guint32 height)
{
    host->monitors.count = 1;
    host->monitors.max_allowed = 1;
    host->monitors.head.width = width;
    host->monitors.head.height = height;
    spice_qxl_monitors_config_async(&host->qxl, (QXLPHYSICAL)(uintptr_t)&host->monitors, 0,
                                    COOKIE_OTHER);
}

static void add_qxl(GlHost *host)
{
    QXLDevMemSlot slot = { .virt_start = 0, .virt_end = UINTPTR_MAX, .qxl_ram_size = G_MAXUINT32 };

    gl_host_2d_init(host, &qxl_interface);
    host->qxl.base.sif = &qxl_interface.base;
    host->qxl.id = 0;
    spice_server_add_interface(host->server, &host->qxl.base);
    spice_qxl_add_memslot(&host->qxl, &slot);
    set_monitor(host, 0, 0);
}

GlHost *gl_host_new(const char *path, const char *password, const GlHostListener *listener,
                    gpointer data)
{
    GlHost *host = g_new0(GlHost, 1);

    g_assert(the_host == NULL);
    the_host = host;
    host->listener = *listener;
    host->data = data;
    sc_spice_core_init(&host->core, channel_event);

    host->server = spice_server_new();
    spice_server_set_addr(host->server, path, SPICE_ADDR_FLAG_UNIX_ONLY);
    if (password == NULL) {
        spice_server_set_noauth(host->server);
    } else {
        spice_server_set_ticket(host->server, password, 0, 0, 0);
    }
    if (spice_server_init(host->server, &host->core) != 0) {
        g_printerr("gl-host: libspice-server cannot listen on %s\n", path);
        exit(1);
    }
    gl_host_input_init(host);
    add_qxl(host);
    /* QEMU has one from the start, GL or not. */
    gl_host_create_primary(host, 640, 480, 32);
    spice_server_vm_start(host->server);
    return host;
}

static void free_buffers(GlHost *host)
{
    for (guint i = 0; i < host->n_buffers; i++) {
        munmap(host->buffers[i].pixels, (gsize)host->width * host->height * 4);
        close(host->buffers[i].fd);
    }
    host->n_buffers = 0;
}

void gl_host_free(GlHost *host)
{
    spice_server_destroy(host->server);
    the_host = NULL;
    gl_host_2d_finish(host);
    free_buffers(host);
    g_free(host);
}

/* ---- GL ---- */

static int udmabuf_from(int memfd, gsize size)
{
    struct udmabuf_create create = { .memfd = (guint32)memfd, .flags = UDMABUF_FLAGS_CLOEXEC };
    int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
    int fd;

    if (device < 0) {
        return -1;
    }
    create.size = size;
    fd = ioctl(device, UDMABUF_CREATE, &create);
    close(device);
    return fd;
}

static int file_on_disk(void)
{
    char name[] = "gl-host-XXXXXX";
    int fd = mkstemp(name);

    g_assert_no_errno(fd);
    g_assert_no_errno(unlink(name));
    return fd;
}

static gboolean make_buffer(GlHostBuffer *buffer, gsize size, gboolean far)
{
    gsize page = (gsize)sysconf(_SC_PAGESIZE);
    gsize whole = (size + page - 1) / page * page; /* udmabuf takes pages */
    int udmabuf;

    buffer->fd = far ? file_on_disk() : memfd_create("gl-host", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    g_assert_no_errno(ftruncate(buffer->fd, (off_t)whole));
    g_assert_true(far || fcntl(buffer->fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    buffer->pixels = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->fd, 0);
    g_assert(buffer->pixels != MAP_FAILED);

    udmabuf = far ? -1 : udmabuf_from(buffer->fd, whole);
    if (udmabuf < 0) {
        return FALSE;
    }
    close(buffer->fd);
    buffer->fd = udmabuf;
    return TRUE;
}

gboolean gl_host_set_buffers(GlHost *host, guint n, int width, int height, guint32 fourcc,
                             gboolean far)
{
    gboolean udmabuf = FALSE;

    g_assert(n >= 1 && n <= GL_HOST_MAX_BUFFERS);
    free_buffers(host);
    host->width = width;
    host->height = height;
    host->fourcc = fourcc;
    for (guint i = 0; i < n; i++) {
        udmabuf = make_buffer(&host->buffers[i], (gsize)width * height * 4, far);
    }
    host->n_buffers = n;
    return udmabuf;
}

guint32 *gl_host_get_pixels(GlHost *host, guint index)
{
    g_assert(index < host->n_buffers);
    return host->buffers[index].pixels;
}

int gl_host_get_width(GlHost *host)
{
    return host->width;
}

int gl_host_get_height(GlHost *host)
{
    return host->height;
}

void gl_host_scanout_fd(GlHost *host, int fd, guint32 width, guint32 height, guint32 stride,
                        guint32 fourcc, gboolean bottom_up)
{
    g_assert(!host->drawing);
    spice_qxl_gl_scanout(&host->qxl, fd, width, height, stride, fourcc, bottom_up);
    set_monitor(host, width, height);
}

void gl_host_scanout(GlHost *host, guint index, gboolean bottom_up)
{
    /* As QEMU does it: each time a new descriptor, which libspice-server closes. */
    int fd = fcntl(host->buffers[index].fd, F_DUPFD_CLOEXEC, 0);

    g_assert(index < host->n_buffers);
    gl_host_scanout_fd(host, fd, (guint32)host->width, (guint32)host->height,
                       (guint32)host->width * 4, host->fourcc, bottom_up);
}

void gl_host_disable(GlHost *host)
{
    gl_host_scanout_fd(host, -1, 0, 0, 0, 0, FALSE);
}

gboolean gl_host_is_drawing(GlHost *host)
{
    return host->drawing;
}

void gl_host_draw(GlHost *host, guint32 number, guint32 x, guint32 y, guint32 width, guint32 height)
{
    g_assert(!host->drawing);
    host->drawing = TRUE;
    host->draw_start = g_get_monotonic_time();
    spice_qxl_gl_draw_async(&host->qxl, x, y, width, height, number);
}
