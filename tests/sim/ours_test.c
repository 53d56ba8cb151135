/* SPDX-License-Identifier: MIT */
/*
 * Ours in worlds made for one question.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/units.h"
#include "run/snapshot.h"
#include "ours.h"

#define MIB KIB_PER_MIB

static void end(struct ours *o, struct world *w, struct balance_report *report)
{
	balance_clear(report);
	ours_close(o);
	world_free(w);
}

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
	struct balance_report report;
	struct world w;
	struct ours o;
	uint64_t given_kib;

	raise_pair(&w, take_kibps);
	assert_int_equal(ours_open(&o, &w, interval_ms), 0);
	assert_int_equal(ours_pass(&o, &report), 0);
	assert_true(w.least_kib >= (int64_t)w.reserve_kib - (int64_t)MIB);
	given_kib = w.vm[0].target_kib - 1024 * MIB;
	*ret_ms = w.now_ms;
	end(&o, &w, &report);
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
		struct balance_report report;
		struct world w;
		struct ours o;

		raise_pair(&w, 400 * MIB);
		w.others = (struct load){.peak_kib = 2048 * MIB, .rise_kibps = 20480 * MIB, .start_ms = 1};
		assert_int_equal(ours_open(&o, &w, intervals_ms[i]), 0);
		assert_int_equal(ours_pass(&o, &report), 0);
		assert_true(report.guest[1].order.kib && report.guest[1].order.kib < 3072 * MIB);
		assert_int_equal(w.vm[0].target_kib, 1024 * MIB);
		end(&o, &w, &report);
	}
}

/* Libvirt goes away after guests were told where to go: the record of moves has to know that they were. */
static void test_a_pass_that_fails_says_what_it_asked(void **state)
{
	struct balance_report report;
	struct world w;
	struct ours o;

	(void)state;
	raise_pair(&w, 20 * MIB);
	assert_int_equal(ours_open(&o, &w, 0), 0);
	o.virt.sample_error = -ENOTCONN;
	assert_int_equal(ours_pass(&o, &report), -ENOTCONN);
	assert_int_equal(report.n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(report.guest[i].order.kib, i ? w.vm[i].target_kib : 0);
		assert_false(report.guest[i].reread);
	}
	assert_true(report.guest[1].order.kib > 0);
	end(&o, &w, &report);
}

/* The hook has removed the record of a guest that ended during the pass: it does not come back. */
static void test_who_ends_during_the_pass_is_not_registered(void **state)
{
	struct balance_report report;
	struct world w;
	struct ours o;

	(void)state;
	raise_pair(&w, 20 * MIB);
	assert_int_equal(ours_open(&o, &w, 0), 0);
	o.virt.set_ends = true; /* the one that is to give; nothing came of it that the other could be given */
	assert_int_equal(ours_pass(&o, &report), 0);
	assert_true(report.guest[1].vanished);
	assert_int_equal(o.registry.records, 1);
	end(&o, &w, &report);
}

static void test_a_record_is_compared_with_what_was_read_anew(void **state)
{
	struct balance_report report;
	struct world w;
	struct ours o;

	(void)state;
	raise_pair(&w, 20 * MIB);
	w.vm[0].is.start_ms = 1; /* so it has a record, and the other has none */
	world_run(&w, 1000);
	assert_int_equal(ours_open(&o, &w, 1000), 0);
	assert_int_equal(ours_pass(&o, &report), 0);
	assert_int_equal(o.registry.records, 1);
	balance_clear(&report);
	o.virt.reads_anew = true;
	assert_int_equal(ours_pass(&o, &report), 0);
	assert_int_equal(o.registry.records, 3);
	end(&o, &w, &report);
}

/* ---- guests on their way ---- */

/* One machine of 2048 MiB whose balloon is slow, on a host with room. */
static void raise_slow(struct world *w, struct load use)
{
	uint64_t target_kib;
	struct nature *is;

	assert_int_equal(world_init(w, 1), 0);
	is = &w->vm[0].is;
	*is = nature_usual(8192 * MIB);
	is->current_kib = 2048 * MIB;
	is->use = use;
	is->give_kibps = is->take_kibps = 20 * MIB;
	w->total_kib = 32768 * MIB;
	ours_defaults(w->total_kib, &w->reserve_kib, &target_kib);
	world_begin(w);
}

/* Passes each second. Returns the largest size it was told to go to. */
static uint64_t most_told_kib(struct world *w, unsigned passes)
{
	struct balance_report report;
	uint64_t most_kib = 0;
	struct ours o;

	assert_int_equal(ours_open(&o, w, 1000), 0);
	assert_int_equal(conf_set(&o.conf, "buffer", "1%"), 0); /* the target is its headroom */
	for (unsigned i = 1; i <= passes; i++) {
		assert_int_equal(ours_pass(&o, &report), 0);
		most_kib = max_u64(most_kib, w->vm[0].target_kib);
		balance_clear(&report);
		if (w->now_ms < i * 1000)
			world_run(w, i * 1000 - w->now_ms);
	}
	ours_close(&o);
	return most_kib;
}

static void test_who_is_on_its_way_is_not_told_again(void **state)
{
	struct world w;

	(void)state;
	raise_slow(&w, (struct load){.base_kib = 1900 * MIB});
	most_told_kib(&w, 3);
	assert_in_range(vm_actual_kib(&w.vm[0]), 2049 * MIB, w.vm[0].target_kib - 6 * MIB);
	assert_int_equal(w.vm[0].tally.commands, 1);
	world_free(&w);

	raise_slow(&w, (struct load){.base_kib = 1300 * MIB});
	w.vm[0].is.hint_max_kib = 1500 * MIB;
	most_told_kib(&w, 6);
	assert_in_range(vm_actual_kib(&w.vm[0]), w.vm[0].target_kib + 6 * MIB, 2047 * MIB);
	assert_int_equal(w.vm[0].tally.commands, 1);
	world_free(&w);
}

/* Passes each second over a registry that loses all they learned. Returns how many commands they sent. */
static uint64_t commands_without_past(struct snapshot *before)
{
	struct balance_report report = {.guest = NULL};
	struct world w;
	struct ours o;
	uint64_t commands;

	raise_slow(&w, (struct load){.base_kib = 1900 * MIB});
	assert_int_equal(ours_open(&o, &w, 1000), 0);
	o.pass.before = before;
	for (unsigned i = 0; i < 3; i++) {
		balance_clear(&report);
		assert_int_equal(ours_pass(&o, &report), 0);
		o.registry.past[0] = (struct past){.known = false};
		world_run(&w, 1000);
	}
	commands = w.vm[0].tally.commands;
	end(&o, &w, &report);
	return commands;
}

static void test_a_loop_remembers_without_the_registry(void **state)
{
	struct snapshot before = {.n = 0};

	(void)state;
	assert_true(commands_without_past(NULL) > 1);
	assert_int_equal(commands_without_past(&before), 1);
	assert_int_equal(before.n, 1);
	assert_true(before.guest[0].past.asked_kib && before.guest[0].past.told.asked_kib);
	snapshot_clear(&before);
}

/* Whose balloon does not move is not on its way. */
static void test_who_does_not_give_is_told_again(void **state)
{
	struct world w;

	(void)state;
	raise_slow(&w, (struct load){.base_kib = 1300 * MIB});
	w.vm[0].is.hint_max_kib = 1500 * MIB;
	w.vm[0].is.stops_ms = 1;
	most_told_kib(&w, 6);
	assert_in_range(w.vm[0].tally.commands, 3, 4); /* then it is stuck */
	world_free(&w);
}

/* It grew, was told to go where that would have led, and let go before it was there. */
static void test_who_needs_less_on_its_way_is_turned_back(void **state)
{
	struct world w;
	uint64_t most_kib;

	(void)state;
	raise_slow(&w, (struct load){.base_kib = 1880 * MIB,
	                             .peak_kib = 2200 * MIB,
	                             .rise_kibps = 40 * MIB,
	                             .start_ms = 1,
	                             .until_ms = 2000});
	most_kib = most_told_kib(&w, 4);
	assert_true(most_kib > 2200 * MIB);
	assert_in_range(w.vm[0].target_kib, 1940 * MIB + 150000, 1940 * MIB + 150000 + 50000);
	world_free(&w);
}

/* Who is on its way to all it needs but a crumb has nobody waited for. */
static void test_a_crumb_is_not_waited_for(void **state)
{
	struct balance_report report;
	uint64_t began_ms;
	struct world w;
	struct ours o;

	(void)state;
	raise_pair(&w, 20 * MIB);
	w.total_kib += 4096 * MIB;
	w.vm[0].is.give_kibps = 5 * MIB;
	world_begin(&w);
	assert_int_equal(ours_open(&o, &w, 1000), 0);
	assert_int_equal(conf_set(&o.conf, "buffer", "1%"), 0);
	assert_int_equal(ours_pass(&o, &report), 0);
	balance_clear(&report);
	world_run(&w, 1000);
	w.vm[0].is.use.base_kib += MIB;
	world_run(&w, 1000);
	began_ms = w.now_ms;
	assert_int_equal(ours_pass(&o, &report), 0);
	assert_int_equal(report.guest[0].plan.want_kib, w.vm[0].target_kib); /* it needs a MiB more */
	assert_true(w.vm[1].target_kib + MIB < vm_actual_kib(&w.vm[1]));     /* which still gives */
	assert_in_range(w.now_ms, began_ms, began_ms + 100);
	end(&o, &w, &report);
}

/* The administrator sets a max (0: a little above what it has) while it is on its way up: it stops there, with its
 * least headroom where the max is below what it uses. Nothing is taken. */
static void stopped_by_a_max(const char *target, uint64_t hint_kib,
                             uint64_t (*where)(const struct world *w, const struct guest *g))
{
	struct load use = {.base_kib = 1880 * MIB, .peak_kib = 2400 * MIB, .rise_kibps = 40 * MIB, .start_ms = 1};
	struct balance_report report;
	uint64_t told_kib;
	struct world w;
	struct ours o;

	raise_slow(&w, use);
	assert_int_equal(ours_open(&o, &w, 1000), 0);
	assert_int_equal(conf_set(&o.conf, "target", target), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ours_pass(&o, &report), 0);
		balance_clear(&report);
		world_run(&w, 1000);
	}
	told_kib = w.vm[0].target_kib;
	assert_true(told_kib > vm_actual_kib(&w.vm[0]) + 100 * MIB);
	w.vm[0].is.hint_max_kib = hint_kib ? hint_kib : vm_actual_kib(&w.vm[0]) + 10 * MIB;
	assert_int_equal(ours_pass(&o, &report), 0);
	assert_true(w.vm[0].target_kib < told_kib);
	assert_int_equal(w.vm[0].target_kib, where(&w, &report.guest[0]));
	end(&o, &w, &report);
}

static uint64_t least_headroom(const struct world *w, const struct guest *g)
{
	return max_u64(w->vm[0].seen_kib, g->est.used_kib + w->target_kib / 4);
}

static uint64_t at_max(const struct world *w, const struct guest *g)
{
	assert_true(g->est.used_kib < w->vm[0].is.hint_max_kib && g->plan.bottom_kib > w->vm[0].is.hint_max_kib);
	return w->vm[0].is.hint_max_kib;
}

static void test_who_is_above_its_max_is_stopped_on_its_way(void **state)
{
	(void)state;
	stopped_by_a_max("150000KiB", 1700 * MIB, least_headroom); /* below what it uses */
	stopped_by_a_max("450000KiB", 0, at_max);
}

/* ---- commands without an answer ---- */

/* The host has to count with a give that may still be carried out; a take is no memory before it arrived. */
static void test_a_give_without_an_answer_is_counted(void **state)
{
	struct balance_report report;
	struct world w;
	struct ours o;

	(void)state;
	raise_pair(&w, 400 * MIB);
	w.total_kib += 4096 * MIB;
	world_begin(&w);
	assert_int_equal(ours_open(&o, &w, 1000), 0);
	o.virt.set_late = true;
	assert_int_equal(ours_pass(&o, &report), 0);
	assert_int_equal(report.commands, 0);
	assert_int_equal(report.failed, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(report.guest[i].plan.reason, REASON_FAILED);
		assert_int_equal(report.guest[i].order.kib, w.vm[i].target_kib);
	}
	assert_true(w.vm[0].target_kib > 1024 * MIB && w.vm[1].target_kib < 3072 * MIB);
	assert_int_equal(o.registry.past[0].asked_kib, w.vm[0].target_kib);
	assert_int_equal(o.registry.past[1].asked_kib, 0);
	end(&o, &w, &report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_single_passes_wait_for_slow_guests),
	    cmocka_unit_test(test_what_others_took_is_not_given),
	    cmocka_unit_test(test_a_pass_that_fails_says_what_it_asked),
	    cmocka_unit_test(test_who_ends_during_the_pass_is_not_registered),
	    cmocka_unit_test(test_a_record_is_compared_with_what_was_read_anew),
	    cmocka_unit_test(test_who_is_on_its_way_is_not_told_again),
	    cmocka_unit_test(test_a_loop_remembers_without_the_registry),
	    cmocka_unit_test(test_who_does_not_give_is_told_again),
	    cmocka_unit_test(test_a_crumb_is_not_waited_for),
	    cmocka_unit_test(test_who_is_above_its_max_is_stopped_on_its_way),
	    cmocka_unit_test(test_who_needs_less_on_its_way_is_turned_back),
	    cmocka_unit_test(test_a_give_without_an_answer_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
