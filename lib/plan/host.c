/* SPDX-License-Identifier: MIT */
#include "plan/host.h"

#define DOUBT_PART 64 /* counters are kept for each CPU and summed up late: less of the total is no contradiction */

void host_bound(struct host *h, const char *name, uint64_t allowed_kib, uint64_t *kib)
{
	if (*kib <= allowed_kib)
		return;
	if (!h->doubtful && *kib - allowed_kib > h->total_kib / DOUBT_PART) {
		h->doubtful = name;
		h->doubtful_kib = *kib;
		h->allowed_kib = allowed_kib;
	}
	*kib = allowed_kib;
}
