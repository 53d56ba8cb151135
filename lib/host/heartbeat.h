/* SPDX-License-Identifier: MIT */
/*
 * Signs of life in /run/memsched: guard.json, which memguard writes, and the head of last-pass.json, which membalance
 * does. memstat, the metrics and memguard --check read them.
 */
#ifndef MEMSCHED_HOST_HEARTBEAT_H
#define MEMSCHED_HOST_HEARTBEAT_H

#include "base/clock.h"
#include "plan/guard.h"
#include "host/registry.h"

/* ---- memguard ---- */

#define GUARD_HEARTBEAT_MS 10000 /* between two heartbeats; a new level is written at once */
#define GUARD_SILENT_S 60        /* a guard that has not written for so long hangs */

/* All zero before the first guard_heartbeat_note. Times are of the wall clock, totals since the guard began. */
struct guard_heartbeat {
	uint64_t written_s;
	uint64_t pid;
	enum guard_level level;
	uint64_t since_s; /* when it came to this level */
	uint64_t available_kib, reserve_kib;
	uint64_t lack_kib;  /* the memory that must come back now */
	uint64_t freed_kib; /* the memory that came back in this emergency */
	bool no_give;       /* gives are forbidden */
	uint64_t began_s;
	uint64_t level_ms[GUARD_LEVELS]; /* time at each level */
	uint64_t freed_total_kib;
	uint64_t refusals;      /* emergencies in which guests did not free enough */
	uint64_t commands_run;  /* on_critical */
	uint64_t commands_sent; /* balloon commands */
	uint64_t commanded_s;   /* when the last was sent; 0: none was */

	uint64_t seen_ms; /* the last note; not written */
};

/* Counts the time since the last note, and takes over the figures of this look. Pure. */
void guard_heartbeat_note(struct guard_heartbeat *b, enum guard_level level, uint64_t lack_kib, uint64_t freed_kib,
                          struct instant at);

/* 0 or -errno; whole or not at all. Allocates little, but opens a file: after the commands. */
int guard_heartbeat_write(const struct guard_heartbeat *b, struct registry *r);

enum guard_presence {
	GUARD_ABSENT,
	GUARD_SILENT, /* its process is there, but it has not written for GUARD_SILENT_S */
	GUARD_PRESENT,
};

/* Reads root/run/memsched/guard.json. ret_heartbeat is all zero if there is none, or none that can be read. */
enum guard_presence guard_heartbeat_read(const char *root, const char *uri, uint64_t now_s,
                                         struct guard_heartbeat *ret_heartbeat);

/* ---- membalance ---- */

#define PASS_SINGLE_MS 60000 /* between two single passes, as cron and the timer make them */

struct pass_heartbeat {
	uint64_t ended_s;     /* wall clock */
	uint64_t interval_ms; /* of the loop; 0: a single pass */
};

/* The head of last-pass.json. 0 or -errno: there is none. */
int pass_heartbeat_read(const struct registry *r, struct pass_heartbeat *ret_heartbeat);

/* Whether the next pass should have been made: three intervals have passed, and 15 s in any case: a pass that waits for
 * guests may take its deadline. */
bool pass_heartbeat_is_overdue(const struct pass_heartbeat *b, uint64_t now_s);

#endif
