#include "host/movelog_writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/pool.h"

struct movelog_writer {
	pthread_mutex_t lock;
	bool busy;         /* the thread has what follows */
	bool told;         /* what came of it */
	uint64_t began_ms; /* CLOCK_BOOTTIME */
	struct movelog audit;
	char *where;
	int error;
};

int movelog_writer_new(struct movelog_writer **ret_scribe)
{
	struct movelog_writer *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	s->told = true;
	*ret_scribe = s;
	return 0;
}

static bool is_busy(struct movelog_writer *s)
{
	bool busy;

	pthread_mutex_lock(&s->lock);
	busy = s->busy;
	pthread_mutex_unlock(&s->lock);
	return busy;
}

static void *scribble(void *arg)
{
	struct movelog_writer *s = arg;

	s->error = movelog_write(&s->audit, s->where);
	pthread_mutex_lock(&s->lock);
	s->busy = false;
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void swap(struct movelog *a, struct movelog *b)
{
	struct movelog was = *a;

	*a = *b;
	*b = was;
}

int movelog_writer_write(struct movelog_writer *s, struct movelog *a, const char *where, uint64_t now_ms)
{
	struct movelog fresh = {
	    .program = a->program, .root = a->root, .most = a->most, .move = s->audit.move, .room = s->audit.room};
	int r;

	if (is_busy(s) || !s->told)
		return -EBUSY;
	free(s->where);
	s->where = strdup(where);
	if (!s->where)
		return -ENOMEM;
	movelog_reserve(&fresh, a->room); /* without it, the room is made when it is needed */
	s->audit = fresh;
	s->began_ms = now_ms;
	swap(&s->audit, a);
	s->busy = true;
	r = pool_detach(scribble, s);
	if (r) {
		s->busy = false;
		swap(&s->audit, a);
	}
	s->told = r != 0;
	return r;
}

int movelog_writer_outcome(struct movelog_writer *s, struct movelog *a, uint64_t now_ms)
{
	if (s->told)
		return -EINPROGRESS;
	if (is_busy(s))
		return now_ms - s->began_ms < MOVELOG_WRITER_PATIENCE_MS ? -EINPROGRESS : -ETIMEDOUT;
	s->told = true;
	a->lost += s->audit.lost;
	return s->error;
}

/* False at the deadline. */
static bool wait_for(struct movelog_writer *s, uint64_t deadline_ms)
{
	while (is_busy(s)) {
		if (clock_ms(CLOCK_BOOTTIME) >= deadline_ms)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	}
	return true;
}

static void scribe_free(struct movelog_writer *s)
{
	movelog_clear(&s->audit);
	free(s->where);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int movelog_writer_end(struct movelog_writer *s, struct movelog *a, const char *where, uint64_t deadline_ms)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	int r = 0, last;

	if (!wait_for(s, deadline_ms))
		return -ETIMEDOUT;
	last = movelog_writer_outcome(s, a, now_ms);
	if (a->n && where)
		r = movelog_writer_write(s, a, where, now_ms);
	if (!wait_for(s, deadline_ms))
		return -ETIMEDOUT;
	if (!r && !s->told)
		last = movelog_writer_outcome(s, a, now_ms);
	scribe_free(s);
	return r ? r : last == -EINPROGRESS ? 0 : last;
}
