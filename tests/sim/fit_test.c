/* SPDX-License-Identifier: MIT */
/*
 * The answers of plan/fit against what becomes of them: random worlds in which the guest that was asked about starts
 * and touches all that it was taken for, while the real pass balances each second.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/units.h"
#include "making.h"
#include "ours.h"
#include "plan/fit.h"

#define MIB KIB_PER_MIB
#define CRUMB_KIB MIB
#define WORLDS 1000
#define WRONG_NO_MOST (WORLDS / 20)
#define GUESTS_MOST 16
#define REST_MS 90000     /* until all is learned and at rest */
#define START_MS 3000     /* from the hook's call until the guest touches its memory */
#define STILL_MS 30000    /* it is over if no balloon has moved for so long, */
#define SETTLE_MS 3600000 /* which is at the latest */

struct trial {
	struct world w;
	struct ours o;
	struct rng r;
	struct fit fit;
	uint64_t least_kib[GUESTS_MOST]; /* what each guest must be left, by what was known of it then */
	const char *harm;                /* what became of it; NULL: nothing is wrong */
};

/* ---- worlds in which guests do as they are told and do not change their minds ---- */

/* One in eight is peculiar. */
static void make_peculiar(struct rng *r, struct nature *is)
{
	switch (rng_between(r, 0, 47)) {
	case 0:
		is->no_driver = true;
		break;
	case 1:
		is->paused = true;
		is->warm_pct = 100;
		break;
	case 2:
		is->take_kibps = rng_between(r, 32, 64) * MIB;
		break;
	case 3:
		is->no_usable = true;
		is->cache_kib = 0; /* it would count as used, until the balloon takes it */
		break;
	case 4:
		is->mute_ms = REST_MS / 2;
		break;
	case 5: /* it has surged, and is at rest again */
		is->use.peak_kib = rng_between(r, is->use.base_kib, is->current_kib);
		is->use.rise_kibps = rng_between(r, 16, 200) * MIB;
		is->use.start_ms = REST_MS / 3;
		is->use.until_ms = REST_MS / 2;
		break;
	}
}

/* The last machine is the guest that starts. */
static bool make_trial(uint64_t seed, struct trial *t)
{
	struct making m;

	assert_int_equal(making_make(seed, &m, &t->w), 0);
	if (!m.quiet || m.interval_ms != 1000 || t->w.n < 2) {
		world_free(&t->w);
		return false;
	}
	t->r.state = ~seed;
	for (size_t i = 0; i + 1 < t->w.n; i++)
		make_peculiar(&t->r, &t->w.vm[i].is);
	t->w.vm[t->w.n - 1].is.start_ms = UINT64_MAX;
	world_begin(&t->w);
	assert_int_equal(ours_open(&t->o, &t->w, 1000), 0);
	return true;
}

static uint64_t moved_kib(const struct world *w)
{
	uint64_t sum_kib = 0;

	for (size_t i = 0; i < w->n; i++)
		sum_kib += w->vm[i].tally.moved_kib;
	return sum_kib;
}

/* Passes for so long; returns earlier if no balloon has moved for still_ms (0: does not). */
static void balance_for(struct trial *t, uint64_t ms, uint64_t still_ms)
{
	uint64_t end_ms = t->w.now_ms + ms, since_ms = t->w.now_ms, was_kib = moved_kib(&t->w);

	while (t->w.now_ms < end_ms && !(still_ms && t->w.now_ms >= since_ms + still_ms)) {
		uint64_t next_ms = t->w.now_ms + 1000, is_kib;
		struct balance_report report;

		assert_int_equal(ours_pass(&t->o, &report), 0);
		balance_clear(&report);
		if (t->w.now_ms < next_ms)
			world_run(&t->w, next_ms - t->w.now_ms);
		is_kib = moved_kib(&t->w);
		since_ms = is_kib == was_kib ? since_ms : t->w.now_ms;
		was_kib = is_kib;
	}
}

/* ---- the question ---- */

static struct fit ask(struct trial *t, struct balance_report *rep, const struct device *d)
{
	struct policy_conf conf = conf_policy(&t->o.conf, host_pageable_kib(&rep->host));
	struct fairshare_item item[GUESTS_MOST];
	struct fairshare_edge edge[2 * GUESTS_MOST];
	struct policy_scratch scratch = {item, edge};
	struct fit fit;

	fit_find(&conf, &rep->host, 0, d, rep->guest, rep->n, &scratch, &fit);
	return fit;
}

/* Around what fits, where an answer is most likely to be wrong, and anywhere. */
static uint64_t choose_kib(struct rng *r, const struct fit *f)
{
	uint64_t near_kib = rng_chance(r, 50) ? f->largest_kib : f->most_kib;

	if (rng_chance(r, 40))
		near_kib = scale_u64(near_kib, rng_between(r, 80, 120), 100);
	else
		near_kib = rng_between(r, 0, 2 * f->most_kib);
	return max_u64(near_kib, 64 * MIB);
}

static struct device device_of(uint64_t kib)
{
	return (struct device){.maximum_kib = kib, .current_kib = kib, .balloon = true};
}

/* Sizes are as exact as the pass, which finds a smaller move not worth a command. */
static uint64_t least_kib(const struct trial *t, const struct guest *g)
{
	uint64_t kib = g->plan.bottom_kib;

	if (g->plan.fixed)
		return 0;
	if (t->fit.answer == FIT_YES)
		kib = max_u64(kib, sat_sub(g->plan.basic_kib, t->o.conf.tolerance_kib));
	return sat_sub(min_u64(g->sample.actual_kib, kib), CRUMB_KIB);
}

static uint64_t ask_of_any(struct trial *t)
{
	struct balance_report report;
	struct device d = device_of(MIB);
	uint64_t kib;

	assert_int_equal(ours_look(&t->o, &report), 0);
	t->fit = ask(t, &report, &d);
	kib = choose_kib(&t->r, &t->fit);
	d = device_of(kib);
	t->fit = ask(t, &report, &d);
	for (size_t i = 0; i < report.n; i++)
		t->least_kib[ours_index(&report.guest[i])] = least_kib(t, &report.guest[i]);
	balance_clear(&report);
	return kib;
}

/* ---- and what becomes of it ---- */

/* It uses all of its memory, and QEMU as much as it was taken for. */
static void start(struct trial *t, uint64_t kib)
{
	struct vm *v = &t->w.vm[t->w.n - 1];

	v->is = nature_usual(kib);
	v->is.current_kib = v->target_kib = v->from_kib = v->seen_kib = kib;
	v->is.qemu_kib = QEMU_START_KIB;
	v->is.use.base_kib = sat_sub(kib, v->is.overhead_kib + v->is.mark_kib);
	v->is.warm_pct = 100;
	v->is.start_ms = t->w.now_ms + START_MS;
	v->balloon_kib = 0;
	t->o.registry.pending_kib = t->fit.need_kib;
	balance_for(t, START_MS, 0);
	t->o.registry.pending_kib = 0;
}

static const char *find_harm(const struct trial *t, const struct balance_report *rep)
{
	int64_t crumbs_kib = 0;

	for (size_t i = 0; i < rep->n; i++) {
		const struct guest *g = &rep->guest[i];
		size_t k = ours_index(g);

		crumbs_kib += (int64_t)t->o.conf.tolerance_kib;
		if (k < t->w.n - 1 && g->sample.actual_kib < t->least_kib[k])
			return "a guest has lost too much";
	}
	return world_available_kib(&t->w) + crumbs_kib < (int64_t)t->w.reserve_kib ? "the host is below its reserve"
	                                                                           : NULL;
}

static void judge(struct trial *t)
{
	struct balance_report report;

	assert_int_equal(ours_look(&t->o, &report), 0);
	t->harm = find_harm(t, &report);
	balance_clear(&report);
}

struct score {
	unsigned given[FIT_NO + 1], wrong_yes, wrong_no;
};

static void count_answer(struct score *score, uint64_t seed, const struct trial *t, uint64_t kib)
{
	bool is_no = t->fit.answer == FIT_NO;

	score->given[t->fit.answer]++;
	score->wrong_no += is_no && !t->harm;
	if (is_no || !t->harm)
		return;
	score->wrong_yes++;
	print_message("seed %llu: %llu of %llu (%llu) MiB: %s\n", (unsigned long long)seed,
	              (unsigned long long)(kib / MIB), (unsigned long long)(t->fit.largest_kib / MIB),
	              (unsigned long long)(t->fit.most_kib / MIB), t->harm);
}

/* Returns false if there is no such world. */
static bool try_world(uint64_t seed, struct score *score)
{
	struct trial t;
	uint64_t kib;

	if (!make_trial(seed, &t))
		return false;
	balance_for(&t, REST_MS, 0);
	kib = ask_of_any(&t);
	start(&t, kib);
	balance_for(&t, SETTLE_MS, STILL_MS);
	judge(&t);
	count_answer(score, seed, &t, kib);
	ours_close(&t.o);
	world_free(&t.w);
	return true;
}

static void test_answers_come_true(void **state)
{
	struct score score = {{0}, 0, 0};
	unsigned n = 0;

	(void)state;
	for (uint64_t seed = 1; n < WORLDS; seed++)
		n += try_world(seed, &score);
	print_message("%u yes, %u only by headroom, %u no; %u wrong yes, %u wrong no\n", score.given[FIT_YES],
	              score.given[FIT_HEADROOM], score.given[FIT_NO], score.wrong_yes, score.wrong_no);
	assert_int_equal(score.wrong_yes, 0);
	assert_in_range(score.wrong_no, 0, WRONG_NO_MOST);
	for (unsigned answer = FIT_YES; answer <= FIT_NO; answer++) /* each has been tried */
		assert_in_range(score.given[answer], WORLDS / 20, WORLDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers_come_true)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
