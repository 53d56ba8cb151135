/* SPDX-License-Identifier: MIT */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/sparks.h"
#include "folder.h"
#include "host/history.h"

#define OWN "qemu:///system"
#define UUID(n) "11111111-0000-4000-8000-00000000000" #n
#define FULL "@@@@@@@@@@@@@@@@@@@@@@@@"

static char root[FOLDER_BYTES];
static struct sparks sparks;
static struct guest guest[3] = {{.uuid = UUID(0)}, {.uuid = UUID(1)}, {.uuid = UUID(2)}};

static int set_up(void **state)
{
	(void)state;
	setlocale(LC_ALL, "C");
	sparks = (struct sparks){.root = root, .uri = OWN};
	return folder_make(root, "sparks");
}

static int tear_down(void **state)
{
	(void)state;
	while (sparks_wake_ms(&sparks, sparks.began_ms) != UINT64_MAX) /* else it would read while the folder goes */
		sparks_show(&sparks, guest, 0, sparks.began_ms);
	sparks_end(&sparks);
	return folder_remove(root);
}

/* A guest that used as much in each of the last hours. */
static void write_hours(const char *uuid, unsigned hours)
{
	uint32_t now = bucket_number(BUCKET_MINUTE, clock_ms(CLOCK_REALTIME) / 1000);
	int dir = history_dir(root, OWN, true), file = history_open_to_write(dir, uuid, "vm");

	for (uint32_t i = 0; i < hours; i++) {
		struct bucket b = {.number = now - 30 - 60 * i};

		bucket_add(&b, FIGURE_USED, KIB_PER_GIB);
		assert_int_equal(history_write(file, &b, NULL), 0);
	}
	close(file);
	close(dir);
}

/* What is shown once nothing is being read. */
static const char *const *shown(const struct guest *g, size_t n, uint64_t now_ms)
{
	const char *const *line = sparks_show(&sparks, g, n, now_ms);

	while (sparks_wake_ms(&sparks, now_ms) != UINT64_MAX) {
		clock_sleep_ms(1);
		line = sparks_show(&sparks, g, n, now_ms);
	}
	return line;
}

static void test_without_a_history_there_is_none(void **state)
{
	(void)state;
	assert_null(shown(guest, 3, 1000));
	assert_null(shown(guest, 0, 1000));
}

/* Of a guest that memguard alone has moved nothing but that is known. */
static void test_moves_alone_are_no_history(void **state)
{
	const struct history_move move = {.wall_ms = clock_ms(CLOCK_REALTIME), .by_guard = true};
	int dir = history_dir(root, OWN, true), file = history_open_to_write(dir, UUID(0), "vm");

	(void)state;
	assert_int_equal(history_write_moves(file, &move, 1), 0);
	close(file);
	close(dir);
	assert_null(shown(guest, 1, 1000));
}

static void test_lines_of_those_on_the_screen(void **state)
{
	const char *const *line;

	(void)state;
	write_hours(UUID(0), 24);
	write_hours(UUID(2), 24);
	assert_null(sparks_show(&sparks, guest, 2, 1000)); /* it is being read */
	line = shown(guest, 2, 1000);
	assert_string_equal(line[0], FULL);
	assert_string_equal(line[1], "");
	line = sparks_show(&sparks, guest + 1, 2, 1001); /* scrolled: the third is not known yet */
	assert_string_equal(line[1], "");
	line = shown(guest + 1, 2, 1001);
	assert_string_equal(line[0], "");
	assert_string_equal(line[1], FULL);
}

static void test_read_once_a_minute(void **state)
{
	(void)state;
	write_hours(UUID(0), 1);
	assert_string_not_equal(shown(guest, 1, 1000)[0], FULL);
	write_hours(UUID(0), 24);
	for (uint64_t ms = 2000; ms < 61000; ms += 1000) {
		assert_string_not_equal(sparks_show(&sparks, guest, 1, ms)[0], FULL);
		assert_true(sparks_wake_ms(&sparks, ms) == UINT64_MAX); /* nothing is being read */
	}
	assert_string_equal(shown(guest, 1, 61000)[0], FULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_without_a_history_there_is_none),
	    TEST(test_moves_alone_are_no_history),
	    TEST(test_lines_of_those_on_the_screen),
	    TEST(test_read_once_a_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
