/* SPDX-License-Identifier: MIT */
#include "virt/node.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"

#define ABSENT UINT64_MAX

#define POOL_MS 600000
#define POOL_AGAIN_MS 10000

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

bool node_pool_is_due(const struct node_pool *p, bool doubtful, uint64_t now_ms)
{
	return !p->known || clock_is_due(p->tried_ms, now_ms, doubtful || p->failed ? POOL_AGAIN_MS : POOL_MS);
}

void node_pool_set(struct node_pool *p, uint64_t kib, uint64_t now_ms)
{
	*p = (struct node_pool){.kib = kib, .known = true, .tried_ms = now_ms};
}

int node_pool_fail(struct node_pool *p, int error, uint64_t now_ms)
{
	p->failed = true;
	p->tried_ms = now_ms;
	return p->known ? 0 : error;
}
