/* SPDX-License-Identifier: MIT */
/*
 * The fleets of the bench: so many guests of 1 to 16 GiB with weights of 50 to 200, on a host that has half of what
 * they may grow to, under one kind of load.
 */
#ifndef MEMSCHED_SIM_FLEET_H
#define MEMSCHED_SIM_FLEET_H

#include "world.h"

#define FLEET_MS 634000 /* under load; a time at which each controller has about half its interval to go */
#define FLEET_PROBE_KIB (UINT64_C(1) << 20) /* then one guest wants this much more at once */
#define FLEET_PROBE_MS 180000

struct fleet_load {
	const char *name;
	const char *what;
	void (*make)(struct nature *is, size_t i);
	uint32_t demand_pct; /* of the capacity that all want together in the end; 0: as make has it */
};

/* Ended by a NULL name. */
extern const struct fleet_load fleet_loads[];

/* Returns 0 or -ENOMEM. The world has begun. */
int fleet_make(size_t guests, const struct fleet_load *load, struct world *ret_world);

/* The guest that will want FLEET_PROBE_KIB more, from now on; its index. */
size_t fleet_probe(struct world *w);

#endif
