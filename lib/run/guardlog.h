/* SPDX-License-Identifier: MIT */
/*
 * What the guard keeps of its moves: in the log and in the history. Tasks write, so that the guard goes on if a disk
 * hangs.
 */
#ifndef MEMSCHED_RUN_GUARDLOG_H
#define MEMSCHED_RUN_GUARDLOG_H

#include "host/conf.h"
#include "host/movelog.h"
#include "host/recorder.h"

struct guardlog {
	const struct conf *conf;
	struct movelog log; /* monitor_record adds to it */
	struct recorder history;
	int log_error; /* of the last write to the log: 0 or -errno */
};

/* All of it stays the caller's. */
void guardlog_init(struct guardlog *a, const struct conf *conf, const char *program, const char *root);

/* Makes room, so that the looks of an emergency allocate nothing. Without it, the room is made when it is needed. */
void guardlog_reserve(struct guardlog *a);

/*
 * Begins to write moves that came to something, while the host is in no hurry, or that were long ago. For each look,
 * after its commands were sent.
 */
void guardlog_keep(struct guardlog *a, struct instant at);

/* The moves that are left begin to go to the history. Waits for that until deadline_ms; false: it goes on. */
bool guardlog_write(struct guardlog *a, uint64_t deadline_ms);

/* Writes the rest before deadline_ms (CLOCK_BOOTTIME), and clears a but for its errors. */
void guardlog_end(struct guardlog *a, uint64_t deadline_ms);

#endif
