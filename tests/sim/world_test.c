/* SPDX-License-Identifier: MIT */
/*
 * The world against real guests: the scenarios of facts/real-guests.md, played by four simulated
 * guests of 384 to 768 MiB, give the figures that were measured there, within a factor. And the
 * laws it must keep.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "controller.h"
#include "base/units.h"

#define MIB KIB_PER_MIB
#define GUESTS 4
#define LOOK_MS 250
#define TARGET_KIB 150000
#define TOLERANCE_KIB 5000

/* ---- laws ---- */

struct alone { /* one machine on a large host */
	struct world w;
	struct vm *v;
};

static void raise_alone(struct alone *a, struct nature is)
{
	assert_int_equal(world_init(&a->w, 1), 0);
	a->w.total_kib = 64 * KIB_PER_GIB;
	a->v = &a->w.vm[0];
	a->v->is = is;
	world_begin(&a->w);
}

static void test_gives_are_touched_only_by_use(void **state)
{
	struct nature is = nature_usual(2048 * MIB);
	struct alone a;
	uint64_t rss;

	(void)state;
	is.use =
	    (struct load){.base_kib = 200 * MIB, .peak_kib = 1500 * MIB, .rise_kibps = 100 * MIB, .start_ms = 5000};
	is.warm_pct = 0;
	raise_alone(&a, is);
	rss = vm_rss_kib(a.v);
	assert_int_equal(world_set(&a.w, a.v, 2048 * MIB), 0);
	world_run(&a.w, 4000);
	assert_int_equal(vm_actual_kib(a.v), 2048 * MIB);
	assert_int_equal(vm_rss_kib(a.v), rss);
	world_run(&a.w, 6000);
	assert_int_equal(vm_rss_kib(a.v), rss + 500 * MIB);
	world_free(&a.w);
}

static void test_takes_free_only_what_was_touched(void **state)
{
	static const struct {
		uint32_t warm_pct;
		uint64_t freed_mib;
	} rows[] = {{0, 0}, {50, 256}, {100, 512}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct nature is = nature_usual(2048 * MIB);
		struct alone a;
		int64_t before, freed;

		is.use.base_kib = 200 * MIB;
		is.warm_pct = rows[i].warm_pct;
		raise_alone(&a, is);
		before = world_available_kib(&a.w);
		world_set(&a.w, a.v, 512 * MIB);
		world_run(&a.w, 3000);
		freed = world_available_kib(&a.w) - before;
		assert_int_equal(vm_actual_kib(a.v), 512 * MIB);
		assert_in_range(freed, rows[i].freed_mib * MIB, rows[i].freed_mib * MIB + 1);
		world_free(&a.w);
	}
}

static void test_what_is_freed_inside_stays_in_rss(void **state)
{
	struct nature is = nature_usual(2048 * MIB);
	struct alone a;
	uint64_t rss;

	(void)state;
	is.use = (struct load){.peak_kib = 600 * MIB, .rise_kibps = 600 * MIB, .until_ms = 3000};
	raise_alone(&a, is);
	world_run(&a.w, 2000);
	rss = vm_rss_kib(a.v);
	world_run(&a.w, 2000);
	assert_int_equal(a.v->used_kib, 0);
	assert_int_equal(vm_rss_kib(a.v), rss);
	world_free(&a.w);
}

/* Out of puff: the balloon stops at what is free, the guest keeps what it uses. */
static void test_balloon_takes_no_used_memory(void **state)
{
	struct nature is = nature_usual(2048 * MIB);
	struct alone a;

	(void)state;
	is.use.base_kib = 500 * MIB;
	is.cache_kib = 300 * MIB;
	raise_alone(&a, is);
	world_set(&a.w, a.v, 20 * MIB);
	world_run(&a.w, 10000);
	assert_int_equal(a.v->used_kib, 500 * MIB);
	assert_int_equal(a.v->cache_kib, 0);
	assert_int_equal(vm_free_kib(a.v), is.mark_kib);
	assert_int_equal(world_set(&a.w, a.v, 0), -EINVAL);
	assert_int_equal(world_set(&a.w, a.v, 2048 * MIB + 1), -EINVAL);
	world_free(&a.w);
}

static void test_actual_and_statistics_are_seen_late(void **state)
{
	struct nature is = nature_usual(2048 * MIB);
	struct sample before, now;
	struct alone a;

	(void)state;
	is.period_s = 5;
	is.phase_ms = 5000;
	raise_alone(&a, is);
	before = world_sample(&a.w, a.v);
	world_set(&a.w, a.v, 512 * MIB);
	world_run(&a.w, 1900);
	now = world_sample(&a.w, a.v);
	assert_int_equal(vm_actual_kib(a.v), 512 * MIB);
	assert_int_not_equal(now.actual_kib, 512 * MIB);
	assert_int_equal(now.unused_kib, before.unused_kib);
	assert_int_equal(now.last_update_s, before.last_update_s);
	world_run(&a.w, 3200);
	now = world_sample(&a.w, a.v);
	assert_int_equal(now.actual_kib, 512 * MIB);
	assert_int_equal(now.available_kib, 512 * MIB - is.overhead_kib);
	world_free(&a.w);
}

/* After a reboot the guest has all its memory, and what is seen of it stays as it was, until the
 * driver is back. */
static void test_reboot(void **state)
{
	struct nature is = nature_usual(2048 * MIB);
	struct sample before, now;
	struct alone a;

	(void)state;
	is.current_kib = 512 * MIB;
	is.use.base_kib = 100 * MIB;
	is.reboot_ms = 10000;
	is.boot_ms = 8000;
	is.phase_ms = 700;
	raise_alone(&a, is);
	world_run(&a.w, 9900);
	before = world_sample(&a.w, a.v);
	world_run(&a.w, 5000);
	now = world_sample(&a.w, a.v);
	assert_int_equal(now.actual_kib, before.actual_kib);
	assert_int_equal(now.last_update_s, before.last_update_s);
	assert_true(now.rss_kib > before.rss_kib);
	assert_int_equal(vm_actual_kib(a.v), 2048 * MIB);
	world_run(&a.w, 15000);
	now = world_sample(&a.w, a.v);
	assert_true(now.last_update_s > before.last_update_s);
	assert_int_equal(now.actual_kib, 512 * MIB);
	world_free(&a.w);
}

static void test_autodeflate(void **state)
{
	struct nature is = nature_usual(2048 * MIB);
	struct alone a;

	(void)state;
	is.current_kib = 512 * MIB;
	is.autodeflate = true;
	is.use = (struct load){.base_kib = 100 * MIB, .peak_kib = 1000 * MIB, .rise_kibps = 100 * MIB};
	raise_alone(&a, is);
	world_run(&a.w, 20000);
	assert_int_equal(a.v->used_kib, 1000 * MIB);
	assert_int_equal(a.v->tally.starved_ms, 0);
	assert_int_equal(world_sample(&a.w, a.v).available_kib, 2048 * MIB - is.overhead_kib);
	world_free(&a.w);
}

/* What was taken of a hot page cache is read from the disk again, as often as it is missed. */
static void test_lost_page_cache_is_read_again(void **state)
{
	struct nature is = nature_usual(4096 * MIB);
	uint64_t read_kib, faults;
	struct alone a;

	(void)state;
	is.current_kib = 4096 * MIB;
	is.cache_kib = 2000 * MIB;
	is.hot_kibps = 100 * MIB;
	is.mapped = true;
	is.warm_pct = 100;
	raise_alone(&a, is);
	world_run(&a.w, 5000);
	assert_int_equal(a.v->tally.read_kib, 0);
	world_set(&a.w, a.v, 1000 * MIB + is.overhead_kib + is.mark_kib);
	world_run(&a.w, 10000);
	read_kib = a.v->tally.read_kib;
	faults = a.v->major_faults;
	world_run(&a.w, 10000);
	assert_in_range(a.v->cache_kib, 990 * MIB, 1010 * MIB);
	assert_in_range(a.v->tally.read_kib - read_kib, 490 * MIB, 510 * MIB);
	assert_in_range(a.v->major_faults - faults, 490 * MIB / 64, 510 * MIB / 64);
	world_free(&a.w);
}

static void test_what_was_killed_grows_anew(void **state)
{
	struct nature is = nature_usual(1024 * MIB);
	struct alone a;

	(void)state;
	is.current_kib = 600 * MIB;
	is.use = (struct load){.base_kib = 100 * MIB, .peak_kib = 800 * MIB, .rise_kibps = 100 * MIB};
	is.dies = true;
	is.respawn_ms = 3000;
	raise_alone(&a, is);
	world_run(&a.w, 6000);
	assert_int_equal(a.v->tally.kills, 1);
	assert_int_equal(a.v->used_kib, 100 * MIB);
	world_set(&a.w, a.v, 1024 * MIB);
	world_run(&a.w, 4000);
	assert_in_range(a.v->used_kib, 150 * MIB, 500 * MIB);
	world_run(&a.w, 6000);
	assert_int_equal(a.v->used_kib, 800 * MIB);
	assert_int_equal(a.v->tally.kills, 1);
	world_free(&a.w);
}

static void test_a_late_load_begins_within_its_time(void **state)
{
	struct load load = {.base_kib = 1,
	                    .peak_kib = 2,
	                    .rise_kibps = 1000,
	                    .start_ms = 2000,
	                    .until_ms = 9000,
	                    .every_ms = 10000,
	                    .late_ms = 5000,
	                    .seed = 7};
	unsigned early = 0;

	(void)state;
	for (uint64_t at_ms = 0; at_ms < 1000000; at_ms += load.every_ms) {
		assert_int_equal(load_at(&load, at_ms + 1900), 1);
		assert_int_equal(load_at(&load, at_ms + 7100), 2);
		assert_int_equal(load_at(&load, at_ms + 9100), 1);
		early += load_at(&load, at_ms + 4500) == 2;
	}
	assert_in_range(early, 30, 70);
}

/* Windows: MemTotal is that of the maximum, and page cache counts as free. */
static void test_a_total_that_stays(void **state)
{
	struct nature is = nature_usual(2048 * MIB);
	struct sample s;
	struct alone a;

	(void)state;
	is.total_stays = is.no_usable = true;
	is.cache_kib = 300 * MIB;
	is.warm_pct = 100;
	raise_alone(&a, is);
	world_set(&a.w, a.v, 700 * MIB);
	world_run(&a.w, 5000);
	s = world_sample(&a.w, a.v);
	assert_int_equal(s.available_kib, 2048 * MIB - is.overhead_kib);
	assert_int_equal(s.actual_kib, 700 * MIB);
	assert_true(s.unused_kib > vm_free_kib(a.v) + 200 * MIB);
	assert_false(s.have & SAMPLE_USABLE);
	world_free(&a.w);
}

/* Idle memory is counted only while another guest lacks some. */
static void test_idle_memory_counts_while_others_lack(void **state)
{
	struct world w;

	(void)state;
	assert_int_equal(world_init(&w, 2), 0);
	w.total_kib = 64 * KIB_PER_GIB;
	w.target_kib = TARGET_KIB;
	w.vm[0].is = w.vm[1].is = nature_usual(2048 * MIB);
	w.vm[1].is.use = (struct load){.peak_kib = 950 * MIB, .rise_kibps = 950 * MIB, .start_ms = 5000};
	world_begin(&w);
	world_run(&w, 5000);
	assert_int_equal(w.idle_mib_ms, 0);
	world_run(&w, 2000);
	assert_in_range(w.idle_mib_ms, 800 * 1000, 900 * 2000);
	world_free(&w);
}

/* ---- the measured scenarios ---- */

struct figures {
	double shortfall, idle; /* MiB s of unused below and above the target, beyond the tolerance */
	double moves, kills;
};

struct scenario {
	const char *name;
	unsigned seconds;
	struct load load[GUESTS]; /* beyond what an idle guest uses */
};

#define GROW(mib, rate, from_s, until_s)                                                                               \
	{                                                                                                              \
		.peak_kib = (mib)*MIB, .rise_kibps = (rate)*MIB, .start_ms = (from_s)*1000, .until_ms = (until_s)*1000 \
	}

static const struct scenario one = {"one", 60, {GROW(500, 20, 1, 40)}};
static const struct scenario all = {
    "all", 65, {GROW(450, 15, 1, 45), GROW(450, 15, 1, 45), GROW(450, 15, 1, 45), GROW(450, 15, 1, 45)}};
static const struct scenario swap = {
    "swap", 70, {GROW(450, 15, 1, 35), GROW(450, 15, 1, 35), GROW(450, 15, 35, 70), GROW(450, 15, 35, 70)}};
static const struct scenario burst = {"burst", 45, {GROW(300, 3000, 1, 30)}};

/* Idle, such a guest has 295 of its 384 MiB unused. */
#define IDLE_KIB (63 * MIB)

static struct nature small_guest(size_t i, const struct load *load)
{
	struct nature is = nature_usual(768 * MIB);

	is.current_kib = 384 * MIB;
	is.use = *load;
	is.use.base_kib = IDLE_KIB;
	is.use.peak_kib += load->peak_kib ? IDLE_KIB : 0;
	is.phase_ms = (uint32_t)(130 + 240 * i);
	is.dies = true;
	is.warm_pct = 5;
	return is;
}

static void measure(const struct world *w, struct figures *f)
{
	for (size_t i = 0; i < w->n; i++) {
		double unused = (double)world_sample(w, &w->vm[i]).unused_kib;

		f->shortfall += unused < TARGET_KIB - TOLERANCE_KIB ? TARGET_KIB - TOLERANCE_KIB - unused : 0;
		f->idle += unused > TARGET_KIB + TOLERANCE_KIB ? unused - TARGET_KIB - TOLERANCE_KIB : 0;
	}
}

static struct figures play(const struct scenario *s, const struct controller *c)
{
	struct figures f = {0};
	struct world w;
	struct run r;

	assert_int_equal(world_init(&w, GUESTS), 0);
	for (size_t i = 0; i < GUESTS; i++)
		w.vm[i].is = small_guest(i, &s->load[i]);
	w.tick_ms = 50;
	w.total_kib = 16 * KIB_PER_GIB;
	world_begin(&w);
	assert_int_equal(run_open(&r, c, &w), 0);
	r.next_ms = 400;
	while (w.now_ms < s->seconds * 1000) {
		run_until(&r, w.now_ms + LOOK_MS);
		measure(&w, &f);
	}
	run_close(&r);
	f.shortfall *= (double)LOOK_MS / 1000 / (double)MIB;
	f.idle *= (double)LOOK_MS / 1000 / (double)MIB;
	for (size_t i = 0; i < GUESTS; i++) {
		f.moves += (double)w.vm[i].tally.commands;
		f.kills += (double)w.vm[i].tally.kills;
	}
	world_free(&w);
	return f;
}

/* A ratio of 1.5 either way; where next to nothing was measured or played, within a hundred. */
static bool is_near(double played, double measured)
{
	return (played <= 1.5 * measured && measured <= 1.5 * played) || (played < 100 && measured < 100);
}

static void test_measured(void **state)
{
	static const struct {
		const struct scenario *scenario;
		const struct controller *controller;
		struct figures measured; /* moves 0: not measured */
	} rows[] = {
	    {&one, &nothing, {300, 32982, 0, 1}},    {&all, &nothing, {1616, 25692, 0, 4}},
	    {&swap, &nothing, {1337, 31337, 0, 4}},  {&burst, &nothing, {0, 26127, 0, 1}},
	    {&one, &original, {88, 3832, 51, 0}},    {&all, &original, {425, 11528, 145, 0}},
	    {&swap, &original, {457, 5710, 134, 0}}, {&burst, &original, {63, 985, 0, 1}},
	    {&one, &mom, {509, 38942, 0, 1}},        {&all, &mom, {2582, 35444, 0, 4}},
	    {&burst, &mom, {0, 28396, 0, 1}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct figures *m = &rows[i].measured;
		struct figures f = play(rows[i].scenario, rows[i].controller);

		print_message("%-5s %-8s played %5.0f / %6.0f / %.0f, %3.0f moves; measured %5.0f "
		              "/ %6.0f / %.0f, %3.0f\n",
		              rows[i].scenario->name, rows[i].controller->name, f.shortfall, f.idle, f.kills, f.moves,
		              m->shortfall, m->idle, m->kills, m->moves);
		assert_true(is_near(f.shortfall, m->shortfall) && is_near(f.idle, m->idle) &&
		            (!(m->moves > 0) || is_near(f.moves, m->moves)) && !(f.kills < m->kills) &&
		            !(f.kills > m->kills));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_gives_are_touched_only_by_use),
	    cmocka_unit_test(test_takes_free_only_what_was_touched),
	    cmocka_unit_test(test_what_is_freed_inside_stays_in_rss),
	    cmocka_unit_test(test_balloon_takes_no_used_memory),
	    cmocka_unit_test(test_actual_and_statistics_are_seen_late),
	    cmocka_unit_test(test_reboot),
	    cmocka_unit_test(test_autodeflate),
	    cmocka_unit_test(test_lost_page_cache_is_read_again),
	    cmocka_unit_test(test_what_was_killed_grows_anew),
	    cmocka_unit_test(test_a_late_load_begins_within_its_time),
	    cmocka_unit_test(test_a_total_that_stays),
	    cmocka_unit_test(test_idle_memory_counts_while_others_lack),
	    cmocka_unit_test(test_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
