/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "plan/estimate.h"
#include "expect.h"

#define MIB KIB_PER_MIB
#define MAXIMUM (2048 * MIB)
#define TARGET 150000
#define NONE UINT64_MAX /* used is not known */
#define STEPS 16
#define UP_MS UINT64_C(5000000)  /* the host runs since then */
#define DAY_S UINT64_C(19000000) /* and this was the wall clock's time */

#define expect_near(what, got, wanted, off)                                                                            \
	do {                                                                                                           \
		double has = (double)(got), should = (double)(wanted);                                                 \
                                                                                                                       \
		if (fabs(has - should) > (off))                                                                        \
			fail_msg("%s: " #got " is %.1f, not about %.1f", what, has, should);                           \
	} while (0)

/* A guest and two clocks. */
struct scene {
	const char *what;
	struct estimate_conf conf;
	struct guest g;
	struct instant at;
};

/* In a loop of 1 s: 1000 MiB, of which the guest's kernel keeps 100 and 400 are used. */
static struct scene scene(const char *what)
{
	return (struct scene){
	    .what = what,
	    .conf = {.tolerance_kib = 5000, .interval_ms = 1000, .boot_grace_ms = 15000, .period_s = 1},
	    .g = {.domain_id = 7,
	          .run = RUN_RUNNING,
	          .answered = true,
	          .device = {.balloon = true, .maximum_kib = MAXIMUM, .period_s = 1},
	          .target_kib = TARGET,
	          .sample = {.have = SAMPLE_ACTUAL | SAMPLE_RSS | SAMPLE_AVAILABLE | SAMPLE_UNUSED | SAMPLE_USABLE |
	                             SAMPLE_SWAP_IN | SAMPLE_MAJOR_FAULTS | SAMPLE_LAST_UPDATE,
	                     .actual_kib = 1000 * MIB,
	                     .rss_kib = 1050 * MIB,
	                     .available_kib = 900 * MIB,
	                     .unused_kib = 500 * MIB,
	                     .usable_kib = 600 * MIB,
	                     .swap_in_kib = 1000,
	                     .major_faults = 1000,
	                     .last_update_s = DAY_S}},
	    .at = {.now_ms = UP_MS, .wall_ms = 1000 * DAY_S},
	};
}

static uint64_t plus(uint64_t a, int64_t b)
{
	return b < 0 ? a - (uint64_t)-b : a + (uint64_t)b;
}

static void wait_ms(struct scene *s, uint64_t ms)
{
	s->at.now_ms += ms;
	s->at.wall_ms += ms;
}

/* The guest reports now. */
static void report(struct scene *s)
{
	s->g.sample.last_update_s = s->at.wall_ms / 1000;
}

static const struct estimate *update(struct scene *s)
{
	estimate_update(&s->conf, &s->g, s->at);
	return &s->g.est;
}

/* A second later, with new statistics. */
static const struct estimate *next(struct scene *s)
{
	wait_ms(s, 1000);
	report(s);
	return update(s);
}

/* A second later, using so much more. */
static const struct estimate *uses_more(struct scene *s, int64_t kib)
{
	s->g.sample.usable_kib = plus(s->g.sample.usable_kib, -kib);
	s->g.sample.unused_kib = plus(s->g.sample.unused_kib, -kib);
	return next(s);
}

/* The balloon and the guest's own figures follow. */
static void move(struct scene *s, int64_t kib)
{
	s->g.sample.actual_kib = plus(s->g.sample.actual_kib, kib);
	s->g.sample.available_kib = plus(s->g.sample.available_kib, kib);
	s->g.sample.usable_kib = plus(s->g.sample.usable_kib, kib);
	s->g.sample.unused_kib = plus(s->g.sample.unused_kib, kib);
}

static void ask(struct scene *s, uint64_t kib)
{
	estimate_asked(&s->g, kib, s->at);
}

/* ---- what a guest uses ---- */

enum kind { LINUX, AUTODEFLATE, SILENT /* on available */ };

/* A reading: when, how old the statistics are; MiB. ask: what is asked of the guest after it; 0: nothing. */
struct reading {
	uint64_t at_s, age_s, actual, available, usable, ask, used;
};

static const struct {
	const char *what;
	enum kind kind;
	struct reading step[STEPS];
} loads[] = {
    {"first sight", LINUX, {{0, 0, 1000, 900, 600, 0, 400}}},
    {"first sight of old statistics", LINUX, {{0, 3, 1000, 900, 600, 0, 400}}},
    {"at rest it is what is not free", LINUX, {{0, 0, 1000, 900, 600, 0, 400}, {1, 0, 1000, 900, 500, 0, 500}}},
    {"a kernel that keeps nothing for itself",
     LINUX,
     {{0, 0, 1000, 1000, 600, 800, 400},
      {1, 0, 900, 850, 430, 0, 400}, /* it may be one whose available stays */
      {2, 0, 800, 800, 380, 0, 400},
      {5, 0, 800, 800, 380, 700, 420},
      {6, 0, 750, 750, 310, 0, 440}}},
    {"a take, seen early and late",
     LINUX,
     {{0, 0, 1000, 900, 600, 800, 400},
      {1, 1, 900, 900, 600, 0, 400},
      {2, 0, 850, 800, 500, 0, 400},
      {3, 0, 800, 750, 450, 0, 400},
      {4, 0, 800, 700, 400, 0, 400},
      {9, 0, 800, 700, 400, 0, 400}}},
    {"a give, seen early and late",
     LINUX,
     {{0, 0, 1000, 900, 600, 1300, 400},
      {1, 1, 1200, 900, 600, 0, 400},
      {2, 0, 1300, 1000, 700, 0, 400},
      {3, 0, 1300, 1200, 900, 0, 400},
      {9, 0, 1300, 1200, 900, 0, 400}}},
    {"the load rises while the balloon moves",
     LINUX,
     {{0, 0, 1000, 900, 600, 1300, 400}, {1, 0, 1200, 950, 600, 0, 450}, {2, 0, 1300, 1150, 750, 0, 500}}},
    {"another program moved it",
     LINUX,
     {{0, 0, 1000, 900, 600, 0, 400}, {1, 1, 700, 900, 600, 0, 400}, {2, 0, 600, 500, 200, 0, 400}}},
    {"overhead is not learned while it moves",
     LINUX,
     {{0, 0, 1000, 900, 600, 1300, 400},
      {1, 1, 1200, 900, 600, 0, 400},
      {2, 0, 1200, 1000, 700, 0, 400},
      {3, 0, 1300, 1150, 850, 0, 400}}},
    {"nor from a sample older than the rest",
     LINUX,
     {{0, 0, 1000, 900, 600, 800, 400}, {1, 0, 800, 900, 600, 0, 400}, {3, 3, 800, 900, 600, 0, 400}}},
    {"nor between the command and the first move",
     LINUX,
     {{0, 0, 1000, 900, 600, 800, 400}, {1, 0, 1000, 850, 550, 0, 400}, {2, 0, 900, 800, 500, 0, 400}}},
    {"overhead is learned anew at rest",
     LINUX,
     {{0, 0, 1000, 900, 600, 0, 400}, {5, 0, 1000, 850, 600, 0, 400}, {6, 0, 1000, 850, 550, 0, 450}}},
    {"and at rest after a move",
     LINUX,
     {{0, 0, 1000, 900, 600, 1200, 400},
      {1, 0, 1200, 1000, 700, 0, 400},
      {4, 0, 1200, 1080, 780, 1400, 420},
      {5, 0, 1400, 1180, 880, 0, 420}}},
    {"autodeflate: at rest", AUTODEFLATE, {{0, 0, 1000, 1900, 600, 0, 400}, {1, 0, 1000, 1900, 500, 0, 500}}},
    {"autodeflate: available within actual all the same",
     AUTODEFLATE,
     {{0, 0, 2000, 1900, 1500, 1000, 500}, {1, 0, 1500, 1900, 1000, 0, 500}, {4, 0, 1000, 1900, 500, 0, 500}}},
    {"autodeflate: a moving one is as it was",
     AUTODEFLATE,
     {{0, 0, 1000, 1900, 600, 800, 400},
      {1, 1, 900, 1900, 600, 0, 400},
      {2, 0, 800, 1900, 450, 0, 400},
      {3, 0, 800, 1900, 390, 0, 400},
      {4, 0, 800, 1900, 390, 0, 410}}},
    {"Windows: exceeds actual", LINUX, {{0, 0, 1000, 2000, 600, 0, 400}, {1, 0, 1000, 2000, 500, 0, 500}}},
    {"Windows: a moving one is as it was",
     LINUX,
     {{0, 0, 1000, 2000, 600, 800, 400},
      {1, 0, 900, 2000, 500, 0, 400},
      {2, 0, 800, 2000, 450, 0, 400},
      {4, 0, 800, 2000, 380, 0, 420}}},
    {"Windows: found out at the first rest, remembered in the second move",
     LINUX,
     {{0, 0, 2000, 1990, 1500, 1500, 500},
      {2, 0, 1500, 1990, 1000, 0, 500}, /* looks like a Linux guest with another load */
      {5, 0, 1500, 1990, 1000, 0, 500},
      {6, 0, 1500, 1990, 1000, 1000, 500},
      {7, 0, 1250, 1990, 750, 0, 500},
      {8, 0, 1000, 1990, 500, 0, 500},
      {12, 0, 1000, 1990, 450, 0, 550}}},
    {"Windows, back at its maximum",
     LINUX,
     {{0, 0, 1000, 1990, 600, 2000, 400}, {3, 0, 2000, 1990, 1600, 0, 400}, {6, 0, 2000, 1990, 1600, 0, 400}}},
    {"no available: at rest", SILENT, {{0, 0, 1000, 0, 600, 0, 400}, {1, 0, 1000, 0, 500, 0, 500}}},
    {"no available: a moving one is as it was",
     SILENT,
     {{0, 0, 1000, 0, 600, 800, 400},
      {1, 1, 800, 0, 600, 0, 400},
      {2, 0, 800, 0, 350, 0, 400},
      {5, 0, 800, 0, 350, 0, 450}}},
    {"no available, and more free than it has: of another time", SILENT, {{0, 0, 1000, 0, 1500, 0, NONE}}},
    {"reported once, before its balloon moved", LINUX, {{0, 1, 1000, 1900, 1800, 0, NONE}}},
    {"and is asked to report from now on", LINUX, {{0, 9, 1000, 1900, 1800, 0, NONE}, {1, 0, 1000, 900, 600, 0, 400}}},
    {"more free than it has, after it was known",
     SILENT,
     {{0, 0, 1000, 0, 600, 0, 400}, {1, 0, 1000, 0, 1001, 0, 400}}},
};

static void test_used(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(loads); r++) {
		struct scene s = scene(loads[r].what);

		s.g.device.autodeflate = loads[r].kind == AUTODEFLATE;
		if (loads[r].kind == SILENT)
			s.g.sample.have &= ~(unsigned)SAMPLE_AVAILABLE;
		for (size_t i = 0; i < STEPS && loads[r].step[i].actual; i++) {
			const struct reading *step = &loads[r].step[i];

			s.at = (struct instant){UP_MS + 1000 * step->at_s, 1000 * (DAY_S + step->at_s)};
			s.g.sample.actual_kib = step->actual * MIB;
			s.g.sample.available_kib = step->available * MIB;
			s.g.sample.usable_kib = s.g.sample.unused_kib = step->usable * MIB;
			s.g.sample.last_update_s = DAY_S + step->at_s - step->age_s;
			update(&s);
			if (s.g.est.has_used != (step->used != NONE) ||
			    (step->used != NONE && s.g.est.used_kib != step->used * MIB))
				fail_msg("%s: at %d s used is %s %.1f MiB, not %.1f", s.what, (int)step->at_s,
				         s.g.est.has_used ? "known:" : "not known:",
				         (double)s.g.est.used_kib / (double)MIB, (double)step->used);
			if (step->ask)
				ask(&s, step->ask * MIB);
		}
	}
}

/* First seen after a pass that brought nothing, or nonsense: first sight all the same. */
static void test_first_sight(void **state)
{
	static const char *const whats[] = {"did not answer", "absurd", "no actual", "no statistics yet"};

	(void)state;
	for (size_t r = 0; r < COUNT(whats); r++) {
		struct scene s = scene(whats[r]);
		struct sample good = s.g.sample;

		s.g.answered = r != 0;
		if (r == 0)
			s.g.sample = (struct sample){.have = 0};
		if (r == 1)
			s.g.sample.usable_kib = UINT64_MAX;
		if (r == 2) {
			s.g.sample.have &= ~(unsigned)SAMPLE_ACTUAL;
			s.g.sample.actual_kib = 0;
		}
		if (r == 3)
			s.g.sample.last_update_s = 0;
		expect(s.what, update(&s)->has_used, false);
		s.g.answered = true;
		s.g.sample = good;
		expect(s.what, next(&s)->has_used, true);
		expect(s.what, s.g.est.settled, true);
		expect(s.what, s.g.est.used_kib, 400 * MIB);
		move(&s, -(int64_t)(200 * MIB));
		expect(s.what, next(&s)->used_kib, 400 * MIB);
	}
}

/*
 * A guest on its first way down, which uses 50 MiB more since. If its available follows, that is all; if not, what the
 * balloon took looks used, too. One of which more is known may have used any amount.
 */
static void test_doubt(void **state)
{
	struct scene s = scene("on its first way down");

	(void)state;
	expect(s.what, update(&s)->doubt_kib, 0);
	ask(&s, 700 * MIB);
	move(&s, -(int64_t)(200 * MIB));
	expect(s.what, uses_more(&s, 50 * MIB)->predates_move, true);
	expect(s.what, s.g.est.used_kib, 400 * MIB);
	expect(s.what, s.g.est.doubt_kib, 50 * MIB);
	s.g.sample.available_kib += 200 * MIB;
	expect(s.what, next(&s)->doubt_kib, 250 * MIB);
	s.g.past.learned = false;
	s.g.past.follows = STAYS;
	move(&s, -(int64_t)(10 * MIB));
	expect(s.what, next(&s)->doubt_kib, UINT64_MAX);
}

/* Damage that parses: each time beyond now, and waits longer than any here. */
static void test_unsound(void **state)
{
	struct scene s = scene("a record of the past");
	struct past *p = &s.g.past;
	uint64_t *times_ms[] = {&p->seen_ms,   &p->still_ms,        &p->asked_ms,     &p->sample_ms,
	                        &p->booted_ms, &p->last.decided_ms, &p->low.since_ms, &p->peak.since_ms};

	(void)state;
	for (int i = 0; i < 8; i++) { /* asked again and again, and stuck */
		update(&s);
		ask(&s, i < 6 ? 800 * MIB : 300 * MIB);
		assert_true(past_is_sound(p, s.at.now_ms));
		next(&s);
	}
	for (size_t i = 0; i < sizeof(times_ms) / sizeof(*times_ms); i++) {
		uint64_t before = *times_ms[i];

		*times_ms[i] = s.at.now_ms + 1;
		assert_false(past_is_sound(p, s.at.now_ms));
		*times_ms[i] = before;
	}
	p->retry_ms = s.at.now_ms + p->pause_ms;
	p->follows = STAYS;
	assert_true(past_is_sound(p, s.at.now_ms));
	p->retry_ms++;
	assert_false(past_is_sound(p, s.at.now_ms));
	p->retry_ms--;
	p->follows++;
	assert_false(past_is_sound(p, s.at.now_ms));
}

/* Another domain id is another boot: nothing of the past counts. */
static void test_forgets(void **state)
{
	struct scene s = scene("another domain id");
	struct past fresh = {.known = true};

	(void)state;
	update(&s);
	uses_more(&s, 50 * MIB);
	ask(&s, 800 * MIB);
	for (int i = 0; i < 5; i++)
		next(&s);
	expect(s.what, s.g.est.stuck, true);
	s.conf.interval_ms = 0;
	s.g.domain_id = 8;
	s.g.sample.available_kib -= 10 * MIB;
	s.g.sample.swap_in_kib = 0;
	next(&s);
	expect(s.what, s.g.est.stuck, false);
	expect(s.what, s.g.est.rebooted, false);
	expect(s.what, s.g.est.booting, false);
	expect(s.what, s.g.est.settled, true);
	expect(s.what, s.g.est.lead_ms, 62000);
	expect(s.what, s.g.est.foreseen_kib, 0);
	expect(s.what, s.g.est.used_kib, 450 * MIB);
	expect(s.what, s.g.past.growth_kibps, fresh.growth_kibps);
	expect(s.what, s.g.past.asked_kib, fresh.asked_kib);
	expect(s.what, s.g.past.refused, fresh.refused);
	expect(s.what, s.g.past.pause_ms, fresh.pause_ms);
	expect(s.what, s.g.past.overhead_kib, 110 * MIB);
}

/* ---- memory that comes and goes without the balloon ---- */

static const struct {
	const char *what;
	int64_t maximum, outside, actual; /* MiB more than before */
	uint64_t used;                    /* MiB, once it is known again */
} plugs[] = {
    {"a DIMM that the guest does not put to use", 1024, 0, 1024, 400 + 1024},
    {"a DIMM whose plugging actual does not show yet", 1024, 0, 0, 400},
    {"an NVDIMM", 0, 1024, 0, 400},
    {"a DIMM that the guest used is unplugged", -200, 0, -200, 400},
};

/* What was learned and asked of the guest of before is void, and nothing is known until a sample at rest. */
static void test_memory_devices(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(plugs); r++) {
		struct scene s = scene(plugs[r].what);

		next(&s);
		ask(&s, 800 * MIB);
		next(&s);
		s.g.device.maximum_kib = plus(s.g.device.maximum_kib, plugs[r].maximum * (int64_t)MIB);
		s.g.device.outside_kib = plus(s.g.device.outside_kib, plugs[r].outside * (int64_t)MIB);
		if (plugs[r].actual < 0)
			move(&s, plugs[r].actual * (int64_t)MIB);
		else
			s.g.sample.actual_kib = plus(s.g.sample.actual_kib, plugs[r].actual * (int64_t)MIB);
		expect(s.what, update(&s)->has_used, false);
		expect(s.what, s.g.past.asked_kib, 0);
		expect(s.what, next(&s)->has_used, false);
		next(&s);
		expect(s.what, next(&s)->has_used, true);
		expect(s.what, s.g.est.used_kib, plugs[r].used * MIB);
	}
}

/* Without a word of a device: what the sample implies holds for every plan, what was asked for apart. */
static void test_implied(void **state)
{
	struct scene s = scene("actual jumps");

	(void)state;
	expect(s.what, next(&s)->implied_kib, 400 * MIB);
	s.g.sample.actual_kib += 1024 * MIB;
	expect(s.what, next(&s)->implied_kib, (400 + 1024) * MIB);
	s = scene("actual rises as asked");
	next(&s);
	ask(&s, 1300 * MIB);
	s.g.sample.actual_kib += 200 * MIB;
	wait_ms(&s, 500);
	expect(s.what, update(&s)->implied_kib, 400 * MIB);
	estimate_reread(&s.g.past, 1300 * MIB, s.at);
	s.g.sample.actual_kib += (100 + 1024) * MIB;
	expect(s.what, update(&s)->implied_kib, (400 + 1024) * MIB);
	s.g.sample.actual_kib -= 1024 * MIB;
	expect(s.what, update(&s)->implied_kib, 400 * MIB);
	s.g.sample.usable_kib += 300 * MIB;
	s.g.sample.available_kib += 300 * MIB;
	for (int i = 0; i < 3; i++)
		next(&s);
	expect(s.what, s.g.est.implied_kib, 400 * MIB);
	s = scene("actual rises as asked before, and then the guest turns round");
	next(&s);
	ask(&s, 1300 * MIB);
	wait_ms(&s, 500);
	ask(&s, 900 * MIB);
	s.g.sample.actual_kib += 200 * MIB;
	expect(s.what, update(&s)->implied_kib, 400 * MIB);
	s.g.sample.actual_kib += 1024 * MIB;
	expect(s.what, update(&s)->implied_kib, (400 + 1024 - 100) * MIB);
	s.g.past.follows = FOLLOWS; /* from 1300 to 900 */
	expect(s.what, update(&s)->implied_kib, (400 + 1024 + 200 - 300) * MIB);
	s = scene("it was asked to shrink at rest");
	next(&s);
	ask(&s, 900 * MIB);
	s.g.sample.actual_kib += 200 * MIB;
	expect(s.what, update(&s)->implied_kib, (400 + 200) * MIB);
}

/* The guest was asked to shrink from 1000 to 700 MiB. Its own figures may show that before actual does. MiB. */
static const struct {
	const char *what;
	uint64_t actual, available, follows, implied;
} shrinks[] = {
    {"neither shows it", 1000, 900, FOLLOWS, 400},
    {"both show it", 700, 600, FOLLOWS, 400},
    {"actual lags", 1000, 600, FOLLOWS, 400},
    {"actual lags by a part", 900, 650, FOLLOWS, 400},
    {"available shows more than was asked", 1000, 500, FOLLOWS, 400 + 100},
    {"a device is plugged meanwhile", 1000 + 1024, 600, FOLLOWS, 400 + 1024},
    {"a small device is plugged before it gives", 1000 + 256, 900, FOLLOWS, 400 + 256},
    {"available may stay", 1000, 600, FOLLOWS_UNKNOWN, 400 + 300},
    {"available stays", 1000, 600, STAYS, 400 + 300},
};

static void test_implied_by_a_guest_that_shrinks(void **state)
{
	(void)state;
	for (size_t r = 0; r < sizeof(shrinks) / sizeof(*shrinks); r++) {
		struct scene s = scene(shrinks[r].what);
		uint64_t used_kib;

		next(&s);
		s.g.past.follows = (uint32_t)shrinks[r].follows;
		ask(&s, 700 * MIB);
		used_kib = s.g.sample.available_kib - s.g.sample.usable_kib;
		s.g.sample.actual_kib = shrinks[r].actual * MIB;
		s.g.sample.available_kib = shrinks[r].available * MIB;
		s.g.sample.usable_kib = s.g.sample.available_kib - used_kib;
		s.g.sample.unused_kib = s.g.sample.usable_kib - 100 * MIB;
		expect(s.what, next(&s)->implied_kib, shrinks[r].implied * MIB);
	}
}

/* ---- which figures ---- */

#define WHOLE                                                                                                          \
	(SAMPLE_ACTUAL | SAMPLE_RSS | SAMPLE_AVAILABLE | SAMPLE_UNUSED | SAMPLE_USABLE | SAMPLE_SWAP_IN |              \
	 SAMPLE_MAJOR_FAULTS | SAMPLE_LAST_UPDATE)

static const struct {
	const char *what;
	unsigned lacks;                  /* enum sample_field */
	uint64_t usable_mib, unused_mib; /* 0: 600, 500 */
	bool has_used;
	uint64_t free_mib, cache_mib, kept_mib;
} frees[] = {
    {"usable and unused", 0, 0, 0, true, 600, 100, 0},
    {"usable is missing", SAMPLE_USABLE, 0, 0, true, 500, 0, 0},
    {"unused is missing: nothing is known of the cache", SAMPLE_UNUSED, 0, 0, true, 600, 0, 0},
    {"both are missing", SAMPLE_UNUSED | SAMPLE_USABLE, 0, 0, false, 0, 0, 0},
    {"usable below unused: the kernel's marks; not all of them are believed", 0, 544, 800, true, 544, 0, 64},
    {"three quarters of what is below it stay unused", 0, 460, 500, true, 460, 0, 30},
    {"usable far below unused: its driver does not know it", 0, 1, 800, true, 800, 0, 0},
    {"usable half of unused, on a guest of many GiB", 0, 400, 800, true, 400, 0, 64},
    {"no actual", SAMPLE_ACTUAL, 0, 0, false, 0, 0, 0},
    {"no time of the last update", SAMPLE_LAST_UPDATE, 0, 0, false, 0, 0, 0},
    {"no counters, no rss", SAMPLE_SWAP_IN | SAMPLE_MAJOR_FAULTS | SAMPLE_RSS, 0, 0, true, 600, 100, 0},
    {"nothing", WHOLE, 0, 0, false, 0, 0, 0},
};

static void test_free_memory(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(frees); r++) {
		struct scene s = scene(frees[r].what);

		s.g.sample.have &= ~frees[r].lacks;
		s.g.sample.usable_kib = frees[r].usable_mib ? frees[r].usable_mib * MIB : 600 * MIB;
		s.g.sample.unused_kib = frees[r].unused_mib ? frees[r].unused_mib * MIB : 500 * MIB;
		expect(s.what, update(&s)->has_used, frees[r].has_used);
		expect(s.what, s.g.est.distress || s.g.est.stuck || s.g.est.rebooted || s.g.est.booting, false);
		if (!frees[r].has_used)
			continue;
		expect(s.what, s.g.est.free_kib, frees[r].free_mib * MIB);
		expect(s.what, s.g.est.cache_kib, frees[r].cache_mib * MIB);
		expect(s.what, s.g.est.kept_kib, frees[r].kept_mib * MIB);
		expect(s.what, s.g.est.used_kib, (1000 - frees[r].free_mib) * MIB);
	}
}

#define ALL UINT64_MAX

static const struct {
	const char *what;
	uint64_t available, usable, unused; /* MiB; ALL: 2^64 - 1 KiB */
	bool absurd;
} figures[] = {
    {"plain", 900, 600, 500, false},
    {"all of it free", 900, 900, 900, false},
    {"nothing free", 900, 0, 0, false},
    {"unused above usable: the kernel's marks", 900, 10, 20, false},
    {"available is the maximum", 2048, 600, 500, false},
    {"available above the maximum", 2049, 600, 500, true},
    {"usable above available", 900, 901, 500, true},
    {"unused above available", 900, 600, 901, true},
    {"usable of 2^64 - 1", 900, ALL, 500, true},
    {"unused of 2^64 - 1", 900, 600, ALL, true},
    {"available of 2^64 - 1", ALL, 600, 500, true},
    {"all of 2^64 - 1", ALL, ALL, ALL, true},
    {"no memory at all", 0, 0, 0, true},
    {"no memory, some of it free", 0, 600, 500, true},
};

static uint64_t figure_kib(uint64_t mib)
{
	return mib == ALL ? UINT64_MAX : mib * MIB;
}

static void test_absurd(void **state)
{
	(void)state;
	for (size_t r = 0; r < 2 * COUNT(figures); r++) {
		size_t i = r / 2;
		struct scene s = scene(figures[i].what);
		struct sample good = s.g.sample;
		uint64_t growth;

		if (r % 2) { /* and in the middle of a life */
			update(&s);
			for (int k = 0; k < 5; k++)
				uses_more(&s, 10 * MIB);
			good = s.g.sample;
		}
		growth = s.g.past.growth_kibps;
		s.g.sample.available_kib = figure_kib(figures[i].available);
		s.g.sample.usable_kib = figure_kib(figures[i].usable);
		s.g.sample.unused_kib = figure_kib(figures[i].unused);
		next(&s);
		expect(s.what, s.g.est.absurd, figures[i].absurd);
		expect(s.what, s.g.est.has_used, !figures[i].absurd);
		if (!figures[i].absurd)
			continue;
		expect(s.what, s.g.past.growth_kibps, growth);
		s.g.sample = good;
		next(&s);
		expect(s.what, s.g.est.used_kib, (r % 2 ? 450 : 400) * MIB);
	}
}

/* Nothing that a guest says makes it unpredictable; the sanitizers watch. */
static void test_any_figures(void **state)
{
	static const uint64_t some[] = {0,         1,          4095,           KIB_PER_GIB,    2 * KIB_PER_GIB,
	                                INT64_MAX, UINT32_MAX, UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX};
	uint32_t seed = 4711;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		struct scene s = scene("any figures");
		struct sample *m = &s.g.sample;
		uint64_t *field[] = {
		    &m->actual_kib,     &m->rss_kib,       &m->available_kib,        &m->unused_kib,
		    &m->usable_kib,     &m->swap_in_kib,   &m->major_faults,         &m->last_update_s,
		    &s.g.started_s,     &s.g.target_kib,   &s.g.device.maximum_kib,  &s.g.past.overhead_kib,
		    &s.at.wall_ms,      &s.at.now_ms,      &s.g.past.asked_from_kib, &s.g.past.asked_kib,
		    &s.g.past.still_ms, &s.g.past.qemu_kib};

		for (int i = 0; i < 4; i++) {
			for (size_t f = 0; f < COUNT(field); f++) {
				seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
				if (seed % 4 == 0)
					*field[f] = some[seed / 4 % COUNT(some)];
			}
			m->have = seed % 8 ? WHOLE : seed / 8;
			s.g.device.autodeflate = seed / 16 % 4 == 0;
			update(&s);
			expect(s.what, s.g.est.has_used && s.g.est.absurd, false);
			if (seed / 64 % 2)
				ask(&s, m->usable_kib);
		}
	}
}

/* ---- growth ---- */

/* The same statistics read again: only their age changes. */
static void test_same_again(void **state)
{
	struct scene s = scene("the same sample again");
	struct past past;
	struct estimate est;

	(void)state;
	s.g.device.period_s = 10;
	s.g.sample.usable_kib = s.g.sample.unused_kib = 280 * MIB;
	update(&s);
	for (int i = 0; i < 2; i++) {
		wait_ms(&s, 10000);
		s.g.sample.usable_kib -= 20 * MIB;
		s.g.sample.swap_in_kib += 100000;
		report(&s);
		update(&s);
	}
	past = s.g.past;
	est = s.g.est;
	for (int i = 1; i <= 5; i++) {
		wait_ms(&s, 1000);
		update(&s);
		expect(s.what, s.g.est.used_kib, est.used_kib);
		expect(s.what, s.g.est.foreseen_kib, est.foreseen_kib);
		expect(s.what, s.g.est.distress, true);
		expect(s.what, s.g.est.age_ms, 1000 * (uint64_t)i);
		expect(s.what, s.g.past.growth_kibps, past.growth_kibps);
		expect(s.what, s.g.past.rise_kibps, past.rise_kibps);
		expect(s.what, s.g.past.distress_samples, 2);
		expect(s.what, s.g.past.sample_ms, past.sample_ms);
		expect(s.what, s.g.past.overhead_kib, past.overhead_kib);
	}
}

/* Used, KiB above the beginning, at so many seconds after it; 0 ends. */
static const struct {
	const char *what;
	struct {
		uint64_t at_s;
		int64_t used_kib;
	} step[STEPS];
	double growth;    /* KiB/s, by hand: up at once, down by 1 - exp(-dt/3) towards the rate */
	double last_rise; /* KiB/s */
} growths[] = {
    {"constant", {{1, 0}, {2, 0}, {3, 0}}, 0, 0},
    {"one rise", {{1, 9000}}, 9000, 9000},
    {"two", {{1, 9000}, {2, 18000}}, 9000, 9000},
    {"a faster one", {{1, 9000}, {2, 28000}}, 19000, 19000},
    {"a slower one", {{1, 9000}, {2, 12000}}, 9000 * 0.71653 + 3000 * 0.28347, 3000},
    {"the same rate, seen once", {{3, 27000}}, 9000, 9000},
    {"the same rate, seen irregularly", {{2, 18000}, {3, 27000}}, 9000, 9000},
    {"a minute of it", {{60, 540000}}, 9000, 9000},
    {"a jump, then rest", {{1, 9000}, {2, 9000}}, 9000 * 0.71653, 0},
    {"a jump, then little", {{1, 90000}, {2, 91000}}, 90000 * 0.71653 + 1000 * 0.28347, 1000},
    {"a jump, then a long rest", {{1, 90000}, {31, 90000}}, 4, 0},
    {"a fall is no growth", {{1, -90000}}, 0, 0},
    {"nor does it hide the next rise", {{1, -90000}, {2, -81000}}, 9000, 9000},
    {"a rise that falls back", {{1, 9000}, {2, 0}}, 9000 * 0.43306, 0},
};

static void test_growth(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(growths); r++) {
		struct scene s = scene(growths[r].what);
		double foreseen = fmin(growths[r].growth, growths[r].last_rise) * 3; /* interval, period, lag */

		update(&s);
		expect(s.what, s.g.est.foreseen_kib, 0);
		for (size_t i = 0; growths[r].step[i].at_s; i++) {
			s.at.now_ms = UP_MS + 1000 * growths[r].step[i].at_s;
			s.at.wall_ms = 1000 * (DAY_S + growths[r].step[i].at_s);
			s.g.sample.usable_kib = plus(600 * MIB, -growths[r].step[i].used_kib);
			s.g.sample.unused_kib = 0;
			report(&s);
			update(&s);
		}
		expect_near(s.what, s.g.past.growth_kibps, growths[r].growth, 3 + growths[r].growth / 1000);
		expect_near(s.what, s.g.est.foreseen_kib, foreseen, 6 + foreseen / 1000);
	}
}

/* Of samples that say nothing of the load, growth does not learn: all that was used meanwhile rose over all that time.
 */
static void test_growth_over_a_move(void **state)
{
	struct scene s = scene("a rise over a move that hides it");

	(void)state;
	s.g.device.autodeflate = true;
	update(&s);
	ask(&s, 800 * MIB);
	s.g.sample.actual_kib = 800 * MIB;
	s.g.sample.usable_kib -= 200 * MIB;
	next(&s);
	uses_more(&s, 10000);
	uses_more(&s, 10000);
	expect(s.what, s.g.est.used_kib, 400 * MIB + 20000);
	expect_near(s.what, s.g.past.rise_kibps, 20000 / 3, 1);
}

/* What a moving balloon shows is no growth. */
static void test_growth_of_moved(void **state)
{
	static const int64_t moves[] = {200000, 300000, -150000, -100000, 300000};
	struct scene s = scene("a moving balloon");

	(void)state;
	update(&s);
	for (size_t i = 0; i < COUNT(moves); i++) {
		ask(&s, plus(s.g.sample.actual_kib, moves[i]));
		s.g.sample.actual_kib = plus(s.g.sample.actual_kib, (moves[i] / 2)); /* seen before the sample … */
		next(&s);
		expect(s.what, s.g.est.foreseen_kib, 0);
		s.g.sample.actual_kib = plus(s.g.sample.actual_kib, (moves[i] - moves[i] / 2));
		s.g.sample.available_kib = plus(s.g.sample.available_kib, moves[i]); /* … and after it */
		s.g.sample.usable_kib = plus(s.g.sample.usable_kib, moves[i]);
		s.g.sample.unused_kib = plus(s.g.sample.unused_kib, moves[i]);
		next(&s);
		expect(s.what, s.g.est.foreseen_kib, 0);
		expect(s.what, s.g.est.used_kib, 400 * MIB);
	}
}

static const struct {
	const char *what;
	uint32_t interval_ms, period_s, conf_period_s;
	uint64_t gap_ms; /* since the last pass; 0: there was none */
	uint64_t lead_ms;
} leads[] = {
    {"loop", 1000, 1, 1, 1000, 3000},
    {"loop, first pass", 1000, 1, 1, 0, 3000},
    {"loop, of 5 s", 5000, 1, 1, 5000, 7000},
    {"loop, a pass that took long", 1000, 1, 1, 4000, 3000},
    {"loop, statistics of 10 s", 1000, 10, 1, 1000, 12000},
    {"loop, the guest has no period", 1000, 0, 1, 1000, 3000},
    {"single, first pass", 0, 10, 10, 0, 71000},
    {"single, after a minute", 0, 10, 10, 60000, 71000},
    {"single, after 7 s", 0, 10, 10, 7000, 18000},
    {"single, at once again", 0, 10, 10, 20, 12000},
    {"single, after a night", 0, 10, 10, 28800000, 71000},
    {"single, a period of its own", 0, 2, 10, 60000, 63000},
    {"single, the guest has no period", 0, 0, 10, 60000, 71000},
};

static void test_lead(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(leads); r++) {
		struct scene s = scene(leads[r].what);

		s.conf.interval_ms = leads[r].interval_ms;
		s.conf.period_s = leads[r].conf_period_s;
		s.g.device.period_s = leads[r].period_s;
		if (leads[r].gap_ms) {
			update(&s);
			wait_ms(&s, leads[r].gap_ms);
		}
		expect(s.what, update(&s)->lead_ms, leads[r].lead_ms);
	}
}

/* Growth that cron sees is foreseen for the minute until cron comes again. */
static void test_foreseen_by_cron(void **state)
{
	struct scene s = scene("cron");

	(void)state;
	s.conf.interval_ms = 0;
	s.conf.period_s = s.g.device.period_s = 10;
	update(&s);
	wait_ms(&s, 60000);
	s.g.sample.usable_kib -= 60 * 1000;
	report(&s);
	expect_near(s.what, update(&s)->foreseen_kib, 71 * 1000, 100);
	wait_ms(&s, 60000);
	s.g.sample.usable_kib -= 60 * 10;
	report(&s);
	expect_near(s.what, update(&s)->foreseen_kib, 71 * 10, 10);
}

/* ---- time ---- */

static const struct {
	const char *what;
	uint32_t period_s, conf_period_s;
	int64_t age_ms; /* of the sample by the wall clock */
	bool stale;
} ages[] = {
    {"fresh", 1, 10, 0, false},
    {"a period old", 1, 10, 1000, false},
    {"three periods", 1, 10, 3000, false},
    {"three, and the cut to the second", 1, 10, 4000, false},
    {"more", 1, 10, 4001, true},
    {"three periods of ten", 10, 1, 30000, false},
    {"more of these", 10, 1, 31001, true},
    {"no period of its own", 0, 10, 31000, false},
    {"no period of its own, older", 0, 10, 31001, true},
    {"a day", 1, 1, 86400000, true},
    {"from the future", 1, 1, -5000, false},
    {"from far in the future", 1, 1, -86400000, false},
};

static void test_stale(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(ages); r++) {
		struct scene s = scene(ages[r].what);

		s.g.device.period_s = ages[r].period_s;
		s.conf.period_s = ages[r].conf_period_s;
		s.at.wall_ms = plus(s.at.wall_ms, ages[r].age_ms);
		expect(s.what, update(&s)->stale, ages[r].stale);
		expect(s.what, s.g.est.has_age, true);
		expect(s.what, s.g.est.age_ms, (uint64_t)(ages[r].age_ms > 0 ? ages[r].age_ms : 0));
		expect(s.what, s.g.est.has_used, true);
	}
}

/* Clocks do what they like; statistics that stop are stale all the same, and new ones are not. */
static void test_clocks(void **state)
{
	static const struct {
		const char *what;
		int64_t jump_ms;  /* of the wall clock, once, after the first pass */
		bool wall_stands; /* and after that */
		bool reports;
		bool stale; /* 10 s later */
	} rows[] = {
	    {"goes on", 0, false, true, false},
	    {"goes on, the guest does not", 0, false, false, true},
	    {"stands, and the guest too", 0, true, false, true},
	    {"set back an hour", -3600000, false, true, false},
	    {"set back an hour, the guest silent", -3600000, false, false, true},
	    {"set back a second", -1000, false, true, false},
	    {"set forward an hour", 3600000, false, true, false},
	    {"set forward an hour, the guest silent", 3600000, false, false, true},
	};

	(void)state;
	for (size_t r = 0; r < COUNT(rows); r++) {
		struct scene s = scene(rows[r].what);

		update(&s);
		s.at.wall_ms = plus(s.at.wall_ms, rows[r].jump_ms);
		for (int i = 0; i < 10; i++) {
			s.at.now_ms += 1000;
			s.at.wall_ms += rows[r].wall_stands ? 0 : 1000;
			if (rows[r].reports) {
				s.g.sample.usable_kib -= 1000;
				report(&s);
			}
			update(&s);
			expect(s.what, s.g.est.has_used, true);
			expect(s.what, s.g.est.distress || s.g.est.rebooted || s.g.est.booting, false);
			expect(s.what, s.g.est.foreseen_kib <= 6000, true); /* a second that is lost doubles a rate */
		}
		expect(s.what, s.g.est.stale, rows[r].stale);
		if (rows[r].stale)
			expect(s.what, s.g.est.foreseen_kib, 0);
	}
}

static const struct {
	const char *what;
	uint64_t started_s; /* 0: no start was seen */
	int64_t wall_ms;    /* now, after that start */
	bool booting;
} starts[] = {
    {"no start seen", 0, 0, false},
    {"just started", DAY_S, 0, true},
    {"within the grace", DAY_S, 14999, true},
    {"after it", DAY_S, 15000, false},
    {"long after", DAY_S, 86400000, false},
    {"the clock was set back a little since", DAY_S, -5000, true},
    {"the clock was set back a day since", DAY_S, -86400000, false},
    {"started beyond all time", UINT64_MAX, 0, false},
    {"started beyond all time in ms", UINT64_MAX / 1000, 0, false},
};

static void test_boot_grace(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(starts); r++)
		for (int answered = 0; answered < 2; answered++) {
			struct scene s = scene(starts[r].what);

			s.g.started_s = starts[r].started_s;
			s.g.answered = answered;
			s.at.wall_ms = plus(1000 * DAY_S, starts[r].wall_ms);
			expect(s.what, update(&s)->booting, starts[r].booting);
		}
}

/* A grace of nothing is none. */
static void test_no_boot_grace(void **state)
{
	struct scene s = scene("no grace");

	(void)state;
	s.conf.boot_grace_ms = 0;
	s.g.started_s = DAY_S;
	expect(s.what, update(&s)->booting, false);
	s.g.sample.swap_in_kib = s.g.sample.major_faults = 0;
	expect(s.what, next(&s)->booting, false);
	expect(s.what, s.g.est.rebooted, true);
}

/* ---- reboots ---- */

static const struct {
	const char *what;
	uint64_t swap_in, faults;    /* before: 1000 */
	uint64_t let_go;             /* MiB that it uses no more */
	uint64_t silent_s, unread_s; /* no statistics came; no pass read it */
	unsigned lacks;
	bool rebooted;
} counters[] = {
    {.what = "they go on", .swap_in = 1001, .faults = 1001},
    {.what = "they stand", .swap_in = 1000, .faults = 1000},
    {.what = "swap-in back: a driver's mistake", .swap_in = 0, .faults = 1000},
    {.what = "faults back: likewise", .swap_in = 1000, .faults = 5},
    {.what = "both back", .swap_in = 0, .faults = 5, .rebooted = true},
    {.what = "swap-in back, and little in use", .faults = 1000, .let_go = 33, .rebooted = true},
    {.what = "faults back, and little in use", .swap_in = 1000, .let_go = 33, .rebooted = true},
    {.what = "faults back, as much in use as before", .swap_in = 1000, .let_go = 32},
    {.what = "faults back after a silence", .swap_in = 1000, .silent_s = 3, .rebooted = true},
    {.what = "faults back after a late sample", .swap_in = 1000, .silent_s = 2},
    {.what = "faults back when it is read again", .swap_in = 1000, .unread_s = 9},
    {.what = "little in use", .swap_in = 1000, .faults = 1000, .let_go = 400},
    {.what = "swap-in no longer reported", .faults = 1000, .lacks = SAMPLE_SWAP_IN},
    {.what = "faults no longer reported", .swap_in = 1000, .lacks = SAMPLE_MAJOR_FAULTS},
};

static void test_reboot_by_counters(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(counters); r++) {
		struct scene s = scene(counters[r].what);
		struct sample before;

		update(&s);
		uses_more(&s, 20 * MIB);
		uses_more(&s, 0);
		ask(&s, 1100 * MIB);
		for (uint64_t i = 0; i < counters[r].silent_s; i++) {
			wait_ms(&s, 1000);
			update(&s);
		}
		before = s.g.sample;
		s.g.sample.have &= ~counters[r].lacks;
		s.g.sample.swap_in_kib = counters[r].swap_in;
		s.g.sample.major_faults = counters[r].faults;
		s.g.sample.unused_kib += counters[r].let_go * MIB;
		s.g.sample.usable_kib += counters[r].let_go * MIB;
		wait_ms(&s, 1000 * counters[r].unread_s);
		next(&s);
		expect(s.what, s.g.est.rebooted, counters[r].rebooted);
		expect(s.what, s.g.est.booting, counters[r].rebooted);
		expect(s.what, s.g.past.surge_kib == 0, counters[r].rebooted);
		expect(s.what, s.g.past.asked_kib == 0, counters[r].rebooted);
		next(&s);
		expect(s.what, s.g.est.rebooted, false); /* it did only once */
		wait_ms(&s, 14000);
		expect(s.what, update(&s)->booting, false);
		if (counters[r].lacks) {
			s.g.sample.have = before.have;
			s.g.sample.swap_in_kib = before.swap_in_kib;
			s.g.sample.major_faults = before.major_faults;
			expect(s.what, next(&s)->rebooted, false); /* they are reported again, as they were */
		}
	}
}

/* What a guest uses after its reboot is no growth, and what it swapped before is no distress. */
static void test_load_after_reboot(void **state)
{
	struct scene s = scene("load after a reboot");

	(void)state;
	update(&s);
	s.g.sample.usable_kib = s.g.sample.unused_kib = 240000;
	for (int i = 0; i < 3; i++) {
		s.g.sample.swap_in_kib += 5000;
		uses_more(&s, 10000);
	}
	expect(s.what, s.g.est.distress, true);
	s.g.sample.swap_in_kib = s.g.sample.major_faults = 900;
	uses_more(&s, 200000);
	expect(s.what, s.g.est.rebooted, true);
	expect(s.what, s.g.est.distress, false);
	expect(s.what, s.g.est.foreseen_kib, 0);
	s.g.sample.swap_in_kib += 500;
	expect(s.what, next(&s)->distress, false);
	s.g.sample.swap_in_kib += 500;
	expect(s.what, next(&s)->distress, true);

	/* nor what it had before, if it fell silent first */
	s = scene("load after a silent reboot");
	update(&s);
	wait_ms(&s, 10000);
	s.g.sample.rss_kib += 200 * MIB;
	expect(s.what, update(&s)->rebooted, true);
	s.g.sample.swap_in_kib = s.g.sample.major_faults = 0;
	uses_more(&s, 200000);
	expect(s.what, s.g.est.rebooted, false);
	expect(s.what, s.g.est.foreseen_kib, 0);
	expect(s.what, s.g.past.growth_kibps, 0);
}

/* The same sample does not tell of a reboot twice, nor of one at first sight. */
static void test_grace_of_a_reboot(void **state)
{
	struct scene s = scene("grace of a reboot");

	(void)state;
	update(&s);
	s.g.sample.major_faults = s.g.sample.swap_in_kib = 0;
	expect(s.what, next(&s)->rebooted, true);
	for (int i = 1; i < 15; i++) {
		expect(s.what, next(&s)->booting, true);
		expect(s.what, s.g.est.rebooted, false);
	}
	expect(s.what, next(&s)->booting, false);
}

static const struct {
	const char *what;
	uint64_t silent_s;
	int64_t more_rss_kib;
	bool rebooted;
} silences[] = {
    {"silent", 10, 0, false},
    {"silent, and rss within the slack", 10, 46 * MIB, false}, /* of QEMU's 64 and 32 */
    {"silent, and rss rises", 10, 47 * MIB, true},
    {"silent, and rss falls", 10, -(int64_t)(40 * MIB), false},
    {"rss rises while it speaks", 0, 90 * MIB, false},
    {"rss rises, not yet silent for long", 3, 90 * MIB, false},
};

static void test_reboot_by_rss(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(silences); r++) {
		struct scene s = scene(silences[r].what);

		update(&s);
		next(&s);
		s.g.sample.rss_kib = plus(s.g.sample.rss_kib, silences[r].more_rss_kib);
		wait_ms(&s, 1000 * silences[r].silent_s);
		expect(s.what, update(&s)->rebooted, silences[r].rebooted);
		expect(s.what, s.g.est.booting, silences[r].rebooted);
		if (!silences[r].rebooted)
			continue;
		wait_ms(&s, 20000); /* as long as it is silent; the grace begins at its end */
		expect(s.what, update(&s)->booting, true);
		for (int i = 0; i < 15; i++) {
			expect(s.what, s.g.est.booting, true);
			expect(s.what, next(&s)->rebooted, false);
		}
		expect(s.what, s.g.est.booting, false);
	}
}

/* ---- obedience ---- */

enum act { STANDS, MOVES, ARRIVES, BACK };

static const struct {
	const char *what;
	bool grows;
	size_t n;
	enum act act[STEPS];
	bool stuck[STEPS]; /* in that pass; a second each */
} guests[] = {
    {"arrives at once", false, 5, {ARRIVES, STANDS, STANDS, STANDS, STANDS}, {0}},
    {"grows at once", true, 5, {ARRIVES, STANDS, STANDS, STANDS, STANDS}, {0}},
    {"never moves", false, 5, {STANDS, STANDS, STANDS, STANDS, STANDS}, {0, 0, 1, 1, 1}},
    {"never grows", true, 5, {STANDS, STANDS, STANDS, STANDS, STANDS}, {0, 0, 1, 1, 1}},
    {"moves late", false, 6, {STANDS, STANDS, MOVES, STANDS, STANDS, STANDS}, {0, 0, 0, 0, 0, 1}},
    {"slow, and arrives", false, 8, {MOVES, MOVES, MOVES, MOVES, ARRIVES, STANDS, STANDS, STANDS}, {0}},
    {"goes the wrong way", false, 4, {BACK, BACK, BACK, BACK}, {0, 0, 1, 1}},
    {"wakes", false, 8, {STANDS, STANDS, STANDS, STANDS, MOVES, MOVES, ARRIVES, STANDS}, {0, 0, 1, 1, 0, 0, 0, 0}},
    {"wakes, and stops again",
     true,
     9,
     {STANDS, STANDS, STANDS, STANDS, MOVES, STANDS, STANDS, STANDS, STANDS},
     {0, 0, 1, 1, 0, 0, 0, 1, 1}},
};

static void test_stuck(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(guests); r++) {
		struct scene s = scene(guests[r].what);
		int64_t way = guests[r].grows ? (int64_t)(20 * MIB) : -(int64_t)(20 * MIB);
		uint64_t goal = guests[r].grows ? 1300 * MIB : 800 * MIB;

		update(&s);
		ask(&s, goal);
		for (size_t i = 0; i < guests[r].n; i++) {
			if (guests[r].act[i] == MOVES || guests[r].act[i] == BACK)
				move(&s, guests[r].act[i] == MOVES ? way : -way);
			if (guests[r].act[i] == ARRIVES)
				move(&s, (int64_t)goal - (int64_t)s.g.sample.actual_kib);
			if (next(&s)->stuck != guests[r].stuck[i])
				fail_msg("%s: pass %d: %s", s.what, (int)i + 1, s.g.est.stuck ? "stuck" : "not stuck");
		}
	}
}

/* Counts the passes until the guest is stuck, once it was asked. */
static int passes_until_stuck(struct scene *s)
{
	int passes = 1;

	ask(s, 700 * MIB);
	while (!next(s)->stuck && passes < 100)
		passes++;
	return passes;
}

/* A stuck guest is asked again after 10 s, then after twice as long each time, at most 5 minutes. */
static void test_pauses(void **state)
{
	static const int pauses[] = {10, 20, 40, 80, 160, 300, 300};
	struct scene s = scene("pauses");

	(void)state;
	update(&s);
	expect(s.what, passes_until_stuck(&s), 3);
	for (size_t i = 0; i < COUNT(pauses); i++) {
		for (int k = 1; k < pauses[i]; k++)
			expect(s.what, next(&s)->stuck, true);
		expect(s.what, next(&s)->stuck, false);
		ask(&s, 700 * MIB);
	}
	move(&s, -(int64_t)(10 * MIB));
	expect(s.what, next(&s)->stuck, false);
	expect(s.what, passes_until_stuck(&s), 3); /* and all over again */
	for (int k = 1; k < 10; k++)
		expect(s.what, next(&s)->stuck, true);
	expect(s.what, next(&s)->stuck, false);
}

/* What is new begins without a record. */
static void test_stuck_no_more(void **state)
{
	static const char *const whats[] = {"arrived by itself", "another domain id", "rebooted"};

	(void)state;
	for (size_t r = 0; r < COUNT(whats); r++) {
		struct scene s = scene(whats[r]);

		update(&s);
		expect(s.what, passes_until_stuck(&s), 3);
		if (r == 0)
			move(&s, 702 * (int64_t)MIB - (int64_t)s.g.sample.actual_kib);
		if (r == 1)
			s.g.domain_id = 8;
		if (r == 2)
			s.g.sample.major_faults = s.g.sample.swap_in_kib = 0;
		next(&s);
		expect(s.what, s.g.est.stuck && r != 2, false); /* of a reboot, that pass learns last */
		expect(s.what, next(&s)->stuck, false);
		wait_ms(&s, 60000);
		s.g.sample.actual_kib = 1000 * MIB;
		next(&s);
		expect(s.what, passes_until_stuck(&s), 3);
	}
}

/* Where another command brought it beyond what was asked, the guest has obeyed all the same. Asked from 1000 MiB. */
static void test_beyond(void **state)
{
	static const struct {
		const char *what;
		uint64_t ask_mib, actual_mib;
		bool stuck;
	} rows[] = {
	    {"taken further", 700, 600, false},        {"given more", 1200, 1300, false},
	    {"not taken far enough", 700, 706, true},  {"not given enough", 1200, 1194, true},
	    {"within the tolerance", 700, 704, false}, {"given what is taken", 700, 1300, true},
	};

	(void)state;
	for (size_t r = 0; r < COUNT(rows); r++) {
		struct scene s = scene(rows[r].what);

		s.g.device.maximum_kib = 2000 * MIB;
		update(&s);
		move(&s, 1000 * (int64_t)MIB - (int64_t)s.g.sample.actual_kib);
		next(&s);
		ask(&s, rows[r].ask_mib * MIB);
		move(&s, ((int64_t)rows[r].actual_mib - 1000) * (int64_t)MIB);
		for (int i = 0; i < 4; i++)
			next(&s);
		expect(s.what, s.g.est.stuck, rows[r].stuck);
		expect(s.what, s.g.past.asked_kib != 0, rows[r].stuck);
	}
}

/* On its way from 1000 to 700 MiB it is to stop earlier; actual lags, so it may be below that and have to come up. */
static void test_comes_up(void **state)
{
	static const struct {
		const char *what;
		uint64_t seen_mib, stop_mib, next_mib; /* seen when told to stop, and a pass later */
		bool arrived;
	} rows[] = {
	    {"seen below it", 950, 800, 760, false},   {"seen at it", 950, 800, 798, true},
	    {"seen above it", 950, 800, 850, true},    {"did not move before", 1000, 800, 760, true},
	    {"is to go further", 950, 600, 550, true},
	};

	(void)state;
	for (size_t r = 0; r < COUNT(rows); r++) {
		struct scene s = scene(rows[r].what);

		update(&s);
		ask(&s, 700 * MIB);
		move(&s, ((int64_t)rows[r].seen_mib - 1000) * (int64_t)MIB);
		next(&s);
		ask(&s, rows[r].stop_mib * MIB);
		move(&s, ((int64_t)rows[r].next_mib - (int64_t)rows[r].seen_mib) * (int64_t)MIB);
		next(&s);
		expect(s.what, s.g.past.asked_kib, rows[r].arrived ? 0 : rows[r].stop_mib * MIB);
	}
}

/* Asked for less each time, a dead balloon is stuck all the same. */
static void test_stuck_asked_for_less(void **state)
{
	struct scene s = scene("asked for less");

	(void)state;
	update(&s);
	for (uint64_t i = 0; i < 3; i++) {
		ask(&s, (700 + 10 * i) * MIB);
		expect(s.what, next(&s)->stuck, i == 2);
	}
}

/* A balloon moves by 1 MiB at least. */
static void test_creeping(void **state)
{
	static const struct {
		const char *what;
		int64_t kib; /* a pass */
		bool stuck;
	} rows[] = {
	    {"shrinks by 1 MiB", -1024, false},
	    {"shrinks by less", -1023, true},
	    {"grows by 1 MiB", 1024, false},
	    {"grows by less", 1023, true},
	};

	(void)state;
	for (size_t r = 0; r < COUNT(rows); r++) {
		struct scene s = scene(rows[r].what);

		update(&s);
		ask(&s, rows[r].kib < 0 ? 800 * MIB : 1300 * MIB);
		for (int i = 0; i < 5; i++) {
			move(&s, rows[r].kib);
			next(&s);
		}
		expect(s.what, s.g.est.stuck, rows[r].stuck);
	}
}

/* A pass in which the guest says nothing is no refusal. */
static void test_stuck_unanswered(void **state)
{
	struct scene s = scene("does not answer");

	(void)state;
	update(&s);
	ask(&s, 700 * MIB);
	s.g.answered = false;
	for (int i = 0; i < 5; i++)
		expect(s.what, next(&s)->stuck, false);
	s.g.answered = true;
	s.g.sample.have &= ~(unsigned)SAMPLE_ACTUAL;
	for (int i = 0; i < 5; i++)
		expect(s.what, next(&s)->stuck, false);
	s.g.sample.have |= SAMPLE_ACTUAL;
	expect(s.what, next(&s)->stuck, false);
	expect(s.what, next(&s)->stuck, false);
	expect(s.what, next(&s)->stuck, true);
}

/* ---- distress ---- */

static const struct {
	const char *what;
	unsigned lacks;
	struct {
		uint64_t swap_kib, faults, free_kib; /* in that second */
	} step[STEPS];
	size_t n;
	bool distress[STEPS];
} distresses[] = {
    {"calm", 0, {{0, 0, 100000}, {0, 0, 100000}, {0, 0, 100000}}, 3, {0}},
    {"swaps in one sample", 0, {{5000, 0, 100000}, {0, 0, 100000}}, 2, {0}},
    {"swaps in two", 0, {{81, 0, 100000}, {81, 0, 100000}}, 2, {0, 1}},
    {"just not", 0, {{80, 0, 100000}, {80, 0, 100000}, {80, 0, 100000}}, 3, {0}},
    {"swaps with much free", 0, {{500, 0, 300000}, {500, 0, 300000}, {500, 0, 300000}}, 3, {0}},
    {"swaps with almost enough", 0, {{500, 0, 299999}, {500, 0, 299999}, {500, 0, 299999}}, 3, {0, 1, 1}},
    {"swaps now and then", 0, {{500, 0, 0}, {0, 0, 0}, {500, 0, 0}, {0, 0, 0}}, 4, {0}},
    {"swaps and ends", 0, {{500, 0, 0}, {500, 0, 0}, {0, 0, 0}, {500, 0, 0}}, 4, {0, 1, 0, 0}},
    {"faults in two", 0, {{0, 21, 100000}, {0, 21, 100000}}, 2, {0, 1}},
    {"faults, just not", 0, {{0, 20, 100000}, {0, 20, 100000}}, 2, {0}},
    {"faults with enough free", 0, {{0, 900, 300000}, {0, 900, 300000}, {0, 900, 300000}}, 3, {0}},
    {"faults with almost enough", 0, {{0, 900, 299999}, {0, 900, 299999}}, 2, {0, 1}},
    {"faults, then swaps", 0, {{0, 900, 0}, {900, 0, 0}}, 2, {0, 1}},
    {"swap-in is not reported", SAMPLE_SWAP_IN, {{900, 0, 0}, {900, 0, 0}}, 2, {0}},
    {"faults are not reported", SAMPLE_MAJOR_FAULTS, {{0, 900, 0}, {0, 900, 0}}, 2, {0}},
};

static void test_distress(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(distresses); r++) {
		struct scene s = scene(distresses[r].what);

		s.g.sample.have &= ~distresses[r].lacks;
		update(&s);
		for (size_t i = 0; i < distresses[r].n; i++) {
			s.g.sample.swap_in_kib += distresses[r].step[i].swap_kib;
			s.g.sample.major_faults += distresses[r].step[i].faults;
			s.g.sample.usable_kib = s.g.sample.unused_kib = distresses[r].step[i].free_kib;
			if (next(&s)->distress != distresses[r].distress[i])
				fail_msg("%s: sample %d: %s", s.what, (int)i + 1,
				         s.g.est.distress ? "distress" : "calm");
		}
	}
}

/* Per second of the guest's own time, not per pass. */
static void test_distress_rate(void **state)
{
	struct scene s = scene("a sample each 10 s");

	(void)state;
	s.g.device.period_s = 10;
	s.g.sample.usable_kib = s.g.sample.unused_kib = 100000;
	update(&s);
	expect("one sample is no rate", s.g.past.has_rates, false);
	for (int i = 0; i < 4; i++) {
		wait_ms(&s, 9000);
		s.g.sample.swap_in_kib += 799;
		expect(s.what, next(&s)->distress, false);
	}
	for (int i = 0; i < 2; i++) {
		wait_ms(&s, 9000);
		s.g.sample.swap_in_kib += 811;
		s.g.sample.major_faults += 30;
		expect(s.what, next(&s)->distress, i == 1);
	}
	expect("swap-in a second", s.g.past.swap_in_kibps, 81);
	expect("faults a second", s.g.past.faults_ps, 3);
}

/* Samples in distress; gives it a step after each that says so. Returns how many were given. */
static int relieve(struct scene *s, int samples, enum reason reason)
{
	int gives = 0;

	for (int i = 0; i < samples; i++) {
		wait_ms(s, 4000);
		s->g.sample.swap_in_kib += 50000;
		if (!next(s)->distress)
			continue;
		s->g.plan.reason = reason;
		ask(s, s->g.sample.actual_kib + 50000);
		s->g.sample.actual_kib += 50000; /* and uses it */
		s->g.sample.available_kib += 50000;
		gives++;
	}
	return gives;
}

/* What was given before does not count against it. */
static void test_distress_after_a_give(void **state)
{
	struct scene s = scene("given before it was distress");

	(void)state;
	s.g.device.period_s = 5;
	s.g.sample.usable_kib = s.g.sample.unused_kib = 100000;
	update(&s);
	s.g.sample.swap_in_kib += 500;
	expect(s.what, next(&s)->distress, false);
	ask(&s, s.g.sample.actual_kib + 50000);
	expect(s.what, relieve(&s, 20, REASON_DISTRESS), 3);
}

static void test_distress_given_up(void **state)
{
	static const struct {
		const char *what;
		enum reason reason; /* that is said in the end */
	} rows[] = {
	    {"given", REASON_DISTRESS},
	    {"given in part", REASON_HOST_RESERVE},
	    {"given in part, shared", REASON_SHARED_SHORTAGE},
	};

	(void)state;
	for (size_t r = 0; r < COUNT(rows); r++) {
		struct scene s = scene(rows[r].what);

		s.g.device.period_s = 5;
		s.g.sample.usable_kib = s.g.sample.unused_kib = 100000;
		update(&s);
		expect(s.what, relieve(&s, 20, rows[r].reason), 3);
		next(&s); /* relief */
		expect(s.what, relieve(&s, 20, rows[r].reason), 3);
		next(&s);
		expect(s.what, relieve(&s, 3, rows[r].reason), 2); /* one brings relief */
		next(&s);
		expect(s.what, relieve(&s, 20, rows[r].reason), 3);
	}
}

/* ---- memory that does not come back ---- */

static const struct {
	const char *what;
	uint64_t actual, rss; /* MiB; after a balloon of 1000 with rss 1050 */
	bool no_gain;
	uint64_t outside; /* MiB: its NVDIMM (none) */
} gains[] = {
    {"came back", 700, 750, false, 0},
    {"most of it", 700, 810, false, 0},
    {"up to the slack", 700, 828, false, 0}, /* QEMU's own is taken for 64 at least */
    {"little", 700, 829, true, 0},
    {"nothing", 700, 1050, true, 0},
    {"never touched", 700, 300, false, 0},
    {"given, not touched", 1400, 1050, false, 0},
    {"given: what is beyond is QEMU's own", 1400, 1700, false, 0},
    {"came back, beside an NVDIMM", 700, 1262, false, 512},
    {"nothing, beside an NVDIMM", 700, 1562, true, 512},
};

static void test_no_gain(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(gains); r++) {
		struct scene s = scene(gains[r].what);

		s.g.device.outside_kib = gains[r].outside * MIB;
		update(&s);
		next(&s);
		ask(&s, gains[r].actual * MIB);
		for (int i = 0; i < 6; i++) { /* on the way: rss follows later */
			move(&s, ((int64_t)(gains[r].actual * MIB) - (int64_t)s.g.sample.actual_kib) / 2);
			expect(s.what, next(&s)->no_gain, false);
		}
		move(&s, (int64_t)(gains[r].actual * MIB) - (int64_t)s.g.sample.actual_kib);
		s.g.sample.rss_kib = gains[r].rss * MIB;
		for (int i = 0; i < 10; i++)
			next(&s);
		expect(s.what, s.g.est.no_gain, gains[r].no_gain);
		s.g.sample.rss_kib = (gains[r].actual + 50) * MIB;
		expect(s.what, next(&s)->no_gain, false);
	}
}

/* Some of what was taken in vain is given back: what the host still holds is not QEMU's own for that. */
static void test_no_gain_after_a_give(void **state)
{
	struct scene s = scene("a give after a take in vain");

	(void)state;
	s.g.sample.rss_kib = 1050 * MIB;
	update(&s);
	ask(&s, 700 * MIB);
	move(&s, -(int64_t)(300 * MIB));
	for (int i = 0; i < 10; i++)
		next(&s);
	expect(s.what, s.g.est.no_gain, true);
	ask(&s, 800 * MIB);
	move(&s, 100 * MIB);
	for (int i = 0; i < 10; i++)
		next(&s);
	expect(s.what, s.g.est.no_gain, true);
	expect(s.what, s.g.past.qemu_kib, 50 * MIB);
	move(&s, 200 * MIB);
	expect(s.what, next(&s)->no_gain, true); /* not at rest */
	for (int i = 0; i < 3; i++)
		next(&s);
	expect(s.what, s.g.est.no_gain, false);
	expect(s.what, s.g.past.qemu_kib, 50 * MIB);
}

/* Three passes at rest must agree. */
static void test_no_gain_at_once(void **state)
{
	struct scene s = scene("no gain");
	int passes = 1;

	(void)state;
	update(&s);
	ask(&s, 700 * MIB);
	move(&s, -(int64_t)(300 * MIB));
	next(&s); /* arrives */
	expect(s.what, next(&s)->settled, false);
	while (!next(&s)->no_gain && passes < 10)
		passes++;
	expect(s.what, passes, 3);
}

/* What is remembered of one that will not answer. */
static void test_last_words(void **state)
{
	struct scene s = scene("last words");

	(void)state;
	update(&s);
	expect(s.what, s.g.past.has_rss, true);
	expect(s.what, s.g.past.rss_kib, 1050 * MIB);
	s.g.answered = false;
	s.g.hung = true;
	s.g.sample = (struct sample){.have = 0};
	expect(s.what, next(&s)->has_used, false);
	expect(s.what, s.g.past.has_rss, true);
	expect(s.what, s.g.past.rss_kib, 1050 * MIB);
	expect(s.what, s.g.past.actual_kib, 1000 * MIB);
}

/* What QEMU holds more than at the reading before the last new sample. */
static void test_risen(void **state)
{
	struct scene s = scene("risen");

	(void)state;
	update(&s);
	expect(s.what, s.g.est.risen_kib, 0); /* first sight */
	s.g.sample.rss_kib += 30 * MIB;
	expect(s.what, next(&s)->risen_kib, 30 * MIB);
	s.g.sample.rss_kib += 20 * MIB;
	expect(s.what, next(&s)->risen_kib, 20 * MIB);
	s.at.now_ms += 1000; /* no new sample: of all since then it knows nothing */
	s.g.sample.rss_kib += 10 * MIB;
	update(&s);
	expect(s.what, s.g.est.risen_kib, 30 * MIB);
	s.g.sample.rss_kib -= 200 * MIB;
	expect(s.what, next(&s)->risen_kib, 0);
	s.g.sample.rss_kib += 100 * MIB;
	s.g.domain_id++; /* another boot */
	expect(s.what, next(&s)->risen_kib, 0);
}

/* A take that came back shows it: few guests have ever touched all they had. Nothing is learned on the way. */
static void test_own_memory_after_a_take(void **state)
{
	struct scene s = scene("QEMU's own memory after a take");

	(void)state;
	s.g.sample.rss_kib = 900 * MIB;
	update(&s);
	ask(&s, 700 * MIB);
	move(&s, -(int64_t)(300 * MIB));
	for (int i = 0; i < 10; i++) { /* rss follows */
		s.g.sample.rss_kib -= 12 * MIB;
		next(&s);
	}
	expect(s.what, s.g.past.qemu_kib, 0);
	next(&s);
	expect(s.what, s.g.past.qemu_kib, 80 * MIB);
	s.g.sample.rss_kib = 797 * MIB; /* too much to be believed */
	next(&s);
	next(&s);
	expect(s.what, s.g.past.qemu_kib, 80 * MIB);
}

/* What QEMU needs for itself is the most that was seen beyond actual, but for what a take did not free. */
static void test_own_memory(void **state)
{
	struct scene s = scene("QEMU's own memory");

	(void)state;
	s.g.sample.rss_kib = 600 * MIB; /* not all was touched */
	update(&s);
	expect(s.what, s.g.past.qemu_kib, 0);
	s.g.sample.rss_kib = 1130 * MIB;
	next(&s);
	expect(s.what, s.g.past.qemu_kib, 130 * MIB);
	s.g.sample.rss_kib = 1100 * MIB;
	next(&s);
	expect(s.what, s.g.past.qemu_kib, 130 * MIB);
	wait_ms(&s, 10000);
	s.g.sample.rss_kib = 1150 * MIB;
	expect(s.what, update(&s)->rebooted, false);
	s.g.sample.rss_kib = 1163 * MIB;
	expect(s.what, update(&s)->rebooted, true);

	s = scene("QEMU's own memory, never seen");
	s.g.sample.rss_kib = 600 * MIB;
	update(&s);
	wait_ms(&s, 10000);
	s.g.sample.rss_kib = 1090 * MIB; /* all touched, and QEMU's */
	expect(s.what, update(&s)->rebooted, false);
	s.g.sample.rss_kib = 1100 * MIB;
	expect(s.what, update(&s)->rebooted, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_used),
	    cmocka_unit_test(test_first_sight),
	    cmocka_unit_test(test_doubt),
	    cmocka_unit_test(test_unsound),
	    cmocka_unit_test(test_forgets),
	    cmocka_unit_test(test_memory_devices),
	    cmocka_unit_test(test_implied),
	    cmocka_unit_test(test_implied_by_a_guest_that_shrinks),
	    cmocka_unit_test(test_free_memory),
	    cmocka_unit_test(test_absurd),
	    cmocka_unit_test(test_any_figures),
	    cmocka_unit_test(test_same_again),
	    cmocka_unit_test(test_growth),
	    cmocka_unit_test(test_growth_over_a_move),
	    cmocka_unit_test(test_growth_of_moved),
	    cmocka_unit_test(test_lead),
	    cmocka_unit_test(test_foreseen_by_cron),
	    cmocka_unit_test(test_stale),
	    cmocka_unit_test(test_clocks),
	    cmocka_unit_test(test_boot_grace),
	    cmocka_unit_test(test_no_boot_grace),
	    cmocka_unit_test(test_reboot_by_counters),
	    cmocka_unit_test(test_load_after_reboot),
	    cmocka_unit_test(test_grace_of_a_reboot),
	    cmocka_unit_test(test_reboot_by_rss),
	    cmocka_unit_test(test_stuck),
	    cmocka_unit_test(test_pauses),
	    cmocka_unit_test(test_stuck_no_more),
	    cmocka_unit_test(test_beyond),
	    cmocka_unit_test(test_comes_up),
	    cmocka_unit_test(test_stuck_asked_for_less),
	    cmocka_unit_test(test_creeping),
	    cmocka_unit_test(test_stuck_unanswered),
	    cmocka_unit_test(test_distress),
	    cmocka_unit_test(test_distress_rate),
	    cmocka_unit_test(test_distress_after_a_give),
	    cmocka_unit_test(test_distress_given_up),
	    cmocka_unit_test(test_no_gain),
	    cmocka_unit_test(test_own_memory_after_a_take),
	    cmocka_unit_test(test_risen),
	    cmocka_unit_test(test_no_gain_after_a_give),
	    cmocka_unit_test(test_no_gain_at_once),
	    cmocka_unit_test(test_last_words),
	    cmocka_unit_test(test_own_memory),
	};

	return cmocka_run_group_tests_name("estimate", tests, NULL, NULL);
}
