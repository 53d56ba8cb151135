/* SPDX-License-Identifier: MIT */
#include "controller.h"

#include <math.h>
#include <stdlib.h>

#include "base/units.h"
#include "peers.h"

#define PRESSURE 0.20 /* host free below this: guests shrink */
#define CRITICAL 0.05
#define GUEST_FREE 0.20
#define MAX_CHANGE 0.05
#define MIN_CHANGE 0.0025
#define HISTORY 10 /* samples that make a mean */

static double wished_free_part(double host_free_part)
{
	if (host_free_part >= PRESSURE)
		return GUEST_FREE;
	if (host_free_part <= CRITICAL)
		return host_free_part - CRITICAL; /* into the guest's swap */
	return GUEST_FREE * host_free_part / PRESSURE;
}

uint64_t mom_target_kib(const struct mom_guest *g, double host_free_part)
{
	bool shrink = host_free_part < PRESSURE;
	double least = fmax(g->min_kib, g->mean_used_kib + wished_free_part(host_free_part) * g->cur_kib);
	double size = fmax(g->cur_kib * (shrink ? 1 - MAX_CHANGE : 1 + MAX_CHANGE), least);

	if (!shrink)
		size = fmin(size, g->max_kib);
	if ((shrink && size > g->cur_kib) || fabs(size - g->cur_kib) <= MIN_CHANGE * g->cur_kib)
		return 0;
	return (uint64_t)fmax(size, 1);
}

struct history {
	uint64_t cur_kib[HISTORY], unused_kib[HISTORY];
};

struct memory {
	struct history *guest;
	uint64_t host_free_kib[HISTORY];
	uint64_t samples;
};

static double mean(const uint64_t *kib, uint64_t samples)
{
	uint64_t n = min_u64(samples, HISTORY);
	double sum = 0;

	for (uint64_t i = 0; i < n; i++)
		sum += (double)kib[i];
	return n ? sum / (double)n : 0;
}

static void *mom_open(struct world *w)
{
	struct memory *m = calloc(1, sizeof(*m));

	if (m)
		m->guest = calloc(w->n, sizeof(*m->guest));
	if (m && m->guest)
		return m;
	free(m);
	return NULL;
}

static void mom_close(void *memory)
{
	struct memory *m = memory;

	free(m->guest);
	free(m);
}

static void monitor(struct memory *m, const struct world *w)
{
	uint64_t at = m->samples++ % HISTORY;

	m->host_free_kib[at] = world_host(w).available_kib;
	for (size_t i = 0; i < w->n; i++) {
		struct sample s = world_sample(w, &w->vm[i]);

		m->guest[i].cur_kib[at] = s.actual_kib;
		m->guest[i].unused_kib[at] = s.unused_kib;
	}
}

static void apply_policy(const struct memory *m, struct world *w)
{
	double host_free_part = mean(m->host_free_kib, m->samples) / (double)w->total_kib;

	for (size_t i = 0; i < w->n; i++) {
		struct vm *v = &w->vm[i];
		struct sample s = world_sample(w, v);
		struct mom_guest g = {
		    .cur_kib = (double)s.actual_kib,
		    .mean_used_kib = mean(m->guest[i].cur_kib, m->samples) - mean(m->guest[i].unused_kib, m->samples),
		    .min_kib = (double)v->is.min_kib,
		    .max_kib = (double)v->is.max_kib,
		};
		uint64_t target = sample_speaks(&s) ? mom_target_kib(&g, host_free_part) : 0;

		if (target)
			world_set(w, v, min_u64(target, v->is.max_kib));
	}
}

/* Its own defaults: samples each 5 s, policy each 10 s. */
static void mom_step(void *memory, struct world *w)
{
	struct memory *m = memory;

	monitor(m, w);
	if (m->samples % 2 == 0)
		apply_policy(m, w);
}

static void mom_vdsm_step(void *memory, struct world *w)
{
	monitor(memory, w);
	apply_policy(memory, w);
}

const struct controller mom = {
    .name = "mom",
    .what = "oVirt MoM 0.6.5 with its own defaults: samples each 5 s, policy each 10 s",
    .interval_ms = 5000,
    .period_s = 5,
    .open = mom_open,
    .step = mom_step,
    .close = mom_close,
};

const struct controller mom_vdsm = {
    .name = "mom-vdsm",
    .what = "oVirt MoM 0.6.5 as vdsm sets it: all each 15 s",
    .interval_ms = 15000,
    .period_s = 15,
    .open = mom_open,
    .step = mom_vdsm_step,
    .close = mom_close,
};
