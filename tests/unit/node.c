/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/units.h"
#include "virt/node.h"

#define GIB KIB_PER_GIB
#define NONE UINT64_MAX /* libvirt does not report the figure */

static int read_node(uint64_t hugetlb, const uint64_t figures[5], struct host *ret_host)
{
	static const char *const fields[] = {"total", "free", "buffers", "cached", "available"};
	struct host h = node_begin(hugetlb);

	node_put(&h, "unknown", 1);
	node_put(&h, "", 1);
	for (size_t i = 0; i < COUNT(fields); i++)
		if (figures[i] != NONE)
			node_put(&h, fields[i], figures[i]);
	*ret_host = h;
	return node_end(ret_host);
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
		struct host h;

		assert_int_equal(read_node(rows[i].hugetlb, figures, &h), 0);
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

static void test_no_total(void **state)
{
	static const uint64_t figures[][5] = {{NONE, NONE, NONE, NONE, NONE}, {0, GIB, GIB, GIB, GIB}};
	struct host h;

	(void)state;
	for (size_t i = 0; i < COUNT(figures); i++)
		assert_int_equal(read_node(GIB, figures[i], &h), -ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_figures),
	    cmocka_unit_test(test_no_total),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
