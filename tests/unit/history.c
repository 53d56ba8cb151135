/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/units.h"
#include "folder.h"
#include "host/history.h"

#define OWN "qemu:///system"
#define UUID "11111111-0000-4000-8000-000000000001"
#define DAY UINT32_C(20420)       /* a number of a day */
#define MIDNIGHT (DAY * 1440)     /* and of its first minute, */
#define QUARTERS_BEGIN (DAY * 96) /* and quarter */
#define FILE_BYTES (4096 + BUCKET_KEPT_ALL * 128 + HISTORY_MOVES * 32)

static char root[FOLDER_BYTES];
static int dir, file;

/* ---- writes that fail ---- */

ssize_t __real_pwrite64(int fd, const void *bytes, size_t n, off64_t at);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off64_t at);

static unsigned writes, fails_at; /* 0: none does */

/* The disk is full in the middle of a place: only half of it is written, and nothing after that. */
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
	writes++;
	if (!fails_at || writes < fails_at)
		return __real_pwrite64(fd, bytes, n, at);
	if (writes == fails_at)
		return __real_pwrite64(fd, bytes, n / 2, at);
	errno = ENOSPC;
	return -1;
}

static int set_up(void **state)
{
	(void)state;
	writes = fails_at = 0;
	if (folder_make(root, "history"))
		return -1;
	dir = history_dir(root, OWN, true);
	file = history_open_to_write(dir, UUID, "web");
	return file < 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(file);
	close(dir);
	return folder_remove(root);
}

/* ---- an independent computation ---- */

/* What the guest uses in a minute, in KiB: any whole pages. */
static uint64_t used_kib(uint32_t minute)
{
	return 4 * (uint64_t)(100000 + minute * UINT32_C(2654435761) % 100000);
}

static struct bucket minute_of(uint32_t minute)
{
	struct bucket b = {.number = minute, .reasons = 1u << (minute % 7)};

	bucket_add(&b, FIGURE_USED, used_kib(minute));
	bucket_add(&b, FIGURE_FAULTS, minute % 1000);
	return b;
}

static void write_minute(uint32_t minute)
{
	const struct bucket b = minute_of(minute);

	assert_int_equal(history_write(file, &b, NULL), 0);
}

/* The bucket is what the minutes from first on have, each step. */
static void assert_is_of(const struct bucket *b, uint32_t first, uint32_t n, uint32_t step)
{
	const struct bucket_figure *f = &b->figure[FIGURE_USED];
	uint64_t least = UINT64_MAX, most = 0, sum = 0;
	unsigned reasons = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t kib = used_kib(first + i * step);

		least = kib < least ? kib : least;
		most = kib > most ? kib : most;
		sum += kib;
		reasons |= 1u << ((first + i * step) % 7);
	}
	assert_int_equal(f->n, n);
	assert_int_equal(f->least, least);
	assert_int_equal(f->most, most);
	assert_int_equal(b->reasons, reasons);
	assert_in_range(bucket_mean(f), sum / n - 8, sum / n + 1); /* rounded to pages twice */
}

static off_t size_of_file(void)
{
	struct stat st;

	assert_int_equal(fstat(file, &st), 0);
	return st.st_size;
}

static struct bucket read_one(enum bucket_level level, uint32_t number)
{
	struct bucket b;

	assert_int_equal(history_read(file, level, number, 1, &b), 0);
	return b;
}

static void assert_minutes(uint32_t first, uint32_t n)
{
	static struct bucket read[1440];

	assert_int_equal(history_read(file, BUCKET_MINUTE, first, n, read), 0);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(read[i].number, first + i);
		assert_is_of(&read[i], first + i, 1, 1);
	}
}

/* ---- the rings ---- */

static void test_day_by_minutes(void **state)
{
	struct bucket b;

	(void)state;
	for (uint32_t i = 0; i < 1440 + 1; i++)
		write_minute(MIDNIGHT + i);
	assert_minutes(MIDNIGHT + 1, 1440);
	assert_int_equal(read_one(BUCKET_MINUTE, MIDNIGHT).number, 0); /* its place is the next midnight's */
	for (uint32_t i = 0; i < 96; i++) {
		b = read_one(BUCKET_QUARTER, QUARTERS_BEGIN + i);
		assert_is_of(&b, MIDNIGHT + 15 * i, 15, 1);
	}
	b = read_one(BUCKET_DAY, DAY);
	assert_is_of(&b, MIDNIGHT, 1440, 1);
	b = read_one(BUCKET_DAY, DAY + 1); /* of its minutes so far */
	assert_is_of(&b, MIDNIGHT + 1440, 1, 1);
	assert_int_equal(read_one(BUCKET_DAY, DAY - 1).number, 0);
}

static void test_two_years_keep_their_size(void **state)
{
	static struct bucket read[731];
	const uint32_t days = 800;

	(void)state;
	for (uint32_t i = 0; i < days * 96; i++)
		write_minute(MIDNIGHT + 15 * i);
	write_minute(MIDNIGHT + days * 1440);
	assert_int_equal(size_of_file(), FILE_BYTES);
	assert_int_equal(history_read(file, BUCKET_DAY, DAY + days - 731, 731, read), 0);
	for (uint32_t i = 0; i < 731; i++)
		assert_is_of(&read[i], MIDNIGHT + (days - 731 + i) * 1440, 96, 15);
	assert_int_equal(read_one(BUCKET_DAY, DAY + days - 732).number, 0);
	for (uint32_t i = 1; i < 31 * 96; i++) {
		struct bucket b = read_one(BUCKET_QUARTER, QUARTERS_BEGIN + days * 96 - i);

		assert_is_of(&b, MIDNIGHT + days * 1440 - 15 * i, 1, 1);
	}
}

static void test_gaps_stay_gaps(void **state)
{
	struct bucket b;

	(void)state;
	write_minute(MIDNIGHT + 20);
	write_minute(MIDNIGHT + 1440 + 10); /* the host slept for a day */
	write_minute(MIDNIGHT + 90 * 1440);
	b = read_one(BUCKET_DAY, DAY);
	assert_is_of(&b, MIDNIGHT + 20, 1, 1);
	b = read_one(BUCKET_DAY, DAY + 2);
	assert_int_equal(b.number, 0);
	assert_int_equal(read_one(BUCKET_MINUTE, MIDNIGHT + 21).number, 0);
}

static void test_two_programs_in_a_minute(void **state)
{
	struct bucket b = {.number = MIDNIGHT};

	(void)state;
	bucket_add(&b, FIGURE_WANT, 4000);
	assert_int_equal(history_write(file, &b, NULL), 0);
	bucket_add(&b, FIGURE_WANT, 8000);
	bucket_add(&b, FIGURE_WANT, 8000);
	b.figure[FIGURE_SWAP_IN] = (struct bucket_figure){.n = 1, .least = 3, .most = 3, .sum = 3};
	assert_int_equal(history_write(file, &b, NULL), 0);
	b = read_one(BUCKET_MINUTE, MIDNIGHT);
	assert_int_equal(b.figure[FIGURE_WANT].n, 4);
	assert_int_equal(bucket_mean(&b.figure[FIGURE_WANT]), 6000);
	assert_int_equal(b.figure[FIGURE_SWAP_IN].most, 3);
}

static void test_sizes_beyond_the_largest_are_cut(void **state)
{
	struct bucket b = {.number = MIDNIGHT};

	(void)state;
	bucket_add(&b, FIGURE_RSS, UINT64_MAX);
	b.figure[FIGURE_RSS].n = 100000;
	assert_int_equal(history_write(file, &b, NULL), 0);
	b = read_one(BUCKET_MINUTE, MIDNIGHT);
	assert_int_equal(b.figure[FIGURE_RSS].most, 4 * (uint64_t)UINT32_MAX);
	assert_int_equal(b.figure[FIGURE_RSS].n, UINT16_MAX);
}

static void test_clock_that_was_set_back(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3000; i++)
		write_minute(MIDNIGHT + i);
	for (uint32_t i = 0; i < 60; i++) /* a day back, for an hour */
		write_minute(MIDNIGHT + 3000 - 1440 + i);
	assert_minutes(MIDNIGHT + 3000 - 1440 + 60, 1440 - 61);
	write_minute(MIDNIGHT + 3060);
	for (uint32_t i = 0; i < 200; i++) {
		struct bucket b = read_one(BUCKET_QUARTER, QUARTERS_BEGIN + i);

		assert_is_of(&b, MIDNIGHT + 15 * i, 15, 1);
	}
}

/* ---- what is damaged ---- */

static void test_write_that_is_cut_short(void **state)
{
	unsigned most;

	(void)state;
	for (uint32_t i = 0; i < 1440; i++)
		write_minute(MIDNIGHT + i);
	writes = 0;
	write_minute(MIDNIGHT + 1440); /* finishes a quarter and the day */
	most = writes;
	assert_int_equal(most, 3);
	for (unsigned k = 1; k <= most; k++) {
		const struct bucket b = minute_of(MIDNIGHT + 1440);

		assert_int_equal(tear_down(NULL), 0);
		assert_int_equal(set_up(NULL), 0);
		for (uint32_t i = 0; i < 1440; i++)
			write_minute(MIDNIGHT + i);
		writes = 0;
		fails_at = k;
		assert_int_equal(history_write(file, &b, NULL), -ENOSPC);
		fails_at = 0;
		assert_minutes(MIDNIGHT + 1, 1439);
		write_minute(MIDNIGHT + 1440);
		assert_minutes(MIDNIGHT + 1, 1440);
		for (uint32_t i = 0; i < 96; i++) {
			struct bucket quarter = read_one(BUCKET_QUARTER, QUARTERS_BEGIN + i);

			assert_is_of(&quarter, MIDNIGHT + 15 * i, 15, 1);
		}
	}
}

/* Turns each byte of a place, and calls check while it is wrong. */
static void damage(off_t at, size_t n, void (*check)(void))
{
	for (size_t i = 0; i < n; i++) {
		unsigned char byte, wrong;

		assert_int_equal(pread(file, &byte, 1, at + (off_t)i), 1);
		wrong = byte ^ 0x10;
		assert_int_equal(pwrite(file, &wrong, 1, at + (off_t)i), 1);
		check();
		assert_int_equal(pwrite(file, &byte, 1, at + (off_t)i), 1);
	}
}

static void check_minutes(void)
{
	assert_int_equal(read_one(BUCKET_MINUTE, MIDNIGHT + 7).number, 0);
	assert_minutes(MIDNIGHT, 7);
	assert_minutes(MIDNIGHT + 8, 7);
}

static void check_moves(void)
{
	struct history_move move[HISTORY_MOVES];
	size_t n;

	assert_int_equal(history_read_moves(file, move, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(move[0].asked_kib, 400);
	assert_int_equal(move[1].asked_kib, 1200);
}

static void check_name(void)
{
	char name[HISTORY_NAME + 1];

	history_read_name(file, name);
	assert_string_equal(name, "");
	assert_minutes(MIDNIGHT, 15);
}

static void test_damage_costs_its_place(void **state)
{
	const struct history_move move[] = {{.asked_kib = 400}, {.asked_kib = 800}, {.asked_kib = 1200}};
	char name[HISTORY_NAME + 1];

	(void)state;
	for (uint32_t i = 0; i < 15; i++)
		write_minute(MIDNIGHT + i);
	assert_int_equal(history_write_moves(file, move, COUNT(move)), 0);
	damage(4096 + 7 * 128, 128, check_minutes);
	damage(4096 + BUCKET_KEPT_ALL * 128 + 2 * 32, 32, check_moves);
	damage(128, HISTORY_NAME + 8, check_name);
	assert_minutes(MIDNIGHT, 15);
	history_read_name(file, name);
	assert_string_equal(name, "web");
}

static void test_file_that_was_cut(void **state)
{
	struct history_move move[HISTORY_MOVES];
	size_t n;

	(void)state;
	for (uint32_t i = 0; i < 15; i++)
		write_minute(MIDNIGHT + i);
	assert_int_equal(ftruncate(file, 4096 + 7 * 128 + 50), 0);
	assert_minutes(MIDNIGHT, 7);
	assert_int_equal(read_one(BUCKET_MINUTE, MIDNIGHT + 7).number, 0);
	assert_int_equal(history_read_moves(file, move, &n), 0);
	assert_int_equal(n, 0);
	close(file);
	file = history_open_to_write(dir, UUID, "web");
	assert_int_equal(size_of_file(), FILE_BYTES);
	assert_minutes(MIDNIGHT, 7);
}

static void test_other_version_is_set_aside(void **state)
{
	(void)state;
	write_minute(MIDNIGHT);
	assert_int_equal(pwrite(file, "memsched history 2\n", 19, 0), 19);
	assert_int_equal(history_open(dir, UUID), -EBADMSG);
	close(file);
	file = history_open_to_write(dir, UUID, "web");
	assert_true(file >= 0);
	assert_int_equal(read_one(BUCKET_MINUTE, MIDNIGHT).number, 0);
	assert_int_equal(faccessat(dir, UUID ".void", R_OK, 0), 0);
	write_minute(MIDNIGHT);
	assert_minutes(MIDNIGHT, 1);
}

static void test_link_is_not_followed(void **state)
{
	const char *other = "22222222-0000-4000-8000-000000000002";

	(void)state;
	assert_int_equal(symlinkat(UUID, dir, other), 0);
	assert_int_equal(history_open(dir, other), -EBADMSG);
	assert_int_equal(history_open(dir, "none"), -ENOENT);
}

static void test_folder_of_others_is_not_used(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/var/lib/memsched/history", root);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(history_dir(root, OWN, true), -EPERM);
	assert_int_equal(history_dir(root, OWN, false), -EPERM);
	assert_int_equal(history_dir("/nowhere", OWN, true), -ENOENT);
}

static void test_other_hosts_have_a_folder(void **state)
{
	int other = history_dir(root, "qemu+ssh://there/system", true);

	(void)state;
	assert_true(other >= 0);
	assert_int_equal(history_open(other, UUID), -ENOENT);
	close(other);
	assert_int_equal(history_dir(root, "qemu+ssh://elsewhere/system", false), -ENOENT);
}

/* ---- moves and names ---- */

static void test_last_moves_are_kept_in_order(void **state)
{
	struct history_move move[HISTORY_MOVES], all[1234];
	size_t n;

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++)
		all[i] = (struct history_move){.wall_ms = 1000000 - i, /* the clock runs backwards */
		                               .from_kib = 4 * i,
		                               .asked_kib = 8 * i,
		                               .has_reached = i % 2,
		                               .reached_kib = i % 2 ? 12 * i : 0,
		                               .reason = REASON_GROWING};
	assert_int_equal(history_write_moves(file, all, 700), 0);
	for (size_t i = 700; i < COUNT(all); i++)
		assert_int_equal(history_write_moves(file, &all[i], 1), 0);
	assert_int_equal(history_read_moves(file, move, &n), 0);
	assert_int_equal(n, HISTORY_MOVES);
	for (size_t i = 0; i < n; i++) {
		const struct history_move *m = &all[COUNT(all) - HISTORY_MOVES + i];

		assert_int_equal(move[i].wall_ms, m->wall_ms);
		assert_int_equal(move[i].from_kib, m->from_kib);
		assert_int_equal(move[i].asked_kib, m->asked_kib);
		assert_int_equal(move[i].has_reached, m->has_reached);
		assert_int_equal(move[i].reached_kib, m->reached_kib);
		assert_int_equal(move[i].reason, m->reason);
	}
	assert_int_equal(size_of_file(), FILE_BYTES);
}

static void test_name_follows_the_guest(void **state)
{
	char name[HISTORY_NAME + 1], longest[2 * HISTORY_NAME];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	write_minute(MIDNIGHT);
	close(file);
	file = history_open_to_write(dir, UUID, longest);
	history_read_name(file, name);
	assert_int_equal(strlen(name), HISTORY_NAME);
	close(file);
	file = history_open_to_write(dir, UUID, "db\n1");
	history_read_name(file, name);
	assert_string_equal(name, "db\n1");
	assert_minutes(MIDNIGHT, 1);
	writes = 0;
	close(file);
	file = history_open_to_write(dir, UUID, "db\n1");
	assert_int_equal(writes, 0);
}

/* ---- guests that are gone ---- */

static void set_age(const char *name, uint64_t wall_s)
{
	const struct timespec times[2] = {{.tv_sec = (time_t)wall_s}, {.tv_sec = (time_t)wall_s}};
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static bool is_there(const char *name)
{
	return faccessat(dir, name, F_OK, 0) == 0;
}

static void test_gone_guests_are_forgotten(void **state)
{
	static const char *const names[] = {UUID, UUID ".void", "." UUID ".tmp.1.000000001"};
	const uint64_t gone_s = DAY * UINT64_C(86400), after_s = gone_s + HISTORY_GONE_S + 1;
	int host = history_open_to_write(dir, HISTORY_HOST, HISTORY_HOST);

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		set_age(names[i], gone_s);
	set_age("notes", gone_s);
	set_age(HISTORY_HOST, gone_s);
	history_prune(dir, host, after_s); /* a clock that ran ahead: the host was not seen in between */
	assert_true(is_there(UUID));
	for (uint32_t i = 0; i <= 8; i++) {
		const struct bucket b = minute_of(MIDNIGHT + (20 + i) * 1440);

		assert_int_equal(history_write(host, &b, NULL), 0);
	}
	history_prune(dir, host, after_s - 1);
	assert_true(is_there(UUID));
	history_prune(dir, host, after_s);
	for (size_t i = 0; i < COUNT(names); i++)
		assert_false(is_there(names[i]));
	assert_true(is_there(HISTORY_HOST));
	assert_true(is_there("notes"));
	close(host);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_day_by_minutes),
	    TEST(test_two_years_keep_their_size),
	    TEST(test_gaps_stay_gaps),
	    TEST(test_two_programs_in_a_minute),
	    TEST(test_sizes_beyond_the_largest_are_cut),
	    TEST(test_clock_that_was_set_back),
	    TEST(test_write_that_is_cut_short),
	    TEST(test_damage_costs_its_place),
	    TEST(test_file_that_was_cut),
	    TEST(test_other_version_is_set_aside),
	    TEST(test_link_is_not_followed),
	    TEST(test_folder_of_others_is_not_used),
	    TEST(test_other_hosts_have_a_folder),
	    TEST(test_last_moves_are_kept_in_order),
	    TEST(test_name_follows_the_guest),
	    TEST(test_gone_guests_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
