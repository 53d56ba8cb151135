/* SPDX-License-Identifier: MIT */
#include "controller.h"

#include <stdlib.h>

#include "base/units.h"
#include "peers.h"

#define STUCK_MS 5000
#define INACCURACY_KIB 4
#define POOL_KIB ((64 + 8) * (int64_t)KIB_PER_MIB) /* the emergency pool and the extra */
#define TOLERANCE_KIB 512
#define CHECK_MS 10000
#define WAIT_MS 100

static int64_t positive(int64_t kib)
{
	return kib > 0 ? kib : 0;
}

static bool has_hit(const struct squeezed_domain *d, int64_t target_kib)
{
	return llabs(d->actual_kib - target_kib) <= d->inaccuracy_kib;
}

/* Moving towards its target, or asked for too long without: stuck until it moves again. */
static void watch(struct squeezed_domain *d, uint64_t now_ms)
{
	int64_t delta = d->watched ? d->actual_kib - d->last_kib : 0;
	bool asked = !has_hit(d, d->target_kib);

	if (!d->watched)
		d->progress_ms = now_ms;
	d->watched = true;
	d->last_kib = d->actual_kib;
	if (asked && (d->target_kib > d->actual_kib ? delta > 0 : delta < 0)) {
		d->progress_ms = now_ms;
		d->stuck = false;
	}
	if (asked && now_ms - d->progress_ms > STUCK_MS)
		d->stuck = true;
}

static bool is_active(const struct squeezed_domain *d)
{
	return d->can_balloon && !d->stuck;
}

static int64_t freeable_kib(const struct squeezed_run *run, const struct squeezed_domain *d)
{
	return positive(d->actual_kib - d->min_kib - (run->exact ? 0 : 2 * d->inaccuracy_kib));
}

/* A stuck domain may free, but is not to allocate any more. */
static int64_t clipped_kib(const struct squeezed_domain *d)
{
	int64_t kib = d->target_kib < d->actual_kib ? d->target_kib : d->actual_kib;

	kib = kib < d->min_kib ? d->min_kib : kib;
	return kib > d->max_kib ? d->max_kib : kib;
}

/* The same fraction of each active domain's range. */
static void share(const struct squeezed_run *run, struct squeezed_domain *d, size_t n, int64_t free_kib)
{
	int64_t surplus = free_kib - run->host_target_kib, range = 0;
	double gamma;

	for (size_t i = 0; i < n; i++) {
		surplus += is_active(&d[i]) ? freeable_kib(run, &d[i]) : 0;
		range += is_active(&d[i]) ? positive(d[i].max_kib - d[i].min_kib) : 0;
	}
	gamma = range ? (double)positive(surplus) / (double)range : 0;
	gamma = gamma > 1 ? 1 : gamma;
	for (size_t i = 0; i < n; i++) {
		d[i].new_kib = d[i].can_balloon ? clipped_kib(&d[i]) : d[i].target_kib;
		if (is_active(&d[i]))
			d[i].new_kib = d[i].min_kib + (int64_t)(gamma * (double)positive(d[i].max_kib - d[i].min_kib));
	}
}

static bool is_freeing(const struct squeezed_domain *d)
{
	return is_active(d) && d->new_kib < d->actual_kib && !has_hit(d, d->new_kib);
}

/* While one domain still has to free, none is told to allocate. */
static void hold_back_allocations(struct squeezed_domain *d, size_t n)
{
	bool freeing = false;

	for (size_t i = 0; i < n; i++)
		freeing |= is_freeing(&d[i]);
	for (size_t i = 0; freeing && i < n; i++)
		if (is_active(&d[i]) && !is_freeing(&d[i]))
			d[i].new_kib = d[i].target_kib;
}

enum squeezed_result squeezed_round(const struct squeezed_run *run, struct squeezed_domain *d, size_t n,
                                    int64_t free_kib, uint64_t now_ms)
{
	bool at_rest = true;

	for (size_t i = 0; i < n; i++)
		watch(&d[i], now_ms);
	share(run, d, n, free_kib);
	if (!run->one_phase)
		hold_back_allocations(d, n);
	for (size_t i = 0; i < n; i++)
		if (is_active(&d[i]))
			at_rest &= has_hit(&d[i], d[i].target_kib) && d[i].new_kib == d[i].target_kib;
	if (!at_rest)
		return SQUEEZED_ADJUST;
	return run->succeeded(free_kib, run->host_target_kib) ? SQUEEZED_SUCCESS : SQUEEZED_FAILED;
}

/* ---- at work; Xen's free memory is what is left when all promises are kept ---- */

static bool is_balanced(int64_t free_kib, int64_t host_target_kib)
{
	return free_kib - host_target_kib < TOLERANCE_KIB;
}

static const struct squeezed_run balancing = {.host_target_kib = POOL_KIB, .succeeded = is_balanced};

static void *squeezed_open(struct world *w)
{
	struct squeezed_domain *d = calloc(w->n, sizeof(*d));

	for (size_t i = 0; d && i < w->n; i++) {
		const struct nature *is = &w->vm[i].is;

		d[i].min_kib = (int64_t)vm_min_kib(&w->vm[i]);
		d[i].max_kib = (int64_t)is->max_kib;
		d[i].target_kib = (int64_t)is->current_kib;
		d[i].inaccuracy_kib = INACCURACY_KIB;
	}
	return d;
}

static void look(struct squeezed_domain *d, const struct world *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct sample s = world_sample(w, &w->vm[i]);

		d[i].actual_kib = (int64_t)s.actual_kib;
		d[i].can_balloon = s.last_update_s && !w->vm[i].is.paused;
	}
}

static void set(struct squeezed_domain *d, struct world *w)
{
	for (size_t i = 0; i < w->n; i++) {
		if (!d[i].can_balloon || d[i].new_kib == d[i].target_kib)
			continue;
		d[i].target_kib = d[i].new_kib;
		world_set(w, &w->vm[i], (uint64_t)d[i].new_kib);
	}
}

static void squeezed_step(void *memory, struct world *w)
{
	struct squeezed_domain *d = memory;
	uint64_t end_ms = w->now_ms + CHECK_MS;

	for (size_t i = 0; i < w->n; i++)
		d[i].watched = d[i].stuck = false;
	while (w->now_ms < end_ms) {
		look(d, w);
		if (squeezed_round(&balancing, d, w->n, world_unpromised_kib(w), w->now_ms) != SQUEEZED_ADJUST)
			return;
		set(d, w);
		world_run(w, WAIT_MS);
	}
}

const struct controller squeezed = {
    .name = "squeezed",
    .what = "xapi squeezed: the same fraction of each guest's range, looked at each 10 s",
    .interval_ms = CHECK_MS,
    .period_s = 2,
    .open = squeezed_open,
    .step = squeezed_step,
    .close = free,
};
