/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/units.h"
#include "plan/guard.h"

#define MIB KIB_PER_MIB
#define STEPS 12

static const struct guard_conf conf = {.reserve_kib = 400 * MIB, .hold_ms = 10000}; /* tight 300, critical 200 */

struct look {
	uint64_t at_ms, available_mib;
	enum guard_level level;
	uint64_t promised_mib;
};

static void test_levels(void **state)
{
	const struct {
		const char *what;
		struct look look[STEPS]; /* ended by 0 at_ms */
	} rows[] = {
	    {"plenty", {{1, 9000, GUARD_CALM, 0}, {2001, 9000, GUARD_CALM, 0}}},
	    {"at the reserve", {{1, 400, GUARD_CALM, 0}, {1001, 400, GUARD_CALM, 0}}},
	    {"just not tight", {{1, 300, GUARD_CALM, 0}, {1001, 300, GUARD_CALM, 0}}},
	    {"tight", {{1, 299, GUARD_TIGHT, 0}}},
	    {"critical at first sight", {{1, 199, GUARD_CRITICAL, 0}}},
	    {"just not critical", {{1, 200, GUARD_TIGHT, 0}}},
	    {"a fall that reaches it within a second", {{1, 900, GUARD_CALM, 0}, {201, 740, GUARD_TIGHT, 0}}},
	    {"one that does not", {{1, 900, GUARD_CALM, 0}, {201, 800, GUARD_CALM, 0}, {401, 760, GUARD_CALM, 0}}},
	    {"two looks at once tell no pace",
	     {{1, 900, GUARD_CALM, 0}, {51, 700, GUARD_CALM, 0}, {101, 690, GUARD_CALM, 0}}},
	    {"but three do", {{1, 900, GUARD_CALM, 0}, {101, 800, GUARD_CALM, 0}, {201, 700, GUARD_TIGHT, 0}}},
	    {"a fall of long ago is no fall",
	     {{1, 900, GUARD_CALM, 0},
	      {3001, 500, GUARD_CALM, 0},
	      {3201, 500, GUARD_CALM, 0},
	      {3401, 490, GUARD_CALM, 0}}},
	    {"a fall alone is never critical", {{1, 9000, GUARD_CALM, 0}, {201, 250, GUARD_TIGHT, 0}}},
	    {"held until ten seconds above the reserve",
	     {{1, 299, GUARD_TIGHT, 0},
	      {1000, 399, GUARD_TIGHT, 0},
	      {20000, 399, GUARD_TIGHT, 0},
	      {21000, 400, GUARD_TIGHT, 0},
	      {30999, 400, GUARD_TIGHT, 0},
	      {31000, 400, GUARD_CALM, 0}}},
	    {"a dip begins it anew",
	     {{1, 299, GUARD_TIGHT, 0},
	      {2000, 450, GUARD_TIGHT, 0},
	      {9000, 399, GUARD_TIGHT, 0},
	      {13000, 450, GUARD_TIGHT, 0},
	      {22999, 450, GUARD_TIGHT, 0},
	      {23000, 450, GUARD_CALM, 0}}},
	    {"critical is left for tight, at three quarters",
	     {{1, 150, GUARD_CRITICAL, 0},
	      {1000, 299, GUARD_CRITICAL, 0},
	      {2000, 300, GUARD_CRITICAL, 0},
	      {11999, 300, GUARD_CRITICAL, 0},
	      {12000, 300, GUARD_TIGHT, 0},
	      {99000, 399, GUARD_TIGHT, 0}}},
	    {"from critical to calm there are two holds",
	     {{1, 150, GUARD_CRITICAL, 0},
	      {2000, 900, GUARD_CRITICAL, 0},
	      {12000, 900, GUARD_TIGHT, 0},
	      {13000, 900, GUARD_TIGHT, 0},
	      {22999, 900, GUARD_TIGHT, 0},
	      {23000, 900, GUARD_CALM, 0}}},
	    {"tight becomes critical at once", {{1, 299, GUARD_TIGHT, 0}, {101, 199, GUARD_CRITICAL, 0}}},
	    {"what was only foreseen is held for a second, at three quarters",
	     {{1, 900, GUARD_CALM, 0},
	      {201, 740, GUARD_TIGHT, 0},
	      {1000, 350, GUARD_TIGHT, 0},
	      {2000, 350, GUARD_TIGHT, 0},
	      {2999, 350, GUARD_TIGHT, 0},
	      {3000, 350, GUARD_CALM, 0}}},
	    {"what has come is not",
	     {{1, 900, GUARD_CALM, 0},
	      {201, 740, GUARD_TIGHT, 0},
	      {1000, 299, GUARD_TIGHT, 0},
	      {2000, 450, GUARD_TIGHT, 0},
	      {11999, 450, GUARD_TIGHT, 0},
	      {12000, 450, GUARD_CALM, 0}}},
	    {"a fall by what guests were promised", {{1, 900, GUARD_CALM, 500}, {201, 790, GUARD_CALM, 500}}},
	    {"one beyond it", {{1, 900, GUARD_CALM, 200}, {201, 690, GUARD_TIGHT, 200}}},
	    {"more is promised than a fall is forgiven", {{1, 900, GUARD_CALM, 900}, {201, 740, GUARD_TIGHT, 900}}},
	    {"a promise that is not there above the reserve",
	     {{1, 600, GUARD_CALM, 900}, {201, 450, GUARD_TIGHT, 900}}},
	    {"a promise below tight", {{1, 299, GUARD_TIGHT, 900}}},
	    {"a clock that stands still harms nothing", {{5, 900, GUARD_CALM, 0}, {5, 100, GUARD_CRITICAL, 0}}},
	};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(*rows); r++) {
		struct guard g = {.level = GUARD_CALM, 0};

		print_message("  %s\n", rows[r].what);
		for (const struct look *l = rows[r].look; l < rows[r].look + STEPS && l->at_ms; l++)
			assert_int_equal(guard_step(&conf, &g, l->available_mib * MIB, l->promised_mib * MIB, l->at_ms),
			                 l->level);
	}
}

static void test_fall(void **state)
{
	struct guard g = {.level = GUARD_CALM, 0};

	(void)state;
	for (uint64_t i = 0; i < 20; i++)
		guard_step(&conf, &g, (20000 - 50 * i) * MIB, 0, 1 + 100 * i);
	assert_int_equal(g.fall_kibps, 500 * MIB);
	assert_int_equal(guard_lack_kib(&conf, &g, 700 * MIB), 200 * MIB);
	assert_int_equal(guard_lack_kib(&conf, &g, 900 * MIB), 0);
	guard_step(&conf, &g, 30000 * MIB, 0, 2100);
	assert_int_equal(g.fall_kibps, 0);
	assert_int_equal(guard_lack_kib(&conf, &g, 100 * MIB), 300 * MIB);
}

/* However often the guard looks. */
static void test_fall_between_short_naps(void **state)
{
	struct guard g = {.level = GUARD_CALM, 0};

	(void)state;
	for (uint64_t ms = 1; ms < 1000; ms += 5)
		guard_step(&conf, &g, 20000 * MIB - 500 * ms * MIB / 1000, 0, ms);
	assert_in_range(g.fall_kibps, 499 * MIB, 501 * MIB);
}

static void test_take(void **state)
{
	const struct {
		uint64_t available_mib, fall_mibps, take_mib;
	} rows[] = {
	    {400, 0, 0},      {399, 0, 2},         {100, 0, 600}, {100, 10, 600}, /* twice the lack */
	    {100, 200, 1200}, {390, 100, 600},                                    /* twice what is lost in 3 s */
	    {400, 100, 0},    {400, 101, 606},                                    /* only if it leads below tight */
	    {9000, 8700, 0},  {9000, 8701, 52206},
	};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(*rows); r++) {
		const struct guard g = {.level = GUARD_TIGHT, .fall_kibps = rows[r].fall_mibps * MIB};

		assert_int_equal(guard_take_kib(&conf, &g, rows[r].available_mib * MIB), rows[r].take_mib * MIB);
	}
}

/* Whatever is seen, no level is below what the figure alone demands, and rising without end leads to calm. */
static void test_any_walk(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (unsigned walk = 0; walk < 200; walk++) {
		struct guard g = {.level = GUARD_CALM, 0};
		uint64_t now_ms = 1;

		for (unsigned i = 0; i < 300; i++) {
			uint64_t available_kib;
			enum guard_level level;

			seed = seed * 1664525 + 1013904223;
			available_kib = (seed >> 8) % (600 * MIB);
			now_ms += seed % 3000;
			level = guard_step(&conf, &g, available_kib, 0, now_ms);
			assert_true(available_kib >= 200 * MIB || level == GUARD_CRITICAL);
			assert_true(available_kib >= 300 * MIB || level >= GUARD_TIGHT);
		}
		for (unsigned i = 0; i < 30; i++)
			guard_step(&conf, &g, 9000 * MIB, 0, now_ms += 1000);
		assert_int_equal(g.level, GUARD_CALM);
	}
}

static void test_nap(void **state)
{
	const struct {
		enum guard_level level;
		uint64_t available_mib;
		uint64_t fall_mibps;
		uint32_t nap_ms;
	} rows[] = {
	    {GUARD_CALM, 0, 0, 5},           {GUARD_CALM, 300, 0, 5},      {GUARD_CALM, 540, 0, 40},
	    {GUARD_CALM, 799, 0, 83},        {GUARD_CALM, 801, 0, 100},    {GUARD_CALM, 900, 0, 100},
	    {GUARD_CALM, 3300, 0, 500},      {GUARD_CALM, 12300, 0, 2000}, {GUARD_CALM, 999999, 0, 2000},
	    {GUARD_CRITICAL, 12300, 0, 100}, {GUARD_CALM, 1299, 500, 25}, /* tight within two seconds */
	    {GUARD_CALM, 1301, 500, 166},    {GUARD_CALM, 300, 1, 5},      {GUARD_CALM, 600, 200, 25},
	    {GUARD_TIGHT, 12300, 1, 25},     {GUARD_TIGHT, 799, 0, 5},     {GUARD_CRITICAL, 0, 500, 5},
	};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(*rows); r++) {
		const struct guard g = {.level = rows[r].level, .fall_kibps = rows[r].fall_mibps * MIB};

		assert_in_range(guard_nap_ms(&conf, &g, rows[r].available_mib * MIB), rows[r].nap_ms,
		                rows[r].nap_ms + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_levels),
	    cmocka_unit_test(test_fall),
	    cmocka_unit_test(test_fall_between_short_naps),
	    cmocka_unit_test(test_take),
	    cmocka_unit_test(test_any_walk),
	    cmocka_unit_test(test_nap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
