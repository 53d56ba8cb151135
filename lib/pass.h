/*
 * membalance's line: read -> estimate -> plan -> take -> settle -> host again -> give -> remember. Design §2, §4, §7.
 */
#ifndef MEMSCHED_PASS_H
#define MEMSCHED_PASS_H

#include <signal.h>

#include "conf.h"
#include "policy.h"
#include "registry.h"
#include "virt.h"

struct pass_conf {
	const struct conf *conf;
	const char *root;
	uint32_t interval_ms;              /* of the loop; 0: a single pass */
	bool dry_run;                      /* stop after the decision: no command, no state, no period */
	const volatile sig_atomic_t *stop; /* ends waits early where not NULL and set */
};

struct pass_report {
	struct guest *guest; /* sorted by name; owned, pass_clear */
	size_t n;
	struct host host; /* as the decision saw it */
	uint64_t reserve_kib;
	struct balance balance;
	bool dry_run;
	unsigned commands; /* balloon commands sent */
	unsigned failed;   /* guests that were unresponsive or whose command failed */
};

/*
 * One pass over connection v. registry may be NULL (nothing is remembered). The caller holds the lock.
 * Returns 0 (also when some guests failed: report.failed), or what virt_list, virt_read or host_read returned.
 */
int pass_run(const struct pass_conf *pc, struct virt *v, struct registry *r, struct pass_report *ret_report);

/*
 * The first half: reads and decides, changes and writes nothing; what memstat shows. only: see pass_select; NULL: all.
 */
int pass_look(const struct pass_conf *pc, struct virt *v, struct registry *r, struct pass_report *ret_report);

void pass_clear(struct pass_report *report);

#endif
