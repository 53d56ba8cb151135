/*
 * Ours in worlds made for one question.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ours.h"
#include "units.h"

#define MIB KIB_PER_MIB

/* One machine in need, one that has too much and gives it slowly, and a host that has nothing over. */
static void raise_pair(struct world *w, uint64_t take_kibps)
{
	uint64_t target_kib;

	assert_int_equal(world_init(w, 2), 0);
	for (size_t i = 0; i < 2; i++) {
		struct nature *is = &w->vm[i].is;

		*is = nature_usual(4096 * MIB);
		is->current_kib = i ? 3072 * MIB : 1024 * MIB;
		is->use.base_kib = i ? 400 * MIB : 900 * MIB;
		is->take_kibps = take_kibps;
		is->warm_pct = 100;
	}
	w->total_kib = 16384 * MIB;
	world_begin(w);
	ours_defaults(w->total_kib, &w->reserve_kib, &target_kib);
	w->total_kib -= (uint64_t)world_available_kib(w) - w->reserve_kib;
	world_begin(w);
}

static uint64_t given_in_one_pass_kib(uint64_t take_kibps, uint32_t interval_ms, uint64_t *ret_ms)
{
	struct pass_report report;
	struct world w;
	struct ours o;
	uint64_t given_kib;

	raise_pair(&w, take_kibps);
	assert_int_equal(ours_open(&o, &w, interval_ms), 0);
	assert_int_equal(ours_pass(&o, &report), 0);
	assert_true(w.least_kib >= (int64_t)w.reserve_kib - (int64_t)MIB);
	given_kib = w.vm[0].target_kib - 1024 * MIB;
	*ret_ms = w.now_ms;
	pass_clear(&report);
	ours_close(&o);
	world_free(&w);
	return given_kib;
}

static void test_single_passes_wait_for_slow_guests(void **state)
{
	uint64_t quick_ms, slow_ms, loop_ms, quick_kib, slow_kib, loop_kib;

	(void)state;
	quick_kib = given_in_one_pass_kib(400 * MIB, 0, &quick_ms);
	slow_kib = given_in_one_pass_kib(20 * MIB, 0, &slow_ms);
	loop_kib = given_in_one_pass_kib(20 * MIB, 1000, &loop_ms);
	assert_in_range(loop_kib, 30 * MIB, 41 * MIB); /* settle is 2 s */
	assert_in_range(loop_ms, 1, 2200);
	assert_in_range(slow_kib, 80 * MIB, 100 * MIB); /* the deadline 5 s */
	assert_in_range(slow_ms, 4000, 5000);
	assert_true(quick_kib > slow_kib);
	assert_in_range(quick_ms, 1, 1500); /* nobody waits longer than it takes */
}

/* What the rest of the host takes while guests give is not there to be given, by cron as little as in a loop. */
static void test_what_others_took_is_not_given(void **state)
{
	static const uint32_t intervals_ms[] = {0, 1000};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct pass_report report;
		struct world w;
		struct ours o;

		raise_pair(&w, 400 * MIB);
		w.others = (struct load){.peak_kib = 2048 * MIB, .rise_kibps = 20480 * MIB, .start_ms = 1};
		assert_int_equal(ours_open(&o, &w, intervals_ms[i]), 0);
		assert_int_equal(ours_pass(&o, &report), 0);
		assert_true(report.guest[1].told_kib && report.guest[1].told_kib < 3072 * MIB);
		assert_int_equal(w.vm[0].target_kib, 1024 * MIB);
		pass_clear(&report);
		ours_close(&o);
		world_free(&w);
	}
}

/* Libvirt goes away after guests were told where to go: the record of moves has to know that they were. */
static void test_a_pass_that_fails_says_what_it_asked(void **state)
{
	struct pass_report report;
	struct world w;
	struct ours o;

	(void)state;
	raise_pair(&w, 20 * MIB);
	assert_int_equal(ours_open(&o, &w, 0), 0);
	o.virt.sample_error = -ENOTCONN;
	assert_int_equal(ours_pass(&o, &report), -ENOTCONN);
	assert_int_equal(report.n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(report.guest[i].told_kib, i ? w.vm[i].target_kib : 0);
		assert_false(report.guest[i].reread);
	}
	assert_true(report.guest[1].told_kib > 0);
	pass_clear(&report);
	ours_close(&o);
	world_free(&w);
}

/* The hook has removed the record of a guest that ended during the pass: it does not come back. */
static void test_who_ends_during_the_pass_is_not_registered(void **state)
{
	struct pass_report report;
	struct world w;
	struct ours o;

	(void)state;
	raise_pair(&w, 20 * MIB);
	assert_int_equal(ours_open(&o, &w, 0), 0);
	o.virt.set_ends = true; /* the one that is to give; nothing came of it that the other could be given */
	assert_int_equal(ours_pass(&o, &report), 0);
	assert_true(report.guest[1].vanished);
	assert_int_equal(o.registry.records, 1);
	pass_clear(&report);
	ours_close(&o);
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_single_passes_wait_for_slow_guests),
	    cmocka_unit_test(test_what_others_took_is_not_given),
	    cmocka_unit_test(test_a_pass_that_fails_says_what_it_asked),
	    cmocka_unit_test(test_who_ends_during_the_pass_is_not_registered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
