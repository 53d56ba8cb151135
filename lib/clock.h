/* The two clocks, read in one place, so that everything else takes time as an argument. */
#ifndef MEMSCHED_CLOCK_H
#define MEMSCHED_CLOCK_H

#include <time.h>

#include "estimate.h"

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

#endif
