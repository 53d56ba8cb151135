#include "plan/policy.h"

#include "base/units.h"

#define LEAST_HEADROOM 4 /* target / 4: with less, guests die */
#define CACHE_FRACTION 8 /* page cache goes by 1/8 a pass: the guest had a use for it */
#define CAREFUL_MS 60000 /* a next pass of unknown time is taken for cron's */
#define QUICK_MS 2000    /* who comes again so soon can correct a take that was too much */

/* ---- what each guest is and needs ---- */

static uint64_t least_kib(const struct guest *g)
{
	return g->target_kib / LEAST_HEADROOM;
}

/* What a guest uses, and its headroom. */
static uint64_t wish_kib(const struct guest *g)
{
	return sat_add(g->est.used_kib, g->target_kib);
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
	g->plan.bottom_kib =
	    max_u64(g->plan.floor_kib, sat_add(max_u64(g->est.used_kib, g->est.implied_kib), least_kib(g)));
}

/* Headroom and foreseen growth included; a guest in distress needs a step more than it has, whatever it says it uses.
 */
static uint64_t find_need_kib(const struct policy_conf *conf, const struct guest *g)
{
	uint64_t need_kib = sat_add(wish_kib(g), g->est.foreseen_kib);

	if (g->est.distress) /* a step more for each sample that says so, not for each pass */
		need_kib = max_u64(need_kib, sat_add(g->sample.actual_kib, g->est.settled ? conf->step_kib : 0));
	if (g->hints.has_min)
		need_kib = max_u64(need_kib, g->plan.floor_kib);
	return min_u64(need_kib, g->plan.ceil_kib);
}

static bool has_balloon_driver(const struct guest *g)
{
	return g->device.balloon && (!(g->sample.have & SAMPLE_LAST_UPDATE) || g->sample.last_update_s);
}

/* Why a guest is left alone; REASON_NONE where it is not. The first that holds is said. */
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
	    {g->migrating, REASON_MIGRATING},
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

/* Why a guest may be given to but is never taken from. */
static enum reason why_no_take(const struct guest *g)
{
	if (g->est.booting)
		return REASON_BOOTING;
	if (g->est.stale)
		return REASON_STALE_STATS;
	if (g->est.distress)
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
	g->plan.need_kib = 0;
	g->plan.level_kib = 0;
	g->plan.grant_kib = 0;
	g->plan.reason = why_fixed(g);
	g->plan.fixed = g->plan.reason != REASON_NONE;
	g->plan.no_take = true;
	if (g->plan.fixed)
		return;
	g->plan.need_kib = find_need_kib(conf, g);
	g->plan.reason = why_no_take(g);
	g->plan.no_take = g->plan.reason != REASON_NONE;
}

/* ---- what the host has ---- */

/*
 * What a guest that is left alone may touch beyond what it holds: without a balloon that works, all of its maximum.
 * Of a guest that did not answer the last known rss holds; one never read is taken to hold all it has.
 */
static uint64_t fixed_untouched_kib(const struct guest *g)
{
	bool whole = g->plan.reason == REASON_NO_BALLOON || g->plan.reason == REASON_NO_DRIVER ||
	             g->plan.reason == REASON_BOOTING;
	uint64_t size_kib = whole ? g->device.maximum_kib : guest_told_kib(g);

	if (g->device.hugepages || g->vanished)
		return 0;
	if (g->sample.have & SAMPLE_RSS)
		return sat_sub(size_kib, policy_held_kib(g));
	return g->past.has_rss ? sat_sub(size_kib, g->past.rss_kib) : 0;
}

static uint64_t touched_kib(const struct guest *g)
{
	return min_u64(guest_told_kib(g), g->sample.have & SAMPLE_RSS ? policy_held_kib(g) : g->est.used_kib);
}

/* What a guest keeps: its need, its floor, and what it uses with headroom even where a max hint is lower. */
static uint64_t keep_kib(const struct guest *g)
{
	return max_u64(max_u64(g->plan.need_kib, g->plan.bottom_kib), wish_kib(g));
}

/* Nothing can be taken from it now: for a reason of its own, or because its sample is of before its last move. */
static bool keeps_all(const struct guest *g)
{
	return g->plan.no_take || g->est.blind;
}

/* What it will hold where there is enough: what it needs, and of what it has no less than can be taken. */
static uint64_t claim_kib(const struct guest *g)
{
	return max_u64(g->plan.need_kib,
	               keeps_all(g) ? g->sample.actual_kib : min_u64(keep_kib(g), g->sample.actual_kib));
}

static int64_t minus_kib(uint64_t a, uint64_t b)
{
	return a >= b ? (int64_t)min_u64(a - b, INT64_MAX) : -(int64_t)min_u64(b - a, INT64_MAX);
}

static void find_balance(const struct policy_conf *conf, const struct host *host, uint64_t pending_kib,
                         const struct guest *g, size_t n, struct budget *b)
{
	uint64_t taken_kib = sat_add(conf->reserve_kib, pending_kib), touched = 0;

	*b = (struct budget){.promised_kib = host->ksm_kib};
	for (size_t i = 0; i < n; i++) {
		if (g[i].plan.fixed) {
			taken_kib = sat_add(taken_kib, fixed_untouched_kib(&g[i]));
			continue;
		}
		touched = sat_add(touched, touched_kib(&g[i]));
		b->promised_kib = sat_add(b->promised_kib, sat_sub(guest_told_kib(&g[i]), policy_held_kib(&g[i])));
		b->demand_kib = sat_add(b->demand_kib, claim_kib(&g[i]));
	}
	b->room_kib = minus_kib(host->available_kib, taken_kib);
	b->capacity_kib =
	    b->room_kib < 0 ? sat_sub(touched, (uint64_t)-b->room_kib) : sat_add(touched, (uint64_t)b->room_kib);
	b->spare_kib = b->room_kib < 0 ? 0 : sat_sub((uint64_t)b->room_kib, b->promised_kib);
	b->shortage_kib = sat_sub(b->demand_kib, b->capacity_kib);
}

/* ---- enough for all ---- */

uint64_t policy_excess_kib(const struct guest *g)
{
	return keeps_all(g) ? 0 : sat_sub(g->sample.actual_kib, keep_kib(g));
}

/*
 * Who comes again soon may take much of what is plainly unused; page cache always goes slowly. A guest whose growth
 * paused for one sample would be given it back in the next (measured: a load that stutters moved its balloon both
 * ways).
 */
static uint64_t calm_take_kib(const struct policy_conf *conf, const struct guest *g)
{
	uint64_t excess = policy_excess_kib(g), over_kib, plain_kib, horizon_ms, take_kib;

	excess = sat_sub(excess, sat_sub(g->est.lingering_kib, g->est.foreseen_kib));
	over_kib = min_u64(sat_sub(g->sample.actual_kib, g->plan.ceil_kib), excess);
	over_kib = over_kib > KIB_PER_MIB ? over_kib : 0; /* what a driver leaves over of its rounds */
	if (excess <= conf->step_kib / 2 || g->est.swinging)
		return over_kib;
	plain_kib = min_u64(excess, sat_sub(sat_sub(g->est.free_kib, g->est.cache_kib), g->target_kib));
	horizon_ms = g->est.horizon_ms ? min_u64(g->est.horizon_ms, CAREFUL_MS) : CAREFUL_MS;
	take_kib = max_u64(plain_kib / 8, scale_u64(plain_kib, 4 * min_u64(QUICK_MS, horizon_ms), 5 * horizon_ms));
	take_kib += (excess - plain_kib) / CACHE_FRACTION;
	return clamp_u64(max_u64(take_kib, over_kib), min_u64(conf->step_kib, excess), excess);
}

static uint64_t deficit_kib(const struct policy_conf *conf, const struct guest *g)
{
	uint64_t deficit = g->plan.fixed ? 0 : sat_sub(g->plan.need_kib, g->sample.actual_kib);

	return deficit > conf->tolerance_kib ? deficit : 0;
}

/* The rest of what donors can spare, in proportion to excess / weight, when calm takes do not cover the deficits. */
static void take_more(const struct policy_conf *conf, uint64_t wanted_kib, struct guest *g, size_t n,
                      struct policy_scratch *scratch)
{
	struct fairshare level;

	for (size_t i = 0; i < n; i++) {
		uint64_t excess = g[i].plan.fixed ? 0 : policy_excess_kib(&g[i]), now_kib;

		now_kib = g[i].plan.fixed ? 0 : sat_sub(g[i].sample.actual_kib, g[i].plan.want_kib);
		scratch->item[i] = (struct fairshare_item){
		    .lo_kib = now_kib,
		    .hi_kib = excess > conf->tolerance_kib ? max_u64(excess, now_kib) : now_kib,
		    .weight = max_u64(1, scale_u64(excess, 10000, weight_of(&g[i]))),
		};
	}
	if (!fairshare_find(scratch->item, n, sat_add(wanted_kib, n), scratch->edge, &level))
		return;
	for (size_t i = 0; i < n; i++)
		if (!g[i].plan.fixed && scratch->item[i].hi_kib > scratch->item[i].lo_kib)
			g[i].plan.want_kib = g[i].sample.actual_kib - fairshare_share_kib(&level, &scratch->item[i]);
}

static void plan_enough(const struct policy_conf *conf, const struct budget *b, struct guest *g, size_t n,
                        struct policy_scratch *scratch)
{
	uint64_t deficits = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t deficit = deficit_kib(conf, &g[i]), take;

		if (g[i].plan.fixed)
			continue;
		take = deficit ? 0 : calm_take_kib(conf, &g[i]);
		g[i].plan.want_kib = g[i].sample.actual_kib + deficit - take;
		deficits = sat_add(deficits, sat_sub(g[i].plan.want_kib, guest_told_kib(&g[i])));
	}
	if (deficits > b->spare_kib)
		take_more(conf, deficits - b->spare_kib, g, n, scratch);
}

/* ---- shortage ---- */

static struct fairshare_item shortage_item(const struct guest *g)
{
	struct fairshare_item item = {.weight = weight_of(g)};

	if (g->plan.fixed)
		return (struct fairshare_item){.weight = 1};
	item.lo_kib = keeps_all(g) ? g->sample.actual_kib : min_u64(g->plan.bottom_kib, g->sample.actual_kib);
	item.hi_kib = claim_kib(g);
	item.base_kib = min_u64(g->est.used_kib, item.lo_kib);
	return item;
}

/* Crumbs within the tolerance that some have above the level are taken where they are what others wait for. */
static void take_crumbs(const struct budget *b, const struct fairshare *level, struct guest *g, size_t n,
                        const struct policy_scratch *scratch)
{
	uint64_t gives = 0, covered = b->spare_kib;

	for (size_t i = 0; i < n; i++) {
		gives = sat_add(gives, g[i].plan.fixed ? 0 : sat_sub(g[i].plan.want_kib, guest_told_kib(&g[i])));
		covered = sat_add(covered, guest_shrinks(&g[i]) ? g[i].sample.actual_kib - g[i].plan.want_kib : 0);
	}
	for (size_t i = 0; gives > covered && i < n; i++) {
		uint64_t share = fairshare_share_kib(level, &scratch->item[i]);

		if (!g[i].plan.fixed && !guest_grows(&g[i]) && share + KIB_PER_MIB < g[i].plan.want_kib)
			g[i].plan.want_kib = share;
	}
}

static void plan_shortage(const struct policy_conf *conf, struct budget *b, struct guest *g, size_t n,
                          struct policy_scratch *scratch)
{
	struct fairshare level;

	for (size_t i = 0; i < n; i++)
		scratch->item[i] = shortage_item(&g[i]);
	b->least = !fairshare_find(scratch->item, n, b->capacity_kib, scratch->edge, &level);
	b->has_level = level.bounded;
	b->level_kib = scale_u64(WEIGHT_DEFAULT, level.num, level.den);
	for (size_t i = 0; i < n; i++) {
		uint64_t share = fairshare_share_kib(&level, &scratch->item[i]), actual = g[i].sample.actual_kib;

		g[i].plan.level_kib = b->has_level ? b->level_kib : 0;
		if (!g[i].plan.fixed && (share > actual ? share - actual : actual - share) > conf->tolerance_kib)
			g[i].plan.want_kib = share;
	}
	take_crumbs(b, &level, g, n, scratch);
}

/* ---- why ---- */

static enum reason why_kept(const struct policy_conf *conf, const struct guest *g)
{
	if (wish_kib(g) > sat_add(g->plan.ceil_kib, conf->tolerance_kib))
		return REASON_AT_MAX;
	if (g->plan.floor_kib > wish_kib(g) && g->sample.actual_kib <= sat_add(g->plan.floor_kib, conf->step_kib / 2))
		return REASON_AT_MIN;
	return REASON_AT_TARGET;
}

static enum reason why_given(const struct policy_conf *conf, const struct guest *g)
{
	if (g->est.distress)
		return REASON_DISTRESS;
	if (wish_kib(g) <= sat_add(g->sample.actual_kib, conf->tolerance_kib) && g->est.foreseen_kib)
		return REASON_GROWING;
	return REASON_BELOW_TARGET;
}

static enum reason find_reason(const struct policy_conf *conf, const struct budget *b, const struct guest *g)
{
	if (b->shortage_kib && !g->plan.no_take && g->plan.want_kib < claim_kib(g))
		return deficit_kib(conf, g) || guest_shrinks(g) ? REASON_SHARED_SHORTAGE : why_kept(conf, g);
	if (guest_grows(g))
		return why_given(conf, g);
	if (g->plan.no_take)
		return g->plan.reason;
	return guest_shrinks(g) ? REASON_ABOVE_TARGET : why_kept(conf, g);
}

void policy_plan(const struct policy_conf *conf, const struct host *host, uint64_t pending_kib, struct guest *g,
                 size_t n, struct policy_scratch *scratch, struct budget *ret_budget)
{
	for (size_t i = 0; i < n; i++)
		policy_judge(conf, &g[i]);
	find_balance(conf, host, pending_kib, g, n, ret_budget);
	if (ret_budget->shortage_kib)
		plan_shortage(conf, ret_budget, g, n, scratch);
	else
		plan_enough(conf, ret_budget, g, n, scratch);
	for (size_t i = 0; i < n; i++)
		if (!g[i].plan.fixed)
			g[i].plan.reason = find_reason(conf, ret_budget, &g[i]);
}

/* ---- what of the gives the host can cover now ---- */

static uint64_t grant(const struct policy_conf *conf, enum reason why, uint64_t share_kib, struct guest *g)
{
	uint64_t told_kib = guest_told_kib(g), more_kib = sat_sub(share_kib, told_kib);

	if (sat_sub(g->plan.want_kib, told_kib) <= conf->tolerance_kib)
		return 0;
	if (share_kib < g->plan.want_kib)
		g->plan.reason = why ? why : g->plan.reason;
	if (more_kib <= conf->tolerance_kib)
		return 0;
	g->plan.grant_kib = share_kib;
	return more_kib;
}

uint64_t policy_grant(const struct policy_conf *conf, uint64_t budget_kib, enum reason why, struct guest *g, size_t n,
                      struct policy_scratch *scratch)
{
	uint64_t told = 0, handed_kib = 0;
	struct fairshare level;

	for (size_t i = 0; i < n; i++) {
		struct fairshare_item *item = &scratch->item[i];

		*item = (struct fairshare_item){.weight = 1};
		if (!guest_grows(&g[i]))
			continue;
		item->lo_kib = guest_told_kib(&g[i]);
		item->hi_kib = max_u64(g[i].plan.want_kib, item->lo_kib);
		item->base_kib = min_u64(g[i].est.used_kib, item->lo_kib);
		item->weight = weight_of(&g[i]);
		told = sat_add(told, item->lo_kib);
	}
	fairshare_find(scratch->item, n, sat_add(told, budget_kib), scratch->edge, &level);
	for (size_t i = 0; i < n; i++)
		handed_kib +=
		    guest_grows(&g[i]) ? grant(conf, why, fairshare_share_kib(&level, &scratch->item[i]), &g[i]) : 0;
	return handed_kib;
}
