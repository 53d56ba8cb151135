/* SPDX-License-Identifier: MIT */
#include "invariants.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "plan/claims.h"

#define LEAST_HEADROOM(target) ((target) / 4)
#define LEAP_KIB (256 * KIB_PER_MIB)
#define IN_VAIN_MOST 16 /* commands a dead balloon gets in a minute: three, then with growing pauses */
#define REST_STEPS 12   /* at the end of a quiet world nothing moves for so many passes */

struct watch {             /* of one machine */
	uint64_t commands; /* counted so far */
	uint64_t moved_step;
	unsigned in_vain; /* commands to a balloon that stopped */
	unsigned turns;
	bool least;        /* it was planned for while not even the least fitted */
	int way;           /* of the last command: 1 up, -1 down */
	uint64_t seen_kib; /* actual as the pass saw it */
	uint64_t told_kib; /* the larger of that and of the target it had before the pass */
};

__attribute__((format(printf, 3, 4))) static void broke(struct checker *c, const char *invariant, const char *form, ...)
{
	va_list args;

	if (c->broken)
		return;
	c->broken = invariant;
	va_start(args, form);
	vsnprintf(c->complaint, sizeof(c->complaint), form, args);
	va_end(args);
}

static unsigned long mib(uint64_t kib)
{
	return (unsigned long)(kib / KIB_PER_MIB);
}

static void check_gives(void *checker);

int checker_open(struct checker *c, const struct making *m, struct world *w, struct ours *o)
{
	*c = (struct checker){.making = m, .world = w, .ours = o, .rng.state = ~m->seed};
	c->watch = calloc(w->n, sizeof(*c->watch));
	c->copy = calloc(w->n, sizeof(*c->copy));
	c->scratch.item = calloc(w->n, sizeof(*c->scratch.item));
	c->scratch.edge = calloc(w->n, 2 * sizeof(*c->scratch.edge));
	o->virt.was_told = check_gives;
	o->virt.watcher = c;
	return c->watch && c->copy && c->scratch.item && c->scratch.edge ? 0 : -ENOMEM;
}

void checker_close(struct checker *c)
{
	free(c->watch);
	free(c->copy);
	free(c->scratch.item);
	free(c->scratch.edge);
}

/* ---- a plan ---- */

/* Plans for n guests and grants what the budget allows. Returns what was handed out. */
static uint64_t decide(struct checker *c, const struct host *host, struct guest *g, size_t n, struct budget *ret_budget)
{
	struct policy_conf conf = conf_policy(&c->ours->conf, c->world->total_kib);

	policy_plan(&conf, host, c->ours->registry.pending_kib, g, n, &c->scratch, ret_budget);
	return policy_grant(&conf, c->budget_kib, REASON_HOST_RESERVE, g, n, &c->scratch);
}

static void check_bounds(struct checker *c, const struct guest *g)
{
	uint64_t actual = g->sample.actual_kib, ceil = g->device.maximum_kib, bottom;

	if (g->hints.has_max)
		ceil = min_u64(ceil, g->hints.max_kib);
	if (g->plan.fixed && g->plan.want_kib != actual)
		broke(c, "a guest left alone does not move", "%s: %lu to %lu MiB", g->name, mib(actual),
		      mib(g->plan.want_kib));
	if (g->plan.fixed)
		return;
	bottom = g->est.used_kib + LEAST_HEADROOM(g->target_kib);
	bottom = max_u64(bottom, g->hints.has_min ? min_u64(g->hints.min_kib, ceil)
	                                          : min_u64(policy_floor_kib(g->device.maximum_kib), ceil));
	if (g->plan.want_kib > actual && g->plan.want_kib > ceil)
		broke(c, "no give above ceil", "%s: to %lu MiB, ceil %lu", g->name, mib(g->plan.want_kib), mib(ceil));
	if (g->plan.want_kib < actual && g->plan.want_kib < bottom)
		broke(c, "no take below bottom", "%s: to %lu MiB, bottom %lu", g->name, mib(g->plan.want_kib),
		      mib(bottom));
	if (g->est.predates_move && g->plan.want_kib < actual && actual <= ceil)
		broke(c, "no take on a sample of before the last move", "%s: %lu to %lu MiB", g->name, mib(actual),
		      mib(g->plan.want_kib));
	if (g->plan.no_take && g->plan.want_kib < actual)
		broke(c, "no take from who is not to be taken from", "%s: %lu to %lu MiB", g->name, mib(actual),
		      mib(g->plan.want_kib));
}

/* Who lies about what it uses has it counted as touched by capacity, and not by spare. */
static bool has_liar(const struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->vm[i].is.lie)
			return true;
	return false;
}

static void check_capacity(struct checker *c, const struct balance_report *plan)
{
	const struct budget *b = &plan->budget;
	uint64_t want = 0, gives = 0, takes = 0, slack = 0;
	bool bottoms = true;

	for (size_t i = 0; i < plan->n; i++) {
		const struct guest *g = &plan->guest[i];

		if (g->plan.fixed)
			continue;
		slack += c->ours->conf.tolerance_kib;
		slack += g->est.predates_move ? g->sample.actual_kib : 0; /* may be taken from a pass later */
		slack +=
		    sat_sub(guest_told_kib(g), g->sample.actual_kib); /* is on its way to what it was told before */
		want += g->plan.want_kib;
		gives += sat_sub(g->plan.want_kib, guest_told_kib(g));
		takes += sat_sub(g->sample.actual_kib, g->plan.want_kib);
		bottoms &=
		    g->plan.want_kib <= max_u64(g->plan.bottom_kib, g->sample.actual_kib) + c->ours->conf.tolerance_kib;
	}
	if (b->least && gives)
		broke(c, "nothing is given when the least does not fit", "gives %lu MiB", mib(gives));
	if (b->shortage_kib && want > b->capacity_kib + slack && !bottoms)
		broke(c, "in a shortage wants fit the capacity", "wants %lu MiB, capacity %lu", mib(want),
		      mib(b->capacity_kib));
	if (!b->shortage_kib && !has_liar(c->world) && gives > takes + b->spare_kib + slack)
		broke(c, "where there is enough takes and spare cover the gives", "gives %lu MiB, takes %lu, spare %lu",
		      mib(gives), mib(takes), mib(b->spare_kib));
}

/* The first n guests in c->copy, on the same host. */
static void decide_again(struct checker *c, const struct balance_report *plan, size_t n)
{
	struct budget b;

	decide(c, &plan->host, c->copy, n, &b);
}

/* Whether the level decided how much this guest gets, and neither end of the layer. */
static bool is_levelled(const struct checker *c, const struct guest *g)
{
	uint64_t margin_kib = c->ours->conf.tolerance_kib, least_kib = claim_least_kib(g);
	bool basic = g->plan.layer == LAYER_BASIC;
	uint64_t lo_kib = basic ? least_kib : g->plan.bottom_kib;

	return !g->plan.fixed && !g->plan.no_take && !g->est.predates_move && g->plan.want_kib > lo_kib + margin_kib &&
	       g->plan.want_kib + margin_kib < g->plan.basic_kib && g->sample.actual_kib > g->plan.bottom_kib;
}

static double headroom_by_weight(const struct guest *g)
{
	return ((double)g->plan.want_kib - (double)g->est.used_kib) / (weight_of(g));
}

static double margin_by_weight(const struct checker *c, const struct guest *g)
{
	return (double)(c->ours->conf.tolerance_kib + 1) / (weight_of(g));
}

/* In a shortage those whom the level holds have headroom by their weights, but for moves not worth a command. */
static void check_level(struct checker *c, const struct balance_report *plan)
{
	const struct guest *first = NULL;

	for (size_t i = 0; plan->budget.shortage_kib && i < plan->n; i++) {
		const struct guest *g = &plan->guest[i];
		double apart;

		if (!is_levelled(c, g))
			continue;
		first = first ? first : g;
		apart = headroom_by_weight(g) - headroom_by_weight(first);
		if ((apart < 0 ? -apart : apart) > margin_by_weight(c, g) + margin_by_weight(c, first))
			broke(c, "in a shortage headroom goes by weight",
			      "%s has %.0f KiB for each of its weight, %s %.0f", g->name, headroom_by_weight(g),
			      first->name, headroom_by_weight(first));
	}
}

/* Not worth a command if neither a guest nor the host needs anything. */
static bool is_crumb(const struct checker *c, const struct guest *g)
{
	uint64_t actual = g->sample.actual_kib;

	return actual <= g->plan.ceil_kib && (actual - g->plan.want_kib <= c->ours->conf.tolerance_kib ||
	                                      actual <= g->plan.share_kib + c->ours->conf.step_kib / 2);
}

static void check_crumbs(struct checker *c, const struct balance_report *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		if (plan->budget.shortage_kib || plan->budget.room_kib < 0 || guest_grows(&plan->guest[i]))
			return;
	for (size_t i = 0; i < plan->n; i++)
		if (guest_shrinks(&plan->guest[i]) && is_crumb(c, &plan->guest[i]))
			broke(c, "crumbs are not taken", "%s: %lu of %lu KiB", plan->guest[i].name,
			      (unsigned long)(plan->guest[i].sample.actual_kib - plan->guest[i].plan.want_kib),
			      (unsigned long)plan->guest[i].sample.actual_kib);
}

static void copy_guests(struct checker *c, const struct balance_report *plan)
{
	memcpy(c->copy, plan->guest, plan->n * sizeof(*c->copy));
}

static const struct guest *find(const struct guest *g, size_t n, int64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (g[i].domain_id == id)
			return &g[i];
	return NULL;
}

static void check_order(struct checker *c, const struct balance_report *plan)
{
	copy_guests(c, plan);
	for (size_t i = plan->n; i > 1; i--) {
		size_t k = rng_between(&c->rng, 0, i - 1);
		struct guest g = c->copy[k];

		c->copy[k] = c->copy[i - 1];
		c->copy[i - 1] = g;
	}
	decide_again(c, plan, plan->n);
	for (size_t i = 0; i < plan->n; i++) {
		const struct guest *g = find(c->copy, plan->n, plan->guest[i].domain_id);

		if (g->plan.want_kib != plan->guest[i].plan.want_kib ||
		    g->plan.grant_kib != plan->guest[i].plan.grant_kib || g->plan.reason != plan->guest[i].plan.reason)
			broke(c, "the order of guests does not matter", "%s: %lu or %lu KiB", g->name,
			      (unsigned long)plan->guest[i].plan.want_kib, (unsigned long)g->plan.want_kib);
	}
}

static void check_weight(struct checker *c, const struct balance_report *plan)
{
	size_t i = rng_between(&c->rng, 0, plan->n - 1);
	const struct guest *light = &plan->guest[i], *heavy = &c->copy[i];
	uint32_t weight = weight_of(light);

	copy_guests(c, plan);
	c->copy[i].hints.weight = (uint32_t)min_u64(10000, weight * rng_between(&c->rng, 2, 20));
	decide_again(c, plan, plan->n);
	if (heavy->plan.want_kib < light->plan.want_kib || heavy->plan.grant_kib < light->plan.grant_kib)
		broke(c, "more weight never gets less",
		      "%s: weight %u wants %lu KiB and gets %lu, weight %u %lu and %lu", light->name, weight,
		      (unsigned long)light->plan.want_kib, (unsigned long)light->plan.grant_kib, heavy->hints.weight,
		      (unsigned long)heavy->plan.want_kib, (unsigned long)heavy->plan.grant_kib);
}

/* With spare memory, all of it touched: what was never touched is a promise, and promises do cost the others. */
static bool is_idle(const struct world *w, const struct guest *g)
{
	const struct vm *v = &w->vm[ours_index(g)];

	return !g->plan.fixed && !g->plan.no_take && g->plan.want_kib < g->sample.actual_kib &&
	       g->plan.need_kib <= g->sample.actual_kib && policy_held_kib(g) >= g->sample.actual_kib &&
	       vm_rss_kib(v) - v->is.qemu_kib >= max_u64(g->sample.actual_kib, vm_actual_kib(v));
}

/* Without an idle guest, what it holds is gone: none of the others can be better off for that. */
static void check_idle(struct checker *c, const struct balance_report *plan)
{
	size_t idle = rng_between(&c->rng, 0, plan->n - 1), n = 0;

	if (!is_idle(c->world, &plan->guest[idle]))
		return;
	for (size_t i = 0; i < plan->n; i++)
		if (i != idle)
			c->copy[n++] = plan->guest[i];
	decide_again(c, plan, n);
	for (size_t i = 0; i < n; i++) {
		const struct guest *with = find(plan->guest, plan->n, c->copy[i].domain_id);

		/* if not even the least fits, weights decide who starves: with more, all have the least */
		if (c->copy[i].plan.layer != LAYER_LEAST && with->plan.need_kib > with->sample.actual_kib &&
		    with->plan.want_kib + c->ours->conf.tolerance_kib <
		        min_u64(c->copy[i].plan.want_kib, with->plan.need_kib))
			broke(c, "an idle guest costs no one", "%s: %lu MiB with %s, %lu without", with->name,
			      mib(with->plan.want_kib), plan->guest[idle].name, mib(c->copy[i].plan.want_kib));
	}
}

static void check_grant(struct checker *c, const struct balance_report *plan, uint64_t handed_kib)
{
	uint64_t given = 0;

	for (size_t i = 0; i < plan->n; i++) {
		const struct guest *g = &plan->guest[i];

		given += sat_sub(g->plan.grant_kib, max_u64(g->sample.actual_kib, g->past.asked_kib));
		if (g->plan.grant_kib &&
		    (g->plan.fixed || g->plan.grant_kib > g->plan.want_kib || g->plan.grant_kib < g->sample.actual_kib))
			broke(c, "a grant lies between actual and want", "%s: %lu KiB of %lu", g->name,
			      (unsigned long)g->plan.grant_kib, (unsigned long)g->plan.want_kib);
	}
	if (handed_kib > c->budget_kib || handed_kib != given)
		broke(c, "grants keep to the budget", "budget %lu KiB, said %lu, handed out %lu",
		      (unsigned long)c->budget_kib, (unsigned long)handed_kib, (unsigned long)given);
}

void check_plan(struct checker *c, struct balance_report *plan)
{
	uint64_t handed_kib;

	for (size_t i = 0; i < c->world->n; i++) {
		c->watch[i].seen_kib = c->world->vm[i].seen_kib;
		c->watch[i].told_kib = max_u64(c->world->vm[i].seen_kib, c->world->vm[i].target_kib);
	}
	for (size_t i = 0; i < plan->n; i++)
		c->watch[ours_index(&plan->guest[i])].least |= plan->guest[i].plan.layer == LAYER_LEAST;
	c->host = plan->host;
	c->budget = plan->budget;
	c->given_kib = 0;
	if (!plan->n)
		return;
	c->budget_kib = rng_between(&c->rng, 0, plan->budget.demand_kib / 4);
	handed_kib = decide(c, &plan->host, plan->guest, plan->n, &plan->budget);
	for (size_t i = 0; i < plan->n; i++)
		check_bounds(c, &plan->guest[i]);
	check_capacity(c, plan);
	check_level(c, plan);
	check_crumbs(c, plan);
	check_grant(c, plan, handed_kib);
	check_order(c, plan);
	check_weight(c, plan);
	check_idle(c, plan);
}

/* ---- a world ---- */

static bool is_steady(const struct nature *is)
{
	return !is->lie && !is->use.peak_kib && !is->reboot_ms && !is->start_ms && !is->autodeflate && !is->no_usable &&
	       !is->thrash_below_kib && !is->mute_ms && is->phase_ms < 1000 && !is->cache_kibps;
}

/* rss contains QEMU's own memory, which no one tells apart: as far as it is not the usual, what a guest may still touch
 * is taken for more or for less; and who lies about what it uses is believed as far as that. */
static uint64_t hidden_kib(const struct checker *c)
{
	uint64_t sum = 0;

	for (size_t i = 0; !c->strict && i < c->world->n; i++) {
		const struct nature *is = &c->world->vm[i].is;

		sum += max_u64(is->qemu_kib, QEMU_USUAL_KIB) - (is->lie ? 0 : min_u64(is->qemu_kib, QEMU_USUAL_KIB));
	}
	return sum;
}

static uint64_t vm_ceil_kib(const struct vm *v)
{
	return v->is.hint_max_kib ? min_u64(v->is.hint_max_kib, v->is.max_kib) : v->is.max_kib;
}

static bool has_cache(const struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->vm[i].is.cache_kib)
			return true;
	return false;
}

/*
 * Page cache that grows into what it gets is no constant load, and others share with it. What was taken
 * at once for the need of others, or for a debt, is given back once.
 */
static bool may_turn(const struct checker *c, const struct vm *v, const struct watch *seen, int way)
{
	uint64_t distance_kib = distance_u64(v->target_kib, seen->seen_kib);

	if (distance_kib <= hidden_kib(c) || (has_cache(c->world) && seen->turns <= 2))
		return true;
	return (way > 0 || seen->least) && seen->turns == 1;
}

static void check_command(struct checker *c, const struct vm *v, struct watch *seen)
{
	const size_t i = (size_t)(v - c->world->vm);
	uint64_t headroom = sat_sub(v->target_kib, v->is.overhead_kib + v->used_kib);
	int way = v->target_kib > seen->seen_kib ? 1 : -1;

	seen->commands = v->tally.commands;
	if (way > 0 && v->target_kib > vm_ceil_kib(v))
		broke(c, "no command above ceil", "vm%zu: to %lu MiB", i, mib(v->target_kib));
	if (way < 0 && is_steady(&v->is) && headroom + KIB_PER_MIB < LEAST_HEADROOM(c->world->target_kib))
		broke(c, "a steady guest keeps the least headroom", "vm%zu: to %lu MiB of which it uses %lu", i,
		      mib(v->target_kib), mib(v->is.overhead_kib + v->used_kib));
	seen->turns += seen->way && way != seen->way;
	if (c->making->quiet && seen->way && way != seen->way && !may_turn(c, v, seen, way))
		broke(c, "no reversal under constant load", "vm%zu: from %lu to %lu MiB", i, mib(seen->seen_kib),
		      mib(v->target_kib));
	seen->in_vain += is_steady(&v->is) && v->is.stops_ms && c->world->now_ms > v->is.stops_ms;
	if (seen->in_vain > IN_VAIN_MOST && c->making->interval_ms < 60000)
		broke(c, "a stuck guest is asked ever less", "vm%zu: %u commands in vain", i, seen->in_vain);
	seen->way = way;
	seen->moved_step = c->step;
}

/* The size this machine has or will have without being asked again. */
static uint64_t vm_coming_kib(const struct world *w, const struct vm *v)
{
	bool moves = !v->is.no_driver && !(v->is.stops_ms && w->now_ms >= v->is.stops_ms);

	return moves ? max_u64(vm_actual_kib(v), v->target_kib) : vm_actual_kib(v);
}

/* What a machine may touch: all it was given; one that no balloon holds, what it may at once. */
static uint64_t vm_call_kib(const struct world *w, const struct vm *v)
{
	uint64_t untouched_kib = sat_sub(vm_coming_kib(w, v) + v->is.qemu_kib, vm_rss_kib(v));

	return v->is.no_driver || v->is.lie ? min_u64(untouched_kib, LEAP_KIB) : untouched_kib;
}

/* What the host has left when every machine has touched what it may. */
static int64_t unpromised_kib(const struct world *w)
{
	int64_t kib = world_available_kib(w);

	for (size_t i = 0; i < w->n; i++)
		if (vm_runs(w, &w->vm[i]))
			kib -= (int64_t)vm_call_kib(w, &w->vm[i]);
	return kib;
}

/* Debts that are not called for at once: the headroom of guests at rest, at most that of three. */
static uint64_t lent_kib(const struct world *w)
{
	return min_u64(w->n, 3) * w->target_kib;
}

static void check_reserve(struct checker *c)
{
	const struct world *w = c->world;
	uint64_t crumbs_kib =
	    w->n * c->ours->conf.tolerance_kib; /* so near to its target a balloon counts as arrived */

	if (c->making->sound &&
	    unpromised_kib(w) + (int64_t)(hidden_kib(c) + crumbs_kib + lent_kib(w)) < (int64_t)w->reserve_kib)
		broke(c, "the host can keep what was promised", "%ld of %lu MiB of the reserve would be left",
		      (long)(unpromised_kib(w) / (int64_t)KIB_PER_MIB), mib(w->reserve_kib));
	if (c->making->sound && w->least_kib + (int64_t)hidden_kib(c) < (int64_t)w->reserve_kib / 2)
		broke(c, "gives never take the host below half of its reserve", "%ld of %lu MiB",
		      (long)(w->least_kib / (int64_t)KIB_PER_MIB), mib(w->reserve_kib));
}

/* What came of a take; who deflates by itself or reboots may have been there already. */
static uint64_t arrived_kib(const struct vm *v, const struct watch *before)
{
	uint64_t seen_kib = v->seen_kib;

	if (v->tally.commands == before->commands)
		return 0;
	seen_kib =
	    v->is.autodeflate || v->rebooted ? min_u64(seen_kib, v->target_kib) : max_u64(seen_kib, v->target_kib);
	return sat_sub(before->seen_kib, seen_kib);
}

/*
 * Each time that guests are told to grow: all gives of the pass are covered by what was spare at first and what arrived
 * since (while the guard forbids gives out of the host's room, by that alone), and by what the host has at that moment.
 */
static void check_gives(void *checker)
{
	struct checker *c = checker;
	uint64_t gives = 0, arrived = 0, spare = c->ours->registry.no_give ? 0 : c->budget.spare_kib;
	int64_t used_up = (int64_t)c->host.available_kib - (int64_t)world_host(c->world).available_kib;

	for (size_t i = 0; i < c->world->n; i++) {
		const struct vm *v = &c->world->vm[i];

		gives += sat_sub(v->target_kib, c->watch[i].told_kib);
		arrived += arrived_kib(v, &c->watch[i]);
	}
	if (gives <= c->given_kib)
		return;
	c->given_kib = gives;
	if (gives > spare + arrived)
		broke(c, "gives are what was spare and what arrived", "gives %lu MiB, spare %lu, arrived %lu",
		      mib(gives), mib(spare), mib(arrived));
	if ((int64_t)gives > c->budget.room_kib - used_up)
		broke(c, "what the host does not have is not given", "gives %lu MiB, room %ld, used up %ld", mib(gives),
		      (long)(c->budget.room_kib / (int64_t)KIB_PER_MIB), (long)(used_up / (int64_t)KIB_PER_MIB));
}

void check_pass(struct checker *c, const struct balance_report *report)
{
	struct world *w = c->world;

	for (size_t i = 0; i < report->n; i++)
		if (report->guest[i].order.error)
			broke(c, "no command is refused", "%s: %s", report->guest[i].name,
			      strerror(-report->guest[i].order.error));
	for (size_t i = 0; i < w->n; i++)
		if (w->vm[i].tally.commands != c->watch[i].commands)
			check_command(c, &w->vm[i], &c->watch[i]);
	check_reserve(c);
}

void check_end(struct checker *c)
{
	for (size_t i = 0; c->making->quiet && i < c->world->n; i++)
		if (c->watch[i].moved_step + REST_STEPS > c->step)
			broke(c, "under constant load nothing moves in the end", "vm%zu: moved in pass %lu of %u", i,
			      (unsigned long)c->watch[i].moved_step, c->step);
}
