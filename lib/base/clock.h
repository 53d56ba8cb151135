/* SPDX-License-Identifier: MIT */
/* The two clocks, read in one place, so that everything else takes time as an argument. */
#ifndef MEMSCHED_BASE_CLOCK_H
#define MEMSCHED_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct instant {
	uint64_t now_ms;  /* CLOCK_BOOTTIME */
	uint64_t wall_ms; /* CLOCK_REALTIME, comparable with last_update_s and started_s */
};

static inline uint64_t clock_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline struct instant clock_now(void)
{
	return (struct instant){.now_ms = clock_ms(CLOCK_BOOTTIME), .wall_ms = clock_ms(CLOCK_REALTIME)};
}

/* A signal ends it early. */
static inline void clock_sleep_ms(uint64_t ms)
{
	nanosleep(&(struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

/* Whether work that is done each each_ms, and was last done at last_ms (0: never), is due now. */
static inline bool clock_is_due(uint64_t last_ms, uint64_t now_ms, uint64_t each_ms)
{
	return !last_ms || now_ms - last_ms >= each_ms;
}

#endif
