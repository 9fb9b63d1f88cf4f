/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The VA driver's imports, asked for through libva itself: good ones, and what a guest may claim.
 */
#include "tests/va-lab/lab.h"

#include <drm_fourcc.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <va/va.h>
#include <va/va_drm.h>
#include <va/va_drmcommon.h>

#define WIDTH 320
#define HEIGHT 240
#define PITCH (WIDTH * 4)

typedef struct {
    int node;
    VADisplay display;
    ScLabTrace *trace;
    ScLabBuffer *buffer; /* room for a picture, no more than the last page needs */
    VADRMPRIMESurfaceDescriptor descriptor;
} Fixture;

/* The driver reads its switches here. */
static void open_display(Fixture *fixture)
{
    int major, minor;
    fixture->node = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
    g_assert_cmpint(fixture->node, >=, 0);
    fixture->display = vaGetDisplayDRM(fixture->node);
    g_assert_cmpint(vaInitialize(fixture->display, &major, &minor), ==, VA_STATUS_SUCCESS);
}

static void close_display(Fixture *fixture)
{
    vaTerminate(fixture->display);
    close(fixture->node);
}

/* @data: "NAME=VALUE" of a switch, or NULL. */
static void set_up(Fixture *fixture, gconstpointer data)
{
    g_auto(GStrv) pair = data ? g_strsplit(data, "=", 2) : NULL;
    if (pair)
        g_setenv(pair[0], pair[1], TRUE);
    fixture->trace = sc_lab_trace_new();
    open_display(fixture);
    if (pair)
        g_unsetenv(pair[0]);

    fixture->buffer = sc_lab_buffer_new(PITCH * HEIGHT);
    fixture->descriptor = (VADRMPRIMESurfaceDescriptor){
        .fourcc = VA_FOURCC_BGRX,
        .width = WIDTH,
        .height = HEIGHT,
        .num_objects = 1,
        .objects = { { .fd = fixture->buffer->fd,
                       .size = fixture->buffer->size,
                       .drm_format_modifier = DRM_FORMAT_MOD_LINEAR } },
        .num_layers = 1,
        .layers = { { .drm_format = DRM_FORMAT_XRGB8888, .num_planes = 1, .pitch = { PITCH } } },
    };
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    close_display(fixture);
    sc_lab_trace_read(fixture->trace);
    g_assert_nonnull(sc_lab_trace_find(fixture->trace, 0, "terminate", "surfaces", "0", NULL));
    sc_lab_trace_free(fixture->trace);
    sc_lab_buffer_free(fixture->buffer);
}

static VAStatus create(Fixture *fixture, guint32 type, void *descriptor, guint width, guint height,
                       VASurfaceID *surface)
{
    VASurfaceAttrib attributes[] = {
        { .type = VASurfaceAttribPixelFormat,
          .flags = VA_SURFACE_ATTRIB_SETTABLE,
          .value = { .type = VAGenericValueTypeInteger,
                     .value = { .i = fixture->descriptor.fourcc } } },
        { .type = VASurfaceAttribMemoryType,
          .flags = VA_SURFACE_ATTRIB_SETTABLE,
          .value = { .type = VAGenericValueTypeInteger, .value = { .i = type } } },
        { .type = VASurfaceAttribExternalBufferDescriptor,
          .flags = VA_SURFACE_ATTRIB_SETTABLE,
          .value = { .type = VAGenericValueTypePointer, .value = { .p = descriptor } } },
    };
    return vaCreateSurfaces(fixture->display, VA_RT_FORMAT_RGB32, width, height, surface, 1,
                            attributes, G_N_ELEMENTS(attributes));
}

static VAStatus import(Fixture *fixture, VASurfaceID *surface)
{
    return create(fixture, VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2, &fixture->descriptor,
                  fixture->descriptor.width, fixture->descriptor.height, surface);
}

static guint n_open_files(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    guint n = 0;
    while (g_dir_read_name(dir))
        n++;
    return n;
}

/* Refused with @reason in the trace (NULL: whatever), nothing left behind. */
static void assert_refused(Fixture *fixture, const char *reason)
{
    VASurfaceID surface;
    guint before = n_open_files();
    sc_lab_trace_read(fixture->trace);
    guint n_released = sc_lab_trace_count(fixture->trace, "release", NULL);
    g_assert_cmpint(import(fixture, &surface), !=, VA_STATUS_SUCCESS);
    g_assert_cmpuint(n_open_files(), ==, before);
    sc_lab_trace_read(fixture->trace);
    guint n = sc_lab_trace_count(fixture->trace, "import", NULL);
    const ScLabEvent *event = sc_lab_trace_find(fixture->trace, n - 1, "import", NULL);
    g_assert_cmpstr(sc_lab_event_get(event, "result"), ==, "refused");
    if (reason)
        g_assert_nonnull(strstr(sc_lab_event_get(event, "reason"), reason));
    g_assert_cmpuint(sc_lab_trace_count(fixture->trace, "release", NULL), ==, n_released);
}

static void assert_accepted(Fixture *fixture)
{
    VASurfaceID surface;
    g_assert_cmpint(import(fixture, &surface), ==, VA_STATUS_SUCCESS);
    g_assert_cmpint(vaDestroySurfaces(fixture->display, &surface, 1), ==, VA_STATUS_SUCCESS);
}

static guint32 first_pixel(Fixture *fixture, VASurfaceID surface)
{
    VAImage image;
    void *data;
    guint32 pixel;
    g_assert_cmpint(vaDeriveImage(fixture->display, surface, &image), ==, VA_STATUS_SUCCESS);
    g_assert_cmpint(vaMapBuffer(fixture->display, image.buf, &data), ==, VA_STATUS_SUCCESS);
    memcpy(&pixel, (guint8 *)data + image.offsets[0], sizeof(pixel));
    g_assert_cmpint(vaUnmapBuffer(fixture->display, image.buf), ==, VA_STATUS_SUCCESS);
    g_assert_cmpint(vaDestroyImage(fixture->display, image.image_id), ==, VA_STATUS_SUCCESS);
    return pixel;
}

static void test_prime2(Fixture *fixture, gconstpointer data)
{
    VASurfaceID surface;
    guint before = n_open_files();
    *(guint32 *)fixture->buffer->data = 0x12345678;
    g_assert_cmpint(import(fixture, &surface), ==, VA_STATUS_SUCCESS);
    g_assert_cmphex(first_pixel(fixture, surface), ==, 0x12345678);
    g_assert_cmpint(vaDestroySurfaces(fixture->display, &surface, 1), ==, VA_STATUS_SUCCESS);
    g_assert_cmpuint(n_open_files(), ==, before);

    sc_lab_trace_read(fixture->trace);
    const ScLabEvent *event = sc_lab_trace_find(fixture->trace, 0, "import", "result", "ok",
                                                "fourcc", "XR24", "modifier", "0x0", NULL);
    g_assert_nonnull(event);
    g_assert_cmpuint(sc_lab_event_get_number(event, "inode"), ==, fixture->buffer->inode);
    g_assert_cmpuint(sc_lab_event_get_number(event, "pitch"), ==, PITCH);
    event = sc_lab_trace_find(fixture->trace, 0, "release", NULL);
    g_assert_nonnull(event);
    g_assert_cmpuint(sc_lab_event_get_number(event, "inode"), ==, fixture->buffer->inode);
}

static void test_prime(Fixture *fixture, gconstpointer data)
{
    uintptr_t fd = fixture->buffer->fd;
    VASurfaceAttribExternalBuffers descriptor = {
        .pixel_format = VA_FOURCC_BGRX,
        .width = WIDTH,
        .height = HEIGHT,
        .data_size = fixture->buffer->size,
        .num_planes = 1,
        .pitches = { PITCH },
        .buffers = &fd,
        .num_buffers = 1,
    };
    VASurfaceID surface;
    *(guint32 *)fixture->buffer->data = 0x89abcdef;
    g_assert_cmpint(
        create(fixture, VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME, &descriptor, WIDTH, HEIGHT, &surface),
        ==, VA_STATUS_SUCCESS);
    g_assert_cmphex(first_pixel(fixture, surface), ==, 0x89abcdef);
    g_assert_cmpint(vaDestroySurfaces(fixture->display, &surface, 1), ==, VA_STATUS_SUCCESS);

    descriptor.num_buffers = 0;
    g_assert_cmpint(
        create(fixture, VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME, &descriptor, WIDTH, HEIGHT, &surface),
        !=, VA_STATUS_SUCCESS);
}

/* Luma and chroma in two dmabufs. */
static void test_two_objects(Fixture *fixture, gconstpointer data)
{
    VADRMPRIMESurfaceDescriptor *descriptor = &fixture->descriptor;
    g_autoptr(ScLabBuffer) chroma = sc_lab_buffer_new(PITCH * HEIGHT / 2);
    descriptor->fourcc = VA_FOURCC_NV12;
    descriptor->num_objects = 2;
    descriptor->objects[1] = descriptor->objects[0];
    descriptor->objects[1].fd = chroma->fd;
    descriptor->objects[1].size = chroma->size;
    descriptor->layers[0].num_planes = 2;
    descriptor->layers[0].pitch[1] = PITCH;
    descriptor->layers[0].object_index[1] = 1;
    assert_accepted(fixture);
    descriptor->layers[0].object_index[1] = 2;
    assert_refused(fixture, "object 2");
    descriptor->layers[0].object_index[1] = 0xffffffff;
    assert_refused(fixture, "object");
    descriptor->layers[0].object_index[1] = 1;
    descriptor->objects[1].drm_format_modifier = DRM_FORMAT_MOD_INVALID;
    assert_refused(fixture, "modifiers");
}

/* The kernel has one handle for one dmabuf: the first surface to go must not take it along. */
static void test_twice(Fixture *fixture, gconstpointer data)
{
    VASurfaceID first, second;
    g_assert_cmpint(import(fixture, &first), ==, VA_STATUS_SUCCESS);
    g_assert_cmpint(import(fixture, &second), ==, VA_STATUS_SUCCESS);
    g_assert_cmpint(vaDestroySurfaces(fixture->display, &first, 1), ==, VA_STATUS_SUCCESS);
    *(guint32 *)fixture->buffer->data = 0x55aa55aa;
    g_assert_cmphex(first_pixel(fixture, second), ==, 0x55aa55aa);
    g_assert_cmpint(vaDestroySurfaces(fixture->display, &second, 1), ==, VA_STATUS_SUCCESS);
    g_assert_cmpint(vaDestroySurfaces(fixture->display, &second, 1), !=, VA_STATUS_SUCCESS);
}

/* The importer's view of the memory outlives the descriptor it was given. */
static void test_closed_early(Fixture *fixture, gconstpointer data)
{
    VASurfaceID surface;
    fixture->descriptor.objects[0].fd = dup(fixture->buffer->fd);
    g_assert_cmpint(import(fixture, &surface), ==, VA_STATUS_SUCCESS);
    close(fixture->descriptor.objects[0].fd);
    *(guint32 *)fixture->buffer->data = 0x01020304;
    g_assert_cmphex(first_pixel(fixture, surface), ==, 0x01020304);
    g_assert_cmpint(vaDestroySurfaces(fixture->display, &surface, 1), ==, VA_STATUS_SUCCESS);
}

static void test_export(Fixture *fixture, gconstpointer data)
{
    VASurfaceID surface;
    VADRMPRIMESurfaceDescriptor exported;
    g_assert_cmpint(
        vaCreateSurfaces(fixture->display, VA_RT_FORMAT_YUV420, 321, 241, &surface, 1, NULL, 0), ==,
        VA_STATUS_SUCCESS);
    g_assert_cmpint(vaExportSurfaceHandle(fixture->display, surface,
                                          VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2,
                                          VA_EXPORT_SURFACE_SEPARATE_LAYERS, &exported),
                    ==, VA_STATUS_SUCCESS);
    g_assert_cmpuint(exported.num_layers, ==, 2);
    g_assert_cmphex(exported.layers[1].drm_format, ==, DRM_FORMAT_GR88);
    g_assert_cmpuint(exported.objects[0].drm_format_modifier, ==, DRM_FORMAT_MOD_LINEAR);
    g_assert_cmpint(lseek(exported.objects[0].fd, 0, SEEK_END), >=, exported.objects[0].size);
    /* And what was exported can be imported. */
    fixture->descriptor = exported;
    assert_accepted(fixture);
    close(exported.objects[0].fd);
    g_assert_cmpint(vaDestroySurfaces(fixture->display, &surface, 1), ==, VA_STATUS_SUCCESS);
}

static void test_bad_sizes(Fixture *fixture, gconstpointer data)
{
    static const guint32 bad[] = { 0, 5000, 65535, 0x7fffffff, 0xffffffff };
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        fixture->descriptor.width = bad[i];
        assert_refused(fixture, "size");
        fixture->descriptor.width = WIDTH;
        fixture->descriptor.height = bad[i];
        assert_refused(fixture, "size");
        fixture->descriptor.height = HEIGHT;
    }
    fixture->descriptor.height = HEIGHT + 1;
    fixture->descriptor.layers[0].pitch[0] = fixture->buffer->size / HEIGHT + 1;
    assert_refused(fixture, "ends behind");
    fixture->descriptor.objects[0].size = fixture->buffer->size + 4096;
    assert_refused(fixture, "said to have");
}

static void test_bad_planes(Fixture *fixture, gconstpointer data)
{
    static const guint32 bad_pitches[] = { 0, PITCH - 1, PITCH + 8, 0x7fffffff, 0xffffffff };
    for (guint i = 0; i < G_N_ELEMENTS(bad_pitches); i++) {
        fixture->descriptor.layers[0].pitch[0] = bad_pitches[i];
        assert_refused(fixture, NULL);
    }
    fixture->descriptor.layers[0].pitch[0] = PITCH;
    static const guint32 bad_offsets[] = { 4096, 0x7fffffff, 0xffffffff };
    for (guint i = 0; i < G_N_ELEMENTS(bad_offsets); i++) {
        fixture->descriptor.layers[0].offset[0] = bad_offsets[i];
        assert_refused(fixture, "ends behind");
    }
    fixture->descriptor.layers[0].offset[0] = 0;
    static const guint32 bad_counts[] = { 0, 2, 4, 5, 0xffffffff };
    for (guint i = 0; i < G_N_ELEMENTS(bad_counts); i++) {
        fixture->descriptor.layers[0].num_planes = bad_counts[i];
        assert_refused(fixture, "planes");
        fixture->descriptor.layers[0].num_planes = 1;
        if (bad_counts[i] == 2 || bad_counts[i] == 4)
            continue; /* as many objects or layers as there may be */
        fixture->descriptor.num_objects = bad_counts[i];
        assert_refused(fixture, "objects");
        fixture->descriptor.num_objects = 1;
        fixture->descriptor.num_layers = bad_counts[i];
        assert_refused(fixture, "layers");
        fixture->descriptor.num_layers = 1;
    }
    assert_accepted(fixture); /* it was only that */
}

static void test_bad_descriptors(Fixture *fixture, gconstpointer data)
{
    int *fd = &fixture->descriptor.objects[0].fd;
    *fd = -1;
    assert_refused(fixture, "Bad file descriptor");
    *fd = dup(fixture->buffer->fd);
    close(*fd);
    assert_refused(fixture, "Bad file descriptor");
    *fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_refused(fixture, "does not import");
    close(*fd);
    int ends[2];
    g_assert_cmpint(pipe(ends), ==, 0);
    *fd = ends[0];
    assert_refused(fixture, "does not import");
    close(ends[0]);
    close(ends[1]);
}

static void test_bad_formats(Fixture *fixture, gconstpointer data)
{
    static const guint32 bad[] = { 0, VA_FOURCC_P010, VA_FOURCC_I420, 0xffffffff };
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        fixture->descriptor.fourcc = bad[i];
        assert_refused(fixture, "format");
    }
    fixture->descriptor.fourcc = VA_FOURCC_BGRX;
    fixture->descriptor.objects[0].drm_format_modifier = I915_FORMAT_MOD_X_TILED;
    assert_refused(fixture, "modifier 0x100000000000001");
}

static void test_refuse_format(Fixture *fixture, gconstpointer data)
{
    assert_refused(fixture, "format");
    fixture->descriptor.fourcc = VA_FOURCC_RGBX;
    assert_accepted(fixture);
}

static void test_modifiers(Fixture *fixture, gconstpointer data)
{
    assert_refused(fixture, "modifier 0x0");
    fixture->descriptor.objects[0].drm_format_modifier = I915_FORMAT_MOD_X_TILED;
    assert_accepted(fixture);
}

static void test_pitch_align(Fixture *fixture, gconstpointer data)
{
    fixture->descriptor.height = HEIGHT / 2;
    fixture->descriptor.layers[0].pitch[0] = PITCH + 128;
    assert_refused(fixture, "not a multiple of 256");
    fixture->descriptor.layers[0].pitch[0] = PITCH + 256;
    assert_accepted(fixture);
}

static void test_height_align(Fixture *fixture, gconstpointer data)
{
    assert_refused(fixture, "no room for 256 rows");
    fixture->descriptor.height = HEIGHT / 2;
    assert_accepted(fixture);
}

static void test_refuse_imports(Fixture *fixture, gconstpointer data)
{
    /* They are counted over the life of the process: see how far that is. */
    assert_accepted(fixture);
    sc_lab_trace_read(fixture->trace);
    guint64 n =
        sc_lab_event_get_number(sc_lab_trace_find(fixture->trace, 0, "import", NULL), "number");
    g_autofree char *range =
        g_strdup_printf("%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, n + 2, n + 3);
    g_setenv("SCANCAST_VA_REFUSE_IMPORTS", range, TRUE);
    close_display(fixture);
    open_display(fixture);
    g_unsetenv("SCANCAST_VA_REFUSE_IMPORTS");
    assert_accepted(fixture);
    assert_refused(fixture, "import");
    assert_refused(fixture, "import");
    assert_accepted(fixture);
}

static void test_memory_types(Fixture *fixture, gconstpointer data)
{
    assert_refused(fixture, "memory type");
    test_prime(fixture, NULL);
}

static void test_nonsense_switch(void)
{
    static const char *const bad[] = { "PITCH_ALIGN=0",       "PITCH_ALIGN=x", "MAX_SIZE=1",
                                       "ENTRY_POINTS=slices", "LOST_AT=-1",    "LOST_AT=1-2-3",
                                       "MODIFIERS=tiled",     "ENCODE_MS=1.5" };
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_auto(GStrv) pair = g_strsplit(bad[i], "=", 2);
        g_autofree char *name = g_strconcat("SCANCAST_VA_", pair[0], NULL);
        g_setenv(name, pair[1], TRUE);
        int node = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC), major, minor;
        VADisplay display = vaGetDisplayDRM(node);
        vaSetErrorCallback(display, NULL, NULL);
        g_assert_cmpint(vaInitialize(display, &major, &minor), !=, VA_STATUS_SUCCESS);
        vaTerminate(display);
        close(node);
        g_unsetenv(name);
    }
}

int main(int argc, char **argv)
{
    sc_lab_enter(argv);
    g_test_init(&argc, &argv, NULL);
#define ADD(path, switch, function)                                                                \
    g_test_add("/va-import/" path, Fixture, switch, set_up, function, tear_down)
    ADD("prime2", NULL, test_prime2);
    ADD("prime", NULL, test_prime);
    ADD("two-objects", NULL, test_two_objects);
    ADD("twice", NULL, test_twice);
    ADD("closed-early", NULL, test_closed_early);
    ADD("export", NULL, test_export);
    ADD("bad/sizes", NULL, test_bad_sizes);
    ADD("bad/planes", NULL, test_bad_planes);
    ADD("bad/descriptors", NULL, test_bad_descriptors);
    ADD("bad/formats", NULL, test_bad_formats);
    ADD("switch/refuse-formats", "SCANCAST_VA_REFUSE_FORMATS=AR24,XR24", test_refuse_format);
    ADD("switch/modifiers", "SCANCAST_VA_MODIFIERS=0x100000000000001,implicit", test_modifiers);
    ADD("switch/pitch-align", "SCANCAST_VA_PITCH_ALIGN=256", test_pitch_align);
    ADD("switch/height-align", "SCANCAST_VA_HEIGHT_ALIGN=64", test_height_align);
    ADD("switch/refuse-imports", NULL, test_refuse_imports);
    ADD("switch/memory-types", "SCANCAST_VA_MEMORY_TYPES=prime", test_memory_types);
    g_test_add_func("/va-import/switch/nonsense", test_nonsense_switch);
    return g_test_run();
}
