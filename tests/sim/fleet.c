/* SPDX-License-Identifier: MIT */
#include "fleet.h"

#include <errno.h>

#include "base/units.h"
#include "ours.h"

#define MIB KIB_PER_MIB
#define OTHERS_KIB (2 * KIB_PER_GIB)

static const uint64_t sizes_gib[] = {4, 2, 8, 4, 1, 16, 4, 2};
static const uint32_t weights[] = {100, 100, 200, 50, 100};

static void use_idle(struct nature *is, size_t i)
{
	(void)i;
	is->use.base_kib = is->max_kib / 4;
}

/* A quarter of the guests, one after the other, to 65 % in under two minutes. */
static void use_ramp(struct nature *is, size_t i)
{
	use_idle(is, i);
	if (i % 4 != 1)
		return;
	is->use.peak_kib = scale_u64(is->max_kib, 65, 100);
	is->use.rise_kibps = is->max_kib / 200;
	is->use.start_ms = 30000 + i * 7919 % 120000;
	is->use.until_ms = is->use.start_ms + 300000;
}

static void use_burst(struct nature *is, size_t i)
{
	use_idle(is, i);
	if (i % 4 >= 2 || is->max_kib < 4 * KIB_PER_GIB)
		return;
	is->use.peak_kib = is->use.base_kib + KIB_PER_GIB;
	is->use.rise_kibps = KIB_PER_GIB;
	is->use.start_ms = 20000 + i * 7919 % 60000;
	is->use.until_ms = is->use.start_ms + 25000;
	is->use.every_ms = 120000;
}

static void use_cache(struct nature *is, size_t i)
{
	use_ramp(is, i);
	is->cache_kib = scale_u64(is->max_kib, 60, 100);
	is->cache_kibps = 10 * MIB;
}

/* Half of the guests want 60 %, then the other half. */
static void use_swap_over(struct nature *is, size_t i)
{
	uint64_t half_ms = FLEET_MS / 2;

	is->use = (struct load){.base_kib = is->max_kib / 5, .peak_kib = scale_u64(is->max_kib, 60, 100)};
	is->use.rise_kibps = is->max_kib / 200;
	is->use.start_ms = i % 2 ? half_ms : 20000;
	is->use.until_ms = i % 2 ? 0 : half_ms;
}

/* Wishes of their own, scaled below to what is asked of the host. */
static void use_shortage(struct nature *is, size_t i)
{
	is->use = (struct load){.base_kib = is->max_kib / 5, .rise_kibps = is->max_kib / 250, .start_ms = 20000};
	is->use.peak_kib = scale_u64(is->max_kib, 75 + i * 31 % 51, 200);
}

const struct fleet_load fleet_loads[] = {
    {"idle", "all use a quarter of their maximum", use_idle, 0},
    {"ramp", "a quarter of them grow to 65 %", use_ramp, 0},
    {"burst", "one of four takes 1 GiB in a second, each two minutes", use_burst, 0},
    {"cache", "ramp, while all fill what they have with page cache", use_cache, 0},
    {"swap-over", "half of them want 60 %, then the other half", use_swap_over, 0},
    {"short-80", "all grow until they want 80 % of the host, headroom included", use_shortage, 80},
    {"short-100", "100 %", use_shortage, 100},
    {"short-120", "120 %", use_shortage, 120},
    {NULL, NULL, NULL, 0},
};

/* What the host has for its guests without its reserve. */
static uint64_t capacity_kib(const struct world *w)
{
	uint64_t kib = w->total_kib - w->others.base_kib - w->reserve_kib;

	for (size_t i = 0; i < w->n; i++)
		kib -= w->vm[i].is.qemu_kib;
	return kib;
}

static void scale_demand(struct world *w, uint32_t pct)
{
	uint64_t fixed = 0, wished = 0;

	for (size_t i = 0; i < w->n; i++) {
		fixed += w->vm[i].is.overhead_kib + w->target_kib;
		wished += w->vm[i].is.use.peak_kib;
	}
	for (size_t i = 0; i < w->n; i++) {
		uint64_t *peak = &w->vm[i].is.use.peak_kib;

		*peak = scale_u64(*peak, scale_u64(capacity_kib(w), pct, 100) - fixed, wished);
	}
}

static struct nature make_guest(const struct fleet_load *load, size_t i)
{
	struct nature is = nature_usual(sizes_gib[i % COUNT(sizes_gib)] * KIB_PER_GIB);

	is.weight = weights[i % COUNT(weights)];
	is.phase_ms = (uint32_t)(i * 137 % 1000);
	is.warm_pct = 60;
	load->make(&is, i);
	return is;
}

int fleet_make(size_t guests, const struct fleet_load *load, struct world *ret_world)
{
	struct world w;

	if (world_init(&w, guests))
		return -ENOMEM;
	w.others.base_kib = OTHERS_KIB;
	w.total_kib = OTHERS_KIB;
	for (size_t i = 0; i < guests; i++) {
		w.vm[i].is = make_guest(load, i);
		w.total_kib += w.vm[i].is.current_kib + w.vm[i].is.qemu_kib;
	}
	ours_defaults(w.total_kib, &w.reserve_kib, &w.target_kib);
	w.total_kib += w.reserve_kib;
	ours_defaults(w.total_kib, &w.reserve_kib, &w.target_kib);
	if (load->demand_pct)
		scale_demand(&w, load->demand_pct);
	world_begin(&w);
	*ret_world = w;
	return 0;
}

size_t fleet_probe(struct world *w)
{
	size_t i = 2; /* of 8 GiB, weight 200 */
	struct load *use = &w->vm[i].is.use;
	uint64_t now_kib = load_at(use, w->now_ms);

	*use = (struct load){.base_kib = now_kib,
	                     .peak_kib = now_kib + FLEET_PROBE_KIB,
	                     .rise_kibps = FLEET_PROBE_KIB,
	                     .start_ms = w->now_ms};
	return i;
}
