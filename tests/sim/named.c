/* SPDX-License-Identifier: MIT */
#include "named.h"

#include <errno.h>
#include <string.h>

#include "ours.h"
#include "base/units.h"

#define MIB KIB_PER_MIB
#define GIB KIB_PER_GIB
#define NEVER_MS UINT64_C(100000000)

/* ---- hosts ---- */

static void set_total(struct world *w, uint64_t total_kib)
{
	w->total_kib = total_kib;
	ours_defaults(total_kib, &w->reserve_kib, &w->target_kib);
}

/* n guests of one nature, which report one after the other. */
static int make_host(struct world *w, uint64_t total_kib, size_t n, struct nature is)
{
	if (world_init(w, n))
		return -ENOMEM;
	set_total(w, total_kib);
	for (size_t i = 0; i < n; i++) {
		w->vm[i].is = is;
		w->vm[i].is.phase_ms = (uint32_t)(i * 237 % 1000);
	}
	return 0;
}

/* A host that has so much beside what its guests have. */
static int make_host_beside(struct world *w, uint64_t beside_kib, size_t n, struct nature is)
{
	return make_host(w, n * (is.current_kib + is.qemu_kib) + beside_kib, n, is);
}

static struct load grow(uint64_t base_kib, uint64_t peak_kib, uint64_t rise_kibps, uint64_t start_ms)
{
	return (struct load){
	    .base_kib = base_kib,
	    .peak_kib = peak_kib,
	    .rise_kibps = rise_kibps,
	    .start_ms = start_ms,
	};
}

/* The same, let go of after until_ms, and again after every_ms (0: once). */
static struct load again(struct load load, uint64_t until_ms, uint64_t every_ms)
{
	load.until_ms = until_ms;
	load.every_ms = every_ms;
	return load;
}

static void dies(struct nature *is, uint64_t respawn_ms)
{
	is->dies = true;
	is->respawn_ms = respawn_ms;
}

static struct nature touched(uint64_t max_kib_, uint64_t current_kib, uint64_t used_kib)
{
	struct nature is = nature_usual(max_kib_);

	is.current_kib = current_kib;
	is.use.base_kib = used_kib;
	is.warm_pct = 100;
	return is;
}

/* A database or file server: it reads all of its page cache again and again. */
static struct nature reader(uint64_t max_kib_, uint64_t current_kib, uint64_t hot_kib)
{
	struct nature is = touched(max_kib_, current_kib, GIB);

	is.cache_kib = hot_kib;
	is.hot_kibps = 400 * MIB;
	return is;
}

/* ---- page cache ---- */

static int hot_cache(struct world *w)
{
	return make_host(w, 64 * GIB, 4, reader(8 * GIB, 8 * GIB, 5 * GIB));
}

static int hot_mapped(struct world *w)
{
	struct nature is = reader(8 * GIB, 8 * GIB, 5 * GIB);

	is.mapped = true;
	return make_host(w, 64 * GIB, 4, is);
}

static int mid_cache(struct world *w)
{
	static const uint32_t weights[] = {100, 100, 200, 400};
	int r = make_host(w, 17 * GIB, 4, reader(8 * GIB, 3 * GIB, 5 * GIB));

	for (size_t i = 0; !r && i < 4; i++)
		w->vm[i].is.weight = weights[i];
	return r;
}

static int cache_grow(struct world *w)
{
	int r = make_host(w, 17 * GIB, 4, reader(8 * GIB, 4500 * MIB, 5 * GIB));
	struct nature *is;

	if (r)
		return r;
	is = &w->vm[0].is;
	*is = touched(8 * GIB, 1300 * MIB, GIB);
	is->use = again(grow(GIB, 5 * GIB, 40 * MIB, 60000), 240000, 0);
	dies(is, NEVER_MS);
	return 0;
}

static int big_pool(struct world *w)
{
	struct nature is = reader(4 * GIB, 3 * GIB, 2 * GIB);
	int r;

	is.use.base_kib = 512 * MIB;
	is.hot_kibps = 200 * MIB;
	r = make_host(w, 64 * GIB, 2, is);
	w->others.base_kib = 52 * GIB;
	return r;
}

static int leaker(struct world *w)
{
	int r = make_host(w, 9 * GIB, 2, reader(8 * GIB, 7 * GIB, 5 * GIB));
	struct nature *is;

	if (r)
		return r;
	w->vm[0].is.weight = 10000;
	is = &w->vm[1].is;
	*is = nature_usual(8 * GIB);
	is->current_kib = GIB;
	is->weight = 1;
	is->use = grow(200 * MIB, 7 * GIB, 20 * MIB, 30000);
	return 0;
}

/* ---- guests that are left alone, and KSM ---- */

static int start_big(struct world *w)
{
	int r = make_host(w, 40 * GIB, 5, reader(8 * GIB, 6 * GIB, 4 * GIB));
	struct nature *is;

	if (r)
		return r;
	is = &w->vm[4].is;
	*is = nature_usual(32 * GIB);
	is->current_kib = 2 * GIB;
	is->use.base_kib = GIB;
	is->start_ms = 60000;
	is->boot_ms = 25000;
	return 0;
}

static int boot_starves(struct world *w)
{
	int r = make_host(w, 16 * GIB, 3, touched(6 * GIB, 2 * GIB, GIB));
	struct nature *is;

	if (r)
		return r;
	is = &w->vm[0].is;
	is->use = grow(GIB, 4 * GIB, 20 * MIB, 70000);
	dies(is, NEVER_MS);
	is = &w->vm[2].is;
	*is = nature_usual(16 * GIB);
	is->current_kib = 2 * GIB;
	is->use.base_kib = GIB;
	is->start_ms = 60000;
	is->boot_ms = 60000;
	return 0;
}

/* An appliance of 32 GiB without a driver, of which it uses 4. */
static struct nature appliance(void)
{
	struct nature is = nature_usual(32 * GIB);

	is.no_driver = true;
	is.current_kib = 32 * GIB;
	is.use.base_kib = 4 * GIB;
	is.warm_pct = 0;
	return is;
}

static int driverless(struct world *w)
{
	int r = make_host(w, 40 * GIB, 4, reader(8 * GIB, 4 * GIB, 2 * GIB));

	if (r)
		return r;
	w->vm[0].is = touched(8 * GIB, 4 * GIB, GIB);
	w->vm[0].is.use = grow(GIB, 5 * GIB, 20 * MIB, 60000);
	w->vm[3].is = appliance();
	return 0;
}

static int make_waking(struct world *w, uint64_t rise_kibps)
{
	int r = make_host(w, 34 * GIB, 4, reader(8 * GIB, 7 * GIB, 6 * GIB));

	if (r)
		return r;
	w->vm[3].is = appliance();
	w->vm[3].is.use = grow(4 * GIB, 16 * GIB, rise_kibps, 120000);
	return 0;
}

static int wakes_slowly(struct world *w)
{
	return make_waking(w, 100 * MIB);
}

static int wakes_fast(struct world *w)
{
	return make_waking(w, 300 * MIB);
}

static int ksm(struct world *w)
{
	struct nature is = touched(4 * GIB, GIB, GIB);
	int r;

	is.current_kib += is.overhead_kib + 150 * MIB;
	r = make_host_beside(w, 10 * GIB, 20, is);
	if (r)
		return r;
	w->ksm_kib = 12 * GIB;
	w->vm[0].is.use = grow(GIB, 2 * GIB, 20 * MIB, 10000);
	dies(&w->vm[0].is, NEVER_MS);
	return 0;
}

/* ---- loads that swing ---- */

/* As the real guests of the tests: a program in it swings between 20 and 200 MiB. */
static int make_swinging(struct world *w, uint64_t total_kib, struct load swing)
{
	struct nature is = touched(600 * MIB, 600 * MIB, 20 * MIB);
	int r;

	is.overhead_kib = 45 * MIB;
	is.mark_kib = 6 * MIB;
	is.take_kibps = 300 * MIB;
	is.warm_pct = 20;
	is.use = swing;
	dies(&is, 3000);
	r = make_host(w, total_kib, 4, is);
	for (size_t i = 0; !r && i < 4; i++)
		w->vm[i].is.use.seed = i;
	return r;
}

static struct load swing(uint32_t half_ms, uint64_t rise_kibps)
{
	return again(grow(20 * MIB, 200 * MIB, rise_kibps, half_ms), 2 * half_ms, 2 * half_ms);
}

static int seesaw_3s(struct world *w)
{
	return make_swinging(w, 6 * GIB, swing(3000, 90 * MIB));
}

static int seesaw_3s_at_once(struct world *w)
{
	return make_swinging(w, 6 * GIB, swing(3000, 2000 * MIB));
}

static int seesaw_5s(struct world *w)
{
	return make_swinging(w, 6 * GIB, swing(5000, 60 * MIB));
}

static int seesaw_20s(struct world *w)
{
	struct load load = swing(20000, 120 * MIB);

	load.start_ms = 15000;
	load.late_ms = 10000;
	return make_swinging(w, 6 * GIB, load);
}

static int seesaw_tight(struct world *w)
{
	return make_swinging(w, 1100 * MIB, swing(5000, 60 * MIB));
}

static int make_bursting(struct world *w, uint64_t total_kib)
{
	int r = make_swinging(w, total_kib, grow(20 * MIB, 320 * MIB, 3000 * MIB, 0));

	for (size_t i = 0; !r && i < 4; i++) {
		struct load *use = &w->vm[i].is.use;

		use->start_ms = 30000 + i * 7000;
		use->until_ms = use->start_ms + 10000;
		use->every_ms = 120000;
	}
	return r;
}

static int burst_300(struct world *w)
{
	return make_bursting(w, 6 * GIB);
}

static int burst_mid(struct world *w)
{
	int r = make_bursting(w, 2600 * MIB);

	for (size_t i = 0; !r && i < 4; i++)
		w->vm[i].is.current_kib = 300 * MIB;
	return r;
}

/* ---- loads that grow ---- */

/* Two guests grow by 1.5 GiB one after the other, each 200 s. */
static int make_growing(struct world *w, uint32_t period_s, uint64_t rise_kibps)
{
	struct nature is = touched(4 * GIB, 3 * GIB, 500 * MIB);
	int r;

	is.period_s = period_s;
	is.use = again(grow(500 * MIB, 2000 * MIB, rise_kibps, 60000), 150000, 200000);
	dies(&is, 30000);
	r = make_host(w, 16 * GIB, 2, is);
	for (size_t i = 0; !r && i < 2; i++) {
		w->vm[i].is.use.start_ms += i * 20000;
		w->vm[i].is.phase_ms = (uint32_t)(i * 4370);
	}
	return r;
}

static int grow_60(struct world *w)
{
	return make_growing(w, 1, 60 * MIB);
}

static int grow_120(struct world *w)
{
	return make_growing(w, 1, 120 * MIB);
}

static int grow_150(struct world *w)
{
	return make_growing(w, 1, 150 * MIB);
}

static int grow_25(struct world *w)
{
	return make_growing(w, 1, 25 * MIB);
}

static int grow_10(struct world *w)
{
	return make_growing(w, 1, 10 * MIB);
}

static int grow_period_5(struct world *w)
{
	return make_growing(w, 5, 40 * MIB);
}

static int grow_period_10(struct world *w)
{
	return make_growing(w, 10, 25 * MIB);
}

static int grow_period_60(struct world *w)
{
	return make_growing(w, 60, 10 * MIB);
}

static int grow_autodeflate(struct world *w)
{
	int r = make_growing(w, 1, 60 * MIB);

	for (size_t i = 0; !r && i < 2; i++) {
		w->vm[i].is.autodeflate = true;
		w->vm[i].is.dies = false;
	}
	return r;
}

static int grow_mid(struct world *w)
{
	int r = make_growing(w, 1, 60 * MIB);

	if (r)
		return r;
	set_total(w, 6 * GIB);
	for (size_t i = 0; i < 2; i++) {
		w->vm[i].is.current_kib = 2 * GIB;
		w->vm[i].is.use.start_ms = i ? 140000 : 60000;
		w->vm[i].is.use.until_ms = i ? 190000 : 120000;
	}
	return 0;
}

static int grow_idle(struct world *w)
{
	struct nature is = touched(4 * GIB, 4 * GIB, 600 * MIB);

	is.use = grow(600 * MIB, 3 * GIB, 80 * MIB, 200000);
	dies(&is, NEVER_MS);
	return make_host(w, 17 * GIB, 1, is);
}

static int creep(struct world *w)
{
	struct nature is = touched(16 * GIB, 2 * GIB, 1600 * MIB);
	int r;

	dies(&is, NEVER_MS);
	r = make_host(w, 40 * GIB, 2, is);
	if (!r)
		w->vm[0].is.use = grow(1600 * MIB, 12 * GIB, 3 * MIB / 2, 0);
	return r;
}

/* ---- donors ---- */

static int swap_in(struct world *w)
{
	int r = make_host(w, 7 * GIB, 2, touched(4 * GIB, 4 * GIB, 600 * MIB));

	if (r)
		return r;
	w->vm[0].is.thrash_below_kib = 8 * GIB;
	w->vm[1].is = touched(4 * GIB, 1200 * MIB, 800 * MIB);
	w->vm[1].is.use = grow(800 * MIB, 3500 * MIB, 40 * MIB, 30000);
	dies(&w->vm[1].is, NEVER_MS);
	return 0;
}

static int make_full(struct world *w, uint64_t take_kibps)
{
	struct nature is = touched(4 * GIB, 1170 * MIB, GIB);
	int r;

	is.current_kib += is.overhead_kib;
	r = make_host_beside(w, 300 * MIB, 8, is);
	if (r)
		return r;
	w->vm[0].is.use = again(grow(GIB, GIB + 420 * MIB, 60 * MIB, 10000), 30000, 40000);
	dies(&w->vm[0].is, 20000);
	w->vm[7].is.take_kibps = take_kibps;
	return 0;
}

static int full(struct world *w)
{
	return make_full(w, 500 * MIB);
}

static int full_slow(struct world *w)
{
	return make_full(w, 3 * MIB);
}

static int sluggish(struct world *w)
{
	int r = make_host(w, 9 * GIB + 300 * MIB, 3, touched(8 * GIB, 4 * GIB, GIB));

	if (r)
		return r;
	w->vm[0].is.current_kib = GIB + 400 * MIB;
	w->vm[0].is.use = grow(GIB, 4 * GIB, 120 * MIB, 3000);
	w->vm[1].is.min_kib = 3500 * MIB;
	w->vm[2].is.take_kibps = 8 * MIB;
	return 0;
}

/* The real guests of the tests, on a host that has so much. */
static int make_tested(struct world *w, uint64_t available_kib, size_t growing, uint64_t until_ms)
{
	struct nature is = touched(768 * MIB, 384 * MIB, 63 * MIB);
	int r;

	is.mark_kib = 51 * MIB;
	is.warm_pct = 5;
	dies(&is, NEVER_MS);
	r = make_host(w, 24 * GIB, 4, is);
	if (r)
		return r;
	for (size_t i = 0; i < growing; i++)
		w->vm[i].is.use = again(grow(63 * MIB, 513 * MIB, 15 * MIB, 1000), until_ms, 0);
	world_begin(w);
	w->others.base_kib = (uint64_t)world_available_kib(w) - available_kib;
	return 0;
}

static int tight(struct world *w)
{
	return make_tested(w, 1250 * MIB, 2, 36000);
}

static int tighter(struct world *w)
{
	return make_tested(w, 1170 * MIB, 2, 36000);
}

static int scarce(struct world *w)
{
	return make_tested(w, 900 * MIB, 4, 45000);
}

/* ---- guests whose MemTotal stays ---- */

static int windows(struct world *w)
{
	struct nature is = touched(8 * GIB, 8 * GIB, 2 * GIB);
	int r;

	is.no_usable = is.total_stays = true;
	is.take_kibps = 300 * MIB;
	r = make_host(w, 40 * GIB, 4, is);
	for (size_t i = 0; !r && i < 4; i++)
		w->vm[i].is.use.base_kib += i * 300 * MIB;
	return r;
}

static int windows_grow(struct world *w)
{
	int r = make_growing(w, 1, 20 * MIB);

	set_total(w, 5 * GIB);
	for (size_t i = 0; !r && i < 2; i++) {
		w->vm[i].is.no_usable = w->vm[i].is.total_stays = true;
		w->vm[i].is.current_kib = 1500 * MIB;
	}
	return r;
}

/* ---- all ---- */

const struct named named_worlds[] = {
    {"hot-cache", "4 guests with hot sets of 5 GiB, a host with plenty", 300, hot_cache},
    {"hot-mapped", "the same, mapped: misses are major faults", 300, hot_mapped},
    {"mid-cache", "4 hot sets of 5 GiB that do not all fit, by weight", 600, mid_cache},
    {"cache-grow", "a guest grows on a host full of hot page cache", 600, cache_grow},
    {"big-pool", "2 hot sets of 2 GiB on a host most of which is huge pages", 300, big_pool},
    {"leaker", "weight 1 leaks beside the hot set of weight 10000", 420, leaker},
    {"start-big", "a guest of 32 GiB starts with 2", 180, start_big},
    {"boot-starves", "a guest grows while one of 16 GiB boots for a minute", 180, boot_starves},
    {"driverless", "a guest grows beside 32 GiB without a driver", 300, driverless},
    {"wakes-100", "a guest without a driver touches 12 GiB more, 100 MiB/s", 400, wakes_slowly},
    {"wakes-300", "300 MiB/s", 400, wakes_fast},
    {"ksm", "KSM has merged 12 GiB, a guest grows beside 10 GiB", 120, ksm},
    {"seesaw-3", "swings of 3 s between 20 and 200 MiB", 1200, seesaw_3s},
    {"seesaw-3f", "the same, at once", 1200, seesaw_3s_at_once},
    {"seesaw-5", "swings of 5 s", 1200, seesaw_5s},
    {"seesaw-20", "swings of 15 to 25 s", 1200, seesaw_20s},
    {"seesaw-tight", "swings of 5 s on a host that cannot hold them", 600, seesaw_tight},
    {"burst-300", "bursts of 300 MiB in 0.1 s, each 2 minutes", 1200, burst_300},
    {"burst-mid", "the same on a host of 2.6 GiB", 1200, burst_mid},
    {"grow-60", "two grow to 2 GiB by 60 MiB/s, each 200 s", 600, grow_60},
    {"grow-120", "120 MiB/s", 1200, grow_120},
    {"grow-150", "150 MiB/s", 1200, grow_150},
    {"grow-25", "25 MiB/s", 1200, grow_25},
    {"grow-10", "10 MiB/s", 1200, grow_10},
    {"grow-p5", "40 MiB/s, statistics each 5 s", 1200, grow_period_5},
    {"grow-p10", "25 MiB/s, each 10 s", 1200, grow_period_10},
    {"grow-p60", "10 MiB/s, each 60 s", 1200, grow_period_60},
    {"grow-ad", "60 MiB/s, autodeflate", 600, grow_autodeflate},
    {"grow-mid", "60 MiB/s in turn, on a host of 6 GiB", 1200, grow_mid},
    {"grow-idle", "an idle guest grows by 80 MiB/s after 200 s", 300, grow_idle},
    {"creep", "one leaks 1.5 MiB/s for 40 minutes", 2400, creep},
    {"swap-in", "the donor swaps in all the time, at its maximum", 300, swap_in},
    {"full", "420 MiB more on a host where all have their target", 600, full},
    {"full-slow", "the same, and one gives slowly", 600, full_slow},
    {"sluggish", "of two donors one may not give, one gives 8 MiB/s", 60, sluggish},
    {"tight", "two of four small guests grow beside 1250 MiB", 40, tight},
    {"tighter", "the same beside 1170 MiB", 40, tighter},
    {"scarce", "all four want more than there is, beside 900 MiB", 50, scarce},
    {"windows", "MemTotal stays, constant load", 180, windows},
    {"windows-grow", "MemTotal stays, two grow by 20 MiB/s", 1200, windows_grow},
    {.name = NULL},
};

const struct named *named_find(const char *name)
{
	for (const struct named *named = named_worlds; named->name; named++)
		if (!strcmp(named->name, name))
			return named;
	return NULL;
}

int named_make(const struct named *named, struct world *ret_world)
{
	int r = named->make(ret_world);

	if (!r)
		world_begin(ret_world);
	return r;
}
