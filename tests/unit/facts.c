/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/units.h"
#include "virt/facts.h"

#define READ_MS 5000
#define OTHER_BOOT 99

/* Guest 0 was read, 1 hung and was never read, 2 was read and hung since, 3 has nothing to remember. */
static void remember_four(struct facts *f, struct guest g[4])
{
	memset(g, 0, 4 * sizeof(*g));
	for (int i = 0; i < 4; i++) {
		snprintf(g[i].uuid, sizeof(g[i].uuid), "%d", 9 - i); /* not in their order */
		g[i].domain_id = i + 1;
		g[i].device.maximum_kib = 1024;
		g[i].hints.weight = 7;
	}
	g[0].facts_ms = g[2].facts_ms = READ_MS;
	g[1].hung = g[2].hung = true;
	facts_remember(f, g, 4);
	for (int i = 0; i < 4; i++)
		g[i].device.maximum_kib = g[i].hints.weight = 0;
}

static void test_recalled_for_the_same_boot_alone(void **state)
{
	struct facts f = {.n = 0};
	struct guest g[4];

	(void)state;
	remember_four(&f, g);
	for (size_t i = 0; i < COUNT(g); i++) {
		uint64_t read_ms = i % 2 ? 0 : READ_MS;

		facts_recall(&f, &g[i]);
		assert_int_equal(g[i].facts_ms, read_ms);
		assert_int_equal(g[i].device.maximum_kib, read_ms ? 1024 : 0);
		assert_int_equal(g[i].hints.weight, read_ms ? 7 : 0);
		assert_int_equal(facts_was_hung(&f, &g[i]), i == 1 || i == 2);
		g[i].domain_id = OTHER_BOOT;
		facts_recall(&f, &g[i]);
		assert_int_equal(g[i].facts_ms, 0);
		assert_false(facts_was_hung(&f, &g[i]));
	}
	facts_clear(&f);
	assert_false(facts_was_hung(&f, &g[1]));
}

/* Facts in doubt are read again at once, and hold until then. */
static void test_in_doubt(void **state)
{
	struct facts f = {.n = 0};
	struct guest g[4];

	(void)state;
	remember_four(&f, g);
	facts_forget(&f, &g[0]);
	facts_recall(&f, &g[0]);
	assert_true(guest_facts_due(&g[0], 1024, READ_MS + FACTS_MS + 1));
	assert_true(g[0].facts_ms > 0 && g[0].facts_ms < READ_MS);
	assert_int_equal(g[0].hints.weight, 7);
	g[2].migrating = true;
	facts_recall(&f, &g[2]);
	assert_true(g[2].facts_ms > 0 && g[2].facts_ms < READ_MS);
	facts_forget(&f, &g[1]); /* never read: it stays so */
	facts_recall(&f, &g[1]);
	assert_int_equal(g[1].facts_ms, 0);
	facts_clear(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_recalled_for_the_same_boot_alone),
	    cmocka_unit_test(test_in_doubt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
