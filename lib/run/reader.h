/* SPDX-License-Identifier: MIT */
/*
 * Readings of the guests while the monitor goes on looking at the host: each is a task, one at a time, with a
 * connection to libvirt of its own. Its snapshot belongs to the task until it is taken.
 */
#ifndef MEMSCHED_RUN_READER_H
#define MEMSCHED_RUN_READER_H

#include "host/conf.h"
#include "run/snapshot.h"

#define READER_WORKERS 4     /* of a connection */
#define READER_GAP_MS 1000   /* between two readings, as between two statistics */
#define READER_REST_MS 10000 /* likewise, as long as nothing happens that they would have to follow */
#define READER_TAKES_MS 2000 /* at most; a healthy reading of 40 guests takes 40 ms */

struct reader;

/* conf and root stay the caller's. read_only: no statistics period is set. 0 or -ENOMEM. */
int reader_new(const struct conf *conf, const char *root, bool read_only, struct reader **ret_reader);
/* Waits for a reading until deadline_ms (CLOCK_BOOTTIME), and then abandons it. */
void reader_free(struct reader *rd, uint64_t deadline_ms);

/* Begins a reading, which ends by end_ms and goes on from what is known. None is under way. 0 or -errno. */
int reader_begin(struct reader *rd, const struct snapshot *known, uint64_t end_ms);
bool reader_is_reading(const struct reader *rd);
/* False: it is still under way. */
bool reader_wait(struct reader *rd, uint64_t deadline_ms);

/*
 * Takes over a reading's snapshot. False: none is over. Then ret_fresh is the caller's: judged, in reclaim_order, and
 * with a began_ms of 0 if nothing was read. Allocates nothing.
 */
bool reader_take(struct reader *rd, struct snapshot *ret_fresh);

/* When to begin the next, in CLOCK_BOOTTIME ms: READER_GAP_MS (at_rest: READER_REST_MS) after the last began, later if
 * that was slow, or, if libvirt is gone, after pauses that grow to some seconds. */
uint64_t reader_due_ms(const struct reader *rd, bool at_rest);

/* The last reading's result: 0 or -errno; -ENOTCONN: libvirt is gone. And libvirt's words for it. */
int reader_error(const struct reader *rd);
const char *reader_words(const struct reader *rd);
/* When a reading last began, or was over: as long as this goes on, readings do not hang. CLOCK_BOOTTIME ms. */
uint64_t reader_alive_ms(const struct reader *rd);
/* The URI was changed. No reading is under way. */
void reader_disconnect(struct reader *rd);

#endif
