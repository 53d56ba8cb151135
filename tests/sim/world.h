/* SPDX-License-Identifier: MIT */
/*
 * A simulated host and its virtual machines, honest to the page: a machine touches memory it was
 * given only when its use or its page cache grows into it; what it frees inside stays with QEMU
 * until the balloon takes it; inflating the balloon gives the host only pages that were touched.
 * Statistics are taken by the guest once a period, actual is seen up to 1 s late, the host's memory
 * and rss are seen at once. Deterministic: time passes in world_run only. Sizes in KiB, rates in
 * KiB a second, times in ms since the beginning.
 */
#ifndef MEMSCHED_SIM_WORLD_H
#define MEMSCHED_SIM_WORLD_H

#include "plan/guest.h"
#include "plan/host.h"
#include "random.h"

/* What something wants to hold over time. All zero but base: constant. */
struct load {
	uint64_t base_kib;   /* always */
	uint64_t peak_kib;   /* from start on grows by rise_kibps to this (0: no growth), */
	uint64_t rise_kibps; /* */
	uint64_t start_ms;
	uint64_t until_ms; /* and lets go at once here; 0: never */
	uint64_t every_ms; /* all of it again after this; 0: once */
	uint64_t late_ms;  /* the growth begins by up to this later, each time anew */
	uint64_t seed;     /* of that */
};

uint64_t load_at(const struct load *l, uint64_t now_ms);

enum lie { /* what a guest's statistics claim */
	   LIE_NONE,
	   LIE_USABLE_OVER, /* usable above available, above maximum */
	   LIE_HUGE,        /* 2^64 - 1 everywhere */
	   LIE_ZERO,        /* 0 everywhere */
	   LIE_BACKWARDS,   /* counters and available go down, free up */
	   LIE_RANDOM,
	   LIE_POOR, /* says that nothing is free: always wants more */
	   LIE_COUNT
};

enum pages { /* which free pages the guest's kernel takes first */
	     PAGES_MIXED,
	     PAGES_WARM, /* touched before: what was freed last */
	     PAGES_COLD
};

/* What a machine is and how it behaves; constant over a run. */
struct nature {
	uint64_t max_kib;     /* <memory> */
	uint64_t current_kib; /* <currentMemory>: the balloon target it starts with */
	uint64_t min_kib, hint_max_kib;
	uint32_t weight; /* these three: the administrator's hints; 0: none */
	uint64_t
	    overhead_kib;  /* actual - available: what the guest's kernel keeps from the start */
	uint64_t mark_kib; /* free memory its kernel does not hand out */
	uint64_t qemu_kib; /* QEMU's own part of rss */
	uint32_t period_s; /* of the statistics; 0: what the controller sets */
	uint32_t phase_ms;

	struct load use;
	uint64_t cache_kib; /* page cache grows to this */
	uint64_t cache_kibps;
	uint64_t hot_kibps; /* reads spread over these cache_kib: what is not cached comes from the
	                       disk; 0: none */
	bool mapped;        /* what comes from the disk is counted as major faults */
	uint64_t swap_kib; /* demand beyond what fits goes here and is swapped in again and again */
	uint64_t thrash_below_kib; /* swaps while its size is below this, whatever is free (zram, a
	                              tight cgroup) */
	bool dies;                 /* demand that does not fit is killed (OOM) */
	uint64_t respawn_ms;       /* it is started again after this, and grows anew; 0: never */

	uint64_t take_kibps; /* how fast the balloon inflates */
	uint64_t give_kibps; /* and deflates */
	uint64_t puff_kib;   /* does not inflate into the last puff_kib of free memory */
	uint64_t least_kib;  /* never inflates below this size */
	uint32_t obeys_pct;  /* goes only this part of the way down; 100: all of it */
	uint64_t stops_ms;   /* from then on the balloon does not move; 0: never */
	bool no_driver;
	bool autodeflate;
	bool no_usable;   /* statistics without usable */
	bool total_stays; /* MemTotal is that of the maximum, and nothing says so; unused counts
	                     page cache (Windows) */
	bool paused;
	enum pages pages;
	uint32_t warm_pct; /* part of its free memory that was touched before the beginning */

	enum lie lie;
	uint64_t mute_ms;   /* statistics stop; 0: never */
	uint64_t start_ms;  /* not there before; 0: runs since long ago */
	uint64_t reboot_ms; /* 0: never */
	uint64_t boot_ms;   /* from start or reboot until the driver speaks */
};

/* What happened to a machine; sums over ticks. */
struct tally {
	uint64_t starved_ms;   /* wanted memory that did not fit */
	uint64_t unmet_mib_ms; /* how much */
	uint64_t
	    short_mib_ms; /* what it lacked to its target of free memory, unmet demand included */
	uint64_t commands;
	uint64_t moved_kib;
	uint64_t kills;
	uint64_t read_kib; /* from the disk, of the hot page cache */
};

struct vm {
	struct nature is;
	struct rng rng;
	uint64_t target_kib;  /* of the balloon device */
	uint64_t balloon_kib; /* pages in the balloon */
	uint64_t used_kib;    /* without overhead and cache */
	uint64_t cache_kib;
	uint64_t warm_kib; /* free pages that the host still holds */
	uint64_t swap_in_kib, major_faults;
	uint64_t from_kib;     /* size when the target was set */
	uint64_t booted_ms;    /* of the last start or reboot */
	uint64_t seen_kib;     /* actual as libvirt knows it */
	uint64_t event_ms;     /* when it learned that */
	struct sample sampled; /* the last statistics; have: 0 before the first */
	uint64_t next_ms;      /* when they are taken next */
	bool rebooted, killed, respawned, spoke;
	uint64_t killed_ms;
	struct tally tally;
};

struct world {
	uint64_t now_ms;
	uint32_t tick_ms;
	uint32_t period_s; /* for machines without one of their own */
	uint64_t total_kib;
	struct load others; /* what the rest of the host holds */
	uint64_t ksm_kib;   /* what KSM has merged */
	uint64_t reserve_kib, target_kib;
	struct vm *vm;
	size_t n;

	int64_t
	    least_kib; /* least memory of the host seen; below 0 it would have swapped or killed */
	uint64_t below_ms;    /* time below the reserve */
	uint64_t idle_mib_ms; /* what guests had unused beyond their target while others lacked some
	                         of theirs */
};

/* Allocates n machines of no nature yet; returns 0 or -ENOMEM. */
int world_init(struct world *w, size_t n);
void world_free(struct world *w);

/* The state that follows from the natures, at the beginning of time. */
void world_begin(struct world *w);

void world_run(struct world *w, uint64_t ms);

/* The truth. */
uint64_t vm_actual_kib(const struct vm *v);
uint64_t vm_rss_kib(const struct vm *v);
uint64_t vm_free_kib(const struct vm *v);     /* MemFree */
uint64_t vm_headroom_kib(const struct vm *v); /* that and page cache */

/* Whether it wants memory that does not fit, or lacks more than crumbs of its target of headroom.
 */
bool vm_lacks(const struct world *w, const struct vm *v);
bool vm_runs(const struct world *w, const struct vm *v);
int64_t world_available_kib(const struct world *w);

/* What libvirt and /proc/meminfo tell. */
struct host world_host(const struct world *w);
struct sample world_sample(const struct world *w, const struct vm *v);
uint64_t world_wall_ms(const struct world *w);

/* Sets a balloon target, as `virsh setmem`; above the maximum and 0 are refused with -EINVAL. */
int world_set(struct world *w, struct vm *v, uint64_t kib);

/* A nature of ordinary manners for a machine of this maximum, to be changed from there. */
struct nature nature_usual(uint64_t max_kib);

#endif
