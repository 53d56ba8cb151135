/* SPDX-License-Identifier: MIT */
/*
 * bench [--guests N] [--load NAME] [--world NAME] [--controller NAME]: all fleets under all loads,
 * and all named worlds, through all controllers, and two tables of what came of it. NAME may be a
 * shell pattern. bench --check: ours alone, and fails if it became worse than it was.
 */
#include <err.h>
#include <fnmatch.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller.h"
#include "fleet.h"
#include "named.h"
#include "base/units.h"

#define CONTROLLERS_MOST 16
#define LOOK_MS 10000 /* between two looks at fairness */

static const size_t fleets[] = {8, 64, 512};

struct row {
	const char *controller;
	double starved_s, weighted_s, unmet_gib_s, short_gib_s, idle_gib_s, below_s, moved_gib, read_gib;
	double serve_s, jain; /* negative: not in time; nothing was to be shared */
	int64_t least_mib;
	uint64_t commands, kills;
};

struct options {
	unsigned long guests;
	const char *load, *world, *controller;
	bool check;
};

/* ---- one run ---- */

static double headroom_by_weight(const struct world *w, const struct vm *v)
{
	return (double)min_u64(vm_headroom_kib(v), w->target_kib) / v->is.weight;
}

/*
 * Jain's index of headroom by weight over the guests that lack some and those that have more by
 * weight than any of these: 1 where it is shared by weight, 1 / n where one of n has all. Returns
 * whether there was something to share: at least two lack some, and not all have none.
 */
static bool fairness(const struct world *w, double *ret_jain)
{
	double most = 0, sum = 0, squares = 0;
	size_t lacking = 0, n = 0;

	for (size_t i = 0; i < w->n; i++)
		if (vm_lacks(w, &w->vm[i])) {
			most = fmax(most, headroom_by_weight(w, &w->vm[i]));
			lacking++;
		}
	for (size_t i = 0; i < w->n; i++) {
		double x = headroom_by_weight(w, &w->vm[i]);

		if (!vm_lacks(w, &w->vm[i]) && x <= most)
			continue;
		sum += x;
		squares += x * x;
		n++;
	}
	if (lacking < 2 || squares <= 0)
		return false;
	*ret_jain = sum * sum / ((double)n * squares);
	return true;
}

static void add_up(const struct world *w, struct row *row)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct tally *t = &w->vm[i].tally;

		row->starved_s += (double)t->starved_ms / 1000;
		row->weighted_s += (double)t->starved_ms / 1000 * w->vm[i].is.weight / WEIGHT_DEFAULT;
		row->unmet_gib_s += (double)t->unmet_mib_ms / 1000 / 1024;
		row->short_gib_s += (double)t->short_mib_ms / 1000 / 1024;
		row->moved_gib += (double)t->moved_kib / (double)KIB_PER_GIB;
		row->read_gib += (double)t->read_kib / (double)KIB_PER_GIB;
		row->commands += t->commands;
		row->kills += t->kills;
	}
	row->idle_gib_s = (double)w->idle_mib_ms / 1000 / 1024;
	row->below_s = (double)w->below_ms / 1000;
	row->least_mib = w->least_kib / (int64_t)KIB_PER_MIB;
}

/* Seconds until the probe has what it wants; negative: not in time. */
static double serve(struct run *r)
{
	struct world *w = r->world;
	uint64_t start_ms = w->now_ms;
	const struct vm *v = &w->vm[fleet_probe(w)];
	uint64_t wish_kib = v->is.use.peak_kib;

	while (v->used_kib < wish_kib && w->now_ms < start_ms + FLEET_PROBE_MS)
		run_until(r, w->now_ms + w->tick_ms);
	return v->used_kib < wish_kib ? -1 : (double)(w->now_ms - start_ms) / 1000;
}

static struct row play(size_t guests, const struct fleet_load *load, const struct controller *c)
{
	struct row row = {.controller = c->name};
	double jain, sum = 0;
	unsigned looks = 0;
	struct world w;
	struct run r;

	if (fleet_make(guests, load, &w) || run_open(&r, c, &w))
		errx(1, "out of memory");
	while (w.now_ms < FLEET_MS) {
		run_until(&r, min_u64(w.now_ms + LOOK_MS, FLEET_MS));
		if (!fairness(&w, &jain))
			continue;
		sum += jain;
		looks++;
	}
	row.jain = looks ? sum / looks : -1;
	add_up(&w, &row);
	row.serve_s = serve(&r);
	run_close(&r);
	world_free(&w);
	return row;
}

static struct row play_named(const struct named *named, const struct controller *c)
{
	struct row row = {.controller = c->name, .serve_s = -1, .jain = -1};
	struct world w;
	struct run r;

	if (named_make(named, &w) || run_open(&r, c, &w))
		errx(1, "out of memory");
	run_until(&r, named->seconds * UINT64_C(1000));
	add_up(&w, &row);
	run_close(&r);
	world_free(&w);
	return row;
}

/* ---- the tables ---- */

static void print_head(void)
{
	printf("\n%6s %-9s %-9s %9s %9s %9s %9s %8s %9s %9s %9s %7s %6s\n", "guests", "load", "by", "starved",
	       "weighted", "unmet", "idle", "below", "least", "commands", "moved", "serve", "Jain");
	printf("%6s %-9s %-9s %9s %9s %9s %9s %8s %9s %9s %9s %7s %6s\n", "", "", "", "guest-s", "guest-s", "GiB s",
	       "GiB s", "s", "MiB", "", "GiB", "s", "");
}

static void print_row(size_t guests, const struct fleet_load *load, const struct row *r)
{
	char served[16] = "never", jain[16] = "-";

	if (r->serve_s >= 0)
		snprintf(served, sizeof(served), "%.1f", r->serve_s);
	if (r->jain >= 0)
		snprintf(jain, sizeof(jain), "%.3f", r->jain);
	printf("%6zu %-9s %-9s %9.1f %9.1f %9.1f %9.1f %8.1f %9ld %9lu %9.1f %7s %6s\n", guests, load->name,
	       r->controller, r->starved_s, r->weighted_s, r->unmet_gib_s, r->idle_gib_s, r->below_s,
	       (long)r->least_mib, (unsigned long)r->commands, r->moved_gib, served, jain);
}

static void print_named_head(void)
{
	printf("\n%-12s %-10s %6s %9s %9s %9s %9s %8s %9s %9s %9s\n", "world", "by", "kills", "starved", "lacked",
	       "disk", "idle", "below", "least", "commands", "moved");
	printf("%-12s %-10s %6s %9s %9s %9s %9s %8s %9s %9s %9s\n", "", "", "", "guest-s", "GiB s", "GiB", "GiB s", "s",
	       "MiB", "", "GiB");
}

static void print_named_row(const char *world, const struct row *r)
{
	printf("%-12s %-10s %6lu %9.1f %9.1f %9.1f %9.1f %8.1f %9ld %9lu %9.1f\n", world, r->controller,
	       (unsigned long)r->kills, r->starved_s, r->short_gib_s, r->read_gib, r->idle_gib_s, r->below_s,
	       (long)r->least_mib, (unsigned long)r->commands, r->moved_gib);
}

/* Where the first row, ours at 1 s, is worse than others that move anything; the idle row counts
 * commands too. */
static void print_losses(const struct row *rows, size_t n, bool idle)
{
	for (size_t i = 1; i < n; i++) {
		const struct row *peer = &rows[i];

		if (!strncmp(peer->controller, "ours", 4) || !strncmp(peer->controller, "needed", 6) || !peer->commands)
			continue;
		if (peer->starved_s < rows[0].starved_s)
			printf("  ! %s: %.1f guest-seconds starved instead of %.1f, unmet %.1f "
			       "instead of %.1f, %.1f s "
			       "below the "
			       "reserve\n",
			       peer->controller, peer->starved_s, rows[0].starved_s, peer->unmet_gib_s,
			       rows[0].unmet_gib_s, peer->below_s);
		if (peer->below_s < rows[0].below_s)
			printf("  ! %s: %.1f s below the reserve instead of %.1f\n", peer->controller, peer->below_s,
			       rows[0].below_s);
		if (idle && peer->commands < rows[0].commands)
			printf("  ! %s: %lu commands instead of %lu\n", peer->controller, (unsigned long)peer->commands,
			       (unsigned long)rows[0].commands);
	}
}

static void bench(size_t guests, const struct fleet_load *load, const char *only)
{
	struct row rows[CONTROLLERS_MOST];
	size_t n = 0;

	for (const struct controller *const *c = controllers; *c && n < CONTROLLERS_MOST; c++) {
		if (only && strcmp(only, (*c)->name))
			continue;
		rows[n] = play(guests, load, *c);
		print_row(guests, load, &rows[n++]);
	}
	if (!only)
		print_losses(rows, n, !strcmp(load->name, "idle"));
	fflush(stdout);
}

static void bench_named(const struct named *named, const char *only)
{
	for (const struct controller *const *c = controllers; *c; c++) {
		struct row row;

		if (only && strcmp(only, (*c)->name))
			continue;
		row = play_named(named, *c);
		print_named_row(named->name, &row);
	}
	fflush(stdout);
}

/* ---- whether ours became worse ---- */

#define MARGIN_PCT 20 /* of what was measured */
#define MARGIN_S 1.0  /* of starving besides, all guests together: ten ticks */
#define MARGIN_GIB 1.0

/* What ours-1s was measured at; the host was below its reserve in none of them. */
static const struct record {
	size_t guests;
	const char *load;
	double starved_s;
	uint64_t commands; /* 0: any number, if guests move for a reason more may be better */
	double jain;       /* 0: not looked at, all starve */
} records[] = {
    {8, "idle", 0.0, 32, 0},          {8, "ramp", 0.0, 0, 0},         {8, "burst", 1.7, 0, 0},
    {8, "cache", 0.0, 0, 0},          {8, "swap-over", 0.0, 0, 0},    {8, "short-80", 0.0, 0, 0},
    {8, "short-100", 0.0, 0, 0.96},   {8, "short-120", 3796.2, 0, 0}, {64, "idle", 0.0, 256, 0},
    {64, "ramp", 0.0, 0, 0},          {64, "burst", 8.3, 0, 0},       {64, "cache", 0.0, 0, 0},
    {64, "swap-over", 0.0, 0, 0},     {64, "short-80", 0.0, 0, 0},    {64, "short-100", 0.0, 0, 0.96},
    {64, "short-120", 26460.3, 0, 0},
};

/* What ours was measured at in the named worlds: kills of each, the rest of the worse of the loops.
 */
static const struct controller *const ours[] = {&ours_loop, &needed_loop, &ours_cron, &needed_cron};
#define LOOPS 2

static const struct claim {
	const char *world;
	uint64_t kills[4];
	double starved_s, read_gib, below_s;
} claims[] = {
    {.world = "hot-cache"},
    {.world = "hot-mapped"},
    {.world = "mid-cache", .read_gib = 445.6},
    {.world = "cache-grow", .kills = {0, 0, 1, 1}, .read_gib = 288.6},
    {.world = "big-pool"},
    {.world = "leaker", .read_gib = 71.7},
    {.world = "start-big"},
    {.world = "boot-starves", .kills = {0, 0, 1, 1}},
    {.world = "driverless"},
    {.world = "wakes-100", .read_gib = 73.7},
    {.world = "wakes-300", .read_gib = 96.4},
    {.world = "ksm", .kills = {0, 0, 1, 1}},
    {.world = "seesaw-3"},
    {.world = "seesaw-3f"},
    {.world = "seesaw-5"},
    {.world = "seesaw-20"},
    {.world = "seesaw-tight", .kills = {240, 240, 240, 240}, .starved_s = 23.6, .below_s = 594.1},
    {.world = "burst-300", .kills = {4, 0, 0, 0}},
    {.world = "burst-mid", .kills = {4, 4, 15, 15}},
    {.world = "grow-60"},
    {.world = "grow-120"},
    {.world = "grow-150", .kills = {1, 0, 0, 0}, .starved_s = 9.9},
    {.world = "grow-25"},
    {.world = "grow-10"},
    {.world = "grow-p5"},
    {.world = "grow-p10"},
    {.world = "grow-p60"},
    {.world = "grow-ad"},
    {.world = "grow-mid", .kills = {0, 0, 6, 6}},
    {.world = "grow-idle"},
    {.world = "creep"},
    {.world = "swap-in", .kills = {0, 0, 1, 1}},
    {.world = "full", .kills = {1, 1, 15, 15}},
    {.world = "full-slow", .kills = {15, 15, 15, 15}},
    {.world = "sluggish", .starved_s = 55.9, .below_s = 8.0},
    {.world = "tight", .kills = {0, 0, 2, 2}},
    {.world = "tighter", .kills = {0, 0, 2, 2}},
    {.world = "scarce", .kills = {4, 4, 4, 4}},
    {.world = "windows"},
    {.world = "windows-grow", .kills = {0, 0, 3, 3}},
};

static const struct fleet_load *find_load(const char *name)
{
	for (const struct fleet_load *load = fleet_loads; load->name; load++)
		if (!strcmp(load->name, name))
			return load;
	errx(1, "no load is named '%s'", name);
}

/* Returns whether it is no more than it may be; else says so. */
static bool is_within(const char *where, const char *what, double now, double most)
{
	if (now <= most)
		return true;
	printf("%s: %s %.1f, at most %.1f\n", where, what, now, most);
	return false;
}

static double with_margin(double was, double least)
{
	return was * (1 + MARGIN_PCT / 100.0) + least;
}

static bool check_row(const struct record *was)
{
	struct row row = play(was->guests, find_load(was->load), &ours_loop);
	char where[64];
	bool good;

	snprintf(where, sizeof(where), "%zu guests, %s", was->guests, was->load);
	good = is_within(where, "guest-seconds starved", row.starved_s, with_margin(was->starved_s, MARGIN_S));
	good &= is_within(where, "host-seconds below the reserve", row.below_s, 0);
	if (was->commands)
		good &= is_within(where, "commands", (double)row.commands, with_margin((double)was->commands, 0));
	if (was->jain > 0)
		good &= is_within(where, "unfairness in %", row.jain < 0 ? 0 : 100 * (1 - row.jain),
		                  with_margin(100 * (1 - was->jain), 0));
	return good;
}

static bool check_claim(const struct claim *was)
{
	bool good = true;

	for (size_t i = 0; i < COUNT(ours); i++) {
		struct row row = play_named(named_find(was->world), ours[i]);
		char where[64];

		snprintf(where, sizeof(where), "%s, %s", was->world, ours[i]->name);
		good &= is_within(where, "kills", (double)row.kills, with_margin((double)was->kills[i], 0));
		if (i >= LOOPS)
			continue;
		good &= is_within(where, "guest-seconds starved", row.starved_s, with_margin(was->starved_s, 0));
		good &= is_within(where, "GiB read", row.read_gib, with_margin(was->read_gib, MARGIN_GIB));
		good &= is_within(where, "host-seconds below the reserve", row.below_s, with_margin(was->below_s, 0));
	}
	return good;
}

static unsigned check(void)
{
	size_t checks = COUNT(records) + COUNT(claims);
	unsigned failed = 0;

	for (size_t i = 0; i < COUNT(records); i++)
		failed += !check_row(&records[i]);
	for (size_t i = 0; i < COUNT(claims); i++)
		failed += !check_claim(&claims[i]);
	printf("%zu passed, %u failed\n", checks - failed, failed);
	return failed;
}

static void explain(void)
{
	printf("starved: time in which a guest wanted memory that did not fit, and the same by "
	       "weight / 100; unmet: how "
	       "much;\nlacked: that, and what guests lacked of their target of headroom. kills: by "
	       "the guests' OOM killers.\n"
	       "disk: hot page cache that was lost and read again. idle: what guests had unused "
	       "beyond their target while "
	       "others lacked some.\nbelow: time in which the host was below its reserve; least: "
	       "its least memory, below 0 it swaps or "
	       "kills.\nserve: until one guest has the 1 GiB more that it wants at once.\n"
	       "Jain: how evenly headroom (free and page cache) is shared by weight among guests "
	       "that lack some of their "
	       "target, 1: exactly so,\n1/n: one has all, -: never two that lack some; where they "
	       "starve it is what their "
	       "kernels keep free.\n"
	       "!: where ours-1s is not the best.\n\n");
	for (const struct controller *const *c = controllers; *c; c++)
		printf("  %-9s %s\n", (*c)->name, (*c)->what);
	for (const struct fleet_load *load = fleet_loads; load->name; load++)
		printf("  %-9s %s\n", load->name, load->what);
	for (const struct named *named = named_worlds; named->name; named++)
		printf("  %-12s %s\n", named->name, named->what);
}

static struct options parse(int argc, char **argv)
{
	static const struct option known[] = {
	    {"guests", required_argument, NULL, 'g'}, {"load", required_argument, NULL, 'l'},
	    {"world", required_argument, NULL, 'w'},  {"controller", required_argument, NULL, 'c'},
	    {"check", no_argument, NULL, 'k'},        {NULL, 0, NULL, 0}};
	struct options o = {0};

	for (int opt; (opt = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (opt == '?')
			errx(2, "usage: bench [--guests N] [--load NAME] [--world NAME] "
			        "[--controller NAME] | --check");
		if (opt == 'k')
			o.check = true;
		else if (opt == 'g')
			o.guests = strtoul(optarg, NULL, 10);
		else
			*(opt == 'l' ? &o.load : opt == 'w' ? &o.world : &o.controller) = optarg;
	}
	return o;
}

static void bench_fleets(const struct options *o)
{
	print_head();
	for (size_t i = 0; i < COUNT(fleets); i++)
		for (const struct fleet_load *load = fleet_loads; load->name; load++)
			if ((!o->guests || o->guests == fleets[i]) && (!o->load || !fnmatch(o->load, load->name, 0)))
				bench(fleets[i], load, o->controller);
}

static void bench_worlds(const struct options *o)
{
	print_named_head();
	for (const struct named *named = named_worlds; named->name; named++)
		if (!o->world || !fnmatch(o->world, named->name, 0))
			bench_named(named, o->controller);
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);

	if (o.check)
		return check() != 0;
	explain();
	if (!o.world)
		bench_fleets(&o);
	if (!o.guests && !o.load)
		bench_worlds(&o);
	return 0;
}
