/* SPDX-License-Identifier: MIT */
#include "plan/learn.h"

#include <math.h>

#include "base/units.h"

#define GROWTH_TAU_S 3.0              /* smoothing of growth that falls */
#define SURGE_HALF_S 600.0            /* half-life of a surge */
#define PEAK_MS 30000                 /* the most of this and up to as long again is kept from calm takes */
#define HIDDEN_KIB (16 * KIB_PER_MIB) /* a rise of rss up to this may be the host's own doing */
#define HIDDEN_PART 8                 /* one up to this part of what was unused is no surge */
#define FOLLOW_KIB (16 * KIB_PER_MIB) /* two rests so far apart tell whether MemTotal follows */
#define SWAP_KIBPS 80                 /* 20 pages of 4 KiB a second, as vcmmd had it */
#define FAULTS_PS 20                  /* major faults, likewise */

static double per_second(uint64_t now, uint64_t before, double dt_s)
{
	return dt_s > 0 ? ((double)now - (double)before) / dt_s : 0;
}

/* Neither below zero nor beyond what an integer holds. */
static uint64_t to_whole(double v)
{
	return v > 0 ? (uint64_t)fmin(v, (double)INT64_MAX) : 0;
}

/* ---- extremes ---- */

static void begin_window(struct extreme *x, uint64_t kib, uint64_t window_ms, struct instant at)
{
	if (x->since_ms && sat_sub(at.now_ms, x->since_ms) < window_ms)
		return;
	x->before_kib = x->since_ms ? x->now_kib : kib;
	x->now_kib = kib;
	x->since_ms = max_u64(at.now_ms, 1);
}

static void note_least(struct extreme *x, uint64_t kib, uint64_t window_ms, struct instant at)
{
	begin_window(x, kib, window_ms, at);
	x->now_kib = min_u64(x->now_kib, kib);
}

static void note_most(struct extreme *x, uint64_t kib, uint64_t window_ms, struct instant at)
{
	begin_window(x, kib, window_ms, at);
	x->now_kib = max_u64(x->now_kib, kib);
}

/* ---- the load ---- */

/* Up at once, down slowly: a beginning is not waited for, and a pause is not an end. */
static void learn_growth(struct past *p, const struct estimate *e, double dt_s)
{
	double rate, growth;

	if (!p->has_used || dt_s <= 0) {
		p->growth_kibps = p->rise_kibps = 0;
		return;
	}
	rate = per_second(e->used_kib, p->used_kib, dt_s);
	growth = (double)p->growth_kibps;
	growth = rate > growth ? rate : growth + (1 - exp(-dt_s / GROWTH_TAU_S)) * (rate - growth);
	p->growth_kibps = to_whole(growth);
	p->rise_kibps = to_whole(rate);
}

/* The most that used rose by within the time that an answer takes, forgotten slowly. */
static void learn_surge(struct past *p, const struct estimate *e, double dt_s, struct instant at)
{
	double faded = (double)p->surge_kib * exp2(-dt_s / SURGE_HALF_S);

	note_least(&p->low, e->used_kib, e->lead_ms, at);
	p->surge_kib = sat_sub(e->used_kib, min_u64(p->low.now_kib, p->low.before_kib));
	p->surge_kib = max_u64(p->surge_kib, to_whole(faded));
}

static void learn_rates(struct past *p, const struct sample *s, double dt_s)
{
	p->has_rates = p->has_used && dt_s > 0;
	p->swap_in_kibps = to_whole(per_second(s->swap_in_kib, p->swap_in_kib, dt_s));
	p->faults_ps = to_whole(per_second(s->major_faults, p->major_faults, dt_s));
}

/* A guest with memory to spare may swap in what it had swapped out before, or read mapped files. */
static void learn_distress(struct past *p, const struct guest *g, const struct estimate *e)
{
	const struct sample *s = &g->sample;
	bool is_low = e->free_kib < scale_u64(g->target_kib, 2, 1);
	bool swaps = s->have & SAMPLE_SWAP_IN && p->swap_in_kibps > SWAP_KIBPS;
	bool faults = s->have & SAMPLE_MAJOR_FAULTS && p->faults_ps > FAULTS_PS;

	p->distress_samples = p->has_rates && is_low && (swaps || faults) ? p->distress_samples + 1 : 0;
	if (!p->distress_samples)
		p->distress_gives = 0;
}

void learn_load(struct past *p, const struct guest *g, const struct estimate *e, struct instant at)
{
	const struct sample *s = &g->sample;
	double dt_s = (double)sat_sub(s->last_update_s, p->last_update_s);

	learn_growth(p, e, dt_s);
	learn_surge(p, e, dt_s, at);
	learn_rates(p, s, dt_s);
	learn_distress(p, g, e);
	p->used_kib = e->used_kib;
	p->has_used = true;
	p->swap_in_kib = s->swap_in_kib;
	p->major_faults = s->major_faults;
	p->last_update_s = s->last_update_s;
	p->sample_ms = at.now_ms;
}

void learn_peak(struct past *p, const struct estimate *e, struct instant at)
{
	note_most(&p->peak, sat_add(e->used_kib, e->foreseen_kib), PEAK_MS, at);
}

/* ---- rss ---- */

/*
 * What a guest touches after a sample shows in the next one, unless it let go of it in between, or
 * was killed: then it wanted all it had unused, and what it touched of that.
 */
void learn_hidden_surge(struct past *p, const struct sample *s, const struct estimate *e)
{
	uint64_t in_use_kib = sat_sub(s->available_kib, s->unused_kib);
	uint64_t most_kib = max_u64(in_use_kib, p->in_use_kib);
	uint64_t hidden_kib = sat_sub(p->touched_kib, sat_sub(most_kib, p->in_use_before_kib));

	if (e->has_used && p->in_use_before_kib && hidden_kib > HIDDEN_KIB && hidden_kib > p->unused_kib / HIDDEN_PART)
		p->surge_kib = max_u64(p->surge_kib, sat_add(p->unused_kib, hidden_kib));
	p->touched_kib = e->settled && p->has_rss ? sat_sub(s->rss_kib, p->rss_kib) : 0;
	p->unused_kib = sat_sub(sat_sub(s->actual_kib, in_use_kib), p->overhead_kib);
	p->in_use_before_kib = p->in_use_kib;
	p->in_use_kib = in_use_kib;
}

/* The fastest rise, forgotten by a quarter each pass. */
static void learn_rss_rise(struct past *p, const struct sample *s, struct instant at)
{
	uint64_t rise_kib = sat_sub(s->rss_kib, p->rss_kib), dt_ms = sat_sub(at.now_ms, p->seen_ms);

	if (p->has_rss && dt_ms)
		p->rss_kibps = max_u64(p->rss_kibps / 4 * 3, scale_u64(rise_kib, 1000, dt_ms));
}

void learn_rss(struct past *p, const struct sample *s, bool fresh, struct instant at, struct estimate *e)
{
	/* the first sample is older than all that rss rose by since */
	uint64_t shown_kib = p->in_use_before_kib ? sat_sub(p->in_use_kib, p->in_use_before_kib) : 0;

	if (fresh || !p->has_rss)
		p->rss_before_kib = p->has_rss ? p->rss_kib : s->rss_kib;
	learn_rss_rise(p, s, at);
	e->risen_kib = sat_sub(s->rss_kib, p->rss_before_kib);
	if (e->has_used && (p->in_use_before_kib || !fresh))
		e->hidden_kib = sat_sub(e->risen_kib, shown_kib);
	if (e->hidden_kib < HIDDEN_KIB)
		e->hidden_kib = 0;
	p->rss_kib = s->rss_kib;
	p->has_rss = true;
}

/* ---- the driver ---- */

void learn_follows(struct past *p, const struct sample *s)
{
	uint64_t moved_kib = distance_u64(s->actual_kib, p->rest_actual_kib);
	uint64_t shown_kib = distance_u64(s->available_kib, p->rest_available_kib);

	if (p->rest_actual_kib && moved_kib >= FOLLOW_KIB)
		p->follows = shown_kib >= moved_kib / 2 ? FOLLOWS : STAYS;
	p->rest_actual_kib = s->actual_kib;
	p->rest_available_kib = s->available_kib;
}

void learn_anew(struct past *p)
{
	p->has_used = p->has_rates = false;
	p->growth_kibps = p->rise_kibps = 0;
	p->surge_kib = 0;
	p->low = p->peak = (struct extreme){.since_ms = 0};
	p->in_use_kib = p->in_use_before_kib = p->touched_kib = p->unused_kib = 0;
	p->distress_samples = p->distress_gives = 0;
}
