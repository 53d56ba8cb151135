/* SPDX-License-Identifier: MIT */
#include "plan/bucket.h"

#include "base/units.h"

uint64_t bucket_mean(const struct bucket_figure *f)
{
	return f->n ? sat_add(f->sum, f->n / 2) / f->n : 0;
}

static void count_figure(struct bucket_figure *f, const struct bucket_figure *more)
{
	if (!more->n)
		return;
	f->least = f->n ? min_u64(f->least, more->least) : more->least;
	f->most = f->n ? max_u64(f->most, more->most) : more->most;
	f->sum = sat_add(f->sum, more->sum);
	f->n += more->n;
}

void bucket_add(struct bucket *b, enum figure figure, uint64_t value)
{
	count_figure(&b->figure[figure], &(struct bucket_figure){.n = 1, .least = value, .most = value, .sum = value});
}

void bucket_merge(struct bucket *into, const struct bucket *b)
{
	into->reasons |= b->reasons;
	for (enum figure i = 0; i < FIGURES; i++)
		count_figure(&into->figure[i], &b->figure[i]);
}

void bucket_fold(struct bucket *into, const struct bucket *b, enum bucket_level level)
{
	struct bucket minute = *b;

	for (enum figure i = 0; level == BUCKET_MINUTE && i < FIGURES; i++) {
		minute.figure[i].sum = bucket_mean(&b->figure[i]);
		minute.figure[i].n = b->figure[i].n > 0;
	}
	bucket_merge(into, &minute);
}
