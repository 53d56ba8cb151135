/* SPDX-License-Identifier: MIT */
/*
 * Weighted max-min fairness, exact: the largest common level that fits a capacity.
 * An item's share at level L is base + L * weight, kept between lo and hi. Levels are rationals, so nothing drifts and
 * the order of the items does not matter. Pure; O(n log n).
 */
#ifndef MEMSCHED_PLAN_FAIRSHARE_H
#define MEMSCHED_PLAN_FAIRSHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fairshare_item {
	uint64_t base_kib;       /* at most lo */
	uint64_t lo_kib, hi_kib; /* lo <= hi */
	uint64_t weight;         /* at least 1 */
};

struct fairshare_edge { /* scratch: where an item's share starts or stops to grow */
	uint64_t num, den;
	uint64_t base_kib, end_kib, weight;
	bool starts;
};

struct fairshare {
	uint64_t num, den; /* L = num / den, KiB per unit of weight */
	bool bounded;      /* false: everything fits, each share is its hi */
};

/*
 * Finds the largest level at which the shares sum to at most capacity_kib. edge: scratch for 2 n.
 * Returns false if not even the sum of the lo fits; *ret_level is then level 0.
 */
bool fairshare_find(const struct fairshare_item *item, size_t n, uint64_t capacity_kib, struct fairshare_edge *edge,
                    struct fairshare *ret_level);

/* The share of item at that level, rounded down to KiB. */
uint64_t fairshare_share_kib(const struct fairshare *level, const struct fairshare_item *item);

#endif
