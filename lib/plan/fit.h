/* SPDX-License-Identifier: MIT */
/*
 * Whether one more guest can start now, and how much running guests must give for it: FITTING in memstat(8).
 * The policy treats that guest as a pending start, so the passes will do as the answer says.
 * Pure: no I/O, no clock, no allocation (scratch is passed in).
 */
#ifndef MEMSCHED_PLAN_FIT_H
#define MEMSCHED_PLAN_FIT_H

#include "plan/policy.h"

enum fit_answer {
	FIT_YES,      /* others keep their use and the headroom they need */
	FIT_HEADROOM, /* others are left less headroom, but no guest less than its bottom */
	FIT_NO,       /* the host would end below its reserve */
};

struct fit {
	enum fit_answer answer;
	uint64_t need_kib;  /* of the host's available memory, QEMU's own included */
	uint64_t pages_kib; /* of the pool of huge pages */
	uint64_t short_kib; /* the part of need_kib that is lacking; 0: all is there */
	uint64_t pages_short_kib;
	uint64_t largest_kib; /* the most memory of a guest that gets a yes, QEMU's own not counted */
	uint64_t most_kib;    /* likewise if headroom is taken */
	uint64_t taken_kib;   /* from all guests */
	uint64_t more;        /* how many guests like this one fit beside it with a yes */
};

/* The memory of the largest guest that would get a yes, of the budget of a pass. */
uint64_t fit_largest_kib(const struct budget *b);

/*
 * Whether a guest of this device fits beside the n guests g, and pending_kib of other starts. What each would give is
 * left in plan.want_kib, which is actual for the others. Sizes that it changes arrive calmly; a guest that does not
 * obey its balloon, or lies about what it uses, is known only once it was asked.
 */
void fit_find(const struct policy_conf *conf, const struct host *host, uint64_t pending_kib, const struct device *d,
              struct guest *g, size_t n, struct policy_scratch *scratch, struct fit *ret_fit);

#endif
