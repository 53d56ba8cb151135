/* SPDX-License-Identifier: MIT */
/*
 * What must hold of every plan, and of every world after every pass. Design §4.
 */
#ifndef MEMSCHED_SIM_INVARIANTS_H
#define MEMSCHED_SIM_INVARIANTS_H

#include "making.h"
#include "ours.h"

#define COMPLAINT 400

struct checker {
	const struct making *making;
	struct world *world;
	struct ours *ours;
	struct rng rng;
	bool strict; /* not even what QEMU's own memory hides is forgiven */
	unsigned step;
	struct watch *watch; /* by machine */
	struct guest *copy;  /* scratch for plans made again */
	uint64_t budget_kib; /* that they are granted */
	struct host host;    /* and the balance: what the pass begins with */
	struct budget budget;
	uint64_t given_kib; /* in this pass so far */
	struct policy_scratch scratch;
	const char *broken;        /* the invariant that failed first; NULL: none */
	char complaint[COMPLAINT]; /* about it */
};

int checker_open(struct checker *c, const struct making *m, struct world *w, struct ours *o);
void checker_close(struct checker *c);

/* The plan that a pass at this instant makes, from balance_decide; makes it again. */
void check_plan(struct checker *c, struct balance_report *plan);

/* The world after the pass, and after the time until the next one. */
void check_pass(struct checker *c, const struct balance_report *report);

/* At the end of a quiet world: it must have come to rest. */
void check_end(struct checker *c);

#endif
