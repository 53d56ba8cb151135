/* SPDX-License-Identifier: MIT */
/*
 * Which limits would suit a guest, from what it used: the arithmetic of the vertical autoscaler of Kubernetes for
 * memory, with its constants (pkg/recommender: histogram_options, decaying_histogram, estimator, aggregations_config).
 * A histogram of peaks of use, whose buckets grow by 5 % from 10 MB on, in which a peak counts half as much a day
 * later.
 *
 *   min = p50 × 1.15 × (1 + 0.001 / days)^-2
 *   max = p98 × 1.15 × (1 + 1 / days)
 *
 * days: how long the guest was seen, or so many minutes as make them, whichever is less. A peak in distress counts as
 * the greater of 120 % and 100 MiB more. Pure.
 */
#ifndef MEMSCHED_PLAN_ADVISE_H
#define MEMSCHED_PLAN_ADVISE_H

#include "plan/bucket.h"

#define ADVISE_BUCKETS 176 /* the last begins at 1 TB or more */
#define ADVISE_LEAST_MINUTES 60

/* {.now_s} has seen nothing. */
struct advise {
	uint64_t now_s;
	double weight[ADVISE_BUCKETS], total;
	uint64_t first_s, last_s; /* when the guest was seen */
	uint32_t minutes;         /* in how many */
	uint32_t distress_minutes;
};

struct advice {
	uint64_t p50_kib, p90_kib, p98_kib;
	uint64_t min_kib, max_kib; /* whole MiB */
};

/* Counts the most that was used in a bucket, once for each minute. */
void advise_add(struct advise *a, const struct bucket *b, enum bucket_level level);

/* In bytes: the end of the bucket in which this share of all weight is reached; 0: nothing was seen. */
double advise_percentile(const struct advise *a, double share);

/* False, and the result stays: the guest was seen in less than ADVISE_LEAST_MINUTES. */
bool advise_limits(const struct advise *a, struct advice *ret_advice);

/*
 * A weight for the headroom of a guest with this spread of use (p98 - p50), if the mean spread of all advised guests is
 * mean_kib: 100 for the mean; from 10 to 1000, in tens.
 */
uint32_t advise_weight(uint64_t swing_kib, uint64_t mean_kib);

#endif
