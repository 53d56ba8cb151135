/* SPDX-License-Identifier: MIT */
/*
 * Random worlds. The same seed makes the same world.
 */
#ifndef MEMSCHED_SIM_MAKING_H
#define MEMSCHED_SIM_MAKING_H

#include "world.h"

struct making {
	uint64_t seed;
	uint32_t interval_ms; /* of the passes */
	unsigned steps;
	uint64_t pending_kib; /* of guests that are being started */
	bool no_give;         /* the guard forbids it */
	bool bare;            /* QEMU itself needs what it is taken for, so that rss hides nothing */
	bool greedy;          /* most machines come to want more */
	/* what may be asked of such a world */
	bool quiet; /* constant loads, good manners: everything comes to rest */
	bool sound; /* the host can keep all that was promised before, and its own load is constant: only gives can harm
	               it */
};

/* Returns 0 or -ENOMEM. The world has begun. */
int making_make(uint64_t seed, struct making *ret_making, struct world *ret_world);

/* A word for what is peculiar about a machine, for traces. */
const char *nature_word(const struct nature *is);

#endif
