/* SPDX-License-Identifier: MIT */
/* libFuzzer: any files of the kernel's, one after another with a NUL between them. What is taken makes sense. */
#include <string.h>

#include "host/proc.h"
#include "root.h"

static const char *const files[] = {"proc/meminfo",
                                    "proc/pressure/memory",
                                    "proc/spl/kstat/zfs/arcstats",
                                    "sys/kernel/mm/ksm/pages_sharing",
                                    "proc/self/cgroup",
                                    "sys/fs/cgroup/memory.max",
                                    "sys/fs/cgroup/memory.current",
                                    "sys/fs/cgroup/memory.stat",
                                    "sys/fs/cgroup/memory.high"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;
	struct host h = {.total_kib = 4711};

	if (!made)
		make_root("proc/pressure proc/self proc/spl/kstat/zfs sys/fs/cgroup sys/kernel/mm/ksm");
	made = true;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
		size_t length = end ? (size_t)(end - data) : size;

		put(files[i], data, length);
		data += length + (end != NULL);
		size -= length + (end != NULL);
	}
	if (proc_read(root, &h) < 0)
		check(h.total_kib == 4711);
	else
		check(h.total_kib > 0 && h.free_kib <= h.total_kib && h.available_kib <= host_pageable_kib(&h) &&
		      h.hugetlb_kib <= h.total_kib && h.hugetlb_free_kib <= h.hugetlb_kib &&
		      h.swap_free_kib <= h.swap_kib && h.unsplit_kib <= h.total_kib - h.free_kib &&
		      (!h.doubtful || h.doubtful_kib > h.allowed_kib));
	return 0;
}
