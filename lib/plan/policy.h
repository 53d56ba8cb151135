/* SPDX-License-Identifier: MIT */
/*
 * Which guests give, which get, how much, and why: HOW IT DECIDES in membalance(8).
 * Pure: no I/O, no clock, no allocation (scratch is passed in); the order of guests does not
 * matter; O(n log n).
 */
#ifndef MEMSCHED_PLAN_POLICY_H
#define MEMSCHED_PLAN_POLICY_H

#include "base/units.h"
#include "plan/fairshare.h"
#include "plan/guest.h"
#include "plan/host.h"

/* Idle memory goes back to the host, or only to guests in need. */
enum take { TAKE_IDLE, TAKE_NEEDED };

struct policy_conf {
	uint64_t step_kib;      /* least that is taken at once; 50000 in the original */
	uint64_t reserve_kib;   /* stays available on the host whatever guests need */
	uint64_t tolerance_kib; /* ignore deficits up to this size; 5000 in the original */
	uint64_t plenty_kib;    /* page cache gets what is available above this; 0: by plenty_pct */
	uint32_t plenty_pct;    /* of what guests and host can share */
	uint32_t buffer_pct;    /* headroom if the host has plenty, of what a guest uses */
	enum take take;
};

/* Claims of guests, from those that hold first. The first that does not fit is shared by weight. */
enum layer { LAYER_LEAST, LAYER_BASIC, LAYER_NEED, LAYER_COMFORT };

/* The host's memory for guests, and how it was shared. */
struct budget {
	/* available - reserve - pending starts - memory that guests that are left alone may touch */
	int64_t room_kib;
	uint64_t covered_kib;  /* memory that the host holds for managed guests, or that their kernels keep unused */
	uint64_t promised_kib; /* memory that managed guests may still touch, and that KSM may lose */
	uint64_t merged_kib;   /* the part of that which KSM may lose */
	uint64_t lent_kib;     /* the part of promised_kib which is assumed to stay untouched */
	uint64_t capacity_kib; /* the covered memory, the room and the lent part */
	uint64_t plenty_kib;   /* the part of that which is kept before page cache is given */
	/* sums of claims, and of memory beyond them that cannot be taken now */
	uint64_t demand_kib, need_kib, comfort_kib;
	uint64_t shortage_kib; /* demand (basic claims) beyond capacity; 0: enough for all */
	uint64_t spare_kib;    /* room less promises that are not lent: may be given before takes */
	enum layer layer;      /* the one that is shared */
	bool least;            /* not even the least headroom fits: nothing is given */
	bool has_level;        /* the layer is not whole: weight w gets level * w / WEIGHT_DEFAULT */
	uint64_t level_kib;
};

/* Scratch for n guests. */
struct policy_scratch {
	struct fairshare_item *item; /* n */
	struct fairshare_edge *edge; /* 2 n */
};

/*
 * The floor below which a guest of this maximum is never taken without a hint: what Hyper-V's guest
 * driver keeps (compute_balloon_floor in drivers/hv/hv_balloon.c). Inline, so that the hook's
 * helper needs no more of the policy.
 */
static inline uint64_t policy_floor_kib(uint64_t maximum_kib)
{
	const struct {
		uint64_t below_mib, base_mib, part;
	} rows[] = {{128, 8, 2}, {512, 40, 4}, {2048, 104, 8}, {8192, 232, 16}, {UINT64_MAX / KIB_PER_MIB, 488, 32}};
	size_t i = 0;

	while (i < 4 && maximum_kib >= rows[i].below_mib * KIB_PER_MIB)
		i++;
	return rows[i].base_mib * KIB_PER_MIB + maximum_kib / rows[i].part;
}

/*
 * Fills plan of each of the n guests from sample, device, hints, past, est and target. pending_kib:
 * the need of starting guests. ret_budget: the figures behind the decision.
 */
void policy_plan(const struct policy_conf *conf, const struct host *host, uint64_t pending_kib, struct guest *g,
                 size_t n, struct policy_scratch *scratch, struct budget *ret_budget);

/* The host's memory for guests that were judged: all of the budget but how it is shared. */
void policy_budget(const struct policy_conf *conf, const struct host *host, uint64_t pending_kib, const struct guest *g,
                   size_t n, struct budget *ret_budget);

/*
 * Judges one guest by itself: its bounds and need, whether it is left alone or only never taken
 * from, and why. policy_plan begins with it; want is its actual.
 */
void policy_judge(const struct policy_conf *conf, struct guest *g);

/*
 * Shares budget_kib among the guests that must grow, by the same rule of fairness: sets grant_kib, the size to grow
 * to, which is more than guest_told_kib and at most want. A give within the tolerance is kept back. why is the reason
 * of guests that do not get all they want; REASON_NONE: none yet. Returns the sum of the gives.
 */
uint64_t policy_grant(const struct policy_conf *conf, uint64_t budget_kib, enum reason why, struct guest *g, size_t n,
                      struct policy_scratch *scratch);

/* The size it may reach without another command: its balloon may still be on its way. */
static inline uint64_t guest_told_kib(const struct guest *g)
{
	return max_u64(max_u64(g->sample.actual_kib, g->past.asked_kib), g->plan.grant_kib);
}

/*
 * The part of rss that is the guest's own memory: QEMU's does not count as promised. The use that the
 * guest reports is believed as far as rss leaves room for it: used contains memory that its kernel
 * keeps unused, and QEMU may have returned pages that were in use then. All of its NVDIMM and the
 * like may be in rss.
 */
static inline uint64_t policy_held_kib(const struct guest *g)
{
	uint64_t rss_kib = g->sample.rss_kib, most_kib = sat_sub(rss_kib, g->past.qemu_kib), in_use_kib;

	in_use_kib = sat_sub(g->est.used_kib, sat_sub(g->sample.unused_kib, g->est.free_kib));
	in_use_kib = sat_sub(in_use_kib, sat_sub(g->past.rss_before_kib, rss_kib));
	return min_u64(most_kib,
	               max_u64(sat_sub(rss_kib, sat_add(past_qemu_kib(&g->past), g->device.outside_kib)), in_use_kib));
}

/* The memory that the host holds for it, by the last reading. */
static inline uint64_t guest_rss_kib(const struct guest *g)
{
	if (g->sample.have & SAMPLE_RSS)
		return g->sample.rss_kib;
	return g->past.has_rss ? g->past.rss_kib : 0;
}

static inline bool guest_grows(const struct guest *g)
{
	return !g->plan.fixed && g->plan.want_kib > g->sample.actual_kib;
}

static inline bool guest_shrinks(const struct guest *g)
{
	return !g->plan.fixed && g->plan.want_kib < g->sample.actual_kib;
}

#endif
