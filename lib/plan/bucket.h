/* SPDX-License-Identifier: MIT */
/*
 * The least, the mean and the most of each figure in a span of time. Buckets of a minute are folded into
 * buckets of a quarter of an hour, and those into buckets of a day. Pure.
 */
#ifndef MEMSCHED_PLAN_BUCKET_H
#define MEMSCHED_PLAN_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sizes in KiB, swap-in in KiB/s, major faults a second. Of a host, all but the first are sums of guests. */
enum figure {
	FIGURE_AVAILABLE, /* of the host alone */
	FIGURE_ACTUAL,
	FIGURE_USED,
	FIGURE_CACHE,
	FIGURE_WANT,
	FIGURE_RSS,
	FIGURE_SWAP_IN,
	FIGURE_FAULTS,
	FIGURES
};

enum bucket_level { BUCKET_MINUTE, BUCKET_QUARTER, BUCKET_DAY, BUCKET_LEVELS };

/* How many buckets of a level are kept: 24 h, 31 days, two years of which one is a leap year. */
#define BUCKET_KEPT(level) ((const uint32_t[BUCKET_LEVELS]){1440, 31 * 96, 731}[level])
#define BUCKET_KEPT_ALL (1440 + 31 * 96 + 731)
/* How long one is, and how many of the level below it has. */
#define BUCKET_SPAN_S(level) ((const uint32_t[BUCKET_LEVELS]){60, 900, 86400}[level])
#define BUCKET_PARTS(level) ((const uint32_t[BUCKET_LEVELS]){0, 15, 96}[level])
#define BUCKET_PARTS_MOST 96

struct bucket_figure {
	uint32_t n; /* of a minute: how often it was seen; of more: in how many minutes; 0: not known */
	uint64_t least, most;
	uint64_t sum; /* n times the mean */
};

struct bucket {
	uint32_t number;  /* how many spans of its level it is after 1970, in UTC; 0: void */
	uint32_t reasons; /* bits 1 << enum reason: all that held at some time */
	struct bucket_figure figure[FIGURES];
};

static inline uint32_t bucket_number(enum bucket_level level, uint64_t wall_s)
{
	return (uint32_t)(wall_s / BUCKET_SPAN_S(level));
}

/* Rounded to the nearest; 0 if it is not known. */
uint64_t bucket_mean(const struct bucket_figure *f);

/* Counts a value. */
void bucket_add(struct bucket *b, enum figure figure, uint64_t value);
/* Adds another bucket of the same span. */
void bucket_merge(struct bucket *into, const struct bucket *b);
/* Counts a bucket of this level in one of a longer span: each minute counts as much, however often it was seen. */
void bucket_fold(struct bucket *into, const struct bucket *b, enum bucket_level level);

#endif
