/* SPDX-License-Identifier: MIT */
#include "run/monitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "host/proc.h"
#include "run/reader.h"

#define AGAIN_MS 3000
#define GONE_MS 100   /* between two attempts to connect to a libvirtd that is not there */
#define OLD_MS 8000   /* of a reading; at rest one may be older, and is read anew before anything is taken */
#define FRESH_MS 2000 /* likewise: two gaps. Guests may have grown since then */
#define RENEW_MS                                                                                                       \
	400 /* guests that must give wait this long for a fresh reading: a hook holds up the list for 333 ms           \
	     */
#define RENEW_HARD_MS 100 /* likewise at critical: a reading of 40 guests takes 40 ms */
#define POLL_MS 100       /* between two checks whether a slow reading is over */
#define POLL_OLD_MS 10    /* likewise, if the guard has to wait for it */
#define GRACE_MS 500      /* from a reading's deadline until its result is there */
#define REST_MS 3000      /* before memory is given back: three passes of a loop */
#define FALL_S 10         /* a fall that leads to the reserve within this may go on when memory was given back */
#define REST_MOST_MS 300000
#define TOO_SOON_MS 60000 /* an emergency so soon after memory was given back was perhaps its work */

struct monitor {
	const struct conf *conf;
	const char *root;
	bool dry_run;
	struct proc proc; /* stays open: the host may have no descriptor left when it is short of memory */
	struct guard guard;
	struct snapshot snapshot;
	struct reader *reader;
	bool at_rest;
	bool owes;                 /* guests may have to get memory back */
	bool renewing;             /* the last look waited for a fresh reading */
	struct registry *registry; /* NULL: not there */
	struct virt *virt;         /* for sending only; NULL: not connected */
	size_t ready;              /* for so many guests */
	uint64_t again_ms;         /* no new connection before: libvirtd was not there or did not answer */
	uint64_t uneasy_ms;        /* the last time guests had to give */
	uint64_t renewed_ms;       /* the beginning of the last reading that was not fresh when guests had to give */
	uint64_t renew_ms;         /* since when a fresh one is waited for */
	uint64_t busy_ms;          /* the last time guests still had to obey, or available memory fell */
	uint64_t return_ms;        /* the last attempt to give back */
	uint64_t rest_ms;          /* before it is tried after an emergency; grows if that brings the next one */
	bool stale; /* a reading found its connection dead: so is this one, though libvirt reports it only on use */
	uint64_t pending_kib;
	uint64_t pending_ms; /* the last time all of them could be read */
	bool pending_unreadable;
	struct movelog *moves; /* NULL: moves are not recorded */
	uint64_t reached_ms;   /* of the last reading that they know */
};

int monitor_new(const struct conf *conf, const char *root, bool dry_run, struct monitor **ret_monitor)
{
	struct monitor *s = calloc(1, sizeof(*s));

	if (!s || reader_new(conf, root, dry_run, &s->reader)) {
		free(s);
		return -ENOMEM;
	}
	s->conf = conf;
	s->root = s->proc.root = root;
	s->dry_run = dry_run;
	s->rest_ms = REST_MS;
	*ret_monitor = s;
	return 0;
}

void monitor_allow_gives(struct monitor *s)
{
	if (s->registry)
		registry_release_no_give(s->registry);
}

void monitor_free(struct monitor *s, uint64_t deadline_ms)
{
	if (!s)
		return;
	reader_free(s->reader, deadline_ms);
	registry_close(s->registry);
	virt_close(s->virt);
	snapshot_clear(&s->snapshot);
	proc_close(&s->proc);
	free(s);
}

struct snapshot *monitor_snapshot(struct monitor *s)
{
	return &s->snapshot;
}

/* ---- readings ---- */

/* Commands that were sent during the reading are not known to it. */
static void keep_orders(struct guest *g, const struct guest *before)
{
	g->order.rss_kib = before->order.rss_kib;
	g->order.before_kib = before->order.before_kib;
	g->order.kib = before->order.kib;
	if (before->past.asked_ms == g->past.asked_ms)
		return;
	g->past.asked_kib = before->past.asked_kib;
	g->past.asked_ms = before->past.asked_ms;
	g->past.asked_from_kib = before->past.asked_from_kib;
}

static void replace_snapshot(struct monitor *s, struct snapshot *fresh)
{
	for (size_t i = 0; i < fresh->n; i++) {
		const struct guest *before = snapshot_find(&s->snapshot, &fresh->guest[i]);

		if (before)
			keep_orders(&fresh->guest[i], before);
	}
	snapshot_clear(&s->snapshot);
	s->snapshot = *fresh;
	*fresh = (struct snapshot){.n = 0};
}

static bool is_older(const struct snapshot *s, uint64_t ms)
{
	return sat_sub(clock_ms(CLOCK_BOOTTIME), s->began_ms) > ms;
}

/* Guests go on while libvirt is gone: their old use is no lower bound any more. */
static bool is_old(const struct snapshot *s)
{
	return is_older(s, OLD_MS);
}

/*
 * Whether a fresh reading must be waited for. None may come: then the one that is there counts, as it does if libvirt
 * is slow.
 */
static bool begin_renewal(struct monitor *s, enum reclaim_way way)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	bool comes = reader_is_reading(s->reader) || now_ms >= reader_due_ms(s->reader, false);

	if (!comes || !is_older(&s->snapshot, FRESH_MS) || reader_error(s->reader))
		return false;
	if (s->renewed_ms != s->snapshot.began_ms) {
		s->renewed_ms = s->snapshot.began_ms;
		s->renew_ms = now_ms;
	}
	return now_ms - s->renew_ms < (way == RECLAIM_HARD ? RENEW_HARD_MS : RENEW_MS);
}

/* Allocates nothing. */
static void take_reading(struct monitor *s)
{
	struct snapshot fresh;

	if (!reader_take(s->reader, &fresh))
		return;
	if (fresh.began_ms)
		replace_snapshot(s, &fresh);
	s->stale |= reader_error(s->reader) == -ENOTCONN;
}

uint32_t monitor_keep_reading(struct monitor *s)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME), due_ms;

	take_reading(s);
	due_ms = reader_due_ms(s->reader, s->at_rest);
	if (!reader_is_reading(s->reader) && now_ms >= due_ms) {
		reader_begin(s->reader, &s->snapshot, now_ms + READER_TAKES_MS);
		due_ms = reader_due_ms(s->reader, s->at_rest);
	}
	if (reader_is_reading(s->reader) && (is_old(&s->snapshot) || s->renewing))
		return POLL_OLD_MS;
	return (uint32_t)max_u64(sat_sub(due_ms, now_ms), reader_is_reading(s->reader) ? POLL_MS : 0);
}

int monitor_read(struct monitor *s, uint64_t end_ms)
{
	int r = reader_is_reading(s->reader) ? 0 : reader_begin(s->reader, &s->snapshot, end_ms);

	if (!r && !reader_wait(s->reader, end_ms + GRACE_MS))
		return -ETIMEDOUT;
	take_reading(s);
	return reader_error(s->reader);
}

bool monitor_is_reading(const struct monitor *s)
{
	return reader_is_reading(s->reader);
}

int monitor_error(const struct monitor *s)
{
	return reader_error(s->reader);
}

uint64_t monitor_alive_ms(const struct monitor *s)
{
	return reader_alive_ms(s->reader);
}

/* ---- in calm times ---- */

static void drop_connection(struct monitor *s)
{
	virt_close(s->virt);
	s->virt = NULL;
	s->ready = 0;
	s->stale = false;
}

void monitor_reconnect(struct monitor *s)
{
	drop_connection(s);
	reader_disconnect(s->reader);
}

int monitor_open_registry(struct monitor *s)
{
	int r = 0;

	if (!s->registry)
		r = registry_open_guard(s->root, s->conf->uri, !s->dry_run, &s->registry);
	else if (!s->dry_run)
		r = registry_refresh(s->registry);
	if (!r && !s->dry_run)
		r = registry_prepare_no_give(s->registry);
	if (!r)
		monitor_count_pending(s);
	return r;
}

struct registry *monitor_registry(struct monitor *s)
{
	return s->registry;
}

int monitor_prepare(struct monitor *s, uint64_t deadline_ms)
{
	size_t n = s->snapshot.n;
	int r = 0;

	if (s->stale)
		drop_connection(s);
	if (s->dry_run || (s->virt && s->ready >= n && s->ready))
		return 0;
	if (!s->virt)
		r = virt_open(s->conf->uri, false, READER_WORKERS, deadline_ms, &s->virt);
	if (!r)
		r = virt_prepare(s->virt, n + READER_WORKERS, deadline_ms);
	if (!r)
		s->ready = n + READER_WORKERS;
	return r;
}

const char *monitor_words(const struct monitor *s)
{
	const char *words = reader_words(s->reader);

	return *words ? words : virt_words(s->virt);
}

int monitor_watch_pending(const struct monitor *s)
{
	return s->registry ? registry_watch_pending(s->registry) : -ENOENT;
}

void monitor_count_pending(struct monitor *s)
{
	struct instant at = clock_now();
	uint64_t kib = registry_pending_kib(s->registry, at.wall_ms / 1000, &s->pending_unreadable);

	if (s->pending_unreadable && kib < s->pending_kib && at.now_ms - s->pending_ms <= PENDING_MAX_S * 1000)
		return; /* the rest may be what cannot be read */
	s->pending_kib = kib;
	s->pending_ms = at.now_ms;
}

bool monitor_pending_unreadable(const struct monitor *s)
{
	return s->pending_unreadable;
}

void monitor_wait(struct monitor *s, struct wakeup *w, uint32_t nap_ms, const volatile sig_atomic_t *stop)
{
	if (wakeup_wait(w, nap_ms, stop) == WAKEUP_PENDING)
		monitor_count_pending(s);
}

/* ---- the record of moves ---- */

#define LAG_MS 1000 /* of actual behind the balloon */

void monitor_record(struct monitor *s, struct movelog *a)
{
	s->moves = a;
}

static void record_move(struct movelog *a, const struct guest *g, struct instant at)
{
	struct movelog_move move = {.wall_ms = at.wall_ms,
	                            .asked_ms = at.now_ms,
	                            .from_kib = g->past.asked_from_kib,
	                            .asked_kib = g->past.asked_kib,
	                            .reason = REASON_HOST_RESERVE};

	snprintf(move.name, sizeof(move.name), "%s", g->name);
	snprintf(move.uuid, sizeof(move.uuid), "%s", g->uuid);
	movelog_add(a, &move);
}

/* A reading is compared with all moves that are kept, so once: there are many looks for each. */
static void record_moves(struct monitor *s, const struct monitor_view *v)
{
	uint64_t known_ms = s->reached_ms;

	for (size_t i = 0; i < s->snapshot.n; i++) {
		const struct guest *g = &s->snapshot.guest[i];

		s->reached_ms = max_u64(s->reached_ms, g->past.seen_ms);
		if (g->answered && g->sample.have & SAMPLE_ACTUAL && g->past.seen_ms > known_ms)
			movelog_reached(s->moves, g->uuid, g->sample.actual_kib, sat_sub(g->past.seen_ms, LAG_MS));
		if (v->sent > 0 && g->past.asked_kib && g->past.asked_ms == v->at.now_ms)
			record_move(s->moves, g, v->at);
	}
}

/* ---- a look ---- */

/* A level is held for some seconds, in which the host is not short any more. */
static enum reclaim_way way_of(const struct monitor_view *v)
{
	if (v->level == GUARD_CALM || v->foreseen || v->host.available_kib >= v->reserve_kib)
		return RECLAIM_ROOM;
	return v->level == GUARD_CRITICAL ? RECLAIM_HARD : RECLAIM_IDLE;
}

/* Whether and how guests must give. A host that is not short makes room only for guests that start. */
static void decide_need(struct monitor *s, const struct guard_conf *gc, struct monitor_view *v)
{
	uint64_t coming_kib = sat_add(v->pending_kib, v->starting_kib);
	uint64_t left_kib = sat_sub(v->host.available_kib, coming_kib);

	v->lack_kib = guard_lack_kib(gc, &s->guard, left_kib);
	if (v->level == GUARD_CALM) /* a fall that does not lead below is no lack */
		v->lack_kib = sat_sub(sat_add(v->reserve_kib, coming_kib), v->host.available_kib);
	v->way = way_of(v);
	v->need_kib = v->lack_kib;
	if (v->level > GUARD_CALM && v->way != RECLAIM_HARD)
		v->need_kib = guard_take_kib(gc, &s->guard, left_kib);
	v->reclaiming = v->level > GUARD_CALM || (coming_kib && v->lack_kib);
}

static void forbid_gives(struct monitor *s, struct monitor_view *v)
{
	if (!s->registry || s->dry_run)
		v->no_give = s->dry_run ? 0 : -ENOENT;
	else if (v->level > GUARD_CALM)
		v->no_give = registry_hold_no_give(s->registry);
	else
		registry_release_no_give(s->registry);
}

static void note_sizes_before(struct snapshot *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct guest *g = &s->guest[i];

		if (g->plan.ask_kib && !g->order.rss_kib)
			g->order.rss_kib = guest_rss_kib(g);
		if (g->plan.ask_kib && !g->order.before_kib)
			g->order.before_kib = g->sample.actual_kib;
	}
}

static uint64_t freed_kib(const struct snapshot *s)
{
	uint64_t sum_kib = 0;

	for (size_t i = 0; i < s->n; i++)
		sum_kib = sat_add(sum_kib, sat_sub(s->guest[i].order.rss_kib, guest_rss_kib(&s->guest[i])));
	return sum_kib;
}

/* Returns the part of need_kib that guests give. */
static uint64_t plan_reclaim(struct monitor *s, enum reclaim_way way, uint64_t need_kib)
{
	return reclaim_plan(way, need_kib, s->conf->tolerance_kib, s->snapshot.guest, s->snapshot.n,
	                    &s->snapshot.scratch);
}

/* Memory that guests touch now is left to them only as long as the host can afford it, with all that they can give. */
static bool is_bearable(struct monitor *s, const struct monitor_view *v)
{
	const struct guard_conf gc = {.reserve_kib = v->reserve_kib};
	uint64_t growing_kib = reclaim_growing_kib(s->snapshot.guest, s->snapshot.n);
	uint64_t bearable_kib = sat_sub(v->host.available_kib, guard_critical_kib(&gc));

	return growing_kib <= bearable_kib || growing_kib - bearable_kib <= plan_reclaim(s, RECLAIM_ROOM, UINT64_MAX);
}

static void send_plan(struct monitor *s, struct monitor_view *v)
{
	struct snapshot *h = &s->snapshot;
	unsigned sent = 0;
	int r = -ENOTCONN;

	if (s->virt)
		r = guests_send(s->virt, h->guest, h->n, clock_ms(CLOCK_BOOTTIME) + MONITOR_SEND_MS, v->at, &sent);
	for (size_t i = 0; i < h->n; i++)
		if (h->guest[i].order.error == -ETIMEDOUT && !h->guest[i].hung)
			h->guest[i].order.error = 0; /* it was not sent in time: the next look does it */
	v->sent = r < 0 && !sent ? r : (int)sent;
	s->ready = 0; /* a guest that hangs holds its prepared call */
	if (sent)
		v->sent_ms = clock_ms(CLOCK_BOOTTIME);
}

static void reclaim_memory(struct monitor *s, struct monitor_view *v)
{
	struct snapshot *h = &s->snapshot;

	s->renewing = begin_renewal(s, v->way);
	if (is_old(h) || s->renewing) {
		v->sent = s->virt || s->dry_run ? 0 : -ENOTCONN;
		return;
	}
	if (v->level > GUARD_CALM && v->way == RECLAIM_ROOM && !is_bearable(s, v))
		v->way = RECLAIM_IDLE;
	v->planned_kib = plan_reclaim(s, v->way, v->need_kib);
	if (s->dry_run)
		return;
	note_sizes_before(h);
	send_plan(s, v);
}

/* ---- giving back ---- */

/* A pass that decided since the host is calm again has left the guest what it needs, if it could. */
static bool has_been_balanced(const struct monitor *s, const struct guest *g)
{
	struct past past;

	return s->registry && !registry_load_past(s->registry, g->uuid, &past) && past.last.decided_ms > s->uneasy_ms &&
	       past.last.reason != REASON_NO_GIVE && past.last.reason != REASON_UNRESPONSIVE &&
	       past.last.reason != REASON_FAILED;
}

/* A pass that runs, or a loop that is neither paused nor stuck, gives the host's spare memory itself. */
static bool is_balanced_now(struct monitor *s, uint64_t now_ms)
{
	uint64_t left_ms = 0, idle_ms;
	int64_t pid;
	int r = s->registry ? registry_lock(s->registry) : 0;

	if (!r && s->registry)
		registry_unlock(s->registry);
	return r == -EWOULDBLOCK && !registry_is_stuck(s->registry, clock_ms(CLOCK_MONOTONIC), &pid, &idle_ms) &&
	       registry_paused(s->registry, now_ms, &left_ms) == 0 && !left_ms;
}

static bool owes_any(struct monitor *s)
{
	bool owes = false;

	for (size_t i = 0; i < s->snapshot.n; i++) {
		struct guest *g = &s->snapshot.guest[i];

		if (!g->order.before_kib)
			continue;
		if (!reclaim_owes(s->conf->tolerance_kib, g) || has_been_balanced(s, g))
			g->order.before_kib = 0;
		owes |= g->order.before_kib != 0;
	}
	return owes;
}

/* Once a reading, after some time of calm: a loop of passes has acted by then, with better knowledge. */
static bool may_give_back(const struct monitor *s, const struct monitor_view *v)
{
	return !s->dry_run && s->virt && !s->pending_unreadable && !is_old(&s->snapshot) &&
	       v->at.now_ms - max_u64(s->uneasy_ms, s->busy_ms) >= s->rest_ms &&
	       s->snapshot.began_ms > max_u64(s->uneasy_ms, s->return_ms);
}

static void give_back(struct monitor *s, struct monitor_view *v)
{
	const struct policy_conf policy = conf_policy(s->conf, host_pageable_kib(&v->host));
	struct snapshot *h = &s->snapshot;

	if (!may_give_back(s, v))
		return;
	s->owes = owes_any(s);
	if (!s->owes || is_balanced_now(s, v->at.now_ms))
		return;
	s->return_ms = v->at.now_ms;
	v->returned_kib =
	    reclaim_return(&policy, &v->host, sat_add(v->pending_kib, v->starting_kib), h->guest, h->n, &h->scratch);
	if (v->returned_kib)
		send_plan(s, v);
}

/* Guests have to give, from now on or still. */
static void note_emergency(struct monitor *s, uint64_t now_ms)
{
	bool begins = s->return_ms > s->uneasy_ms;

	if (begins && now_ms - s->return_ms < TOO_SOON_MS)
		s->rest_ms = min_u64(s->rest_ms * 2, REST_MOST_MS);
	else if (now_ms - s->uneasy_ms > REST_MOST_MS)
		s->rest_ms = REST_MS;
	s->uneasy_ms = now_ms;
	s->owes = true;
}

/* A flood may go on unseen as long as the guests' gives make up for it. */
static void note_busy(struct monitor *s, const struct monitor_view *v)
{
	uint64_t left_kib = sat_sub(v->host.available_kib, scale_u64(s->guard.fall_kibps, FALL_S, 1));

	if (reclaim_coming_kib(s->snapshot.guest, s->snapshot.n) || (s->guard.fall_kibps && left_kib < v->reserve_kib))
		s->busy_ms = v->at.now_ms;
}

/* The connection died with libvirtd: another is needed now, not in calm times. */
static void send_again(struct monitor *s, struct monitor_view *v)
{
	int r;

	if (v->at.now_ms < s->again_ms)
		return;
	drop_connection(s);
	r = virt_open(s->conf->uri, false, READER_WORKERS, v->at.now_ms + 2 * MONITOR_SEND_MS, &s->virt);
	if (r)
		s->virt = NULL;
	if (r) /* one that times out leaves a thread that waits, and keeps us from looking */
		s->again_ms = clock_ms(CLOCK_BOOTTIME) + (r == -ETIMEDOUT ? AGAIN_MS : GONE_MS);
	if (s->virt)
		reclaim_memory(s, v);
}

static void move_guests(struct monitor *s, struct monitor_view *v)
{
	if (v->reclaiming)
		note_emergency(s, v->at.now_ms);
	note_busy(s, v);
	if (v->reclaiming)
		reclaim_memory(s, v);
	else
		give_back(s, v);
	if (v->reclaiming && v->sent == -ENOTCONN)
		send_again(s, v);
	v->freed_kib = freed_kib(&s->snapshot);
	for (size_t i = 0; i < s->snapshot.n && !v->reclaiming; i++)
		s->snapshot.guest[i].order.rss_kib = 0;
}

/* Readings may be rare: guests cannot harm a host that has so much to spare. */
static bool is_at_rest(struct monitor *s, const struct monitor_view *v)
{
	return v->level == GUARD_CALM && !v->pending_kib && !v->starting_kib &&
	       v->host.available_kib >= scale_u64(v->reserve_kib, 2, 1) &&
	       v->at.now_ms - max_u64(s->uneasy_ms, s->busy_ms) >= s->rest_ms && !s->owes;
}

int monitor_look(struct monitor *s, struct monitor_view *ret_view)
{
	struct monitor_view v = {.at = clock_now()};
	struct guard_conf gc = {.hold_ms = GUARD_HOLD_MS};
	const struct snapshot *h = &s->snapshot;
	int r = proc_read_again(&s->proc, &v.host);

	if (r < 0)
		return r;
	gc.reserve_kib = v.reserve_kib = conf_reserve_kib(s->conf, host_pageable_kib(&v.host));
	s->renewing = false;
	take_reading(s);
	v.level = guard_step(&gc, &s->guard, v.host.available_kib, is_old(h) ? 0 : reclaim_promised_kib(h->guest, h->n),
	                     v.at.now_ms);
	v.foreseen = v.level == GUARD_TIGHT && !s->guard.was_low;
	v.pending_kib = s->pending_kib;
	forbid_gives(s, &v);
	v.starting_kib = reclaim_starting_kib(h->guest, h->n);
	decide_need(s, &gc, &v);
	move_guests(s, &v);
	if (s->moves && (s->conf->log || s->conf->history))
		record_moves(s, &v);
	s->at_rest = is_at_rest(s, &v);
	v.nap_ms = guard_nap_ms(&gc, &s->guard, v.host.available_kib);
	*ret_view = v;
	return 0;
}

/* ---- failures ---- */

/* The next look commands the guests that were not reached in time, and old readings are made anew. */
bool monitor_awaits(const struct monitor *s, const struct monitor_view *view)
{
	const struct snapshot *h = &s->snapshot;

	if (is_old(h) || s->renewing)
		return reader_is_reading(s->reader) || clock_ms(CLOCK_BOOTTIME) >= reader_due_ms(s->reader, s->at_rest);
	return view->sent > 0 || (view->sent == 0 && view->planned_kib) || reclaim_coming_kib(h->guest, h->n);
}

bool monitor_cannot(struct monitor *s, const struct monitor_view *view, char *refused, size_t size)
{
	const struct guard_conf gc = {.reserve_kib = view->reserve_kib};
	bool unseen = view->sent == -ENOTCONN || reader_error(s->reader) != 0;
	const struct snapshot *h = &s->snapshot;
	bool cannot = view->level > GUARD_CALM && view->host.available_kib < guard_tight_kib(&gc) &&
	              !monitor_awaits(s, view) && (unseen || h->began_ms);

	if (cannot && unseen)
		snprintf(refused, size, "all (libvirt does not answer)");
	else if (cannot)
		reclaim_refusals(view->way, s->conf->tolerance_kib, h->guest, h->n, refused, size);
	return cannot;
}
