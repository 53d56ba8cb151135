/* SPDX-License-Identifier: MIT */
#include "plan/policy.h"

#include "base/units.h"
#include "plan/claims.h"

#define KSM_PART 16      /* of what KSM merged comes apart before an answer */
#define LENT_HEADROOMS 3 /* of untouched headroom is lent to others at most */
#define GROWTHS_KEPT 2   /* a growing guest does not lend so many times its growth if survival does not fit */
#define CACHE_FRACTION 2 /* page cache goes by halves: the guest had a use for it */
#define QUICK_MS 3000    /* the lead of a loop of 1 s, for which the original's target was chosen */
#define CRUMB_KIB (KIB_PER_MIB / 4)

/* ---- the host's memory ---- */

static int64_t minus_kib(uint64_t a, uint64_t b)
{
	return a >= b ? (int64_t)min_u64(a - b, INT64_MAX) : -(int64_t)min_u64(b - a, INT64_MAX);
}

static uint64_t plus_kib(uint64_t a, int64_t b)
{
	return b < 0 ? sat_sub(a, (uint64_t)-b) : sat_add(a, (uint64_t)b);
}

/* The part of its headroom that a guest has not touched. */
static uint64_t headroom_left_kib(const struct guest *g)
{
	uint64_t size_kib = min_u64(guest_told_kib(g), claim_wish_kib(g));

	return g->plan.fixed ? 0 : sat_sub(size_kib, max_u64(claim_covered_kib(g), g->est.used_kib));
}

/*
 * The memory that a managed guest may touch without asking is a debt, but guests at rest do not call for their
 * headroom at once. The host lends it to others. Two parts are not lent: a guest's surge beyond half its target, and
 * all beyond three times the usual headroom. If all guests call nevertheless, memguard takes memory back.
 * Idle memory beyond the headroom is not lent: it can be taken. Measured with two of four guests that grow on a host
 * with 1250 MiB: if debts count in full, the host keeps 250 MiB above its reserve, and guests are killed for want of
 * it.
 *
 * If survival does not fit, a growing guest does not lend the memory that it is about to touch. (Four guests that all
 * grow on a host with 900 MiB took it to 80 of the 292 MiB of its reserve.)
 */
static uint64_t lent_kib(const struct guest *g, size_t n, bool survival_fits)
{
	uint64_t sum_kib = 0, targets_kib = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t left_kib = headroom_left_kib(&g[i]);

		if (!survival_fits)
			left_kib = sat_sub(left_kib, scale_u64(claim_growth_kib(&g[i]), GROWTHS_KEPT, 1));
		left_kib = sat_sub(left_kib, sat_sub(g[i].past.surge_kib, g[i].target_kib / 2));
		sum_kib = sat_add(sum_kib, left_kib);
		targets_kib = sat_add(targets_kib, g[i].target_kib);
	}
	return n ? min_u64(sum_kib, scale_u64(targets_kib, LENT_HEADROOMS, n)) : 0;
}

/*
 * The least that a guest lives with until memory that is taken from others arrives: its bottom, and its growth within
 * CLAW_BACK_MS and a lead of 3 s. (With less, scarce hosts were late; with more, guests were killed that could live.)
 */
static uint64_t survival_claim_kib(const struct guest *g)
{
	uint64_t kib = sat_add(g->plan.bottom_kib, scale_u64(claim_growth_kib(g), 8, 5));

	return clamp_u64(kib, claim_bottom_kib(g), claim_holding_kib(g, g->plan.basic_kib));
}

static uint64_t plenty_kib(const struct policy_conf *conf, uint64_t capacity_kib)
{
	uint64_t pool_kib = sat_add(capacity_kib, conf->reserve_kib);
	uint64_t kib = conf->plenty_kib ? conf->plenty_kib : scale_u64(pool_kib, conf->plenty_pct, 100);

	return sat_sub(max_u64(kib, scale_u64(conf->reserve_kib, 2, 1)), conf->reserve_kib);
}

void policy_budget(const struct policy_conf *conf, const struct host *host, uint64_t pending_kib, const struct guest *g,
                   size_t n, struct budget *b)
{
	uint64_t bespoken_kib = sat_add(conf->reserve_kib, pending_kib), survival_kib = 0, kept_kib = 0, doubt_kib;

	*b = (struct budget){.merged_kib = host->ksm_kib / KSM_PART, .lent_kib = lent_kib(g, n, true)};
	b->promised_kib = b->merged_kib;
	for (size_t i = 0; i < n; i++) {
		if (g[i].plan.fixed) {
			bespoken_kib = sat_add(bespoken_kib, claim_call_kib(&g[i]));
			continue;
		}
		survival_kib = sat_add(survival_kib, survival_claim_kib(&g[i]));
		kept_kib = sat_add(kept_kib, claim_kept_kib(&g[i]));
		b->covered_kib = sat_add(b->covered_kib, claim_covered_kib(&g[i]));
		b->promised_kib = sat_add(b->promised_kib, claim_untouched_kib(&g[i]));
		b->demand_kib = sat_add(b->demand_kib, claim_holding_kib(&g[i], g[i].plan.basic_kib));
		b->need_kib = sat_add(b->need_kib, claim_holding_kib(&g[i], g[i].plan.need_kib));
		b->comfort_kib = sat_add(b->comfort_kib, claim_comfort_kib(&g[i]));
	}
	doubt_kib = sat_sub(kept_kib, conf->reserve_kib / 2); /* guests may lie */
	b->covered_kib = sat_sub(b->covered_kib, doubt_kib);
	b->promised_kib = sat_add(b->promised_kib, doubt_kib);
	b->room_kib = minus_kib(host->available_kib, bespoken_kib);
	if (survival_kib > plus_kib(sat_add(b->covered_kib, b->lent_kib), b->room_kib))
		b->lent_kib = lent_kib(g, n, false);
	b->capacity_kib = plus_kib(sat_add(b->covered_kib, b->lent_kib), b->room_kib);
	b->spare_kib = sat_sub(plus_kib(0, b->room_kib), sat_sub(b->promised_kib, b->lent_kib));
	b->plenty_kib = plenty_kib(conf, b->capacity_kib);
	b->shortage_kib = sat_sub(b->demand_kib, b->capacity_kib);
}

/* ---- layers of claims ---- */

/*
 * If not even the least fits, some guests starve whatever is done: weights decide up to the basic
 * claims who does not. (64 guests that want 120 % of the host, by cron: 18100 guest-seconds
 * starved; with nothing beyond the least, 23500.)
 */

static struct fairshare_item layer_item(enum layer layer, const struct guest *g)
{
	struct fairshare_item item = {.weight = weight_of(g)};

	if (g->plan.fixed)
		return (struct fairshare_item){.weight = 1};
	if (layer == LAYER_COMFORT) {
		item.lo_kib = claim_holding_kib(g, g->plan.need_kib);
		item.hi_kib = claim_comfort_kib(g);
	} else if (layer == LAYER_NEED) {
		item.lo_kib = claim_holding_kib(g, g->plan.basic_kib);
		item.hi_kib = claim_holding_kib(g, g->plan.need_kib);
	} else {
		item.lo_kib = claim_bottom_kib(g);
		item.hi_kib = claim_holding_kib(g, g->plan.basic_kib);
		item.base_kib = min_u64(g->est.used_kib, item.lo_kib);
		if (layer == LAYER_BASIC)
			item.lo_kib = clamp_u64(claim_least_kib(g), item.lo_kib, item.hi_kib);
		return item;
	}
	item.base_kib = item.lo_kib;
	return item;
}

static uint64_t sum_lo_kib(const struct guest *g, size_t n, enum layer layer)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = sat_add(sum, layer_item(layer, &g[i]).lo_kib);
	return sum;
}

/* The first layer that does not fit; the last if all fit. */
static enum layer find_layer(const struct budget *b, const struct guest *g, size_t n)
{
	if (!b->shortage_kib)
		return b->need_kib > b->capacity_kib ? LAYER_NEED : LAYER_COMFORT;
	return sum_lo_kib(g, n, LAYER_BASIC) > b->capacity_kib ? LAYER_LEAST : LAYER_BASIC;
}

/* Shares the layer by weight: what is below it is whole, what is above it gets nothing. */
static void find_shares(struct budget *b, struct guest *g, size_t n, struct policy_scratch *scratch)
{
	uint64_t capacity_kib = b->capacity_kib;
	struct fairshare level;

	b->layer = find_layer(b, g, n);
	if (b->layer == LAYER_COMFORT)
		capacity_kib = max_u64(sat_sub(capacity_kib, b->plenty_kib), b->need_kib);
	for (size_t i = 0; i < n; i++)
		scratch->item[i] = layer_item(b->layer, &g[i]);
	b->least = !fairshare_find(scratch->item, n, capacity_kib, scratch->edge, &level);
	b->has_level = level.bounded;
	b->level_kib = scale_u64(WEIGHT_DEFAULT, level.num, level.den);
	for (size_t i = 0; i < n; i++) {
		g[i].plan.share_kib = fairshare_share_kib(&level, &scratch->item[i]);
		g[i].plan.level_kib = b->has_level ? b->level_kib : 0;
		g[i].plan.layer = b->layer;
	}
}

/* ---- shortage: everything goes to its share at once ---- */

static bool is_worth_it(const struct policy_conf *conf, const struct guest *g)
{
	uint64_t actual_kib = g->sample.actual_kib;

	if (g->plan.share_kib < actual_kib && claim_keeps_all(g))
		return false;
	return distance_u64(g->plan.share_kib, actual_kib) > conf->tolerance_kib;
}

static uint64_t gives_kib(const struct guest *g, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = sat_add(sum, g[i].plan.fixed ? 0 : sat_sub(g[i].plan.want_kib, guest_told_kib(&g[i])));
	return sum;
}

static uint64_t takes_kib(const struct guest *g, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = sat_add(sum, guest_shrinks(&g[i]) ? g[i].sample.actual_kib - g[i].plan.want_kib : 0);
	return sum;
}

/* Small excesses over the share are taken if others wait for them. */
static void take_crumbs(struct guest *g, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!g[i].plan.fixed && !claim_keeps_all(&g[i]) && !guest_grows(&g[i]) &&
		    g[i].plan.share_kib + CRUMB_KIB < g[i].plan.want_kib)
			g[i].plan.want_kib = g[i].plan.share_kib;
}

static void plan_shortage(const struct policy_conf *conf, const struct budget *b, struct guest *g, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!g[i].plan.fixed && is_worth_it(conf, &g[i]))
			g[i].plan.want_kib = g[i].plan.share_kib;
	if (gives_kib(g, n) > sat_add(b->spare_kib, takes_kib(g, n)))
		take_crumbs(g, n);
}

/* ---- enough: gives at once, takes calmly ---- */

/* Beyond need, gives are as coarse as takes: a guest would go up and down between them. */
static uint64_t give_kib(const struct policy_conf *conf, const struct guest *g)
{
	uint64_t kib = sat_sub(g->plan.share_kib, g->sample.actual_kib);
	uint64_t least_kib = conf->tolerance_kib;

	if (g->sample.actual_kib >= g->plan.need_kib)
		least_kib = sat_add(least_kib, conf->step_kib / 2);
	return kib > least_kib ? kib : 0;
}

/* The part of the wants that is for need and not commanded yet. Sizes within the tolerance are never commanded. */
static uint64_t needed_kib(const struct policy_conf *conf, const struct guest *g, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t need_kib = min_u64(g[i].plan.want_kib, claim_holding_kib(&g[i], g[i].plan.need_kib));
		uint64_t kib = g[i].plan.fixed ? 0 : sat_sub(need_kib, guest_told_kib(&g[i]));

		sum = sat_add(sum, kib > conf->tolerance_kib ? kib : 0);
	}
	return sum;
}

/* Cuts wants beyond need to what the host has above its plenty. Returns whether guests get less. */
static bool limit_extras(const struct policy_conf *conf, uint64_t extra_kib, struct guest *g, size_t n,
                         struct policy_scratch *scratch)
{
	uint64_t lo_kib = 0;
	struct fairshare level;

	for (size_t i = 0; i < n; i++) {
		struct fairshare_item *item = &scratch->item[i];
		uint64_t told_kib = guest_told_kib(&g[i]);

		*item = (struct fairshare_item){.weight = 1};
		if (!guest_grows(&g[i]) || g[i].plan.want_kib <= told_kib)
			continue;
		item->lo_kib = min_u64(claim_holding_kib(&g[i], g[i].plan.need_kib), g[i].plan.want_kib);
		item->lo_kib = item->base_kib = max_u64(item->lo_kib, told_kib);
		item->hi_kib = g[i].plan.want_kib;
		item->weight = weight_of(&g[i]);
		lo_kib = sat_add(lo_kib, item->lo_kib);
	}
	fairshare_find(scratch->item, n, sat_add(lo_kib, extra_kib), scratch->edge, &level);
	for (size_t i = 0; i < n; i++) {
		uint64_t told_kib = guest_told_kib(&g[i]);

		if (scratch->item[i].hi_kib)
			g[i].plan.want_kib = fairshare_share_kib(&level, &scratch->item[i]);
		if (guest_grows(&g[i]) && sat_sub(g[i].plan.want_kib, told_kib) <= conf->tolerance_kib)
			g[i].plan.want_kib = min_u64(g[i].plan.want_kib, told_kib);
	}
	return level.bounded;
}

/* The size that an idle guest keeps if no guest needs it: the slower the answer, the more. */
static uint64_t spared_kib(const struct guest *g)
{
	uint64_t by_lead_kib = scale_u64(g->target_kib, g->est.lead_ms, QUICK_MS);
	uint64_t kib = sat_add(sat_add(g->est.used_kib, g->est.cache_kib), max_u64(by_lead_kib, g->est.used_kib / 2));

	return min_u64(kib, g->plan.ceil_kib);
}

/* The size that calm takes leave a guest: its share, and its recent use with headroom. */
static uint64_t left_kib(const struct guest *g, bool needed)
{
	uint64_t peak_kib = max_u64(g->past.peak.now_kib, g->past.peak.before_kib);
	uint64_t left_kib = min_u64(g->plan.ceil_kib, sat_add(peak_kib, claim_headroom_kib(g)));

	left_kib = max_u64(left_kib, g->plan.share_kib);
	return claim_keep_kib(g, needed ? left_kib : max_u64(left_kib, spared_kib(g)));
}

/* Of what is plainly unused as much as can be corrected in time; page cache by halves. */
static uint64_t pace_kib(const struct policy_conf *conf, const struct guest *g, uint64_t excess_kib)
{
	uint64_t plain_kib = min_u64(claim_plain_kib(g), excess_kib);
	uint64_t kib, lead_ms = max_u64(g->est.lead_ms, QUICK_MS);

	kib = max_u64(plain_kib / 8, scale_u64(plain_kib, 4 * QUICK_MS, 5 * lead_ms));
	kib = sat_add(kib, (excess_kib - plain_kib) / CACHE_FRACTION);
	return clamp_u64(kib, min_u64(conf->step_kib, excess_kib), excess_kib);
}

/*
 * Takes for no guest in need, once a sample. Memory above the ceiling goes at once, except for the
 * remainder of a driver's rounds. The first take shows whether available follows the balloon.
 */
static uint64_t calm_take_kib(const struct policy_conf *conf, const struct guest *g, bool needed)
{
	uint64_t excess_kib, over_kib;

	if (claim_keeps_all(g))
		return 0;
	excess_kib = sat_sub(g->sample.actual_kib, left_kib(g, needed));
	over_kib = min_u64(sat_sub(g->sample.actual_kib, g->plan.ceil_kib), excess_kib);
	over_kib = over_kib > KIB_PER_MIB ? over_kib : 0;
	if (excess_kib <= conf->step_kib / 2 || !g->est.fresh || (conf->take == TAKE_NEEDED && !needed))
		return over_kib;
	if (g->past.follows == FOLLOWS_UNKNOWN && !g->device.autodeflate)
		return max_u64(over_kib, min_u64(excess_kib, conf->step_kib));
	return max_u64(over_kib, pace_kib(conf, g, excess_kib));
}

/*
 * Actual lags by a second, and the balloon may be faster. So a calm take does not undo a part of the last one, unless
 * that left less than the guest keeps by now.
 */
static void take_calmly(const struct policy_conf *conf, struct guest *g, bool needed)
{
	uint64_t kib = calm_take_kib(conf, g, needed), asked_kib = g->past.asked_kib;

	if (kib && asked_kib >= left_kib(g, true))
		kib = max_u64(kib, sat_sub(g->sample.actual_kib, asked_kib));
	g->plan.want_kib -= kib;
}

/*
 * Takes wanted_kib from donors that have more than tolerated_kib to give, from the largest surplus
 * down: to their shares, or to their needs.
 */
static void take_down(uint64_t wanted_kib, uint64_t tolerated_kib, bool to_need, struct guest *g, size_t n,
                      struct policy_scratch *scratch)
{
	uint64_t have_kib = 0, least_kib = 0;
	struct fairshare level;

	for (size_t i = 0; i < n; i++) {
		struct fairshare_item *item = &scratch->item[i];
		uint64_t lo_kib = g[i].plan.share_kib;

		*item = (struct fairshare_item){.weight = 1};
		if (g[i].plan.fixed || claim_keeps_all(&g[i]) || guest_grows(&g[i]))
			continue;
		if (to_need)
			lo_kib = min_u64(lo_kib, claim_holding_kib(&g[i], g[i].plan.need_kib));
		lo_kib = claim_keep_kib(&g[i], lo_kib);
		if (g[i].sample.actual_kib <= sat_add(lo_kib, tolerated_kib))
			continue;
		item->base_kib = item->lo_kib = min_u64(lo_kib, g[i].plan.want_kib);
		item->hi_kib = g[i].plan.want_kib;
		item->weight = weight_of(&g[i]);
		have_kib = sat_add(have_kib, item->hi_kib);
		least_kib = sat_add(least_kib, item->lo_kib);
	}
	fairshare_find(scratch->item, n, max_u64(least_kib, sat_sub(have_kib, wanted_kib)), scratch->edge, &level);
	for (size_t i = 0; i < n; i++) {
		uint64_t kib = fairshare_share_kib(&level, &scratch->item[i]);

		if (scratch->item[i].hi_kib && sat_sub(g[i].sample.actual_kib, kib) > tolerated_kib)
			g[i].plan.want_kib = kib;
	}
}

/*
 * Takes at once what the reserve, promises and gives for need lack; for a promise no page cache has to go. (While a
 * start shared the others' learned headroom, the host stayed 230 MiB below its reserve before it counted here.)
 */
static void take_needed(const struct policy_conf *conf, const struct budget *b, uint64_t needs_kib, struct guest *g,
                        size_t n, struct policy_scratch *scratch)
{
	uint64_t below_kib = b->room_kib < 0 ? -(uint64_t)b->room_kib : 0;
	uint64_t owed_kib = sat_add(sat_sub(b->promised_kib, b->lent_kib), below_kib);
	uint64_t overdrawn_kib = sat_sub(owed_kib, plus_kib(0, b->room_kib));
	uint64_t lack_kib = sat_sub(sat_add(needs_kib, overdrawn_kib), sat_add(b->spare_kib, takes_kib(g, n)));
	uint64_t tolerated_kib = needs_kib || below_kib ? conf->tolerance_kib : conf->step_kib / 2;

	if (lack_kib)
		take_down(lack_kib, tolerated_kib, false, g, n, scratch);
	lack_kib = sat_sub(needs_kib, sat_add(b->spare_kib, takes_kib(g, n)));
	if (lack_kib)
		take_down(lack_kib, conf->tolerance_kib, true, g, n, scratch);
}

static void plan_enough(const struct policy_conf *conf, const struct budget *b, struct guest *g, size_t n,
                        struct policy_scratch *scratch)
{
	uint64_t needs_kib;
	bool needed;

	for (size_t i = 0; i < n; i++)
		if (!g[i].plan.fixed)
			g[i].plan.want_kib += give_kib(conf, &g[i]);
	needs_kib = needed_kib(conf, g, n);
	needed = limit_extras(conf, sat_sub(b->spare_kib, sat_add(needs_kib, b->plenty_kib)), g, n, scratch) ||
	         b->comfort_kib > sat_sub(b->capacity_kib, b->plenty_kib);
	for (size_t i = 0; i < n; i++)
		if (!g[i].plan.fixed && !guest_grows(&g[i]))
			take_calmly(conf, &g[i], needed);
	take_needed(conf, b, needs_kib, g, n, scratch);
}

/* ---- why ---- */

static bool is_spared(const struct policy_conf *conf, const struct guest *g)
{
	return sat_sub(g->sample.actual_kib, sat_add(g->plan.share_kib, conf->step_kib / 2)) > conf->tolerance_kib;
}

static enum reason why_kept(const struct policy_conf *conf, const struct budget *b, const struct guest *g)
{
	if (claim_wish_kib(g) > sat_add(g->plan.ceil_kib, conf->tolerance_kib))
		return REASON_AT_MAX;
	if (g->plan.floor_kib > claim_wish_kib(g) &&
	    g->sample.actual_kib <= sat_add(g->plan.floor_kib, conf->step_kib / 2))
		return REASON_AT_MIN;
	return !b->shortage_kib && is_spared(conf, g) ? REASON_PLENTY : REASON_AT_TARGET;
}

static enum reason why_given(const struct policy_conf *conf, const struct guest *g)
{
	if (g->est.distress)
		return REASON_DISTRESS;
	if (g->sample.actual_kib >= g->plan.need_kib)
		return REASON_PAGE_CACHE;
	if (claim_wish_kib(g) <= sat_add(g->sample.actual_kib, conf->tolerance_kib) && g->est.foreseen_kib)
		return REASON_GROWING;
	return REASON_BELOW_TARGET;
}

static bool is_cut_short(const struct policy_conf *conf, const struct guest *g)
{
	return sat_sub(g->plan.basic_kib, g->sample.actual_kib) > conf->tolerance_kib || guest_shrinks(g);
}

static enum reason find_reason(const struct policy_conf *conf, const struct budget *b, const struct guest *g)
{
	if (b->shortage_kib && !g->plan.no_take && g->plan.want_kib < claim_holding_kib(g, g->plan.basic_kib))
		return is_cut_short(conf, g) ? REASON_SHARED_SHORTAGE : why_kept(conf, b, g);
	if (guest_grows(g))
		return why_given(conf, g);
	if (g->plan.no_take)
		return g->plan.reason;
	return guest_shrinks(g) ? REASON_ABOVE_TARGET : why_kept(conf, b, g);
}

void policy_plan(const struct policy_conf *conf, const struct host *host, uint64_t pending_kib, struct guest *g,
                 size_t n, struct policy_scratch *scratch, struct budget *ret_budget)
{
	for (size_t i = 0; i < n; i++)
		policy_judge(conf, &g[i]);
	policy_budget(conf, host, pending_kib, g, n, ret_budget);
	find_shares(ret_budget, g, n, scratch);
	if (ret_budget->shortage_kib)
		plan_shortage(conf, ret_budget, g, n);
	else
		plan_enough(conf, ret_budget, g, n, scratch);
	for (size_t i = 0; i < n; i++)
		if (!g[i].plan.fixed)
			g[i].plan.reason = find_reason(conf, ret_budget, &g[i]);
}

/* ---- the gives that the host can cover now ---- */

static uint64_t grant_share(const struct policy_conf *conf, enum reason why, uint64_t share_kib, struct guest *g)
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

/* Raises lo of each item by its part of the budget, up to its claim. Returns what is left. */
static uint64_t grant_layer(uint64_t budget_kib, enum layer layer, struct guest *g, size_t n,
                            struct policy_scratch *scratch)
{
	uint64_t had_kib = 0, has_kib = 0;
	struct fairshare level;

	for (size_t i = 0; i < n; i++) {
		struct fairshare_item *item = &scratch->item[i];
		uint64_t below_kib = layer == LAYER_BASIC  ? g[i].est.used_kib
		                     : layer == LAYER_NEED ? g[i].plan.basic_kib
		                                           : g[i].plan.need_kib;
		uint64_t claim_kib = layer == LAYER_BASIC  ? g[i].plan.basic_kib
		                     : layer == LAYER_NEED ? g[i].plan.need_kib
		                                           : g[i].plan.want_kib;

		if (!guest_grows(&g[i]))
			continue;
		item->hi_kib = max_u64(min_u64(claim_kib, g[i].plan.want_kib), item->lo_kib);
		item->base_kib = min_u64(max_u64(below_kib, g[i].est.used_kib), item->lo_kib);
		had_kib = sat_add(had_kib, item->lo_kib);
	}
	fairshare_find(scratch->item, n, sat_add(had_kib, budget_kib), scratch->edge, &level);
	for (size_t i = 0; i < n; i++) {
		scratch->item[i].lo_kib = fairshare_share_kib(&level, &scratch->item[i]);
		has_kib = sat_add(has_kib, scratch->item[i].lo_kib);
	}
	return sat_sub(budget_kib, sat_sub(has_kib, had_kib));
}

uint64_t policy_grant(const struct policy_conf *conf, uint64_t budget_kib, enum reason why, struct guest *g, size_t n,
                      struct policy_scratch *scratch)
{
	uint64_t handed_kib = 0;

	for (size_t i = 0; i < n; i++) {
		scratch->item[i] = (struct fairshare_item){.weight = weight_of(&g[i])};
		if (guest_grows(&g[i]))
			scratch->item[i].lo_kib = guest_told_kib(&g[i]);
	}
	for (enum layer layer = LAYER_BASIC; layer <= LAYER_COMFORT; layer++)
		budget_kib = grant_layer(budget_kib, layer, g, n, scratch);
	for (size_t i = 0; i < n; i++)
		if (guest_grows(&g[i]))
			handed_kib += grant_share(conf, why, scratch->item[i].lo_kib, &g[i]);
	return handed_kib;
}
