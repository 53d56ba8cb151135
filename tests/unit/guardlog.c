/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder.h"
#include "run/guardlog.h"

#define UUID "11111111-0000-4000-8000-000000000001"
#define BEGIN_S UINT64_C(1764338400)
#define PATIENT_MS 60000 /* for a machine that is slow */
#define HANGS_MS 3000

static char root[FOLDER_BYTES], log_path[FOLDER_BYTES + 8], uri[] = "qemu:///system";
static struct conf conf;
static struct guardlog kept;

static struct instant after_ms(uint64_t ms)
{
	return (struct instant){.now_ms = 1000000 + ms, .wall_ms = BEGIN_S * 1000 + ms};
}

static int set_up(void **state)
{
	(void)state;
	if (folder_make(root, "guardlog"))
		return -1;
	snprintf(log_path, sizeof(log_path), "%s/log", root);
	conf = (struct conf){.uri = uri, .history = true};
	guardlog_init(&kept, &conf, "memguard", root);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	guardlog_end(&kept, clock_ms(CLOCK_BOOTTIME) + PATIENT_MS);
	return folder_remove(root);
}

static void take(uint64_t ms)
{
	const struct movelog_move move = {
	    .name = "web", .uuid = UUID, .wall_ms = after_ms(ms).wall_ms, .asked_ms = after_ms(ms).now_ms};

	movelog_add(&kept.log, &move);
}

/* This clock is faster than the disk. */
static void wait_for_disk(void)
{
	struct recorder_batch *batch = kept.history.batch;

	kept.history.batch = NULL;
	recorder_end(&kept.history, clock_ms(CLOCK_BOOTTIME) + PATIENT_MS);
	kept.history.batch = batch;
}

static void end_well(void)
{
	guardlog_end(&kept, clock_ms(CLOCK_BOOTTIME) + PATIENT_MS);
	assert_int_equal(kept.log_error, 0);
	assert_int_equal(kept.history.error, 0);
}

static size_t moves_in_history(void)
{
	int dir = history_dir(root, conf.uri, false), fd = dir < 0 ? dir : history_open(dir, UUID);
	struct history_move move[HISTORY_MOVES];
	size_t n = 0;

	if (dir >= 0)
		close(dir);
	if (fd < 0)
		return 0;
	assert_int_equal(history_read_moves(fd, move, &n), 0);
	close(fd);
	return n;
}

static size_t lines_of_log(void)
{
	FILE *f = fopen(log_path, "re");
	size_t n = 0;

	for (int c; f && (c = getc(f)) != EOF;)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

/* Each move once, in both, however often the guard looks. */
static void test_history_and_log(void **state)
{
	(void)state;
	conf.log = log_path;
	for (uint64_t ms = 0; ms < 200000; ms += 500) {
		if (ms % 20000 < 3000)
			take(ms);
		guardlog_keep(&kept, after_ms(ms));
		wait_for_disk();
	}
	end_well();
	assert_int_equal(moves_in_history(), 60);
	assert_int_equal(lines_of_log(), 60);
}

static void test_history_alone(void **state)
{
	(void)state;
	guardlog_reserve(&kept);
	take(0);
	guardlog_keep(&kept, after_ms(2999));
	assert_int_equal(kept.log.n, 1); /* the host is in a hurry */
	guardlog_keep(&kept, after_ms(3000));
	assert_int_equal(kept.log.n, 0);
	assert_true(kept.log.room > 1);
	take(5000);
	end_well();
	assert_int_equal(moves_in_history(), 2);
}

static void test_log_alone(void **state)
{
	(void)state;
	conf.log = log_path;
	conf.history = false;
	take(0);
	guardlog_keep(&kept, after_ms(3000));
	take(4000);
	end_well();
	assert_int_equal(lines_of_log(), 2);
	assert_int_equal(moves_in_history(), 0);
}

static void test_neither(void **state)
{
	(void)state;
	conf.history = false;
	guardlog_reserve(&kept);
	assert_int_equal(kept.log.room, 0);
	take(0); /* before the configuration was read anew */
	guardlog_keep(&kept, after_ms(3000));
	assert_int_equal(kept.log.n, 0);
	end_well();
	assert_int_equal(moves_in_history(), 0);
}

/* A log that cannot be written keeps nothing from the history. */
static void test_log_that_fails(void **state)
{
	(void)state;
	snprintf(log_path, sizeof(log_path), "/nowhere/log");
	conf.log = log_path;
	take(0);
	guardlog_keep(&kept, after_ms(3000));
	take(4000);
	guardlog_end(&kept, clock_ms(CLOCK_BOOTTIME) + PATIENT_MS);
	assert_int_not_equal(kept.log_error, 0);
	assert_int_equal(kept.history.error, 0);
	assert_int_equal(moves_in_history(), 2);
}

/* A history that hangs keeps nothing from the log, and costs the time that is given. */
static void test_history_that_hangs(void **state)
{
	int dir = history_dir(root, conf.uri, true), lock = history_lock(dir, clock_ms(CLOCK_BOOTTIME));

	(void)state;
	assert_true(dir >= 0 && lock >= 0);
	conf.log = log_path;
	take(0);
	guardlog_end(&kept, clock_ms(CLOCK_BOOTTIME) + HANGS_MS);
	assert_int_equal(kept.log_error, 0);
	assert_int_equal(lines_of_log(), 1);
	assert_int_equal(kept.history.error, -ETIMEDOUT);
	close(lock);
	while (!moves_in_history()) /* the task that was abandoned, which must not outlive the folder */
		clock_sleep_ms(1);
	close(history_lock(dir, clock_ms(CLOCK_BOOTTIME) + PATIENT_MS));
	close(dir);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_history_and_log), TEST(test_history_alone),  TEST(test_log_alone),
	    TEST(test_neither),         TEST(test_log_that_fails), TEST(test_history_that_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
