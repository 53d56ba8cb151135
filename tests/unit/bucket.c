/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plan/bucket.h"

static struct bucket seen(const uint64_t *value, size_t n)
{
	struct bucket b = {.number = 1};

	for (size_t i = 0; i < n; i++)
		bucket_add(&b, FIGURE_USED, value[i]);
	return b;
}

static void test_values_are_counted(void **state)
{
	static const struct {
		uint64_t value[4];
		size_t n;
		uint64_t least, mean, most;
	} rows[] = {
	    {{0}, 0, 0, 0, 0},
	    {{7}, 1, 7, 7, 7},
	    {{0, 0}, 2, 0, 0, 0},
	    {{5, 2, 9, 1}, 4, 1, 4, 9}, /* 4.25 */
	    {{1, 2}, 2, 1, 2, 2},       /* 1.5 */
	    {{UINT64_MAX, UINT64_MAX}, 2, UINT64_MAX, UINT64_MAX / 2, UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct bucket b = seen(rows[i].value, rows[i].n);
		const struct bucket_figure *f = &b.figure[FIGURE_USED];

		assert_int_equal(f->n, rows[i].n);
		assert_int_equal(f->least, rows[i].least);
		assert_int_equal(bucket_mean(f), rows[i].mean);
		assert_int_equal(f->most, rows[i].most);
		assert_int_equal(b.figure[FIGURE_RSS].n, 0);
	}
}

static void test_minute_counts_as_one_however_often_it_was_seen(void **state)
{
	const struct bucket often = seen((uint64_t[]){10, 10, 10, 10}, 4), once = seen((uint64_t[]){40}, 1);
	struct bucket quarter = {.number = 1}, day = {.number = 1}, same = often;

	(void)state;
	bucket_fold(&quarter, &often, BUCKET_MINUTE);
	bucket_fold(&quarter, &once, BUCKET_MINUTE);
	bucket_fold(&quarter, &(struct bucket){.number = 3}, BUCKET_MINUTE); /* in which it was not known */
	assert_int_equal(quarter.figure[FIGURE_USED].n, 2);
	assert_int_equal(bucket_mean(&quarter.figure[FIGURE_USED]), 25);
	assert_int_equal(quarter.figure[FIGURE_USED].least, 10);
	assert_int_equal(quarter.figure[FIGURE_USED].most, 40);
	bucket_fold(&day, &quarter, BUCKET_QUARTER); /* two minutes */
	bucket_fold(&day, &(struct bucket){.figure[FIGURE_USED] = {1, 1, 1, 1}}, BUCKET_QUARTER);
	assert_int_equal(day.figure[FIGURE_USED].n, 3);
	assert_int_equal(bucket_mean(&day.figure[FIGURE_USED]), 17);
	bucket_merge(&same, &once); /* one minute, seen by two programs */
	assert_int_equal(bucket_mean(&same.figure[FIGURE_USED]), 16);
}

static void test_reasons_are_gathered(void **state)
{
	struct bucket into = {.reasons = 1};

	(void)state;
	bucket_merge(&into, &(struct bucket){.reasons = 4});
	bucket_fold(&into, &(struct bucket){.reasons = 6}, BUCKET_MINUTE);
	assert_int_equal(into.reasons, 7);
}

static void test_levels_hold_as_long_as_is_told(void **state)
{
	static const uint64_t kept_s[] = {86400, 31 * 86400, 731 * 86400};
	uint32_t all = 0;

	(void)state;
	for (enum bucket_level i = 0; i < BUCKET_LEVELS; i++) {
		assert_int_equal((uint64_t)BUCKET_KEPT(i) * BUCKET_SPAN_S(i), kept_s[i]);
		if (i)
			assert_int_equal(BUCKET_PARTS(i) * BUCKET_SPAN_S(i - 1), BUCKET_SPAN_S(i));
		all += BUCKET_KEPT(i);
	}
	assert_int_equal(all, BUCKET_KEPT_ALL);
	assert_int_equal(bucket_number(BUCKET_QUARTER, 1764338399), 1960375);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values_are_counted),
	    cmocka_unit_test(test_minute_counts_as_one_however_often_it_was_seen),
	    cmocka_unit_test(test_reasons_are_gathered),
	    cmocka_unit_test(test_levels_hold_as_long_as_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
