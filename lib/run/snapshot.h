/* SPDX-License-Identifier: MIT */
/*
 * The guests as they were read at one time, for balance, monitor and memstat alike: listed, recalled, read, given a
 * statistics period if they have none, and estimated.
 */
#ifndef MEMSCHED_RUN_SNAPSHOT_H
#define MEMSCHED_RUN_SNAPSHOT_H

#include <signal.h>

#include "plan/estimate.h"
#include "plan/policy.h"
#include "host/conf.h"
#include "host/registry.h"
#include "virt/virt.h"

struct snapshot {
	struct guest *guest; /* sorted by name; owned, snapshot_clear */
	size_t n;
	struct policy_scratch scratch; /* for n */
	uint64_t began_ms;             /* CLOCK_BOOTTIME when reading began; 0: nothing was read */
	bool listed;                   /* by libvirt; false: these are the guests that were known */
};

struct snapshot_conf {
	const struct conf *conf;
	uint32_t interval_ms;              /* of the loop; 0: single passes */
	uint32_t period_s;                 /* the longest period that statistics may have */
	bool set_period;                   /* for guests that have none or a longer one */
	bool await_stats;                  /* waits for their first statistics */
	bool is_saved;                     /* the registry, too, has the past of the guests in before */
	const volatile sig_atomic_t *stop; /* ends waits early once set; may be NULL */
};

/*
 * Reads before end_ms. The past of guests comes from the snapshot `before` (which may be emptied); if that is NULL,
 * from r; if both are, from nowhere. As long as any hook of the host runs, libvirt does not list its guests: the guests
 * of before, else (or if is_saved) those that are registered, are then read one by one. -ETIMEDOUT if before is NULL
 * and none is registered. Returns 0, the error of virt.h or registry_list, or -ENOMEM; then the snapshot has the guests
 * that were read until then, and must be cleared as well.
 */
int snapshot_read(const struct snapshot_conf *sc, struct virt *v, struct registry *r, struct snapshot *before,
                  uint64_t end_ms, struct snapshot *ret_snapshot);

/* Whether that is libvirt's fault: it neither listed the guests nor did one of the known ones answer. */
bool snapshot_is_silent(const struct snapshot *s);

/* Copies the guests without asking them: for a snapshot_read. 0 or -ENOMEM. */
int snapshot_recall(const struct snapshot *s, struct snapshot *ret_before);

/* The guest as it is known there; NULL if it is not, or was started anew since. */
struct guest *snapshot_find(const struct snapshot *s, const struct guest *g);

void snapshot_clear(struct snapshot *s);

/*
 * Sends plan.ask_kib to the guests that have one, and remembers that at this time. *ret_sent is the number of
 * commands that went well, also on failure. Returns as virt_set. Allocates no more than that.
 */
int guests_send(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms, struct instant at, unsigned *ret_sent);

#endif
