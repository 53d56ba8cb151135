/* SPDX-License-Identifier: MIT */
/* Words that JSON, tables and messages share: a change breaks the scripts of users. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "plan/guest.h"

static const char *const reasons[REASON_COUNT] = {
    "none",     "below-target", "above-target",    "at-target",   "at-min",   "at-max",     "growing",     "page-cache",
    "plenty",   "distress",     "booting",         "stale-stats", "no-stats", "no-balloon", "no-driver",   "stuck",
    "no-gain",  "unresponsive", "paused",          "migrating",   "pinned",   "hugepages",  "passthrough", "opted-out",
    "excluded", "host-reserve", "shared-shortage", "no-give",     "vanished", "failed",
};

static void test_reason_words(void **state)
{
	(void)state;
	for (unsigned r = 0; r < REASON_COUNT; r++)
		assert_string_equal(reason_word((enum reason)r), reasons[r]);
	assert_string_equal(reason_word(REASON_COUNT), "none");
	assert_string_equal(reason_word((enum reason) - 1), "none");
}

static void test_run_state_words(void **state)
{
	static const char *const words[RUN_COUNT] = {
	    "no state", "running", "idle", "paused", "in shutdown", "shut off", "crashed", "pmsuspended",
	};

	(void)state;
	for (unsigned s = 0; s < RUN_COUNT; s++)
		assert_string_equal(run_state_word((enum run_state)s), words[s]);
	assert_string_equal(run_state_word(RUN_COUNT), "no state");
	assert_string_equal(run_state_word((enum run_state) - 1), "no state");
}

#define MIB(n) (UINT64_C(1024) * (n))

static const struct {
	struct device device;
	uint64_t kib;
} start_rows[] = {
    {{.maximum_kib = MIB(4096), .current_kib = MIB(1024)}, MIB(1088)},
    {{.maximum_kib = MIB(4096), .current_kib = MIB(4096)}, MIB(4160)},
    {{.maximum_kib = MIB(4096)}, MIB(4160)},
    {{.maximum_kib = MIB(4096), .current_kib = MIB(1024), .locked = true}, MIB(4160)},
    {{.maximum_kib = MIB(4096), .current_kib = MIB(1024), .passthrough = true}, MIB(4160)},
    {{.maximum_kib = MIB(4096), .current_kib = MIB(1024), .preallocated = true}, MIB(4160)},
    {{.maximum_kib = MIB(4096), .current_kib = MIB(1024), .virtio_mem = true}, MIB(1088)},
    {{.maximum_kib = MIB(4096), .current_kib = MIB(1024), .hugepages = true}, MIB(64)},
    {{.maximum_kib = MIB(4096), .current_kib = MIB(1024), .hugepages = true, .locked = true}, MIB(64)},
    {{.maximum_kib = MIB(4096), .current_kib = MIB(1024), .bare = true}, MIB(4160)},
    {{0}, MIB(64)},
    {{.maximum_kib = UINT64_MAX, .current_kib = UINT64_MAX}, UINT64_MAX},
};

static void test_start(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(start_rows) / sizeof(start_rows[0]); i++)
		if (device_start_kib(&start_rows[i].device) != start_rows[i].kib)
			fail_msg("row %zu: %llu", i, (unsigned long long)device_start_kib(&start_rows[i].device));
}

static void test_hard_ceiling(void **state)
{
	static const struct {
		uint64_t limit_kib, qemu_kib, ceiling_kib;
	} rows[] = {
	    {0, 0, UINT64_MAX},
	    {0, MIB(300), UINT64_MAX},
	    {MIB(8448), 0, MIB(8192)}, /* a guest of 8 GiB with 8.25 GiB, killed at 7.2 GiB by the old rule */
	    {MIB(4352), MIB(90), MIB(4096)},
	    {MIB(4352), MIB(300), MIB(4052)},
	    {MIB(256), 0, 0},
	    {MIB(200), 0, 0},
	    {1, UINT64_MAX, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct guest g = {.device.hard_limit_kib = rows[i].limit_kib, .past.qemu_kib = rows[i].qemu_kib};

		assert_int_equal(guest_hard_ceiling_kib(&g), rows[i].ceiling_kib);
	}
}

static void test_facts_due(void **state)
{
	static const struct {
		uint64_t read_ms, maximum_kib;
		bool due;
	} rows[] = {
	    {.read_ms = 0, .maximum_kib = MIB(1536), .due = true},
	    {.read_ms = 50000, .maximum_kib = MIB(1536)},
	    {.read_ms = 50000, .maximum_kib = 0}, /* the driver does not tell */
	    {.read_ms = 50001 - FACTS_MS, .maximum_kib = MIB(1536)},
	    {.read_ms = 50000 - FACTS_MS, .maximum_kib = MIB(1536), .due = true},
	    {.read_ms = 50000, .maximum_kib = MIB(2048), .due = true}, /* a DIMM was plugged */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct guest g = {.facts_ms = rows[i].read_ms,
		                        .device = {.maximum_kib = MIB(1024), .outside_kib = MIB(512)}};

		assert_int_equal(guest_facts_due(&g, rows[i].maximum_kib, 50000), rows[i].due);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reason_words), cmocka_unit_test(test_run_state_words), cmocka_unit_test(test_start),
	    cmocka_unit_test(test_hard_ceiling), cmocka_unit_test(test_facts_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
