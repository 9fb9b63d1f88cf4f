/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fence/watcher.h"

#include "capture/format.h"
#include "capture/pattern.h"

#include <stdlib.h>
#include <string.h>

static Watcher *the_watcher;

static void on_state(ScSourceState state, const char *reason, gpointer data)
{
    Watcher *self = data;

    g_test_message("state %d: %s", state, reason != NULL ? reason : "");
    self->state = state;
    self->n_connected += state == SC_SOURCE_CONNECTED;
    if (reason != NULL) {
        g_ptr_array_add(self->reasons, g_strdup(reason));
    }
}

static void on_scanout(ScScanout *scanout, gpointer data)
{
    Watcher *self = data;

    g_clear_pointer(&self->scanout, sc_scanout_unref);
    self->n_scanouts += scanout != NULL;
    self->n_dark += scanout == NULL;
    if (scanout != NULL) {
        self->scanout = sc_scanout_ref(scanout);
    }
}

static void on_frame(ScFrame *frame, gpointer data)
{
    Watcher *self = data;
    ScScanout *scanout = sc_frame_get_scanout(frame);

    g_assert_true(scanout == self->scanout);
    self->n_frames++;
    self->n_awaited += sc_frame_is_awaited(frame);
    pixman_region32_copy(&self->damage, (pixman_region32_t *)sc_frame_get_damage(frame));
    if (!g_hash_table_contains(self->seen, scanout)) {
        g_hash_table_add(self->seen, sc_scanout_ref(scanout));
    }
    if (self->timeout_us > 0) {
        sc_frame_set_timeout(frame, self->timeout_us);
    }
    if (self->read) {
        guint32 number = watcher_read_number(self);

        g_array_append_val(self->numbers, number);
        sc_frame_set_taken(frame);
    }
    if (self->hold && sc_frame_is_awaited(frame)) {
        g_ptr_array_add(self->held, sc_frame_ref(frame));
    }
}

static void on_cursor_shape(ScCursor *cursor, gpointer data)
{
    Watcher *self = data;

    g_clear_pointer(&self->cursor, sc_cursor_unref);
    if (cursor != NULL) {
        self->cursor = sc_cursor_ref(cursor);
    }
}

static void on_cursor_position(int x, int y, gpointer data)
{
    Watcher *self = data;

    self->cursor_x = x;
    self->cursor_y = y;
}

static void on_pointer_mode(ScPointerMode mode, gpointer data)
{
    ((Watcher *)data)->pointer_mode = mode;
}

static void on_leds(ScLeds leds, gpointer data)
{
    ((Watcher *)data)->leds = leds;
}

/* The tests provoke warnings of the source. What is critical ends the test, except that spice-gtk
 * finds a host critical that is killed in the middle of a handshake. */
static GLogWriterOutput write_log(GLogLevelFlags level, const GLogField *fields, gsize n_fields,
                                  gpointer data)
{
    const char *domain = "";
    const char *message = "";

    for (gsize i = 0; i < n_fields; i++) {
        if (strcmp(fields[i].key, "GLIB_DOMAIN") == 0) {
            domain = fields[i].value;
        } else if (strcmp(fields[i].key, "MESSAGE") == 0) {
            message = fields[i].value;
        }
    }
    if (level == G_LOG_LEVEL_WARNING && strcmp(domain, "scancast-capture") == 0 &&
        the_watcher != NULL) {
        g_ptr_array_add(the_watcher->warnings, g_strdup(message));
        return G_LOG_WRITER_HANDLED;
    }
    g_log_writer_default(level, fields, n_fields, data);
    if ((level & G_LOG_LEVEL_CRITICAL) != 0 && strcmp(domain, "GSpice") != 0) {
        abort();
    }
    return G_LOG_WRITER_HANDLED;
}

Watcher *watcher_new_at(const char *location)
{
    static const ScSourceListener listener = {
        .state = on_state,
        .scanout = on_scanout,
        .frame = on_frame,
        .cursor_shape = on_cursor_shape,
        .cursor_position = on_cursor_position,
        .pointer_mode = on_pointer_mode,
        .leds = on_leds,
    };
    static gboolean log_is_ours;
    Watcher *self = g_new0(Watcher, 1);
    g_autoptr(GError) error = NULL;

    if (!log_is_ours) {
        g_log_set_always_fatal(G_LOG_FATAL_MASK);
        g_log_set_writer_func(write_log, NULL, NULL);
        log_is_ours = TRUE;
    }
    the_watcher = self;
    self->held = g_ptr_array_new_with_free_func((GDestroyNotify)sc_frame_unref);
    self->numbers = g_array_new(FALSE, FALSE, sizeof(guint32));
    self->seen = g_hash_table_new_full(NULL, NULL, (GDestroyNotify)sc_scanout_unref, NULL);
    self->reasons = g_ptr_array_new_with_free_func(g_free);
    self->warnings = g_ptr_array_new_with_free_func(g_free);
    self->leds = (ScLeds)-1;
    pixman_region32_init(&self->damage);
    self->source = sc_source_new(location, &listener, self, &error);
    g_assert_no_error(error);
    g_assert_true(sc_source_start(self->source, &error));
    g_assert_no_error(error);
    return self;
}

Watcher *watcher_new(const char *path)
{
    g_autofree char *location = g_strconcat("spice+unix:", path, NULL);

    return watcher_new_at(location);
}

void watcher_stop(Watcher *self)
{
    g_clear_pointer(&self->source, sc_source_free);
}

void watcher_let_go(Watcher *self)
{
    g_ptr_array_set_size(self->held, 0);
}

void watcher_free(Watcher *self)
{
    the_watcher = NULL;
    watcher_stop(self);
    g_ptr_array_unref(self->held);
    g_array_unref(self->numbers);
    g_hash_table_unref(self->seen);
    g_clear_pointer(&self->scanout, sc_scanout_unref);
    g_ptr_array_unref(self->reasons);
    g_ptr_array_unref(self->warnings);
    g_clear_pointer(&self->cursor, sc_cursor_unref);
    pixman_region32_fini(&self->damage);
    g_free(self);
}

guint32 watcher_read_number(Watcher *self)
{
    g_autoptr(GError) error = NULL;
    ScPixels pixels;
    guint32 number;

    g_assert_nonnull(self->scanout);
    g_assert_cmpuint(sc_format_bytes_per_pixel(sc_scanout_get_fourcc(self->scanout)), ==, 4);
    sc_scanout_begin_read(self->scanout, &pixels, &error);
    g_assert_no_error(error);
    number = pattern_read((const guint32 *)pixels.data, pixels.stride,
                          (int)sc_scanout_get_width(self->scanout),
                          (int)sc_scanout_get_height(self->scanout));
    sc_scanout_end_read(self->scanout);
    return number;
}

static gboolean contains(GPtrArray *strings, const char *part)
{
    for (guint i = 0; i < strings->len; i++) {
        if (strstr(strings->pdata[i], part) != NULL) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean watcher_was_told(Watcher *self, const char *part)
{
    return contains(self->reasons, part);
}

gboolean watcher_was_warned(Watcher *self, const char *part)
{
    return contains(self->warnings, part);
}

void assert_nothing_left(void)
{
    ScFlushCounts counts;

    sc_flush_get_counts(&counts);
    g_assert_cmpuint(counts.outstanding, ==, 0);
    g_assert_cmpuint(sc_frame_count_alive(), ==, 0);
}
