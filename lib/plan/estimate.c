#include "plan/estimate.h"

#include <math.h>
#include <string.h>

#include "base/units.h"

#define GROWTH_TAU_S 3.0    /* smoothing of growth that falls */
#define STALE_PERIODS 3     /* statistics older than so many periods are stale */
#define LAG_MS 1000         /* actual lags by so much: QEMU sends one BALLOON_CHANGE a second */
#define GAP_MIN_MS 1000     /* what a gap between single passes is taken for: cron's minute at most */
#define GAP_MAX_MS 60000    /* … and never less than what the statistics can show */
#define REFUSED_PASSES 3    /* asked and not moved for so many passes: stuck */
#define PAUSE_MIN_MS 10000  /* a stuck guest is asked again after this, or some passes where they are seldom, */
#define PAUSE_MAX_MS 300000 /* then after twice as long each time, at most this */
#define PAUSE_PASSES 4
#define MOVED_KIB 1024    /* the driver works in rounds of 1 MiB: less is no movement */
#define SWAP_KIBPS 80     /* 20 pages of 4 KiB a second, as vcmmd had it */
#define FAULTS_PS 20      /* major faults, likewise */
#define SWING_MS 10000    /* a give so soon after a take was a swing, */
#define HOLD_MIN_MS 20000 /* and idle memory is not taken for so long, */
#define HOLD_MAX_MS 60000 /* then for twice as long each time, at most this */
#define DISTRESS_SAMPLES 2
#define DISTRESS_GIVES 3
#define REBOOT_SLACK_KIB (32 * KIB_PER_MIB)
#define NO_GAIN_SLACK_KIB (64 * KIB_PER_MIB)
#define NO_GAIN_PASSES 3
#define QEMU_LEAST_KIB (64 * KIB_PER_MIB) /* nothing is suspected of less than this beyond actual */
#define QEMU_MOST_KIB (96 * KIB_PER_MIB)  /* more than this after a take may be what the balloon did not free */

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

static uint64_t distance_kib(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static uint64_t horizon_ms(const struct estimate_conf *conf, const struct guest *g, struct instant at)
{
	uint64_t gap_ms = conf->interval_ms;

	if (!gap_ms && !g->past.known)
		return 0;
	if (!gap_ms)
		gap_ms = clamp_u64(sat_sub(at.now_ms, g->past.seen_ms), GAP_MIN_MS, GAP_MAX_MS);
	return gap_ms + in_ms(period_s(conf, g)) / 2; /* on average statistics are half a period old */
}

/* What the guest says of itself can be anything; what cannot be is not used. */
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

/* The guest's free memory by the configured signal; false where it does not tell. */
static bool find_free(const struct estimate_conf *conf, const struct sample *s, struct estimate *e)
{
	if (conf->signal == SIGNAL_USABLE && sample_has(s, SAMPLE_USABLE)) {
		e->free_kib = s->usable_kib;
		e->cache_kib = sample_has(s, SAMPLE_UNUSED) ? sat_sub(s->usable_kib, s->unused_kib) : 0;
		return true;
	}
	e->free_kib = s->unused_kib;
	return sample_has(s, SAMPLE_UNUSED);
}

/* What is due to a plugged DIMM or another's command was not asked for, and is not counted. */
static void note_growth(struct past *p, uint64_t actual_kib)
{
	uint64_t grown_kib = sat_sub(min_u64(actual_kib, p->asked_kib), p->actual_kib);

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

/* Beyond what was asked, by somebody else's command, is arrived too. */
static bool has_arrived(const struct past *p, const struct sample *s, uint64_t tolerance_kib)
{
	if (!p->asked_kib)
		return true;
	/* who was to go a little way has not arrived before he set out */
	tolerance_kib = min_u64(tolerance_kib, distance_kib(p->asked_kib, p->asked_from_kib) / 2);
	if (p->asked_kib < p->asked_from_kib)
		return s->actual_kib <= sat_add(p->asked_kib, tolerance_kib);
	return sat_add(s->actual_kib, tolerance_kib) >= p->asked_kib;
}

/* Whether the sample was taken with the balloon at rest, so that actual belongs to it. First sight counts as rest. */
static bool is_settled(const struct estimate_conf *conf, const struct guest *g, uint64_t age_ms, struct instant at)
{
	const struct past *p = &g->past;
	uint64_t rest_ms = p->still_ms;

	if (!has_arrived(p, &g->sample, conf->tolerance_kib))
		rest_ms = max_u64(rest_ms, p->asked_ms);
	return !rest_ms || sat_sub(at.now_ms, age_ms) > sat_add(rest_ms, LAG_MS);
}

static void obeyed(struct past *p)
{
	p->refused = 0;
	p->pause_ms = 0;
	p->retry_ms = 0;
}

/* Whether the guest is stuck: asked, and not moved for some passes. Now and then one pass may ask it again. */
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
		obeyed(p);
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
	if (!first) /* where it is not asked again, it is not stuck any more */
		p->asked_kib = 0;
	return first;
}

static uint64_t suspect_kib(const struct past *p)
{
	return max_u64(p->qemu_kib, QEMU_LEAST_KIB);
}

/* A reboot leaves actual and statistics as they were while the guest touches all its memory anew. */
static bool has_rebooted(const struct guest *g, bool fresh, const struct estimate *e)
{
	const struct past *p = &g->past;
	const struct sample *s = &g->sample;

	if (fresh && p->has_used &&
	    ((sample_has(s, SAMPLE_SWAP_IN) && s->swap_in_kib < p->swap_in_kib) ||
	     (sample_has(s, SAMPLE_MAJOR_FAULTS) && s->major_faults < p->major_faults)))
		return true;
	return e->stale && p->has_qemu && sample_has(s, SAMPLE_RSS | SAMPLE_ACTUAL) &&
	       guest_beyond_kib(g) > sat_add(suspect_kib(p), REBOOT_SLACK_KIB);
}

static void forget_load(struct past *p)
{
	p->has_used = false;
	p->growth_kibps = p->rise_kibps = 0;
	p->distress_samples = p->distress_gives = 0;
	p->asked_kib = 0;
	obeyed(p);
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
	p->top_kib = p->grown_kib = 0;
	p->no_gain = 0;
	p->still_ms = at.now_ms;
}

/*
 * rss beyond actual is QEMU's own: the most that was seen at rest; it may be more where the guest has not touched all
 * it has. After a take what the balloon did not free looks the same, and still does when some of it was given back:
 * only as much is believed then as a QEMU may well have.
 */
static void watch_rss(struct past *p, const struct guest *g, const struct estimate *e)
{
	const struct sample *s = &g->sample;
	bool took = p->no_gain || max_u64(p->asked_from_kib, p->top_kib) > s->actual_kib; /* by whomever */
	uint64_t beyond_kib = guest_beyond_kib(g);

	if (!sample_has(s, SAMPLE_RSS | SAMPLE_ACTUAL) || !e->settled || e->stale)
		return;
	if (!took || (beyond_kib <= QEMU_MOST_KIB && distance_kib(s->rss_kib, p->rss_kib) < MOVED_KIB))
		p->qemu_kib = max_u64(p->qemu_kib, beyond_kib);
	p->has_qemu = true;
	p->no_gain = took && beyond_kib > sat_add(suspect_kib(p), NO_GAIN_SLACK_KIB) ? p->no_gain + 1 : 0;
}

/* Whether available follows the balloon: seen at rest, remembered while it moves. */
static bool follows_balloon(const struct past *p, const struct guest *g, const struct estimate *e)
{
	const struct sample *s = &g->sample;

	if (!sample_has(s, SAMPLE_AVAILABLE) || g->device.autodeflate)
		return false;
	return e->settled ? s->available_kib <= s->actual_kib : p->learned || !p->has_used;
}

/*
 * available - free + overhead is all of one sample, so it does not jump when the balloon moves; actual belongs to it
 * only at rest, which is when overhead is learned. Where available does not follow the balloon (autodeflate, Windows),
 * only samples taken at rest say anything; one with more free than there is was taken before the balloon moved, by a
 * guest that does not report by itself. ret_new: used can be compared with the last one.
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
		e->blind = !tells;
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

static double per_second(uint64_t now, uint64_t before, double dt_s)
{
	return dt_s > 0 ? ((double)now - (double)before) / dt_s : 0;
}

/* Neither below zero nor beyond what an integer holds. */
static uint64_t whole(double v)
{
	return v > 0 ? (uint64_t)fmin(v, (double)INT64_MAX) : 0;
}

/* Up at once, down slowly: a load that begins to grow is not waited for, one that stutters is not taken for done. */
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
	p->growth_kibps = whole(growth);
	p->rise_kibps = whole(rate);
}

static void learn_distress(struct past *p, const struct guest *g, const struct estimate *e, double dt_s)
{
	const struct sample *s = &g->sample;
	bool swaps = sample_has(s, SAMPLE_SWAP_IN) && per_second(s->swap_in_kib, p->swap_in_kib, dt_s) > SWAP_KIBPS;
	bool faults = sample_has(s, SAMPLE_MAJOR_FAULTS) && e->free_kib < scale_u64(g->target_kib, 2, 1) &&
	              per_second(s->major_faults, p->major_faults, dt_s) > FAULTS_PS;

	p->distress_samples = p->has_used && (swaps || faults) ? p->distress_samples + 1 : 0;
	if (!p->distress_samples)
		p->distress_gives = 0;
}

/* A sample that was not seen before: what it says of growth and distress. */
static void learn(struct past *p, const struct guest *g, const struct estimate *e, struct instant at)
{
	const struct sample *s = &g->sample;
	double dt_s = s->last_update_s > p->last_update_s ? (double)(s->last_update_s - p->last_update_s) : 0;

	learn_growth(p, e, dt_s);
	learn_distress(p, g, e, dt_s);
	p->used_kib = e->used_kib;
	p->has_used = true;
	p->swap_in_kib = s->swap_in_kib;
	p->major_faults = s->major_faults;
	p->last_update_s = s->last_update_s;
	p->sample_ms = at.now_ms;
}

static void find_age(const struct estimate_conf *conf, const struct guest *g, bool fresh, struct instant at,
                     struct estimate *e)
{
	const struct sample *s = &g->sample;

	e->has_age = sample_has(s, SAMPLE_LAST_UPDATE) && s->last_update_s;
	if (!e->has_age)
		return;
	e->age_ms = sat_sub(at.wall_ms, in_ms(s->last_update_s));
	if (!fresh) /* the wall clock may have been set back */
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

static void find_load(const struct estimate_conf *conf, struct guest *g, bool fresh, struct instant at,
                      struct estimate *e)
{
	struct past *p = &g->past;
	bool is_new = false;

	e->absurd = is_absurd(g);
	if (!e->has_age || e->absurd || !sample_has(&g->sample, SAMPLE_ACTUAL) || !find_free(conf, &g->sample, e))
		return;
	if (has_rebooted(g, fresh, e)) {
		forget_load(p);
		p->booted_ms = at.now_ms;
		e->rebooted = true;
	}
	e->settled = is_settled(conf, g, e->age_ms, at);
	if (e->settled)
		p->grown_kib = 0;
	e->implied_kib = sat_sub(g->sample.actual_kib, sat_add(e->free_kib, p->grown_kib));
	e->has_used = find_used(p, g, e, &is_new);
	if (is_new && fresh)
		learn(p, g, e, at);
	if (!e->stale) {
		e->lingering_kib = scale_u64(p->growth_kibps, e->horizon_ms, 1000);
		e->foreseen_kib = min_u64(e->lingering_kib, scale_u64(p->rise_kibps, e->horizon_ms, 1000));
	}
	e->distress = !e->stale && p->distress_samples >= DISTRESS_SAMPLES && p->distress_gives < DISTRESS_GIVES;
	watch_rss(p, g, e);
	e->no_gain = p->no_gain >= NO_GAIN_PASSES;
}

void estimate_update(const struct estimate_conf *conf, struct guest *g, struct instant at)
{
	struct past *p = &g->past;
	struct estimate e = {.has_used = false};
	bool fresh;

	if (p->known && p->domain_id != g->domain_id)
		*p = (struct past){.known = false};
	p->domain_id = g->domain_id;
	e.horizon_ms = horizon_ms(conf, g, at);
	if (g->answered) {
		fresh = !p->known || g->sample.last_update_s != p->last_update_s;
		watch_devices(p, &g->device, at);
		watch_balloon(p, &g->sample, at);
		e.stuck = watch_obedience(conf, p, &g->sample, at);
		find_age(conf, g, fresh, at, &e);
		find_load(conf, g, fresh, at, &e);
		if (sample_has(&g->sample, SAMPLE_ACTUAL))
			p->actual_kib = g->sample.actual_kib;
		p->top_kib = max_u64(p->top_kib, p->actual_kib);
		if (sample_has(&g->sample, SAMPLE_RSS)) {
			if (fresh || !p->has_rss)
				p->rss_before_kib = p->has_rss ? p->rss_kib : g->sample.rss_kib;
			e.risen_kib = sat_sub(g->sample.rss_kib, p->rss_before_kib);
			p->rss_kib = g->sample.rss_kib;
			p->has_rss = true;
		}
	}
	e.booting = is_booting(conf, g, at);
	e.swinging = at.now_ms < p->hold_until_ms;
	p->seen_ms = at.now_ms;
	p->known = true;
	g->est = e;
}

/* A load that swings within seconds: what is taken in its valleys is missing on its hills. */
static void learn_swing(struct past *p, bool takes, struct instant at)
{
	bool soon = p->taken_ms && sat_sub(at.now_ms, p->taken_ms) < SWING_MS;

	if (takes) {
		if (sat_sub(at.now_ms, p->hold_until_ms) > HOLD_MAX_MS)
			p->hold_ms = 0;
		p->taken_ms = at.now_ms;
	} else if (soon) {
		p->hold_ms = clamp_u64(2 * p->hold_ms, HOLD_MIN_MS, HOLD_MAX_MS);
		p->hold_until_ms = at.now_ms + p->hold_ms;
		p->taken_ms = 0;
	}
}

void estimate_asked(struct guest *g, uint64_t want_kib, struct instant at)
{
	struct past *p = &g->past;
	uint64_t actual_kib = g->sample.actual_kib;
	/* actual lags: who is on its way further down may be there already, and comes up again */
	bool comes_up = p->asked_kib && !p->refused && p->asked_kib < want_kib && want_kib < actual_kib;

	p->asked_from_kib = comes_up ? p->asked_kib : actual_kib;
	p->asked_kib = want_kib;
	p->asked_ms = at.now_ms;
	learn_swing(p, want_kib < actual_kib, at);
	if (g->est.distress && want_kib > actual_kib)
		p->distress_gives++;
}

void estimate_reread(struct past *p, uint64_t actual_kib, struct instant at)
{
	if (distance_kib(actual_kib, p->actual_kib) >= MOVED_KIB)
		obeyed(p);
	note_growth(p, actual_kib);
	if (actual_kib != p->actual_kib)
		p->still_ms = at.now_ms;
	p->actual_kib = actual_kib;
}

bool past_is_sound(const struct past *p, uint64_t now_ms)
{
	const uint64_t times_ms[] = {p->seen_ms,   p->still_ms, p->asked_ms,       p->sample_ms,
	                             p->booted_ms, p->taken_ms, p->last.decided_ms};

	for (size_t i = 0; i < sizeof(times_ms) / sizeof(*times_ms); i++)
		if (times_ms[i] > now_ms)
			return false;
	return sat_sub(p->retry_ms, now_ms) <= p->pause_ms && sat_sub(p->hold_until_ms, now_ms) <= HOLD_MAX_MS;
}
