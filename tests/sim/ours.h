/* SPDX-License-Identifier: MIT */
/*
 * The real lib/pass.c on a stage: libvirt, the registry, the host and the clocks that it sees are those of a simulated
 * world. ours.c defines the functions of virt.h and registry.h that a pass calls, and clock_gettime and nanosleep, for
 * the whole program; one world is on stage at a time.
 */
#ifndef MEMSCHED_SIM_OURS_H
#define MEMSCHED_SIM_OURS_H

#include "run/balance.h"
#include "controller.h"

struct virt {
	struct world *world;
	int sample_error; /* what virt_sample returns in place of samples; 0: samples */
	bool set_ends;    /* who is told to move is gone before it is told */
	bool set_late;    /* who is told to move does so, and does not answer in time */
	bool reads_anew;  /* each read brings the definitions; else they were read before */

	void (*was_told)(void *watcher); /* called when guests were told where to go, before time passes; or NULL */
	void *watcher;
};

struct registry {
	struct past *past; /* by machine */
	uint64_t pending_kib;
	bool no_give;
	unsigned records; /* that were saved */
};

struct ours {
	struct virt virt;
	struct registry registry;
	struct conf conf;
	struct balance_conf pass;
};

/* interval_ms 0: single passes, as cron makes them. The defaults of the suite hold. Returns 0 or -errno. */
int ours_open(struct ours *o, struct world *w, uint32_t interval_ms);
void ours_close(struct ours *o);

/* balance_decide, balance_run with this world on stage. */
int ours_look(struct ours *o, struct balance_report *ret_report);
int ours_pass(struct ours *o, struct balance_report *ret_report);

/* Which machine of the world a guest of a report is. */
size_t ours_index(const struct guest *g);

/* The suite's default reserve and target for a host of this size. */
void ours_defaults(uint64_t total_kib, uint64_t *ret_reserve_kib, uint64_t *ret_target_kib);

#endif
