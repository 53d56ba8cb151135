/* SPDX-License-Identifier: MIT */
/*
 * What passes saw, and what the guard told guests, gathered for a minute and then written to the histories, however
 * many passes a minute has. A task writes: a disk that is slow or hangs costs a pass no time, and one thread at most.
 * What comes while it hangs is lost.
 */
#ifndef MEMSCHED_HOST_RECORDER_H
#define MEMSCHED_HOST_RECORDER_H

#include <signal.h>

#include "base/clock.h"
#include "host/history.h"
#include "host/movelog.h"
#include "plan/host.h"

/* {.root} has nothing gathered. */
struct recorder {
	const char *root;
	struct recorder_batch *batch;   /* being gathered; NULL: nothing was */
	struct recorder_batch *written; /* what the task writes */
	struct task *writing;           /* NULL: none is */
	uint64_t began_ms;              /* CLOCK_BOOTTIME when it began */
	int error;                      /* the last that is known of: -errno, or 0 as it is all written */
};

/*
 * Counts what a pass saw and did, and begins to write what was gathered if its minute is over. host->total_kib 0:
 * nothing is known of the host.
 */
void recorder_add(struct recorder *r, const char *uri, const struct host *host, const struct guest *guest, size_t n,
                  struct instant at);

/*
 * Counts moves of the guard that were not counted yet, and notes that they are; begins to write as recorder_add does,
 * so that it is called with n 0 too.
 */
void recorder_add_moves(struct recorder *r, const char *uri, struct movelog_move *move, size_t n, struct instant at);

/* Begins to write what was gathered; if the last write still goes on, it is dropped. */
void recorder_start(struct recorder *r, uint64_t now_ms);

/* Waits for that until deadline_ms; false: it goes on. */
bool recorder_wait(struct recorder *r, uint64_t deadline_ms);

/* Waits for it until deadline_ms, and clears r but for its error; -ETIMEDOUT: it hangs, and is abandoned. */
void recorder_end(struct recorder *r, uint64_t deadline_ms);

/* Starts to write, waits until end_ms, or 200 ms at most once *stop is set, and clears r as recorder_end does. */
void recorder_finish(struct recorder *r, uint64_t end_ms, const volatile sig_atomic_t *stop);

/* What to say of r->error. Safe to print. Returns buffer. */
char *recorder_complaint(char *buffer, size_t size, const struct recorder *r);

#endif
