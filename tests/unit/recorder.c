/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/units.h"
#include "folder.h"
#include "host/recorder.h"

#define OWN "qemu:///system"
#define BEGIN_S UINT64_C(1764338400) /* a quarter of an hour begins */
#define BEGIN_MINUTE ((uint32_t)(BEGIN_S / 60))
#define PATIENT_MS 60000 /* for a machine that is slow */

static char root[FOLDER_BYTES];
static struct recorder recorder;
static struct host host;
static struct guest guest[3];
static char name[COUNT(guest)][8];
static uint64_t booted_ms; /* CLOCK_BOOTTIME of BEGIN_S: of the test's own clock, but not before the real one's */

/* ---- a disk that is slow or full ---- */

ssize_t __real_pwrite64(int fd, const void *bytes, size_t n, off64_t at);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off64_t at);

static atomic_uint writes;
static atomic_bool is_full;
static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
	writes++;
	pthread_mutex_lock(&disk);
	pthread_mutex_unlock(&disk);
	if (!is_full)
		return __real_pwrite64(fd, bytes, n, at);
	errno = ENOSPC;
	return -1;
}

/* ---- passes ---- */

static int set_up(void **state)
{
	(void)state;
	recorder = (struct recorder){.root = root};
	host = (struct host){.total_kib = 16 * KIB_PER_GIB, .available_kib = 8 * KIB_PER_GIB};
	booted_ms = clock_ms(CLOCK_BOOTTIME);
	writes = 0;
	is_full = false;
	for (size_t i = 0; i < COUNT(guest); i++) {
		guest[i] = (struct guest){.name = name[i], .answered = true};
		snprintf(name[i], sizeof(name[i]), "vm%zu", i);
		snprintf(guest[i].uuid, sizeof(guest[i].uuid), "11111111-0000-4000-8000-00000000000%zu", i);
		guest[i].sample = (struct sample){.have = SAMPLE_ACTUAL | SAMPLE_RSS | SAMPLE_USABLE,
		                                  .actual_kib = (i + 1) * KIB_PER_GIB,
		                                  .rss_kib = KIB_PER_GIB / 2};
		guest[i].est = (struct estimate){.has_used = true, .used_kib = 400000, .cache_kib = 4000};
		guest[i].plan = (struct plan){.want_kib = 600000, .reason = REASON_AT_TARGET};
	}
	return folder_make(root, "recorder");
}

static int tear_down(void **state)
{
	(void)state;
	recorder_end(&recorder, clock_ms(CLOCK_BOOTTIME) + PATIENT_MS);
	return folder_remove(root);
}

static struct instant after_ms(uint64_t ms)
{
	return (struct instant){.now_ms = booted_ms + ms, .wall_ms = BEGIN_S * 1000 + ms};
}

static void pass(size_t n, uint64_t ms)
{
	recorder_add(&recorder, OWN, &host, guest, n, after_ms(ms));
}

/* Waits for what was begun; what is being gathered stays. */
static void wait_for_disk(void)
{
	struct recorder_batch *batch = recorder.batch;

	recorder.batch = NULL;
	recorder_end(&recorder, clock_ms(CLOCK_BOOTTIME) + PATIENT_MS);
	recorder.batch = batch;
}

static void write_all(void)
{
	recorder_end(&recorder, clock_ms(CLOCK_BOOTTIME) + PATIENT_MS);
	assert_int_equal(recorder.error, 0);
}

static int open_history(const char *uuid)
{
	int dir = history_dir(root, OWN, false), fd = history_open(dir, uuid);

	close(dir);
	return fd;
}

static struct bucket minute_of(const char *uuid, uint32_t minute)
{
	int fd = open_history(uuid);
	struct bucket b;

	assert_true(fd >= 0);
	assert_int_equal(history_read(fd, BUCKET_MINUTE, minute, 1, &b), 0);
	close(fd);
	return b;
}

static void assert_figure(const struct bucket *b, enum figure i, uint32_t n, uint64_t least, uint64_t mean,
                          uint64_t most)
{
	assert_int_equal(b->figure[i].n, n);
	assert_int_equal(b->figure[i].least, least);
	assert_int_equal(bucket_mean(&b->figure[i]), mean);
	assert_int_equal(b->figure[i].most, most);
}

static void test_loop_writes_once_a_minute(void **state)
{
	struct bucket b;
	unsigned n;

	(void)state;
	for (unsigned i = 0; i < 600; i++) { /* passes of a minute */
		guest[0].est.used_kib = 400000 + 4 * i;
		pass(3, 100 * i);
	}
	assert_int_equal(writes, 0);
	pass(3, 60000);
	wait_for_disk();
	n = writes;
	assert_int_equal(n, 2 * 4); /* a name and a minute of each file */
	for (unsigned i = 1; i < 600; i++)
		pass(3, 60000 + 100 * i);
	pass(3, 120000);
	wait_for_disk();
	n = writes - n;
	assert_int_equal(n, 4);
	b = minute_of(guest[0].uuid, BEGIN_MINUTE);
	assert_figure(&b, FIGURE_USED, 600, 400000, 401196, 402396);
	assert_figure(&b, FIGURE_ACTUAL, 600, KIB_PER_GIB, KIB_PER_GIB, KIB_PER_GIB);
	assert_figure(&b, FIGURE_CACHE, 600, 4000, 4000, 4000);
	assert_figure(&b, FIGURE_WANT, 600, 600000, 600000, 600000);
	assert_int_equal(b.figure[FIGURE_AVAILABLE].n, 0);
	assert_int_equal(b.figure[FIGURE_SWAP_IN].n, 0); /* no rates were known */
	assert_int_equal(b.reasons, 1u << REASON_AT_TARGET);
	b = minute_of(HISTORY_HOST, BEGIN_MINUTE + 1);
	assert_figure(&b, FIGURE_AVAILABLE, 600, 8 * KIB_PER_GIB, 8 * KIB_PER_GIB, 8 * KIB_PER_GIB);
	assert_figure(&b, FIGURE_ACTUAL, 600, 6 * KIB_PER_GIB, 6 * KIB_PER_GIB, 6 * KIB_PER_GIB);
}

static void test_guests_come_and_go(void **state)
{
	struct guest last = guest[2];

	(void)state;
	pass(2, 0);
	guest[2] = guest[0]; /* now: vm1, vm2, vm0 */
	guest[0] = guest[1];
	guest[1] = last;
	pass(3, 1000);
	pass(1, 2000);
	pass(0, 3000);
	write_all();
	assert_int_equal(minute_of("11111111-0000-4000-8000-000000000000", BEGIN_MINUTE).figure[FIGURE_USED].n, 2);
	assert_int_equal(minute_of("11111111-0000-4000-8000-000000000001", BEGIN_MINUTE).figure[FIGURE_USED].n, 3);
	assert_int_equal(minute_of("11111111-0000-4000-8000-000000000002", BEGIN_MINUTE).figure[FIGURE_USED].n, 1);
	assert_int_equal(minute_of(HISTORY_HOST, BEGIN_MINUTE).figure[FIGURE_AVAILABLE].n, 4);
	assert_int_equal(minute_of(HISTORY_HOST, BEGIN_MINUTE).figure[FIGURE_USED].n, 3);
}

static void test_guest_of_which_nothing_is_known(void **state)
{
	struct bucket b;

	(void)state;
	guest[0] =
	    (struct guest){.name = name[0], .hung = true, .plan = {.reason = REASON_UNRESPONSIVE, .fixed = true}};
	memcpy(guest[0].uuid, guest[1].uuid, UUID_TEXT);
	host.total_kib = 0;
	pass(1, 0);
	write_all();
	b = minute_of(guest[1].uuid, BEGIN_MINUTE);
	for (enum figure i = 0; i < FIGURES; i++)
		assert_int_equal(b.figure[i].n, 0);
	assert_int_equal(b.reasons, 1u << REASON_UNRESPONSIVE);
	assert_int_equal(minute_of(HISTORY_HOST, BEGIN_MINUTE).figure[FIGURE_AVAILABLE].n, 0);
}

/* As those of a pass that fails when its guests are read: by a host that cannot be, or a size that does not fit. */
static void test_guest_that_was_read_and_not_planned(void **state)
{
	struct bucket b;

	(void)state;
	pass(1, 0);
	guest[0].plan = (struct plan){.want_kib = 0};
	pass(1, 1000);
	guest[0].plan.reason = REASON_FAILED; /* its statistics period could not be set */
	pass(1, 2000);
	write_all();
	b = minute_of(guest[0].uuid, BEGIN_MINUTE);
	assert_figure(&b, FIGURE_ACTUAL, 3, KIB_PER_GIB, KIB_PER_GIB, KIB_PER_GIB);
	assert_figure(&b, FIGURE_WANT, 1, 600000, 600000, 600000);
	assert_int_equal(b.reasons, 1u << REASON_AT_TARGET | 1u << REASON_FAILED);
}

static void move_guest(uint64_t asked_kib, uint64_t ms)
{
	guest[0].past.actual_kib = guest[0].sample.actual_kib;
	guest[0].past.seen_ms = guest[0].past.asked_ms = booted_ms + ms;
	guest[0].order.kib = asked_kib;
	guest[0].order.sent = asked_kib != 0;
}

static void test_moves_are_kept_with_what_came_of_them(void **state)
{
	struct history_move move[HISTORY_MOVES];
	size_t n;
	int fd;

	(void)state;
	move_guest(800000, 59000);
	pass(1, 59500); /* half a second after it was asked for */
	guest[0].sample.actual_kib = 840000;
	move_guest(0, 60000);
	pass(1, 60000);
	move_guest(700000, 61000);
	pass(1, 61000);
	write_all();
	fd = open_history(guest[0].uuid);
	assert_int_equal(history_read_moves(fd, move, &n), 0);
	close(fd);
	assert_int_equal(n, 2);
	assert_int_equal(move[0].wall_ms, BEGIN_S * 1000 + 59000);
	assert_int_equal(move[0].from_kib, KIB_PER_GIB);
	assert_int_equal(move[0].asked_kib, 800000);
	assert_true(move[0].has_reached);
	assert_int_equal(move[0].reached_kib, 840000);
	assert_int_equal(move[0].reason, REASON_AT_TARGET);
	assert_int_equal(move[1].asked_kib, 700000);
	assert_false(move[1].has_reached);
}

/* ---- moves of the guard ---- */

#define TAKES 8

/* So many takes of a guest, each from another size. */
static void guard_takes(struct recorder *r, unsigned n, uint64_t ms)
{
	struct movelog_move move[TAKES];

	for (unsigned i = 0; i < n; i++) {
		move[i] = (struct movelog_move){.name = "vm0",
		                                .wall_ms = BEGIN_S * 1000 + ms,
		                                .from_kib = KIB_PER_GIB + 4 * i,
		                                .asked_kib = 500000,
		                                .has_reached = true,
		                                .reached_kib = 600000,
		                                .reason = REASON_HOST_RESERVE};
		memcpy(move[i].uuid, guest[0].uuid, UUID_TEXT);
	}
	recorder_add_moves(r, OWN, move, n, after_ms(ms));
	recorder_add_moves(r, OWN, move, n, after_ms(ms)); /* a log that hangs has them still */
}

static size_t read_moves(const char *uuid, struct history_move move[HISTORY_MOVES])
{
	int fd = open_history(uuid);
	size_t n = 0;

	assert_int_equal(history_read_moves(fd, move, &n), 0);
	close(fd);
	return n;
}

static void test_guard_moves_are_kept_once(void **state)
{
	struct history_move move[HISTORY_MOVES];

	(void)state;
	recorder_add_moves(&recorder, OWN, NULL, 0, after_ms(0));
	assert_null(recorder.batch);
	guard_takes(&recorder, 2, 1000);
	guard_takes(&recorder, 1, 59000);
	assert_int_equal(writes, 0);
	recorder_add_moves(&recorder, OWN, NULL, 0, after_ms(61000)); /* a look of the next minute */
	wait_for_disk();
	assert_int_equal(recorder.error, 0);
	assert_int_equal(read_moves(guest[0].uuid, move), 3);
	assert_int_equal(move[1].from_kib, KIB_PER_GIB + 4);
	assert_int_equal(move[2].wall_ms, BEGIN_S * 1000 + 59000);
	for (size_t i = 0; i < 3; i++) {
		assert_true(move[i].by_guard);
		assert_int_equal(move[i].asked_kib, 500000);
		assert_int_equal(move[i].reached_kib, 600000);
		assert_int_equal(move[i].reason, REASON_HOST_RESERVE);
	}
	/* the guard tells of no minute: it sees guests, and takes part in no pass */
	assert_int_equal(minute_of(guest[0].uuid, BEGIN_MINUTE).number, 0);
	assert_int_equal(open_history(HISTORY_HOST), -ENOENT);
}

/* Both begin while the first write of one waits for the disk. */
static void test_two_programs_write_a_file_in_turns(void **state)
{
	struct recorder guard = {.root = root};
	struct history_move move[HISTORY_MOVES];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		guard_takes(&recorder, 2, 60000 * round);
		guard_takes(&guard, TAKES, 60000 * round);
		writes = 0;
		pthread_mutex_lock(&disk);
		recorder_start(&recorder, booted_ms);
		recorder_start(&guard, booted_ms);
		while (!writes)
			clock_sleep_ms(1);
		clock_sleep_ms(20); /* time in which the other could do wrong */
		pthread_mutex_unlock(&disk);
		write_all();
		recorder_end(&guard, clock_ms(CLOCK_BOOTTIME) + PATIENT_MS);
		assert_int_equal(guard.error, 0);
	}
	assert_int_equal(read_moves(guest[0].uuid, move), 3 * (TAKES + 2));
}

static void test_writer_that_hangs_is_waited_for_in_the_task_alone(void **state)
{
	int dir = history_dir(root, OWN, true), lock = history_lock(dir, 0);
	struct history_move move[HISTORY_MOVES];

	(void)state;
	assert_true(lock >= 0);
	assert_int_equal(history_lock(dir, clock_ms(CLOCK_BOOTTIME) + 1), -ETIMEDOUT);
	guard_takes(&recorder, 1, 0);
	recorder_start(&recorder, booted_ms);
	recorder_end(&recorder, clock_ms(CLOCK_BOOTTIME) + 1);
	assert_int_equal(recorder.error, -ETIMEDOUT);
	close(lock);
	while (faccessat(dir, guest[0].uuid, F_OK, 0)) /* it goes on alone */
		clock_sleep_ms(1);
	while (read_moves(guest[0].uuid, move) == 0)
		clock_sleep_ms(1);
	lock = history_lock(dir, clock_ms(CLOCK_BOOTTIME) + PATIENT_MS);
	assert_true(lock >= 0);
	close(lock);
	close(dir);
}

static void test_moves_of_a_minute_are_bounded(void **state)
{
	struct history_move move[HISTORY_MOVES];
	size_t n;
	int fd;

	(void)state;
	for (unsigned i = 0; i < 2 * HISTORY_MOVES; i++) {
		move_guest(800000, i);
		pass(1, i);
	}
	write_all();
	fd = open_history(guest[0].uuid);
	assert_int_equal(history_read_moves(fd, move, &n), 0);
	close(fd);
	assert_int_equal(n, HISTORY_MOVES);
}

static void test_full_disk(void **state)
{
	char sentence[512];

	(void)state;
	pass(3, 0);
	write_all();
	is_full = true;
	pass(3, 60000);
	recorder_end(&recorder, clock_ms(CLOCK_BOOTTIME) + PATIENT_MS);
	assert_int_equal(recorder.error, -ENOSPC);
	assert_non_null(strstr(recorder_complaint(sentence, sizeof(sentence), &recorder), "No space left on device"));
	assert_int_equal(minute_of(guest[2].uuid, BEGIN_MINUTE).figure[FIGURE_USED].most, 400000);
	assert_int_equal(minute_of(guest[2].uuid, BEGIN_MINUTE + 1).number, 0);
	is_full = false;
	pass(3, 120000);
	write_all();
	assert_int_equal(minute_of(guest[2].uuid, BEGIN_MINUTE).number, BEGIN_MINUTE);
	assert_int_equal(minute_of(guest[2].uuid, BEGIN_MINUTE + 2).number, BEGIN_MINUTE + 2);
}

static void test_disk_that_hangs_costs_no_time(void **state)
{
	uint64_t minute_ms = 60000;

	(void)state;
	pthread_mutex_lock(&disk);
	pass(3, 0);
	for (unsigned i = 1; i <= 3; i++) /* it hangs for three minutes, and passes go on */
		pass(3, i * minute_ms);
	assert_int_equal(recorder.error, -ETIMEDOUT);
	assert_true(writes <= 1);
	pthread_mutex_unlock(&disk);
	wait_for_disk();
	pass(3, 3 * minute_ms + 1000);
	write_all();
	assert_int_equal(minute_of(guest[0].uuid, BEGIN_MINUTE).number, BEGIN_MINUTE);
	assert_int_equal(minute_of(guest[0].uuid, BEGIN_MINUTE + 1).number, 0); /* lost */
	assert_int_equal(minute_of(guest[0].uuid, BEGIN_MINUTE + 3).figure[FIGURE_USED].n, 2);
}

static void test_end_does_not_wait_for_a_disk_that_hangs(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/var/lib/memsched/history/" HISTORY_HOST, root);
	pthread_mutex_lock(&disk);
	pass(3, 0);
	recorder_end(&recorder, clock_ms(CLOCK_BOOTTIME) + 1);
	assert_int_equal(recorder.error, -ETIMEDOUT);
	assert_null(recorder.batch);
	pthread_mutex_unlock(&disk);
	while (faccessat(AT_FDCWD, path, F_OK, 0)) /* it goes on alone: the host comes last */
		clock_sleep_ms(1);
	while (minute_of(HISTORY_HOST, BEGIN_MINUTE).number == 0)
		clock_sleep_ms(1);
	assert_int_equal(minute_of(guest[2].uuid, BEGIN_MINUTE).number, BEGIN_MINUTE);
}

static void test_clock_that_jumps_to_and_fro(void **state)
{
	struct instant at;

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		at = after_ms(1000 * i);
		at.wall_ms += i % 2 ? 3600000 : 0;
		recorder_add(&recorder, OWN, &host, guest, 1, at);
	}
	assert_int_equal(writes, 0);
	write_all();
	assert_int_equal(minute_of(guest[0].uuid, BEGIN_MINUTE).figure[FIGURE_USED].n, 40);
}

static void test_other_libvirt_has_a_history_of_its_own(void **state)
{
	int dir, fd;
	struct bucket b;

	(void)state;
	pass(1, 0);
	recorder_add(&recorder, "qemu+ssh://there/system", &host, guest, 1, after_ms(1000));
	wait_for_disk();
	write_all();
	assert_int_equal(minute_of(guest[0].uuid, BEGIN_MINUTE).figure[FIGURE_USED].n, 1);
	dir = history_dir(root, "qemu+ssh://there/system", false);
	fd = history_open(dir, guest[0].uuid);
	assert_int_equal(history_read(fd, BUCKET_MINUTE, BEGIN_MINUTE, 1, &b), 0);
	assert_int_equal(b.figure[FIGURE_USED].n, 1);
	close(fd);
	close(dir);
}

static void test_folder_that_cannot_be_made(void **state)
{
	char sentence[512];

	(void)state;
	recorder.root = "/proc";
	pass(1, 0);
	recorder_end(&recorder, clock_ms(CLOCK_BOOTTIME) + PATIENT_MS);
	assert_int_not_equal(recorder.error, 0);
	assert_non_null(strstr(recorder_complaint(sentence, sizeof(sentence), &recorder),
	                       "cannot write the history in '/proc/var/lib/memsched/history': "));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_loop_writes_once_a_minute),
	    TEST(test_guests_come_and_go),
	    TEST(test_guest_of_which_nothing_is_known),
	    TEST(test_guest_that_was_read_and_not_planned),
	    TEST(test_moves_are_kept_with_what_came_of_them),
	    TEST(test_moves_of_a_minute_are_bounded),
	    TEST(test_full_disk),
	    TEST(test_disk_that_hangs_costs_no_time),
	    TEST(test_end_does_not_wait_for_a_disk_that_hangs),
	    TEST(test_clock_that_jumps_to_and_fro),
	    TEST(test_other_libvirt_has_a_history_of_its_own),
	    TEST(test_folder_that_cannot_be_made),
	    TEST(test_guard_moves_are_kept_once),
	    TEST(test_two_programs_write_a_file_in_turns),
	    TEST(test_writer_that_hangs_is_waited_for_in_the_task_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
