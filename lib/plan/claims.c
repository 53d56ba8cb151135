/* SPDX-License-Identifier: MIT */
#include "plan/claims.h"

#include "base/units.h"

#define LEAST_HEADROOM 4  /* target / 4: with less, guests die */
#define CLAW_BACK_MS 5000 /* until memory that is taken from other guests arrives */
#define LEAP_KIB                                                                                                       \
	(256 * KIB_PER_MIB)          /* what a guest of which nothing is known may touch at once                       \
	                              */
#define SURGE_KIB (16 * KIB_PER_MIB) /* beyond 9/8 of a surge: no surge is like the last */

/* ---- bounds and claims ---- */

uint64_t claim_wish_kib(const struct guest *g)
{
	return sat_add(g->est.used_kib, g->target_kib);
}

uint64_t claim_headroom_kib(const struct guest *g)
{
	return max_u64(g->target_kib, sat_add(scale_u64(g->past.surge_kib, 9, 8), SURGE_KIB));
}

static void find_bounds(struct guest *g)
{
	const struct device *d = &g->device;
	uint64_t ceil_kib = d->maximum_kib;

	if (g->hints.has_max)
		ceil_kib = min_u64(ceil_kib, g->hints.max_kib);
	ceil_kib = min_u64(ceil_kib, guest_hard_ceiling_kib(g));
	g->plan.ceil_kib = ceil_kib;
	g->plan.floor_kib = min_u64(g->hints.has_min ? g->hints.min_kib : policy_floor_kib(d->maximum_kib), ceil_kib);
	g->plan.bottom_kib = max_u64(
	    g->plan.floor_kib, sat_add(max_u64(g->est.used_kib, g->est.implied_kib), g->target_kib / LEAST_HEADROOM));
}

/* A guest in distress needs a step more than it has, once a sample, whatever use it reports. */
static uint64_t within_bounds_kib(const struct policy_conf *conf, const struct guest *g, uint64_t claim_kib)
{
	if (g->est.distress)
		claim_kib = max_u64(claim_kib, sat_add(g->sample.actual_kib, g->est.settled ? conf->step_kib : 0));
	if (g->hints.has_min)
		claim_kib = max_u64(claim_kib, g->plan.floor_kib);
	return min_u64(claim_kib, g->plan.ceil_kib);
}

static void find_claims(const struct policy_conf *conf, struct guest *g)
{
	const struct estimate *e = &g->est;
	uint64_t headroom_kib = claim_headroom_kib(g), with_cache_kib = sat_add(e->used_kib, e->cache_kib);
	uint64_t basic_kib = sat_add(claim_wish_kib(g), e->foreseen_kib);
	uint64_t need_kib = sat_add(sat_add(e->used_kib, headroom_kib), max_u64(e->foreseen_kib, e->hidden_kib));
	uint64_t buffer_kib = max_u64(headroom_kib, scale_u64(e->used_kib, conf->buffer_pct, 100));

	g->plan.basic_kib = within_bounds_kib(conf, g, basic_kib);
	g->plan.need_kib = within_bounds_kib(conf, g, need_kib);
	g->plan.comfort_kib = max_u64(g->plan.need_kib, min_u64(g->plan.ceil_kib, sat_add(with_cache_kib, buffer_kib)));
}

uint64_t claim_plain_kib(const struct guest *g)
{
	return sat_sub(sat_sub(g->est.free_kib, g->est.cache_kib), g->target_kib);
}

uint64_t claim_least_kib(const struct guest *g)
{
	return min_u64(sat_add(g->plan.bottom_kib, g->est.foreseen_kib), g->plan.basic_kib);
}

uint64_t claim_bottom_kib(const struct guest *g)
{
	uint64_t actual_kib = g->sample.actual_kib;

	return g->plan.no_take ? actual_kib : min_u64(g->plan.bottom_kib, actual_kib);
}

/* A max hint below what it uses is no reason to take that. */
static uint64_t lasting_kib(const struct guest *g, uint64_t claim_kib)
{
	return max_u64(max_u64(claim_kib, g->plan.floor_kib), claim_wish_kib(g));
}

uint64_t claim_keep_kib(const struct guest *g, uint64_t claim_kib)
{
	return max_u64(lasting_kib(g, claim_kib), g->plan.bottom_kib);
}

/*
 * A guest that is only on the move counts as before: it can be taken from a pass later. So neither a sample from before
 * the move nor the conclusions from the newest one count here: the shares of all others would change with each move.
 */
uint64_t claim_holding_kib(const struct guest *g, uint64_t claim_kib)
{
	uint64_t actual_kib = g->sample.actual_kib;

	return max_u64(claim_kib, g->plan.no_take ? actual_kib : min_u64(actual_kib, lasting_kib(g, claim_kib)));
}

uint64_t claim_comfort_kib(const struct guest *g)
{
	uint64_t need_kib = claim_holding_kib(g, g->plan.need_kib);

	return g->plan.no_take ? need_kib : max_u64(need_kib, g->plan.comfort_kib);
}

bool claim_keeps_all(const struct guest *g)
{
	return g->plan.no_take || g->est.predates_move;
}

/* ---- left alone ---- */

static bool has_balloon_driver(const struct guest *g)
{
	return g->device.balloon && (!(g->sample.have & SAMPLE_LAST_UPDATE) || g->sample.last_update_s);
}

/* Why a guest is left alone; REASON_NONE: it is not. The first that holds is said. */
static enum reason why_fixed(const struct guest *g)
{
	const struct {
		bool holds;
		enum reason reason;
	} rows[] = {
	    {g->vanished, REASON_VANISHED},
	    {g->excluded, REASON_EXCLUDED},
	    {g->hints.opted_out, REASON_OPTED_OUT},
	    {g->hung || !g->answered, REASON_UNRESPONSIVE},
	    {g->run != RUN_RUNNING && g->run != RUN_BLOCKED, REASON_PAUSED},
	    {g->migrating || (g->device.unknown && !g->facts_ms), REASON_MIGRATING},
	    {g->device.unknown, REASON_PINNED},
	    {!g->device.balloon, REASON_NO_BALLOON},
	    {g->device.passthrough, REASON_PASSTHROUGH},
	    {g->device.locked, REASON_PINNED},
	    {g->device.hugepages, REASON_HUGEPAGES},
	    {g->device.virtio_mem, REASON_PINNED},
	    {g->est.rebooted || (g->est.booting && (g->est.stale || !g->est.has_used)), REASON_BOOTING},
	    {!has_balloon_driver(g), REASON_NO_DRIVER},
	    {g->est.stale && !g->est.has_used, REASON_STALE_STATS},
	    {!g->est.has_used, REASON_NO_STATS},
	    {g->est.stuck && g->past.asked_kib >= g->past.asked_from_kib, REASON_STUCK},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].holds)
			return rows[i].reason;
	return REASON_NONE;
}

/* Why a guest may be given to but is never taken from. One in distress at its ceiling, or within the tolerance of it,
 * cannot be helped. */
static enum reason why_no_take(const struct policy_conf *conf, const struct guest *g)
{
	if (g->est.booting)
		return REASON_BOOTING;
	if (g->est.stale)
		return REASON_STALE_STATS;
	if (g->est.distress && sat_add(g->sample.actual_kib, conf->tolerance_kib) < g->plan.ceil_kib)
		return REASON_DISTRESS;
	if (g->est.stuck)
		return REASON_STUCK;
	return g->est.no_gain ? REASON_NO_GAIN : REASON_NONE;
}

void policy_judge(const struct policy_conf *conf, struct guest *g)
{
	find_bounds(g);
	if (!(g->sample.have & SAMPLE_ACTUAL))
		g->sample.actual_kib = g->device.current_kib;
	g->plan.want_kib = g->sample.actual_kib;
	g->plan.basic_kib = g->plan.need_kib = g->plan.comfort_kib = g->plan.share_kib = 0;
	g->plan.level_kib = 0;
	g->plan.grant_kib = 0;
	g->plan.reason = why_fixed(g);
	g->plan.fixed = g->plan.reason != REASON_NONE;
	g->plan.no_take = true;
	if (g->plan.fixed)
		return;
	find_claims(conf, g);
	g->plan.reason = why_no_take(conf, g);
	g->plan.no_take = g->plan.reason != REASON_NONE;
}

/* ---- debts ---- */

/* Nothing keeps it below its maximum: its balloon does not work, or not yet. */
static bool is_loose(const struct guest *g)
{
	return g->plan.fixed && (g->plan.reason == REASON_NO_BALLOON || g->plan.reason == REASON_NO_DRIVER ||
	                         g->plan.reason == REASON_BOOTING);
}

static uint64_t size_kib(const struct guest *g)
{
	return is_loose(g) ? g->device.maximum_kib : guest_told_kib(g);
}

uint64_t claim_kept_kib(const struct guest *g)
{
	if (!(g->sample.have & SAMPLE_RSS) || !g->est.has_used || g->est.stale || g->est.rebooted)
		return 0;
	return min_u64(sat_sub(g->est.used_kib, policy_held_kib(g)), g->est.kept_kib);
}

uint64_t claim_untouched_kib(const struct guest *g)
{
	if (g->device.hugepages || g->vanished)
		return 0;
	if (g->sample.have & SAMPLE_RSS)
		return sat_sub(size_kib(g), sat_add(policy_held_kib(g), claim_kept_kib(g)));
	return g->past.has_rss ? sat_sub(size_kib(g), g->past.rss_kib) : 0; /* never read: it holds all */
}

/* Within the time until memory that is taken from other guests arrives. */
static uint64_t rise_kib(const struct guest *g, uint64_t kibps)
{
	return scale_u64(kibps, max_u64(CLAW_BACK_MS, g->est.lead_ms), 1000);
}

uint64_t claim_rise_kib(const struct guest *g)
{
	return rise_kib(g, g->past.rss_kibps);
}

uint64_t claim_growth_kib(const struct guest *g)
{
	uint64_t use_kib = rise_kib(g, g->past.growth_kibps);

	return g->est.stale ? claim_rise_kib(g) : min_u64(claim_rise_kib(g), use_kib);
}

/*
 * A guest with a working balloon that is left alone (paused, migrating) may touch what it has. One
 * that no balloon holds has its whole maximum for ever, and touches it at its pace.
 */
uint64_t claim_call_kib(const struct guest *g)
{
	uint64_t untouched_kib = claim_untouched_kib(g), call_kib = sat_add(LEAP_KIB, claim_rise_kib(g)), start_kib = 0;

	if (!(g->sample.have & SAMPLE_RSS) || !(is_loose(g) || g->plan.reason == REASON_NO_STATS))
		return untouched_kib;
	if (g->device.current_kib < size_kib(g))
		start_kib = sat_sub(sat_add(g->device.current_kib, QEMU_START_KIB),
		                    sat_sub(g->sample.rss_kib, g->device.outside_kib));
	return min_u64(untouched_kib, max_u64(call_kib, start_kib));
}

uint64_t claim_covered_kib(const struct guest *g)
{
	uint64_t held_kib = g->sample.have & SAMPLE_RSS ? policy_held_kib(g) : g->est.used_kib;

	return min_u64(guest_told_kib(g), sat_add(held_kib, claim_kept_kib(g)));
}
