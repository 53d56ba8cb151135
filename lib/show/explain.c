/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "show/explain.h"

#define SIZE(kib) text_size((char[TEXT_SIZE]){""}, TEXT_SIZE, kib)
#define AGE(ms) text_age((char[TEXT_AGE]){""}, TEXT_AGE, (ms) / 1000)

#define WORDS_TEXT 240 /* of libvirt's own words */

#define NAME_WORD(g) text_guest_word((char[TEXT_GUEST_WORD]){""}, g)

char *text_guest_word(char word[TEXT_GUEST_WORD], const struct guest *g)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+:@";
	const char *name = g->name ? g->name : "";
	size_t length = strspn(name, plain);

	snprintf(word, TEXT_GUEST_WORD, "%s",
	         *name && *name != '-' && !name[length] && length < TEXT_GUEST_WORD ? name : g->uuid);
	return word;
}

/* A sentence as it grows; its parts are bounded, so it never fills. */
struct sentence {
	char text[TEXT_EXPLAIN];
	size_t used;
};

__attribute__((format(printf, 2, 3))) static void say(struct sentence *s, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(s->text + s->used, sizeof(s->text) - s->used, format, args);
	va_end(args);
	if (n > 0)
		s->used = min_u64(s->used + (size_t)n, sizeof(s->text) - 1);
}

/* ---- the decision ---- */

/* The size before: the first one of the pass, if it read the guest again. */
static uint64_t from_kib(const struct guest *g)
{
	return g->reread ? g->past.actual_kib : g->sample.actual_kib;
}

static bool is_short(enum reason reason)
{
	return reason == REASON_HOST_RESERVE || reason == REASON_SHARED_SHORTAGE || reason == REASON_NO_GIVE;
}

/* The size it was told to grow to, if it wants more. */
static uint64_t goal_kib(const struct guest *g)
{
	if (g->plan.want_kib <= from_kib(g))
		return g->plan.want_kib;
	if (g->plan.grant_kib)
		return g->plan.grant_kib;
	return is_short(g->plan.reason) ? from_kib(g) : g->plan.want_kib;
}

int explain_direction(const struct guest *g)
{
	uint64_t from = from_kib(g), goal = goal_kib(g);

	return (goal > from) - (goal < from);
}

/* Its balloon still moves, by an earlier command. */
static bool is_on_its_way(const struct guest *g)
{
	return g->past.asked_kib && g->plan.reason != REASON_STUCK && g->past.asked_kib != from_kib(g);
}

static void say_move(struct sentence *s, const struct guest *g)
{
	uint64_t from = from_kib(g), goal = goal_kib(g);

	if (g->plan.fixed)
		say(s, "left alone: ");
	else if (!(g->sample.have & SAMPLE_ACTUAL))
		say(s, "size not known: ");
	else if (goal > from)
		say(s, "give %s to reach %s: ", SIZE(goal - from), SIZE(goal));
	else if (goal < from)
		say(s, "take %s to reach %s: ", SIZE(from - goal), SIZE(goal));
	else if (is_on_its_way(g))
		say(s, "on its way from %s to %s: ", SIZE(from), SIZE(g->past.asked_kib));
	else
		say(s, "stays at %s: ", SIZE(goal));
}

/* ---- the numbers that decide ---- */

static void say_headroom(struct sentence *s, const struct guest *g)
{
	if (g->est.has_used && g->sample.have & SAMPLE_ACTUAL)
		say(s, "%s used, %s free", SIZE(g->est.used_kib), SIZE(sat_sub(from_kib(g), g->est.used_kib)));
	else
		say(s, "its use is not known");
	say(s, ", target %s", SIZE(g->target_kib));
}

static void say_growth(struct sentence *s, const struct guest *g)
{
	if (g->est.foreseen_kib && g->past.growth_kibps)
		say(s, ", use grows by %s/s", SIZE(g->past.growth_kibps));
}

static const char *min_words(const struct guest *g)
{
	return g->hints.configured & 1U << HINT_MIN ? "configured min" : "min hint";
}

static const char *max_words(const struct guest *g)
{
	return g->hints.configured & 1U << HINT_MAX ? "configured max" : "max hint";
}

static void say_ceil(struct sentence *s, const struct guest *g)
{
	const struct device *d = &g->device;
	const char *ceil = SIZE(g->plan.ceil_kib);

	if (g->plan.ceil_kib == d->maximum_kib)
		say(s, ", but its maximum is %s", ceil);
	else if (g->hints.has_max && g->hints.max_kib == g->plan.ceil_kib)
		say(s, ", but its %s is %s", max_words(g), ceil);
	else
		say(s, ", but its hard limit of %s leaves it %s at most", SIZE(d->hard_limit_kib), ceil);
}

static void say_floor(struct sentence *s, const struct guest *g)
{
	const char *floor = SIZE(g->plan.floor_kib);

	if (g->hints.has_min && g->hints.min_kib == g->plan.floor_kib)
		say(s, ", but its %s is %s", min_words(g), floor);
	else if (g->plan.floor_kib == g->plan.ceil_kib)
		say_ceil(s, g);
	else
		say(s, ", but the floor for its maximum of %s is %s", SIZE(g->device.maximum_kib), floor);
}

/* The bound that makes the goal differ from used + target, if one does. */
static void say_bound(struct sentence *s, const struct guest *g)
{
	uint64_t wish = sat_add(g->est.used_kib, g->target_kib), goal = goal_kib(g);

	if (g->plan.reason == REASON_AT_MAX || (goal == g->plan.ceil_kib && wish > goal))
		say_ceil(s, g);
	else if (g->plan.reason == REASON_AT_MIN || (goal == g->plan.floor_kib && wish < goal))
		say_floor(s, g);
}

/* Its claims, and which of them the host shares; nothing of a guest that was not planned for. */
static void say_claims(struct sentence *s, const struct guest *g)
{
	static const char *const layers[] = {"the least", "basic needs", "surges", "page cache"};

	if (!g->plan.basic_kib || g->plan.fixed || g->plan.reason == REASON_SHARED_SHORTAGE)
		return;
	say(s, "; it needs %s", SIZE(g->plan.basic_kib));
	if (g->plan.need_kib > g->plan.basic_kib)
		say(s, ", %s with its surges", SIZE(g->plan.need_kib));
	if (g->plan.comfort_kib > g->plan.need_kib)
		say(s, ", %s with page cache", SIZE(g->plan.comfort_kib));
	if (g->plan.level_kib)
		say(s, "; memory for %s is shared", layers[g->plan.layer]);
}

/* ---- why ---- */

static void say_why_move(struct sentence *s, const struct guest *g)
{
	say_headroom(s, g);
	if (goal_kib(g) > from_kib(g))
		say_growth(s, g);
	say_bound(s, g);
}

static void say_why_at_target(struct sentence *s, const struct guest *g)
{
	say_headroom(s, g);
	if (g->est.has_used && sat_add(g->est.used_kib, g->target_kib) != from_kib(g))
		say_bound(s, g);
}

static void say_why_plenty(struct sentence *s, const struct guest *g)
{
	say_headroom(s, g);
	if (!is_on_its_way(g))
		say(s, ", and no guest needs the rest");
}

static void say_why_page_cache(struct sentence *s, const struct guest *g)
{
	say(s, "the host has plenty for its page cache");
	if (g->est.has_used && g->sample.have & SAMPLE_ACTUAL)
		say(s, ": %s used, %s page cache", SIZE(g->est.used_kib), SIZE(g->est.cache_kib));
}

static void say_why_distress(struct sentence *s, const struct guest *g)
{
	say(s, "it swaps in or faults heavily; ");
	say_headroom(s, g);
	if (goal_kib(g) == g->plan.ceil_kib)
		say_ceil(s, g);
}

static void say_why_booting(struct sentence *s, const struct guest *g)
{
	say(s, "%s", g->est.rebooted ? "it has rebooted" : "it is booting");
	say(s, "%s", g->plan.fixed ? " and has not reported yet" : ", nothing is taken yet");
}

static void say_why_stale(struct sentence *s, const struct guest *g)
{
	say(s, "its statistics are %s old%s", g->est.has_age ? AGE(g->est.age_ms) : "too",
	    g->plan.fixed ? "" : ", so nothing is taken");
}

static void say_why_no_stats(struct sentence *s, const struct guest *g)
{
	if (g->est.absurd)
		say(s, "its statistics contradict each other");
	else if (!g->device.period_s)
		say(s, "it does not report what it uses; run 'virsh dommemstat %s --period 1 --live'", NAME_WORD(g));
	else if (g->est.predates_move)
		say(s, "its statistics report more free memory than it has: they are older than its last move");
	else
		say(s, "it does not report what it uses");
}

static void say_why_unresponsive(struct sentence *s, const struct guest *g)
{
	say(s, "it did not answer in time; 'virsh domcontrol %s' may show why", NAME_WORD(g));
}

static void say_why_stuck(struct sentence *s, const struct guest *g)
{
	if (g->past.asked_kib)
		say(s, "asked for %s, ", SIZE(g->past.asked_kib));
	if (g->sample.have & SAMPLE_ACTUAL)
		say(s, "it stays at %s", SIZE(g->sample.actual_kib));
	else
		say(s, "it does not move");
	if (g->past.refused > 1)
		say(s, " for %" PRIu32 " passes", g->past.refused);
}

static void say_why_no_gain(struct sentence *s, const struct guest *g)
{
	say(s, "its balloon frees nothing on the host");
	if (g->sample.have & SAMPLE_RSS)
		say(s, ", which still holds %s for it", SIZE(g->sample.rss_kib));
}

static void say_why_paused(struct sentence *s, const struct guest *g)
{
	say(s, "its state is '%s'", run_state_word(g->run));
}

static void say_why_pinned(struct sentence *s, const struct guest *g)
{
	if (g->device.unknown)
		say(s, "its definition cannot be read, so its devices and hints are not known");
	else if (g->device.virtio_mem && !g->device.locked)
		say(s, "its size is set by virtio-mem");
	else
		say(s, "its memory is locked, the host would get nothing back");
}

static void say_why_uncovered(struct sentence *s, const struct guest *g)
{
	say(s, "%s more are needed (", SIZE(sat_sub(g->plan.want_kib, goal_kib(g))));
	say_headroom(s, g);
	say_growth(s, g);
	say(s, "), but %s",
	    g->plan.reason == REASON_NO_GIVE ? "memguard forbids gives: the host is short, or that is not known"
	                                     : "the host cannot spare them without touching its reserve");
}

/* The headroom that its weight gets by the shared level alone. */
static uint64_t level_headroom_kib(const struct guest *g)
{
	return scale_u64(g->plan.level_kib, weight_of(g), WEIGHT_DEFAULT);
}

/* Whether the shared level has no more for it than it keeps in any case. */
static bool is_at_bottom(const struct guest *g)
{
	uint64_t least_kib = sat_sub(min_u64(g->plan.bottom_kib, from_kib(g)), g->est.used_kib);
	bool has_more = goal_kib(g) > sat_add(g->plan.bottom_kib, KIB_PER_MIB); /* than it has to be left */

	return !has_more && level_headroom_kib(g) <= least_kib;
}

static void say_bottom(struct sentence *s, const struct guest *g)
{
	const char *used = SIZE(g->est.used_kib), *has = SIZE(sat_sub(goal_kib(g), g->est.used_kib));
	bool below = from_kib(g) < g->plan.bottom_kib, by_floor = g->plan.floor_kib >= g->plan.bottom_kib;
	bool hint = g->hints.has_min && g->hints.min_kib == g->plan.floor_kib;

	say(s, "it is kept %s its ", below ? "below" : "at");
	if (by_floor)
		say(s, "%s of %s", hint ? min_words(g) : "floor", SIZE(g->plan.floor_kib));
	else
		say(s, "least headroom of %s", SIZE(sat_sub(g->plan.bottom_kib, g->est.used_kib)));
	if (below || by_floor)
		say(s, " with %s", has);
	say(s, " above %s used", used);
	if (g->plan.level_kib)
		say(s, ", weight %" PRIu32 " alone would get %s", weight_of(g), SIZE(level_headroom_kib(g)));
}

static void say_level(struct sentence *s, const struct guest *g)
{
	char has[TEXT_SIZE], by_weight[TEXT_SIZE];
	bool by_level;

	text_size(has, sizeof(has), sat_sub(goal_kib(g), g->est.used_kib));
	text_size(by_weight, sizeof(by_weight), level_headroom_kib(g));
	by_level = strcmp(has, by_weight) == 0;
	say(s, "%s used, ", SIZE(g->est.used_kib));
	if (by_level)
		say(s, "weight %" PRIu32 " gets ", weight_of(g));
	else
		say(s, "it gets ");
	say(s, "%s of its target of %s", has, SIZE(g->target_kib));
	if (g->plan.level_kib && !by_level)
		say(s, ", weight %" PRIu32 " alone would get %s", weight_of(g), by_weight);
	if (g->est.predates_move)
		say(s, "; nothing more is taken, as its statistics are older than its last move");
}

static void say_why_shared(struct sentence *s, const struct guest *g)
{
	uint64_t goal = goal_kib(g);

	say(s, "memory is short");
	if (g->est.has_used) {
		say(s, ": ");
		(is_at_bottom(g) ? say_bottom : say_level)(s, g);
	}
	say(s, "; it needs %s, %s more", SIZE(g->plan.basic_kib), SIZE(sat_sub(g->plan.basic_kib, goal)));
	if (g->plan.want_kib > goal)
		say(s, ", %s of it once others have given", SIZE(g->plan.want_kib - goal));
	say_growth(s, g);
}

static void say_why_failed(struct sentence *s, const struct guest *g)
{
	const char *why = g->order.error ? strerror(-g->order.error) : "unknown reason";
	char words[WORDS_TEXT];

	text_escape(words, sizeof(words), g->order.words ? g->order.words : why, text_is_utf8());
	say(s, "failed: %s", words);
}

/* The words of each reason: a phrase if no number decides, else a function. */
static const struct wording {
	const char *phrase;
	bool bare; /* without the move */
	void (*say_why)(struct sentence *s, const struct guest *g);
} wordings[] = {
    [REASON_NONE] = {.phrase = "nothing was decided", .bare = true},
    [REASON_BELOW_TARGET] = {.say_why = say_why_move},
    [REASON_ABOVE_TARGET] = {.say_why = say_why_move},
    [REASON_AT_TARGET] = {.say_why = say_why_at_target},
    [REASON_AT_MIN] = {.say_why = say_why_move},
    [REASON_AT_MAX] = {.say_why = say_why_move},
    [REASON_GROWING] = {.say_why = say_why_move},
    [REASON_PAGE_CACHE] = {.say_why = say_why_page_cache},
    [REASON_PLENTY] = {.say_why = say_why_plenty},
    [REASON_DISTRESS] = {.say_why = say_why_distress},
    [REASON_BOOTING] = {.say_why = say_why_booting},
    [REASON_STALE_STATS] = {.say_why = say_why_stale},
    [REASON_NO_STATS] = {.say_why = say_why_no_stats},
    [REASON_NO_BALLOON] = {.phrase = "it has no balloon device"},
    [REASON_NO_DRIVER] = {.phrase = "its balloon driver has never reported; load virtio_balloon in the guest"},
    [REASON_STUCK] = {.say_why = say_why_stuck},
    [REASON_NO_GAIN] = {.say_why = say_why_no_gain},
    [REASON_UNRESPONSIVE] = {.say_why = say_why_unresponsive},
    [REASON_PAUSED] = {.say_why = say_why_paused},
    [REASON_MIGRATING] = {.phrase = "it is being started, migrated, saved or dumped"},
    [REASON_PINNED] = {.say_why = say_why_pinned},
    [REASON_HUGEPAGES] = {.phrase = "its memory is huge pages, the host would get nothing back"},
    [REASON_PASSTHROUGH] = {.phrase = "a passed-through device or encryption pins its memory"},
    [REASON_OPTED_OUT] = {.phrase = "its metadata says managed=\"no\""},
    [REASON_EXCLUDED] = {.phrase = "the configuration excludes it"},
    [REASON_HOST_RESERVE] = {.say_why = say_why_uncovered},
    [REASON_SHARED_SHORTAGE] = {.say_why = say_why_shared},
    [REASON_NO_GIVE] = {.say_why = say_why_uncovered},
    [REASON_VANISHED] = {.phrase = "it ended after it was listed", .bare = true},
    [REASON_FAILED] = {.say_why = say_why_failed},
};
static_assert(COUNT(wordings) == REASON_COUNT, "words for each reason");

char *text_explain(char *buffer, size_t size, const struct guest *g)
{
	const struct wording *wording =
	    &wordings[(unsigned)g->plan.reason < REASON_COUNT ? g->plan.reason : REASON_NONE];
	struct sentence s = {.used = 0};

	if (!wording->bare)
		say_move(&s, g);
	if (wording->say_why)
		wording->say_why(&s, g);
	else
		say(&s, "%s", wording->phrase);
	say_claims(&s, g);
	return text_copy(buffer, size, s.text);
}

char *text_explain_size(char *buffer, size_t size, const struct guest *g)
{
	struct sentence s = {.used = 0};

	if (!(g->sample.have & SAMPLE_ACTUAL))
		return text_copy(buffer, size, "what it has is not known");
	say(&s, "it has %s", SIZE(g->sample.actual_kib));
	if (g->device.maximum_kib)
		say(&s, " of at most %s", SIZE(g->device.maximum_kib));
	if (g->est.has_used)
		say(&s, ", %s used", SIZE(g->est.used_kib));
	if (g->sample.have & SAMPLE_RSS)
		say(&s, ", and the host holds %s for it", SIZE(g->sample.rss_kib));
	if (g->est.distress)
		say(&s, "; it is SWAPPING: %s/s read from swap, %" PRIu64 " major faults/s",
		    SIZE(g->past.swap_in_kibps), g->past.faults_ps);
	return text_copy(buffer, size, s.text);
}

/* ---- the last pass ---- */

static void say_outcome(struct sentence *s, const struct guest *g)
{
	if (g->past.last.reached_kib)
		say(s, ", and it reached %s", SIZE(g->past.last.reached_kib));
	else if (g->sample.have & SAMPLE_ACTUAL)
		say(s, ", and it has %s by now", SIZE(g->sample.actual_kib));
}

static void say_decision(struct sentence *s, const struct decision *d)
{
	if (!d->want_kib)
		say(s, "left it alone");
	else if (d->asked_kib)
		say(s, "asked it to go from %s to %s", SIZE(d->from_kib), SIZE(d->asked_kib));
	else if (d->want_kib == d->from_kib)
		say(s, "kept it at %s", SIZE(d->want_kib));
	else
		say(s, "planned to move it from %s to %s, but sent no command", SIZE(d->from_kib), SIZE(d->want_kib));
}

static void say_told(struct sentence *s, const struct guest *g)
{
	const struct told *t = &g->past.told;

	if (t->decided_ms)
		say(s, "; the last command to it was %s ago, from %s to %s (%s)",
		    AGE(sat_sub(g->past.seen_ms, t->decided_ms)), SIZE(t->from_kib), SIZE(t->asked_kib),
		    reason_word(t->reason));
}

char *text_explain_last(char *buffer, size_t size, const struct guest *g)
{
	const struct decision *d = &g->past.last;
	struct sentence s = {.used = 0};

	if (!d->decided_ms)
		return text_copy(buffer, size, "no pass has decided anything for it yet");
	say(&s, "the last pass, %s ago, ", AGE(sat_sub(g->past.seen_ms, d->decided_ms)));
	say_decision(&s, d);
	say(&s, " (%s)", reason_word(d->reason));
	if (d->asked_kib)
		say_outcome(&s, g);
	else
		say_told(&s, g);
	return text_copy(buffer, size, s.text);
}

char *text_explain_pause(char *buffer, size_t size, uint64_t left_ms)
{
	/* half an hour is half an hour, not 29 min, a moment after it was said */
	snprintf(buffer, size, "balancing is paused for another %s", AGE(sat_add(left_ms, 999)));
	return buffer;
}

/* The host's memory, and the claims to it. */
static void say_room(struct sentence *s, const struct host *host, uint64_t reserve_kib, const struct budget *b)
{
	uint64_t over = b->room_kib < 0 ? 0 : (uint64_t)b->room_kib,
		 lack = b->room_kib < 0 ? 0 - (uint64_t)b->room_kib : 0;
	uint64_t other = sat_sub(sat_add(host->available_kib, lack), sat_add(reserve_kib, over));

	say(s, "%s available, %s %s a reserve of %s", SIZE(host->available_kib), SIZE(lack ? lack : over),
	    lack ? "too little for" : "room above", SIZE(reserve_kib));
	if (other)
		say(s, " and %s for guests that start or are left alone", SIZE(other));
}

static void say_needs(struct sentence *s, const struct budget *b)
{
	say(s, "guests need %s", SIZE(b->demand_kib));
	if (b->need_kib > b->demand_kib)
		say(s, ", %s with surges", SIZE(b->need_kib));
	if (b->comfort_kib > b->need_kib)
		say(s, ", %s with page cache", SIZE(b->comfort_kib));
}

char *text_explain_host(char *buffer, size_t size, const struct host *host, uint64_t reserve_kib,
                        const struct budget *b)
{
	struct sentence s = {.used = 0};

	say_needs(&s, b);
	say(&s, "; %s can be provided (", SIZE(b->capacity_kib));
	say_room(&s, host, reserve_kib, b);
	say(&s, ")");
	if (host->limit_kib)
		say(&s, "; a control group limits what is available to less than %s", SIZE(host->limit_kib));
	if (!b->shortage_kib && b->has_level)
		say(&s, "; memory for %s is shared, %s for weight %d", b->layer == LAYER_NEED ? "surges" : "page cache",
		    SIZE(b->level_kib), WEIGHT_DEFAULT);
	if (b->promised_kib)
		say(&s, "; %s are promised but untouched", SIZE(b->promised_kib));
	if (b->shortage_kib)
		say(&s, "; short by %s", SIZE(b->shortage_kib));
	if (b->least)
		say(&s, ": not even the least headroom fits, nothing is given");
	else if (b->shortage_kib && b->has_level)
		say(&s, ": a guest of weight %d gets %s headroom", WEIGHT_DEFAULT, SIZE(b->level_kib));
	return text_copy(buffer, size, s.text);
}
