/* SPDX-License-Identifier: MIT */
/*
 * Calls to libvirt that may never return: each is made by one of a few workers, over a connection of its own, and
 * waited for until a deadline. Errors and deadlines as in virt.h.
 */
#ifndef MEMSCHED_VIRT_CALLER_H
#define MEMSCHED_VIRT_CALLER_H

#include <signal.h>

#include "base/pool.h"
#include "plan/guest.h"
#include "plan/host.h"

struct libvirt;
struct reading;

#define CALLER_WORDS 512
#define CALLER_NO_ANSWER "no answer from libvirt in time"

/* The workers of a libvirt, and why the last call failed. */
struct caller {
	struct pool *workers;
	struct connector *connector; /* theirs */
	unsigned size;               /* workers */
	char words[CALLER_WORDS];
};

struct call;
typedef int call_function(struct libvirt *l, struct call *c);

/* One call to be made by a worker. It owns all that it needs and all that it brings. */
struct call {
	struct job job; /* the first member: a job is its call */
	call_function *function;
	char *key; /* of the job, if the call is about no guest */
	char *words;
	struct guest guest; /* a copy, without name and words; what the call changed goes back to the guest */
	struct reading *reading;
	size_t n_readings;
	uint32_t period_s;
	struct guest *found;
	size_t n_found;
	struct host host;
	bool remote;
};

/* Makes c a call of function; its old content is lost. */
void call_init(struct call *c, call_function *function);
void call_free(struct job *job);
/* Frees the results that the call still owns. Then call_init can make c another call. c must have no key. */
void call_reset(struct call *c);

/* Workers that connect to uri when there is work. 0 or -errno; caller_clear is needed after both. */
int caller_init(struct caller *c, const char *uri, bool read_only, unsigned workers);

/* As pool_free. */
void caller_clear(struct caller *c, uint64_t deadline_ms);

/* Notes why something failed; words may be NULL. Returns error. */
int caller_fail(struct caller *c, int error, const char *words);

/* Makes the calls job[0..n). As pool_run, but with the errors of virt.h. */
int caller_run(struct caller *c, struct job **job, size_t n, uint64_t deadline_ms);

/*
 * Makes a call that is about no guest. While one with this key is stuck, another is not made (-ETIMEDOUT); key may be
 * NULL. On success *ret_call must be freed with call_free.
 */
int caller_run_one(struct caller *c, call_function *function, const char *key, uint64_t deadline_ms,
                   struct call **ret_call);

/* As virt_stop_on. */
void caller_stop_on(const volatile sig_atomic_t *stop);

#endif
