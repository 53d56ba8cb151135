/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/units.h"
#include "virt/node.h"

#define GIB KIB_PER_GIB
#define NONE UINT64_MAX /* libvirt does not report the figure */

static struct host read_node(uint64_t hugetlb, const uint64_t figures[5])
{
	static const char *const fields[] = {"total", "free", "buffers", "cached", "available"};
	struct host h = node_begin();

	node_put(&h, "unknown", 1);
	node_put(&h, "", 1);
	for (size_t i = 0; i < COUNT(fields); i++)
		if (figures[i] != NONE)
			node_put(&h, fields[i], figures[i]);
	return node_end(&h, hugetlb);
}

/* Each figure is cut to what its neighbours allow, and the first that is far off is named. */
static void test_figures(void **state)
{
	static const struct {
		uint64_t hugetlb, total, free, buffers, cached, available;
		uint64_t pageable_after, free_after, available_after;
		const char *doubtful; /* NULL: none */
		uint64_t says, allowed;
	} rows[] = {
	    /* without "available", as before libvirt 12.3 */
	    {.total = 64 * GIB,
	     .free = 8 * GIB,
	     .buffers = GIB,
	     .cached = 16 * GIB,
	     .available = NONE,
	     .pageable_after = 64 * GIB,
	     .free_after = 8 * GIB,
	     .available_after = 25 * GIB},
	    {.total = 64 * GIB,
	     .free = 8 * GIB,
	     .buffers = NONE,
	     .cached = NONE,
	     .available = NONE,
	     .pageable_after = 64 * GIB,
	     .free_after = 8 * GIB,
	     .available_after = 8 * GIB},
	    /* with it */
	    {.total = 64 * GIB,
	     .free = 8 * GIB,
	     .buffers = GIB,
	     .cached = 16 * GIB,
	     .available = 20 * GIB,
	     .pageable_after = 64 * GIB,
	     .free_after = 8 * GIB,
	     .available_after = 20 * GIB},
	    {.total = 64 * GIB,
	     .free = GIB,
	     .available = 0,
	     .pageable_after = 64 * GIB,
	     .free_after = GIB,
	     .available_after = 0},
	    {.total = 64 * GIB,
	     .free = GIB,
	     .available = 65 * GIB, /* little more: nothing to say */
	     .pageable_after = 64 * GIB,
	     .free_after = GIB,
	     .available_after = 64 * GIB},
	    {.total = 64 * GIB,
	     .free = GIB,
	     .available = 80 * GIB,
	     .pageable_after = 64 * GIB,
	     .free_after = GIB,
	     .available_after = 64 * GIB,
	     .doubtful = "available",
	     .says = 80 * GIB,
	     .allowed = 64 * GIB},
	    {.total = 64 * GIB,
	     .free = GIB,
	     .available = UINT64_MAX - 1,
	     .pageable_after = 64 * GIB,
	     .free_after = GIB,
	     .available_after = 64 * GIB,
	     .doubtful = "available",
	     .says = UINT64_MAX - 1,
	     .allowed = 64 * GIB},
	    /* huge pages are nobody else's */
	    {.hugetlb = 896 * GIB,
	     .total = 1024 * GIB,
	     .free = 20 * GIB,
	     .available = 40 * GIB,
	     .pageable_after = 128 * GIB,
	     .free_after = 20 * GIB,
	     .available_after = 40 * GIB},
	    {.hugetlb = 896 * GIB,
	     .total = 1024 * GIB,
	     .free = 20 * GIB,
	     .available = 900 * GIB,
	     .pageable_after = 128 * GIB,
	     .free_after = 20 * GIB,
	     .available_after = 128 * GIB,
	     .doubtful = "available",
	     .says = 900 * GIB,
	     .allowed = 128 * GIB},
	    {.hugetlb = UINT64_MAX,
	     .total = 64 * GIB,
	     .free = 8 * GIB,
	     .available = 8 * GIB,
	     .doubtful = "the pool of huge pages",
	     .says = UINT64_MAX,
	     .allowed = 64 * GIB},
	    /* figures whose sum would wrap */
	    {.total = 64 * GIB,
	     .free = UINT64_MAX - 1,
	     .buffers = UINT64_MAX - 1,
	     .cached = UINT64_MAX - 1,
	     .available = NONE,
	     .pageable_after = 64 * GIB,
	     .free_after = 64 * GIB,
	     .available_after = 64 * GIB,
	     .doubtful = "free",
	     .says = UINT64_MAX - 1,
	     .allowed = 64 * GIB},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const uint64_t figures[] = {rows[i].total, rows[i].free, rows[i].buffers, rows[i].cached,
		                            rows[i].available};
		struct host h = read_node(rows[i].hugetlb, figures);

		assert_true(h.hugetlb_kib <= h.total_kib);
		assert_int_equal(host_pageable_kib(&h), rows[i].pageable_after);
		assert_int_equal(h.free_kib, rows[i].free_after);
		assert_int_equal(h.available_kib, rows[i].available_after);
		assert_int_equal(h.doubtful != NULL, rows[i].doubtful != NULL);
		if (h.doubtful)
			assert_string_equal(h.doubtful, rows[i].doubtful);
		assert_int_equal(h.doubtful_kib, rows[i].says);
		assert_int_equal(h.allowed_kib, rows[i].allowed);
	}
}

#define S 1000

/* A value is read again after ten minutes, or after ten seconds if there is a doubt; the pause grows with each failure.
 */
static void test_when_the_pool_is_due(void **state)
{
	static const struct {
		struct node_pool pool;
		bool doubtful;
		uint64_t now_ms;
		bool due;
	} rows[] = {
	    {.pool = {.known = false}, .now_ms = 5 * S, .due = true},
	    {.pool = {.failures = 3, .tried_ms = 5 * S}, .now_ms = 5 * S, .due = true},
	    {.pool = {.known = true, .tried_ms = 5 * S}, .now_ms = 5 * S},
	    {.pool = {.known = true, .tried_ms = 5 * S}, .now_ms = 604 * S},
	    {.pool = {.known = true, .tried_ms = 5 * S}, .now_ms = 605 * S, .due = true},
	    {.pool = {.known = true, .expired = true, .tried_ms = 5 * S}, .now_ms = 5 * S, .due = true},
	    {.pool = {.known = true, .tried_ms = 5 * S}, .doubtful = true, .now_ms = 14 * S},
	    {.pool = {.known = true, .tried_ms = 5 * S}, .doubtful = true, .now_ms = 15 * S, .due = true},
	    {.pool = {.known = true, .failures = 1, .tried_ms = 5 * S}, .now_ms = 14 * S},
	    {.pool = {.known = true, .failures = 1, .tried_ms = 5 * S}, .now_ms = 15 * S, .due = true},
	    {.pool = {.known = true, .failures = 3, .tried_ms = 5 * S}, .doubtful = true, .now_ms = 44 * S},
	    {.pool = {.known = true, .failures = 3, .tried_ms = 5 * S},
	     .doubtful = true,
	     .now_ms = 45 * S,
	     .due = true},
	    {.pool = {.known = true, .failures = 7, .tried_ms = 5 * S}, .now_ms = 604 * S},
	    {.pool = {.known = true, .failures = 7, .tried_ms = 5 * S}, .now_ms = 605 * S, .due = true},
	    {.pool = {.known = true, .failures = UINT_MAX, .tried_ms = 5 * S}, .now_ms = 605 * S, .due = true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(node_pool_is_due(&rows[i].pool, rows[i].doubtful, rows[i].now_ms), rows[i].due);
}

static void test_pool_that_cannot_be_read(void **state)
{
	struct node_pool pool = {.known = false};

	(void)state;
	assert_int_equal(node_pool_fail(&pool, -EIO, 1 * S), -EIO);
	node_pool_set(&pool, 7, 2 * S);
	assert_int_equal(node_pool_fail(&pool, -EIO, 3 * S), 0);
	assert_int_equal(pool.kib, 7);
	assert_false(node_pool_is_due(&pool, false, 4 * S));
	for (int i = 0; i < 100; i++)
		assert_int_equal(node_pool_fail(&pool, -EIO, 4 * S), 0);
	assert_false(node_pool_is_due(&pool, false, 603 * S));
	assert_true(node_pool_is_due(&pool, false, 604 * S));
	node_pool_expire(&pool);
	assert_true(node_pool_is_due(&pool, false, 4 * S));
	assert_int_equal(node_pool_fail(&pool, -EIO, 5 * S), 0);
	assert_int_equal(pool.kib, 7);
	assert_false(node_pool_is_due(&pool, false, 6 * S));
	node_pool_set(&pool, 0, 4 * S);
	assert_int_equal(node_pool_fail(&pool, -EIO, 5 * S), 0);
	assert_int_equal(pool.kib, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_figures),
	    cmocka_unit_test(test_when_the_pool_is_due),
	    cmocka_unit_test(test_pool_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
