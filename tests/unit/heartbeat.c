/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/units.h"
#include "folder.h"
#include "host/heartbeat.h"

#define NOW_S UINT64_C(1764338400)

static char root[FOLDER_BYTES];
static struct registry *registry;

static int set_up(void **state)
{
	(void)state;
	return folder_make_root(root, "heartbeat") || registry_open(root, true, &registry);
}

static int tear_down(void **state)
{
	(void)state;
	registry_close(registry);
	return folder_remove(root);
}

static struct instant after_ms(uint64_t ms)
{
	return (struct instant){.now_ms = 5000 + ms, .wall_ms = NOW_S * 1000 + ms};
}

/* An emergency: 2 s calm, 3 s tight, 4 s critical, and calm again. */
static struct guard_heartbeat emergency(void)
{
	struct guard_heartbeat b = {.written_s = 0};

	guard_heartbeat_note(&b, GUARD_CALM, 0, 0, after_ms(0));
	guard_heartbeat_note(&b, GUARD_TIGHT, 100, 0, after_ms(2000));
	guard_heartbeat_note(&b, GUARD_TIGHT, 80, 20, after_ms(4000));
	guard_heartbeat_note(&b, GUARD_CRITICAL, 300, 20, after_ms(5000));
	guard_heartbeat_note(&b, GUARD_CRITICAL, 50, 10, after_ms(8000));
	guard_heartbeat_note(&b, GUARD_CRITICAL, 40, 70, after_ms(8500));
	guard_heartbeat_note(&b, GUARD_CALM, 0, 0, after_ms(9000));
	guard_heartbeat_note(&b, GUARD_TIGHT, 7, 5, after_ms(9500));
	return b;
}

static void test_time_and_memory_are_summed_up(void **state)
{
	struct guard_heartbeat b = emergency();

	(void)state;
	assert_int_equal(b.level, GUARD_TIGHT);
	assert_int_equal(b.since_s, NOW_S + 9);
	assert_int_equal(b.began_s, NOW_S);
	assert_int_equal(b.level_ms[GUARD_CALM], 2500);
	assert_int_equal(b.level_ms[GUARD_TIGHT], 3000);
	assert_int_equal(b.level_ms[GUARD_CRITICAL], 4000);
	assert_int_equal(b.lack_kib, 7);
	assert_int_equal(b.freed_total_kib, 20 + 60 + 5); /* what a guest touched again is not taken off */
}

static void test_guard_is_read_as_it_was_written(void **state)
{
	struct guard_heartbeat b = emergency(), read;

	(void)state;
	b.no_give = true;
	b.refusals = 3;
	b.commands_run = 2;
	b.reserve_kib = 300000;
	assert_int_equal(guard_heartbeat_read(root, "qemu:///system", NOW_S, &read), GUARD_ABSENT);
	assert_int_equal(guard_heartbeat_write(&b, registry), 0);
	assert_int_equal(guard_heartbeat_read(root, "qemu:///system", NOW_S + 69, &read), GUARD_PRESENT);
	b.seen_ms = 0; /* is not written */
	assert_memory_equal(&b, &read, sizeof(b));
	assert_int_equal(guard_heartbeat_read(root, "qemu:///system", NOW_S + 70, &read), GUARD_SILENT);
	b.pid = INT32_MAX; /* above every kernel.pid_max */
	assert_int_equal(guard_heartbeat_write(&b, registry), 0);
	assert_int_equal(guard_heartbeat_read(root, "qemu:///system", NOW_S, &read), GUARD_ABSENT);
}

static void test_what_is_no_guard_counts_as_absent(void **state)
{
	static const char *const texts[] = {
	    "", "{}\n", "{\"level\":\"calm\"}\n", "{\"level\":\"calm\",\"pid\":1,\"time_seconds\":1}\n", "level",
	};
	struct guard_heartbeat read;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_int_equal(registry_write(registry, "guard.json", texts[i], strlen(texts[i])), 0);
		assert_int_equal(guard_heartbeat_read(root, "qemu:///system", NOW_S, &read), GUARD_ABSENT);
		assert_int_equal(read.written_s, 0);
	}
}

static void test_pass(void **state)
{
	static const struct {
		const char *text;
		int error;
		uint64_t ended_s, interval_ms;
	} rows[] = {
	    {"{\"schema\":\"memsched.pass/1\",\"time_seconds\":1764338400.123,\"interval_seconds\":0.500,\"x\":1}", 0,
	     NOW_S, 500},
	    {"{\"time_seconds\":1764338400.999}", 0, NOW_S, 0},
	    {"{\"name\":\"\\\"time_seconds\\\":5\"}", -EBADMSG, 0, 0},
	    {"", -EBADMSG, 0, 0},
	};
	struct pass_heartbeat read;
	char large[4096];

	(void)state;
	assert_int_equal(pass_heartbeat_read(registry, &read), -ENOENT);
	for (size_t i = 0; i < COUNT(rows); i++) {
		memset(large, ' ', sizeof(large)); /* the guests behind the head may be many */
		memcpy(large, rows[i].text, strlen(rows[i].text));
		assert_int_equal(registry_write(registry, "last-pass.json", large, sizeof(large)), 0);
		read = (struct pass_heartbeat){.ended_s = 0};
		assert_int_equal(pass_heartbeat_read(registry, &read), rows[i].error);
		assert_int_equal(read.ended_s, rows[i].ended_s);
		assert_int_equal(read.interval_ms, rows[i].interval_ms);
	}
}

static void test_overdue(void **state)
{
	static const struct {
		uint64_t interval_ms, last_good_s;
	} rows[] = {{0, 180}, {100, 15}, {1000, 15}, {5000, 15}, {10000, 30}, {3600000, 10800}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct pass_heartbeat b = {.ended_s = NOW_S, .interval_ms = rows[i].interval_ms};

		assert_false(pass_heartbeat_is_overdue(&b, NOW_S + rows[i].last_good_s));
		assert_true(pass_heartbeat_is_overdue(&b, NOW_S + rows[i].last_good_s + 1));
		assert_false(pass_heartbeat_is_overdue(&b, NOW_S - 3600)); /* a clock that was set back */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_time_and_memory_are_summed_up),
	    cmocka_unit_test_setup_teardown(test_guard_is_read_as_it_was_written, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_what_is_no_guard_counts_as_absent, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_pass, set_up, tear_down),
	    cmocka_unit_test(test_overdue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
