/* SPDX-License-Identifier: MIT */
#include "run/balance.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "plan/estimate.h"
#include "host/proc.h"
#include "host/section.h"
#include "run/snapshot.h"

#define POLL_MS 100 /* between two looks at a balloon that moves */
#define GIVE_MS 300 /* of the deadline are left to the commands that follow a wait */
#define PERIOD_MOST_S 10
#define ROUND_MS 1000 /* a round of takes and gives needs this much of the deadline to be worth it */

struct pass {
	const struct balance_conf *pc;
	struct virt *v;
	struct registry *r;
	struct policy_conf policy;
	struct policy_scratch scratch;
	struct balance_report rep;
	uint64_t began_ms, read_by_ms, end_ms;
};

static bool told_to_stop(const struct pass *p)
{
	return p->pc->stop && *p->pc->stop;
}

static uint32_t wished_period_s(const struct balance_conf *pc)
{
	if (pc->conf->stats_period_s)
		return pc->conf->stats_period_s;
	return pc->interval_ms ? (uint32_t)clamp_u64(pc->interval_ms / 1000, 1, PERIOD_MOST_S) : PERIOD_MOST_S;
}

static void prepare_pass(struct pass *p, const struct balance_conf *pc, struct virt *v, struct registry *r)
{
	const struct conf *c = pc->conf;
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

	*p = (struct pass){.pc = pc, .v = v, .r = r, .began_ms = now_ms};
	p->rep.interval_ms = pc->interval_ms;
	p->end_ms = pc->end_ms ? pc->end_ms : now_ms + c->deadline_ms;
	p->read_by_ms = now_ms + sat_sub(p->end_ms, now_ms) / 2;
}

/* ---- read ---- */

/* On failure the report has the guests all the same. */
static int read_guests(struct pass *p, bool act)
{
	const struct snapshot_conf sc = {
	    .conf = p->pc->conf,
	    .interval_ms = p->pc->interval_ms,
	    .period_s = wished_period_s(p->pc),
	    .set_period = act,
	    .await_stats = act,
	    .is_saved = true,
	    .stop = p->pc->stop,
	};
	struct snapshot s = {.n = 0}, *before = p->pc->before;
	int r = snapshot_read(&sc, p->v, p->r, before && before->n ? before : NULL, p->read_by_ms, &s);

	p->rep.guest = s.guest;
	p->rep.n = s.n;
	p->rep.listed = s.listed;
	p->scratch = s.scratch;
	return !r && snapshot_is_silent(&s) ? -ETIMEDOUT : r;
}

static int read_host(const struct balance_conf *pc, struct virt *v, uint64_t end_ms, struct host *ret_host)
{
	if (virt_is_remote(v))
		return virt_host(v, pc->pool, end_ms, ret_host);
	return proc_read(pc->root, ret_host) < 0 ? -ENODATA : 0;
}

static int check_sizes(const struct balance_conf *pc, const struct host *h)
{
	return conf_check_host(pc->conf, host_checkable_kib(h), pc->say, pc->say_arg);
}

int balance_check_sizes(const struct balance_conf *pc, struct virt *v)
{
	struct host host;

	return read_host(pc, v, pc->end_ms, &host) < 0 ? 0 : check_sizes(pc, &host);
}

/* ---- decide ---- */

static void plan_pass(struct pass *p)
{
	struct balance_report *rep = &p->rep;
	uint64_t now_s = clock_ms(CLOCK_REALTIME) / 1000;

	rep->pending_kib = p->r ? registry_pending_kib(p->r, now_s, &rep->pending_unreadable) : 0;
	p->policy = conf_policy(p->pc->conf, host_pageable_kib(&rep->host));
	rep->reserve_kib = p->policy.reserve_kib;
	policy_plan(&p->policy, &rep->host, rep->pending_kib, rep->guest, rep->n, &p->scratch, &rep->budget);
}

static int read_and_plan(struct pass *p, bool act)
{
	int r = read_guests(p, act);

	if (!r)
		r = read_host(p->pc, p->v, p->end_ms, &p->rep.host);
	if (!r)
		r = check_sizes(p->pc, &p->rep.host);
	if (!r)
		plan_pass(p);
	return r;
}

/* ---- act ---- */

/* Guests that start may need all that the host has. */
static bool no_give(struct pass *p)
{
	int r = p->r ? registry_no_give(p->r) : 0;

	if (r < 0)
		p->rep.no_give_unknown = r;
	return r != 0 || p->rep.pending_unreadable;
}

static enum reason why_refused(struct pass *p)
{
	if (no_give(p))
		return REASON_NO_GIVE;
	return p->rep.budget.shortage_kib ? REASON_SHARED_SHORTAGE : REASON_HOST_RESERVE;
}

/* A guest that is on its way there already need not be told again. */
static bool is_on_its_way(const struct pass *p, const struct guest *g, uint64_t size_kib)
{
	const struct past *past = &g->past;
	uint64_t off_kib = size_kib > past->asked_kib ? size_kib - past->asked_kib : past->asked_kib - size_kib;

	return past->asked_kib && !past->refused && off_kib <= p->policy.tolerance_kib;
}

static void ask_size(const struct pass *p, struct guest *g, uint64_t size_kib)
{
	if (!is_on_its_way(p, g, size_kib))
		g->plan.ask_kib = size_kib;
}

static int send_commands(struct pass *p)
{
	unsigned sent;
	int r = guests_send(p->v, p->rep.guest, p->rep.n, p->end_ms, clock_now(), &sent);

	p->rep.commands += sent;
	return r;
}

static uint64_t grant_budget(struct pass *p, uint64_t budget_kib, enum reason why)
{
	uint64_t handed_kib = policy_grant(&p->policy, budget_kib, why, p->rep.guest, p->rep.n, &p->scratch);

	for (size_t i = 0; i < p->rep.n; i++)
		if (guest_grows(&p->rep.guest[i]) && p->rep.guest[i].plan.grant_kib)
			ask_size(p, &p->rep.guest[i], p->rep.guest[i].plan.grant_kib);
	return handed_kib;
}

/* past.actual_kib is the guest's size when the pass read it. */
static bool is_giving(const struct guest *g)
{
	return g->order.sent && !g->order.error && !g->hung && !g->vanished && g->plan.want_kib < g->past.actual_kib &&
	       g->sample.actual_kib > g->plan.want_kib + KIB_PER_MIB;
}

static bool is_moving(const struct guest *g)
{
	return is_giving(g) || (g->order.sent && !g->order.error && !g->hung && !g->vanished &&
	                        g->sample.actual_kib + KIB_PER_MIB < g->plan.grant_kib);
}

static bool any_guest(const struct pass *p, bool (*is)(const struct guest *g))
{
	for (size_t i = 0; i < p->rep.n; i++)
		if (is(&p->rep.guest[i]))
			return true;
	return false;
}

/* Waits until none of the guests is in this state any more, or `settle` ended. */
static int settle_guests(struct pass *p, bool (*is)(const struct guest *g))
{
	uint64_t until_ms = min_u64(clock_ms(CLOCK_BOOTTIME) + p->pc->conf->settle_ms, sat_sub(p->end_ms, GIVE_MS));
	int r = 0;

	while (!r && any_guest(p, is) && !told_to_stop(p) && clock_ms(CLOCK_BOOTTIME) < until_ms) {
		clock_sleep_ms(POLL_MS);
		r = virt_sample(p->v, p->rep.guest, p->rep.n, is, p->end_ms);
	}
	return r;
}

/* No more than was asked: a guest on its way further down goes back up to that. */
static uint64_t arrived_kib(const struct pass *p)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->rep.n; i++) {
		const struct guest *g = &p->rep.guest[i];

		if (g->order.sent && g->plan.want_kib < g->past.actual_kib)
			sum += sat_sub(g->past.actual_kib, max_u64(g->sample.actual_kib, g->plan.want_kib));
	}
	return sum;
}

/*
 * The budget for gives after takes: no more than was taken and was spare before, and no more than the host really has
 * now. Guests may not have touched the first gives yet.
 */
static int second_budget(struct pass *p, uint64_t spare_kib, uint64_t handed_kib, uint64_t *ret_kib)
{
	struct host now;
	int64_t room_kib;
	int r = read_host(p->pc, p->v, p->end_ms, &now);

	if (r)
		return r;
	room_kib = p->rep.budget.room_kib + (int64_t)now.available_kib - (int64_t)p->rep.host.available_kib;
	*ret_kib = room_kib <= 0 ? 0 : min_u64((uint64_t)room_kib, sat_add(arrived_kib(p), spare_kib));
	*ret_kib = sat_sub(*ret_kib, handed_kib);
	return 0;
}

/* Gives within the tolerance are kept back: no pass waits for takes because of them. */
static bool awaits_give(const struct pass *p)
{
	for (size_t i = 0; i < p->rep.n; i++) {
		const struct guest *g = &p->rep.guest[i];

		if (guest_grows(g) && sat_add(guest_told_kib(g), p->policy.tolerance_kib) < g->plan.want_kib)
			return true;
	}
	return false;
}

/* Target at which to stop a guest that still grows past its new plan; 0: none. Nothing is taken for that, and even with
 * a max below its use the guest keeps its least headroom. */
static uint64_t turn_back_kib(const struct pass *p, const struct guest *g)
{
	uint64_t most_kib = max_u64(max_u64(g->plan.want_kib, g->sample.actual_kib), g->plan.bottom_kib);

	if (g->est.used_kib <= g->plan.ceil_kib)
		most_kib = min_u64(most_kib, max_u64(g->plan.ceil_kib, g->sample.actual_kib));

	return !g->plan.fixed && !g->plan.grant_kib && g->past.asked_kib > most_kib + p->policy.step_kib / 2 ? most_kib
	                                                                                                     : 0;
}

static void ask_takes(struct pass *p)
{
	for (size_t i = 0; i < p->rep.n; i++) {
		struct guest *g = &p->rep.guest[i];

		if (guest_shrinks(g))
			ask_size(p, g, g->plan.want_kib);
		else if (turn_back_kib(p, g))
			ask_size(p, g, turn_back_kib(p, g));
	}
}

static int give_what_arrived(struct pass *p, uint64_t spare_kib, uint64_t *handed_kib)
{
	uint64_t budget_kib;
	int r = second_budget(p, spare_kib, *handed_kib, &budget_kib);

	if (r)
		return r;
	*handed_kib = sat_add(*handed_kib, grant_budget(p, budget_kib, REASON_NONE));
	return told_to_stop(p) ? 0 : send_commands(p);
}

/* A single pass waits for slow guests until its deadline; a loop reads them in its next pass. */
static bool goes_round(const struct pass *p)
{
	return !p->pc->interval_ms && !told_to_stop(p) && any_guest(p, is_giving) && awaits_give(p) &&
	       clock_ms(CLOCK_BOOTTIME) + ROUND_MS < p->end_ms;
}

static int carry_out_plan(struct pass *p)
{
	uint64_t spare_kib = no_give(p) ? 0 : p->rep.budget.spare_kib, handed_kib;
	int r;

	handed_kib = grant_budget(p, spare_kib, REASON_NONE);
	ask_takes(p);
	r = send_commands(p);
	if (!r && awaits_give(p)) {
		do {
			r = settle_guests(p, is_giving);
			if (!r)
				r = give_what_arrived(p, spare_kib, &handed_kib);
		} while (!r && goes_round(p));
		grant_budget(p, 0, why_refused(p));
	}
	if (!r && !p->pc->interval_ms) /* a single pass reports the sizes reached */
		r = settle_guests(p, is_moving);
	return r;
}

/* ---- remember ---- */

static void note_unsaved(struct pass *p, int error)
{
	if (!p->rep.unsaved)
		p->rep.unsaved = error;
}

/* A guest whose XML was read before this pass equals its record: the pass that read it has written that. */
static bool may_differ(const struct pass *p, const struct guest *g)
{
	return g->answered && !g->vanished && g->facts_ms && (!g->registered || g->facts_ms >= p->began_ms);
}

/* The registry as the guest is now: started without a hook, or with hints that were changed while it runs. */
static void reconcile_record(struct pass *p, const struct guest *g)
{
	struct record now = {g->name, g->device.maximum_kib, g->started_s, g->hints}, was = {0};

	sections_undo(&now.hints);
	if (registry_load_record(p->r, g->uuid, &was) == 0) /* the hook may have written since the guest was read */
		now.started_s = was.started_s;
	note_unsaved(p, registry_save_record(p->r, g->uuid, &now));
	record_clear(&was);
}

static struct decision decision_of(const struct guest *g, struct instant at)
{
	bool known = g->answered && g->sample.have & SAMPLE_ACTUAL;

	return (struct decision){
	    .decided_ms = at.now_ms,
	    .from_kib = known ? g->past.actual_kib : 0,
	    .want_kib = known && !g->plan.fixed ? g->plan.want_kib : 0,
	    .asked_kib = g->order.kib,
	    .reached_kib = g->order.kib && g->reread ? g->sample.actual_kib : 0,
	    .reason = g->plan.reason,
	};
}

static void note_decision(struct past *past, struct decision d)
{
	past->last = d;
	if (d.asked_kib)
		past->told = (struct told){d.decided_ms, d.from_kib, d.asked_kib, d.reason};
}

/* Keeps the guests for a loop's next pass. Without memory for them, that pass asks the registry. */
static bool keep_guests(const struct pass *p)
{
	const struct snapshot now = {.guest = p->rep.guest, .n = p->rep.n};
	struct snapshot *before = p->pc->before;

	if (!before)
		return false;
	snapshot_clear(before);
	return snapshot_recall(&now, before) == 0;
}

static void remember_past(struct pass *p)
{
	struct instant at = clock_now();
	bool kept;

	if (!p->r)
		return;
	kept = keep_guests(p);
	for (size_t i = 0; i < p->rep.n; i++) {
		const struct guest *g = &p->rep.guest[i];
		struct past past = g->past;

		if (g->reread)
			estimate_reread(&past, g->sample.actual_kib, at);
		if (g->plan.reason != REASON_NONE)
			note_decision(&past, decision_of(g, at));
		if (kept)
			p->pc->before->guest[i].past = past;
		if (!g->vanished)
			note_unsaved(p, registry_save_past(p->r, g->uuid, &past));
		if (may_differ(p, g)) /* a guest that is gone: the hook has removed its record, or will write it */
			reconcile_record(p, g);
	}
	if (p->rep.listed) /* else a guest that is missing here may be one whose hook runs */
		registry_prune(p->r, p->rep.guest, p->rep.n, at.wall_ms / 1000);
}

static void note_failures(struct pass *p)
{
	for (size_t i = 0; i < p->rep.n; i++) {
		struct guest *g = &p->rep.guest[i];

		if (g->vanished)
			g->plan.reason = REASON_VANISHED;
		else if (g->hung)
			g->plan.reason = REASON_UNRESPONSIVE;
		else if (g->order.error)
			g->plan.reason = REASON_FAILED;
		p->rep.failed += !g->vanished && (g->hung || g->order.error);
	}
}

static int finish_pass(struct pass *p, int r, struct balance_report *ret_report)
{
	free(p->scratch.item);
	free(p->scratch.edge);
	if (r && p->rep.dry_run)
		balance_clear(&p->rep);
	*ret_report = p->rep;
	return r;
}

int balance_decide(const struct balance_conf *pc, struct virt *v, struct registry *r, struct balance_report *ret_report)
{
	struct pass p;
	int result;

	prepare_pass(&p, pc, v, r);
	p.rep.dry_run = true;
	result = read_and_plan(&p, false);
	if (!result) {
		/* the budget of the second round if all takes are obeyed */
		uint64_t takes_kib = 0, spare_kib = no_give(&p) ? 0 : p.rep.budget.spare_kib;

		for (size_t i = 0; i < p.rep.n; i++)
			takes_kib += guest_shrinks(&p.rep.guest[i])
			                 ? p.rep.guest[i].sample.actual_kib - p.rep.guest[i].plan.want_kib
			                 : 0;
		policy_grant(&p.policy, sat_add(spare_kib, takes_kib), why_refused(&p), p.rep.guest, p.rep.n,
		             &p.scratch);
		note_failures(&p);
	}
	return finish_pass(&p, result, ret_report);
}

int balance_run(const struct balance_conf *pc, struct virt *v, struct registry *r, struct balance_report *ret_report)
{
	struct pass p;
	int result;

	prepare_pass(&p, pc, v, r);
	result = read_and_plan(&p, true);
	if (!result && !told_to_stop(&p))
		result = carry_out_plan(&p);
	if (p.rep.guest) {
		note_failures(&p);
		remember_past(&p);
	}
	return finish_pass(&p, result, ret_report);
}

void balance_clear(struct balance_report *report)
{
	guests_free(report->guest, report->n);
	*report = (struct balance_report){.guest = NULL};
}

bool balance_moved(const struct guest *g)
{
	return g->order.sent && !g->order.error;
}
