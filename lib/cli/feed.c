#include "cli/feed.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/loop.h"
#include "show/report.h"

struct feed {
	const struct feed_conf *fc;
	struct virt *virt; /* NULL: not connected */
	struct backoff backoff;

	pthread_mutex_t lock;
	pthread_cond_t work;
	enum { IDLE, ASKED, OVER } state;
	struct look look; /* while OVER */
	int fd;           /* an eventfd, readable while OVER */
};

void look_clear(struct look *look)
{
	balance_clear(&look->report);
	free(look->failure);
	look->failure = NULL;
}

int feed_new(const struct feed_conf *fc, struct feed **ret_feed)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->fc = fc;
	f->fd = -1;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->work, NULL);
	*ret_feed = f;
	return 0;
}

/* The registry is opened each time: it may come, and go, with a membalance. */
static int look(struct feed *f, const struct balance_conf *pc, struct balance_report *ret_report)
{
	struct registry *registry = NULL;
	int r = 0, unusable;

	if (!f->virt)
		r = virt_open(pc->conf->uri, true, f->fc->workers, pc->end_ms, &f->virt);
	if (r)
		return r;
	unusable = registry_open_uri(pc->root, pc->conf->uri, false, &registry);
	r = balance_decide(pc, f->virt, registry, ret_report);
	if (!r)
		ret_report->unusable = unusable == -ENOENT ? 0 : unusable;
	if (!r && registry)
		ret_report->pause_unreadable =
		    registry_paused(registry, clock_ms(CLOCK_BOOTTIME), &ret_report->paused_ms) < 0;
	registry_close(registry);
	return r;
}

void feed_look(struct feed *f, struct look *ret_look)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	const struct balance_conf pc = {
	    .conf = f->fc->conf, .root = f->fc->root, .end_ms = now_ms + f->fc->conf->deadline_ms, .stop = loop_stop()};
	struct look l = {.next_ms = now_ms + f->fc->interval_ms};

	l.error = look(f, &pc, &l.report);
	if (l.error) {
		l.failure = report_failure(l.error, pc.conf->uri, pc.root, virt_words(f->virt));
		virt_close(f->virt);
		f->virt = NULL;
		l.next_ms = clock_ms(CLOCK_BOOTTIME) + backoff_next_ms(&f->backoff);
	} else {
		f->backoff = (struct backoff){0};
	}
	l.wall_s = clock_ms(CLOCK_REALTIME) / 1000;
	*ret_look = l;
}

/* ---- on a thread of its own ---- */

static void *work(void *arg)
{
	struct feed *f = arg;

	for (;;) {
		struct look l;

		pthread_mutex_lock(&f->lock);
		while (f->state != ASKED)
			pthread_cond_wait(&f->work, &f->lock);
		pthread_mutex_unlock(&f->lock);
		feed_look(f, &l);
		pthread_mutex_lock(&f->lock);
		f->look = l;
		f->state = OVER;
		eventfd_write(f->fd, 1);
		pthread_mutex_unlock(&f->lock);
	}
	return NULL;
}

/* The signals of its own faults stay open: blocked they would kill without the handler that restores the terminal. */
static int thread_start(struct feed *f)
{
	static const int faults[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS};
	pthread_t thread;
	sigset_t others, was;
	int rc;

	sigfillset(&others);
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		sigdelset(&others, faults[i]);
	pthread_sigmask(SIG_SETMASK, &others, &was);
	rc = pthread_create(&thread, NULL, work, f);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	return -rc;
}

int feed_start(struct feed *f)
{
	f->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return f->fd < 0 ? -errno : thread_start(f);
}

void feed_ask(struct feed *f)
{
	pthread_mutex_lock(&f->lock);
	if (f->state == IDLE) {
		f->state = ASKED;
		pthread_cond_signal(&f->work);
	}
	pthread_mutex_unlock(&f->lock);
}

bool feed_take(struct feed *f, struct look *ret_look)
{
	eventfd_t news;
	bool over;

	pthread_mutex_lock(&f->lock);
	over = f->state == OVER;
	if (over) {
		eventfd_read(f->fd, &news);
		f->state = IDLE;
		*ret_look = f->look;
	}
	pthread_mutex_unlock(&f->lock);
	return over;
}

int feed_fd(const struct feed *f)
{
	return f->fd;
}
