/*
 * Looks again and again, and shows what was found: as bars on the terminal, or by the caller's own means each time. It
 * goes on when libvirt goes away and comes back, until it is told to end.
 */
#ifndef MEMSCHED_CLI_WATCH_H
#define MEMSCHED_CLI_WATCH_H

#include "cli/bars.h"
#include "cli/feed.h"

struct watch {
	struct feed_conf feed;
	uint64_t count; /* looks, failed ones included; 0: no end */

	/* Leaves the guests that are wanted, and may sort them. */
	void (*keep)(void *arg, struct balance_report *report);
	/* Writes a report, or says a failure; returns an exit code. Bars call it for the failure alone that ends them.
	 */
	int (*show)(void *arg, const struct look *look);
	void *arg;

	/* for bars */
	const char *given;  /* what keep sorts by, as one would write it; NULL: nothing */
	const char *nobody; /* what is shown where no guest is left; safe to print */
};

/*
 * Both return an exit code: EXIT_DONE when told to end (with nothing seen yet that of the last look, EXIT_AGAIN before
 * there was one), that of the last look after count of them, that of the first where libvirt will never answer (not
 * permitted, no such URI), EXIT_FAILED where nothing can be shown any more.
 */
int watch_append(const struct watch *w); /* standard output, flushed after each */
int watch_bars(const struct watch *w);   /* takes the terminal (terminal_is_there) and gives it back */

#endif
