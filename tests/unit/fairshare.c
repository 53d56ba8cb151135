/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plan/fairshare.h"

#define MAX 8
#define HALF (UINT64_MAX / 2)
#define FAR (UINT64_C(1) << 62) /* a double of this size tells no less than 1024 */

static void test_shares(void **state)
{
	/* base, lo, hi, weight of each item; capacity; what each gets */
	const struct {
		const char *what;
		size_t n;
		struct fairshare_item item[MAX];
		uint64_t capacity;
		bool fits;
		uint64_t share[MAX];
	} rows[] = {
	    {"no guest", 0, {{0}}, 10, true, {0}},
	    {"room for all", 2, {{0, 0, 10, 1}, {0, 0, 20, 1}}, 30, true, {10, 20}},
	    {"even", 2, {{0, 0, 100, 1}, {0, 0, 100, 1}}, 100, true, {50, 50}},
	    {"by weight", 2, {{0, 0, 100, 100}, {0, 0, 100, 300}}, 100, true, {25, 75}},
	    {"what one cannot take goes to the other", 2, {{0, 0, 10, 1}, {0, 0, 100, 1}}, 60, true, {10, 50}},
	    {"headroom, not size", 2, {{500, 500, 900, 1}, {100, 100, 900, 1}}, 700, true, {550, 150}},
	    {"an item with more keeps it", 2, {{0, 80, 100, 1}, {0, 0, 100, 1}}, 100, true, {80, 20}},
	    {"three levels", 3, {{0, 0, 30, 1}, {0, 10, 30, 1}, {0, 20, 30, 1}}, 45, true, {12, 12, 20}},
	    {"rounded down, never over", 3, {{0, 0, 9, 1}, {0, 0, 9, 1}, {0, 0, 9, 1}}, 10, true, {3, 3, 3}},
	    {"not even the least", 2, {{0, 10, 20, 1}, {0, 10, 20, 1}}, 19, false, {10, 10}},
	    {"exactly the least", 2, {{0, 10, 20, 1}, {0, 10, 20, 1}}, 20, true, {10, 10}},
	    {"the least and the greatest weight", 2, {{0, 0, 9000, 1}, {0, 0, 9000, 10000}}, 5000, true, {0, 4999}},
	    {"the greatest has enough", 2, {{0, 0, 9000, 1}, {0, 0, 9000, 10000}}, 9002, true, {2, 9000}},
	    {"all there can be", 2, {{0, 0, UINT64_MAX, 1}, {0, 0, UINT64_MAX, 1}}, UINT64_MAX, true, {HALF, HALF}},
	    {"which is too little",
	     2,
	     {{9, UINT64_MAX, UINT64_MAX, 1}, {0, 9, 9, 1}},
	     UINT64_MAX,
	     false,
	     {UINT64_MAX, 9}},
	    {"and of one all but ten",
	     2,
	     {{0, 0, 10, 10000}, {0, 0, UINT64_MAX, 1}},
	     UINT64_MAX,
	     true,
	     {10, UINT64_MAX - 10}},
	    {"a share beyond all", 2, {{0, 0, 10, 2}, {0, 0, UINT64_MAX, 1}}, HALF + 11, true, {10, HALF + 1}},
	    {"the last ten",
	     2,
	     {{UINT64_MAX - 10, UINT64_MAX - 10, UINT64_MAX, 10000}, {0, 0, 9, 1}},
	     UINT64_MAX,
	     true,
	     {UINT64_MAX - 1, 0}},
	    {"hardly apart", 2, {{0, 0, FAR, 1}, {0, 0, FAR + 500, 1}}, 2 * FAR + 400, true, {FAR, FAR + 400}},
	    {"the other way round", 2, {{0, 0, FAR + 500, 1}, {0, 0, FAR, 1}}, 2 * FAR + 400, true, {FAR + 400, FAR}},
	    {"huge", 2, {{0, 0, UINT64_MAX / 2, 10000}, {0, 0, UINT64_MAX / 2, 1}}, 10001, true, {10000, 1}},
	};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(*rows); r++) {
		struct fairshare_edge edge[2 * MAX];
		struct fairshare level;

		print_message("  %s\n", rows[r].what);
		assert_int_equal(fairshare_find(rows[r].item, rows[r].n, rows[r].capacity, edge, &level), rows[r].fits);
		for (size_t i = 0; i < rows[r].n; i++)
			assert_int_equal(fairshare_share_kib(&level, &rows[r].item[i]), rows[r].share[i]);
	}
}

static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	return *seed ^= *seed << 5;
}

static uint64_t random_kib(uint32_t *seed, uint32_t below, unsigned shift)
{
	uint64_t kib = (uint64_t)(next_random(seed) % below) << shift;

	return kib + next_random(seed) % (UINT64_C(1) << (shift < 32 ? shift : 32));
}

static uint64_t random_item(uint32_t *seed, struct fairshare_item *item, unsigned shift)
{
	item->base_kib = random_kib(seed, 1000000, shift);
	item->lo_kib = item->base_kib + random_kib(seed, 100000, shift);
	item->hi_kib = item->lo_kib + random_kib(seed, 300000, shift);
	item->weight = next_random(seed) % 4 ? 1 + next_random(seed) % 10000 : next_random(seed) % 2 ? 1 : 10000;
	return item->lo_kib;
}

/* Over random items, up to sums that just fit 64 bits: within capacity, nothing more could be handed out evenly, and
 * the order does not matter. */
static void test_random(void **state)
{
	uint32_t seed = 12345;

	(void)state;
	for (int round = 0; round < 5000; round++) {
		struct fairshare_item item[MAX], reversed[MAX];
		struct fairshare_edge edge[2 * MAX];
		struct fairshare level, other;
		unsigned shift = round % 2 ? 0 : (unsigned)round % 41; /* 8 of 1.4 million, 2^40 times: below 2^64 */
		uint64_t capacity = random_kib(&seed, 800000, shift), sum = 0;

		for (size_t i = 0; i < MAX; i++)
			capacity += random_item(&seed, &item[i], shift);
		for (size_t i = 0; i < MAX; i++)
			reversed[MAX - 1 - i] = item[i];
		assert_true(fairshare_find(item, MAX, capacity, edge, &level));
		assert_true(fairshare_find(reversed, MAX, capacity, edge, &other));
		for (size_t i = 0; i < MAX; i++) {
			sum += fairshare_share_kib(&level, &item[i]);
			assert_int_equal(fairshare_share_kib(&level, &item[i]), fairshare_share_kib(&other, &item[i]));
		}
		assert_true(sum <= capacity);
		assert_true(!level.bounded || sum + MAX > capacity);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shares),
	    cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("level", tests, NULL, NULL);
}
