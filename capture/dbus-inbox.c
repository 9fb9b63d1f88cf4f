/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/dbus-inbox.h"

#include "capture/damage.h"
#include "capture/dbus-display1.h"
#include "capture/error.h"
#include "capture/format.h"

#include <string.h>

#define LISTENER_PATH "/org/qemu/Display1/Listener"

/* More unanswered draws than any VMM has (QEMU waits after each refresh): the older ones are
 * answered. */
#define MAX_DMABUF_UPDATES 256

/* What a VMM may have queued, bytes and pictures. It has less than one picture unless it draws
 * faster than the pictures can be carried away. */
#define MAX_BACKLOG (32 * 1024 * 1024)
#define MAX_BACKLOG_PICTURES 4

#define N_INTERFACES 3

struct ScDbusInbox {
    gatomicrefcount ref_count; /* the owner's, and one for GDBus's thread */
    void (*func)(gpointer data);
    gpointer data;
    GSource *source; /* ready when there is news */

    GDBusConnection *connection;
    guint filter;
    guint objects[N_INTERFACES];

    GMutex mutex; /* of the rest */
    gboolean closed;
    ScDbusNews news;
    guint8 *changes;      /* what is in news.changes.bytes */
    ScDbusPixels current; /* without bytes: what changes are changes of; width 0: of nothing */

    gboolean watches_queue;
    guint64 received;  /* bytes of pixels */
    guint32 marker;    /* the serial of our call to the VMM; 0: it was answered */
    guint64 marked_at; /* what was received when it was sent */
};

/* ---- news ------------------------------------------------------------------------------- */

static void news_init(ScDbusNews *news)
{
    memset(news, 0, sizeof(*news));
    pixman_region32_init(&news->changed);
    pixman_region32_init(&news->map_damage);
    pixman_region32_init(&news->dmabuf_damage);
    news->dmabuf_updates = g_ptr_array_new_with_free_func(g_object_unref);
}

void sc_dbus_news_clear(ScDbusNews *news)
{
    g_clear_pointer(&news->pixels.bytes, g_bytes_unref);
    g_clear_pointer(&news->changes.bytes, g_bytes_unref);
    g_clear_error(&news->error);
    g_clear_error(&news->changes_error);
    g_clear_object(&news->scanout);
    g_clear_object(&news->cursor);
    g_clear_object(&news->mouse);
    g_clear_pointer(&news->dmabuf_updates, g_ptr_array_unref);
    pixman_region32_fini(&news->changed);
    pixman_region32_fini(&news->map_damage);
    pixman_region32_fini(&news->dmabuf_damage);
}

void sc_dbus_answer(GDBusConnection *connection, GDBusMessage *call, const GError *error)
{
    g_autoptr(GDBusMessage) answer = NULL;

    if (g_dbus_message_get_flags(call) & G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED) {
        return;
    }
    answer = error == NULL ? g_dbus_message_new_method_reply(call)
                           : g_dbus_message_new_method_error_literal(
                                 call, "org.freedesktop.DBus.Error.Failed", error->message);
    g_dbus_connection_send_message(connection, answer, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL, NULL);
}

/* ---- the VMM's queue (GDBus's thread, locked) --------------------------------------------- */

/* Any call will do: where it is not known the answer is an error, behind what is queued, too. */
static void send_marker(ScDbusInbox *self)
{
    g_autoptr(GDBusMessage) call =
        g_dbus_message_new_method_call(NULL, "/", "org.freedesktop.DBus.Peer", "Ping");

    self->marked_at = self->received;
    g_dbus_connection_send_message(self->connection, call, G_DBUS_SEND_MESSAGE_FLAGS_NONE,
                                   &self->marker, NULL);
}

static void measure_backlog(ScDbusInbox *self, const ScDbusPixels *pixels)
{
    guint64 picture = (guint64)self->current.width * self->current.height *
                      sc_format_bytes_per_pixel(self->current.fourcc);

    self->received += g_bytes_get_size(pixels->bytes);
    if (!self->watches_queue) {
        return;
    }
    if (self->marker == 0) {
        send_marker(self);
    } else if (self->received - self->marked_at >
               MAX(MAX_BACKLOG, MAX_BACKLOG_PICTURES * picture)) {
        self->news.is_flooded = TRUE;
    }
}

static gboolean take_answer(ScDbusInbox *self, GDBusMessage *answer)
{
    GDBusMessageType type = g_dbus_message_get_message_type(answer);
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&self->mutex);

    if ((type != G_DBUS_MESSAGE_TYPE_METHOD_RETURN && type != G_DBUS_MESSAGE_TYPE_ERROR) ||
        self->marker == 0 || g_dbus_message_get_reply_serial(answer) != self->marker) {
        return FALSE;
    }
    self->marker = 0;
    return TRUE;
}

/* ---- what calls do to the news (GDBus's thread, locked) ---------------------------------- */

/* A new scanout: nothing of what was before it matters any more, but callers who wait. */
static void begin_scanout(ScDbusInbox *self, ScDbusKind kind)
{
    ScDbusNews *news = &self->news;

    if (news->scanout != NULL) {
        sc_dbus_answer(self->connection, news->scanout, NULL);
        g_clear_object(&news->scanout);
    }
    for (guint i = 0; i < news->dmabuf_updates->len; i++) {
        sc_dbus_answer(self->connection, news->dmabuf_updates->pdata[i], NULL);
    }
    g_ptr_array_set_size(news->dmabuf_updates, 0);
    g_clear_pointer(&news->pixels.bytes, g_bytes_unref);
    g_clear_pointer(&news->changes.bytes, g_bytes_unref);
    g_clear_error(&news->error);
    pixman_region32_clear(&news->changed);
    pixman_region32_clear(&news->map_damage);
    pixman_region32_clear(&news->dmabuf_damage);
    news->was_disabled = FALSE;
    news->is_disabled = FALSE;
    news->kind = kind;
    self->current.width = 0;
}

static void begin_change(ScDbusInbox *self)
{
    self->news.was_disabled |= self->news.is_disabled;
    self->news.is_disabled = FALSE;
}

static gboolean check_pixels(const ScDbusPixels *pixels, guint32 format, GError **error)
{
    if (pixels->fourcc == 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "pixman's format 0x%x is not supported",
                    format);
        return FALSE;
    }
    return sc_format_check_layout(pixels->fourcc, pixels->width, pixels->height, pixels->stride, 0,
                                  g_bytes_get_size(pixels->bytes), error);
}

static void take_scanout(ScDbusInbox *self, GDBusMessage *call, GVariant *body)
{
    ScDbusPixels *pixels = &self->news.pixels;
    g_autoptr(GVariant) data = NULL;
    guint32 format;

    begin_scanout(self, SC_DBUS_PIXELS);
    g_variant_get(body, "(uuuu@ay)", &pixels->width, &pixels->height, &pixels->stride, &format,
                  &data);
    pixels->fourcc = sc_format_from_pixman(format);
    pixels->bytes = g_variant_get_data_as_bytes(data);
    if (!check_pixels(pixels, format, &self->news.error)) {
        g_clear_pointer(&pixels->bytes, g_bytes_unref);
    } else {
        self->current = *pixels;
        self->current.bytes = NULL;
        measure_backlog(self, pixels);
    }
    sc_dbus_answer(self->connection, call, NULL);
}

/* A picture for changes; what is not changed in it costs no memory, as nobody touches it. */
static void make_changes(ScDbusInbox *self)
{
    ScDbusPixels *changes = &self->news.changes;
    gsize size;

    if (changes->bytes != NULL) {
        return;
    }
    *changes = self->current;
    changes->stride = changes->width * sc_format_bytes_per_pixel(changes->fourcc);
    size = (gsize)changes->stride * changes->height;
    self->changes = g_malloc(size);
    changes->bytes = g_bytes_new_take(self->changes, size);
}

static void draw_change(ScDbusInbox *self, const ScDbusPixels *change, guint x, guint y)
{
    const ScDbusPixels *changes = &self->news.changes;
    guint bytes_per_pixel = sc_format_bytes_per_pixel(change->fourcc);
    const guint8 *from = g_bytes_get_data(change->bytes, NULL);
    guint8 *to;

    make_changes(self);
    to = self->changes + (gsize)y * changes->stride + (gsize)x * bytes_per_pixel;
    for (guint row = 0; row < change->height; row++) {
        memcpy(to, from, (gsize)change->width * bytes_per_pixel);
        from += change->stride;
        to += changes->stride;
    }
    pixman_region32_union_rect(&self->news.changed, &self->news.changed, (int)x, (int)y,
                               change->width, change->height);
}

static gboolean is_inside(gint32 position, gint32 size, guint32 whole)
{
    return position >= 0 && size > 0 && (gint64)position + size <= whole;
}

static void take_update(ScDbusInbox *self, GDBusMessage *call, GVariant *body)
{
    const ScDbusPixels *current = &self->current;
    g_autoptr(GVariant) data = NULL;
    g_autoptr(GError) error = NULL;
    ScDbusPixels change = { 0 };
    gint32 x, y, width, height;
    guint32 format;

    sc_dbus_answer(self->connection, call, NULL);
    if (current->width == 0) {
        return; /* of a picture that cannot be used, or of none */
    }
    g_variant_get(body, "(iiiiuu@ay)", &x, &y, &width, &height, &change.stride, &format, &data);
    change.fourcc = sc_format_from_pixman(format);
    change.bytes = g_variant_get_data_as_bytes(data);
    if (!is_inside(x, width, current->width) || !is_inside(y, height, current->height) ||
        change.fourcc != current->fourcc) {
        g_set_error(&error, SC_ERROR, SC_ERROR_INVALID,
                    "%d,%d %dx%d of format 0x%x do not belong to a picture of %ux%u", x, y, width,
                    height, format, current->width, current->height);
    } else {
        change.width = (guint32)width;
        change.height = (guint32)height;
        if (check_pixels(&change, format, &error)) {
            begin_change(self);
            draw_change(self, &change, (guint)x, (guint)y);
            measure_backlog(self, &change);
        }
    }
    if (error != NULL && self->news.changes_error == NULL) {
        self->news.changes_error = g_steal_pointer(&error);
    }
    g_bytes_unref(change.bytes);
}

static void take_dmabuf(ScDbusInbox *self, GDBusMessage *call, GVariant *body)
{
    begin_scanout(self, SC_DBUS_DMABUF);
    self->news.scanout = g_object_ref(call);
}

static void take_map(ScDbusInbox *self, GDBusMessage *call, GVariant *body)
{
    begin_scanout(self, SC_DBUS_MAP);
    self->news.scanout = g_object_ref(call);
}

static void add_damage(pixman_region32_t *damage, GVariant *body)
{
    gint32 x, y, width, height;

    g_variant_get(body, "(iiii)", &x, &y, &width, &height);
    sc_damage_add(damage, x, y, width, height, SC_MAX_DIMENSION, SC_MAX_DIMENSION);
}

static void take_update_dmabuf(ScDbusInbox *self, GDBusMessage *call, GVariant *body)
{
    GPtrArray *updates = self->news.dmabuf_updates;

    begin_change(self);
    add_damage(&self->news.dmabuf_damage, body);
    if (updates->len == MAX_DMABUF_UPDATES) {
        sc_dbus_answer(self->connection, updates->pdata[0], NULL);
        g_ptr_array_remove_index(updates, 0);
    }
    g_ptr_array_add(updates, g_object_ref(call));
}

static void take_update_map(ScDbusInbox *self, GDBusMessage *call, GVariant *body)
{
    begin_change(self);
    add_damage(&self->news.map_damage, body);
    sc_dbus_answer(self->connection, call, NULL);
}

static void take_disable(ScDbusInbox *self, GDBusMessage *call, GVariant *body)
{
    self->news.is_disabled = TRUE;
    sc_dbus_answer(self->connection, call, NULL);
}

static void take_cursor(ScDbusInbox *self, GDBusMessage *call, GVariant *body)
{
    g_set_object(&self->news.cursor, call);
    sc_dbus_answer(self->connection, call, NULL);
}

static void take_mouse(ScDbusInbox *self, GDBusMessage *call, GVariant *body)
{
    g_set_object(&self->news.mouse, call);
    sc_dbus_answer(self->connection, call, NULL);
}

/* ---- calls (GDBus's thread) -------------------------------------------------------------- */

static const GDBusInterfaceInfo *const interfaces[N_INTERFACES] = {
    &org_qemu_display1_listener_interface,
    &org_qemu_display1_listener_unix_map_interface,
    &org_qemu_display1_listener_unix_scanout_dmabuf2_interface,
};

static const struct {
    const char *method;
    void (*take)(ScDbusInbox *self, GDBusMessage *call, GVariant *body);
} handlers[] = {
    { "Scanout", take_scanout },
    { "Update", take_update },
    { "ScanoutDMABUF", take_dmabuf },
    { "ScanoutDMABUF2", take_dmabuf },
    { "UpdateDMABUF", take_update_dmabuf },
    { "ScanoutMap", take_map },
    { "UpdateMap", take_update_map },
    { "Disable", take_disable },
    { "CursorDefine", take_cursor },
    { "MouseSet", take_mouse },
};

static gboolean has_signature(const GDBusMethodInfo *method, const char *signature)
{
    for (guint i = 0; method->in_args != NULL && method->in_args[i] != NULL; i++) {
        const char *type = method->in_args[i]->signature;

        if (!g_str_has_prefix(signature, type)) {
            return FALSE;
        }
        signature += strlen(type);
    }
    return *signature == '\0';
}

/* Whether @call is one of ours and has the arguments it should have. */
static gboolean is_known_call(GDBusMessage *call)
{
    const char *interface = g_dbus_message_get_interface(call);
    const char *method = g_dbus_message_get_member(call);

    if (g_dbus_message_get_message_type(call) != G_DBUS_MESSAGE_TYPE_METHOD_CALL ||
        g_strcmp0(g_dbus_message_get_path(call), LISTENER_PATH) != 0) {
        return FALSE;
    }
    for (guint i = 0; i < N_INTERFACES; i++) {
        if (g_strcmp0(interfaces[i]->name, interface) == 0) {
            const GDBusMethodInfo *info =
                g_dbus_interface_info_lookup_method((GDBusInterfaceInfo *)interfaces[i], method);

            return info != NULL && has_signature(info, g_dbus_message_get_signature(call));
        }
    }
    return FALSE;
}

static gboolean take_call(ScDbusInbox *self, GDBusMessage *call)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&self->mutex);

    for (gsize i = 0; i < G_N_ELEMENTS(handlers) && !self->closed; i++) {
        if (strcmp(handlers[i].method, g_dbus_message_get_member(call)) == 0) {
            handlers[i].take(self, call, g_dbus_message_get_body(call));
            g_source_set_ready_time(self->source, 0);
            return TRUE;
        }
    }
    return FALSE;
}

/* What is not known GDBus refuses, and answers itself what else is asked of the object. */
static GDBusMessage *filter_message(GDBusConnection *connection, GDBusMessage *message,
                                    gboolean is_incoming, gpointer data)
{
    if (is_incoming &&
        ((is_known_call(message) && take_call(data, message)) || take_answer(data, message))) {
        g_object_unref(message);
        return NULL;
    }
    return message;
}

/* ---- the owner's side -------------------------------------------------------------------- */

static gboolean dispatch_news(GSource *source, GSourceFunc callback, gpointer data)
{
    g_source_set_ready_time(source, -1);
    return callback(data);
}

static gboolean tell_news(gpointer data)
{
    ScDbusInbox *self = data;

    self->func(self->data);
    return G_SOURCE_CONTINUE;
}

ScDbusInbox *sc_dbus_inbox_new(gboolean watches_queue, void (*func)(gpointer data), gpointer data)
{
    static GSourceFuncs funcs = { .dispatch = dispatch_news };
    ScDbusInbox *self = g_new0(ScDbusInbox, 1);

    g_atomic_ref_count_init(&self->ref_count);
    g_mutex_init(&self->mutex);
    self->watches_queue = watches_queue;
    self->func = func;
    self->data = data;
    news_init(&self->news);
    self->source = g_source_new(&funcs, sizeof(GSource));
    g_source_set_callback(self->source, tell_news, self, NULL);
    g_source_attach(self->source, g_main_context_get_thread_default());
    return self;
}

static void inbox_unref(gpointer data)
{
    ScDbusInbox *self = data;

    if (!g_atomic_ref_count_dec(&self->ref_count)) {
        return;
    }
    sc_dbus_news_clear(&self->news);
    g_source_unref(self->source);
    g_clear_object(&self->connection);
    g_mutex_clear(&self->mutex);
    g_free(self);
}

static GVariant *get_property(GDBusConnection *connection, const char *sender, const char *path,
                              const char *interface, const char *property, GError **error,
                              gpointer data)
{
    const char *names[] = { interfaces[1]->name, interfaces[2]->name };

    return g_variant_new_strv(names, G_N_ELEMENTS(names));
}

gboolean sc_dbus_inbox_attach(ScDbusInbox *self, GDBusConnection *connection, GError **error)
{
    static const GDBusInterfaceVTable vtable = { .get_property = get_property };

    self->connection = g_object_ref(connection);
    g_atomic_ref_count_inc(&self->ref_count);
    self->filter = g_dbus_connection_add_filter(connection, filter_message, self, inbox_unref);
    for (guint i = 0; i < N_INTERFACES; i++) {
        self->objects[i] = g_dbus_connection_register_object(connection, LISTENER_PATH,
                                                             (GDBusInterfaceInfo *)interfaces[i],
                                                             &vtable, NULL, NULL, error);
        if (self->objects[i] == 0) {
            return FALSE;
        }
    }
    return TRUE;
}

void sc_dbus_inbox_take(ScDbusInbox *self, ScDbusNews *news)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&self->mutex);

    *news = self->news;
    news_init(&self->news);
}

void sc_dbus_inbox_free(ScDbusInbox *self)
{
    if (self == NULL) {
        return;
    }
    g_source_destroy(self->source);
    g_mutex_lock(&self->mutex);
    self->closed = TRUE;
    g_mutex_unlock(&self->mutex);
    if (self->connection != NULL) {
        for (guint i = 0; i < N_INTERFACES; i++) {
            if (self->objects[i] != 0) {
                g_dbus_connection_unregister_object(self->connection, self->objects[i]);
            }
        }
        g_dbus_connection_remove_filter(self->connection, self->filter);
    }
    inbox_unref(self);
}
