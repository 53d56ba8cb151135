/* SPDX-License-Identifier: MIT */
#include "run/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "host/section.h"

#define LIST_PART 6         /* of the time that the list may take if other guests are known */
#define POLL_MS 100         /* between two looks for statistics */
#define FIRST_STATS_MS 1500 /* a guest that was just given a statistics period reports within this */

/* One snapshot_read. */
struct reading {
	const struct snapshot_conf *sc;
	struct virt *virt;
	struct registry *registry;
	struct snapshot *before;
	uint64_t end_ms;
	struct snapshot *s;
};

/* ---- snapshots ---- */

void snapshot_clear(struct snapshot *s)
{
	guests_free(s->guest, s->n);
	free(s->scratch.item);
	free(s->scratch.edge);
	*s = (struct snapshot){.n = 0};
}

struct guest *snapshot_find(const struct snapshot *s, const struct guest *g)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->guest[i].uuid, g->uuid))
			return s->guest[i].domain_id == g->domain_id ? &s->guest[i] : NULL;
	return NULL;
}

/* A hook that holds up the list, or a QEMU that hangs, leaves others that answer; that one is gone is an answer too. */
bool snapshot_is_silent(const struct snapshot *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (!s->guest[i].hung)
			return false;
	return s->n && !s->listed;
}

static void recall_from(struct guest *g, const struct guest *known)
{
	g->past = known->past;
	g->device = known->device; /* should it not answer */
	g->unreadable = known->unreadable;
	g->migrating = known->migrating; /* then virt_read asks whether it still does */
}

int snapshot_recall(const struct snapshot *s, struct snapshot *ret_before)
{
	struct snapshot before = {.guest = calloc(s->n + 1, sizeof(*before.guest))};

	for (size_t i = 0; before.guest && i < s->n; i++) {
		struct guest *g = &before.guest[before.n];

		memcpy(g->uuid, s->guest[i].uuid, sizeof(g->uuid));
		g->domain_id = s->guest[i].domain_id;
		recall_from(g, &s->guest[i]);
		g->name = strdup(s->guest[i].name);
		before.n += g->name != NULL;
	}
	if (!before.guest || before.n < s->n) {
		snapshot_clear(&before);
		return -ENOMEM;
	}
	*ret_before = before;
	return 0;
}

/* ---- list ---- */

/* A hook that holds up the list does not make guests go away. */
static int list_known(struct reading *rd)
{
	struct snapshot *before = rd->before;

	if (rd->registry && rd->sc->is_saved) {
		rd->before = NULL;
	} else if (before && before->n) {
		rd->s->guest = before->guest;
		rd->s->n = before->n;
		before->guest = NULL;
		before->n = 0;
		return 0;
	}
	return rd->registry ? registry_list(rd->registry, clock_now().wall_ms / 1000, &rd->s->guest, &rd->s->n) : 0;
}

static bool has_known(const struct reading *rd)
{
	return rd->before || (rd->registry && registry_has_guests(rd->registry));
}

static int list_guests(struct reading *rd)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME), left_ms = sat_sub(rd->end_ms, now_ms);
	bool known = has_known(rd);
	int r = virt_list(rd->virt, now_ms + (known ? left_ms / LIST_PART : left_ms), &rd->s->guest, &rd->s->n);

	rd->s->listed = !r;
	if (r != -ETIMEDOUT || !known)
		return r;
	r = list_known(rd);
	if (rd->s->n > 0)
		qsort(rd->s->guest, rd->s->n, sizeof(*rd->s->guest), guest_order);
	return r;
}

static int make_scratch(struct snapshot *s)
{
	s->scratch.item = calloc(s->n + 1, sizeof(*s->scratch.item));
	s->scratch.edge = calloc(s->n + 1, 2 * sizeof(*s->scratch.edge));
	return s->scratch.item && s->scratch.edge ? 0 : -ENOMEM;
}

/* ---- recall ---- */

static bool is_bad(int error)
{
	return error && error != -ENOENT;
}

static int load_past(const struct registry *r, struct guest *g)
{
	int error = registry_load_past(r, g->uuid, &g->past);

	if (!error && !past_is_sound(&g->past, clock_ms(CLOCK_BOOTTIME)))
		error = -EBADMSG;
	if (!error && g->domain_id < 0) /* not listed: read_all finds out whether it is still this one */
		g->domain_id = g->past.domain_id;
	if (error || g->past.domain_id != g->domain_id)
		g->past = (struct past){.known = false};
	return error;
}

static int load_record(const struct registry *r, struct guest *g)
{
	struct record record;
	int error = registry_load_record(r, g->uuid, &record);

	if (error)
		return error;
	g->registered = true;
	g->started_s = record.started_s;
	g->hints = record.hints; /* should its definition not be read */
	record_clear(&record);
	return 0;
}

static void recall_past(const struct reading *rd, struct guest *g)
{
	const struct guest *known = rd->before ? snapshot_find(rd->before, g) : NULL;
	bool past_is_bad;

	if (known)
		recall_from(g, known);
	if (!rd->registry)
		return;
	past_is_bad = !rd->before && is_bad(load_past(rd->registry, g));
	g->unreadable = is_bad(load_record(rd->registry, g)) || past_is_bad;
}

/* ---- statistics ---- */

static bool awaits_first_stats(const struct guest *g)
{
	return g->answered && !g->device.period_s && g->device.balloon && g->run == RUN_RUNNING;
}

static bool any_without_stats(const struct snapshot *s, uint64_t since_s)
{
	for (size_t i = 0; i < s->n; i++)
		if (awaits_first_stats(&s->guest[i]) && s->guest[i].sample.last_update_s < since_s)
			return true;
	return false;
}

static int await_stats(struct reading *rd, uint64_t since_s)
{
	const volatile sig_atomic_t *stop = rd->sc->stop;
	uint64_t until_ms = min_u64(clock_ms(CLOCK_BOOTTIME) + FIRST_STATS_MS, rd->end_ms);
	bool waiting = true;
	int r = 0;

	while (!r && waiting && !(stop && *stop) && clock_ms(CLOCK_BOOTTIME) < until_ms) {
		clock_sleep_ms(POLL_MS);
		r = virt_sample(rd->virt, rd->s->guest, rd->s->n, awaits_first_stats, rd->end_ms);
		waiting = any_without_stats(rd->s, since_s);
	}
	return r;
}

/*
 * A guest without a period reported once, when its driver came up, or never: let it begin now. One whose period is
 * longer than a pass can wait grows unseen: its next report comes after the new one.
 */
static int start_stats(struct reading *rd)
{
	uint64_t since_s = clock_now().wall_ms / 1000;
	int r = virt_set_period(rd->virt, rd->s->guest, rd->s->n, rd->sc->period_s, rd->end_ms);

	if (r <= 0)
		return r;
	r = rd->sc->await_stats ? await_stats(rd, since_s) : 0;
	for (size_t i = 0; i < rd->s->n && !r; i++) {
		if (awaits_first_stats(&rd->s->guest[i]))
			rd->s->guest[i].device.period_s = rd->sc->period_s;
		rd->s->guest[i].reread = false;
	}
	return r;
}

static void estimate_guests(const struct snapshot_conf *sc, struct snapshot *s)
{
	const struct conf *c = sc->conf;
	const struct estimate_conf ec = {
	    .tolerance_kib = c->tolerance_kib,
	    .interval_ms = sc->interval_ms,
	    .boot_grace_ms = c->boot_grace_ms,
	    .period_s = sc->period_s,
	};
	struct instant at = clock_now();

	for (size_t i = 0; i < s->n; i++) {
		sections_apply(c, &s->guest[i]);
		estimate_update(&ec, &s->guest[i], at);
	}
}

int snapshot_read(const struct snapshot_conf *sc, struct virt *v, struct registry *r, struct snapshot *before,
                  uint64_t end_ms, struct snapshot *ret_snapshot)
{
	struct reading rd = {sc, v, r, before, end_ms, ret_snapshot};
	int error;

	*ret_snapshot = (struct snapshot){.began_ms = clock_ms(CLOCK_BOOTTIME)};
	error = list_guests(&rd);
	if (!error)
		error = make_scratch(ret_snapshot);
	if (error) { /* guests of which nothing was recalled would be remembered like that */
		snapshot_clear(ret_snapshot);
		return error;
	}
	for (size_t i = 0; i < ret_snapshot->n; i++)
		recall_past(&rd, &ret_snapshot->guest[i]);
	error = virt_read(v, ret_snapshot->guest, ret_snapshot->n, end_ms);
	if (!error && sc->set_period)
		error = start_stats(&rd);
	if (!error)
		estimate_guests(sc, ret_snapshot);
	return error;
}

/* ---- sending ---- */

/* A give that was not answered in time is carried out when the guest goes on: the host has to count with it. */
static bool may_still_grow(const struct guest *g)
{
	return g->order.error == -ETIMEDOUT && g->order.kib > g->sample.actual_kib;
}

/* From the size it was on its way to: a second command before it has arrived is not a second move. */
static void count_move(struct guest *g, uint64_t ask_kib)
{
	uint64_t from_kib = g->past.asked_kib ? g->past.asked_kib : g->sample.actual_kib;
	struct moves *m = &g->order.moves;

	m->gives += ask_kib > from_kib;
	m->takes += ask_kib < from_kib;
	m->given_kib = sat_add(m->given_kib, sat_sub(ask_kib, from_kib));
	m->taken_kib = sat_add(m->taken_kib, sat_sub(from_kib, ask_kib));
}

int guests_send(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms, struct instant at, unsigned *ret_sent)
{
	int r = virt_set(v, g, n, deadline_ms);

	*ret_sent = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t ask_kib = g[i].plan.ask_kib;
		bool well = ask_kib && g[i].order.sent && !g[i].order.error;

		g[i].plan.ask_kib = 0;
		if (ask_kib && g[i].migrating) { /* since it was read */
			g[i].plan.fixed = true;
			g[i].plan.reason = REASON_MIGRATING;
		}
		if (!well && !(ask_kib && g[i].order.error == -ETIMEDOUT))
			continue;
		g[i].order.kib = ask_kib;
		*ret_sent += well;
		if (well)
			count_move(&g[i], ask_kib);
		if (well || may_still_grow(&g[i]))
			estimate_asked(&g[i], ask_kib, at);
	}
	return r;
}
