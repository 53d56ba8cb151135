/* SPDX-License-Identifier: MIT */
#include "base/units.h"
#include "controller.h"
#include "peers.h"

int64_t original_change_kib(uint64_t unused_kib)
{
	int64_t over_kib = (int64_t)min_u64(unused_kib, INT64_MAX) - ORIGINAL_TARGET_KIB;

	if (over_kib > ORIGINAL_STEP_KIB)
		return -ORIGINAL_STEP_KIB;
	if (over_kib > ORIGINAL_TOLERANCE_KIB)
		return -over_kib;
	if (over_kib >= -ORIGINAL_TOLERANCE_KIB)
		return 0;
	return 2 * ORIGINAL_STEP_KIB;
}

/* The host is read once; a guest in need when it is short ends the pass for those after it. */
static void original_step(void *memory, struct world *w)
{
	uint64_t free_kib = world_host(w).free_kib;

	(void)memory;
	for (size_t i = 0; i < w->n; i++) {
		struct sample s = world_sample(w, &w->vm[i]);
		int64_t change = s.have & SAMPLE_UNUSED ? original_change_kib(s.unused_kib) : 0;

		if (change > 0 && free_kib < 2 * ORIGINAL_TARGET_KIB)
			return;
		if (change > 0)
			world_set(w, &w->vm[i],
			          min_u64(vm_actual_kib(&w->vm[i]) + (uint64_t)change, w->vm[i].is.max_kib));
		else if (change < 0)
			world_set(w, &w->vm[i], sat_sub(vm_actual_kib(&w->vm[i]), (uint64_t)-change));
	}
}

const struct controller original = {
    .name = "original", .what = "the original's rule", .interval_ms = 1000, .period_s = 1, .step = original_step};
