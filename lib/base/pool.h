/* SPDX-License-Identifier: MIT */
/*
 * Threads that take jobs from a queue, for calls that may never return. Each worker opens a context of its
 * own (a connection) and runs one job at a time with it. A job that has not come back by the deadline is abandoned
 * together with its worker, which frees the job and its context should it ever return; another worker takes its place.
 * Times are CLOCK_BOOTTIME ms. Returns 0 or -errno.
 */
#ifndef MEMSCHED_BASE_POOL_H
#define MEMSCHED_BASE_POOL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_MAX 72 /* threads of all pools of the process, abandoned ones included; beyond it none is started */

struct pool;

/* The functions of a pool. All are called on workers; open and close may block for ever. */
struct pool_kind {
	int (*open)(void *arg, void **ret_context);
	void (*close)(void *context);
	void (*release)(void *arg); /* once the pool and the last of its workers are gone */
};

/* The head of a larger, allocated struct that holds all its run needs: the stack of the caller may be gone by then. */
struct job {
	int (*run)(struct job *job, void *context);
	void (*free)(struct job *job);
	const char *key; /* lives as long; while a job with it is stuck, another is refused; NULL: never refused */
	int result;      /* the result of run; -EAGAIN: not begun in time, -EBUSY: refused */
};

/* A pool of n workers, started when there is work. Takes arg over, on failure too. */
int pool_new(const struct pool_kind *kind, void *arg, unsigned n, struct pool **ret_workers);

/*
 * Runs n jobs, in their order, until all have come back, the deadline has passed or *stop (unless NULL) is set. A
 * job that was abandoned is taken out of the array (NULL); all others remain the caller's. While jobs wait, a worker is
 * added for each that runs for longer than an eighth of the time given, so that stuck ones cost the others little.
 * Returns 0 also when some were abandoned. -EINTR: stopped; -EBUSY: no worker, and POOL_MAX threads are stuck; the
 * error of open if no worker could open a context; -ENOTCONN as soon as a run has returned it, for then the context
 * is of no use, and its worker leaves.
 */
int pool_run(struct pool *c, struct job **job, size_t n, uint64_t deadline_ms, const volatile sig_atomic_t *stop);

/* Lets the pool go. Waits until the deadline at most for idle workers to close their contexts; 0: not at all. Never
 * waits for abandoned ones. NULL is fine. */
void pool_free(struct pool *c, uint64_t deadline_ms);

/* Threads of all pools of the process now, abandoned ones included. */
unsigned pool_threads(void);

/* One call that may never return, made by a thread of its own while the caller goes on. */
struct task;

/*
 * Starts run(arg); until there is a result arg is the thread's, and then the caller's again. 0 or -errno. run must not
 * return -EINPROGRESS.
 */
int task_start(int (*run)(void *arg), void (*release)(void *arg), void *arg, struct task **ret_task);

/* The result of run; -EINPROGRESS until it has returned. */
int task_result(const struct task *t);
/* The same, but waits for it until deadline_ms. */
int task_wait(struct task *t, uint64_t deadline_ms);
/* A descriptor for poll: readable once the result is there; -1 if there is none to spare. */
int task_fd(struct task *t);

/* Never waits. False: the task was under way and is abandoned; should run ever return, release(arg) is called. True:
 * arg is the caller's; also for NULL. */
bool task_free(struct task *t);

#endif
