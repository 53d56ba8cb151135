/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/units.h"
#include "plan/fit.h"
#include "expect.h"

/* Sizes are in KiB and round in thousands. */
#define TARGET 150000
#define RESERVE 300000
#define TOLERANCE 5000
#define MAXIMUM 2000000
#define QEMU QEMU_START_KIB
#define MANY 4

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* rows say what is not usual */

/* A guest at rest; 0 is the default, in brackets. */
struct spec {
	uint64_t actual, used;
	uint64_t touched; /* (all it has) */
	uint32_t weight;
	bool paused, excluded;
	bool stale;         /* its statistics are old: nothing may be taken from it */
	bool predates_move; /* they are of before its last move: not now */
};

static struct guest guest_of(const struct spec *s)
{
	uint64_t touched_kib = s->touched ? s->touched : s->actual;

	return (struct guest){
	    .name = (char *)"x",
	    .run = s->paused ? RUN_PAUSED : RUN_RUNNING,
	    .answered = true,
	    .excluded = s->excluded,
	    .device = {.balloon = true, .maximum_kib = MAXIMUM, .current_kib = s->actual},
	    .hints.weight = s->weight,
	    .target_kib = TARGET,
	    .sample = {.have = SAMPLE_ACTUAL | SAMPLE_RSS,
	               .actual_kib = s->actual,
	               .rss_kib = touched_kib + QEMU_USUAL_KIB},
	    .est = {.has_used = true,
	            .used_kib = s->used,
	            .free_kib = s->actual - s->used,
	            .fresh = true,
	            .settled = true,
	            .stale = s->stale,
	            .predates_move = s->predates_move,
	            .lead_ms = 3000},
	    .past = {.known = true, .rss_before_kib = touched_kib + QEMU_USUAL_KIB, .follows = FOLLOWS},
	};
}

struct scene {
	struct policy_conf conf;
	struct host host;
	uint64_t pending_kib;
	struct guest g[MANY];
	size_t n;
	struct fairshare_item item[MANY];
	struct fairshare_edge edge[2 * MANY];
	struct policy_scratch scratch;
	struct fit fit;
};

/* Guests up to the first of no size, on a host that has so much more than its reserve and what other starts need. */
static void set_up(struct scene *s, const struct spec *spec, int64_t room_kib)
{
	*s = (struct scene){
	    .conf = {.step_kib = 50000,
	             .reserve_kib = RESERVE,
	             .tolerance_kib = TOLERANCE,
	             .plenty_pct = 10,
	             .buffer_pct = 20},
	    .host = {.total_kib = 64 * KIB_PER_GIB, .available_kib = RESERVE + 9000000},
	    .pending_kib = (uint64_t)(9000000 - room_kib),
	};
	s->scratch = (struct policy_scratch){s->item, s->edge};
	while (s->n < MANY && spec[s->n].actual) {
		s->g[s->n] = guest_of(&spec[s->n]);
		s->n++;
	}
}

static void find(struct scene *s, const struct device *d)
{
	fit_find(&s->conf, &s->host, s->pending_kib, d, s->g, s->n, &s->scratch, &s->fit);
}

/* A guest of which this is touched at the start, QEMU's own included. */
static void find_start(struct scene *s, uint64_t start_kib)
{
	uint64_t kib = start_kib - QEMU;

	find(s, &(struct device){.maximum_kib = kib, .current_kib = kib, .balloon = true});
}

/* A guest that uses 400000 needs 550000, and at least 437500. */
static const struct {
	const char *what;
	int64_t room;
	struct spec guest[MANY + 1];
	uint64_t largest, most; /* start with a yes, and with headroom taken */
	uint64_t lack;          /* for a start of nothing */
} rows[] = {
    {"no guest", 100000, {{0}}, 100000, 100000},
    {"no guest, and nothing to spare", 0, {{0}}, 0, 0},
    {"no guest, below the reserve", -50000, {{0}}, 0, 0, 50000},
    {"what is idle can be taken, and headroom", 100000, {{900000, 400000}}, 450000, 562500},
    {"of two", 100000, {{900000, 400000}, {700000, 400000}}, 600000, 825000},
    {"the host lacks some of it", -150000, {{900000, 400000}}, 200000, 312500},
    {"or nearly all of it", -380000, {{900000, 400000}}, 0, 82500},
    {"or more than that", -500000, {{900000, 400000}}, 0, 0, 37500},
    {"untouched headroom is lent", 100000, {{550000, 400000, .touched = 450000}}, 100000, 112500},
    {"down to the least and below", 100000, {{550000, 400000, .touched = 420000}}, 100000, 100000},
    {"what is idle and untouched frees nothing", 100000, {{900000, 400000, .touched = 550000}}, 100000, 212500},
    {"a guest that lacks memory gets it first", 100000, {{450000, 400000}}, 0, 112500},
    {"nothing is taken on old statistics", 100000, {{900000, 400000, .stale = true}}, 100000, 100000},
    {"nor from a guest that is left alone", 100000, {{900000, 400000, .excluded = true}}, 100000, 100000},
    {"which may touch what it has", 100000, {{900000, 400000, .touched = 870000, .paused = true}}, 70000, 70000},
};

#define MERGED 1600000 /* of which a sixteenth is owed */

/* merged: there is more room, which KSM may lose. */
static void set_up_row(struct scene *s, size_t r, bool merged)
{
	set_up(s, rows[r].guest, rows[r].room + (merged ? MERGED / 16 : 0));
	s->host.ksm_kib = merged ? MERGED : 0;
}

static void expect_answer(size_t r, bool merged, uint64_t start_kib)
{
	uint64_t short_kib = sat_sub(start_kib + rows[r].lack, rows[r].most);
	const char *what = rows[r].what;
	struct scene s;

	if (start_kib < QEMU)
		return;
	set_up_row(&s, r, merged);
	find_start(&s, start_kib);
	expect(what, s.fit.need_kib, start_kib);
	expect(what, s.fit.short_kib, short_kib);
	expect(what, s.fit.answer, short_kib ? FIT_NO : start_kib > rows[r].largest ? FIT_HEADROOM : FIT_YES);
	expect(what, s.fit.largest_kib, sat_sub(rows[r].largest, QEMU));
	expect(what, s.fit.most_kib, sat_sub(rows[r].most, QEMU));
	if (short_kib)
		expect(what, s.fit.taken_kib, 0);
}

static void test_to_the_kib(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(rows); r++) {
		const uint64_t starts[] = {QEMU,         rows[r].largest,  rows[r].largest + 1,
		                           rows[r].most, rows[r].most + 1, 5 * KIB_PER_GIB};

		for (size_t i = 0; i < 2 * COUNT(starts); i++)
			expect_answer(r, i % 2, starts[i / 2]);
	}
}

static void test_takes(void **state)
{
	static const struct {
		const char *what;
		int64_t room;
		struct spec guest[MANY + 1];
		uint64_t start, want[MANY];
	} takes[] = {
	    {"there is room", 100000, {{900000, 400000}}, 100000, {900000}},
	    {"what lacks", 100000, {{900000, 400000}}, 300000, {700000}},
	    {"what lacks, a pass later", 100000, {{900000, 400000, .predates_move = true}}, 300000, {700000}},
	    {"all that is idle", 100000, {{900000, 400000}}, 450000, {550000}},
	    {"what the host lacks before", -100000, {{900000, 400000}}, 100000, {700000}},
	    {"headroom", 100000, {{900000, 400000}}, 500000, {500000}},
	    {"all that is no least", 100000, {{900000, 400000}}, 562500, {437500}},
	    {"in proportion to what is idle", 100000, {{900000, 400000}, {700000, 400000}}, 300000, {760000, 640000}},
	    {"headroom alike", 100000, {{900000, 400000}, {700000, 400000}}, 700000, {500000, 500000}},
	    {"less from more weight",
	     100000,
	     {{900000, 400000, .weight = 300}, {900000, 400000, .weight = 100}},
	     300000,
	     {850001, 750000}}, /* shares are rounded */
	};

	(void)state;
	for (size_t r = 0; r < COUNT(takes); r++) {
		uint64_t taken_kib = 0;
		struct scene s;

		set_up(&s, takes[r].guest, takes[r].room);
		find_start(&s, takes[r].start);
		for (size_t i = 0; i < s.n; i++) {
			expect(takes[r].what, s.g[i].plan.want_kib, takes[r].want[i]);
			taken_kib += takes[r].guest[i].actual - takes[r].want[i];
		}
		expect(takes[r].what, s.fit.taken_kib, taken_kib);
	}
}

static void test_more(void **state)
{
	static const struct {
		uint64_t start, more;
	} mores[] = {{200000, 4}, {200001, 3}, {250000, 3}, {500000, 1}, {500001, 0}, {1000000, 0}, {1000001, 0}};

	(void)state;
	for (size_t r = 0; r < COUNT(mores); r++) {
		struct scene s;

		set_up(&s, (struct spec[1]){{0}}, 1000000);
		find_start(&s, mores[r].start);
		expect("more", s.fit.more, mores[r].more);
	}
}

static const struct {
	const char *what;
	struct device device;
	enum fit_answer answer;
	uint64_t need, pages, pages_short, more;
} devices[] = {
    {"currentMemory", {.maximum_kib = 900000, .current_kib = 200000, .balloon = true}, FIT_YES, 200000 + QEMU, 0, 0, 2},
    {"no balloon", {.maximum_kib = 900000, .current_kib = 200000, .bare = true}, FIT_YES, 900000 + QEMU},
    {"locked", {.maximum_kib = 900000, .current_kib = 200000, .locked = true}, FIT_YES, 900000 + QEMU},
    {"huge pages", {.maximum_kib = 900000, .current_kib = 200000, .hugepages = true}, FIT_YES, QEMU, 900000, 0, 1},
    {"all of them", {.maximum_kib = 2000000, .current_kib = 200000, .hugepages = true}, FIT_YES, QEMU, 2000000},
    {"one too many", {.maximum_kib = 2000001, .hugepages = true}, FIT_NO, QEMU, 2000001, 1},
    {"nothing is known", {0}, FIT_YES, QEMU, 0, 0, 14},
};

static void test_devices(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(devices); r++) {
		struct scene s;

		set_up(&s, (struct spec[1]){{0}}, 1000000);
		s.host.hugetlb_free_kib = 2000000;
		find(&s, &devices[r].device);
		expect(devices[r].what, s.fit.answer, devices[r].answer);
		expect(devices[r].what, s.fit.need_kib, devices[r].need);
		expect(devices[r].what, s.fit.pages_kib, devices[r].pages);
		expect(devices[r].what, s.fit.pages_short_kib, devices[r].pages_short);
		expect(devices[r].what, s.fit.short_kib, 0);
		expect(devices[r].what, s.fit.more, devices[r].more);
	}
}

static void test_saturates(void **state)
{
	struct scene s;

	(void)state;
	set_up(&s, (struct spec[2]){{900000, 400000}}, 100000);
	find(&s, &(struct device){.maximum_kib = UINT64_MAX, .current_kib = UINT64_MAX});
	expect("a guest without end", s.fit.answer, FIT_NO);
	expect("a guest without end", s.fit.short_kib, UINT64_MAX - 562500);
	s.pending_kib = UINT64_MAX;
	find(&s, &(struct device){.maximum_kib = UINT64_MAX, .current_kib = UINT64_MAX});
	expect("beside such a start", s.fit.answer, FIT_NO);
	expect("beside such a start", s.fit.largest_kib, 0);
	s.host.available_kib = UINT64_MAX;
	s.pending_kib = 0;
	find_start(&s, 1000000);
	expect("a host without end", s.fit.answer, FIT_YES);
}

/* The metric and the answer are of one rule. */
static void test_largest(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * COUNT(rows); i++) {
		size_t r = i / 2;
		struct budget b;
		struct scene s;

		set_up_row(&s, r, i % 2);
		policy_plan(&s.conf, &s.host, s.pending_kib, s.g, s.n, &s.scratch, &b);
		expect(rows[r].what, fit_largest_kib(&b), sat_sub(rows[r].largest, QEMU));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_to_the_kib), cmocka_unit_test(test_takes),     cmocka_unit_test(test_more),
	    cmocka_unit_test(test_devices),    cmocka_unit_test(test_saturates), cmocka_unit_test(test_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
