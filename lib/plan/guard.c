/* SPDX-License-Identifier: MIT */
#include "plan/guard.h"

#include "base/units.h"

#define FALL_LEAST_MS 150 /* a fall is measured over at least this: single looks jitter */
#define FALL_MOST_MS 600  /* and no further back than this: a flood does not announce itself */
#define SEEN_GAP_MS 25    /* of remembered looks but the last: all together must span FALL_LEAST_MS */
#define FORESEEN_HOLD 10
#define CLAW_BACK_S 3 /* until guests have given what they were told: 1 s old figures, 2 s of the balloon */
#define NAP_LEAST_MS 100
#define NAP_NEAR_MS 5
#define NAP_MOST_MS 2000
#define NAP_FALLING_MS 25
#define FILL_KIB_PER_MS (6000 * KIB_PER_MIB / 1000)

const char *guard_level_word(enum guard_level level)
{
	static const char *const words[GUARD_LEVELS] = {
	    [GUARD_CALM] = "calm", [GUARD_TIGHT] = "tight", [GUARD_CRITICAL] = "critical"};

	return words[level];
}

uint64_t guard_tight_kib(const struct guard_conf *conf)
{
	return scale_u64(conf->reserve_kib, 3, 4);
}

uint64_t guard_critical_kib(const struct guard_conf *conf)
{
	return conf->reserve_kib / 2;
}

/* The last look gives way to this one if it was soon after the one before. */
static void remember_look(struct guard *g, uint64_t available_kib, uint64_t now_ms)
{
	bool soon = g->n_seen > 1 && g->seen[0].at_ms - g->seen[1].at_ms < SEEN_GAP_MS;

	if (g->n_seen < GUARD_SEEN && !soon)
		g->n_seen++;
	for (unsigned i = g->n_seen - 1; i > 0 && !soon; i--)
		g->seen[i] = g->seen[i - 1];
	g->seen[0].at_ms = now_ms;
	g->seen[0].available_kib = available_kib;
}

/* Since the oldest look that is not too old; none that is young enough (a long sleep): since the last one. */
static uint64_t fall_kibps(const struct guard *g)
{
	uint64_t past_ms = 0;
	unsigned i = 0;

	while (i + 1 < g->n_seen &&
	       (past_ms < FALL_LEAST_MS || g->seen[0].at_ms - g->seen[i + 1].at_ms <= FALL_MOST_MS))
		past_ms = sat_sub(g->seen[0].at_ms, g->seen[++i].at_ms);
	if (past_ms < FALL_LEAST_MS)
		return 0;
	return scale_u64(sat_sub(g->seen[i].available_kib, g->seen[0].available_kib), 1000, past_ms);
}

/* Whether the host stands below where the level begins. */
static enum guard_level level_of(const struct guard_conf *conf, const struct guard *g, uint64_t available_kib)
{
	if (available_kib < guard_critical_kib(conf))
		return GUARD_CRITICAL;
	return sat_sub(available_kib, g->fall_kibps) < guard_tight_kib(conf) ? GUARD_TIGHT : GUARD_CALM;
}

/* What was foreseen and has not come is left as soon as it is not foreseen any more. */
static bool may_leave(const struct guard_conf *conf, const struct guard *g, uint64_t available_kib)
{
	return available_kib >= (g->level == GUARD_TIGHT && g->was_low ? conf->reserve_kib : guard_tight_kib(conf));
}

static bool has_held(const struct guard_conf *conf, const struct guard *g, uint64_t now_ms)
{
	return now_ms - g->since_ms >= (g->was_low ? conf->hold_ms : conf->hold_ms / FORESEEN_HOLD);
}

enum guard_level guard_step(const struct guard_conf *conf, struct guard *g, uint64_t available_kib,
                            uint64_t promised_kib, uint64_t now_ms)
{
	enum guard_level level;

	remember_look(g, available_kib, now_ms);
	promised_kib = min_u64(promised_kib, min_u64(sat_sub(available_kib, conf->reserve_kib), conf->reserve_kib / 2));
	g->fall_kibps = sat_sub(fall_kibps(g), promised_kib);
	level = level_of(conf, g, available_kib);
	g->was_low |= available_kib < guard_tight_kib(conf);
	if (level >= g->level || !may_leave(conf, g, available_kib)) {
		g->since_ms = 0;
		g->level = level > g->level ? level : g->level;
	} else if (!g->since_ms) {
		g->since_ms = now_ms ? now_ms : 1;
	} else if (has_held(conf, g, now_ms)) {
		g->level--; /* one at a time: the next level has its own upper edge */
		g->since_ms = 0;
	}
	if (g->level == GUARD_CALM)
		g->was_low = false;
	return g->level;
}

uint64_t guard_lack_kib(const struct guard_conf *conf, const struct guard *g, uint64_t available_kib)
{
	return sat_sub(sat_add(conf->reserve_kib, g->fall_kibps), available_kib);
}

uint64_t guard_take_kib(const struct guard_conf *conf, const struct guard *g, uint64_t available_kib)
{
	uint64_t lack_kib = sat_sub(conf->reserve_kib, available_kib);

	if (!lack_kib && sat_sub(available_kib, g->fall_kibps) >= guard_tight_kib(conf))
		return 0;
	return scale_u64(max_u64(lack_kib, scale_u64(g->fall_kibps, CLAW_BACK_S, 1)), 2, 1);
}

uint32_t guard_nap_ms(const struct guard_conf *conf, const struct guard *g, uint64_t available_kib)
{
	uint64_t spare_kib = g->level == GUARD_CALM ? sat_sub(available_kib, guard_tight_kib(conf)) : 0;
	uint32_t least_ms = NAP_LEAST_MS, most_ms = NAP_MOST_MS;

	if (spare_kib < scale_u64(g->fall_kibps, 2, 1))
		least_ms = most_ms = NAP_FALLING_MS;
	if (available_kib < scale_u64(conf->reserve_kib, 2, 1))
		least_ms = NAP_NEAR_MS;
	return (uint32_t)clamp_u64(spare_kib / FILL_KIB_PER_MS, least_ms, most_ms);
}
