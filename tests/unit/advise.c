/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/units.h"
#include "plan/advise.h"
#include "plan/guest.h"

#define NOW_MINUTE UINT32_C(29405640)

/* What is used at a minute so many minutes ago. */
struct shape {
	const char *name;
	uint32_t minutes;
	uint64_t (*used_kib)(uint32_t ago);
	uint32_t distress_minutes; /* the last */
	struct advice advice;
};

static uint64_t steady(uint32_t ago)
{
	(void)ago;
	return KIB_PER_GIB;
}

static uint64_t day_and_night(uint32_t ago)
{
	return ago / 720 % 2 ? 2 * KIB_PER_GIB : KIB_PER_GIB / 2;
}

static uint64_t leak(uint32_t ago)
{
	return 262144 + 1000 * (uint64_t)(1440 - ago);
}

static uint64_t small(uint32_t ago)
{
	(void)ago;
	return 262144;
}

static struct bucket minute_of(uint32_t ago, uint64_t kib, bool distress)
{
	struct bucket b = {.number = NOW_MINUTE - ago, .reasons = distress ? 1u << REASON_DISTRESS : 0};

	bucket_add(&b, FIGURE_USED, kib / 2);
	bucket_add(&b, FIGURE_USED, kib); /* the most counts */
	return b;
}

static struct advise seen(const struct shape *s)
{
	struct advise a = {.now_s = NOW_MINUTE * UINT64_C(60)};

	for (uint32_t ago = s->minutes; ago; ago--) {
		const struct bucket b = minute_of(ago, s->used_kib(ago), ago <= s->distress_minutes);

		advise_add(&a, &b, BUCKET_MINUTE);
	}
	return a;
}

/* The figures come from another program, written after the formulas that the autoscaler publishes. */
static void test_limits_are_those_of_the_autoscaler(void **state)
{
	static const struct shape rows[] = {
	    {"steady, an hour", 60, steady, 0, {1051851, 1051851, 1051851, 1127 * KIB_PER_MIB, 29532 * KIB_PER_MIB}},
	    {"steady, a day", 1440, steady, 0, {1051851, 1051851, 1051851, 1179 * KIB_PER_MIB, 2363 * KIB_PER_MIB}},
	    {"steady, a week", 10080, steady, 0, {1051851, 1051851, 1051851, 1181 * KIB_PER_MIB, 1351 * KIB_PER_MIB}},
	    {"day and night",
	     2880,
	     day_and_night,
	     0,
	     {533878, 2156400, 2156400, 599 * KIB_PER_MIB, 3633 * KIB_PER_MIB}},
	    {"leak", 1440, leak, 0, {1114209, 1647316, 1739447, 1249 * KIB_PER_MIB, 3907 * KIB_PER_MIB}},
	    {"distress", 1440, small, 60, {274730, 274730, 376027, 308 * KIB_PER_MIB, 845 * KIB_PER_MIB}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct advise a = seen(&rows[i]);
		struct advice advice = {.p50_kib = 0};

		if (!advise_limits(&a, &advice) || advice.p50_kib != rows[i].advice.p50_kib ||
		    advice.p90_kib != rows[i].advice.p90_kib || advice.p98_kib != rows[i].advice.p98_kib ||
		    advice.min_kib != rows[i].advice.min_kib || advice.max_kib != rows[i].advice.max_kib)
			fail_msg("%s: %llu %llu %llu %llu %llu", rows[i].name, (unsigned long long)advice.p50_kib,
			         (unsigned long long)advice.p90_kib, (unsigned long long)advice.p98_kib,
			         (unsigned long long)(advice.min_kib / KIB_PER_MIB),
			         (unsigned long long)(advice.max_kib / KIB_PER_MIB));
		assert_int_equal(a.distress_minutes, rows[i].distress_minutes);
	}
}

/* Three peaks of 1, 2 and 3 GB, as in the autoscaler's own test of its estimator. */
static void test_percentiles(void **state)
{
	static const struct {
		double share, bytes;
	} rows[] = {{0.2, 1016281388.55}, {0.5, 2093479957.15}, {0.9, 3027156617.06}};
	static const uint64_t peaks_kib[] = {976563, 1953126, 2929688};
	struct advise a = {.now_s = NOW_MINUTE * UINT64_C(60)};

	(void)state;
	assert_float_equal(advise_percentile(&a, 0.5), 0, 0);
	for (size_t i = 0; i < COUNT(peaks_kib); i++) {
		const struct bucket b = minute_of(1, peaks_kib[i], false);

		advise_add(&a, &b, BUCKET_MINUTE);
	}
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_float_equal(advise_percentile(&a, rows[i].share), rows[i].bytes, 1);
}

static void test_peak_counts_half_a_day_later(void **state)
{
	struct advise a = {.now_s = NOW_MINUTE * UINT64_C(60)};
	struct bucket b = minute_of(1440, steady(0), false);

	(void)state;
	advise_add(&a, &b, BUCKET_MINUTE);
	assert_float_equal(a.total, 0.5, 1e-12);
	b = minute_of(2880, UINT64_MAX / 1024, false); /* beyond the last bucket */
	advise_add(&a, &b, BUCKET_MINUTE);
	assert_float_equal(a.weight[ADVISE_BUCKETS - 1], 0.25, 1e-12);
	b.number = NOW_MINUTE + 1; /* of a clock that was set back */
	advise_add(&a, &b, BUCKET_MINUTE);
	b = (struct bucket){.number = NOW_MINUTE - 1}; /* nothing is known of its use */
	advise_add(&a, &b, BUCKET_MINUTE);
	assert_int_equal(a.minutes, 2);
}

static void test_quarter_counts_for_its_minutes(void **state)
{
	struct advise a = {.now_s = NOW_MINUTE * UINT64_C(60)};
	struct bucket quarter = {.number = NOW_MINUTE / 15 - 1};

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		const struct bucket b = minute_of(i, steady(0), false);

		bucket_fold(&quarter, &b, BUCKET_MINUTE);
	}
	advise_add(&a, &quarter, BUCKET_QUARTER);
	assert_int_equal(a.minutes, 10);
	assert_float_equal(a.total, 9.92806f, 1e-4f); /* half of a day to the power of 1/96 */
}

static void test_no_advice_before_an_hour(void **state)
{
	const struct shape short_one = {"", 59, steady, 0, {0}};
	const struct advise a = seen(&short_one), none = {.now_s = 1};
	struct advice advice = {.p50_kib = 7};

	(void)state;
	assert_false(advise_limits(&a, &advice));
	assert_false(advise_limits(&none, &advice));
	assert_int_equal(advice.p50_kib, 7);
}

static void test_weights(void **state)
{
	static const struct {
		uint64_t swing_kib, mean_kib;
		uint32_t weight;
	} rows[] = {{100, 100, 100}, {200, 100, 200},   {96, 100, 100}, {94, 100, 90},
	            {0, 100, 10},    {9999, 100, 1000}, {0, 0, 100}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(advise_weight(rows[i].swing_kib, rows[i].mean_kib), rows[i].weight);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_limits_are_those_of_the_autoscaler),
	    cmocka_unit_test(test_percentiles),
	    cmocka_unit_test(test_peak_counts_half_a_day_later),
	    cmocka_unit_test(test_quarter_counts_for_its_minutes),
	    cmocka_unit_test(test_no_advice_before_an_hour),
	    cmocka_unit_test(test_weights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
