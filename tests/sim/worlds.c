/* SPDX-License-Identifier: MIT */
/*
 * worlds [--worlds N] [--seed S] [--first K] [--strict]: the real pass in N random worlds, the K-th first; the K-th
 * world of seed S is that of seed S + K. A world that breaks an invariant says so with its seed; worlds --seed S
 * --replay plays that one alone and shows every pass.
 */
#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "invariants.h"

#define WORLDS 10000
#define SAID_MOST 20 /* failures told in full */
#define KINDS_MOST 40

struct kind { /* of failures */
	const char *invariant;
	unsigned n;
	uint64_t seed; /* of the first */
};

struct options {
	unsigned long worlds, seed, first;
	bool replay, strict;
};

/* ---- the trace of a replay ---- */

static long mib(uint64_t kib)
{
	return (long)(kib / KIB_PER_MIB);
}

static void show_world(const struct making *m, const struct world *w)
{
	printf("seed %lu: %zu machines, a pass each %u s, %s, %s; host %ld MiB, others %ld, reserve %ld\n",
	       (unsigned long)m->seed, w->n, m->interval_ms / 1000, m->quiet ? "quiet" : "wild",
	       m->sound ? "sound" : "may harm the host by itself", mib(w->total_kib), mib(w->others.base_kib),
	       mib(w->reserve_kib));
	for (size_t i = 0; i < w->n; i++) {
		const struct nature *is = &w->vm[i].is;

		printf(
		    "  vm%-2zu %-11s max %6ld current %6ld hints %ld-%ld weight %u uses %ld-%ld overhead %ld qemu %ld "
		    "warm %u%% period %u s lie %d\n",
		    i, nature_word(is), mib(is->max_kib), mib(is->current_kib), mib(is->min_kib), mib(is->hint_max_kib),
		    is->weight, mib(is->use.base_kib), mib(is->use.peak_kib), mib(is->overhead_kib), mib(is->qemu_kib),
		    is->warm_pct, is->period_s, is->lie);
	}
}

static void show_plan(const struct world *w, const struct balance_report *p, unsigned step)
{
	const struct budget *b = &p->budget;

	printf("pass %u at %lu ms: available %ld room %ld promised %ld lent %ld capacity %ld demand %ld shortage %ld "
	       "need %ld comfort %ld spare %ld layer %d%s\n",
	       step, (unsigned long)w->now_ms, (long)(world_available_kib(w) / 1024), (long)(b->room_kib / 1024),
	       mib(b->promised_kib), mib(b->lent_kib), mib(b->capacity_kib), mib(b->demand_kib), mib(b->shortage_kib),
	       mib(b->need_kib), mib(b->comfort_kib), mib(b->spare_kib), (int)b->layer, b->least ? ", least" : "");
	for (size_t i = 0; i < p->n; i++) {
		const struct guest *g = &p->guest[i];
		const struct vm *v = &w->vm[ours_index(g)];

		printf("  %-5s %-11s actual %6ld seen %6ld rss %6ld free %6ld cache %6ld; used %6ld bottom %6ld "
		       "basic %6ld need %6ld comfort %6ld share %6ld want %6ld %s%s\n",
		       g->name, nature_word(&v->is), mib(vm_actual_kib(v)), mib(g->sample.actual_kib),
		       mib(vm_rss_kib(v)), mib(vm_free_kib(v)), mib(v->cache_kib), mib(g->est.used_kib),
		       mib(g->plan.bottom_kib), mib(g->plan.basic_kib), mib(g->plan.need_kib), mib(g->plan.comfort_kib),
		       mib(g->plan.share_kib), mib(g->plan.want_kib), reason_word(g->plan.reason),
		       g->est.predates_move ? ", blind" : "");
	}
}

static void show_commands(const struct world *w, const struct balance_report *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (balance_moved(&r->guest[i]))
			printf("  -> %s to %ld MiB, at %lu ms\n", r->guest[i].name,
			       mib(w->vm[ours_index(&r->guest[i])].target_kib), (unsigned long)w->now_ms);
}

/* ---- a world ---- */

static void play_pass(struct checker *c, bool show)
{
	struct balance_report report;

	if (!ours_look(c->ours, &report)) {
		if (show)
			show_plan(c->world, &report, c->step);
		check_plan(c, &report);
		balance_clear(&report);
	}
	if (!ours_pass(c->ours, &report)) {
		if (show)
			show_commands(c->world, &report);
		check_pass(c, &report);
		balance_clear(&report);
	}
}

static void play(struct checker *c, bool show)
{
	struct world *w = c->world;

	for (c->step = 1; c->step <= c->making->steps && !c->broken; c->step++) {
		uint64_t next_ms = w->now_ms + c->making->interval_ms;

		play_pass(c, show);
		if (w->now_ms < next_ms)
			world_run(w, next_ms - w->now_ms);
	}
	if (!c->broken)
		check_end(c);
}

/* Returns the invariant it broke, or NULL. */
static const char *try_world(uint64_t seed, const struct options *opt, bool say)
{
	struct making m;
	struct world w;
	struct ours o;
	struct checker c;

	if (making_make(seed, &m, &w) || ours_open(&o, &w, m.interval_ms < 60000 ? m.interval_ms : 0) ||
	    checker_open(&c, &m, &w, &o))
		errx(2, "out of memory");
	o.registry.pending_kib = m.pending_kib;
	o.registry.no_give = m.no_give;
	c.strict = opt->strict;
	if (opt->replay)
		show_world(&m, &w);
	play(&c, opt->replay);
	if (c.broken && say)
		printf("seed %lu pass %u: %s: %s\n", (unsigned long)seed, c.step - (c.step > m.steps), c.broken,
		       c.complaint);
	checker_close(&c);
	ours_close(&o);
	world_free(&w);
	return c.broken;
}

/* ---- all of them ---- */

static void count(struct kind *kinds, const char *invariant, uint64_t seed)
{
	size_t i = 0;

	while (i < KINDS_MOST - 1 && kinds[i].invariant && strcmp(kinds[i].invariant, invariant))
		i++;
	if (!kinds[i].n++)
		kinds[i] = (struct kind){.invariant = invariant, .n = 1, .seed = seed};
}

static unsigned try_worlds(const struct options *o)
{
	struct kind kinds[KINDS_MOST] = {{NULL, 0, 0}};
	unsigned failed = 0;

	for (unsigned long i = 0; i < o->worlds; i++) {
		uint64_t seed = o->seed + o->first + i;
		const char *broken = try_world(seed, o, failed < SAID_MOST);

		if (broken)
			count(kinds, broken, seed);
		failed += broken != NULL;
	}
	for (size_t i = 0; kinds[i].n; i++)
		printf("%u: %s (seed %lu)\n", kinds[i].n, kinds[i].invariant, (unsigned long)kinds[i].seed);
	return failed;
}

static struct options parse(int argc, char **argv)
{
	static const struct option known[] = {
	    {"worlds", required_argument, NULL, 'w'}, {"seed", required_argument, NULL, 's'},
	    {"first", required_argument, NULL, 'f'},  {"replay", no_argument, NULL, 'r'},
	    {"strict", no_argument, NULL, 't'},       {NULL, 0, NULL, 0}};
	struct options o = {.worlds = WORLDS};
	uint64_t number = 0;

	for (int opt; (opt = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (opt == '?' || (optarg && number_parse(optarg, UINT32_MAX, &number)))
			errx(2, "usage: worlds [--worlds N] [--seed S] [--first K] [--strict] [--replay]");
		if (opt == 'r' || opt == 't')
			*(opt == 'r' ? &o.replay : &o.strict) = true;
		else
			*(opt == 'w' ? &o.worlds : opt == 's' ? &o.seed : &o.first) = number;
	}
	return o;
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);
	unsigned failed;

	if (o.replay)
		return try_world(o.seed + o.first, &o, true) != NULL;
	failed = try_worlds(&o);
	printf("%lu passed, %u failed\n", o.worlds - failed, failed);
	return failed != 0;
}
