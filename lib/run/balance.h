/* SPDX-License-Identifier: MIT */
/*
 * A pass of membalance: read -> estimate -> plan -> take -> settle -> host again -> give -> remember. What it does and
 * why: HOW IT DECIDES in membalance(8).
 */
#ifndef MEMSCHED_RUN_BALANCE_H
#define MEMSCHED_RUN_BALANCE_H

#include <signal.h>

#include "plan/policy.h"
#include "host/conf.h"
#include "host/registry.h"
#include "virt/node.h"
#include "virt/virt.h"

struct snapshot;

struct balance_conf {
	const struct conf *conf;
	const char *root;     /* of /proc and /sys */
	uint32_t interval_ms; /* of the loop; 0: single passes */
	uint64_t end_ms;      /* CLOCK_BOOTTIME when the pass has to end; 0: the configured deadline from now */
	const volatile sig_atomic_t *stop; /* ends waits early once set; may be NULL */
	struct snapshot *before; /* the guests after a loop's last pass, then after this one; NULL: in the registry */
	struct node_pool *pool;  /* of another host; from pass to pass, and from one connection to the next */
	conf_say *say;           /* gets this, and a sentence for each size that does not fit the host; not NULL */
	void *say_arg;
};

struct balance_report {
	struct guest *guest; /* sorted by name; owned, balance_clear */
	size_t n;
	bool listed;      /* by libvirt; false: these are the guests that were known */
	struct host host; /* as the decision saw it */
	uint64_t reserve_kib;
	uint64_t pending_kib; /* of guests that are being started */
	struct budget budget;
	bool dry_run;
	uint32_t interval_ms; /* of the loop; 0: a single pass */
	unsigned commands;    /* balloon commands sent */
	unsigned failed;      /* guests that were unresponsive or whose command failed */
	int unsaved;          /* -errno: part of the memory for the next pass could not be written; 0: all was */

	/* a pause, and a registry that cannot be used, are for the caller to note here for the reports */
	uint64_t paused_ms; /* the rest of the pause; 0: none */
	int pause_unknown;  /* -errno of looking for one: it counts as a pause */
	int unusable;       /* -errno of opening it; 0: it could be, or there is none */

	int no_give_unknown;     /* -errno of looking whether gives are forbidden: they count as forbidden */
	bool pending_unreadable; /* something that looks like a pending start cannot be read */
};

/*
 * Checks the sizes of pc->conf against the host now, as each pass does. Returns 0 or -ERANGE. A host that cannot be
 * read is no error: the pass reports that. pc->end_ms must be set.
 */
int balance_check_sizes(const struct balance_conf *pc, struct virt *v);

/*
 * Reads and decides; commands nothing and writes nothing. registry may be NULL: nothing is remembered.
 * Returns 0, the error of virt_list, virt_read or virt_host, -ENODATA if root/proc/meminfo cannot be read or makes no
 * sense, -ERANGE if a size does not fit the host, or -ENOMEM; then there is no report.
 */
int balance_decide(const struct balance_conf *pc, struct virt *v, struct registry *r,
                   struct balance_report *ret_report);

/*
 * The whole pass. The caller holds the lock. As balance_decide; guests that failed are counted, not returned. If it
 * fails midway the report has the guests and their commands, and must be cleared.
 */
int balance_run(const struct balance_conf *pc, struct virt *v, struct registry *r, struct balance_report *ret_report);

void balance_clear(struct balance_report *report);

/* Whether the guest was sent a balloon command in this pass. */
bool balance_moved(const struct guest *g);

#endif
