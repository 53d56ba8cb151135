/* SPDX-License-Identifier: MIT */
#include "run/guardlog.h"

#include <errno.h>

#define ROOM 256       /* moves */
#define KEPT_MOST 4096 /* moves, while a disk hangs */
#define REST_MS 3000   /* without a command the host is in no hurry */
#define MOST_MS 15000  /* a move that was so long ago waits no longer */

void guardlog_init(struct guardlog *a, const struct conf *conf, const char *program, const char *root)
{
	*a = (struct guardlog){
	    .conf = conf,
	    .log = {.program = program, .root = root, .most = KEPT_MOST},
	    .history.root = root,
	};
}

void guardlog_reserve(struct guardlog *a)
{
	if (a->conf->log || a->conf->history)
		movelog_reserve(&a->log, ROOM);
}

static bool is_due(const struct movelog *log, uint64_t now_ms)
{
	return log->n &&
	       (now_ms - log->move[log->n - 1].asked_ms >= REST_MS || now_ms - log->move[0].asked_ms >= MOST_MS);
}

static void add_to_history(struct guardlog *a, size_t n, struct instant at)
{
	if (a->conf->history)
		recorder_add_moves(&a->history, a->conf->uri, a->log.move, n, at);
}

void guardlog_keep(struct guardlog *a, struct instant at)
{
	bool due = is_due(&a->log, at.now_ms);
	int r = movelog_outcome(&a->log, at.now_ms);

	if (r != -EINPROGRESS)
		a->log_error = r;
	add_to_history(a, due ? a->log.n : 0, at);
	if (due && a->conf->log) {
		movelog_start(&a->log, a->conf->log, at.now_ms); /* else at the next look */
	} else if (due) {
		movelog_clear(&a->log);
		guardlog_reserve(a);
	}
}

bool guardlog_write(struct guardlog *a, uint64_t deadline_ms)
{
	struct instant at = clock_now();

	add_to_history(a, a->log.n, at);
	if (recorder_wait(&a->history, 0))
		recorder_start(&a->history, at.now_ms);
	return recorder_wait(&a->history, deadline_ms);
}

/* The history is begun before the log is waited for, so that neither waits for the other. */
void guardlog_end(struct guardlog *a, uint64_t deadline_ms)
{
	guardlog_write(a, 0);
	a->log_error = movelog_end(&a->log, a->conf->log, deadline_ms);
	recorder_end(&a->history, deadline_ms);
}
