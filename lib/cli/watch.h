/* SPDX-License-Identifier: MIT */
/*
 * Looks again and again, and shows what was found: as bars on the terminal, or by the caller's own means each time. It
 * goes on when libvirt goes away and comes back, until it is told to end.
 */
#ifndef MEMSCHED_CLI_WATCH_H
#define MEMSCHED_CLI_WATCH_H

#include "run/balance.h"
#include "show/status.h"

/* What one look brought. Times are CLOCK_BOOTTIME ms but for wall_s. */
struct look {
	struct balance_report report; /* if there is no error */
	struct status status;         /* likewise; of all guests, also those that are not wanted */
	int error;                    /* as balance_decide and virt_open return it */
	char *failure;                /* the same as a sentence that is safe to print; NULL without memory */
	uint64_t wall_s;              /* when the figures were there */
	uint64_t next_ms;             /* when to look again: after errors with growing pauses */
};

struct watch {
	const struct conf *conf;
	const char *root;
	unsigned workers;
	uint32_t interval_ms; /* from the start of one look to that of the next */
	uint64_t count;       /* looks, failed ones included; 0: no end */

	/* Leaves the guests that are wanted, and may sort them. */
	void (*keep)(void *arg, struct balance_report *report);
	/* Writes a report, or says a failure; returns an exit code. Bars call it for the failure alone that ends them.
	 */
	int (*show)(void *arg, const struct look *look);
	void *arg;

	/* for bars */
	const char *given;    /* what keep sorts by, as one would write it; NULL: nothing */
	const char *no_guest; /* shown if no guest is left; safe to print */
};

/*
 * Both return an exit code: EXIT_DONE when told to end (with nothing seen yet that of the last look, EXIT_AGAIN before
 * there was one), that of the last look after count of them, that of the first if libvirt will never answer (not
 * permitted, no such URI) or a size does not fit, EXIT_FAILED if nothing can be shown any more.
 */
int watch_append(const struct watch *w); /* standard output, flushed after each */
/* Takes the terminal (terminal_is_there) and gives it back. Looks are tasks: drawing never waits for libvirt. The
 * process must end soon after it, and conf live as long: a look may still be under way. */
int watch_bars(const struct watch *w);

#endif
