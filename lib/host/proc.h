/*
 * The host's memory, read from /proc and /sys below a root directory. The only file that knows their formats.
 */
#ifndef MEMSCHED_HOST_PROC_H
#define MEMSCHED_HOST_PROC_H

#include "plan/host.h"

/*
 * Reads root/proc/meminfo (required: MemTotal, MemFree, and MemAvailable or an estimate of it from MemFree + Buffers +
 * Cached - Shmem), and what else is there. root "" is the machine itself. A figure that its neighbours contradict is
 * cut to what they allow, and named in doubtful. Returns 0, -errno of meminfo, or -EBADMSG if it cannot be read as
 * numbers.
 */
int proc_read(const char *root, struct host *ret_host);

#endif
