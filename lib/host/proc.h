/* SPDX-License-Identifier: MIT */
/*
 * The host's memory, read from /proc and /sys below a root directory. The only file that knows their formats.
 */
#ifndef MEMSCHED_HOST_PROC_H
#define MEMSCHED_HOST_PROC_H

#include <stddef.h>

#include "plan/host.h"

/*
 * Reads root/proc/meminfo (required: MemTotal, MemFree, and MemAvailable or an estimate of it from MemFree + Buffers +
 * Cached - Shmem), and what else is there. root "" is the machine itself. A figure that its neighbours contradict is
 * cut to what they allow, and named in doubtful. Returns 0, -errno of meminfo, or -EBADMSG if it cannot be read as
 * numbers.
 */
int proc_read(const char *root, struct host *ret_host);

/*
 * The same again and again, with the files kept open in between: on a host without descriptors or memory to spare they
 * are read all the same. {.root} is a reader without open files; proc_close closes them.
 */
#define PROC_FILES 32
struct proc {
	const char *root;
	struct proc_file {
		uint64_t path_hash; /* text_hash */
		int fd;
	} file[PROC_FILES];
	size_t n;
};
int proc_read_again(struct proc *p, struct host *ret_host);
void proc_close(struct proc *p);

#endif
