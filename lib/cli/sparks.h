/* SPDX-License-Identifier: MIT */
/*
 * What the guests on the screen used in the last 24 hours, as sparklines from the history: an hour a column. A task
 * reads, once a minute and for these guests alone: drawing never waits for a disk, and 5000 guests cost no more
 * than 50.
 */
#ifndef MEMSCHED_CLI_SPARKS_H
#define MEMSCHED_CLI_SPARKS_H

#include "plan/guest.h"

#define SPARKS_COLUMNS 24

/* {.root, .uri} has nothing read; both stay the caller's, and must live as long as the process. */
struct sparks {
	const char *root, *uri;
	struct sparks_batch *known;   /* read last; NULL: nothing was */
	struct sparks_batch *reading; /* the task's */
	struct task *task;            /* NULL: nothing is being read */
	uint64_t began_ms;            /* CLOCK_BOOTTIME; 0: never */
	const char **line;            /* what sparks_show returned */
};

/*
 * The lines of these guests, "" for one of which nothing is known, until the next call; NULL: nothing is known of any.
 * A task begins to read lines that are missing or older than a minute.
 */
const char *const *sparks_show(struct sparks *s, const struct guest *guest, size_t n, uint64_t now_ms);

/* The time to ask again, if lines are being read; else UINT64_MAX. */
uint64_t sparks_wake_ms(const struct sparks *s, uint64_t now_ms);

/* Never waits. */
void sparks_end(struct sparks *s);

#endif
