/* SPDX-License-Identifier: MIT */
/*
 * Two events end the guard's sleep early: pressure on the host's memory, and a guest that is being started.
 */
#ifndef MEMSCHED_HOST_WAKEUP_H
#define MEMSCHED_HOST_WAKEUP_H

#include <signal.h>
#include <stdint.h>

enum wakeup_reason { WAKEUP_TIME, WAKEUP_PRESSURE, WAKEUP_PENDING, WAKEUP_STOP };

struct wakeup {
	int pressure; /* a PSI trigger; -1: none */
	int pending;  /* registry_watch_pending; -1: none, or its directory is gone */
};

/*
 * Sets a trigger on root/proc/pressure/memory: some task waiting for memory for 70 ms within a second or two. Returns 0
 * or -errno (-ENOSYS: this kernel has none, or root is no real /proc; -EACCES: not permitted); w is usable in any case.
 */
int wakeup_open(const char *root, struct wakeup *w);
void wakeup_close(struct wakeup *w);

/* Sleeps for nap_ms at most; less if one of the two occurs or *stop is set (noticed within 250 ms). */
enum wakeup_reason wakeup_wait(struct wakeup *w, uint32_t nap_ms, const volatile sig_atomic_t *stop);

#endif
