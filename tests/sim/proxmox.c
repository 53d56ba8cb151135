/* SPDX-License-Identifier: MIT */
#include "controller.h"

#include <stdlib.h>

#include "base/units.h"
#include "peers.h"

#define MIB INT64_C(1048576)
#define LEAST_GOAL (10 * MIB)
#define MAX_CHANGE (100 * MIB)
#define TARGET_PCT 80

typedef bool listed(const struct proxmox_vm *vm);

static bool is_pressed(const struct proxmox_vm *vm)
{
	return vm->pressed;
}

static bool is_idle(const struct proxmox_vm *vm)
{
	return !vm->pressed;
}

static bool is_any(const struct proxmox_vm *vm)
{
	return vm->shares > 0;
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

/* One machine's way to its share: at most max_change from where it stands; who need not move is out of the game. */
static int64_t step_towards(struct proxmox_vm *vm, int64_t share, bool grow, int64_t max_change)
{
	int64_t before = vm->new, wish = clamp(vm->min + share, vm->min, vm->max);

	if (wish == vm->balloon || (wish > vm->balloon && !grow)) {
		vm->done = true;
		return 0;
	}
	vm->new = clamp(wish, vm->balloon - max_change, vm->balloon + max_change);
	return vm->new - before;
}

/* Hands out (or gets back) bytes among the machines listed, by shares of what lies above their minima. */
static int64_t change(struct proxmox_vm *vm, size_t n, listed *is_listed, int64_t bytes, int64_t max_change)
{
	int64_t rest = bytes;
	bool moved = true;

	for (size_t i = 0; i < n; i++)
		vm[i].done = !is_listed(&vm[i]) || !vm[i].shares;
	while (rest && moved) {
		int64_t shares = 0, above = rest;

		moved = false;
		for (size_t i = 0; i < n; i++) {
			shares += vm[i].done ? 0 : vm[i].shares;
			above += vm[i].done ? 0 : vm[i].new - vm[i].min;
		}
		for (size_t i = 0; i < n; i++) {
			int64_t share, by;

			if (vm[i].done)
				continue;
			share = (int64_t)((double)above / (double)shares * (double)vm[i].shares);
			by = step_towards(&vm[i], share, bytes > 0, max_change);
			rest -= by;
			moved |= by != 0;
		}
	}
	return rest;
}

void proxmox_plan(struct proxmox_vm *vm, size_t n, int64_t goal, int64_t max_change)
{
	int64_t rest;

	for (size_t i = 0; i < n; i++) {
		vm[i].new = vm[i].balloon;
		vm[i].pressed = vm[i].free * 4 <= vm[i].min || vm[i].balloon < vm[i].min;
	}
	if (goal > LEAST_GOAL) {
		rest = change(vm, n, is_pressed, goal, max_change);
		if (rest >= goal)
			change(vm, n, is_any, rest, max_change);
	} else if (goal < -LEAST_GOAL) {
		rest = change(vm, n, is_idle, goal, max_change);
		if (rest <= goal)
			change(vm, n, is_any, rest, max_change);
	}
}

static void *proxmox_open(struct world *w)
{
	return calloc(w->n, sizeof(struct proxmox_vm));
}

static void proxmox_step(void *memory, struct world *w)
{
	struct proxmox_vm *vm = memory;
	struct host host = world_host(w);
	int64_t used_kib = (int64_t)(host.total_kib - host.available_kib);
	int64_t goal_kib = (int64_t)(host.total_kib * TARGET_PCT / 100) - used_kib;

	for (size_t i = 0; i < w->n; i++) {
		const struct vm *v = &w->vm[i];
		struct sample s = world_sample(w, v);

		vm[i] = (struct proxmox_vm){
		    .max = (int64_t)v->is.max_kib * 1024,
		    .min = (int64_t)vm_min_kib(v) * 1024,
		    .balloon = (int64_t)s.actual_kib * 1024,
		    .free = s.have & SAMPLE_UNUSED ? (int64_t)min_u64(s.unused_kib, v->is.max_kib) * 1024 : 0,
		    .shares = vm_runs(w, v) ? 10 * (int64_t)v->is.weight : 0,
		};
	}
	proxmox_plan(vm, w->n, goal_kib * 1024, MAX_CHANGE);
	for (size_t i = 0; i < w->n; i++)
		if (vm[i].new != vm[i].balloon)
			world_set(w, &w->vm[i], (uint64_t)vm[i].new / 1024);
}

const struct controller proxmox = {
    .name = "proxmox",
    .what = "Proxmox VE's autoballoon: each 10 s, 80 % of the host used",
    .interval_ms = 10000,
    .period_s = 2,
    .open = proxmox_open,
    .step = proxmox_step,
    .close = free,
};
