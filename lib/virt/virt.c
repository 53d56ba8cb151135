/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/pool.h"
#include "base/uri.h"
#include "virt/libvirt.h"
#include "virt/virt.h"

#define WORDS_BYTES 512
#define GOODBYE_MS 100 /* libvirtd complains in its log of a client that goes without a word */

#define NO_ANSWER "no answer from libvirt in time"
#define ALL_STUCK "too many calls are stuck: end or continue the guests that 'virsh domcontrol' finds occupied"

/* What workers need to connect; theirs, for they may outlive their virt. */
struct connector {
	char *uri;
	bool read_only;
	pthread_mutex_t lock;
	int error; /* why a worker could not connect last */
	char words[WORDS_BYTES];
};

struct call;

/* What a round over the guests needs, made beforehand (virt_prepare) and kept from round to round. */
struct round {
	size_t room, n; /* for so many guests; of the round under way */
	struct job **job;
	struct guest **guest; /* which guest each job is about */
	struct call **spare;  /* that are not in use */
	size_t n_spare;
};

/* What the XML of a guest said: it is not read in each round. */
struct facts {
	char uuid[UUID_TEXT];
	int64_t domain_id;
	uint64_t read_ms;
	struct device device;
	struct hints hints;
};

struct virt {
	struct pool *workers;
	struct connector *connector;
	unsigned size; /* workers */
	bool remote;
	struct round round;
	struct facts *facts; /* of the guests that were read last, in the order of their UUIDs */
	size_t n_facts;
	char words[WORDS_BYTES];
};

typedef int call_function(struct libvirt *l, struct call *c);

/* One call to be made by a worker. It owns all that it needs and all that it brings. */
struct call {
	struct job job; /* the first member: a job is its call */
	call_function *function;
	char *key; /* of the job: what the call is about, if it is no guest */
	char *words;
	struct guest guest; /* a copy, without name and words; what the call changed goes back to the guest */
	uint32_t period_s;
	struct guest *found;
	size_t n_found;
	struct host host;
	bool remote;
};

static const volatile sig_atomic_t *stop_flag;
static _Thread_local char open_words[WORDS_BYTES]; /* the guard and its reader may fail side by side */

void virt_stop_on(const volatile sig_atomic_t *stop)
{
	stop_flag = stop;
}

/* ---- connections of the workers ---- */

static int connector_open(void *arg, void **ret_context)
{
	struct connector *connector = arg;
	struct libvirt *l;
	char *words = NULL;
	int rc = libvirt_open(connector->uri, connector->read_only, &l, &words);

	if (rc < 0) {
		pthread_mutex_lock(&connector->lock);
		connector->error = rc;
		snprintf(connector->words, sizeof(connector->words), "%s", words ? words : strerror(-rc));
		pthread_mutex_unlock(&connector->lock);
		free(words);
		return rc;
	}
	*ret_context = l;
	return 0;
}

static void connector_close(void *context)
{
	libvirt_close(context);
}

static void connector_release(void *arg)
{
	struct connector *connector = arg;

	pthread_mutex_destroy(&connector->lock);
	free(connector->uri);
	free(connector);
}

static struct connector *connector_new(const char *uri, bool read_only)
{
	struct connector *connector = calloc(1, sizeof(*connector));

	if (!connector)
		return NULL;
	pthread_mutex_init(&connector->lock, NULL);
	connector->read_only = read_only;
	connector->uri = strdup(uri);
	if (!connector->uri) {
		connector_release(connector);
		return NULL;
	}
	return connector;
}

static const struct pool_kind connector_kind = {connector_open, connector_close, connector_release};

/* ---- calls ---- */

static int call_run(struct job *job, void *context)
{
	struct call *c = (struct call *)job;
	struct libvirt *l = context;
	int rc = c->function(l, c);

	if (rc < 0)
		c->words = strdup(libvirt_words(l));
	return rc;
}

static void call_free(struct job *job)
{
	struct call *c = (struct call *)job;

	free(c->key);
	free(c->words);
	guests_free(c->found, c->n_found);
	free(c);
}

static struct call *call_new(struct round *round, call_function *function)
{
	struct call *c = round->n_spare ? round->spare[--round->n_spare] : malloc(sizeof(*c));

	if (c)
		*c = (struct call){.job = {.run = call_run, .free = call_free}, .function = function};
	return c;
}

/* For the next round, or frees it. */
static void call_keep(struct round *round, struct call *c)
{
	if (round->n_spare >= round->room) {
		call_free(&c->job);
		return;
	}
	free(c->words);
	c->words = NULL;
	round->spare[round->n_spare++] = c;
}

static int virt_fail(struct virt *v, int error, const char *words)
{
	snprintf(v->words, sizeof(v->words), "%s", words ? words : strerror(-error));
	return error;
}

/* Words for an error of pool_run: of the job that saw the connection die, or of the worker that got none. */
static int explain_run(struct virt *v, struct job **job, size_t n, int error)
{
	if (error == -EBUSY)
		return virt_fail(v, -ETIMEDOUT, ALL_STUCK);
	for (size_t i = 0; i < n; i++)
		if (job[i] && job[i]->result == error && ((struct call *)job[i])->words)
			return virt_fail(v, error, ((struct call *)job[i])->words);
	pthread_mutex_lock(&v->connector->lock);
	virt_fail(v, error, v->connector->error == error ? v->connector->words : NULL);
	pthread_mutex_unlock(&v->connector->lock);
	return error;
}

static int run(struct virt *v, struct job **job, size_t n, uint64_t deadline_ms)
{
	int rc = pool_run(v->workers, job, n, deadline_ms, stop_flag);

	return rc < 0 ? explain_run(v, job, n, rc) : 0;
}

/* For calls that are about no guest. On success *ret_call is to be freed. */
static int run_one(struct virt *v, call_function *function, const char *key, uint64_t deadline_ms,
                   struct call **ret_call)
{
	struct call *c = call_new(&v->round, function);
	struct job *job = &c->job;
	int rc;

	if (!c)
		return virt_fail(v, -ENOMEM, NULL);
	c->job.key = c->key = key ? strdup(key) : NULL;
	rc = run(v, &job, 1, deadline_ms);
	if (!rc && (!job || job->result == -EAGAIN || job->result == -EBUSY))
		rc = virt_fail(v, -ETIMEDOUT, NO_ANSWER);
	else if (!rc && job->result < 0)
		rc = virt_fail(v, job->result, c->words);
	if (!rc)
		*ret_call = c;
	else if (job)
		call_free(job);
	return rc;
}

/* ---- the round ---- */

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

/* The worlds of the test driver live and die with their connection: there is but one worker then. */
static int connect_workers(struct virt *v, const char *uri, bool read_only, unsigned workers)
{
	v->size = !workers || !strncmp(uri, "test:", 5) ? 1 : workers;
	v->connector = connector_new(uri, read_only);
	if (!v->connector)
		return virt_fail(v, -ENOMEM, NULL);
	return pool_new(&connector_kind, v->connector, v->size, &v->workers);
}

int virt_open(const char *uri, bool read_only, unsigned workers, uint64_t deadline_ms, struct virt **ret_virt)
{
	struct virt *v = calloc(1, sizeof(*v));
	struct call *greeting;
	int rc;

	if (!v)
		return -ENOMEM;
	rc = connect_workers(v, uri, read_only, workers);
	if (!rc)
		rc = run_one(v, do_greet, NULL, deadline_ms, &greeting);
	if (rc < 0) {
		memcpy(open_words, v->words, sizeof(open_words));
		pool_free(v->workers, 0);
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
	pool_free(v->workers, clock_ms(CLOCK_BOOTTIME) + GOODBYE_MS);
	round_clear(&v->round);
	free(v->facts);
	free(v);
}

const char *virt_words(const struct virt *v)
{
	return v ? v->words : open_words;
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
	int rc = run_one(v, function, key, deadline_ms, &c);

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

void guests_free(struct guest *g, size_t n)
{
	for (size_t i = 0; i < n; i++)
		guest_clear(&g[i]);
	free(g);
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

/* Gives g what its call (NULL: abandoned) made of its copy, or what became of it; nothing if it was not begun in time.
 */
static void guest_update(struct guest *g, struct call *c)
{
	int result = c ? c->job.result : -ETIMEDOUT;

	if (!result) {
		c->guest.name = g->name;
		c->guest.order.words = g->order.words;
		*g = c->guest;
	} else if (result == -ESRCH) {
		g->vanished = true;
	} else if (result == -ETIMEDOUT || result == -EBUSY) {
		g->hung = true;
	} else if (result != -EAGAIN) {
		guest_fail(g, result, c->words ? c->words : strerror(-result));
	}
}

/* Where libvirt itself is gone, guests are not to blame: only what went well is taken over. */
static int round_run(struct virt *v, uint64_t deadline_ms)
{
	struct round *round = &v->round;
	int done = 0, rc = run(v, round->job, round->n, deadline_ms);

	for (size_t i = 0; i < round->n; i++) {
		bool well = round->job[i] && round->job[i]->result == 0;

		if (well || !rc)
			guest_update(round->guest[i], (struct call *)round->job[i]);
		done += well;
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
	rc = rc < 0 ? virt_fail(v, rc, NULL) : round_run(v, deadline_ms);
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

/* ---- facts ---- */

static int facts_order(const void *a, const void *b)
{
	return strcmp(((const struct facts *)a)->uuid, ((const struct facts *)b)->uuid);
}

static struct facts *facts_find(const struct virt *v, const struct guest *g)
{
	struct facts key = {.domain_id = g->domain_id}, *f = NULL;

	memcpy(key.uuid, g->uuid, sizeof(key.uuid));
	if (v->n_facts)
		f = bsearch(&key, v->facts, v->n_facts, sizeof(*f), facts_order);
	return f && f->domain_id == g->domain_id ? f : NULL;
}

/* Read again next time; what was read stays until then. */
#define FACTS_OLD_MS 1

static void facts_forget(struct virt *v, const struct guest *g)
{
	struct facts *f = facts_find(v, g);

	if (f)
		f->read_ms = FACTS_OLD_MS;
}

static void facts_recall(const struct virt *v, struct guest *g)
{
	const struct facts *f = facts_find(v, g);

	g->facts_ms = 0;
	if (!f)
		return;
	g->facts_ms = g->migrating ? FACTS_OLD_MS : f->read_ms; /* that may be over */
	g->device = f->device;
	g->hints = f->hints;
}

/* Without memory for them they are read again next time. */
static void facts_remember(struct virt *v, const struct guest *g, size_t n)
{
	struct facts *f = reallocarray(v->facts, n + 1, sizeof(*f));

	v->n_facts = 0;
	if (!f)
		return;
	v->facts = f;
	for (size_t i = 0; i < n; i++, g++) {
		if (!g->facts_ms)
			continue;
		f[v->n_facts] = (struct facts){.domain_id = g->domain_id,
		                               .read_ms = g->migrating ? FACTS_OLD_MS : g->facts_ms,
		                               .device = g->device,
		                               .hints = g->hints};
		memcpy(f[v->n_facts++].uuid, g->uuid, sizeof(f->uuid));
	}
	if (v->n_facts)
		qsort(f, v->n_facts, sizeof(*f), facts_order);
}

/* ---- read ---- */

static int do_read(struct libvirt *l, struct call *c)
{
	int rc = libvirt_read(l, &c->guest);

	c->guest.answered = !rc;
	return rc;
}

int virt_read(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms)
{
	int rc;

	for (size_t i = 0; i < n; i++) {
		facts_recall(v, &g[i]);
		g[i].answered = g[i].hung = g[i].vanished = g[i].migrating = false;
		g[i].sample = (struct sample){.have = 0};
		guest_forgive(&g[i]);
	}
	rc = for_guests(v, g, n, is_there, do_read, deadline_ms);
	for (size_t i = 0; i < n && rc >= 0; i++)
		g[i].hung = !g[i].answered && !g[i].vanished && !g[i].order.error;
	facts_remember(v, g, n);
	return rc < 0 ? rc : 0;
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
			guest_fail(&g[i], -ETIMEDOUT, NO_ANSWER);
	for (size_t i = 0; i < n; i++)
		if (g[i].migrating)
			facts_forget(v, &g[i]);
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
		facts_forget(v, &g[i]);
		rc = round_add(&v->round, &g[i], do_set_period, period_s);
	}
	return round_finish(v, rc, deadline_ms);
}

/* A greeting for each worker, so that each is started and connects. */
static int greet(struct virt *v, uint64_t deadline_ms)
{
	struct guest *nobody = calloc(v->size, sizeof(*nobody));
	int rc = nobody ? for_guests(v, nobody, v->size, is_there, do_greet, deadline_ms) : -ENOMEM;

	guests_free(nobody, nobody ? v->size : 0);
	return rc;
}

int virt_prepare(struct virt *v, size_t n, uint64_t deadline_ms)
{
	int rc = n > v->round.room ? round_grow(&v->round, n + n / 2) : 0;

	if (!rc)
		rc = round_fill(&v->round, n);
	if (!rc)
		rc = greet(v, deadline_ms);
	if (rc == -ENOMEM)
		return virt_fail(v, rc, NULL);
	return rc < 0 ? rc : 0;
}

/* ---- host ---- */

static int do_host(struct libvirt *l, struct call *c)
{
	return libvirt_host(l, &c->host);
}

int virt_host(struct virt *v, uint64_t deadline_ms, struct host *ret_host)
{
	struct call *c;
	int rc = run_one(v, do_host, NULL, deadline_ms, &c);

	if (rc < 0)
		return rc;
	*ret_host = c->host;
	call_free(&c->job);
	return 0;
}
