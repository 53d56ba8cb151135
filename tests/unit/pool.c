/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/pool.h"

#define GUESTS 40
#define TIME_MS 30000 /* no run that ends by itself takes so long */

/* The world the jobs of a test live in: a job that hangs waits until the gate is opened (its pipe closed). */
struct world {
	int gate[2];
	int open_result;
	bool open_hangs;
};

static atomic_uint contexts, opened, jobs, released, done;

struct test_job {
	struct job job;
	char key[8];
	int gate; /* hangs until it opens; -1: does not */
	unsigned ms;
	int result;
	bool signals_blocked;
	pthread_t thread;
};

static uint64_t in_time(void)
{
	return clock_ms(CLOCK_BOOTTIME) + TIME_MS;
}

static void sleep_ms(unsigned ms)
{
	poll(NULL, 0, (int)ms);
}

static void hang(int gate)
{
	char c;

	while (read(gate, &c, 1) < 0 && errno == EINTR)
		;
}

static int world_open(void *arg, void **ret_context)
{
	struct world *world = arg;

	if (world->open_hangs)
		hang(world->gate[0]);
	if (world->open_result)
		return world->open_result;
	atomic_fetch_add(&contexts, 1);
	atomic_fetch_add(&opened, 1);
	*ret_context = malloc(1);
	return 0;
}

static void world_close(void *context)
{
	atomic_fetch_sub(&contexts, 1);
	free(context);
}

static void world_release(void *arg)
{
	(void)arg;
	atomic_fetch_add(&released, 1);
}

static const struct pool_kind kind = {world_open, world_close, world_release};

static int errand_run(struct job *job, void *context)
{
	struct test_job *e = (struct test_job *)job;
	sigset_t mask;

	(void)context;
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	e->signals_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGCHLD);
	e->thread = pthread_self();
	if (e->gate >= 0)
		hang(e->gate);
	if (e->ms)
		sleep_ms(e->ms);
	atomic_fetch_add(&done, 1);
	return e->result;
}

static void errand_free(struct job *job)
{
	atomic_fetch_sub(&jobs, 1);
	free(job);
}

static struct job *new_job(int number, int gate, unsigned ms, int result)
{
	struct test_job *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	e->job = (struct job){.run = errand_run, .free = errand_free, .key = e->key};
	snprintf(e->key, sizeof(e->key), "%d", number);
	e->gate = gate;
	e->ms = ms;
	e->result = result;
	atomic_fetch_add(&jobs, 1);
	return &e->job;
}

static void free_jobs(struct job **job, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (job[i])
			job[i]->free(job[i]);
}

static struct pool *new_pool(struct world *world, unsigned n)
{
	struct pool *c;

	atomic_store(&released, 0);
	atomic_store(&opened, 0);
	atomic_store(&done, 0);
	assert_int_equal(pipe(world->gate), 0);
	assert_int_equal(pool_new(&kind, world, n, &c), 0);
	return c;
}

/* Opens the gate and sees that everybody comes home and leaves nothing behind. */
static void finish(struct world *world, struct pool *c)
{
	uint64_t before_ms = clock_ms(CLOCK_BOOTTIME);

	pool_free(c, 0);
	assert_in_range(clock_ms(CLOCK_BOOTTIME) - before_ms, 0, TIME_MS - 1);
	close(world->gate[1]);
	for (int i = 0; i < 500 && pool_threads(); i++)
		sleep_ms(10);
	close(world->gate[0]);
	assert_int_equal(pool_threads(), 0);
	assert_int_equal(atomic_load(&contexts), 0);
	assert_int_equal(atomic_load(&jobs), 0);
	assert_int_equal(atomic_load(&released), 1);
	sleep_ms(10); /* the last threads are beyond our reach for a moment */
}

static void test_all_are_run(void **state)
{
	static const struct {
		unsigned workers;
		size_t n;
	} rows[] = {{1, 0}, {1, 1}, {1, 7}, {4, 3}, {4, 4}, {4, GUESTS}, {16, GUESTS}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct world world = {0};
		struct pool *c = new_pool(&world, rows[i].workers);
		struct job *job[GUESTS];

		for (int round = 0; round < 3; round++) {
			for (size_t k = 0; k < rows[i].n; k++)
				job[k] = new_job((int)k, -1, 0, -(int)k);
			assert_int_equal(pool_run(c, job, rows[i].n, in_time(), NULL), 0);
			for (size_t k = 0; k < rows[i].n; k++) {
				assert_int_equal(job[k]->result, -(int)k);
				assert_true(((struct test_job *)job[k])->signals_blocked);
			}
			free_jobs(job, rows[i].n);
		}
		assert_int_equal(atomic_load(&done), 3 * rows[i].n);
		assert_in_range(atomic_load(&opened), 0, rows[i].workers);
		finish(&world, c);
	}
}

/* One worker keeps its context from run to run, and with it (in libvirt's test driver) its world. */
static void test_one_worker_stays(void **state)
{
	struct world world = {0};
	struct pool *c = new_pool(&world, 1);
	pthread_t first = pthread_self();

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct job *job = new_job(i, -1, 1, 0);

		assert_int_equal(pool_run(c, &job, 1, in_time(), NULL), 0);
		if (i == 0)
			first = ((struct test_job *)job)->thread;
		assert_true(pthread_equal(first, ((struct test_job *)job)->thread));
		free_jobs(&job, 1);
	}
	assert_int_equal(atomic_load(&opened), 1);
	finish(&world, c);
}

struct queue {
	unsigned workers, first, step, stuck;
};

static bool is_stuck(const struct queue *q, unsigned k)
{
	return k >= q->first && k <= q->first + q->step * (q->stuck - 1) && (k - q->first) % q->step == 0;
}

static bool only_the_stuck_are_lost(const struct queue *q, uint64_t time_ms)
{
	struct world world = {0};
	struct pool *c = new_pool(&world, q->workers);
	struct job *job[GUESTS];
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME), took_ms;
	bool good;

	for (unsigned k = 0; k < GUESTS; k++)
		job[k] = new_job((int)k, is_stuck(q, k) ? world.gate[0] : -1, 2, 0);
	assert_int_equal(pool_run(c, job, GUESTS, began_ms + time_ms, NULL), 0);
	took_ms = clock_ms(CLOCK_BOOTTIME) - began_ms;
	good = took_ms >= time_ms - 5 && took_ms < 2 * time_ms;
	for (unsigned k = 0; k < GUESTS; k++)
		good &= is_stuck(q, k) ? !job[k] : job[k] && job[k]->result == 0;
	good &= pool_threads() >= q->stuck && pool_threads() <= q->stuck + 2 * q->workers;
	free_jobs(job, GUESTS);
	good &= atomic_load(&jobs) == q->stuck;
	finish(&world, c);
	return good;
}

/* However many are stuck, and wherever they stand in the queue, the rest is done within the time given. */
static void test_stuck_ones_cost_only_themselves(void **state)
{
	static const struct queue rows[] = {{4, 0, 1, 1}, {4, 0, 1, 6}, {4, 34, 1, 6},
	                                    {4, 0, 6, 6}, {1, 0, 1, 3}, {4, 0, 1, 16}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		bool good = false;

		for (uint64_t time_ms = 700; !good && time_ms < 10000; time_ms *= 3) /* a busy machine has longer */
			good = only_the_stuck_are_lost(&rows[i], time_ms);
		assert_true(good);
	}
}

/* For a moment each time: until the first, which hangs, has been begun, and is lost. */
static void run_until_begun(struct pool *c, struct job **job, size_t n)
{
	for (int i = 0; i < 500 && job[0]; i++)
		assert_int_equal(pool_run(c, job, n, clock_ms(CLOCK_BOOTTIME) + 60, NULL), 0); /* less than a slice */
	assert_null(job[0]);
}

static void test_a_stuck_key_is_refused(void **state)
{
	struct world world = {0};
	struct pool *c = new_pool(&world, 2);
	struct job *job[3];

	(void)state;
	job[0] = new_job(7, world.gate[0], 0, 0);
	run_until_begun(c, job, 1);
	for (int i = 0; i < 3; i++) {
		uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);

		job[0] = new_job(7, -1, 0, 0);
		job[1] = new_job(8, -1, 0, 0);
		job[2] = new_job(7, -1, 0, 0);
		job[2]->key = NULL;
		assert_int_equal(pool_run(c, job, 3, began_ms + TIME_MS, NULL), 0);
		assert_in_range(clock_ms(CLOCK_BOOTTIME) - began_ms, 0, TIME_MS - 1);
		assert_int_equal(job[0]->result, -EBUSY);
		assert_int_equal(job[1]->result, 0);
		assert_int_equal(job[2]->result, 0);
		free_jobs(job, 3);
	}

	/* once it has come back, its key is free again */
	assert_int_equal(write(world.gate[1], "x", 1), 1);
	for (int i = 0; i < 500 && atomic_load(&jobs); i++)
		sleep_ms(10);
	job[0] = new_job(7, -1, 0, 0);
	assert_int_equal(pool_run(c, job, 1, in_time(), NULL), 0);
	assert_int_equal(job[0]->result, 0);
	free_jobs(job, 1);
	finish(&world, c);
}

static void test_what_was_not_started_is_said(void **state)
{
	struct world world = {0};
	struct pool *c = new_pool(&world, 1);
	struct job *job[3] = {new_job(0, world.gate[0], 0, 0), new_job(1, -1, 0, 0), new_job(2, -1, 0, 0)};

	(void)state;
	run_until_begun(c, job, 3);
	assert_int_equal(job[1]->result, -EAGAIN);
	assert_int_equal(job[2]->result, -EAGAIN);
	assert_int_equal(pool_run(c, job + 1, 2, clock_ms(CLOCK_BOOTTIME), NULL), 0); /* no time at all */
	assert_int_equal(job[1]->result, -EAGAIN);
	free_jobs(job, 3);
	finish(&world, c);
}

static void test_threads_are_bounded(void **state)
{
	struct world world = {0};
	struct pool *c = new_pool(&world, 8);
	struct job *job[8];
	unsigned stuck = 0;
	int rc = 0;

	(void)state;
	for (int round = 0; round < POOL_MAX && !rc; round++) {
		for (int k = 0; k < 8; k++)
			job[k] = new_job(round * 8 + k, world.gate[0], 0, 0);
		rc = pool_run(c, job, 8, clock_ms(CLOCK_BOOTTIME) + 30, NULL);
		for (int k = 0; k < 8; k++)
			stuck += !job[k];
		free_jobs(job, 8);
		assert_in_range(pool_threads(), 0, POOL_MAX);
	}
	assert_int_equal(rc, -EBUSY);
	assert_int_equal(stuck, POOL_MAX);
	assert_int_equal(atomic_load(&jobs), POOL_MAX);
	finish(&world, c);
}

static void test_open_fails(void **state)
{
	static const int rows[] = {-ENOTCONN, -EACCES, -EINVAL};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct world world = {.open_result = rows[i]};
		struct pool *c = new_pool(&world, 4);
		struct job *job[2] = {new_job(0, -1, 0, 0), new_job(1, -1, 0, 0)};
		uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);

		assert_int_equal(pool_run(c, job, 2, began_ms + TIME_MS, NULL), rows[i]);
		assert_in_range(clock_ms(CLOCK_BOOTTIME) - began_ms, 0, TIME_MS - 1);
		free_jobs(job, 2);
		finish(&world, c);
	}
}

static void test_open_hangs(void **state)
{
	struct world world = {.open_hangs = true};
	struct pool *c = new_pool(&world, 2);
	struct job *job[2] = {new_job(0, -1, 0, 0), new_job(1, -1, 0, 0)};
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);

	(void)state;
	assert_int_equal(pool_run(c, job, 2, began_ms + 200, NULL), 0);
	assert_in_range(clock_ms(CLOCK_BOOTTIME) - began_ms, 195, TIME_MS - 1);
	assert_int_equal(job[0]->result, -EAGAIN);
	assert_int_equal(job[1]->result, -EAGAIN);
	assert_int_equal(pool_threads(), 2);
	free_jobs(job, 2);
	finish(&world, c);
}

static void test_a_dead_context_ends_the_run(void **state)
{
	struct world world = {0};
	struct pool *c = new_pool(&world, 2);
	struct job *job[5];
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);

	(void)state;
	job[0] = new_job(0, world.gate[0], 0, 0);
	job[1] = new_job(1, -1, 500, -ENOTCONN); /* the first has begun by then */
	for (int k = 2; k < 5; k++)
		job[k] = new_job(k, -1, 0, 0);
	assert_int_equal(pool_run(c, job, 5, began_ms + TIME_MS, NULL), -ENOTCONN);
	assert_in_range(clock_ms(CLOCK_BOOTTIME) - began_ms, 0, TIME_MS - 1);
	assert_null(job[0]);
	assert_int_equal(job[1]->result, -ENOTCONN);
	free_jobs(job, 5);

	/* the pool mends itself with a new context */
	job[0] = new_job(9, -1, 0, 0);
	assert_int_equal(pool_run(c, job, 1, in_time(), NULL), 0);
	assert_int_equal(job[0]->result, 0);
	free_jobs(job, 1);
	finish(&world, c);
}

static volatile sig_atomic_t stop;

static void on_alarm(int number)
{
	(void)number;
	stop = 1;
}

static void test_stop_ends_the_wait(void **state)
{
	static const struct itimerval in_500_ms = {.it_value = {.tv_usec = 500000}}; /* the second is through by then */
	struct world world = {0};
	struct pool *c = new_pool(&world, 2);
	struct job *job[2] = {new_job(0, world.gate[0], 0, 0), new_job(1, -1, 0, 0)};
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);

	(void)state;
	stop = 0;
	signal(SIGALRM, on_alarm);
	assert_int_equal(setitimer(ITIMER_REAL, &in_500_ms, NULL), 0);
	assert_int_equal(pool_run(c, job, 2, began_ms + TIME_MS, &stop), -EINTR);
	assert_in_range(clock_ms(CLOCK_BOOTTIME) - began_ms, 495, TIME_MS - 1);
	assert_null(job[0]);
	assert_int_equal(job[1]->result, 0);
	free_jobs(job, 2);
	finish(&world, c);
}

static void test_free_waits_for_the_idle_only(void **state)
{
	struct world world = {0};
	struct pool *c = new_pool(&world, 4);
	struct job *job[4] = {new_job(0, -1, 20, 0), new_job(1, -1, 20, 0), new_job(2, -1, 20, 0),
	                      new_job(3, world.gate[0], 0, 0)};
	uint64_t began_ms;

	(void)state;
	assert_int_equal(pool_run(c, job, 4, clock_ms(CLOCK_BOOTTIME) + 1000, NULL), 0);
	free_jobs(job, 4);
	assert_int_equal(atomic_load(&contexts), 4);
	began_ms = clock_ms(CLOCK_BOOTTIME);
	pool_free(c, began_ms + TIME_MS);
	assert_in_range(clock_ms(CLOCK_BOOTTIME) - began_ms, 0, TIME_MS - 1);
	assert_int_equal(atomic_load(&contexts), 1);
	assert_int_equal(atomic_load(&released), 0);
	finish(&world, NULL);
}

/* A job that is slow but comes back is no loss, and the pool does not stay larger for it. */
static void test_slow_is_not_stuck(void **state)
{
	struct world world = {0};
	struct pool *c = new_pool(&world, 2);
	struct job *job[GUESTS];

	(void)state;
	for (int k = 0; k < GUESTS; k++)
		job[k] = new_job(k, -1, k < 4 ? 1250 : 10, 0); /* more than a slice, which is an eighth */
	assert_int_equal(pool_run(c, job, GUESTS, clock_ms(CLOCK_BOOTTIME) + 8000, NULL), 0);
	for (int k = 0; k < GUESTS; k++)
		assert_int_equal(job[k]->result, 0);
	free_jobs(job, GUESTS);
	for (int i = 0; i < 500 && pool_threads() > 2; i++)
		sleep_ms(10);
	assert_int_equal(pool_threads(), 2);
	finish(&world, c);
}

/* ---- tasks ---- */

struct call {
	int gate; /* hangs until it opens; -1: does not */
	int result;
	bool signals_blocked;
};

static int make_call(void *arg)
{
	struct call *call = arg;
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	call->signals_blocked = sigismember(&mask, SIGTERM) && !sigismember(&mask, SIGSEGV);
	if (call->gate >= 0)
		hang(call->gate);
	return call->result;
}

static void free_call(void *arg)
{
	free(arg);
	atomic_fetch_add(&released, 1);
}

static struct task *start(int gate, int result, struct call **ret_call)
{
	struct call *call = calloc(1, sizeof(*call));
	struct task *t;

	assert_non_null(call);
	*call = (struct call){.gate = gate, .result = result};
	*ret_call = call;
	assert_int_equal(task_start(make_call, free_call, call, &t), 0);
	return t;
}

static void await_released(unsigned n)
{
	for (int i = 0; i < 500 && atomic_load(&released) < n; i++)
		sleep_ms(10);
	assert_int_equal(atomic_load(&released), n);
	sleep_ms(10); /* the thread is beyond our reach for a moment */
}

static void test_a_task_has_a_result(void **state)
{
	static const int results[] = {0, -EIO, 7};
	struct call *call;

	(void)state;
	atomic_store(&released, 0);
	for (unsigned i = 0; i < sizeof(results) / sizeof(*results); i++) {
		struct task *t = start(-1, results[i], &call);
		struct pollfd over = {.fd = task_fd(t), .events = POLLIN};

		assert_int_equal(task_wait(t, in_time()), results[i]);
		assert_int_equal(task_result(t), results[i]);
		assert_int_equal(poll(&over, 1, TIME_MS), 1);
		assert_true(call->signals_blocked); /* it is the caller's again */
		assert_true(task_free(t));
		free(call);
	}
	assert_int_equal(atomic_load(&released), 0);
	assert_true(task_free(NULL));
	sleep_ms(10); /* the threads are beyond our reach for a moment */
}

static void test_a_task_needs_no_descriptor(void **state)
{
	struct rlimit all, none;
	struct call *call;
	struct task *t;
	int fd, result;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = (struct rlimit){0, all.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	t = start(-1, 7, &call);
	fd = task_fd(t);
	result = task_wait(t, in_time());
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(result, 7);
	assert_true(task_free(t));
	free(call);
	sleep_ms(10); /* the thread is beyond our reach for a moment */
}

static void test_a_stuck_task_is_abandoned(void **state)
{
	int gate[2];
	struct call *call;
	struct task *t;
	struct pollfd over = {.events = POLLIN};
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);

	(void)state;
	atomic_store(&released, 0);
	assert_int_equal(pipe(gate), 0);
	t = start(gate[0], 0, &call);
	over.fd = task_fd(t);
	assert_int_equal(task_result(t), -EINPROGRESS);
	assert_int_equal(poll(&over, 1, 0), 0);
	assert_int_equal(task_wait(t, 0), -EINPROGRESS);
	assert_int_equal(task_wait(t, began_ms + 50), -EINPROGRESS);
	assert_false(task_free(t));
	assert_in_range(clock_ms(CLOCK_BOOTTIME) - began_ms, 45, TIME_MS - 1);
	assert_int_equal(atomic_load(&released), 0);
	close(gate[1]);
	await_released(1);
	close(gate[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_are_run),
	    cmocka_unit_test(test_one_worker_stays),
	    cmocka_unit_test(test_stuck_ones_cost_only_themselves),
	    cmocka_unit_test(test_a_stuck_key_is_refused),
	    cmocka_unit_test(test_what_was_not_started_is_said),
	    cmocka_unit_test(test_threads_are_bounded),
	    cmocka_unit_test(test_open_fails),
	    cmocka_unit_test(test_open_hangs),
	    cmocka_unit_test(test_a_dead_context_ends_the_run),
	    cmocka_unit_test(test_stop_ends_the_wait),
	    cmocka_unit_test(test_free_waits_for_the_idle_only),
	    cmocka_unit_test(test_slow_is_not_stuck),
	    cmocka_unit_test(test_a_task_has_a_result),
	    cmocka_unit_test(test_a_task_needs_no_descriptor),
	    cmocka_unit_test(test_a_stuck_task_is_abandoned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
