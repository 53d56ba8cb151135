/* SPDX-License-Identifier: MIT */
#include "making.h"

#include <errno.h>

#include "base/units.h"
#include "ours.h"

#define MIB KIB_PER_MIB
#define CRON_PCT 15 /* of the worlds are looked at once a minute */
#define QUIET_PCT 25

/* Many small numbers, few large ones: each doubling is as likely. */
static uint64_t skewed(struct rng *r, uint64_t lo, uint64_t hi)
{
	uint64_t top = lo;

	while (2 * top < hi && rng_chance(r, 70))
		top *= 2;
	return rng_between(r, top, min_u64(2 * top, hi));
}

/* ---- peculiarities, each drawn on top of good manners ---- */

static void make_slow(struct rng *r, struct nature *is)
{
	is->take_kibps = skewed(r, MIB, 64 * MIB);
	is->give_kibps = is->take_kibps * rng_between(r, 1, 8);
}

static void make_sticky(struct rng *r, struct nature *is)
{
	is->puff_kib = rng_between(r, 10, 400) * MIB;
}

static void make_refusing(struct rng *r, struct nature *is)
{
	is->least_kib = rng_between(r, is->current_kib / 2, is->max_kib);
}

static void make_half_obedient(struct rng *r, struct nature *is)
{
	is->obeys_pct = (uint32_t)rng_between(r, 10, 90);
}

static void make_dead(struct rng *r, struct nature *is)
{
	is->stops_ms = rng_between(r, 1, 40000);
}

static void make_liar(struct rng *r, struct nature *is)
{
	is->lie = (enum lie)rng_between(r, 1, LIE_COUNT - 1);
}

static void make_caching(struct rng *r, struct nature *is)
{
	is->cache_kib = rng_between(r, 0, is->max_kib);
	is->cache_kibps = skewed(r, MIB, 500 * MIB);
}

static void make_bursting(struct rng *r, struct nature *is)
{
	is->use.peak_kib = rng_between(r, is->use.base_kib, is->max_kib);
	is->use.rise_kibps = skewed(r, 100 * MIB, 4000 * MIB);
	is->use.start_ms = rng_between(r, 0, 20000);
	is->use.until_ms = is->use.start_ms + rng_between(r, 1000, 20000);
	is->use.every_ms = is->use.until_ms + rng_between(r, 0, 20000);
}

static void make_growing(struct rng *r, struct nature *is)
{
	is->use.peak_kib = rng_between(r, is->use.base_kib, is->max_kib);
	is->use.rise_kibps = skewed(r, MIB, 200 * MIB);
	is->use.start_ms = rng_between(r, 0, 20000);
	is->use.until_ms = rng_chance(r, 50) ? is->use.start_ms + rng_between(r, 5000, 60000) : 0;
}

static void make_leaking(struct rng *r, struct nature *is)
{
	is->use.peak_kib = is->max_kib;
	is->use.rise_kibps = rng_between(r, 100, 4 * MIB);
}

static void make_rebooting(struct rng *r, struct nature *is)
{
	is->reboot_ms = rng_between(r, 1, 40000);
	is->boot_ms = rng_between(r, 0, 20000);
}

static void make_starting(struct rng *r, struct nature *is)
{
	is->start_ms = rng_between(r, 1, 40000);
	is->boot_ms = rng_between(r, 0, 20000);
}

static void make_driverless(struct rng *r, struct nature *is)
{
	(void)r;
	is->no_driver = true;
}

static void make_autodeflate(struct rng *r, struct nature *is)
{
	is->autodeflate = true;
	is->no_usable = rng_chance(r, 30);
}

static void make_thrashing(struct rng *r, struct nature *is)
{
	is->thrash_below_kib = rng_between(r, is->current_kib, is->max_kib);
	is->swap_kib = is->max_kib / 2;
}

static void make_mute(struct rng *r, struct nature *is)
{
	is->mute_ms = rng_between(r, 1, 40000);
}

static void make_paused(struct rng *r, struct nature *is)
{
	(void)r;
	is->paused = true;
}

static void make_without_usable(struct rng *r, struct nature *is)
{
	(void)r;
	is->no_usable = true;
}

static const struct {
	void (*make)(struct rng *r, struct nature *is);
	bool unsound; /* it may touch what no one gave it */
} peculiar[] = {
    {make_slow, false},       {make_sticky, false},         {make_refusing, false},  {make_half_obedient, false},
    {make_dead, false},       {make_liar, false},           {make_caching, false},   {make_bursting, false},
    {make_growing, false},    {make_leaking, false},        {make_rebooting, true},  {make_starting, true},
    {make_driverless, false}, {make_autodeflate, true},     {make_thrashing, false}, {make_mute, false},
    {make_paused, false},     {make_without_usable, false},
};

#define PECULIAR (sizeof(peculiar) / sizeof(*peculiar))

const char *nature_word(const struct nature *is)
{
	const struct {
		bool holds;
		const char *word;
	} rows[] = {
	    {is->lie != LIE_NONE, "lies"},
	    {is->stops_ms, "dies"},
	    {is->no_driver, "driverless"},
	    {is->start_ms, "starts"},
	    {is->reboot_ms, "reboots"},
	    {is->autodeflate, "autodeflate"},
	    {is->mute_ms, "mute"},
	    {is->paused, "paused"},
	    {is->thrash_below_kib, "thrashes"},
	    {is->puff_kib, "sticky"},
	    {is->least_kib, "refuses"},
	    {is->obeys_pct < 100, "half"},
	    {is->take_kibps < 64 * MIB, "slow"},
	    {is->use.peak_kib, "grows"},
	    {is->cache_kib, "caches"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].holds)
			return rows[i].word;
	return "plain";
}

/* ---- machines ---- */

static void make_hints(struct rng *r, struct nature *is)
{
	is->weight = rng_chance(r, 50) ? 0 : (uint32_t)skewed(r, 1, 10000);
	if (rng_chance(r, 15))
		is->min_kib = rng_between(r, is->max_kib / 16, is->max_kib);
	if (rng_chance(r, 15))
		is->hint_max_kib = rng_between(r, max_u64(is->min_kib, is->max_kib / 4), is->max_kib);
}

static struct nature make_plain(struct rng *r, const struct making *m)
{
	struct nature is = nature_usual(skewed(r, 128, 32768) * MIB);

	is.current_kib = rng_between(r, is.max_kib / 3, is.max_kib);
	is.use.base_kib = rng_between(r, 0, sat_sub(is.current_kib, is.overhead_kib + is.mark_kib));
	is.period_s = rng_chance(r, 70) ? 1 : (uint32_t)rng_between(r, 1, 10);
	is.phase_ms = (uint32_t)rng_between(r, 0, 999);
	is.warm_pct = (uint32_t)rng_between(r, 0, 100);
	is.pages = (enum pages)rng_between(r, PAGES_MIXED, PAGES_COLD);
	is.qemu_kib = m->bare ? QEMU_USUAL_KIB : rng_between(r, 5, 120) * MIB;
	is.take_kibps = rng_between(r, 400, 2000) * MIB;
	is.give_kibps = is.take_kibps * rng_between(r, 1, 4);
	make_hints(r, &is);
	return is;
}

static struct nature make_machine(struct rng *r, struct making *m)
{
	struct nature is = make_plain(r, m);

	if (m->quiet) {
		if (rng_chance(r, 25))
			is.cache_kib = rng_between(r, 0, is.max_kib), is.cache_kibps = UINT64_MAX / 1000;
		return is;
	}
	if (m->greedy && rng_chance(r, 60))
		(rng_chance(r, 50) ? make_growing : make_bursting)(r, &is);
	for (unsigned traits = (unsigned)rng_between(r, 0, 2); traits; traits--) {
		size_t i = rng_between(r, 0, PECULIAR - 1);

		peculiar[i].make(r, &is);
		m->sound &= !peculiar[i].unsound;
	}
	if (is.no_driver || is.lie) /* it counts with what it may touch at once, and grows beyond that */
		m->sound &= !is.use.peak_kib;
	return is;
}

/* ---- hosts ---- */

/* What machines hold, and may still touch as they stand. */
static uint64_t held_kib(const struct world *w, bool touched)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->n; i++) {
		const struct vm *v = &w->vm[i];

		sum += touched ? vm_rss_kib(v) : v->is.qemu_kib + vm_actual_kib(v);
	}
	return sum;
}

static void make_host(struct rng *r, struct making *m, struct world *w)
{
	uint64_t max_sum = 0, free;

	for (size_t i = 0; i < w->n; i++)
		max_sum += w->vm[i].is.max_kib;
	free = rng_chance(r, 40) ? rng_between(r, 0, max_sum / 64) : rng_between(r, 0, max_sum / 2);
	w->others.base_kib = rng_between(r, 200, 2000) * MIB;
	w->total_kib = held_kib(w, !m->sound) + w->others.base_kib + free;
	ours_defaults(w->total_kib + w->total_kib / 64, &w->reserve_kib, &w->target_kib);
	w->total_kib += w->reserve_kib;
	ours_defaults(w->total_kib, &w->reserve_kib, &w->target_kib);
	if (m->quiet || rng_chance(r, 80))
		return;
	m->sound = false;
	w->others.peak_kib = w->others.base_kib + rng_between(r, 0, free);
	w->others.rise_kibps = skewed(r, MIB, 1000 * MIB);
	w->others.start_ms = rng_between(r, 0, 20000);
	w->others.until_ms = rng_chance(r, 50) ? w->others.start_ms + rng_between(r, 1000, 20000) : 0;
}

int making_make(uint64_t seed, struct making *ret_making, struct world *ret_world)
{
	struct rng r = {.state = seed * UINT64_C(0xd1342543de82ef95)};
	bool cron = rng_chance(&r, CRON_PCT);
	struct making m = {.seed = seed, .interval_ms = cron ? 60000 : 1000, .quiet = rng_chance(&r, QUIET_PCT)};
	struct world w;

	m.sound = m.quiet || rng_chance(&r, 70);
	m.bare = rng_chance(&r, 50);
	m.greedy = rng_chance(&r, 50);
	m.pending_kib = rng_chance(&r, 10) ? rng_between(&r, 64, 8192) * MIB : 0;
	m.no_give = rng_chance(&r, 5);
	m.steps = m.quiet ? (cron ? 240 : 300) : (unsigned)rng_between(&r, 24, 60);
	if (world_init(&w, rng_between(&r, 1, 12)))
		return -ENOMEM;
	w.tick_ms = cron ? 500 : 100;
	for (size_t i = 0; i < w.n; i++)
		w.vm[i].is = make_machine(&r, &m);
	world_begin(&w);
	make_host(&r, &m, &w);
	world_begin(&w);
	*ret_making = m;
	*ret_world = w;
	return 0;
}
