/*
 * The host's memory, read from /proc and /sys below a root directory. The only file that knows their formats.
 */
#ifndef MEMSCHED_HOST_PROC_H
#define MEMSCHED_HOST_PROC_H

#include "plan/host.h"

/*
 * Reads root/proc/meminfo (required: MemTotal, MemFree, and MemAvailable or an estimate of it from MemFree + Buffers +
 * Cached - Shmem), and what else is there. root "" is the machine itself. Returns 0, -errno of meminfo, or -EBADMSG
 * where it makes no sense.
 */
int proc_read(const char *root, struct host *ret_host);

#endif
