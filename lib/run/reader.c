/* SPDX-License-Identifier: MIT */
#include "run/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/pool.h"
#include "plan/reclaim.h"
#include "run/loop.h"

#define PAUSE_MS 500       /* between two readings, however long they take */
#define PAUSE_MOST_MS 4000 /* in an emergency the guard has no figures until libvirt is found again */
#define PERIOD_S 1         /* of statistics, if none is configured */
#define WORDS_BYTES 512

/* The task's while it is under way. */
struct reading {
	const struct conf *conf;
	const char *root;
	bool read_only;
	uint64_t end_ms, ended_ms;
	struct virt *virt;        /* NULL: not connected */
	struct snapshot before;   /* the earlier one */
	struct snapshot snapshot; /* the new one */
	char words[WORDS_BYTES];  /* of the last failure */
};

struct reader {
	struct reading *reading;
	struct task *task; /* a reading under way; NULL: none */
	struct backoff backoff;
	uint64_t next_ms, beat_ms;
	int error; /* of the last reading */
	char words[WORDS_BYTES];
};

static void reading_free(void *arg)
{
	struct reading *r = arg;

	snapshot_clear(&r->before);
	snapshot_clear(&r->snapshot);
	virt_close(r->virt);
	free(r);
}

int reader_new(const struct conf *conf, const char *root, bool read_only, struct reader **ret_reader)
{
	struct reader *rd = calloc(1, sizeof(*rd));
	struct reading *r = calloc(1, sizeof(*r));

	if (!rd || !r) {
		free(rd);
		free(r);
		return -ENOMEM;
	}
	*r = (struct reading){.conf = conf, .root = root, .read_only = read_only};
	*rd = (struct reader){.reading = r, .beat_ms = clock_ms(CLOCK_BOOTTIME)};
	*ret_reader = rd;
	return 0;
}

void reader_free(struct reader *rd, uint64_t deadline_ms)
{
	if (!rd)
		return;
	reader_wait(rd, deadline_ms);
	if (task_free(rd->task))
		reading_free(rd->reading);
	free(rd);
}

/* ---- in the task ---- */

static void judge_all(const struct conf *c, struct snapshot *s)
{
	const struct policy_conf policy = conf_policy(c, 0);

	for (size_t i = 0; i < s->n; i++)
		policy_judge(&policy, &s->guest[i]);
	if (s->n > 0)
		qsort(s->guest, s->n, sizeof(*s->guest), reclaim_order);
}

static int read_guests(struct reading *rd)
{
	const struct snapshot_conf sc = {
	    .conf = rd->conf,
	    .interval_ms = READER_GAP_MS,
	    .period_s = rd->conf->stats_period_s ? rd->conf->stats_period_s : PERIOD_S,
	    .set_period = !rd->read_only,
	};
	struct registry *r = NULL;
	int error = 0;

	if (!rd->virt)
		error = virt_open(rd->conf->uri, rd->read_only, READER_WORKERS, rd->end_ms, &rd->virt);
	if (error)
		return error;
	registry_open_guard(rd->root, rd->conf->uri, false, &r);
	error = snapshot_read(&sc, rd->virt, r, &rd->before, rd->end_ms, &rd->snapshot);
	registry_close(r);
	if (!error)
		judge_all(rd->conf, &rd->snapshot);
	return error;
}

static int run_reading(void *arg)
{
	struct reading *rd = arg;
	int error = read_guests(rd);

	if (error)
		snapshot_clear(&rd->snapshot);
	else if (snapshot_is_silent(&rd->snapshot))
		error = -ETIMEDOUT;
	snprintf(rd->words, sizeof(rd->words), "%s", error ? virt_words(rd->virt) : "");
	if (error == -ENOTCONN) {
		virt_close(rd->virt);
		rd->virt = NULL;
	}
	rd->ended_ms = clock_ms(CLOCK_BOOTTIME);
	return error;
}

/* ---- outside of it ---- */

/*
 * A libvirtd that is silent has calls of ours already, and answers them when it can: only one that is gone is asked
 * with growing pauses.
 */
static void note_end(struct reader *rd, int error, bool silent, const char *words)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

	rd->beat_ms = now_ms; /* a reading that cannot begin does not hang */
	rd->error = error;
	snprintf(rd->words, sizeof(rd->words), "%s", words);
	if (silent)
		rd->next_ms = now_ms + READER_GAP_MS;
	else if (error)
		rd->next_ms = now_ms + min_u64(backoff_next_ms(&rd->backoff), PAUSE_MOST_MS);
	if (silent || !error)
		rd->backoff = (struct backoff){0};
}

int reader_begin(struct reader *rd, const struct snapshot *known, uint64_t end_ms)
{
	struct reading *reading = rd->reading;
	int r = snapshot_recall(known, &reading->before);

	reading->end_ms = end_ms;
	if (!r)
		r = task_start(run_reading, reading_free, reading, &rd->task);
	if (r) {
		snapshot_clear(&reading->before);
		note_end(rd, r, false, strerror(-r));
		return r;
	}
	rd->beat_ms = clock_ms(CLOCK_BOOTTIME);
	rd->next_ms = rd->beat_ms + READER_GAP_MS;
	return 0;
}

bool reader_is_reading(const struct reader *rd)
{
	return rd->task != NULL;
}

bool reader_wait(struct reader *rd, uint64_t deadline_ms)
{
	return !rd->task || task_wait(rd->task, deadline_ms) != -EINPROGRESS;
}

bool reader_take(struct reader *rd, struct snapshot *ret_fresh)
{
	struct reading *reading = rd->reading;
	int error = rd->task ? task_result(rd->task) : -EINPROGRESS;

	if (error == -EINPROGRESS)
		return false;
	*ret_fresh = reading->snapshot;
	reading->snapshot = (struct snapshot){.n = 0};
	snapshot_clear(&reading->before);
	rd->next_ms = max_u64(rd->next_ms, reading->ended_ms + PAUSE_MS);
	note_end(rd, error, error && ret_fresh->began_ms, reading->words);
	task_free(rd->task);
	rd->task = NULL;
	return true;
}

uint64_t reader_due_ms(const struct reader *rd, bool at_rest)
{
	return rd->next_ms + (at_rest && !rd->error ? READER_REST_MS - READER_GAP_MS : 0);
}

int reader_error(const struct reader *rd)
{
	return rd->error;
}

const char *reader_words(const struct reader *rd)
{
	return rd->words;
}

uint64_t reader_alive_ms(const struct reader *rd)
{
	return rd->beat_ms;
}

void reader_disconnect(struct reader *rd)
{
	virt_close(rd->reading->virt);
	rd->reading->virt = NULL;
}
