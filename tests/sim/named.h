/* SPDX-License-Identifier: MIT */
/*
 * Worlds by name, each made for one question: what the rule does on a host as people run them.
 */
#ifndef MEMSCHED_SIM_NAMED_H
#define MEMSCHED_SIM_NAMED_H

#include "world.h"

struct named {
	const char *name;
	const char *what;
	uint32_t seconds;
	int (*make)(struct world *w); /* returns 0 or -ENOMEM; the world has not begun */
};

/* Ended by a NULL name. */
extern const struct named named_worlds[];

/* NULL: none has this name. */
const struct named *named_find(const char *name);

/* Returns 0 or -ENOMEM. The world has begun. */
int named_make(const struct named *named, struct world *ret_world);

#endif
