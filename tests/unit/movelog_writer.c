/* Moves are written in a thread of its own: a disk that hangs, which movelog_write stands for here, delays nobody. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "host/movelog_writer.h"

#define WAIT_MS 10000

static atomic_bool hangs;
static atomic_int result, written;

int __wrap_movelog_write(struct movelog *a, const char *where);

int __wrap_movelog_write(struct movelog *a, const char *where)
{
	assert_string_equal(where, "/log");
	assert_string_equal(a->program, "memguard");
	while (hangs)
		poll(NULL, 0, 5);
	written += (int)a->n;
	a->lost = result ? a->lost + a->n : 0;
	a->n = 0;
	return result;
}

static uint64_t now_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

static int set_up(void **state)
{
	(void)state;
	hangs = false;
	result = written = 0;
	return 0;
}

static struct movelog audit_of(size_t n)
{
	struct movelog a = {.program = "memguard", .root = "", .most = 8};

	for (size_t i = 0; i < n; i++)
		movelog_add(&a, &(struct movelog_move){.name = "x"});
	return a;
}

static struct movelog_writer *new_scribe(void)
{
	struct movelog_writer *s;

	assert_int_equal(movelog_writer_new(&s), 0);
	return s;
}

/* What came of it, once it is known. */
static int outcome(struct movelog_writer *s, struct movelog *a)
{
	int r = -EINPROGRESS;

	for (int i = 0; i < WAIT_MS / 5 && (r = movelog_writer_outcome(s, a, 1000)) == -EINPROGRESS; i++)
		poll(NULL, 0, 5);
	return r;
}

static void test_writes(void **state)
{
	struct movelog_writer *s = new_scribe();
	struct movelog a = audit_of(3);
	size_t room = a.room;

	(void)state;
	assert_int_equal(movelog_writer_outcome(s, &a, 0), -EINPROGRESS);
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(movelog_writer_write(s, &a, "/log", 0), 0);
		assert_int_equal(a.n, 0);
		assert_int_equal(a.room, room);
		assert_int_equal(outcome(s, &a), 0);
		assert_int_equal(written, 3 * i);
		assert_int_equal(movelog_writer_outcome(s, &a, 0), -EINPROGRESS);
		for (int k = 0; k < 3; k++)
			movelog_add(&a, &(struct movelog_move){.name = "x"});
	}
	assert_int_equal(movelog_writer_end(s, &a, "/log", now_ms() + WAIT_MS), 0);
	assert_int_equal(written, 9);
	movelog_clear(&a);
}

/* Nobody waits; what comes meanwhile is kept up to a bound, and the rest counted. */
static void test_hangs(void **state)
{
	struct movelog_writer *s = new_scribe();
	struct movelog a = audit_of(3);
	uint64_t began_ms = now_ms();

	(void)state;
	hangs = true;
	assert_int_equal(movelog_writer_write(s, &a, "/log", 1000), 0);
	assert_int_equal(movelog_writer_outcome(s, &a, 1000 + MOVELOG_WRITER_PATIENCE_MS - 1), -EINPROGRESS);
	assert_int_equal(movelog_writer_outcome(s, &a, 1000 + MOVELOG_WRITER_PATIENCE_MS), -ETIMEDOUT);
	for (int i = 0; i < 10; i++)
		movelog_add(&a, &(struct movelog_move){.name = "x"});
	assert_int_equal(movelog_writer_write(s, &a, "/log", 2000), -EBUSY);
	assert_true(now_ms() < began_ms + WAIT_MS);
	assert_int_equal(a.n, 8);
	assert_int_equal(a.lost, 2);
	assert_true(a.unkept);
	hangs = false;
	assert_int_equal(outcome(s, &a), 0);
	assert_int_equal(a.lost, 2);
	assert_int_equal(movelog_writer_end(s, &a, "/log", now_ms() + WAIT_MS), 0);
	assert_int_equal(written, 11);
	movelog_clear(&a);
}

static void test_fails(void **state)
{
	struct movelog_writer *s = new_scribe();
	struct movelog a = audit_of(3);

	(void)state;
	result = -ENOSPC;
	assert_int_equal(movelog_writer_write(s, &a, "/log", 0), 0);
	assert_int_equal(outcome(s, &a), -ENOSPC);
	assert_int_equal(a.lost, 3);
	movelog_add(&a, &(struct movelog_move){.name = "x"});
	assert_int_equal(movelog_writer_end(s, &a, "/log", now_ms() + WAIT_MS), -ENOSPC);
	assert_int_equal(a.lost, 4);
	movelog_clear(&a);
}

static void test_end(void **state)
{
	struct movelog_writer *s = new_scribe();
	struct movelog a = audit_of(0);
	uint64_t began_ms;

	(void)state;
	assert_int_equal(movelog_writer_end(s, &a, NULL, 0), 0);
	s = new_scribe();
	hangs = true;
	movelog_add(&a, &(struct movelog_move){.name = "x"});
	began_ms = now_ms();
	assert_int_equal(movelog_writer_end(s, &a, "/log", began_ms + 50), -ETIMEDOUT);
	assert_true(now_ms() < began_ms + WAIT_MS);
	hangs = false;
	for (int i = 0; i < WAIT_MS / 5 && !written; i++)
		poll(NULL, 0, 5);
	poll(NULL, 0, 50); /* it is done with s, which nobody else has */
	assert_int_equal(movelog_writer_end(s, &a, NULL, now_ms() + WAIT_MS), 0);
	movelog_clear(&a);
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_writes), TEST(test_hangs), TEST(test_fails), TEST(test_end)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
