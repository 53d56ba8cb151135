/* SPDX-License-Identifier: MIT */
/*
 * The memory of a remote host, from the figures that libvirt reports (virNodeGetMemoryStats). They come from another
 * machine, so they may contradict each other. Pure.
 */
#ifndef MEMSCHED_VIRT_NODE_H
#define MEMSCHED_VIRT_NODE_H

#include "plan/host.h"

/* A host with this pool of huge pages and no other figure yet. */
struct host node_begin(uint64_t hugetlb_kib);

/* Takes over the figure that libvirt calls field. Fields that are not used are ignored. */
void node_put(struct host *h, const char *field, uint64_t kib);

/*
 * Estimates available memory if libvirt does not report it, and cuts each figure to what the others allow. -ENOTSUP:
 * there is no total.
 */
int node_end(struct host *h);

#endif
