/* SPDX-License-Identifier: MIT */
/*
 * Something that balances a world: ours, or the rule of a peer. Each reads only what libvirt and the host tell.
 */
#ifndef MEMSCHED_SIM_CONTROLLER_H
#define MEMSCHED_SIM_CONTROLLER_H

#include "world.h"

struct controller {
	const char *name;
	const char *what;
	uint32_t interval_ms;                        /* its own default */
	uint32_t period_s;                           /* of the statistics, as it sets them */
	void *(*open)(struct world *w);              /* its memory; NULL: needs none */
	void (*step)(void *memory, struct world *w); /* may let time pass with world_run */
	void (*close)(void *memory);
};

extern const struct controller ours_loop, ours_cron, needed_loop, needed_cron, original, mom, mom_vdsm, proxmox,
    squeezed, qmemman, nothing;

/* All of the above and one that does nothing, in the order of the table; ended by NULL. */
extern const struct controller *const controllers[];

/* One controller at work in one world. */
struct run {
	const struct controller *controller;
	struct world *world;
	void *memory;
	uint64_t next_ms; /* when it steps next */
};

/* Sets the statistics period; the world has begun. Returns 0 or -ENOMEM. */
int run_open(struct run *r, const struct controller *c, struct world *w);
void run_until(struct run *r, uint64_t until_ms);
void run_close(struct run *r);

/* Host memory as Xen counts it, where what a domain was promised is gone at once: available less what is untouched. */
int64_t world_unpromised_kib(const struct world *w);

/* Whether the guest has a balloon that answers, as far as statistics tell. */
bool sample_speaks(const struct sample *s);

/* The least size of a guest where the peer needs one: the hint, or the formula that is our default too. */
uint64_t vm_min_kib(const struct vm *v);

#endif
