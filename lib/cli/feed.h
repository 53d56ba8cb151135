/*
 * Looks at the guests, one pass after the other, over a connection that is opened again when it breaks; in the calling
 * thread, or on one of its own, so that whoever shows what was found never waits for libvirt.
 */
#ifndef MEMSCHED_CLI_FEED_H
#define MEMSCHED_CLI_FEED_H

#include "run/balance.h"

struct feed_conf {
	const struct conf *conf;
	const char *root;
	unsigned workers;
	uint32_t interval_ms; /* from the start of one look to that of the next */
};

/* What one look brought. Times are CLOCK_BOOTTIME ms but for wall_s. */
struct look {
	struct balance_report report; /* where there is no error; owned, look_clear */
	int error;                    /* as balance_decide and virt_open return it */
	char *failure;                /* the same as a sentence that is safe to print; owned, NULL without memory */
	uint64_t wall_s;              /* when the figures were there */
	uint64_t next_ms;             /* when to look again: after errors with growing pauses */
};

void look_clear(struct look *look);

struct feed;

/* There is one for the life of the process, which ends without waiting for it. feed_conf is to live as long. 0
 * or -ENOMEM. */
int feed_new(const struct feed_conf *fc, struct feed **ret_feed);

/* Looks, until the configured deadline at most. */
void feed_look(struct feed *f, struct look *ret_look);

/*
 * The same on a thread of the feed's own (all signals but those of its own faults blocked): feed_ask begins a look, or
 * does nothing until it has been taken; feed_take is true when it is over, and *ret_look then the caller's. feed_fd can
 * be read meanwhile by poll. feed_start comes first, and returns 0 or -errno; feed_look may not be called after it.
 */
int feed_start(struct feed *f);
void feed_ask(struct feed *f);
bool feed_take(struct feed *f, struct look *ret_look);
int feed_fd(const struct feed *f);

#endif
