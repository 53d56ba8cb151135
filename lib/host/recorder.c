/* SPDX-License-Identifier: MIT */
#include "host/recorder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/pool.h"
#include "base/text.h"
#include "base/units.h"

#define MINUTE_LEAST_MS 50000 /* a clock that jumps to and fro makes no minutes */
#define PATIENCE_MS 10000     /* a write that takes longer hangs */
#define SLICE_MS 100          /* between two looks at whether to stop */

struct entry {
	char uuid[UUID_TEXT];
	char *name; /* owned */
	struct bucket bucket;
	struct history_move *move; /* owned */
	size_t n, room;
	bool awaits;       /* how far the last move came is not known yet, */
	uint64_t asked_ms; /* which was asked for at this time (CLOCK_BOOTTIME) */
};

struct recorder_batch {
	char *root, *uri; /* owned */
	uint32_t minute;
	uint64_t began_ms, wall_s;
	struct bucket host;
	struct entry *entry; /* in the order of the passes' guests */
	size_t n, room;
	size_t next; /* where the guest that is asked for next should be */
};

static void free_batch(void *arg)
{
	struct recorder_batch *b = arg;

	for (size_t i = 0; b && i < b->n; i++) {
		free(b->entry[i].name);
		free(b->entry[i].move);
	}
	if (b) {
		free(b->entry);
		free(b->root);
		free(b->uri);
	}
	free(b);
}

static struct recorder_batch *new_batch(const char *root, const char *uri, struct instant at)
{
	struct recorder_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->root = strdup(root);
	b->uri = strdup(uri);
	b->wall_s = at.wall_ms / 1000;
	b->minute = bucket_number(BUCKET_MINUTE, b->wall_s);
	b->began_ms = at.now_ms;
	if (b->root && b->uri)
		return b;
	free_batch(b);
	return NULL;
}

/* ---- what a pass saw ---- */

/* Returns bits 1 << enum figure of those that are known. */
static unsigned read_figures(const struct guest *g, uint64_t value[FIGURES])
{
	unsigned have = g->answered ? g->sample.have : 0;
	bool rated = g->past.has_rates && !g->est.stale;
	bool is_planned = !g->plan.fixed && g->plan.want_kib; /* not if the pass failed before */

	value[FIGURE_ACTUAL] = g->sample.actual_kib;
	value[FIGURE_USED] = g->est.used_kib;
	value[FIGURE_CACHE] = g->est.cache_kib;
	value[FIGURE_WANT] = g->plan.want_kib;
	value[FIGURE_RSS] = g->sample.rss_kib;
	value[FIGURE_SWAP_IN] = g->past.swap_in_kibps;
	value[FIGURE_FAULTS] = g->past.faults_ps;
	return (have & SAMPLE_ACTUAL ? 1u << FIGURE_ACTUAL : 0) | (g->est.has_used ? 1u << FIGURE_USED : 0) |
	       (g->est.has_used && have & SAMPLE_USABLE ? 1u << FIGURE_CACHE : 0) |
	       (have && is_planned ? 1u << FIGURE_WANT : 0) | (have & SAMPLE_RSS ? 1u << FIGURE_RSS : 0) |
	       (rated && have & SAMPLE_SWAP_IN ? 1u << FIGURE_SWAP_IN : 0) |
	       (rated && have & SAMPLE_MAJOR_FAULTS ? 1u << FIGURE_FAULTS : 0);
}

static int keep_move(struct entry *e, const struct history_move *move)
{
	size_t room = 2 * e->room + 4;

	if (e->n == e->room) {
		struct history_move *more = reallocarray(e->move, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		e->move = more;
		e->room = room;
	}
	e->move[e->n++] = *move;
	return 0;
}

static int add_move(struct entry *e, const struct guest *g, struct instant at)
{
	uint64_t ago_ms = g->order.sent && !g->order.error ? sat_sub(at.now_ms, g->past.asked_ms) : 0;
	const struct history_move move = {.wall_ms = sat_sub(at.wall_ms, ago_ms),
	                                  .from_kib = g->past.actual_kib,
	                                  .asked_kib = g->order.kib,
	                                  .has_reached = g->reread,
	                                  .reached_kib = g->sample.actual_kib,
	                                  .reason = g->plan.reason};

	if (!g->order.kib || e->n == HISTORY_MOVES)
		return 0;
	e->asked_ms = at.now_ms - ago_ms;
	e->awaits = true;
	if (!keep_move(e, &move))
		return 0;
	e->awaits = false;
	return -ENOMEM;
}

static struct entry *find_entry(struct recorder_batch *b, const char *uuid)
{
	for (size_t i = 0; i < b->n; i++) {
		struct entry *e = &b->entry[(b->next + i) % b->n];

		if (strcmp(e->uuid, uuid) == 0) {
			b->next = (b->next + i + 1) % b->n;
			return e;
		}
	}
	return NULL;
}

static struct entry *new_entry(struct recorder_batch *b, const char *uuid, const char *called)
{
	size_t room = b->n == b->room ? 2 * b->room + 16 : b->room;
	struct entry *e = room > b->room ? reallocarray(b->entry, room, sizeof(*e)) : b->entry;
	char *name = strdup(called);

	if (e) {
		b->entry = e;
		b->room = room;
	}
	if (!e || !name) {
		free(name);
		return NULL;
	}
	e = &b->entry[b->n++];
	*e = (struct entry){.name = name};
	memcpy(e->uuid, uuid, sizeof(e->uuid));
	return e;
}

/* sum: what all guests have of a figure. */
static int add_guest(struct recorder_batch *b, struct entry *e, const struct guest *g, struct bucket *sum,
                     struct instant at)
{
	uint64_t value[FIGURES] = {0};
	unsigned known = read_figures(g, value);
	uint32_t reason = g->plan.reason == REASON_NONE ? 0 : 1u << g->plan.reason;

	if (!e)
		e = new_entry(b, g->uuid, g->name);
	if (!e)
		return -ENOMEM;
	e->bucket.number = b->minute;
	e->bucket.reasons |= reason;
	sum->reasons |= reason;
	for (enum figure i = 0; i < FIGURES; i++) {
		if (!(known & 1u << i))
			continue;
		bucket_add(&e->bucket, i, value[i]);
		bucket_add(sum, i, value[i]);
	}
	return add_move(e, g, at);
}

static void add_host(struct recorder_batch *b, const struct host *host, const struct bucket *sum)
{
	b->host.number = b->minute;
	b->host.reasons |= sum->reasons;
	if (host->total_kib)
		bucket_add(&b->host, FIGURE_AVAILABLE, host->available_kib);
	for (enum figure i = 0; i < FIGURES; i++)
		if (sum->figure[i].n)
			bucket_add(&b->host, i, sum->figure[i].sum);
}

/* past has what the pass found when it began. */
static void note_reached(struct recorder_batch *b, const struct guest *guest, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct guest *g = &guest[i];
		struct entry *e = g->answered && g->sample.have & SAMPLE_ACTUAL ? find_entry(b, g->uuid) : NULL;

		if (!e || !e->awaits || e->asked_ms >= g->past.seen_ms)
			continue;
		e->move[e->n - 1].has_reached = true;
		e->move[e->n - 1].reached_kib = g->past.actual_kib;
		e->awaits = false;
	}
}

static bool is_over(const struct recorder_batch *b, const char *uri, struct instant at)
{
	return strcmp(b->uri, uri) != 0 || (b->minute != bucket_number(BUCKET_MINUTE, at.wall_ms / 1000) &&
	                                    clock_is_due(b->began_ms, at.now_ms, MINUTE_LEAST_MS));
}

/* known: the batch has guests of earlier passes. */
static int add_pass(struct recorder_batch *b, bool known, const struct host *host, const struct guest *guest, size_t n,
                    struct instant at)
{
	struct bucket sum = {.number = 0};
	int error = 0;

	for (size_t i = 0; i < n && !error; i++)
		error = add_guest(b, known ? find_entry(b, guest[i].uuid) : NULL, &guest[i], &sum, at);
	add_host(b, host, &sum);
	return error;
}

/* ---- what the guard did ---- */

static int add_guard_move(struct recorder_batch *b, const struct movelog_move *m)
{
	const struct history_move move = {.wall_ms = m->wall_ms,
	                                  .from_kib = m->from_kib,
	                                  .asked_kib = m->asked_kib,
	                                  .has_reached = m->has_reached,
	                                  .reached_kib = m->reached_kib,
	                                  .reason = m->reason,
	                                  .by_guard = true};
	struct entry *e = find_entry(b, m->uuid);

	if (!e)
		e = new_entry(b, m->uuid, m->name);
	if (!e)
		return -ENOMEM;
	return e->n < HISTORY_MOVES ? keep_move(e, &move) : 0;
}

/* ---- writing ---- */

static int write_entry(int dir, const char *uuid, const struct entry *e, bool *ret_begins)
{
	int fd = history_open_to_write(dir, uuid, e->name), error;

	if (fd < 0)
		return fd;
	error = e->bucket.number ? history_write(fd, &e->bucket, ret_begins) : 0;
	if (!error)
		error = history_write_moves(fd, e->move, e->n);
	if (close(fd) && !error)
		error = -errno;
	return error;
}

/* The host's file tells on which days there was a pass. */
static void prune_files(int dir, uint64_t wall_s)
{
	int fd = history_open(dir, HISTORY_HOST);

	if (fd < 0)
		return;
	history_prune(dir, fd, wall_s);
	close(fd);
}

/* Each that can be, whatever became of others. */
static int write_files(const struct recorder_batch *b, int dir)
{
	const struct entry host = {.name = (char[]){HISTORY_HOST}, .bucket = b->host};
	int first = 0, error;
	bool begins = false;

	for (size_t i = 0; i < b->n; i++) {
		error = write_entry(dir, b->entry[i].uuid, &b->entry[i], NULL);
		first = first ? first : error;
	}
	if (!b->host.number)
		return first;
	error = write_entry(dir, HISTORY_HOST, &host, &begins);
	if (!error && begins)
		prune_files(dir, b->wall_s);
	return first ? first : error;
}

static int write_batch(void *arg)
{
	const struct recorder_batch *b = arg;
	int dir = history_dir(b->root, b->uri, true);
	int lock = dir < 0 ? dir : history_lock(dir, clock_ms(CLOCK_BOOTTIME) + PATIENCE_MS);
	int r = lock < 0 ? lock : write_files(b, dir);

	fd_close(&lock);
	fd_close(&dir);
	return r;
}

static void forget_writing(struct recorder *r)
{
	if (task_free(r->writing)) /* else the batch is the task's */
		free_batch(r->written);
	r->writing = NULL;
	r->written = NULL;
}

bool recorder_wait(struct recorder *r, uint64_t deadline_ms)
{
	int error = r->writing ? task_wait(r->writing, deadline_ms) : 0;

	if (error == -EINPROGRESS)
		return false;
	if (r->writing)
		r->error = error;
	forget_writing(r);
	return true;
}

void recorder_start(struct recorder *r, uint64_t now_ms)
{
	int error;

	if (recorder_wait(r, 0)) {
		r->written = r->batch;
		r->began_ms = now_ms;
		error = r->batch ? task_start(write_batch, free_batch, r->batch, &r->writing) : 0;
		if (error)
			r->error = error;
		if (!r->writing)
			forget_writing(r);
	} else {
		if (now_ms - r->began_ms >= PATIENCE_MS)
			r->error = -ETIMEDOUT;
		free_batch(r->batch);
	}
	r->batch = NULL;
}

void recorder_end(struct recorder *r, uint64_t deadline_ms)
{
	if (recorder_wait(r, deadline_ms) && r->batch) {
		recorder_start(r, r->began_ms);
		recorder_wait(r, deadline_ms);
	}
	if (r->writing)
		r->error = -ETIMEDOUT;
	forget_writing(r);
	free_batch(r->batch);
	r->batch = NULL;
}

void recorder_finish(struct recorder *r, uint64_t end_ms, const volatile sig_atomic_t *stop)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

	recorder_start(r, now_ms);
	while (!*stop && now_ms < end_ms && !recorder_wait(r, min_u64(end_ms, now_ms + SLICE_MS)))
		now_ms = clock_ms(CLOCK_BOOTTIME);
	recorder_end(r, now_ms + SLICE_MS);
}

/* Begins to write a batch whose minute is over. Returns whether one goes on. */
static bool end_minute(struct recorder *r, const char *uri, struct instant at)
{
	recorder_wait(r, 0);
	if (r->batch && is_over(r->batch, uri, at))
		recorder_start(r, at.now_ms);
	return r->batch;
}

void recorder_add(struct recorder *r, const char *uri, const struct host *host, const struct guest *guest, size_t n,
                  struct instant at)
{
	bool known;

	if (r->batch)
		note_reached(r->batch, guest, n);
	known = end_minute(r, uri, at);
	if (!known)
		r->batch = new_batch(r->root, uri, at);
	if (!r->batch || add_pass(r->batch, known, host, guest, n, at))
		r->error = -ENOMEM;
}

void recorder_add_moves(struct recorder *r, const char *uri, struct movelog_move *move, size_t n, struct instant at)
{
	end_minute(r, uri, at);
	for (size_t i = 0; i < n; i++) {
		if (move[i].recorded)
			continue;
		if (!r->batch)
			r->batch = new_batch(r->root, uri, at);
		if (!r->batch || add_guard_move(r->batch, &move[i]))
			r->error = -ENOMEM;
		move[i].recorded = true;
	}
}

char *recorder_complaint(char *buffer, size_t size, const struct recorder *r)
{
	const char *why = r->error == -ETIMEDOUT ? "it does not answer"
	                  : r->error == -EBADMSG ? "something else has the name of a file there"
	                                         : file_words(r->error);
	char root[256];

	snprintf(buffer, size, "cannot write the history in '%s/var/lib/memsched/history': %s",
	         text_escape(root, sizeof(root), r->root, text_is_utf8()), why);
	return buffer;
}
