/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <errno.h>
#include <stdlib.h>

#include "base/units.h"

#define WALL_MS UINT64_C(1700000000000) /* the wall clock at the beginning */
#define EVENT_MS 1000                   /* QEMU sends one BALLOON_CHANGE a second */
#define BOOT_TOUCH_PCT 15 /* of its maximum that a booting kernel touches and frees again */
#define PAGE_KIB 4
#define CRUMB_KIB 5000 /* a guest that comes so near to its target lacks nothing */
#define FAULT_KIB 64   /* a major fault reads so much around it */
#define SLAB_KIB                                                                                   \
	(24 * KIB_PER_MIB) /* MemAvailable leaves out the mark and counts reclaimable slab */

/* ---- loads ---- */

static uint64_t start_ms(const struct load *l, uint64_t now_ms)
{
	struct rng r = {.state = l->seed + (l->every_ms ? now_ms / l->every_ms : 0)};

	return l->start_ms + (l->late_ms ? rng_between(&r, 0, l->late_ms) : 0);
}

uint64_t load_at(const struct load *l, uint64_t now_ms)
{
	uint64_t t = l->every_ms ? now_ms % l->every_ms : now_ms, start = start_ms(l, now_ms),
		 grown;

	if (t < start || (l->until_ms && t >= l->until_ms))
		return l->base_kib;
	grown = scale_u64(l->rise_kibps, t - start, 1000);
	return max_u64(l->base_kib, min_u64(l->peak_kib, sat_add(l->base_kib, grown)));
}

struct nature nature_usual(uint64_t max_kib_)
{
	uint64_t mib = max_kib_ / KIB_PER_MIB;

	return (struct nature){
	    .max_kib = max_kib_,
	    .current_kib = max_kib_ / 2,
	    .weight = WEIGHT_DEFAULT,
	    .overhead_kib = min_u64(20 + mib / 128, 60) * KIB_PER_MIB,
	    .mark_kib = min_u64(20 + mib / 96, 64) * KIB_PER_MIB,
	    .qemu_kib = 50 * KIB_PER_MIB,
	    .take_kibps = 500 * KIB_PER_MIB,
	    .give_kibps = 2000 * KIB_PER_MIB,
	    .obeys_pct = 100,
	    .warm_pct = 50,
	    .boot_ms = 5000,
	};
}

/* ---- a machine ---- */

uint64_t vm_actual_kib(const struct vm *v)
{
	return v->is.max_kib - v->balloon_kib;
}

uint64_t vm_free_kib(const struct vm *v)
{
	return sat_sub(vm_actual_kib(v), v->is.overhead_kib + v->used_kib + v->cache_kib);
}

uint64_t vm_headroom_kib(const struct vm *v)
{
	return vm_free_kib(v) + v->cache_kib;
}

uint64_t vm_rss_kib(const struct vm *v)
{
	return v->is.qemu_kib + v->is.overhead_kib + v->used_kib + v->cache_kib + v->warm_kib;
}

bool vm_runs(const struct world *w, const struct vm *v)
{
	return w->now_ms >= v->is.start_ms;
}

static bool has_driver(const struct world *w, const struct vm *v)
{
	return !v->is.no_driver && w->now_ms >= v->booted_ms;
}

/* Of kib pages that leave the free ones, those the host still holds. */
static uint64_t warm_part_kib(const struct vm *v, uint64_t kib)
{
	uint64_t free = vm_free_kib(v);

	if (v->is.pages == PAGES_WARM)
		return min_u64(kib, v->warm_kib);
	if (v->is.pages == PAGES_COLD)
		return sat_sub(kib, free - v->warm_kib);
	return free ? scale_u64(kib, v->warm_kib, free) : 0;
}

/* Pages for use, cache or balloon: free ones above the mark, then cache. Returns how many there
 * were. */
static uint64_t vm_get_pages(struct vm *v, uint64_t kib, uint64_t keep_kib, bool from_cache)
{
	uint64_t free = min_u64(kib, sat_sub(vm_free_kib(v), keep_kib));
	uint64_t cached = from_cache ? min_u64(kib - free, v->cache_kib) : 0;

	v->warm_kib -= warm_part_kib(v, free);
	v->cache_kib -= cached;
	return free + cached;
}

static void vm_inflate(struct vm *v, uint64_t kib)
{
	v->balloon_kib += vm_get_pages(v, kib, v->is.mark_kib + v->is.puff_kib, true);
}

/* Where the balloon is going, by the machine's manners. */
static uint64_t vm_goal_kib(const struct vm *v)
{
	uint64_t goal_kib = v->target_kib;

	if (goal_kib >= vm_actual_kib(v))
		return goal_kib;
	goal_kib += scale_u64(sat_sub(v->from_kib, goal_kib), 100 - v->is.obeys_pct, 100);
	return min_u64(max_u64(goal_kib, v->is.least_kib), vm_actual_kib(v));
}

static void vm_move_balloon(const struct world *w, struct vm *v)
{
	uint64_t actual = vm_actual_kib(v), goal = vm_goal_kib(v);

	if (!has_driver(w, v) || (v->is.stops_ms && w->now_ms >= v->is.stops_ms) || goal == actual)
		return;
	if (goal < actual)
		vm_inflate(v,
		           min_u64(actual - goal, scale_u64(v->is.take_kibps, w->tick_ms, 1000)));
	else
		v->balloon_kib -=
		    min_u64(goal - actual, scale_u64(v->is.give_kibps, w->tick_ms, 1000));
	v->tally.moved_kib += max_u64(actual, vm_actual_kib(v)) - min_u64(actual, vm_actual_kib(v));
}

/* What was killed is not there; once it is started again it grows to its load as it did at first.
 */
static uint64_t vm_wish_kib(const struct world *w, const struct vm *v)
{
	uint64_t kib = v->killed ? v->is.use.base_kib : load_at(&v->is.use, w->now_ms);

	if (!v->respawned)
		return kib;
	return min_u64(kib, max_u64(v->is.use.base_kib, v->used_kib) +
	                        scale_u64(v->is.use.rise_kibps, w->tick_ms, 1000));
}

bool vm_lacks(const struct world *w, const struct vm *v)
{
	return vm_wish_kib(w, v) > v->used_kib || vm_headroom_kib(v) + CRUMB_KIB < w->target_kib;
}

/* With autodeflate the driver gives pages back when the guest runs out. */
static void vm_autodeflate(struct vm *v, uint64_t wish_kib)
{
	uint64_t can = sat_sub(vm_free_kib(v), v->is.mark_kib) + v->cache_kib;

	if (v->is.autodeflate && wish_kib > v->used_kib)
		v->balloon_kib -= min_u64(v->balloon_kib, sat_sub(wish_kib - v->used_kib, can));
}

static void vm_use(const struct world *w, struct vm *v)
{
	uint64_t wish = vm_wish_kib(w, v);

	if (wish < v->used_kib) {
		v->warm_kib += v->used_kib - wish;
		v->used_kib = wish;
		return;
	}
	vm_autodeflate(v, wish);
	v->used_kib += vm_get_pages(v, wish - v->used_kib, v->is.mark_kib, true);
	if (v->is.dies && v->used_kib < wish && !v->killed) {
		v->killed = true;
		v->killed_ms = w->now_ms;
		v->tally.kills++;
	}
}

/* Of reads spread over all of the hot page cache those that miss it. */
static uint64_t vm_miss_kib(const struct world *w, struct vm *v)
{
	uint64_t reads_kib = scale_u64(v->is.hot_kibps, w->tick_ms, 1000);

	return scale_u64(reads_kib, sat_sub(v->is.cache_kib, v->cache_kib), v->is.cache_kib);
}

static void vm_cache(const struct world *w, struct vm *v)
{
	uint64_t more = min_u64(sat_sub(v->is.cache_kib, v->cache_kib),
	                        scale_u64(v->is.cache_kibps, w->tick_ms, 1000));

	if (v->is.hot_kibps) {
		more = vm_miss_kib(w, v);
		v->tally.read_kib += more;
		v->major_faults += v->is.mapped ? more / FAULT_KIB : 0;
	}
	v->cache_kib += vm_get_pages(v, more, 2 * v->is.mark_kib, false);
}

static void vm_swap(const struct world *w, struct vm *v)
{
	uint64_t out = min_u64(v->is.swap_kib, sat_sub(vm_wish_kib(w, v), v->used_kib)), in;

	if (vm_actual_kib(v) < v->is.thrash_below_kib)
		out = max_u64(out, v->is.thrash_below_kib - vm_actual_kib(v));
	in = scale_u64(min_u64(out, 50 * KIB_PER_MIB), w->tick_ms, 1000);
	v->swap_in_kib += in;
	v->major_faults += in / PAGE_KIB;
}

/* ---- boots ---- */

/* From here the guest has all its memory until its driver is there and goes for the balloon's
 * target again. */
static void vm_boot(const struct world *w, struct vm *v)
{
	uint64_t freed = v->used_kib + v->cache_kib;

	v->booted_ms = w->now_ms + v->is.boot_ms;
	v->balloon_kib = 0;
	v->warm_kib += freed;
	v->used_kib = v->cache_kib = 0;
	v->warm_kib = max_u64(
	    v->warm_kib, min_u64(vm_free_kib(v), scale_u64(v->is.max_kib, BOOT_TOUCH_PCT, 100)));
	v->swap_in_kib = v->major_faults = 0;
	v->from_kib = v->is.max_kib;
	v->next_ms = v->booted_ms;
}

static void vm_events(const struct world *w, struct vm *v)
{
	if (v->is.start_ms && !v->spoke && v->booted_ms == UINT64_MAX)
		vm_boot(w, v);
	if (v->is.reboot_ms && !v->rebooted && w->now_ms >= v->is.reboot_ms) {
		v->rebooted = true;
		vm_boot(w, v);
	}
	if (v->killed && v->is.respawn_ms && w->now_ms >= v->killed_ms + v->is.respawn_ms) {
		v->killed = false;
		v->respawned = true;
	}
}

/* ---- what is seen of it ---- */

static void sample_lie(const struct vm *v, struct rng *r, struct sample *s)
{
	uint64_t *const field[] = {&s->available_kib, &s->unused_kib, &s->usable_kib,
	                           &s->swap_in_kib, &s->major_faults};
	uint64_t was = v->sampled.available_kib;

	for (size_t i = 0; i < sizeof(field) / sizeof(*field); i++) {
		if (v->is.lie == LIE_HUGE)
			*field[i] = UINT64_MAX;
		if (v->is.lie == LIE_ZERO)
			*field[i] = 0;
		if (v->is.lie == LIE_RANDOM)
			*field[i] = rng_next(r) >> rng_between(r, 0, 63);
	}
	if (v->is.lie == LIE_USABLE_OVER)
		s->usable_kib = 3 * v->is.max_kib;
	if (v->is.lie == LIE_POOR)
		s->usable_kib = s->unused_kib = 0;
	if (v->is.lie == LIE_BACKWARDS && was) {
		s->available_kib = was - was / 16;
		s->unused_kib = s->usable_kib = s->available_kib / 2 + v->sampled.unused_kib / 3;
		s->swap_in_kib = v->sampled.swap_in_kib / 2 + 1000;
	}
}

static void vm_take_sample(const struct world *w, struct vm *v)
{
	uint64_t free = vm_free_kib(v);
	struct sample s = {
	    .have = SAMPLE_AVAILABLE | SAMPLE_UNUSED | SAMPLE_USABLE | SAMPLE_SWAP_IN |
	            SAMPLE_MAJOR_FAULTS,
	    .available_kib =
		(v->is.autodeflate || v->is.total_stays ? v->is.max_kib : vm_actual_kib(v)) -
		v->is.overhead_kib,
	    .unused_kib = free,
	    .usable_kib = sat_sub(free, sat_sub(v->is.mark_kib, SLAB_KIB)) + v->cache_kib,
	    .swap_in_kib = v->swap_in_kib,
	    .major_faults = v->major_faults,
	    .last_update_s = world_wall_ms(w) / 1000,
	};

	if (v->is.lie)
		sample_lie(v, &v->rng, &s);
	if (v->is.total_stays)
		s.unused_kib = s.usable_kib;
	if (v->is.no_usable)
		s.have &= ~(unsigned)SAMPLE_USABLE;
	v->sampled = s;
	v->spoke = true;
}

static void vm_report(const struct world *w, struct vm *v)
{
	uint32_t period_s = v->is.period_s ? v->is.period_s : w->period_s;

	if (!has_driver(w, v))
		return;
	if (v->seen_kib != vm_actual_kib(v) && w->now_ms >= v->event_ms + EVENT_MS) {
		v->seen_kib = vm_actual_kib(v);
		v->event_ms = w->now_ms;
	}
	if (w->now_ms < v->next_ms || (v->is.mute_ms && w->now_ms >= v->is.mute_ms))
		return;
	vm_take_sample(w, v);
	v->next_ms = w->now_ms + UINT64_C(1000) * max_u64(period_s, 1);
}

struct sample world_sample(const struct world *w, const struct vm *v)
{
	struct sample s = v->sampled;

	if (!vm_runs(w, v))
		return (struct sample){.have = 0};
	s.have |= SAMPLE_ACTUAL | SAMPLE_RSS | SAMPLE_LAST_UPDATE;
	s.actual_kib = v->seen_kib;
	s.rss_kib = vm_rss_kib(v);
	return s;
}

/* ---- the world ---- */

int world_init(struct world *w, size_t n)
{
	*w = (struct world){
	    .tick_ms = 100, .period_s = 1, .n = n, .vm = calloc(n ? n : 1, sizeof(*w->vm))};
	return w->vm ? 0 : -ENOMEM;
}

void world_free(struct world *w)
{
	free(w->vm);
	w->vm = NULL;
}

static void vm_begin(const struct world *w, struct vm *v, size_t i)
{
	const struct nature *is = &v->is;

	*v = (struct vm){.is = *is, .rng.state = i};
	v->target_kib = v->from_kib = is->current_kib;
	v->seen_kib = is->start_ms || is->no_driver ? is->max_kib : is->current_kib;
	v->balloon_kib = is->max_kib - v->seen_kib;
	v->next_ms = is->phase_ms;
	if (is->start_ms) {
		v->booted_ms = UINT64_MAX;
		return;
	}
	v->used_kib = min_u64(vm_wish_kib(w, v), sat_sub(vm_free_kib(v), is->mark_kib));
	v->cache_kib = scale_u64(min_u64(is->cache_kib, sat_sub(vm_free_kib(v), 2 * is->mark_kib)),
	                         is->warm_pct, 100);
	v->warm_kib = scale_u64(vm_free_kib(v), is->warm_pct, 100);
}

void world_begin(struct world *w)
{
	w->now_ms = w->below_ms = w->idle_mib_ms = 0;
	for (size_t i = 0; i < w->n; i++)
		vm_begin(w, &w->vm[i], i);
	w->least_kib = world_available_kib(w);
	for (size_t i = 0; i < w->n; i++)
		if (vm_runs(w, &w->vm[i]) && !w->vm[i].is.no_driver)
			vm_take_sample(w, &w->vm[i]);
}

int64_t world_available_kib(const struct world *w)
{
	int64_t kib = (int64_t)w->total_kib - (int64_t)load_at(&w->others, w->now_ms);

	for (size_t i = 0; i < w->n; i++)
		if (vm_runs(w, &w->vm[i]))
			kib -= (int64_t)vm_rss_kib(&w->vm[i]);
	return kib;
}

struct host world_host(const struct world *w)
{
	int64_t kib = world_available_kib(w);
	uint64_t available = kib > 0 ? (uint64_t)kib : 0;

	return (struct host){.total_kib = w->total_kib,
	                     .available_kib = available,
	                     .free_kib = available,
	                     .ksm_kib = w->ksm_kib};
}

uint64_t world_wall_ms(const struct world *w)
{
	return WALL_MS + w->now_ms;
}

static void vm_count(const struct world *w, struct vm *v)
{
	uint64_t unmet = sat_sub(vm_wish_kib(w, v), v->used_kib),
		 lacked = sat_sub(w->target_kib, vm_headroom_kib(v));

	if (!has_driver(w, v) || v->killed)
		return;
	v->tally.starved_ms += unmet ? w->tick_ms : 0;
	v->tally.unmet_mib_ms += unmet * w->tick_ms / KIB_PER_MIB;
	v->tally.short_mib_ms += (unmet + lacked) * w->tick_ms / KIB_PER_MIB;
}

/* Page cache that is read again is not idle. */
static uint64_t vm_idle_kib(const struct vm *v)
{
	return v->is.hot_kibps ? vm_free_kib(v) : vm_headroom_kib(v);
}

static void world_count_idle(struct world *w)
{
	uint64_t idle_kib = 0;
	bool lacking = false;

	for (size_t i = 0; i < w->n; i++) {
		const struct vm *v = &w->vm[i];

		if (!vm_runs(w, v) || !has_driver(w, v))
			continue;
		lacking |= vm_lacks(w, v);
		idle_kib += sat_sub(vm_idle_kib(v), w->target_kib);
	}
	w->idle_mib_ms += lacking ? idle_kib / KIB_PER_MIB * w->tick_ms : 0;
}

static void vm_tick(struct world *w, struct vm *v)
{
	if (!vm_runs(w, v) || v->is.paused)
		return;
	vm_events(w, v);
	vm_move_balloon(w, v);
	vm_use(w, v);
	vm_cache(w, v);
	vm_swap(w, v);
	vm_report(w, v);
	vm_count(w, v);
}

void world_run(struct world *w, uint64_t ms)
{
	for (uint64_t end_ms = w->now_ms + ms; w->now_ms < end_ms;) {
		int64_t available;

		w->now_ms += w->tick_ms;
		for (size_t i = 0; i < w->n; i++)
			vm_tick(w, &w->vm[i]);
		world_count_idle(w);
		available = world_available_kib(w);
		if (available < w->least_kib)
			w->least_kib = available;
		if (available < (int64_t)w->reserve_kib)
			w->below_ms += w->tick_ms;
	}
}

int world_set(struct world *w, struct vm *v, uint64_t kib)
{
	(void)w;
	if (!kib || kib > v->is.max_kib)
		return -EINVAL;
	v->tally.commands++;
	v->target_kib = kib;
	v->from_kib = vm_actual_kib(v);
	return 0;
}
