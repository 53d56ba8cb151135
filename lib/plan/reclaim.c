/* SPDX-License-Identifier: MIT */
#include "plan/reclaim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "plan/claims.h"

#define LEAST_HEADROOM 8            /* target / 8: half of what policy leaves in a shortage */
#define RISEN_KIB (8 * KIB_PER_MIB) /* less is no growth */
#define LAG_MS 1000                 /* of actual behind the balloon */

uint64_t reclaim_bottom_kib(const struct guest *g)
{
	uint64_t used_kib = sat_add(g->est.used_kib, max_u64(g->est.foreseen_kib, g->est.risen_kib));

	used_kib = sat_add(max_u64(used_kib, g->est.implied_kib), g->est.doubt_kib);
	return max_u64(g->plan.floor_kib, sat_add(used_kib, g->target_kib / LEAST_HEADROOM));
}

static bool may_take(const struct guest *g)
{
	return !g->plan.fixed && !g->plan.no_take && !g->hung && !g->vanished && !g->order.error;
}

/* The rest of an earlier command; 0 for a guest that does not obey. */
static uint64_t told_kib(const struct guest *g)
{
	if (!g->past.asked_kib || g->plan.fixed || g->hung || g->vanished || g->est.stuck)
		return 0;
	return sat_sub(g->sample.actual_kib, g->past.asked_kib);
}

uint64_t reclaim_coming_kib(const struct guest *g, size_t n)
{
	uint64_t sum_kib = 0;

	for (size_t i = 0; i < n; i++)
		sum_kib = sat_add(sum_kib, told_kib(&g[i]));
	return sum_kib;
}

/* The memory untouched at that size, also by its kernel: a take of it frees nothing. */
static uint64_t untouched_kib(const struct guest *g, uint64_t size_kib)
{
	if (!(g->sample.have & SAMPLE_RSS) || g->vanished || g->device.hugepages)
		return 0;
	return sat_sub(size_kib, policy_held_kib(g));
}

/* The memory beyond its need, its floor and its use with headroom. */
static uint64_t excess_kib(const struct guest *g)
{
	uint64_t keep_kib = sat_add(claim_keep_kib(g, g->plan.need_kib), g->est.doubt_kib);

	return g->plan.no_take ? 0 : sat_sub(g->sample.actual_kib, keep_kib);
}

/* The order of gives: a later stage only if the earlier ones do not suffice. */
enum stage { STAGE_PLAIN, STAGE_CACHE, STAGE_HEADROOM };

/*
 * A rise of rss since the statistics is in use, whatever they say. If the host is not short yet, a guest that grows
 * will need as much again before the next reading, and taking untouched memory would free nothing.
 */
static uint64_t idle_kib(enum reclaim_way way, const struct guest *g)
{
	uint64_t spared_kib = g->est.risen_kib;

	if (!may_take(g))
		return 0;
	if (way == RECLAIM_ROOM)
		spared_kib = sat_add(scale_u64(spared_kib, 2, 1), untouched_kib(g, g->sample.actual_kib));
	return sat_sub(excess_kib(g), spared_kib);
}

/* The most that it may give by this way. */
static uint64_t most_kib(enum reclaim_way way, const struct guest *g)
{
	if (way != RECLAIM_HARD || !may_take(g))
		return idle_kib(way, g);
	return max_u64(idle_kib(way, g), sat_sub(g->sample.actual_kib, reclaim_bottom_kib(g)));
}

static uint64_t stage_kib(enum reclaim_way way, enum stage stage, const struct guest *g)
{
	if (stage == STAGE_PLAIN)
		return min_u64(idle_kib(way, g), claim_plain_kib(g));
	return stage == STAGE_CACHE ? idle_kib(way, g) : most_kib(way, g);
}

/* The least it gives however little is needed: all of the earlier stages, and untouched memory that the host cannot
 * provide. */
static uint64_t least_kib(enum reclaim_way way, enum stage stage, const struct guest *g)
{
	uint64_t before_kib = stage > STAGE_PLAIN ? stage_kib(way, stage - 1, g) : 0;

	if (way != RECLAIM_IDLE)
		return before_kib;
	return max_u64(before_kib, min_u64(idle_kib(way, g), untouched_kib(g, g->sample.actual_kib)));
}

/* A share within the tolerance is never commanded, and does not count as given. */
static struct fairshare_item fair_item(enum reclaim_way way, enum stage stage, uint64_t tolerance_kib,
                                       const struct guest *g)
{
	uint64_t tolerated_kib = sat_add(told_kib(g), tolerance_kib);
	uint64_t least = least_kib(way, stage, g), most = max_u64(least, stage_kib(way, stage, g));
	struct fairshare_item item = {.lo_kib = least > tolerated_kib ? least : told_kib(g)};

	item.hi_kib = most > tolerated_kib ? most : item.lo_kib;
	item.weight = max_u64(1, scale_u64(item.hi_kib, 10000, weight_of(g)));
	return item;
}

/* Finds the level at which guests give: memory that frees nothing counts on top of the need. */
static struct fairshare find_level(enum reclaim_way way, enum stage stage, uint64_t need_kib, uint64_t tolerance_kib,
                                   const struct guest *g, size_t n, struct policy_scratch *scratch)
{
	struct fairshare level;

	for (size_t i = 0; i < n; i++) {
		struct fairshare_item *item = &scratch->item[i];

		*item = fair_item(way, stage, tolerance_kib, &g[i]);
		if (way != RECLAIM_ROOM)
			need_kib =
			    sat_add(need_kib, min_u64(item->lo_kib, untouched_kib(&g[i], g[i].sample.actual_kib)));
	}
	fairshare_find(scratch->item, n, need_kib, scratch->edge, &level); /* at level 0 each gives its least */
	return level;
}

/*
 * Plans a guest's give: its share and the remainder of earlier guests, as far as it can. Returns the remainder for the
 * next guest. It is within the tolerance, for a guest that can give anything can give more than that.
 */
static uint64_t plan_give(uint64_t give_kib, uint64_t tolerance_kib, const struct fairshare_item *item, struct guest *g)
{
	uint64_t told = told_kib(g);
	bool asks = may_take(g) && give_kib > sat_add(told, tolerance_kib);

	g->plan.want_kib = sat_sub(g->sample.actual_kib, asks ? min_u64(give_kib, item->hi_kib) : told);
	g->plan.ask_kib = asks ? g->plan.want_kib : 0;
	return sat_sub(give_kib, g->sample.actual_kib - g->plan.want_kib);
}

/*
 * The last writer of a balloon's target wins: a pass that decided on older figures may have overwritten ours with a
 * larger size.
 */
static bool is_overruled(enum reclaim_way way, uint64_t tolerance_kib, const struct guest *g)
{
	uint64_t told = told_kib(g);

	return may_take(g) && told > tolerance_kib && told <= most_kib(way, g) &&
	       g->past.seen_ms > sat_add(g->past.asked_ms, LAG_MS);
}

uint64_t reclaim_plan(enum reclaim_way way, uint64_t need_kib, uint64_t tolerance_kib, struct guest *g, size_t n,
                      struct policy_scratch *scratch)
{
	uint64_t sum_kib = 0, remainder_kib = 0;
	enum stage stage = way == RECLAIM_HARD ? STAGE_HEADROOM : STAGE_PLAIN;
	struct fairshare level = find_level(way, stage, need_kib, tolerance_kib, g, n, scratch);

	if (!level.bounded && stage == STAGE_PLAIN)
		level = find_level(way, STAGE_CACHE, need_kib, tolerance_kib, g, n, scratch);
	for (size_t i = 0; i < n; i++) {
		const struct fairshare_item *item = &scratch->item[i];

		remainder_kib =
		    plan_give(sat_add(fairshare_share_kib(&level, item), remainder_kib), tolerance_kib, item, &g[i]);
		if (!g[i].plan.ask_kib && is_overruled(way, tolerance_kib, &g[i]))
			g[i].plan.ask_kib = g[i].plan.want_kib;
		sum_kib = sat_add(sum_kib, g[i].sample.actual_kib - g[i].plan.want_kib);
	}
	return sum_kib;
}

bool reclaim_owes(uint64_t tolerance_kib, const struct guest *g)
{
	bool at_rest = !g->past.asked_kib;

	if (at_rest && sat_add(g->sample.actual_kib, tolerance_kib) < g->order.kib)
		return false;
	return sat_add(guest_told_kib(g), tolerance_kib) < min_u64(g->order.before_kib, g->plan.ceil_kib);
}

uint64_t reclaim_return(const struct policy_conf *conf, const struct host *host, uint64_t pending_kib, struct guest *g,
                        size_t n, struct policy_scratch *scratch)
{
	struct budget budget;
	uint64_t spare_kib, sum_kib;

	for (size_t i = 0; i < n; i++) {
		g[i].plan.want_kib = g[i].sample.actual_kib;
		if (reclaim_owes(conf->tolerance_kib, &g[i]))
			g[i].plan.want_kib = min_u64(g[i].order.before_kib, g[i].plan.ceil_kib);
	}
	policy_budget(conf, host, pending_kib, g, n, &budget);
	spare_kib =
	    sat_sub(budget.room_kib > 0 ? (uint64_t)budget.room_kib : 0, budget.promised_kib); /* lends nothing */
	sum_kib = policy_grant(conf, spare_kib / 2, REASON_NONE, g, n, scratch);
	for (size_t i = 0; i < n; i++)
		g[i].plan.ask_kib = g[i].plan.grant_kib;
	return sum_kib;
}

enum reason reclaim_refusal(enum reclaim_way way, uint64_t tolerance_kib, const struct guest *g)
{
	if (g->hung)
		return REASON_UNRESPONSIVE;
	if (g->plan.fixed || g->plan.no_take)
		return g->plan.reason;
	if (g->order.error)
		return REASON_FAILED;
	if (most_kib(way, g) > tolerance_kib)
		return REASON_NONE;
	return g->est.predates_move ? REASON_STALE_STATS : REASON_AT_MIN;
}

bool reclaim_spares_untouched(enum reclaim_way way, uint64_t tolerance_kib, const struct guest *g)
{
	return reclaim_refusal(way, tolerance_kib, g) == REASON_AT_MIN && excess_kib(g) > tolerance_kib;
}

uint64_t reclaim_promised_kib(const struct guest *g, size_t n)
{
	uint64_t sum_kib = 0;

	for (size_t i = 0; i < n; i++)
		sum_kib = sat_add(sum_kib, untouched_kib(&g[i], guest_told_kib(&g[i])));
	return sum_kib;
}

uint64_t reclaim_growing_kib(const struct guest *g, size_t n)
{
	uint64_t sum_kib = 0;

	for (size_t i = 0; i < n; i++)
		if (g[i].est.risen_kib > RISEN_KIB)
			sum_kib = sat_add(sum_kib, untouched_kib(&g[i], guest_told_kib(&g[i])));
	return sum_kib;
}

/* Fresh statistics come from the driver that keeps the balloon. */
static uint64_t may_grow_to_kib(const struct guest *g)
{
	return g->est.has_used && !g->est.stale ? guest_told_kib(g) : g->device.maximum_kib;
}

uint64_t reclaim_starting_kib(const struct guest *g, size_t n)
{
	uint64_t sum_kib = 0;

	for (size_t i = 0; i < n; i++)
		if (g[i].est.booting && !g[i].vanished && !g[i].device.hugepages)
			sum_kib = sat_add(sum_kib, sat_sub(may_grow_to_kib(&g[i]), guest_rss_kib(&g[i])));
	return sum_kib;
}

int reclaim_order(const void *a, const void *b)
{
	const struct guest *x = a, *y = b;

	if (weight_of(x) != weight_of(y))
		return weight_of(x) < weight_of(y) ? -1 : 1;
	return strcmp(x->name, y->name);
}

static size_t add_refusal(char *text, size_t size, size_t used, const struct guest *g, enum reason why)
{
	char name[128];
	int n;

	text_escape(name, sizeof(name), g->name, text_is_utf8());
	n = snprintf(text + used, size - used, "%s%s (%s)", used ? ", " : "", name, reason_word(why));
	return n > 0 && used + (size_t)n < size ? used + (size_t)n : 0;
}

void reclaim_refusals(enum reclaim_way way, uint64_t tolerance_kib, const struct guest *g, size_t n, char *text,
                      size_t size)
{
	size_t used = 0, left = 0;

	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		enum reason why = reclaim_refusal(way, tolerance_kib, &g[i]);
		size_t longer = why && !left ? add_refusal(text, size - 32, used, &g[i], why) : 0;

		if (longer)
			used = longer;
		else
			left += why != REASON_NONE;
	}
	if (left)
		snprintf(text + used, size - used, "%s%zu more", used ? " and " : "", left);
	if (!used && !left)
		snprintf(text, size, "%s", n ? "no guest, the shortage is within the tolerance" : "no guest");
}
