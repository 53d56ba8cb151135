/*
 * What ends the guard's sleep before its time: pressure on the host's memory, and a guest that is being started.
 */
#ifndef MEMSCHED_WAKE_H
#define MEMSCHED_WAKE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum wake_reason { WAKE_TIME, WAKE_PRESSURE, WAKE_PENDING, WAKE_STOP };

struct wake {
	int pressure; /* a PSI trigger; -1: none */
	int pending;  /* registry_watch_pending; -1: none, or its directory is gone */
};

/*
 * Sets a trigger on root/proc/pressure/memory: some task waiting for memory for 70 ms within a second or two. Returns 0
 * or -errno (-ENOSYS: this kernel has none, or root is no real /proc; -EACCES: not permitted); w is usable in any case.
 */
int wake_open(const char *root, struct wake *w);
void wake_close(struct wake *w);

/* Sleeps for nap_ms at most; less where one of the two comes up or *stop is set (noticed within 250 ms). */
enum wake_reason wake_wait(struct wake *w, uint32_t nap_ms, const volatile sig_atomic_t *stop);

#endif
