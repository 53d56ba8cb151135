/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/units.h"
#include "plan/learn.h"

#define MIB KIB_PER_MIB
#define START_S 1000
#define STEPS 12

/* A guest with statistics each second in a loop of 1 s. */
struct scene {
	struct guest g;
	struct estimate e;
	struct instant at;
};

static struct scene scene(void)
{
	return (struct scene){
	    .g = {.target_kib = 150 * MIB,
	          .sample = {.have = SAMPLE_ACTUAL | SAMPLE_RSS | SAMPLE_AVAILABLE | SAMPLE_UNUSED,
	                     .actual_kib = 1000 * MIB,
	                     .available_kib = 950 * MIB,
	                     .unused_kib = 400 * MIB,
	                     .rss_kib = 900 * MIB,
	                     .last_update_s = START_S}},
	    .e = {.has_used = true, .settled = true, .used_kib = 600 * MIB, .free_kib = 400 * MIB, .lead_ms = 3000},
	    .at = {.now_ms = 1000 * START_S, .wall_ms = 1000 * START_S},
	};
}

static void at_s(struct scene *s, uint64_t seconds)
{
	s->at.now_ms = s->at.wall_ms = 1000 * (START_S + seconds);
	s->g.sample.last_update_s = START_S + seconds;
}

static void uses(struct scene *s, uint64_t seconds, uint64_t mib)
{
	at_s(s, seconds);
	s->e.used_kib = mib * MIB;
	learn_load(&s->g.past, &s->g, &s->e, s->at);
	learn_peak(&s->g.past, &s->e, s->at);
}

/* ---- surges ---- */

static void test_a_surge_is_what_used_rose_by_within_two_leads(void **state)
{
	static const struct {
		const char *what;
		struct {
			uint64_t at_s, mib;
		} used[STEPS];
		uint64_t surge_mib;
	} rows[] = {
	    {"constant", {{0, 600}, {1, 600}, {2, 600}}, 0},
	    {"first sight", {{0, 600}}, 0},
	    {"a jump", {{0, 600}, {1, 900}}, 300},
	    {"a jump in pieces", {{0, 600}, {1, 700}, {2, 900}}, 300},
	    {"a jump over the edge of a lead", {{0, 600}, {2, 600}, {3, 700}, {4, 900}}, 300},
	    {"slow growth: no more than two leads of it",
	     {{0, 600}, {1, 610}, {2, 620}, {3, 630}, {4, 640}, {5, 650}, {6, 660}, {7, 670}, {8, 680}},
	     50},
	    {"a fall", {{0, 600}, {1, 200}}, 0},
	    {"what it rose by after a fall", {{0, 600}, {1, 200}, {2, 600}}, 400},
	    {"a jump after a pause", {{0, 600}, {60, 600}, {120, 900}}, 300},
	};

	(void)state;
	for (size_t r = 0; r < COUNT(rows); r++) {
		struct scene s = scene();

		for (size_t i = 0; i < STEPS && rows[r].used[i].mib; i++)
			uses(&s, rows[r].used[i].at_s, rows[r].used[i].mib);
		if (s.g.past.surge_kib / MIB != rows[r].surge_mib)
			fail_msg("%s: %d MiB, not %d", rows[r].what, (int)(s.g.past.surge_kib / MIB),
			         (int)rows[r].surge_mib);
	}
}

static void test_a_surge_fades_by_half_in_ten_minutes(void **state)
{
	struct scene s = scene();

	(void)state;
	uses(&s, 0, 600);
	uses(&s, 1, 1000);
	uses(&s, 2, 600);
	uses(&s, 602, 600);
	assert_in_range(s.g.past.surge_kib, 199 * MIB, 201 * MIB);
	uses(&s, 603, 900); /* a larger one is learned at once */
	assert_int_equal(s.g.past.surge_kib, 300 * MIB);
}

/* For single passes a lead is a minute: what a guest grew by since the last but one is its surge.
 */
static void test_a_surge_of_single_passes(void **state)
{
	struct scene s = scene();

	(void)state;
	s.e.lead_ms = 71000;
	for (uint64_t i = 0; i < 5; i++)
		uses(&s, 60 * i, 600 + 100 * i);
	assert_in_range(s.g.past.surge_kib, 200 * MIB, 300 * MIB);
}

/* ---- surges that statistics do not show ---- */

static void passes(struct scene *s, uint64_t seconds, uint64_t unused_mib, uint64_t rss_mib)
{
	at_s(s, seconds);
	s->g.sample.unused_kib = unused_mib * MIB;
	s->g.sample.rss_kib = rss_mib * MIB;
	learn_hidden_surge(&s->g.past, &s->g.sample, &s->e);
	s->e.hidden_kib = 0;
	learn_rss(&s->g.past, &s->g.sample, true, s->at, &s->e);
	s->g.past.seen_ms = s->at.now_ms;
}

static void test_a_hidden_surge_is_found_in_rss(void **state)
{
	static const struct {
		const char *what;
		uint64_t unused_mib[4], rss_mib[4]; /* in four passes */
		bool moves;                         /* the balloon */
		uint64_t surge_mib;
	} rows[] = {
	    {"at rest", {400, 400, 400, 400}, {900, 900, 900, 900}, false, 0},
	    {"rose, and the next sample shows it", {400, 400, 300, 300}, {900, 1000, 1000, 1000}, false, 0},
	    {"rose, and the same sample shows it", {400, 300, 300, 300}, {900, 1000, 1000, 1000}, false, 0},
	    {"rose, and no sample shows it", {400, 400, 400, 400}, {900, 1000, 1000, 1000}, false, 500},
	    {"rose while the balloon moved", {400, 400, 400, 400}, {900, 1000, 1000, 1000}, true, 0},
	    {"rose by little", {100, 100, 100, 100}, {900, 916, 916, 916}, false, 0},
	    {"rose by a small part of what was unused", {400, 400, 400, 400}, {900, 950, 950, 950}, false, 0},
	    {"fell", {400, 400, 400, 400}, {900, 700, 700, 700}, false, 0},
	};

	(void)state;
	for (size_t r = 0; r < COUNT(rows); r++) {
		struct scene s = scene();

		s.e.settled = !rows[r].moves;
		s.g.past.overhead_kib = 50 * MIB;
		for (uint64_t i = 0; i < 4; i++)
			passes(&s, i, rows[r].unused_mib[i], rows[r].rss_mib[i]);
		if (s.g.past.surge_kib / MIB != rows[r].surge_mib)
			fail_msg("%s: %d MiB, not %d", rows[r].what, (int)(s.g.past.surge_kib / MIB),
			         (int)rows[r].surge_mib);
	}
}

/* What rss rose by and the sample does not explain is needed now. */
static void test_hidden_is_what_the_sample_does_not_explain(void **state)
{
	struct scene s = scene();

	(void)state;
	passes(&s, 0, 400, 900);
	passes(&s, 1, 400, 900);
	passes(&s, 2, 400, 1000);
	assert_int_equal(s.e.hidden_kib, 100 * MIB);
	passes(&s, 3, 300, 1000); /* it shows */
	assert_int_equal(s.e.hidden_kib, 0);
	passes(&s, 4, 300, 1015); /* noise */
	assert_int_equal(s.e.hidden_kib, 0);
	assert_int_equal(s.e.risen_kib, 15 * MIB);
}

/* A guest that reports each minute has reported once, and grows. */
static void test_all_is_hidden_before_the_second_sample(void **state)
{
	struct scene s = scene();

	(void)state;
	passes(&s, 0, 400, 900);
	assert_int_equal(s.e.hidden_kib, 0);
	for (uint64_t i = 1; i < 5; i++) {
		at_s(&s, i);
		s.g.sample.rss_kib = (900 + 25 * i) * MIB;
		learn_rss(&s.g.past, &s.g.sample, false, s.at, &s.e);
		assert_int_equal(s.e.hidden_kib, 25 * i * MIB);
	}
	passes(&s, 60, 300, 1000); /* it shows */
	assert_int_equal(s.e.hidden_kib, 0);
}

static void test_the_fastest_rise_of_rss_fades(void **state)
{
	struct scene s = scene();

	(void)state;
	passes(&s, 0, 400, 500);
	assert_int_equal(s.g.past.rss_kibps, 0); /* first sight */
	passes(&s, 2, 400, 700);
	assert_int_equal(s.g.past.rss_kibps, 100 * MIB);
	passes(&s, 3, 400, 700);
	assert_int_equal(s.g.past.rss_kibps, 75 * MIB);
	passes(&s, 4, 400, 600);
	assert_in_range(s.g.past.rss_kibps, 56 * MIB, 57 * MIB);
	passes(&s, 5, 400, 660);
	assert_int_equal(s.g.past.rss_kibps, 60 * MIB);
}

/* ---- peaks ---- */

static void test_a_peak_lasts_half_a_minute_to_a_minute(void **state)
{
	struct scene s = scene();
	const struct extreme *peak = &s.g.past.peak;

	(void)state;
	uses(&s, 0, 600);
	s.e.foreseen_kib = 50 * MIB; /* what was given for growth is not taken back at once */
	uses(&s, 5, 900);
	s.e.foreseen_kib = 0;
	for (uint64_t t = 6; t < 60; t++) {
		uses(&s, t, 600);
		assert_int_equal(max_u64(peak->now_kib, peak->before_kib), 950 * MIB);
	}
	uses(&s, 60, 600);
	assert_int_equal(max_u64(peak->now_kib, peak->before_kib), 600 * MIB);
}

/* ---- whether MemTotal follows ---- */

static void test_follows_is_found_out_at_two_rests(void **state)
{
	static const struct {
		const char *what;
		uint64_t actual_mib, available_mib; /* before: 1000, 950 */
		enum follows follows;
	} rows[] = {
	    {"nothing moved", 1000, 950, FOLLOWS_UNKNOWN},
	    {"too little moved", 985, 950, FOLLOWS_UNKNOWN},
	    {"both shrank", 984, 934, FOLLOWS},
	    {"both grew", 1500, 1440, FOLLOWS},
	    {"a kernel that keeps more of a larger size", 1500, 1300, FOLLOWS},
	    {"MemTotal stays", 700, 950, STAYS},
	    {"MemTotal stays at a give", 2000, 950, STAYS},
	};

	(void)state;
	for (size_t r = 0; r < COUNT(rows); r++) {
		struct scene s = scene();

		learn_follows(&s.g.past, &s.g.sample);
		s.g.sample.actual_kib = rows[r].actual_mib * MIB;
		s.g.sample.available_kib = rows[r].available_mib * MIB;
		learn_follows(&s.g.past, &s.g.sample);
		if (s.g.past.follows != rows[r].follows)
			fail_msg("%s: %d", rows[r].what, (int)s.g.past.follows);
		learn_follows(&s.g.past, &s.g.sample); /* a rest that moved nothing keeps it */
		assert_int_equal(s.g.past.follows, rows[r].follows);
	}
}

/* After a reboot the load is another, the driver is not. */
static void test_a_reboot_forgets_the_load(void **state)
{
	struct scene s = scene();

	(void)state;
	learn_follows(&s.g.past, &s.g.sample);
	s.g.sample.actual_kib = 700 * MIB;
	learn_follows(&s.g.past, &s.g.sample);
	uses(&s, 0, 600);
	uses(&s, 1, 900);
	passes(&s, 2, 400, 900);
	passes(&s, 3, 400, 1000);
	learn_anew(&s.g.past);
	assert_int_equal(s.g.past.surge_kib, 0);
	assert_int_equal(s.g.past.growth_kibps, 0);
	assert_int_equal(s.g.past.in_use_before_kib, 0);
	assert_false(s.g.past.has_used);
	uses(&s, 4, 300);
	assert_int_equal(s.g.past.surge_kib, 0);
	assert_int_equal(s.g.past.peak.before_kib, 300 * MIB);
	assert_int_equal(s.g.past.follows, STAYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_surge_is_what_used_rose_by_within_two_leads),
	    cmocka_unit_test(test_a_surge_fades_by_half_in_ten_minutes),
	    cmocka_unit_test(test_a_surge_of_single_passes),
	    cmocka_unit_test(test_a_hidden_surge_is_found_in_rss),
	    cmocka_unit_test(test_hidden_is_what_the_sample_does_not_explain),
	    cmocka_unit_test(test_all_is_hidden_before_the_second_sample),
	    cmocka_unit_test(test_the_fastest_rise_of_rss_fades),
	    cmocka_unit_test(test_a_peak_lasts_half_a_minute_to_a_minute),
	    cmocka_unit_test(test_follows_is_found_out_at_two_rests),
	    cmocka_unit_test(test_a_reboot_forgets_the_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
