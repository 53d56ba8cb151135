#include "scribe.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "workers.h"

struct scribe {
	pthread_mutex_t lock;
	bool busy;         /* the thread has what follows */
	bool told;         /* what came of it */
	uint64_t began_ms; /* CLOCK_BOOTTIME */
	struct audit audit;
	char *where;
	int error;
};

int scribe_new(struct scribe **ret_scribe)
{
	struct scribe *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	s->told = true;
	*ret_scribe = s;
	return 0;
}

static bool is_busy(struct scribe *s)
{
	bool busy;

	pthread_mutex_lock(&s->lock);
	busy = s->busy;
	pthread_mutex_unlock(&s->lock);
	return busy;
}

static void *scribble(void *arg)
{
	struct scribe *s = arg;

	s->error = audit_write(&s->audit, s->where);
	pthread_mutex_lock(&s->lock);
	s->busy = false;
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void swap(struct audit *a, struct audit *b)
{
	struct audit was = *a;

	*a = *b;
	*b = was;
}

int scribe_write(struct scribe *s, struct audit *a, const char *where, uint64_t now_ms)
{
	struct audit fresh = {
	    .program = a->program, .root = a->root, .most = a->most, .move = s->audit.move, .room = s->audit.room};
	int r;

	if (is_busy(s) || !s->told)
		return -EBUSY;
	free(s->where);
	s->where = strdup(where);
	if (!s->where)
		return -ENOMEM;
	audit_reserve(&fresh, a->room); /* without it, the room is made when it is needed */
	s->audit = fresh;
	s->began_ms = now_ms;
	swap(&s->audit, a);
	s->busy = true;
	r = workers_detach(scribble, s);
	if (r) {
		s->busy = false;
		swap(&s->audit, a);
	}
	s->told = r != 0;
	return r;
}

int scribe_outcome(struct scribe *s, struct audit *a, uint64_t now_ms)
{
	if (s->told)
		return -EINPROGRESS;
	if (is_busy(s))
		return now_ms - s->began_ms < SCRIBE_PATIENCE_MS ? -EINPROGRESS : -ETIMEDOUT;
	s->told = true;
	a->lost += s->audit.lost;
	return s->error;
}

/* False at the deadline. */
static bool wait_for(struct scribe *s, uint64_t deadline_ms)
{
	while (is_busy(s)) {
		if (clock_ms(CLOCK_BOOTTIME) >= deadline_ms)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	}
	return true;
}

static void scribe_free(struct scribe *s)
{
	audit_clear(&s->audit);
	free(s->where);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int scribe_end(struct scribe *s, struct audit *a, const char *where, uint64_t deadline_ms)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	int r = 0, last;

	if (!wait_for(s, deadline_ms))
		return -ETIMEDOUT;
	last = scribe_outcome(s, a, now_ms);
	if (a->n && where)
		r = scribe_write(s, a, where, now_ms);
	if (!wait_for(s, deadline_ms))
		return -ETIMEDOUT;
	if (!r && !s->told)
		last = scribe_outcome(s, a, now_ms);
	scribe_free(s);
	return r ? r : last == -EINPROGRESS ? 0 : last;
}
