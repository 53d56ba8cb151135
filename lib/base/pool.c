/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pool.h"
#include "base/units.h"

#define STACK_BYTES (256u << 10)
#define SLICE_LEAST_MS 100   /* a shorter run is no sign of a stuck one */
#define OPENING_MOST_MS 5000 /* over ssh half a second is usual */
#define TICK_MS 50           /* how often the stop flag and the slices are looked at */

enum doing { OPENING, IDLE, BUSY, LEAVING };

struct worker {
	struct worker *next;
	struct pool *pool;
	void *context;
	enum doing doing;
	uint64_t since_ms; /* began to open its context, or its job */
	struct job *job;
	size_t index;   /* of job in the run */
	bool replaced;  /* another was started in its place */
	bool abandoned; /* it frees its context itself */
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work; /* for workers: jobs, or the end */
	pthread_cond_t news; /* for the caller: a job came back, a worker left */
	const struct pool_kind *kind;
	void *arg;
	unsigned size;
	unsigned refs; /* the caller's and one a thread */
	bool closing;
	struct worker *worker; /* all of them, abandoned ones too */

	/* the run under way */
	struct job **job;
	size_t n, next, running;
	int failure;    /* ends the run */
	int open_error; /* of the last context that could not be opened */
};

static atomic_uint threads;

unsigned pool_threads(void)
{
	return atomic_load(&threads);
}

static void pool_destroy(struct pool *p)
{
	p->kind->release(p->arg);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->news);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* Hands the lock back for good. */
static void pool_unref(struct pool *p)
{
	bool last = --p->refs == 0;

	pthread_mutex_unlock(&p->lock);
	if (last)
		pool_destroy(p);
}

static bool is_stuck(const struct pool *p, const char *key)
{
	if (!key)
		return false;
	for (const struct worker *w = p->worker; w; w = w->next)
		if (w->abandoned && w->job && w->job->key && !strcmp(w->job->key, key))
			return true;
	return false;
}

/* Workers that have or may yet take jobs; without those that were replaced if the size of the pool is asked for. */
static unsigned count_live(const struct pool *p, bool replaced_too)
{
	unsigned n = 0;

	for (const struct worker *w = p->worker; w; w = w->next)
		n += !w->abandoned && w->doing != LEAVING && (replaced_too || !w->replaced);
	return n;
}

static bool take_job(struct worker *w)
{
	struct pool *p = w->pool;

	for (; p->next < p->n; p->next++) {
		struct job *job = p->job[p->next];

		if (is_stuck(p, job->key)) {
			job->result = -EBUSY;
			continue;
		}
		w->job = job;
		w->index = p->next++;
		w->doing = BUSY;
		w->since_ms = clock_ms(CLOCK_BOOTTIME);
		p->running++;
		return true;
	}
	pthread_cond_signal(&p->news);
	return false;
}

/* False: the worker must end. */
static bool wait_for_job(struct worker *w)
{
	struct pool *p = w->pool;

	w->doing = IDLE;
	while (!w->abandoned && !p->closing && count_live(p, false) <= p->size) {
		if (p->next < p->n && take_job(w))
			return true;
		pthread_cond_wait(&p->work, &p->lock);
	}
	return false;
}

static bool is_over(const struct pool *p)
{
	return (p->next == p->n && !p->running) || p->failure || !count_live(p, true);
}

static bool finish_job(struct worker *w, int result)
{
	struct pool *p = w->pool;
	struct job *job = w->job;

	w->job = NULL;
	if (w->abandoned) {
		job->free(job);
		return false;
	}
	w->replaced = false;
	job->result = result;
	p->running--;
	if (result == -ENOTCONN)
		p->failure = result;
	if (is_over(p)) /* the caller need not look at each */
		pthread_cond_signal(&p->news);
	return result != -ENOTCONN;
}

static void end_worker(struct worker *w, bool opened)
{
	struct pool *p = w->pool;
	struct worker **link = &p->worker;

	w->doing = LEAVING;
	pthread_cond_signal(&p->news);
	if (opened) {
		pthread_mutex_unlock(&p->lock);
		p->kind->close(w->context);
		pthread_mutex_lock(&p->lock);
	}
	while (*link != w)
		link = &(*link)->next;
	*link = w->next;
	free(w);
	pthread_cond_signal(&p->news);
	pool_unref(p);
	atomic_fetch_sub(&threads, 1);
}

static void *work_on_jobs(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	int rc = p->kind->open(p->arg, &w->context);

	pthread_mutex_lock(&p->lock);
	if (rc < 0)
		p->open_error = rc;
	while (rc >= 0 && wait_for_job(w)) {
		int result;

		pthread_mutex_unlock(&p->lock);
		result = w->job->run(w->job, w->context);
		pthread_mutex_lock(&p->lock);
		if (!finish_job(w, result))
			break;
	}
	end_worker(w, rc >= 0);
	return NULL;
}

/* Signals are the caller's. Those of a thread's own faults stay open: blocked they would kill without the handler that
 * restores the terminal. */
static int start_thread(void *(*run)(void *arg), void *arg)
{
	static const int faults[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS};
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t others, was;
	int rc = pthread_attr_init(&attr);

	if (rc)
		return -rc;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&others);
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		sigdelset(&others, faults[i]);
	pthread_sigmask(SIG_SETMASK, &others, &was); /* a thread inherits the mask */
	rc = pthread_create(&thread, &attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	pthread_attr_destroy(&attr);
	return -rc;
}

static int add_worker(struct pool *p)
{
	struct worker *w;
	int rc = -ENOMEM;

	if (atomic_fetch_add(&threads, 1) >= POOL_MAX) {
		atomic_fetch_sub(&threads, 1);
		return -EBUSY;
	}
	w = calloc(1, sizeof(*w));
	if (w) {
		w->pool = p;
		w->doing = OPENING;
		w->since_ms = clock_ms(CLOCK_BOOTTIME);
		rc = start_thread(work_on_jobs, w);
	}
	if (rc < 0) {
		free(w);
		atomic_fetch_sub(&threads, 1);
		return rc;
	}
	w->next = p->worker;
	p->worker = w;
	p->refs++;
	return 0;
}

/* Fails only if there is no worker at all. */
static int add_missing(struct pool *p, size_t n)
{
	unsigned live = count_live(p, true);
	int rc = 0;

	while (live < n && live < p->size && (rc = add_worker(p)) == 0)
		live++;
	return live ? 0 : rc;
}

/* An opening that takes long is not replaced: if one hangs, so would the next. */
static void replace_slow(struct pool *p, uint64_t now_ms, uint64_t slice_ms)
{
	for (struct worker *w = p->worker; w && p->next < p->n; w = w->next)
		if (!w->abandoned && !w->replaced && w->doing == BUSY && now_ms - w->since_ms >= slice_ms)
			w->replaced = add_worker(p) == 0;
}

static void wait_for_news(struct pool *p, uint64_t ms)
{
	struct timespec t;

	if (ms > TICK_MS)
		ms = TICK_MS;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += (long)ms * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	pthread_cond_timedwait(&p->news, &p->lock, &t);
}

static int wait_for_all(struct pool *p, uint64_t began_ms, uint64_t deadline_ms, const volatile sig_atomic_t *stop)
{
	uint64_t slice_ms = (deadline_ms - began_ms) / 8;

	if (slice_ms < SLICE_LEAST_MS)
		slice_ms = SLICE_LEAST_MS;
	while (!is_over(p)) {
		uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

		if (stop && *stop)
			return -EINTR;
		if (now_ms >= deadline_ms)
			return 0;
		replace_slow(p, now_ms, slice_ms);
		wait_for_news(p, deadline_ms - now_ms);
	}
	if (p->failure)
		return p->failure;
	return p->next < p->n ? p->open_error : 0;
}

/* A worker that is still opening its context is kept for the next run, unless it takes all too long. */
static void abandon_jobs(struct pool *p)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

	for (struct worker *w = p->worker; w; w = w->next) {
		if (w->abandoned)
			continue;
		if (w->doing == BUSY)
			p->job[w->index] = NULL;
		w->abandoned = w->doing == BUSY || (w->doing == OPENING && now_ms - w->since_ms >= OPENING_MOST_MS);
	}
	p->job = NULL;
	p->n = p->next = p->running = 0;
}

int pool_run(struct pool *p, struct job **job, size_t n, uint64_t deadline_ms, const volatile sig_atomic_t *stop)
{
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);
	int rc;

	for (size_t i = 0; i < n; i++)
		job[i]->result = -EAGAIN;
	if (!n || began_ms >= deadline_ms)
		return 0;
	pthread_mutex_lock(&p->lock);
	p->job = job;
	p->n = n;
	p->failure = p->open_error = 0;
	rc = add_missing(p, n);
	pthread_cond_broadcast(&p->work);
	if (!rc)
		rc = wait_for_all(p, began_ms, deadline_ms, stop);
	abandon_jobs(p);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/* Waits may not follow the wall clock, and condition variables do not take CLOCK_BOOTTIME. */
static int init_locks(struct pool *p)
{
	pthread_condattr_t attr;
	int rc;

	rc = pthread_condattr_init(&attr);
	if (rc)
		return -rc;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->news, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

int pool_new(const struct pool_kind *kind, void *arg, unsigned n, struct pool **ret_workers)
{
	struct pool *p = calloc(1, sizeof(*p));
	int rc = p ? init_locks(p) : -ENOMEM;

	if (rc < 0) {
		kind->release(arg);
		free(p);
		return rc;
	}
	p->kind = kind;
	p->arg = arg;
	p->size = n;
	p->refs = 1;
	*ret_workers = p;
	return 0;
}

static bool any_left(const struct pool *p)
{
	for (const struct worker *w = p->worker; w; w = w->next)
		if (!w->abandoned)
			return true;
	return false;
}

void pool_free(struct pool *p, uint64_t deadline_ms)
{
	uint64_t now_ms;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->work);
	while (any_left(p) && (now_ms = clock_ms(CLOCK_BOOTTIME)) < deadline_ms)
		wait_for_news(p, deadline_ms - now_ms);
	pool_unref(p);
}

/* ---- tasks ---- */

struct task {
	atomic_uint refs; /* the caller's and the thread's */
	atomic_int result;
	atomic_int fd; /* an eventfd; -1: not asked for */
	int (*run)(void *arg);
	void (*release)(void *arg);
	void *arg;
};

#define ABANDONED 1 /* in place of a result */

static void task_unref(struct task *t)
{
	if (atomic_fetch_sub(&t->refs, 1) > 1)
		return;
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

/* False: the other side was first. */
static bool task_settle(struct task *t, int result)
{
	int none = -EINPROGRESS;

	return atomic_compare_exchange_strong(&t->result, &none, result);
}

static void signal_end(struct task *t)
{
	if (t->fd >= 0)
		eventfd_write(t->fd, 1);
}

static void *run_task(void *arg)
{
	struct task *t = arg;

	if (task_settle(t, t->run(t->arg)))
		signal_end(t);
	else
		t->release(t->arg);
	task_unref(t);
	return NULL;
}

int task_start(int (*run)(void *arg), void (*release)(void *arg), void *arg, struct task **ret_task)
{
	struct task *t = malloc(sizeof(*t));
	int rc = -ENOMEM;

	if (!t)
		return rc;
	*t = (struct task){.refs = 2, .result = -EINPROGRESS, .fd = -1, .run = run, .release = release, .arg = arg};
	rc = start_thread(run_task, t);
	if (rc)
		free(t);
	else
		*ret_task = t;
	return rc;
}

int task_result(const struct task *t)
{
	return atomic_load(&t->result);
}

/* Without a descriptor to spare it looks now and then. */
int task_wait(struct task *t, uint64_t deadline_ms)
{
	struct pollfd over = {.fd = task_fd(t), .events = POLLIN};
	uint64_t left_ms, most_ms = over.fd < 0 ? TICK_MS : INT32_MAX;

	while (task_result(t) == -EINPROGRESS && (left_ms = sat_sub(deadline_ms, clock_ms(CLOCK_BOOTTIME))))
		poll(&over, 1, (int)min_u64(left_ms, most_ms));
	return task_result(t);
}

/* The task may have ended before it saw the descriptor. */
int task_fd(struct task *t)
{
	if (t->fd < 0)
		t->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (task_result(t) != -EINPROGRESS)
		signal_end(t);
	return t->fd;
}

bool task_free(struct task *t)
{
	bool over = !t || !task_settle(t, ABANDONED);

	if (t)
		task_unref(t);
	return over;
}
