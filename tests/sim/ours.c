/* SPDX-License-Identifier: MIT */
#include "ours.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/units.h"

static struct world *on_stage;

/* ---- the clocks ---- */

int clock_gettime(clockid_t id, struct timespec *t)
{
	uint64_t ms = !on_stage ? 0 : id == CLOCK_REALTIME ? world_wall_ms(on_stage) : 1000000 + on_stage->now_ms;

	*t = (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
	return 0;
}

int nanosleep(const struct timespec *t, struct timespec *left)
{
	(void)left;
	world_run(on_stage, (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_nsec / 1000000);
	return 0;
}

/* ---- virt.h ---- */

size_t ours_index(const struct guest *g)
{
	return (size_t)g->domain_id - 1;
}

static struct vm *vm_of(const struct virt *v, const struct guest *g)
{
	return &v->world->vm[ours_index(g)];
}

bool virt_is_remote(const struct virt *v)
{
	(void)v;
	return true; /* so that the host is asked of virt_host */
}

int virt_host(struct virt *v, struct node_pool *pool, uint64_t deadline_ms, struct host *ret_host)
{
	(void)pool, (void)deadline_ms;
	*ret_host = world_host(v->world);
	return 0;
}

static int name_guest(struct guest *g, size_t i)
{
	char name[24];

	snprintf(name, sizeof(name), "vm%zu", i);
	snprintf(g->uuid, sizeof(g->uuid), "00000000-0000-4000-8000-%012zu", i % 1000000);
	g->domain_id = (int64_t)i + 1;
	g->name = strdup(name);
	return g->name ? 0 : -ENOMEM;
}

int virt_list(struct virt *v, uint64_t deadline_ms, struct guest **ret_guests, size_t *ret_n)
{
	const struct world *w = v->world;
	struct guest *g = calloc(w->n + 1, sizeof(*g));
	size_t n = 0;

	(void)deadline_ms;
	for (size_t i = 0; g && i < w->n; i++)
		if (vm_runs(w, &w->vm[i]) && name_guest(&g[n++], i)) {
			guests_free(g, n);
			return -ENOMEM;
		}
	*ret_guests = g;
	*ret_n = n;
	return g ? 0 : -ENOMEM;
}

static void read_guest(const struct virt *v, struct guest *g)
{
	const struct world *w = v->world;
	const struct nature *is = &vm_of(v, g)->is;

	g->answered = true;
	g->run = is->paused ? RUN_PAUSED : RUN_RUNNING;
	g->sample = world_sample(w, vm_of(v, g));
	g->facts_ms = v->reads_anew ? clock_ms(CLOCK_BOOTTIME) : 1;
	g->device = (struct device){
	    .maximum_kib = is->max_kib,
	    .current_kib = is->current_kib,
	    .period_s = is->period_s ? is->period_s : w->period_s,
	    .balloon = true,
	    .autodeflate = is->autodeflate,
	};
	g->hints = (struct hints){
	    .present = is->min_kib || is->hint_max_kib || is->weight,
	    .has_min = is->min_kib > 0,
	    .has_max = is->hint_max_kib > 0,
	    .min_kib = is->min_kib,
	    .max_kib = is->hint_max_kib,
	    .weight = is->weight ? is->weight : WEIGHT_DEFAULT,
	};
}

int virt_read(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms)
{
	(void)deadline_ms;
	for (size_t i = 0; i < n; i++)
		read_guest(v, &g[i]);
	return 0;
}

int virt_sample(struct virt *v, struct guest *g, size_t n, bool (*want)(const struct guest *g), uint64_t deadline_ms)
{
	(void)deadline_ms;
	for (size_t i = 0; i < n && !v->sample_error; i++)
		if (want(&g[i])) {
			g[i].sample = world_sample(v->world, vm_of(v, &g[i]));
			g[i].reread = true;
		}
	return v->sample_error;
}

static void set_guest(const struct virt *v, struct guest *g)
{
	g->vanished = v->set_ends;
	g->order.error = v->set_ends ? 0 : world_set(v->world, vm_of(v, g), g->plan.ask_kib);
	if (v->set_late)
		g->order.error = -ETIMEDOUT;
	g->order.sent = !v->set_ends && !v->set_late;
}

int virt_set(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms)
{
	(void)deadline_ms;
	for (size_t i = 0; i < n; i++)
		if (g[i].plan.ask_kib)
			set_guest(v, &g[i]);
	if (v->was_told)
		v->was_told(v->watcher);
	return 0;
}

int virt_set_period(struct virt *v, struct guest *g, size_t n, uint32_t period_s, uint64_t deadline_ms)
{
	(void)v, (void)g, (void)n, (void)period_s, (void)deadline_ms; /* all have one */
	return 0;
}

/* ---- registry.h ---- */

int registry_no_give(const struct registry *r)
{
	return r->no_give;
}

uint64_t registry_pending_kib(const struct registry *r, uint64_t now_s, bool *ret_unreadable)
{
	(void)now_s;
	if (ret_unreadable)
		*ret_unreadable = false;
	return r->pending_kib;
}

static size_t index_of(const char *uuid)
{
	return strtoul(uuid + 24, NULL, 10);
}

int registry_load_past(const struct registry *r, const char *uuid, struct past *ret_past)
{
	const struct past *p = &r->past[index_of(uuid)];

	if (!p->known)
		return -ENOENT;
	*ret_past = *p;
	return 0;
}

int registry_save_past(struct registry *r, const char *uuid, const struct past *past)
{
	r->past[index_of(uuid)] = *past;
	return 0;
}

/* For when there is no list, which there always is. */
int registry_list(const struct registry *r, uint64_t now_s, struct guest **ret_guests, size_t *ret_n)
{
	(void)r, (void)now_s, (void)ret_guests, (void)ret_n;
	return -ENOENT;
}

bool registry_has_guests(const struct registry *r)
{
	(void)r;
	return false;
}

/* The hook saw the starts of those that were not there from the beginning. */
int registry_load_record(const struct registry *r, const char *uuid, struct record *ret_record)
{
	const struct nature *is = &on_stage->vm[index_of(uuid)].is;

	(void)r;
	if (!is->start_ms)
		return -ENOENT;
	*ret_record = (struct record){.started_s = (world_wall_ms(on_stage) - on_stage->now_ms + is->start_ms) / 1000};
	return 0;
}

int registry_save_record(struct registry *r, const char *uuid, const struct record *record)
{
	(void)uuid, (void)record;
	r->records++;
	return 0;
}

void record_clear(struct record *record)
{
	(void)record;
}

void registry_prune(struct registry *r, const struct guest *g, size_t n, uint64_t now_s)
{
	(void)r, (void)g, (void)n, (void)now_s;
}

/* ---- the pass ---- */

static void say_size(void *arg, const char *sentence)
{
	(void)arg;
	fprintf(stderr, "ours: error: %s\n", sentence);
}

int ours_open(struct ours *o, struct world *w, uint32_t interval_ms)
{
	int r;

	*o = (struct ours){.virt.world = w};
	r = conf_init(&o->conf);
	if (r)
		return r;
	o->registry.past = calloc(w->n + 1, sizeof(*o->registry.past));
	o->pass = (struct balance_conf){
	    .conf = &o->conf, .root = "", .interval_ms = interval_ms, .say = say_size};
	return o->registry.past ? 0 : -ENOMEM;
}

void ours_close(struct ours *o)
{
	free(o->registry.past);
	conf_clear(&o->conf);
}

int ours_look(struct ours *o, struct balance_report *ret_report)
{
	on_stage = o->virt.world;
	return balance_decide(&o->pass, &o->virt, &o->registry, ret_report);
}

int ours_pass(struct ours *o, struct balance_report *ret_report)
{
	on_stage = o->virt.world;
	return balance_run(&o->pass, &o->virt, &o->registry, ret_report);
}

void ours_defaults(uint64_t total_kib, uint64_t *ret_reserve_kib, uint64_t *ret_target_kib)
{
	struct conf conf;

	*ret_reserve_kib = *ret_target_kib = 0;
	if (conf_init(&conf))
		return;
	*ret_reserve_kib = conf_reserve_kib(&conf, total_kib);
	*ret_target_kib = conf_target_kib(&conf, total_kib);
	conf_clear(&conf);
}

/* ---- as a controller ---- */

static void *open_with(struct world *w, uint32_t interval_ms, enum take take)
{
	struct ours *o = calloc(1, sizeof(*o));

	if (o && ours_open(o, w, interval_ms)) {
		free(o);
		return NULL;
	}
	if (o)
		o->conf.take = take;
	return o;
}

static void *loop_open(struct world *w)
{
	return open_with(w, ours_loop.interval_ms, TAKE_IDLE);
}

static void *cron_open(struct world *w)
{
	return open_with(w, 0, TAKE_IDLE);
}

static void *needed_loop_open(struct world *w)
{
	return open_with(w, needed_loop.interval_ms, TAKE_NEEDED);
}

static void *needed_cron_open(struct world *w)
{
	return open_with(w, 0, TAKE_NEEDED);
}

static void ours_step(void *memory, struct world *w)
{
	struct balance_report report;

	(void)w;
	if (!ours_pass(memory, &report))
		balance_clear(&report);
}

static void ours_end(void *memory)
{
	ours_close(memory);
	free(memory);
}

const struct controller ours_loop = {
    .name = "ours-1s",
    .what = "membalance --interval 1",
    .interval_ms = 1000,
    .period_s = 1,
    .open = loop_open,
    .step = ours_step,
    .close = ours_end,
};

const struct controller ours_cron = {
    .name = "ours-60s",
    .what = "membalance --once each minute",
    .interval_ms = 60000,
    .period_s = 10,
    .open = cron_open,
    .step = ours_step,
    .close = ours_end,
};

const struct controller needed_loop = {
    .name = "needed-1s",
    .what = "membalance --interval 1, take = needed",
    .interval_ms = 1000,
    .period_s = 1,
    .open = needed_loop_open,
    .step = ours_step,
    .close = ours_end,
};

const struct controller needed_cron = {
    .name = "needed-60s",
    .what = "membalance --once each minute, take = needed",
    .interval_ms = 60000,
    .period_s = 10,
    .open = needed_cron_open,
    .step = ours_step,
    .close = ours_end,
};
