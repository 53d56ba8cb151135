/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/uri.h"
#include "virt/caller.h"
#include "virt/facts.h"
#include "virt/libvirt.h"
#include "virt/node.h"
#include "virt/virt.h"

#define GOODBYE_MS 100 /* libvirtd complains in its log of a client that goes without a word */

/* What a round over the guests needs, made beforehand (virt_prepare) and kept from round to round. */
struct round {
	size_t room, n; /* for so many guests; of the round under way */
	struct job **job;
	struct guest **guest; /* which guest each job is about */
	struct call **spare;  /* that are not in use */
	size_t n_spare;
};

struct virt {
	struct caller caller;
	bool remote;
	struct round round;
	struct facts facts;
};

static _Thread_local char open_words[CALLER_WORDS]; /* the guard and its reader may fail side by side */

void virt_stop_on(const volatile sig_atomic_t *stop)
{
	caller_stop_on(stop);
}

/* ---- the round ---- */

static struct call *call_new(struct round *round, call_function *function)
{
	struct call *c = round->n_spare ? round->spare[--round->n_spare] : malloc(sizeof(*c));

	if (c)
		call_init(c, function);
	return c;
}

/* For the next round, or frees it. */
static void call_keep(struct round *round, struct call *c)
{
	if (round->n_spare >= round->room) {
		call_free(&c->job);
		return;
	}
	call_reset(c);
	round->spare[round->n_spare++] = c;
}

static void round_clear(struct round *round)
{
	while (round->n_spare)
		call_free(&round->spare[--round->n_spare]->job);
	free(round->job);
	free(round->guest);
	free(round->spare);
}

static int round_grow(struct round *round, size_t room)
{
	struct job **job = reallocarray(round->job, room, sizeof(*job));
	struct guest **guest = reallocarray(round->guest, room, sizeof(*guest));
	struct call **spare = reallocarray(round->spare, room, sizeof(*spare));

	if (job)
		round->job = job;
	if (guest)
		round->guest = guest;
	if (spare)
		round->spare = spare;
	if (!job || !guest || !spare)
		return -ENOMEM;
	round->room = room;
	return 0;
}

/* Calls that were abandoned are gone with their workers. */
static int round_fill(struct round *round, size_t n)
{
	while (round->n_spare < n) {
		struct call *c = malloc(sizeof(*c));

		if (!c)
			return -ENOMEM;
		memset(c, 0, sizeof(*c)); /* touched now, not when it is needed */
		round->spare[round->n_spare++] = c;
	}
	return 0;
}

/* ---- connection ---- */

static int do_greet(struct libvirt *l, struct call *c)
{
	char *uri = libvirt_uri(l);

	c->remote = uri && uri_is_remote(uri);
	free(uri);
	return 0;
}

int virt_open(const char *uri, bool read_only, unsigned workers, uint64_t deadline_ms, struct virt **ret_virt)
{
	struct virt *v = calloc(1, sizeof(*v));
	struct call *greeting;
	int rc;

	if (!v)
		return -ENOMEM;
	rc = caller_init(&v->caller, uri, read_only, workers);
	if (!rc)
		rc = caller_run_one(&v->caller, do_greet, NULL, deadline_ms, &greeting);
	if (rc < 0) {
		memcpy(open_words, v->caller.words, sizeof(open_words));
		caller_clear(&v->caller, 0);
		free(v);
		return rc;
	}
	v->remote = greeting->remote;
	call_free(&greeting->job);
	*ret_virt = v;
	return 0;
}

void virt_close(struct virt *v)
{
	if (!v)
		return;
	caller_clear(&v->caller, clock_ms(CLOCK_BOOTTIME) + GOODBYE_MS);
	round_clear(&v->round);
	facts_clear(&v->facts);
	free(v);
}

const char *virt_words(const struct virt *v)
{
	return v ? v->caller.words : open_words;
}

bool virt_is_remote(const struct virt *v)
{
	return v->remote;
}

/* ---- list ---- */

static int run_to_find(struct virt *v, call_function *function, const char *key, uint64_t deadline_ms,
                       struct guest **ret_guests, size_t *ret_n)
{
	struct call *c;
	int rc = caller_run_one(&v->caller, function, key, deadline_ms, &c);

	if (rc < 0)
		return rc;
	*ret_guests = c->found;
	*ret_n = c->n_found;
	c->found = NULL;
	c->n_found = 0;
	call_free(&c->job);
	return 0;
}

static int do_list(struct libvirt *l, struct call *c)
{
	return libvirt_list(l, &c->found, &c->n_found);
}

/* While a hook runs, every list waits: one that is stuck is enough, and leaves libvirtd its workers. */
int virt_list(struct virt *v, uint64_t deadline_ms, struct guest **ret_guests, size_t *ret_n)
{
	int rc = run_to_find(v, do_list, "list", deadline_ms, ret_guests, ret_n);

	if (!rc && *ret_n > 0)
		qsort(*ret_guests, *ret_n, sizeof(**ret_guests), guest_order);
	return rc;
}

static int do_find(struct libvirt *l, struct call *c)
{
	return c->key ? libvirt_find(l, c->key, &c->found, &c->n_found) : -ENOMEM;
}

int virt_find(struct virt *v, const char *domain, uint64_t deadline_ms, struct guest **ret_guests)
{
	size_t n;

	return run_to_find(v, do_find, domain, deadline_ms, ret_guests, &n);
}

/* ---- many guests ---- */

static void round_end(struct round *round)
{
	for (size_t i = 0; i < round->n; i++)
		if (round->job[i])
			call_keep(round, (struct call *)round->job[i]);
	round->n = 0;
}

static int round_add(struct round *round, struct guest *g, call_function *function, uint32_t period_s)
{
	struct call *c = call_new(round, function);

	if (!c)
		return -ENOMEM;
	c->guest = *g;
	c->guest.name = c->guest.order.words = NULL;
	c->job.key = c->guest.uuid;
	c->period_s = period_s;
	round->guest[round->n] = g;
	round->job[round->n++] = &c->job;
	return 0;
}

static void guest_fail(struct guest *g, int error, const char *words)
{
	free(g->order.words);
	g->order.words = strdup(words);
	g->order.error = error;
}

static void guest_forgive(struct guest *g)
{
	free(g->order.words);
	g->order.words = NULL;
	g->order.error = 0;
}

/* Gives g what a call made of its copy, or what became of it; nothing if the call was not begun in time. */
static void guest_update(struct guest *g, struct guest *copy, int result, const char *words)
{
	if (!result) {
		copy->name = g->name;
		copy->order.words = g->order.words;
		*g = *copy;
	} else if (result == -ESRCH) {
		g->vanished = true;
	} else if (result == -ETIMEDOUT || result == -EBUSY) {
		g->hung = true;
	} else if (result != -EAGAIN) {
		guest_fail(g, result, words ? words : strerror(-result));
	}
}

/* Where libvirt itself is gone, guests are not to blame: only what went well is taken over. */
static int round_run(struct virt *v, uint64_t deadline_ms)
{
	struct round *round = &v->round;
	int done = 0, rc = caller_run(&v->caller, round->job, round->n, deadline_ms);

	for (size_t i = 0; i < round->n; i++) {
		struct call *c = (struct call *)round->job[i]; /* NULL: abandoned */
		int result = c ? c->job.result : -ETIMEDOUT;

		if (!result || !rc)
			guest_update(round->guest[i], c ? &c->guest : NULL, result, c ? c->words : NULL);
		done += !result;
	}
	return rc < 0 ? rc : done;
}

static int round_begin(struct virt *v, size_t n)
{
	return n > v->round.room ? round_grow(&v->round, n + n / 2) : 0;
}

/* Makes the calls unless adding them failed with rc; returns how many went well. */
static int round_finish(struct virt *v, int rc, uint64_t deadline_ms)
{
	rc = rc < 0 ? caller_fail(&v->caller, rc, NULL) : round_run(v, deadline_ms);
	round_end(&v->round);
	return rc;
}

/* Calls function for each guest that is wanted; returns for how many it went well. */
static int for_guests(struct virt *v, struct guest *g, size_t n, bool (*want)(const struct guest *g),
                      call_function *function, uint64_t deadline_ms)
{
	int rc = round_begin(v, n);

	for (size_t i = 0; i < n && !rc; i++)
		if (want(&g[i]))
			rc = round_add(&v->round, &g[i], function, 0);
	return round_finish(v, rc, deadline_ms);
}

static bool is_there(const struct guest *g)
{
	return !g->hung && !g->vanished;
}

/* ---- read ---- */

#define BULK_SHARE 3 /* the part of the time that bulk calls have */

static int do_read(struct libvirt *l, struct call *c)
{
	return libvirt_read(l, c->reading, c->n_readings);
}

/* A guest that hung when it was read last is read alone: it would hold up all of its call. */
static bool is_unread(const struct virt *v, const struct guest *g, bool alone)
{
	return !g->answered && !g->order.error && is_there(g) && (alone || !facts_was_hung(&v->facts, g));
}

/* A call for at most `most` unread guests from the one at *begin on; *begin becomes the first it leaves. */
static int readings_add(struct virt *v, const struct guest *g, size_t n, size_t most, size_t *begin)
{
	struct call *c = call_new(&v->round, do_read);

	if (!c)
		return -ENOMEM;
	v->round.job[v->round.n++] = &c->job;
	c->reading = calloc(most, sizeof(*c->reading));
	if (!c->reading)
		return -ENOMEM;
	for (; *begin < n && c->n_readings < most; (*begin)++) {
		struct reading *r = &c->reading[c->n_readings];

		if (!is_unread(v, &g[*begin], most == 1))
			continue;
		r->at = *begin;
		r->guest = g[*begin];
		r->guest.name = r->guest.order.words = NULL;
		c->n_readings++;
	}
	c->job.key = most == 1 ? c->reading->guest.uuid : NULL;
	return 0;
}

/* Gives the guests what a call that returned brought; rc: libvirt itself failed. */
static void readings_end(struct call *c, struct guest *g, int rc)
{
	for (struct reading *r = c->reading; r < c->reading + c->n_readings; r++)
		if (!r->result || !rc)
			guest_update(&g[r->at], &r->guest, r->result, r->words);
}

/* Reads the unread guests, so many by one call, or each alone (1). */
static int read_round(struct virt *v, struct guest *g, size_t n, size_t most, uint64_t deadline_ms)
{
	size_t unread = 0, begin = 0;
	int rc = round_begin(v, n);

	for (size_t i = 0; i < n; i++)
		unread += is_unread(v, &g[i], most == 1);
	while (v->round.n * most < unread && !rc)
		rc = readings_add(v, g, n, most, &begin);
	rc = rc < 0 ? caller_fail(&v->caller, rc, NULL) : caller_run(&v->caller, v->round.job, v->round.n, deadline_ms);
	for (size_t i = 0; i < v->round.n; i++)
		if (v->round.job[i] && (!v->round.job[i]->result || v->round.job[i]->result == -ENOTCONN))
			readings_end((struct call *)v->round.job[i], g, rc);
	round_end(&v->round);
	return rc;
}

int virt_read(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	size_t most = (size_t)min_u64((n + v->caller.size - 1) / v->caller.size, READINGS_MOST);
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		facts_recall(&v->facts, &g[i]);
		g[i].answered = g[i].hung = g[i].vanished = g[i].migrating = false;
		g[i].sample = (struct sample){.have = 0};
		guest_forgive(&g[i]);
	}
	if (most > 1)
		rc = read_round(v, g, n, most, now_ms + sat_sub(deadline_ms, now_ms) / BULK_SHARE);
	if (!rc)
		rc = read_round(v, g, n, 1, deadline_ms);
	for (size_t i = 0; i < n && !rc; i++)
		g[i].hung = !g[i].answered && !g[i].vanished && !g[i].order.error;
	if (!rc)
		facts_remember(&v->facts, g, n);
	return rc;
}

static int do_sample(struct libvirt *l, struct call *c)
{
	int rc = libvirt_sample(l, &c->guest);

	c->guest.reread |= !rc;
	return rc;
}

int virt_sample(struct virt *v, struct guest *g, size_t n, bool (*want)(const struct guest *g), uint64_t deadline_ms)
{
	int rc = for_guests(v, g, n, want, do_sample, deadline_ms);

	return rc < 0 ? rc : 0;
}

/* ---- set ---- */

static int do_set(struct libvirt *l, struct call *c)
{
	int rc = libvirt_set(l, &c->guest);

	c->guest.order.sent = !rc && !c->guest.migrating;
	return rc;
}

static bool has_ask(const struct guest *g)
{
	return g->plan.ask_kib && is_there(g);
}

int virt_set(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms)
{
	int rc;

	for (size_t i = 0; i < n; i++)
		if (g[i].plan.ask_kib) {
			g[i].order.sent = false;
			guest_forgive(&g[i]);
		}
	rc = for_guests(v, g, n, has_ask, do_set, deadline_ms);
	for (size_t i = 0; i < n; i++)
		if (rc >= 0 && g[i].plan.ask_kib && !g[i].order.sent && !g[i].vanished && !g[i].migrating &&
		    !g[i].order.error)
			guest_fail(&g[i], -ETIMEDOUT, CALLER_NO_ANSWER);
	for (size_t i = 0; i < n; i++)
		if (g[i].migrating)
			facts_forget(&v->facts, &g[i]);
	return rc < 0 ? rc : 0;
}

static int do_set_period(struct libvirt *l, struct call *c)
{
	return libvirt_set_period(l, &c->guest, c->period_s);
}

static bool reports_too_seldom(const struct guest *g, uint32_t period_s)
{
	return g->answered && is_there(g) && g->run == RUN_RUNNING && g->device.balloon && !g->migrating &&
	       (!g->device.period_s || g->device.period_s > period_s);
}

int virt_set_period(struct virt *v, struct guest *g, size_t n, uint32_t period_s, uint64_t deadline_ms)
{
	int rc = round_begin(v, n);

	for (size_t i = 0; i < n && !rc; i++) {
		if (!reports_too_seldom(&g[i], period_s))
			continue;
		facts_forget(&v->facts, &g[i]);
		rc = round_add(&v->round, &g[i], do_set_period, period_s);
	}
	return round_finish(v, rc, deadline_ms);
}

/* A greeting for each worker, so that each is started and connects. */
static int greet_libvirt(struct virt *v, uint64_t deadline_ms)
{
	struct guest *no_guest = calloc(v->caller.size, sizeof(*no_guest));
	int rc = no_guest ? for_guests(v, no_guest, v->caller.size, is_there, do_greet, deadline_ms) : -ENOMEM;

	guests_free(no_guest, no_guest ? v->caller.size : 0);
	return rc;
}

int virt_prepare(struct virt *v, size_t n, uint64_t deadline_ms)
{
	int rc = round_begin(v, n);

	if (!rc)
		rc = round_fill(&v->round, n);
	if (!rc)
		rc = greet_libvirt(v, deadline_ms);
	if (rc == -ENOMEM)
		return caller_fail(&v->caller, rc, NULL);
	return rc < 0 ? rc : 0;
}

/* ---- host ---- */

static int do_host(struct libvirt *l, struct call *c)
{
	return libvirt_host(l, &c->host);
}

static int do_hugetlb(struct libvirt *l, struct call *c)
{
	return libvirt_hugetlb(l, &c->host.hugetlb_kib);
}

/* Reads the pool if it is due. If there is a known value, a call that hangs leaves the pass half of its time. */
static int refresh_pool(struct virt *v, struct node_pool *pool, bool doubtful, uint64_t deadline_ms)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME), left_ms = sat_sub(deadline_ms, now_ms);
	struct call *c;
	int rc;

	if (!node_pool_is_due(pool, doubtful, now_ms))
		return 0;
	rc = caller_run_one(&v->caller, do_hugetlb, "capabilities", pool->known ? now_ms + left_ms / 2 : deadline_ms,
	                    &c);
	if (rc < 0)
		return node_pool_fail(pool, rc, now_ms);
	node_pool_set(pool, c->host.hugetlb_kib, now_ms);
	call_free(&c->job);
	return 0;
}

int virt_host(struct virt *v, struct node_pool *pool, uint64_t deadline_ms, struct host *ret_host)
{
	struct host figures, h;
	struct call *c;
	int rc = caller_run_one(&v->caller, do_host, NULL, deadline_ms, &c);

	if (rc < 0)
		return rc;
	figures = c->host;
	call_free(&c->job);
	rc = refresh_pool(v, pool, false, deadline_ms);
	if (rc < 0)
		return rc;
	h = node_end(&figures, pool->kib);
	if (h.doubtful && refresh_pool(v, pool, true, deadline_ms) == 0)
		h = node_end(&figures, pool->kib);
	*ret_host = h;
	return 0;
}
