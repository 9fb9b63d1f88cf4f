/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fence/child.h"

#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct Child {
    char *name;
    GPid pid;           /* 0 once it was waited for */
    gboolean has_ended; /* by itself */
    int status;         /* of that, as from waitpid(); 0 again when the test knows it */
    int in, out;
    GSource *source;
    GString *partial;
    GPtrArray *lines;   /* all */
    GPtrArray *untaken; /* some of them */
};

static void set_up_child(gpointer data)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(STDOUT_FILENO, STDERR_FILENO);
    signal(SIGPIPE, SIG_DFL);
}

static gboolean on_output(int fd, GIOCondition condition, gpointer data)
{
    Child *self = data;
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof(buffer));
    char *end;

    if (n <= 0) {
        if (self->pid != 0 && waitpid(self->pid, &self->status, 0) > 0) {
            self->pid = 0;
            self->has_ended = TRUE;
            g_test_message("%s has ended: 0x%x", self->name, (guint)self->status);
        }
        return G_SOURCE_REMOVE;
    }
    g_string_append_len(self->partial, buffer, n);
    while ((end = strchr(self->partial->str, '\n')) != NULL) {
        char *line = g_strndup(self->partial->str, (gsize)(end - self->partial->str));

        g_string_erase(self->partial, 0, end - self->partial->str + 1);
        g_test_message("%s: %s", self->name, line);
        g_ptr_array_add(self->lines, line);
        g_ptr_array_add(self->untaken, line);
    }
    return G_SOURCE_CONTINUE;
}

static char **collect_argv(const char *program, va_list args)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    const char *arg;

    if (g_path_is_absolute(program)) {
        g_strv_builder_add(builder, program);
    } else {
        g_autofree char *path = g_test_build_filename(G_TEST_BUILT, program, NULL);

        g_strv_builder_add(builder, path);
    }
    while ((arg = va_arg(args, const char *)) != NULL) {
        g_strv_builder_add(builder, arg);
    }
    return g_strv_builder_end(builder);
}

Child *child_new(const char *program, ...)
{
    Child *self = g_new0(Child, 1);
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) argv = NULL;
    va_list args;

    signal(SIGPIPE, SIG_IGN); /* writing to a child that has ended is an error, not our end */
    va_start(args, program);
    argv = collect_argv(program, args);
    va_end(args);
    self->name = g_path_get_basename(program);
    self->partial = g_string_new(NULL);
    self->lines = g_ptr_array_new_with_free_func(g_free);
    self->untaken = g_ptr_array_new();
    g_spawn_async_with_pipes(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH,
                             set_up_child, NULL, &self->pid, &self->in, &self->out, NULL, &error);
    g_assert_no_error(error);
    self->source = g_unix_fd_source_new(self->out, G_IO_IN | G_IO_HUP);
    g_source_set_callback(self->source, G_SOURCE_FUNC(on_output), self, NULL);
    g_source_attach(self->source, NULL);
    return self;
}

void child_signal(Child *self, int signal_number)
{
    g_assert_cmpint(self->pid, !=, 0);
    g_assert_no_errno(kill(self->pid, signal_number));
}

void child_kill(Child *self)
{
    if (self == NULL) {
        return;
    }
    self->status = 0;
    if (self->pid == 0) {
        return;
    }
    child_signal(self, SIGKILL);
    waitpid(self->pid, NULL, 0);
    self->pid = 0;
}

gboolean child_has_ended(const Child *self)
{
    return self->has_ended;
}

int child_wait(Child *self)
{
    int status;

    wait_until(self->has_ended);
    status = self->status;
    self->status = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void child_free(Child *self)
{
    if (self == NULL) {
        return;
    }
    if (self->status != 0) {
        g_error("%s has ended with wait status 0x%x", self->name, (guint)self->status);
    }
    child_kill(self);
    g_source_destroy(self->source);
    g_source_unref(self->source);
    close(self->in);
    close(self->out);
    g_string_free(self->partial, TRUE);
    g_ptr_array_unref(self->untaken);
    g_ptr_array_unref(self->lines);
    g_free(self->name);
    g_free(self);
}

static void say(Child *self, const char *format, va_list args)
{
    g_autofree char *line = g_strdup_vprintf(format, args);
    g_autofree char *with_end = g_strconcat(line, "\n", NULL);
    gsize size = strlen(with_end);

    g_test_message("-> %s: %s", self->name, line);
    g_assert_cmpint(write(self->in, with_end, size), ==, (gssize)size);
}

void child_say(Child *self, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(self, format, args);
    va_end(args);
}

void child_ask(Child *self, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(self, format, args);
    va_end(args);
    g_free(child_expect(self, "ok"));
}

char *child_take(Child *self, const char *prefix)
{
    for (guint i = 0; i < self->untaken->len; i++) {
        const char *line = self->untaken->pdata[i];

        if (g_str_has_prefix(line, prefix)) {
            g_ptr_array_remove_index(self->untaken, i);
            return g_strdup(line + strlen(prefix));
        }
    }
    return NULL;
}

char *child_expect(Child *self, const char *prefix)
{
    gint64 end = g_get_monotonic_time() + TEST_DEADLINE_US;
    char *rest;

    while ((rest = child_take(self, prefix)) == NULL) {
        if (!iterate_until(end)) {
            g_error("%s does not say '%s'", self->name, prefix);
        }
    }
    return rest;
}

void child_wait_readable(Child *self)
{
    struct pollfd waited = { .fd = self->out, .events = POLLIN };

    g_assert_cmpint(poll(&waited, 1, TEST_DEADLINE_US / 1000), ==, 1);
}

guint child_count(Child *self, const char *prefix)
{
    guint n = 0;

    for (guint i = 0; i < self->lines->len; i++) {
        n += g_str_has_prefix(self->lines->pdata[i], prefix);
    }
    return n;
}

static gboolean wake_up(gpointer data)
{
    return G_SOURCE_REMOVE;
}

gboolean iterate_until(gint64 end)
{
    g_autoptr(GSource) alarm = g_timeout_source_new(0);

    if (g_get_monotonic_time() >= end) {
        return FALSE;
    }
    g_source_set_ready_time(alarm, end);
    g_source_set_callback(alarm, wake_up, NULL, NULL);
    g_source_attach(alarm, NULL);
    g_main_context_iteration(NULL, TRUE);
    g_source_destroy(alarm);
    return TRUE;
}

void iterate_for(gint64 us)
{
    gint64 end = g_get_monotonic_time() + us;

    while (iterate_until(end)) {
    }
}

guint count_open_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    guint n = 0;

    while (g_dir_read_name(dir) != NULL) {
        n++;
    }
    return n;
}
