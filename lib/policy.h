/*
 * Who gives, who gets, how much, and why. Design §4.
 * Pure: no I/O, no clock, no allocation (scratch is passed in); the order of guests does not matter; O(n log n).
 */
#ifndef MEMSCHED_POLICY_H
#define MEMSCHED_POLICY_H

#include "guest.h"
#include "host.h"

struct policy_conf {
	uint64_t step_kib;      /* least that is taken at once; 50000 in the original */
	uint64_t reserve_kib;   /* stays available on the host whatever guests need */
	uint64_t tolerance_kib; /* deficits below this are no reason to give; 5000 in the original */
	uint64_t
	    horizon_ms; /* until the next pass can act (estimate_horizon_ms); who comes seldom takes with more care */
	bool no_give;   /* the guard forbids gives out of the host's room */
};

/* What the host has for guests, and what came of it. */
struct balance {
	int64_t room_kib; /* available - reserve - pending starts - what guests that are left alone may still touch */
	uint64_t promised_kib; /* what managed guests may still touch without asking */
	uint64_t capacity_kib; /* what they have touched, and the room */
	uint64_t demand_kib;   /* sum of their needs */
	uint64_t shortage_kib; /* demand beyond capacity; 0: enough for all */
	uint64_t spare_kib;    /* max(0, min(room, room - promised)): may be given before anything was taken */
	bool least;            /* not even the least headroom fits: nothing is given */
	bool has_level;        /* under shortage: headroom a guest of weight w gets is level_kib * w / WEIGHT_DEFAULT */
	uint64_t level_kib;
};

/* Scratch for one guest; policy_plan needs 2 n of them. */
struct policy_scratch {
	uint64_t at_num, at_den; /* a breakpoint: the level at which a guest's share starts or stops growing */
	uint64_t weight, base_kib, edge_kib;
	bool starts;
};

/* The floor below which a guest of this maximum is never taken without a hint: Hyper-V's compute_balloon_floor. */
uint64_t policy_floor_kib(uint64_t maximum_kib);

/*
 * Fills want, reason, fixed and the bounds of each of the n guests from their sample, device, hints, est and target.
 * pending_kib: what starting guests will need. ret_balance tells what the decision rests on.
 */
void policy_plan(const struct policy_conf *conf, const struct host *host, uint64_t pending_kib, struct guest *g,
		 size_t n, struct policy_scratch *scratch, struct balance *ret_balance);

/*
 * Cuts the gives (want over actual) that are not sent yet to what budget_kib allows, shared by the same rule of
 * fairness; who gets less than it needs says host-reserve or shared-shortage. Returns the sum of what is left to give.
 */
uint64_t policy_grant(const struct policy_conf *conf, uint64_t budget_kib, struct guest *g, size_t n,
		      struct policy_scratch *scratch);

static inline bool guest_grows(const struct guest *g)
{
	return !g->fixed && g->want_kib > g->sample.actual_kib;
}

static inline bool guest_shrinks(const struct guest *g)
{
	return !g->fixed && g->want_kib < g->sample.actual_kib;
}

#endif
