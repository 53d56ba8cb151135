/* SPDX-License-Identifier: MIT */
#include "plan/advise.h"

#include <math.h>

#include "base/units.h"
#include "plan/guest.h"

#define FIRST_BYTES 1e7
#define RATIO 1.05
#define HALF_LIFE_S 86400.
#define DAY_S 86400.
#define DAY_MINUTES 1440.
#define MARGIN 1.15
#define BUMP_RATIO 1.2
#define BUMP_BYTES (100. * 1024 * 1024)

static unsigned bucket_of(double bytes)
{
	double n = bytes < FIRST_BYTES ? 0 : log(bytes * (RATIO - 1) / FIRST_BYTES + 1) / log(RATIO);

	return n < ADVISE_BUCKETS - 1 ? (unsigned)n : ADVISE_BUCKETS - 1;
}

static double begin_of(unsigned bucket)
{
	return FIRST_BYTES * (pow(RATIO, bucket) - 1) / (RATIO - 1);
}

void advise_add(struct advise *a, const struct bucket *b, enum bucket_level level)
{
	const struct bucket_figure *f = &b->figure[FIGURE_USED];
	uint64_t begin_s = (uint64_t)b->number * BUCKET_SPAN_S(level);
	uint32_t minutes = level == BUCKET_MINUTE ? f->n > 0 : f->n;
	double bytes = (double)f->most * 1024, weight;

	if (!b->number || !minutes || begin_s > a->now_s)
		return;
	if (b->reasons & 1u << REASON_DISTRESS) {
		bytes = fmax(bytes * BUMP_RATIO, bytes + BUMP_BYTES);
		a->distress_minutes += minutes;
	}
	weight = minutes * exp2(-(double)(a->now_s - begin_s) / HALF_LIFE_S);
	a->weight[bucket_of(bytes)] += weight;
	a->total += weight;
	a->first_s = a->minutes ? min_u64(a->first_s, begin_s) : begin_s;
	a->last_s = max_u64(a->last_s, min_u64(begin_s + BUCKET_SPAN_S(level), a->now_s));
	a->minutes += minutes;
}

double advise_percentile(const struct advise *a, double share)
{
	unsigned i = 0, last = ADVISE_BUCKETS - 1;
	double sum = 0;

	while (last && a->weight[last] <= 0)
		last--;
	for (; i < last; i++) {
		sum += a->weight[i];
		if (sum > 0 && sum >= share * a->total)
			break;
	}
	if (a->total <= 0)
		return 0;
	return begin_of(i < ADVISE_BUCKETS - 1 ? i + 1 : i);
}

static uint64_t whole_mib(double bytes)
{
	return (uint64_t)ceil(bytes / (1024. * 1024)) * KIB_PER_MIB;
}

bool advise_limits(const struct advise *a, struct advice *ret_advice)
{
	double days = fmin((double)(a->last_s - a->first_s) / DAY_S, a->minutes / DAY_MINUTES);
	double p50 = advise_percentile(a, 0.5), p98 = advise_percentile(a, 0.98);

	if (a->minutes < ADVISE_LEAST_MINUTES || days <= 0)
		return false;
	*ret_advice = (struct advice){
	    .p50_kib = (uint64_t)(p50 / 1024),
	    .p90_kib = (uint64_t)(advise_percentile(a, 0.9) / 1024),
	    .p98_kib = (uint64_t)(p98 / 1024),
	    .min_kib = whole_mib(p50 * MARGIN * pow(1 + 0.001 / days, -2)),
	    .max_kib = whole_mib(p98 * MARGIN * (1 + 1 / days)),
	};
	return true;
}

uint32_t advise_weight(uint64_t swing_kib, uint64_t mean_kib)
{
	uint64_t tens = mean_kib ? scale_u64(10, swing_kib + mean_kib / 20, mean_kib) : 10;

	return (uint32_t)(10 * clamp_u64(tens, 1, 100));
}
