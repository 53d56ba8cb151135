/* SPDX-License-Identifier: MIT */
/*
 * Numbers that look random and are the same for the same seed everywhere (splitmix64).
 */
#ifndef MEMSCHED_SIM_RANDOM_H
#define MEMSCHED_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* lo to hi, both included. */
static inline uint64_t rng_between(struct rng *r, uint64_t lo, uint64_t hi)
{
	return lo + rng_next(r) % (hi - lo + 1);
}

static inline bool rng_chance(struct rng *r, unsigned pct)
{
	return rng_next(r) % 100 < pct;
}

#endif
