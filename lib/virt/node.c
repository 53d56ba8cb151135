/* SPDX-License-Identifier: MIT */
#include "virt/node.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"

#define ABSENT UINT64_MAX

#define POOL_MS UINT64_C(600000)
#define POOL_AGAIN_MS UINT64_C(10000)
#define DOUBLINGS_MOST 6 /* they exceed POOL_MS */

/* "available" is new in libvirt 12.3. */
static const struct {
	const char *field;
	size_t offset; /* of a size in struct host */
} rows[] = {
    {"total", offsetof(struct host, total_kib)},         {"free", offsetof(struct host, free_kib)},
    {"buffers", offsetof(struct host, buffers_kib)},     {"cached", offsetof(struct host, cached_kib)},
    {"available", offsetof(struct host, available_kib)},
};

struct host node_begin(void)
{
	return (struct host){.available_kib = ABSENT};
}

void node_put(struct host *h, const char *field, uint64_t kib)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		if (strcmp(field, rows[i].field) == 0)
			memcpy((char *)h + rows[i].offset, &kib, sizeof(kib));
}

/* Reclaimable slab, which is available too, is not reported: only the total bounds what is. */
struct host node_end(const struct host *figures, uint64_t hugetlb_kib)
{
	struct host h = *figures;
	uint64_t left_kib;

	h.hugetlb_kib = hugetlb_kib;
	host_bound(&h, "the pool of huge pages", h.total_kib, &h.hugetlb_kib);
	left_kib = host_pageable_kib(&h);
	host_bound(&h, "free", left_kib, &h.free_kib);
	left_kib -= h.free_kib;
	host_bound(&h, "buffers", left_kib, &h.buffers_kib);
	left_kib -= h.buffers_kib;
	host_bound(&h, "cached", left_kib, &h.cached_kib);
	if (h.available_kib == ABSENT)
		h.available_kib = h.free_kib + h.buffers_kib + h.cached_kib;
	host_bound(&h, "available", host_pageable_kib(&h), &h.available_kib);
	return h;
}

void node_pool_expire(struct node_pool *p)
{
	p->expired = true;
}

bool node_pool_is_due(const struct node_pool *p, bool doubtful, uint64_t now_ms)
{
	uint64_t pause_ms = doubtful ? POOL_AGAIN_MS : POOL_MS;

	if (!p->known || p->expired)
		return true;
	if (p->failures)
		pause_ms = min_u64(POOL_AGAIN_MS << min_u64(p->failures - 1, DOUBLINGS_MOST), POOL_MS);
	return clock_is_due(p->tried_ms, now_ms, pause_ms);
}

void node_pool_set(struct node_pool *p, uint64_t kib, uint64_t now_ms)
{
	*p = (struct node_pool){.kib = kib, .known = true, .tried_ms = now_ms};
}

int node_pool_fail(struct node_pool *p, int error, uint64_t now_ms)
{
	p->expired = false;
	p->failures += p->failures <= DOUBLINGS_MOST;
	p->tried_ms = now_ms;
	return p->known ? 0 : error;
}
