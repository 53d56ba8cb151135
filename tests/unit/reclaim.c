/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../sim/random.h"
#include "base/units.h"
#include "plan/reclaim.h"

#define MIB KIB_PER_MIB
#define TARGET 128 /* MiB; the guard leaves an eighth of it: 16 */
#define TOLERANCE (5 * MIB)
#define HERD 4
#define MANY 125
#define WORLDS 20000

enum trait { PLAIN, FIXED, NO_TAKE, PREDATES_MOVE, HUNG, VANISHED, ERROR, STUCK };

/* A guest that was judged. MiB; each has a headroom of TARGET beyond what it uses. */
struct row {
	uint64_t actual, used, floor, told; /* told: the size it was told to go to before; 0: none */
	uint64_t cache;                     /* of what it does not use */
	uint64_t before, last;              /* its size before the guard told it to give, and what it told it last */
	uint64_t doubt;      /* of a guest whose sample predates its move; 0: what it uses is not known at all */
	uint64_t rss, risen; /* rss without QEMU's own; 0: not known */
	uint64_t late_ms;    /* it was read so long after it was told */
	uint32_t weight;     /* 0: the default */
	enum trait trait;
};

static struct guest guest_of(const struct row *row)
{
	struct guest g = {.name = (char *)"x", .target_kib = TARGET * MIB, .answered = true};

	g.sample.have = SAMPLE_ACTUAL;
	g.sample.actual_kib = row->actual * MIB;
	if (row->rss) {
		g.sample.have |= SAMPLE_RSS;
		g.sample.rss_kib = row->rss * MIB + QEMU_USUAL_KIB;
		g.est.risen_kib = row->risen * MIB;
	}
	g.order.before_kib = row->before * MIB;
	g.order.kib = row->last * MIB;
	g.plan.ceil_kib = 5000 * MIB;
	g.est.has_used = true;
	g.est.used_kib = row->used * MIB;
	g.est.free_kib = sat_sub(row->actual, row->used) * MIB;
	g.est.cache_kib = row->cache * MIB;
	g.plan.floor_kib = row->floor * MIB;
	g.plan.need_kib = max_u64(g.plan.floor_kib, (row->used + TARGET) * MIB);
	g.hints.weight = row->weight;
	g.past.asked_kib = row->told * MIB;
	g.past.asked_ms = 5000;
	g.past.seen_ms = 5000 + row->late_ms;
	g.plan.fixed = row->trait == FIXED;
	g.plan.no_take = row->trait == NO_TAKE || row->trait == STUCK || g.plan.fixed;
	g.plan.reason = g.plan.fixed ? REASON_PAUSED : g.plan.no_take ? REASON_DISTRESS : REASON_NONE;
	if (row->trait == STUCK)
		g.plan.reason = REASON_STUCK;
	g.est.stuck = row->trait == STUCK;
	g.est.predates_move = row->trait == PREDATES_MOVE;
	if (g.est.predates_move)
		g.est.doubt_kib = row->doubt ? row->doubt * MIB : UINT64_MAX;
	g.hung = row->trait == HUNG;
	g.vanished = row->trait == VANISHED;
	g.order.error = row->trait == ERROR ? -EIO : 0;
	return g;
}

static uint64_t plan(enum reclaim_way way, uint64_t need_kib, struct guest *g, size_t n)
{
	static struct fairshare_item item[MANY];
	static struct fairshare_edge edge[2 * MANY];
	struct policy_scratch scratch = {item, edge};

	return reclaim_plan(way, need_kib, TOLERANCE, g, n, &scratch);
}

/* Shares are rounded down to KiB. */
static bool is_about(uint64_t a_kib, uint64_t b_kib)
{
	return a_kib <= b_kib + 2 && b_kib <= a_kib + 2;
}

static void test_plans(void **state)
{
	const struct {
		const char *what;
		enum reclaim_way way;
		uint64_t need;
		struct row guest[HERD]; /* ended by no actual */
		uint64_t want[HERD];    /* size planned */
		uint64_t ask[HERD];     /* 0: not told */
		uint64_t sum;
	} rows[] = {
	    {"room: what is needed, in equal parts of what is idle",
	     RECLAIM_ROOM,
	     300,
	     {{.actual = 1000, .used = 472}, {.actual = 400, .used = 72}},
	     {800, 300},
	     {800, 300},
	     300},
	    {"room: not more than is idle",
	     RECLAIM_ROOM,
	     9000,
	     {{.actual = 1000, .used = 472}, {.actual = 400, .used = 72}},
	     {600, 200},
	     {600, 200},
	     600},
	    {"room: nothing needed, nothing taken", RECLAIM_ROOM, 0, {{.actual = 1000, .used = 472}}, {1000}, {0}, 0},
	    {"idle: what is needed, in equal parts of what is idle",
	     RECLAIM_IDLE,
	     300,
	     {{.actual = 1000, .used = 472}, {.actual = 400, .used = 72}},
	     {800, 300},
	     {800, 300},
	     300},
	    {"idle: and what was never touched, which frees nothing",
	     RECLAIM_IDLE,
	     100,
	     {{.actual = 1000, .used = 472, .rss = 700}, {.actual = 1000, .used = 472, .rss = 1000}},
	     {700, 900},
	     {700, 900},
	     400},
	    {"page cache stays as long as there is unused memory",
	     RECLAIM_IDLE,
	     300,
	     {{.actual = 1000, .used = 472, .cache = 400}, {.actual = 1000, .used = 472, .cache = 100}},
	     {1000, 700},
	     {0, 700},
	     300},
	    {"and then each gives the same part of what is idle, but all that is unused",
	     RECLAIM_IDLE,
	     400,
	     {{.actual = 1000, .used = 472, .cache = 400}, {.actual = 1000, .used = 472, .cache = 100}},
	     {900, 700},
	     {900, 700},
	     400},
	    {"room: page cache likewise",
	     RECLAIM_ROOM,
	     700,
	     {{.actual = 1000, .used = 472, .cache = 400}, {.actual = 1000, .used = 472, .cache = 100}},
	     {650, 650},
	     {650, 650},
	     700},
	    {"hard: page cache goes with the rest",
	     RECLAIM_HARD,
	     1,
	     {{.actual = 1000, .used = 472, .cache = 400}},
	     {600},
	     {600},
	     400},
	    {"idle: headroom is left alone however much is needed",
	     RECLAIM_IDLE,
	     9000,
	     {{.actual = 600, .used = 472}},
	     {600},
	     {0},
	     0},
	    {"room: of what is idle all but what was never touched",
	     RECLAIM_ROOM,
	     9000,
	     {{.actual = 1000, .used = 472, .rss = 700}, {.actual = 1000, .used = 472, .rss = 1000}},
	     {900, 600},
	     {900, 600},
	     500},
	    {"room: what it was told before is no more touched than it was",
	     RECLAIM_ROOM,
	     9000,
	     {{.actual = 1000, .used = 472, .rss = 550}, {.actual = 1000, .used = 472, .rss = 700, .told = 900}},
	     {1000, 900},
	     {0, 0},
	     100},
	    {"room: a guest that is touching what it has will need as much again",
	     RECLAIM_ROOM,
	     9000,
	     {{.actual = 1000, .used = 472, .rss = 900, .risen = 150},
	      {.actual = 1000, .used = 472, .rss = 900, .risen = 50},
	      {.actual = 1000, .used = 472, .rss = 1050, .risen = 200}}, /* QEMU's own is not known */
	     {1000, 800, 1000},
	     {0, 800, 0},
	     200},
	    {"room: of a guest that holds it",
	     RECLAIM_ROOM,
	     300,
	     {{.actual = 1000, .used = 472, .rss = 1000}, {.actual = 1000, .used = 472, .rss = 500}},
	     {700, 1000},
	     {700, 0},
	     300},
	    {"idle: what was touched since the statistics is used",
	     RECLAIM_IDLE,
	     9000,
	     {{.actual = 1000, .used = 472, .rss = 900, .risen = 100}},
	     {700},
	     {700},
	     300},
	    {"hard: what frees nothing does not spare the others",
	     RECLAIM_HARD,
	     300,
	     {{.actual = 1000, .used = 472, .rss = 600}, {.actual = 1000, .used = 872, .rss = 1000}},
	     {488, 888},
	     {488, 888},
	     624},
	    {"hard: nor is it free that was touched since the statistics",
	     RECLAIM_HARD,
	     9000,
	     {{.actual = 1000, .used = 472, .rss = 1000, .risen = 100}},
	     {588},
	     {588},
	     412},
	    {"room: where that is not known, all",
	     RECLAIM_ROOM,
	     9000,
	     {{.actual = 1000, .used = 472}},
	     {600},
	     {600},
	     400},
	    {"hard: all idle; a guest without more gives of the headroom first",
	     RECLAIM_HARD,
	     456,
	     {{.actual = 1000, .used = 472}, {.actual = 200, .used = 72}},
	     {600, 144},
	     {600, 144},
	     456},
	    {"hard: then each the same part of what it could give",
	     RECLAIM_HARD,
	     546,
	     {{.actual = 1000, .used = 472}, {.actual = 200, .used = 72}},
	     {552, 102},
	     {552, 102},
	     546},
	    {"hard: everyone at the bottom",
	     RECLAIM_HARD,
	     9000,
	     {{.actual = 1000, .used = 472}, {.actual = 200, .used = 72}},
	     {488, 88},
	     {488, 88},
	     624},
	    {"hard: the bottom is the floor where that is higher",
	     RECLAIM_HARD,
	     9000,
	     {{.actual = 600, .used = 72, .floor = 550}},
	     {550},
	     {550},
	     50},
	    {"hard: below its bottom already", RECLAIM_HARD, 9000, {{.actual = 80, .used = 72}}, {80}, {0}, 0},
	    {"half the weight gives twice as much",
	     RECLAIM_ROOM,
	     300,
	     {{.actual = 1000, .used = 472, .weight = 200}, {.actual = 1000, .used = 472, .weight = 100}},
	     {900, 800},
	     {900, 800},
	     300},
	    {"what is told and not given yet counts, and is not told again",
	     RECLAIM_ROOM,
	     300,
	     {{.actual = 1000, .used = 472, .told = 600}, {.actual = 400, .used = 72}},
	     {600, 400},
	     {0, 0},
	     400},
	    {"what is still missing is asked of the others",
	     RECLAIM_ROOM,
	     500,
	     {{.actual = 1000, .used = 472, .told = 600}, {.actual = 400, .used = 72}},
	     {600, 300},
	     {0, 300},
	     500},
	    {"told to grow is nothing to come",
	     RECLAIM_ROOM,
	     100,
	     {{.actual = 1000, .used = 472, .told = 1500}},
	     {900},
	     {900},
	     100},
	    {"a guest that does not obey is not waited for",
	     RECLAIM_ROOM,
	     100,
	     {{.actual = 1000, .used = 472, .told = 600, .trait = STUCK}, {.actual = 400, .used = 72}},
	     {1000, 300},
	     {0, 300},
	     100},
	    {"nor one that hangs, though it was told",
	     RECLAIM_HARD,
	     50,
	     {{.actual = 1000, .used = 472, .told = 600, .trait = HUNG}, {.actual = 400, .used = 72}},
	     {1000, 200},
	     {0, 200},
	     200},
	    {"within the tolerance nothing moves",
	     RECLAIM_IDLE,
	     9000,
	     {{.actual = 605, .used = 472}, {.actual = 606, .used = 472}},
	     {605, 600},
	     {0, 600},
	     6},
	    {"nor for less than the tolerance beyond its last command",
	     RECLAIM_IDLE,
	     9000,
	     {{.actual = 1000, .used = 472, .told = 604}},
	     {604},
	     {0},
	     396},
	    {"read a second later and not there: told again, the same",
	     RECLAIM_ROOM,
	     100,
	     {{.actual = 1000, .used = 472, .told = 800, .late_ms = 1001},
	      {.actual = 1000, .used = 472, .told = 800, .late_ms = 1000},
	      {.actual = 804, .used = 472, .told = 800, .late_ms = 9000}},
	     {800, 800, 800},
	     {800, 0, 0},
	     404},
	    {"but not below what it may be taken to by now, nor a guest that is not taken from",
	     RECLAIM_IDLE,
	     100,
	     {{.actual = 1000, .used = 700, .told = 800, .late_ms = 1001},
	      {.actual = 1000, .used = 472, .told = 800, .late_ms = 1001, .trait = NO_TAKE},
	      {.actual = 1000, .used = 472, .told = 800, .late_ms = 1001, .trait = HUNG}},
	     {800, 800, 1000},
	     {0, 0, 0},
	     400},
	    {"left alone: fixed, never taken from, a sample of before its move, failed",
	     RECLAIM_HARD,
	     9000,
	     {{.actual = 1000, .trait = FIXED},
	      {.actual = 1000, .trait = NO_TAKE},
	      {.actual = 1000, .trait = PREDATES_MOVE},
	      {.actual = 1000, .trait = ERROR}},
	     {1000, 1000, 1000, 1000},
	     {0},
	     0},
	    {"a sample of before its move: less what it may use beyond it",
	     RECLAIM_IDLE,
	     9000,
	     {{.actual = 1000, .used = 472, .trait = PREDATES_MOVE, .doubt = 100}},
	     {700},
	     {700},
	     300},
	    {"critical: its bottom is as much higher",
	     RECLAIM_HARD,
	     9000,
	     {{.actual = 1000, .used = 472, .trait = PREDATES_MOVE, .doubt = 100}},
	     {588},
	     {588},
	     412},
	    {"no guest", RECLAIM_HARD, 9000, {{0}}, {0}, {0}, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct guest g[HERD];
		size_t n = 0;
		uint64_t sum_kib;

		for (; n < HERD && rows[i].guest[n].actual; n++)
			g[n] = guest_of(&rows[i].guest[n]);
		sum_kib = plan(rows[i].way, rows[i].need * MIB, g, n);
		if (!is_about(sum_kib, rows[i].sum * MIB))
			fail_msg("%s: %llu KiB together", rows[i].what, (unsigned long long)sum_kib);
		for (size_t k = 0; k < n; k++)
			if (!is_about(g[k].plan.want_kib, rows[i].want[k] * MIB) ||
			    !is_about(g[k].plan.ask_kib, rows[i].ask[k] * MIB))
				fail_msg("%s: guest %zu: want %llu, ask %llu KiB", rows[i].what, k,
				         (unsigned long long)g[k].plan.want_kib, (unsigned long long)g[k].plan.ask_kib);
	}
}

/* The lack is there however many share it; no guest gets a command within the tolerance. */
static void test_many(void **state)
{
	const struct {
		enum reclaim_way way;
		uint64_t need;
		size_t n;
		struct row guest; /* each of them */
	} rows[] = {
	    {RECLAIM_HARD, 156, 30, {.actual = 600, .used = 472}},
	    {RECLAIM_HARD, 156, 32, {.actual = 600, .used = 472}},
	    {RECLAIM_HARD, 156, 40, {.actual = 600, .used = 472}},
	    {RECLAIM_HARD, 6, 40, {.actual = 600, .used = 472}},
	    {RECLAIM_HARD, 156, 40, {.actual = 600, .used = 472, .told = 597}},
	    {RECLAIM_HARD, 600, 125, {.actual = 600, .used = 472}},
	    {RECLAIM_ROOM, 600, 125, {.actual = 1000, .used = 472}},
	    {RECLAIM_ROOM, 10, 125, {.actual = 1000, .used = 472}},
	    {RECLAIM_ROOM, 50000, 125, {.actual = 1000, .used = 472}},
	};
	static struct guest g[MANY];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t told_kib = 0, sum_kib, least_kib, most_kib = rows[i].n * 400 * MIB;

		for (size_t k = 0; k < rows[i].n; k++)
			g[k] = guest_of(&rows[i].guest);
		sum_kib = plan(rows[i].way, rows[i].need * MIB, g, rows[i].n);
		for (size_t k = 0; k < rows[i].n; k++) {
			told_kib += g[k].plan.ask_kib ? g[k].sample.actual_kib - g[k].plan.ask_kib : 0;
			assert_true(!g[k].plan.ask_kib || g[k].plan.ask_kib + TOLERANCE < g[k].sample.actual_kib);
			told_kib += g[k].plan.ask_kib || !g[k].past.asked_kib ? 0 : 3 * MIB;
		}
		least_kib = min_u64(rows[i].need * MIB, most_kib) - TOLERANCE;
		if (told_kib != sum_kib || sum_kib < least_kib || sum_kib > rows[i].need * MIB)
			fail_msg("row %zu: %llu KiB together, %llu told", i, (unsigned long long)sum_kib,
			         (unsigned long long)told_kib);
	}
}

/*
 * A pass asks for less, 300 ms after each look of its own that was a second old; the balloon goes by 250 MiB/s to what
 * it was told last. The guard reads each second, as it does. Returns when the guest had what the guard wanted of it, in
 * ms.
 */
static uint64_t ms_until_taken(bool beside_a_pass)
{
	struct guest g = guest_of(&(struct row){.actual = 768, .used = 298});
	uint64_t actual_mib = 768, balloon_mib = 768;

	for (uint64_t ms = 0; ms < 20000; ms += 100) {
		if (ms % 1000 == 0) {
			g.sample.actual_kib = actual_mib * MIB;
			g.past.seen_ms = ms + 40;
		}
		if (g.sample.actual_kib <= 426 * MIB + TOLERANCE)
			return ms;
		plan(RECLAIM_IDLE, 9000 * MIB, &g, 1);
		if (g.plan.ask_kib) {
			estimate_asked(&g, g.plan.ask_kib, (struct instant){ms, ms});
			balloon_mib = g.plan.ask_kib / MIB;
		}
		if (beside_a_pass && ms % 1000 == 300)
			balloon_mib = max_u64(426, sat_sub(actual_mib, 49));
		if (actual_mib > balloon_mib)
			actual_mib -= min_u64(25, actual_mib - balloon_mib);
		else
			actual_mib += min_u64(25, balloon_mib - actual_mib);
	}
	return 20000;
}

static void test_second_writer(void **state)
{
	(void)state;
	assert_int_equal(ms_until_taken(false), 2000);
	assert_in_range(ms_until_taken(true), 2000, 4000);
}

static void test_owes(void **state)
{
	const struct {
		struct row guest;
		bool owes;
	} rows[] = {
	    {{.actual = 600, .before = 1000, .last = 600}, true},
	    {{.actual = 600}, false},
	    {{.actual = 995, .before = 1000, .last = 600}, false},
	    {{.actual = 600, .before = 1000, .last = 1000, .told = 1000}, false}, /* it is on its way */
	    {{.actual = 700, .before = 1000, .last = 600, .told = 600}, true},
	    {{.actual = 594, .before = 1000, .last = 600}, false}, /* another has taken */
	    {{.actual = 596, .before = 1000, .last = 600}, true},
	    {{.actual = 650, .before = 1000, .last = 700, .told = 700}, true},
	    {{.actual = 4990, .before = 9000, .last = 4990}, true},
	    {{.actual = 4996, .before = 9000, .last = 4990}, false}, /* its ceiling */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct guest g = guest_of(&rows[i].guest);

		if (reclaim_owes(TOLERANCE, &g) != rows[i].owes)
			fail_msg("row %zu", i);
	}
}

/* Half of what the host has to spare, to guests in need first. */
static void test_return(void **state)
{
	const struct policy_conf conf = {.reserve_kib = 400 * MIB, .tolerance_kib = TOLERANCE};
	const struct {
		const char *what;
		uint64_t available;
		struct row guest[HERD];
		uint64_t ask[HERD];
	} rows[] = {
	    {"there is room for all",
	     9000,
	     {{.actual = 600, .used = 472, .before = 1000, .last = 600}, {.actual = 800, .used = 472}},
	     {1000, 0}},
	    {"half of the room, in equal parts",
	     1000,
	     {{.actual = 600, .used = 100, .before = 1000, .last = 600},
	      {.actual = 600, .used = 100, .before = 1000, .last = 600}},
	     {750, 750}},
	    {"a guest that lacks memory comes first",
	     1000,
	     {{.actual = 600, .used = 100, .before = 1000, .last = 600},
	      {.actual = 600, .used = 700, .before = 1000, .last = 600}},
	     {0, 900}},
	    {"what guests may still touch is no room",
	     1000,
	     {{.actual = 600, .used = 600, .rss = 600, .before = 1000, .last = 600},
	      {.actual = 1000, .used = 472, .rss = 600}},
	     {700, 0}},
	    {"no room", 400, {{.actual = 600, .before = 1000, .last = 600}}, {0}},
	    {"a guest that is left alone", 9000, {{.actual = 600, .before = 1000, .last = 600, .trait = FIXED}}, {0}},
	    {"one that is never taken from",
	     9000,
	     {{.actual = 600, .before = 1000, .last = 600, .trait = NO_TAKE}},
	     {1000}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct host host = {.available_kib = rows[i].available * MIB};
		struct fairshare_item item[HERD];
		struct fairshare_edge edge[2 * HERD];
		struct policy_scratch scratch = {item, edge};
		struct guest g[HERD];
		size_t n = 0;

		for (; n < HERD && rows[i].guest[n].actual; n++)
			g[n] = guest_of(&rows[i].guest[n]);
		reclaim_return(&conf, &host, 0, g, n, &scratch);
		for (size_t k = 0; k < n; k++)
			if (!is_about(g[k].plan.ask_kib, rows[i].ask[k] * MIB))
				fail_msg("%s: guest %zu: ask %llu KiB", rows[i].what, k,
				         (unsigned long long)g[k].plan.ask_kib);
	}
}

static void test_refusals(void **state)
{
	const struct {
		struct row guest;
		enum reclaim_way way;
		enum reason reason;
	} rows[] = {
	    {{.actual = 1000, .used = 472}, RECLAIM_IDLE, REASON_NONE},
	    {{.actual = 605, .used = 472}, RECLAIM_IDLE, REASON_AT_MIN}, /* within the tolerance */
	    {{.actual = 605, .used = 472}, RECLAIM_HARD, REASON_NONE},
	    {{.actual = 493, .used = 472}, RECLAIM_HARD, REASON_AT_MIN},
	    {{.actual = 1000, .floor = 1000}, RECLAIM_HARD, REASON_AT_MIN},
	    {{.actual = 1000, .trait = FIXED}, RECLAIM_HARD, REASON_PAUSED},
	    {{.actual = 1000, .trait = STUCK}, RECLAIM_HARD, REASON_STUCK},
	    {{.actual = 1000, .trait = NO_TAKE}, RECLAIM_HARD, REASON_DISTRESS},
	    {{.actual = 1000, .trait = HUNG}, RECLAIM_HARD, REASON_UNRESPONSIVE},
	    {{.actual = 1000, .trait = ERROR}, RECLAIM_HARD, REASON_FAILED},
	    {{.actual = 1000, .trait = PREDATES_MOVE}, RECLAIM_HARD, REASON_STALE_STATS},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct guest g = guest_of(&rows[i].guest);

		if (reclaim_refusal(rows[i].way, TOLERANCE, &g) != rows[i].reason)
			fail_msg("row %zu: reason %d", i, reclaim_refusal(rows[i].way, TOLERANCE, &g));
	}
}

static void test_spares_untouched(void **state)
{
	const struct {
		struct row guest;
		enum reclaim_way way;
		bool spares;
	} rows[] = {
	    {{.actual = 1000, .used = 472, .rss = 500}, RECLAIM_ROOM, true},
	    {{.actual = 1000, .used = 472, .rss = 500}, RECLAIM_IDLE, false},
	    {{.actual = 1000, .used = 472, .rss = 1000, .risen = 300}, RECLAIM_ROOM, true},
	    {{.actual = 1000, .used = 472, .rss = 1000}, RECLAIM_ROOM, false},
	    {{.actual = 604, .used = 472, .rss = 500}, RECLAIM_ROOM, false},
	    {{.actual = 1000, .floor = 1000, .rss = 500}, RECLAIM_ROOM, false},
	    {{.actual = 1000, .used = 472, .rss = 500, .trait = FIXED}, RECLAIM_ROOM, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct guest g = guest_of(&rows[i].guest);

		if (reclaim_spares_untouched(rows[i].way, TOLERANCE, &g) != rows[i].spares)
			fail_msg("row %zu", i);
	}
}

/* Growth that is foreseen is the guest's, like what it uses. */
static void test_bottom(void **state)
{
	struct guest g = guest_of(&(struct row){.actual = 1000, .used = 100, .floor = 50});

	(void)state;
	assert_int_equal(reclaim_bottom_kib(&g), 116 * MIB);
	g.est.foreseen_kib = 100 * MIB;
	assert_int_equal(reclaim_bottom_kib(&g), 216 * MIB);
	g.est.implied_kib = 234 * MIB;
	assert_int_equal(reclaim_bottom_kib(&g), 250 * MIB);
	g.plan.floor_kib = 300 * MIB;
	assert_int_equal(reclaim_bottom_kib(&g), 300 * MIB);
	g.est.used_kib = UINT64_MAX;
	assert_int_equal(reclaim_bottom_kib(&g), UINT64_MAX);
}

static void test_coming(void **state)
{
	struct guest g[] = {
	    guest_of(&(struct row){.actual = 1000, .told = 700}),
	    guest_of(&(struct row){.actual = 1000, .told = 1200}),
	    guest_of(&(struct row){.actual = 1000}),
	    guest_of(&(struct row){.actual = 1000, .told = 500, .trait = STUCK}),
	    guest_of(&(struct row){.actual = 1000, .told = 500, .trait = VANISHED}),
	    guest_of(&(struct row){.actual = 1000, .told = 900, .trait = NO_TAKE}),
	};

	(void)state;
	assert_int_equal(reclaim_coming_kib(g, COUNT(g)), 400 * MIB);
	assert_int_equal(reclaim_coming_kib(g, 0), 0);
}

static void test_starting(void **state)
{
	struct guest g[] = {{.device = {.maximum_kib = 1000}, .sample = {.rss_kib = 300}, .est = {.booting = true}},
	                    {.device = {.maximum_kib = 1000}, .sample = {.rss_kib = 1300}, .est = {.booting = true}},
	                    {.device = {.maximum_kib = 1000}, /* did not answer */
	                     .past = {.has_rss = true, .rss_kib = 400},
	                     .est = {.booting = true}},
	                    {.device = {.maximum_kib = 1000}},
	                    {.device = {.maximum_kib = 1000}, .vanished = true, .est = {.booting = true}},
	                    {.device = {.maximum_kib = 1000, .hugepages = true}, .est = {.booting = true}}};

	(void)state;
	g[0].sample.have = g[1].sample.have = SAMPLE_RSS;
	assert_int_equal(reclaim_starting_kib(g, COUNT(g)), 1300);
}

static void test_growing(void **state)
{
	struct guest g[] = {
	    guest_of(&(struct row){.actual = 1000, .rss = 600, .risen = 100}),
	    guest_of(&(struct row){.actual = 1000, .rss = 600, .risen = 8}),
	    guest_of(&(struct row){.actual = 1000, .rss = 950, .risen = 100, .told = 1100}),
	    guest_of(&(struct row){.actual = 1000, .rss = 1100, .risen = 100}),
	    guest_of(&(struct row){.actual = 1000, .risen = 100}),
	};

	(void)state;
	assert_int_equal(reclaim_growing_kib(g, COUNT(g)), 550 * MIB);
	assert_int_equal(reclaim_growing_kib(g, 0), 0);
}

static void test_order(void **state)
{
	struct guest g[] = {{.name = (char *)"b"},
	                    {.name = (char *)"c", .hints = {.weight = 1}},
	                    {.name = (char *)"a"},
	                    {.name = (char *)"d", .hints = {.weight = 10000}}};

	(void)state;
	qsort(g, COUNT(g), sizeof(*g), reclaim_order);
	assert_string_equal(g[0].name, "c");
	assert_string_equal(g[1].name, "a");
	assert_string_equal(g[2].name, "b");
	assert_string_equal(g[3].name, "d");
}

/* ---- over random worlds ---- */

static struct row random_row(struct rng *r)
{
	struct row row = {
	    .actual = rng_between(r, 1, 4000),
	    .used = rng_between(r, 0, 3000),
	    .floor = rng_between(r, 0, 1000),
	    .told = rng_chance(r, 30) ? rng_between(r, 1, 4000) : 0,
	    .late_ms = rng_chance(r, 50) ? rng_between(r, 0, 2000) : 0,
	    .rss = rng_chance(r, 70) ? rng_between(r, 1, 4000) : 0,
	    .risen = rng_chance(r, 40) ? rng_between(r, 1, 500) : 0,
	    .cache = rng_chance(r, 50) ? rng_between(r, 0, 3000) : 0,
	    .doubt = rng_chance(r, 50) ? rng_between(r, 1, 1000) : 0,
	    .weight = rng_chance(r, 50) ? (uint32_t)rng_between(r, 1, 10000) : 0,
	    .trait = rng_chance(r, 40) ? (enum trait)rng_between(r, FIXED, STUCK) : PLAIN,
	};

	return row;
}

/* What is left of what the statistics call idle. */
static uint64_t spared_kib(enum reclaim_way way, const struct guest *g)
{
	uint64_t untouched_kib = sat_sub(g->sample.actual_kib, policy_held_kib(g));

	if (way != RECLAIM_ROOM)
		return sat_add(g->est.doubt_kib, g->est.risen_kib);
	return sat_add(g->est.doubt_kib, 2 * g->est.risen_kib + (g->sample.have & SAMPLE_RSS ? untouched_kib : 0));
}

/* What must hold whatever the world is like. */
static void check_plan(enum reclaim_way way, uint64_t need_kib, uint64_t sum_kib, const struct guest *g, size_t n)
{
	uint64_t given_kib = 0;
	bool all = true;

	for (size_t i = 0; i < n; i++) {
		bool alone = g[i].plan.fixed || g[i].plan.no_take || g[i].hung || g[i].vanished || g[i].order.error;
		uint64_t bottom_kib = reclaim_bottom_kib(&g[i]), least_kib;

		assert_true(g[i].plan.want_kib <= g[i].sample.actual_kib);
		assert_true(!g[i].plan.ask_kib || (!alone && g[i].plan.ask_kib >= bottom_kib));
		assert_true(!g[i].plan.ask_kib || way == RECLAIM_HARD || g[i].plan.ask_kib >= g[i].plan.need_kib);
		assert_true(!g[i].plan.ask_kib || g[i].plan.ask_kib + TOLERANCE < g[i].sample.actual_kib);
		given_kib += g[i].sample.actual_kib - g[i].plan.want_kib;
		least_kib = sat_add(g[i].plan.need_kib, spared_kib(way, &g[i]));
		least_kib = way == RECLAIM_HARD ? min_u64(least_kib, bottom_kib) : least_kib;
		all &= reclaim_refusal(way, TOLERANCE, &g[i]) || g[i].plan.want_kib <= least_kib + TOLERANCE;
	}
	assert_int_equal(given_kib, sum_kib);
	assert_true(sum_kib + TOLERANCE + n >= need_kib || all); /* enough within the tolerance, or all that there is */
}

static void test_worlds(void **state)
{
	struct rng rng = {1};

	(void)state;
	for (unsigned world = 0; world < WORLDS; world++) {
		enum reclaim_way way = (enum reclaim_way)rng_between(&rng, RECLAIM_ROOM, RECLAIM_HARD);
		size_t n = rng_between(&rng, 1, HERD), shift = rng_between(&rng, 1, HERD);
		uint64_t need_kib = rng_between(&rng, 0, 6000 * MIB), sum_kib, turned_kib;
		struct guest g[HERD], turned[HERD];

		for (size_t i = 0; i < n; i++) {
			struct row row = random_row(&rng);

			g[i] = guest_of(&row);
			turned[(i + shift) % n] = g[i];
		}
		sum_kib = plan(way, need_kib, g, n);
		check_plan(way, need_kib, sum_kib, g, n);
		turned_kib = plan(way, need_kib, turned, n); /* the order decides which guest gives the remainder */
		check_plan(way, need_kib, turned_kib, turned, n);
		assert_true(sum_kib <= turned_kib + TOLERANCE && turned_kib <= sum_kib + TOLERANCE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plans),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_second_writer),
	    cmocka_unit_test(test_owes),
	    cmocka_unit_test(test_return),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_spares_untouched),
	    cmocka_unit_test(test_bottom),
	    cmocka_unit_test(test_coming),
	    cmocka_unit_test(test_starting),
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_growing),
	    cmocka_unit_test(test_worlds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
