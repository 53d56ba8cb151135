/* SPDX-License-Identifier: MIT */
/* The memory of the host as it was read: plain data, sizes in KiB. */
#ifndef MEMSCHED_PLAN_HOST_H
#define MEMSCHED_PLAN_HOST_H

#include <stdbool.h>
#include <stdint.h>

struct host {
	uint64_t total_kib;     /* MemTotal */
	uint64_t available_kib; /* MemAvailable + (the ZFS ARC's size - c_min) / 2 + unsplit * 3 / 4: the last two come
	                           back only when memory is needed */
	uint64_t unsplit_kib; /* parts of huge pages (THP) that balloons gave back, while others are in use: the kernel
	                         frees it when memory runs low, by splitting them, and counts it nowhere (measured:
	                         490 of 600 MiB given by four guests). Anonymous pages on the LRU lists, where huge
	                         pages stand whole, beyond those that are mapped, shared or in the swap cache */
	uint64_t free_kib;    /* MemFree */
	uint64_t buffers_kib; /* Buffers */
	uint64_t cached_kib;  /* Cached; includes shared memory, so it is for display only */
	uint64_t ksm_kib;     /* pages merged by KSM that come apart when written (pages_sharing); 0 without KSM */
	uint64_t hugetlb_kib; /* the pool of huge pages, used or not: nothing else can have it */
	uint64_t hugetlb_free_kib; /* of it, pages of the usual size that nothing uses or has reserved */
	uint64_t swap_kib, swap_free_kib;
	uint64_t limit_kib;    /* of a control group that has the guests: available is what is left below; 0: none is */
	const char *doubtful;  /* a figure that contradicts its neighbours, by its name there; NULL: none does */
	uint64_t doubtful_kib; /* what it says, */
	uint64_t allowed_kib;  /* and what its neighbours allow, which counts */
	bool has_pressure;
	uint32_t pressure_some_avg10_centi; /* /proc/pressure/memory, some avg10, in hundredths of a percent */
};

/* What of the host's memory is not set aside for huge pages: what a share of the host is a share of. */
static inline uint64_t host_pageable_kib(const struct host *h)
{
	return h->total_kib > h->hugetlb_kib ? h->total_kib - h->hugetlb_kib : 0;
}

/* What sizes are checked against: no size can be more than all of it, whatever figure is doubtful. */
static inline uint64_t host_checkable_kib(const struct host *h)
{
	uint64_t pageable_kib = host_pageable_kib(h);

	return h->doubtful || !pageable_kib ? h->total_kib : pageable_kib;
}

/* Cuts a figure of h to what its neighbours allow. The first that exceeds it by much is named as doubtful. */
void host_bound(struct host *h, const char *name, uint64_t allowed_kib, uint64_t *kib);

#endif
