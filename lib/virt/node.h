/* SPDX-License-Identifier: MIT */
/*
 * The memory of a remote host, from the figures that libvirt reports (virNodeGetMemoryStats). They come from another
 * machine, so they may contradict each other. Pure.
 */
#ifndef MEMSCHED_VIRT_NODE_H
#define MEMSCHED_VIRT_NODE_H

#include "plan/host.h"

/* A host without any figure yet. */
struct host node_begin(void);

/* Takes over the figure that libvirt calls field. Fields that are not used are ignored. */
void node_put(struct host *h, const char *field, uint64_t kib);

/*
 * The host of these figures, which have a total, and this pool of huge pages: estimates available memory if libvirt
 * does not report it, and cuts each figure to what the others allow.
 */
struct host node_end(const struct host *figures, uint64_t hugetlb_kib);

/* The pool of huge pages as it was read last. An administrator can change it. */
struct node_pool {
	uint64_t kib;      /* the last that was read */
	bool known;        /* it was read once */
	bool expired;      /* it must be read again; the old value counts only if that fails */
	unsigned failures; /* of reading it since then */
	uint64_t tried_ms; /* when it was read last, or reading it failed */
};

/* To be called for a new connection: the host may have been started again, or be another one. */
void node_pool_expire(struct node_pool *p);

/*
 * Whether to read the pool: if it expired; after ten minutes; if figures contradict it, after ten seconds; and after
 * failures, for each of which a pass waits, after 10, 20, 40 s and so on, at most ten minutes.
 */
bool node_pool_is_due(const struct node_pool *p, bool doubtful, uint64_t now_ms);

void node_pool_set(struct node_pool *p, uint64_t kib, uint64_t now_ms);

/* Notes that the pool could not be read. Returns 0 if its last known value holds on, else error. */
int node_pool_fail(struct node_pool *p, int error, uint64_t now_ms);

#endif
