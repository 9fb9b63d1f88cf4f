/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rate as a table: what networks carry over time in, what becomes of the stream out. */
#include "tests/server/rate-world.h"

#define PACKET 1500 /* of a network */

#define ANY G_MAXUINT

/* One stretch of time. Viewer 0 is the one with the network that is spoken of; the others, if any,
 * have plenty. */
typedef struct {
    double seconds;
    guint kbit;       /* what its network carries; 0: it has stopped */
    guint min, max;   /* within which the rate is for the last third of the time */
    guint fps;        /* pictures a second that viewer 0 sees then, at least */
    guint others_fps; /* that the others see all the time, at least */
    guint drops;      /* packets that viewer 0 loses in that stretch, at most */
} Stretch;

static const struct {
    const char *what;
    guint viewers, fps;
    Stretch stretches[6];
} rows[] = {
    { "plenty: the ceiling, and nothing else",
      1,
      30,
      { { 20, 50000, CEILING, CEILING, 29, 0, 0 } } },
    { "enough, just", 1, 30, { { 20, 9500, CEILING, CEILING, 29, 0, 0 } } },
    { "too little from the start",
      1,
      30,
      { { 12, 4000, 2800, 4800, 27, 0, 0 }, { 60, 4000, 2800, 4800, 28, 0, 0 } } },
    { "much too little from the start",
      1,
      30,
      { { 15, 1000, 600, 1300, 25, 0, 0 }, { 60, 1000, 600, 1300, 27, 0, 0 } } },
    { "less than the floor: pictures are fewer",
      1,
      30,
      { { 30, 150, SC_RATE_FLOOR, 700, 8, 0, 0 } } },
    { "a step down, and up again",
      1,
      30,
      { { 5, 50000, CEILING, CEILING, 29, 0, 0 },
        { 10, 3000, 1900, 3600, 28, 0, 0 },
        { 30, 50000, CEILING, CEILING, 29, 0, 0 } } },
    { "a step far down, and half up again",
      1,
      30,
      { { 5, 50000, CEILING, CEILING, 29, 0, 0 },
        { 10, 800, 450, 920, 27, 0, 0 },
        { 30, 4000, 2800, 5000, 28, 0, 0 } } },
    { "saw-tooth",
      1,
      30,
      { { 10, 6000, 4200, 7200, 28, 0, 0 },
        { 10, 2000, 1300, 2300, 28, 0, 0 },
        { 30, 6000, 3500, 7200, 28, 0, 0 },
        { 10, 2000, 1300, 2300, 28, 0, 0 },
        { 30, 6000, 3500, 7200, 28, 0, 0 } } },
    { "a slow guest: the same, by what it really needs",
      1,
      10,
      { { 5, 50000, CEILING, CEILING, 9, 0, 0 },
        { 15, 1000, 1600, 5000, 9, 0, 0 },
        { 30, 50000, CEILING, CEILING, 9, 0, 0 } } },
    { "one alone that stops and goes on",
      1,
      30,
      { { 5, 50000, CEILING, CEILING, 29, 0, 0 },
        { 10, 0, CEILING, CEILING, 0, 0, 0 },
        { 5, 50000, CEILING, CEILING, 29, 0, 0 } } },
    { "one alone whose network, just enough, stands still for a while",
      1,
      30,
      { { 5, 9500, CEILING, CEILING, 29, 0, 0 },
        { 5, 0, CEILING, CEILING, 0, 0, 0 },
        { 10, 9500, CEILING, CEILING, 29, 0, 0 } } },
    { "the slower of two stops: the other one does not pay for it any longer",
      2,
      30,
      { { 20, 4000, 2800, 4800, 28, 27, ANY }, { 20, 0, CEILING, CEILING, 0, 28, ANY } } },
    { "one of two that stops and goes on more slowly",
      2,
      30,
      { { 5, 50000, CEILING, CEILING, 29, 28, 0 },
        { 10, 0, CEILING, CEILING, 0, 28, ANY },
        { 20, 4000, 2800, 4800, 28, 28, ANY } } },
    { "one of two that stops and goes on",
      2,
      30,
      { { 5, 50000, CEILING, CEILING, 29, 28, 0 },
        { 10, 0, CEILING, CEILING, 0, 28, ANY },
        { 10, 50000, CEILING, CEILING, 29, 28, ANY } } },
    { "two speeds: the slower one decides",
      2,
      30,
      { { 5, 50000, CEILING, CEILING, 29, 28, 0 },
        { 20, 4000, 2800, 4800, 28, 28, 0 },
        { 30, 50000, CEILING, CEILING, 29, 28, 0 } } },
    { "two speeds far apart: the slower one loses pictures",
      2,
      30,
      { { 5, 50000, CEILING, CEILING, 29, 28, 0 },
        { 20, 1000, CEILING, CEILING, 0, 28, ANY },
        { 20, 50000, CEILING, CEILING, 29, 28, ANY } } },
    { "16 viewers, one slower: it decides",
      16,
      30,
      { { 5, 50000, CEILING, CEILING, 29, 28, 0 }, { 20, 5000, 3500, 6000, 28, 28, 0 } } },
    { "16 viewers, one far slower: it loses pictures",
      16,
      30,
      { { 5, 50000, CEILING, CEILING, 29, 28, 0 },
        { 20, 400, CEILING, CEILING, 0, 28, ANY },
        { 15, 50000, CEILING, CEILING, 29, 28, ANY } } },
};

static guint64 get_shown_by_others(const World *world)
{
    guint64 shown = G_MAXUINT64;

    for (guint i = 1; i < world->n_sinks; i++) {
        shown = MIN(shown, world->sinks[i].shown);
    }
    return shown;
}

static void run_stretch(World *world, const Stretch *stretch)
{
    guint64 dropped = world->sinks[0].dropped;
    guint64 others = get_shown_by_others(world);
    gboolean is_coarse = world->piece > PACKET; /* then things are found out later */
    guint64 shown;

    world->sinks[0].kbit = stretch->kbit;
    world_run(world, stretch->seconds * 2 / 3);
    shown = world->sinks[0].shown;
    world_run(world, stretch->seconds / 3);
    g_test_message("%5.0f s at %6u kbit/s: rate %u to %u, %.1f fps, lost %u", stretch->seconds,
                   stretch->kbit, world->lowest, world->highest,
                   (world->sinks[0].shown - shown) * 3 / stretch->seconds,
                   (guint)(world->sinks[0].dropped - dropped));
    if (stretch->kbit > 0 || world->n_sinks > 1) {
        g_assert_cmpuint(world->lowest, >=, stretch->min * (is_coarse ? 0.8 : 1));
        g_assert_cmpuint(world->highest, <=, MIN(stretch->max * (is_coarse ? 1.5 : 1), CEILING));
    }
    g_assert_cmpfloat((world->sinks[0].shown - shown) * 3 / stretch->seconds, >=, stretch->fps);
    if (stretch->drops != ANY) {
        g_assert_cmpuint(world->sinks[0].dropped - dropped, <=,
                         stretch->drops + (is_coarse ? MAX_PACKETS : 0));
    }
    if (world->n_sinks > 1) {
        g_assert_cmpfloat((get_shown_by_others(world) - others) / stretch->seconds, >=,
                          stretch->others_fps);
    }
}

static void run_row(guint row, gboolean pauses, double piece)
{
    World world;

    g_test_message("the source %s, the network takes %.0f bytes at once",
                   pauses ? "pauses" : "goes on", piece);
    world_init(&world, rows[row].viewers);
    world.fps = rows[row].fps;
    world.pauses = pauses;
    world.piece = piece;
    for (const Stretch *stretch = rows[row].stretches; stretch->seconds > 0; stretch++) {
        run_stretch(&world, stretch);
    }
    world_clear(&world);
}

static void test_row(gconstpointer data)
{
    guint row = GPOINTER_TO_UINT(data);

    run_row(row, FALSE, PACKET);
    run_row(row, TRUE, 16384);
}

/* What a rate that was found costs to keep: a few small attempts to raise it. */
static void test_no_oscillation(void)
{
    World world;

    world_init(&world, 1);
    world.sinks[0].kbit = 3000;
    world_run(&world, 20);
    world_run(&world, 120);
    g_test_message("rate %u to %u, %u steps down, %u up", world.lowest, world.highest, world.n_down,
                   world.n_up);
    g_assert_cmpuint(world.highest, <, world.lowest * 3 / 2);
    g_assert_cmpuint(world.n_down, <=, 120 / 8);
    world_clear(&world);
}

/* How it comes down: in few steps, not far too far, and not once more while the queue shrinks. */
static void test_step_down(void)
{
    for (guint fps = 30; fps >= 15; fps -= 15) {
        World world;

        world_init(&world, 2);
        world.fps = fps;
        world_run(&world, 5);
        world.sinks[0].kbit = 4000 * fps / 30;
        world_run(&world, 6);
        g_test_message("rate %u, at least %u, %u steps down, %u up", world.kbit, world.lowest,
                       world.n_down, world.n_up);
        g_assert_cmpuint(world.n_down, <=, 2);
        g_assert_cmpuint(world.lowest, >=, 3000);
        world_clear(&world);
    }
}

/* What it really looks like: encoders come to a new rate by and by, and there are buffers which
 * take nothing before most is gone. */
static void test_lazy_encoder(void)
{
    World world;
    guint64 shown;

    world_init(&world, 1);
    world.is_lazy = TRUE;
    world.pauses = TRUE;
    world.piece = 24000;
    world_run(&world, 5);
    world.sinks[0].kbit = 1000;
    world_run(&world, 6);
    g_test_message("rate %u, at least %u, %u steps down", world.kbit, world.lowest, world.n_down);
    g_assert_cmpuint(world.lowest, >=, 850);
    shown = world.sinks[0].shown;
    world_run(&world, 60);
    g_test_message("rate %u to %u, %.1f fps", world.lowest, world.highest,
                   (double)(world.sinks[0].shown - shown) / 60);
    g_assert_cmpuint(world.highest, <=, 1500);
    world_clear(&world);
}

/* An encoder that makes more of it than it was told to. */
static void test_generous_encoder(void)
{
    World world;
    guint64 shown;

    world_init(&world, 1);
    world.generosity = 1.5;
    world.sinks[0].kbit = 3000;
    world_run(&world, 20);
    shown = world.sinks[0].shown;
    world_run(&world, 60);
    g_test_message("rate %u to %u, %.1f fps", world.lowest, world.highest,
                   (double)(world.sinks[0].shown - shown) / 60);
    g_assert_cmpuint(world.sinks[0].shown - shown, >=, 60 * 28);
    world_clear(&world);
}

/* Neither silence nor pictures that hardly change tell what a network carries. */
static void test_idle(void)
{
    World world;
    guint kbit;

    world_init(&world, 1);
    world.sinks[0].kbit = 3000;
    world_run(&world, 10);
    kbit = world.kbit;
    world.sinks[0].kbit = 50000;
    world.fps = 0;
    world_run(&world, 600);
    g_assert_cmpuint(world.kbit, ==, kbit);
    world.fps = 10;
    world.content_kbit = 100;
    world_run(&world, 60);
    g_assert_cmpuint(world.kbit, ==, kbit);
    world.fps = 30;
    world.content_kbit = G_MAXUINT;
    world_run(&world, 30);
    g_assert_cmpuint(world.kbit, ==, CEILING);
    world_clear(&world);
}

/* One picture now and then, which takes its time. */
static void test_rare_pictures(void)
{
    World world;

    world_init(&world, 1);
    world_run(&world, 5);
    world.sinks[0].kbit = 1000;
    world.fps = 1;
    world_run(&world, 2);
    world_run(&world, 30);
    g_assert_cmpuint(world.lowest, >=, 3000);
    world_clear(&world);
}

/* A network that stands still for a moment now and then. */
static void test_hiccups(void)
{
    World world;

    world_init(&world, 2);
    world_run(&world, 3);
    for (guint i = 0; i < 10; i++) {
        world.sinks[0].kbit = 0;
        world_run(&world, 0.15);
        world.sinks[0].kbit = 50000;
        world_run(&world, 3);
        g_assert_cmpuint(world.lowest, >=, CEILING / 2);
    }
    g_assert_cmpuint(world.sinks[0].dropped, ==, 0);
    world_clear(&world);
}

/* The others' rate is nobody's business who comes when they are gone. */
static void test_replaced_viewer(void)
{
    World world;

    world_init(&world, 1);
    world.sinks[0].kbit = 1000;
    world_run(&world, 10);
    g_assert_cmpuint(world.kbit, <, 1100);
    world.n_sinks = 0;
    world_add_sink(&world, 50000);
    world_run(&world, 1);
    g_assert_cmpuint(world.kbit, ==, CEILING);
    world_clear(&world);
}

/* A slow viewer that leaves gives the others back what it took at once. */
static void test_slow_viewer_leaves(void)
{
    World world;

    world_init(&world, 2);
    world.sinks[0].kbit = 3000;
    world_run(&world, 20);
    g_assert_cmpuint(world.kbit, <, 3100);
    world.sinks[0] = world.sinks[1];
    world.n_sinks = 1;
    world_run(&world, 6);
    g_assert_cmpuint(world.kbit, ==, CEILING);
    world_clear(&world);
}

/* The flag goes to the right viewer, and away again. */
static void test_far_below(void)
{
    World world;

    world_init(&world, 5);
    world.sinks[0].kbit = 500;
    world_run(&world, 10);
    for (guint i = 0; i < world.n_sinks; i++) {
        g_assert_cmpint(world.is_far_below[i], ==, i == 0);
    }
    world.sinks[0].kbit = 50000;
    world_run(&world, 10);
    g_assert_false(world.is_far_below[0]);
    /* If that is what most have, it is not far below. */
    for (guint i = 0; i < 4; i++) {
        world.sinks[i].kbit = 1000;
    }
    world_run(&world, 20);
    for (guint i = 0; i < world.n_sinks; i++) {
        g_assert_false(world.is_far_below[i]);
    }
    g_assert_cmpuint(world.kbit, <, 1100);
    world_clear(&world);
}

/* A buffer that is emptied all at once: no picture is late for long, but every second one comes
 * only after nobody had room. What got through in all that time is what the network carries. */
static void test_held_up(void)
{
    g_autoptr(ScRate) rate = sc_rate_new(CEILING, MAX_FPS);
    ScRateViewer viewer = { .id = 1 };
    ScRateInput input = { .now = 1, .size = 15000, .viewers = &viewer, .n_viewers = 1 };
    guint kbit = CEILING;

    for (guint i = 0; i < 20 && kbit == CEILING; i++) {
        kbit = sc_rate_update(rate, &input);
        input.now += 50 * MS;
        input.offered++;
        input.may_have_paused = i % 2 == 0;
        viewer.packets++;
        viewer.bytes += input.size;
        viewer.service += 20 * MS;
        viewer.delay += 30 * MS;
    }
    g_assert_cmpuint(kbit, <, 15000 * 20 * 8 / 1000);
    g_assert_cmpuint(kbit, >, 15000 * 20 * 8 / 1000 * 3 / 4);
}

static void test_low_ceiling(void)
{
    g_autoptr(ScRate) rate = sc_rate_new(100, 1);
    ScRateInput input = { .now = 1, .size = 100000 };

    g_assert_cmpuint(sc_rate_update(rate, &input), ==, 100);
    input.now = 2;
    g_assert_cmpuint(sc_rate_update(rate, &input), ==, 100);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *path = g_strdup_printf("/rate/table/%s", rows[i].what);

        g_test_add_data_func(path, GUINT_TO_POINTER(i), test_row);
    }
    g_test_add_func("/rate/step-down", test_step_down);
    g_test_add_func("/rate/lazy-encoder", test_lazy_encoder);
    g_test_add_func("/rate/generous-encoder", test_generous_encoder);
    g_test_add_func("/rate/no-oscillation", test_no_oscillation);
    g_test_add_func("/rate/idle", test_idle);
    g_test_add_func("/rate/rare-pictures", test_rare_pictures);
    g_test_add_func("/rate/hiccups", test_hiccups);
    g_test_add_func("/rate/replaced-viewer", test_replaced_viewer);
    g_test_add_func("/rate/slow-viewer-leaves", test_slow_viewer_leaves);
    g_test_add_func("/rate/far-below", test_far_below);
    g_test_add_func("/rate/held-up", test_held_up);
    g_test_add_func("/rate/low-ceiling", test_low_ceiling);
    return g_test_run();
}
