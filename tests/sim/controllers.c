/* SPDX-License-Identifier: MIT */
#include "controller.h"

#include <errno.h>

#include "base/units.h"
#include "plan/policy.h"

static void nothing_step(void *memory, struct world *w)
{
	(void)memory;
	(void)w;
}

const struct controller nothing = {
    .name = "none", .what = "nothing moves", .interval_ms = 60000, .period_s = 1, .step = nothing_step};

const struct controller *const controllers[] = {
    &ours_loop, &ours_cron, &needed_loop, &needed_cron, &original, &mom,
    &mom_vdsm,  &proxmox,   &squeezed,    &qmemman,     &nothing,  NULL,
};

int run_open(struct run *r, const struct controller *c, struct world *w)
{
	*r = (struct run){.controller = c, .world = w, .next_ms = w->now_ms};
	w->period_s = c->period_s;
	if (!c->open)
		return 0;
	r->memory = c->open(w);
	return r->memory ? 0 : -ENOMEM;
}

void run_until(struct run *r, uint64_t until_ms)
{
	struct world *w = r->world;

	while (w->now_ms < until_ms) {
		if (w->now_ms >= r->next_ms) {
			r->next_ms += r->controller->interval_ms;
			r->controller->step(r->memory, w);
			r->next_ms = max_u64(r->next_ms, w->now_ms);
		}
		if (w->now_ms < until_ms && w->now_ms < r->next_ms)
			world_run(w, min_u64(r->next_ms, until_ms) - w->now_ms);
	}
}

void run_close(struct run *r)
{
	if (r->controller->close && r->memory)
		r->controller->close(r->memory);
	r->memory = NULL;
}

int64_t world_unpromised_kib(const struct world *w)
{
	int64_t kib = (int64_t)world_host(w).available_kib;

	for (size_t i = 0; i < w->n; i++) {
		struct sample s = world_sample(w, &w->vm[i]);

		kib -= (int64_t)sat_sub(s.actual_kib, s.rss_kib);
	}
	return kib;
}

bool sample_speaks(const struct sample *s)
{
	return s->have & SAMPLE_UNUSED && s->last_update_s;
}

uint64_t vm_min_kib(const struct vm *v)
{
	return v->is.min_kib ? v->is.min_kib : policy_floor_kib(v->is.max_kib);
}
