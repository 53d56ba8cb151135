#include "run/keeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/pool.h"
#include "plan/estimate.h"
#include "plan/reclaim.h"
#include "host/registry.h"
#include "virt/virt.h"
#include "run/loop.h"

#define WORKERS 4
#define READING_MS 2000    /* a healthy reading of 40 guests takes 40 ms */
#define PAUSE_MOST_MS 4000 /* in an emergency the guard is blind until libvirt is found again */
#define PERIOD_S 1         /* of the statistics of guests that have none */
#define WORDS_BYTES 512

struct keeper {
	const struct conf *conf;
	const char *root;
	bool read_only;
	struct virt *virt;       /* of the reader alone */
	unsigned connection;     /* likewise; how often it connected */
	bool listed;             /* likewise; libvirt gave the list this time */
	bool silent;             /* likewise; it is there, and neither gave that nor any guest's figures */
	pthread_mutex_t reading; /* held while the configuration is in use */
	pthread_mutex_t lock;    /* of what follows */
	pthread_cond_t news;
	struct herd herd;
	int error;
	char words[WORDS_BYTES];
	uint64_t beat_ms;
	bool running, stop;
};

/* ---- herds ---- */

static void herd_clear(struct herd *h)
{
	guests_free(h->guest, h->n);
	free(h->scratch.item);
	free(h->scratch.edge);
	free(h->before_kib);
	*h = (struct herd){.n = 0};
}

static int herd_room(struct herd *h)
{
	h->scratch.item = calloc(h->n + 1, sizeof(*h->scratch.item));
	h->scratch.edge = calloc(h->n + 1, 2 * sizeof(*h->scratch.edge));
	h->before_kib = calloc(h->n + 1, sizeof(*h->before_kib));
	return h->scratch.item && h->scratch.edge && h->before_kib ? 0 : -ENOMEM;
}

static const struct guest *herd_find(const struct herd *h, const char *uuid)
{
	for (size_t i = 0; i < h->n; i++)
		if (!strcmp(h->guest[i].uuid, uuid))
			return &h->guest[i];
	return NULL;
}

/* What was asked since the past was recalled is not known to it yet. */
static void herd_inherit(struct herd *h, const struct herd *old)
{
	for (size_t i = 0; i < h->n; i++) {
		struct guest *g = &h->guest[i];
		const struct guest *before = herd_find(old, g->uuid);

		if (!before || before->domain_id != g->domain_id)
			continue;
		h->before_kib[i] = old->before_kib[before - old->guest];
		if (before->past.asked_ms == g->past.asked_ms)
			continue;
		g->past.asked_kib = before->past.asked_kib;
		g->past.asked_ms = before->past.asked_ms;
		g->past.asked_from_kib = before->past.asked_from_kib;
	}
}

/* ---- a reading ---- */

/* A hook that holds up the list, or a QEMU that hangs, leaves others that answer; that one is gone is an answer too. */
static bool is_silent(const struct keeper *k, const struct herd *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (!h->guest[i].hung)
			return false;
	return h->n && !k->listed;
}

/* The guests of the last reading, as a list; a hook that holds up the list does not make them go away. */
static int list_known(struct keeper *k, struct registry *r, struct herd *h)
{
	struct herd *old = keeper_herd(k);
	int error = 0;

	h->guest = calloc(old->n + 1, sizeof(*h->guest));
	for (size_t i = 0; h->guest && i < old->n; i++) {
		struct guest *g = &h->guest[h->n];

		g->name = strdup(old->guest[i].name);
		memcpy(g->uuid, old->guest[i].uuid, sizeof(g->uuid));
		g->domain_id = old->guest[i].domain_id;
		h->n += g->name != NULL;
	}
	keeper_done(k);
	if (!h->guest)
		return -ENOMEM;
	if (!h->n && r) {
		free(h->guest);
		h->guest = NULL;
		error = registry_list(r, clock_now().wall_ms / 1000, &h->guest, &h->n);
	}
	return error;
}

static int list(struct keeper *k, struct registry *r, uint64_t end_ms, struct herd *h)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	int error = virt_list(k->virt, now_ms + sat_sub(end_ms, now_ms) / 6, &h->guest, &h->n);

	k->listed = error != -ETIMEDOUT;
	return k->listed ? error : list_known(k, r, h);
}

static void recall(struct keeper *k, struct herd *h)
{
	const struct herd *old = keeper_herd(k);

	for (size_t i = 0; i < h->n; i++) {
		const struct guest *before = herd_find(old, h->guest[i].uuid);

		if (!before || before->domain_id != h->guest[i].domain_id)
			continue;
		h->guest[i].past = before->past;
		h->guest[i].device = before->device; /* should it not answer */
		h->guest[i].unreadable = before->unreadable;
	}
	keeper_done(k);
}

/* What is known from elsewhere; it takes a file for each, so the guard is not kept from the herd meanwhile. */
static void look_up(const struct keeper *k, const struct registry *r, struct guest *g)
{
	struct record record;
	int error;

	g->excluded = conf_excludes(k->conf, g->name);
	if (!r)
		return;
	error = registry_load_record(r, g->uuid, &record);
	g->unreadable = error && error != -ENOENT;
	if (error)
		return;
	g->registered = true;
	g->started_s = record.started_s;
	record_clear(&record);
}

static void judge(const struct conf *c, struct guest *g, struct instant at)
{
	const struct estimate_conf estimate = {
	    .signal = c->signal,
	    .tolerance_kib = c->tolerance_kib,
	    .interval_ms = KEEPER_PERIOD_MS,
	    .boot_grace_ms = c->boot_grace_ms,
	    .period_s = PERIOD_S,
	};
	const struct policy_conf policy = {.step_kib = c->step_kib, .tolerance_kib = c->tolerance_kib};

	g->target_kib = conf_target_kib(c, g->device.maximum_kib);
	estimate_update(&estimate, g, at);
	policy_judge(&policy, g);
}

static int fill(struct keeper *k, struct registry *r, uint64_t end_ms, struct herd *h)
{
	struct instant at;
	int error = list(k, r, end_ms, h);

	if (!error)
		error = herd_room(h);
	if (error)
		return error;
	recall(k, h);
	for (size_t i = 0; i < h->n; i++)
		look_up(k, r, &h->guest[i]);
	error = virt_read(k->virt, h->guest, h->n, end_ms);
	if (!error && !k->read_only) {
		error = virt_set_period(k->virt, h->guest, h->n, PERIOD_S, end_ms);
		error = error < 0 ? error : 0;
	}
	at = clock_now();
	for (size_t i = 0; i < h->n && !error; i++)
		judge(k->conf, &h->guest[i], at);
	qsort(h->guest, h->n, sizeof(*h->guest), reclaim_order);
	return error;
}

static void publish(struct keeper *k, struct herd *h, uint64_t began_ms)
{
	struct herd *old = keeper_herd(k), gone = *old;

	herd_inherit(h, old);
	h->number = old->number + 1;
	h->read_ms = began_ms;
	h->connection = k->connection;
	*old = *h;
	keeper_done(k);
	herd_clear(&gone);
}

static void note(struct keeper *k, int error)
{
	pthread_mutex_lock(&k->lock);
	k->error = error;
	k->beat_ms = clock_ms(CLOCK_BOOTTIME);
	snprintf(k->words, sizeof(k->words), "%s", error ? virt_words(k->virt) : "");
	pthread_mutex_unlock(&k->lock);
}

static int read_herd(struct keeper *k, uint64_t end_ms)
{
	struct registry *r = NULL;
	struct herd h = {.n = 0};
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);
	int error = 0;

	k->silent = false;
	if (!k->virt) {
		error = virt_open(k->conf->uri, k->read_only, WORKERS, end_ms, &k->virt);
		k->connection += !error;
	}
	if (!error) {
		registry_open(k->root, false, &r);
		error = fill(k, r, end_ms, &h);
		registry_close(r);
	}
	if (error) {
		herd_clear(&h);
	} else {
		k->silent = is_silent(k, &h);
		error = k->silent ? -ETIMEDOUT : 0;
		publish(k, &h, began_ms);
	}
	note(k, error);
	if (error == -ENOTCONN) {
		virt_close(k->virt);
		k->virt = NULL;
	}
	return error;
}

int keeper_read(struct keeper *k, uint64_t end_ms)
{
	int error;

	pthread_mutex_lock(&k->reading);
	error = read_herd(k, end_ms);
	pthread_mutex_unlock(&k->reading);
	return error;
}

/* ---- the thread ---- */

/* False when told to stop. */
static bool pause_for(struct keeper *k, uint64_t ms)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&k->lock);
	k->beat_ms = clock_ms(CLOCK_BOOTTIME);
	while (!k->stop && pthread_cond_timedwait(&k->news, &k->lock, &until) != ETIMEDOUT)
		;
	stop = k->stop;
	pthread_mutex_unlock(&k->lock);
	return !stop;
}

static int keep(void *arg)
{
	struct keeper *k = arg;
	struct backoff backoff = {0};
	uint64_t pause_ms = KEEPER_PERIOD_MS;

	do {
		/* who is silent has calls of ours already, and answers them when he can */
		if (keeper_read(k, clock_ms(CLOCK_BOOTTIME) + READING_MS) && !k->silent) {
			pause_ms = min_u64(backoff_next_ms(&backoff), PAUSE_MOST_MS);
		} else {
			backoff = (struct backoff){0};
			pause_ms = KEEPER_PERIOD_MS;
		}
	} while (pause_for(k, pause_ms));
	pthread_mutex_lock(&k->lock);
	k->running = false;
	pthread_cond_broadcast(&k->news);
	pthread_mutex_unlock(&k->lock);
	return 0;
}

static void release(void *arg)
{
	(void)arg; /* it is freed by the caller, if at all */
}

int keeper_start(struct keeper *k)
{
	struct task *task;
	int r;

	k->running = true;
	r = task_start(keep, release, k, &task);
	if (r)
		k->running = false;
	else
		task_free(task);
	return r;
}

/* ---- for the guard ---- */

struct herd *keeper_herd(struct keeper *k)
{
	pthread_mutex_lock(&k->lock);
	return &k->herd;
}

void keeper_done(struct keeper *k)
{
	pthread_mutex_unlock(&k->lock);
}

int keeper_state(struct keeper *k, char *words, size_t size)
{
	int error;

	pthread_mutex_lock(&k->lock);
	error = k->error;
	if (words)
		snprintf(words, size, "%s", k->words);
	pthread_mutex_unlock(&k->lock);
	return error;
}

uint64_t keeper_beat_ms(struct keeper *k)
{
	uint64_t beat_ms;

	pthread_mutex_lock(&k->lock);
	beat_ms = k->beat_ms;
	pthread_mutex_unlock(&k->lock);
	return beat_ms;
}

void keeper_hold(struct keeper *k)
{
	pthread_mutex_lock(&k->reading);
}

void keeper_resume(struct keeper *k, bool reconnect)
{
	if (reconnect) {
		virt_close(k->virt);
		k->virt = NULL;
	}
	pthread_mutex_unlock(&k->reading);
}

int keeper_new(const struct conf *conf, const char *root, bool read_only, struct keeper **ret_keeper)
{
	struct keeper *k = calloc(1, sizeof(*k));
	pthread_condattr_t attr;

	if (!k)
		return -ENOMEM;
	*k = (struct keeper){.conf = conf, .root = root, .read_only = read_only};
	k->beat_ms = clock_ms(CLOCK_BOOTTIME);
	pthread_mutex_init(&k->reading, NULL);
	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->news, &attr);
	pthread_condattr_destroy(&attr);
	*ret_keeper = k;
	return 0;
}

static bool has_ended(struct keeper *k)
{
	bool running;

	pthread_mutex_lock(&k->lock);
	k->stop = true;
	pthread_cond_broadcast(&k->news);
	running = k->running;
	pthread_mutex_unlock(&k->lock);
	return !running;
}

void keeper_free(struct keeper *k, uint64_t deadline_ms)
{
	if (!k)
		return;
	while (!has_ended(k)) {
		if (clock_ms(CLOCK_BOOTTIME) >= deadline_ms)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	virt_close(k->virt);
	herd_clear(&k->herd);
	pthread_cond_destroy(&k->news);
	pthread_mutex_destroy(&k->lock);
	pthread_mutex_destroy(&k->reading);
	free(k);
}
