/* SPDX-License-Identifier: MIT */
/*
 * The rules of others, each alone and pure, written anew from facts/peers.md §2; their golden vectors are in
 * peers_test.c. The controllers around them are in the same files.
 */
#ifndef MEMSCHED_SIM_PEERS_H
#define MEMSCHED_SIM_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the original: what a guest with this much unused is given (or, negative, loses) ---- */

#define ORIGINAL_TARGET_KIB 150000
#define ORIGINAL_STEP_KIB 50000
#define ORIGINAL_TOLERANCE_KIB 5000

int64_t original_change_kib(uint64_t unused_kib);

/* ---- oVirt MoM: the balloon target of a guest, or 0 where it stays ---- */

struct mom_guest {
	double cur_kib;       /* last sample */
	double mean_used_kib; /* mean of balloon_cur - mem_unused */
	double min_kib, max_kib;
};

uint64_t mom_target_kib(const struct mom_guest *g, double host_free_part);

/* ---- Proxmox VE: balloon sizes after one pass that has goal bytes to hand out, or to get back where negative ---- */

struct proxmox_vm {
	int64_t max, min, balloon, free; /* bytes */
	int64_t shares;
	int64_t new; /* the result */
	bool pressed, done;
};

void proxmox_plan(struct proxmox_vm *vm, size_t n, int64_t goal, int64_t max_change);

/* ---- xapi squeezed: one round of a run that brings host memory to a target ---- */

struct squeezed_domain {
	int64_t min_kib, target_kib, max_kib, actual_kib, inaccuracy_kib;
	bool can_balloon;
	/* the monitor's memory, zeroed at the beginning of a run */
	bool watched, stuck;
	int64_t last_kib;
	uint64_t progress_ms;
	/* the result */
	int64_t new_kib; /* == target_kib where nothing is to be set */
};

struct squeezed_run {
	int64_t host_target_kib;
	bool (*succeeded)(int64_t free_kib, int64_t host_target_kib);
	bool one_phase, exact; /* faults to be put in by tests: scenarios f and g */
};

enum squeezed_result { SQUEEZED_ADJUST, SQUEEZED_SUCCESS, SQUEEZED_FAILED };

enum squeezed_result squeezed_round(const struct squeezed_run *run, struct squeezed_domain *d, size_t n,
                                    int64_t free_kib, uint64_t now_ms);

/* ---- Qubes qmemman: requests in the order in which they are to be made, donors first; bytes ---- */

struct qmemman_domain {
	bool has_used;
	int64_t used, max, actual;
	bool host; /* dom0: boosted by 350 MiB */
	bool no_progress;
	int64_t target;
};

struct qmemman_request {
	size_t domain;
	int64_t target;
};

/* The kB a guest wrote, as bytes, or -EINVAL. */
int qmemman_parse(const char *text, int64_t *ret_bytes);
int64_t qmemman_pref(const struct qmemman_domain *d);
int64_t qmemman_need(const struct qmemman_domain *d);

/* Each writes at most n requests and returns how many. */
size_t qmemman_make_room(const struct qmemman_domain *d, size_t n, int64_t bytes, struct qmemman_request *request);
size_t qmemman_balance(struct qmemman_domain *d, size_t n, int64_t free, struct qmemman_request *request);
/* The half of it for when there is enough: available bytes beyond everybody's preference. */
size_t qmemman_share(struct qmemman_domain *d, size_t n, int64_t available, struct qmemman_request *request);

#endif
