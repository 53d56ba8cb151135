/* Words that JSON, tables and messages share: a change breaks the scripts of users. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "plan/guest.h"

static const char *const reasons[REASON_COUNT] = {
    "none",      "below-target", "above-target", "at-target",       "at-min",     "at-max",    "growing",
    "distress",  "booting",      "stale-stats",  "no-stats",        "no-balloon", "no-driver", "stuck",
    "no-gain",   "unresponsive", "paused",       "migrating",       "pinned",     "hugepages", "passthrough",
    "opted-out", "excluded",     "host-reserve", "shared-shortage", "no-give",    "vanished",  "failed",
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reason_words),
	    cmocka_unit_test(test_run_state_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
