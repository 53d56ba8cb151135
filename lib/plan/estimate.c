/* SPDX-License-Identifier: MIT */
#include "plan/estimate.h"

#include "base/units.h"
#include "plan/learn.h"

#define STALE_PERIODS 3     /* statistics older than so many periods are stale */
#define LAG_MS 1000         /* actual lags by so much: QEMU sends one BALLOON_CHANGE a second */
#define GAP_MIN_MS 1000     /* bounds of the assumed gap between single passes: cron's minute at most */
#define GAP_MAX_MS 60000    /* … and never less than the statistics can show */
#define REFUSED_PASSES 3    /* asked and not moved for so many passes: stuck */
#define PAUSE_MIN_MS 10000  /* a stuck guest is asked again after this, or after some passes if they are rare, */
#define PAUSE_MAX_MS 300000 /* then after twice as long each time, at most this */
#define PAUSE_PASSES 4
#define MOVED_KIB 1024 /* the driver works in rounds of 1 MiB: less is no movement */
#define DISTRESS_SAMPLES 2
#define DISTRESS_GIVES 3
#define REBOOT_SLACK_KIB (32 * KIB_PER_MIB)
#define KEPT_MOST_KIB (256 * KIB_PER_MIB) /* as unused and not as usable */
#define KEPT_SURE_KIB (64 * KIB_PER_MIB)  /* a guest is believed up to this, or a sixteenth of its size */
#define NO_GAIN_SLACK_KIB (64 * KIB_PER_MIB)
#define NO_GAIN_PASSES 3
#define QEMU_LEAST_KIB                                                                                                 \
	(64 * KIB_PER_MIB)               /* nothing is suspected of less than this beyond actual                       \
	                                  */
#define QEMU_MOST_KIB (96 * KIB_PER_MIB) /* more than this after a take may be what the balloon did not free */

static bool sample_has(const struct sample *s, unsigned fields)
{
	return (s->have & fields) == fields;
}

static uint64_t period_s(const struct estimate_conf *conf, const struct guest *g)
{
	return g->device.period_s ? g->device.period_s : conf->period_s;
}

static uint64_t in_ms(uint64_t seconds)
{
	return scale_u64(seconds, 1000, 1);
}

/* A rise shows in the next sample, the pass after that answers, and the balloon lags. */
static uint64_t lead_ms(const struct estimate_conf *conf, const struct guest *g, struct instant at)
{
	uint64_t gap_ms = conf->interval_ms;

	if (!gap_ms)
		gap_ms = g->past.known ? sat_sub(at.now_ms, g->past.seen_ms) : GAP_MAX_MS;
	return clamp_u64(gap_ms, GAP_MIN_MS, GAP_MAX_MS) + in_ms(period_s(conf, g)) + LAG_MS;
}

/* A guest can report anything; impossible values are not used. */
static bool is_absurd(const struct guest *g)
{
	const struct sample *s = &g->sample;
	uint64_t limit_kib = max_u64(g->device.maximum_kib, s->actual_kib);

	if (sample_has(s, SAMPLE_AVAILABLE))
		limit_kib = min_u64(limit_kib, s->available_kib);
	return (sample_has(s, SAMPLE_AVAILABLE) &&
	        (!s->available_kib || s->available_kib > max_u64(g->device.maximum_kib, s->actual_kib))) ||
	       (sample_has(s, SAMPLE_USABLE) && s->usable_kib > limit_kib) ||
	       (sample_has(s, SAMPLE_UNUSED) && s->unused_kib > limit_kib);
}

/*
 * A kernel counts what it keeps for itself as unused and not as usable: some hundred MiB at most. A
 * driver that reports less usable than that does not know it.
 */
static bool has_usable(const struct sample *s)
{
	uint64_t kept_kib = max_u64(KEPT_MOST_KIB, s->unused_kib / 2);

	return sample_has(s, SAMPLE_USABLE) &&
	       (!sample_has(s, SAMPLE_UNUSED) || sat_add(s->usable_kib, kept_kib) >= s->unused_kib);
}

/*
 * MemAvailable leaves out memory up to the high watermarks. Programs get memory down to the low ones. (A guest with
 * 51 MiB between unused and usable had 37 to 43 MiB unused when its programs were killed.)
 */
static uint64_t kept_kib(const struct sample *s)
{
	uint64_t most_kib = min_u64(KEPT_MOST_KIB, max_u64(KEPT_SURE_KIB, s->actual_kib / 16));

	return min_u64(scale_u64(sat_sub(s->unused_kib, s->usable_kib), 3, 4), most_kib);
}

/* Fills free, page cache and the part that the kernel keeps. Returns whether the sample has them. */
static bool find_free(const struct sample *s, struct estimate *e)
{
	bool usable = has_usable(s);

	e->free_kib = usable ? s->usable_kib : s->unused_kib;
	if (usable && sample_has(s, SAMPLE_UNUSED)) {
		e->cache_kib = sat_sub(s->usable_kib, s->unused_kib);
		e->kept_kib = kept_kib(s);
	}
	return usable || sample_has(s, SAMPLE_UNUSED);
}

/*
 * A change by a plugged DIMM or another program's command was not asked for, and is not counted. A guest that was asked
 * to shrink may still grow to the size asked before.
 */
static void note_growth(struct past *p, uint64_t actual_kib)
{
	uint64_t most_kib = p->asked_kib ? max_u64(p->asked_kib, p->asked_from_kib) : 0;
	uint64_t grown_kib = sat_sub(min_u64(actual_kib, most_kib), p->actual_kib);

	p->grown_kib = p->actual_kib ? sat_add(p->grown_kib, grown_kib) : 0;
}

static void watch_balloon(struct past *p, const struct sample *s, struct instant at)
{
	if (!sample_has(s, SAMPLE_ACTUAL))
		return;
	note_growth(p, s->actual_kib);
	if (p->actual_kib && s->actual_kib != p->actual_kib) /* 0: first sight, or nothing was read until now */
		p->still_ms = at.now_ms;
}

/*
 * The part of actual that a guest has given up already as asked. Actual lags by a second; MemTotal, if it follows, is
 * of the sample. Memory beyond the size that it was asked at does not count: a DIMM may have been plugged.
 */
static uint64_t given_up_kib(const struct past *p, const struct sample *s, const struct estimate *e)
{
	uint64_t shown_kib = sat_add(s->available_kib, p->overhead_kib);

	if (!p->asked_kib || e->settled || e->stale || !p->learned || p->follows != FOLLOWS ||
	    !sample_has(s, SAMPLE_AVAILABLE))
		return 0;
	return sat_sub(min_u64(s->actual_kib, p->asked_from_kib), max_u64(shown_kib, p->asked_kib));
}

/* A guest beyond the asked size, by another program's command, has arrived too. */
static bool has_arrived(const struct past *p, const struct sample *s, uint64_t tolerance_kib)
{
	if (!p->asked_kib)
		return true;
	/* a short way is within the tolerance from the start: the guest must have moved at all */
	tolerance_kib = min_u64(tolerance_kib, distance_u64(p->asked_kib, p->asked_from_kib) / 2);
	if (p->asked_kib < p->asked_from_kib)
		return s->actual_kib <= sat_add(p->asked_kib, tolerance_kib);
	return sat_add(s->actual_kib, tolerance_kib) >= p->asked_kib;
}

/* Whether the sample was taken with the balloon at rest, so that actual belongs to it. First sight
 * counts as rest. */
static bool is_settled(const struct estimate_conf *conf, const struct guest *g, uint64_t age_ms, struct instant at)
{
	const struct past *p = &g->past;
	uint64_t rest_ms = p->still_ms;

	if (!has_arrived(p, &g->sample, conf->tolerance_kib))
		rest_ms = max_u64(rest_ms, p->asked_ms);
	return !rest_ms || sat_sub(at.now_ms, age_ms) > sat_add(rest_ms, LAG_MS);
}

static void note_obeyed(struct past *p)
{
	p->refused = 0;
	p->pause_ms = 0;
	p->retry_ms = 0;
}

/* Whether the guest is stuck: asked, and not moved for some passes. Now and then one pass may ask
 * it again. */
static bool watch_obedience(const struct estimate_conf *conf, struct past *p, const struct sample *s, struct instant at)
{
	bool shrinks = p->asked_kib < p->asked_from_kib, first, toward;
	uint64_t least_ms;

	if (!p->known || !p->asked_kib || !sample_has(s, SAMPLE_ACTUAL))
		return false;
	if (has_arrived(p, s, conf->tolerance_kib))
		p->asked_kib = 0;
	toward = (shrinks ? sat_sub(p->actual_kib, s->actual_kib) : sat_sub(s->actual_kib, p->actual_kib)) >= MOVED_KIB;
	if (!p->asked_kib || toward) {
		note_obeyed(p);
		return false;
	}
	if (++p->refused < REFUSED_PASSES)
		return false;
	if (at.now_ms < p->retry_ms)
		return true;
	first = !p->retry_ms;
	least_ms = max_u64(PAUSE_MIN_MS, scale_u64(sat_sub(at.now_ms, p->seen_ms), PAUSE_PASSES, 1));
	p->pause_ms = clamp_u64(scale_u64(p->pause_ms, 2, 1), least_ms, max_u64(least_ms, PAUSE_MAX_MS));
	p->retry_ms = sat_add(at.now_ms, p->pause_ms);
	if (!first) /* if it is not asked again, it is not stuck any more */
		p->asked_kib = 0;
	return first;
}

static uint64_t suspect_kib(const struct past *p)
{
	return max_u64(p->qemu_kib, QEMU_LEAST_KIB);
}

static bool has_been_silent(const struct estimate_conf *conf, const struct guest *g, struct instant at)
{
	uint64_t gap_ms = max_u64(conf->interval_ms, sat_sub(at.now_ms, g->past.seen_ms));
	uint64_t expected_s = max_u64(period_s(conf, g), gap_ms / 1000);

	return sat_sub(g->sample.last_update_s, g->past.last_update_s) > 2 * expected_s + 1;
}

/* A counter that falls may also be a driver's mistake: something else must speak for a reboot. */
static bool counters_fell(const struct estimate_conf *conf, const struct guest *g, struct instant at)
{
	const struct past *p = &g->past;
	const struct sample *s = &g->sample;
	bool swaps = sample_has(s, SAMPLE_SWAP_IN) && s->swap_in_kib < p->swap_in_kib;
	bool faults = sample_has(s, SAMPLE_MAJOR_FAULTS) && s->major_faults < p->major_faults;
	uint64_t in_use_kib = sat_sub(s->available_kib, s->unused_kib);
	bool let_go =
	    sample_has(s, SAMPLE_AVAILABLE | SAMPLE_UNUSED) && sat_sub(p->in_use_kib, in_use_kib) > REBOOT_SLACK_KIB;

	return (swaps && faults) || ((swaps || faults) && (let_go || has_been_silent(conf, g, at)));
}

/* A reboot leaves actual and statistics as they were while the guest touches all its memory anew.
 */
static bool has_rebooted(const struct estimate_conf *conf, const struct guest *g, const struct estimate *e,
                         struct instant at)
{
	const struct past *p = &g->past;
	const struct sample *s = &g->sample;

	if (e->fresh && p->has_used && counters_fell(conf, g, at))
		return true;
	return e->stale && p->has_qemu && sample_has(s, SAMPLE_RSS | SAMPLE_ACTUAL) &&
	       guest_beyond_kib(g) > sat_add(suspect_kib(p), REBOOT_SLACK_KIB);
}

static void forget_load(struct past *p)
{
	learn_anew(p);
	p->asked_kib = 0;
	note_obeyed(p);
}

/*
 * A memory device that is plugged or unplugged moves actual at once, and MemTotal when the guest puts it to use or
 * never. What was learned of the two, and what was asked, belongs to the guest of before.
 */
static void watch_devices(struct past *p, const struct device *d, struct instant at)
{
	bool changed = p->maximum_kib && (p->maximum_kib != d->maximum_kib || p->outside_kib != d->outside_kib);

	p->maximum_kib = d->maximum_kib;
	p->outside_kib = d->outside_kib;
	if (!changed)
		return;
	forget_load(p);
	p->learned = false;
	p->top_kib = p->grown_kib = p->rest_actual_kib = 0;
	p->no_gain = 0;
	p->still_ms = at.now_ms;
}

/*
 * rss beyond actual is QEMU's own: the most that was seen at rest; it may be more if the guest
 * has not touched all it has. After a take, memory that the balloon did not free looks the same, and
 * still does when some of it was given back: then no more is believed than a QEMU may well have.
 */
static void watch_rss(struct past *p, const struct guest *g, const struct estimate *e)
{
	const struct sample *s = &g->sample;
	bool took = p->no_gain || max_u64(p->asked_from_kib, p->top_kib) > s->actual_kib; /* by any program */
	uint64_t beyond_kib = guest_beyond_kib(g);

	if (!sample_has(s, SAMPLE_RSS | SAMPLE_ACTUAL) || !e->settled || e->stale)
		return;
	if (!took || (beyond_kib <= QEMU_MOST_KIB && distance_u64(s->rss_kib, p->rss_kib) < MOVED_KIB))
		p->qemu_kib = max_u64(p->qemu_kib, beyond_kib);
	p->has_qemu = true;
	p->no_gain = took && beyond_kib > sat_add(suspect_kib(p), NO_GAIN_SLACK_KIB) ? p->no_gain + 1 : 0;
}

/*
 * Whether available follows the balloon. As long as that is not known, a guest that moves and is
 * smaller than at its last rest may be one whose available stays.
 */
static bool follows_balloon(const struct past *p, const struct guest *g, const struct estimate *e)
{
	const struct sample *s = &g->sample;

	if (!sample_has(s, SAMPLE_AVAILABLE) || g->device.autodeflate || p->follows == STAYS)
		return false;
	if (e->settled)
		return s->available_kib <= s->actual_kib;
	return (p->learned || !p->has_used) && (p->follows == FOLLOWS || s->actual_kib >= p->rest_actual_kib);
}

/*
 * If it is not known yet whether available follows the balloon, the guest uses at most what it does if it follows: if
 * not, the memory in the balloon looks used, too.
 */
static uint64_t doubt_kib(const struct past *p, const struct guest *g, const struct estimate *e)
{
	uint64_t most_kib;

	if (!p->learned || e->stale || !sample_has(&g->sample, SAMPLE_AVAILABLE))
		return UINT64_MAX;
	most_kib = sat_add(sat_sub(g->sample.available_kib, e->free_kib), p->overhead_kib);
	return sat_sub(most_kib, e->used_kib);
}

/*
 * available - free + overhead is all of one sample, so it does not jump when the balloon moves;
 * actual belongs to it only at rest, which is when overhead is learned. If available does not
 * follow the balloon (autodeflate, Windows), only samples taken at rest say anything; one with more
 * free than there is was taken before the balloon moved, by a guest that does not report by itself.
 * ret_new: used can be compared with the last one.
 */
static bool find_used(struct past *p, const struct guest *g, struct estimate *e, bool *ret_new)
{
	const struct sample *s = &g->sample;
	bool follows = follows_balloon(p, g, e);

	if (!follows) {
		bool tells = e->settled && e->free_kib <= s->actual_kib;

		p->learned &= !tells;
		e->used_kib = tells ? s->actual_kib - e->free_kib : p->used_kib;
		*ret_new = tells;
		e->predates_move = !tells;
		e->doubt_kib = tells ? 0 : doubt_kib(p, g, e);
		return tells || p->has_used;
	}
	if (e->settled && !e->stale) {
		p->overhead_kib = s->actual_kib - s->available_kib;
		p->learned = true;
	}
	e->used_kib = sat_add(sat_sub(s->available_kib, e->free_kib), p->overhead_kib);
	*ret_new = p->learned;
	return p->learned || e->stale; /* without its overhead it may still call for a give */
}

static void find_age(const struct estimate_conf *conf, const struct guest *g, struct instant at, struct estimate *e)
{
	const struct sample *s = &g->sample;

	e->has_age = sample_has(s, SAMPLE_LAST_UPDATE) && s->last_update_s;
	if (!e->has_age)
		return;
	e->age_ms = sat_sub(at.wall_ms, in_ms(s->last_update_s));
	if (!e->fresh) /* the wall clock may have been set back */
		e->age_ms = max_u64(e->age_ms, sat_sub(at.now_ms, g->past.sample_ms));
	e->stale = e->age_ms > in_ms(STALE_PERIODS * period_s(conf, g) + 1); /* last_update is cut to the second */
}

static bool is_booting(const struct estimate_conf *conf, const struct guest *g, struct instant at)
{
	const struct past *p = &g->past;
	uint64_t started_ms = in_ms(g->started_s);

	return (started_ms && at.wall_ms < sat_add(started_ms, conf->boot_grace_ms) &&
	        sat_add(at.wall_ms, conf->boot_grace_ms) >= started_ms) ||
	       (p->booted_ms && sat_sub(at.now_ms, p->booted_ms) < conf->boot_grace_ms);
}

static uint64_t foreseen_kib(const struct past *p, const struct estimate *e)
{
	return e->stale ? 0 : scale_u64(min_u64(p->growth_kibps, p->rise_kibps), e->lead_ms, 1000);
}

static void find_load(const struct estimate_conf *conf, struct guest *g, struct instant at, struct estimate *e)
{
	struct past *p = &g->past;
	uint64_t on_way_kib;
	bool is_new = false;

	e->absurd = is_absurd(g);
	if (!e->has_age || e->absurd || !sample_has(&g->sample, SAMPLE_ACTUAL) || !find_free(&g->sample, e))
		return;
	if (has_rebooted(conf, g, e, at)) {
		forget_load(p);
		p->booted_ms = at.now_ms;
		e->rebooted = true;
	}
	e->settled = is_settled(conf, g, e->age_ms, at);
	if (e->settled)
		p->grown_kib = 0;
	if (e->settled && !e->stale && sample_has(&g->sample, SAMPLE_AVAILABLE))
		learn_follows(p, &g->sample);
	on_way_kib = max_u64(p->grown_kib, given_up_kib(p, &g->sample, e));
	e->implied_kib = sat_sub(g->sample.actual_kib, sat_add(e->free_kib, on_way_kib));
	e->has_used = find_used(p, g, e, &is_new);
	if (is_new && e->fresh)
		learn_load(p, g, e, at);
	e->foreseen_kib = foreseen_kib(p, e);
	if (is_new && e->fresh)
		learn_peak(p, e, at);
	if (e->fresh && sample_has(&g->sample, SAMPLE_RSS | SAMPLE_AVAILABLE | SAMPLE_UNUSED))
		learn_hidden_surge(p, &g->sample, e);
	e->distress = !e->stale && p->distress_samples >= DISTRESS_SAMPLES && p->distress_gives < DISTRESS_GIVES;
	watch_rss(p, g, e);
	e->no_gain = p->no_gain >= NO_GAIN_PASSES;
}

void estimate_update(const struct estimate_conf *conf, struct guest *g, struct instant at)
{
	struct past *p = &g->past;
	struct estimate e = {.has_used = false};

	if (p->known && p->domain_id != g->domain_id)
		*p = (struct past){.known = false};
	p->domain_id = g->domain_id;
	e.lead_ms = lead_ms(conf, g, at);
	if (g->answered) {
		e.fresh = !p->known || g->sample.last_update_s != p->last_update_s;
		watch_devices(p, &g->device, at);
		watch_balloon(p, &g->sample, at);
		e.stuck = watch_obedience(conf, p, &g->sample, at);
		find_age(conf, g, at, &e);
		find_load(conf, g, at, &e);
		if (sample_has(&g->sample, SAMPLE_ACTUAL))
			p->actual_kib = g->sample.actual_kib;
		p->top_kib = max_u64(p->top_kib, p->actual_kib);
		if (sample_has(&g->sample, SAMPLE_RSS))
			learn_rss(p, &g->sample, e.fresh, at, &e);
	}
	e.booting = is_booting(conf, g, at);
	p->seen_ms = at.now_ms;
	p->known = true;
	g->est = e;
}

void estimate_asked(struct guest *g, uint64_t want_kib, struct instant at)
{
	struct past *p = &g->past;
	uint64_t actual_kib = g->sample.actual_kib;
	/* actual lags: a guest on its way further down or up may be there already, and turns round */
	bool comes_up = p->asked_kib && !p->refused && p->asked_kib < want_kib && want_kib < actual_kib;
	bool comes_down = !p->refused && p->asked_kib > actual_kib && actual_kib > want_kib;

	p->asked_from_kib = comes_up || comes_down ? p->asked_kib : actual_kib;
	p->asked_kib = want_kib;
	p->asked_ms = at.now_ms;
	if (g->est.distress && want_kib > actual_kib)
		p->distress_gives++;
}

void estimate_reread(struct past *p, uint64_t actual_kib, struct instant at)
{
	if (distance_u64(actual_kib, p->actual_kib) >= MOVED_KIB)
		note_obeyed(p);
	note_growth(p, actual_kib);
	if (actual_kib != p->actual_kib)
		p->still_ms = at.now_ms;
	p->actual_kib = actual_kib;
}

bool past_is_sound(const struct past *p, uint64_t now_ms)
{
	const uint64_t times_ms[] = {p->seen_ms,         p->still_ms,     p->asked_ms,
	                             p->sample_ms,       p->booted_ms,    p->last.decided_ms,
	                             p->told.decided_ms, p->low.since_ms, p->peak.since_ms};

	for (size_t i = 0; i < sizeof(times_ms) / sizeof(*times_ms); i++)
		if (times_ms[i] > now_ms)
			return false;
	return sat_sub(p->retry_ms, now_ms) <= p->pause_ms && p->follows <= STAYS;
}
